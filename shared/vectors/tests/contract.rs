//! The adapter against a stand-in of the service: limits, filters, pages, failures, and a tenant's way there and back.

mod stand_in;

use aws_sdk_s3vectors::config::retry::RetryConfig;
use aws_sdk_s3vectors::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::Builder;
use aws_types::SdkConfig;
use domain::context::Context;
use domain::documents::attributes::{Attributes, parse_date};
use domain::documents::chunks::{Chunk, Span};
use domain::fault::PortError;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{ChunkIndex, EmbeddedChunk, Embedder as _, Filter, IndexEntry, IndexWriter, Query};
use domain::scale::{Engine, EngineRegistry, EngineState};
use index::{ManifestCatalogue, SegmentIndex, SegmentWriter};
use jiff::Timestamp;
use stand_in::StandIn;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use testkit::{MemoryObjects, WordEmbedder};
use vectors::{Migration, MigrationError, TieredIndex, TieredWriter, VectorBucket, VectorIndex};

const MODEL: &str = "words-64";

#[derive(Default)]
struct Engines(Mutex<EngineState>);

#[async_trait::async_trait]
impl EngineRegistry for Engines {
    async fn engine(&self, _: &TenantId) -> Result<EngineState, PortError> {
        Ok(self.0.lock().unwrap().clone())
    }

    async fn switch(&self, _: &TenantId, from: &EngineState, to: &EngineState) -> Result<(), PortError> {
        let mut state = self.0.lock().unwrap();
        if *state != *from {
            return Err(PortError::Conflict { operation: "switch" });
        }
        *state = to.clone();
        Ok(())
    }
}

/// One tenant with everything that serves it.
struct House {
    service: StandIn,
    objects: Arc<MemoryObjects>,
    bucket: Arc<VectorBucket>,
    catalogue: Arc<ManifestCatalogue<MemoryObjects>>,
    engines: Arc<Engines>,
    writer: TieredWriter,
    index: TieredIndex,
    segments: SegmentIndex<MemoryObjects>,
}

fn sdk(endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("eu-north-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .http_client(Builder::new().build_http())
        .retry_config(RetryConfig::standard().with_max_attempts(3).with_initial_backoff(std::time::Duration::from_millis(1)))
        .build()
}

fn house() -> House {
    let service = StandIn::start();
    let objects = Arc::new(MemoryObjects::default());
    let bucket = Arc::new(VectorBucket::new(&sdk(&service.endpoint), "bucket".into(), MODEL.into()));
    let catalogue = Arc::new(ManifestCatalogue::new(objects.clone(), MODEL.into()));
    let engines = Arc::new(Engines::default());
    let segments = || SegmentIndex::new(objects.clone(), MODEL.into());
    let writer = TieredWriter::new(
        Box::new(SegmentWriter::new(objects.clone(), MODEL.into())),
        bucket.clone(),
        catalogue.clone(),
        engines.clone(),
    );
    let vectors = VectorIndex::new(bucket.clone(), catalogue.clone(), objects.clone());
    let index = TieredIndex::new(Box::new(segments()), Box::new(vectors), engines.clone(), jumping);
    House { segments: segments(), service, objects, bucket, catalogue, engines, writer, index }
}

/// A clock that jumps, so that nothing is believed for longer than a question.
fn jumping() -> Timestamp {
    static HOURS: AtomicI64 = AtomicI64::new(0);
    Timestamp::from_second(HOURS.fetch_add(1, Ordering::SeqCst) * 3_600).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("main").unwrap()
}

fn id(name: &str) -> DocumentId {
    DocumentId::for_key(&tenant(), name)
}

fn attributes(tags: &[&str], date: Option<&str>, groups: &[&str], revision: u32) -> Attributes {
    Attributes {
        title: None,
        tags: Attributes::tags(tags).unwrap(),
        date: date.map(|date| parse_date(date).unwrap()),
        groups: Attributes::groups(groups).unwrap(),
        revision,
    }
}

fn entry(name: &str, event: u64, texts: &[String], attributes: Attributes) -> IndexEntry {
    let chunks = texts.iter().enumerate().map(|(at, text)| {
        let span = Span { page: 1, start: 0, end: text.chars().count() };
        let chunk =
            Chunk { ordinal: at as u32, section: vec!["Doses".into()], text: text.clone(), spans: vec![span], flags: vec![] };
        EmbeddedChunk::embed(&WordEmbedder, name, chunk)
    });
    IndexEntry {
        tenant: tenant(),
        document_id: id(name),
        title: name.into(),
        version: format!("v{event}"),
        sequencer: Sequencer::parse(&format!("{event:x}")).unwrap(),
        pages: 1,
        attributes,
        chunks: chunks.collect(),
    }
}

fn caller(groups: &[&str]) -> Context {
    let mut context = testkit::context("main", &[]);
    context.actor.groups = Attributes::groups(groups).unwrap();
    context
}

fn query(text: &str, filter: Filter) -> Query {
    Query { text: text.into(), embedding: WordEmbedder.embed(text), filter }
}

fn texts(word: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("The {word} number {n} is kept in room {} and checked by team {}.", n * 7, n % 13)).collect()
}

