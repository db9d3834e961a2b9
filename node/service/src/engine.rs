//! The consensus engine inside the service: feeds it and carries out what it says.
//!
//! Inputs wait in a queue, so that what one effect brings about (a verdict, a built block, a new height) is
//! taken only after the whole batch before it was carried out. What is to be logged is durable before the
//! rest of its batch.

use hospes_protocol::block::{Block, CommitCertificate};
use hospes_protocol::check::Rejected;
use hospes_protocol::ids::{BlockHash, NodeId};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{fail_point, mutant};

use crate::consensus::{
    ABSENT_COMMITS, Consensus, ConsensusConfig, Decision, Driver, Effect as Step, Evidence, Input, NewHeight,
    TimerId, WalEntry, absentees,
};
use crate::effects::{Effect, Timer};
use crate::messages::{BlockItem, Channel};
use crate::service::{Fatal, Service};

/// Equivocations that wait for a block of ours.
const EQUIVOCATIONS_MAX: usize = 8;

impl Service {
    /// Whether this node decides the next height.
    #[must_use]
    pub fn is_validator(&self) -> bool {
        self.state.validators.get(&self.me.node).is_some()
    }

    /// Goes on with the height that was under way when the node stopped.
    pub(crate) fn open_engine(&mut self) -> Result<(), Fatal> {
        self.engine = Some(Driver::new(self.network, Box::new(self.me.voter()), ConsensusConfig::default()));
        self.recorded = self.recorded_commits()?.into();
        self.next_height()
    }

    /// Tells the engine the height that follows the state.
    fn next_height(&mut self) -> Result<(), Fatal> {
        let height = self.state.height + 1;
        let mut wal = Vec::new();
        let rows = self.ledger.wal(height)?;
        for entry in WalEntry::read_all(rows).map_err(Fatal::Contradiction)? {
            match entry {
                WalEntry::Block(bytes) => self.recall_block(&bytes)?,
                entry => wal.push(entry),
            }
        }
        let validators = (*self.state.validators).clone();
        let absent = absentees(&validators, self.recorded.make_contiguous());
        self.run_engine(Input::NewHeight(NewHeight { height, validators, absent, wal }))
    }

    /// The certificates that the newest blocks carry, newest first: the same for every validator.
    fn recorded_commits(&self) -> Result<Vec<CommitCertificate>, Fatal> {
        let mut commits = Vec::new();
        for height in (1..=self.state.height).rev().take(ABSENT_COMMITS) {
            let Some((block, _)) = self.ledger.block(height)? else { break };
            let block = Block::read(&block, &self.network).map_err(Fatal::Contradiction)?;
            commits.extend(block.last_commit);
        }
        Ok(commits)
    }

    fn recall_block(&mut self, bytes: &[u8]) -> Result<(), Fatal> {
        let me = self.me.node;
        self.on_block(me, bytes)?;
        Ok(())
    }

    /// Hands an input over, and carries out what follows from it.
    pub(crate) fn run_engine(&mut self, input: Input) -> Result<(), Fatal> {
        if self.outdated {
            return Ok(());
        }
        self.steps.push_back(input);
        // An effect of the batch that is being carried out brought this input; it waits for its turn.
        let Some(mut engine) = self.engine.take() else { return Ok(()) };
        let done = self.drain(&mut engine);
        self.engine = Some(engine);
        done
    }

