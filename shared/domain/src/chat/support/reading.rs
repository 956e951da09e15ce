//! A text cut into the pieces that claims are made of: words with their stems, numbers, codes, signs.

use super::spelling;
use crate::text::{Analyzer, is_stop_word};

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// Letters.
    Word,
    /// A figure, also one that was written as a word.
    Number(f64),
    /// Letters and digits together ("IL-6"), a time, a ratio, a date in figures: right only to the letter.
    Code,
    /// Any other sign.
    Sign(char),
}

/// A piece of a text.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent marks of one word")]
pub(super) struct Piece {
    /// Lower case, one spelling.
    pub text: String,
    /// Its stem; empty for signs.
    pub stem: String,
    pub kind: Kind,
    /// Whether it begins with a capital letter where none is due.
    pub is_name: bool,
    /// Whether it is written in capital letters only.
    pub is_acronym: bool,
    /// Whether it says something by itself.
    pub is_content: bool,
    pub sentence: usize,
    pub clause: usize,
    /// Whether it is the first word of its sentence.
    pub is_first: bool,
}

impl Piece {
    pub fn is(&self, word: &str) -> bool {
        self.text == word
    }

    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }
}

/// Phrases that become one word or another phrase, longest first. What is on the right is lexed already.
const REWRITES: &[(&[&str], &[&str])] = &[
    (&["three", "times", "a", "day"], &["3/day"]),
    (&["three", "times", "per", "day"], &["3/day"]),
    (&["three", "times", "each", "day"], &["3/day"]),
    (&["four", "times", "a", "day"], &["4/day"]),
    (&["four", "times", "per", "day"], &["4/day"]),
    (&["four", "times", "each", "day"], &["4/day"]),
    (&["two", "times", "a", "day"], &["2/day"]),
    (&["two", "times", "per", "day"], &["2/day"]),
    (&["five", "times", "a", "day"], &["5/day"]),
    (&["three", "times", "daily"], &["3/day"]),
    (&["four", "times", "daily"], &["4/day"]),
    (&["two", "times", "daily"], &["2/day"]),
    (&["five", "times", "daily"], &["5/day"]),
    (&["twice", "a", "day"], &["2/day"]),
    (&["twice", "per", "day"], &["2/day"]),
    (&["twice", "each", "day"], &["2/day"]),
    (&["once", "a", "day"], &["1/day"]),
    (&["once", "per", "day"], &["1/day"]),
    (&["once", "each", "day"], &["1/day"]),
    (&["once", "a", "week"], &["1/week"]),
    (&["once", "per", "week"], &["1/week"]),
    (&["twice", "a", "week"], &["2/week"]),
    (&["twice", "daily"], &["2/day"]),
    (&["twice", "weekly"], &["2/week"]),
    (&["once", "daily"], &["1/day"]),
    (&["once", "weekly"], &["1/week"]),
    (&["once", "monthly"], &["1/month"]),
    (&["every", "day"], &["1/day"]),
    (&["each", "day"], &["1/day"]),
    (&["every", "week"], &["1/week"]),
    (&["every", "month"], &["1/month"]),
    (&["every", "hour"], &["every", "1", "hour"]),
    (&["daily"], &["1/day"]),
    (&["weekly"], &["1/week"]),
    (&["monthly"], &["1/month"]),
    (&["od"], &["1/day"]),
    (&["qd"], &["1/day"]),
    (&["bd"], &["2/day"]),
    (&["bid"], &["2/day"]),
    (&["tds"], &["3/day"]),
    (&["tid"], &["3/day"]),
    (&["qds"], &["4/day"]),
    (&["qid"], &["4/day"]),
];

