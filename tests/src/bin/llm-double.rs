//! The providers' double as a process of its own, for the local stack: prints its address and runs until its standard input
//! closes.

use anyhow::Result;
use std::io::{Read as _, Write as _};
use tests::llm_double::LlmDouble;

fn main() -> Result<()> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;
    let double = LlmDouble::open(port)?;
    let urls = serde_json::json!({ "gemini": double.gemini_url(), "groq": double.groq_url() });
    println!("{urls}");
    std::io::stdout().flush()?;
    // Whoever started it holds the other end.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
