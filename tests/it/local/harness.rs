//! A local AWS of this test run: started at the first use, deployed from the template with IAM enforced, ended with the
//! process. Each test works for a tenant of its own, so that tests run side by side and see nothing of each other.

use crate::repository;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use ureq::Agent;
use ureq::http::Request;

/// How often a test looks for something that has to happen, before it gives up.
const LOOKS: usize = 600;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// Bounds a call that is never answered. The slowest regular one is the first question, in a debug build, on a busy machine.
const ANSWER_TIME_MAX: Duration = Duration::from_mins(2);

static STACK: LazyLock<Stack> = LazyLock::new(|| Stack::start("test-stack", &[]));
static MODEL_STACK: LazyLock<Stack> = LazyLock::new(|| Stack::start("test-stack-llm", &["--llm", "double"]));

static KEY_STACK: LazyLock<Stack> = LazyLock::new(|| Stack::start("test-stack-keys", &["--llm", "double"]));

/// The stack of this process.
pub fn stack() -> &'static Stack {
    &STACK
}

/// Another one of this process, whose answers are written by the double of the language models.
pub fn model_stack() -> &'static Stack {
    &MODEL_STACK
}

/// A third one, whose double refuses keys.
pub fn key_stack() -> &'static Stack {
    &KEY_STACK
}

/// A deployed stack.
pub struct Stack {
    profile: Value,
    agent: Agent,
    bridge: Mutex<Bridge>,
    people: Mutex<HashMap<String, Person>>,
    /// Its standard input is open as long as this process lives; the stack ends when it closes.
    _process: Child,
}

/// A child that makes AWS calls.
struct Bridge {
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    _process: Child,
}

impl Stack {
    fn start(name: &str, options: &[&str]) -> Self {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.log"));
        let errors = File::create(&log).expect("a log file");
        let mut process = Command::new("python3")
            .args(["local/stack.py", "test-stack", "--with-parent"])
            .args(options)
            .current_dir(repository::root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("python3 runs");
        let mut line = String::new();
        let from = process.stdout.take().expect("standard output");
        BufReader::new(from).read_line(&mut line).expect("standard output is text");
        let Ok(profile) = serde_json::from_str::<Value>(&line) else {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("The local AWS did not start; `make build` makes what it deploys.\n{line}\n{log}");
        };
        let agent = Agent::config_builder().http_status_as_error(false).timeout_global(Some(ANSWER_TIME_MAX)).build().new_agent();
        let bridge = Mutex::new(Bridge::start(&profile));
        let stack = Self { profile, agent, bridge, people: Mutex::default(), _process: process };
        for function in ["chat", "documents", "indexer", "audit", "audit-seal", "audit-alerts"] {
            stack.make_talkative(function);
        }
        if !options.is_empty() {
            stack.make_talkative("key-rotation");
        }
        stack
    }

    /// Sets a function's log to the most that the template can set: what must not be logged is then in no log at all.
    fn make_talkative(&self, function: &str) {
        let name = json!({ "FunctionName": self.name_of(function, '-') });
        let mut change = name.clone();
        change["Environment"] = self.aws("lambda", "get_function_configuration", name).expect("a function")["Environment"].take();
        change["Environment"]["Variables"]["LOG_LEVEL"] = "debug".into();
        // AWS gives every value back as text; the emulator gives numbers of mappings back as numbers.
        for value in change["Environment"]["Variables"].as_object_mut().expect("variables").values_mut() {
            if value.is_number() {
                *value = value.to_string().into();
            }
        }
        self.aws("lambda", "update_function_configuration", change).expect("a setting");
    }

    fn of_profile(&self, name: &str) -> &str {
        self.profile[name].as_str().unwrap_or_else(|| panic!("the profile has no {name}"))
    }

    /// What a client needs to know about it, as the command line keeps it.
    pub fn profile(&self) -> &Value {
        &self.profile
    }

    /// An output of the template, such as `DocumentsBucket`.
    pub fn output(&self, name: &str) -> &str {
        self.profile["outputs"][name].as_str().unwrap_or_else(|| panic!("the template has no output {name}"))
    }

    /// The region that it says it is in.
    pub fn region(&self) -> &str {
        self.of_profile("region")
    }

    /// The environment by which an AWS SDK finds it as the account's root.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let credential = |name: &str| self.profile["credentials"][name].as_str().unwrap_or_default().to_owned();
        vec![
            ("AWS_ENDPOINT_URL", self.of_profile("endpoint").to_owned()),
            ("AWS_REGION", self.region().to_owned()),
            ("AWS_ACCESS_KEY_ID", credential("access_key_id")),
            ("AWS_SECRET_ACCESS_KEY", credential("secret_access_key")),
        ]
    }

