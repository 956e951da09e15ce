//! What is measured on: a folder in BEIR layout (`corpus.jsonl`, `queries.jsonl`, `qrels.tsv`), or documents with their
//! questions (`documents/`, `questions.jsonl`) as in `samples/`.

use super::super::retrieval::beir;
use anyhow::{Context as _, Result, bail, ensure};
use domain::documents::pages::ExtractedDocument;
use extract::{Limits, extract_in_child};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A document as the indexer would have it.
pub struct Source {
    /// Its name in the folder's judgements.
    pub name: String,
    pub title: String,
    pub pages: ExtractedDocument,
}

/// A question and what is known about it.
pub struct Asked {
    pub text: String,
    /// The documents that answer it; empty if none does.
    pub answered_by: BTreeSet<String>,
}

/// A folder that was read.
pub struct Collection {
    pub sources: Vec<Source>,
    pub questions: Vec<Asked>,
}

#[derive(Deserialize)]
struct QuestionLine {
    question: String,
    document: Option<String>,
}

impl Collection {
    /// Reads a folder.
    pub fn read(folder: &Path) -> Result<Self> {
        if beir::is_set(folder) {
            Self::beir(folder)
        } else if folder.join("documents").is_dir() {
            Self::documents(folder)
        } else {
            bail!("{} holds neither corpus.jsonl nor a folder documents", folder.display())
        }
    }

    fn beir(folder: &Path) -> Result<Self> {
        let set = beir::read(folder)?;
        let name = |at: &usize| set.documents[*at].id.clone();
        let questions = set
            .questions
            .iter()
            .map(|question| Asked { text: question.text.clone(), answered_by: question.grades.keys().map(name).collect() });
        let questions = questions.filter(|question| !question.answered_by.is_empty()).collect();
        let mut sources = Vec::new();
        for document in set.documents {
            // As the indexer reads a text file. One without text is nothing that could be cited.
            if let Ok(pages) = extract::extract(document.text.as_bytes(), "document.txt", &Limits::default()) {
                sources.push(Source { name: document.id, title: document.title, pages });
            }
        }
        ensure!(!sources.is_empty(), "{} has no documents with text", folder.display());
        Ok(Self { sources, questions })
    }

    fn documents(folder: &Path) -> Result<Self> {
        let entries = fs::read_dir(folder.join("documents"))?;
        let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        let mut sources = Vec::new();
        for file in &files {
            let name = file.file_name().and_then(|n| n.to_str()).context("a file name")?.to_owned();
            let pages = extract_in_child(&fs::read(file)?, &name, &Limits::default()).with_context(|| name.clone())?;
            sources.push(Source { title: pages.title.clone().unwrap_or_else(|| name.clone()), name, pages });
        }
        ensure!(!sources.is_empty(), "{} has no documents", folder.display());
        let asked = folder.join("questions.jsonl");
        let asked: Vec<QuestionLine> = if asked.is_file() { lines(&asked)? } else { Vec::new() };
        let questions =
            asked.into_iter().map(|line| Asked { text: line.question, answered_by: line.document.into_iter().collect() });
        Ok(Self { sources, questions: questions.collect() })
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>> {
    let text = read(path)?;
    let all = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    all.map(|(at, line)| serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), at + 1))).collect()
}
