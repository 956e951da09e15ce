//! Keys of providers on the deployed stack: added, rotated and taken back by the command line and by the schedule's own events, under
//! a load of questions, with a double of the providers that refuses every key that is not in use any more.

use super::harness::{Person, eventually, key_stack};
use crate::repository;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

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

/// The double has one behaviour at a time, so one test has it at a time.
static TURN: Mutex<()> = Mutex::new(());
/// What is there before the first: a document, a profile of the command line, somebody who hears the alerts.
static BEGUN: LazyLock<Begun> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("keys");
    let folder = home.join("clinchat/profiles");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("keys.json"), key_stack().profile().to_string()).expect("a profile");
    key_stack().staff("main").index("visits.txt", Some("Visits"), DOCUMENT.as_bytes());
    Begun { home, inbox: key_stack().subscriber("alerts-of-keys") }
});

struct Begun {
    home: PathBuf,
    inbox: Value,
}

/// Waits for its turn, and has the double accept every key.
fn begin() -> (&'static Begun, MutexGuard<'static, ()>) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    refuse(&[]);
    (&BEGUN, turn)
}

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

/// Asks; what is wrong with the answer, if anything is.
fn ask(person: &Person) -> Result<(), String> {
    let reply = person.call("POST", "/chat", Some(&json!({ "question": QUESTION })));
    match (reply.status, reply.body["model"].as_str()) {
        (200, Some("gemini-3.8-flash")) => Ok(()),
        (200, model) => Err(format!("answered by {model:?}")),
        (status, _) => Err(format!("{status} {}", reply.body["type"])),
    }
}

fn is_answered_by_model(person: &Person) -> bool {
    ask(person).is_ok()
}

/// Why the chat function had no answer from a provider, each time.
fn reasons() -> Vec<String> {
    let lines = key_stack().log_lines("chat");
    lines.into_iter().filter(|line| line.contains("no answer from this provider")).collect()
}

/// Somebody of the tenant who has asked nothing yet.
fn somebody(number: usize) -> Person {
    let group = format!("access:load-{number}");
    key_stack().person("main", &["clinician", &group])
}

/// Adds a key and puts it into use.
fn bring(home: &Path, name: &str) -> String {
    let key = format!("{CANARY}-{name}");
    done(&clinchat(home, &["add", "gemini", "--name", name, "--json"], &key));
    done(&clinchat(home, &["rotate", "gemini", "--json"], ""));
    assert_eq!(key_in("AWSCURRENT"), Some(key.clone()));
    key
}

/// No key is anywhere but in the secrets; answers what was told.
fn nothing_is_shown(begun: &Begun) -> Vec<String> {
    let mut seen = vec![said(&clinchat(&begun.home, &["status"], ""))];
    for function in ["chat", "key-rotation", "audit-alerts", "audit-seal"] {
        seen.extend(key_stack().log_lines(function));
    }
    for table in ["AuditTable", "LedgerTable", "LimitsTable", "AuditStateTable"] {
        let scanned = key_stack().aws("dynamodb", "scan", json!({ "TableName": key_stack().output(table) })).expect("a table");
        seen.extend(scanned["Items"].as_array().expect("rows").iter().map(ToString::to_string));
    }
    let told = key_stack().messages(&begun.inbox);
    seen.extend(told.iter().cloned());
    assert!(seen.len() > 100 && seen.iter().any(|line| line.contains("key_rotation_finished")), "{}", seen.len());
    for line in seen {
        assert!(!line.contains(CANARY) && !line.contains("key-of-the-double"), "{line}");
    }
    told
}

/// The steps of Secrets Manager that the function has logged as done, in their order.
fn steps_done() -> Vec<String> {
    let lines = key_stack().log_lines("key-rotation");
    let done = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter(|line| line["message"] == "done");
    let step = |line: Value| line["step"].as_str().filter(|step| step.ends_with("Secret")).map(str::to_owned);
    done.filter_map(step).collect()
}