    /// The name of a deployed function, or the part of its log group's name after `/clinchat/`.
    pub fn name_of(&self, function: &str, separator: char) -> String {
        let bucket = self.output("DocumentsBucket");
        let (stack, _) = bucket.split_once("-documents-").expect("a bucket name starts with the stack's");
        format!("{stack}{separator}{function}")
    }

    /// Calls AWS as the account's root; answers the error's code if it is refused.
    pub fn aws(&self, service: &str, operation: &str, parameters: Value) -> Result<Value, String> {
        self.aws_as(None, service, operation, parameters)
    }

    /// Calls AWS with credentials as STS gives them.
    pub fn aws_as(
        &self,
        credentials: Option<&Value>,
        service: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, String> {
        let mut call = json!({ "service": service, "operation": operation, "credentials": credentials });
        call["parameters"] = parameters;
        let mut reply = self.bridge.lock().unwrap_or_else(PoisonError::into_inner).call(&call);
        match reply["error"].as_str() {
            Some(code) => Err(code.to_owned()),
            None => Ok(reply["ok"].take()),
        }
    }

    /// What a function's role may do.
    pub fn credentials_of(&self, function: &str) -> Value {
        let name = self.name_of(function, '-');
        let configuration =
            self.aws("lambda", "get_function_configuration", json!({ "FunctionName": name })).expect("a function");
        let session = json!({ "RoleArn": configuration["Role"], "RoleSessionName": "test" });
        self.aws("sts", "assume_role", session).expect("a session")["Credentials"].take()
    }

    /// A queue that is subscribed to the alerts, as another system's would be.
    pub fn subscriber(&self, name: &str) -> Value {
        let queue = self.aws("sqs", "create_queue", json!({ "QueueName": name })).expect("a queue");
        let url = queue["QueueUrl"].clone();
        let names = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        let arn = self.aws("sqs", "get_queue_attributes", names).expect("attributes")["Attributes"]["QueueArn"].take();
        // A queue takes a topic's messages only if its policy says so, here as on AWS.
        let policy = json!({ "Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": { "Service": "sns.amazonaws.com" }, "Action": "sqs:SendMessage", "Resource": arn,
            "Condition": { "ArnEquals": { "aws:SourceArn": self.output("AlertsTopic") } },
        }] });
        let allow = json!({ "QueueUrl": url, "Attributes": { "Policy": policy.to_string() } });
        self.aws("sqs", "set_queue_attributes", allow).expect("a policy");
        let subscription = json!({
            "TopicArn": self.output("AlertsTopic"), "Protocol": "sqs", "Endpoint": arn,
            "Attributes": { "RawMessageDelivery": "true" },
        });
        self.aws("sns", "subscribe", subscription).expect("a subscription");
        url
    }

    /// What a queue holds.
    pub fn messages(&self, queue: &Value) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let receive = json!({ "QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 600 });
            let received = self.aws("sqs", "receive_message", receive).expect("messages");
            let bodies = received["Messages"].as_array().into_iter().flatten().map(|message| message["Body"].to_string());
            let before = messages.len();
            messages.extend(bodies);
            if messages.len() == before {
                return messages;
            }
        }
    }

    /// Every line that a function has logged.
    pub fn log_lines(&self, function: &str) -> Vec<String> {
        let mut parameters = json!({ "logGroupName": format!("/clinchat/{}", self.name_of(function, '/')) });
        let mut lines = Vec::new();
        loop {
            let page = self.aws("logs", "filter_log_events", parameters.clone()).expect("a log group");
            lines
                .extend(page["events"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str().map(str::to_owned)));
            match page["nextToken"].as_str() {
                Some(token) => parameters["nextToken"] = token.into(),
                None => return lines,
            }
        }
    }

    /// Every audit row of a tenant, in the order in which they were written.
    pub fn audit_rows(&self, tenant: &str) -> Vec<Value> {
        let mut parameters = json!({
            "TableName": self.output("AuditTable"),
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": { ":pk": { "S": format!("TENANT#{tenant}") } },
        });
        let mut rows = Vec::new();
        loop {
            let mut page = self.aws("dynamodb", "query", parameters.clone()).expect("the audit table");
            if let Value::Array(items) = page["Items"].take() {
                rows.extend(items);
            }
            match page.get("LastEvaluatedKey") {
                Some(key) => parameters["ExclusiveStartKey"] = key.clone(),
                None => return rows,
            }
        }
    }

    /// Puts an object straight into the documents bucket, as another system would.
    pub fn put_object(&self, key: &str, bytes: &[u8]) {
        let body = json!({ "$base64": STANDARD.encode(bytes) });
        let put = json!({ "Bucket": self.output("DocumentsBucket"), "Key": key, "Body": body });
        self.aws("s3", "put_object", put).expect("an object");
    }

    /// Removes an object straight from the documents bucket.
    pub fn delete_object(&self, key: &str) {
        self.aws("s3", "delete_object", json!({ "Bucket": self.output("DocumentsBucket"), "Key": key })).expect("no object");
    }

    /// Somebody of a tenant with these groups; made at the first use.
    pub fn person(&'static self, tenant: &str, groups: &[&str]) -> Person {
        let email = format!(
            "{}.{tenant}@clinchat.example",
            if groups.is_empty() { "nobody".to_owned() } else { groups.join(".").replace(':', "-") }
        );
        let mut people = self.people.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(person) = people.get(&email) {
            return person.clone();
        }
        let password = "Synthetic-Person-1234";
        let pool = self.of_profile("user_pool_id");
        let mut attributes = vec![("email", email.as_str()), ("email_verified", "true")];
        if !tenant.is_empty() {
            attributes.push(("custom:tenant", tenant));
        }
        let attributes: Vec<Value> = attributes.iter().map(|(name, value)| json!({ "Name": name, "Value": value })).collect();
        let user = json!({
            "UserPoolId": pool, "Username": email, "UserAttributes": attributes, "MessageAction": "SUPPRESS", "TemporaryPassword": password,
        });
        self.aws("cognito-idp", "admin_create_user", user).expect("a person");
        let known = json!({ "UserPoolId": pool, "Username": email, "Password": password, "Permanent": true });
        self.aws("cognito-idp", "admin_set_user_password", known).expect("a password");
        for group in groups {
            if group.starts_with("access:") {
                // Access groups are the organisation's own. One that is there already is as good.
                let made = self.aws("cognito-idp", "create_group", json!({ "UserPoolId": pool, "GroupName": group }));
                assert!(made.as_ref().err().is_none_or(|code| code == "GroupExistsException"), "{made:?}");
            }
            let member = json!({ "UserPoolId": pool, "Username": email, "GroupName": group });
            self.aws("cognito-idp", "admin_add_user_to_group", member).expect("a member");
        }
        let person = self.sign_in(&email, password);
        people.insert(email, person.clone());
        person
    }

    /// The person who may do everything that a tour of a tenant needs.
    pub fn staff(&'static self, tenant: &str) -> Person {
        self.person(tenant, &["clinician", "document-admin"])
    }

    /// Signs in at the user pool, as the command line does.
    pub fn sign_in(&'static self, username: &str, password: &str) -> Person {
        let body = json!({
            "AuthFlow": "USER_PASSWORD_AUTH",
            "ClientId": self.of_profile("client_id"),
            "AuthParameters": { "USERNAME": username, "PASSWORD": password },
        });
        let request = Request::post(format!("{}/", self.of_profile("endpoint")))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "AWSCognitoIdentityProviderService.InitiateAuth")
            .body(body.to_string().into_bytes())
            .expect("a request");
        let reply = self.send(request);
        let token = |name: &str| reply.body["AuthenticationResult"][name].as_str().map(str::to_owned);
        let id_token = token("IdToken").unwrap_or_else(|| panic!("{username} is not signed in: {}", reply.text()));
        Person { id_token, access_token: token("AccessToken").expect("an access token"), stack: self }
    }

    /// Tells the double of the language models something; answers what it says.
    pub fn double(&self, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/double/{path}", self.profile["llm"]["gemini"].as_str().expect("a double"));
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        self.send(Request::post(url).body(body).expect("a request")).ok(200)
    }

    /// Sends a request as it is.
    pub fn send(&self, request: Request<Vec<u8>>) -> Reply {
        let mut response = self.agent.run(request).expect("an answer");
        let status = response.status().as_u16();
        let headers = response.headers().iter();
        let headers =
            headers.map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let bytes = response.body_mut().with_config().limit(64 << 20).read_to_vec().expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, headers, bytes, body }
    }

    /// A request to the API, with any token and any body.
    pub fn api(&self, method: &str, path: &str, token: Option<&str>, media_type: &str, body: &[u8]) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.of_profile("api_url")));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_empty() {
            request = request.header("content-type", media_type);
        }
        self.send(request.body(body.to_vec()).expect("a request"))
    }

    /// The same with headers of one's own and no body.
    pub fn api_with(&self, method: &str, path: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.of_profile("api_url")));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Vec::new()).expect("a request"))
    }
}

