//! A double of a stack: a server that answers what a test tells it to, and keeps what it was asked. Standard library only;
//! the tests of the built program use this file too.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// `GET` and so on.
    pub method: String,
    /// With the query.
    pub path: String,
    /// Names in lower case; a name that came twice has both values, separated by a line break.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Received {
    /// A header's value, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// The server. It ends with the value.
pub struct Double {
    /// Where it is.
    pub url: String,
    received: Arc<Mutex<Vec<Received>>>,
    ends: Arc<AtomicBool>,
}

impl Double {
    /// Starts it. `answer` gives status and body, and may need the server's own address.
    pub fn start(answer: impl Fn(&str, &Received) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let ends = Arc::new(AtomicBool::new(false));
        let double = Self { url: url.clone(), received: received.clone(), ends: ends.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(request) = read(&stream) else { continue };
                let (status, body) = answer(&url, &request);
                received.lock().unwrap().push(request);
                let kind = if status < 400 { "application/json" } else { "application/problem+json" };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                // A client that has gone away is its own test's business.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        double
    }

    /// Everything that was asked, in order.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// `METHOD path` of everything that was asked.
    pub fn lines(&self) -> Vec<String> {
        self.received().iter().map(|request| format!("{} {}", request.method, request.path)).collect()
    }

    /// A profile of this stack.
    pub fn profile(&self) -> String {
        profile(&self.url)
    }
}

/// A profile of a stack at an address.
pub fn profile(url: &str) -> String {
    format!(
        r#"{{"api_url": "{url}/v1", "endpoint": "{url}", "client_id": "client", "region": "eu-north-1",
            "username": "jo@hospital.example", "password": "password-of-jo",
            "people": {{"auditor": {{"username": "au@hospital.example", "password": "password-of-au"}}}}}}"#
    )
}

impl Drop for Double {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes it up, so that it notices.
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn read(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let value = value.trim();
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| *all = format!("{all}\n{value}"))
            .or_insert_with(|| value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { method, path, headers, body: String::from_utf8_lossy(&body).into_owned() })
}
