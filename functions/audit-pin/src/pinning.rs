//! One tenant's trail: from the last pinned head to its end, checked, and the new head pinned.

use domain::fault::PortError;
use domain::ids::TenantId;
use domain::objects::{Fetched, ObjectReader, ObjectWriter, WriteCondition};
use futures_util::future::join_all;
use seal::{FILE_BYTES_MAX, Finding, Head, PublicKey, Start, TrailVerifier, count_files, file_name, key_of};

/// Files on their way at the same time.
const AT_ONCE: usize = 16;

/// Why a head is not pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinHeadError {
    /// A store or the key cannot be reached.
    #[error("a store or the key cannot be reached")]
    Port(#[from] PortError),
    /// The trail is not what was sealed, or not the one that was pinned before.
    #[error("the trail is unsound: {0}")]
    Unsound(#[from] Finding),
    /// A pinned head cannot be read.
    #[error("a pinned head cannot be read")]
    MalformedHead,
}

/// Where the head of so many files lies.
pub fn head_key(tenant: &TenantId, files: u64) -> String {
    format!("heads/{tenant}/{files:012}.json")
}

/// Checks the trail from the last pinned head to its end; its head, unless nothing but the record of the last pin has come since.
pub async fn check(
    archive: &dyn ObjectReader,
    pins: &dyn ObjectReader,
    keys: &[PublicKey],
    tenant: &TenantId,
) -> Result<Option<Head>, PinHeadError> {
    let last = last_pin(pins, tenant).await?;
    let files = count_files(archive, tenant).await?;
    let (from, start) = last.as_ref().map_or((1, Start::Beginning), |head| (head.files, Start::Anywhere));
    let heads = last.iter().cloned().collect();
    let mut verifier = TrailVerifier::new(keys, Some(tenant.clone()), start, heads);
    let mut rows_of_others = 0_u64;
    let numbers: Vec<u64> = (from..=files).collect();
    let fetch = async |file: u64| archive.get_range(&key_of(tenant, file), 0..FILE_BYTES_MAX + 1).await;
    for some in numbers.chunks(AT_ONCE) {
        for (file, fetched) in some.iter().copied().zip(join_all(some.iter().map(|file| fetch(*file))).await) {
            let Some(bytes) = fetched? else {
                return Err(verifier.missing(file).into());
            };
            let is_new = last.as_ref().is_none_or(|head| file > head.files);
            verifier.offer(&file_name(file), &bytes, |_, line, _| {
                // The record of a pin would else be a reason for the next one, for ever.
                let is_own = line.windows(OWN.len()).any(|part| part == OWN);
                rows_of_others += u64::from(is_new && !is_own);
            })?;
        }
    }
    let report = verifier.finish()?;
    Ok(report.head.filter(|_| rows_of_others > 0))
}

/// Keeps a head.
pub async fn pin(writer: &dyn ObjectWriter, head: &Head) -> Result<(), PinHeadError> {
    let text = serde_json::to_vec(head).map_err(|_| PinHeadError::MalformedHead)?;
    match writer.put(&head_key(&head.tenant, head.files), text, WriteCondition::Absent).await {
        // Another run was faster; what it pinned it has checked as well.
        Ok(_) | Err(PortError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// How a row says that it records a pin.
const OWN: &[u8] = br#""event_type":{"S":"audit_sealed"}"#;

/// The last head that was pinned.
pub async fn last_pin(pins: &dyn ObjectReader, tenant: &TenantId) -> Result<Option<Head>, PinHeadError> {
    let Some(key) = pins.keys(&format!("heads/{tenant}/")).await?.into_iter().max() else { return Ok(None) };
    let Fetched::Found { bytes, .. } = pins.get(&key, None, None).await? else { return Err(PinHeadError::MalformedHead) };
    let head: Head = serde_json::from_slice(&bytes).map_err(|_| PinHeadError::MalformedHead)?;
    if head.tenant == *tenant && key == head_key(tenant, head.files) { Ok(Some(head)) } else { Err(PinHeadError::MalformedHead) }
}
