//! The audit table's stream through the alerts, with a stand-in for Lambda's stream poller around them.

use ::audit_alerts::AuditAlerts;
use domain::audit::rules::{RULES, load};
use domain::audit::watch::{Known, WatchTrail};
use domain::audit::{EventType, TABLE_DAYS};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::{MemoryAlertMemory, MemoryAlerts, Outage, fixed_now};
use ulid::Ulid;

/// As in the template: the first try and four more.
const TRIES: u32 = 5;

struct Desk {
    outage: Outage,
    memory: MemoryAlertMemory,
    sink: MemoryAlerts,
    app: AuditAlerts,
}

impl Desk {
    fn new() -> Self {
        let outage = Outage::default();
        let memory = MemoryAlertMemory::with_outage(outage.clone());
        let sink = MemoryAlerts::with_outage(outage.clone());
        let app = Self::function(&memory, &sink);
        Self { outage, memory, sink, app }
    }

    fn function(memory: &MemoryAlertMemory, sink: &MemoryAlerts) -> AuditAlerts {
        AuditAlerts {
            rules: load(RULES).expect("rules"),
            memory: Box::new(memory.clone()),
            sink: Box::new(sink.clone()),
            known: Known::default(),
        }
    }

    /// A new process of the function: it remembers nothing of the one before.
    fn restart(&mut self) {
        self.app = Self::function(&self.memory, &self.sink);
    }

    /// Hands records over once; answers the numbers of those that come again.
    async fn hand(&self, records: &[Value]) -> Vec<String> {
        let answer = ::audit_alerts::handle(&self.app, &json!({ "Records": records })).await.expect("numbered records");
        let failures = answer["batchItemFailures"].as_array().expect("failures").clone();
        failures.iter().map(|failure| failure["itemIdentifier"].as_str().expect("a number").to_owned()).collect()
    }

    /// As Lambda delivers: from the first failed record on again, halved, `TRIES` times at most; what is left is parked. Counts
    /// how often each record was handed over.
    async fn deliver(&self, batch: Vec<Value>, handed: &mut BTreeMap<String, u32>) -> Vec<Value> {
        let mut parked = Vec::new();
        let mut open = vec![(batch, TRIES)];
        while let Some((mut batch, left)) = open.pop() {
            for record in &batch {
                *handed.entry(number(record)).or_default() += 1;
            }
            let failed: BTreeSet<String> = self.hand(&batch).await.into_iter().collect();
            let Some(first) = batch.iter().position(|record| failed.contains(&number(record))) else { continue };
            let rest = batch.split_off(first);
            if left == 1 {
                parked.extend(rest);
                continue;
            }
            let (one, other) = rest.split_at(rest.len().div_ceil(2));
            open.extend([other, one].into_iter().filter(|half| !half.is_empty()).map(|half| (half.to_vec(), left - 1)));
        }
        parked
    }

    fn kinds(&self) -> Vec<String> {
        self.sink.alerts().into_iter().map(|alert| alert.kind).collect()
    }
}

fn number(record: &Value) -> String {
    record["dynamodb"]["SequenceNumber"].as_str().expect("a number").to_owned()
}

/// A record of the sample event, as of another row.
fn record(at: Timestamp, id: u128, event_type: EventType, outcome: &str, actor: &str, entity: &str) -> Value {
    let sample = super::event("audit-alerts.appended");
    let mut record = sample["Records"][0].clone();
    let row = Ulid::from_parts(u64::try_from(at.as_millisecond()).expect("after 1970"), id).to_string();
    record["eventID"] = format!("record-{id}").into();
    let data = &mut record["dynamodb"];
    data["SequenceNumber"] = format!("{id:021}").into();
    data["ApproximateCreationDateTime"] = at.as_second().into();
    data["Keys"]["sk"]["S"] = row.clone().into();
    let image = &mut data["NewImage"];
    (image["sk"]["S"], image["id"]["S"]) = (row.clone().into(), row.into());
    image["created_at"]["N"] = at.as_millisecond().to_string().into();
    image["data"]["S"] = json!({ "occurred_at": at.to_string() }).to_string().into();
    image["event_type"]["S"] = event_type.as_str().into();
    image["outcome"]["S"] = outcome.into();
    image["agent"]["S"] = actor.into();
    image["entity_type"]["S"] = "bill".into();
    image["entity_id"]["S"] = entity.into();
    record
}

