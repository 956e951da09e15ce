//! The model file: one self-describing file that holds the vocabulary and every tensor, in a fixed order.
//!
//! All numbers are little endian:
//!
//! | bytes | content |
//! | --- | --- |
//! | 0..8 | `EMBEDBIN` |
//! | 8..12 | format version, `u32` |
//! | 12..16 | length of the header in bytes, `u32` |
//! | 16..24 | length of the whole file in bytes, `u64` |
//! | 24.. | header: JSON `{"model", "tensors": [{"name", "type", "shape", "offset", "bytes"}]}` |
//! | from `offset` | a tensor, at a multiple of 64, in the order of the header, zeroes between |
//!
//! Types are `text` (UTF-8), `i8` and `f32`. The reader takes the tensors one after the other and is told what to
//! expect, so nothing in the file decides how much memory is allocated, and the file is never held as a whole.

use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;

const MAGIC: [u8; 8] = *b"EMBEDBIN";

/// The only version that this code reads; `models/fetch.py` writes it.
pub const VERSION: u32 = 1;

/// Bytes before the header.
const PREFIX: usize = 24;

/// Tensors start at multiples of this, so that a reader that maps the file gets aligned vectors.
const ALIGNMENT: u64 = 64;

/// The header describes about 110 tensors in 150 bytes each; four times that is a broken file.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Why a model could not be loaded. None of these passes by itself: the deployment is wrong.
#[derive(Debug, thiserror::Error)]
pub enum LoadModelError {
    /// The file could not be opened or read.
    #[error("the model file cannot be read")]
    Read(#[source] io::Error),
    /// It is some other file.
    #[error("not a model file")]
    Magic,
    /// A file for another release of this program.
    #[error("model file format {found}, expected {VERSION}")]
    Version {
        /// The version that the file states.
        found: u32,
    },
    /// The file has fewer or more bytes than it should, as after an interrupted copy.
    #[error("the model file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes that the file states, or that its prefix needs.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// The description of the tensors is not valid.
    #[error("the header of the model file is not valid")]
    Header,
    /// Vectors of different models cannot be compared, so another model is not a substitute.
    #[error("the file holds the model {found}")]
    Model {
        /// The identifier that the file states.
        found: String,
    },
    /// A tensor is missing, or differs in name, type, shape or place.
    #[error("the model file does not have the expected tensor {expected}")]
    Tensor {
        /// The name of the tensor that was expected next.
        expected: String,
    },
    /// The vocabulary is not a list of distinct word pieces with the five markers.
    #[error("the vocabulary of the model is not valid")]
    Vocabulary,
}

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Text,
    I8,
    F32,
}

#[derive(Debug, Deserialize)]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    shape: Vec<u64>,
    offset: u64,
    bytes: u64,
}

#[derive(Deserialize)]
struct Header {
    model: String,
    tensors: Vec<Entry>,
}

/// Reads the tensors of a model file in order.
#[derive(Debug)]
pub struct TensorReader<R> {
    source: R,
    position: u64,
    entries: std::vec::IntoIter<Entry>,
}

