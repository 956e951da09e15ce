//! Which keys count: the one in use, and those that whoever deploys has named. That a key lies in the archive says nothing:
//! whoever can write there could lay one down.

use crate::file::public_key_object;
use crate::key::PublicKey;
use domain::fault::PortError;
use domain::objects::{Fetched, ObjectReader};

/// The key in use and, of the named ones (SHA-256, with commas between them), those that the archive has.
pub async fn trusted_keys(archive: &dyn ObjectReader, own: &[u8], names: &str) -> Result<Vec<PublicKey>, PortError> {
    let malformed = |operation| PortError::Unexpected { operation, code: "key".into() };
    let mut keys = vec![PublicKey::of_der(own).map_err(|_| malformed("GetPublicKey"))?];
    for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        // A key that is about to be used is named before it has written anything.
        let Fetched::Found { bytes, .. } = archive.get(&public_key_object(name), None, None).await? else { continue };
        let key = std::str::from_utf8(&bytes).ok().and_then(|pem| PublicKey::of_pem(pem).ok());
        let key = key.filter(|key| key.name() == name).ok_or_else(|| malformed("GetObject"))?;
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    Ok(keys)
}
