//! A double of the Lambda Runtime API: what a function binary polls for events and posts its answers to. The wire format is
//! the platform's (docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html), so the very binary that is deployed runs on it.

use anyhow::{Result, bail};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A function that has not come by then hangs: the figure is given up instead of waiting for ever.
const HANGS: Duration = Duration::from_mins(1);
/// No body of a function is longer; Lambda's own bound.
const BODY_BYTES_MAX: usize = 6 << 20;

/// An answer that comes in pieces.
pub struct StreamedAnswer {
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pieces: Receiver<(Instant, Vec<u8>)>,
    connection: TcpStream,
}

impl StreamedAnswer {
    /// The next chunk as it came off the wire, and when; `None` at the end.
    pub fn next(&self) -> Option<(Instant, Vec<u8>)> {
        self.pieces.recv_timeout(HANGS).ok()
    }

    /// Everything that is still to come.
    pub fn rest(&self) -> Vec<u8> {
        std::iter::from_fn(|| self.next()).flat_map(|(_, piece)| piece).collect()
    }

    /// Closes the connection in the middle of the answer.
    pub fn hang_up(&self) -> io::Result<()> {
        self.connection.shutdown(Shutdown::Both)
    }
}

/// What a function did.
enum Arrival {
    /// It asked for an event.
    Poll(Instant),
    /// It answered one.
    Answer(Vec<u8>),
    /// It begins to answer one in pieces.
    Stream(StreamedAnswer),
    /// It reported a failure.
    Failure(Vec<u8>),
}

/// One function's Runtime API.
pub struct RuntimeApi {
    address: SocketAddr,
    events: Sender<String>,
    arrivals: Receiver<Arrival>,
    over: Arc<AtomicBool>,
}

impl RuntimeApi {
    /// Opens it at a free port of this machine.
    pub fn open() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let (events, taken) = mpsc::channel();
        let (arrived, arrivals) = mpsc::channel();
        let (taken, over) = (Arc::new(Mutex::new(taken)), Arc::new(AtomicBool::new(false)));
        let ended = over.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (taken, arrived) = (taken.clone(), arrived.clone());
                // A connection that breaks is the function's end, which the waiting side sees.
                thread::spawn(move || serve(stream, &taken, &arrived));
            }
        });
        Ok(Self { address, events, arrivals, over })
    }

    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until the function asks for an event.
    pub fn polled(&self) -> Result<Instant> {
        match self.arrivals.recv_timeout(HANGS) {
            Ok(Arrival::Poll(at)) => Ok(at),
            Ok(Arrival::Answer(_) | Arrival::Stream(_)) => bail!("the function answered twice"),
            Ok(Arrival::Failure(body)) => bail!("the function failed: {}", String::from_utf8_lossy(&body)),
            Err(_) => bail!("the function does not poll"),
        }
    }

    /// Hands out an event and waits so long at most; `None` if there was no answer by then, or a failure.
    pub fn invoke_within(&self, event: &str, patience: Duration) -> Option<Vec<u8>> {
        self.events.send(event.to_owned()).ok()?;
        let until = Instant::now() + patience;
        loop {
            match self.arrivals.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Arrival::Answer(body)) => return Some(body),
                Ok(Arrival::Stream(answer)) => return Some(answer.rest()),
                Ok(Arrival::Poll(_)) => {}
                Ok(Arrival::Failure(_)) | Err(_) => return None,
            }
        }
    }

    /// Hands out an event and waits for its answer.
    pub fn invoke(&self, event: &str) -> Result<Vec<u8>> {
        self.events.send(event.to_owned())?;
        match self.arrivals.recv_timeout(HANGS) {
            Ok(Arrival::Answer(body)) => Ok(body),
            Ok(Arrival::Stream(answer)) => Ok(answer.rest()),
            Ok(Arrival::Poll(_)) => bail!("the function polls before it has answered"),
            Ok(Arrival::Failure(body)) => bail!("the function failed: {}", String::from_utf8_lossy(&body)),
            Err(_) => bail!("the function does not answer"),
        }
    }
}

