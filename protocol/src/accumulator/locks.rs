//! A sparse Merkle tree of closed locks: proves that a lock is closed, or that it is not.
//!
//! A subtree with one lock is that lock's leaf, whatever its depth (as in the Jellyfish Merkle tree, Gao
//! et al., 2021), so the tree holds two nodes a lock. Nodes are shared between versions: a copy costs
//! nothing, and inserting copies one path.

use std::sync::Arc;

use crate::check::{Check, Rejected, ensure};
use crate::ids::{Lock, sha256};
use crate::wire_struct;

#[derive(Debug)]
enum Node {
    Leaf(Lock),
    Fork { hash: [u8; 32], left: Tree, right: Tree },
}

type Tree = Option<Arc<Node>>;

const EMPTY: [u8; 32] = [0; 32];

fn leaf_hash(lock: &Lock) -> [u8; 32] {
    sha256(&[&[0], &lock.0])
}

fn fork_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

fn bit(lock: &Lock, depth: usize) -> bool {
    lock.0[depth / 8] >> (7 - depth % 8) & 1 == 1
}

fn hash(tree: &Tree) -> [u8; 32] {
    match tree.as_deref() {
        None => EMPTY,
        Some(Node::Leaf(lock)) => leaf_hash(lock),
        Some(Node::Fork { hash, .. }) => *hash,
    }
}

fn fork(left: Tree, right: Tree) -> Tree {
    let hash = fork_hash(&hash(&left), &hash(&right));
    Some(Arc::new(Node::Fork { hash, left, right }))
}

fn insert(tree: &Tree, lock: &Lock, depth: usize) -> Tree {
    match tree.as_deref() {
        None => Some(Arc::new(Node::Leaf(*lock))),
        Some(Node::Leaf(other)) if other == lock => tree.clone(),
        Some(Node::Leaf(other)) => part(tree, other, lock, depth),
        Some(Node::Fork { left, right, .. }) if bit(lock, depth) => {
            fork(left.clone(), insert(right, lock, depth + 1))
        }
        Some(Node::Fork { left, right, .. }) => fork(insert(left, lock, depth + 1), right.clone()),
    }
}

// Two locks share a path: forks until the first bit in which they differ.
fn part(standing: &Tree, other: &Lock, lock: &Lock, depth: usize) -> Tree {
    match (bit(other, depth), bit(lock, depth)) {
        (false, false) => fork(part(standing, other, lock, depth + 1), None),
        (true, true) => fork(None, part(standing, other, lock, depth + 1)),
        (false, true) => fork(standing.clone(), Some(Arc::new(Node::Leaf(*lock)))),
        (true, false) => fork(Some(Arc::new(Node::Leaf(*lock))), standing.clone()),
    }
}

/// The closed locks.
#[derive(Clone, Debug, Default)]
pub struct LockTree(Tree);

wire_struct! {
    /// The path of a lock: siblings from the root down, and the leaf at its end, if any.
    pub struct LockProof {
        /// Sibling hashes, from the root down.
        pub siblings: Vec<[u8; 32]>,
        /// The leaf that stands there: the lock itself, another one, or none.
        pub end: Option<Lock>,
    }
}

wire_struct! {
    /// The closed locks whose first bits are the same, and the path to them: a piece of the tree that is
    /// verified by itself.
    pub struct LockPart {
        /// Sibling hashes, from the root down; fewer than the part's bits where the path ends before them.
        pub siblings: Vec<[u8; 32]>,
        /// The locks under that path, ascending.
        pub locks: Vec<Lock>,
    }
}

fn collect(tree: &Tree, out: &mut Vec<Lock>) {
    match tree.as_deref() {
        None => {}
        Some(Node::Leaf(lock)) => out.push(*lock),
        Some(Node::Fork { left, right, .. }) => {
            collect(left, out);
            collect(right, out);
        }
    }
}

/// The lowest lock of part `part` of 2^`bits`.
fn first_of(part: u64, bits: u32) -> Lock {
    let mut lock = Lock([0; 32]);
    let shifted = if bits == 0 { 0 } else { part << (64 - bits) };
    lock.0[..8].copy_from_slice(&shifted.to_be_bytes());
    lock
}

