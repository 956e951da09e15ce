//! The double's sockets: one thread a connection, plain HTTP/1.1 on this machine. Time passes only where a fault is about time,
//! and only until the other side has had enough.

use super::{Behaviour, Fault, Format};
use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// No request of ours is longer.
const BODY_BYTES_MAX: usize = 16 << 20;
/// Between two bytes of a drip.
const DRIP: Duration = Duration::from_millis(20);
/// Before each event of a paced answer: far longer than anything takes to pass it on.
const PACE: Duration = Duration::from_millis(25);
/// How much of an answer has come before a connection breaks, in events.
const BEGINNING: usize = 3;

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The target of the request line.
    pub target: String,
    /// Every byte of it, head and body.
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// As text; what is no text shows as replacement characters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[derive(Default)]
struct State {
    usual: HashMap<&'static str, Behaviour>,
    /// What the next requests meet, before the usual.
    next: HashMap<&'static str, VecDeque<Behaviour>>,
    requests: Vec<Recorded>,
    /// Connections that the other side ended in the middle of an answer.
    hung_up: usize,
    /// When the events of paced answers were written, and which.
    written: Vec<(Instant, String)>,
}

/// A running double.
pub struct LlmDouble {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
}

/// How `/double/behaviour` is spoken to.
#[derive(Deserialize)]
struct Order {
    provider: String,
    behaviour: Behaviour,
}

/// How `/double/requests` answers.
#[derive(Serialize)]
struct Shown {
    target: String,
    base64: String,
}

impl LlmDouble {
    /// Opens it at a port of this machine; 0 takes a free one.
    pub fn open(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).context("the port is taken")?;
        let address = listener.local_addr()?;
        let (state, over) = (Arc::new(Mutex::new(State::default())), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (state.clone(), over.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let shared = shared.clone();
                // As servers of event streams do: an event is sent when it is written.
                let _ = stream.set_nodelay(true);
                // A connection that breaks is the client's business, and often the test's purpose.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Ok(Self { address, state, over })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `http://127.0.0.1:port`: what comes before `/v1beta` for Gemini.
    pub fn gemini_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What comes before `/chat/completions` for Groq.
    pub fn groq_url(&self) -> String {
        format!("http://{}/openai/v1", self.address)
    }

    /// How it answers from now on.
    pub fn behave(&self, format: Format, behaviour: Behaviour) {
        self.state().usual.insert(format.as_str(), behaviour);
    }

    /// How it answers the next request of this format, after those that were said before.
    pub fn next(&self, format: Format, behaviour: Behaviour) {
        self.state().next.entry(format.as_str()).or_default().push_back(behaviour);
    }

    /// What it got so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state().requests.clone()
    }

    /// Takes what it got so far.
    pub fn take_requests(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.state().requests)
    }

    /// How many answers the other side did not wait for.
    pub fn hung_up(&self) -> usize {
        self.state().hung_up
    }
}

impl LlmDouble {
    /// Takes when each event of the paced answers so far was written.
    pub fn take_written(&self) -> Vec<(Instant, String)> {
        std::mem::take(&mut self.state().written)
    }
}

