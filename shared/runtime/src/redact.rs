//! The last look at a log line before it is written. Our own lines hold ids, counts and codes; this is what stands behind that
//! rule when somebody breaks it: text in a field that is not listed does not leave, nor does a value that looks like a person's
//! number, an address of electronic mail or a key, whatever its field.
//!
//! Names cannot be told by their looks alone. They are kept out by the list of fields, and by errors that carry no content.

/// What stands in a line for what was there.
pub const REDACTED: &str = "[redacted]";

/// Fields that may hold text. A new one is named here after a look at everything that can get into it.
const TEXT_FIELDS: &[&str] = &[
    "alert",
    "cap",
    "code",
    "crate",
    "detail",
    "document_id",
    "documents",
    "error",
    "event_id",
    "event_type",
    "fault",
    "key_id",
    "kind",
    "last_event_id",
    "level",
    "message",
    "model",
    "operation",
    "outcome",
    "place",
    "provider",
    "reason",
    "requestId",
    "request_id",
    "rule",
    "shard",
    "stage",
    "step",
    "target",
    "tenant",
    "threshold",
    "time",
    "version",
];
/// Digits of a value that may be a person's number or a whole date. Statuses, ports and lines of code have fewer.
const DIGITS: usize = 6;
/// What keys of providers begin with: Google, Groq, AWS, and what others have made usual.
const KEYS: &[&str] = &["AIza", "AQ.", "gsk_", "AKIA", "ASIA", "sk-", "eyJ"];
/// A line is for ids and codes: a longer text is something else.
const CHARS_MAX: usize = 400;

/// A field's text as it may be written.
pub fn text(field: &str, value: &str) -> String {
    if !TEXT_FIELDS.contains(&field) {
        return REDACTED.into();
    }
    // Ours, and made of hexadecimal digits: some of them look like a number.
    if matches!(field, "time" | "request_id" | "requestId") && value.len() <= 64 {
        return value.into();
    }
    let mut kept = String::with_capacity(value.len());
    for word in value.split_inclusive(char::is_whitespace) {
        if kept.len() + word.len() > CHARS_MAX {
            kept.push_str(REDACTED);
            break;
        }
        let bare = word.trim_end();
        if is_suspicious(bare) {
            kept.push_str(REDACTED);
            kept.push_str(&word[bare.len()..]);
        } else {
            kept.push_str(word);
        }
    }
    kept
}

/// Whether a word looks like something that identifies a person or opens a door.
fn is_suspicious(word: &str) -> bool {
    word.split(['"', '\'', '(', ')', '[', ']', '{', '}', ',', ';', '=', '<', '>']).any(|part| {
        let is_mail = part.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
        let is_key = KEYS.iter().any(|prefix| part.starts_with(prefix) && part.len() >= prefix.len() + 12);
        let digits = part.chars().filter(|c| c.is_numeric()).count();
        let is_number = digits >= DIGITS && part.chars().all(|c| c.is_numeric() || "-./:+#".contains(c));
        is_mail || is_key || is_number
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_codes_and_our_own_words_stay() {
        for (field, value) in [
            ("error", "GetItem documents is unavailable for the moment"),
            ("detail", "Unavailable { operation: \"GetItem documents\", code: \"ThrottlingException\" }"),
            ("documents", "doc_7041ty80y8jgndkmq0ar47jvnz doc_0qdxymyhd16hf0r5rrsqqmxgc6"),
            ("request_id", "975696ff-71ae-4931-8453-f1b7cc26a997"),
            ("request_id", "12345678-1234-1234-1234-123456789012"),
            ("time", "2026-11-22T07:22:50.203Z"),
            ("place", "functions/chat/src/lib.rs:128:9"),
            ("detail", "status 503 after 3 attempts"),
        ] {
            assert_eq!(text(field, value), value);
        }
    }

    #[test]
    fn what_identifies_or_opens_does_not() {
        for value in [
            "219-09-9999",
            "MRN 4471-22-881",
            "born 03/14/1961",
            "tel (555)201-3345",
            "code: \"4155550133\"",
            "john.carter@example.org",
            "<john.carter@example.org>",
            "key=AIzaSyA1234567890abcdefghijk",
            "gsk_abcdefghijklmnop",
            "٠١٢٣٤٥٦",
        ] {
            let kept = text("detail", value);
            assert!(kept.contains(REDACTED), "{value}");
            assert!(!kept.chars().any(char::is_numeric) && !kept.contains('@'), "{kept}");
        }
    }

    #[test]
    fn a_field_that_nobody_listed_is_not_written() {
        assert_eq!(text("question", "Does John Carter take warfarin?"), REDACTED);
        assert_eq!(text("body", "{}"), REDACTED);
    }

    #[test]
    fn a_long_text_is_cut() {
        let kept = text("message", &"word ".repeat(1_000));
        assert!(kept.len() <= CHARS_MAX + REDACTED.len() && kept.ends_with(REDACTED));
        assert_eq!(text("message", &"w".repeat(1_000)), REDACTED);
    }
}
