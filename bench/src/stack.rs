//! A local AWS of the bench's own, with the release binaries in it: our template deployed by `local/stack.py`, thrown away
//! at the end. Talked to as a person would: sign in, ask for an upload link, put the bytes, ask for the state.

use crate::answers::project;
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use ureq::Agent;

/// The functions, as their folders are named.
pub const FUNCTIONS: [&str; 3] = ["chat", "documents", "indexer"];
/// Those that carry the model beside their binary.
const WITH_MODEL: [&str; 2] = ["chat", "indexer"];
/// Between two looks at a document's state. Each look is work on the cores that index.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A document that is not done by then never will be: the local claim ends after five minutes.
const DONE_MAX: Duration = Duration::from_secs(310);

/// A running stack. Ends with its last user: the emulator ends when its standard input closes.
pub struct Stack {
    launcher: Child,
    folder: PathBuf,
    /// Held open: the emulator ends when it closes.
    input: Option<ChildStdin>,
    profile: Value,
    agent: Agent,
    token: String,
}

/// What a document's row said when.
#[derive(Debug, Clone)]
pub struct Look {
    /// When, counted from the moment that the bytes were in the bucket.
    pub after: Duration,
    /// `indexing`, `indexed` and so on.
    pub status: String,
    /// `extracting` or `embedding`, while at work.
    pub stage: String,
    /// The whole row.
    pub row: Value,
}

impl Stack {
    /// Starts a stack with the binaries of a build folder, `release` or `debug`.
    pub fn start(build: &str) -> Result<Self> {
        let folder = lay_out(build)?;
        let mut launcher = Command::new("python3")
            .args(["local/stack.py", "test-stack", "--with-parent"])
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3 local/stack.py")?;
        let input = launcher.stdin.take();
        let output = launcher.stdout.take().context("a pipe")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let profile: Value = serde_json::from_str(&line).context("the local stack did not start; it says why above")?;
        // Refusals are answers that the caller shows, so they are no errors here.
        let agent: Agent = Agent::config_builder().http_status_as_error(false).build().into();
        let mut stack = Self { launcher, folder, input, profile, agent, token: String::new() };
        stack.token = stack.sign_in()?;
        Ok(stack)
    }

    /// Where a function lies as it would lie in `/var/task`: the binary as `bootstrap`, the model beside it.
    pub fn code_folder(&self, function: &str) -> PathBuf {
        code_folder(&self.folder, function)
    }

