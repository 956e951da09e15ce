//! The signs of a segment's vectors: one bit for each number, an eighth of what the vectors take. How many signs of two vectors
//! differ tells the angle between them, roughly, so a large tenant is looked through by signs first.
//!
//! Source of the estimate: for vectors in random directions the share of differing signs is the angle divided by pi (Goemans
//! and Williamson 1995; Charikar, "Similarity estimation techniques from rounding algorithms", 2002).

use multiversion::multiversion;

/// Signs per word.
const WORD: usize = 64;

/// The signs of all vectors of a segment, one after the other.
#[derive(Debug)]
pub struct Signs {
    dimensions: usize,
    words: Vec<u64>,
}

impl Signs {
    /// Of vectors that lie one after the other as two's-complement bytes.
    pub fn of(vectors: &[u8], dimensions: usize) -> Self {
        let words = if dimensions == 0 { Vec::new() } else { vectors.chunks_exact(dimensions).flat_map(pack).collect() };
        Self { dimensions, words }
    }

    /// Puts an estimate of each vector's cosine with the query into its place; nothing happens if it is of another length.
    pub fn estimates(&self, query: &SignQuery, cosines: &mut [f32]) {
        if self.dimensions > 0 && query.by_difference.len() == self.dimensions + 1 {
            look_up(&self.words, &query.words, &query.by_difference, cosines);
        }
    }
}

/// The signs of a question's vector, and what each number of differences tells.
pub struct SignQuery {
    words: Vec<u64>,
    by_difference: Vec<f32>,
}

impl SignQuery {
    /// Of a quantised vector.
    pub fn new(query: &[i8]) -> Self {
        let bytes: Vec<u8> = query.iter().map(|value| value.cast_unsigned()).collect();
        let cosine = |different| (std::f32::consts::PI * different as f32 / query.len() as f32).cos();
        Self { words: pack(&bytes).collect(), by_difference: (0..=query.len()).map(cosine).collect() }
    }
}

/// The top bit of each byte is the number's sign.
fn pack(vector: &[u8]) -> impl Iterator<Item = u64> {
    vector.chunks(WORD).map(|part| part.iter().rev().fold(0, |word, byte| word << 1 | u64::from(byte >> 7)))
}

/// Counting bits is one instruction where there is one, and a dozen elsewhere.
#[multiversion(targets("x86_64+avx2+popcnt", "x86_64+popcnt"))]
fn look_up(words: &[u64], query: &[u64], by_difference: &[f32], cosines: &mut [f32]) {
    // The shipped model's length, spelled out so that the compiler unrolls it.
    if let Ok(query) = <&[u64; 6]>::try_from(query) {
        for (cosine, vector) in cosines.iter_mut().zip(words.as_chunks::<6>().0) {
            let different: u32 = vector.iter().zip(query).map(|(a, b)| (a ^ b).count_ones()).sum();
            *cosine = by_difference[different as usize];
        }
        return;
    }
    for (cosine, vector) in cosines.iter_mut().zip(words.chunks_exact(query.len())) {
        let different: u32 = vector.iter().zip(query).map(|(a, b)| (a ^ b).count_ones()).sum();
        *cosine = by_difference[different as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn estimates(vectors: &[i8], query: &[i8]) -> Vec<f32> {
        let bytes: Vec<u8> = vectors.iter().map(|v| v.cast_unsigned()).collect();
        let mut cosines = vec![f32::NAN; vectors.len() / query.len()];
        Signs::of(&bytes, query.len()).estimates(&SignQuery::new(query), &mut cosines);
        cosines
    }

    proptest! {
        #[test]
        fn the_estimate_counts_the_signs_that_differ(
            query in proptest::collection::vec(any::<i8>(), 1..400),
            seed: u8,
        ) {
            let vectors: Vec<i8> =
                (0..3 * query.len()).map(|at| (at as u8).wrapping_mul(167).wrapping_add(seed).cast_signed()).collect();
            let expected: Vec<f32> = vectors
                .chunks(query.len())
                .map(|vector| {
                    let different = vector.iter().zip(&query).filter(|(a, b)| (**a < 0) != (**b < 0)).count();
                    (std::f32::consts::PI * different as f32 / query.len() as f32).cos()
                })
                .collect();
            prop_assert_eq!(estimates(&vectors, &query), expected);
        }
    }

    #[test]
    fn a_vector_is_nearest_to_itself_and_farthest_from_its_opposite() {
        let vector: Vec<i8> = (0..384).map(|at: i32| (at * 37 % 251 - 125) as i8).collect();
        let opposite = vector.iter().map(|value| -value - 1);
        let both: Vec<i8> = vector.iter().copied().chain(opposite).collect();
        assert_eq!(estimates(&both, &vector), [1.0, -1.0]);
    }
}
