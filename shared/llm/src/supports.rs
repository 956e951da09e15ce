//! Where in a passage a sentence is said. The model names passages; which words of them are cited is found here, and the
//! support check then decides on exactly these words.

use domain::retrieval::Passage;
use domain::text::{self, Analyzer};
use std::collections::BTreeSet;
use std::ops::Range;

/// A sentence rests on so many places of one passage at most. More would be citing the page.
const PLACES_MAX: usize = 3;

/// The places of a passage that have the sentence's words, in the passage's order, in code points. Each adds words that the
/// ones before do not have; none if the passage has none of the sentence's words.
pub fn places(sentence: &str, passage: &Passage, analyzer: &Analyzer) -> Vec<Range<usize>> {
    let text = &passage.chunk.text;
    let mut missing: BTreeSet<String> = analyzer.terms(sentence).into_iter().collect();
    let mut candidates: Vec<(Range<usize>, BTreeSet<String>)> = text::sentences(text)
        .into_iter()
        .map(|range| (range.clone(), analyzer.terms(&text[range]).into_iter().collect()))
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < PLACES_MAX {
        let gain = |terms: &BTreeSet<String>| terms.intersection(&missing).count();
        // Of two that add as much, the shorter says less that was not asked; of two alike, the first.
        let best = (0..candidates.len())
            .map(|at| (gain(&candidates[at].1), std::cmp::Reverse(candidates[at].1.len()), std::cmp::Reverse(at)))
            .filter(|(gain, _, _)| *gain > 0)
            .max();
        let Some((_, _, std::cmp::Reverse(at))) = best else { break };
        let (range, terms) = candidates.remove(at);
        missing.retain(|term| !terms.contains(term));
        chosen.push(range);
    }
    chosen.sort_by_key(|range| range.start);
    chosen.into_iter().map(|range| text::char_offset(text, range.start)..text::char_offset(text, range.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::documents::chunks::{Chunk, Span};
    use domain::ids::{DocumentId, TenantId};

    fn cited(sentence: &str, text: &str) -> Vec<String> {
        let passage = Passage {
            document_id: DocumentId::for_key(&TenantId::parse("main").unwrap(), "a"),
            title: String::new(),
            version: String::new(),
            chunk: Chunk { text: text.to_owned(), ..chunk() },
            score: 0.0,
            cosine: 0.0,
            lexical: 0.0,
            sentences: vec![],
        };
        let places = places(sentence, &passage, &Analyzer::default());
        places.into_iter().map(|range| text[text::byte_range(text, &range).unwrap()].to_owned()).collect()
    }

    fn chunk() -> Chunk {
        Chunk { ordinal: 0, section: vec![], text: String::new(), spans: vec![Span { page: 1, start: 0, end: 1 }], flags: vec![] }
    }

    #[test]
    fn the_places_are_those_with_the_words_and_no_others() {
        let text = "Adults get 5 mg of apixaban. Children get none. It is given twice daily.\nWash your hands – café.";
        assert_eq!(cited("Adults get apixaban 5 mg.", text), ["Adults get 5 mg of apixaban."]);
        assert_eq!(
            cited("Apixaban 5 mg is given twice daily to adults.", text),
            ["Adults get 5 mg of apixaban.", "It is given twice daily."]
        );
        assert_eq!(cited("Wash hands.", text), ["Wash your hands – café."]);
        assert_eq!(cited("The moon is far away.", "Adults get 5 mg."), [""; 0]);
    }
}
