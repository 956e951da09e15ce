//! A segment's dictionary in memory: from a term's hash to where its chunks are listed. A question looks each of its terms up in
//! every document of a tenant, so what counts is how many cache lines a look touches.

/// Terms in a bucket on average: two cache lines at most hold a bucket, and its start takes a byte for each term.
const BUCKET: usize = 4;

/// Sorted hashes, the places of their lists, and where the hashes begin that share their top bits. Hashes are spread evenly, so
/// buckets are of like size.
#[derive(Debug)]
pub struct Terms {
    hashes: Vec<u64>,
    offsets: Vec<u32>,
    buckets: Vec<u32>,
    /// By how many bits a hash is shifted to give its bucket.
    shift: u32,
}

impl Terms {
    /// Of sorted hashes without repeats and one offset more than there are hashes; nothing if they are not that.
    pub fn new(hashes: Vec<u64>, offsets: Vec<u32>) -> Option<Self> {
        if !hashes.is_sorted_by(|a, b| a < b) || offsets.len() != hashes.len() + 1 {
            return None;
        }
        // At least two, so that the shift stays below the width of a hash.
        let count = (hashes.len() / BUCKET).next_power_of_two().max(2);
        let shift = u64::BITS - count.trailing_zeros();
        let mut buckets = vec![0_u32; count + 1];
        for hash in &hashes {
            buckets[(hash >> shift) as usize + 1] += 1;
        }
        for at in 1..=count {
            buckets[at] += buckets[at - 1];
        }
        Some(Self { hashes, offsets, buckets, shift })
    }

    /// Where the term's list begins and ends.
    #[inline]
    pub fn find(&self, hash: u64) -> Option<std::ops::Range<usize>> {
        let bucket = (hash >> self.shift) as usize;
        let (from, to) = (self.buckets[bucket] as usize, self.buckets[bucket + 1] as usize);
        let at = from + self.hashes[from..to].iter().position(|other| *other == hash)?;
        Some(self.offsets[at] as usize..self.offsets[at + 1] as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_hash_is_found_wherever_hashes_cluster(
            hashes in proptest::collection::btree_set(prop_oneof![any::<u64>(), 0_u64..300, (u64::MAX - 300)..=u64::MAX], 0..200),
            other: u64,
        ) {
            let sorted: Vec<u64> = hashes.into_iter().collect();
            let offsets: Vec<u32> = (0..=sorted.len() as u32).map(|at| at * 3).collect();
            let terms = Terms::new(sorted.clone(), offsets).unwrap();
            for hash in sorted.iter().copied().chain([other, 0, u64::MAX]) {
                prop_assert_eq!(terms.find(hash), sorted.binary_search(&hash).ok().map(|at| at * 3..at * 3 + 3));
            }
        }
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert!(Terms::new(vec![2, 1], vec![0, 0, 0]).is_none());
        assert!(Terms::new(vec![1, 1], vec![0, 0, 0]).is_none());
        assert!(Terms::new(vec![1], vec![0]).is_none());
        assert_eq!(Terms::new(vec![], vec![0]).and_then(|terms| terms.find(7)), None);
    }
}
