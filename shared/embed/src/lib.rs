//! Text to vectors, inside the process: the sentence encoder all-MiniLM-L6-v2 with int8 weights.
//!
//! No text leaves the account for its embedding, no model server runs, and a cold start pays for reading 23 MB. The
//! model file is made by `models/fetch.py`. Golden vectors in `tests/` hold tokenizer and forward pass to the reference
//! implementation, so that an index written by one release can be searched by the next.

mod activation;
mod characters;
mod format;
mod forward;
mod port;
mod product;
mod tokenizer;
mod weights;

use std::fs::File;
use std::path::Path;

use crate::forward::Forward;
use crate::tokenizer::Tokenizer;
use crate::weights::Weights;

pub use crate::format::LoadModelError;

/// Stored with every vector. Vectors of different models cannot be compared, so another id means embedding anew.
pub const MODEL_ID: &str = "minilm-l6-v2-int8";

/// The model's file name, in `models/` and beside a function's binary.
pub const MODEL_FILE: &str = "minilm-l6-v2-int8.bin";

/// Numbers in a vector.
pub const DIMENSIONS: usize = 384;

/// Word pieces that the model sees of one text, the two markers included. The published model was trained and
/// evaluated with this limit; the rest of a longer text does not count.
pub const TOKENS_MAX: usize = 256;

/// Word pieces of a text itself that fit, and so the largest `MiniLm::count_tokens` that nothing is cut off from.
pub const PIECES_MAX: usize = TOKENS_MAX - 2;

/// A vector of length one, so that a dot product is the cosine.
pub type Vector = [f32; DIMENSIONS];

/// The loaded model. It does not change, so threads may share it.
pub struct MiniLm {
    tokenizer: Tokenizer,
    weights: Weights,
}

impl MiniLm {
    /// Reads the model file. Takes about 25 MB of memory and no second copy of the file.
    pub fn load(path: &Path) -> Result<Self, LoadModelError> {
        let file = File::open(path).map_err(LoadModelError::Read)?;
        let length = file.metadata().map_err(LoadModelError::Read)?.len();
        let (tokenizer, weights) = weights::read(file, length)?;
        Ok(Self { tokenizer, weights })
    }

    /// Reads a model file that is already in memory.
    #[expect(clippy::needless_pass_by_value, reason = "the caller should not keep 23 MB next to the loaded model")]
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, LoadModelError> {
        let (tokenizer, weights) = weights::read(bytes.as_slice(), bytes.len() as u64)?;
        Ok(Self { tokenizer, weights })
    }

    /// Which model this is.
    pub const fn model_id(&self) -> &'static str {
        MODEL_ID
    }

    /// The vector of a text: the mean over its tokens, of length one. Reads at most `TOKENS_MAX` tokens.
    ///
    /// A text without words has the vector of the two markers, which is close to nothing in particular.
    pub fn embed(&self, text: &str) -> Vector {
        let tokens = self.tokenizer.encode(text, TOKENS_MAX);
        pulp::Arch::new().dispatch(Forward { weights: &self.weights, tokens: &tokens })
    }

    /// How many word pieces a text has, without markers and however long it is. Counts of texts that are joined by a
    /// space add up.
    pub fn count_tokens(&self, text: &str) -> usize {
        self.tokenizer.count(text)
    }

    /// The numbers of the word pieces that `embed` would see, markers included.
    pub fn token_ids(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, TOKENS_MAX)
    }
}