impl House {
    fn migration(&self) -> Migration<'_, MemoryObjects> {
        Migration {
            bucket: &self.bucket,
            catalogue: self.catalogue.as_ref(),
            engines: self.engines.as_ref(),
            objects: &self.objects,
        }
    }

    async fn migrate(&self) -> Result<vectors::Checked, MigrationError> {
        let migration = self.migration();
        let mut state = migration.begin(&tenant()).await?;
        while !migration.step(&tenant(), &mut state).await?.is_last {}
        migration.finish(&tenant(), &state).await
    }

    async fn found(&self, groups: &[&str], text: &str, filter: Filter) -> Vec<(DocumentId, String)> {
        let found = self.index.search(&caller(groups).scope(), &query(text, filter), 10).await.unwrap();
        found.passages.into_iter().map(|p| (p.document_id, p.chunk.text)).collect()
    }

    fn engine(&self) -> Engine {
        self.engines.0.lock().unwrap().engine
    }

    fn keys(&self) -> Vec<String> {
        self.service.state().indexes.values().flat_map(|index| index.vectors.keys().cloned()).collect()
    }
}

#[tokio::test]
async fn a_tenant_goes_to_vectors_and_back_and_its_answers_stay() {
    let house = house();
    for n in 0..45 {
        house.writer.put(entry(&format!("policy {n}"), 1, &texts(&format!("pump{n}"), 3), Attributes::default())).await.unwrap();
    }
    assert_eq!(house.service.state().calls.len(), 0, "a tenant on segments costs no call");
    let checked = house.migrate().await.unwrap();
    assert_eq!((checked.chunks, checked.vectors, checked.orphans), (135, 135, 0));
    assert_eq!((checked.asked, checked.found), (45, 45));
    assert_eq!(house.engine(), Engine::Vectors);
    for n in [0, 7, 44] {
        let question = query(&format!("Where is pump{n} number 2 kept?"), Filter::default());
        let theirs = house.index.search(&caller(&[]).scope(), &question, 10).await.unwrap();
        let ours = house.segments.search(&caller(&[]).scope(), &question, 10).await.unwrap();
        let first = |found: &domain::retrieval::Retrieval| found.passages[0].clone();
        let (theirs, ours) = (first(&theirs), first(&ours));
        assert_eq!(
            (theirs.document_id, theirs.chunk, theirs.title, theirs.version),
            (ours.document_id, ours.chunk, ours.title, ours.version)
        );
        assert!((theirs.cosine - ours.cosine).abs() < 0.02, "{} {}", theirs.cosine, ours.cosine);
        let ranges = |p: &[domain::retrieval::SentenceMatch]| p.iter().map(|s| s.range.clone()).collect::<Vec<_>>();
        assert_eq!(ranges(&theirs.sentences), ranges(&ours.sentences));
    }
    assert!(house.service.calls("QueryVectors") > 3);
    house.migration().back(&tenant()).await.unwrap();
    assert_eq!((house.engine(), house.keys().len()), (Engine::Segments, 0));
    let calls = house.service.calls("QueryVectors");
    assert_eq!(house.found(&[], "Where is pump7 number 2 kept?", Filter::default()).await[0].0, id("policy 7"));
    assert_eq!(house.service.calls("QueryVectors"), calls);
}

