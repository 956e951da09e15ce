//! Conversations and answers in pieces, through the API as it is deployed: the route, the role, the table, the key.

use super::harness::{Person, stack};
use serde_json::{Value, json};

const HANDS: &str = "Alcohol gel is rubbed in for 20 seconds in adult wards.\n\n\
     Alcohol gel is rubbed in for 40 seconds in theatres.";
const QUESTION: &str = "How long is alcohol gel rubbed in in adult wards?";

fn ask(person: &Person, question: &str, conversation: &Value) -> Value {
    person.call("POST", "/chat", Some(&json!({ "question": question, "conversation_id": conversation }))).ok(200)
}

#[test]
fn a_conversation_goes_on_is_shown_is_its_owners_alone_and_is_erased_and_its_row_shows_nothing() {
    let staff: Person = stack().staff("conversations");
    staff.index("hands.txt", Some("Hands"), HANDS.as_bytes());
    let first = staff.ask(QUESTION);
    let id = &first["conversation_id"];
    let second = ask(&staff, "And in theatres?", id);
    assert_eq!(second["understood_as"], "How long is alcohol gel rubbed in in theatres?");
    assert!(second["answer"][0]["text"].as_str().is_some_and(|text| text.contains("40 seconds")), "{second}");
    let path = format!("/conversations/{}", id.as_str().expect("an id"));
    let shown = staff.call("GET", &path, None).ok(200);
    assert_eq!(shown["turns"].as_array().map(Vec::len), Some(2), "{shown}");
    // The row: whose it is, and sealed bytes.
    let table = stack().output("ConversationsTable");
    let rows = stack().aws("dynamodb", "scan", json!({ "TableName": table })).expect("the table");
    let rows: Vec<&Value> = rows["Items"].as_array().expect("rows").iter().filter(|row| row["sk"]["S"] == *id).collect();
    let [row] = &rows[..] else { panic!("{} rows", rows.len()) };
    let mut names: Vec<&str> = row.as_object().expect("a row").keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["expires_at", "pk", "sealed", "sk", "version"]);
    assert!(!row.to_string().to_lowercase().contains("alcohol"), "{row}");
    // A colleague of the same tenant has none of it.
    let colleague = stack().person("conversations", &["clinician"]);
    for reply in [colleague.call("GET", &path, None), colleague.call("DELETE", &path, None)] {
        assert_eq!(reply.problem(), (404, "not-found"));
    }
    let foreign = colleague.call("POST", "/chat", Some(&json!({ "question": "And in theatres?", "conversation_id": id })));
    assert_eq!(foreign.problem(), (404, "not-found"));
    assert_eq!(staff.call("DELETE", &path, None).status, 204);
    assert_eq!(staff.call("GET", &path, None).problem(), (404, "not-found"));
    let trail: Vec<Value> = stack().audit_rows("conversations");
    for event in ["conversation_viewed", "conversation_erased"] {
        assert!(trail.iter().any(|row| row["event_type"]["S"] == event), "{event} is not in the trail");
    }
}

#[test]
fn the_streaming_route_has_its_status_its_headers_and_its_events() {
    let staff: Person = stack().staff("streaming");
    staff.index("hands.txt", Some("Hands"), HANDS.as_bytes());
    let reply = staff.call("POST", "/chat/stream", Some(&json!({ "question": QUESTION })));
    assert_eq!((reply.status, reply.headers["content-type"].as_str()), (200, "text/event-stream; charset=utf-8"));
    let text = reply.text();
    let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((names[0], names.last()), ("status", Some(&"done")), "{text}");
    assert!(names.contains(&"citation") && names.contains(&"sentence"), "{text}");
    let refused = staff.call("POST", "/chat/stream", Some(&json!({ "question": "" })));
    assert_eq!(refused.problem(), (400, "bad-question"));
    let unsigned = stack().api("POST", "/chat/stream", None, "application/json", b"{}");
    assert_eq!(unsigned.problem(), (401, "sign-in-required"));
}
