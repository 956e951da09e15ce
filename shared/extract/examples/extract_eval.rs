//! Runs every file of a folder through a child and prints what came of it.
//!
//! `cargo run -p extract --example extract_eval -- FOLDER [--text]`: a line for each file with its outcome, pages, blocks,
//! processor and wall time; where the truth lies beside it (`name.txt`, else `name.md`, else `name.docx.md`), also how
//! alike the texts are, headings found and right, and table rows found exactly. `--text` prints the text.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use domain::documents::pages::{BlockKind, ExtractedDocument};
use extract::Limits;

fn main() {
    extract::child::run_child_if_asked();
    let mut arguments = std::env::args().skip(1);
    let Some(folder) = arguments.next() else {
        eprintln!("usage: extract_eval FOLDER [--text]");
        return;
    };
    let shows_text = arguments.next().is_some_and(|argument| argument == "--text");
    let mut files = files(Path::new(&folder));
    files.sort();
    let mut sums: HashMap<&str, (f64, usize)> = HashMap::new();
    println!("{:<44} {:<28} {:>5} {:>6} {:>7} {:>7}  measures", "file", "outcome", "pages", "blocks", "cpu ms", "wall ms");
    for file in &files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let Ok(bytes) = std::fs::read(file) else {
            continue;
        };
        let (cpu, wall) = (children_cpu_ms(), Instant::now());
        let extracted = extract::extract_in_child(&bytes, &name, &Limits::default());
        let (cpu, wall) = (children_cpu_ms() - cpu, wall.elapsed().as_millis());
        match extracted {
            Ok(document) => {
                let blocks: usize = document.pages.iter().map(|page| page.blocks.len()).sum();
                let measures = measures(file, &document);
                let shown: Vec<_> = measures.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
                println!(
                    "{name:<44} {:<28} {:>5} {blocks:>6} {cpu:>7} {wall:>7}  {}",
                    "ok",
                    document.pages.len(),
                    shown.join("  ")
                );
                for (measure, value) in measures {
                    let sum = sums.entry(measure).or_default();
                    *sum = (sum.0 + value, sum.1 + 1);
                }
                if shows_text {
                    print_text(&document);
                }
            }
            Err(error) => {
                let outcome = format!("{:?}/{:?}", error.reason, error.detail);
                println!("{name:<44} {outcome:<28} {:>5} {:>6} {cpu:>7} {wall:>7}", "-", "-");
            }
        }
    }
    for (measure, (sum, count)) in sums {
        println!("mean {measure}: {:.4} over {count}", sum / count as f64);
    }
}

/// Every file that is not itself the truth of another.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let all: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    let is_truth = |path: &PathBuf| {
        let is_text = path.extension().is_some_and(|end| end == "txt" || end == "md");
        is_text && all.iter().any(|other| other != path && !is_same_end(other) && truths(other).contains(path))
    };
    all.iter().filter(|path| !is_truth(path)).cloned().collect()
}

fn is_same_end(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "txt" || end == "md")
}

fn truths(file: &Path) -> [PathBuf; 3] {
    let beside = PathBuf::from(format!("{}.md", file.display()));
    [file.with_extension("txt"), file.with_extension("md"), beside]
}

fn print_text(document: &ExtractedDocument) {
    println!("  title: {:?}", document.title);
    for page in &document.pages {
        println!("  ---- page {}", page.number);
        for block in &page.blocks {
            let text: String = page.text.chars().skip(block.start).take(block.end - block.start).collect();
            println!("  [{:?}] {text}", block.kind);
        }
    }
}

/// User and system time of all children that have ended, in milliseconds (in steps of ten).
fn children_cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // Fields 16 and 17 of the whole line, in hundredths of a second.
    after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10
}

