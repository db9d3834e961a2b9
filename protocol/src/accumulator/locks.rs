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

impl LockTree {
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
    fn locks_with_a_long_shared_prefix_part() {
        let (mut a, mut b) = ([0xaa; 32], [0xaa; 32]);
        (a[31], b[31]) = (0, 1);
        let tree: LockTree = [Lock(a), Lock(b)].into_iter().collect();
        assert_eq!(tree.prove(&Lock(a)).verify(&Lock(a), &tree.root()), Ok(true), "one");
        assert_eq!(tree.prove(&Lock(b)).verify(&Lock(b), &tree.root()), Ok(true), "the other");
    }
}
