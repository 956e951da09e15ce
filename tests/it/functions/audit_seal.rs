//! The seal: sample events through the handler, and the schedules of `tests/src/sealing.rs`.

use super::event;
use audit_seal::{AuditSeal, handle};
use domain::ids::TenantId;
use domain::signing::MessageSigner as _;
use jiff::Timestamp;
use seal::{PublicKey, Report, Start, TrailVerifier};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use testkit::{MemoryKey, MemoryObjects, Outage, fixed_now};
use tests::sealing;

fn seal_over(archive: &MemoryObjects, key: u8) -> AuditSeal {
    let store = Arc::new(archive.clone());
    AuditSeal::new(store, Box::new(MemoryKey::of_seed(key)), fixed_now)
}

async fn keys(seeds: &[u8]) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    for seed in seeds {
        keys.push(PublicKey::of_der(&MemoryKey::of_seed(*seed).public_key().await.expect("a key")).expect("a key"));
    }
    keys
}

/// The trail of a tenant, checked, and its lines.
fn trail(archive: &MemoryObjects, tenant: &str, keys: &[PublicKey]) -> (Report, Vec<String>) {
    let folder = format!("trail/{tenant}/");
    let names = archive.keys().iter().filter_map(|key| key.strip_prefix(&folder)).map(str::to_owned).collect();
    let mut lines = Vec::new();
    let verifier = TrailVerifier::new(keys, TenantId::parse(tenant).ok(), Start::Beginning, Vec::new());
    let read = |name: &str| Ok::<_, Infallible>(archive.peek(&format!("{folder}{name}")).expect("a file").0);
    let (report, _) = verifier
        .folder(names, read, |_, line, _| lines.push(String::from_utf8(line.to_vec()).expect("text")))
        .expect("a sound trail");
    (report, lines)
}

#[tokio::test]
async fn each_tenants_rows_are_sealed_in_their_order_with_everything_that_is_stored() {
    let archive = MemoryObjects::default();
    let app = seal_over(&archive, 1);
    let batch = event("audit-seal.appended");
    assert_eq!(handle(&app, &batch, "r").await.expect("an answer"), json!({ "batchItemFailures": [] }));
    let keys = keys(&[1]).await;
    let (report, lines) = trail(&archive, "main", &keys);
    assert_eq!((report.files, report.rows), (1, 2));
    for (at, (line, record)) in lines.iter().zip([0, 2]).enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let mut image = batch["Records"][record]["dynamodb"]["NewImage"].clone();
        image["roles"]["SS"].as_array_mut().expect("a set").sort_by_key(ToString::to_string);
        assert_eq!((&line["seq"], &line["row"]), (&json!(at + 1), &image));
    }
    assert_eq!(trail(&archive, "west", &keys).0.rows, 1);
    let (pem, _) = archive.peek(&format!("keys/{}.pem", keys[0].name())).expect("the public key");
    assert_eq!(PublicKey::of_pem(&String::from_utf8(pem).expect("text")).as_ref(), Ok(&keys[0]));
}

#[tokio::test]
async fn repeats_changes_and_removals_seal_nothing_twice_and_change_nothing() {
    let archive = MemoryObjects::default();
    let app = seal_over(&archive, 1);
    handle(&app, &event("audit-seal.appended"), "r").await.expect("an answer");
    let before = archive.keys();
    for app in [app, seal_over(&archive, 1)] {
        handle(&app, &event("audit-seal.appended"), "r").await.expect("an answer");
        assert_eq!(archive.keys(), before);
    }
    let app = seal_over(&archive, 1);
    let batch = event("audit-seal.repeated-and-foreign");
    assert_eq!(handle(&app, &batch, "r").await.expect("an answer"), json!({ "batchItemFailures": [] }));
    let (report, lines) = trail(&archive, "main", &keys(&[1]).await);
    assert_eq!((report.files, report.rows), (2, 3));
    assert!(lines[2].contains("01KE6B0400000000000000000D"), "{}", lines[2]);
}

