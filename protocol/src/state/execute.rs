//! From one state to the next: a block's cuts in order, then its forks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::authority::{self, Place};
use super::{LedgerState, Membership};
use crate::accumulator::RangeNode;
use crate::block::{Block, CommitCertificate, Cut, Fork, SignedVote, Validator, ValidatorSet, VoteKind};
use crate::check::{Check, Rejected, ensure};
use crate::control::{DkgEntry, Standing};
use crate::entry::{Content, FORMAT, Header, Kind, is_control};
use crate::ids::{BlockHash, HeaderId, Lock, NodeId, OrganizationId};
use crate::limits::{CLOCK_SKEW_MS_MAX, HEADERS_PER_ORGANIZATION_MAX, SIGNED_AHEAD_MS_MAX};
use crate::tap::Body;
use crate::wire::{Bytes, Wire};

/// What a block orders, before its roots are known.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// BFT time, in milliseconds since 1970 UTC.
    pub time: u64,
    /// Ascending by node.
    pub cuts: &'a [Cut],
    /// The headers of the cuts, in their order; signatures verified by the caller.
    pub headers: &'a [Header],
    /// The bodies of the control headers, in their order.
    pub control: &'a [Bytes],
    /// Forked sequences.
    pub forks: &'a [Fork],
}

/// What became of a header when it became final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The header.
    pub header: HeaderId,
    /// Why it has no effect, where it has none.
    pub void: Option<Check>,
}

/// The next state, and what storage is to keep of the way there.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The state; its `block` is set by [`LedgerState::seal`].
    pub state: LedgerState,
    /// One for each header, in order.
    pub outcomes: Vec<Outcome>,
    /// Locks that closed.
    pub closed: Vec<Lock>,
    /// Hashes that joined the range.
    pub range: Vec<RangeNode>,
}

impl LedgerState {
    /// The state after the draft.
    ///
    /// # Errors
    /// [`Check::CutForm`] where cuts and headers don't continue the frontiers, [`Check::UnknownNode`],
    /// [`Check::RetiredNode`], [`Check::NodeExpired`], [`Check::WrongOrganization`], [`Check::AheadOfTime`],
    /// [`Check::CapExceeded`], [`Check::ControlBodies`], [`Check::Evidence`]. An unlawful entry is no error: it has no effect.
    pub fn execute(&self, draft: &Draft<'_>) -> Result<Executed, Rejected> {
        let mut run = Run::new(self, draft)?;
        let mut headers = draft.headers.iter();
        for cut in draft.cuts {
            run.cut(cut, &mut headers)?;
        }
        ensure(headers.next().is_none() && run.control.next().is_none(), Check::CutForm)?;
        draft.forks.iter().try_for_each(|fork| run.fork(fork))?;
        run.finish()
    }

    /// Judges a proposed block and gives the state after it.
    ///
    /// `now` is the voter's clock in milliseconds, or null when the block is certified already.
    ///
    /// # Errors
    /// Checks 401 to 413, 501 to 505 and those of [`LedgerState::execute`].
    pub fn judge(&self, block: &Block, headers: &[Header], now: Option<u64>) -> Result<Executed, Rejected> {
        self.judge_after(block, headers, now, None)
    }

    /// As [`LedgerState::judge`], by who has verified this state's certificate already: a block that carries the very
    /// same doesn't have it verified again.
    ///
    /// # Errors
    /// As [`LedgerState::judge`].
    pub fn judge_after(
        &self,
        block: &Block,
        headers: &[Header],
        now: Option<u64>,
        verified: Option<&CommitCertificate>,
    ) -> Result<Executed, Rejected> {
        ensure(block.format == FORMAT, Check::UnknownFormat)?;
        ensure(block.network == self.network, Check::WrongNetwork)?;
        ensure(block.height == self.height + 1, Check::BlockHeight)?;
        ensure(block.previous == self.block, Check::BlockPrev)?;
        ensure(block.time >= self.time, Check::TimeBackwards)?;
        ensure(now.is_none_or(|now| block.time <= now.saturating_add(CLOCK_SKEW_MS_MAX)), Check::TimeAhead)?;
        ensure(self.validators.get(&block.proposer).is_some(), Check::Proposer)?;
        ensure(block.validators == self.validators.hash(), Check::ValidatorsHash)?;
        self.judge_last_commit(block, verified)?;
        block.equivocations.iter().try_for_each(|pair| self.judge_equivocation(pair))?;
        let draft = Draft {
            time: block.time,
            cuts: &block.cuts,
            headers,
            control: &block.control,
            forks: &block.forks,
        };
        let mut executed = self.execute(&draft)?;
        ensure(block.next_validators == executed.state.validators.hash(), Check::NextValidatorsHash)?;
        ensure(block.state_root == executed.state.root(), Check::StateRoot)?;
        executed.state.block = block.hash();
        Ok(executed)
    }

    /// Judges a control body as if `node` had it next, so that its author hears at once why it would have no effect.
    ///
    /// # Errors
    /// The check that would void it.
    pub fn judge_control(&self, content: &Content, body: &Body, node: &NodeId) -> Result<(), Rejected> {
        let place = Place { network: &self.network, node, height: self.height + 1 };
        apply(&self.membership, &self.validators, content, body, place).map(|_| ())
    }

