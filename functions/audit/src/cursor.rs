//! Where a page ends, for the next one to begin: opaque, and good for the same search only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::audit::search::TrailFilter;
use sha2::{Digest, Sha256};
use ulid::Ulid;

const PRINT_BYTES: usize = 8;

/// What tells one search from another. Everything that the filter says goes in, with its length before it.
fn print(filter: &TrailFilter) -> [u8; PRINT_BYTES] {
    let (kind, id) = filter.entity.as_ref().map_or(("", ""), |(kind, id)| (kind.as_str(), id.as_str()));
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let parts = [
        kind,
        id,
        filter.actor.as_ref().map_or("", |actor| actor.as_str()),
        filter.outside_actor.as_deref().unwrap_or_default(),
        filter.event_type.map_or("", |event| event.as_str()),
        filter.request.as_ref().map_or("", |request| request.as_str()),
        &time(filter.from),
        &time(filter.to),
        if filter.newest_first { "newest" } else { "oldest" },
    ];
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut print = [0; PRINT_BYTES];
    print.copy_from_slice(&hasher.finalize()[..PRINT_BYTES]);
    print
}

/// Writes a cursor.
pub fn write(filter: &TrailFilter, after: Ulid) -> String {
    URL_SAFE_NO_PAD.encode([&print(filter)[..], &after.to_bytes()].concat())
}

/// Reads a cursor; `None` if it is none or another search's.
pub fn read(filter: &TrailFilter, text: &str) -> Option<Ulid> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (of, id) = bytes.split_at_checked(PRINT_BYTES)?;
    (of == print(filter)).then(|| id.try_into().ok().map(Ulid::from_bytes))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::audit::EventType;

    #[test]
    fn a_cursor_is_good_for_its_own_search_only() {
        let filter = TrailFilter { event_type: Some(EventType::ChatAnswered), ..TrailFilter::default() };
        let id = Ulid::from_parts(1, 2);
        let cursor = write(&filter, id);
        assert_eq!(read(&filter, &cursor), Some(id));
        assert_eq!(read(&TrailFilter { newest_first: true, ..filter.clone() }, &cursor), None);
        assert_eq!(read(&TrailFilter::default(), &cursor), None);
        for bad in ["", "A", "====", &cursor[1..], &format!("{cursor}AA")] {
            assert_eq!(read(&filter, bad), None, "{bad}");
        }
    }
}
