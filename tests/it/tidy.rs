//! The rules of the house that a reader of the files can check, each test named after its invariant.

use crate::repository::{files, names, root, rust_files, text};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// What cargo knows about the workspace and everything it is made of, for the machine that runs the tests.
static METADATA: LazyLock<Value> = LazyLock::new(|| {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root()).output().expect("the toolchain runs");
        assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let version = run("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let arguments = ["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host];
    serde_json::from_str(&run(env!("CARGO"), &arguments)).expect("JSON")
});

/// A crate of the workspace.
struct Member {
    name: String,
    /// From the root, such as `shared/domain`.
    folder: PathBuf,
    /// What it is built with, tests aside.
    dependencies: BTreeSet<String>,
}

impl Member {
    fn is_in(&self, folder: &str) -> bool {
        self.folder.starts_with(folder)
    }
}

fn members() -> Vec<Member> {
    let packages = METADATA["packages"].as_array().expect("packages");
    let members: Vec<Member> = packages
        .iter()
        .filter(|package| package["source"].is_null())
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
            let folder = manifest.parent().and_then(|folder| folder.strip_prefix(root()).ok()).expect("a folder of ours");
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            let dependencies =
                dependencies.filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().expect("a name").to_owned());
            Member {
                name: package["name"].as_str().expect("a name").to_owned(),
                folder: folder.to_path_buf(),
                dependencies: dependencies.collect(),
            }
        })
        .collect();
    assert!(members.len() >= 14, "the workspace has {} crates", members.len());
    members
}

/// A file without its tests, which end every file that has some.
fn without_tests(text: &str) -> &str {
    text.split_once("\n#[cfg(test)]").map_or(text, |(code, _)| code)
}

