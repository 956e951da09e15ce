//! The receipt of a deletion. A document counts as deleted when the search that answers questions, asked with the document's
//! own sentences after the removal, finds nothing of it, and no object of the index holds it any more. Only then is there a
//! receipt; its digest is in the audit trail.

use super::chunks;
use super::index_object::{IndexObject, ObjectEvent, file_name};
use super::registry::{Claim, Document};
use crate::audit::{AuditValue, EventType, Outcome};
use crate::context::{Actor, Context, Scope};
use crate::fault::PortError;
use crate::ids::{DocumentId, SubjectId};
use crate::objects::Fetched;
use crate::retrieval::{Filter, IndexedVersion, Query};
use crate::text;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Sentences that are asked for again, from all over the document.
pub const SENTENCES_MAX: usize = 16;
/// Fewer words than this are found everywhere.
const SENTENCE_WORDS_MIN: usize = 4;
/// Versions that are named; a bucket may keep more.
const VERSIONS_MAX: usize = 100;

/// What was removed, and what the search said afterwards. The fields stand in the order of their names: their JSON without
/// white space is what the digest is taken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When the search was asked.
    pub checked_at: Timestamp,
    /// Passages that were searchable.
    pub chunks: u32,
    /// Which document.
    pub document_id: DocumentId,
    /// Questions that found something of it after the removal: none, or there would be no receipt.
    pub found_after: u32,
    /// Questions that found something of it before. Zero where an attempt that was cut off had removed it already.
    pub found_before: u32,
    /// Versions of its bytes that the bucket keeps until its policy erases them. No link of the API leads to them.
    pub kept_versions: Vec<String>,
    /// Objects of the index that hold something of it: none, or there would be no receipt.
    pub objects_left: u64,
    /// Pages that were searchable.
    pub pages: u32,
    /// How many questions were asked: its title and its own sentences.
    pub questions: u32,
    /// The version that searches saw, if they saw one.
    pub version: Option<String>,
}

impl Receipt {
    /// The bytes that the digest is taken of.
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of them.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical()).into()
    }
}

/// A document before its removal.
struct Before {
    seen: Option<IndexedVersion>,
    questions: Vec<String>,
    found: u32,
}

impl IndexObject<'_> {
    /// Removes a document from the index, and answers a receipt if nothing of it is found afterwards. Else an error: the event
    /// comes again, and is parked with an alarm if that does not help.
    pub(super) async fn remove_for_good(
        &self,
        claim: &Claim,
        event: &ObjectEvent,
        agent: &SubjectId,
        row: &Document,
    ) -> Result<Receipt, PortError> {
        let scope = scope_of(claim, event, row);
        let before = self.look_before(claim, row, &scope).await?;
        let intent = self.intend(claim, event, agent, EventType::DocumentDeleted).await?;
        self.index.remove(&claim.tenant, &claim.document_id, &claim.sequencer).await?;
        let found = self.count_found(&scope, &claim.document_id, &before.questions).await?;
        let removed = before.seen.clone().or_else(|| removed_before(row, claim));
        let left = self.index.remains(&claim.tenant, &claim.document_id, removed.as_ref()).await?;
        if found > 0 || left > 0 {
            return Err(PortError::Unavailable { operation: "prove deletion", code: "still found".into() });
        }
        let mut kept: Vec<String> = self.history.versions(&claim.key).await?.into_iter().map(|kept| kept.version_id).collect();
        kept.truncate(VERSIONS_MAX);
        let receipt = Receipt {
            checked_at: (self.clock)(),
            chunks: before.seen.as_ref().map_or(row.chunks, |seen| Some(seen.chunks)).unwrap_or(0),
            document_id: claim.document_id.clone(),
            found_after: found,
            found_before: before.found,
            kept_versions: kept,
            objects_left: left,
            pages: before.seen.as_ref().map_or(row.pages, |seen| Some(seen.pages)).unwrap_or(0),
            questions: u32::try_from(before.questions.len()).unwrap_or(u32::MAX),
            version: before.seen.map(|seen| seen.version).or_else(|| row.searchable_version.clone()),
        };
        let details = [
            ("receipt", AuditValue::Digest(receipt.digest())),
            ("questions", AuditValue::Count(receipt.questions.into())),
            ("found", AuditValue::Count(receipt.found_after.into())),
        ];
        self.end(intent, EventType::DocumentDeleted, Outcome::Success, &details).await?;
        Ok(receipt)
    }

    async fn look_before(&self, claim: &Claim, row: &Document, scope: &Scope) -> Result<Before, PortError> {
        let seen = self.index.searchable(&claim.tenant, &claim.document_id).await?;
        let mut texts = self.index.sample(&claim.tenant, &claim.document_id, SENTENCES_MAX).await?;
        let is_there = !texts.is_empty();
        if !is_there && row.searchable_version.is_some() {
            // An attempt that was cut off has removed it: its sentences are in the version that the bucket still keeps.
            texts = self.read_again(claim, row).await?;
        }
        let mut questions = vec![row.title.clone()];
        questions.extend(texts.iter().map(|text| telling_sentence(text).to_owned()));
        questions.retain(|question| !question.trim().is_empty());
        // A figure of the receipt, which keeps no removal from happening.
        let found = if is_there { self.count_found(scope, &claim.document_id, &questions).await.unwrap_or(0) } else { 0 };
        Ok(Before { seen, questions, found })
    }

    /// Texts of the version that searches saw, read from the bytes that the bucket keeps of it; none if it keeps none.
    async fn read_again(&self, claim: &Claim, row: &Document) -> Result<Vec<String>, PortError> {
        let Fetched::Found { bytes, .. } = self.objects.get(&claim.key, row.searchable_version.as_deref(), None).await? else {
            return Ok(Vec::new());
        };
        let Ok(document) = self.extractor.extract(bytes, file_name(&claim.key)).await else { return Ok(Vec::new()) };
        let chunks = chunks::chunk(&document);
        Ok(spread(chunks.len(), SENTENCES_MAX).map(|at| chunks[at].text.clone()).collect())
    }

    /// How many of the questions find anything of the document, asked as a question of the chat is.
    async fn count_found(&self, scope: &Scope, document: &DocumentId, questions: &[String]) -> Result<u32, PortError> {
        let filter = Filter { documents: vec![document.clone()], ..Filter::default() };
        let mut found = 0;
        for question in questions {
            let embedding = self.embedder.embed(question);
            let query = Query { text: question.clone(), embedding, filter: filter.clone() };
            let answer = self.search.search(scope, &query, 1).await?;
            let is_found =
                !answer.passages.is_empty() || answer.unreadable.contains(document) || answer.outdated.contains(document);
            found += u32::from(is_found);
        }
        Ok(found)
    }
}

