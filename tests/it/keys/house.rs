//! A deployment's keys in memory: a secret with a key in use, a pool or an API behind it, a provider in front.

use domain::alert::Once;
use domain::keys::pool::{KeySource, Pool};
use domain::keys::rotation::{KeyRotation, RotateKeyError, RotationRules};
use domain::keys::secret::{KeyBody, SecretStore as _, SecretText};
use domain::keys::{ApiKey, KeyVersion, SecretStage};
use jiff::SignedDuration;
use std::sync::Arc;
use testkit::{
    CountingIds, MemoryAlerts, MemoryAuditLog, MemoryProvider, MemoryRefusals, MemorySecret, MemoryTold, Outage, context,
    fixed_now,
};

/// Where keys come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Pool,
    Minted,
}

pub struct House {
    pub source: Source,
    pub secret: MemorySecret,
    pub pool: MemorySecret,
    pub provider: MemoryProvider,
    pub refusals: MemoryRefusals,
    pub alerts: MemoryAlerts,
    pub told: MemoryTold,
    pub audit: MemoryAuditLog,
    pub outage: Outage,
    ids: Arc<CountingIds>,
}

impl House {
    /// `key-0` is in use; these wait, and are good.
    pub async fn new(source: Source, waiting: &[&str]) -> Self {
        let house = Self {
            source,
            secret: MemorySecret::default(),
            pool: MemorySecret::default(),
            provider: MemoryProvider::accepting(&["key-0"]),
            refusals: MemoryRefusals::default(),
            alerts: MemoryAlerts::default(),
            told: MemoryTold::default(),
            audit: MemoryAuditLog::default(),
            outage: Outage::default(),
            ids: Arc::default(),
        };
        house.secret.set_time(fixed_now());
        house.secret.set_text("{\"api_key\":\"key-0\",\"key_id\":\"first\"}");
        for key in waiting {
            house.provider.accept(key);
            house.stock().add(&ApiKey::new(key), None).await.expect("a pool");
        }
        house
    }

    pub fn stock(&self) -> Pool {
        Pool { store: Arc::new(self.pool.clone()), ids: self.ids.clone(), clock: fixed_now }
    }

    /// Everything that a run calls goes through the house's outage.
    pub fn rotation(&self) -> KeyRotation {
        let seen = || self.outage.clone();
        let source: Arc<dyn KeySource> = match self.source {
            Source::Minted => Arc::new(self.provider.seen_through(seen())),
            Source::Pool => {
                Arc::new(Pool { store: Arc::new(self.pool.seen_through(seen())), ids: self.ids.clone(), clock: fixed_now })
            }
        };
        KeyRotation {
            provider: "groq",
            store: Arc::new(self.secret.seen_through(seen())),
            source,
            canary: Arc::new(self.provider.seen_through(seen())),
            refusals: Arc::new(self.refusals.clone()),
            audit: Arc::new(self.audit.seen_through(seen())),
            alerts: Arc::new(Once { sink: self.alerts.seen_through(seen()), told: self.told.clone() }),
            ids: self.ids.clone(),
            rules: RotationRules::default(),
        }
    }

    pub async fn rotate(&self) -> Result<Option<KeyVersion>, RotateKeyError> {
        self.rotation().rotate(SignedDuration::ZERO, &context("main", &[])).await
    }

    /// The key in a stage; empty if there is none.
    pub fn key(&self, stage: SecretStage) -> String {
        let text = self.secret.text(stage).unwrap_or_default();
        KeyBody::parse(&SecretText::new(text)).map_or_else(|_| String::new(), |body| body.key.expose().to_owned())
    }

    /// A rotation that somebody began long ago.
    pub async fn leave_pending(&self, is_good: bool) {
        if is_good {
            self.provider.accept("key-old");
        }
        let text = SecretText::new("{\"api_key\":\"key-old\",\"key_id\":\"old\"}".to_owned());
        let token = KeyVersion("a-rotation-of-last-year-that-never-ended".to_owned());
        self.secret.put(&token, &text, SecretStage::Pending.as_str()).await.expect("a secret");
    }

    pub async fn empty_pool(&self) {
        for waiting in self.stock().waiting().await.expect("a pool") {
            let id = domain::audit::Label::parse(&waiting.id).expect("a label");
            self.stock().taken(&id).await.expect("a pool");
        }
    }

    pub fn fill_pool_with_current(&self) {
        let now = fixed_now();
        self.pool.set_text(&format!("{{\"keys\":[{{\"id\":\"again\",\"added_at\":\"{now}\",\"api_key\":\"key-0\"}}]}}"));
    }

    /// Everything is up, and an operator has put a good key into the pool and taken out what is wrong.
    pub async fn mend(&self) {
        self.outage.end();
        let waiting = self.stock().waiting().await.expect("a pool");
        if waiting.iter().any(|waiting| waiting.id == "again") {
            self.empty_pool().await;
        }
        self.provider.accept("key-9");
        self.stock().add(&ApiKey::new("key-9"), None).await.expect("a pool");
        // A rotation that was cut off after its promotion has done its work: the next one is another.
        if self.key(SecretStage::Current) != "key-0" {
            let tended = self.rotation().tend(&context("main", &[])).await.expect("what was cut off is ended");
            assert!(tended.troubles.is_empty(), "{:?}", tended.troubles);
        }
    }
}