/// Words that stand for a figure.
const NUMBER_WORDS: &[(&str, f64)] = &[
    ("dozen", 12.0),
    ("eight", 8.0),
    ("eighteen", 18.0),
    ("eighty", 80.0),
    ("eleven", 11.0),
    ("fifteen", 15.0),
    ("fifty", 50.0),
    ("five", 5.0),
    ("forty", 40.0),
    ("four", 4.0),
    ("fourteen", 14.0),
    ("half", 0.5),
    ("hundred", 100.0),
    ("million", 1e6),
    ("nine", 9.0),
    ("nineteen", 19.0),
    ("ninety", 90.0),
    ("seven", 7.0),
    ("seventeen", 17.0),
    ("seventy", 70.0),
    ("six", 6.0),
    ("sixteen", 16.0),
    ("sixty", 60.0),
    ("ten", 10.0),
    ("thirteen", 13.0),
    ("thirty", 30.0),
    ("thousand", 1e3),
    ("three", 3.0),
    ("twelve", 12.0),
    ("twenty", 20.0),
    ("two", 2.0),
    ("zero", 0.0),
];

fn number_word(word: &str) -> Option<f64> {
    NUMBER_WORDS.binary_search_by_key(&word, |(name, _)| name).ok().map(|at| NUMBER_WORDS[at].1)
}

/// Cuts a text.
pub(super) fn read(text: &str, analyzer: &Analyzer) -> Vec<Piece> {
    let mut lexer = Lexer { pieces: Vec::new(), sentence: 0, clause: 0, begins: true };
    lexer.run(text);
    let mut pieces = join_number_words(rewrite(&lexer.pieces));
    for piece in &mut pieces {
        if piece.kind == Kind::Word {
            piece.stem = super::lexicon::stem(&piece.text, analyzer);
        } else if piece.kind == Kind::Code {
            piece.stem.clone_from(&piece.text);
        }
        piece.is_content = match piece.kind {
            Kind::Word => !is_stop_word(&piece.text) && piece.text.chars().count() > 1,
            Kind::Code => true,
            Kind::Number(_) | Kind::Sign(_) => false,
        };
    }
    pieces
}

struct Lexer {
    pieces: Vec<Piece>,
    sentence: usize,
    clause: usize,
    /// Whether the next word is the first of a sentence.
    begins: bool,
}

impl Lexer {
    fn push(&mut self, raw: &str, kind: Kind) {
        let is_word = matches!(kind, Kind::Word | Kind::Code);
        let letters = raw.chars().filter(|c| c.is_alphabetic());
        let is_acronym = is_word && letters.clone().count() >= 2 && letters.clone().all(char::is_uppercase);
        self.pieces.push(Piece {
            text: if kind == Kind::Word { spelling::one(&raw.to_lowercase()) } else { raw.to_lowercase() },
            stem: String::new(),
            kind,
            is_name: is_word && raw.starts_with(char::is_uppercase) && (!self.begins || is_acronym),
            is_acronym,
            is_content: false,
            sentence: self.sentence,
            clause: self.clause,
            is_first: self.begins && is_word,
        });
        if !matches!(kind, Kind::Sign(_)) {
            self.begins = false;
        }
    }

    fn end_sentence(&mut self) {
        self.sentence += 1;
        self.clause += 1;
        self.begins = true;
    }

    fn run(&mut self, text: &str) {
        let chars: Vec<char> = text.chars().collect();
        let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
        let mut i = 0;
        while i < chars.len() {
            let c = chars[i];
            if c.is_ascii_digit() {
                i = self.figure(&chars, i);
            } else if c.is_alphabetic() {
                i = self.word(&chars, i);
            } else {
                match c {
                    '.' | '!' | '?' if at(i + 1).is_whitespace() => {
                        // "e.g. " and "Dr. " do not end a sentence.
                        let goes_on = at(i + 2).is_lowercase() || self.pieces.last().is_some_and(|p| p.text == "dr");
                        if !goes_on {
                            self.end_sentence();
                        }
                    }
                    '\n' => self.end_sentence(),
                    ',' | ';' | ':' | '(' | ')' | '|' | '[' | ']' | '—' => {
                        self.clause += 1;
                        self.push(&c.to_string(), Kind::Sign(c));
                    }
                    _ if c.is_whitespace() => {}
                    '≤' | '≥' | '<' | '>' | '%' | '°' | '/' | '+' | '±' | '=' | '×' => {
                        self.push(&c.to_string(), Kind::Sign(c));
                    }
                    '-' | '–' | '−' | '‑' => self.push("-", Kind::Sign('-')),
                    _ => {}
                }
                i += 1;
            }
        }
    }

