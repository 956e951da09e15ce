//! Indexes a set with the crates that the functions run, and ranks its documents for each question in four ways.

use super::beir::{Document, LabelledSet};
use super::metrics::{Figures, figures};
use anyhow::{Context as _, Result};
use domain::documents::attributes::Attributes;
use domain::documents::chunks;
use domain::ids::{DocumentId, Sequencer, TenantId};
use domain::retrieval::{EmbeddedChunk, Embedder, IndexEntry};
use extract::Limits;
use index::{Scored, Segment, search};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering as Access};
use std::sync::{Arc, mpsc};
use std::thread;

/// The constant of reciprocal rank fusion in its paper (Cormack et al. 2009) and in most products.
const RRF_K: f64 = 60.0;

/// How documents are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    /// By shared words.
    Bm25,
    /// By meaning.
    Dense,
    /// By the two ranks: what most products do.
    #[serde(rename = "rrf_60")]
    Rrf60,
    /// As the product ranks.
    Ours,
}

impl System {
    /// In the order of the table.
    pub const ALL: [Self; 4] = [Self::Bm25, Self::Dense, Self::Rrf60, Self::Ours];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "BM25",
            Self::Dense => "dense",
            Self::Rrf60 => "RRF-60",
            Self::Ours => "ours",
        }
    }
}

/// Which questions count, so that a rule can be chosen on one half and reported on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Every question
    All,
    /// The half on which choices are made (by a hash of the question's id)
    Tune,
    /// The other half
    Report,
}

impl Split {
    fn has(self, id: &str) -> bool {
        let is_tune = || Sha256::digest(id.as_bytes())[0].is_multiple_of(2);
        match self {
            Self::All => true,
            Self::Tune => is_tune(),
            Self::Report => !is_tune(),
        }
    }
}

/// What came out for one set.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The set.
    pub name: String,
    /// Documents of the corpus.
    pub documents: usize,
    /// Documents in which the reader found no text.
    pub documents_without_text: usize,
    /// Chunks that were indexed.
    pub chunks: usize,
    /// Questions that were asked.
    pub questions: usize,
    /// Questions that were left out because nothing is judged relevant to them.
    pub questions_without_judgement: usize,
    /// Processor seconds: reading, cutting, embedding and indexing.
    pub cpu_s_index: f64,
    /// Processor seconds: embedding and searching every question.
    pub cpu_s_search: f64,
    /// Figures by system, in the order of [`System::ALL`].
    pub systems: Vec<(System, Figures)>,
}