/// Lines of the code (not of its comments) that hold one of these words.
fn lines_with(folder: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in rust_files(folder) {
        for (at, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
    found
}

fn folders(parent: &str) -> Vec<String> {
    names(parent).into_iter().filter(|name| root().join(parent).join(name).is_dir()).collect()
}

#[test]
fn i1_domain_does_no_io_and_reads_no_clock_and_no_environment() {
    let outside = [
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "::now()",
        "tokio::",
        "getrandom",
        "rand::",
        "println!",
        "eprintln!",
        "tracing::",
    ];
    assert_eq!(lines_with("shared/domain/src", &outside), [""; 0]);
    let allowed = ["async-trait", "hmac", "jiff", "rust-stemmers", "serde", "serde_json", "sha2", "thiserror", "ulid"];
    let domain = members().into_iter().find(|member| member.name == "domain").expect("a domain");
    assert_eq!(
        domain.dependencies.iter().map(String::as_str).filter(|name| !allowed.contains(name)).collect::<Vec<_>>(),
        [""; 0]
    );
}

#[test]
fn i2_an_aws_sdk_crate_is_a_dependency_of_exactly_one_crate_in_shared() {
    let mut users: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for member in members() {
        for dependency in member.dependencies.iter().filter(|name| name.starts_with("aws-sdk-") || *name == "aws-config") {
            users.entry(dependency.clone()).or_default().push(member.folder.clone());
        }
    }
    assert!(users.len() >= 3, "S3, DynamoDB and the configuration: {users:?}");
    for (sdk, users) in users {
        assert!(matches!(users.as_slice(), [user] if user.starts_with("shared")), "{sdk} is used by {users:?}");
    }
}

#[test]
fn the_arrows_between_the_crates_point_one_way() {
    /// Crates of one technology each. None of them knows another.
    const ADAPTERS: &[&str] = &[
        "accesslog",
        "alerts",
        "bedrock",
        "deid",
        "embed",
        "extract",
        "index",
        "llm",
        "objects",
        "ocr",
        "seal",
        "secrets",
        "signing",
        "store",
        "vault",
        "vectors",
    ];
    let members = members();
    let functions: Vec<&str> = members.iter().filter(|m| m.is_in("functions")).map(|m| m.name.as_str()).collect();
    let ours: BTreeSet<&str> = members.iter().map(|m| m.name.as_str()).collect();
    for member in &members {
        let uses: Vec<&str> = member.dependencies.iter().map(String::as_str).filter(|name| ours.contains(name)).collect();
        let allowed = |name: &str| match member.name.as_str() {
            "domain" => false,
            "runtime" | "testkit" => name == "domain",
            "api" => ["domain", "runtime"].contains(&name),
            // The ports to outside models take the text that only the de-identifier makes (I3).
            "llm" => ["domain", "deid"].contains(&name),
            "bedrock" => ["domain", "llm"].contains(&name),
            adapter if ADAPTERS.contains(&adapter) => name == "domain",
            _ if member.is_in("functions") => !functions.contains(&name) && !["testkit", "cli", "bench", "tests"].contains(&name),
            _ if member.is_in("shared") => false,
            // The command line, the bench and the tests may use everything.
            _ => true,
        };
        let wrong: Vec<&str> = uses.into_iter().filter(|name| !allowed(name)).collect();
        assert_eq!(wrong, [""; 0], "{} may not use these", member.name);
    }
    let unknown: Vec<&str> = members
        .iter()
        .filter(|m| m.is_in("shared") && !ADAPTERS.contains(&m.name.as_str()))
        .map(|m| m.name.as_str())
        .filter(|name| !["domain", "runtime", "api", "testkit"].contains(name))
        .collect();
    assert_eq!(unknown, [""; 0], "say in this test what these crates are");
}

#[test]
fn i5_the_environment_is_read_in_config_files_only() {
    let mut found = lines_with("functions", &["std::env", "env::var", "env::args", "from_env(", "option_env!"]);
    found.extend(lines_with("shared", &["env::var", "option_env!"]));
    // Everything that reads goes through one type, which is used in each function's `config.rs`.
    let allowed = |line: &str| {
        line.contains("/config.rs:") || line.starts_with("shared/runtime/src/env.rs:") || line.contains("Config::from_env()?")
    };
    assert_eq!(found.iter().filter(|line| !allowed(line)).collect::<Vec<_>>(), [""; 0]);
    let users = lines_with("functions", &["runtime::env::Env", "env::{Env"]);
    assert_eq!(users.len(), folders("functions").len(), "{users:?}");
    assert!(users.iter().all(|line| line.contains("/config.rs:")), "{users:?}");
    let sdk = lines_with("shared", &["aws_config::"]);
    assert!(!sdk.is_empty() && sdk.iter().all(|line| line.contains("shared/runtime/src/aws.rs:")), "{sdk:?}");
}

/// `key-rotation` to `KeyRotation`.
fn camel(kebab: &str) -> String {
    kebab.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

#[test]
fn i7_a_folder_in_functions_is_a_function_of_the_template_is_a_sample_event() {
    let folders = folders("functions");
    let template = crate::template::template();
    let deployed: Vec<(String, Value)> = template["Resources"]
        .as_object()
        .expect("resources")
        .iter()
        .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
        .map(|(id, resource)| (id.clone(), resource["Properties"].clone()))
        .collect();
    let mut expected: Vec<String> = folders.iter().map(|folder| format!("{}Function", camel(folder))).collect();
    expected.sort();
    let mut ids: Vec<String> = deployed.iter().map(|(id, _)| id.clone()).collect();
    ids.sort();
    assert_eq!(ids, expected);
    let members = members();
    let events = names("events");
    for folder in &folders {
        let (_, properties) =
            deployed.iter().find(|(id, _)| *id == format!("{}Function", camel(folder))).expect("a function of the template");
        assert_eq!(properties["CodeUri"], format!("target/lambda/{folder}/"));
        assert_eq!(properties["FunctionName"]["Fn::Sub"], format!("${{AWS::StackName}}-{folder}"));
        assert!(members.iter().any(|m| m.name == *folder && m.folder == Path::new("functions").join(folder)), "{folder}");
        assert!(events.iter().any(|event| event.starts_with(&format!("{folder}."))), "{folder} has no sample event");
    }
    for event in &events {
        let (folder, rest) = event.split_once('.').expect("a function and a case");
        assert!(folders.iter().any(|name| name == folder) && rest.rsplit('.').next() == Some("json"), "{event} is no function's");
        let event: Value = serde_json::from_str(&text(format!("events/{event}"))).expect("an event is JSON");
        assert!(event.is_object());
    }
    // Every route of the template has a sample.
    let routes = deployed.iter().flat_map(|(_, properties)| properties["Events"].as_object().expect("events").values());
    let routes = routes.filter(|event| event["Type"] == "Api").map(|event| &event["Properties"]);
    let samples: Vec<Value> = events.iter().map(|e| serde_json::from_str(&text(format!("events/{e}"))).expect("JSON")).collect();
    for route in routes {
        let method = route["Method"].as_str().expect("a method").to_uppercase();
        let has_sample = samples.iter().any(|s| s["resource"] == route["Path"] && s["httpMethod"] == method.as_str());
        assert!(has_sample, "{method} {} has no sample event", route["Path"]);
    }
}

#[test]
fn no_function_is_silent() {
    let telemetry = text("shared/runtime/src/telemetry.rs");
    for folder in folders("functions") {
        let listed = format!("    \"{}\",", folder.replace('-', "_"));
        assert!(telemetry.contains(&listed), "the log lines of functions/{folder} are dropped");
    }
}

#[test]
fn a_function_starts_in_at_most_forty_lines() {
    for folder in folders("functions") {
        let lines = text(format!("functions/{folder}/src/main.rs")).lines().count();
        assert!((1..=40).contains(&lines), "functions/{folder}/src/main.rs has {lines} lines");
    }
}

#[test]
fn every_function_says_what_starts_it_what_it_reads_and_may_do_and_how_to_try_it() {
    for folder in folders("functions") {
        let readme = text(format!("functions/{folder}/README.md"));
        let headings: Vec<&str> =
            readme.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim()).collect();
        for heading in ["Trigger", "Environment", "Permissions", "Alarms", "Try it"] {
            assert!(headings.contains(&heading), "functions/{folder}/README.md has no heading {heading:?}: {headings:?}");
        }
        let config = text(format!("functions/{folder}/src/config.rs"));
        let variables =
            config.split('"').filter(|part| part.len() > 2 && part.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        for variable in variables {
            assert!(readme.contains(variable), "functions/{folder}/README.md does not name {variable}");
        }
    }
}

#[test]
fn no_file_module_or_type_has_a_name_that_says_nothing() {
    const FORBIDDEN: &[&str] =
        &["util", "utils", "common", "helper", "helpers", "manager", "service", "data", "info", "process", "dto", "impl"];
    /// Where the word is the thing itself.
    const NAMED: &[(&str, &str)] = &[("bench/src/process.rs", "a process of the operating system is what is measured")];
    let mut found = Vec::new();
    for path in files(".").iter().map(|path| path.strip_prefix(".").unwrap_or(path)) {
        let parts = path.iter().map(|part| part.to_string_lossy().to_lowercase());
        let bad = parts
            .map(|part| part.split('.').next().unwrap_or_default().to_owned())
            .any(|part| FORBIDDEN.contains(&part.as_str()));
        if bad && !NAMED.iter().any(|(name, _)| path == Path::new(name)) {
            found.push(path.display().to_string());
        }
    }
    for (path, text) in rust_files(".") {
        for line in text.lines() {
            let words: Vec<&str> =
                line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
            let declared = words.iter().position(|word| ["struct", "enum", "trait", "type", "mod"].contains(word));
            let plain = ["pub", "crate", "super", "in", "unsafe", "r"];
            let Some(at) = declared.filter(|at| words[..*at].iter().all(|word| plain.contains(word))) else { continue };
            let Some(name) = words.get(at + 1).filter(|_| !line.trim_start().starts_with(['/', '"', '*'])) else { continue };
            let last = name.rfind(|c: char| c.is_uppercase()).map_or(*name, |start| &name[start..]);
            let exempt = NAMED.iter().any(|(named, _)| path.ends_with(named) || text_of_module(named) == *name);
            if !exempt && (FORBIDDEN.contains(&last.to_lowercase().as_str()) || FORBIDDEN.contains(&name.to_lowercase().as_str()))
            {
                found.push(format!("{}: {}", path.display(), line.trim()));
            }
        }
    }
    assert_eq!(found, [""; 0]);
}

/// The module that a file is.
fn text_of_module(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

#[test]
fn nothing_in_the_repository_names_the_machine_it_was_written_on() {
    // In pieces, so that this file is not among the found.
    let machine = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home", "/")];
    let registry =
        [concat!("index", "-url"), concat!("replace", "-with"), concat!("trusted", "-host"), concat!("artifact", "ory")];
    let mut looked_at = 0;
    let mut found = Vec::new();
    for path in files(".") {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        looked_at += 1;
        for (at, line) in text.lines().enumerate() {
            if machine.iter().chain(&registry).any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), at + 1, line.chars().take(160).collect::<String>()));
            }
        }
    }
    assert!(looked_at > 150, "only {looked_at} files were looked at");
    assert_eq!(found, [""; 0]);
    let sources = text("Cargo.lock");
    let sources = sources.lines().filter_map(|line| line.strip_prefix("source = "));
    let foreign: BTreeSet<&str> =
        sources.filter(|source| !source.contains("registry+https://github.com/rust-lang/crates.io-index")).collect();
    assert_eq!(foreign, BTreeSet::new(), "crates come from the public registry only");
}

