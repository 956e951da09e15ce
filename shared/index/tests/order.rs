//! Writes that come in another order than what they tell of.

mod tenant;

use domain::documents::attributes::Attributes;
use domain::ids::Sequencer;
use domain::retrieval::IndexWriter as _;
use tenant::{Tenant, document_id, entry, id, words};

/// An attempt at an older event is still under way when a removal that it does not know of is recorded.
#[tokio::test]
async fn what_was_seen_before_a_removal_does_not_come_into_the_index_after_it() {
    let sequencer = |number: u64| Sequencer::parse(&format!("{number:x}")).expect("a sequencer");
    for known in [None, Some(1)] {
        let tenant = Tenant::new("west");
        if let Some(known) = known {
            tenant.put(0, known).await;
        }
        tenant.writer.withdraw(&id("west"), &document_id("west", 0), &sequencer(5)).await.expect("the store is up");
        let late = entry("west", 0, 2, words(0), Attributes::default());
        tenant.writer.put(late).await.expect("coming late is no error");
        assert_eq!(tenant.everything().await.passages.len(), 0);
        tenant.put(0, 6).await;
        assert_eq!(tenant.everything().await.passages.len(), 1, "what came after the removal is found");
    }
}
