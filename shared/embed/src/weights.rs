//! The tensors of the model, in the order of the file, each brought into the layout in which it is used.
#![expect(clippy::inline_always, reason = "only inlined code is compiled for the vector instructions found")]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use crate::format::{LoadModelError, TensorReader};
use crate::integer::QuantisedMatrix;
use crate::tokenizer::Tokenizer;
use crate::{DIMENSIONS, WEIGHTS_ID};

/// Transformer blocks of MiniLM-L6.
const LAYERS: usize = 6;

/// Width of the feed-forward part of a block.
pub const INTERMEDIATE: usize = 1536;

/// Positions that the model was trained with; an input is at most `TOKENS_MAX`, which is less.
const POSITIONS: usize = 512;

/// The published vocabulary has 232 kB.
const VOCABULARY_BYTES_MAX: usize = 1024 * 1024;

/// Where the rows of a table are.
enum Rows {
    Memory(Vec<u8>),
    /// At this offset of the model file: half of the file, of which a text needs a few rows.
    File(File, u64),
}

/// Rows of int8 numbers, one scale a row. A lookup widens one row, so the table never exists as floats.
pub struct EmbeddingTable {
    rows: Rows,
    scales: Vec<f32>,
}

impl EmbeddingTable {
    /// Adds row `index` to `output`.
    ///
    /// A model file that was readable and no longer is ends the process's work: there is no vector without it.
    #[inline(always)]
    pub fn add_row(&self, index: usize, output: &mut [f32]) {
        let mut buffer = [0; DIMENSIONS];
        let row = match &self.rows {
            Rows::Memory(rows) => &rows[index * DIMENSIONS..][..DIMENSIONS],
            Rows::File(file, offset) => {
                let read = file.read_exact_at(&mut buffer, offset + (index * DIMENSIONS) as u64);
                read.expect("the model file stays as it was when it was loaded");
                &buffer
            }
        };
        let scale = self.scales[index];
        for (value, byte) in output.iter_mut().zip(row) {
            *value += f32::from(byte.cast_signed()) * scale;
        }
    }
}

/// A layer normalisation.
pub struct Norm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

/// A quantised matrix and what is added to its product.
pub struct Linear {
    pub matrix: QuantisedMatrix,
    pub bias: Vec<f32>,
}

/// One transformer block.
pub struct Layer {
    /// Query, key and value side by side: one product instead of three.
    pub attention_input: Linear,
    pub attention_output: Linear,
    pub attention_norm: Norm,
    pub intermediate: Linear,
    pub output: Linear,
    pub output_norm: Norm,
}

/// Everything that the forward pass reads.
pub struct Weights {
    pub words: EmbeddingTable,
    pub positions: EmbeddingTable,
    /// Segment embedding of the first of two texts; there is only ever one text here.
    pub segment: Vec<f32>,
    pub norm: Norm,
    pub layers: Vec<Layer>,
}

/// Reads a model that is in memory.
pub fn read_bytes(bytes: &[u8]) -> Result<(Tokenizer, Weights), LoadModelError> {
    read(bytes, bytes.len() as u64, |tensors, name, rows| tensors.i8s(name, &[rows, DIMENSIONS]).map(Rows::Memory))
}

/// Reads a model file, but for the word embeddings, which are looked up in it.
pub fn read_file(file: File) -> Result<(Tokenizer, Weights), LoadModelError> {
    let length = file.metadata().map_err(LoadModelError::Read)?.len();
    let source = file.try_clone().map_err(LoadModelError::Read)?;
    read(source, length, |tensors, name, rows| Ok(Rows::File(file, tensors.skip_i8s(name, &[rows, DIMENSIONS])?)))
}

fn read<R: Read>(
    source: R,
    length: u64,
    words: impl FnOnce(&mut TensorReader<R>, &str, usize) -> Result<Rows, LoadModelError>,
) -> Result<(Tokenizer, Weights), LoadModelError> {
    let mut tensors = TensorReader::new(source, length, WEIGHTS_ID)?;
    let tokenizer = Tokenizer::new(tensors.text("vocabulary", VOCABULARY_BYTES_MAX)?)?;
    let rows = words(&mut tensors, "embeddings.word_embeddings.weight", tokenizer.len())?;
    let scales = tensors.f32s("embeddings.word_embeddings.scale", &[tokenizer.len()])?;
    let words = EmbeddingTable { rows, scales };
    let rows = Rows::Memory(tensors.i8s("embeddings.position_embeddings.weight", &[POSITIONS, DIMENSIONS])?);
    let scales = tensors.f32s("embeddings.position_embeddings.scale", &[POSITIONS])?;
    let positions = EmbeddingTable { rows, scales };
    let mut segment = tensors.f32s("embeddings.token_type_embeddings.weight", &[2, DIMENSIONS])?;
    segment.truncate(DIMENSIONS);
    let norm = layer_norm(&mut tensors, "embeddings.LayerNorm")?;
    let layers = (0..LAYERS).map(|layer| block(&mut tensors, layer)).collect::<Result<_, _>>()?;
    Ok((tokenizer, Weights { words, positions, segment, norm, layers }))
}

fn block<R: Read>(tensors: &mut TensorReader<R>, layer: usize) -> Result<Layer, LoadModelError> {
    let at = format!("encoder.layer.{layer}");
    let query = format!("{at}.attention.self.query");
    let key = format!("{at}.attention.self.key");
    let value = format!("{at}.attention.self.value");
    Ok(Layer {
        attention_input: linear(tensors, &[&query, &key, &value], DIMENSIONS, DIMENSIONS)?,
        attention_output: linear(tensors, &[&format!("{at}.attention.output.dense")], DIMENSIONS, DIMENSIONS)?,
        attention_norm: layer_norm(tensors, &format!("{at}.attention.output.LayerNorm"))?,
        intermediate: linear(tensors, &[&format!("{at}.intermediate.dense")], DIMENSIONS, INTERMEDIATE)?,
        output: linear(tensors, &[&format!("{at}.output.dense")], INTERMEDIATE, DIMENSIONS)?,
        output_norm: layer_norm(tensors, &format!("{at}.output.LayerNorm"))?,
    })
}

fn linear<R: Read>(
    tensors: &mut TensorReader<R>,
    names: &[&str],
    inputs: usize,
    outputs: usize,
) -> Result<Linear, LoadModelError> {
    let mut linear = Linear { matrix: QuantisedMatrix::new(inputs, names.len() * outputs), bias: Vec::new() };
    for name in names {
        let weights = tensors.i8s(&format!("{name}.weight"), &[inputs, outputs])?;
        let scales = tensors.f32s(&format!("{name}.scale"), &[outputs])?;
        linear.matrix.append(&weights, &scales);
        linear.bias.extend(tensors.f32s(&format!("{name}.bias"), &[outputs])?);
    }
    Ok(linear)
}

fn layer_norm<R: Read>(tensors: &mut TensorReader<R>, name: &str) -> Result<Norm, LoadModelError> {
    Ok(Norm {
        weight: tensors.f32s(&format!("{name}.weight"), &[DIMENSIONS])?,
        bias: tensors.f32s(&format!("{name}.bias"), &[DIMENSIONS])?,
    })
}
