//! What a model reads: small windows are found best, but a model needs what stands around them. Each passage found is shown
//! inside its section, as far as there is room; passages that stand together are shown once. What the model then rests on is
//! traced back to the windows, so citations and the support check know nothing of sections.

use super::DraftSentence;
use crate::documents::chunks::Chunk;
use crate::ids::TenantId;
use crate::retrieval::{ChunkIndex, Passage};
use crate::text::{byte_range, count_words};
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

/// Words of a section: some 400 tokens, so that it is 300 to 450 where the document has as much to say.
pub const SECTION_WORDS: usize = 300;
/// Words of all sections together. Passages that come after are shown as they were found.
pub const WORDS_MAX: usize = 2_000;

/// The sections around the passages of a search.
#[derive(Debug)]
pub struct Sections {
    /// What the model is shown, best first.
    pub shown: Vec<Passage>,
    /// The windows that these are made of.
    pub windows: Vec<Passage>,
    /// For each section: which window lies where in its text, and from which character of the window on.
    places: Vec<Vec<Piece>>,
}

/// A piece of a window in a section's text, in code points.
#[derive(Debug)]
struct Piece {
    window: usize,
    at: Range<usize>,
    from: usize,
}

impl Sections {
    /// The sections around these passages, in the order of their best ones.
    pub fn around(index: &dyn ChunkIndex, tenant: &TenantId, passages: &[Passage]) -> Self {
        let mut sections = Self { shown: Vec::new(), windows: Vec::new(), places: Vec::new() };
        // A window that was found is shown with the best of its neighbours, and never twice.
        let mut used = HashSet::new();
        let mut room = WORDS_MAX.saturating_sub(passages.iter().map(|passage| count_words(&passage.chunk.text)).sum());
        for passage in passages {
            let id = |ordinal: u32| (passage.document_id.clone(), passage.version.clone(), ordinal);
            if used.contains(&id(passage.chunk.ordinal)) {
                continue;
            }
            let own = count_words(&passage.chunk.text);
            let around = index.section(tenant, passage, SECTION_WORDS.min(own + room));
            // What the page does not show stands by itself, and is marked as what it is.
            let fits = |chunk: &Chunk| chunk.is_hidden() == passage.chunk.is_hidden() && !used.contains(&id(chunk.ordinal));
            let around: Vec<Chunk> = contiguous(around.into_iter().filter(fits).collect(), passage.chunk.ordinal);
            let words: usize = around.iter().map(|chunk| count_words(&chunk.text)).sum();
            room = room.saturating_sub(words.saturating_sub(own));
            used.extend(around.iter().map(|chunk| id(chunk.ordinal)));
            sections.add(passage, around);
        }
        sections
    }

    fn add(&mut self, passage: &Passage, chunks: Vec<Chunk>) {
        let mut whole = Chunk { text: String::new(), spans: Vec::new(), flags: Vec::new(), ..passage.chunk.clone() };
        let (mut length, mut pieces) = (0, Vec::new());
        let mut flags = BTreeSet::new();
        for chunk in chunks {
            flags.extend(chunk.flags.iter().copied());
            let mut from = 0;
            for span in &chunk.spans {
                let size = span.end - span.start;
                // The stem of a list and the header of a table open every window of it; once is enough.
                if !whole.spans.contains(span)
                    && let Some(bytes) = byte_range(&chunk.text, &(from..from + size))
                {
                    if length > 0 {
                        whole.text.push('\n');
                        length += 1;
                    }
                    whole.text.push_str(&chunk.text[bytes]);
                    whole.spans.push(*span);
                    pieces.push(Piece { window: self.windows.len(), at: length..length + size, from });
                    length += size;
                }
                from += size + 1;
            }
            self.windows.push(Passage { chunk, sentences: Vec::new(), ..passage.clone() });
        }
        whole.flags = flags.into_iter().collect();
        self.shown.push(Passage { chunk: whole, sentences: Vec::new(), ..passage.clone() });
        self.places.push(pieces);
    }

