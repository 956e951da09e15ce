//! Seals a tenant's rows. The secret is a code that KMS makes with a key of its own, asked for once a process and kept nowhere; each
//! tenant's key is derived of it, and each sealing's of that. AES-256-GCM.

use crate::KmsKey;
use async_trait::async_trait;
use domain::chat::conversation::TenantCipher;
use domain::fault::PortError;
use domain::ids::TenantId;
use domain::mac::mac;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use tokio::sync::OnceCell;
use ulid::Ulid;

/// What the secret is a code of. Another text would open nothing that was sealed before.
const SECRET_MESSAGE: &[u8] = b"clinchat conversations 1";
/// The bytes of a nonce in front of what is sealed.
const NONCE_BYTES: usize = 16;
const OPEN: &str = "open row";

/// The cipher.
pub struct KmsCipher {
    key: Option<KmsKey>,
    secret: OnceCell<Vec<u8>>,
}

impl std::fmt::Debug for KmsCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KmsCipher")
    }
}

impl KmsCipher {
    /// With a key of KMS for HMAC.
    pub const fn new(key: KmsKey) -> Self {
        Self { key: Some(key), secret: OnceCell::const_new() }
    }

    /// With a secret that is at hand, where there is no KMS.
    pub fn with_secret(secret: Vec<u8>) -> Self {
        Self { key: None, secret: OnceCell::new_with(Some(secret)) }
    }

    /// Asks for the secret, so that the first row need not wait for it.
    pub async fn prime(&self) -> Result<(), PortError> {
        self.secret().await.map(|_| ())
    }

    async fn secret(&self) -> Result<&[u8], PortError> {
        let asked = self.secret.get_or_try_init(|| async {
            match &self.key {
                Some(key) => key.code(SECRET_MESSAGE).await,
                None => Err(PortError::Unexpected { operation: OPEN, code: "no key".into() }),
            }
        });
        let secret = asked.await?;
        // HMAC-SHA-256 has 32; anything else is no code.
        if secret.len() < 32 {
            return Err(PortError::Unexpected { operation: "GenerateMac", code: "short".into() });
        }
        Ok(secret)
    }

    async fn derive(&self, tenant: &TenantId, purpose: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], PortError> {
        let tenants = mac(self.secret().await?, &[b"tenant", tenant.as_str().as_bytes()]);
        let all: Vec<&[u8]> = std::iter::once(purpose).chain(parts.iter().copied()).collect();
        Ok(mac(&tenants, &all))
    }

    /// Each sealing has a key of its own, so its nonce within that key is always the first.
    async fn sealing_key(&self, tenant: &TenantId, about: &str, nonce: &[u8]) -> Result<LessSafeKey, PortError> {
        let key = self.derive(tenant, b"row", &[about.as_bytes(), nonce]).await?;
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| broken("key"))?;
        Ok(LessSafeKey::new(key))
    }
}

fn broken(code: &str) -> PortError {
    PortError::Unexpected { operation: OPEN, code: code.into() }
}

#[async_trait]
impl TenantCipher for KmsCipher {
    async fn seal(&self, tenant: &TenantId, about: &str, nonce: Ulid, plain: &[u8]) -> Result<Vec<u8>, PortError> {
        let nonce = nonce.to_bytes();
        let key = self.sealing_key(tenant, about, &nonce).await?;
        let mut sealed = plain.to_vec();
        let first = Nonce::assume_unique_for_key([0; 12]);
        key.seal_in_place_append_tag(first, Aad::from(about.as_bytes()), &mut sealed).map_err(|_| broken("seal"))?;
        Ok([&nonce[..], &sealed].concat())
    }

    async fn open(&self, tenant: &TenantId, about: &str, sealed: &[u8]) -> Result<Vec<u8>, PortError> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(|| broken("short"))?;
        let key = self.sealing_key(tenant, about, nonce).await?;
        let mut plain = rest.to_vec();
        let first = Nonce::assume_unique_for_key([0; 12]);
        let length = key.open_in_place(first, Aad::from(about.as_bytes()), &mut plain).map_err(|_| broken("seal"))?.len();
        plain.truncate(length);
        Ok(plain)
    }

    async fn code(&self, tenant: &TenantId, about: &str) -> Result<[u8; 32], PortError> {
        self.derive(tenant, b"code", &[about.as_bytes()]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::parse(name).unwrap()
    }

    #[tokio::test]
    async fn what_is_sealed_opens_for_its_tenant_and_its_row_and_shows_nothing() {
        let cipher = KmsCipher::with_secret(vec![7; 32]);
        let (main, west) = (tenant("main"), tenant("west"));
        let text = b"Ottoline Brackwater, MRN 8847120";
        let sealed = cipher.seal(&main, "row 1", Ulid::from_parts(1, 1), text).await.unwrap();
        assert!(!sealed.windows(10).any(|window| text.windows(10).any(|plain| plain == window)));
        assert_eq!(cipher.open(&main, "row 1", &sealed).await.unwrap(), text);
        let other = KmsCipher::with_secret(vec![8; 32]);
        assert!(cipher.open(&west, "row 1", &sealed).await.is_err());
        assert!(cipher.open(&main, "row 2", &sealed).await.is_err());
        assert!(other.open(&main, "row 1", &sealed).await.is_err());
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(cipher.open(&main, "row 1", &changed).await.is_err(), "byte {at}");
            assert!(cipher.open(&main, "row 1", &sealed[..at]).await.is_err(), "cut at {at}");
        }
        let again = cipher.seal(&main, "row 1", Ulid::from_parts(1, 2), text).await.unwrap();
        assert_ne!(sealed[NONCE_BYTES..], again[NONCE_BYTES..]);
    }

    #[tokio::test]
    async fn codes_differ_between_tenants_purposes_and_secrets() {
        let cipher = KmsCipher::with_secret(vec![7; 32]);
        let code = cipher.code(&tenant("main"), "a").await.unwrap();
        assert_eq!(code, cipher.code(&tenant("main"), "a").await.unwrap());
        assert_ne!(code, cipher.code(&tenant("west"), "a").await.unwrap());
        assert_ne!(code, cipher.code(&tenant("main"), "b").await.unwrap());
        assert_ne!(code, KmsCipher::with_secret(vec![8; 32]).code(&tenant("main"), "a").await.unwrap());
        assert!(KmsCipher::with_secret(vec![7; 31]).code(&tenant("main"), "a").await.is_err());
        assert_eq!(format!("{cipher:?}"), "KmsCipher");
    }
}