#[tokio::test]
async fn a_copy_that_is_cut_off_anywhere_goes_on_where_it_was() {
    for cut in 0..4 {
        let house = house();
        for n in 0..50 {
            house
                .writer
                .put(entry(&format!("policy {n}"), 1, &texts(&format!("pump{n}"), 2), Attributes::default()))
                .await
                .unwrap();
        }
        let migration = house.migration();
        let mut state = migration.begin(&tenant()).await.unwrap();
        for _ in 0..cut {
            migration.step(&tenant(), &mut state).await.unwrap();
        }
        // A new run knows nothing but what the registry says.
        let before = house.service.calls("PutVectors");
        let mut again = migration.begin(&tenant()).await.unwrap();
        assert_eq!(again, state);
        while !migration.step(&tenant(), &mut again).await.unwrap().is_last {}
        assert_eq!(house.service.calls("PutVectors") - before, 50 - (cut * 20).min(50), "no document is copied twice");
        let checked = migration.finish(&tenant(), &again).await.unwrap();
        assert_eq!((checked.chunks, checked.vectors), (100, 100));
        let table: vectors::TermTable =
            serde_json::from_slice(&house.objects.peek(&vectors::terms_key(&tenant())).unwrap().0).unwrap();
        assert_eq!((table.chunks, table.frequencies["pump3"]), (100, 2), "each document is counted once");
    }
}

#[tokio::test]
async fn changes_during_a_copy_and_after_it_reach_the_vectors() {
    let house = house();
    for n in 0..30 {
        house.writer.put(entry(&format!("policy {n}"), 1, &texts(&format!("pump{n}"), 2), Attributes::default())).await.unwrap();
    }
    let migration = house.migration();
    let mut state = migration.begin(&tenant()).await.unwrap();
    migration.step(&tenant(), &mut state).await.unwrap();
    // One new version, one deletion, one description, one new document: while some are copied and some are not.
    house.writer.put(entry("policy 3", 2, &texts("valve", 1), Attributes::default())).await.unwrap();
    house.writer.remove(&tenant(), &id("policy 4"), &Sequencer::parse("2").unwrap()).await.unwrap();
    house.writer.describe(&tenant(), &id("policy 5"), &attributes(&["icu"], None, &["icu"], 1)).await.unwrap();
    house.writer.put(entry("policy 99", 1, &texts("crane", 2), Attributes::default())).await.unwrap();
    while !migration.step(&tenant(), &mut state).await.unwrap().is_last {}
    let checked = migration.finish(&tenant(), &state).await.unwrap();
    assert_eq!((checked.chunks, checked.vectors, checked.orphans), (59, 59, 0));
    assert_eq!(house.found(&[], "the valve number 0", Filter::default()).await[0].0, id("policy 3"));
    assert!(house.found(&[], "pump3 number 1", Filter::default()).await.iter().all(|(_, text)| !text.contains("pump3 ")));
    assert!(house.found(&[], "pump4", Filter::default()).await.iter().all(|(document, _)| *document != id("policy 4")));
    assert!(house.found(&[], "pump5", Filter::default()).await.iter().all(|(document, _)| *document != id("policy 5")));
    assert_eq!(house.found(&["icu"], "pump5 number 1", Filter::default()).await[0].0, id("policy 5"));
    assert_eq!(house.found(&[], "the crane number 1", Filter::default()).await[0].0, id("policy 99"));
    // And after the switch.
    house.writer.put(entry("policy 3", 3, &texts("lever", 2), Attributes::default())).await.unwrap();
    assert_eq!(house.found(&[], "the lever number 1", Filter::default()).await[0].0, id("policy 3"));
    assert_eq!(house.keys().iter().filter(|key| key.starts_with(id("policy 3").as_str())).count(), 2, "nothing old is left");
}

