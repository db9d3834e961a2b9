//! What a node that was away goes by: handovers from one validator set to the next, and a state that is verified
//! against the block which it follows.
//!
//! Nothing here is believed because somebody sent it. A handover counts by the certificate of the set before it; a
//! state by the root in a certified block. How far one may be followed in time is the caller's.

use std::sync::Arc;

use super::{LedgerState, StateSnapshot, root_of};
use crate::accumulator::LockTree;
use crate::block::{Block, CommitCertificate, ValidatorSet};
use crate::check::{Check, Rejected, ensure};
use crate::ids::{BlockHash, NetworkId, OrganizationId};
use crate::wire::Bytes;
use crate::wire_struct;

wire_struct! {
    /// A block that hands over to another validator set, with its certificate by the set before.
    pub struct Handover {
        /// The block.
        pub block: Bytes,
        /// Its certificate.
        pub certificate: CommitCertificate,
        /// The set that follows.
        pub next: ValidatorSet,
    }
}

wire_struct! {
    /// From which block a node goes on that was away beyond the trust period, as a card of its organization says;
    /// signed under [`crate::context::Context::Checkpoint`].
    pub struct Checkpoint {
        /// The organization whose card signs.
        pub organization: OrganizationId,
        /// The height.
        pub height: u64,
        /// The block.
        pub block: BlockHash,
        /// SHA-256 of the text that was shown before it was signed.
        pub text_hash: [u8; 32],
        /// The text's language.
        pub language: String,
    }
}

/// Reads a certified block: the certificate's signatures count under `validators`.
///
/// # Errors
/// Those of [`Block::read`] and [`CommitCertificate::verify`], [`Check::CertificateHeight`], [`Check::BlockHash`],
/// [`Check::ValidatorsHash`].
pub fn certified(
    bytes: &[u8],
    certificate: &CommitCertificate,
    network: &NetworkId,
    validators: &ValidatorSet,
) -> Result<Block, Rejected> {
    let block = Block::read(bytes, network)?;
    ensure(certificate.height == block.height, Check::CertificateHeight)?;
    ensure(certificate.block == block.hash(), Check::BlockHash)?;
    ensure(block.validators == validators.hash(), Check::ValidatorsHash)?;
    certificate.verify(network, validators)?;
    Ok(block)
}

impl Handover {
    /// Follows one handover from the set before it; gives the height of its block.
    ///
    /// # Errors
    /// Those of [`certified`], [`Check::NextValidatorsHash`] for another set than the block names.
    pub fn verify(&self, network: &NetworkId, before: &ValidatorSet) -> Result<u64, Rejected> {
        let block = certified(&self.block, &self.certificate, network, before)?;
        ensure(block.next_validators == self.next.hash(), Check::NextValidatorsHash)?;
        self.next.judge()?;
        Ok(block.height)
    }
}

impl StateSnapshot {
    /// The state after a certified block that `validators` decided, its locks still missing; `locks` is their root.
    ///
    /// # Errors
    /// [`Check::StateRoot`] where it is not the state that the block names, [`Check::NextValidatorsHash`],
    /// [`Check::ValidatorsHash`], those of [`LedgerState::restore`].
    pub fn stands_on(
        self,
        block: &Block,
        validators: &ValidatorSet,
        locks: &[u8; 32],
    ) -> Result<LedgerState, Rejected> {
        ensure(self.network == block.network && self.height == block.height, Check::StateRoot)?;
        ensure(self.block == block.hash() && self.time == block.time, Check::StateRoot)?;
        ensure(self.range.is_consistent(), Check::StateRoot)?;
        ensure(self.validators.hash() == block.next_validators, Check::NextValidatorsHash)?;
        ensure(block.validators == validators.hash(), Check::ValidatorsHash)?;
        let mut state = LedgerState::restore(self, LockTree::default())?;
        state.decided_by = Some(Arc::new(validators.clone()));
        let [membership, frontiers, _, range] = state.roots();
        ensure(root_of(&membership, &frontiers, locks, &range) == block.state_root, Check::StateRoot)?;
        Ok(state)
    }
}