fn fraud(at: Timestamp, id: u128, entity: &str) -> Value {
    record(at, id, EventType::FraudDetected, "success", "person-9", entity)
}

fn changed(kind: &str, at: Timestamp, recorded: Timestamp, by: Option<Value>) -> Value {
    let mut record = record(at, 7, EventType::ChatAnswered, "success", "person-9", "b");
    record["eventName"] = kind.into();
    let mut image = record["dynamodb"]["NewImage"].take();
    image["created_at"]["N"] = recorded.as_millisecond().to_string().into();
    record["dynamodb"]["OldImage"] = image;
    if let Some(by) = by {
        record["userIdentity"] = by;
    }
    record
}

#[tokio::test]
async fn a_critical_event_is_told_of_once_and_the_message_names_nobody() {
    let mut desk = Desk::new();
    let one = fraud(fixed_now(), 1, "psn1_secretbill");
    for _ in 0..3 {
        assert_eq!(desk.hand(std::slice::from_ref(&one)).await, [""; 0]);
        desk.restart();
    }
    assert_eq!(desk.hand(&[fraud(fixed_now(), 2, "psn1_secretbill")]).await, [""; 0], "the same bill again");
    let alerts = desk.sink.alerts();
    assert_eq!(alerts.len(), 1);
    let alert = &alerts[0];
    assert_eq!((alert.kind.as_str(), alert.runbook.as_str()), ("fraud-detected", "docs/runbook.md#alert-fraud-detected"));
    let text = format!("{alert:?}");
    assert!(!text.contains("secretbill") && !text.contains("person-9"), "{text}");
    // Another bill, another tenant, another day are other messages.
    let mut west = fraud(fixed_now(), 3, "psn1_secretbill");
    west["dynamodb"]["Keys"]["pk"]["S"] = "TENANT#west".into();
    let day = SignedDuration::from_hours(24);
    let records = [fraud(fixed_now(), 4, "other"), west, fraud(fixed_now() + day, 5, "psn1_secretbill")];
    assert_eq!(desk.hand(&records).await, [""; 0]);
    assert_eq!(desk.sink.alerts().len(), 4);
}

