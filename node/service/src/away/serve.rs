//! What this node gives to those who were away: handovers, a state at one height, and its parts.
//!
//! A state that is being fetched stays as it was while the ledger goes on: its locks are shared with the newest
//! state, its other bytes are kept for as long as somebody asks for them.

use hospes_protocol::accumulator::LockTree;
use hospes_protocol::block::{Block, CommitCertificate, ValidatorSet};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::limits::{ANSWER_BYTES_MAX, LOCKS_PART, STATE_BYTES_MAX, STATE_PART_BYTES};
use hospes_protocol::state::Handover;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{SealedKey, SealedRow, Write};

use crate::consensus::ABSENT_COMMITS;
use crate::messages::{BlockItem, Part, PartOf, SnapshotOffer, page};
use crate::service::{Fatal, Service};

/// Handovers, by the height of their block.
const HANDOVERS: &str = "handovers";
/// Handovers in one answer, at most.
const HANDOVERS_PAGE: usize = 32;
/// A state is offered for so long after it was last asked for, in milliseconds.
const OFFER_MS: u64 = 10 * 60 * 1000;
/// A newer one is made at most so often, in milliseconds.
const RENEW_MS: u64 = 60 * 1000;
/// States that are offered at a time.
const OFFERS_MAX: usize = 2;

/// A state that others fetch.
pub(super) struct Offered {
    offer: SnapshotOffer,
    height: u64,
    bytes: Vec<u8>,
    locks: LockTree,
    /// Whether it can be sent: four blocks of a megabyte and a certificate are too much, and for a moment only.
    fits: bool,
    made: u64,
    asked: u64,
}

fn handover_key(height: u64) -> SealedKey {
    SealedKey::new(HANDOVERS, &[], height, &[])
}

/// How many parts there are of a state of so many bytes.
pub(super) fn state_parts(bytes: u64) -> u64 {
    bytes.div_ceil(STATE_PART_BYTES as u64).max(1)
}

impl Service {
    /// Keeps the certificate with which a block hands over to another set.
    pub(crate) fn note_handover(
        &self,
        block: &Block,
        certificate: &CommitCertificate,
        next: &ValidatorSet,
    ) -> Result<(), Fatal> {
        if block.validators == block.next_validators {
            return Ok(());
        }
        let (block_bytes, next) = (Bytes(block.encode()), next.clone());
        self.keep_handover(
            block.height,
            &Handover { block: block_bytes, certificate: certificate.clone(), next },
        )
    }

    pub(super) fn keep_handover(&self, height: u64, handover: &Handover) -> Result<(), Fatal> {
        let row = SealedRow { key: handover_key(height), patient: None, value: handover.encode() };
        self.write(&[Write::Sealed(row)])
    }

    /// Handovers that are known here, from a height on, each with the height of its block.
    pub(super) fn handovers(&self, from: u64) -> Result<Vec<(u64, Handover)>, Fatal> {
        let after = from.checked_sub(1).map(handover_key);
        let rows = self.objects.sealed_rows(HANDOVERS, Some(&[]), after.as_ref(), HANDOVERS_PAGE)?;
        let read = |row: SealedRow| {
            Handover::decode(&row.value).map(|h| (row.key.order, h)).map_err(Fatal::Contradiction)
        };
        rows.into_iter().map(read).collect()
    }

    pub(crate) fn on_handovers_asked(&self, from: u64) -> Result<Vec<Handover>, Fatal> {
        page(self.handovers(from)?.into_iter().map(|(_, handover)| Ok(handover)), HANDOVERS_PAGE)
    }

    /// The state that is offered to someone whose newest block is at `above`.
    pub(crate) fn on_snapshot_asked(&mut self, above: u64) -> Result<Result<SnapshotOffer, Rejected>, Fatal> {
        if self.state.height <= above {
            return Ok(Err(Check::ObjectMissing.into()));
        }
        let now = self.now;
        let stale = |o: &Offered| o.height <= above || now > o.made + OFFER_MS;
        let renew = self.away.offered.back().is_none_or(|o| stale(o) && now >= o.made + RENEW_MS);
        if renew {
            let made = self.make_offer()?;
            self.away.offered.push_back(made);
            let over = self.away.offered.len().saturating_sub(OFFERS_MAX);
            self.away.offered.drain(..over);
        }
        let newest = self.away.offered.back_mut().filter(|o| o.height > above && o.fits);
        Ok(newest.ok_or_else(|| Check::ObjectMissing.into()).map(|offered| {
            offered.asked = now;
            offered.offer.clone()
        }))
    }

    fn make_offer(&self) -> Result<Offered, Fatal> {
        let missing = || Fatal::Contradiction(Check::ObjectMissing.into());
        let height = self.state.height;
        let (block, certificate) = self.ledger.block(height)?.ok_or_else(missing)?;
        let mut recent = Vec::new();
        for below in (1..height).rev().take(ABSENT_COMMITS - 1) {
            recent.push(Bytes(self.ledger.block(below)?.ok_or_else(missing)?.0));
        }
        let bytes = self.state.encode_snapshot();
        let locks = self.state.locks.clone();
        let lock_bits = locks.len().div_ceil(LOCKS_PART / 2).max(1).next_power_of_two().trailing_zeros();
        let offer = SnapshotOffer {
            item: BlockItem { block: Bytes(block), certificate },
            recent,
            locks: locks.root(),
            lock_bits: u64::from(lock_bits),
            state_bytes: bytes.len() as u64,
        };
        let fits = offer.encode().len() < ANSWER_BYTES_MAX - 64 && bytes.len() <= STATE_BYTES_MAX;
        Ok(Offered { offer, height, bytes, locks, fits, made: self.now, asked: self.now })
    }

    pub(crate) fn on_part_asked(&mut self, asked: &PartOf) -> Result<Part, Rejected> {
        let now = self.now;
        let offered = self.away.offered.iter_mut().find(|o| o.height == asked.height);
        let offered = offered.ok_or(Check::ObjectMissing)?;
        offered.asked = now;
        let states = state_parts(offered.offer.state_bytes);
        if asked.part < states {
            let chunk =
                offered.bytes.chunks(STATE_PART_BYTES).nth(usize::try_from(asked.part).unwrap_or(usize::MAX));
            return Ok(Part::State(Bytes(chunk.unwrap_or_default().to_vec())));
        }
        let (part, bits) = (asked.part - states, offered.offer.lock_bits);
        ensure(part >> bits == 0, Check::RangeForm)?;
        let bits = u32::try_from(bits).map_err(|_| Check::RangeForm)?;
        Ok(Part::Locks(offered.locks.part(part, bits)))
    }

    /// Lets go of states that nobody asks for any more.
    pub(super) fn drop_offers(&mut self) {
        let now = self.now;
        self.away.offered.retain(|o| now <= o.asked + OFFER_MS);
    }
}
