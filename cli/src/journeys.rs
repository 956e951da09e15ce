//! Whole commands against a double of a stack.

use crate::args::Arguments;
use crate::config::Config;
use crate::display::testing;
use crate::double::{self, Double, Received};
use crate::outcome::Outcome;
use anyhow::Result;
use clap::Parser;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;

const ID: &str = "doc_0123456789abcdefghjkmnpqrs";
const OTHER_ID: &str = "doc_srqpnmkjhgfedcba9876543210";

/// What a run brought.
struct Ran {
    result: Result<Outcome>,
    out: String,
}

impl Ran {
    fn error(&self) -> String {
        format!("{:#}", self.result.as_ref().unwrap_err())
    }
}

/// A person's settings with the double's profile `dev` in it.
fn settings(double: &Double) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clinchat/profiles");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dev.json"), double.profile()).unwrap();
    home
}

fn run(home: &Path, line: &str) -> Ran {
    let arguments = Arguments::try_parse_from(format!("clinchat --profile dev {line}").split_whitespace()).unwrap();
    let (mut screen, out, _) = testing::screen();
    let config = Config { settings: Some(home.into()), ..Config::default() };
    let result = crate::commands::run(&arguments, &config, &mut screen);
    screen.flush().unwrap();
    Ran { result, out: out.text() }
}

fn tokens(id: &str, refresh: Option<&str>) -> (u16, String) {
    (200, json!({"AuthenticationResult": {"IdToken": id, "RefreshToken": refresh, "ExpiresIn": 900}}).to_string())
}

fn flow(request: &Received) -> String {
    let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
    body["AuthFlow"].as_str().unwrap_or_default().to_owned()
}

fn document(fields: &Value) -> Value {
    serde_json::to_value(crate::display::document::tests::document(fields)).unwrap()
}

fn list(ids: &[&str], next: Option<&str>) -> (u16, String) {
    let documents: Vec<Value> = ids.iter().map(|id| document(&json!({"id": id}))).collect();
    (200, json!({"documents": documents, "next": next}).to_string())
}

#[test]
fn the_sign_in_is_the_user_pools_own_call_and_is_kept_in_a_private_file() {
    let double =
        Double::start(|_, request| if request.path == "/" { tokens("id-1", Some("refresh-1")) } else { list(&[], None) });
    let home = settings(&double);
    assert!(matches!(run(home.path(), "ls").result, Ok(Outcome::Done)));
    assert!(matches!(run(home.path(), "ls").result, Ok(Outcome::Done)));
    // One sign-in for both runs.
    assert_eq!(double.lines(), ["POST /", "GET /v1/documents?limit=200", "GET /v1/documents?limit=200"]);
    let all = double.received();
    assert_eq!(all[0].header("x-amz-target"), "AWSCognitoIdentityProviderService.InitiateAuth");
    assert_eq!(all[0].header("content-type"), "application/x-amz-json-1.1");
    assert_eq!(all[0].header("authorization"), "");
    let body: Value = serde_json::from_str(&all[0].body).unwrap();
    let parameters = json!({"USERNAME": "jo@hospital.example", "PASSWORD": "password-of-jo"});
    assert_eq!(body, json!({"AuthFlow": "USER_PASSWORD_AUTH", "ClientId": "client", "AuthParameters": parameters}));
    assert_eq!(all[1].header("authorization"), "Bearer id-1");

    let file = home.path().join("clinchat/profiles/sessions/dev.own.json");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    run(home.path(), "logout").result.unwrap();
    assert!(!file.exists());
    assert_eq!(double.received()[3].header("x-amz-target"), "AWSCognitoIdentityProviderService.RevokeToken");
}