impl<R: Read> TensorReader<R> {
    /// Checks everything that can be known before the first tensor. `length` is the size of the source in bytes.
    pub fn new(mut source: R, length: u64, model: &str) -> Result<Self, LoadModelError> {
        let mut prefix = [0; PREFIX];
        if length < PREFIX as u64 {
            return Err(LoadModelError::Length { expected: PREFIX as u64, found: length });
        }
        source.read_exact(&mut prefix).map_err(LoadModelError::Read)?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, v2, v3, h0, h1, h2, h3, size @ ..] = prefix;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(LoadModelError::Magic);
        }
        let found = u32::from_le_bytes([v0, v1, v2, v3]);
        if found != VERSION {
            return Err(LoadModelError::Version { found });
        }
        let expected = u64::from_le_bytes(size);
        if expected != length {
            return Err(LoadModelError::Length { expected, found: length });
        }
        let header_bytes = u32::from_le_bytes([h0, h1, h2, h3]) as usize;
        if header_bytes > HEADER_BYTES_MAX || (PREFIX + header_bytes) as u64 > length {
            return Err(LoadModelError::Header);
        }
        let mut header = vec![0; header_bytes];
        source.read_exact(&mut header).map_err(LoadModelError::Read)?;
        let header: Header = serde_json::from_slice(&header).map_err(|_| LoadModelError::Header)?;
        if header.model != model {
            return Err(LoadModelError::Model { found: header.model.chars().take(64).collect() });
        }
        let reader = Self { source, position: (PREFIX + header_bytes) as u64, entries: header.tensors.into_iter() };
        Ok(reader)
    }

    /// The next tensor, which must be this int8 one, as two's-complement bytes.
    pub fn i8s(&mut self, name: &str, shape: &[usize]) -> Result<Vec<u8>, LoadModelError> {
        self.read(name, Kind::I8, shape)
    }

    /// The next tensor, which must be this one of floats.
    pub fn f32s(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadModelError> {
        let bytes = self.read(name, Kind::F32, shape)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// The next tensor, which must be this text of at most `bytes_max` bytes.
    pub fn text(&mut self, name: &str, bytes_max: usize) -> Result<String, LoadModelError> {
        let stated = self.entries.as_slice().first().map_or(0, |entry| entry.bytes);
        let length = usize::try_from(stated).map_or(bytes_max, |stated| stated.min(bytes_max));
        let bytes = self.read(name, Kind::Text, &[length])?;
        String::from_utf8(bytes).map_err(|_| LoadModelError::Tensor { expected: name.to_owned() })
    }

    fn read(&mut self, name: &str, kind: Kind, shape: &[usize]) -> Result<Vec<u8>, LoadModelError> {
        let entry = self.next(name, kind, shape)?;
        let mut tensor = vec![0; entry.bytes as usize];
        self.source.read_exact(&mut tensor).map_err(LoadModelError::Read)?;
        self.position = entry.offset + entry.bytes;
        Ok(tensor)
    }

    /// Goes to where the next tensor begins, if it is the expected one.
    fn next(&mut self, name: &str, kind: Kind, shape: &[usize]) -> Result<Entry, LoadModelError> {
        let unexpected = || LoadModelError::Tensor { expected: name.to_owned() };
        let entry = self.entries.next().ok_or_else(unexpected)?;
        let size = if kind == Kind::F32 { 4 } else { 1 };
        let bytes = shape.iter().product::<usize>() * size;
        let same_shape = entry.shape.iter().copied().eq(shape.iter().map(|side| *side as u64));
        let in_place = entry.offset == self.position.next_multiple_of(ALIGNMENT) && entry.bytes == bytes as u64;
        if entry.name != name || entry.kind != kind || !same_shape || !in_place {
            return Err(unexpected());
        }
        let mut padding = [0; ALIGNMENT as usize];
        let skipped = (entry.offset - self.position) as usize;
        self.source.read_exact(&mut padding[..skipped]).map_err(LoadModelError::Read)?;
        Ok(entry)
    }
}

impl<R: Read + Seek> TensorReader<R> {
    /// Passes over the next tensor, which must be this int8 one, and answers where in the source it begins.
    pub fn skip_i8s(&mut self, name: &str, shape: &[usize]) -> Result<u64, LoadModelError> {
        let entry = self.next(name, Kind::I8, shape)?;
        self.position = entry.offset + entry.bytes;
        self.source.seek(SeekFrom::Start(self.position)).map_err(LoadModelError::Read)?;
        Ok(entry.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = concat!(
        r#"{"model":"tiny","tensors":["#,
        r#"{"name":"words","type":"text","shape":[5],"offset":256,"bytes":5},"#,
        r#"{"name":"weight","type":"i8","shape":[2,3],"offset":320,"bytes":6},"#,
        r#"{"name":"scale","type":"f32","shape":[2],"offset":384,"bytes":8}]}"#,
    );

    /// A file with this header and the three tensors at the offsets that `HEADER` states.
    fn file(header: &str) -> Vec<u8> {
        let mut file = Vec::from(MAGIC);
        file.extend(VERSION.to_le_bytes());
        file.extend(u32::try_from(header.len()).unwrap().to_le_bytes());
        file.extend(392_u64.to_le_bytes());
        file.extend(header.as_bytes());
        file.resize(256, 0);
        file.extend(b"a\nb\nc");
        file.resize(320, 0);
        file.extend([1, 2, 3, 255, 254, 253]);
        file.resize(384, 0);
        file.extend(1.5_f32.to_le_bytes());
        file.extend((-2.0_f32).to_le_bytes());
        file
    }

    fn open(file: &[u8]) -> Result<TensorReader<&[u8]>, LoadModelError> {
        TensorReader::new(file, file.len() as u64, "tiny")
    }

    fn read_all(file: &[u8]) -> Result<(String, Vec<u8>, Vec<f32>), LoadModelError> {
        let mut reader = open(file)?;
        Ok((reader.text("words", 100)?, reader.i8s("weight", &[2, 3])?, reader.f32s("scale", &[2])?))
    }

    #[test]
    fn tensors_come_back_as_they_were_written() {
        let (words, weight, scale) = read_all(&file(HEADER)).unwrap();
        assert_eq!((words.as_str(), weight), ("a\nb\nc", vec![1, 2, 3, 255, 254, 253]));
        assert_eq!(scale, [1.5, -2.0]);
    }

    #[test]
    fn a_tensor_that_is_passed_over_is_where_it_is_said_to_be() {
        let file = file(HEADER);
        let mut reader = TensorReader::new(io::Cursor::new(&file), file.len() as u64, "tiny").unwrap();
        reader.text("words", 100).unwrap();
        let offset = reader.skip_i8s("weight", &[2, 3]).unwrap() as usize;
        assert_eq!(file[offset..offset + 6], [1, 2, 3, 255, 254, 253]);
        assert_eq!(reader.f32s("scale", &[2]).unwrap(), [1.5, -2.0]);
        let mut reader = TensorReader::new(io::Cursor::new(&file), file.len() as u64, "tiny").unwrap();
        assert!(matches!(reader.skip_i8s("weight", &[2, 3]), Err(LoadModelError::Tensor { .. })));
    }

    #[test]
    fn a_file_cut_at_any_byte_is_an_error() {
        let file = file(HEADER);
        for length in 0..file.len() {
            let error = read_all(&file[..length]).unwrap_err();
            assert!(matches!(error, LoadModelError::Length { found, .. } if found == length as u64), "{error:?}");
        }
        let longer = [file.as_slice(), &[0]].concat();
        assert!(matches!(read_all(&longer), Err(LoadModelError::Length { expected: 392, found: 393 })));
    }

    #[test]
    fn a_source_that_ends_before_its_length_is_a_read_error() {
        let file = file(HEADER);
        for length in 0..file.len() {
            let outcome = TensorReader::new(&file[..length], file.len() as u64, "tiny").and_then(|mut reader| {
                reader.text("words", 100)?;
                reader.i8s("weight", &[2, 3])?;
                reader.f32s("scale", &[2])
            });
            assert!(matches!(outcome, Err(LoadModelError::Read(_))), "{length}");
        }
    }

    #[test]
    fn another_file_or_version_or_model_is_named() {
        let mut other = file(HEADER);
        other[0] ^= 1;
        assert!(matches!(open(&other), Err(LoadModelError::Magic)));
        let mut newer = file(HEADER);
        newer[8] = 2;
        assert!(matches!(open(&newer), Err(LoadModelError::Version { found: 2 })));
        let file = file(HEADER);
        let outcome = TensorReader::new(file.as_slice(), file.len() as u64, "another");
        assert!(matches!(outcome, Err(LoadModelError::Model { found }) if found == "tiny"));
    }

    #[test]
    fn a_header_that_lies_about_its_length_or_is_no_json_is_refused() {
        for length in [0_u32, 7, 300, 100_000, u32::MAX] {
            let mut lying = file(HEADER);
            lying[12..16].copy_from_slice(&length.to_le_bytes());
            assert!(matches!(open(&lying), Err(LoadModelError::Header)), "{length}");
        }
    }

    #[test]
    fn a_tensor_of_another_name_type_shape_or_place_is_refused() {
        for (from, to) in [
            ("weight", "height"),
            (r#""i8""#, r#""f32""#),
            ("[2,3]", "[3,2]"),
            ("[2,3]", "[6]"),
            (r#""bytes":6"#, r#""bytes":7"#),
            ("320", "321"),
            ("320", "18446744073709551615"),
        ] {
            let error = read_all(&file(&HEADER.replace(from, to))).unwrap_err();
            assert!(matches!(error, LoadModelError::Tensor { .. } | LoadModelError::Header), "{to}: {error:?}");
        }
        let mut binary = file(HEADER);
        binary[256] = 0xff;
        assert!(matches!(read_all(&binary), Err(LoadModelError::Tensor { expected }) if expected == "words"));
        let whole = file(HEADER);
        assert!(matches!(open(&whole).unwrap().text("words", 4), Err(LoadModelError::Tensor { .. })));
    }
}
