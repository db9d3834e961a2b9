//! One height while it is being decided: the library's state, and what it must be told beyond messages.
//!
//! A signed proposal names a block; our verdict on that block is fed as the value's validity, each once the
//! other is known. So a block that is invalid or missing here gets no prevote of ours. Messages have been
//! verified before they come here; what the library would drop anyway is dropped first.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::ids::{BlockHash, NodeId};
use hospes_protocol::mutant;
use malachite_core_consensus::{
    Input as EngineInput, LocallyProposedValue, MisbehaviorEvidence, Params, ProposedValue, State,
    ThresholdParams, ValuePayload,
};
use malachite_core_types::{
    NilOrVal, Round, Timeout, TimeoutKind, Validity, ValueOrigin, VoteExtensionPolicy, VoteType,
};

use super::codec;
use super::context::{Address, Height, Hospes, Value};
use super::hands::{Hands, Signed, elapsed_in, evidence_out};
use super::messages::{ConsensusMessage, RoundCertificateKind, SignedProposal};
use super::wal::{Elapsed, StepTimeout, WalEntry};
use super::{Effect, Evidence, Halted};

/// Rounds ahead of ours whose votes and proposals are of use; the library drops what lies beyond it too.
const ROUNDS_AHEAD_MAX: u64 = 10;
/// Verdicts on blocks that nobody proposed yet, at most.
const EARLY_VERDICTS_MAX: usize = 64;

/// A height under way.
pub(super) struct Running {
    height: u64,
    me: NodeId,
    state: Box<State<Hospes>>,
    /// Blocks that were proposed, with the first round.
    proposed: BTreeMap<BlockHash, u64>,
    verdicts: BTreeMap<BlockHash, bool>,
    /// Verdicts that the library knows.
    told: BTreeSet<(BlockHash, bool)>,
}