#[tokio::test]
async fn a_changed_or_removed_row_is_told_of_and_one_that_ran_out_is_not() {
    let old = fixed_now() - SignedDuration::from_hours(24 * TABLE_DAYS);
    let service = || Some(json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" }));
    for (record, expected) in [
        (changed("MODIFY", fixed_now(), old, None), &["trail-modified"][..]),
        (changed("MODIFY", fixed_now(), old, service()), &["trail-modified"]),
        (changed("REMOVE", fixed_now(), old, None), &["trail-removed"]),
        (changed("REMOVE", fixed_now(), old, Some(json!({ "type": "Service", "principalId": "lambda" }))), &["trail-removed"]),
        (changed("REMOVE", fixed_now(), old, service()), &[]),
        // Time-to-live was turned to another attribute.
        (changed("REMOVE", fixed_now(), old + SignedDuration::from_hours(1), service()), &["trail-removed"]),
    ] {
        let desk = Desk::new();
        assert_eq!(desk.hand(std::slice::from_ref(&record)).await, [""; 0]);
        assert_eq!(desk.kinds(), expected, "{record}");
    }
}

#[tokio::test]
async fn rates_count_each_row_once_per_person_in_a_sliding_window() {
    let mut desk = Desk::new();
    let at = |second: i64| fixed_now() + SignedDuration::from_secs(second);
    let login = |second: i64, id: u128, who: &str, outcome: &str| record(at(second), id, EventType::UserLogin, outcome, who, "b");
    // Nine failures of one, nine of another, ten successes of a third; everything three times over.
    for _ in 0..3 {
        for n in 0..9_u32 {
            let (second, id) = (i64::from(n), u128::from(n));
            let three = [
                login(second, id, "a", "failure"),
                login(second, 100 + id, "b", "failure"),
                login(second, 200 + id, "c", "success"),
            ];
            assert_eq!(desk.hand(&three).await, [""; 0]);
        }
        desk.restart();
    }
    assert_eq!(desk.kinds(), [""; 0]);
    // The tenth comes when the first nine are out of the window; then enough within it.
    assert_eq!(desk.hand(&[login(700, 300, "a", "failure")]).await, [""; 0]);
    assert_eq!(desk.kinds(), [""; 0]);
    assert_eq!(desk.hand(&[login(500, 301, "b", "failure")]).await, [""; 0]);
    assert_eq!(desk.kinds(), ["failed-logins"]);
    let reads: Vec<Value> =
        (0..60_u32).map(|n| record(at(n.into()), 400 + u128::from(n), EventType::DocumentViewed, "success", "d", "b")).collect();
    assert_eq!(desk.hand(&reads[..49]).await, [""; 0]);
    assert_eq!(desk.kinds().len(), 1);
    assert_eq!(desk.hand(&reads[49..]).await, [""; 0]);
    assert_eq!(desk.kinds(), ["failed-logins", "bulk-reads"], "once, however many more");
}

#[tokio::test]
async fn a_death_at_any_step_loses_no_message_and_repeats_one_only_between_publication_and_mark() {
    // The calls of one message: claims, claim, publish, sent.
    for (works, loses_answer, expected) in
        [(0, false, 1), (1, false, 1), (2, false, 1), (3, false, 2), (0, true, 1), (1, true, 1), (2, true, 2), (3, true, 1)]
    {
        let mut desk = Desk::new();
        let one = fraud(fixed_now(), 1, "b");
        if loses_answer {
            desk.outage.lose_answer_after(works);
        } else {
            desk.outage.begin_after(works);
        }
        assert_eq!(desk.hand(std::slice::from_ref(&one)).await.len(), 1, "{works} {loses_answer}");
        desk.outage.end();
        desk.restart();
        assert_eq!(desk.hand(std::slice::from_ref(&one)).await, [""; 0]);
        let keys: BTreeSet<String> = desk.sink.alerts().into_iter().map(|alert| alert.dedupe_key).collect();
        assert_eq!((desk.sink.alerts().len(), keys.len()), (expected, 1), "{works} {loses_answer}");
    }
}

#[tokio::test]
async fn a_claim_that_nobody_finishes_is_taken_over_when_its_lease_is_over() {
    let desk = Desk::new();
    let rules = load(RULES).expect("rules");
    let known = Known::default();
    let watch = WatchTrail { rules: &rules, memory: &desk.memory, sink: &desk.sink, known: &known };
    let change = |record: &str, row: u128| domain::audit::watch::Change {
        record: record.to_owned(),
        tenant: domain::ids::TenantId::parse("main").expect("a tenant"),
        row: Ulid::from_parts(1_767_600_000_000, row),
        at: fixed_now(),
        occurred: fixed_now(),
        seen: domain::audit::watch::Seen::Appended(domain::audit::watch::SeenEvent {
            event_type: EventType::FraudDetected,
            outcome: domain::audit::Outcome::Success,
            entity: "bill:b".into(),
            actor: "a".into(),
        }),
    };
    desk.outage.begin_after(2);
    assert!(watch.look(&change("first", 1), fixed_now()).await.is_err(), "dies before it publishes");
    desk.outage.end();
    assert_eq!(watch.look(&change("second", 2), fixed_now()).await.ok(), Some(0), "the first is at it");
    let later = fixed_now() + SignedDuration::from_secs(91);
    assert_eq!(watch.look(&change("third", 3), later).await.ok(), Some(1));
    assert_eq!(watch.look(&change("first", 1), later).await.ok(), Some(0));
    assert_eq!(desk.sink.alerts().len(), 1);
}

#[test]
fn a_record_is_tried_five_times_and_parked_as_the_template_says() {
    let function = &crate::template::template()["Resources"]["AuditAlertsFunction"]["Properties"];
    let source = &function["Events"]["Changes"]["Properties"];
    assert_eq!(source["MaximumRetryAttempts"], TRIES - 1, "the first try and four more");
    assert_eq!(source["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]));
    assert_eq!(source["BisectBatchOnFunctionError"], true);
    assert!(source["DestinationConfig"]["OnFailure"]["Destination"].is_object());
}

#[tokio::test]
async fn a_rate_counts_when_things_happened_in_whatever_order_they_are_reported() {
    // Ten failed logins within ten minutes, reported by a system that was cut off: late, mixed, some twice.
    let mut dice = tests::tampering::Dice::new(11);
    let (mut told, mut quiet) = (0, 0);
    for case in 0..300 {
        let desk = Desk::new();
        let count = 9 + dice.below(8);
        let mut happened: Vec<i64> = (0..count).map(|_| i64::try_from(dice.below(1_200)).expect("minutes")).collect();
        let begun = fixed_now() - SignedDuration::from_hours(30);
        let mut records: Vec<Value> = (0_u128..)
            .zip(&happened)
            .map(|(id, second)| {
                // Recorded all together, in the order in which they came.
                let recorded = fixed_now() + SignedDuration::from_millis(id as i64);
                let mut record = record(recorded, id, EventType::UserLogin, "failure", "psn1_somebody", "b");
                let at = (begun + SignedDuration::from_secs(*second)).to_string();
                record["dynamodb"]["NewImage"]["data"]["S"] = json!({ "occurred_at": at }).to_string().into();
                record
            })
            .collect();
        for at in (1..records.len()).rev() {
            records.swap(at, dice.below(at + 1));
        }
        let again = records[dice.below(records.len())].clone();
        records.push(again);
        for record in &records {
            assert_eq!(desk.hand(std::slice::from_ref(record)).await, [""; 0]);
        }
        happened.sort_unstable();
        let is_many = happened.windows(10).any(|ten| ten[9] - ten[0] <= 600);
        let expected: &[&str] = if is_many { &["failed-logins"] } else { &[] };
        assert_eq!(desk.kinds(), expected, "case {case}: {happened:?}");
        told += u32::from(is_many);
        quiet += u32::from(!is_many);
    }
    assert!(told > 20 && quiet > 20, "{told} told, {quiet} quiet");
}

#[tokio::test]
async fn of_200_batches_with_poison_every_good_record_is_told_of_once_and_every_bad_one_is_parked() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let poison: [fn(&mut Value); 6] = [
        |record| record["dynamodb"]["Keys"]["pk"]["S"] = "KEY#x".into(),
        |record| record["dynamodb"]["NewImage"]["event_type"]["S"] = "nothing".into(),
        |record| record["dynamodb"]["NewImage"] = Value::Null,
        |record| record["dynamodb"]["Keys"]["sk"]["S"] = "probe".into(),
        |record| record["eventName"] = json!(7),
        |record| record["dynamodb"]["NewImage"]["created_at"]["N"] = "soon".into(),
    ];
    let (mut good, mut bad, mut batches) = (0, 0, 0);
    for batch in 0..200_u64 {
        // A tenant for each batch: no batch runs into another's cap.
        let desk = Desk::new();
        let share = 1 + random(10);
        let mut is_bad: BTreeSet<u64> = (0..share).map(|_| random(100)).collect();
        match batch % 3 {
            0 => is_bad.insert(0),
            1 => is_bad.insert(99),
            _ => is_bad.insert(50),
        };
        let records: Vec<Value> = (0..100_u64)
            .map(|n| {
                // Twenty good bills at most are told of one by one; the others are not for telling.
                let is_told = n % 6 == 1;
                let mut record = if is_told {
                    fraud(fixed_now(), n.into(), &format!("bill {n}"))
                } else {
                    record(fixed_now(), n.into(), EventType::ChatAnswered, "success", "p", "b")
                };
                if is_bad.contains(&n) {
                    poison[random(6) as usize](&mut record);
                }
                record
            })
            .collect();
        let expected: BTreeSet<u64> = (0..100).filter(|n| n % 6 == 1 && !is_bad.contains(n)).collect();
        let mut handed = BTreeMap::new();
        let parked: BTreeSet<String> = desk.deliver(records.clone(), &mut handed).await.iter().map(number).collect();
        for n in &is_bad {
            assert!(parked.contains(&format!("{n:021}")), "batch {batch}: record {n} is not parked");
        }
        assert!(handed.values().all(|times| *times <= TRIES), "batch {batch}: {handed:?}");
        assert_eq!(handed.len(), 100, "batch {batch}: the shard is blocked");
        let alerts = desk.sink.alerts();
        let keys: BTreeSet<&str> = alerts.iter().map(|alert| alert.dedupe_key.as_str()).collect();
        assert_eq!((alerts.len(), keys.len()), (expected.len(), expected.len()), "batch {batch}");
        good += expected.len();
        bad += is_bad.len();
        batches += 1;
    }
    println!("{batches} batches of 100: {good} good records told of exactly once, {bad} bad ones parked within {TRIES} tries");
}

#[tokio::test]
async fn a_storm_of_10_000_critical_records_is_a_few_messages_and_one_that_says_so() {
    let desk = Desk::new();
    for batch in 0..100_u128 {
        let records: Vec<Value> =
            (0..100_u128).map(|n| fraud(fixed_now(), batch * 100 + n, &format!("bill {batch} {n}"))).collect();
        assert_eq!(desk.hand(&records).await, [""; 0]);
    }
    let alerts = desk.sink.alerts();
    let cap = load(RULES).expect("rules").iter().find(|rule| rule.name == "fraud-detected").expect("a rule").cap;
    assert_eq!(alerts.len(), cap + 1);
    assert!(alerts.last().is_some_and(|alert| alert.headline.starts_with("There are more")));
    println!("10,000 critical records: {} messages, {} calls", alerts.len(), desk.outage.calls());
    assert!(desk.outage.calls() < 1_000, "the storm reaches the memory: {} calls", desk.outage.calls());

    let same = Desk::new();
    for batch in 0..100_u128 {
        let records: Vec<Value> = (0..100_u128).map(|n| fraud(fixed_now(), batch * 100 + n, "one bill")).collect();
        assert_eq!(same.hand(&records).await, [""; 0]);
    }
    assert_eq!(same.sink.alerts().len(), 1);
}

#[tokio::test]
async fn a_topic_that_throttles_holds_up_nothing_and_loses_nothing() {
    let desk = Desk::new();
    let records: Vec<Value> = (0..20_u128).map(|n| fraud(fixed_now(), n, &format!("bill {n}"))).collect();
    desk.outage.begin_after(30);
    let again = desk.hand(&records).await;
    assert!(!again.is_empty() && again.len() < records.len());
    desk.outage.end();
    let rest: Vec<Value> = records.iter().filter(|record| again.contains(&number(record))).cloned().collect();
    assert_eq!(desk.hand(&rest).await, [""; 0]);
    let keys: BTreeSet<String> = desk.sink.alerts().into_iter().map(|alert| alert.dedupe_key).collect();
    assert_eq!(keys.len(), 20);
}

#[test]
fn every_rule_has_its_entry_in_the_runbook() {
    let runbook = crate::repository::text("docs/runbook.md");
    for rule in load(RULES).expect("rules") {
        assert!(runbook.lines().any(|line| line == format!("## alert {}", rule.name)), "no entry for {}", rule.name);
        assert_eq!(rule.runbook(), format!("docs/runbook.md#alert-{}", rule.name));
    }
}