#[tokio::test]
async fn a_new_key_goes_on_where_the_old_one_ended_and_both_check_the_trail() {
    let archive = MemoryObjects::default();
    handle(&seal_over(&archive, 1), &event("audit-seal.appended"), "r").await.expect("an answer");
    let old = keys(&[1]).await[0].name();
    let next = seal_over(&archive, 9).trusting(&format!("{old},{}", "0".repeat(64)));
    let answer = handle(&next, &event("audit-seal.repeated-and-foreign"), "r").await.expect("an answer");
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(trail(&archive, "main", &keys(&[9, 1]).await).0.rows, 3);
}

#[tokio::test]
async fn a_key_that_somebody_laid_into_the_archive_does_not_count() {
    let archive = MemoryObjects::default();
    handle(&seal_over(&archive, 7), &event("audit-seal.appended"), "r").await.expect("an answer");
    let planted = format!("keys/{}.pem", keys(&[7]).await[0].name());
    assert!(archive.peek(&planted).is_some(), "its public half lies there");
    let files = archive.ever_written().iter().filter(|key| key.starts_with("trail/")).count();
    handle(&seal_over(&archive, 1), &event("audit-seal.repeated-and-foreign"), "r").await.expect("an answer");
    let written = archive.ever_written().into_iter().filter(|key| key.starts_with("trail/main/")).count();
    assert_eq!(written, 1, "something was built on a stranger's file");
    assert_eq!(files, 2, "main and west");
    // Named, but another key lies under that name.
    let (other, _) = archive.peek(&format!("keys/{}.pem", keys(&[1]).await[0].name())).expect("our own");
    archive.damage(&planted, |bytes| *bytes = other.clone());
    let trusting = seal_over(&archive, 1).trusting(&keys(&[7]).await[0].name());
    let answer = handle(&trusting, &event("audit-seal.repeated-and-foreign"), "r").await.expect("an answer");
    assert_ne!(answer, json!({ "batchItemFailures": [] }), "the batch waits until the key is what its name says");
}

#[tokio::test]
async fn a_long_replay_goes_on_from_where_it_was_cut_off() {
    const FILES: usize = 400;
    let record = |at: usize| {
        json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": at.to_string(), "ApproximateCreationDateTime": 1_767_600_000 + at,
            "NewImage": { "pk": { "S": "TENANT#main" }, "sk": { "S": format!("{at:026}") } } } })
    };
    let archive = MemoryObjects::default();
    let first = seal_over(&archive, 1);
    for at in 0..FILES {
        handle(&first, &json!({ "Records": [record(at)] }), "r").await.expect("an answer");
    }
    let before = archive.ever_written().len();
    // A new process gets all of it again, and can make fifty calls at a time before something fails.
    let outage = Outage::default();
    let seen = Arc::new(archive.seen_through(outage.clone()));
    let app = AuditSeal::new(seen, Box::new(MemoryKey::of_seed(1)), fixed_now);
    let batch = json!({ "Records": (0..=FILES).map(record).collect::<Vec<_>>() });
    let mut tries = 0;
    loop {
        tries += 1;
        outage.begin_after(50);
        if handle(&app, &batch, "r").await.expect("an answer") == json!({ "batchItemFailures": [] }) {
            break;
        }
        assert!(tries < 40, "it begins anew each time");
    }
    assert!(tries > 3, "{tries}");
    assert_eq!(archive.ever_written().len(), before + 1, "only the new row is sealed");
    assert_eq!(trail(&archive, "main", &keys(&[1]).await).0.rows, FILES as u64 + 1);
}

#[tokio::test]
async fn nothing_is_built_on_or_over_a_file_that_is_not_what_was_sealed_here() {
    let name = "trail/main/000000000001.jsonl.gz";
    // A bit of the digest, one of the rows, all of it: as a new version, which is what a bucket under lock takes.
    for place in [40, usize::MAX, 0] {
        let archive = MemoryObjects::default();
        handle(&seal_over(&archive, 1), &event("audit-seal.appended"), "r").await.expect("an answer");
        let (mut bytes, _) = archive.peek(name).expect("a file");
        let last = bytes.len() - 20;
        bytes[place.min(last)] ^= 1;
        archive.upload(name, if place == 0 { b"gone" } else { &bytes }, &[]);
        let answer = handle(&seal_over(&archive, 1), &event("audit-seal.repeated-and-foreign"), "r").await.expect("an answer");
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "its rows are parked: the shard is for others too");
        assert_eq!(archive.keys().iter().filter(|key| key.starts_with("trail/main/")).count(), 1, "{place}");
    }
}