    /// A figure and what is written on to it: "5mg", "10:30", "120/80", "2nd".
    fn figure(&mut self, chars: &[char], from: usize) -> usize {
        let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
        let mut i = from;
        while at(i).is_ascii_digit()
            || (matches!(at(i), '.' | ',') && at(i + 1).is_ascii_digit() && (at(i) == '.' || is_thousands(chars, i)))
        {
            i += 1;
        }
        let digits: String = chars[from..i].iter().filter(|c| **c != ',').collect();
        // Times, ratios and dates in figures.
        let mut end = i;
        while matches!(at(end), ':' | '/') && at(end + 1).is_ascii_digit() {
            end += 1;
            while at(end).is_ascii_digit() {
                end += 1;
            }
        }
        if end > i {
            self.push(&chars[from..end].iter().collect::<String>(), Kind::Code);
            return end;
        }
        let mut end = i;
        while at(end).is_alphabetic() {
            end += 1;
        }
        let letters: String = chars[i..end].iter().collect::<String>().to_lowercase();
        let number = digits.parse().map_or(Kind::Code, Kind::Number);
        match letters.as_str() {
            "" => self.push(&digits, number),
            "st" | "nd" | "rd" | "th" => self.push(&format!("{digits}th"), Kind::Code),
            unit if super::quantities::is_unit(unit) => {
                self.push(&digits, number);
                self.push(unit, Kind::Word);
            }
            _ => self.push(&chars[from..end].iter().collect::<String>(), Kind::Code),
        }
        end
    }

    fn word(&mut self, chars: &[char], from: usize) -> usize {
        let at = |i: usize| chars.get(i).copied().unwrap_or(' ');
        // "e.g.", "b.d.", "i.v."
        if at(from + 1) == '.' && at(from + 2).is_alphabetic() && at(from + 3) == '.' {
            self.push(&[chars[from], chars[from + 2]].iter().collect::<String>(), Kind::Word);
            return from + 4;
        }
        let mut i = from;
        while at(i).is_alphanumeric() || (matches!(at(i), '\'' | '’') && at(i + 1).is_alphabetic()) {
            i += 1;
        }
        // "IL-6", "COVID-19"
        let mut is_code = chars[from..i].iter().any(char::is_ascii_digit);
        if at(i) == '-' && at(i + 1).is_ascii_digit() && chars[from].is_uppercase() {
            is_code = true;
            i += 1;
            while at(i).is_alphanumeric() {
                i += 1;
            }
        }
        let raw: String = chars[from..i].iter().collect::<String>().replace('’', "'");
        if is_code {
            self.push(&raw, Kind::Code);
        } else if let Some(every) = raw.to_lowercase().strip_suffix("n't") {
            self.push(if every == "ca" { "can" } else { every }, Kind::Word);
            self.push("not", Kind::Word);
        } else if raw.eq_ignore_ascii_case("cannot") {
            self.push("can", Kind::Word);
            self.push("not", Kind::Word);
        } else {
            self.push(raw.split('\'').next().unwrap_or(&raw), Kind::Word);
        }
        i
    }
}

/// Whether the comma at `i` groups thousands.
fn is_thousands(chars: &[char], i: usize) -> bool {
    let digit = |k: usize| chars.get(k).is_some_and(char::is_ascii_digit);
    digit(i + 1) && digit(i + 2) && digit(i + 3) && !digit(i + 4)
}

