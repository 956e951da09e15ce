//! The audit trail from an act to a laptop: what people do is appended, sealed, downloaded, found sound, and found out when it
//! is changed. The command line is the built program, as an auditor runs it.

use super::harness::{eventually, stack};
use crate::repository;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TENANT: &str = "sealed";

/// A folder of this test.
fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Runs the command line with the stack's credentials and a profile of it.
pub fn clinchat(home: &Path, arguments: &[&str]) -> Output {
    let program = repository::root().join("target/debug/clinchat");
    let mut command = Command::new(program);
    command.args(["--profile", "sealing"]).args(arguments).env("XDG_CONFIG_HOME", home).current_dir(home);
    command.envs(stack().environment()).output().expect("`make build` makes the command line")
}

fn write_profile(home: &Path) {
    let folder = home.join("clinchat/profiles");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("sealing.json"), stack().profile().to_string()).expect("a profile");
}

pub fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// A folder of a test, with a profile of the stack in it.
pub fn home(name: &str) -> PathBuf {
    let home = scratch(name);
    write_profile(&home);
    home
}

/// Names of a tenant's sealed files.
fn sealed_files() -> Vec<String> {
    let list = json!({ "Bucket": stack().output("ArchiveBucket"), "Prefix": format!("trail/{TENANT}/") });
    let page = stack().aws("s3", "list_objects_v2", list).expect("a list");
    page["Contents"].as_array().into_iter().flatten().map(|o| o["Key"].as_str().expect("a key").to_owned()).collect()
}

