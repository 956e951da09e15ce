//! The service's calls, within its limits: 500 vectors and 20 MiB a write, 100 keys a read, 100 nearest.

use crate::record::{Origin, UNFILTERED, key, record, version_hash};
use aws_sdk_s3vectors::Client;
use aws_sdk_s3vectors::config::http::HttpResponse;
use aws_sdk_s3vectors::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3vectors::types::{
    DataType, DistanceMetric, GetOutputVector, IndexMode, MetadataConfiguration, PutInputVector, QueryOutputVector, VectorData,
};
use aws_smithy_types::Document;
use aws_types::SdkConfig;
use domain::fault::PortError;
use domain::ids::{DocumentId, TenantId};
use domain::retrieval::{Embedding, IndexEntry};
use domain::text::hexadecimal;
use sha2::{Digest, Sha256};
use std::sync::OnceLock;

/// How many nearest vectors a search asks for: the most that the service gives.
pub const DEPTH: usize = 100;
/// Vectors in one write.
const WRITE_MAX: usize = 500;
/// Bytes in one write; the service's limit is 20 MiB.
const WRITE_BYTES_MAX: usize = 19 << 20;
/// Keys in one read.
const READ_MAX: usize = 100;
/// Keys in one page of a list.
const LIST_MAX: i32 = 1_000;

/// One vector bucket, for the vectors of one model. The client is made at first use: who never needs it pays nothing.
#[derive(Debug)]
pub struct VectorBucket {
    config: SdkConfig,
    client: OnceLock<Client>,
    name: String,
    model: String,
}

impl VectorBucket {
    /// A vector bucket by name.
    pub fn new(config: &SdkConfig, name: String, model: String) -> Self {
        Self { config: config.clone(), client: OnceLock::new(), name, model }
    }

    fn client(&self) -> &Client {
        self.client.get_or_init(|| Client::new(&self.config))
    }

    /// The model of the vectors.
    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    /// A tenant's index: of one model, because vectors of two are never compared.
    pub fn index_name(&self, tenant: &TenantId) -> String {
        format!("t-{tenant}-{}", hexadecimal(&Sha256::digest(&self.model)[..4]))
    }