#[tokio::test]
async fn filters_and_access_lists_are_asked_of_the_service_and_checked_again() {
    let house = house();
    for (name, attributes) in [
        ("open", attributes(&["sepsis"], Some("2024-05-01"), &[], 1)),
        ("icu", attributes(&["sepsis", "icu"], Some("2025-05-01"), &["icu"], 1)),
        ("undated", attributes(&[], None, &["icu", "theatre"], 1)),
    ] {
        house.writer.put(entry(name, 1, &texts("pump", 2), attributes)).await.unwrap();
    }
    house.migrate().await.unwrap();
    let names = async |groups: &[&str], filter: Filter| {
        let mut found: Vec<DocumentId> = house.found(groups, "pump", filter).await.into_iter().map(|(id, _)| id).collect();
        found.sort();
        found.dedup();
        let known = ["icu", "open", "undated"];
        known.into_iter().filter(|name| found.contains(&id(name))).collect::<Vec<_>>()
    };
    let all = Filter::default;
    assert_eq!(names(&[], all()).await, ["open"]);
    assert_eq!(names(&["icu"], all()).await, ["icu", "open", "undated"]);
    assert_eq!(names(&["theatre"], all()).await, ["open", "undated"]);
    let tagged = |tag: &str| Filter { tags: Attributes::tags(&[tag]).unwrap(), ..all() };
    assert_eq!(names(&["icu"], tagged("icu")).await, ["icu"]);
    assert_eq!(names(&["icu"], tagged("sepsis")).await, ["icu", "open"]);
    let dated = |from: Option<&str>, to: Option<&str>| Filter {
        from: from.map(|day| parse_date(day).unwrap()),
        to: to.map(|day| parse_date(day).unwrap()),
        ..all()
    };
    assert_eq!(names(&["icu"], dated(Some("2024-05-02"), None)).await, ["icu"]);
    assert_eq!(names(&["icu"], dated(Some("2024-05-01"), Some("2024-05-01"))).await, ["open"]);
    assert_eq!(names(&["icu"], Filter { documents: vec![id("undated")], ..all() }).await, ["undated"]);
    let calls = house.service.calls("QueryVectors");
    assert_eq!(names(&[], Filter { documents: vec![id("icu")], ..all() }).await, [""; 0]);
    assert_eq!(house.service.calls("QueryVectors"), calls, "what the manifest rules out is not asked for");
    // More documents than one filter may name, and the last one is the one.
    let mut documents: Vec<DocumentId> = (0..99).map(|n| id(&format!("absent {n}"))).collect();
    documents.push(id("open"));
    assert_eq!(names(&[], Filter { documents, ..all() }).await, ["open"]);
    assert_eq!(house.service.calls("QueryVectors"), calls + 3);

    // Vectors whose metadata is behind are not believed.
    let behind = house.keys();
    SegmentWriter::new(house.objects.clone(), MODEL.into())
        .describe(&tenant(), &id("open"), &attributes(&[], None, &["theatre"], 2))
        .await
        .unwrap();
    assert_eq!(house.keys(), behind);
    assert_eq!(names(&[], all()).await, [""; 0]);
    SegmentWriter::new(house.objects.clone(), MODEL.into())
        .remove(&tenant(), &id("undated"), &Sequencer::parse("9").unwrap())
        .await
        .unwrap();
    assert_eq!(names(&["theatre"], all()).await, ["open"], "a vector of a deleted document is no answer");
    let checked = house.migration().check(&tenant()).await.unwrap();
    assert_eq!(checked.orphans, 2);
}

