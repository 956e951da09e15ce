//! Many rows as one hash: the tree of RFC 6962. Leaves and nodes are hashed in domains of their own, so that no row can pass
//! for a node. Appending needs the peaks alone, a hash for each bit of the count; so does checking.

use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// A SHA-256.
pub type Hash = [u8; 32];

/// The hash of one row's line.
pub fn leaf(line: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(line).finalize().into()
}

/// The hash of two neighbours.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// A hash from 64 lower-case digits.
pub fn unhex(text: &str) -> Option<Hash> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    let mut hash = [0; 32];
    if bytes.len() != 64 {
        return None;
    }
    for (place, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
        *place = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
}

/// The complete subtrees of a tree, largest first: all that appending to it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    count: u64,
    hashes: Vec<Hash>,
}

impl Peaks {
    /// Peaks as they were written down; `None` if so many leaves do not have so many.
    pub fn of(count: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() as u32 == count.count_ones()).then_some(Self { count, hashes })
    }

    /// How many leaves.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The hashes, largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut grown = leaf;
        for _ in 0..self.count.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                grown = node(&left, &grown);
            }
        }
        self.hashes.push(grown);
        self.count += 1;
    }

    /// The root.
    pub fn root(&self) -> Hash {
        let mut peaks = self.hashes.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// The ranges of leaves whose roots prove a leaf, nearest first.
pub fn path_ranges(index: u64, count: u64) -> Vec<Range<u64>> {
    let (mut from, mut to) = (0, count);
    let mut ranges = Vec::new();
    while to - from > 1 {
        let middle = from + (to - from).next_power_of_two() / 2;
        if index < middle {
            ranges.push(middle..to);
            to = middle;
        } else {
            ranges.push(from..middle);
            from = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The roots of disjoint ranges, from leaves that pass by once.
pub struct RangeRoots {
    ranges: Vec<(Range<u64>, Peaks)>,
    next: u64,
}

impl RangeRoots {
    /// For the proof of a leaf in a tree.
    pub fn of_path(index: u64, count: u64) -> Self {
        Self { ranges: path_ranges(index, count).into_iter().map(|range| (range, Peaks::default())).collect(), next: 0 }
    }

    /// The next leaf.
    pub fn push(&mut self, leaf: Hash) {
        let next = self.next;
        if let Some((_, peaks)) = self.ranges.iter_mut().find(|(range, _)| range.contains(&next)) {
            peaks.push(leaf);
        }
        self.next += 1;
    }

    /// The roots, in the order of the ranges.
    pub fn roots(&self) -> Vec<Hash> {
        self.ranges.iter().map(|(_, peaks)| peaks.root()).collect()
    }
}

/// Whether a leaf is in the tree with this root (RFC 9162, 2.1.3.2).
pub fn verify_path(leaf: Hash, index: u64, count: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= count {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, count - 1, leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition of RFC 6962, word by word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|n| leaf(&n.to_be_bytes())).collect()
    }

    #[test]
    fn the_vectors_of_certificate_transparency_hold() {
        // From the reference implementation's test of this tree.
        let inputs: [&[u8]; 4] = [b"", &[0], &[0x10], &[0x20, 0x21]];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        let mut peaks = Peaks::default();
        for (input, root) in inputs.iter().zip(roots) {
            peaks.push(leaf(input));
            assert_eq!(hex(&peaks.root()), root);
        }
    }

    #[test]
    fn every_leaf_of_every_small_tree_is_proven_by_its_own_path_only() {
        for count in 1..=40 {
            let leaves = leaves(count);
            let root = defined(&leaves);
            let mut peaks = Peaks::default();
            for leaf in &leaves {
                peaks.push(*leaf);
            }
            assert_eq!((peaks.root(), peaks.count()), (root, count));
            for index in 0..count {
                let mut ranges = RangeRoots::of_path(index, count);
                for leaf in &leaves {
                    ranges.push(*leaf);
                }
                let path = ranges.roots();
                let own = leaves[index as usize];
                for other in 0..count + 2 {
                    assert_eq!(verify_path(own, other, count, &path, &root), other == index, "{index} as {other} of {count}");
                }
                assert!(!verify_path(leaf(b"other"), index, count, &path, &root));
                assert!(count == 1 || !verify_path(own, index, count, &path[1..], &root));
                assert!(!verify_path(own, index, count, &[path.as_slice(), &[root]].concat(), &root));
            }
        }
    }

    proptest! {
        #[test]
        fn peaks_go_on_from_any_point(count in 0_u64..500, from in 0_u64..500) {
            let leaves = leaves(count);
            let from = from.min(count);
            let mut peaks = Peaks::default();
            leaves[..from as usize].iter().for_each(|leaf| peaks.push(*leaf));
            let mut peaks = Peaks::of(from, peaks.hashes().to_vec()).unwrap();
            leaves[from as usize..].iter().for_each(|leaf| peaks.push(*leaf));
            prop_assert_eq!(peaks.root(), defined(&leaves));
        }

        #[test]
        fn hexadecimal_is_read_as_it_is_written(hash: Hash) {
            prop_assert_eq!(unhex(&hex(&hash)), Some(hash));
        }
    }

    #[test]
    fn what_is_no_hash_is_none() {
        for text in ["", "00", &"g".repeat(64), &"A".repeat(64), &"0".repeat(66), &"ü".repeat(32)] {
            assert_eq!(unhex(text), None);
        }
        assert_eq!(Peaks::of(3, vec![[0; 32]]), None);
    }
}
