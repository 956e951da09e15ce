//! Server-sent events, read byte by byte with bounds. Lines end in LF, CR or CR LF, even across two reads; a character may be
//! cut anywhere; a line or an event over the bound ends the stream instead of filling the memory.

/// The longest event. A provider's events hold some tokens each, at most the whole answer: some ten kilobytes.
pub const EVENT_BYTES_MAX: usize = 256 * 1024;

/// A stream that is not one of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadEventError {
    /// A line or an event is over [`EVENT_BYTES_MAX`].
    #[error("an event is over its bound")]
    TooLong,
    /// An event is not UTF-8.
    #[error("an event is not text")]
    NotText,
}

/// Takes bytes, gives the events' payloads.
#[derive(Default)]
pub struct EventReader {
    line: Vec<u8>,
    payload: Vec<u8>,
    has_payload: bool,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
}

impl EventReader {
    /// Takes what has arrived; answers the events that are complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, ReadEventError> {
        let mut events = Vec::new();
        for &byte in bytes {
            let is_second = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if is_second => {}
                b'\n' | b'\r' => events.extend(self.end_line()?),
                byte if self.line.len() + self.payload.len() < EVENT_BYTES_MAX => self.line.push(byte),
                _ => return Err(ReadEventError::TooLong),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Result<Option<String>, ReadEventError> {
        if self.line.is_empty() {
            if !std::mem::take(&mut self.has_payload) {
                return Ok(None);
            }
            let payload = std::mem::take(&mut self.payload);
            return String::from_utf8(payload).map(Some).map_err(|_| ReadEventError::NotText);
        }
        let line = self.line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&self.line);
        // Comments keep a connection alive; event names, ids and retry times are of no use here.
        if let Some(value) = line.strip_prefix(b"data:") {
            if self.has_payload {
                self.payload.push(b'\n');
            }
            self.payload.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.has_payload = true;
        }
        self.line.clear();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<String>, ReadEventError> {
        let mut reader = EventReader::default();
        let mut events = Vec::new();
        for piece in pieces {
            events.extend(reader.push(piece)?);
        }
        Ok(events)
    }

    #[test]
    fn every_line_ending_ends_a_line_once() {
        for end in ["\n", "\r", "\r\n"] {
            let text =
                [": alive", "event: x", "data: a", "data:b", "", "", "data: [DONE]", ""].map(|l| l.to_owned() + end).concat();
            assert_eq!(read(&[text.as_bytes()]).unwrap(), ["a\nb", "[DONE]"], "{end:?}");
        }
        assert_eq!(read(&[b"data: a\r", b"\n\r", b"\n"]).unwrap(), ["a"]);
        assert_eq!(read(&["\u{feff}data: a\n\n".as_bytes()]).unwrap(), ["a"]);
    }

    #[test]
    fn an_event_without_its_blank_line_is_no_event() {
        assert_eq!(read(&[b"data: a\n"]).unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_without_end_is_refused_at_the_bound() {
        let mut reader = EventReader::default();
        let megabyte = vec![b'x'; 1 << 20];
        reader.push(b"data: ").unwrap();
        assert_eq!(reader.push(&megabyte), Err(ReadEventError::TooLong));
        assert!(reader.line.capacity() <= 2 * EVENT_BYTES_MAX);
        let many = "data: 0123456789\n".repeat(EVENT_BYTES_MAX / 10);
        assert_eq!(read(&[many.as_bytes()]), Err(ReadEventError::TooLong), "many lines are one event as well");
    }

    #[test]
    fn what_is_not_text_is_refused() {
        assert_eq!(read(&[b"data: \xff\xfe\n\n"]), Err(ReadEventError::NotText));
    }

    proptest! {
        #[test]
        fn where_a_stream_is_cut_changes_nothing(
            events in proptest::collection::vec("[a-zé€😀 ]{0,20}", 0..6),
            ends in proptest::collection::vec(0..3_usize, 32),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut ends = ends.into_iter().cycle().map(|at| ["\n", "\r", "\r\n"][at]);
            let mut text = String::new();
            for event in &events {
                // Mixed endings: LF after CR would be read as one of them.
                let end = ends.next().unwrap();
                text.extend(["data: ", event, end, end]);
            }
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&pieces), Ok(events.clone()));
            prop_assert_eq!(read(&one_by_one), Ok(events));
        }
    }
}
