//! What a validator must remember of a height that is not decided: everything that led to its votes.
//!
//! Entries are opaque rows to the store, in order, under their height. They are durable, in one commit,
//! before a message that rests on them leaves. Replayed in order they lead to the same votes, so none is
//! ever signed twice differently. They are forgotten when the height's block is committed.

use hospes_protocol::block::SignedVote;
use hospes_protocol::ids::BlockHash;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{wire_enum, wire_struct, wire_union};

use super::messages::{PolkaCertificate, SignedProposal};

wire_enum! {
    /// A step whose wait ended.
    pub enum StepTimeout {
        /// For a proposal.
        Propose = 1,
        /// For more prevotes.
        Prevote = 2,
        /// For more precommits.
        Precommit = 3,
    }
}

wire_struct! {
    /// A timeout that elapsed.
    pub struct Elapsed {
        /// Of which step.
        pub step: StepTimeout,
        /// Of which round.
        pub round: u64,
    }
}

wire_struct! {
    /// A verdict on a proposed block, our own included.
    pub struct Judged {
        /// The round of the proposal.
        pub round: u64,
        /// The block.
        pub block: BlockHash,
        /// The verdict.
        pub valid: bool,
    }
}

wire_union! {
    /// A row of the WAL.
    pub enum WalEntry {
        /// A vote, ours or another's.
        Vote(SignedVote) = 1,
        /// A proposal, ours or another's.
        Proposal(SignedProposal) = 2,
        /// A quorum of prevotes that arrived as a certificate.
        Polka(PolkaCertificate) = 3,
        /// A timeout.
        Elapsed(Elapsed) = 4,
        /// A verdict.
        Judged(Judged) = 5,
        /// The bytes of a block that was judged valid. The driver neither writes nor reads this row: who
        /// carries out [`super::Effect::Persist`] adds it for each block that [`WalEntry::needs_block`]
        /// names, in the same commit, and takes it back as a candidate after a restart.
        Block(Bytes) = 6,
    }
}

impl WalEntry {
    /// The block that must be durable together with this row. If all validators lost power after voting for
    /// a block that none of them kept, they would be locked on it for ever.
    #[must_use]
    pub fn needs_block(&self) -> Option<BlockHash> {
        match self {
            Self::Judged(judged) if judged.valid => Some(judged.block),
            _ => None,
        }
    }

    /// Reads the rows of a height.
    ///
    /// # Errors
    /// As [`Wire::decode`]: a validator whose WAL cannot be read must not vote at this height.
    pub fn read_all(
        rows: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<Vec<Self>, hospes_protocol::check::Rejected> {
        rows.into_iter().map(|row| Self::decode(row.as_ref())).collect()
    }
}