impl LockPart {
    /// Whether these are all closed locks of part `part` of 2^`bits` under `root`, and perhaps the one beside it
    /// where both are alone.
    ///
    /// # Errors
    /// [`Check::StateRoot`] where they are not, or don't ascend.
    pub fn verify(&self, part: u64, bits: u32, root: &[u8; 32]) -> Result<(), Rejected> {
        let depth = self.siblings.len();
        let whole = depth == bits as usize;
        ensure(bits < 64 && part >> bits == 0 && depth <= bits as usize, Check::StateRoot)?;
        ensure(whole || self.locks.len() <= 1, Check::StateRoot)?;
        ensure(self.locks.windows(2).all(|w| w[0] < w[1]), Check::StateRoot)?;
        let path = first_of(part, bits);
        let on_path = |lock: &Lock| (0..depth).all(|d| bit(lock, d) == bit(&path, d));
        ensure(self.locks.iter().all(on_path), Check::StateRoot)?;
        let tree = self.locks.iter().fold(None, |tree, lock| insert(&tree, lock, depth));
        let mut hash = hash(&tree);
        for (d, sibling) in self.siblings.iter().enumerate().rev() {
            hash = if bit(&path, d) { fork_hash(sibling, &hash) } else { fork_hash(&hash, sibling) };
        }
        ensure(hash == *root, Check::StateRoot)
    }
}

impl LockTree {
    /// Part `part` of 2^`bits`, `bits` below 64: the locks that begin with these bits, or the one that stands
    /// alone above them.
    #[must_use]
    pub fn part(&self, part: u64, bits: u32) -> LockPart {
        let (path, mut at, mut siblings) = (first_of(part, bits), &self.0, Vec::new());
        while siblings.len() < bits as usize
            && let Some(Node::Fork { left, right, .. }) = at.as_deref()
        {
            let (next, sibling) = if bit(&path, siblings.len()) { (right, left) } else { (left, right) };
            siblings.push(hash(sibling));
            at = next;
        }
        let mut locks = Vec::new();
        collect(at, &mut locks);
        LockPart { siblings, locks }
    }

    /// How many locks are closed.
    #[must_use]
    pub fn len(&self) -> usize {
        fn count(tree: &Tree) -> usize {
            match tree.as_deref() {
                None => 0,
                Some(Node::Leaf(_)) => 1,
                Some(Node::Fork { left, right, .. }) => count(left) + count(right),
            }
        }
        count(&self.0)
    }

    /// Whether none is closed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Closes a lock; closing it again changes nothing.
    pub fn close(&mut self, lock: &Lock) {
        if !self.is_closed(lock) {
            self.0 = insert(&self.0, lock, 0);
        }
    }

    /// Whether the lock is closed.
    #[must_use]
    pub fn is_closed(&self, lock: &Lock) -> bool {
        self.prove(lock).end == Some(*lock)
    }

    /// The root; zeros for no lock.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        hash(&self.0)
    }

    /// A proof that `lock` is closed, or that it isn't.
    #[must_use]
    pub fn prove(&self, lock: &Lock) -> LockProof {
        let (mut at, mut siblings) = (&self.0, Vec::new());
        while let Some(Node::Fork { left, right, .. }) = at.as_deref() {
            let (next, sibling) = if bit(lock, siblings.len()) { (right, left) } else { (left, right) };
            siblings.push(hash(sibling));
            at = next;
        }
        let end = match at.as_deref() {
            Some(Node::Leaf(lock)) => Some(*lock),
            _ => None,
        };
        LockProof { siblings, end }
    }
}

impl FromIterator<Lock> for LockTree {
    fn from_iter<I: IntoIterator<Item = Lock>>(locks: I) -> Self {
        let mut tree = Self::default();
        locks.into_iter().for_each(|l| tree.close(&l));
        tree
    }
}