impl Drop for LlmDouble {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listening thread, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some((target, bytes, body_at)) = read_request(&mut reader)? {
        let (head, body) = bytes.split_at(body_at);
        let head = String::from_utf8_lossy(head).into_owned();
        if target.starts_with("/double/") {
            control(stream, state, &target, body)?;
            continue;
        }
        let recorded = Recorded { target: target.clone(), bytes: bytes.clone() };
        let Some(format) = Format::of(&target) else {
            let behaviour = {
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.requests.push(recorded);
                let format = if target.starts_with("/v1beta/") { Format::Gemini } else { Format::OpenAi };
                state.usual.get(format.as_str()).cloned().map_or((format, Behaviour::default()), |behaviour| (format, behaviour))
            };
            models(stream, &target, &head, &behaviour)?;
            continue;
        };
        let behaviour = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            state.requests.push(recorded);
            let next = state.next.get_mut(format.as_str()).and_then(VecDeque::pop_front);
            next.unwrap_or_else(|| state.usual.get(format.as_str()).cloned().unwrap_or_default())
        };
        match answer((stream, state), format, &target, &head, body, &behaviour)? {
            After::Open => {}
            After::Closed => return Ok(()),
            After::HungUp => {
                state.lock().unwrap_or_else(PoisonError::into_inner).hung_up += 1;
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What is left of a connection.
enum After {
    Open,
    Closed,
    HungUp,
}

fn answer(
    (stream, state): (&TcpStream, &Mutex<State>),
    format: Format,
    target: &str,
    head: &str,
    body: &[u8],
    behaviour: &Behaviour,
) -> Result<After> {
    let refuse = |(status, text): (u16, String)| plain(stream, format, status, "", &text).map(|()| After::Open);
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return refuse((400, format.error(400, "INVALID_ARGUMENT", "Invalid JSON payload received.")));
    };
    let Some((instructions, input)) = format.prompt(&request) else {
        return refuse((400, format.error(400, "INVALID_ARGUMENT", "contents are not specified")));
    };
    let key = format.key(head).unwrap_or_default();
    if key.is_empty() || behaviour.bad_keys.contains(&key) {
        return refuse(format.bad_key());
    }
    let is_stream = format.is_stream(target, &request);
    let text = match behaviour.fault {
        Some(Fault::Prose) => "The passages say that it is so.".to_owned(),
        // Broken off in the middle of the last sentence.
        Some(Fault::Truncated) => {
            let whole = behaviour.mind.answer(&instructions, &input);
            format!("{},{{\"text\":\"And then", whole.trim_end_matches("]}"))
        }
        _ => behaviour.mind.answer(&instructions, &input),
    };
    match behaviour.fault {
        Some(Fault::Status(code, retry_after)) => {
            let header = retry_after.map_or_else(String::new, |seconds| format!("retry-after: {seconds}\r\n"));
            plain(stream, format, code, &header, &format.error(code, "UNAVAILABLE", "Something is wrong.")).map(|()| After::Open)
        }
        Some(Fault::BadKey) => refuse(format.bad_key()),
        Some(Fault::Retired) => refuse(format.retired()),
        Some(Fault::Redirect) => {
            plain(stream, format, 307, "Location: http://collect.example.org/\r\n", "").map(|()| After::Open)
        }
        Some(Fault::ClosedBefore) => Ok(After::Closed),
        Some(Fault::NotHttp) => {
            let mut stream = stream;
            stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")?;
            Ok(After::Closed)
        }
        Some(Fault::Silent) => Ok(wait(stream)),
        fault if is_stream => in_events((stream, state), format, &text, fault),
        fault => at_once(stream, format, &text, fault),
    }
}

/// Waits until the other side hangs up.
fn wait(mut stream: &TcpStream) -> After {
    let mut rest = [0; 1024];
    while stream.read(&mut rest).is_ok_and(|length| length > 0) {}
    After::HungUp
}

/// Whether the other side hangs up within a moment.
fn hangs_up(mut stream: &TcpStream, within: Duration) -> Result<bool> {
    stream.set_read_timeout(Some(within))?;
    let ended = matches!(stream.read(&mut [0; 16]), Ok(0));
    stream.set_read_timeout(None)?;
    Ok(ended)
}

fn plain(mut stream: &TcpStream, format: Format, status: u16, header: &str, text: &str) -> Result<()> {
    let head = format.head(status, false);
    stream.write_all(format!("{head}{header}Content-Length: {}\r\n\r\n{text}", text.len()).as_bytes())?;
    Ok(())
}

fn at_once(mut stream: &TcpStream, format: Format, text: &str, fault: Option<Fault>) -> Result<After> {
    let mut body = match fault {
        Some(Fault::ErrorWithin) => format.error_event().into_bytes(),
        Some(Fault::HugeLine) => format!("{{\"candidates\": \"{}\"}}", "x".repeat(10 << 20)).into_bytes(),
        Some(Fault::EmptyEvents) => [vec![b' '; 100_000], format.whole(text, fault).into_bytes()].concat(),
        _ => format.whole(text, fault).into_bytes(),
    };
    match fault {
        Some(Fault::MalformedJson) => body.truncate(body.len() * 2 / 3),
        Some(Fault::NotText) => body.splice(20..20, [0xff, 0xfe]).for_each(drop),
        _ => {}
    }
    let head = format.head(200, false);
    match fault {
        Some(Fault::OneByteChunks) => send_chunks(stream, &head, body.chunks(1), true),
        Some(Fault::SplitCharacters) => send_chunks(stream, &head, body.chunks(3), true),
        Some(Fault::Drip) => drip(stream, &format!("{head}Content-Length: {}\r\n\r\n", body.len())),
        Some(Fault::Stalled) => {
            stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes())?;
            Ok(wait(stream))
        }
        Some(Fault::ClosedWithin) => {
            stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes())?;
            stream.write_all(&body[..body.len() / 2])?;
            Ok(After::Closed)
        }
        _ => {
            stream.write_all(format!("{head}Content-Length: {}\r\n\r\n", body.len()).as_bytes())?;
            match stream.write_all(&body) {
                Ok(()) => Ok(After::Open),
                Err(_) => Ok(After::HungUp),
            }
        }
    }
}

