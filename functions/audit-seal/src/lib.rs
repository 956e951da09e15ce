//! The audit table's stream to the sealed archive: rows in, signed and chained files out, each row exactly once.

mod config;
mod event;

pub use config::Config;

use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{ObjectHistory, ObjectReader, ObjectWriter};
use domain::signing::MessageSigner;
use event::Content;
use jiff::Timestamp;
use lambda_runtime::Error;
use objects::Bucket;
use runtime::ids::now;
use runtime::telemetry::{Invocation, Unit, alert};
use seal::{Chains, PublicKey, Row, SealRowsError, Sealed, Sealer, trusted_keys};
use serde_json::{Value, json};
use signing::KmsKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// What the function holds between invocations.
pub struct AuditSeal {
    /// The archive.
    pub reader: Arc<dyn ObjectReader>,
    /// The archive.
    pub writer: Arc<dyn ObjectWriter>,
    /// The archive.
    pub history: Arc<dyn ObjectHistory>,
    /// The key.
    pub signer: Box<dyn MessageSigner>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    chains: Mutex<Chains>,
    keys: Mutex<Option<Arc<[PublicKey]>>>,
    trusted: String,
    disowned: Vec<String>,
}

impl AuditSeal {
    /// Over these stores.
    pub fn new<A: ObjectReader + ObjectWriter + ObjectHistory + 'static>(
        archive: Arc<A>,
        signer: Box<dyn MessageSigner>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let (chains, keys) = (Mutex::default(), Mutex::default());
        let (reader, writer) = (archive.clone(), archive.clone());
        Self { reader, writer, history: archive, signer, clock, chains, keys, trusted: String::new(), disowned: Vec::new() }
    }

    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        let archive = Arc::new(Bucket::new(sdk, config.archive_bucket.clone()));
        let key = Box::new(KmsKey::new(sdk, config.seal_key.clone()));
        Self::new(archive, key, now).trusting(&config.trusted_keys).disowning(&config.disowned_keys)
    }

    /// Trusts the files of other keys as well: their names, with commas between them.
    #[must_use]
    pub fn trusting(self, names: &str) -> Self {
        Self { trusted: names.to_owned(), ..self }
    }

    /// Says of other keys that somebody else signs with them: their names, with commas between them.
    #[must_use]
    pub fn disowning(self, names: &str) -> Self {
        Self { disowned: names.split(',').map(str::to_owned).collect(), ..self }
    }

    /// The key's public half, and the others that count; laid into the archive at the first use.
    async fn keys(&self, anew: bool) -> Result<Arc<[PublicKey]>, PortError> {
        let mut known = self.keys.lock().await;
        if let Some(keys) = known.as_ref().filter(|_| !anew) {
            return Ok(keys.clone());
        }
        let own = self.signer.public_key().await?;
        let keys: Arc<[PublicKey]> = trusted_keys(self.reader.as_ref(), &own, &self.trusted).await?.into();
        self.sealer(&keys).publish_key().await?;
        *known = Some(keys.clone());
        Ok(keys)
    }

    fn sealer<'a>(&'a self, keys: &'a [PublicKey]) -> Sealer<'a> {
        Sealer {
            reader: self.reader.as_ref(),
            writer: self.writer.as_ref(),
            history: self.history.as_ref(),
            signer: self.signer.as_ref(),
            keys,
            disowned: &self.disowned,
            clock: &self.clock,
        }
    }

    /// Seals rows of one tenant.
    pub async fn seal(&self, tenant: &TenantId, rows: &[Row]) -> Result<Sealed, SealRowsError> {
        let keys = self.keys(false).await?;
        let sealed = self.sealer(&keys).seal(&mut *self.chains.lock().await, tenant, rows).await;
        if !matches!(sealed, Err(SealRowsError::Archive(_))) {
            return sealed;
        }
        // Before it is said that a trail is not what was sealed: a key that counts may have come since.
        let keys = self.keys(true).await?;
        self.sealer(&keys).seal(&mut *self.chains.lock().await, tenant, rows).await
    }
}

/// Works through a batch. Answers the first record that is not sealed: the stream goes on from there, and what comes again
/// with it and is sealed already is left out. Rows of a tenant whose archive is not what was sealed are parked: nothing is
/// built on it, waiting would not mend it, and the other tenants' rows are behind them in the same stream. They are in the
/// table, and `clinchat audit replay` brings them back.
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
    let mut parked = 0;
    for (tenant, (first, rows)) in &tenants {
        match app.seal(tenant, rows).await {
            Ok(sealed) => {
                tracing::info!(%tenant, rows = sealed.rows, files = sealed.files, repeated = sealed.repeated, races = sealed.races, "sealed");
                total.rows += sealed.rows;
                total.files += sealed.files;
                total.repeated += sealed.repeated;
                total.races += sealed.races;
                if sealed.strangers > 0 {
                    tracing::error!(%tenant, strangers = sealed.strangers, "files that the seal did not write were passed over");
                    total.strangers += sealed.strangers;
                }
            }
            Err(error @ SealRowsError::Archive(_)) => {
                let (first_row, last_row) = (rows.first().map(|row| &*row.id), rows.last().map(|row| &*row.id));
                tracing::error!(%tenant, %error, detail = ?error, rows = rows.len(), event_id = first_row, last_event_id = last_row, "parked");
                alert("audit-seal", "UnsoundArchive", 1.0);
                parked += rows.len();
            }
            Err(error) => {
                tracing::warn!(%tenant, %error, detail = ?error, "not sealed; the batch comes again");
                failed = Some(failed.map_or(*first, |earlier| earlier.min(*first)));
            }
        }
    }
    if foreign > 0 {
        tracing::warn!(foreign, "items of the audit table that belong to no tenant");
        alert("audit-seal", "UnsealedItems", f64::from(foreign));
    }
    if total.strangers > 0 {
        alert("audit-seal", "StrangersFiles", total.strangers as f64);
    }
    for (name, count) in [("SealedRows", total.rows), ("SealedFiles", total.files), ("RepeatedRows", total.repeated)] {
        invocation.metric(name, Unit::Count, count as f64);
    }
    invocation.metric("ParkedRows", Unit::Count, parked as f64);
    invocation.metric("LostRaces", Unit::Count, f64::from(total.races));
    invocation.end(if failed.is_some() { "retry" } else { "sealed" });
    let failures: Vec<Value> = failed.iter().map(|at| json!({ "itemIdentifier": records[*at].number })).collect();
    Ok(json!({ "batchItemFailures": failures }))
}
