//! Who asks or uploads too often is told exactly how long to wait, and it costs nothing.

use super::{House, Reply, event, event_with_body, request, set_claim};
use domain::audit::EventType;
use domain::context::Role;
use domain::limits::{AdmitRequest, Limit, Limits, Rule};
use serde_json::{Value, json};
use testkit::{CountingIds, MemoryAdmissions, MemoryAuditLog};

/// The sample question as its number-th request.
fn question(number: u32) -> Value {
    numbered(event("chat.ask"), number)
}

fn numbered(mut event: Value, number: u32) -> Value {
    event["requestContext"]["extendedRequestId"] = format!("request-{number}").into();
    event
}

fn house(questions: Rule, uploads: Rule) -> House {
    House { limits: Limits { questions, uploads }, ..House::new() }
}

impl House {
    /// The answer with its `Retry-After`.
    async fn asked(&self, event: &Value) -> (Reply, Option<u32>) {
        let response = ::chat::handle(&self.chat(), &request(event)).await;
        let wait = response.headers().get("retry-after").map(|v| v.to_str().expect("ASCII").parse().expect("seconds"));
        (response.into(), wait)
    }
}

#[tokio::test]
async fn a_request_id_that_the_client_chose_opens_no_door() {
    let limits = Limits { questions: Rule::new(50, Some(10)), ..Limits::default() };
    let (log, audit, ids) = (MemoryAdmissions::default(), MemoryAuditLog::default(), CountingIds::default());
    let admit = AdmitRequest { limits: &limits, log: &log, audit: &audit, ids: &ids };
    let context = testkit::context("main", &[Role::Clinician]);
    let mut admitted = 0;
    for _ in 0..60 {
        admitted += u32::from(admit.run(&context, Limit::Questions).await.is_ok());
    }
    assert_eq!(admitted, 10, "sixty questions in one moment under one request id");
}

#[tokio::test]
async fn the_fifty_first_question_of_an_hour_waits_and_the_audit_trail_knows() {
    let house = house(Rule::new(50, None), Rule::new(0, None));
    for number in 0..50 {
        assert_eq!(house.asked(&question(number)).await.0.status, 200);
    }
    let before = house.history().len();
    let (reply, wait) = house.asked(&question(50)).await;
    assert_eq!((reply.status, reply.body["type"].as_str()), (429, Some("urn:clinchat:problem:rate-limited")));
    assert!(wait.is_some_and(|seconds| (3_590..=3_600).contains(&seconds)), "{wait:?}");
    assert_eq!(house.history()[before..], [EventType::RateLimited], "nothing was asked, nothing was answered");
    // Somebody else of the same hospital, at the same address.
    let mut other = question(51);
    set_claim(&mut other, "sub", "another-person");
    assert_eq!(house.asked(&other).await.0.status, 200);
    // The same person of another tenant is another person.
    let mut elsewhere = question(52);
    set_claim(&mut elsewhere, "custom:tenant", "west");
    assert_eq!(house.asked(&elsewhere).await.0.status, 200);
}

#[tokio::test]
async fn a_burst_waits_for_the_minute_and_other_spellings_are_no_way_around() {
    let house = house(Rule::new(50, Some(2)), Rule::new(0, None));
    assert_eq!(house.asked(&question(1)).await.0.status, 200);
    assert_eq!(house.asked(&question(2)).await.0.status, 200);
    for (number, header, value) in
        [(3, "User-Agent", "another"), (4, "X-Forwarded-For", "203.0.113.9"), (5, "Accept-Language", "sv")]
    {
        let mut event = question(number);
        event["headers"][header] = value.into();
        event["requestContext"]["identity"]["sourceIp"] = format!("203.0.113.{number}").into();
        let (reply, wait) = house.asked(&event).await;
        assert_eq!(reply.status, 429, "{header}");
        assert!(wait.is_some_and(|seconds| (50..=60).contains(&seconds)), "{wait:?}");
    }
}

#[tokio::test]
async fn what_is_refused_for_another_reason_uses_nothing_up() {
    let house = house(Rule::new(1, None), Rule::new(1, None));
    for body in [json!({ "question": "" }), json!({ "question": 1 }), json!("no object")] {
        assert_eq!(house.asked(&numbered(event_with_body("chat.ask", &body), 7)).await.0.status, 400, "{body}");
    }
    let mut stranger = question(8);
    set_claim(&mut stranger, "cognito:groups", "auditor");
    assert_eq!(house.asked(&stranger).await.0.status, 403);
    assert_eq!(house.asked(&question(9)).await.0.status, 200);
    assert_eq!(house.asked(&question(10)).await.0.status, 429);
}

#[tokio::test]
async fn uploads_have_a_limit_of_their_own() {
    let house = house(Rule::new(0, None), Rule::new(2, None));
    let upload = |number| numbered(event("documents.create"), number);
    assert_eq!(house.call(&upload(1)).await.status, 201);
    assert_eq!(house.call(&upload(2)).await.status, 201);
    let before = house.history().len();
    let refused = house.call(&upload(3)).await;
    assert_eq!((refused.status, refused.body["type"].as_str()), (429, Some("urn:clinchat:problem:rate-limited")));
    assert_eq!(house.history()[before..], [EventType::RateLimited]);
    assert_eq!(house.call(&numbered(event("documents.list"), 4)).await.status, 200, "looking is not limited");
}
