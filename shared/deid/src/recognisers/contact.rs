//! How to reach somebody: e-mail, web, IP, telephone and fax.
#![expect(clippy::nonminimal_bool, reason = "each clause says one thing that may stand there")]

use super::{CERTAIN, Finds, GUESSED, KEYED, SHAPED, after, before, left, pattern, right};
use crate::label::Label;
use regex::Regex;
use std::net::Ipv6Addr;

/// Top-level domains that RFC 2606 and RFC 6762 keep for what does not exist.
const RESERVED: [&str; 4] = ["invalid", "test", "localhost", "local"];

/// Patterns.
pub struct Contact {
    spelled_mail: Regex,
    url: Regex,
    host: Regex,
    ipv4: Regex,
    ipv6: Regex,
    phone: Regex,
    foreign_phone: Regex,
    short_phone: Regex,
}

impl Contact {
    pub fn new() -> Self {
        let phone = r"(?i-u)(?:\+?1[-. ]{0,2})?(?:\(\d{3}\)[-. ]{0,2}|\d{3}[-./ ]?)\d{3}[-. ]?\d{4}(?:,? ?(?:x|ext\.?|extension|#) ?\d{1,6})?";
        Self {
            spelled_mail: pattern(
                r"(?i-u)\b[a-z0-9._+-]+ ?(?:\(at\)|\[at\]|\{at\}| at ) ?[a-z0-9-]+(?: ?(?:\(dot\)|\[dot\]|\{dot\}| dot ) ?[a-z0-9-]+)+",
            ),
            url: pattern(r#"(?-u:\b)(?i-u:https?|ftps?|sftp|wss?)://[^ \t\r\n<>"'|]+|(?-u:\b)(?i-u:www)\.[^ \t\r\n<>"'|]+"#),
            host: pattern(
                r"(?i-u)\b(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:com|org|net|edu|gov|mil|io|co|us|uk|ca|de|fr|info|health|clinic|care|app|dev|me|hospital|doctor|example)(?:/[a-z0-9._~%/?#=&+-]*)?",
            ),
            ipv4: pattern(r"(?-u)\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b"),
            ipv6: pattern(r"(?i-u)[0-9a-f]{0,4}:[0-9a-f:]{2,}(?::\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})?"),
            phone: pattern(phone),
            foreign_phone: pattern(r"(?-u)\+\d{1,3}[-. ]?(?:\(0?\d{1,4}\)[-. ]?)?\d{1,4}(?:[-. ]?\d{2,4}){1,5}\b"),
            short_phone: pattern(r"(?-u)\b\d{3}[-.]\d{4}\b|\b\d{2,5}(?:[-. ]\d{2,4}){2,4}\b|\b\d{7,12}\b"),
        }
    }

    pub fn find(&self, text: &str, finds: &mut Finds) {
        mails(text, finds);
        for found in self.spelled_mail.find_iter(text) {
            if ["dot", "."].iter().any(|word| found.as_str().to_lowercase().contains(word)) {
                finds.add(found.range(), Label::Email, SHAPED);
            }
        }
        for found in self.url.find_iter(text) {
            let end =
                found.start() + found.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '*', '\\']).len();
            finds.add(found.start()..end, Label::Url, CERTAIN + 2);
        }
        for found in self.host.find_iter(text) {
            let is_part = matches!(before(text, found.start()), Some('@' | '/' | '_' | '-' | '.'));
            // A bare host is a matter of taste; with a path it leads to one page.
            if !is_part
                && !found.as_str().contains("..")
                && (found.as_str().contains('/') || after(text, found.end()) != Some('@'))
            {
                let end = found.start() + found.as_str().trim_end_matches(['.', ',', '?', '/']).len();
                finds.add(found.start()..end, Label::Url, SHAPED);
            }
        }
        if !text.bytes().any(|byte| byte.is_ascii_digit()) {
            return;
        }
        self.addresses(text, finds);
        self.phones(text, finds);
    }

    fn addresses(&self, text: &str, finds: &mut Finds) {
        for found in self.ipv4.find_iter(text) {
            let octets: Vec<&str> = found.as_str().split('.').collect();
            let is_valid = octets.iter().all(|octet| octet.parse::<u8>().is_ok());
            let is_version = left(text, found.start(), 9).trim_end().ends_with("version")
                || matches!(before(text, found.start()), Some('v' | '.'));
            if is_valid && !is_version && after(text, found.end()) != Some('.') || is_valid && right(text, found.end(), 2) == ". "
            {
                finds.add(found.range(), Label::Ip, CERTAIN);
            }
        }
        for found in self.ipv6.find_iter(text) {
            let address = found.as_str().trim_end_matches(':');
            let is_free = !before(text, found.start()).is_some_and(char::is_alphanumeric);
            let is_long = address.matches(':').count() >= 3 || address.contains("::") && address.len() > 4;
            if is_free && is_long && (address.parse::<Ipv6Addr>().is_ok() || found.as_str().parse::<Ipv6Addr>().is_ok()) {
                finds.add(found.start()..found.start() + address.len(), Label::Ip, CERTAIN);
            } else if is_free && address.len() == 17 && address.split(':').filter(|part| part.len() == 2).count() == 6 {
                // The address of a network card.
                finds.add(found.start()..found.start() + address.len(), Label::Device, SHAPED);
            }
        }
    }

    fn phones(&self, text: &str, finds: &mut Finds) {
        let is_free = |start: usize, end: usize| {
            !matches!(before(text, start), Some(c) if c.is_alphanumeric() || matches!(c, '.' | '-' | '/' | '_' | '$' | '#'))
                && !matches!(after(text, end), Some(c) if c.is_alphanumeric() || matches!(c, '_' | '%'))
                && !(matches!(after(text, end), Some('-' | '/' | '.'))
                    && right(text, end, 2).chars().nth(1).is_some_and(|c| c.is_ascii_digit()))
        };
        let label = |start: usize| {
            let near = left(text, start, 24);
            let fax = near.rfind("fax");
            let voice = ["phone", "tel", "call", "cell", "mobile"].iter().filter_map(|word| near.rfind(word)).max();
            if fax.is_some() && fax > voice { Label::Fax } else { Label::Phone }
        };
        for found in self.phone.find_iter(text) {
            if !is_free(found.start(), found.end()) {
                continue;
            }
            let number = found.as_str();
            let digits: Vec<u8> = number.bytes().filter(u8::is_ascii_digit).collect();
            let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
            let weight = if is_plain {
                // Ten digits alone are a telephone number if nothing says otherwise: every other number of ten is keyed.
                if has_phone_word(text, found.start(), found.end()) {
                    KEYED
                } else if digits.len() == 10 && digits[0] > b'1' && digits[3] > b'1' {
                    GUESSED + 5
                } else {
                    continue;
                }
            } else {
                KEYED - 2
            };
            finds.add(found.range(), label(found.start()), weight);
        }
        for found in self.foreign_phone.find_iter(text) {
            let digits = found.as_str().bytes().filter(u8::is_ascii_digit).count();
            if (8..=15).contains(&digits) && is_free(found.start(), found.end()) {
                finds.add(found.range(), label(found.start()), KEYED - 2);
            }
        }
        for found in self.short_phone.find_iter(text) {
            let digits = found.as_str().bytes().filter(u8::is_ascii_digit).count();
            if (7..=13).contains(&digits)
                && is_free(found.start(), found.end())
                && has_phone_word(text, found.start(), found.end())
            {
                finds.add(found.range(), label(found.start()), KEYED - 4);
            }
        }
    }
}

