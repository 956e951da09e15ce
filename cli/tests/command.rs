//! The built program: what its exit codes and its two outputs are.

#[path = "../src/double.rs"]
#[allow(dead_code)]
mod double;

use double::Double;
use std::fs;
use std::io::Read;
use std::process::{Command, Output, Stdio};

fn clinchat(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clinchat"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = clinchat(arguments).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn extract_prints_a_line_for_each_page() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("note.md");
    fs::write(&file, "# Sepsis\n\nGive **antibiotics**.\n").unwrap();
    let file = file.to_str().unwrap();
    let (code, out, err) = run(&["extract", file]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(out, "{\"page\":1,\"text\":\"Sepsis\\n\\nGive antibiotics.\"}\n");
    assert_eq!(run(&["extract", "--format", "markdown", file]).1, "<!-- page 1 -->\n\n# Sepsis\n\nGive antibiotics.\n");
    assert_eq!(run(&["extract", "--format", "text", file]).1, "Sepsis\n\nGive antibiotics.\n");
    let (_, out, _) = run(&["extract", "--json", "--blocks", file]);
    let whole: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(whole["title"], "Sepsis");
    assert_eq!(whole["pages"][0]["blocks"].as_array().unwrap().len(), 2);
}

#[test]
fn extract_says_in_one_line_why_not() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("tool.pdf");
    fs::write(&file, "no PDF").unwrap();
    let (code, out, err) = run(&["extract", file.to_str().unwrap()]);
    assert_eq!((code, out.as_str(), err.lines().count()), (4, "", 1));
    let refusal: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(refusal["reason"], "unsupported");
    assert!(refusal["advice"].as_str().unwrap().contains("Convert it"));
    assert_eq!(run(&["extract", "/absent/file.pdf"]).0, 1);
}

#[test]
fn a_wrong_line_is_2_and_help_is_0() {
    assert_eq!(run(&["nonsense"]).0, 2);
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(out.contains("Exit codes:"));
}

#[test]
fn outside_a_checkout_the_local_stack_is_not_started() {
    // The program itself lies in the checkout's target folder, so a copy of it goes elsewhere.
    let home = tempfile::tempdir().unwrap();
    let copy = home.path().join("clinchat");
    fs::copy(env!("CARGO_BIN_EXE_clinchat"), &copy).unwrap();
    let output = Command::new(copy).arg("up").current_dir(home.path()).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("no checkout"));
}

#[test]
fn the_local_stacks_own_program_is_started_with_the_rest_of_the_line() {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir_all(project.path().join("local")).unwrap();
    fs::create_dir_all(project.path().join("deep/below")).unwrap();
    fs::write(project.path().join("template.yaml"), "").unwrap();
    fs::write(project.path().join("local/stack.py"), "import sys\nprint(sys.argv[1:])\nsys.exit(7)\n").unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let mut up = clinchat(&["up", "--no-samples", "--no-build"]);
    let output = up.current_dir(project.path().join("deep/below")).env("PATH", path).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "['up', '--no-samples', '--no-build']\n");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = clinchat(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn no_secret_is_shown_even_when_everything_is() {
    let double = Double::start(|url, request| match request.path.as_str() {
        "/" => (
            200,
            r#"{"AuthenticationResult": {"IdToken": "id-secret", "RefreshToken": "refresh-secret", "ExpiresIn": 900}}"#.into(),
        ),
        path if path.ends_with("/content") => {
            (200, format!(r#"{{"method": "GET", "url": "{url}/key?X-Amz-Signature=signature-secret", "expires_in_s": 300}}"#))
        }
        _ => (200, "bytes".into()),
    });
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("clinchat/profiles");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dev.json"), double.profile()).unwrap();
    let target = home.path().join("out.pdf");
    let arguments = ["-v", "--profile", "dev", "open", "doc_0123456789abcdefghjkmnpqrs", "-o", target.to_str().unwrap()];
    let output = clinchat(&arguments).env("XDG_CONFIG_HOME", home.path()).output().unwrap();
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read(target).unwrap(), b"bytes");
    assert!(shown.contains("GET 127.0.0.1/key -> 200"), "{shown}");
    assert!(!shown.contains("secret") && !shown.contains("password"), "{shown}");
}