/// Everything that ends up in a binary of ours: normal dependencies of the functions and the command line, transitively.
fn linked() -> Vec<&'static Value> {
    let packages: BTreeMap<&str, &Value> =
        METADATA["packages"].as_array().expect("packages").iter().map(|p| (p["id"].as_str().expect("an id"), p)).collect();
    let nodes: BTreeMap<&str, &Value> =
        METADATA["resolve"]["nodes"].as_array().expect("nodes").iter().map(|n| (n["id"].as_str().expect("an id"), n)).collect();
    let shipped = |id: &&str| {
        let path = packages[*id]["manifest_path"].as_str().expect("a path");
        packages[*id]["source"].is_null() && (path.contains("/functions/") || packages[*id]["name"] == "cli")
    };
    let mut open: Vec<&str> = nodes.keys().copied().filter(shipped).collect();
    let mut seen: BTreeSet<&str> = open.iter().copied().collect();
    while let Some(id) = open.pop() {
        for dependency in nodes[id]["deps"].as_array().expect("dependencies") {
            let is_linked = dependency["dep_kinds"].as_array().expect("kinds").iter().any(|kind| kind["kind"].is_null());
            let id = dependency["pkg"].as_str().expect("an id");
            if is_linked && seen.insert(id) {
                open.push(id);
            }
        }
    }
    let linked: Vec<&Value> = seen.into_iter().map(|id| packages[id]).filter(|package| !package["source"].is_null()).collect();
    assert!(linked.len() > 100, "only {} crates are linked", linked.len());
    linked
}

