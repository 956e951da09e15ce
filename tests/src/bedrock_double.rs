//! A double of Amazon Bedrock's runtime on a real socket: `Converse` in JSON, `ConverseStream` in AWS's binary event stream
//! (docs.aws.amazon.com/bedrock/latest/APIReference), told what to say and how to fail. It keeps what it got.

use anyhow::Result;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use serde_json::{Value, json};
use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// What the double counts for every answer: sent, of it read from the cache, written to it, and written.
pub const USAGE: [u32; 4] = [1_000, 200, 50, 120];

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As it should, with this reason for the stop.
    Stops(&'static str),
    /// As it should, each byte of a stream in a chunk of its own.
    ByteByByte,
    /// It refuses: status, code and message.
    Refuses(u16, &'static str, &'static str),
    /// A stream breaks off with this exception after its first piece of text.
    Breaks(&'static str),
    /// A stream's connection ends after its first piece of text.
    Ends,
    /// A byte in the middle of a stream's frames is another one.
    Corrupt,
    /// A stream's last frames do not come, and neither does its end.
    Stalls,
    /// It says nothing.
    Silent,
    /// The model wants a tool called.
    CallsTool,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Path.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct State {
    manner: Manner,
    text: String,
    asked: Vec<Asked>,
    hung_up: usize,
}

/// The double; ends with its last user.
#[derive(Debug)]
pub struct BedrockDouble {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
}

impl BedrockDouble {
    /// Opens it at a free port of this machine. Every answer has this text.
    pub fn open(text: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let state = State { manner: Manner::Stops("end_turn"), text: text.to_owned(), asked: Vec::new(), hung_up: 0 };
        let (state, over) = (Arc::new(Mutex::new(state)), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (state.clone(), over.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                // A connection that breaks is the other side's end.
                thread::spawn(move || serve(&stream, &state));
            }
        });
        Ok(Self { address, state, over })
    }

    /// For the SDK.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on it behaves so.
    pub fn behave(&self, manner: Manner) {
        lock(&self.state).manner = manner;
    }

    /// What it got.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.state).asked.clone()
    }

    /// How many answers the other side did not wait for.
    pub fn hung_up(&self) -> usize {
        lock(&self.state).hung_up
    }
}

impl Drop for BedrockDouble {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listening thread, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection: a request after the other.
fn serve(stream: &TcpStream, state: &Mutex<State>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(asked) = read(&mut reader)? {
        let is_stream = asked.path.ends_with("/converse-stream");
        let (manner, text) = {
            let mut state = lock(state);
            state.asked.push(asked);
            (state.manner, state.text.clone())
        };
        // An answer that cannot be written is one that nobody waits for.
        if !answer(stream, manner, &text, is_stream).unwrap_or(false) {
            // Until the other side lets go of it.
            if !matches!(manner, Manner::Ends) && reader.read(&mut [0; 1]).unwrap_or(0) == 0 {
                lock(state).hung_up += 1;
            }
            return Ok(());
        }
    }
    Ok(())
}

fn read(reader: &mut impl std::io::BufRead) -> Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked { path, headers, body }))
}

/// Answers; false if this was the connection's last.
fn answer(mut stream: &TcpStream, manner: Manner, text: &str, is_stream: bool) -> Result<bool> {
    match manner {
        Manner::Silent => return Ok(false),
        Manner::Refuses(status, code, message) => {
            let body = json!({ "message": message }).to_string();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nx-amzn-ErrorType: {code}\r\nContent-Length: {length}\r\n\r\n{body}"
            )?;
            return Ok(true);
        }
        _ => {}
    }
    let stop = match manner {
        Manner::Stops(stop) => stop,
        Manner::CallsTool => "tool_use",
        _ => "end_turn",
    };
    if !is_stream {
        let content = match manner {
            Manner::CallsTool => json!([{ "toolUse": { "toolUseId": "t1", "name": "look", "input": {} } }]),
            _ => json!([{ "text": text }]),
        };
        let body = json!({
            "output": { "message": { "role": "assistant", "content": content } },
            "stopReason": stop,
            "usage": usage(),
            "metrics": { "latencyMs": 7 },
        });
        let body = body.to_string();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        return Ok(true);
    }
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\nTransfer-Encoding: chunked\r\n\r\n",
    )?;
    let mut frames = vec![event("messageStart", &json!({ "role": "assistant" }))];
    let letters: Vec<char> = text.chars().collect();
    for piece in letters.chunks(24) {
        let piece: String = piece.iter().collect();
        frames.push(event("contentBlockDelta", &json!({ "contentBlockIndex": 0, "delta": { "text": piece } })));
    }
    let spoken = frames.len();
    frames.push(event("contentBlockStop", &json!({ "contentBlockIndex": 0 })));
    frames.push(event("messageStop", &json!({ "stopReason": stop })));
    frames.push(event("metadata", &json!({ "usage": usage(), "metrics": { "latencyMs": 7 } })));
    match manner {
        Manner::ByteByByte => {
            let bytes = frames.concat();
            bytes.chunks(1).try_for_each(|byte| chunk(stream, byte))?;
        }
        Manner::Corrupt => {
            let middle = frames[2].len() / 2;
            frames[2][middle] ^= 0x20;
            frames.iter().try_for_each(|frame| chunk(stream, frame))?;
        }
        Manner::Breaks(exception) => {
            chunk(stream, &frames[..2].concat())?;
            chunk(stream, &exception_frame(exception))?;
        }
        Manner::Ends => {
            chunk(stream, &frames[..2].concat())?;
            stream.shutdown(std::net::Shutdown::Both)?;
            return Ok(false);
        }
        Manner::Stalls => {
            chunk(stream, &frames[..spoken].concat())?;
            return Ok(false);
        }
        _ => frames.iter().try_for_each(|frame| chunk(stream, frame))?,
    }
    stream.write_all(b"0\r\n\r\n")?;
    Ok(true)
}

fn usage() -> Value {
    let [input, read, written, output] = USAGE;
    json!({
        "inputTokens": input, "cacheReadInputTokens": read, "cacheWriteInputTokens": written, "outputTokens": output,
        "totalTokens": USAGE.iter().sum::<u32>(),
    })
}

fn chunk(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

fn event(name: &str, body: &Value) -> Vec<u8> {
    frame("event", ":event-type", name, body)
}

fn exception_frame(name: &str) -> Vec<u8> {
    frame("exception", ":exception-type", name, &json!({ "message": "it broke" }))
}

fn frame(message_type: &str, type_header: &'static str, name: &str, body: &Value) -> Vec<u8> {
    let text = |text: &str| HeaderValue::String(text.to_owned().into());
    let message = Message::new(body.to_string().into_bytes())
        .add_header(Header::new(":message-type", text(message_type)))
        .add_header(Header::new(type_header, text(name)))
        .add_header(Header::new(":content-type", text("application/json")));
    let mut bytes = Vec::new();
    write_message_to(&message, &mut bytes).expect("a frame of a few hundred bytes fits");
    bytes
}
