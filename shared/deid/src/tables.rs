//! The tables' file, made by `models/fetch_deid.py`: a lexicon and the weights of a small recogniser, in one read.
//!
//! Little endian: `DEIDBIN\0`, format version (`u32`), length of the header (`u32`), length of the file (`u64`), the header:
//! JSON `{"model", "tensors": [{"name", "type", "shape", "offset", "bytes"}]}`, then the tensors. Nothing is parsed at
//! start but this header: the lexicon is probed where it lies, and the weights become numbers in one pass.

use serde::Deserialize;
use std::io;
use std::path::Path;

const MAGIC: &[u8; 8] = b"DEIDBIN\0";
const VERSION: u32 = 1;
const PREFIX: usize = 24;

/// The only tables that this code was measured with; `models/fetch_deid.py` writes the same.
pub const MODEL_ID: &str = "deid-en-1";

/// The tables' file name, in `models/` and beside a binary.
pub const TABLES_FILE: &str = "deid-en.bin";

/// Why the tables could not be loaded. None of these passes by itself: the deployment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum LoadTablesError {
    /// The file could not be opened or read.
    #[error("the de-identifier's tables cannot be read; `python3 models/fetch_deid.py` makes them")]
    Read(#[source] io::Error),
    /// It is some other file, or one of another release.
    #[error("these are no tables of this release; `python3 models/fetch_deid.py` makes them")]
    Format,
    /// A table is missing, or differs in type, shape or place.
    #[error("the tables lack {name} as this release expects it; `python3 models/fetch_deid.py` makes them")]
    Tensor {
        /// What was looked for.
        name: &'static str,
    },
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    shape: Vec<usize>,
    offset: usize,
    bytes: usize,
}

#[derive(Deserialize)]
struct Header {
    model: String,
    tensors: Vec<Entry>,
}

/// The file's bytes and what is where.
pub struct Tables {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Tables {
    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, LoadTablesError> {
        Self::new(std::fs::read(path).map_err(LoadTablesError::Read)?)
    }

    /// Checks bytes that are already in memory.
    pub fn new(bytes: Vec<u8>) -> Result<Self, LoadTablesError> {
        let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let header = (|| {
            let length = u64::from_le_bytes(bytes.get(16..PREFIX)?.try_into().ok()?);
            let is_ours = bytes.starts_with(MAGIC) && number(8)? == VERSION && length == bytes.len() as u64;
            let text = bytes.get(PREFIX..PREFIX.checked_add(number(12)? as usize)?)?;
            is_ours.then(|| serde_json::from_slice::<Header>(text).ok())?
        })();
        let header = header.filter(|header| header.model == MODEL_ID).ok_or(LoadTablesError::Format)?;
        let fits = |entry: &Entry| entry.offset.checked_add(entry.bytes).is_some_and(|end| end <= bytes.len());
        if !header.tensors.iter().all(fits) {
            return Err(LoadTablesError::Format);
        }
        Ok(Self { bytes, entries: header.tensors })
    }

    fn entry(&self, name: &'static str, kind: &str) -> Result<(&Entry, &[u8]), LoadTablesError> {
        let entry = self.entries.iter().find(|entry| entry.name == name && entry.kind == kind);
        let entry = entry.ok_or(LoadTablesError::Tensor { name })?;
        Ok((entry, &self.bytes[entry.offset..entry.offset + entry.bytes]))
    }

    /// Pairs of numbers.
    pub fn pairs(&self, name: &'static str) -> Result<Vec<(u32, u32)>, LoadTablesError> {
        let (_, bytes) = self.entry(name, "u32")?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.chunks_exact(2).map(|pair| (u32::from_le_bytes(pair[0]), u32::from_le_bytes(pair[1]))).collect())
    }

    /// Text.
    pub fn text(&self, name: &'static str) -> Result<&str, LoadTablesError> {
        let (_, bytes) = self.entry(name, "text")?;
        std::str::from_utf8(bytes).map_err(|_| LoadTablesError::Tensor { name })
    }

    /// Half-precision numbers of this shape.
    pub fn floats(&self, name: &'static str, shape: &[usize]) -> Result<Vec<f32>, LoadTablesError> {
        let (entry, bytes) = self.entry(name, "f16")?;
        if entry.shape != shape || bytes.len() != 2 * shape.iter().product::<usize>() {
            return Err(LoadTablesError::Tensor { name });
        }
        Ok(bytes.as_chunks::<2>().0.iter().map(|half| from_half(u16::from_le_bytes(*half))).collect())
    }
}

/// IEEE 754 binary16 to binary32. Multiplying by 2^112 re-biases the exponent and makes subnormals right as well.
fn from_half(half: u16) -> f32 {
    let magnitude = f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits(0x7780_0000);
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_as_they_were_written() {
        for (half, float) in [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 5.960_464_5e-8), (0x7bff, 65504.0), (0x3555, 0.333_251_95)]
        {
            assert!((from_half(half) - float).abs() <= f32::EPSILON * float.abs(), "{half:#x}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_refused() {
        for bytes in [vec![], b"DEIDBIN\0".to_vec(), vec![0xff; 64], b"EMBEDBIN\x01\0\0\0\x10\0\0\0\x28\0\0\0\0\0\0\0{}".to_vec()]
        {
            assert!(matches!(Tables::new(bytes), Err(LoadTablesError::Format)));
        }
    }
}
