//! The model as the port that the use cases know.

use crate::{DIMENSIONS, MODEL_ID, MiniLm};
use domain::retrieval::{Embedder, Embedding};
use std::ops::Range;

impl Embedder for MiniLm {
    fn model_id(&self) -> &str {
        MODEL_ID
    }

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    fn embed(&self, text: &str) -> Embedding {
        Embedding(Self::embed(self, text).to_vec())
    }

    fn embed_parts(&self, text: &str, parts: &[Range<usize>]) -> (Embedding, Vec<Embedding>) {
        let (whole, parts) = Self::embed_parts(self, text, parts);
        (Embedding(whole.to_vec()), parts.iter().map(|part| Embedding(part.to_vec())).collect())
    }
}
