//! Consensus: which block stands at a height. Tendermint (Buchman, Kwon, Milosevic 2018) by the Malachite
//! core library, driven here without IO, clock or threads of its own.
//!
//! ```text
//!              NewHeight, not in the set
//!   Following <-------------------------+
//!       |                               |
//!       | NewHeight, in the set         |            Order, or an authenticated
//!       v                               |            message of this height
//!     Idle ------------------------------------------------------------> Running
//!       ^                               |                                   |
//!       |           NewHeight           |                                   | quorum of precommits
//!       +------------------------- Decided <--------------------------------+
//! ```
//!
//! - **Following**: this node is no validator of the height, or was not told one yet. It takes no part: it
//!   keeps no WAL and sets no timer. Who follows verifies certificates and needs no engine.
//! - **Idle**: the height is known and nothing waits to be ordered. No message, no timer. Left by
//!   [`Input::Order`], by a message of this height, or at once by a WAL that is not empty.
//! - **Running**: the library decides. Every wait has a timer: a round ends by its timeouts, and our last
//!   messages are repeated, less and less often, as long as a quorum is missing.
//! - **Decided**: [`Effect::Decided`] was given out; waits for the block's commit, which brings `NewHeight`.
//!
//! `NewHeight` with a greater height leaves every state: whoever gets a certified block elsewhere commits it
//! and goes on. An error of the library or of the signer ends in **halted**: every later call fails, and the
//! node no longer votes, for to go on might mean to vote twice.
//!
//! The seven rules of the design, where they are kept, and the tests that show them (`tests`):
//! 1. The block travels apart and our verdict is the value's validity: `running`.
//! 2. A height is begun only when there is something to order or someone else began it: `driver`.
//! 3. A vote of a decided height is answered with that height: `gate`.
//! 4. Signatures and certificates are verified before the library sees them: `verify`.
//! 5. A handler's error halts: `hands`.
//! 6. [`Effect::Persist`] comes first in its batch and must be durable before the rest is done: `outbox`.
//! 7. Repetitions back off (`config`), and proposers that the last commits lack come last (`proposer`).
//!
//! What this deliberately does not do: carry or judge blocks, fetch, commit, choose what to order. The
//! service does, and calls this through [`Consensus`].

mod codec;
mod config;
mod context;
mod driver;
mod gate;
mod hands;
mod messages;
mod outbox;
mod proposer;
mod running;
mod timers;
mod verify;
mod wal;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use hospes_protocol::block::{CommitCertificate, SignedVote, ValidatorSet};
use hospes_protocol::check::Check;
use hospes_protocol::ids::{BlockHash, NodeId};

pub use config::ConsensusConfig;
pub use driver::Driver;
pub use messages::{
    ConsensusMessage, MESSAGE_BYTES_MAX, PolkaCertificate, Proposal, ROUND_MAX, RoundCertificate,
    RoundCertificateKind, RoundVote, SignedProposal,
};
pub use proposer::{ABSENT_COMMITS, absentees};
pub use wal::{Elapsed, Judged, StepTimeout, WalEntry};

/// Decides heights, one after the other.
pub trait Consensus {
    /// Takes one input and gives what is to be done, in order. `now_ms` may stand still, but does not go back.
    ///
    /// # Errors
    /// [`Halted`], once and for ever: nothing of the batch is to be done, and the node must not vote again
    /// before it was restarted with its WAL.
    fn handle(&mut self, now_ms: u64, input: Input) -> Result<Vec<Effect>, Halted>;

    /// Where it stands.
    fn status(&self) -> Status;
}

/// The engine stopped; the node decides nothing any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("consensus halted: {0}")]
pub struct Halted(pub String);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// This is the height to decide next. Comes at start and after each commit, whoever decided it. A height
    /// that is not greater than the last one told changes nothing.
    NewHeight(NewHeight),
    /// Something waits to be ordered.
    Order,
    /// A message of the engine from an admitted peer, as received.
    Message {
        /// From whom.
        from: NodeId,
        /// A [`ConsensusMessage`], at most [`MESSAGE_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// A peer connected, perhaps again: what it may have missed is sent to it.
    PeerConnected(NodeId),
    /// Answers [`Effect::NeedBlock`]: this block was built, is kept, and was sent to the other validators.
    Propose {
        /// The height.
        height: u64,
        /// The round.
        round: u64,
        /// The block.
        block: BlockHash,
    },
    /// Answers [`Effect::NeedVerdict`]; may also come before it was asked for.
    Verdict {
        /// The height.
        height: u64,
        /// The block.
        block: BlockHash,
        /// Whether it may stand at this height.
        valid: bool,
    },
    /// A timer fired.
    Timer(TimerId),
}