    /// The same draft, resting on windows instead of sections.
    pub fn trace(&self, draft: &DraftSentence) -> DraftSentence {
        let mut supports = Vec::new();
        for (section, range) in &draft.supports {
            for piece in self.places.get(*section).into_iter().flatten() {
                let (start, end) = (range.start.max(piece.at.start), range.end.min(piece.at.end));
                if start < end {
                    let shift = |at: usize| at - piece.at.start + piece.from;
                    join(&mut supports, piece.window, shift(start)..shift(end));
                }
            }
        }
        DraftSentence { text: draft.text.clone(), supports }
    }
}

/// Adds a range; to the one before it if only a line break is between them.
fn join(supports: &mut Vec<(usize, Range<usize>)>, window: usize, range: Range<usize>) {
    match supports.last_mut() {
        Some((last, before)) if *last == window && before.end + 1 == range.start => before.end = range.end,
        _ => supports.push((window, range)),
    }
}

/// The chunks around one that follow each other without a gap.
fn contiguous(mut chunks: Vec<Chunk>, ordinal: u32) -> Vec<Chunk> {
    let Some(at) = chunks.iter().position(|chunk| chunk.ordinal == ordinal) else { return Vec::new() };
    let pairs: Vec<bool> = chunks.windows(2).map(|pair| pair[0].ordinal + 1 == pair[1].ordinal).collect();
    let end = pairs[at..].iter().position(|follows| !follows).map_or(chunks.len(), |gap| at + gap + 1);
    let start = pairs[..at].iter().rposition(|follows| !follows).map_or(0, |gap| gap + 1);
    chunks.truncate(end);
    chunks.split_off(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Scope;
    use crate::documents::chunks::chunk;
    use crate::documents::pages::{Block, BlockKind, ExtractedDocument, Flag, Page};
    use crate::fault::PortError;
    use crate::ids::DocumentId;
    use crate::retrieval::{Query, Retrieval};
    use async_trait::async_trait;
    use proptest::prelude::*;

    /// Knows the chunks of one document, and shows those around one as far as the words go.
    struct Book(Vec<Chunk>);

    #[async_trait]
    impl ChunkIndex for Book {
        async fn prime(&self, _: &TenantId) -> Result<(), PortError> {
            Ok(())
        }

        async fn search(&self, _: &Scope, _: &Query, _: usize) -> Result<Retrieval, PortError> {
            Ok(Retrieval::default())
        }

        fn section(&self, _: &TenantId, passage: &Passage, words: usize) -> Vec<Chunk> {
            let at = passage.chunk.ordinal as usize;
            let mut room = words.saturating_sub(count_words(&passage.chunk.text));
            let mut take = |chunk: &&Chunk| {
                let left = room.checked_sub(count_words(&chunk.text)).filter(|_| chunk.section == passage.chunk.section);
                room = left.unwrap_or(room);
                left.is_some()
            };
            let after: Vec<Chunk> = self.0[at + 1..].iter().take_while(&mut take).cloned().collect();
            let mut before: Vec<Chunk> = self.0[..at].iter().rev().take_while(&mut take).cloned().collect();
            before.reverse();
            [before, vec![self.0[at].clone()], after].concat()
        }
    }

    fn tenant() -> TenantId {
        TenantId::parse("main").unwrap()
    }

    fn passage(chunk: &Chunk) -> Passage {
        Passage {
            document_id: DocumentId::for_key(&tenant(), "k"),
            title: "T".into(),
            version: "v".into(),
            chunk: chunk.clone(),
            score: 1.0,
            cosine: 0.5,
            lexical: 1.0,
            sentences: Vec::new(),
        }
    }

    /// A page of sentences that all differ; a list of items in it repeats its stem.
    fn book(sizes: &[(u8, usize)]) -> (Page, Book) {
        let mut page = Page::empty(1);
        for (at, (kind, words)) in sizes.iter().enumerate() {
            if !page.text.is_empty() {
                page.text.push('\n');
            }
            let start = page.text.chars().count();
            let sentence: Vec<String> = (0..*words).map(|word| format!("é{at}x{word}")).collect();
            page.text.push_str(&sentence.join(" "));
            page.text.push(if *kind == 1 { ':' } else { '.' });
            let mut block = Block::new(
                match kind {
                    0 => BlockKind::Heading { level: 1 },
                    2 => BlockKind::ListItem,
                    _ => BlockKind::Paragraph,
                },
                start,
                page.text.chars().count(),
            );
            if *kind == 4 {
                block.flags.push(Flag::Hidden);
            }
            page.blocks.push(block);
        }
        let chunks = chunk(&ExtractedDocument { title: None, pages: vec![page.clone()] });
        (page, Book(chunks))
    }

    #[test]
    fn a_passage_is_shown_with_its_neighbours_and_passages_that_stand_together_once() {
        let (_, book) = book(&[(0, 2), (3, 70), (3, 70), (3, 70), (3, 70), (3, 70), (3, 70), (0, 2), (3, 30)]);
        let hits: Vec<Passage> = [2, 3, 6].map(|at| passage(&book.0[at])).into();
        let sections = Sections::around(&book, &tenant(), &hits);
        assert_eq!(sections.shown.len(), 2, "the second hit is in the section of the first");
        let words = count_words(&sections.shown[0].chunk.text);
        assert!((200..=SECTION_WORDS).contains(&words), "{words}");
        assert_eq!(sections.shown[1].chunk.text, hits[2].chunk.text, "a section ends with its heading");
    }

    #[test]
    fn the_stem_of_a_list_is_shown_once_and_cited_from_its_window() {
        let (page, book) = book(&[(0, 2), (1, 10), (2, 50), (2, 50), (2, 50)]);
        assert!(book.0.len() > 1);
        let sections = Sections::around(&book, &tenant(), &[passage(&book.0[1])]);
        let text = &sections.shown[0].chunk.text;
        assert_eq!(text.matches("é1x0 ").count(), 1, "{text}");
        assert_eq!(text, &page.text[page.text.find('\n').unwrap() + 1..], "the section reads as the page does");
    }

    #[test]
    fn what_the_page_hides_stands_by_itself() {
        let (_, book) = book(&[(0, 2), (3, 70), (4, 70), (3, 70)]);
        let hidden = book.0.iter().position(Chunk::is_hidden).unwrap();
        for (at, chunk) in book.0.iter().enumerate() {
            let sections = Sections::around(&book, &tenant(), &[passage(chunk)]);
            assert_eq!(sections.shown[0].chunk.is_hidden(), at == hidden);
            assert_eq!(sections.windows.len(), 1, "nothing is put together over it");
        }
    }

    proptest! {
        #[test]
        fn what_rests_on_a_section_is_the_same_text_of_its_windows(
            sizes in prop::collection::vec((0_u8..4, 3_usize..80), 1..24),
            hits in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        ) {
            let (page, book) = book(&sizes);
            prop_assume!(!book.0.is_empty());
            let mut at: Vec<usize> = hits.iter().map(|hit| hit.index(book.0.len())).collect();
            at.dedup();
            let found: Vec<Passage> = at.iter().map(|at| passage(&book.0[*at])).collect();
            let sections = Sections::around(&book, &tenant(), &found);
            let mut seen = BTreeSet::new();
            for window in &sections.windows {
                prop_assert!(seen.insert(window.chunk.ordinal), "a window is shown twice");
            }
            prop_assert!(found.iter().all(|hit| seen.contains(&hit.chunk.ordinal)), "what was found is shown");
            for (number, section) in sections.shown.iter().enumerate() {
                let characters: Vec<char> = section.chunk.text.chars().collect();
                for (from, to) in &cuts {
                    let (from, to) = (from.index(characters.len()), to.index(characters.len()) + 1);
                    let range = from.min(to)..from.max(to);
                    let draft = DraftSentence { text: "x".into(), supports: vec![(number, range.clone())] };
                    let traced = sections.trace(&draft);
                    let mut cited = String::new();
                    let mut on_page = String::new();
                    for (window, range) in &traced.supports {
                        let window = &sections.windows[*window];
                        cited.push_str(&window.chunk.text[byte_range(&window.chunk.text, range).unwrap()]);
                        for span in window.locate(range) {
                            on_page.push_str(&page.text[byte_range(&page.text, &(span.start..span.end)).unwrap()]);
                        }
                    }
                    let plain = |text: &str| text.chars().filter(|c| *c != '\n').collect::<String>();
                    let expected: String = characters[range].iter().collect();
                    prop_assert_eq!(plain(&cited), plain(&expected));
                    prop_assert_eq!(plain(&on_page), plain(&expected));
                }
            }
        }
    }
}
