//! Asking one peer for what leads to its state: handovers, an offer, the parts, one request at a time.
//!
//! What a peer sends is verified before it is kept, and kept before the next is asked for. A peer that fails or lies
//! is left for another; what was verified stays.

use hospes_protocol::block::{Block, ValidatorSet};
use hospes_protocol::check::{Blame, Check, Rejected, ensure};
use hospes_protocol::ids::{NodeId, ValidatorsHash};
use hospes_protocol::limits::STATE_BYTES_MAX;
use hospes_protocol::state::{Handover, LedgerState, certified};
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::serve::state_parts;
use crate::consensus::ABSENT_COMMITS;
use crate::follow::Asked;
use crate::messages::{Answer, BlockItem, Part, PartOf, Request, SnapshotOffer};
use crate::service::{Fatal, Service};

/// The offer that is being fetched, and its parts by number.
const OFFER: &str = "snapshot-offer";
pub(super) const PARTS: &str = "snapshot-parts";
/// How long one peer's answer is waited for, in milliseconds.
const PATIENCE_MS: u64 = 30_000;
/// How long blocks of others wait for that answer, in milliseconds.
const BLOCKS_WAIT_MS: u64 = 2_000;
/// 2^16 parts of locks are 2 billion.
const LOCK_BITS_MAX: u64 = 16;

/// What is asked of a peer.
enum Step {
    /// The block that the checkpoint names.
    Named,
    /// The set with this hash, among handovers from a height on.
    Search(ValidatorsHash, u64),
    /// Handovers that are not known here.
    Handovers,
    /// A state above ours.
    Offer,
    /// The parts of its state.
    Parts(Box<Plan>),
}

/// Who is asked for what.
pub(super) struct Approach {
    peer: NodeId,
    asked_at: u64,
    step: Step,
}

/// A verified offer, and how far it is here.
pub(super) struct Plan {
    pub(super) offer: SnapshotOffer,
    pub(super) block: Block,
    /// Who decided it.
    pub(super) set: ValidatorSet,
    /// The next part.
    next: u64,
    /// The state without its locks, once its parts are here.
    pub(super) state: Option<LedgerState>,
}

impl Plan {
    fn parts(&self) -> u64 {
        state_parts(self.offer.state_bytes) + (1 << self.offer.lock_bits)
    }
}

pub(super) fn part_key(part: u64) -> SealedKey {
    SealedKey::new(PARTS, &[], part, &[])
}

fn offer_key() -> SealedKey {
    SealedKey::new(OFFER, &[], 0, &[])
}

fn row(key: SealedKey, value: Vec<u8>) -> Write {
    Write::Sealed(SealedRow { key, patient: None, value })
}

impl Service {
    /// Whether a peer is so far ahead that its state is asked for and not its blocks.
    pub(crate) fn is_far_behind(&self, peer: &NodeId) -> bool {
        let theirs = self.peers.get(peer).map_or(0, |p| p.height);
        let far = theirs > self.state.height.saturating_add(self.away.gap) || !self.trusts_its_state();
        far && !self.away.failed.contains(peer)
    }

    /// Begins with a peer, unless another is being asked.
    pub(crate) fn approach(&mut self, peer: NodeId) -> Result<(), Fatal> {
        if self.away.under_way.is_some() {
            return Ok(());
        }
        if !self.trusts_its_state() && self.checkpoint()?.is_none() {
            return Ok(());
        }
        let step = if self.base()?.is_some() { Step::Handovers } else { Step::Named };
        self.away.under_way = Some(Approach { peer, asked_at: self.now, step });
        self.ask_next()
    }

    /// Whether a state is being fetched of a peer that answers; blocks are not asked for meanwhile. A silent one holds up
    /// nobody who is ahead by a few blocks.
    pub(crate) fn is_approaching(&self) -> bool {
        let waits = |a: &Approach| self.now < a.asked_at.saturating_add(BLOCKS_WAIT_MS);
        self.away.under_way.as_ref().is_some_and(waits)
    }

