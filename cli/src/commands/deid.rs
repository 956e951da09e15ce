//! `deid`: identifiers found, replaced and put back, line by line. Needs no stack.

use crate::config::Config;
use crate::display::Screen;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use deid::surrogate::{Conversation, Policy, Restorer};
use deid::{Deidentifier, OperatingPoint, TABLES_FILE};
use serde_json::{Map, Value, json};
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// A longer line is refused: it is no document, and it would have to fit into memory several times.
const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// `deid`.
#[derive(Args)]
pub struct Deid {
    /// JSON Lines with {"id", "text"}; standard input if there are none
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How strict: recall first, or precision too; auto decides by the document's length
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// One conversation: the same person is the same placeholder in every line
    #[arg(long)]
    pub conversation: bool,
    /// A secret that makes the placeholders this tenant's own
    #[arg(long, default_value = "", hide_default_value = true)]
    pub salt: String,
    /// Put back instead: the text (or "deidentified") of each line, by the map
    #[arg(long, requires = "map")]
    pub restore: bool,
    /// Where the map is written, or read with --restore. It holds every identifier: keep it like them
    #[arg(long, value_name = "FILE")]
    pub map: Option<PathBuf>,
    /// Rules and lists only, without the neural recogniser: several times as fast
    #[arg(long)]
    pub fast: bool,
    /// The tables, if they are not in models/ or beside the program
    #[arg(long, value_name = "FILE")]
    pub tables: Option<PathBuf>,
}

/// How strict.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// By the document's length
    #[default]
    Auto,
    /// Questions to a model, logs
    Strict,
    /// Passages
    Balanced,
}

impl Mode {
    /// For the de-identifier.
    pub const fn point(self) -> OperatingPoint {
        match self {
            Self::Auto => OperatingPoint::Auto,
            Self::Strict => OperatingPoint::Strict,
            Self::Balanced => OperatingPoint::Balanced,
        }
    }
}

/// Reads the tables: the named ones, those beside the program, or those of the checkout that one of both is in.
pub fn load(named: Option<&Path>, config: &Config) -> Result<Deidentifier> {
    let beside = config.program.as_deref().and_then(Path::parent).map(|folder| folder.join(TABLES_FILE));
    let above = [config.current_folder.as_deref(), config.program.as_deref()].into_iter().flatten().flat_map(Path::ancestors);
    let places = beside.into_iter().chain(above.map(|folder| folder.join("models").join(TABLES_FILE)));
    let path = named.map(Path::to_path_buf).or_else(|| places.into_iter().find(|path| path.is_file()));
    let Some(path) = path else {
        bail!("there is no {TABLES_FILE} in models/ or beside the program: run `python3 models/fetch_deid.py`")
    };
    Deidentifier::load(&path).with_context(|| format!("{} is of no use", path.display()))
}

/// Reads, replaces or puts back, prints.
pub fn run(options: &Deid, config: &Config, screen: &mut Screen) -> Result<Outcome> {
    let mut run = Run { failed: 0, maps: Vec::new() };
    if options.restore {
        let path = options.map.as_deref().context("--restore needs --map")?;
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let maps = Maps::parse(&bytes).with_context(|| format!("{} is no map", path.display()))?;
        let mut maps = maps;
        each_line(&options.files, screen, &mut run, |document, _, screen| restore(document, &mut maps, screen))?;
    } else {
        let deidentifier = load(options.tables.as_deref(), config)?;
        let deidentifier = if options.fast { deidentifier.without_network() } else { deidentifier };
        let policy = Policy { point: options.mode.point(), ..Policy::default() };
        let mut conversation = Conversation::new(options.salt.as_bytes());
        each_line(&options.files, screen, &mut run, |document, maps, screen| {
            if !options.conversation {
                conversation = Conversation::new(options.salt.as_bytes());
            }
            replace(document, &deidentifier, &policy, &mut conversation, screen)?;
            if options.map.is_some() && !options.conversation {
                maps.push(json!({"id": document.get("id"), "map": &conversation}));
            }
            Ok(())
        })?;
        if let Some(path) = &options.map {
            let all = if options.conversation { vec![json!({"map": conversation})] } else { std::mem::take(&mut run.maps) };
            write_secret(path, &serde_json::to_vec(&json!({"version": 1, "conversations": all}))?)?;
        }
    }
    Ok(if run.failed == 0 { Outcome::Done } else { Outcome::Failed })
}

/// What a run gathers.
struct Run {
    failed: usize,
    maps: Vec<Value>,
}

type Act<'a> = dyn FnMut(&Map<String, Value>, &mut Vec<Value>, &mut Screen) -> Result<()> + 'a;

/// Hands over every line that is a document; says of every other what is wrong with it, and goes on.
fn each_line(
    files: &[PathBuf],
    screen: &mut Screen,
    run: &mut Run,
    mut act: impl FnMut(&Map<String, Value>, &mut Vec<Value>, &mut Screen) -> Result<()>,
) -> Result<()> {
    if files.is_empty() {
        return lines("standard input", &mut io::stdin().lock(), screen, run, &mut act);
    }
    for path in files {
        match File::open(path) {
            Ok(file) => lines(&path.display().to_string(), &mut BufReader::new(file), screen, run, &mut act)?,
            Err(error) => {
                screen.insist(format!("{} cannot be read: {error}", path.display()));
                run.failed += 1;
            }
        }
    }
    Ok(())
}