fn in_events(
    (mut stream, state): (&TcpStream, &Mutex<State>),
    format: Format,
    text: &str,
    fault: Option<Fault>,
) -> Result<After> {
    let mut events = format.events(text, fault);
    let beginning = BEGINNING.min(events.len());
    match fault {
        Some(Fault::ErrorWithin) => {
            events.truncate(beginning);
            events.push(format.error_event());
        }
        Some(Fault::MalformedJson) => events[beginning - 1].truncate(20),
        Some(Fault::HugeLine) => events.insert(beginning, "x".repeat(10 << 20)),
        _ => {}
    }
    let usual_end = format.line_end();
    let mut ends = [usual_end; 3].into_iter().cycle();
    if fault == Some(Fault::MixedLineEnds) {
        ends = ["\r", "\n", "\r\n"].into_iter().cycle();
    }
    let mut frames: Vec<Vec<u8>> = events
        .iter()
        .map(|event| {
            // A line feed right after a carriage return would be one line end: an event's own two are the same.
            let end = ends.next().unwrap_or(usual_end);
            format!("data: {event}{end}{end}").into_bytes()
        })
        .collect();
    let head = format.head(200, true);
    match fault {
        Some(Fault::EmptyEvents) => {
            let empty = format!(":{usual_end}{usual_end}").repeat(100_000);
            frames.insert(1, empty.into_bytes());
        }
        Some(Fault::NotText) => frames.insert(1, b"data: \xff\xfe\r\n\r\n".to_vec()),
        Some(Fault::OneByteChunks) => return send_chunks(stream, &head, frames.concat().chunks(1), true),
        Some(Fault::SplitCharacters) => return send_chunks(stream, &head, frames.concat().chunks(3), true),
        Some(Fault::Drip) => return drip(stream, &format!("{head}Transfer-Encoding: chunked\r\n\r\nffffff\r\n")),
        Some(Fault::Stalled) => {
            send_chunks(stream, &head, frames.iter().take(beginning).map(Vec::as_slice), false)?;
            return Ok(wait(stream));
        }
        Some(Fault::ClosedWithin) => {
            send_chunks(stream, &head, frames.iter().take(beginning).map(Vec::as_slice), false)?;
            stream.flush()?;
            return Ok(After::Closed);
        }
        Some(Fault::Endless) => {
            // What says that it is done is in the last two.
            let whole = frames.len() - 2;
            send_chunks(stream, &head, frames.iter().take(whole).map(Vec::as_slice), false)?;
            return Ok(wait(stream));
        }
        Some(Fault::Paced) => {
            let paced = frames.iter().zip(&events).map_while(|(frame, event)| {
                let is_gone = hangs_up(stream, PACE).unwrap_or(true);
                state.lock().unwrap_or_else(PoisonError::into_inner).written.push((Instant::now(), event.clone()));
                (!is_gone).then_some(frame.as_slice())
            });
            return send_chunks(stream, &head, paced, true);
        }
        _ => {}
    }
    send_chunks(stream, &head, frames.iter().map(Vec::as_slice), true)
}