    fn ask_next(&mut self) -> Result<(), Fatal> {
        let last = self.known_sets()?.last().map(|(height, _)| *height);
        let named = self.checkpoint()?.map_or(0, |checkpoint| checkpoint.height);
        let (height, now) = (self.state.height, self.now);
        let Some(approach) = self.away.under_way.as_mut() else { return Ok(()) };
        approach.asked_at = now;
        let request = match &approach.step {
            Step::Named => Request::Blocks(named),
            Step::Search(_, from) => Request::Handovers(*from),
            Step::Handovers => Request::Handovers(last.unwrap_or(height) + 1),
            Step::Offer => Request::Snapshot(height),
            Step::Parts(plan) => Request::SnapshotPart(PartOf { height: plan.block.height, part: plan.next }),
        };
        let peer = approach.peer;
        self.ask(peer, &request, Asked::Away { peer });
        Ok(())
    }

    /// An answer of the peer that is being asked.
    pub(crate) fn on_away_answer(&mut self, from: NodeId, answer: Answer) -> Result<(), Fatal> {
        let Some(approach) = self.away.under_way.as_mut().filter(|a| a.peer == from) else { return Ok(()) };
        let step = std::mem::replace(&mut approach.step, Step::Handovers);
        let taken = match (step, answer) {
            (Step::Named, Answer::Blocks(items)) => self.take_named(&items)?,
            (Step::Search(wanted, from), Answer::Handovers(handovers)) => {
                self.search_set(&wanted, from, &handovers)?
            }
            (Step::Handovers, Answer::Handovers(handovers)) => self.take_handovers(handovers)?,
            (Step::Offer, Answer::Snapshot(offer)) => self.take_offer(offer)?,
            (Step::Parts(plan), Answer::SnapshotPart(part)) => self.take_part(plan, part)?,
            _ => Err(Check::ObjectMissing.into()),
        };
        match taken {
            Ok(Some(step)) => {
                if let Some(approach) = self.away.under_way.as_mut() {
                    approach.step = step;
                }
                self.ask_next()
            }
            Ok(None) => Ok(()),
            Err(rejected) => self.leave_peer(from, rejected),
        }
    }

    /// A peer brought us no further: another is asked, this one is followed block by block.
    fn leave_peer(&mut self, from: NodeId, rejected: Rejected) -> Result<(), Fatal> {
        self.judge_peer(from, Some(rejected));
        self.away.under_way = None;
        self.away.failed.insert(from);
        // Parts of a state that turned out to be none are of no use; verified ones of another cause are.
        if rejected.check.blame() == Blame::Hostile || rejected.check == Check::ObjectMissing {
            self.forget_parts()?;
        }
        Ok(())
    }

    /// The peer that was asked is gone, or its request failed.
    pub(crate) fn away_unanswered(&mut self, from: &NodeId) {
        if self.away.under_way.as_ref().is_some_and(|a| a.peer == *from) {
            self.away.under_way = None;
            self.away.failed.insert(*from);
        }
    }

    /// Looks again: whoever keeps us waiting is left, and a peer that failed may be asked anew once all have.
    pub(crate) fn away_upkeep(&mut self) -> Result<(), Fatal> {
        let late = |a: &&Approach| self.now > a.asked_at + PATIENCE_MS;
        if let Some(peer) = self.away.under_way.as_ref().filter(late).map(|a| a.peer) {
            self.away_unanswered(&peer);
        }
        let ahead = self.peers.iter().filter(|(_, p)| p.height > self.state.height).map(|(id, _)| *id);
        let ahead: Vec<_> = ahead.collect();
        if ahead.iter().all(|peer| self.away.failed.contains(peer)) {
            self.away.failed.clear();
        }
        if let Some(peer) = ahead.into_iter().find(|peer| self.is_far_behind(peer)) {
            self.approach(peer)?;
        }
        self.drop_offers();
        self.history_upkeep()
    }

