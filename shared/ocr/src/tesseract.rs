//! The `tesseract` program: a picture in, words with places and confidence out.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use domain::documents::ocr::{Ocr, RecognisePageError, RecognisedPage};

use crate::{DOTS_PER_INCH, tsv};

/// A page takes 1 to 10 s; one that takes longer than this is noise.
const WALL_MAX: Duration = Duration::from_mins(2);
/// A page of words is some 200 KB of table.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// The program as it is found on the path.
#[derive(Debug, Clone)]
pub struct Tesseract {
    languages: String,
}

impl Tesseract {
    /// Languages as the program names them: `eng`, `deu+eng`.
    pub fn new(languages: impl Into<String>) -> Self {
        Self { languages: languages.into() }
    }
}

impl Ocr for Tesseract {
    fn recognise(&self, png: &[u8]) -> Result<RecognisedPage, RecognisePageError> {
        let dpi = DOTS_PER_INCH.to_string();
        let mut child = Command::new("tesseract")
            .args(["stdin", "stdout", "--dpi", &dpi, "-l", &self.languages, "tsv"])
            // It would start as many threads as there are cores, for each page.
            .env("OMP_THREAD_LIMIT", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|_| RecognisePageError::Missing)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(RecognisePageError::Failed);
        };
        let answer = thread::scope(|scope| {
            scope.spawn(move || {
                // A program that fails early stops reading; its exit code says so.
                let _ = stdin.write_all(png);
            });
            let (said, heard) = sync_channel(1);
            scope.spawn(move || {
                let mut answer = Vec::new();
                let read = stdout.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
                let _ = said.send(read.map(|_| answer));
            });
            let answer = heard.recv_timeout(WALL_MAX);
            if matches!(answer, Err(RecvTimeoutError::Timeout)) {
                // It may just have ended by itself.
                let _ = child.kill();
            }
            answer
        });
        let status = child.wait().map_err(|_| RecognisePageError::Failed)?;
        match answer {
            Ok(Ok(answer)) if status.success() => Ok(tsv::page(&String::from_utf8_lossy(&answer), DOTS_PER_INCH)),
            _ => Err(RecognisePageError::Failed),
        }
    }
}