impl Bridge {
    fn start(profile: &Value) -> Self {
        let mut process = Command::new(repository::root().join(".local/venv/bin/python"))
            .arg("tests/it/local/aws.py")
            .current_dir(repository::root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stack has made its Python");
        let (to, from) = (process.stdin.take().expect("a pipe"), process.stdout.take().expect("a pipe"));
        let mut bridge = Self { to, from: BufReader::new(from), _process: process };
        let mut stack = profile["credentials"].clone();
        (stack["endpoint"], stack["region"]) = (profile["endpoint"].clone(), profile["region"].clone());
        writeln!(bridge.to, "{stack}").expect("the child reads");
        bridge
    }

    fn call(&mut self, call: &Value) -> Value {
        writeln!(self.to, "{call}").expect("the child reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the child answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the child died at {} {}", call["service"], call["operation"]))
    }
}

/// An answer over HTTP.
pub struct Reply {
    pub status: u16,
    pub headers: HashMap<String, String>,
    pub bytes: Vec<u8>,
    /// `null` if it is not JSON.
    pub body: Value,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.body
    }

    /// The problem's status and short name, after a check of what every problem has.
    #[track_caller]
    pub fn problem(&self) -> (u16, &str) {
        let media_type = self.headers.get("content-type").map_or("", String::as_str);
        assert_eq!(media_type, "application/problem+json", "{} {}", self.status, self.text());
        assert_eq!(self.body["status"], self.status, "{}", self.text());
        assert!(self.body["trace_id"].as_str().is_some_and(|id| id.len() >= 16), "{}", self.text());
        let kind = self.body["type"].as_str().and_then(|kind| kind.strip_prefix("urn:clinchat:problem:"));
        (self.status, kind.expect("a problem of ours"))
    }
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Person {
    pub id_token: String,
    pub access_token: String,
    stack: &'static Stack,
}

