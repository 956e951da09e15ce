//! Products of one int8 vector with many: what a search spends its time on. One implementation for each set of
//! instructions, and all give the same whole numbers.

use multiversion::multiversion;
use multiversion::target::match_target;

/// The product of the question with each vector of so many bytes, in order.
type Kernel = fn(vectors: &[u8], query: &[i8]) -> Vec<i32>;

/// The product of `query` with each of the vectors, which lie one after the other as two's-complement bytes.
pub fn products(vectors: &[u8], query: &[i8]) -> Vec<i32> {
    if query.is_empty() {
        return Vec::new();
    }
    vnni_or_less()(vectors, query)
}

#[multiversion(targets("x86_64+avx2+avx512f+avx512bw+avx512vl+avx512vnni", "x86_64+avx2"))]
fn vnni_or_less() -> Kernel {
    match_target! {
        "x86_64+avx2+avx512f+avx512bw+avx512vl+avx512vnni" => vnni::products,
        "x86_64+avx2" => avx2::products,
        _ => portable,
    }
}

/// For every other machine, and what the others are held equal to.
fn portable(vectors: &[u8], query: &[i8]) -> Vec<i32> {
    vectors.chunks_exact(query.len()).map(|vector| product(vector, query)).collect()
}

#[inline]
fn product(vector: &[u8], query: &[i8]) -> i32 {
    vector.iter().zip(query).map(|(a, b)| i32::from(a.cast_signed()) * i32::from(*b)).sum()
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use super::product;
    use std::arch::x86_64::{
        _mm512_add_epi32, _mm512_dpbusd_epi32, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512, _mm512_xor_si512,
    };

    /// Bytes of a register.
    const WIDTH: usize = 64;

    /// `vpdpbusd` wants one side without a sign: that is the vector plus 128, and 128 times the question is taken away again.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,avx512vnni")]
    pub fn products(vectors: &[u8], query: &[i8]) -> Vec<i32> {
        let (parts, rest) = query.as_chunks::<WIDTH>();
        let ones = _mm512_set1_epi8(1);
        let sum = parts.iter().fold(_mm512_setzero_si512(), |sum, part| _mm512_dpbusd_epi32(sum, ones, pulp::cast(*part)));
        let offset = 128 * _mm512_reduce_add_epi32(sum);
        let sign = _mm512_set1_epi8(i8::MIN);
        let mut products = Vec::with_capacity(vectors.len() / query.len());
        for vector in vectors.chunks_exact(query.len()) {
            let (vector, vector_rest) = vector.as_chunks::<WIDTH>();
            let mut sums = [_mm512_setzero_si512(); 2];
            for (at, (vector, query)) in vector.iter().zip(parts).enumerate() {
                let vector = _mm512_xor_si512(pulp::cast(*vector), sign);
                sums[at % 2] = _mm512_dpbusd_epi32(sums[at % 2], vector, pulp::cast(*query));
            }
            let sum = _mm512_reduce_add_epi32(_mm512_add_epi32(sums[0], sums[1]));
            products.push(sum - offset + product(vector_rest, rest));
        }
        products
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::product;
    use std::arch::x86_64::{_mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_madd_epi16, _mm256_setzero_si256};

    /// Bytes that fill a register when they are widened.
    const WIDTH: usize = 16;

    #[target_feature(enable = "avx2")]
    pub fn products(vectors: &[u8], query: &[i8]) -> Vec<i32> {
        let (parts, rest) = query.as_chunks::<WIDTH>();
        let parts: Vec<[i16; WIDTH]> = parts.iter().map(|part| part.map(i16::from)).collect();
        let mut products = Vec::with_capacity(vectors.len() / query.len());
        for vector in vectors.chunks_exact(query.len()) {
            let (vector, vector_rest) = vector.as_chunks::<WIDTH>();
            let mut sum = _mm256_setzero_si256();
            for (vector, query) in vector.iter().zip(&parts) {
                let vector = _mm256_cvtepi8_epi16(pulp::cast(*vector));
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(vector, pulp::cast(*query)));
            }
            let sums: [i32; 8] = pulp::cast(sum);
            products.push(sums.iter().sum::<i32>() + product(vector_rest, rest));
        }
        products
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every kernel that this machine can run.
    fn all() -> Vec<Kernel> {
        #[multiversion(targets("x86_64+avx2"))]
        fn avx2_or_less() -> Kernel {
            match_target! {
                "x86_64+avx2" => avx2::products,
                _ => portable,
            }
        }
        vec![vnni_or_less(), avx2_or_less(), portable]
    }

    #[test]
    fn the_largest_numbers_do_not_overflow() {
        for (a, b) in [(-128_i8, -128_i8), (127, -128), (-128, 127), (127, 127)] {
            for kernel in all() {
                assert_eq!(kernel(&[a.cast_unsigned(); 768], &[b; 384]), [i32::from(a) * i32::from(b) * 384; 2]);
            }
        }
    }

    #[test]
    fn a_question_without_numbers_has_no_products() {
        assert_eq!(products(&[1, 2, 3], &[]), Vec::<i32>::new());
    }

    proptest! {
        #[test]
        fn all_kernels_give_the_sum_of_products(
            query in proptest::collection::vec(any::<i8>(), 1..400),
            count in 0_usize..6,
            seed: u8,
        ) {
            let byte = |at: usize| (at as u8).wrapping_mul(167).wrapping_add(seed);
            let vectors: Vec<u8> = (0..count * query.len()).map(byte).collect();
            let product = |at: usize| (0..query.len())
                .map(|i| i32::from(byte(at * query.len() + i).cast_signed()) * i32::from(query[i]))
                .sum::<i32>();
            let expected: Vec<i32> = (0..count).map(product).collect();
            for kernel in all() {
                prop_assert_eq!(kernel(&vectors, &query), expected.clone());
            }
        }
    }
}