#[test]
fn a_refused_token_is_renewed_once() {
    let double = Double::start(|_, request| match (request.path.as_str(), flow(request).as_str()) {
        ("/", "REFRESH_TOKEN_AUTH") => tokens("id-2", None),
        ("/", _) => tokens("id-1", Some("refresh-1")),
        _ if request.header("authorization") == "Bearer id-2" => list(&[ID], None),
        _ => (401, r#"{"title": "Not signed in", "status": 401}"#.into()),
    });
    let home = settings(&double);
    let ran = run(home.path(), "ls --json");
    assert_eq!(double.lines(), ["POST /", "GET /v1/documents?limit=200", "POST /", "GET /v1/documents?limit=200"]);
    assert!(ran.out.contains(ID), "{}", ran.out);
    assert!(double.received()[2].body.contains("refresh-1"));
}

#[test]
fn a_refresh_that_is_denied_falls_back_to_the_password_and_a_second_refusal_is_final() {
    let double = Double::start(|_, request| match (request.path.as_str(), flow(request).as_str()) {
        ("/", "REFRESH_TOKEN_AUTH") => (400, r#"{"__type": "NotAuthorizedException", "message": "secret"}"#.into()),
        ("/", _) => tokens("id-1", Some("refresh-1")),
        _ => (401, r#"{"title": "Not signed in", "status": 401, "trace_id": "t-1"}"#.into()),
    });
    let home = settings(&double);
    let ran = run(home.path(), "ls");
    assert_eq!(ran.error(), "Not signed in (trace id t-1)");
    assert_eq!(double.lines().iter().filter(|line| *line == "POST /").count(), 3);
}

#[test]
fn a_wrong_password_is_said_without_the_pools_words() {
    let double = Double::start(|_, _| (400, r#"{"__type": "x#NotAuthorizedException", "message": "Incorrect jo"}"#.into()));
    let ran = run(settings(&double).path(), "--as auditor ls");
    assert_eq!(ran.error(), "The user name or the password is wrong, or the sign-in has run out.");
    assert!(double.received()[0].body.contains("au@hospital.example"));
}

#[test]
fn problems_are_shown_with_title_detail_and_trace() {
    let problem = r#"{"type": "urn:x", "title": "Not allowed", "status": 403, "detail": "Ask the admin.", "trace_id": "t-9"}"#;
    let double = Double::start(move |_, request| if request.path == "/" { tokens("id", None) } else { (403, problem.into()) });
    let home = settings(&double);
    assert_eq!(run(home.path(), "ask who").error(), "Not allowed: Ask the admin. (trace id t-9)");
    let ran = run(home.path(), "status --json");
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(report["reachable"], true);
    assert_eq!(report["problem"], "Not allowed: Ask the admin. (trace id t-9)");
}

#[test]
fn reading_is_repeated_when_the_stack_is_busy_and_asking_is_not() {
    let count = AtomicUsize::new(0);
    let double = Double::start(move |_, request| match request.path.as_str() {
        "/" => tokens("id", None),
        "/v1/chat" => (503, r#"{"title": "Unavailable", "status": 503}"#.into()),
        _ if count.fetch_add(1, Ordering::SeqCst) == 0 => (503, r#"{"title": "Unavailable", "status": 503}"#.into()),
        _ => list(&[], None),
    });
    let home = settings(&double);
    assert!(run(home.path(), "ls").result.is_ok());
    assert_eq!(run(home.path(), "ask who").error(), "Unavailable");
    assert_eq!(double.lines().len(), 4);
}

#[test]
fn a_stack_that_does_not_run_is_said_at_once() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("clinchat/profiles")).unwrap();
    // Nothing listens at port 1.
    fs::write(home.path().join("clinchat/profiles/dev.json"), double::profile("http://127.0.0.1:1")).unwrap();
    assert_eq!(run(home.path(), "ls").error(), "The local stack does not run. Start it with `make up`.");
}

#[test]
fn the_list_goes_on_to_its_last_page() {
    let double = Double::start(|_, request| match request.path.as_str() {
        "/" => tokens("id", None),
        "/v1/documents?limit=200" => list(&[ID], Some(ID)),
        _ => list(&[OTHER_ID], None),
    });
    let ran = run(settings(&double).path(), "ls --json");
    assert!(ran.out.contains(ID) && ran.out.contains(OTHER_ID));
    assert_eq!(double.lines()[2], format!("GET /v1/documents?limit=200&after={ID}"));
}

/// A stack that takes an upload, shows the states one after the other, and sends the bytes' receipt.
fn uploading(states: Vec<Value>) -> Double {
    let looks = AtomicUsize::new(0);
    Double::start(move |url, request| match (request.method.as_str(), request.path.as_str()) {
        (_, "/") => tokens("id-secret", Some("refresh-secret")),
        ("POST", "/v1/documents") => {
            let headers = json!({
                "content-type": "text/markdown", "content-length": "7", "x-amz-checksum-sha256": "c2hh", "host": "elsewhere",
            });
            let url = format!("{url}/bucket/key?X-Amz-Signature=signature-secret");
            let upload = json!({"method": "PUT", "url": url, "headers": headers, "expires_in_s": 60});
            (201, json!({"document": document(&json!({"status": "awaiting_upload"})), "upload": upload}).to_string())
        }
        ("PUT", _) => (200, String::new()),
        _ => {
            let look = looks.fetch_add(1, Ordering::SeqCst).min(states.len() - 1);
            (200, document(&states[look]).to_string())
        }
    })
}

#[test]
fn an_upload_sends_exactly_the_signed_headers_and_waits() {
    let progress = json!({"stage": "embedding", "done": 1, "total": 2});
    let double = uploading(vec![json!({"status": "indexing", "progress": progress}), json!({"status": "indexed", "pages": 1})]);
    let home = settings(&double);
    let file = home.path().join("note.md");
    fs::write(&file, " Sepsis").unwrap();
    let ran = run(home.path(), &format!("upload --title Sepsis {}", file.display()));
    assert_eq!(ran.out, format!("indexed   note.md  1 page  {ID}\n"));
    assert!(matches!(ran.result, Ok(Outcome::Done)));

    let all = double.received();
    let announced: Value = serde_json::from_str(&all[1].body).unwrap();
    assert_eq!(announced["sha256"], "6fd215e255a9bbb562d434e94ef39c022d544c9a8f593dce5ce1e2beb18db475");
    assert_eq!(
        (&announced["name"], &announced["size_bytes"], &announced["title"]),
        (&json!("note.md"), &json!(7), &json!("Sepsis"))
    );
    let put = all.iter().find(|request| request.method == "PUT").unwrap();
    assert_eq!(put.body, " Sepsis");
    assert_eq!(put.path, "/bucket/key?X-Amz-Signature=signature-secret");
    // Names that are signed have the given value, once; nothing that S3 would take into account is added.
    let sent: Vec<(&str, &str)> = put.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let ours: Vec<_> =
        sent.iter().filter(|(name, _)| !["accept", "accept-encoding", "user-agent", "host"].contains(name)).copied().collect();
    assert_eq!(ours, [("content-length", "7"), ("content-type", "text/markdown"), ("x-amz-checksum-sha256", "c2hh")]);
    assert_eq!(format!("http://{}", put.header("host")), double.url);
}

#[test]
fn a_document_that_cannot_be_searched_is_a_failure_with_advice() {
    let double = uploading(vec![json!({"status": "failed", "reason": "needs_ocr", "advice": "Run OCR."})]);
    let home = settings(&double);
    let (scan, tool) = (home.path().join("scan.md"), home.path().join("tool.exe"));
    fs::write(&scan, "1234567").unwrap();
    fs::write(&tool, "1234567").unwrap();
    let ran = run(home.path(), &format!("upload --json {} {}", scan.display(), tool.display()));
    assert!(matches!(ran.result, Ok(Outcome::Failed)));
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["indexed"], &report["failed"]), (&json!(0), &json!(2)));
    assert_eq!(report["documents"][0]["error"], json!({"reason": "needs_ocr", "advice": "Run OCR."}));
    assert_eq!(report["documents"][1]["error"]["reason"], "unsupported");
    // What would be refused is not even announced.
    assert_eq!(double.lines().iter().filter(|line| *line == "POST /v1/documents").count(), 1);
}

#[test]
fn without_waiting_nothing_is_looked_at() {
    let double = uploading(vec![json!({})]);
    let home = settings(&double);
    let file = home.path().join("note.md");
    fs::write(&file, "1234567").unwrap();
    let ran = run(home.path(), &format!("upload --no-wait {}", file.display()));
    assert_eq!(ran.out, format!("uploaded  note.md  {ID}\n"));
    assert!(!double.lines().iter().any(|line| line.starts_with("GET")));
}

#[test]
fn a_storage_refusal_shows_its_code_and_not_the_link() {
    let double = Double::start(|url, request| match request.method.as_str() {
        "PUT" => (403, "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>signature-secret</StringToSign></Error>".into()),
        _ if request.path == "/" => tokens("id", None),
        _ => {
            let url = format!("{url}/b/k?signature-secret");
            let upload = json!({"method": "PUT", "url": url, "headers": {"content-length": "7"}, "expires_in_s": 60});
            (201, json!({"document": document(&json!({})), "upload": upload}).to_string())
        }
    });
    let home = settings(&double);
    let file = home.path().join("note.md");
    fs::write(&file, "1234567").unwrap();
    let ran = run(home.path(), &format!("upload {}", file.display()));
    assert_eq!(ran.out, "failed    note.md  not_uploaded: The storage refused the upload (403 SignatureDoesNotMatch).\n");
}

#[test]
fn a_refusal_and_an_answer_end_differently_and_the_words_are_joined() {
    let double = Double::start(|_, request| {
        let common = r#""answer": [], "conversation_id": "c", "model": "m", "usage": {"passages": 0}, "trace_id": "t""#;
        let refusal = r#"{"reason": "not_supported", "message": "No.", "nearest": []}"#;
        match request.path.as_str() {
            "/" => tokens("id", None),
            _ if request.body.contains("pizza") => (200, format!(r#"{{{common}, "refused": true, "refusal": {refusal}}}"#)),
            _ => (200, format!(r#"{{{common}, "refused": false}}"#)),
        }
    });
    let home = settings(&double);
    let ran = run(home.path(), "ask best pizza topping");
    assert!(matches!(ran.result, Ok(Outcome::Refused)));
    assert_eq!(ran.out, "No.\n");
    assert_eq!(double.received()[1].body, r#"{"question":"best pizza topping"}"#);
    assert!(matches!(run(home.path(), &format!("ask who visits --documents {ID},{OTHER_ID}")).result, Ok(Outcome::Done)));
    let body: Value = serde_json::from_str(&double.received()[2].body).unwrap();
    assert_eq!(body["filters"], json!({"documents": [ID, OTHER_ID]}));
}

#[test]
fn a_streamed_answer_reads_like_a_whole_one_and_the_next_question_can_go_on_from_it() {
    const CONVERSATION: &str = "01KE8T4S00ABCDEFGHJKMNPQRS";
    let double = Double::start(|_, request| {
        let citation = json!({
            "document_id": ID, "version": "v1", "title": "Visitors", "section": [], "page": 2, "start": 0, "end": 9,
            "quote": "until 20:00", "content_hash": "00",
        });
        let end = json!({ "refused": false, "conversation_id": CONVERSATION, "model": "m", "trace_id": "t" });
        match request.path.as_str() {
            "/" => tokens("id", None),
            "/v1/chat" => {
                let mut whole = end.clone();
                whole["answer"] = json!([{ "text": "Until 20:00.", "citations": [citation] }]);
                whole["usage"] = json!({});
                (200, whole.to_string())
            }
            _ if request.body.contains("cut") => (200, "event: status\ndata: {\"stage\":\"searching\"}\n\n".into()),
            _ if request.body.contains("fails") => {
                let problem = json!({ "type": "x", "title": "Unavailable", "status": 503, "detail": "", "trace_id": "t-1" });
                (200, format!("event: error\ndata: {problem}\n\n"))
            }
            _ => {
                let mut numbered = citation;
                numbered["number"] = 1.into();
                let said = json!({ "text": "Until 20:00.", "support": { "verdict": "quoted" }, "citations": [1] });
                let events = [("status", json!({ "stage": "searching" })), ("citation", numbered), ("sentence", said)];
                let events = events.into_iter().chain([("usage", json!({})), ("done", end)]);
                (200, events.map(|(name, body)| [":\n\nevent: ", name, "\ndata: ", &body.to_string(), "\n\n"].concat()).collect())
            }
        }
    });
    let home = settings(&double);
    let nothing = run(home.path(), "ask --continue and then").error();
    assert_eq!(nothing, "There is no conversation to go on with: ask something first.");
    let [streamed, whole] = ["ask --stream who visits", "ask who visits"].map(|line| run(home.path(), line));
    assert!(streamed.out.starts_with("Until 20:00. [1]\n\nSources\n[1] Visitors, page 2\n"), "{}", streamed.out);
    assert_eq!(streamed.out, whole.out, "{:?}", whole.result.err());
    let [streamed, whole] = ["ask --stream --json who", "ask --json who"].map(|line| run(home.path(), line).out);
    let [mut streamed, whole] = [streamed, whole].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    assert_eq!(streamed["answer"][0]["support"].take(), json!({ "verdict": "quoted" }));
    streamed["answer"][0].as_object_mut().unwrap().remove("support");
    assert_eq!(streamed, whole);
    run(home.path(), "ask --continue --stream and on sundays").result.unwrap();
    let last = double.received().last().unwrap().body.clone();
    assert_eq!(last, format!(r#"{{"question":"and on sundays","conversation_id":"{CONVERSATION}"}}"#));
    assert_eq!(run(home.path(), "ask --stream it fails").error(), "Unavailable (trace id t-1)");
    assert!(run(home.path(), "ask --stream cut it").error().starts_with("The answer was cut off"));
}

#[test]
fn deleting_can_wait_until_nothing_is_left() {
    let looks = AtomicUsize::new(0);
    let double = Double::start(move |_, request| match request.method.as_str() {
        "POST" => tokens("id", None),
        "DELETE" => (202, document(&json!({"status": "deleting"})).to_string()),
        _ if looks.fetch_add(1, Ordering::SeqCst) == 0 => (200, document(&json!({"status": "deleting"})).to_string()),
        _ => (404, r#"{"title": "Not found", "status": 404}"#.into()),
    });
    let ran = run(settings(&double).path(), &format!("rm --wait {ID}"));
    assert_eq!(ran.out, format!("deleted  {ID}\n"));
    assert!(matches!(ran.result, Ok(Outcome::Done)));
}