    /// Names the block that led to an executed state; for the proposer, who hashes last.
    pub fn seal(&mut self, block: BlockHash) {
        self.block = block;
    }

    fn judge_last_commit(&self, block: &Block, verified: Option<&CommitCertificate>) -> Result<(), Rejected> {
        match (&block.last_commit, &self.decided_by) {
            (None, None) => Ok(()),
            (Some(commit), Some(set)) => {
                ensure(commit.height == self.height && commit.block == self.block, Check::LastCommit)?;
                if verified == Some(commit) {
                    return Ok(());
                }
                commit.verify(&self.network, set)
            }
            _ => Err(Check::LastCommit.into()),
        }
    }

    fn judge_equivocation(&self, (one, other): &(SignedVote, SignedVote)) -> Result<(), Rejected> {
        let (a, b) = (&one.vote, &other.vote);
        let same_place = a.validator == b.validator
            && (a.height, a.round, a.kind) == (b.height, b.round, b.kind)
            && a.network == self.network
            && b.network == self.network;
        ensure(same_place && a.block != b.block, Check::Evidence)?;
        debug_assert!(matches!(a.kind, VoteKind::Prevote | VoteKind::Precommit), "the only votes");
        let node = self.membership.nodes.get(&a.validator).ok_or(Check::Evidence)?;
        one.verify(&node.key)?;
        other.verify(&node.key)
    }
}

/// The membership after a control body, null where the body leaves it as it is; `set` are the validators that stand
/// so far.
fn apply(
    before: &Membership,
    set: &ValidatorSet,
    content: &Content,
    body: &Body,
    place: Place<'_>,
) -> Result<Option<(Membership, authority::Changed)>, Rejected> {
    if content.kind == Kind::Dkg.code() {
        let entry = DkgEntry::decode(&content.payload)?;
        return before.judge_dkg(&entry, body, (place.node, place.network)).map(|()| None);
    }
    let mut after = before.clone();
    let changed = authority::apply(&mut after, content, body, place)?;
    let some = |members: &Membership, set: &ValidatorSet| {
        set.validators.iter().any(|v| members.node(&v.node).is_some())
    };
    // Without one nothing would ever be decided again, not even a new set.
    let left = some(&after, changed.validators.as_ref().unwrap_or(set));
    ensure(left || !some(before, set), Check::LastValidator)?;
    Ok(Some((after, changed)))
}

struct Run<'a> {
    next: LedgerState,
    control: std::slice::Iter<'a, Bytes>,
    outcomes: Vec<Outcome>,
    closed: Vec<Lock>,
    range: Vec<RangeNode>,
    filed: BTreeMap<OrganizationId, usize>,
    set: Option<ValidatorSet>,
}

impl<'a> Run<'a> {
    fn new(state: &LedgerState, draft: &Draft<'a>) -> Result<Self, Rejected> {
        ensure(draft.cuts.windows(2).all(|w| w[0].node < w[1].node), Check::CutForm)?;
        let mut next = state.clone();
        next.height += 1;
        next.time = draft.time;
        next.decided_by = Some(state.validators.clone());
        Ok(Self {
            next,
            control: draft.control.iter(),
            outcomes: Vec::new(),
            closed: Vec::new(),
            range: Vec::new(),
            filed: BTreeMap::new(),
            set: None,
        })
    }

    fn cut(&mut self, cut: &Cut, headers: &mut std::slice::Iter<'_, Header>) -> Result<(), Rejected> {
        let frontier = self.next.frontiers.get(&cut.node).map_or(0, |f| f.0);
        ensure(cut.from == frontier + 1 && cut.from <= cut.to, Check::CutForm)?;
        for sequence in cut.from..=cut.to {
            let header = headers.next().ok_or(Check::HeadersMissing)?;
            let fields = header.fields();
            ensure(fields.node == cut.node && fields.sequence == sequence, Check::CutForm)?;
            self.header(header)?;
        }
        let last = self.next.frontiers.get(&cut.node).map(|f| f.1);
        ensure(last == Some(cut.last), Check::CutForm)?;
        self.in_force(&cut.node)
    }

    // Looked at after the run, so that a run may renew its own node; without that it waits until another does.
    fn in_force(&self, node: &NodeId) -> Result<(), Rejected> {
        let entry = self.next.membership.nodes.get(node).ok_or(Check::UnknownNode)?;
        ensure(entry.expires > self.next.time, Check::NodeExpired)
    }

