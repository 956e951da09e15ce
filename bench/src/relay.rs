//! How long a sentence is under way through us: from the moment a model's stream has written its end until the function has
//! sent it on. The chat function in a process of its own, on a Runtime API, with real sockets on both sides; each sentence is
//! read, given its identifiers back, proven and written down on the way.

use crate::answers::project;
use crate::machine;
use crate::runtime_api::RuntimeApi;
use crate::sample::{Sample, table};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tests::hospital::{Plan, Sheet};
use tests::llm_double::{Behaviour, Fault, Format, LlmDouble, Mind};

/// Answers of each kind from each format; every one has all the facts below. For trying out, `BENCH_ROUNDS` sets another number.
const ANSWERS: usize = 30;
const QUESTION: &str = "How are hands cleaned, and for how long?";
/// What a page says, and the same in other words: a quotation is proven by its letters, anything else by its meaning too.
const FACTS: [[&str; 2]; 5] = [
    [
        "Alcohol gel is rubbed into clean hands for 20 seconds until they are dry.",
        "Rub alcohol gel into clean hands for 20 seconds until dry.",
    ],
    [
        "Hands are washed with soap and water for 40 seconds when they are soiled.",
        "Wash soiled hands with soap and water for 40 seconds.",
    ],
    ["Gloves are put on when hands are clean and dry.", "Put on gloves when hands are clean and dry."],
    ["Rings and watches are taken off before hands are cleaned.", "Take off rings and watches before hands are cleaned."],
    ["Nails of clean hands are kept short and without varnish.", "Keep nails of clean hands short and without varnish."],
];

/// Prints the figure.
pub fn run() -> Result<()> {
    println!("{}", machine::line());
    let running = Running::start()?;
    let heads = ["sentences of", "written as", "how many", "p50 ms", "p99 ms", "longest"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for (kind, name) in ["quoted", "reworded"].into_iter().enumerate() {
        for (format, provider) in [(Format::Gemini, "Gemini"), (Format::OpenAi, "Groq")] {
            let lags = running.lags(format, kind)?;
            let mut row = vec![provider.to_owned(), name.to_owned(), lags.len().to_string()];
            row.extend([50, 99, 100].map(|percent| format!("{:.2}", lags.percentile(percent))));
            rows.push(row);
        }
    }
    println!("{}", table(&rows));
    println!("from the write of the event that ends a sentence to its arrival behind the function");
    println!("load average at the end {}", machine::load());
    Ok(())
}

/// The function, its Runtime API and its models.
struct Running {
    api: RuntimeApi,
    double: LlmDouble,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start() -> Result<Self> {
        let (api, double) = (RuntimeApi::open()?, LlmDouble::open(0)?);
        let page = FACTS.map(|[quoted, _]| quoted).join(" ");
        let plan = Plan {
            models: Some([double.gemini_url(), double.groq_url()]),
            documents: vec![Sheet::of_main("Hand hygiene", &page)],
            embedding: Some(project().join("models").join(embed::MODEL_FILE)),
        };
        let program = std::env::current_exe()?.with_file_name("chat-in-memory");
        let child = Command::new(&program)
            .arg(serde_json::to_string(&plan)?)
            .env("AWS_LAMBDA_RUNTIME_API", api.address())
            .env("AWS_LAMBDA_FUNCTION_NAME", "chat")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .stdout(Stdio::null())
            .spawn()
            .context("chat-in-memory is not built: `cargo build --release -p tests --bin chat-in-memory`")?;
        api.polled()?;
        Ok(Self { api, double, child })
    }

    /// How long each sentence took, in milliseconds. The first answer of a format opens connections and does not count.
    fn lags(&self, format: Format, kind: usize) -> Result<Sample> {
        let written: Vec<Value> = FACTS.iter().map(|fact| json!({ "text": fact[kind], "passages": [1] })).collect();
        let text = json!({ "sentences": written }).to_string();
        // The end of each sentence's object: from then on it could be sent on.
        let ends: Vec<usize> = text.match_indices("\"}").map(|(at, found)| at + found.len()).collect();
        ensure!(ends.len() == FACTS.len(), "a sentence's object ends with its text");
        self.double.behave(format, Behaviour { mind: Mind::Fixed(text), ..Behaviour::failing(Fault::Paced) });
        if format == Format::OpenAi {
            self.double.behave(Format::Gemini, Behaviour::failing(Fault::Status(404, None)));
        }
        let ask = event();
        let mut lags = Sample::default();
        let answers = std::env::var("BENCH_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ANSWERS);
        for answer in 0..=answers {
            let streamed = self.api.invoke_streaming(&ask)?;
            let (mut heard, mut gathered) = (Vec::new(), Vec::new());
            while let Some((at, piece)) = streamed.next() {
                gathered.extend(piece);
                let sentences = String::from_utf8_lossy(&gathered).matches("event: sentence\n").count();
                heard.resize(sentences, at);
            }
            self.api.polled()?;
            let told = String::from_utf8_lossy(&gathered);
            let lost = FACTS.iter().map(|fact| fact[kind]).find(|text| !told.contains(text));
            ensure!(lost.is_none() && heard.len() == FACTS.len(), "this did not come: {lost:?}");
            let written = written_at(format, &self.double.take_written(), &ends)?;
            if answer > 0 {
                for (written, heard) in written.iter().zip(&heard) {
                    lags.add(heard.duration_since(*written).as_secs_f64() * 1e3);
                }
            }
        }
        Ok(lags)
    }
}

/// The question as API Gateway brings it.
fn event() -> String {
    let file = project().join("events/chat.stream.json");
    let mut event: Value = serde_json::from_slice(&std::fs::read(file).unwrap_or_default()).unwrap_or_default();
    event["body"] = json!({ "question": QUESTION }).to_string().into();
    event.to_string()
}

/// When the event was written that holds the end of each sentence.
fn written_at(format: Format, events: &[(Instant, String)], ends: &[usize]) -> Result<Vec<Instant>> {
    let mut length = 0;
    let lengths = events.iter().map(|(at, event)| {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let text = match format {
            Format::Gemini => &event["candidates"][0]["content"]["parts"][0]["text"],
            Format::OpenAi => &event["choices"][0]["delta"]["content"],
        };
        // What a model thinks aloud is no answer.
        let is_thought = event["candidates"][0]["content"]["parts"][0]["thought"] == true;
        length += text.as_str().filter(|_| !is_thought).map_or(0, str::len);
        (*at, length)
    });
    let lengths: Vec<(Instant, usize)> = lengths.collect();
    let find = |end: &usize| lengths.iter().find(|(_, length)| length >= end).map(|(at, _)| *at);
    ends.iter().map(|end| find(end).context("the double did not write everything")).collect()
}
