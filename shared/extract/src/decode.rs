//! Bytes to text: finds the encoding, refuses what is not text.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use domain::documents::pages::Reason;
use encoding_rs::Encoding;

use crate::error::{Detail, ExtractError};

/// Of how many characters one may be a control or a replacement character. Random bytes have one in ten; a text with a
/// wrong byte here and there has one in thousands.
const SPOILED_ONE_IN: usize = 200;

/// The text of a file in whatever encoding: a byte order mark, else UTF-8 when valid, else the detector's guess.
pub(crate) fn text(bytes: &[u8]) -> Result<Cow<'_, str>, ExtractError> {
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, length)) => encoding.decode_without_bom_handling(&bytes[length..]).0,
        None => match std::str::from_utf8(bytes) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => guessed(bytes),
        },
    };
    if is_readable(&text) { Ok(text) } else { Err(ExtractError::new(Reason::Unsupported, Detail::NotText)) }
}

fn guessed(bytes: &[u8]) -> Cow<'_, str> {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow).decode_without_bom_handling(bytes).0
}

fn is_readable(text: &str) -> bool {
    let (mut all, mut spoiled) = (0_usize, 0_usize);
    for character in text.chars() {
        all += 1;
        match character {
            // No text of a person has a NUL; UTF-16 without its mark, archives and images do.
            '\0' => return false,
            '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' => {}
            '\u{fffd}' => spoiled += 1,
            _ if character.is_control() => spoiled += 1,
            _ => {}
        }
    }
    spoiled * SPOILED_ONE_IN <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_encoding_becomes_text() {
        assert_eq!(text("Überweisung".as_bytes()).unwrap(), "Überweisung");
        assert_eq!(text(b"\xef\xbb\xbfplain").unwrap(), "plain");
        assert_eq!(text(b"\xff\xfeh\0i\0").unwrap(), "hi");
        assert_eq!(text(b"\xfe\xff\0h\0i").unwrap(), "hi");
        assert_eq!(
            text(b"Die \xdcberweisung des M\xe4dchens ist gepr\xfcft.").unwrap(),
            "Die Überweisung des Mädchens ist geprüft."
        );
    }

    #[test]
    fn what_is_not_text_is_refused() {
        for bytes in [&b"\x7fELF\x02\x01\x01\0\0\0"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\x01\x02\x03\x04"] {
            assert_eq!(text(bytes).unwrap_err().reason, Reason::Unsupported);
        }
    }
}
