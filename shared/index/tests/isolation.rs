//! Who sees what: tenants, groups and filters decide before anything is scored. Every pair of tenants and of groups is
//! swapped, over random tenants' worth of documents.

mod tenant;

use domain::context::Scope;
use domain::documents::attributes::{Attributes, Group, Tag};
use domain::ids::DocumentId;
use domain::retrieval::{Filter, IndexWriter as _, Retrieval};
use jiff::civil::{Date, date};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use tenant::{Tenant, document_id, entry, search};
use testkit::MemoryObjects;

const TENANTS: [&str; 3] = ["east", "main", "west"];
const GROUPS: [&str; 3] = ["icu", "theatre", "ward"];
const TAGS: [&str; 2] = ["dosing", "policy"];

/// A document: its tenant, its groups and tags as sets of bits, the month of its date.
#[derive(Debug, Clone)]
struct Written {
    tenant: usize,
    groups: usize,
    tags: usize,
    month: Option<i8>,
}

fn members<'a>(of: &[&'a str], bits: usize) -> Vec<&'a str> {
    of.iter().enumerate().filter(|(at, _)| bits >> at & 1 == 1).map(|(_, name)| *name).collect()
}

fn groups(bits: usize) -> BTreeSet<Group> {
    Attributes::groups(&members(&GROUPS, bits)).expect("groups")
}

fn tags(bits: usize) -> BTreeSet<Tag> {
    Attributes::tags(&members(&TAGS, bits)).expect("tags")
}

fn day(month: i8) -> Date {
    date(2025, month, 15)
}

fn scope(tenant: &str, bits: usize) -> Scope {
    let mut context = testkit::context(tenant, &[]);
    context.actor.groups = groups(bits);
    context.scope()
}

fn words(number: usize) -> String {
    format!("The handbook has secret{number} and a word that only it has: only{number}.")
}

/// A store with these documents, and those alone that `is_in`.
async fn store(all: &[Written], is_in: impl Fn(usize, &Written) -> bool) -> Arc<MemoryObjects> {
    let objects: Arc<MemoryObjects> = Arc::default();
    for (number, written) in all.iter().enumerate().filter(|(number, written)| is_in(*number, written)) {
        let tenant = Tenant::within(TENANTS[written.tenant], objects.clone());
        let attributes = Attributes {
            groups: groups(written.groups),
            tags: tags(written.tags),
            date: written.month.map(day),
            ..Attributes::default()
        };
        tenant.writer.put(entry(tenant.name, number, 1, words(number), attributes)).await.expect("the store is up");
        tenant.compact().await;
    }
    objects
}

/// What must come back, said once more in other words than the code's.
fn should_see(written: &Written, tenant: usize, bits: usize, filter: &Filter, id: &DocumentId) -> bool {
    let is_mine = written.tenant == tenant;
    let is_open = written.groups == 0 || written.groups & bits != 0;
    let is_named = filter.documents.is_empty() || filter.documents.iter().any(|named| named == id);
    let is_tagged = filter.tags.is_empty() || tags(written.tags).iter().any(|tag| filter.tags.contains(tag));
    let is_in_time = match (written.month.map(day), filter.from, filter.to) {
        (_, None, None) => true,
        (None, ..) => false,
        (Some(day), from, to) => from.is_none_or(|from| from <= day) && to.is_none_or(|to| day <= to),
    };
    is_mine && is_open && is_named && is_tagged && is_in_time
}

/// Everything that could tell something: what was found, how it scored, what the words weigh, what could not be read.
fn told(found: &Retrieval) -> String {
    format!("{found:?}")
}

async fn leaks(all: &[Written], filter: &Filter) -> Result<(), TestCaseError> {
    let objects = store(all, |_, _| true).await;
    for (tenant, name) in TENANTS.iter().enumerate() {
        for bits in 0..1 << GROUPS.len() {
            let sees = |number: usize, written: &Written| {
                should_see(written, tenant, bits, filter, &document_id(TENANTS[written.tenant], number))
            };
            let found = search(&objects, &scope(name, bits), filter.clone()).await.expect("an answer");
            let mut expected: Vec<String> = all.iter().enumerate().filter(|(n, w)| sees(*n, w)).map(|(n, _)| words(n)).collect();
            let mut texts: Vec<String> = found.passages.iter().map(|passage| passage.chunk.text.clone()).collect();
            expected.sort();
            texts.sort();
            prop_assert_eq!(texts, expected, "{} in {:?}", name, members(&GROUPS, bits));
            // The same question to a store that never had the rest: not a digit of the answer may differ.
            let alone = store(all, sees).await;
            let apart = search(&alone, &scope(name, bits), filter.clone()).await.expect("an answer");
            prop_assert_eq!(told(&found), told(&apart), "{} in {:?}", name, members(&GROUPS, bits));
        }
    }
    Ok(())
}

fn written() -> impl Strategy<Value = Written> {
    (0..TENANTS.len(), 0..1_usize << GROUPS.len(), 0..1_usize << TAGS.len(), prop::option::of(1..13_i8))
        .prop_map(|(tenant, groups, tags, month)| Written { tenant, groups, tags, month })
}

fn filters() -> impl Strategy<Value = Filter> {
    let months = || prop::option::weighted(0.4, 1..13_i8);
    let named = prop_oneof![2 => Just(vec![]), 1 => vec((0..TENANTS.len(), 0..8_usize), 1..4)];
    (named, 0..1_usize << TAGS.len(), months(), months()).prop_map(|(named, bits, from, to)| Filter {
        documents: named.into_iter().map(|(tenant, number)| document_id(TENANTS[tenant], number)).collect(),
        tags: tags(bits),
        from: from.map(day),
        to: to.map(day),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nobody_sees_or_senses_what_is_not_theirs(all in vec(written(), 0..9), filter in filters()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(leaks(&all, &filter))?;
    }
}

#[tokio::test]
async fn every_pair_of_tenants_and_of_groups_is_kept_apart() {
    // One document of each tenant and group.
    let all: Vec<Written> = (0..TENANTS.len())
        .flat_map(|tenant| (0..GROUPS.len()).map(move |group| Written { tenant, groups: 1 << group, tags: 0, month: None }))
        .collect();
    let objects = store(&all, |_, _| true).await;
    for (tenant, name) in TENANTS.iter().enumerate() {
        for (group, group_name) in GROUPS.iter().enumerate() {
            let found = search(&objects, &scope(name, 1 << group), Filter::default()).await.expect("an answer");
            let mine = words(tenant * GROUPS.len() + group);
            let texts: Vec<&str> = found.passages.iter().map(|passage| passage.chunk.text.as_str()).collect();
            assert_eq!(texts, [mine.as_str()], "{name} in {group_name}");
        }
    }
}

#[tokio::test]
async fn another_tenants_segment_at_my_key_is_not_read() {
    // As if objects had been copied from one prefix to the other.
    let objects: Arc<MemoryObjects> = Arc::default();
    Tenant::within("east", objects.clone()).put(0, 1).await;
    let east: Vec<String> = objects.keys();
    for key in &east {
        let (bytes, _) = objects.peek(key).expect("an object");
        let text = String::from_utf8(bytes.clone());
        let bytes = text.map_or(bytes, |text| text.replace("index/east/", "index/west/").into_bytes());
        objects.upload(&key.replacen("index/east/", "index/west/", 1), &bytes, &[]);
    }
    let found = search(&objects, &scope("west", 0), Filter::default()).await.expect("an answer");
    assert_eq!((found.passages.len(), found.unreadable), (0, vec![document_id("east", 0)]));
}
