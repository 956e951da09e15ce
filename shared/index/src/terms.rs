//! A segment's dictionary in memory: from a term's hash to where its chunks are listed. A question looks each of its terms up in
//! every document of a tenant, so what counts is how many cache lines a look touches.

use std::ops::Range;

/// Terms in a bucket on average: two cache lines at most hold a bucket, and its start takes a byte for each term.
const BUCKET: usize = 4;
/// Hashes that are compared without a look where the bucket ends.
const LOOK: usize = 8;
/// Terms that are looked up at once: as many as a long question has.
const TOGETHER: usize = 16;

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

    /// Where the lists of these terms begin and end, in their order. Each look waits for three cache lines, one after the
    /// other; of several terms these are waited for together.
    pub fn find<'a>(&'a self, hashes: &'a [u64]) -> impl Iterator<Item = Option<Range<usize>>> + 'a {
        hashes.chunks(TOGETHER).flat_map(|hashes| {
            let mut starts = [0; TOGETHER];
            for (start, hash) in starts.iter_mut().zip(hashes) {
                *start = self.buckets[(hash >> self.shift) as usize] as usize;
            }
            let mut places = [None; TOGETHER];
            for ((place, start), hash) in places.iter_mut().zip(starts).zip(hashes) {
                *place = self.look(start, *hash);
            }
            places.into_iter().take(hashes.len()).map(|place| {
                let place = place?;
                Some(self.offsets[place] as usize..self.offsets[place + 1] as usize)
            })
        })
    }

    /// The place of a hash in the bucket that starts here. A bucket of usual size is compared as a whole: to stop at the right one
    /// would be guessing for the processor.
    #[inline]
    fn look(&self, start: usize, hash: u64) -> Option<usize> {
        if let Some(few) = self.hashes[start..].first_chunk::<LOOK>() {
            let found = few.iter().rev().fold(0_u32, |found, other| found << 1 | u32::from(*other == hash));
            if found != 0 {
                return Some(start + found.trailing_zeros() as usize);
            }
            if few[LOOK - 1] > hash {
                return None;
            }
        }
        let end = self.buckets[(hash >> self.shift) as usize + 1] as usize;
        self.hashes[start..end].iter().position(|other| *other == hash).map(|at| start + at)
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
            let asked: Vec<u64> = sorted.iter().copied().chain([other, 0, u64::MAX]).collect();
            let expected: Vec<_> =
                asked.iter().map(|hash| sorted.binary_search(hash).ok().map(|at| at * 3..at * 3 + 3)).collect();
            prop_assert_eq!(terms.find(&asked).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        assert!(Terms::new(vec![2, 1], vec![0, 0, 0]).is_none());
        assert!(Terms::new(vec![1, 1], vec![0, 0, 0]).is_none());
        assert!(Terms::new(vec![1], vec![0]).is_none());
        let none = Terms::new(vec![], vec![0]).unwrap();
        assert_eq!(none.find(&[7]).collect::<Vec<_>>(), [None]);
    }
}
