//! A list of references has the words of many questions and the answer to none.

mod tenant;

use domain::documents::attributes::Attributes;
use domain::retrieval::{ChunkIndex as _, Embedder as _, Filter, IndexWriter as _, Query};
use index::SegmentIndex;
use tenant::{QUESTION, Tenant, document_id, entry};
use testkit::WordEmbedder;

#[tokio::test]
async fn what_only_names_other_texts_stands_behind_what_says_something_and_takes_nobodys_place() {
    let tenant = Tenant::new("main");
    // The first three say the question's very words, as references.
    for number in 0..5 {
        let text = if number < 3 { QUESTION.replace('?', ".") } else { format!("The marker of ward {number} is red.") };
        let mut entry = entry("main", number, 1, text, Attributes::default());
        if number < 3 {
            entry.chunks[0].chunk.section = vec!["Handbook".into(), "8. References".into()];
        }
        tenant.writer.put(entry).await.expect("the store is up");
    }
    let index = SegmentIndex::new(tenant.objects.clone(), WordEmbedder.model_id().to_owned());
    let query = Query { text: QUESTION.to_owned(), embedding: WordEmbedder.embed(QUESTION), filter: Filter::default() };
    for limit in [2, 5, 100] {
        let found = index.search(&testkit::context("main", &[]).scope(), &query, limit).await.expect("an answer");
        let ids: Vec<_> = found.passages.iter().map(|passage| &passage.document_id).collect();
        assert_eq!(ids.len(), limit.min(5));
        for telling in [document_id("main", 3), document_id("main", 4)] {
            assert!(ids[..2].contains(&&telling), "of {limit}: {ids:?}");
        }
        assert!(found.passages.is_sorted_by(|a, b| a.score >= b.score));
    }
}