#[tokio::test]
async fn writes_keep_to_five_hundred_vectors_and_twenty_mebibytes() {
    let house = house();
    house.bucket.create(&tenant(), 64).await.unwrap();
    house.bucket.create(&tenant(), 64).await.unwrap();
    assert_eq!(house.bucket.put(&entry("many", 1, &texts("pump", 1_201), Attributes::default())).await.unwrap(), 1_201);
    assert_eq!(house.service.calls("PutVectors"), 3);
    // Five hundred of these would be over the limit, with vectors as long as the model's.
    let wide = TenantId::parse("wide").unwrap();
    house.bucket.create(&wide, 384).await.unwrap();
    let long = ["\"quoted\\ words\" ".repeat(1_400)];
    let mut large = entry("large", 1, &long, Attributes::default());
    large.tenant = wide.clone();
    large.chunks[0].embedding.0 = (0..384).map(|n| 0.001_234_567 * n as f32).collect();
    large.chunks = (0..520)
        .map(|ordinal| {
            let mut chunk = large.chunks[0].clone();
            chunk.chunk.ordinal = ordinal;
            chunk
        })
        .collect();
    let calls = house.service.calls("PutVectors");
    assert_eq!(house.bucket.put(&large).await.unwrap(), 520);
    assert_eq!(house.service.calls("PutVectors"), calls + 2);
    assert!(house.service.state().last["PutVectors"]["vectors"].as_array().unwrap().len() > 20, "split by bytes, not by count");
    let sizes: Vec<usize> =
        house.service.state().calls.iter().filter(|(name, _)| name == "PutVectors").map(|(_, size)| *size).collect();
    assert!(sizes.iter().all(|size| *size <= 20 << 20) && sizes.iter().any(|size| *size > 10 << 20), "{sizes:?}");
    // What no vector can carry is left out, and said.
    let monster = vec!["x".repeat(50 << 10), "a pump".into()];
    assert_eq!(house.bucket.put(&entry("monster", 1, &monster, Attributes::default())).await.unwrap(), 1);
    let tags: Vec<String> = (0..10).map(|n| format!("{n}{}", "é".repeat(31))).collect();
    let groups: Vec<String> = (0..10).map(|n| format!("{n}{}", "g".repeat(31))).collect();
    let heavy = Attributes {
        tags: Attributes::tags(&tags).unwrap(),
        groups: Attributes::groups(&groups).unwrap(),
        date: parse_date("2026-03-01").ok(),
        ..Attributes::default()
    };
    assert_eq!(
        house.bucket.put(&entry("heavy", 1, &texts("pump", 1), heavy)).await.unwrap(),
        1,
        "the most that may be said fits"
    );
    house.bucket.forget(&tenant(), &id("many"), "v1", 1_201).await.unwrap();
    assert_eq!(house.service.calls("DeleteVectors"), 3);
    assert_eq!(house.bucket.held(&wide, &id("large"), "v1", 520).await.unwrap(), 520);
    assert_eq!(house.service.calls("GetVectors"), 6);
}

#[tokio::test]
async fn answers_come_in_pages() {
    let house = house();
    for n in 0..20 {
        house.writer.put(entry(&format!("policy {n}"), 1, &texts("pump", 10), Attributes::default())).await.unwrap();
    }
    house.service.state().page = 7;
    let checked = house.migrate().await.unwrap();
    assert_eq!((checked.chunks, checked.vectors), (200, 200));
    assert_eq!(house.service.calls("ListVectors"), 29);
    let before = house.service.calls("QueryVectors");
    assert_eq!(house.found(&[], "pump number 3", Filter::default()).await.len(), 10);
    assert_eq!(house.service.calls("QueryVectors") - before, 15, "a hundred, seven at a time");
    assert_eq!(house.service.state().last["QueryVectors"]["queryMode"], "ENHANCED");
}

