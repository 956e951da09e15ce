//! Prints the performance and quality figures: `cargo run --release -p bench -- [NAME ...]`, all of them by default.

mod answers;

use anyhow::{Result, bail};

/// A figure's name, what it shows, and how it is made.
const FIGURES: &[(&str, &str, fn() -> Result<()>)] =
    &[("answers", "sample questions answered from the sample documents", answers::run)];

fn main() -> Result<()> {
    extract::child::run_child_if_asked();
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(unknown) = asked.iter().find(|name| !FIGURES.iter().any(|(known, ..)| known == name)) {
        let known: Vec<&str> = FIGURES.iter().map(|(name, ..)| *name).collect();
        bail!("there is no figure {unknown:?}; there are: {}", known.join(", "));
    }
    for (name, what, figure) in FIGURES.iter().filter(|(name, ..)| asked.is_empty() || asked.iter().any(|a| a == name)) {
        println!("\n== {name}: {what}");
        figure()?;
    }
    Ok(())
}
