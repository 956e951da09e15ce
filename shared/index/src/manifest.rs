//! The manifest: which segments are current and where they lie. A reader that has it sees one state of the tenant, never a
//! mix of two.

use domain::documents::attributes::Attributes;
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The form that this code writes. Form 1 had no packs and nothing said about a document; it is read as what it is, a
/// form 2 without them.
const FORMAT: u32 = 2;

/// Wire form of a tenant's manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this form.
    pub format: u32,
    /// One entry per document ever indexed; removed ones stay as a tombstone, so that a late event cannot revive them.
    pub documents: BTreeMap<DocumentId, ManifestEntry>,
    /// The packs that current segments lie in, by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub packs: BTreeMap<String, Pack>,
    /// Objects whose segments lie elsewhere by now. They stay until the next merge, for readers who still have the manifest
    /// before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<String>,
    /// Objects that hold text which was deleted: removed at once, and again by whoever finds them listed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doomed: Vec<String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { format: FORMAT, documents: BTreeMap::new(), packs: BTreeMap::new(), retired: Vec::new(), doomed: Vec::new() }
    }
}

/// A document's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// The event that brought this state.
    #[serde(with = "short")]
    pub sequencer: Sequencer,
    /// The current segment; `None` after a removal, and before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<SegmentRef>,
    /// What is said about the document. Independent of events.
    #[serde(default, skip_serializing_if = "is_unsaid")]
    pub attributes: Attributes,
}

fn is_unsaid(attributes: &Attributes) -> bool {
    *attributes == Attributes::default()
}

/// Where a segment is and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The key under which it was written: its name for ever, wherever it lies now.
    pub key: String,
    /// The pack that it lies in; an object of its own if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// The model of its vectors.
    pub model: String,
    /// Version of the segment form.
    pub format: u32,
    /// The object version that it was made from.
    pub version: String,
    /// The last event at which that version was the bucket's.
    #[serde(with = "short")]
    pub seen_at: Sequencer,
    /// Pages.
    pub pages: u32,
    /// Chunks.
    pub chunks: u32,
}

/// A place in a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The pack's key.
    pub pack: String,
    /// First byte.
    pub offset: u64,
}

/// A pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Size in bytes.
    pub size_bytes: u64,
    /// Documents of which it holds bytes that are current no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dead: BTreeSet<DocumentId>,
}

impl SegmentRef {
    /// The object that it lies in, and its first byte there.
    pub fn object(&self) -> (&str, u64) {
        self.place.as_ref().map_or((&self.key, 0), |place| (&place.pack, place.offset))
    }
}

impl Manifest {
    /// Reads a manifest of any form that was ever written.
    pub fn read(bytes: &[u8]) -> Result<Self, PortError> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|e| PortError::Unexpected { operation: "read manifest", code: class_of(&e).into() })?;
        if (1..=FORMAT).contains(&manifest.format) {
            Ok(Self { format: FORMAT, ..manifest })
        } else {
            Err(PortError::Unexpected { operation: "read manifest", code: "format".into() })
        }
    }

    /// Its bytes.
    pub fn write(&self) -> Result<Vec<u8>, PortError> {
        serde_json::to_vec(self).map_err(|e| PortError::Unexpected { operation: "write manifest", code: class_of(&e).into() })
    }

    /// The current segments.
    pub fn segments(&self) -> impl Iterator<Item = (&DocumentId, &SegmentRef)> {
        self.documents.iter().filter_map(|(id, entry)| entry.segment.as_ref().map(|s| (id, s)))
    }

    /// The keys that searches read, and those that are about to go.
    pub fn known_keys(&self) -> BTreeSet<&str> {
        let current = self.segments().map(|(_, segment)| segment.object().0);
        current.chain(self.retired.iter().chain(&self.doomed).map(String::as_str)).collect()
    }

    /// Replaces a document's entry, and notes which pack holds bytes of it that are current no more. When the last segment of
    /// a document goes, so do the copies that waited for readers of an older manifest.
    pub fn set(&mut self, document: &DocumentId, entry: ManifestEntry) {
        let key = entry.segment.as_ref().map(|segment| segment.key.clone());
        let is_removal = key.is_none();
        let before = self.documents.insert(document.clone(), entry).and_then(|entry| entry.segment);
        let Some(before) = before.filter(|before| Some(&before.key) != key.as_ref()) else { return };
        if let Some(place) = before.place {
            self.packs.entry(place.pack).or_default().dead.insert(document.clone());
        }
        if is_removal {
            self.doomed.append(&mut self.retired);
        }
    }

    /// The packs that hold text of documents that were removed.
    pub fn to_erase(&self) -> Vec<String> {
        let is_removed = |id: &DocumentId| self.documents.get(id).is_none_or(|entry| entry.segment.is_none());
        self.packs.iter().filter(|(_, pack)| pack.dead.iter().any(is_removed)).map(|(key, _)| key.clone()).collect()
    }
}