#[tokio::test]
async fn a_strangers_file_under_the_next_number_is_passed_over_and_told_of() {
    let (archive, ours) = (MemoryObjects::default(), keys(&[1]).await);
    handle(&seal_over(&archive, 1), &event("audit-seal.appended"), "r").await.expect("an answer");
    let (first, _) = archive.peek("trail/main/000000000001.jsonl.gz").expect("a file");
    archive.upload("trail/main/000000000002.jsonl.gz", b"not ours", &[]);
    archive.upload("trail/main/000000000003.jsonl.gz", &first, &[]);
    let rows = trail_rows(&archive, "main", &ours, 1);
    let app = seal_over(&archive, 1);
    handle(&app, &event("audit-seal.repeated-and-foreign"), "r").await.expect("an answer");
    let (report, lines) = trail(&archive, "main", &ours);
    assert_eq!((report.files, report.strangers.as_slice(), lines.len()), (2, [2, 3].as_slice(), rows + 1));
    // A cold writer finds the end behind them, knows what is sealed already, and goes on.
    handle(&seal_over(&archive, 1), &event("audit-seal.appended"), "r").await.expect("an answer");
    assert_eq!(trail(&archive, "main", &ours).1.len(), rows + 1, "a repeat was sealed");
    // The copy of somebody who leaves a stranger's file out is as good; one that leaves out a file of ours is not.
    let folder = "trail/main/";
    let without = |left_out: u64| {
        let keys = archive.keys();
        let names = keys.iter().filter_map(|key| key.strip_prefix(folder)).filter(|name| *name != seal::file_name(left_out));
        let names = names.map(str::to_owned).collect();
        let read = |name: &str| Ok::<_, Infallible>(archive.peek(&format!("{folder}{name}")).expect("a file").0);
        TrailVerifier::new(&ours, None, Start::Beginning, Vec::new()).folder(names, read, |_, _, _| ()).is_ok()
    };
    assert_eq!([1, 2, 3, 4].map(without), [false, true, true, false], "without the last one nobody has said what is before it");
}

/// How many rows a tenant's files up to a number hold.
fn trail_rows(archive: &MemoryObjects, tenant: &str, keys: &[PublicKey], files: u64) -> usize {
    let read = |name: &str| Ok::<_, Infallible>(archive.peek(&format!("trail/{tenant}/{name}")).expect("a file").0);
    let verifier = TrailVerifier::new(keys, TenantId::parse(tenant).ok(), Start::Beginning, Vec::new());
    let names = (1..=files).map(seal::file_name).collect();
    verifier.folder(names, read, |_, _, _| ()).expect("a sound trail").0.rows as usize
}

#[tokio::test]
async fn a_file_in_its_place_under_a_key_that_nobody_named_waits_for_whoever_deploys() {
    let (archive, ours) = (MemoryObjects::default(), keys(&[1]).await);
    handle(&seal_over(&archive, 1), &event("audit-seal.appended"), "r").await.expect("an answer");
    // Somebody goes on with a key of their own, exactly as the seal would after a change of its key.
    let theirs = keys(&[7]).await[0].name();
    let batch = |id: usize| {
        json!({ "Records": [{ "eventName": "INSERT", "dynamodb": { "SequenceNumber": "9", "ApproximateCreationDateTime": 1_767_600_100,
            "NewImage": { "pk": { "S": "TENANT#main" }, "sk": { "S": format!("{id:026}") } } } }] })
    };
    handle(&seal_over(&archive, 7).trusting(&ours[0].name()), &batch(1), "r").await.expect("an answer");
    let files = || archive.keys().iter().filter(|key| key.starts_with("trail/main/")).count();
    assert_eq!(files(), 2);
    handle(&seal_over(&archive, 1), &batch(2), "r").await.expect("an answer");
    assert_eq!(files(), 2, "nothing is built before somebody has decided");
    handle(&seal_over(&archive, 1).disowning(&theirs), &batch(2), "r").await.expect("an answer");
    let (report, lines) = trail(&archive, "main", &ours);
    assert_eq!((files(), report.strangers.as_slice()), (3, [2].as_slice()));
    assert!(
        lines.iter().any(|line| line.contains(&format!("{:026}", 2)))
            && !lines.iter().any(|line| line.contains(&format!("{:026}", 1)))
    );
}

