//! A stand-in for Amazon S3 Vectors on a real socket, written from its API reference and its list of limits: it checks every
//! request as the reference says and answers with the documented JSON. It has not been held against the service itself.

use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

const REQUEST_BYTES_MAX: usize = 20 << 20;

/// An index.
#[derive(Default)]
pub struct Index {
    dimension: usize,
    unfiltered: Vec<String>,
    pub vectors: BTreeMap<String, (Vec<f32>, Map<String, Value>)>,
}

/// What the service holds and has seen.
#[derive(Default)]
pub struct State {
    pub indexes: BTreeMap<String, Index>,
    /// Operations and their bodies' sizes.
    pub calls: Vec<(String, usize)>,
    /// The last body of each operation.
    pub last: BTreeMap<String, Value>,
    /// The next answers to an operation, instead of the right one.
    pub faults: VecDeque<(&'static str, u16, &'static str)>,
    /// Vectors on a page of an answer.
    pub page: usize,
}

/// The stand-in.
#[derive(Clone)]
pub struct StandIn {
    pub state: Arc<Mutex<State>>,
    pub endpoint: String,
}

type Answer = Result<Value, (u16, &'static str, String)>;

fn wrong(message: impl Into<String>) -> (u16, &'static str, String) {
    (400, "ValidationException", message.into())
}

impl StandIn {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State { page: 1_000, ..State::default() }));
        let service = Self { state, endpoint };
        let shared = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = shared.clone();
                thread::spawn(move || service.serve(&stream));
            }
        });
        service
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn calls(&self, operation: &str) -> usize {
        self.state().calls.iter().filter(|(name, _)| name == operation).count()
    }

    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let mut headers = BTreeMap::new();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                let Some((name, value)) = header.trim_end().split_once(':') else { break };
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, kind, body) = match self.answer(&line, &headers, &body) {
                Ok(body) => (200, "", body),
                Err((status, kind, message)) => (status, kind, json!({ "message": message })),
            };
            let body = body.to_string();
            let kind = if kind.is_empty() { String::new() } else { format!("x-amzn-errortype: {kind}\r\n") };
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{kind}content-length: {}\r\n\r\n", body.len());
            if writer.write_all(format!("{head}{body}").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, line: &str, headers: &BTreeMap<String, String>, body: &[u8]) -> Answer {
        let mut state = self.state();
        let mut words = line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let operation = path.trim_start_matches('/').to_owned();
        state.calls.push((operation.clone(), body.len()));
        if let Some(at) = state.faults.iter().position(|(name, ..)| *name == operation) {
            let (_, status, kind) = state.faults.remove(at).unwrap();
            return Err((status, kind, "injected".into()));
        }
        let signed =
            headers.get("authorization").is_some_and(|a| a.contains("/s3vectors/aws4_request") && a.contains("AWS4-HMAC-SHA256"));
        if method != "POST" || !signed || headers.get("content-type").map(String::as_str) != Some("application/json") {
            return Err((403, "AccessDeniedException", format!("{method} {signed} {:?}", headers.get("content-type"))));
        }
        if body.len() > REQUEST_BYTES_MAX {
            return Err(wrong("over 20 MiB"));
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| wrong("no JSON"))?;
        if body["vectorBucketName"] != "bucket" {
            return Err((404, "NotFoundException", "bucket".into()));
        }
        let answer = state.run(&operation, &body);
        state.last.insert(operation, body);
        answer
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Result<&'a str, (u16, &'static str, String)> {
    body[name].as_str().ok_or_else(|| wrong(format!("{name} is missing")))
}

fn floats(data: &Value, dimension: usize) -> Result<Vec<f32>, (u16, &'static str, String)> {
    let numbers = data["float32"].as_array().ok_or_else(|| wrong("no float32"))?;
    let numbers: Vec<f32> = numbers.iter().filter_map(|n| n.as_f64().map(|n| n as f32)).collect();
    let is_zero = numbers.iter().all(|n| *n == 0.0);
    if numbers.len() == dimension && !is_zero { Ok(numbers) } else { Err(wrong("dimension")) }
}