/// Whether the words next to a number say that it is a telephone's.
fn has_phone_word(text: &str, start: usize, end: usize) -> bool {
    const WORDS: [&str; 18] = [
        "phone", "tel", "tel.", "cell", "mobile", "fax", "call", "called", "calling", "pager", "sms", "text", "dial", "reach",
        "reached", "number", "contact", "ph",
    ];
    const OTHERS: [&str; 9] = ["mrn", "account", "member", "npi", "policy", "serial", "record", "accession", "id"];
    let near = left(text, start, 34);
    let near = near.rsplit(['.', ';', '\n']).next().unwrap_or_default();
    let near: Vec<&str> = near.split(|c: char| !c.is_alphanumeric()).collect();
    let said = near.iter().rev().find_map(|word| {
        let is_other = OTHERS.contains(word);
        (is_other || WORDS.contains(word) || word.ends_with("phone")).then_some(!is_other)
    });
    said.unwrap_or_else(|| {
        ["cell", "(cell", "mobile", "(mobile", "(home", "(work"]
            .iter()
            .any(|word| right(text, end, 9).trim_start().starts_with(word))
    })
}

/// E-mail addresses, outwards from each `@`: their local part may hold letters of any script.
fn mails(text: &str, finds: &mut Finds) {
    for (at, _) in text.match_indices('@') {
        let is_local = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'');
        let local: usize = text[..at].chars().rev().take_while(is_local).take(64).map(char::len_utf8).sum();
        let start = at - local;
        let start = start + local - text[start..at].trim_start_matches(['.', '-', '\'', '+', '%']).len();
        let is_host = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '-');
        let host: usize = text[at + 1..].chars().take_while(is_host).map(char::len_utf8).sum();
        let host = text[at + 1..at + 1 + host].trim_end_matches(['.', '-']);
        let top = host.rsplit('.').next().unwrap_or_default().to_lowercase();
        let is_top = host.contains('.') && (2..=24).contains(&top.chars().count()) && top.chars().all(char::is_alphabetic);
        if start < at && is_top && !RESERVED.contains(&top.as_str()) {
            finds.add(start..at + 1 + host.len(), Label::Email, CERTAIN + 1);
        }
    }
}