/// Whether an SPDX expression can be fulfilled with these licences alone. `AND` binds tighter than `OR`.
fn fulfilled(expression: &str, with: &[&str]) -> bool {
    fn any(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, with: &[&str]) -> bool {
        let mut result = all(tokens, with);
        while tokens.next_if(|token| token == "OR" || token == "/").is_some() {
            result |= all(tokens, with);
        }
        result
    }
    fn all(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, with: &[&str]) -> bool {
        let mut result = one(tokens, with);
        while tokens.next_if(|token| token == "AND").is_some() {
            result &= one(tokens, with);
        }
        result
    }
    fn one(tokens: &mut std::iter::Peekable<std::vec::IntoIter<String>>, with: &[&str]) -> bool {
        let Some(token) = tokens.next() else { return false };
        if token == "(" {
            let result = any(tokens, with);
            return tokens.next().is_some_and(|token| token == ")") && result;
        }
        // An exception only widens what the licence allows.
        if tokens.next_if(|token| token == "WITH").is_some() {
            tokens.next();
        }
        with.contains(&token.as_str())
    }
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " / ");
    let tokens: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut tokens = tokens.into_iter().peekable();
    any(&mut tokens, with) && tokens.peek().is_none()
}

#[test]
fn licence_expressions_are_read_as_spdx_means_them() {
    let with = ["MIT", "Apache-2.0", "Unicode-3.0"];
    for good in [
        "MIT",
        "MIT OR GPL-3.0",
        "GPL-3.0/MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
    ] {
        assert!(fulfilled(good, &with), "{good}");
    }
    for bad in
        ["", "GPL-3.0", "MIT AND GPL-3.0", "GPL-3.0 OR MIT AND LGPL-3.0", "(MIT OR GPL-3.0) AND GPL-3.0", "MIT MIT", "(MIT"]
    {
        assert!(!fulfilled(bad, &with), "{bad}");
    }
}

