//! Signatures of taps that were seen to verify, so that fifty records of one tap cost one verification, and
//! their finality none.
//!
//! A memo and nothing else: it is empty after a start, bounded, and what it forgets is verified again.

use std::collections::{BTreeSet, VecDeque};

use hospes_protocol::tap::KnownTaps;

/// Signatures that are remembered; the oldest makes room.
const TAPS_MAX: usize = 4096;

/// The memo.
#[derive(Default)]
pub(crate) struct Taps {
    known: BTreeSet<[u8; 32]>,
    order: VecDeque<[u8; 32]>,
}

impl KnownTaps for Taps {
    fn has(&mut self, id: &[u8; 32]) -> bool {
        self.known.contains(id)
    }

    fn put(&mut self, id: [u8; 32]) {
        if !self.known.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > TAPS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_room() {
        let id = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            id
        };
        let mut taps = Taps::default();
        (0..=TAPS_MAX).for_each(|n| taps.put(id(n)));
        taps.put(id(TAPS_MAX));
        assert!(!taps.has(&id(0)), "the first is forgotten");
        assert!((1..=TAPS_MAX).all(|n| taps.has(&id(n))), "all others are known");
        assert_eq!((taps.known.len(), taps.order.len()), (TAPS_MAX, TAPS_MAX), "and no more is kept");
    }
}