/// A JSON error's class without its text: the text may quote what it could not read.
fn class_of(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "io",
        serde_json::error::Category::Syntax => "syntax",
        serde_json::error::Category::Data => "shape",
        serde_json::error::Category::Eof => "truncated",
    }
}

/// Sequencers without the zeros that pad them: a third of an entry otherwise.
mod short {
    use domain::ids::Sequencer;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(sequencer: &Sequencer, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = sequencer.as_str().trim_start_matches('0');
        serializer.serialize_str(if digits.is_empty() { "0" } else { digits })
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sequencer, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Sequencer::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ids::TenantId;

    fn document(key: &str) -> DocumentId {
        DocumentId::for_key(&TenantId::parse("main").unwrap(), key)
    }

    fn entry(segment: Option<(&str, Option<&str>)>) -> ManifestEntry {
        let sequencer = Sequencer::parse("1f").unwrap();
        let segment = segment.map(|(key, pack)| SegmentRef {
            key: key.into(),
            place: pack.map(|pack| Place { pack: pack.into(), offset: 3 }),
            size_bytes: 2,
            model: "m".into(),
            format: 2,
            version: "v".into(),
            seen_at: sequencer.clone(),
            pages: 1,
            chunks: 1,
        });
        ManifestEntry { sequencer, segment, attributes: Attributes::default() }
    }

    #[test]
    fn what_is_written_is_read_and_a_manifest_of_the_first_form_too() {
        let mut manifest = Manifest::default();
        manifest.set(&document("a"), entry(Some(("k", Some("p")))));
        assert_eq!(Manifest::read(&manifest.write().unwrap()).unwrap(), manifest);
        let first = format!(
            r#"{{"format":1,"documents":{{"{id}":{{"sequencer":"{s}","segment":{{"key":"k","size_bytes":2,"model":"m","format":1,
                "version":"v","seen_at":"{s}","pages":1,"chunks":1}}}},"{gone}":{{"sequencer":"{s}","segment":null}}}}}}"#,
            id = document("a"),
            gone = document("b"),
            s = entry(None).sequencer.as_str(),
        );
        let read = Manifest::read(first.as_bytes()).unwrap();
        assert_eq!(read.documents[&document("a")].segment.as_ref().map(|s| (s.format, s.object())), Some((1, ("k", 0))));
        assert_eq!((read.documents[&document("b")].clone(), read.format), (entry(None), FORMAT));
        let foreign = first.replacen("\"format\":1", "\"format\":3", 1);
        assert!(Manifest::read(foreign.as_bytes()).is_err());
    }

    #[test]
    fn only_the_removal_of_a_document_asks_for_its_pack_to_be_erased() {
        let mut manifest = Manifest { retired: vec!["r".into()], ..Manifest::default() };
        manifest.set(&document("a"), entry(Some(("k1", Some("p")))));
        manifest.set(&document("a"), entry(Some(("k1", Some("p")))));
        assert_eq!(manifest.packs.len(), 0, "nothing of it is dead");
        manifest.set(&document("a"), entry(Some(("k2", None))));
        assert!(manifest.packs["p"].dead.contains(&document("a")));
        assert_eq!((manifest.to_erase().len(), manifest.doomed.len()), (0, 0), "replaced, not deleted");
        manifest.set(&document("a"), entry(None));
        assert_eq!((manifest.to_erase(), manifest.doomed), (vec!["p".to_owned()], vec!["r".to_owned()]));
    }
}
