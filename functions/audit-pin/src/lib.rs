//! Once a day the head of each tenant's sealed trail is kept where the seal cannot reach: checked against the head of the day
//! before, written once into a bucket of its own, and told to whoever reads the alerts.

mod config;
mod pinning;

pub use config::Config;
pub use pinning::{PinHeadError, check, head_key, last_pin, pin};

use alerts::AlertTopic;
use domain::alert::{Alert, AlertSink, Severity};
use domain::audit::{AuditEvent, AuditLog, AuditValue, Entity, EventType, Outcome};
use domain::context::{Actor, Context};
use domain::fault::PortError;
use domain::ids::{IdSource, RequestId, SubjectId, TenantId};
use domain::objects::{ObjectReader, ObjectWriter};
use domain::signing::MessageSigner;
use jiff::Timestamp;
use lambda_runtime::Error;
use objects::Bucket;
use runtime::ids::{SystemIds, now};
use runtime::telemetry::{Invocation, Unit, alert};
use seal::{Head, PublicKey, trusted_keys};
use signing::KmsKey;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use store::AuditTable;

/// The name under which the trail knows this function.
const AGENT: &str = "audit-pin";

/// What the function holds between invocations.
pub struct AuditPin {
    /// The sealed trails.
    pub archive: Arc<dyn ObjectReader>,
    /// The pinned heads.
    pub pins: Arc<dyn ObjectReader>,
    /// The pinned heads.
    pub writer: Arc<dyn ObjectWriter>,
    /// The key whose signatures count. Only its public half is asked for.
    pub key: Box<dyn MessageSigner>,
    /// The audit trail.
    pub audit: Box<dyn AuditLog>,
    /// Who is told.
    pub alerts: Box<dyn AlertSink>,
    /// New ids.
    pub ids: Box<dyn IdSource>,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// Names of other keys whose files count, with commas between them.
    pub trusted: String,
}

impl AuditPin {
    /// The function on AWS.
    pub fn connect(config: &Config, sdk: &aws_types::SdkConfig) -> Self {
        let pins = Arc::new(Bucket::new(sdk, config.pin_bucket.clone()));
        Self {
            archive: Arc::new(Bucket::new(sdk, config.archive_bucket.clone())),
            pins: pins.clone(),
            writer: pins,
            key: Box::new(KmsKey::new(sdk, config.seal_key.clone())),
            audit: Box::new(AuditTable::new(sdk, config.audit_table.clone())),
            alerts: Box::new(AlertTopic::new(sdk, config.alerts_topic.clone())),
            ids: Box::new(SystemIds),
            clock: now,
            trusted: config.trusted_keys.clone(),
        }
    }

    /// The seal's key, and the others that count.
    async fn keys(&self) -> Result<Vec<PublicKey>, PortError> {
        trusted_keys(self.archive.as_ref(), &self.key.public_key().await?, &self.trusted).await
    }

    /// Whose trails there are: those of the archive, and those that were pinned before, in case one is gone. Whoever has waited
    /// longest comes first, so that nobody is left out for good if the time does not suffice for all.
    async fn tenants(&self) -> Result<Vec<TenantId>, PortError> {
        let mut names = self.archive.folders("trail/").await?;
        names.extend(self.pins.folders("heads/").await?);
        let tenants: BTreeSet<TenantId> = names.iter().filter_map(|name| TenantId::parse(name).ok()).collect();
        let mut waiting = Vec::new();
        for tenant in tenants {
            // A head that cannot be read is this tenant's trouble, and is told when its turn comes: first of all.
            let pinned = last_pin(self.pins.as_ref(), &tenant).await.ok().flatten().map(|head| head.time);
            waiting.push((pinned, tenant));
        }
        waiting.sort();
        Ok(waiting.into_iter().map(|(_, tenant)| tenant).collect())
    }

    /// Records and tells that a head was pinned.
    async fn tell(&self, head: &Head, id: &str) -> Result<(), PortError> {
        let at = (self.clock)();
        let context = Context {
            actor: Actor {
                subject: SubjectId::parse(AGENT).map_err(|_| PortError::Unexpected { operation: "pin", code: "agent".into() })?,
                roles: Vec::new(),
                groups: BTreeSet::new(),
                department: None,
            },
            tenant: head.tenant.clone(),
            request_id: RequestId::new(id),
            now: at,
        };
        let entity = Entity::Trail(head.tenant.clone());
        let event = AuditEvent::new(self.ids.as_ref(), &context, EventType::AuditSealed, entity, Outcome::Success);
        self.audit
            .append(&event.with("rows", AuditValue::Count(head.count)).with("files", AuditValue::Count(head.files)))
            .await?;
        let pinned = Alert {
            kind: "audit_head_pinned".into(),
            severity: Severity::Notice,
            headline: format!(
                "Sealed audit trail of {}: {} rows, root {}, digest {}.",
                head.tenant, head.count, head.root, head.digest
            ),
            facts: BTreeMap::from([("rows", AuditValue::Count(head.count)), ("files", AuditValue::Count(head.files))]),
            runbook: "docs/runbook.md#the-head-of-the-sealed-trail".into(),
            dedupe_key: format!("audit_head_pinned:{}:{}", head.tenant, head.files),
            at,
        };
        self.alerts.publish(&pinned).await
    }
}

/// Pins every tenant's head. One tenant's trouble is not the others'; with any the invocation fails, and is repeated.
pub async fn handle(app: &AuditPin, id: &str) -> Result<(), Error> {
    let mut invocation = Invocation::begin(AGENT, id);
    let keys = app.keys().await?;
    let (mut pinned, mut failed) = (0_u32, 0_u32);
    for tenant in app.tenants().await? {
        let told = async {
            let Some(head) = check(app.archive.as_ref(), app.pins.as_ref(), &keys, &tenant).await? else { return Ok(0) };
            // Told first: a run that is cut off between tells twice, which is better than never.
            app.tell(&head, id).await?;
            pin(app.writer.as_ref(), &head).await.map(|()| 1)
        };
        let told: Result<u32, PinHeadError> = told.await;
        match told {
            Ok(heads) => pinned += heads,
            Err(error) => {
                failed += 1;
                tracing::warn!(%tenant, %error, detail = ?error, "not pinned");
                if !matches!(error, PinHeadError::Port(_)) {
                    alert(AGENT, "UnsoundArchive", 1.0);
                }
            }
        }
    }
    invocation.metric("PinnedHeads", Unit::Count, f64::from(pinned));
    invocation.end(if failed > 0 { "retry" } else { "pinned" });
    if failed > 0 { Err("a head could not be pinned".into()) } else { Ok(()) }
}