fn lines(name: &str, source: &mut dyn BufRead, screen: &mut Screen, run: &mut Run, act: &mut Act<'_>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = source.take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
        let is_over = line.len() as u64 > LINE_BYTES_MAX;
        match read {
            Ok(0) => break,
            Ok(_) if is_over => {
                // The rest of it is passed over.
                while line.last() != Some(&b'\n') {
                    line.clear();
                    if source.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).context("the rest of a line cannot be read")? == 0
                    {
                        break;
                    }
                }
                screen.insist(format!("{name}, line {number}: longer than {LINE_BYTES_MAX} bytes"));
                run.failed += 1;
                continue;
            }
            Ok(_) => {}
            Err(error) => {
                screen.insist(format!("{name}, line {number}: {error}"));
                run.failed += 1;
                break;
            }
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse(&line) {
            Ok(document) => act(&document, &mut run.maps, screen)?,
            Err(reason) => {
                screen.insist(format!("{name}, line {number}: {reason}"));
                run.failed += 1;
            }
        }
    }
    Ok(())
}

/// A line as a document. The reason quotes nothing of it.
fn parse(line: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(line).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to() + 1))?;
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(|error| format!("no JSON at column {}", error.column()))?;
    let Value::Object(document) = value else { return Err("no JSON object".to_owned()) };
    let is_text = document.get("text").or_else(|| document.get("deidentified")).is_some_and(Value::is_string);
    if is_text { Ok(document) } else { Err("no \"text\" that is a string".to_owned()) }
}

fn replace(
    document: &Map<String, Value>,
    deidentifier: &Deidentifier,
    policy: &Policy,
    conversation: &mut Conversation,
    screen: &mut Screen,
) -> Result<()> {
    let text = document.get("text").and_then(Value::as_str).unwrap_or_default();
    let replaced = deidentifier.pseudonymise(text, policy, conversation)?;
    // Offsets in code points, counted once from left to right.
    let (mut bytes, mut points) = (0, 0);
    let mut point = |at: usize| {
        points += text[bytes..at].chars().count();
        bytes = at;
        points
    };
    let spans = replaced.spans.iter().map(|span| {
        let (start, end) = (point(span.range.start), point(span.range.end));
        json!({"start": start, "end": end, "label": span.label.as_str(), "text": &text[span.range.clone()]})
    });
    let spans: Vec<Value> = spans.collect();
    screen.line(json!({"id": document.get("id"), "spans": spans, "deidentified": replaced.text.as_str()}).to_string())
}

/// The conversations of a map, by document.
struct Maps {
    shared: Option<Conversation>,
    by_id: HashMap<String, VecDeque<Conversation>>,
}

impl Maps {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let value: Value = serde_json::from_slice(bytes).map_err(|_| anyhow::anyhow!("it is no JSON"))?;
        if value["version"] != 1 {
            bail!("it has no version 1");
        }
        let mut maps = Self { shared: None, by_id: HashMap::new() };
        for entry in value["conversations"].as_array().context("it has no conversations")? {
            let conversation: Conversation =
                serde_json::from_value(entry["map"].clone()).map_err(|_| anyhow::anyhow!("a conversation is broken"))?;
            match entry.get("id") {
                None => maps.shared = Some(conversation),
                Some(id) => maps.by_id.entry(id.to_string()).or_default().push_back(conversation),
            }
        }
        Ok(maps)
    }

    /// The map of a document; of documents with the same id, in their order, the last one's for all that follow.
    fn take(&mut self, id: &Value) -> Conversation {
        if let Some(shared) = &self.shared {
            return shared.clone();
        }
        let Some(queue) = self.by_id.get_mut(&id.to_string()) else { return Conversation::default() };
        if queue.len() > 1 { queue.pop_front().unwrap_or_default() } else { queue.front().cloned().unwrap_or_default() }
    }
}

fn restore(document: &Map<String, Value>, maps: &mut Maps, screen: &mut Screen) -> Result<()> {
    let text = document.get("deidentified").or_else(|| document.get("text")).and_then(Value::as_str).unwrap_or_default();
    let id = document.get("id").cloned().unwrap_or(Value::Null);
    let conversation = maps.take(&id);
    let mut restorer = Restorer::new(&conversation);
    let mut original = restorer.push(text);
    original.push_str(&restorer.finish());
    screen.line(json!({"id": id, "text": original, "unknown": restorer.unknown()}).to_string())
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(bytes));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_document_is_told_without_its_content() {
        for (line, reason) in [
            (&b"{\"id\": 1, \"text\": \"a\xff\"}"[..], "not UTF-8 at byte 21"),
            (b"{\"id\": 1, \"text\"", "no JSON at column 16"),
            (b"[1]", "no JSON object"),
            (b"{\"id\": 1}", "no \"text\" that is a string"),
            (b"{\"id\": 1, \"text\": 7}", "no \"text\" that is a string"),
        ] {
            assert_eq!(parse(line).unwrap_err(), reason);
        }
        assert!(parse(b"\xef\xbb\xbf{\"text\": \"\"}").is_ok());
    }

    #[test]
    fn documents_with_one_id_get_their_maps_in_order() {
        let conversation = |salt: &[u8]| json!({"id": 7, "map": Conversation::new(salt)});
        let all = json!({"version": 1, "conversations": [conversation(b"a"), conversation(b"b")]});
        let mut maps = Maps::parse(all.to_string().as_bytes()).unwrap();
        let taken = [maps.take(&json!(7)), maps.take(&json!(7)), maps.take(&json!(7))];
        assert!(taken == [Conversation::new(b"a"), Conversation::new(b"b"), Conversation::new(b"b")]);
        assert!(maps.take(&json!(8)).is_empty());
        for broken in ["", "{}", "{\"version\": 1}", "{\"version\": 1, \"conversations\": [{}]}"] {
            assert!(Maps::parse(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
