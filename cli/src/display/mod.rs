//! What people see. Results go to standard output, everything else to standard error.

pub mod answer;
pub mod document;
pub mod measure;
pub mod progress;
pub mod table;
pub mod text;

use anyhow::Result;
use console::{Style, Term};
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Lines of prose are not longer than this, however wide the terminal is.
const PROSE_COLUMNS_MAX: usize = 110;
/// What is assumed where there is no terminal.
const COLUMNS: usize = 100;

/// Whoever read our output has closed it.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub struct StdoutClosed;

/// How much is said beside the result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Chatter {
    /// Errors.
    Quiet,
    /// Progress and remarks.
    Normal,
    /// A line for each request.
    Verbose,
}

/// Both outputs and what they can do.
pub struct Screen {
    out: Box<dyn Write>,
    notes: Box<dyn Write>,
    /// Width of a line of prose.
    pub columns: usize,
    /// Width of a table; none if it is not for a terminal: then nothing is cut.
    pub table_columns: Option<usize>,
    /// Colours of standard output.
    pub paint: Paint,
    /// Whether standard error is a terminal on which things may move.
    pub moves: bool,
    /// Whether there is somebody to ask.
    pub is_interactive: bool,
    /// How much is said beside the result.
    pub chatter: Chatter,
    error_paint: Paint,
}

impl Screen {
    /// The terminal, or what stands in for it.
    pub fn of_terminal(chatter: Chatter) -> Self {
        let stdout = Term::stdout();
        let table_columns = stdout.is_term().then(|| usize::from(stdout.size().1));
        let columns = table_columns.unwrap_or(COLUMNS);
        let stderr = Term::stderr();
        Self {
            out: Box::new(io::BufWriter::new(io::stdout())),
            notes: Box::new(io::stderr()),
            columns: columns.clamp(20, PROSE_COLUMNS_MAX),
            table_columns,
            paint: Paint { is_on: console::colors_enabled() },
            // Lines in between would tear a moving picture apart.
            moves: stderr.is_term() && !console::is_dumb() && chatter == Chatter::Normal,
            is_interactive: io::stdin().is_terminal() && stderr.is_term(),
            chatter,
            error_paint: Paint { is_on: console::colors_enabled_stderr() },
        }
    }

    /// A line of the result.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<()> {
        let written = writeln!(self.out, "{}", text.as_ref());
        checked(written)
    }

    /// Bytes of the result as they are.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.out.write_all(bytes);
        checked(written)
    }

    /// The result as one JSON document.
    pub fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.line(serde_json::to_string_pretty(value)?)
    }

    /// A remark. Dropped if it cannot be shown.
    pub fn note(&mut self, text: impl AsRef<str>) {
        if self.chatter != Chatter::Quiet {
            self.insist(text);
        }
    }

    /// A remark that is made even to those who want none.
    pub fn insist(&mut self, text: impl AsRef<str>) {
        let _ = writeln!(self.notes, "{}", text.as_ref());
    }

    /// What went wrong.
    pub fn error(&mut self, error: &anyhow::Error) {
        let head = self.error_paint.bad("error:");
        self.insist(format!("{head} {}", text::plain(&format!("{error:#}"))));
    }

    /// Writes out what waits.
    pub fn flush(&mut self) -> Result<()> {
        let written = self.out.flush();
        checked(written)
    }
}

fn checked(written: io::Result<()>) -> Result<()> {
    written.map_err(|error| if error.kind() == ErrorKind::BrokenPipe { StdoutClosed.into() } else { error.into() })
}

/// Colours, or none.
#[derive(Clone, Copy)]
pub struct Paint {
    is_on: bool,
}

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub const OFF: Self = Self { is_on: false };

    fn with(self, style: Style, text: &str) -> String {
        if self.is_on { style.force_styling(true).apply_to(text).to_string() } else { text.to_owned() }
    }

    /// What a reader looks for.
    pub fn strong(self, text: &str) -> String {
        self.with(Style::new().bold(), text)
    }

    /// What stands in the background.
    pub fn faint(self, text: &str) -> String {
        self.with(Style::new().dim(), text)
    }

    /// Well.
    pub fn good(self, text: &str) -> String {
        self.with(Style::new().green(), text)
    }

    /// Not well.
    pub fn bad(self, text: &str) -> String {
        self.with(Style::new().red(), text)
    }

    /// On its way.
    pub fn moving(self, text: &str) -> String {
        self.with(Style::new().yellow(), text)
    }

    /// A number that points somewhere.
    pub fn mark(self, text: &str) -> String {
        self.with(Style::new().cyan(), text)
    }
}

#[cfg(test)]
pub mod testing {
    //! A screen that keeps what it shows.

    use super::{Chatter, Paint, Screen};
    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::rc::Rc;

    /// What was written.
    #[derive(Clone, Default)]
    pub struct Kept(Rc<RefCell<Vec<u8>>>);

    impl Kept {
        /// As text.
        pub fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A screen without a terminal, its results and its remarks.
    pub fn screen() -> (Screen, Kept, Kept) {
        let (out, notes) = (Kept::default(), Kept::default());
        let screen = Screen {
            out: Box::new(out.clone()),
            notes: Box::new(notes.clone()),
            columns: 80,
            table_columns: None,
            paint: Paint::OFF,
            moves: false,
            is_interactive: false,
            chatter: Chatter::Normal,
            error_paint: Paint::OFF,
        };
        (screen, out, notes)
    }
}
