//! The audit table's stream to the sealed archive: rows in, signed and chained files out, each row exactly once.

mod config;
mod event;

pub use config::Config;

use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{Fetched, ObjectReader, ObjectWriter};
use domain::signing::MessageSigner;
use event::Content;
use jiff::Timestamp;
use lambda_runtime::Error;
use objects::Bucket;
use runtime::ids::now;
use runtime::telemetry::{Invocation, Unit, alert};
use seal::{Chains, PublicKey, Row, SealRowsError, Sealed, Sealer};
use serde_json::{Value, json};
use signing::KmsKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{Mutex, OnceCell};

/// What the function holds between invocations.
pub struct AuditSeal {
    /// The archive.
    pub reader: Arc<dyn ObjectReader>,
    /// The archive.
    pub writer: Arc<dyn ObjectWriter>,
    /// The key.
    pub signer: Box<dyn MessageSigner>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    chains: Mutex<Chains>,
    keys: OnceCell<Vec<PublicKey>>,
}

impl AuditSeal {
    /// Over these stores.
    pub fn new(
        reader: Arc<dyn ObjectReader>,
        writer: Arc<dyn ObjectWriter>,
        signer: Box<dyn MessageSigner>,
        clock: fn() -> Timestamp,
    ) -> Self {
        Self { reader, writer, signer, clock, chains: Mutex::default(), keys: OnceCell::new() }
    }

    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        let archive = Arc::new(Bucket::new(sdk, config.archive_bucket.clone()));
        Self::new(archive.clone(), archive, Box::new(KmsKey::new(sdk, config.seal_key.clone())), now)
    }

    /// The key's public half, and those of the keys before it; laid into the archive at the first use.
    async fn keys(&self) -> Result<&[PublicKey], PortError> {
        let malformed = |operation| PortError::Unexpected { operation, code: "key".into() };
        let read = async || {
            let own = PublicKey::of_der(&self.signer.public_key().await?).map_err(|_| malformed("GetPublicKey"))?;
            let mut keys = vec![own];
            for name in self.reader.keys("keys/").await? {
                let Fetched::Found { bytes, .. } = self.reader.get(&name, None, None).await? else { continue };
                let earlier = std::str::from_utf8(&bytes).ok().and_then(|pem| PublicKey::of_pem(pem).ok());
                let earlier = earlier.ok_or_else(|| malformed("GetObject"))?;
                if !keys.contains(&earlier) {
                    keys.push(earlier);
                }
            }
            self.sealer(&keys).publish_key().await?;
            Ok(keys)
        };
        self.keys.get_or_try_init(read).await.map(Vec::as_slice)
    }

    fn sealer<'a>(&'a self, keys: &'a [PublicKey]) -> Sealer<'a> {
        Sealer {
            reader: self.reader.as_ref(),
            writer: self.writer.as_ref(),
            signer: self.signer.as_ref(),
            keys,
            clock: &self.clock,
        }
    }

    /// Seals rows of one tenant.
    pub async fn seal(&self, tenant: &TenantId, rows: &[Row]) -> Result<Sealed, SealRowsError> {
        let keys = self.keys().await?;
        self.sealer(keys).seal(&mut *self.chains.lock().await, tenant, rows).await
    }
}

/// Works through a batch. Answers the first record that is not sealed: the stream goes on from there, and what comes again
/// with it and is sealed already is left out.
pub async fn handle(app: &AuditSeal, event: &Value, id: &str) -> Result<Value, Error> {
    let mut invocation = Invocation::begin("audit-seal", id);
    let records = event::read(event).map_err(|_| "this is no batch of a stream's records")?;
    let mut tenants: BTreeMap<TenantId, (usize, Vec<Row>)> = BTreeMap::new();
    let mut foreign = 0;
    for (at, record) in records.iter().enumerate() {
        match &record.content {
            Content::Appended(tenant, row) => {
                let (_, rows) = tenants.entry(tenant.clone()).or_insert_with(|| (at, Vec::new()));
                rows.push(row.clone());
            }
            Content::Foreign => foreign += 1,
            Content::Other => {}
        }
    }
    let mut total = Sealed::default();
    let mut failed: Option<usize> = None;
    for (tenant, (first, rows)) in &tenants {
        match app.seal(tenant, rows).await {
            Ok(sealed) => {
                tracing::info!(%tenant, rows = sealed.rows, files = sealed.files, repeated = sealed.repeated, races = sealed.races, "sealed");
                total.rows += sealed.rows;
                total.files += sealed.files;
                total.repeated += sealed.repeated;
                total.races += sealed.races;
            }
            Err(error) => {
                tracing::warn!(%tenant, %error, detail = ?error, "not sealed; the batch comes again");
                if matches!(error, SealRowsError::Archive(_)) {
                    alert("audit-seal", "UnsoundArchive", 1.0);
                }
                failed = Some(failed.map_or(*first, |earlier| earlier.min(*first)));
            }
        }
    }
    if foreign > 0 {
        tracing::warn!(foreign, "items of the audit table that belong to no tenant");
        alert("audit-seal", "UnsealedItems", f64::from(foreign));
    }
    for (name, count) in [("SealedRows", total.rows), ("SealedFiles", total.files), ("RepeatedRows", total.repeated)] {
        invocation.metric(name, Unit::Count, count as f64);
    }
    invocation.metric("LostRaces", Unit::Count, f64::from(total.races));
    invocation.end(if failed.is_some() { "retry" } else { "sealed" });
    let failures: Vec<Value> = failed.iter().map(|at| json!({ "itemIdentifier": records[*at].number })).collect();
    Ok(json!({ "batchItemFailures": failures }))
}