/// A height to decide.
#[derive(Clone, Debug)]
pub struct NewHeight {
    /// The height.
    pub height: u64,
    /// Who decides it.
    pub validators: ValidatorSet,
    /// Who proposes last, by [`absentees`] of the commits recorded in final blocks.
    pub absent: BTreeSet<NodeId>,
    /// What this node logged of the height before it was restarted; empty otherwise. Without it a validator
    /// that already voted could vote again, differently.
    pub wal: Vec<WalEntry>,
}

/// A timer. Never used twice in the life of a driver, so one that fires late is known as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerId(pub u64);

/// Something to do. Effects of one batch are carried out in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append to the WAL of this height, in one durable commit, before anything else of the batch is done.
    /// See [`WalEntry::needs_block`]. There is at most one in a batch, and it is the first.
    Persist {
        /// The height.
        height: u64,
        /// In this order.
        entries: Vec<WalEntry>,
    },
    /// Send to every other validator of the height.
    Publish(Vec<u8>),
    /// Send to one validator.
    Send {
        /// To whom.
        to: NodeId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Send this block to these validators again, if it is here.
    ResendBlock {
        /// To whom.
        to: Vec<NodeId>,
        /// Which.
        block: BlockHash,
    },
    /// Call again after so many milliseconds.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// When.
        after_ms: u64,
    },
    /// Forget a timer.
    ClearTimer(TimerId),
    /// Build a block, empty if nothing waits, and answer with [`Input::Propose`] before the round's propose
    /// timeout.
    NeedBlock {
        /// The height.
        height: u64,
        /// The round.
        round: u64,
    },
    /// Judge this block when it is here, and answer with [`Input::Verdict`].
    NeedVerdict {
        /// The height.
        height: u64,
        /// The round.
        round: u64,
        /// Which.
        block: BlockHash,
        /// Who proposed it, and so has it.
        proposer: NodeId,
    },
    /// Send the block and the certificate of a decided height to a validator that is still voting on it.
    SendDecided {
        /// To whom.
        to: NodeId,
        /// The height.
        height: u64,
    },
    /// A validator is at a height that this node can't decide yet: ask it for what was decided before.
    Behind {
        /// Whom to ask.
        peer: NodeId,
        /// Its height, as it says.
        height: u64,
    },
    /// The height is decided: commit its block, then tell the next height.
    Decided(Box<Decision>),
    /// Equivocations seen at a height that was decided elsewhere.
    Equivocated(Evidence),
    /// A message was refused, nothing of it kept.
    Refused {
        /// Who sent it.
        from: NodeId,
        /// Why.
        check: Check,
    },
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The proof, verified.
    pub certificate: CommitCertificate,
    /// Who equivocated meanwhile.
    pub evidence: Evidence,
}

/// Proofs that validators signed two different things for one height and round; at most three a validator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Pairs of votes.
    pub votes: Vec<(SignedVote, SignedVote)>,
    /// Pairs of proposals.
    pub proposals: Vec<(SignedProposal, SignedProposal)>,
}

impl Evidence {
    /// Whether nobody equivocated.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.votes.is_empty() && self.proposals.is_empty()
    }
}

/// The states of the module's diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No validator of this height.
    Following,
    /// Nothing to order.
    Idle,
    /// Deciding.
    Running,
    /// Decided, waiting for the commit.
    Decided,
    /// Stopped.
    Halted,
}

/// Where the engine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub phase: Phase,
    /// The height that it was last told; 0 before the first.
    pub height: u64,
    /// The round, while running.
    pub round: u64,
    /// How often the last messages were repeated without progress: more than two means that a quorum is
    /// missing.
    pub repeats: u32,
}