fn send_chunks<'a>(mut stream: &TcpStream, head: &str, chunks: impl Iterator<Item = &'a [u8]>, ends: bool) -> Result<After> {
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
    for chunk in chunks.filter(|chunk| !chunk.is_empty()) {
        let framed = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
        if stream.write_all(&framed).is_err() {
            return Ok(After::HungUp);
        }
    }
    if ends {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(After::Open)
}

/// A space at a time: white space before JSON and before an event is nothing, so it is never an answer and never silence.
fn drip(mut stream: &TcpStream, head: &str) -> Result<After> {
    stream.write_all(head.as_bytes())?;
    while !hangs_up(stream, DRIP)? {
        if stream.write_all(b" ").is_err() {
            break;
        }
    }
    Ok(After::HungUp)
}

/// The lists of models, by which a key is tried for nothing.
fn models(mut stream: &TcpStream, target: &str, head: &str, (format, behaviour): &(Format, Behaviour)) -> Result<()> {
    let key = format.key(head).unwrap_or_default();
    if behaviour.bad_keys.contains(&key) {
        let (status, text) = format.bad_key();
        return plain(stream, *format, status, "", &text);
    }
    if let Some(Fault::Status(code, _)) = behaviour.fault {
        return plain(stream, *format, code, "", &format.error(code, "UNAVAILABLE", "Something is wrong."));
    }
    let body = match target {
        "/v1beta/models" => json!({ "models": [{ "name": "models/gemini-3.8-flash" }] }).to_string(),
        "/openai/v1/models" => {
            json!({ "object": "list", "data": [{ "id": "openai/gpt-oss-120b", "object": "model" }] }).to_string()
        }
        _ => String::new(),
    };
    let status = if body.is_empty() { 404 } else { 200 };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    Ok(stream.write_all((head + &body).as_bytes())?)
}

fn control(mut stream: &TcpStream, state: &Mutex<State>, target: &str, body: &[u8]) -> Result<()> {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let (status, answer) = match target {
        "/double/requests" => {
            let shown = state.requests.iter().map(|r| Shown { target: r.target.clone(), base64: STANDARD.encode(&r.bytes) });
            (200, serde_json::to_string(&shown.collect::<Vec<_>>())?)
        }
        "/double/behaviour" => match serde_json::from_slice::<Order>(body) {
            Ok(order) => {
                let format = [Format::Gemini, Format::OpenAi].into_iter().find(|format| format.as_str() == order.provider);
                if let Some(format) = format {
                    state.usual.insert(format.as_str(), order.behaviour);
                }
                (if format.is_some() { 200 } else { 404 }, "{}".to_owned())
            }
            Err(error) => (400, json!({ "error": error.to_string() }).to_string()),
        },
        _ => (404, "{}".to_owned()),
    };
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
    Ok(stream.write_all((head + &answer).as_bytes())?)
}

/// The target, every byte, and where the body begins; `None` at the end of the connection.
fn read_request(reader: &mut BufReader<TcpStream>) -> Result<Option<(String, Vec<u8>, usize)>> {
    let mut bytes = Vec::new();
    let (mut target, mut length) = (String::new(), 0);
    loop {
        let from = bytes.len();
        if reader.by_ref().take(64 * 1024).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&bytes[from..]).trim_end().to_owned();
        if from == 0 {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
        } else if line.is_empty() {
            break;
        } else if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
    }
    let body_at = bytes.len();
    anyhow::ensure!(length <= BODY_BYTES_MAX, "the request is too long");
    bytes.resize(body_at + length, 0);
    reader.read_exact(&mut bytes[body_at..])?;
    Ok(Some((target, bytes, body_at)))
}
