//! Text to vectors, inside the process: the sentence encoder all-MiniLM-L6-v2 with int8 weights and activations.
//!
//! No text leaves the account for its embedding, no model server runs, and a cold start pays for reading 11 MB. Every
//! machine gives the same vectors to the last bit. The model file is made by `models/fetch.py`. Golden vectors in `tests/` hold tokenizer and forward pass to the reference
//! implementation, so that an index written by one release can be searched by the next.

mod activation;
mod characters;
mod format;
mod forward;
mod integer;
mod kernel;
mod port;
mod product;
mod tokenizer;
mod weights;

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use crate::forward::Forward;
use crate::kernel::Kernel;
use crate::tokenizer::Tokenizer;
use crate::weights::Weights;

pub use crate::format::LoadModelError;

/// Stored with every vector. Vectors of different models cannot be compared, so another id means embedding anew. The
/// arithmetic is part of it: the last two letters say that activations are int8 as well.
pub const MODEL_ID: &str = "minilm-l6-v2-int8-a8";

/// What the model file states: which weights and vocabulary it holds.
pub const WEIGHTS_ID: &str = "minilm-l6-v2-int8";

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
    kernel: Kernel,
}

impl MiniLm {
    /// Reads the model file, which must stay as it is: half of it, the word embeddings, is looked up there. Takes about
    /// 13 MB of memory.
    pub fn load(path: &Path) -> Result<Self, LoadModelError> {
        let file = File::open(path).map_err(LoadModelError::Read)?;
        let (tokenizer, weights) = weights::read_file(file)?;
        Ok(Self { tokenizer, weights, kernel: kernel::best() })
    }

    /// Reads a model file that is already in memory. Takes about 25 MB of memory and no second copy of the file.
    #[expect(clippy::needless_pass_by_value, reason = "the caller should not keep 23 MB next to the loaded model")]
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, LoadModelError> {
        let (tokenizer, weights) = weights::read_bytes(&bytes)?;
        Ok(Self { tokenizer, weights, kernel: kernel::best() })
    }

    /// Which model this is.
    pub const fn model_id(&self) -> &'static str {
        MODEL_ID
    }

    /// The vector of a text: the mean over its tokens, of length one. Reads at most `TOKENS_MAX` tokens.
    ///
    /// A text without words has the vector of the two markers, which is close to nothing in particular.
    pub fn embed(&self, text: &str) -> Vector {
        self.embed_parts(text, &[]).0
    }

    /// The vector of a text, and that of each part of it (a range of its bytes): the mean over the part's tokens, which
    /// have read the whole text, so that "it" and "this dose" mean what they mean there. Costs one pass. A part of which
    /// the model sees no token, because it is empty or behind the limit, has the vector of the text.
    pub fn embed_parts(&self, text: &str, parts: &[Range<usize>]) -> (Vector, Vec<Vector>) {
        let tokens = self.tokenizer.encode(text, TOKENS_MAX);
        let whole = 0..tokens.len();
        let located = self.tokenizer.locate(text, parts, TOKENS_MAX).into_iter().map(|part| {
            let seen = part.start..part.end.min(tokens.len() - 1);
            if seen.is_empty() { whole.clone() } else { seen }
        });
        let ranges: Vec<Range<usize>> = std::iter::once(whole.clone()).chain(located).collect();
        let mut vectors =
            pulp::Arch::new().dispatch(Forward { weights: &self.weights, kernel: self.kernel, tokens: &tokens, parts: &ranges });
        let of_parts = vectors.split_off(1);
        (vectors[0], of_parts)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that can only do less must not give other vectors, or an index would depend on who wrote it.
    #[test]
    fn every_set_of_instructions_gives_the_same_vector() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(MODEL_FILE);
        let model = MiniLm::load(&path).unwrap_or_else(|error| panic!("{error}: run `python3 models/fetch.py`"));
        for text in ["", "fever", "Give 15-20 mg/kg of vancomycin every 8-12 hours, at most 2 g a dose, 発熱 or not."] {
            let tokens = model.tokenizer.encode(text, TOKENS_MAX);
            let whole = 0..tokens.len();
            let expected = model.embed(text).map(f32::to_bits);
            for kernel in kernel::all() {
                let forward =
                    || Forward { weights: &model.weights, kernel, tokens: &tokens, parts: std::slice::from_ref(&whole) };
                let same = |vectors: Vec<Vector>| assert_eq!(vectors[0].map(f32::to_bits), expected, "{text}");
                same(pulp::Simd::vectorize(pulp::Scalar::new(), forward()));
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V3::try_new() {
                    same(pulp::Simd::vectorize(simd, forward()));
                }
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = pulp::x86::V4::try_new() {
                    same(pulp::Simd::vectorize(simd, forward()));
                }
            }
        }
    }
}
