//! Searches a tenant in its vector index: the nearest by meaning among what the caller may see, then words and meaning
//! together among those. A chunk that only shares words with the question, and is not among the nearest hundred, is not found:
//! the price of a tenant whose postings are in nobody's memory.

use crate::filter::expressions;
use crate::record::{Found, found, parse_key, version_hash};
use crate::store::{DEPTH, VectorBucket};
use crate::terms::TermTable;
use async_trait::async_trait;
use aws_sdk_s3vectors::types::QueryOutputVector;
use domain::context::Scope;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::objects::ObjectReader;
use domain::retrieval::{ChunkIndex, Filter, Passage, Query, Retrieval, TermWeight, weigh_down_apparatus};
use domain::scale::{Catalogue, Currents};
use domain::text::Analyzer;
use futures_util::future::{join, try_join_all};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// BM25 parameters, and the weight of the meaning leg.
const K1: f32 = 1.2;
const B: f32 = 0.75;
const DENSE_WEIGHT: f32 = 0.8;

/// Tenants whose table is kept in a warm function.
const TENANTS_MAX: usize = 32;

/// A [`ChunkIndex`] over Amazon S3 Vectors.
pub struct VectorIndex {
    bucket: Arc<VectorBucket>,
    catalogue: Arc<dyn Catalogue>,
    objects: Arc<dyn ObjectReader>,
    analyzer: Analyzer,
    tables: Mutex<HashMap<TenantId, (String, Arc<TermTable>)>>,
}

impl VectorIndex {
    /// Searches in this bucket what the catalogue lists; `objects` is where the tables of terms are.
    pub fn new(bucket: Arc<VectorBucket>, catalogue: Arc<dyn Catalogue>, objects: Arc<dyn ObjectReader>) -> Self {
        Self { bucket, catalogue, objects, analyzer: Analyzer::default(), tables: Mutex::default() }
    }

    async fn table(&self, tenant: &TenantId) -> Result<Arc<TermTable>, PortError> {
        let known = self.tables.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned();
        let read = TermTable::read(self.objects.as_ref(), tenant, known.as_ref().map(|(tag, _)| tag.as_str())).await?;
        let Some((table, tag)) = read else { return Ok(known.map(|(_, table)| table).unwrap_or_default()) };
        let table = Arc::new(table);
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= TENANTS_MAX && !tables.contains_key(tenant) {
            tables.clear();
        }
        tables.insert(tenant.clone(), (tag, table.clone()));
        Ok(table)
    }

    /// The nearest hits of all filter expressions together.
    async fn hits(&self, scope: &Scope, query: &Query) -> Result<Vec<QueryOutputVector>, PortError> {
        let searches = expressions(scope, &query.filter)
            .into_iter()
            .map(|expression| self.bucket.nearest(scope.tenant(), &query.embedding, Some(expression), DEPTH));
        let mut hits: Vec<QueryOutputVector> = try_join_all(searches).await?.into_iter().flatten().collect();
        hits.sort_by(|a, b| distance(a).total_cmp(&distance(b)).then_with(|| a.key.cmp(&b.key)));
        hits.dedup_by(|a, b| a.key == b.key);
        hits.truncate(DEPTH);
        Ok(hits)
    }

    /// A hit that is true: of a version that is searchable now, and that the manifest's word lets the caller see.
    fn checked(&self, hit: &QueryOutputVector, currents: &Currents, scope: &Scope, query: &Query) -> Option<(DocumentId, Found)> {
        let key = parse_key(&hit.key)?;
        let current = currents.get(&key.document)?;
        let is_current = version_hash(self.bucket.model(), &current.version) == key.version;
        if !is_current || !query.filter.admits(scope, &key.document, &current.attributes) {
            return None;
        }
        let mut found = found(hit.metadata.as_ref()?, &query.embedding)?;
        if let Some(title) = &current.attributes.title {
            found.title.clone_from(title);
        }
        Some((key.document, found))
    }
}

/// The cosine distance, 0 to 2.
fn distance(hit: &QueryOutputVector) -> f32 {
    hit.distance.unwrap_or(2.0)
}

#[async_trait]
impl ChunkIndex for VectorIndex {
    async fn prime(&self, tenant: &TenantId) -> Result<(), PortError> {
        let (currents, table) = join(self.catalogue.currents(tenant), self.table(tenant)).await;
        currents.and(table.map(|_| ()))
    }

    async fn search(&self, scope: &Scope, query: &Query, limit: usize) -> Result<Retrieval, PortError> {
        let tenant = scope.tenant();
        let (currents, table) = join(self.catalogue.currents(tenant), self.table(tenant)).await;
        let (currents, table) = (currents?, table?);
        let admitted = |filter: &Filter| currents.iter().any(|(id, current)| filter.admits(scope, id, &current.attributes));
        if !admitted(&query.filter) {
            return Ok(Retrieval::default());
        }
        let mut words = self.analyzer.question_terms(&query.text);
        words.sort_unstable();
        words.dedup();
        let terms: Vec<TermWeight> = words.into_iter().map(|term| TermWeight { weight: table.weight(&term), term }).collect();
        let mut passages: Vec<Passage> = Vec::new();
        for hit in self.hits(scope, query).await? {
            let Some((document_id, found)) = self.checked(&hit, &currents, scope, query) else { continue };
            let lexical = self.lexical(&found, &terms, &table);
            passages.push(Passage {
                document_id,
                title: found.title,
                version: found.version,
                chunk: found.chunk,
                score: 0.0,
                cosine: 1.0 - distance(&hit),
                lexical,
                sentences: found.sentences,
            });
        }
        fuse(&mut passages);
        weigh_down_apparatus(&mut passages, limit);
        Ok(Retrieval { passages, terms, ..Retrieval::default() })
    }
}

impl VectorIndex {
    /// BM25 of a hit's text.
    fn lexical(&self, found: &Found, terms: &[TermWeight], table: &TermTable) -> f32 {
        let words = self.analyzer.terms(&found.chunk.searchable_text(&found.title));
        let norm = K1 * (1.0 - B + B * words.len() as f32 / table.mean_length());
        let gain = |TermWeight { term, weight }: &TermWeight| {
            let frequency = words.iter().filter(|word| *word == term).count() as f32;
            weight * frequency * (K1 + 1.0) / (frequency + norm)
        };
        terms.iter().map(gain).sum()
    }
}

/// Scores words and meaning together, and puts the best first.
fn fuse(passages: &mut [Passage]) {
    let cosine_max = passages.iter().map(|p| p.cosine).fold(-1.0, f32::max);
    let lexical_max = passages.iter().map(|p| p.lexical).fold(0.0, f32::max);
    for passage in &mut *passages {
        let dense = (passage.cosine + 1.0) / (cosine_max + 1.0).max(f32::EPSILON);
        let words = if lexical_max > 0.0 { passage.lexical / lexical_max } else { 0.0 };
        passage.score = DENSE_WEIGHT * dense + (1.0 - DENSE_WEIGHT) * words;
    }
    // Ties break by place, so that the same index gives the same order.
    passages.sort_by(|a, b| {
        let place = |p: &Passage| (p.document_id.clone(), p.chunk.ordinal);
        b.score.total_cmp(&a.score).then_with(|| place(a).cmp(&place(b)))
    });
}