#[tokio::test]
async fn throttling_and_outages_are_tried_again_and_then_pass_as_what_they_are() {
    let house = house();
    house.writer.put(entry("policy", 1, &texts("pump", 2), Attributes::default())).await.unwrap();
    house.migrate().await.unwrap();
    let ask = async || house.index.search(&caller(&[]).scope(), &query("pump", Filter::default()), 10).await;
    for (status, kind) in
        [(429, "TooManyRequestsException"), (503, "ServiceUnavailableException"), (500, "InternalServerException")]
    {
        house.service.state().faults.extend([("QueryVectors", status, kind); 2]);
        assert_eq!(ask().await.unwrap().passages.len(), 2, "{status}");
        house.service.state().faults.extend([("QueryVectors", status, kind); 3]);
        let error = ask().await.unwrap_err();
        assert!(matches!(&error, PortError::Unavailable { code, .. } if code == kind), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("injected"), "a message may quote what it was about");
    }
    for (status, kind) in [(400, "ValidationException"), (403, "AccessDeniedException")] {
        house.service.state().faults.push_back(("QueryVectors", status, kind));
        assert!(matches!(ask().await, Err(PortError::Unexpected { .. })), "{status}");
    }
}

#[tokio::test]
async fn a_write_that_fails_half_way_leaves_the_old_version_and_is_made_whole_by_its_repeat() {
    let house = house();
    house.writer.put(entry("policy", 1, &texts("pump", 2), Attributes::default())).await.unwrap();
    house.migrate().await.unwrap();
    // Three batches; the second one is refused for good.
    let next = entry("policy", 2, &texts("valve", 1_100), Attributes::default());
    let calls = house.service.calls("PutVectors");
    house.service.state().faults.extend([("PutVectors", 400, "ValidationException")]);
    assert!(house.writer.put(next.clone()).await.is_err());
    assert_eq!(house.service.calls("PutVectors"), calls + 1);
    house.bucket.put(&entry("policy", 2, &texts("valve", 600), Attributes::default())).await.unwrap();
    let found = house.found(&[], "pump valve number 1", Filter::default()).await;
    assert!(!found.is_empty() && found.iter().all(|(_, text)| text.contains("pump")), "half a version is no answer: {found:?}");
    house.writer.put(next).await.unwrap();
    let found = house.found(&[], "pump valve number 1", Filter::default()).await;
    assert!(!found.is_empty() && found.iter().all(|(_, text)| text.contains("valve")), "{found:?}");
    assert_eq!(house.keys().len(), 1_100);
}

#[tokio::test]
async fn a_copy_that_does_not_agree_is_not_served() {
    let house = house();
    for n in 0..5 {
        house.writer.put(entry(&format!("policy {n}"), 1, &texts("pump", 2), Attributes::default())).await.unwrap();
    }
    let migration = house.migration();
    let mut state = migration.begin(&tenant()).await.unwrap();
    while !migration.step(&tenant(), &mut state).await.unwrap().is_last {}
    let lost = house.keys()[3].clone();
    for index in house.service.state().indexes.values_mut() {
        index.vectors.remove(&lost);
    }
    let Err(MigrationError::Disagrees(checked)) = migration.finish(&tenant(), &state).await else { panic!("it agreed") };
    assert_eq!((checked.chunks, checked.vectors), (10, 9));
    assert_eq!(house.engine(), Engine::Copying);
    assert!(matches!(empty().await, MigrationError::Empty));
}

/// A tenant without documents.
async fn empty() -> MigrationError {
    let house = house();
    house.migration().begin(&tenant()).await.unwrap_err()
}

#[tokio::test]
async fn a_question_at_the_moment_of_going_back_is_answered_from_the_segments() {
    let house = house();
    house.writer.put(entry("policy", 1, &texts("pump", 2), Attributes::default())).await.unwrap();
    house.migrate().await.unwrap();
    let vectors = VectorIndex::new(house.bucket.clone(), house.catalogue.clone(), house.objects.clone());
    let segments = SegmentIndex::new(house.objects.clone(), MODEL.into());
    let warm = TieredIndex::new(Box::new(segments), Box::new(vectors), house.engines.clone(), || Timestamp::UNIX_EPOCH);
    let question = query("pump", Filter::default());
    assert_eq!(warm.search(&caller(&[]).scope(), &question, 10).await.unwrap().passages.len(), 2);
    house.migration().back(&tenant()).await.unwrap();
    assert_eq!(warm.search(&caller(&[]).scope(), &question, 10).await.unwrap().passages.len(), 2, "it still believed in vectors");
}