#[test]
fn keys_are_rotated_under_load_without_a_failed_question() {
    let (begun, _turn) = begin();
    let home = &begun.home;
    let rotations = std::env::var("CLINCHAT_ROTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(ROTATIONS);
    assert!(is_answered_by_model(&somebody(0)), "the stack answers");

    // Rotations under load: everything but the key in use and the one before is refused at once.
    let mut gone = Vec::new();
    let (asked, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    for number in 1..=rotations {
        let name = format!("load-{number}");
        done(&clinchat(home, &["add", "gemini", "--name", &name, "--json"], &format!("{CANARY}-{name}\n")));
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
                        if let Err(wrong) = ask(person) {
                            failed.lock().unwrap_or_else(PoisonError::into_inner).push(format!("rotation {number}: {wrong}"));
                        }
                        left = if last { 0 } else { left - 1 };
                    }
                });
            }
            done(&clinchat(home, &["rotate", "gemini", "--json"], ""));
            is_over.store(true, Ordering::SeqCst);
        });
        assert_eq!(key_in("AWSCURRENT"), Some(format!("{CANARY}-{name}")));
        assert_eq!(key_in("AWSPREVIOUS"), Some(before));
    }
    let (asked, failed) = (asked.into_inner(), failed.into_inner().unwrap_or_else(PoisonError::into_inner));
    println!("{rotations} rotations under load: {asked} questions, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}\n{:#?}", reasons());
    assert!(asked >= rotations * ASKING, "{asked}");

    // The schedule's own event does nothing to a key that is new; the daily check finds it well.
    assert_eq!(invoke(&json!({ "command": "rotate-if-due" }))["gemini"], Value::Null);
    assert_eq!(invoke(&json!({ "command": "check" }))["gemini"]["error"], Value::Null);
    nothing_is_shown(begun);
}

#[test]
fn a_bad_key_in_use_is_taken_back_and_no_question_fails() {
    let (begun, _turn) = begin();
    let good = bring(&begun.home, "good");
    let bad = bring(&begun.home, "bad");
    // Whoever still uses an older one reads anew.
    refuse(std::slice::from_ref(&good));
    assert!(is_answered_by_model(&somebody(900)), "with the new key");
    // It tells of a change only: it must be over before there is another.
    let alarm = json!({ "AlarmNames": [key_stack().name_of("refused-keys", '-')] });
    eventually("the alarm about refused keys is quiet", || {
        let alarms = key_stack().aws("cloudwatch", "describe_alarms", alarm.clone()).expect("alarms");
        (alarms["MetricAlarms"][0]["StateValue"] != "ALARM").then_some(())
    });
    // Accepted when it was tried, refused when it is used: chats go on, the one before is put back.
    refuse(&[bad]);
    let started = Instant::now();
    let mut number = 900;
    eventually("the key before is in use again", || {
        number += 1;
        assert!(is_answered_by_model(&somebody(number)), "with the key before");
        (key_in("AWSCURRENT").as_ref() == Some(&good)).then_some(())
    });
    let (seconds, asked) = (started.elapsed().as_secs_f64(), number - 900);
    println!("a bad key in use: taken back after {seconds:.1} s; {asked} questions meanwhile, 0 failed");
    eventually("somebody is told", || {
        nothing_is_shown(begun).iter().any(|message| message.contains("key_rolled_back")).then_some(())
    });
    // Nothing is left to do, by whatever looks next.
    for command in ["watch", "tend"] {
        let said = invoke(&json!({ "command": command }));
        assert_eq!((&said["gemini"]["rolled_back"], said["gemini"].get("error")), (&json!(false), None), "{said}");
    }
}

