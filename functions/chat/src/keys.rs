//! The keys of a provider, and word of it when one is refused: the gateway asks for another key then, and answers; somebody has to
//! learn of it all the same. The row tells the key rotation which version, the metric wakes it.

use async_trait::async_trait;
use domain::fault::PortError;
use domain::keys::{Key, KeyRing, KeyVersion, RefusalLog};
use jiff::Timestamp;
use runtime::telemetry::alert;
use std::sync::Arc;

/// A ring of keys whose refusals are noted.
pub struct WatchedKeys {
    /// The keys.
    pub ring: Box<dyn KeyRing>,
    /// Whose.
    pub provider: &'static str,
    /// Where refusals are noted.
    pub refusals: Arc<dyn RefusalLog>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

#[async_trait]
impl KeyRing for WatchedKeys {
    async fn current(&self) -> Result<Key, PortError> {
        self.ring.current().await
    }

    async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError> {
        if let Some(version) = refused.last() {
            alert("chat", "RefusedKeys", 1.0);
            // An answer does not depend on it: the next refusal is noted, and the daily trial finds a dead key as well.
            if let Err(error) = self.refusals.note(self.provider, version, (self.clock)()).await {
                tracing::warn!(provider = self.provider, %error, detail = ?error, "a refusal was not noted");
            }
        }
        self.ring.after(refused).await
    }
}
