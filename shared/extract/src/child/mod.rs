//! Extraction in a process of its own, so that a hostile file ends a child and not the function.
//!
//! The child is the same program, started again with one argument; so nothing has to be found or shipped. It limits its
//! own memory and processor time, has an empty environment and cannot write files. The parent feeds it the document,
//! reads pages, and ends it when its time is up.

mod opinions;
mod parent;
mod protocol;
mod work;

pub use opinions::{extract_in_child, extract_in_child_measured, extract_in_child_with};
pub(crate) use opinions::{extract_with_images, paint};

/// The document that these lines tell of, if they are a whole conversation.
#[cfg(fuzzing)]
pub(crate) fn hear(lines: &[u8], limits: &crate::Limits) -> Option<domain::documents::pages::ExtractedDocument> {
    let mut listener = protocol::Listener::default();
    for line in lines.split(|byte| *byte == b'\n') {
        listener.hear(line, limits).ok()?;
    }
    listener.outcome?.ok().map(|answer| answer.document)
}

/// The argument that makes a program a child.
const ARGUMENT: &str = "--extract-child";

/// To be called first thing in the `main` of every program that extracts. In a child it does the work and ends the
/// process; otherwise it returns at once.
pub fn run_child_if_asked() {
    if is_child() {
        std::process::exit(work::run(None));
    }
}

/// Paints a page of a PDF as PNG.
pub type Paint = fn(&[u8], u32) -> Option<Vec<u8>>;

/// As [`run_child_if_asked`], for programs that can paint pages for [`extract_recognising`](crate::extract_recognising).
pub fn run_child_if_asked_with(paint: Paint) {
    if is_child() {
        std::process::exit(work::run(Some(paint)));
    }
}

fn is_child() -> bool {
    std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT)
}