impl Person {
    /// A call to the API.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        self.stack.api(method, path, Some(&self.id_token), "application/json", &body)
    }

    /// A question.
    pub fn ask(&self, question: &str) -> Value {
        self.call("POST", "/chat", Some(&json!({ "question": question }))).ok(200)
    }

    /// Announces a document; answers its id and the link.
    pub fn announce(&self, name: &str, title: Option<&str>, bytes: &[u8]) -> (String, Value) {
        let body = json!({ "name": name, "title": title, "size_bytes": bytes.len(), "sha256": sha256(bytes) });
        let mut announced = self.call("POST", "/documents", Some(&body)).ok(201);
        (announced["document"]["id"].as_str().expect("an id").to_owned(), announced["upload"].take())
    }

    /// Uploads a document by the API; answers its id.
    pub fn upload(&self, name: &str, title: Option<&str>, bytes: &[u8]) -> String {
        let (id, link) = self.announce(name, title, bytes);
        let reply = follow(&link, bytes, &[]);
        assert_eq!(reply.status, 200, "{}", reply.text());
        id
    }

    /// Uploads a document and waits until it is searchable.
    pub fn index(&self, name: &str, title: Option<&str>, bytes: &[u8]) -> String {
        let id = self.upload(name, title, bytes);
        let document = self.settled(&id);
        assert_eq!(document["status"], "indexed", "{document}");
        id
    }

    /// A document as it is now.
    pub fn show(&self, id: &str) -> Value {
        self.call("GET", &format!("/documents/{id}"), None).ok(200)
    }

    /// A document once nothing is under way with it.
    pub fn settled(&self, id: &str) -> Value {
        eventually(&format!("{id} is settled"), || {
            let document = self.show(id);
            let under_way = ["awaiting_upload", "indexing", "deleting"].iter().any(|status| document["status"] == *status);
            (!under_way).then_some(document)
        })
    }

    /// All documents of the tenant.
    pub fn list(&self) -> Vec<Value> {
        let mut page = self.call("GET", "/documents?limit=200", None).ok(200);
        assert!(page.get("next").is_none(), "a test has at most a page of documents");
        match page["documents"].take() {
            Value::Array(documents) => documents,
            other => panic!("documents are {other}"),
        }
    }

    /// The document of this file name, once it is there.
    pub fn named(&self, name: &str) -> Value {
        eventually(&format!("{name} is listed"), || self.list().into_iter().find(|document| document["name"] == name))
    }
}

