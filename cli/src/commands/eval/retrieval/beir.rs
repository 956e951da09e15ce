//! Reads a labelled set in BEIR layout: `corpus.jsonl`, `queries.jsonl`, and `qrels.tsv` or `qrels/test.tsv`.

use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// A gain is `2^grade - 1`; grades of published sets go up to 4.
const GRADE_MAX: f64 = 20.0;

/// Why a folder cannot be read as a labelled set. Names places, never content.
#[derive(Debug, thiserror::Error)]
pub enum ReadSetError {
    /// A file that is needed is not there or cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what the layout says.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Nothing to measure.
    #[error("{path}: {problem}")]
    Empty {
        /// Which file.
        path: PathBuf,
        /// What is missing.
        problem: &'static str,
    },
}

/// A document of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// As in the file.
    pub id: String,
    /// May be empty.
    pub title: String,
    /// May be empty.
    pub text: String,
}

/// A question and what is known to answer it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// As in the file.
    pub id: String,
    /// The question.
    pub text: String,
    /// Grade by place in [`LabelledSet::documents`]; only grades above 0.
    pub grades: HashMap<usize, f64>,
    /// Grades of relevant documents that the corpus lacks: they count as not found.
    pub missing: Vec<f64>,
}

/// A set that can be measured.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledSet {
    /// The folder's name.
    pub name: String,
    /// The corpus.
    pub documents: Vec<Document>,
    /// Questions with at least one relevant document.
    pub questions: Vec<Judged>,
    /// Questions without: left out.
    pub unjudged: usize,
}

/// A line of `corpus.jsonl` or `queries.jsonl`.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "_id")]
    id: Id,
    #[serde(default)]
    title: Option<String>,
    text: Option<String>,
}

/// Some sets number their lines.
#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(u64),
}

/// Whether a folder is a set.
pub fn is_set(folder: &Path) -> bool {
    folder.join("corpus.jsonl").is_file()
}

/// Reads a folder.
pub fn read(folder: &Path) -> Result<LabelledSet, ReadSetError> {
    let corpus = folder.join("corpus.jsonl");
    let documents: Vec<Document> = lines(&corpus)?.into_iter().map(|(id, title, text)| Document { id, title, text }).collect();
    let queries = folder.join("queries.jsonl");
    let questions = lines(&queries)?;
    if documents.is_empty() {
        return Err(ReadSetError::Empty { path: corpus, problem: "no document" });
    }
    let qrels = ["qrels.tsv", "qrels/test.tsv"].map(|name| folder.join(name));
    let path = qrels.iter().find(|path| path.is_file()).unwrap_or(&qrels[0]);
    let mut judgements = judgements(path)?;
    let places: HashMap<&str, usize> = documents.iter().enumerate().map(|(at, d)| (d.id.as_str(), at)).collect();
    let total = questions.len();
    let judged = questions.into_iter().filter_map(|(id, _, text)| {
        let mut question = Judged { text, grades: HashMap::new(), missing: Vec::new(), id };
        for (document, grade) in judgements.remove(&question.id)? {
            match places.get(document.as_str()) {
                _ if grade <= 0.0 => {}
                Some(place) => {
                    question.grades.insert(*place, grade);
                }
                None => question.missing.push(grade),
            }
        }
        (!question.grades.is_empty() || !question.missing.is_empty()).then_some(question)
    });
    let questions: Vec<Judged> = judged.collect();
    if questions.is_empty() {
        return Err(ReadSetError::Empty { path: path.clone(), problem: "no question of queries.jsonl has a relevant document" });
    }
    let name = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(LabelledSet { name, unjudged: total - questions.len(), documents, questions })
}

fn text_of(path: &Path) -> Result<String, ReadSetError> {
    let bytes = fs::read(path).map_err(|source| ReadSetError::File { path: path.to_owned(), source })?;
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        ReadSetError::Line { path: path.to_owned(), line, problem: "is not UTF-8" }
    })
}

/// Lines with content, numbered from 1, without a byte order mark.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty())
}

/// Id, title and text of each line.
fn lines(path: &Path) -> Result<Vec<(String, String, String)>, ReadSetError> {
    let text = text_of(path)?;
    let mut seen = HashMap::new();
    let mut found = Vec::new();
    for (line, content) in numbered(&text) {
        let wrong = |problem| ReadSetError::Line { path: path.to_owned(), line, problem };
        let value: serde_json::Value = serde_json::from_str(content).map_err(|_| wrong("is not JSON"))?;
        let parsed: Line = serde_json::from_value(value)
            .map_err(|_| wrong("is not an object with `_id` (text or number), `text`, and maybe `title`"))?;
        let id = match parsed.id {
            Id::Text(id) => id,
            Id::Number(id) => id.to_string(),
        };
        if id.is_empty() {
            return Err(wrong("has an empty `_id`"));
        }
        if seen.insert(id.clone(), line).is_some() {
            return Err(wrong("repeats an `_id`"));
        }
        let text = parsed.text.ok_or_else(|| wrong("has no `text`"))?;
        found.push((id, parsed.title.unwrap_or_default(), text));
    }
    Ok(found)
}