impl RuntimeApi {
    /// Hands out an event and waits for the beginning of an answer in pieces.
    pub fn invoke_streaming(&self, event: &str) -> Result<StreamedAnswer> {
        self.events.send(event.to_owned())?;
        match self.arrivals.recv_timeout(HANGS) {
            Ok(Arrival::Stream(answer)) => Ok(answer),
            Ok(Arrival::Answer(_)) => bail!("the function answers at once"),
            Ok(Arrival::Poll(_)) => bail!("the function polls before it has answered"),
            Ok(Arrival::Failure(body)) => bail!("the function failed: {}", String::from_utf8_lossy(&body)),
            Err(_) => bail!("the function does not answer"),
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the listening thread, so that it sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

/// Nobody listens to this Runtime API any more.
#[derive(Debug)]
struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the runtime API has ended")
    }
}

impl std::error::Error for Ended {}

const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

fn serve(stream: TcpStream, events: &Mutex<Receiver<String>>, arrived: &Sender<Arrival>) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut count = 0_u32;
    while let Some(Head { target, length, headers }) = read_head(&mut reader)? {
        let is_streamed =
            headers.iter().any(|(name, value)| name == "lambda-runtime-function-response-mode" && value == "streaming");
        if let (None, true) = (length, is_streamed) {
            let (sender, pieces) = mpsc::channel();
            let connection = writer.try_clone()?;
            arrived.send(Arrival::Stream(StreamedAnswer { headers, pieces, connection })).map_err(|_| Ended)?;
            // A test that has seen enough lets go of its end.
            read_chunks(&mut reader, |piece| _ = sender.send((Instant::now(), piece)))?;
            drop(sender);
            writer.write_all(ACCEPTED)?;
            continue;
        }
        let mut body = Vec::new();
        match length {
            Some(length) => read_exactly(&mut reader, length, &mut body)?,
            None => read_chunks(&mut reader, |piece| body.extend(piece))?,
        }
        if target.ends_with("/invocation/next") {
            arrived.send(Arrival::Poll(Instant::now())).map_err(|_| Ended)?;
            let event = events.lock().unwrap_or_else(PoisonError::into_inner).recv()?;
            count += 1;
            writer.write_all(next(&event, count).as_bytes())?;
            continue;
        }
        writer.write_all(ACCEPTED)?;
        let arrival = if target.ends_with("/response") { Arrival::Answer(body) } else { Arrival::Failure(body) };
        arrived.send(arrival).map_err(|_| Ended)?;
    }
    Ok(())
}

/// The answer to a poll, in one write.
fn next(event: &str, count: u32) -> String {
    // The deadline is in the far future: nothing here measures time limits.
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
         Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{count:012x}\r\n\
         Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-north-1:000000000000:function:bench\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0\r\n\
         Content-Length: {}\r\n\r\n{event}",
        event.len()
    )
}

/// A request without its body.
struct Head {
    target: String,
    /// None if it comes in chunks.
    length: Option<usize>,
    headers: Vec<(String, String)>,
}

/// The next request; `None` at the end of the connection.
fn read_head(reader: &mut BufReader<TcpStream>) -> Result<Option<Head>> {
    let Some(start) = read_line(reader)? else { return Ok(None) };
    let mut head = Head { target: start.split(' ').nth(1).unwrap_or_default().to_owned(), length: Some(0), headers: Vec::new() };
    while let Some(header) = read_line(reader)?.filter(|h| !h.is_empty()) {
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        match name.as_str() {
            "content-length" => head.length = Some(value.parse()?),
            "transfer-encoding" if value.eq_ignore_ascii_case("chunked") => head.length = None,
            _ => {}
        }
        head.headers.push((name, value));
    }
    Ok(Some(head))
}

fn read_chunks(reader: &mut BufReader<TcpStream>, mut take: impl FnMut(Vec<u8>)) -> Result<()> {
    let mut total = 0;
    loop {
        let size = read_line(reader)?.unwrap_or_default();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default().trim(), 16)?;
        total += size;
        if total > BODY_BYTES_MAX {
            bail!("the answer is over {BODY_BYTES_MAX} bytes");
        }
        let mut piece = Vec::new();
        read_exactly(reader, size, &mut piece)?;
        read_line(reader)?;
        if size == 0 {
            return Ok(());
        }
        take(piece);
    }
}

fn read_exactly(reader: &mut BufReader<TcpStream>, length: usize, body: &mut Vec<u8>) -> Result<()> {
    if body.len() + length > BODY_BYTES_MAX {
        bail!("the answer is over {BODY_BYTES_MAX} bytes");
    }
    let from = body.len();
    body.resize(from + length, 0);
    Ok(reader.read_exact(&mut body[from..])?)
}

fn read_line(reader: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = reader.by_ref().take(64 * 1024).read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim_end().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_polls_and_answers_plain_and_chunked() {
        let api = RuntimeApi::open().unwrap();
        let mut stream = TcpStream::connect(api.address()).unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        for answer in ["Content-Length: 2\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"] {
            stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
            api.polled().unwrap();
            stream.write_all(format!("POST /2018-06-01/runtime/invocation/1/response HTTP/1.1\r\n{answer}").as_bytes()).unwrap();
            assert_eq!(api.invoke("{}").unwrap(), b"ab");
            let mut seen = Vec::new();
            while !seen.ends_with(b"{\"status\":\"OK\"}\n") {
                reader.read_until(b'\n', &mut seen).unwrap();
            }
            assert!(seen.starts_with(b"HTTP/1.1 200 OK"));
        }
    }
}