/// Sends bytes to a link with its headers, and with others in their place.
pub fn follow(link: &Value, bytes: &[u8], instead: &[(&str, &str)]) -> Reply {
    let mut request =
        Request::builder().method(link["method"].as_str().expect("a method")).uri(link["url"].as_str().expect("a link"));
    for (name, value) in link["headers"].as_object().into_iter().flatten() {
        // The client's own: it sends the length of what it sends.
        if !["content-length", "host"].contains(&name.as_str()) && !instead.iter().any(|(other, _)| other == name) {
            request = request.header(name, value.as_str().expect("a header"));
        }
    }
    for (name, value) in instead.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    stack().send(request.body(bytes.to_vec()).expect("a request"))
}

/// The digest as the API takes it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Looks until there is something.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(found) = look() {
            return found;
        }
        thread::sleep(PAUSE);
    }
    panic!("it never came true that {what}")
}

/// The citations of an answer, sentence by sentence; every sentence has some.
#[track_caller]
pub fn citations(answer: &Value) -> Vec<&Value> {
    let sentences = answer["answer"].as_array().expect("an answer");
    for sentence in sentences {
        assert!(sentence["citations"].as_array().is_some_and(|proof| !proof.is_empty()), "unproven: {sentence}");
    }
    sentences.iter().flat_map(|sentence| sentence["citations"].as_array().expect("proof")).collect()
}