/// What an attempt that was cut off has removed from the manifest already: our own row still says what searches saw.
fn removed_before(row: &Document, claim: &Claim) -> Option<IndexedVersion> {
    Some(IndexedVersion {
        version: row.searchable_version.clone()?,
        chunks: row.chunks?,
        pages: row.pages.unwrap_or(0),
        seen_at: claim.sequencer.clone(),
    })
}

/// What somebody sees who is in every group that may see the document.
fn scope_of(claim: &Claim, event: &ObjectEvent, row: &Document) -> Scope {
    let groups = row.attributes.groups.clone();
    let actor = Actor { subject: SubjectId::system("indexer"), roles: Vec::new(), groups, department: None };
    let (tenant, request_id) = (claim.tenant.clone(), event.request_id.clone());
    Context { actor, tenant, request_id, now: claim.now }.scope()
}

/// Up to `limit` places of `count`, from the first to the last.
pub fn spread(count: usize, limit: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(limit);
    (0..taken).map(move |at| if taken < 2 { 0 } else { at * (count - 1) / (taken - 1) })
}

/// The longest sentence of a passage, if it says enough to be looked for by itself; else the passage.
fn telling_sentence(passage: &str) -> &str {
    let sentences = text::sentences(passage).into_iter().map(|range| passage[range].trim());
    let longest = sentences.max_by_key(|sentence| text::count_words(sentence));
    longest.filter(|sentence| text::count_words(sentence) >= SENTENCE_WORDS_MIN).unwrap_or(passage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TenantId;
    use proptest::prelude::*;

    fn receipt() -> Receipt {
        Receipt {
            checked_at: Timestamp::UNIX_EPOCH,
            chunks: 3,
            document_id: DocumentId::for_key(&TenantId::parse("main").unwrap(), "k"),
            found_after: 0,
            found_before: 4,
            kept_versions: vec!["v1".into()],
            objects_left: 0,
            pages: 2,
            questions: 4,
            version: Some("v1".into()),
        }
    }

    #[test]
    fn the_digest_is_of_json_with_sorted_names_and_changes_with_every_field() {
        let whole = receipt();
        let sorted: std::collections::BTreeMap<String, serde_json::Value> = serde_json::from_str(&whole.canonical()).unwrap();
        assert_eq!(serde_json::to_string(&sorted).unwrap(), whole.canonical());
        assert_eq!(serde_json::from_str::<Receipt>(&whole.canonical()).unwrap().digest(), whole.digest());
        for name in sorted.keys() {
            let mut other = sorted.clone();
            let value = other.get_mut(name).unwrap();
            *value = match value.clone() {
                serde_json::Value::Number(number) => (number.as_u64().unwrap() + 1).into(),
                serde_json::Value::Array(_) => serde_json::json!([]),
                _ if name == "checked_at" => "1970-01-01T00:00:01Z".into(),
                _ if name == "version" => serde_json::Value::Null,
                _ => DocumentId::for_key(&TenantId::parse("west").unwrap(), "k").as_str().into(),
            };
            let other: Receipt = serde_json::from_value(serde_json::to_value(other).unwrap()).unwrap();
            assert_ne!(other.digest(), whole.digest(), "{name}");
        }
    }

    #[test]
    fn a_passage_is_asked_for_by_its_longest_sentence() {
        assert_eq!(telling_sentence("Yes. Give the child 30 mL/kg of fluid. Wait."), "Give the child 30 mL/kg of fluid.");
        assert_eq!(telling_sentence("Dose | 5 mg"), "Dose | 5 mg");
    }

    proptest! {
        #[test]
        fn places_are_inside_in_order_and_from_the_first_to_the_last(count in 0_usize..500, limit in 0_usize..40) {
            let places: Vec<usize> = spread(count, limit).collect();
            prop_assert_eq!(places.len(), count.min(limit));
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(places.iter().all(|at| *at < count));
            if count > 0 && limit > 1 {
                prop_assert_eq!((places.first(), places.last()), (Some(&0), Some(&(count - 1))));
            }
        }
    }
}
