//! Questions that lean on the one before: found by their words, and said again so that they stand alone. A rule, not a model: the
//! same question means the same every time. Where a language model is at hand, it says them better; this is what remains.

use super::Understood;
use crate::text::Analyzer;
use std::collections::HashSet;

/// What begins a question that goes on from another.
const OPENINGS: &[&str] = &[
    "and",
    "also",
    "but",
    "or",
    "what about",
    "how about",
    "what if",
    "what else",
    "who else",
    "where else",
    "anything else",
    "why",
    "why not",
    "in that case",
    "otherwise",
    "same for",
    "is that",
    "are those",
    "are they",
    "even",
    "then",
];
/// Words that stand for something said before.
const POINTING: &[&str] =
    &["it", "its", "they", "them", "their", "he", "she", "him", "his", "hers", "these", "those", "this", "that", "there", "one"];
/// What "that", "this" and so on are followed by when they point; before anything else they go with it ("that patient").
const AFTER_POINTING: &[&str] = &[
    "", "is", "are", "was", "were", "be", "been", "has", "have", "had", "do", "does", "did", "can", "could", "will", "would",
    "should", "shall", "must", "may", "might", "mean", "means", "apply", "applies", "happen", "happens", "not", "too", "also",
    "for", "in", "to", "after", "before", "again", "instead", "and", "or", "if", "when", "with", "without", "by", "at", "on",
    "done", "given", "used", "take", "takes", "need", "needs", "first", "then", "work", "works", "case", "else",
];
/// Words that turn a question into its opposite.
const NEGATIONS: &[&str] = &["not", "no", "never", "without", "except", "unless", "cannot", "neither", "nor"];
/// With so many words of its own a question says what it is about, whatever it points at besides.
const OWN_TERMS: usize = 3;
/// Words that begin a phrase which another of its kind can take the place of: "in adults", "in children".
const PREPOSITIONS: &[&str] =
    &["in", "for", "at", "on", "after", "before", "during", "under", "over", "with", "without", "to", "from"];
/// What is kept of a topic, in characters: more would drown the follow-up in the search.
const TOPIC_CHARS_MAX: usize = 400;

/// Whether a question needs the one before it to be understood.
pub fn leans(question: &str) -> bool {
    let words = words(question);
    let opens = OPENINGS.iter().any(|opening| {
        let opening: Vec<&str> = opening.split(' ').collect();
        words.len() >= opening.len() && opening.iter().zip(&words).all(|(a, b)| a == b)
    });
    let terms = Analyzer::default().question_terms(question).len();
    // "Why must hands be washed?" asks something; "Why?" and "Why so long?" do not.
    if opens && (terms < OWN_TERMS || matches!(words[0].as_str(), "and" | "also" | "but" | "or")) {
        return true;
    }
    let points = words.iter().enumerate().any(|(at, word)| {
        let next = words.get(at + 1).map_or("", String::as_str);
        POINTING.contains(&word.as_str())
            && match word.as_str() {
                "that" | "this" | "these" | "those" | "one" | "there" => {
                    AFTER_POINTING.contains(&next) && !(word == "there" && at < 2)
                }
                _ => true,
            }
    });
    points && terms <= OWN_TERMS || terms <= 1 && words.len() <= 4
}

/// Whether a model said a question again and nothing else: each of its telling words comes from the questions that were asked, and
/// nothing of this one is lost that turns its meaning, a figure or a "not". Anything else would be answered, with proof, for a
/// question that nobody asked.
pub fn says_again(rewritten: &str, question: &str, earlier: &[&str]) -> bool {
    let analyzer = Analyzer::default();
    let asked: HashSet<String> = earlier.iter().chain([&question]).flat_map(|text| analyzer.terms(text)).collect();
    let kept = words(rewritten);
    let turns = |word: &String| word.contains(|c: char| c.is_ascii_digit()) || NEGATIONS.contains(&word.as_str());
    analyzer.question_terms(rewritten).iter().all(|term| asked.contains(term))
        && words(question).iter().filter(|word| turns(word)).all(|word| kept.contains(word))
}

/// A follow-up with what it leans on. A phrase that has its like in the topic takes that one's place ("and in children?"); anything
/// else goes behind the topic, so that both are searched for.
pub fn stand_alone(question: &str, topic: &str) -> Understood {
    let topic = clipped(topic);
    if let Some(replaced) = replaced(question, topic) {
        return Understood::alone(&replaced);
    }
    let end = if topic.ends_with(['?', '.', '!']) { "" } else { "?" };
    Understood { text: format!("{topic}{end} {question}"), topic: topic.to_owned() }
}

