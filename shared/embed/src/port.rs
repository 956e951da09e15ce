//! The model as the port that the use cases know.

use crate::{DIMENSIONS, MODEL_ID, MiniLm};
use domain::retrieval::{Embedder, Embedding};

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
}