    /// Makes the tenant's index unless it is there.
    pub async fn create(&self, tenant: &TenantId, dimensions: usize) -> Result<(), PortError> {
        const OPERATION: &str = "CreateIndex";
        let unfiltered =
            MetadataConfiguration::builder().set_non_filterable_metadata_keys(Some(UNFILTERED.map(Into::into).to_vec()));
        let unfiltered =
            unfiltered.build().map_err(|_| PortError::Unexpected { operation: OPERATION, code: "metadata".into() })?;
        let create = self
            .client()
            .create_index()
            .vector_bucket_name(&self.name)
            .index_name(self.index_name(tenant))
            .data_type(DataType::Float32)
            .dimension(i32::try_from(dimensions).unwrap_or(i32::MAX))
            .distance_metric(DistanceMetric::Cosine)
            .metadata_configuration(unfiltered);
        match create.send().await.map_err(|error| port_error(OPERATION, &error)) {
            Ok(_) | Err(PortError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Removes the tenant's index and every vector in it.
    pub async fn drop_index(&self, tenant: &TenantId) -> Result<(), PortError> {
        let delete = self.client().delete_index().vector_bucket_name(&self.name).index_name(self.index_name(tenant));
        delete.send().await.map(|_| ()).map_err(|error| port_error("DeleteIndex", &error))
    }

    /// Writes a document version. Safe to repeat: the same chunks have the same keys. Answers how many vectors it has: fewer
    /// than chunks if a chunk is too large for the service.
    pub async fn put(&self, entry: &IndexEntry) -> Result<u64, PortError> {
        let of =
            Origin { document: &entry.document_id, title: &entry.title, version: &entry.version, attributes: &entry.attributes };
        let hash = version_hash(&self.model, &entry.version);
        let records = entry.chunks.iter().filter_map(|chunk| record(&of, &hash, chunk));
        self.write(&entry.tenant, records).await
    }

    async fn write(
        &self,
        tenant: &TenantId,
        records: impl Iterator<Item = (PutInputVector, usize)> + Send,
    ) -> Result<u64, PortError> {
        let (mut batch, mut bytes, mut written) = (Vec::new(), 0, 0);
        for (vector, size) in records {
            if batch.len() == WRITE_MAX || bytes + size > WRITE_BYTES_MAX {
                self.write_batch(tenant, std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            batch.push(vector);
            (bytes, written) = (bytes + size, written + 1);
        }
        self.write_batch(tenant, batch).await?;
        Ok(written)
    }

    async fn write_batch(&self, tenant: &TenantId, batch: Vec<PutInputVector>) -> Result<(), PortError> {
        if batch.is_empty() {
            return Ok(());
        }
        let put = self.client().put_vectors().vector_bucket_name(&self.name).index_name(self.index_name(tenant));
        put.set_vectors(Some(batch)).send().await.map(|_| ()).map_err(|error| port_error("PutVectors", &error))
    }

    /// The keys of a document version.
    fn keys(&self, document: &DocumentId, version: &str, chunks: u32) -> Vec<String> {
        let hash = version_hash(&self.model, version);
        (0..chunks).map(|ordinal| key(document, &hash, ordinal)).collect()
    }

    /// Removes a document version of so many chunks.
    pub async fn forget(&self, tenant: &TenantId, document: &DocumentId, version: &str, chunks: u32) -> Result<(), PortError> {
        self.delete(tenant, &self.keys(document, version, chunks)).await
    }

    /// Removes vectors by key.
    pub async fn delete(&self, tenant: &TenantId, keys: &[String]) -> Result<(), PortError> {
        for batch in keys.chunks(WRITE_MAX) {
            let delete = self.client().delete_vectors().vector_bucket_name(&self.name).index_name(self.index_name(tenant));
            let delete = delete.set_keys(Some(batch.to_vec())).send().await;
            delete.map_err(|error| port_error("DeleteVectors", &error))?;
        }
        Ok(())
    }

    /// Writes other metadata to a version's vectors; what they were made from is not needed.
    pub async fn describe(
        &self,
        tenant: &TenantId,
        document: &DocumentId,
        current: &domain::scale::Current,
    ) -> Result<(), PortError> {
        let said = crate::record::described(document, &current.attributes);
        for batch in self.keys(document, &current.version, current.chunks).chunks(READ_MAX) {
            let vectors = self.get(tenant, batch.to_vec(), true).await?;
            let records = vectors.into_iter().filter_map(|vector| {
                let mut fields = vector.metadata?.as_object()?.clone();
                for name in ["groups", "tags", "date"] {
                    fields.remove(name);
                }
                fields.extend(said.clone());
                let put = PutInputVector::builder().key(vector.key).set_data(vector.data).metadata(Document::Object(fields));
                // A batch of a hundred has at most 40 KB of metadata each: far from the limit in bytes.
                Some((put.build().ok()?, 0))
            });
            self.write(tenant, records).await?;
        }
        Ok(())
    }

    /// The vectors of at most [`READ_MAX`] keys, as far as they are there.
    async fn get(&self, tenant: &TenantId, keys: Vec<String>, whole: bool) -> Result<Vec<GetOutputVector>, PortError> {
        let get = self.client().get_vectors().vector_bucket_name(&self.name).index_name(self.index_name(tenant));
        let got = get.set_keys(Some(keys)).return_data(whole).return_metadata(whole).send().await;
        got.map(|got| got.vectors).map_err(|error| port_error("GetVectors", &error))
    }

    /// How many of a version's vectors are there.
    pub async fn held(&self, tenant: &TenantId, document: &DocumentId, version: &str, chunks: u32) -> Result<u64, PortError> {
        let mut held = 0;
        for batch in self.keys(document, version, chunks).chunks(READ_MAX) {
            held += self.get(tenant, batch.to_vec(), false).await?.len() as u64;
        }
        Ok(held)
    }

    /// The next page of all keys, and the token of the one after it.
    pub async fn page(&self, tenant: &TenantId, token: Option<String>) -> Result<(Vec<String>, Option<String>), PortError> {
        let list = self.client().list_vectors().vector_bucket_name(&self.name).index_name(self.index_name(tenant));
        let page = list.max_results(LIST_MAX).set_next_token(token).send().await;
        let page = page.map_err(|error| port_error("ListVectors", &error))?;
        Ok((page.vectors.into_iter().map(|vector| vector.key).collect(), page.next_token))
    }

    /// The nearest vectors that the filter lets through, nearest first, page after page.
    pub(crate) async fn nearest(
        &self,
        tenant: &TenantId,
        question: &Embedding,
        filter: Option<Document>,
        depth: usize,
    ) -> Result<Vec<QueryOutputVector>, PortError> {
        let has_metadata = filter.is_some();
        let query = self
            .client()
            .query_vectors()
            .vector_bucket_name(&self.name)
            .index_name(self.index_name(tenant))
            .top_k(i32::try_from(depth).unwrap_or(i32::MAX))
            .query_vector(VectorData::Float32(question.0.clone()))
            .set_filter(filter)
            // What is filtered is filtered before the search, not out of its best.
            .query_mode(IndexMode::Enhanced)
            .return_metadata(has_metadata)
            .return_distance(true);
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let page = query.clone().set_next_token(token).send().await;
            let page = page.map_err(|error| port_error("QueryVectors", &error))?;
            let is_empty = page.vectors.is_empty();
            found.extend(page.vectors);
            token = page.next_token;
            if token.is_none() || is_empty || found.len() >= depth {
                found.truncate(depth);
                return Ok(found);
            }
        }
    }

    /// The keys nearest to a vector, whoever may see them: for the check after a copy. Brings no content.
    pub async fn nearest_keys(&self, tenant: &TenantId, vector: &Embedding, depth: usize) -> Result<Vec<String>, PortError> {
        Ok(self.nearest(tenant, vector, None, depth).await?.into_iter().map(|found| found.key).collect())
    }
}

/// What an SDK failure means. Carries the service's code, never its message.
fn port_error<E: ProvideErrorMetadata>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> PortError {
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().map_or_else(|| status.map_or_else(|| "no answer".to_owned(), |s| s.to_string()), str::to_owned);
    match status {
        Some(409) => PortError::Conflict { operation },
        None | Some(408 | 429 | 500..) => PortError::Unavailable { operation, code },
        Some(_) => PortError::Unexpected { operation, code },
    }
}