    fn header(&mut self, header: &Header) -> Result<(), Rejected> {
        let fields = header.fields();
        let node = self.next.membership.nodes.get(&fields.node).ok_or(Check::UnknownNode)?;
        ensure(self.next.membership.node(&fields.node).is_some(), Check::RetiredNode)?;
        ensure(node.organization == fields.organization, Check::WrongOrganization)?;
        ensure(fields.signed_at <= self.next.time.saturating_add(SIGNED_AHEAD_MS_MAX), Check::AheadOfTime)?;
        let filed = self.filed.entry(fields.organization).or_default();
        *filed += 1;
        ensure(*filed <= HEADERS_PER_ORGANIZATION_MAX, Check::CapExceeded)?;
        let previous = self.next.frontiers.get(&fields.node).map(|f| f.1);
        ensure(fields.previous == previous, Check::PrevMismatch)?;
        let void = self.effect(header)?;
        self.next.frontiers.insert(fields.node, (fields.sequence, header.id()));
        self.range.extend(self.next.range.append(&header.id()));
        self.outcomes.push(Outcome { header: header.id(), void });
        Ok(())
    }

    // A reveal closes its lock whatever else is said of the header; then the lock of its own content counts.
    fn effect(&mut self, header: &Header) -> Result<Option<Check>, Rejected> {
        let fields = header.fields();
        for reveal in &fields.reveal {
            let lock = reveal.lock();
            if !self.next.locks.is_closed(&lock) {
                self.next.locks.close(&lock);
                self.closed.push(lock);
            }
        }
        let withdrawn = fields.lock.as_ref().is_some_and(|l| self.next.locks.is_closed(l));
        let verdict = if is_control(fields.kind) { self.control(header)? } else { Ok(()) };
        if withdrawn {
            return Ok(Some(Check::LockClosed));
        }
        Ok(verdict.err().map(|r: Rejected| r.check))
    }

    // Outer error: the block is malformed. Inner error: the entry is unlawful and has no effect.
    fn control(&mut self, header: &Header) -> Result<Result<(), Rejected>, Rejected> {
        let bytes = self.control.next().ok_or(Check::ControlBodies)?;
        let (body, content) = Body::read(bytes, &self.next.network).map_err(|_| Check::ControlBodies)?;
        ensure(header.fields().content == body.id(), Check::ControlBodies)?;
        if let Err(mismatch) = header.matches(&content) {
            return Ok(Err(mismatch));
        }
        if header.fields().lock.as_ref().is_some_and(|l| self.next.locks.is_closed(l)) {
            return Ok(Err(Check::LockClosed.into()));
        }
        let set = self.set.as_ref().unwrap_or(&self.next.validators);
        let (network, height) = (&self.next.network, self.next.height);
        let place = Place { network, node: &header.fields().node, height };
        match apply(&self.next.membership, set, &content, &body, place) {
            Ok(None) => Ok(Ok(())),
            Ok(Some((mut membership, changed))) => {
                membership.note_former(&self.next.membership, &content, self.next.height);
                self.next.membership = Arc::new(membership);
                self.set = changed.validators.or(self.set.take());
                Ok(Ok(()))
            }
            Err(unlawful) => Ok(Err(unlawful)),
        }
    }

    // Two headers with one number: the node is retired; the branch that is final stands.
    fn fork(&mut self, fork: &Fork) -> Result<(), Rejected> {
        let network = self.next.network;
        let one = Header::read(&fork.one, &network).map_err(|_| Check::Evidence)?;
        let other = Header::read(&fork.other, &network).map_err(|_| Check::Evidence)?;
        let (a, b) = (one.fields(), other.fields());
        ensure(a.node == b.node && a.sequence == b.sequence && one.id() != other.id(), Check::Evidence)?;
        let node = self.next.membership.nodes.get(&a.node).ok_or(Check::Evidence)?;
        one.verify(&node.key).and_then(|()| other.verify(&node.key)).map_err(|_| Check::Evidence)?;
        self.retire(a.node);
        Ok(())
    }

    fn retire(&mut self, id: NodeId) {
        let mut membership = (*self.next.membership).clone();
        if let Some(node) = membership.nodes.get_mut(&id) {
            node.standing = Standing::Removed;
        }
        self.next.membership = Arc::new(membership);
    }

    // Validators that no longer take part leave the set, as long as one remains.
    fn finish(mut self) -> Result<Executed, Rejected> {
        let set = self.set.take().unwrap_or_else(|| (*self.next.validators).clone());
        let stays = |v: &&Validator| self.next.membership.node(&v.node).is_some();
        let staying: Vec<_> = set.validators.iter().filter(stays).cloned().collect();
        if !staying.is_empty() {
            self.next.validators = Arc::new(ValidatorSet::new(staying)?);
        }
        Ok(Executed { state: self.next, outcomes: self.outcomes, closed: self.closed, range: self.range })
    }
}

impl Block {
    /// The block over an executed draft: what a proposer publishes.
    #[must_use]
    pub fn over(before: &LedgerState, draft: &Draft<'_>, after: &Executed, proposer: NodeId) -> Self {
        Self {
            format: FORMAT,
            network: before.network,
            height: before.height + 1,
            previous: before.block,
            time: draft.time,
            proposer,
            cuts: draft.cuts.to_vec(),
            control: draft.control.to_vec(),
            state_root: after.state.root(),
            validators: before.validators.hash(),
            next_validators: after.state.validators.hash(),
            last_commit: None,
            forks: draft.forks.to_vec(),
            equivocations: Vec::new(),
        }
    }
}