fn keys(body: &Value, most: usize) -> Result<Vec<String>, (u16, &'static str, String)> {
    let keys = body["keys"].as_array().filter(|keys| (1..=most).contains(&keys.len())).ok_or_else(|| wrong("keys"))?;
    Ok(keys.iter().map(|key| key.as_str().unwrap().to_owned()).collect())
}

impl State {
    fn run(&mut self, operation: &str, body: &Value) -> Answer {
        let name = text(body, "indexName")?.to_owned();
        if operation == "CreateIndex" {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            let sound = (3..=63).contains(&name.len()) && name.chars().all(plain) && !name.ends_with(['-', '.']);
            if !sound || body["dataType"] != "float32" || body["distanceMetric"] != "cosine" {
                return Err(wrong("index"));
            }
            if self.indexes.contains_key(&name) {
                return Err((409, "ConflictException", "it is there".into()));
            }
            let unfiltered = body["metadataConfiguration"]["nonFilterableMetadataKeys"].as_array().cloned().unwrap_or_default();
            let unfiltered: Vec<String> = unfiltered.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
            let dimension = body["dimension"].as_u64().filter(|d| (1..=4096).contains(d)).ok_or_else(|| wrong("dimension"))?;
            if unfiltered.len() > 10 {
                return Err(wrong("over ten keys"));
            }
            self.indexes.insert(name, Index { dimension: dimension as usize, unfiltered, vectors: BTreeMap::new() });
            return Ok(json!({ "indexArn": "arn:aws:s3vectors:eu-north-1:123456789012:bucket/bucket/index/x" }));
        }
        let page = self.page;
        if operation == "DeleteIndex" {
            self.indexes.remove(&name);
            return Ok(json!({}));
        }
        let index = self.indexes.get_mut(&name).ok_or((404, "NotFoundException", "index".to_owned()))?;
        let shown = |key: &String, vector: &(Vec<f32>, Map<String, Value>)| {
            let mut one = json!({ "key": key });
            if body["returnData"] == true {
                one["data"] = json!({ "float32": vector.0 });
            }
            if body["returnMetadata"] == true {
                one["metadata"] = Value::Object(vector.1.clone());
            }
            one
        };
        match operation {
            "PutVectors" => {
                let vectors =
                    body["vectors"].as_array().filter(|v| (1..=500).contains(&v.len())).ok_or_else(|| wrong("vectors"))?;
                // All or nothing: what is wrong is found before anything is written.
                let mut read = Vec::new();
                for vector in vectors {
                    let key =
                        text(vector, "key").ok().filter(|key| (1..=1024).contains(&key.len())).ok_or_else(|| wrong("key"))?;
                    let metadata = vector["metadata"].as_object().cloned().unwrap_or_default();
                    check(&metadata, &index.unfiltered)?;
                    read.push((key.to_owned(), (floats(&vector["data"], index.dimension)?, metadata)));
                }
                index.vectors.extend(read);
                Ok(json!({}))
            }
            "DeleteVectors" => {
                for key in keys(body, 500)? {
                    index.vectors.remove(&key);
                }
                Ok(json!({}))
            }
            "GetVectors" => {
                let keys = keys(body, 100)?;
                let found = keys.iter().filter_map(|key| index.vectors.get(key).map(|vector| shown(key, vector)));
                Ok(json!({ "vectors": found.collect::<Vec<_>>() }))
            }
            "ListVectors" => {
                let most =
                    body["maxResults"].as_u64().filter(|most| (1..=1_000).contains(most)).ok_or_else(|| wrong("maxResults"))?;
                let from = body["nextToken"].as_str().unwrap_or("");
                let later = index.vectors.iter().filter(|(key, _)| from.is_empty() || key.as_str() > from);
                let found: Vec<Value> = later.take(page.min(most as usize)).map(|(key, vector)| shown(key, vector)).collect();
                Ok(with_token(json!({ "vectors": found }), &found, |last| {
                    index.vectors.keys().next_back().map(String::as_str) > Some(last)
                }))
            }
            "QueryVectors" => {
                let depth = body["topK"].as_u64().filter(|k| (1..=100).contains(k)).ok_or_else(|| wrong("topK"))? as usize;
                let question = floats(&body["queryVector"], index.dimension)?;
                let mut found = Vec::new();
                for (key, vector) in &index.vectors {
                    if body.get("filter").is_none_or(Value::is_null) || admits(&body["filter"], &vector.1, &index.unfiltered)? {
                        found.push((1.0 - cosine(&question, &vector.0), key, vector));
                    }
                }
                found.sort_by(|a, b| a.0.total_cmp(&b.0));
                let from = body["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let more = found.len().min(depth) > from + page;
                let vectors = found.into_iter().take(depth).skip(from).take(page).map(|(distance, key, vector)| {
                    let mut one = shown(key, vector);
                    if body["returnDistance"] == true {
                        one["distance"] = json!(distance);
                    }
                    one
                });
                let mut answer = json!({ "vectors": vectors.collect::<Vec<_>>(), "distanceMetric": "cosine" });
                if more {
                    answer["nextToken"] = json!((from + page).to_string());
                }
                Ok(answer)
            }
            other => Err((404, "UnknownOperationException", other.to_owned())),
        }
    }
}

fn with_token(mut answer: Value, found: &[Value], has_more: impl Fn(&str) -> bool) -> Value {
    if let Some(last) = found.last().and_then(|last| last["key"].as_str()).filter(|last| has_more(last)) {
        answer["nextToken"] = json!(last);
    }
    answer
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()).max(f32::EPSILON)
}