    fn drain(&mut self, engine: &mut Driver) -> Result<(), Fatal> {
        while let Some(input) = self.steps.pop_front() {
            let steps = engine.handle(self.now, input).map_err(|halted| Fatal::Engine(halted.0))?;
            steps.into_iter().try_for_each(|step| self.step(step))?;
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Fatal> {
        match step {
            Step::Persist { height, entries } => self.log(height, entries)?,
            Step::Publish(bytes) => self.send_validators(&Channel::Engine(Bytes(bytes)).encode()),
            Step::Send { to, bytes } => {
                self.emit(Effect::Send { to, bytes: Channel::Engine(Bytes(bytes)).encode() });
            }
            Step::ResendBlock { to, block } => self.resend_block(&to, &block),
            Step::SetTimer { timer, after_ms } => {
                self.set_timer(Timer::Consensus(timer.0), self.now + after_ms);
            }
            Step::ClearTimer(timer) => self.emit(Effect::ClearTimer(Timer::Consensus(timer.0))),
            Step::NeedBlock { height, round } if height == self.state.height + 1 => {
                let block = self.build_block()?;
                self.run_engine(Input::Propose { height, round, block })?;
            }
            Step::NeedBlock { .. } => {}
            Step::NeedVerdict { height, block, .. } => {
                if let Some(valid) = self.verdict(&block) {
                    self.run_engine(Input::Verdict { height, block, valid })?;
                }
            }
            Step::SendDecided { to, height } => self.send_decided(to, height)?,
            Step::Behind { peer, height } => self.note_height(peer, height.saturating_sub(1)),
            Step::Decided(decision) => self.decided(*decision)?,
            Step::Equivocated(evidence) => self.keep_evidence(evidence),
            Step::Refused { from, check } => {
                self.judge_peer(from, Some(check.into()));
            }
        }
        Ok(())
    }

    fn log(&mut self, height: u64, entries: Vec<WalEntry>) -> Result<(), Fatal> {
        let mut rows = Vec::new();
        let entries = if mutant!(WalUnwritten) { Vec::new() } else { entries };
        for entry in entries {
            if let Some(bytes) = entry.needs_block().and_then(|hash| self.candidate_bytes(&hash)) {
                rows.push(WalEntry::Block(Bytes(bytes)).encode());
            }
            rows.push(entry.encode());
        }
        fail_point!(VoteUnlogged, return Err(hospes_storage::StoreError::wanted().into()));
        self.ledger.wal_append(height, &rows)?;
        fail_point!(VoteUnsent, return Err(hospes_storage::StoreError::wanted().into()));
        Ok(())
    }

    fn resend_block(&mut self, to: &[NodeId], block: &BlockHash) {
        let Some(bytes) = self.candidate_bytes(block) else { return };
        let bytes = Channel::Block(Bytes(bytes)).encode();
        for to in to {
            self.emit(Effect::Send { to: *to, bytes: bytes.clone() });
        }
    }

    fn send_decided(&mut self, to: NodeId, height: u64) -> Result<(), Fatal> {
        if let Some((block, certificate)) = self.ledger.block(height)? {
            let item = BlockItem { block: Bytes(block), certificate };
            self.emit(Effect::Send { to, bytes: Channel::Decided(item).encode() });
        }
        Ok(())
    }

    fn decided(&mut self, decision: Decision) -> Result<(), Fatal> {
        self.keep_evidence(decision.evidence);
        self.on_decided(decision.certificate)
    }

    // Two proposals of one round show as two prevotes of their proposer, so votes suffice as evidence.
    fn keep_evidence(&mut self, evidence: Evidence) {
        let room = EQUIVOCATIONS_MAX.saturating_sub(self.equivocations.len());
        self.equivocations.extend(evidence.votes.into_iter().take(room));
    }

    pub(crate) fn on_engine_message(
        &mut self,
        from: NodeId,
        bytes: &[u8],
    ) -> Result<Option<Rejected>, Fatal> {
        self.run_engine(Input::Message { from, bytes: bytes.to_vec() })?;
        Ok(None)
    }

    pub(crate) fn on_engine_timer(&mut self, id: u64) -> Result<(), Fatal> {
        self.run_engine(Input::Timer(TimerId(id)))
    }

    pub(crate) fn engine_peer_connected(&mut self, peer: NodeId) -> Result<(), Fatal> {
        self.run_engine(Input::PeerConnected(peer))
    }

    pub(crate) fn tell_verdict(&mut self, block: BlockHash, valid: bool) -> Result<(), Fatal> {
        let height = self.state.height + 1;
        self.run_engine(Input::Verdict { height, block, valid })
    }

    /// The wait for more headers is over.
    pub(crate) fn start_height(&mut self) -> Result<(), Fatal> {
        if self.pool.can_order(&self.state, self.now) { self.run_engine(Input::Order) } else { Ok(()) }
    }

    /// Nothing was ordered for long: an empty block shows how current the network is.
    pub(crate) fn start_idle_height(&mut self) -> Result<(), Fatal> {
        let due = self.state.time.saturating_add(self.state.membership.policy.idle_block_ms);
        if self.now >= due {
            self.run_engine(Input::Order)?;
        }
        self.rest();
        Ok(())
    }

    /// A block was committed: the next height begins, if there is something to order.
    pub(crate) fn after_commit(&mut self, block: &Block) -> Result<(), Fatal> {
        if let Some(commit) = &block.last_commit {
            self.recorded.push_front(commit.clone());
            self.recorded.truncate(ABSENT_COMMITS);
        }
        self.next_height()?;
        self.take_early()?;
        self.want_block();
        self.rest();
        Ok(())
    }
}