impl Running {
    /// Begins a height, and replays what was logged of it before a restart.
    pub(super) fn start(
        hands: &mut Hands<'_>,
        height: u64,
        me: NodeId,
        wal: &[WalEntry],
    ) -> Result<Self, Halted> {
        let params = Params {
            address: Address(me),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        // The library's own queue for other heights is never used: `gate` keeps those messages.
        let state = State::new(Hospes, Height(height), hands.validators.clone(), params, 1, 1);
        let mut running = Self {
            height,
            me,
            state: Box::new(state),
            proposed: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            told: BTreeSet::new(),
        };
        let inputs: Vec<_> = wal.iter().filter_map(|e| running.replayed(hands, e)).collect();
        if !inputs.is_empty() {
            running.state.index_wal_entries(&inputs);
        }
        let start = (Height(height), hands.validators.clone(), VoteExtensionPolicy::Disabled);
        running.run(hands, EngineInput::StartHeight(start.0, start.1, false, None, start.2))?;
        for input in inputs {
            running.run(hands, input)?;
        }
        running.state.reset_entries_index();
        running.ask_again(hands);
        Ok(running)
    }

    /// A logged row as the library takes it; what we signed and judged then is remembered.
    fn replayed(&mut self, hands: &mut Hands<'_>, entry: &WalEntry) -> Option<EngineInput<Hospes>> {
        hands.memory.logged.insert(hospes_protocol::wire::Wire::encode(entry));
        Some(match entry {
            WalEntry::Vote(signed) => {
                let vote = &signed.vote;
                if vote.validator == self.me {
                    let key = (Signed::of(vote.kind), vote.round);
                    hands.memory.signed.entry(key).or_insert(vote.block);
                }
                EngineInput::Vote(codec::vote_in(signed))
            }
            WalEntry::Proposal(signed) => {
                let proposal = &signed.proposal;
                if proposal.proposer == self.me {
                    let key = (Signed::Proposal, proposal.round);
                    hands.memory.signed.entry(key).or_insert(Some(proposal.block));
                }
                self.proposed.entry(proposal.block).or_insert(proposal.round);
                EngineInput::Proposal(codec::proposal_in(signed))
            }
            WalEntry::Polka(certificate) => EngineInput::PolkaCertificate(codec::polka_in(certificate)),
            WalEntry::Elapsed(elapsed) => EngineInput::TimeoutElapsed(elapsed_in(elapsed)),
            WalEntry::Judged(judged) => {
                self.verdicts.insert(judged.block, judged.valid);
                self.told.insert((judged.block, judged.valid));
                self.proposed_value(hands, judged.round, judged.block, judged.valid)
            }
            WalEntry::Block(_) => return None,
        })
    }

    /// A mutant's: enters a round as if it had not been in those before, and so without what it is locked on.
    fn enter_anew(&mut self, hands: &mut Hands<'_>, round: u64) -> Result<(), Halted> {
        let passed = |round| WalEntry::Elapsed(Elapsed { step: StepTimeout::Precommit, round });
        let passed: Vec<_> = (0..round).map(passed).collect();
        *self = Self::start(hands, self.height, self.me, &passed)?;
        Ok(())
    }

    /// What was open when the node stopped.
    fn ask_again(&mut self, hands: &mut Hands<'_>) {
        let open: Vec<_> = self.proposed.iter().filter(|(b, _)| !self.verdicts.contains_key(b)).collect();
        for (block, round) in open {
            hands.out.push(Effect::NeedVerdict {
                height: self.height,
                round: *round,
                block: *block,
                proposer: hands.validators.proposer_node(self.height, *round),
            });
        }
        self.ask_block(hands);
    }

    /// Asks for a block if it is our turn and nothing was proposed yet.
    fn ask_block(&mut self, hands: &mut Hands<'_>) {
        let Some(round) = hands.memory.wanted else { return };
        if self.state.is_replaying_wal() {
            return;
        }
        hands.memory.wanted = None;
        let open = self.round() == round && self.state.driver.step_is_propose();
        if open && !hands.memory.signed.contains_key(&(Signed::Proposal, round)) {
            hands.out.push(Effect::NeedBlock { height: self.height, round });
        }
    }

    fn run(&mut self, hands: &mut Hands<'_>, input: EngineInput<Hospes>) -> Result<(), Halted> {
        if hands.memory.decided {
            return Ok(());
        }
        hands.run(&mut self.state, input)?;
        if hands.memory.decided {
            hands.timers.clear_all(hands.out);
            let decision = hands.memory.decision.take();
            hands.out.push(Effect::Decided(Box::new(decision.expect("set together with `decided`"))));
        } else {
            self.ask_block(hands);
        }
        Ok(())
    }

    /// The round.
    pub(super) fn round(&self) -> u64 {
        codec::round_out(self.state.round())
    }

    /// Whether the library has a use for a message. Nothing is verified for one that it has not.
    pub(super) fn wants(&self, message: &ConsensusMessage) -> bool {
        let (_, round) = message.place();
        let near = round <= self.round() + ROUNDS_AHEAD_MAX;
        match message {
            ConsensusMessage::Vote(vote) => {
                let vote = codec::vote_in(vote);
                let votes = self.state.driver.votes();
                near && !votes.has_vote(&vote) && !votes.is_saturated_conflict(&vote)
            }
            ConsensusMessage::Proposal(p) => {
                let value = Value(p.proposal.block);
                near && !self.state.exceeds_per_round_cap(Height(self.height), codec::round_in(round), &value)
            }
            ConsensusMessage::Polka(c) => {
                self.state.polka_certificate(codec::round_in(round), &Value(c.block)).is_none()
            }
            ConsensusMessage::Round(c) => match c.kind {
                RoundCertificateKind::Precommit => round >= self.round(),
                RoundCertificateKind::Skip => round > self.round(),
            },
        }
    }

    /// A message that was verified and is wanted.
    pub(super) fn take(&mut self, hands: &mut Hands<'_>, message: &ConsensusMessage) -> Result<(), Halted> {
        self.recognise(hands, message)?;
        match message {
            ConsensusMessage::Round(c)
                if mutant!(LockUnheld)
                    && c.kind == RoundCertificateKind::Precommit
                    && c.round == self.round() =>
            {
                self.enter_anew(hands, c.round + 1)
            }
            ConsensusMessage::Vote(vote) => self.run(hands, EngineInput::Vote(codec::vote_in(vote))),
            ConsensusMessage::Proposal(proposal) => self.take_proposal(hands, proposal),
            ConsensusMessage::Polka(c) => self.run(hands, EngineInput::PolkaCertificate(codec::polka_in(c))),
            ConsensusMessage::Round(c) => {
                self.run(hands, EngineInput::RoundCertificate(codec::round_certificate_in(c)))
            }
        }
    }

    /// What our own key signed is binding, even if another process did it or our log was lost: the node stops
    /// before it contradicts itself. Nobody else can bring this about.
    fn recognise(&self, hands: &mut Hands<'_>, message: &ConsensusMessage) -> Result<(), Halted> {
        let votes = match message {
            ConsensusMessage::Vote(vote) => vec![vote.clone()],
            ConsensusMessage::Polka(certificate) => certificate.votes(&hands.network),
            ConsensusMessage::Round(certificate) => certificate.votes(&hands.network),
            ConsensusMessage::Proposal(p) => {
                let (by, key) = (p.proposal.proposer, (Signed::Proposal, p.proposal.round));
                return if by == self.me { hands.guard(key, Some(p.proposal.block)) } else { Ok(()) };
            }
        };
        let mut own = votes.iter().map(|signed| &signed.vote).filter(|v| v.validator == self.me);
        own.try_for_each(|vote| hands.guard((Signed::of(vote.kind), vote.round), vote.block))
    }

    fn take_proposal(&mut self, hands: &mut Hands<'_>, signed: &SignedProposal) -> Result<(), Halted> {
        let proposal = &signed.proposal;
        self.proposed.entry(proposal.block).or_insert(proposal.round);
        self.run(hands, EngineInput::Proposal(codec::proposal_in(signed)))?;
        match self.verdicts.get(&proposal.block) {
            Some(valid) => self.tell(hands, proposal.block, *valid),
            None => {
                hands.out.push(Effect::NeedVerdict {
                    height: self.height,
                    round: proposal.round,
                    block: proposal.block,
                    proposer: proposal.proposer,
                });
                Ok(())
            }
        }
    }

    /// Our verdict on a block. A refusal may turn into an approval, never the other way round.
    pub(super) fn judged(
        &mut self,
        hands: &mut Hands<'_>,
        block: BlockHash,
        valid: bool,
    ) -> Result<(), Halted> {
        let proposed = self.proposed.contains_key(&block);
        if self.verdicts.get(&block) == Some(&true)
            || (!proposed && self.verdicts.len() >= EARLY_VERDICTS_MAX)
        {
            return Ok(());
        }
        self.verdicts.insert(block, valid);
        if proposed { self.tell(hands, block, valid) } else { Ok(()) }
    }

    fn tell(&mut self, hands: &mut Hands<'_>, block: BlockHash, valid: bool) -> Result<(), Halted> {
        let Some(round) = self.proposed.get(&block).copied() else { return Ok(()) };
        if !self.told.insert((block, valid)) {
            return Ok(());
        }
        let value = self.proposed_value(hands, round, block, valid);
        self.run(hands, value)
    }

    fn proposed_value(
        &self,
        hands: &Hands<'_>,
        round: u64,
        block: BlockHash,
        valid: bool,
    ) -> EngineInput<Hospes> {
        let value = ProposedValue {
            height: Height(self.height),
            round: codec::round_in(round),
            valid_round: Round::Nil,
            proposer: Address(hands.validators.proposer_node(self.height, round)),
            value: Value(block),
            validity: Validity::from_bool(valid),
        };
        EngineInput::ProposedValue(value, ValueOrigin::Consensus)
    }

    /// The block that we were asked to build. One that comes too late, or a second one, is passed over.
    pub(super) fn propose(
        &mut self,
        hands: &mut Hands<'_>,
        round: u64,
        block: BlockHash,
    ) -> Result<(), Halted> {
        let open = round == self.round() && self.state.driver.step_is_propose();
        if !open || hands.memory.signed.contains_key(&(Signed::Proposal, round)) {
            return Ok(());
        }
        self.verdicts.insert(block, true);
        self.told.insert((block, true));
        self.proposed.entry(block).or_insert(round);
        let value = LocallyProposedValue::new(Height(self.height), codec::round_in(round), Value(block));
        self.run(hands, EngineInput::Propose(value))
    }

    /// A timeout elapsed. With our last votes, which the library repeats, goes our proposal.
    pub(super) fn elapsed(&mut self, hands: &mut Hands<'_>, timeout: Timeout) -> Result<(), Halted> {
        if mutant!(LockUnheld)
            && timeout.kind == TimeoutKind::Precommit
            && codec::round_out(timeout.round) == self.round()
        {
            return self.enter_anew(hands, self.round() + 1);
        }
        self.run(hands, EngineInput::TimeoutElapsed(timeout))?;
        if timeout.kind == TimeoutKind::Rebroadcast && !hands.memory.decided {
            let (messages, block) = self.own_proposal(hands);
            for message in &messages {
                hands.out.publish(message);
            }
            let to = block.map(|b| self.unconvinced(hands, b)).unwrap_or_default();
            if let (Some(block), false) = (block, to.is_empty()) {
                hands.out.push(Effect::ResendBlock { to, block });
            }
        }
        Ok(())
    }

    /// Our proposal of this round with the certificate that it rests on, and its block.
    fn own_proposal(&self, hands: &Hands<'_>) -> (Vec<ConsensusMessage>, Option<BlockHash>) {
        let (height, round) = (Height(self.height), self.state.round());
        let own = self.state.full_proposal_at_round_and_proposer(&height, round, &Address(self.me));
        let Some(own) = own else { return (Vec::new(), None) };
        let proposal = &own.proposal;
        let polka = self.state.polka_certificate(proposal.message.pol_round, &proposal.message.value);
        let mut messages: Vec<_> =
            polka.map(|c| ConsensusMessage::Polka(codec::polka_out(c))).into_iter().collect();
        messages.push(ConsensusMessage::Proposal(codec::proposal_out(&hands.network, proposal)));
        (messages, Some(proposal.message.value.0))
    }

    /// Validators whose prevote for this block in this round is not here.
    fn unconvinced(&self, hands: &Hands<'_>, block: BlockHash) -> Vec<NodeId> {
        let votes = self.state.driver.votes().per_round(self.state.round());
        let convinced = |node: &NodeId| {
            let vote = votes.and_then(|v| v.get_vote(VoteType::Prevote, &Address(*node)).cloned());
            vote.is_some_and(|v| v.message.value == NilOrVal::Val(Value(block)))
        };
        let others = hands.validators.set().validators.iter().map(|v| v.node);
        others.filter(|n| *n != self.me && !convinced(n)).collect()
    }

    /// A validator connected: it gets what we last said, without waiting for the next repetition.
    pub(super) fn greet(&self, hands: &mut Hands<'_>, peer: NodeId) {
        let (mut messages, block) = self.own_proposal(hands);
        let entered = self.state.round_certificate().filter(|c| c.enter_round == self.state.round());
        let certificate = entered.map(|c| codec::round_certificate_out(&c.certificate));
        messages.extend(certificate.map(ConsensusMessage::Round));
        let votes = [&self.state.last_signed_prevote, &self.state.last_signed_precommit];
        for vote in votes.into_iter().flatten() {
            messages.push(ConsensusMessage::Vote(codec::vote_out(&hands.network, vote)));
        }
        for message in &messages {
            hands.out.send(peer, message);
        }
        if let Some(block) = block {
            hands.out.push(Effect::ResendBlock { to: vec![peer], block });
        }
    }

    /// Ends a height that was decided elsewhere; gives who was seen to equivocate.
    pub(super) fn leave(mut self, hands: &Hands<'_>) -> Evidence {
        let evidence = MisbehaviorEvidence {
            proposals: self.state.driver.take_proposal_evidence(),
            votes: self.state.driver.take_vote_evidence(),
        };
        evidence_out(&hands.network, &evidence)
    }
}
