//! I10: no payload in a log line, none in the audit trail.

use super::harness::{citations, eventually, follow, stack};
use super::pdf::pdf;
use serde_json::json;

/// Synthetic people and numbers, planted wherever text can enter.
const PLANTED: [&str; 9] = [
    "Ottoline",
    "Brackwater",
    "Peregrine",
    "Thistlewick",
    "944-55-0123",
    "MRN8847120",
    "+44 7700 900461",
    "Wexcombe",
    "quillfeather",
];

#[test]
fn i10_no_name_or_number_of_a_document_its_title_its_file_name_or_a_question_is_in_any_log_line_or_audit_row() {
    const TENANT: &str = "privacy";
    let staff = stack().staff(TENANT);
    let page: &[&str] = &[
        "Discharge plan of Ottoline Brackwater, record MRN8847120, telephone +44 7700 900461.",
        "Ottoline Brackwater goes home to Wexcombe with apixaban 5 mg twice daily.",
    ];
    let id = staff.index("Peregrine Thistlewick 944-55-0123.pdf", Some("Plan for Peregrine Thistlewick"), &pdf(&[page]));
    let answer = staff.ask("Where does Ottoline Brackwater, MRN8847120, go home to?");
    assert!(citations(&answer).iter().any(|c| c["quote"].as_str().is_some_and(|q| q.contains("Wexcombe"))), "{answer}");
    // Every way to fail with the same words.
    let refused = staff.ask("Which quillfeather did Peregrine Thistlewick win at the world cup of 944-55-0123?");
    assert!(refused["answer"].is_array());
    for body in [json!({ "question": ["Ottoline"] }), json!({ "question": "Ottoline\u{1}" }), json!({ "Ottoline": "Brackwater" })]
    {
        assert_eq!(staff.call("POST", "/chat", Some(&body)).status, 400);
    }
    let bad = json!({ "name": "Ottoline Brackwater.exe", "size_bytes": 1, "sha256": "0".repeat(64) });
    assert_eq!(staff.call("POST", "/documents", Some(&bad)).status, 400);
    assert_eq!(staff.call("GET", "/documents/Ottoline-Brackwater", None).status, 404);
    assert_eq!(staff.call("GET", "/documents?after=Ottoline", None).status, 400);
    let broken = staff.upload("Ottoline Brackwater.pdf", None, b"%PDF-1.4 Ottoline Brackwater MRN8847120");
    assert_eq!(staff.settled(&broken)["status"], "failed");
    stack().put_object("tenants/privacy/Thistlewick/Ottoline.bin", b"\0\0Ottoline Brackwater");
    let unknown = staff.named("Ottoline.bin")["id"].as_str().expect("an id").to_owned();
    assert_eq!(staff.settled(&unknown)["status"], "failed");
    stack().put_object("tenants/Ottoline Brackwater/x.txt", b"Ottoline Brackwater");
    let link = staff.call("GET", &format!("/documents/{id}/content"), None).ok(200);
    assert_eq!(follow(&link, &[], &[]).status, 200);
    assert_eq!(staff.call("DELETE", &format!("/documents/{id}"), None).status, 202);
    assert_eq!(staff.settled(&id)["status"], "deleted");

    let rows = stack().audit_rows(TENANT);
    let happened: Vec<&str> = rows.iter().filter_map(|row| row["event_type"]["S"].as_str()).collect();
    for expected in [
        "document_upload_requested",
        "document_indexed",
        "document_failed",
        "document_viewed",
        "document_delete_requested",
        "document_deleted",
        "chat_answered",
    ] {
        assert!(happened.contains(&expected), "no {expected} among {happened:?}");
    }
    for row in &rows {
        let text = row.to_string().to_lowercase();
        for planted in PLANTED {
            assert!(!text.contains(&planted.to_lowercase()), "{planted} is in an audit row: {row}");
        }
    }
    // The trace id of the answer is in the log: these are the lines of what was done above, not an empty group.
    let trace = answer["trace_id"].as_str().expect("a trace id");
    eventually("the question's log line is there", || {
        stack().log_lines("chat").iter().any(|line| line.contains(trace)).then_some(())
    });
    eventually("the rejected object's log line is there", || {
        stack().log_lines("indexer").iter().any(|line| line.contains("no_tenant")).then_some(())
    });
    for function in ["chat", "documents", "indexer", "audit-seal", "audit-alerts"] {
        let lines = stack().log_lines(function);
        assert!(lines.iter().any(|line| line.contains("\"_aws\"")), "{function} has logged nothing of its own");
        for line in lines {
            for planted in PLANTED {
                assert!(!line.to_lowercase().contains(&planted.to_lowercase()), "{planted} is in a line of {function}: {line}");
            }
        }
    }
}

#[test]
fn each_act_leaves_its_audit_row_with_who_what_and_ids_only() {
    const TENANT: &str = "audited";
    let staff = stack().staff(TENANT);
    let id = staff.index("kettle.txt", Some("Kettle rules"), b"The kettle of ward nine is descaled every Friday.");
    staff.ask("When is the kettle of ward nine descaled?");
    staff.ask("Who won the football world cup in 1998?");
    staff.call("GET", &format!("/documents/{id}/content"), None).ok(200);
    staff.call("DELETE", &format!("/documents/{id}"), None).ok(202);
    assert_eq!(staff.settled(&id)["status"], "deleted");
    let rows = stack().audit_rows(TENANT);
    let text = |row: &serde_json::Value, name: &str| row[name]["S"].as_str().unwrap_or_default().to_owned();
    // What was announced is in the trail a second time as what became of it; that the state is looked at is in it each time.
    let announced = rows.iter().filter(|row| text(row, "outcome") == "intended").count();
    let ended = rows.iter().filter(|row| text(row, "data").contains("\"intent\"")).count();
    assert!(announced == ended && announced >= 4, "{announced} announced, {ended} ended");
    let ends = rows.iter().filter(|row| text(row, "outcome") != "intended" && text(row, "event_type") != "document_shown");
    let mut happened: Vec<(String, String)> = ends.map(|row| (text(row, "event_type"), text(row, "action"))).collect();
    happened.sort();
    let expected = [
        ("chat_answered", "E"),
        ("chat_refused", "E"),
        ("document_delete_requested", "D"),
        ("document_deleted", "D"),
        ("document_indexed", "U"),
        ("document_upload_requested", "C"),
        ("document_viewed", "R"),
    ];
    assert_eq!(happened, expected.map(|(event, action)| (event.to_owned(), action.to_owned())));
    for row in &rows {
        assert!(["document", "conversation"].contains(&text(row, "entity_type").as_str()), "{row}");
        for name in ["sk", "id", "timestamp", "entity_id", "agent", "outcome", "request_id", "data"] {
            assert!(!text(row, name).is_empty(), "{name} is missing: {row}");
        }
        let words = row.to_string().to_lowercase();
        for word in ["kettle", "descaled", "friday", "football", "ward nine"] {
            assert!(!words.contains(word), "{word} is in an audit row: {row}");
        }
    }
}