/// Tells how far it is: what, done, of how many.
pub type Progress<'a> = &'a mut dyn FnMut(&'static str, usize, usize);

/// Measures a set.
pub fn measure(set: &LabelledSet, split: Split, embedder: &dyn Embedder, progress: Progress<'_>) -> Result<Measured> {
    let begun = cpu_s();
    let indexed = in_parallel(&set.documents, |document| index_document(document, embedder), |n, of| progress("indexing", n, of));
    let segments: Vec<Option<Arc<Segment>>> = indexed.into_iter().collect::<Result<_>>()?;
    // Segments are searched as the product does, which knows nothing of empty documents.
    let places: Vec<usize> = segments.iter().enumerate().filter_map(|(at, segment)| segment.as_ref().map(|_| at)).collect();
    let segments: Vec<Arc<Segment>> = segments.into_iter().flatten().collect();
    let cpu_s_index = cpu_s() - begun;

    let begun = cpu_s();
    let questions: Vec<_> = set.questions.iter().filter(|question| split.has(&question.id)).collect();
    anyhow::ensure!(!questions.is_empty(), "{}: this half of the questions is empty", set.name);
    let ask = |question: &&super::beir::Judged| {
        let vector = embedder.embed(&question.text).0;
        let scored = search(&segments, &question.text, &vector, usize::MAX).0;
        let rankings = rankings(segments.len(), &scored);
        rankings.map(|ranking| {
            let ranking: Vec<usize> = ranking.into_iter().map(|segment| places[segment]).collect();
            figures(&ranking, &question.grades, &question.missing)
        })
    };
    let per_question: Vec<[Figures; 4]> = in_parallel(&questions, ask, |n, of| progress("asking", n, of));
    let systems = System::ALL.iter().enumerate().map(|(at, system)| {
        let column: Vec<Figures> = per_question.iter().map(|all| all[at]).collect();
        (*system, Figures::mean(&column))
    });
    Ok(Measured {
        name: set.name.clone(),
        documents: set.documents.len(),
        documents_without_text: set.documents.len() - segments.len(),
        chunks: segments.iter().map(|segment| segment.len()).sum(),
        questions: questions.len(),
        questions_without_judgement: set.unjudged,
        cpu_s_index,
        cpu_s_search: cpu_s() - begun,
        systems: systems.collect(),
    })
}

/// A document as a segment that was written and read back; none if there is no text in it.
fn index_document(document: &Document, embedder: &dyn Embedder) -> Result<Option<Arc<Segment>>> {
    // A document that has only its title is found by it.
    let text = if document.text.trim().is_empty() { &document.title } else { &document.text };
    if text.trim().is_empty() {
        return Ok(None);
    }
    let context = || format!("document {:?}", document.id);
    let extracted = match extract::extract(text.as_bytes(), "document.txt", &Limits::default()) {
        Ok(extracted) => extracted,
        Err(error) if error.reason == domain::documents::pages::Reason::Empty => return Ok(None),
        Err(error) => return Err(error).with_context(context),
    };
    let tenant = TenantId::parse("eval")?;
    let chunks = chunks::chunk(&extracted);
    let entry = IndexEntry {
        document_id: DocumentId::for_key(&tenant, &document.id),
        tenant,
        title: document.title.clone(),
        version: "1".into(),
        sequencer: Sequencer::parse("1")?,
        pages: u32::try_from(extracted.pages.len())?,
        attributes: Attributes::default(),
        chunks: chunks.into_iter().map(|chunk| EmbeddedChunk::embed(embedder, &document.title, chunk)).collect(),
    };
    let bytes = index::build(&entry, embedder.model_id()).with_context(context)?;
    Ok(Some(Arc::new(Segment::read(bytes).with_context(context)?)))
}

/// Segments by [`System::ALL`], best first. A document counts as its best chunk does; BM25 leaves out what shares no word.
fn rankings(segments: usize, scored: &[Scored]) -> [Vec<usize>; 4] {
    let best = |of: fn(&Scored) -> f32| {
        let mut best = vec![f32::NEG_INFINITY; segments];
        for chunk in scored {
            best[chunk.segment] = best[chunk.segment].max(of(chunk));
        }
        best
    };
    let (lexical, cosine, fused) = (best(|s| s.lexical), best(|s| s.cosine), best(|s| s.score));
    let ranked = |scores: &[f32], floor: f32| {
        let mut order: Vec<usize> = (0..segments).filter(|at| scores[*at] > floor).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        order
    };
    let (words, meaning) = (ranked(&lexical, 0.0), ranked(&cosine, f32::NEG_INFINITY));
    let reciprocal = reciprocal_rank_fusion(segments, &[&words, &meaning]);
    [words, meaning, reciprocal, ranked(&fused, f32::NEG_INFINITY)]
}

fn reciprocal_rank_fusion(count: usize, rankings: &[&[usize]]) -> Vec<usize> {
    let mut scores = vec![0.0_f64; count];
    for ranking in rankings {
        for (rank, at) in (1_u32..).zip(ranking.iter()) {
            scores[*at] += 1.0 / (RRF_K + f64::from(rank));
        }
    }
    let mut order: Vec<usize> = (0..count).filter(|at| scores[*at] > 0.0).collect();
    let by_score = |a: &usize, b: &usize| -> Ordering { scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)) };
    order.sort_by(by_score);
    order
}

/// `work` on each item, on every core, in the items' order; `done` hears how many of how many, on this thread.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync, mut done: impl FnMut(usize, usize)) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len().max(1));
    let next = AtomicUsize::new(0);
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                while let Some((at, item)) = Some(next.fetch_add(1, Access::Relaxed)).and_then(|at| Some((at, items.get(at)?))) {
                    if sender.send((at, work(item))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (count, (at, result)) in (1..).zip(receiver) {
            results[at] = Some(result);
            done(count, items.len());
        }
    });
    results.into_iter().flatten().collect()
}

/// Processor time of this process so far.
fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(segment: usize, chunk: u32, lexical: f32, cosine: f32, score: f32) -> Scored {
        Scored { segment, chunk, score, cosine, lexical }
    }

    #[test]
    fn a_document_counts_as_its_best_chunk_and_words_must_be_shared() {
        let chunks =
            [scored(0, 0, 1.0, 0.1, 0.3), scored(0, 1, 0.0, 0.9, 0.2), scored(1, 0, 3.0, 0.2, 0.9), scored(2, 0, 0.0, 0.5, 0.8)];
        let [words, meaning, reciprocal, ours] = rankings(3, &chunks);
        assert_eq!((words, meaning, ours), (vec![1, 0], vec![0, 2, 1], vec![1, 2, 0]));
        // 0: 1/62 + 1/61, 1: 1/61 + 1/63, 2: 1/62.
        assert_eq!(reciprocal, [0, 1, 2]);
    }

    #[test]
    fn the_halves_are_disjoint_and_together_everything() {
        let ids: Vec<String> = (0..1_000).map(|n| format!("q{n}")).collect();
        let tune = ids.iter().filter(|id| Split::Tune.has(id)).count();
        assert!(ids.iter().all(|id| Split::All.has(id) && Split::Tune.has(id) != Split::Report.has(id)));
        assert!((400..600).contains(&tune), "{tune}");
    }

    #[test]
    fn parallel_work_keeps_the_order_and_tells_each_step() {
        let items: Vec<usize> = (0..100).collect();
        let mut heard = Vec::new();
        let doubled = in_parallel(&items, |n| n * 2, |done, of| heard.push((done, of)));
        assert_eq!(doubled, items.iter().map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(heard, (1..=100).map(|done| (done, 100)).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[u8], |n| *n, |_, _| panic!("nothing to do")).is_empty());
    }
}
