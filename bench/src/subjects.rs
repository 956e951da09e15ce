//! What the figure `cold` starts: our functions and their Python peers, each with its environment and its events.

use crate::answers::project;
use crate::stack::Stack;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where trust stores lie as one file. The template names Amazon Linux's; Debian's is its like.
const BUNDLES: [&str; 2] = ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];
/// The bucket of the indexer's documents. It notifies nobody, so that the stack's own indexer leaves them alone.
const NOTES_BUCKET: &str = "clinchat-bench-notes";
/// The template's value on the local stack.
const CLAIM_SECONDS: &str = "300";

/// Which function's events a subject takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// `POST /v1/chat`
    Chat,
    /// `GET /v1/documents/{id}`
    Documents,
    /// An object was created.
    Indexer,
}

/// Something to start and to ask.
pub struct Subject {
    /// Its name in the table.
    pub name: &'static str,
    /// The one that it is compared with, by name.
    pub peer_of: Option<&'static str>,
    /// Its events.
    pub trigger: Trigger,
    is_start_only: bool,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    event: Value,
}

impl Subject {
    /// The command that starts it, with nothing of this process's environment.
    pub fn command(&self, runtime_api: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().map(|(n, v)| (n, v)));
        command.env("AWS_LAMBDA_RUNTIME_API", runtime_api);
        command
    }

    /// How many events a run has.
    pub const fn events(&self) -> usize {
        match self.trigger {
            // Only its start differs from that of `chat`.
            _ if self.is_start_only => 1,
            Trigger::Chat | Trigger::Documents => 50,
            // Each is a document of its own, read by a process of its own.
            Trigger::Indexer => 20,
        }
    }

    /// An event. Only the indexer's differ: each names another document.
    pub fn event(&self, run: usize, number: usize) -> Result<String> {
        if self.trigger != Trigger::Indexer {
            return Ok(self.event.to_string());
        }
        let mut batch = self.event.clone();
        let message = &mut batch["Records"][0];
        let mut notice: Value = serde_json::from_str(message["body"].as_str().context("no body")?)?;
        notice["detail"]["bucket"]["name"] = NOTES_BUCKET.into();
        notice["detail"]["object"]["key"] = format!("tenants/run-{run}/note-{number}.txt").into();
        message["body"] = notice.to_string().into();
        Ok(batch.to_string())
    }

    /// Fails if the answer is not the one of a function that did its work.
    pub fn check(&self, answer: &[u8]) -> Result<()> {
        let answer: Value = serde_json::from_slice(answer).context("the answer is no JSON")?;
        let is_right = match self.trigger {
            Trigger::Indexer => answer["batchItemFailures"] == json!([]),
            Trigger::Documents => answer["statusCode"] == 200,
            Trigger::Chat => {
                let body: Value = serde_json::from_str(answer["body"].as_str().unwrap_or_default()).unwrap_or_default();
                answer["statusCode"] == 200 && body["refused"] != true
            }
        };
        ensure!(is_right, "{} answered {answer}", self.name);
        Ok(())
    }

    /// The line in a function's log that says that an event was worked on; `None` for the peers, which log nothing.
    pub fn logged(&self) -> Option<&'static str> {
        match (self.peer_of, self.trigger) {
            (Some(_), _) => None,
            (None, Trigger::Chat) => Some("\"outcome\":\"answered\""),
            (None, Trigger::Documents) => Some("\"outcome\":\"shown\""),
            // The metrics record and the log line both say it; only the line has the fields in this order.
            (None, Trigger::Indexer) => Some("\"outcome\":\"indexed\",\"reason\""),
        }
    }
}

/// Every subject. The documents of `main` are in the stack's index, `shown` is the id of one of them.
pub fn all(stack: &Stack, shown: &str, rounds: usize) -> Result<Vec<Subject>> {
    let python = project().join(".local/venv/bin/python");
    prepare(stack, &python, rounds)?;
    let bundle = BUNDLES.iter().find(|b| Path::new(b).exists()).map(|b| ("SSL_CERT_FILE", *b));
    let primed = Some(("DEFAULT_TENANT", "main"));
    let ours = |name, trigger, function: &str, settings: &[Option<(&str, &str)>]| -> Result<Subject> {
        Ok(Subject {
            name,
            peer_of: None,
            trigger,
            is_start_only: false,
            program: stack.code_folder(function).join("bootstrap"),
            arguments: Vec::new(),
            environment: environment(stack, function, settings)?,
            event: event(trigger, shown)?,
        })
    };
    let peer = |name, of, trigger, function: &str, settings: &[Option<(&str, &str)>]| -> Result<Subject> {
        Ok(Subject {
            name,
            peer_of: Some(of),
            trigger,
            is_start_only: false,
            program: python.clone(),
            arguments: vec![project().join("bench/peer/handler.py").display().to_string(), function.to_owned()],
            environment: environment(stack, function, settings)?,
            event: event(trigger, shown)?,
        })
    };
    let notes = [bundle, Some(("DOCUMENTS_BUCKET", NOTES_BUCKET)), Some(("CLAIM_SECONDS", CLAIM_SECONDS))];
    Ok(vec![
        ours("chat", Trigger::Chat, "chat", &[bundle])?,
        peer("  Python peer", "chat", Trigger::Chat, "chat", &[])?,
        ours("chat, primed", Trigger::Chat, "chat", &[bundle, primed])?,
        peer("  Python peer, primed", "chat, primed", Trigger::Chat, "chat", &[primed])?,
        Subject { is_start_only: true, ..ours("chat, certificate folder", Trigger::Chat, "chat", &[])? },
        ours("documents", Trigger::Documents, "documents", &[bundle])?,
        peer("  Python peer ", "documents", Trigger::Documents, "documents", &[])?,
        ours("indexer", Trigger::Indexer, "indexer", &notes)?,
    ])
}

fn environment(stack: &Stack, function: &str, settings: &[Option<(&str, &str)>]) -> Result<Vec<(String, String)>> {
    let mut environment = stack.environment()?;
    let platform = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "bench"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench"),
        ("STAGE", "local"),
    ];
    for (name, value) in platform.iter().chain(settings.iter().flatten()) {
        environment.retain(|(known, _)| known != name);
        environment.push(((*name).to_owned(), (*value).to_owned()));
    }
    Ok(environment)
}

/// The project's sample event, pointed at a document that exists.
fn event(trigger: Trigger, shown: &str) -> Result<Value> {
    let file = match trigger {
        Trigger::Chat => "chat.ask.json",
        Trigger::Documents => "documents.show.json",
        Trigger::Indexer => "indexer.object-created.json",
    };
    let path = project().join("events").join(file);
    let mut event: Value = serde_json::from_str(&fs::read_to_string(&path).context(file)?).context(file)?;
    if trigger == Trigger::Documents {
        event["pathParameters"]["id"] = shown.into();
        event["path"] = format!("/documents/{shown}").into();
    }
    Ok(event)
}

fn prepare(stack: &Stack, python: &Path, rounds: usize) -> Result<()> {
    let mut command = Command::new(python);
    command.arg(project().join("bench/peer/prepare.py")).args([NOTES_BUCKET, &rounds.to_string(), "20"]);
    command.env_clear().envs(stack.environment()?);
    ensure!(command.status()?.success(), "bench/peer/prepare.py failed; it says why above");
    Ok(())
}
