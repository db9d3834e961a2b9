//! An ordered map from uniform 32-byte ids, two memory accesses deep whatever its size.
//!
//! A search tree of a million entries costs a microsecond of cache misses a lookup, more than all that a decision
//! does beside. So ids, which are hashes, go by their first bits into short sorted lists; the lists split as the
//! map grows. Ids that are not uniform make it slower, never wrong. `MemoryView` is the caller.

/// A list splits when lists hold this many entries on average.
const LOAD: usize = 4;
/// A million lists are enough for anything that fits into memory.
const BITS_MAX: u32 = 20;

/// Compared eight bytes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key([u64; 4]);

impl Key {
    fn of(id: &[u8; 32]) -> Self {
        let (words, _) = id.as_chunks::<8>();
        Self(std::array::from_fn(|i| u64::from_be_bytes(words[i])))
    }

    /// The first `bits` bits as a number.
    fn prefix(self, bits: u32) -> usize {
        let first = self.0[0].checked_shr(u64::BITS - bits).unwrap_or(0);
        usize::try_from(first).expect("at most 20 bits")
    }
}

/// The map.
#[derive(Clone, Debug)]
pub(super) struct Shards<V> {
    bits: u32,
    len: usize,
    lists: Vec<Vec<(Key, V)>>,
}

impl<V> Shards<V> {
    pub(super) fn new() -> Self {
        Self { bits: 0, len: 0, lists: vec![Vec::new()] }
    }

    fn find(&self, key: Key) -> (usize, Result<usize, usize>) {
        let list = key.prefix(self.bits);
        (list, self.lists[list].binary_search_by_key(&key, |e| e.0))
    }

    pub(super) fn get(&self, id: &[u8; 32]) -> Option<&V> {
        let (list, at) = self.find(Key::of(id));
        Some(&self.lists[list][at.ok()?].1)
    }

    pub(super) fn get_mut(&mut self, id: &[u8; 32]) -> Option<&mut V> {
        let (list, at) = self.find(Key::of(id));
        Some(&mut self.lists[list][at.ok()?].1)
    }

    /// The value of an id, made where it is missing.
    pub(super) fn or_insert_with(&mut self, id: &[u8; 32], make: impl FnOnce() -> V) -> &mut V {
        let key = Key::of(id);
        if self.find(key).1.is_err() {
            self.len += 1;
            if self.len > LOAD * self.lists.len() && self.bits < BITS_MAX {
                self.split();
            }
        }
        let (list, at) = self.find(key);
        let list = &mut self.lists[list];
        let at = at.unwrap_or_else(|at| {
            list.insert(at, (key, make()));
            at
        });
        &mut list[at].1
    }

    pub(super) fn insert(&mut self, id: &[u8; 32], value: V) {
        let mut value = Some(value);
        let slot = self.or_insert_with(id, || value.take().expect("taken once"));
        if let Some(newer) = value {
            *slot = newer;
        }
    }

    // Each list becomes two: order by prefix is order by id, so the second is the list's tail.
    fn split(&mut self) {
        self.bits += 1;
        let mut lists = Vec::with_capacity(self.lists.len() * 2);
        for mut list in std::mem::take(&mut self.lists) {
            let odd = list.partition_point(|e| e.0.prefix(self.bits) & 1 == 0);
            let tail = list.split_off(odd);
            list.shrink_to_fit();
            lists.push(list);
            lists.push(tail);
        }
        self.lists = lists;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ids::sha256;

    #[test]
    fn it_is_the_map_that_a_tree_is() {
        let (mut shards, mut tree) = (Shards::new(), BTreeMap::new());
        for n in 0..5_000_u64 {
            let id = sha256(&[&(n % 4_000).to_be_bytes()]);
            shards.insert(&id, n);
            tree.insert(id, n);
            *shards.or_insert_with(&id, || 0) += 1;
            *tree.entry(id).or_default() += 1;
        }
        assert_eq!(shards.len, tree.len(), "as many");
        assert!(tree.iter().all(|(id, n)| shards.get(id) == Some(n)), "each under its id");
        let inside: Vec<_> = shards.lists.iter().flatten().map(|e| e.0).collect();
        assert!(inside.is_sorted(), "in the order of ids");
        assert_eq!(shards.get(&[7; 32]), None, "and nothing else");
        assert!(shards.lists.iter().all(|l| l.len() < 4 * LOAD), "in short lists");
    }

    #[test]
    fn ids_that_share_their_first_bits_only_make_it_slow() {
        let mut shards = Shards::new();
        for n in 0..2_000_u64 {
            let mut id = [0xff; 32];
            id[24..].copy_from_slice(&n.to_be_bytes());
            shards.insert(&id, n);
        }
        let mut id = [0xff; 32];
        id[24..].copy_from_slice(&1_234_u64.to_be_bytes());
        assert_eq!(shards.get_mut(&id), Some(&mut 1_234), "found all the same");
    }
}
