//! A node that is new or was away for long: a certified state in place of each block since.
//!
//! ```text
//!             a peer is further ahead           its handovers are         the offer stands on a block
//!             than the gap allows               all followed              that the last set certified
//! following ----------------------> handovers ----------------> offer ---------------------------+
//!     ^                                 |                         |                              v
//!     |      the peer fails, lies or goes: another is asked       |                            parts
//!     +-----------------------------------------------------------+------------------------------+
//!     ^                                                                                          |
//!     +------------------- the last part is here: installed, and history is filled in -----------+
//! ```
//!
//! | file | what |
//! |---|---|
//! | `serve` | what this node gives to others: handovers, a state, its parts |
//! | `approach` | asking for them, one peer and one request at a time |
//! | `install` | from parts to a state, in one transaction of the ledger |
//! | `history` | filling in what an installation left out |
//! | `trust` | how old a state may be to go on from it, and checkpoints |
//!
//! Architecture invariant: nothing is installed that does not stand under the state root of a block which the
//! validators signed that this node knows of by handovers, or which a card of its own organization named. What came
//! is durable part by part, so a crash in between costs one part.

mod approach;
mod history;
mod install;
mod serve;
mod trust;

pub use history::Missing;

use std::collections::{BTreeSet, VecDeque};

use hospes_protocol::ids::NodeId;
use hospes_protocol::limits::SNAPSHOT_GAP_BLOCKS;

use approach::Approach;
use history::Filling;
use serve::Offered;

/// Where this node stands with what it lacks, and what it offers to others.
pub(crate) struct Away {
    /// Blocks that may be lacking before a state is asked for.
    gap: u64,
    /// States that others are fetching, newest last.
    offered: VecDeque<Offered>,
    under_way: Option<Approach>,
    /// Peers that did not bring us further; each is followed block by block instead.
    failed: BTreeSet<NodeId>,
    filling: Option<Filling>,
    /// Whether a peer that should have the checkpoint's block has another.
    refuted: bool,
}

impl Default for Away {
    fn default() -> Self {
        let (offered, failed) = (VecDeque::new(), BTreeSet::new());
        Self { gap: SNAPSHOT_GAP_BLOCKS, offered, under_way: None, failed, filling: None, refuted: false }
    }
}

impl Away {
    /// Forgets what is in memory alone.
    pub(crate) fn stop(&mut self) {
        (self.under_way, self.filling) = (None, None);
    }
}

impl crate::service::Service {
    /// How many blocks this node may lack before it asks for a state; 1,000 unless set.
    pub fn set_snapshot_gap(&mut self, blocks: u64) {
        self.away.gap = blocks;
    }
}
