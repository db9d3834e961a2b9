//! How old a state may be to go on from it, and the checkpoint that helps beyond that.
//!
//! Who held the keys of old validators may sign another history for them, once they are no longer guarded. So a
//! state older than the trust period is followed by nothing but a block that a card of this node's own organization
//! named, out of band.

use hospes_protocol::block::{Block, ValidatorSet};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::limits::TRUST_PERIOD_MS;
use hospes_protocol::sign1::Sign1;
use hospes_protocol::state::Checkpoint;
use hospes_protocol::wire::Wire;

use crate::filing::FileError;
use crate::service::{Fatal, Service};

/// The checkpoint that was given, as it was signed.
const CHECKPOINT: &str = "checkpoint";
/// Where it leads: its height and the set that decides the next.
const BASE: &str = "checkpoint-base";

impl Service {
    /// Whether blocks and handovers may be followed from the newest block known here.
    ///
    /// A node that has nothing but the genesis file follows them whatever their age: the ledger that would name the
    /// cards of its organization is what it is about to learn.
    #[must_use]
    pub fn trusts_its_state(&self) -> bool {
        self.state.height == 0 || self.now.saturating_sub(self.state.time) <= TRUST_PERIOD_MS
    }

    /// Whether nothing but a checkpoint brings this node further: none was given, or no peer has its block yet.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn needs_checkpoint(&self) -> Result<bool, Fatal> {
        Ok(!self.trusts_its_state() && self.base()?.is_none())
    }

    /// A checkpoint whose block a peer that is far enough doesn't have.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn refuted_checkpoint(&self) -> Result<Option<Checkpoint>, Fatal> {
        Ok(self.checkpoint()?.filter(|_| self.away.refuted))
    }

    /// Takes a checkpoint, a COSE_Sign1 by a card of this node's organization; it goes on from there.
    ///
    /// # Errors
    /// [`Check::WrongOrganization`], [`Check::BlockHeight`] where it is not above the newest block here, and
    /// those of the signature.
    pub fn trust_checkpoint(&mut self, signed: &[u8]) -> Result<Checkpoint, FileError> {
        let message = Sign1::parse(signed)?;
        let checkpoint = Checkpoint::decode(message.payload())?;
        ensure(checkpoint.organization == self.me.organization, Check::WrongOrganization)?;
        ensure(checkpoint.height > self.state.height, Check::BlockHeight)?;
        let organization = self.state.membership.organizations.get(&self.me.organization);
        let cards = organization.map(|o| o.cards.as_slice()).unwrap_or_default();
        let card = cards.iter().find(|card| card.id() == message.kid());
        let card = card.ok_or(Rejected { check: Check::UnknownSigner })?;
        message.verify(card, Context::Checkpoint, &self.network)?;
        let kept = self.writing(|service| service.keep_checkpoint(signed))?;
        kept.map(|()| checkpoint).ok_or(FileError::DiskFull)
    }

    fn keep_checkpoint(&mut self, signed: &[u8]) -> Result<(), Fatal> {
        self.ledger.put_property(CHECKPOINT, signed)?;
        self.ledger.put_property(BASE, &[])?;
        self.away.failed.clear();
        self.away.refuted = false;
        self.away_upkeep()
    }

    /// The checkpoint that leads on from here, if one was given.
    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>, Fatal> {
        let Some(bytes) = self.ledger.property(CHECKPOINT)? else { return Ok(None) };
        let read = Sign1::parse(&bytes).and_then(|message| Checkpoint::decode(message.payload()));
        Ok(Some(read.map_err(Fatal::Contradiction)?).filter(|c| c.height > self.state.height))
    }

    /// The height from which sets are known, and the set that decides the next; null while a checkpoint that this
    /// node goes by has not been found with a peer.
    pub(super) fn base(&self) -> Result<Option<(u64, ValidatorSet)>, Fatal> {
        if self.trusts_its_state() {
            return Ok(Some((self.state.height, (*self.state.validators).clone())));
        }
        let bytes = self.ledger.property(BASE)?.unwrap_or_default();
        if bytes.is_empty() || self.checkpoint()?.is_none() {
            return Ok(None);
        }
        <(u64, ValidatorSet)>::decode(&bytes).map(Some).map_err(Fatal::Contradiction)
    }

    pub(super) fn keep_base(&mut self, height: u64, set: &ValidatorSet) -> Result<(), Fatal> {
        self.away.refuted = false;
        Ok(self.ledger.put_property(BASE, &(height, set.clone()).encode())?)
    }

    /// A state that is older than the checkpoint is not gone on from.
    pub(super) fn judge_checkpoint(&self, block: &Block) -> Result<(), Rejected> {
        let checkpoint = self.checkpoint().map_err(|_| Check::ObjectMissing)?;
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        ensure(block.height >= checkpoint.height, Check::ObjectMissing)?;
        let named = block.height > checkpoint.height || block.hash() == checkpoint.block;
        ensure(named, Check::CheckpointBlock)
    }
}
