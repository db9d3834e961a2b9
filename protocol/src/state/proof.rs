//! "Final and not withdrawn as of height h", in about a kilobyte, for someone who holds no ledger.

use super::{LedgerState, root_of};
use crate::accumulator::{LockProof, RangeProof};
use crate::check::{Check, Rejected, ensure};
use crate::entry::Header;
use crate::ids::StateRoot;
use crate::wire_struct;

wire_struct! {
    /// That a header is final, and whether its lock is closed, under a state root.
    pub struct StandingProof {
        /// Root of the membership.
        pub membership: [u8; 32],
        /// Hash of the frontiers.
        pub frontiers: [u8; 32],
        /// Root of the closed locks.
        pub locks: [u8; 32],
        /// The header among the final ones.
        pub range: RangeProof,
        /// The header's lock among the closed ones; null where it has none.
        pub lock: Option<LockProof>,
    }
}

impl StandingProof {
    /// Proves `header`, which is leaf `leaf`; `read` gives hashes of the range by (level, index).
    pub fn of(
        state: &LedgerState,
        header: &Header,
        leaf: u64,
        read: impl Fn(u64, u64) -> Option<[u8; 32]>,
    ) -> Option<Self> {
        let [membership, frontiers, locks, _] = state.roots();
        let lock = header.fields().lock.as_ref().map(|l| state.locks.prove(l));
        Some(Self { membership, frontiers, locks, range: state.range.prove(leaf, read)?, lock })
    }

    /// Whether the header stands: final under `root`, its lock open.
    ///
    /// # Errors
    /// [`Check::StateRoot`] where the proof does not lead to `root`.
    pub fn verify(&self, header: &Header, root: &StateRoot) -> Result<bool, Rejected> {
        let range = self.range.root(&header.id())?;
        let ours = root_of(&self.membership, &self.frontiers, &self.locks, &range);
        ensure(ours == *root, Check::StateRoot)?;
        match (&header.fields().lock, &self.lock) {
            (None, None) => Ok(true),
            (Some(lock), Some(proof)) => proof.verify(lock, &self.locks).map(|closed| !closed),
            _ => Err(Check::StateRoot.into()),
        }
    }
}
