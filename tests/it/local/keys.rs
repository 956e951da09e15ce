//! Keys of providers on the deployed stack: added, rotated and taken back by the command line and by the schedule's own events, under
//! a load of questions, with a double of the providers that refuses every key that is not in use any more.

use super::harness::{Person, key_stack};
use crate::repository;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// In every test run; `CLINCHAT_ROTATIONS=50` is the figure of docs/evaluation.md.
const ROTATIONS: usize = 4;
/// A person may ask ten questions in a minute.
const QUESTIONS: usize = 8;
/// People at work during one rotation.
const ASKING: usize = 3;
/// What no log, row, answer or message may hold.
const CANARY: &str = "canary-key-of-gemini";
const DOCUMENT: &str = "Visiting hours on the ward.\n\nVisitors may come from two to eight in the afternoon every day.";
const QUESTION: &str = "When may visitors come to the ward?";

fn clinchat(home: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(repository::root().join("target/debug/clinchat"));
    command.args(["--profile", "keys", "keys"]).args(arguments).env("XDG_CONFIG_HOME", home).current_dir(home);
    let mut child = command
        .envs(key_stack().environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`make build` makes the command line");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn done(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

/// Hands an event to the deployed function, as a schedule does.
fn invoke(event: &Value) -> Value {
    let payload = json!({ "$base64": STANDARD.encode(event.to_string()) });
    let call = json!({ "FunctionName": key_stack().output("KeyRotationFunction"), "Payload": payload });
    let answer = key_stack().aws("lambda", "invoke", call).expect("an answer");
    let text = STANDARD.decode(answer["Payload"]["$base64"].as_str().expect("bytes")).expect("base64");
    serde_json::from_slice(&text).expect("JSON")
}

/// Keys that the double refuses from now on; it takes any other.
fn refuse(keys: &[String]) {
    let order = json!({ "provider": "gemini", "behaviour": { "bad_keys": keys } });
    key_stack().double("behaviour", Some(&order));
}

fn key_in(stage: &str) -> Option<String> {
    let get = json!({ "SecretId": key_stack().output("GeminiKey"), "VersionStage": stage });
    let text = key_stack().aws("secretsmanager", "get_secret_value", get).ok()?;
    let text = text["SecretString"].as_str()?.to_owned();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    Some(body["api_key"].as_str().map_or(text, str::to_owned))
}

fn is_answered_by_model(person: &Person) -> bool {
    let reply = person.call("POST", "/chat", Some(&json!({ "question": QUESTION })));
    reply.status == 200 && reply.body["model"] == "gemini-3.8-flash"
}

/// Somebody of the tenant who has asked nothing yet.
fn somebody(number: usize) -> Person {
    let group = format!("access:load-{number}");
    key_stack().person("main", &["clinician", &group])
}

/// One test, because the double has one behaviour at a time.
#[test]
fn keys_are_rotated_under_load_without_a_failed_question() {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let folder = home.join("clinchat/profiles");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("keys.json"), key_stack().profile().to_string()).expect("a profile");
    let rotations = std::env::var("CLINCHAT_ROTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(ROTATIONS);
    let inbox = key_stack().subscriber("alerts-of-keys");
    key_stack().staff("main").index("visits.txt", Some("Visits"), DOCUMENT.as_bytes());
    assert!(is_answered_by_model(&somebody(0)), "the stack answers");

    // A bad key is not taken, and neither is one that cannot be one.
    refuse(&[format!("{CANARY}-bad")]);
    let bad = clinchat(&home, &["add", "gemini"], &format!("{CANARY}-bad"));
    assert!(!bad.status.success() && said(&bad).contains("the provider refuses the key"), "{}", said(&bad));
    assert!(said(&clinchat(&home, &["add", "gemini"], "two words")).contains("That is no key"));
    assert!(said(&clinchat(&home, &["rotate", "gemini"], "")).contains("the pool is empty"));

    // Rotations under load: everything but the key in use and the one before is refused at once.
    let mut gone = Vec::new();
    let (asked, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for number in 1..=rotations {
        done(&clinchat(&home, &["add", "gemini", "--json"], &format!("{CANARY}-{number}\n")));
        let before = key_in("AWSCURRENT").expect("a key");
        gone.extend(key_in("AWSPREVIOUS"));
        refuse(&gone);
        let people: Vec<Person> = (0..ASKING).map(|person| somebody(number * ASKING + person)).collect();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for person in &people {
                scope.spawn(|| {
                    let mut left = QUESTIONS;
                    // A question is under way during the whole of it, and one after it.
                    while left > 0 {
                        let last = is_over.load(Ordering::SeqCst);
                        asked.fetch_add(1, Ordering::SeqCst);
                        failed.fetch_add(usize::from(!is_answered_by_model(person)), Ordering::SeqCst);
                        left = if last { 0 } else { left - 1 };
                    }
                });
            }
            done(&clinchat(&home, &["rotate", "gemini", "--json"], ""));
            is_over.store(true, Ordering::SeqCst);
        });
        assert_eq!(key_in("AWSCURRENT"), Some(format!("{CANARY}-{number}")));
        assert_eq!(key_in("AWSPREVIOUS"), Some(before));
    }
    let (asked, failed) = (asked.into_inner(), failed.into_inner());
    println!("{rotations} rotations under load: {asked} questions, {failed} failed");
    assert_eq!(failed, 0, "of {asked} questions");
    assert!(asked >= rotations * ASKING, "{asked}");

    // The schedule's own event does nothing to a key that is new; the daily check finds it well.
    assert_eq!(invoke(&json!({ "command": "rotate-if-due" }))["gemini"], Value::Null);
    assert_eq!(invoke(&json!({ "command": "check" }))["gemini"]["error"], Value::Null);

    let status = done(&clinchat(&home, &["status", "--json"], ""));
    assert_eq!((&status["gemini"]["depth"], status["gemini"]["replaced"].is_array()), (&json!(0), true), "{status}");

    // No key is anywhere but in the secrets.
    let mut seen = vec![status.to_string(), said(&clinchat(&home, &["status"], ""))];
    for function in ["chat", "key-rotation", "audit-alerts", "audit-seal"] {
        seen.extend(key_stack().log_lines(function));
    }
    for table in ["AuditTable", "LedgerTable", "LimitsTable", "AuditStateTable"] {
        let scanned = key_stack().aws("dynamodb", "scan", json!({ "TableName": key_stack().output(table) })).expect("a table");
        seen.extend(scanned["Items"].as_array().expect("rows").iter().map(ToString::to_string));
    }
    let told = key_stack().messages(&inbox);
    seen.extend(told);
    assert!(seen.len() > 100 && seen.iter().any(|line| line.contains("key_rotation_finished")), "{}", seen.len());
    for line in seen {
        assert!(!line.contains(CANARY) && !line.contains("key-of-the-double"), "{line}");
    }
}