#[tokio::test]
async fn one_tenants_trouble_is_not_the_others_and_what_cannot_be_reported_fails_as_a_whole() {
    let archive = MemoryObjects::default();
    for version in [b"not ours", b"nor this"] {
        archive.upload("trail/main/000000000001.jsonl.gz", version, &[]);
    }
    let app = seal_over(&archive, 1);
    let answer = handle(&app, &event("audit-seal.appended"), "r").await.expect("an answer");
    assert_eq!(answer, json!({ "batchItemFailures": [] }), "the shard goes on");
    assert_eq!(archive.keys().iter().filter(|key| key.starts_with("trail/main/")).count(), 1, "and that trail does not");
    assert_eq!(trail(&archive, "west", &keys(&[1]).await).0.rows, 1, "the neighbour is sealed");
    for nonsense in
        [json!({}), json!({ "Records": [{}] }), json!({ "Records": [{ "dynamodb": { "SequenceNumber": "" } }] }), json!(7)]
    {
        assert!(handle(&app, &nonsense, "r").await.is_err(), "{nonsense}");
    }
    let odd = json!({ "Records": [
        { "eventName": "INSERT", "dynamodb": { "SequenceNumber": "1" } },
        { "eventName": "INSERT", "dynamodb": { "SequenceNumber": "2", "NewImage": { "pk": { "S": "RULE#x" }, "sk": { "S": "x" } } } },
        { "eventName": "INSERT", "dynamodb": { "SequenceNumber": "3", "NewImage": { "pk": { "S": "TENANT#odd" }, "sk": { "S": "x" }, "n": { "N": "1e400" }, "deep": { "M": { "é": { "L": [{ "B": "AA==" }] } } } } } },
    ] });
    assert_eq!(handle(&app, &odd, "r").await.expect("an answer"), json!({ "batchItemFailures": [] }));
    assert_eq!(trail(&archive, "odd", &keys(&[1]).await).0.rows, 1);
}

#[tokio::test]
async fn more_rows_than_a_file_holds_go_into_several() {
    let rows = seal::ROWS_MAX + 5;
    let record = |at: usize| {
        json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": at.to_string(), "ApproximateCreationDateTime": 1_767_600_000 + at / 100,
            "NewImage": { "pk": { "S": "TENANT#main" }, "sk": { "S": format!("{at:026}") } } } })
    };
    let archive = MemoryObjects::default();
    let batch = json!({ "Records": (0..rows).map(record).collect::<Vec<_>>() });
    handle(&seal_over(&archive, 1), &batch, "r").await.expect("an answer");
    let (report, _) = trail(&archive, "main", &keys(&[1]).await);
    assert_eq!((report.files, report.rows), (2, rows as u64));
    assert!(
        report.head.expect("a head").time
            >= Timestamp::from_second(1_767_600_000 + (rows.cast_signed() as i64 - 1) / 100).expect("a time")
    );
}

#[test]
fn under_any_schedule_each_row_is_sealed_once_and_the_trail_is_always_sound() {
    let report = sealing::run(1_000);
    assert!(report.violations.is_empty(), "{}", report.violations[0]);
    assert!(report.killed > 1_000 && report.rows > 10_000 && report.strangers > 500, "{report:?}");
}

#[test]
fn a_crowd_of_invocations_seals_each_row_once() {
    let report = sealing::crowd(100, 300);
    assert_eq!((report.violations.as_slice(), report.rows), ([].as_slice() as &[String], 300), "{report:?}");
    assert!(report.killed > 10, "{report:?}");
}
