//! A Merkle mountain range (Todd, 2012) over header ids, in the order in which they became final.
//!
//! The state keeps only the peaks. Every complete subtree has a place (level, index); its hash is written
//! once and never changes, so storage is append-only and a proof reads one hash a level.

use crate::check::{Check, Rejected, ensure};
use crate::ids::{HeaderId, sha256};
use crate::wire_struct;

wire_struct! {
    /// The peaks over all leaves, highest first.
    #[derive(Default)]
    pub struct Range {
        /// How many leaves.
        pub count: u64,
        /// One hash for each set bit of `count`, highest bit first.
        pub peaks: Vec<[u8; 32]>,
    }
}

wire_struct! {
    /// The hash of one complete subtree.
    pub struct RangeNode {
        /// 0 for a leaf.
        pub level: u64,
        /// The place among the subtrees of its level, from 0.
        pub index: u64,
        /// The hash.
        pub hash: [u8; 32],
    }
}

wire_struct! {
    /// That a header id is the leaf with this number.
    pub struct RangeProof {
        /// The number of the leaf, from 0.
        pub leaf: u64,
        /// How many leaves the range had.
        pub count: u64,
        /// Sibling hashes up to the peak.
        pub siblings: Vec<[u8; 32]>,
        /// The peaks.
        pub peaks: Vec<[u8; 32]>,
    }
}

fn leaf_hash(id: &HeaderId) -> [u8; 32] {
    sha256(&[&[0], &id.0])
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

fn bag(count: u64, peaks: &[[u8; 32]]) -> [u8; 32] {
    sha256(&[&[2], &count.to_be_bytes(), &peaks.concat()])
}

impl Range {
    /// Appends one leaf; gives the nodes that storage is to keep.
    pub fn append(&mut self, id: &HeaderId) -> Vec<RangeNode> {
        let (mut level, mut index, mut hash) = (0, self.count, leaf_hash(id));
        let mut written = vec![RangeNode { level, index, hash }];
        while index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = parent(&left, &hash);
            level += 1;
            index >>= 1;
            written.push(RangeNode { level, index, hash });
        }
        self.peaks.push(hash);
        self.count += 1;
        written
    }

    /// The root: hash of the number of leaves and the peaks.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        bag(self.count, &self.peaks)
    }

    /// Whether as many peaks stand as the count says.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        self.peaks.len() == self.count.count_ones() as usize
    }

    /// The peaks with their places, as storage keeps them.
    #[must_use]
    pub fn places(&self) -> Vec<RangeNode> {
        let (mut start, mut places, mut peaks) = (0_u64, Vec::new(), self.peaks.iter());
        for level in (0..64).rev().filter(|level| self.count >> level & 1 == 1) {
            let Some(hash) = peaks.next() else { break };
            places.push(RangeNode { level, index: start >> level, hash: *hash });
            start += 1 << level;
        }
        places
    }

    /// Proves the leaf with number `leaf`; `read` gives the hash at (level, index).
    pub fn prove(&self, leaf: u64, read: impl Fn(u64, u64) -> Option<[u8; 32]>) -> Option<RangeProof> {
        let (_, height) = mountain(leaf, self.count)?;
        let sibling = |level: u64| read(level, (leaf >> level) ^ 1);
        let siblings = (0..height).map(sibling).collect::<Option<Vec<_>>>()?;
        Some(RangeProof { leaf, count: self.count, siblings, peaks: self.peaks.clone() })
    }
}

/// Which peak stands over `leaf`, and its height in levels.
fn mountain(leaf: u64, count: u64) -> Option<(usize, u64)> {
    let (mut start, mut peak) = (0, 0);
    for bit in (0..64).rev() {
        let size = 1_u64 << bit;
        if count & size == 0 {
            continue;
        }
        if leaf < start + size {
            return Some((peak, bit));
        }
        start += size;
        peak += 1;
    }
    None
}

impl RangeProof {
    /// The root under which `id` is proved.
    ///
    /// # Errors
    /// [`Check::StateRoot`] where the parts don't fit together.
    pub fn root(&self, id: &HeaderId) -> Result<[u8; 32], Rejected> {
        let (peak, height) = mountain(self.leaf, self.count).ok_or(Check::StateRoot)?;
        ensure(self.siblings.len() as u64 == height, Check::StateRoot)?;
        ensure(self.peaks.len() == self.count.count_ones() as usize, Check::StateRoot)?;
        let mut hash = leaf_hash(id);
        for (level, sibling) in self.siblings.iter().enumerate() {
            let right = (self.leaf >> level) & 1 == 1;
            hash = if right { parent(sibling, &hash) } else { parent(&hash, sibling) };
        }
        ensure(self.peaks.get(peak) == Some(&hash), Check::StateRoot)?;
        Ok(bag(self.count, &self.peaks))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_leaf_is_proved_at_every_size_and_no_other() {
        let (mut range, mut nodes, mut ids) = (Range::default(), BTreeMap::new(), Vec::new());
        for n in 0..70_u8 {
            let id = HeaderId([n; 32]);
            ids.push(id);
            nodes.extend(range.append(&id).into_iter().map(|w| ((w.level, w.index), w.hash)));
            assert!(range.is_consistent(), "a peak for each bit of {n}");
            let kept = |place: &RangeNode| nodes.get(&(place.level, place.index)) == Some(&place.hash);
            assert!(range.places().iter().all(kept), "each peak in its place");
            assert_eq!(range.places().len(), range.peaks.len(), "all of them");
            for (leaf, id) in ids.iter().enumerate() {
                let read = |level, index| nodes.get(&(level, index)).copied();
                let proof = range.prove(leaf as u64, read).expect("its nodes are kept");
                assert_eq!(proof.root(id), Ok(range.root()), "leaf {leaf} of {n}");
                assert!(proof.root(&HeaderId([0xff; 32])).is_err(), "a stranger");
            }
            let beyond = range.prove(ids.len() as u64, |_, _| Some([0; 32]));
            assert_eq!(beyond, None, "no leaf there");
        }
    }
}