/// The topic with its phrase replaced: the follow-up is nothing but a phrase behind its opening.
fn replaced(question: &str, topic: &str) -> Option<String> {
    let mut rest = question.trim().trim_end_matches(['?', '.', '!', ' ']);
    for opening in ["and ", "or ", "but ", "also ", "what about ", "how about ", "what if "] {
        let begins = rest.get(..opening.len()).is_some_and(|start| start.eq_ignore_ascii_case(opening));
        rest = if begins { rest[opening.len()..].trim_start() } else { rest };
    }
    let phrase: Vec<&str> = rest.split_whitespace().collect();
    let preposition = phrase.first()?.to_lowercase();
    let is_phrase = (2..=6).contains(&phrase.len())
        && PREPOSITIONS.contains(&preposition.as_str())
        && !phrase[1..].iter().any(|word| POINTING.contains(&word.to_lowercase().as_str()));
    if !is_phrase {
        return None;
    }
    let words: Vec<&str> = topic.split_whitespace().collect();
    let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let from = words.iter().rposition(|word| plain(word) == preposition)?;
    // To the next phrase or clause.
    let ends = |word: &str| {
        PREPOSITIONS.contains(&plain(word).as_str()) || matches!(plain(word).as_str(), "and" | "or" | "if" | "when" | "who")
    };
    let length = words[from + 1..].iter().position(|word| ends(word)).unwrap_or(words.len() - from - 1);
    // Nothing to replace, or the question itself ("what is it for").
    if length == 0 || from == 0 {
        return None;
    }
    let mut said: Vec<&str> = words[..from].to_vec();
    said.extend(phrase);
    let tail = &words[from + 1 + length..];
    said.extend(tail);
    Some(format!("{}?", said.join(" ").trim_end_matches(['?', '.', '!'])))
}

/// The beginning of a topic, in whole words.
fn clipped(topic: &str) -> &str {
    let topic = topic.trim();
    match topic.char_indices().nth(TOPIC_CHARS_MAX) {
        None => topic,
        Some((end, _)) => topic[..end].rsplit_once(char::is_whitespace).map_or(&topic[..end], |(whole, _)| whole),
    }
}

fn words(question: &str) -> Vec<String> {
    let words = question.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follow_ups_are_found_by_their_words() {
        for follow_up in [
            "And in children?",
            "What about pregnant women?",
            "How long is it given?",
            "Why?",
            "Why not?",
            "Who decides that?",
            "And who signs the form?",
            "In children?",
            "Is that per day?",
            "How often do they repeat this?",
            "What else?",
            "Are there exceptions to it?",
            "What happens then?",
            "the maximum?",
        ] {
            assert!(leans(follow_up), "{follow_up}");
        }
        for whole in [
            "What are the visiting hours?",
            "How soon must antibiotics be given in sepsis?",
            "Is it allowed for visitors to bring flowers to the ward?",
            "Why must hands be washed before touching a patient?",
            "What is the dose that adults get of apixaban?",
            "Who signs the consent form?",
            "How long is alcohol gel rubbed in?",
            "What is the dose of apixaban for this patient group?",
        ] {
            assert!(!leans(whole), "{whole}");
        }
    }

    #[test]
    fn a_phrase_takes_the_place_of_its_like_and_anything_else_goes_behind() {
        let said = |question: &str, topic: &str| stand_alone(question, topic).text;
        let topic = "What is the dose of apixaban in adults?";
        assert_eq!(said("And in children?", topic), "What is the dose of apixaban in children?");
        assert_eq!(said("What about in adults over 80?", topic), "What is the dose of apixaban in adults over 80?");
        assert_eq!(said("How long is it given?", topic), format!("{topic} How long is it given?"));
        assert_eq!(said("What about enoxaparin?", topic), format!("{topic} What about enoxaparin?"));
        assert_eq!(said("And for it?", topic), format!("{topic} And for it?"));
        let mid = "When are drains removed after surgery in children?";
        assert_eq!(said("after trauma?", mid), "When are drains removed after trauma in children?");
        // What replaced is the new topic; what went behind is not.
        assert_eq!(stand_alone("And in children?", topic).topic, "What is the dose of apixaban in children?");
        assert_eq!(stand_alone("How long is it given?", topic).topic, topic);
    }

    #[test]
    fn only_what_was_asked_is_said_again() {
        let earlier = ["What is the dose of apixaban in adults?"];
        let says = |rewritten: &str, question: &str| says_again(rewritten, question, &earlier);
        assert!(says("What is the dose of apixaban in children?", "And in children?"));
        assert!(says("What is the dose of apixaban in children over 12?", "And in children over 12?"));
        for (rewritten, question) in [
            ("Yes, give 10 mg of apixaban to children.", "And in children?"),
            ("What is the dose of warfarin in children?", "And in children?"),
            ("What is the dose of apixaban in children?", "And in children over 12?"),
            ("What is the dose of apixaban with food?", "And when is it not given with food?"),
        ] {
            assert!(!says(rewritten, question), "{rewritten}");
        }
    }

    #[test]
    fn a_topic_is_bounded_whatever_is_in_it() {
        for topic in ["x".repeat(4_000), "é ".repeat(2_000), String::new(), "?".repeat(4_000), "in ".repeat(1_000)] {
            for question in ["And in children?", "", "in é?", "and and and"] {
                let understood = stand_alone(question, &topic);
                assert!(understood.text.chars().count() <= TOPIC_CHARS_MAX + question.chars().count() + 8);
            }
        }
    }
}
