//! The answer's shape: `{"sentences": [{"text": "...", "passages": [1, 2]}]}`. Read while it comes, sentence by sentence, and
//! checked as a whole at its end. What does not have this shape is no answer: nothing is guessed from it.

use serde::Deserialize;

/// An answer is some sentences; more is a model that does not stop.
pub const SENTENCES_MAX: usize = 16;
/// The longest sentence in characters, and more than any that passes the support check.
const SENTENCE_CHARS_MAX: usize = 1_200;
/// A sentence that rests on more passages rests on none in particular.
const PASSAGES_MAX: usize = 6;
/// Deeper than this is not our shape: answer, list, sentence, list.
const DEPTH_MAX: u8 = 4;

/// A sentence as a model writes it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The sentence, with placeholders.
    pub text: String,
    /// The passages that it names, from 1.
    pub passages: Vec<usize>,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Written({} bytes, {:?})", self.text.len(), self.passages)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    sentences: Vec<Written>,
}

/// A text that is not an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the model's text does not have the form of an answer")]
pub struct ReadAnswerError;

/// Reads an answer as it comes.
#[derive(Default)]
pub struct AnswerReader {
    text: String,
    /// How far the text has been looked through, in bytes.
    seen: usize,
    depth: u8,
    in_string: bool,
    is_escaped: bool,
    /// Where the sentence that is open begins.
    open: Option<usize>,
    count: usize,
}

impl AnswerReader {
    /// Takes a piece of the model's text; answers the sentences that it completes.
    pub fn push(&mut self, piece: &str) -> Result<Vec<Written>, ReadAnswerError> {
        self.text.push_str(piece);
        let mut written = Vec::new();
        let bytes = self.text.as_bytes();
        for (at, byte) in bytes.iter().copied().enumerate().skip(self.seen) {
            if self.in_string {
                let was_escaped = std::mem::take(&mut self.is_escaped);
                match byte {
                    b'\\' if !was_escaped => self.is_escaped = true,
                    b'"' if !was_escaped => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return Err(ReadAnswerError);
                    }
                    if byte == b'{' && self.depth == 3 {
                        self.open = Some(at);
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(ReadAnswerError)?;
                    if let Some(from) = self.open.take_if(|_| self.depth == 2) {
                        self.count += 1;
                        if self.count > SENTENCES_MAX {
                            return Err(ReadAnswerError);
                        }
                        written.push(read(&self.text[from..=at])?);
                    }
                }
                _ => {}
            }
        }
        self.seen = bytes.len();
        Ok(written)
    }

    /// Checks the whole. An answer that was broken off need only have begun well: what it has completed was checked.
    pub fn finish(&self, is_truncated: bool) -> Result<(), ReadAnswerError> {
        if is_truncated {
            return if self.text.trim_start().starts_with('{') { Ok(()) } else { Err(ReadAnswerError) };
        }
        let whole: Whole = serde_json::from_str(&self.text).map_err(|_| ReadAnswerError)?;
        if whole.sentences.len() == self.count { Ok(()) } else { Err(ReadAnswerError) }
    }
}

fn read(json: &str) -> Result<Written, ReadAnswerError> {
    let mut written: Written = serde_json::from_str(json).map_err(|_| ReadAnswerError)?;
    let is_fit = written.text.chars().count() <= SENTENCE_CHARS_MAX && written.passages.len() <= PASSAGES_MAX;
    if !is_fit {
        return Err(ReadAnswerError);
    }
    // Line breaks would make two sentences of one; other control characters make nothing good.
    written.text =
        written.text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join(" ");
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read_all(pieces: &[&str], is_truncated: bool) -> Result<Vec<Written>, ReadAnswerError> {
        let mut reader = AnswerReader::default();
        let mut written = Vec::new();
        for piece in pieces {
            written.extend(reader.push(piece)?);
        }
        reader.finish(is_truncated).map(|()| written)
    }

    fn sentence(text: &str, passages: &[usize]) -> Written {
        Written { text: text.to_owned(), passages: passages.to_vec() }
    }

    #[test]
    fn sentences_come_as_soon_as_they_are_whole() {
        let mut reader = AnswerReader::default();
        assert_eq!(reader.push("{ \"sentences\": [{\"text\": \"Give }{][ 5 mg \\\"now\\\".").unwrap(), []);
        assert_eq!(reader.push("\", \"passages\": [1,").unwrap(), []);
        assert_eq!(reader.push(" 3]}").unwrap(), [sentence("Give }{][ 5 mg \"now\".", &[1, 3])]);
        assert_eq!(reader.finish(false), Err(ReadAnswerError));
        assert_eq!(reader.finish(true), Ok(()));
        assert_eq!(reader.push("]}").unwrap(), []);
        assert_eq!(reader.finish(false), Ok(()));
    }

    #[test]
    fn what_has_another_shape_is_no_answer() {
        let many = json!({ "sentences": vec![json!({ "text": "x", "passages": [1] }); SENTENCES_MAX + 1] }).to_string();
        let long = json!({ "sentences": [{ "text": "x".repeat(SENTENCE_CHARS_MAX + 1), "passages": [1] }] }).to_string();
        for bad in [
            "",
            "The dose is 5 mg.",
            "```json\n{\"sentences\": []}\n```",
            "[]",
            "{}",
            "]",
            "{\"sentences\": [\"The dose\"]}",
            "{\"sentences\": [{\"text\": \"x\"}]}",
            "{\"sentences\": [{\"text\": \"x\", \"passages\": [-1]}]}",
            "{\"sentences\": [{\"text\": \"x\", \"passages\": [1], \"url\": \"y\"}]}",
            "{\"sentences\": [], \"tool\": {}}",
            "{\"sentences\": []} and more",
            &"[".repeat(100_000),
            &many,
            &long,
        ] {
            assert_eq!(read_all(&[bad], false), Err(ReadAnswerError), "{}", bad.chars().take(60).collect::<String>());
        }
        assert_eq!(read_all(&["{\"sentences\": []}"], false), Ok(vec![]), "no sentence is an answer: nothing supports one");
    }

    #[test]
    fn line_breaks_and_control_characters_do_not_come_through() {
        let text = json!({ "sentences": [{ "text": " a\nb\u{1b}[31m\tc ", "passages": [] }] }).to_string();
        assert_eq!(read_all(&[&text], false), Ok(vec![sentence("a b [31m c", &[])]));
    }

    proptest! {
        #[test]
        fn where_the_text_is_cut_changes_nothing(
            texts in proptest::collection::vec("[a-z\"\\\\{}\\[\\]é😀:,]{0,12}", 0..5),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let sentences: Vec<_> = texts.iter().map(|text| json!({ "text": text, "passages": [1, 2] })).collect();
            let whole = json!({ "sentences": sentences }).to_string();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(whole.len() + 1)).filter(|at| whole.is_char_boundary(*at)).collect();
            at.extend([0, whole.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect();
            let expected: Vec<Written> = texts.iter().map(|text| sentence(text, &[1, 2])).collect();
            prop_assert_eq!(read_all(&pieces, false), Ok(expected));
        }

        #[test]
        fn no_text_brings_it_down(text in "\\PC{0,200}", is_truncated: bool) {
            let _ = read_all(&[&text], is_truncated);
        }
    }
}