#[test]
fn every_linked_crate_has_a_permissive_licence() {
    let permissive = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "CC0-1.0",
        "0BSD",
        "BSL-1.0",
        // The list of root certificates is data.
        "CDLA-Permissive-2.0",
        "Unlicense",
    ];
    let offenders: Vec<String> = linked()
        .iter()
        .filter(|package| !package["license"].as_str().is_some_and(|licence| fulfilled(licence, &permissive)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert_eq!(offenders, [""; 0]);
}

/// Versions of a crate in the lock file.
fn locked(name: &str) -> Vec<Vec<u64>> {
    let lock = text("Cargo.lock");
    let entries = lock.split("[[package]]").filter(|entry| entry.lines().any(|line| line == format!("name = \"{name}\"")));
    let versions =
        entries.filter_map(|entry| entry.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"')));
    versions.map(|version| version.split(['.', '-', '+']).filter_map(|part| part.parse().ok()).collect()).collect()
}

#[test]
fn the_lock_file_has_no_crate_with_a_known_hole_and_one_implementation_of_tls() {
    assert!(!locked("serde_json").is_empty(), "the lock file is read");
    for (name, at_least) in [("h2", [0, 4, 16]), ("lopdf", [0, 42, 0]), ("rustls-webpki", [0, 103, 0])] {
        let old: Vec<Vec<u64>> = locked(name).into_iter().filter(|version| version.as_slice() < at_least.as_slice()).collect();
        assert_eq!(old, [[0; 0]; 0], "{name} is older than {at_least:?}");
    }
    for absent in ["aws-lc-sys", "aws-lc-rs", "openssl", "openssl-sys", "native-tls", "rustls-pemfile"] {
        assert_eq!(locked(absent), [[0; 0]; 0], "{absent} is in the lock file; TLS is rustls on ring");
    }
    assert_eq!(locked("ring").len(), 1);
}

#[test]
fn nothing_is_left_out_of_the_test_run_and_nothing_waits_for_the_clock() {
    let left_out = concat!("#[", "ignore");
    let mut waits = Vec::new();
    for (path, text) in rust_files(".") {
        assert!(!text.contains(left_out), "{} leaves tests out", path.display());
        if path.starts_with("./tests") || path.starts_with("tests") {
            let sleeps = text.matches(concat!("sleep", "(")).count();
            waits.extend((0..sleeps).map(|_| path.clone()));
        }
    }
    assert_eq!(waits, [Path::new("./tests/it/local/harness.rs")], "waiting is polling, in one place, bounded by looks");
}