impl LockProof {
    /// Whether `lock` is closed under `root`.
    ///
    /// # Errors
    /// [`Check::StateRoot`] where the path does not lead to the root, or its end is not on the lock's path.
    pub fn verify(&self, lock: &Lock, root: &[u8; 32]) -> Result<bool, Rejected> {
        ensure(self.siblings.len() <= 256, Check::StateRoot)?;
        let depth = self.siblings.len();
        let on_path = |end: &Lock| (0..depth).all(|d| bit(end, d) == bit(lock, d));
        ensure(self.end.as_ref().is_none_or(on_path), Check::StateRoot)?;
        let mut hash = self.end.as_ref().map_or(EMPTY, leaf_hash);
        for (d, sibling) in self.siblings.iter().enumerate().rev() {
            hash = if bit(lock, d) { fork_hash(sibling, &hash) } else { fork_hash(&hash, sibling) };
        }
        ensure(hash == *root, Check::StateRoot)?;
        Ok(self.end == Some(*lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(n: u64) -> Lock {
        Lock(sha256(&[&n.to_be_bytes()]))
    }

    #[test]
    fn the_root_is_the_same_in_any_order_of_closing() {
        let forward: LockTree = (0..500).map(lock).collect();
        let backward: LockTree = (0..500).rev().map(lock).collect();
        assert_eq!(forward.root(), backward.root(), "order has no effect");
        let more: LockTree = (0..501).map(lock).collect();
        assert_ne!(forward.root(), more.root(), "one more lock shows");
    }

    #[test]
    fn both_closed_and_open_are_proved() {
        let tree: LockTree = (0..200).map(lock).collect();
        for n in 0..400 {
            let proof = tree.prove(&lock(n));
            assert_eq!(proof.verify(&lock(n), &tree.root()), Ok(n < 200), "lock {n}");
            assert!(proof.verify(&lock(n), &[7; 32]).is_err(), "another root");
        }
        let mut forged = tree.prove(&lock(3));
        forged.end = None;
        assert!(forged.verify(&lock(3), &tree.root()).is_err(), "a closed lock shown as open");
        let moved = tree.prove(&lock(3)).verify(&lock(4), &tree.root());
        assert!(moved.is_err(), "the proof of another lock");
    }

    #[test]
    fn every_part_is_proved_by_itself_and_all_make_the_tree() {
        for (count, bits) in [(0, 0), (1, 0), (1, 3), (5, 3), (200, 0), (200, 4), (200, 9)] {
            let tree: LockTree = (0..count).map(lock).collect();
            let mut whole = LockTree::default();
            for part in 0..1 << bits {
                let piece = tree.part(part, bits);
                assert_eq!(piece.verify(part, bits, &tree.root()), Ok(()), "part {part} of {count} locks");
                piece.locks.iter().for_each(|l| whole.close(l));
                let mut less = piece.clone();
                if less.locks.pop().is_some() {
                    assert!(less.verify(part, bits, &tree.root()).is_err(), "one lock is left out");
                }
                let mut more = piece.clone();
                more.locks.push(lock(1000 + part));
                more.locks.sort_unstable();
                assert!(more.verify(part, bits, &tree.root()).is_err(), "one lock too many");
                assert!(piece.verify(part, bits, &[7; 32]).is_err(), "another root");
            }
            assert_eq!((whole.root(), whole.len()), (tree.root(), tree.len()), "the parts are the whole");
        }
        let tree: LockTree = (0..200).map(lock).collect();
        assert!(tree.part(0, 4).verify(1, 4, &tree.root()).is_err(), "one part shown as another");
        assert!(tree.part(0, 4).verify(16, 4, &tree.root()).is_err(), "a part that there is not");
    }

    #[test]
    fn locks_with_a_long_shared_prefix_part() {
        let (mut a, mut b) = ([0xaa; 32], [0xaa; 32]);
        (a[31], b[31]) = (0, 1);
        let tree: LockTree = [Lock(a), Lock(b)].into_iter().collect();
        assert_eq!(tree.prove(&Lock(a)).verify(&Lock(a), &tree.root()), Ok(true), "one");
        assert_eq!(tree.prove(&Lock(b)).verify(&Lock(b), &tree.root()), Ok(true), "the other");
    }
}