fn rewrite(pieces: &[Piece]) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut i = 0;
    while i < pieces.len() {
        let piece = &pieces[i];
        // "q8h", "8-hourly", "8 hourly"
        if piece.kind == Kind::Code
            && let Some(hours) =
                piece.text.strip_prefix('q').and_then(|t| t.strip_suffix('h')).and_then(|t| t.parse::<f64>().ok())
        {
            for (text, kind) in [("every", Kind::Word), ("hours", Kind::Number(hours)), ("hours", Kind::Word)] {
                out.push(Piece { text: text.into(), kind, is_name: false, is_acronym: false, ..piece.clone() });
            }
            i += 1;
            continue;
        }
        if piece.is("hourly") {
            let before = out
                .iter()
                .rposition(|p| matches!(p.kind, Kind::Number(_)))
                .filter(|at| out[at + 1..].iter().all(|p| p.is_sign('-')) && out.len() - at <= 2);
            let word = |text: &str, kind| Piece { text: text.into(), kind, ..piece.clone() };
            match before {
                Some(at) => {
                    out.truncate(at + 1);
                    out.insert(at, word("every", Kind::Word));
                }
                None => out.extend([word("every", Kind::Word), word("1", Kind::Number(1.0))]),
            }
            out.push(word("hours", Kind::Word));
            i += 1;
            continue;
        }
        let hit = REWRITES.iter().find(|(from, _)| {
            pieces.len() >= i + from.len() && from.iter().zip(&pieces[i..]).all(|(word, piece)| says(piece, word))
        });
        if let Some((from, to)) = hit {
            for word in *to {
                let kind = word.parse().map_or(if word.contains('/') { Kind::Code } else { Kind::Word }, Kind::Number);
                out.push(Piece { text: (*word).into(), kind, is_name: false, is_acronym: false, ..piece.clone() });
            }
            i += from.len();
        } else {
            out.push(piece.clone());
            i += 1;
        }
    }
    out
}

/// Whether a piece is a word, or the figure that the word stands for.
fn says(piece: &Piece, word: &str) -> bool {
    piece.is(word) || matches!(piece.kind, Kind::Number(n) if number_word(word) == Some(n))
}

/// "twenty-four" to 24, "two hundred" to 200.
fn join_number_words(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let Some(value) = (piece.kind == Kind::Word).then(|| number_word(&piece.text)).flatten() else {
            out.push(piece);
            continue;
        };
        if out.len() >= 2 && out[out.len() - 1].is_sign('-') && (1.0..10.0).contains(&value) {
            let tens = out.len() - 2;
            if let Kind::Number(n) = out[tens].kind
                && (20.0..=90.0).contains(&n)
                && n % 10.0 == 0.0
                && number_word(&out[tens].text) == Some(n)
            {
                out.pop();
                out[tens].kind = Kind::Number(n + value);
                continue;
            }
        }
        if let Some(last) = out.last_mut()
            && let Kind::Number(n) = last.kind
            && value >= 100.0
            && n < value
        {
            last.kind = Kind::Number(n * value);
            continue;
        }
        out.push(Piece { kind: Kind::Number(value), is_name: false, ..piece });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        read(text, &Analyzer::default())
            .into_iter()
            .map(|p| if let Kind::Number(n) = p.kind { n.to_string() } else { p.text })
            .collect()
    }

    #[test]
    fn number_words_are_sorted() {
        assert!(NUMBER_WORDS.is_sorted_by_key(|(word, _)| word));
    }

    #[test]
    fn figures_units_codes_and_frequencies_are_told_apart() {
        assert_eq!(texts("Give 1,000mg b.d."), ["give", "1000", "mg", "2/day"]);
        assert_eq!(texts("q8h"), ["every", "8", "hours"]);
        assert_eq!(texts("12-hourly"), ["every", "12", "hours"]);
        assert_eq!(texts("twenty-four doses, two hundred"), ["24", "doses", ",", "200"]);
        assert_eq!(texts("IL-6 at 10:30 is 120/80"), ["il-6", "at", "10:30", "is", "120/80"]);
        assert_eq!(texts("don't, cannot"), ["do", "not", ",", "can", "not"]);
        assert_eq!(texts("2 times a day"), ["2/day"]);
    }
}