/// By question: the judged documents, the later line wins.
fn judgements(path: &Path) -> Result<HashMap<String, BTreeMap<String, f64>>, ReadSetError> {
    let text = text_of(path)?;
    let mut found: HashMap<String, BTreeMap<String, f64>> = HashMap::new();
    for (at, (line, content)) in numbered(&text).enumerate() {
        let wrong = |problem| ReadSetError::Line { path: path.to_owned(), line, problem };
        let cells: Vec<&str> = content.split('\t').map(str::trim).collect();
        let [query, document, score] = cells[..] else {
            return Err(wrong("is not query-id, corpus-id and score, separated by tabs"));
        };
        match score.parse::<f64>() {
            Ok(grade) if grade <= GRADE_MAX => {
                found.entry(query.to_owned()).or_default().insert(document.to_owned(), grade);
            }
            Ok(_) => return Err(wrong("has a score over 20")),
            // The header.
            Err(_) if at == 0 => {}
            Err(_) => return Err(wrong("has a score that is not a number")),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const CORPUS: &str = "{\"_id\": \"a\", \"title\": \"T\", \"text\": \"x\"}\n{\"_id\": 7, \"text\": \"y\"}\n";
    const QUERIES: &str = "{\"_id\": \"q1\", \"text\": \"x?\"}\n{\"_id\": \"q2\", \"text\": \"z?\"}\n";

    #[test]
    fn carriage_returns_blank_lines_marks_and_missing_titles_are_taken() {
        let crlf = |text: &str| text.replace('\n', "\r\n\r\n");
        let folder = folder(&[
            ("corpus.jsonl", &format!("\u{feff}{}", crlf(CORPUS))),
            ("queries.jsonl", &crlf(QUERIES)),
            ("qrels/test.tsv", &crlf("query-id\tcorpus-id\tscore\nq1\ta\t0\nq1\t7\t2\nq1\tgone\t1\nq9\ta\t1\n")),
        ]);
        let set = read(folder.path()).unwrap();
        assert_eq!(set.documents.iter().map(|d| (d.id.as_str(), d.title.as_str())).collect::<Vec<_>>(), [("a", "T"), ("7", "")]);
        assert_eq!((set.questions.len(), set.unjudged), (1, 1));
        assert_eq!(set.questions[0].grades, HashMap::from([(1, 2.0)]));
        assert_eq!(set.questions[0].missing, [1.0]);
    }

    #[test]
    fn a_wrong_line_is_named_by_file_and_number() {
        let qrels = "q1\ta\t1\n";
        let cases = [
            ("{\"_id\": \"a\", \"text\": \"x\"}\n\nnot json\n", QUERIES, qrels, "corpus.jsonl, line 3: is not JSON"),
            ("{\"text\": \"x\"}\n", QUERIES, qrels, "corpus.jsonl, line 1: is not an object with `_id`"),
            (CORPUS, "{\"_id\": \"q1\"}\n", qrels, "queries.jsonl, line 1: has no `text`"),
            (CORPUS, &format!("{QUERIES}{QUERIES}"), qrels, "queries.jsonl, line 3: repeats an `_id`"),
            (CORPUS, QUERIES, "query-id\tcorpus-id\tscore\nq1 a 1\n", "qrels.tsv, line 2: is not query-id, corpus-id and score"),
            (CORPUS, QUERIES, "q1\ta\t1\nq1\ta\tyes\n", "qrels.tsv, line 2: has a score that is not a number"),
            (CORPUS, QUERIES, "q1\ta\t21\n", "qrels.tsv, line 1: has a score over 20"),
            (CORPUS, QUERIES, "q1\ta\tNaN\n", "qrels.tsv, line 1: has a score over 20"),
            (CORPUS, QUERIES, "q1\ta\t0\n", "qrels.tsv: no question of queries.jsonl has a relevant document"),
            ("\n", QUERIES, qrels, "corpus.jsonl: no document"),
        ];
        for (corpus, queries, qrels, expected) in cases {
            let folder = folder(&[("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels.tsv", qrels)]);
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error} lacks {expected}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_files_that_are_not_there_are_named() {
        let folder = folder(&[("queries.jsonl", QUERIES), ("corpus.jsonl", CORPUS)]);
        assert!(read(folder.path()).unwrap_err().to_string().contains("qrels.tsv cannot be read"));
        fs::write(folder.path().join("corpus.jsonl"), b"{\"_id\": 1, \"text\": \"\"}\n\xff\n").unwrap();
        assert!(read(folder.path()).unwrap_err().to_string().contains("corpus.jsonl, line 2: is not UTF-8"));
    }
}