#[test]
fn secrets_manager_rotates_in_its_own_order() {
    let (begun, _turn) = begin();
    let name = json!({ "FunctionName": key_stack().output("KeyRotationFunction") });
    let function = key_stack().aws("lambda", "get_function_configuration", name).expect("a function")["FunctionArn"].take();
    let rotate = |at_once: bool| {
        let rotate = json!({
            "SecretId": key_stack().output("GeminiKey"), "RotationLambdaARN": function,
            "RotationRules": { "AutomaticallyAfterDays": 30 }, "RotateImmediately": at_once,
        });
        key_stack().aws("secretsmanager", "rotate_secret", rotate).expect("a rotation");
    };
    // Switched on for later: it is tried out, and nothing changes.
    let (current, before) = (key_in("AWSCURRENT"), steps_done().len());
    rotate(false);
    eventually("the rotation is tried out", || (steps_done()[before..] == ["testSecret"]).then_some(()));
    assert_eq!(key_in("AWSCURRENT"), current);
    // Now: its four steps, in its order.
    let key = format!("{CANARY}-own");
    done(&clinchat(&begun.home, &["add", "gemini", "--name", "own", "--json"], &key));
    let before = steps_done().len();
    rotate(true);
    eventually("Secrets Manager has rotated", || (steps_done().len() >= before + 4).then_some(()));
    assert_eq!(steps_done()[before..], ["createSecret", "setSecret", "testSecret", "finishSecret"]);
    assert_eq!((key_in("AWSCURRENT"), key_in("AWSPREVIOUS")), (Some(key), current));
    let status = done(&clinchat(&begun.home, &["status", "--json"], ""));
    assert_eq!(
        (&status["gemini"]["is_rotation_enabled"], &status["gemini"]["pending"]),
        (&json!(true), &Value::Null),
        "{status}"
    );
    assert!(is_answered_by_model(&somebody(800)));
    nothing_is_shown(begun);
}

#[test]
fn what_an_operator_does_wrong_is_said_and_has_a_way_out() {
    let (begun, _turn) = begin();
    let home = &begun.home;
    let fails = |arguments: &[&str], input: &str, expected: &str| {
        let output = clinchat(home, arguments, input);
        assert!(!output.status.success() && said(&output).contains(expected), "{arguments:?}: {}", said(&output));
    };
    done(&clinchat(home, &["remove", "gemini", "--all", "--json"], ""));
    let bad = format!("{CANARY}-refused");
    refuse(std::slice::from_ref(&bad));
    fails(&["add", "gemini"], &bad, "the provider refuses the key (bad_key): nothing was changed");
    fails(&["add", "gemini"], "two words", "That is no key");
    fails(&["add", "gemini", "--name", "My key"], "key", "a key's name is of a to z");
    fails(&["add", "acme"], "key", "it is one of gemini, groq, openai-compatible");
    fails(&["add", "openai-compatible"], "key", "The stack has no key of openai-compatible");
    fails(&["rotate", "gemini"], "", "the pool is empty: add a key with `clinchat keys add`");
    fails(&["remove", "gemini", "nobody"], "", "no key of this name waits");
    fails(&["add", "gemini"], &key_in("AWSCURRENT").expect("a key"), "this key is the one in use");

    // A pool that nobody can read: the status shows the rest, and says the way out, which works.
    let pool = |text: &str| {
        let put = json!({ "SecretId": key_stack().output("GeminiPool"), "SecretString": text });
        key_stack().aws("secretsmanager", "put_secret_value", put).expect("a pool");
    };
    pool("{\"keys\": [{}]}");
    fails(&["rotate", "gemini"], "", "empty it with `clinchat keys remove PROVIDER --all`");
    let status = said(&clinchat(home, &["status"], ""));
    assert!(status.contains("in use") && status.contains("the pool's text is not"), "{status}");
    done(&clinchat(home, &["remove", "gemini", "--all", "--json"], ""));

    // Something in use that is no key: chats pass over it, and an operator replaces it.
    bring(home, "before-scribble");
    let put = json!({ "SecretId": key_stack().output("GeminiKey"), "SecretString": "{\"api_key\": 5}" });
    key_stack().aws("secretsmanager", "put_secret_value", put).expect("a version");
    let status = said(&clinchat(home, &["status"], ""));
    assert!(status.contains("not a key"), "{status}");
    assert!(is_answered_by_model(&somebody(700)), "with the key before");
    let current = bring(home, "after-scribble");
    assert!(is_answered_by_model(&somebody(701)));
    // And back: the one before is no key, so there is none to go back to.
    fails(&["rollback", "gemini"], "", "no previous key to go back to");
    assert_eq!(key_in("AWSCURRENT"), Some(current));
    nothing_is_shown(begun);
}