    /// An output of the template.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.profile["outputs"][name].as_str().with_context(|| format!("the stack has no output {name}"))
    }

    /// The environment by which an AWS SDK finds this stack, and the function's settings, as the template has them.
    pub fn environment(&self) -> Result<Vec<(String, String)>> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", text(&self.profile["endpoint"])),
            ("AWS_REGION", text(&self.profile["region"])),
            ("AWS_DEFAULT_REGION", text(&self.profile["region"])),
            ("AWS_ACCESS_KEY_ID", text(&self.profile["credentials"]["access_key_id"])),
            ("AWS_SECRET_ACCESS_KEY", text(&self.profile["credentials"]["secret_access_key"])),
        ];
        for (variable, output) in [
            ("AUDIT_TABLE", "AuditTable"),
            ("DOCUMENTS_TABLE", "DocumentsTable"),
            ("DOCUMENTS_BUCKET", "DocumentsBucket"),
            ("INDEX_BUCKET", "IndexBucket"),
            ("CONVERSATIONS_TABLE", "ConversationsTable"),
            ("CONVERSATION_KEY", "ConversationKey"),
            ("LIMITS_TABLE", "LimitsTable"),
            ("LEDGER_TABLE", "LedgerTable"),
            ("ALERTS_TOPIC", "AlertsTopic"),
        ] {
            environment.push((variable, self.output(output)?.to_owned()));
        }
        Ok(environment.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// The process of one of the functions in the stack, once it was called.
    pub fn function(&self, name: &str) -> Option<u32> {
        let ending = format!("-{name}");
        let is_it = |folder: &Path| {
            let environment = fs::read(folder.join("environ")).unwrap_or_default();
            let mut variables = environment.split(|b| *b == 0).map(String::from_utf8_lossy);
            // Other stacks may run on this machine: ours are the children of our emulator.
            variables.any(|v| v.strip_prefix("AWS_LAMBDA_FUNCTION_NAME=").is_some_and(|n| n.ends_with(&ending)))
                && ancestors(folder).any(|pid| pid == self.launcher.id())
        };
        let folders = fs::read_dir("/proc").ok()?.filter_map(Result::ok).map(|e| e.path());
        folders.filter(|f| is_it(f)).find_map(|f| f.file_name()?.to_str()?.parse().ok())
    }

    /// Announces a document, puts its bytes into the bucket by the link, and answers its id and the moment of arrival.
    pub fn upload(&self, name: &str, bytes: &[u8]) -> Result<(String, Instant)> {
        let sha256: String = domain::text::hexadecimal(&Sha256::digest(bytes));
        let body = json!({ "name": name, "size_bytes": bytes.len(), "sha256": sha256 });
        let announced = self.call(self.agent.post(self.url("/documents")).content_type("application/json"), &body)?;
        let link = &announced["upload"];
        let mut put = self.agent.put(link["url"].as_str().context("no link")?);
        for (header, value) in link["headers"].as_object().into_iter().flatten() {
            put = put.header(header, value.as_str().unwrap_or_default());
        }
        let put = put.send(bytes)?;
        ensure!(put.status().is_success(), "the bucket answered {} to {name}", put.status());
        Ok((announced["document"]["id"].as_str().context("no id")?.to_owned(), Instant::now()))
    }

    /// Looks at a document until it is searchable; every look that differs from the one before.
    pub fn follow(&self, id: &str, arrived: Instant) -> Result<Vec<Look>> {
        let mut looks: Vec<Look> = Vec::new();
        loop {
            let request = self.agent.get(self.url(&format!("/documents/{id}"))).header("authorization", &self.token);
            let row: Value = request.call()?.body_mut().read_json()?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let look =
                Look { after: arrived.elapsed(), status: text(&row["status"]), stage: text(&row["progress"]["stage"]), row };
            let is_done = look.status == "indexed";
            ensure!(look.status != "failed" && look.after < DONE_MAX, "not indexed: {}", look.row);
            if looks.last().is_none_or(|l| (&l.status, &l.stage) != (&look.status, &look.stage)) {
                looks.push(look);
            }
            if is_done {
                return Ok(looks);
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Asks a question.
    pub fn ask(&self, question: &str) -> Result<Value> {
        let request = self.agent.post(self.url("/chat")).content_type("application/json");
        self.call(request, &json!({ "question": question }))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.profile["api_url"].as_str().unwrap_or_default())
    }

    fn call(&self, request: ureq::RequestBuilder<ureq::typestate::WithBody>, body: &Value) -> Result<Value> {
        let mut response = request.header("authorization", &self.token).send(body.to_string())?;
        let answer: Value = response.body_mut().read_json()?;
        if !response.status().is_success() {
            bail!("the API answered {}: {answer}", response.status());
        }
        Ok(answer)
    }

    fn sign_in(&self) -> Result<String> {
        let (name, word) = (&self.profile["username"], &self.profile["password"]);
        let body = json!({
            "AuthFlow": "USER_PASSWORD_AUTH", "ClientId": self.profile["client_id"],
            "AuthParameters": { "USERNAME": name, "PASSWORD": word },
        });
        let mut response = self
            .agent
            .post(self.profile["endpoint"].as_str().context("no endpoint")?)
            .header("x-amz-target", "AWSCognitoIdentityProviderService.InitiateAuth")
            .content_type("application/x-amz-json-1.1")
            .send(body.to_string())?;
        let answer: Value = response.body_mut().read_json()?;
        let token = answer["AuthenticationResult"]["IdToken"].as_str().context("the local stack gave no token")?;
        Ok(format!("Bearer {token}"))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.launcher.wait();
    }
}

/// The processes above a process.
fn ancestors(folder: &Path) -> impl Iterator<Item = u32> {
    let parent = |folder: &Path| -> Option<u32> {
        let status = fs::read_to_string(folder.join("status")).ok()?;
        status.lines().find_map(|l| l.strip_prefix("PPid:"))?.trim().parse().ok().filter(|pid| *pid > 0)
    };
    std::iter::successors(parent(folder), move |pid| parent(Path::new(&format!("/proc/{pid}"))))
}

/// A project folder of the bench's own, so that it deploys the binaries that it means to measure and disturbs no other stack.
fn lay_out(build: &str) -> Result<PathBuf> {
    let project = fs::canonicalize(project())?;
    let folder = project.join("target/bench").join(build);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("local"))?;
    fs::create_dir_all(folder.join(".local"))?;
    let venv = project.join(".local/venv");
    ensure!(venv.join("stamp").exists(), "the local stack's Python packages are not there: `python3 local/stack.py build`");
    std::os::unix::fs::symlink(venv, folder.join(".local/venv"))?;
    for file in ["template.yaml", "samconfig.toml"] {
        fs::copy(project.join(file), folder.join(file))?;
    }
    for file in fs::read_dir(project.join("local"))? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), folder.join("local").join(file.file_name()))?;
        }
    }
    for function in FUNCTIONS {
        let code = code_folder(&folder, function);
        fs::create_dir_all(&code)?;
        fs::copy(binary(build, function)?, code.join("bootstrap"))?;
        if WITH_MODEL.contains(&function) {
            fs::copy(project.join("models").join(embed::MODEL_FILE), code.join(embed::MODEL_FILE))?;
        }
        if function == "indexer" {
            fs::copy(project.join("models").join(deid::TABLES_FILE), code.join(deid::TABLES_FILE))?;
        }
    }
    Ok(folder)
}

fn code_folder(folder: &Path, function: &str) -> PathBuf {
    folder.join("target/lambda").join(function)
}

fn binary(build: &str, function: &str) -> Result<PathBuf> {
    let path = project().join("target").join(build).join(function);
    let hint = if build == "release" { "cargo build --release -p chat -p documents -p indexer" } else { "make build" };
    ensure!(path.exists(), "{} is not built: `{hint}`", path.display());
    Ok(path)
}

/// A file of `samples/documents`.
pub fn sample(name: &str) -> Result<Vec<u8>> {
    fs::read(project().join("samples/documents").join(name)).with_context(|| name.to_owned())
}