fn measures(file: &Path, document: &ExtractedDocument) -> Vec<(&'static str, f64)> {
    let mut measures = Vec::new();
    let text: Vec<&str> = document.pages.iter().map(|page| page.text.as_str()).collect();
    let truths = truths(file);
    if let Some(truth) = truths.iter().find_map(|path| std::fs::read_to_string(path).ok()) {
        measures.push(("alike", alike(&normal(&truth), &normal(&text.join("\n\n")))));
    }
    if let Ok(truth) = std::fs::read_to_string(&truths[1]) {
        structure(&truth, document, &mut measures);
    }
    measures
}

/// Headings and table rows against the truth's Markdown.
fn structure(truth: &str, document: &ExtractedDocument, measures: &mut Vec<(&'static str, f64)>) {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let true_headings: Vec<String> = truth.lines().filter(|line| line.starts_with('#')).map(letters).collect();
    let true_rows: Vec<String> =
        truth.lines().filter(|line| line.starts_with('|') && line.chars().any(char::is_alphanumeric)).map(letters).collect();
    let (mut headings, mut rows) = (Vec::new(), Vec::new());
    for page in &document.pages {
        for block in &page.blocks {
            let text: String = page.text.chars().skip(block.start).take(block.end - block.start).collect();
            match block.kind {
                BlockKind::Heading { .. } => headings.push(letters(&text)),
                BlockKind::TableRow { .. } => rows.push(letters(&text)),
                _ => {}
            }
        }
    }
    let share =
        |of: &[String], within: &[String]| of.iter().filter(|one| within.contains(one)).count() as f64 / of.len().max(1) as f64;
    if !true_headings.is_empty() {
        measures.push(("heading recall", share(&true_headings, &headings)));
        measures.push(("precision", share(&headings, &true_headings)));
    }
    if !true_rows.is_empty() {
        measures.push(("rows", share(&true_rows, &rows)));
    }
}

/// The text as it is compared: ligatures spelled, Markdown's marks and hyphens at line ends gone, single spaces.
fn normal(text: &str) -> Vec<char> {
    let mut lines = String::new();
    for line in text.lines() {
        let line = line.trim();
        let is_mark = !line.is_empty() && line.chars().all(|c| matches!(c, '-' | '|' | ':' | ' ' | '`' | '='));
        if is_mark || line.starts_with("<!--") {
            continue;
        }
        let line = line.trim_start_matches('#').trim_start();
        let line = line.strip_prefix(['-', '*', '•']).map_or(line, str::trim_start);
        lines.push_str(line);
        lines.push('\n');
    }
    let lines = lines.replace("-\n", "").replace('ﬁ', "fi").replace('ﬂ', "fl").replace('ﬀ', "ff").replace('\\', "");
    let words = lines.replace(['|', '*', '`'], " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect()
}

/// Twice the longest common subsequence over both lengths: 1 for equal texts (Hyyrö's bit-parallel algorithm).
fn alike(truth: &[char], text: &[char]) -> f64 {
    if truth.is_empty() && text.is_empty() {
        return 1.0;
    }
    let words = truth.len().div_ceil(64);
    let mut masks: HashMap<char, Vec<u64>> = HashMap::new();
    for (at, character) in truth.iter().enumerate() {
        masks.entry(*character).or_insert_with(|| vec![0; words])[at / 64] |= 1 << (at % 64);
    }
    let mut row = vec![u64::MAX; words];
    for character in text {
        let Some(mask) = masks.get(character) else {
            continue;
        };
        let mut carry = false;
        for (word, mask) in row.iter_mut().zip(mask) {
            let matched = *word & mask;
            let (sum, over) = word.overflowing_add(matched);
            let (sum, over_again) = sum.overflowing_add(u64::from(carry));
            carry = over || over_again;
            *word = sum | (*word & !mask);
        }
    }
    let mut common = row.iter().map(|word| word.count_zeros() as usize).sum::<usize>();
    // Bits beyond the end of the truth are no characters; they stay set, so they are not counted.
    common = common.min(truth.len());
    2.0 * common as f64 / (truth.len() + text.len()) as f64
}