/// The limits of a vector's metadata.
fn check(metadata: &Map<String, Value>, unfiltered: &[String]) -> Result<(), (u16, &'static str, String)> {
    let filtered: Map<String, Value> =
        metadata.iter().filter(|(name, _)| !unfiltered.contains(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    if Value::Object(metadata.clone()).to_string().len() > 40 << 10 || Value::Object(filtered.clone()).to_string().len() > 2 << 10
    {
        return Err(wrong("metadata is too large"));
    }
    for value in filtered.values() {
        let is_fine = match value {
            Value::Array(items) => !items.is_empty() && items.iter().all(|item| item.is_string() || item.is_number()),
            plain => plain.is_string() || plain.is_number() || plain.is_boolean(),
        };
        if !is_fine {
            return Err(wrong("a value that cannot be filtered by"));
        }
    }
    Ok(())
}

/// The documented operators that we use, as documented; any other is refused.
fn admits(filter: &Value, metadata: &Map<String, Value>, unfiltered: &[String]) -> Result<bool, (u16, &'static str, String)> {
    let parts = filter.as_object().filter(|parts| parts.len() == 1).ok_or_else(|| wrong("filter"))?;
    let (name, value) = parts.iter().next().unwrap();
    let all = |items: &Value| -> Result<Vec<bool>, _> {
        let items = items.as_array().filter(|items| items.len() >= 2).ok_or_else(|| wrong("a list of conditions"))?;
        items.iter().map(|item| admits(item, metadata, unfiltered)).collect()
    };
    match name.as_str() {
        "$and" => return Ok(all(value)?.into_iter().all(|holds| holds)),
        "$or" => return Ok(all(value)?.into_iter().any(|holds| holds)),
        field if field.starts_with('$') || unfiltered.iter().any(|key| key == field) => return Err(wrong(field)),
        _ => {}
    }
    let (operator, wanted) = value.as_object().and_then(|o| o.iter().next()).ok_or_else(|| wrong("condition"))?;
    let Some(value) = metadata.get(name) else { return Ok(false) };
    let number = |value: &Value| value.as_f64();
    Ok(match operator.as_str() {
        // "When comparing with an array metadata value, returns true if the input value matches any element."
        "$eq" => value == wanted || value.as_array().is_some_and(|items| items.contains(wanted)),
        "$gte" => number(value) >= number(wanted),
        "$lte" => number(value) <= number(wanted),
        other => return Err(wrong(other)),
    })
}