/// A batch of the stream that offers rows again.
fn replay(rows: &[Value]) -> Value {
    let records = rows.iter().enumerate().map(|(at, row)| {
        json!({ "eventName": "INSERT", "dynamodb": { "SequenceNumber": at.to_string(), "ApproximateCreationDateTime": 1, "NewImage": row } })
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// Waits until every row is sealed, and answers the rows and what the command line says of its copy.
fn all_sealed(home: &Path, copy: &str, key: &str) -> (Vec<Value>, Value) {
    eventually("every row is sealed", || {
        let _ = fs::remove_dir_all(copy);
        if !clinchat(home, &["audit", "download", copy, "--tenant", TENANT, "--json"]).status.success() {
            return None;
        }
        let verified = clinchat(home, &["audit", "verify", copy, "--key", key, "--json"]);
        assert_eq!(verified.status.code(), Some(0), "{}", json_of(&verified));
        let report = json_of(&verified)["trails"][0].take();
        let rows = stack().audit_rows(TENANT);
        (report["rows"].as_u64() == Some(rows.len() as u64)).then_some((rows, report))
    })
}

fn rows_of_the_table_can_be_offered_again(home: &Path, id: &str, key: &str) {
    // The last question's rows may come in several batches.
    all_sealed(home, home.join("all").to_str().expect("text"), key);
    // Rows that the stream has lost come back from the table; what is sealed already is left out.
    let batches = home.join("batches");
    let written = clinchat(home, &["audit", "replay", batches.to_str().expect("text"), "--tenant", TENANT]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let sealed = sealed_files();
    for batch in fs::read_dir(&batches).expect("batches") {
        let batch = fs::read_to_string(batch.expect("a batch").path()).expect("text");
        assert!(batch.contains(id), "the event is in it");
        let invoke = json!({ "FunctionName": stack().name_of("audit-seal", '-'), "Payload": batch });
        let answer = stack().aws("lambda", "invoke", invoke).expect("an answer");
        assert_eq!(answer.get("FunctionError"), None, "{answer}");
    }
    assert_eq!(sealed_files().len(), sealed.len(), "a row was sealed twice");
}

#[test]
fn what_people_do_is_sealed_downloaded_found_sound_and_found_out_when_changed() {
    let home = home("sealing");
    let staff = stack().staff(TENANT);
    staff.index("towels.txt", None, b"Clean towels are kept in the linen room behind the lift.");
    staff.ask("Where are clean towels kept?");
    staff.ask("What is the airspeed of a swallow?");

    // Everything that was appended is sealed, and can be fetched with the command line.
    let copy = home.join("copy");
    let copy_text = copy.to_str().expect("text");
    let key = home.join("public.pem");
    let key_text = key.to_str().expect("text");
    let public = stack().aws("kms", "get_public_key", json!({ "KeyId": stack().output("SealKey") })).expect("a key");
    let der = public["PublicKey"]["$base64"].as_str().expect("bytes");
    fs::write(&key, format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")).expect("a file");
    let (rows, report) = all_sealed(&home, copy_text, key_text);
    assert!(rows.len() >= 4, "upload, index, two questions: {}", rows.len());
    assert_eq!((&report["trail"], &report["head"]["count"]), (&json!(TENANT), &json!(rows.len())));
    let kept =
        fs::read(fs::read_dir(copy.join("keys")).expect("keys").next().expect("a key").expect("a key").path()).expect("a key");
    assert_eq!(STANDARD.decode(String::from_utf8_lossy(&kept).lines().nth(1).expect("a line")).ok(), STANDARD.decode(der).ok());

    // Rows that are offered again, from the very beginning, by a function that remembers nothing of them, change nothing.
    let files = sealed_files();
    let name = stack().name_of("audit-seal", '-');
    let invoke = json!({ "FunctionName": name, "Payload": replay(&rows).to_string() });
    let answer = stack().aws("lambda", "invoke", invoke).expect("an answer");
    assert_eq!(answer.get("FunctionError"), None, "{answer}");
    assert_eq!(sealed_files(), files, "a repeat was sealed");

    // One event is proven to somebody who has the proof and the key.
    let row = rows.iter().find(|row| row["outcome"]["S"] == "success").expect("something was done");
    let id = row["id"]["S"].as_str().expect("an id");
    let proof = clinchat(&home, &["audit", "prove", id, "--dir", copy_text, "--key", key_text]);
    assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stderr));
    let file = home.join("proof.json");
    fs::write(&file, &proof.stdout).expect("a file");
    let file_text = file.to_str().expect("text");
    let checked = clinchat(&home, &["audit", "check-proof", file_text, "--key", key_text, "--json"]);
    assert_eq!((checked.status.code(), &json_of(&checked)["proven"]), (Some(0), &json!(true)));
    let fetched = clinchat(&home, &["audit", "prove", id, "--tenant", TENANT, "--key", key_text]);
    assert_eq!(json_of(&fetched), json_of(&proof), "the same without a copy");
    let other = String::from_utf8_lossy(&proof.stdout).replace("success", "failure");
    fs::write(&file, other).expect("a file");
    assert_eq!(clinchat(&home, &["audit", "check-proof", file_text, "--key", key_text]).status.code(), Some(5));

    // The head is pinned elsewhere, and met; a copy that lacks the last file is found out by it, and by nothing else.
    let pinned = stack().aws("lambda", "invoke", json!({ "FunctionName": stack().name_of("audit-pin", '-'), "Payload": "{}" }));
    assert_eq!(pinned.as_ref().map(|answer| answer.get("FunctionError")), Ok(None), "{pinned:?}");
    let heads = json!({ "Bucket": stack().output("PinBucket"), "Prefix": format!("heads/{TENANT}/") });
    let heads = stack().aws("s3", "list_objects_v2", heads).expect("a list");
    let name = heads["Contents"][0]["Key"].as_str().expect("a head");
    let body = stack().aws("s3", "get_object", json!({ "Bucket": stack().output("PinBucket"), "Key": name })).expect("a head");
    let head = home.join("head.json");
    fs::write(&head, STANDARD.decode(body["Body"]["$base64"].as_str().expect("bytes")).expect("bytes")).expect("a file");
    let head_text = head.to_str().expect("text");
    let with_head = ["audit", "verify", copy_text, "--key", key_text, "--head", head_text, "--json"];
    let verified = json_of(&clinchat(&home, &with_head));
    assert_eq!((&verified["sound"], &verified["trails"][0]["heads_met"]), (&json!(true), &json!(1)), "{verified}");

    // Under that head the event is proven to whoever keeps the head, though the trail has grown since.
    stack().staff(TENANT).ask("Where are clean towels kept?");
    let grown = home.join("grown");
    let grown_text = grown.to_str().expect("text");
    let pinned_head: Value = serde_json::from_str(&fs::read_to_string(&head).expect("a head")).expect("JSON");
    let pinned_files = pinned_head["files"].as_u64();
    eventually("the trail has grown", || {
        let downloaded = json_of(&clinchat(&home, &["audit", "download", grown_text, "--tenant", TENANT, "--json"]));
        (downloaded["last_file"].as_u64() > pinned_files).then_some(())
    });
    let proof = clinchat(&home, &["audit", "prove", id, "--dir", grown_text, "--key", key_text, "--head", head_text]);
    assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stderr));
    fs::write(&file, &proof.stdout).expect("a file");
    let check = ["audit", "check-proof", file_text, "--key", key_text, "--head", head_text];
    assert_eq!(clinchat(&home, &check).status.code(), Some(0), "the head's owner has what it takes");
    let latest = clinchat(&home, &["audit", "prove", id, "--dir", grown_text, "--key", key_text]);
    fs::write(&file, &latest.stdout).expect("a file");
    assert_eq!(clinchat(&home, &check).status.code(), Some(5), "that is another root");

    rows_of_the_table_can_be_offered_again(&home, id, key_text);
    let last = copy.join(files.last().expect("a file"));
    let kept = fs::read(&last).expect("a file");
    fs::remove_file(&last).expect("a file");
    let cut = clinchat(&home, &with_head);
    assert_eq!((cut.status.code(), &json_of(&cut)["sound"]), (Some(5), &json!(false)));
    fs::write(&last, kept).expect("a file");

    // One byte is enough.
    let mut bytes = fs::read(&last).expect("a file");
    let place = bytes.len() - 20;
    bytes[place] ^= 1;
    fs::write(&last, bytes).expect("a file");
    let verified = clinchat(&home, &["audit", "verify", copy_text, "--key", key_text, "--json"]);
    assert_eq!(verified.status.code(), Some(5));
    let finding = json_of(&verified)["trails"][0].take();
    assert_eq!(finding["sound"], false, "{finding}");
    assert!(finding["first_bad"].as_u64().is_some_and(|row| (1..=rows.len() as u64).contains(&row)), "{finding}");
    assert!(last.ends_with(finding["file"].as_str().expect("a name")), "{finding}");
}

#[test]
fn the_archive_keeps_what_it_has() {
    let archive = stack().output("ArchiveBucket");
    stack().staff("kept").ask("Is there a row?");
    let key = "trail/kept/000000000001.jsonl.gz";
    let at = json!({ "Bucket": archive, "Key": key });
    let head = eventually("a row is sealed", || stack().aws("s3", "head_object", at.clone()).ok());
    assert_eq!(head["ObjectLockMode"], "COMPLIANCE", "{head}");
    let role = stack().credentials_of("audit-seal");
    let seal = |operation: &str, parameters: Value| stack().aws_as(Some(&role), "s3", operation, parameters);
    let again = json!({ "Bucket": archive, "Key": key, "Body": "x", "IfNoneMatch": "*" });
    assert_eq!(seal("put_object", again), Err("PreconditionFailed".to_owned()));
    let version = json!({ "Bucket": archive, "Key": key, "VersionId": head["VersionId"] });
    for (who, credentials) in [("the seal", Some(&role)), ("the root", None)] {
        assert!(stack().aws_as(credentials, "s3", "delete_object", version.clone()).is_err(), "{who} erases a version");
    }
    assert!(seal("delete_object", at.clone()).is_err(), "the seal hides a file");
    let shorter = json!({ "Bucket": archive, "Key": key, "Retention": { "Mode": "GOVERNANCE", "RetainUntilDate": "2020-01-01T00:00:00Z" } });
    assert!(stack().aws("s3", "put_object_retention", shorter).is_err(), "the lock is shortened");
    let pin =
        json!({ "Bucket": stack().output("PinBucket"), "Key": "heads/kept/000000000001.json", "Body": "{}", "IfNoneMatch": "*" });
    assert!(seal("put_object", pin).is_err(), "whoever writes the trail pins its head");
    for function in ["chat", "documents", "indexer", "audit", "audit-pin"] {
        let role = stack().credentials_of(function);
        let put = json!({ "Bucket": archive, "Key": "trail/kept/000000000009.jsonl.gz", "Body": "x", "IfNoneMatch": "*" });
        assert!(stack().aws_as(Some(&role), "s3", "put_object", put).is_err(), "{function} writes the archive");
        let reads = stack().aws_as(Some(&role), "s3", "get_object", at.clone()).is_ok();
        assert_eq!(reads, function == "audit-pin", "{function} reads the archive");
        let sign = json!({ "KeyId": stack().output("SealKey"), "Message": { "$base64": "AA==" }, "MessageType": "RAW", "SigningAlgorithm": "ED25519_SHA_512" });
        assert!(stack().aws_as(Some(&role), "kms", "sign", sign).is_err(), "{function} signs");
    }
    let read = json!({ "TableName": stack().output("AuditTable") });
    assert!(stack().aws_as(Some(&role), "dynamodb", "scan", read).is_err(), "the seal reads the table");
}
