//! Other extractors on the same file, each in a process of its own that tells its processor time and memory.

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// Runs one tool on one file: `-c RUNNER TOOL FILE`. What it says is one line of JSON.
const RUNNER: &str = r#"
import json, resource, subprocess, sys
tool, path = sys.argv[1:3]
who = resource.RUSAGE_SELF
if tool == "pypdfium2":
    import pypdfium2
    if path != "-":
        document = pypdfium2.PdfDocument(path)
        text = "\n\n".join(page.get_textpage().get_text_range() for page in document)
else:
    who = resource.RUSAGE_CHILDREN
    run = subprocess.run(["pdftotext", "-v"] if path == "-" else ["pdftotext", "-enc", "UTF-8", path, "-"], capture_output=True)
    if run.returncode not in (0, 99):
        sys.exit(run.returncode)
    text = run.stdout.decode("utf-8", "replace")
if path == "-":
    sys.exit()
used = resource.getrusage(who)
print(json.dumps({"text": text, "cpu_ms": round((used.ru_utime + used.ru_stime) * 1000), "peak_mb": used.ru_maxrss / 1024}))
"#;

/// An extractor to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Pypdfium2,
    Pdftotext,
}

/// What it made of a file.
#[derive(Debug, Deserialize)]
pub struct Reading {
    pub text: String,
    pub cpu_ms: u64,
    pub peak_mb: f64,
}

impl Peer {
    /// Those that are installed.
    pub fn installed(python: &str) -> Vec<Self> {
        [Self::Pypdfium2, Self::Pdftotext].into_iter().filter(|peer| peer.run(python, Path::new("-")).is_some()).collect()
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pypdfium2 => "pypdfium2",
            Self::Pdftotext => "pdftotext",
        }
    }

    /// `None` if it fails.
    pub fn read(self, python: &str, file: &Path) -> Option<Reading> {
        serde_json::from_slice(&self.run(python, file)?).ok()
    }

    fn run(self, python: &str, file: &Path) -> Option<Vec<u8>> {
        let mut command = Command::new(python);
        command.args(["-c", RUNNER, self.name()]).arg(file).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().ok().filter(|output| output.status.success()).map(|output| output.stdout)
    }
}
