//! The providers' double as a process of its own, for the local stack: prints its addresses as one line of JSON, then runs until
//! its standard input closes, or, with `--stay`, until it is ended.

use anyhow::Result;
use std::io::{Read as _, Write as _};
use tests::llm_double::LlmDouble;

fn main() -> Result<()> {
    let double = LlmDouble::open(0)?;
    let urls = serde_json::json!({ "gemini": double.gemini_url(), "groq": double.groq_url() });
    println!("{urls}");
    std::io::stdout().flush()?;
    if std::env::args().any(|argument| argument == "--stay") {
        loop {
            std::thread::park();
        }
    }
    // Whoever started it holds the other end.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