    /// The validator sets that are certified from here on, each with the height of the block that hands over to it;
    /// the first is the one that this node goes by.
    fn known_sets(&self) -> Result<Vec<(u64, ValidatorSet)>, Fatal> {
        let Some((base, first)) = self.base()? else { return Ok(Vec::new()) };
        let mut sets = vec![(base, first)];
        loop {
            let from = sets.last().map_or(base, |(height, _)| *height) + 1;
            let page = self.handovers(from)?;
            if page.is_empty() {
                return Ok(sets);
            }
            sets.extend(page.into_iter().map(|(height, handover)| (height, handover.next)));
        }
    }

    /// The block of the checkpoint came: the set that follows it is the one known here, or is searched.
    fn take_named(&mut self, items: &[BlockItem]) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        let Some(checkpoint) = self.checkpoint()? else { return Ok(Err(Check::ObjectMissing.into())) };
        let named = items.first().and_then(|item| Block::read(&item.block, &self.network).ok());
        self.away.refuted |= named.is_some();
        let Some(block) = named.filter(|b| b.height == checkpoint.height && b.hash() == checkpoint.block)
        else {
            return Ok(Err(Check::CheckpointBlock.into()));
        };
        if self.state.validators.hash() == block.next_validators {
            let set = (*self.state.validators).clone();
            self.keep_base(checkpoint.height, &set)?;
            return Ok(Ok(Some(Step::Handovers)));
        }
        Ok(Ok(Some(Step::Search(block.next_validators, self.state.height + 1))))
    }

    fn search_set(
        &mut self,
        wanted: &ValidatorsHash,
        from: u64,
        handovers: &[Handover],
    ) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        let Some(checkpoint) = self.checkpoint()? else { return Ok(Err(Check::ObjectMissing.into())) };
        if let Some(found) = handovers.iter().find(|h| h.next.hash() == *wanted && h.next.judge().is_ok()) {
            self.keep_base(checkpoint.height, &found.next)?;
            return Ok(Ok(Some(Step::Handovers)));
        }
        let last = handovers.last().map(|h| h.certificate.height).filter(|last| *last >= from);
        Ok(last.map(|last| Some(Step::Search(*wanted, last + 1))).ok_or_else(|| Check::ObjectMissing.into()))
    }

    fn take_handovers(&mut self, handovers: Vec<Handover>) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        if handovers.is_empty() {
            return Ok(Ok(Some(Step::Offer)));
        }
        let Some((mut last, mut set)) = self.known_sets()?.pop() else {
            return Ok(Err(Check::TrustPeriod.into()));
        };
        for handover in handovers {
            let height = match handover.verify(&self.network, &set) {
                Ok(height) if height > last => height,
                Ok(_) => return Ok(Err(Check::BlockHeight.into())),
                Err(rejected) => return Ok(Err(rejected)),
            };
            self.keep_handover(height, &handover)?;
            (last, set) = (height, handover.next);
        }
        Ok(Ok(Some(Step::Handovers)))
    }

    fn take_offer(&mut self, offer: SnapshotOffer) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        let sets = self.known_sets()?;
        let judged = self.judge_offer(&offer, &sets);
        let (block, set) = match judged {
            Ok(judged) => judged,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let mut plan = Box::new(Plan { offer, block, set, next: 0, state: None });
        let bytes = plan.offer.encode();
        if self.objects.sealed(&offer_key())?.as_ref() == Some(&bytes) {
            while plan.next < plan.parts() && self.objects.sealed(&part_key(plan.next))?.is_some() {
                plan.next += 1;
            }
        } else {
            self.forget_parts()?;
            self.write(&[row(offer_key(), bytes)])?;
        }
        self.go_on(plan)
    }

    /// The block of an offer, and who decided it.
    fn judge_offer(
        &self,
        offer: &SnapshotOffer,
        sets: &[(u64, ValidatorSet)],
    ) -> Result<(Block, ValidatorSet), Rejected> {
        ensure(offer.lock_bits <= LOCK_BITS_MAX, Check::TooLarge)?;
        ensure(offer.state_bytes <= STATE_BYTES_MAX as u64, Check::TooLarge)?;
        let height = Block::read(&offer.item.block, &self.network)?.height;
        ensure(height > self.state.height, Check::ObjectMissing)?;
        let deciding = sets.iter().rev().find(|(from, _)| *from < height);
        let (_, set) = deciding.ok_or(Check::ObjectMissing)?;
        // The set may have changed since its handovers were asked for: nobody lies who is only ahead.
        let block = Block::read(&offer.item.block, &self.network)?;
        ensure(block.validators == set.hash(), Check::ObjectMissing)?;
        certified(&offer.item.block, &offer.item.certificate, &self.network, set)?;
        self.judge_recent(offer, &block)?;
        self.judge_checkpoint(&block)?;
        Ok((block, set.clone()))
    }

    // Each names the one below it, and carries its certificate.
    fn judge_recent(&self, offer: &SnapshotOffer, newest: &Block) -> Result<(), Rejected> {
        let count = usize::try_from(newest.height - 1).unwrap_or(usize::MAX).min(ABSENT_COMMITS - 1);
        ensure(offer.recent.len() == count, Check::LastCommit)?;
        let mut above = newest.clone();
        for bytes in &offer.recent {
            let block = Block::read(bytes, &self.network)?;
            let hash = block.hash();
            ensure(above.previous == hash && above.height == block.height + 1, Check::BlockPrev)?;
            ensure(above.last_commit.as_ref().is_some_and(|c| c.block == hash), Check::LastCommit)?;
            above = block;
        }
        Ok(())
    }

    fn take_part(
        &mut self,
        mut plan: Box<Plan>,
        part: Part,
    ) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        let states = state_parts(plan.offer.state_bytes);
        let judged = match &part {
            Part::State(bytes) if plan.next < states => plan.judge_state_part(bytes.len()),
            Part::Locks(locks) if plan.next >= states => {
                let bits = u32::try_from(plan.offer.lock_bits).unwrap_or(u32::MAX);
                locks.verify(plan.next - states, bits, &plan.offer.locks)
            }
            _ => Err(Check::Malformed.into()),
        };
        if let Err(rejected) = judged {
            return Ok(Err(rejected));
        }
        self.write(&[row(part_key(plan.next), part.encode())])?;
        plan.next += 1;
        self.go_on(plan)
    }

    /// Asks for the next part, or installs.
    fn go_on(&mut self, mut plan: Box<Plan>) -> Result<Result<Option<Step>, Rejected>, Fatal> {
        if plan.state.is_none() && plan.next >= state_parts(plan.offer.state_bytes) {
            match self.assemble(&plan)? {
                Ok(state) => plan.state = Some(state),
                Err(rejected) => return Ok(Err(rejected)),
            }
        }
        if plan.next < plan.parts() {
            return Ok(Ok(Some(Step::Parts(plan))));
        }
        let Some(state) = plan.state.take() else { return Ok(Err(Check::StateRoot.into())) };
        // Blocks of others may have led further meanwhile.
        if state.height <= self.state.height {
            return Ok(Err(Check::ObjectMissing.into()));
        }
        self.away.under_way = None;
        self.install(&plan, state)?;
        Ok(Ok(None))
    }

    /// Drops an offer and what is here of it.
    pub(super) fn forget_parts(&self) -> Result<(), Fatal> {
        loop {
            let rows = self.objects.sealed_rows(PARTS, None, None, 8)?;
            let mut drops: Vec<_> = rows.into_iter().map(|row| Write::DropSealed(row.key)).collect();
            if drops.is_empty() {
                return self.write(&[Write::DropSealed(offer_key())]);
            }
            self.write(&std::mem::take(&mut drops))?;
        }
    }
}

impl Plan {
    fn judge_state_part(&self, len: usize) -> Result<(), Rejected> {
        let part = hospes_protocol::limits::STATE_PART_BYTES as u64;
        let rest = self.offer.state_bytes.saturating_sub(self.next * part);
        ensure(len as u64 == rest.min(part), Check::StateRoot)
    }
}
