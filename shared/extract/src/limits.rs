//! How much of everything one document may use.

use serde::{Deserialize, Serialize};

/// The bounds of one extraction. What is over a bound ends in a typed error, never in a partial document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Size of the file. 50 MiB is what the upload link accepts; larger guidelines are scans, which need recognition anyway.
    pub bytes_max: usize,
    /// Pages of a PDF. 2,000 covers the longest formularies; counted before any page is read.
    pub pages_max: u32,
    /// UTF-8 bytes of text over all pages. 64 MiB is ten times the longest real document, and what a parent can hold.
    pub text_bytes_max: usize,
    /// Blocks over all pages. 500,000 is 250 a page at the page limit; together with the text it bounds the child's answer.
    pub blocks_max: usize,
    /// Address space of the child. 1 GiB: parsing a real file needs at most 150 MiB, so only a bomb gets here.
    pub memory_bytes: u64,
    /// Processor time of the child before its page count is known. 6 s is 30 times what an ordinary document needs.
    pub cpu_s: u64,
    /// Processor time of the child that asks the second parser, with which a small file has its outcome within 10 s.
    pub cpu_second_s: u64,
    /// Processor time added for each page once the pages are counted. A page needs 2 to 10 ms; 50 ms leaves room for drawings.
    pub cpu_page_ms: u64,
    /// Time on the wall, after which the child is killed, if it has counted no pages; each adds `cpu_page_ms`. A busy
    /// machine stretches processor time; 60 s and 50 ms a page leave the function room to embed and index what was found.
    pub wall_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 50 << 20,
            pages_max: 2_000,
            text_bytes_max: 64 << 20,
            blocks_max: 500_000,
            memory_bytes: 1 << 30,
            cpu_s: 6,
            cpu_second_s: 3,
            cpu_page_ms: 50,
            wall_ms: 60_000,
        }
    }
}

impl Limits {
    /// Processor seconds for a document of so many pages, rounded up.
    pub fn cpu_s_for(&self, pages: u32) -> u64 {
        let added_ms = self.cpu_page_ms.saturating_mul(u64::from(pages.min(self.pages_max)));
        self.cpu_s.saturating_add(added_ms.div_ceil(1_000))
    }

    /// What the pages add to the time on the wall.
    pub(crate) fn wall_added_ms(&self, pages: u32) -> u64 {
        self.cpu_page_ms.saturating_mul(u64::from(pages.min(self.pages_max)))
    }

    /// The limits of the child that asks the second parser: less time, because that parser is several times
    /// faster.
    pub(crate) fn of_second(&self) -> Self {
        Self { cpu_s: self.cpu_second_s, cpu_page_ms: self.cpu_page_ms / 10, ..self.clone() }
    }

    /// The most bytes that a well-behaved child writes.
    ///
    /// Text is mended before it is sent, so JSON escapes at most double it; a block's numbers and names take less than
    /// 224 bytes; the rest is the envelope of pages and progress.
    pub(crate) fn answer_bytes_max(&self) -> u64 {
        let text = (self.text_bytes_max as u64).saturating_mul(2);
        let blocks = (self.blocks_max as u64).saturating_mul(224);
        let envelope = u64::from(self.pages_max).saturating_mul(256);
        text.saturating_add(blocks).saturating_add(envelope).saturating_add(1 << 20)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_grows_with_the_pages_up_to_the_page_limit() {
        let limits = Limits::default();
        assert_eq!(limits.cpu_s_for(0), 6);
        assert_eq!(limits.cpu_s_for(1), 7);
        assert_eq!(limits.cpu_s_for(2_000), 106);
        assert_eq!(limits.cpu_s_for(u32::MAX), 106);
        assert!(limits.cpu_s_for(1) + limits.of_second().cpu_s <= 10);
    }
}
