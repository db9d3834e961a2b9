//! The ledger's state: who takes part, which locks are closed, which headers are final.
//!
//! `execute` takes the next block's cuts to the next state, the same everywhere; `judge` decides whether
//! a proposed block may be voted for. Neither looks at a clock, a disk or a body of a personal kind.

mod authority;
mod away;
mod committee;
mod execute;
mod former;
mod membership;
mod proof;

pub use authority::{organizations_that_signed, two_thirds};
pub use away::{Checkpoint, Handover, certified};
pub use committee::StandingCommittee;
pub use execute::{Draft, Executed, Outcome};
pub use former::FormerCardEntry;
pub use membership::{Membership, MembershipSnapshot};
pub use proof::StandingProof;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::accumulator::{LockTree, Range};
use crate::block::ValidatorSet;
use crate::check::Rejected;
use crate::context::Context;
use crate::genesis::Genesis;
use crate::ids::{BlockHash, HeaderId, NetworkId, NodeId, StateRoot, sha256};
use crate::wire::{Enc, Wire};
use crate::wire_struct;

wire_struct! {
    /// The last final header of a node.
    pub struct Frontier {
        /// The node.
        pub node: NodeId,
        /// Its sequence number.
        pub sequence: u64,
        /// Its id.
        pub last: HeaderId,
    }
}

/// The state after a block.
#[derive(Clone, Debug)]
pub struct LedgerState {
    /// The network.
    pub network: NetworkId,
    /// The height of the block that led here; 0 after genesis.
    pub height: u64,
    /// Its hash; the network id after genesis.
    pub block: BlockHash,
    /// Its time, in milliseconds since 1970 UTC.
    pub time: u64,
    /// Who takes part.
    pub membership: Arc<Membership>,
    /// The validators of the height that follows.
    pub validators: Arc<ValidatorSet>,
    /// The validators that decided `block`; null after genesis.
    pub decided_by: Option<Arc<ValidatorSet>>,
    /// The last final header of each node.
    pub frontiers: BTreeMap<NodeId, (u64, HeaderId)>,
    /// Closed locks.
    pub locks: LockTree,
    /// Final header ids.
    pub range: Range,
}

wire_struct! {
    /// A state in bytes, without its locks, which storage lists apart.
    pub struct StateSnapshot {
        /// The network.
        pub network: NetworkId,
        /// As in [`LedgerState`].
        pub height: u64,
        /// As in [`LedgerState`].
        pub block: BlockHash,
        /// As in [`LedgerState`].
        pub time: u64,
        /// As in [`LedgerState`].
        pub membership: MembershipSnapshot,
        /// As in [`LedgerState`].
        pub validators: ValidatorSet,
        /// As in [`LedgerState`].
        pub decided_by: Option<ValidatorSet>,
        /// Ascending by node.
        pub frontiers: Vec<Frontier>,
        /// As in [`LedgerState`].
        pub range: Range,
    }
}

impl LedgerState {
    /// The state before the first block.
    ///
    /// # Errors
    /// As [`Genesis::validator_set`].
    pub fn genesis(genesis: &Genesis) -> Result<Self, Rejected> {
        let network = genesis.network();
        Ok(Self {
            network,
            height: 0,
            block: BlockHash(network.0),
            time: genesis.time,
            membership: Arc::new(Membership::genesis(genesis)),
            validators: Arc::new(genesis.validator_set()?),
            decided_by: None,
            frontiers: BTreeMap::new(),
            locks: LockTree::default(),
            range: Range::default(),
        })
    }

    /// Hash of the roots of membership, frontiers, closed locks and final headers, in this order.
    #[must_use]
    pub fn root(&self) -> StateRoot {
        let [a, b, c, d] = self.roots();
        root_of(&a, &b, &c, &d)
    }

    /// The four roots.
    #[must_use]
    pub fn roots(&self) -> [[u8; 32]; 4] {
        let frontiers = sha256(&[&self.frontier_list().encode()]);
        [self.membership.root(), frontiers, self.locks.root(), self.range.root()]
    }

    fn frontier_list(&self) -> Vec<Frontier> {
        let one = |(node, (sequence, last)): (&NodeId, &(u64, HeaderId))| Frontier {
            node: *node,
            sequence: *sequence,
            last: *last,
        };
        self.frontiers.iter().map(one).collect()
    }

    /// For the disk, or for a node that was away.
    #[must_use]
    pub fn snapshot(&self) -> StateSnapshot {
        StateSnapshot {
            network: self.network,
            height: self.height,
            block: self.block,
            time: self.time,
            membership: self.membership.snapshot(),
            validators: (*self.validators).clone(),
            decided_by: self.decided_by.as_deref().cloned(),
            frontiers: self.frontier_list(),
            range: self.range.clone(),
        }
    }

    /// The snapshot in bytes. A block that changes no member doesn't have the members encoded again, who are most of it.
    #[must_use]
    pub fn encode_snapshot(&self) -> Vec<u8> {
        let mut e = Enc::default();
        e.array(9);
        self.network.put(&mut e);
        self.height.put(&mut e);
        self.block.put(&mut e);
        self.time.put(&mut e);
        e.encoded(self.membership.encoded());
        self.validators.put(&mut e);
        self.decided_by.as_deref().cloned().put(&mut e);
        self.frontier_list().put(&mut e);
        self.range.put(&mut e);
        e.into_bytes()
    }

    /// A state from its snapshot and its closed locks. The caller compares [`LedgerState::root`] with a
    /// certified block before it relies on it.
    ///
    /// # Errors
    /// As [`ValidatorSet::judge`].
    pub fn restore(snapshot: StateSnapshot, locks: LockTree) -> Result<Self, Rejected> {
        snapshot.validators.judge()?;
        Ok(Self {
            network: snapshot.network,
            height: snapshot.height,
            block: snapshot.block,
            time: snapshot.time,
            membership: Arc::new(Membership::restore(snapshot.membership)),
            validators: Arc::new(snapshot.validators),
            decided_by: snapshot.decided_by.map(Arc::new),
            frontiers: snapshot.frontiers.into_iter().map(|f| (f.node, (f.sequence, f.last))).collect(),
            locks,
            range: snapshot.range,
        })
    }
}

/// The state root over its four parts.
#[must_use]
pub(crate) fn root_of(
    membership: &[u8; 32],
    frontiers: &[u8; 32],
    locks: &[u8; 32],
    range: &[u8; 32],
) -> StateRoot {
    StateRoot(sha256(&[Context::StateRoot.text().as_bytes(), membership, frontiers, locks, range]))
}

#[cfg(test)]
mod tests;
