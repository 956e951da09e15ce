//! The keys of a provider, and word of it when one is refused: the gateway asks for another key then, and answers; somebody has to
//! learn of it all the same. The row tells the key rotation which version, the metric wakes it. What is in use and no key at all
//! is passed over like a key that is refused.

use async_trait::async_trait;
use domain::fault::PortError;
use domain::keys::{Key, KeyRing, KeyVersion, MALFORMED_KEY, NO_KEY, RefusalLog};
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
        let missing = match self.ring.current().await {
            Err(PortError::Unexpected { operation, code }) if code == NO_KEY || code == MALFORMED_KEY => (operation, code),
            other => return other,
        };
        let (operation, code) = missing;
        if code == MALFORMED_KEY {
            alert("chat", "RefusedKeys", 1.0);
        }
        match self.ring.after(&[]).await? {
            Some(key) => Ok(key),
            None => Err(PortError::Unexpected { operation, code }),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use domain::keys::ApiKey;
    use testkit::{MemoryRefusals, fixed_now};

    /// A secret whose version in use holds something else than a key.
    struct Scribbled(&'static str, Option<&'static str>);

    #[async_trait]
    impl KeyRing for Scribbled {
        async fn current(&self) -> Result<Key, PortError> {
            Err(PortError::Unexpected { operation: "GetSecretValue key", code: self.0.to_owned() })
        }

        async fn after(&self, refused: &[KeyVersion]) -> Result<Option<Key>, PortError> {
            assert!(refused.is_empty());
            Ok(self.1.map(|value| Key { version: KeyVersion("previous".into()), value: ApiKey::new(value) }))
        }
    }

    async fn current(code: &'static str, next: Option<&'static str>) -> Result<Key, PortError> {
        let refusals = Arc::new(MemoryRefusals::default());
        WatchedKeys { ring: Box::new(Scribbled(code, next)), provider: "groq", refusals, clock: fixed_now }.current().await
    }

    #[tokio::test]
    async fn what_is_no_key_is_passed_over_for_the_one_before() {
        for code in [NO_KEY, MALFORMED_KEY] {
            assert_eq!(current(code, Some("key-0")).await.expect("a key").value.expose(), "key-0");
            assert!(matches!(current(code, None).await, Err(PortError::Unexpected { code: said, .. }) if said == code));
        }
        // What may not be read is another matter.
        assert!(current("AccessDeniedException", Some("key-0")).await.is_err());
    }
}
