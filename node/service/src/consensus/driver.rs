//! The implementation of [`Consensus`]: which of its states an input meets, and what it does there.
//!
//! A message passes in this order, and ends at the first that fails: its sender is a validator, its form, its
//! height, whether it is of use, whose turn it is, its signatures. Only then does it wake or feed the library.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{NetworkId, NodeId};
use hospes_protocol::keys::Signer;

use super::config::ConsensusConfig;
use super::context::Validators;
use super::gate::Gate;
use super::hands::{Hands, Memory};
use super::messages::ConsensusMessage;
use super::outbox::Outbox;
use super::running::Running;
use super::timers::Timers;
use super::verify::Verifier;
use super::wal::WalEntry;
use super::{Consensus, Effect, Halted, Input, NewHeight, Phase, Status, TimerId};

/// Tendermint for one node.
pub struct Driver {
    me: NodeId,
    kit: Kit,
    gate: Gate,
    /// Null before the first height.
    place: Option<Place>,
    halted: Option<Halted>,
    now: u64,
}

/// What every height uses.
struct Kit {
    network: NetworkId,
    config: ConsensusConfig,
    signer: Box<dyn Signer + Send>,
    timers: Timers,
    memory: Memory,
    out: Outbox,
}

/// The height at hand.
struct Place {
    height: u64,
    entered: u64,
    validators: Validators,
    verifier: Verifier,
    stage: Stage,
}

enum Stage {
    Following,
    Idle,
    Running(Running),
    Decided,
}

impl Kit {
    fn hands<'a>(&'a mut self, validators: &'a Validators, verifier: &'a mut Verifier) -> Hands<'a> {
        Hands {
            network: self.network,
            config: &self.config,
            signer: &mut *self.signer,
            validators,
            verifier,
            timers: &mut self.timers,
            memory: &mut self.memory,
            out: &mut self.out,
        }
    }
}

impl Driver {
    /// A driver that was told no height yet. `signer` holds the node's Ed25519 key.
    #[must_use]
    pub fn new(network: NetworkId, signer: Box<dyn Signer + Send>, config: ConsensusConfig) -> Self {
        let me = NodeId(signer.verifying_key().id().0);
        let kit = Kit {
            network,
            config,
            signer,
            timers: Timers::default(),
            memory: Memory::default(),
            out: Outbox::default(),
        };
        Self { me, kit, gate: Gate::default(), place: None, halted: None, now: 0 }
    }

    /// This node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.me
    }

    /// Messages of the next height that wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.gate.waiting()
    }

    fn dispatch(&mut self, input: Input) -> Result<(), Halted> {
        match input {
            Input::NewHeight(new) => self.new_height(new),
            Input::Order => self.wake(&[]),
            Input::Message { from, bytes } => self.on_message(from, &bytes),
            Input::Timer(timer) => self.on_timer(timer),
            Input::PeerConnected(peer) => self.with_running(None, |running, hands| {
                if hands.validators.set().get(&peer).is_some() {
                    running.greet(hands, peer);
                }
                Ok(())
            }),
            Input::Propose { height, round, block } => {
                self.with_running(Some(height), |running, hands| running.propose(hands, round, block))
            }
            Input::Verdict { height, block, valid } => {
                self.with_running(Some(height), |running, hands| running.judged(hands, block, valid))
            }
        }
    }

    /// Leaves the height at hand and enters the next; a greater one only.
    fn new_height(&mut self, new: NewHeight) -> Result<(), Halted> {
        if self.place.as_ref().is_some_and(|p| new.height <= p.height) {
            return Ok(());
        }
        self.leave();
        let member = new.validators.get(&self.me).is_some();
        let waited = self.gate.enter(new.height, &new.validators);
        self.place = Some(Place {
            height: new.height,
            entered: self.now,
            verifier: Verifier::new(self.kit.network, new.validators.clone()),
            validators: Validators::new(new.validators, new.absent),
            stage: if member { Stage::Idle } else { Stage::Following },
        });
        if !new.wal.is_empty() {
            self.wake(&new.wal)?;
        }
        // They were verified under the validators of the height before, so they are judged again.
        for (from, message) in waited {
            let judged = self.take(&message)?;
            self.refuse(from, judged);
        }
        Ok(())
    }

    fn leave(&mut self) {
        let Some(mut place) = self.place.take() else { return };
        self.kit.timers.clear_all(&mut self.kit.out);
        self.kit.timers.progressed();
        if let Stage::Running(running) = place.stage {
            let evidence = running.leave(&self.kit.hands(&place.validators, &mut place.verifier));
            if !evidence.is_empty() {
                self.kit.out.push(Effect::Equivocated(evidence));
            }
        }
        self.kit.memory = Memory::default();
        self.kit.out.forget_log();
    }

    /// Begins to decide, if idle.
    fn wake(&mut self, wal: &[WalEntry]) -> Result<(), Halted> {
        let Some(place) = &mut self.place else { return Ok(()) };
        if !matches!(place.stage, Stage::Idle) {
            return Ok(());
        }
        let mut hands = self.kit.hands(&place.validators, &mut place.verifier);
        let running = Running::start(&mut hands, place.height, self.me, wal)?;
        place.stage = Stage::Running(running);
        self.settle();
        Ok(())
    }

    fn with_running(
        &mut self,
        height: Option<u64>,
        act: impl FnOnce(&mut Running, &mut Hands<'_>) -> Result<(), Halted>,
    ) -> Result<(), Halted> {
        let Some(place) = &mut self.place else { return Ok(()) };
        if height.is_some_and(|h| h != place.height) {
            return Ok(());
        }
        if let Stage::Running(running) = &mut place.stage {
            act(running, &mut self.kit.hands(&place.validators, &mut place.verifier))?;
        }
        self.settle();
        Ok(())
    }

    /// After the library ran: where the height was decided, it has nothing more to say.
    fn settle(&mut self) {
        if let (true, Some(place)) = (self.kit.memory.decided, &mut self.place) {
            place.stage = Stage::Decided;
            self.kit.out.forget_unpublished();
        }
    }

    fn on_timer(&mut self, timer: TimerId) -> Result<(), Halted> {
        match self.kit.timers.fired(timer) {
            Some(timeout) => self.with_running(None, |running, hands| running.elapsed(hands, timeout)),
            None => Ok(()),
        }
    }

    fn on_message(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), Halted> {
        let Some(place) = &self.place else { return Ok(()) };
        if matches!(place.stage, Stage::Following) {
            return Ok(());
        }
        let known = ensure(place.validators.set().get(&from).is_some(), Check::UnknownSigner);
        let read = known.and_then(|()| ConsensusMessage::read(bytes, &self.kit.network));
        let judged = match read {
            Err(rejected) => Err(rejected),
            Ok(message) => match message.place().0.cmp(&place.height) {
                std::cmp::Ordering::Less => {
                    self.on_stale(from, &message);
                    Ok(())
                }
                std::cmp::Ordering::Equal => self.take(&message)?,
                std::cmp::Ordering::Greater => self.on_later(from, message),
            },
        };
        self.refuse(from, judged);
        Ok(())
    }

    fn refuse(&mut self, from: NodeId, judged: Result<(), Rejected>) {
        if let Err(Rejected { check }) = judged {
            self.kit.out.push(Effect::Refused { from, check });
        }
    }

    /// A message of this height: wakes an idle node, feeds a running one.
    fn take(&mut self, message: &ConsensusMessage) -> Result<Result<(), Rejected>, Halted> {
        let Some(place) = &mut self.place else { return Ok(Ok(())) };
        match &place.stage {
            Stage::Following | Stage::Decided => return Ok(Ok(())),
            Stage::Running(running) if !running.wants(message) => return Ok(Ok(())),
            Stage::Idle | Stage::Running(_) => {}
        }
        if let Err(rejected) = place.authentic(message) {
            return Ok(Err(rejected));
        }
        self.wake(&[])?;
        self.with_running(None, |running, hands| match running.wants(message) {
            true => running.take(hands, message),
            false => Ok(()),
        })?;
        Ok(Ok(()))
    }

    /// A message of an earlier height. A vote means that its sender still wants to decide it.
    fn on_stale(&mut self, from: NodeId, message: &ConsensusMessage) {
        let Some(place) = &self.place else { return };
        if matches!(message, ConsensusMessage::Vote(_)) {
            let times = (self.now, place.entered);
            let asked = (from, message.place().0);
            self.gate.stale(asked, times, place.height, &self.kit.config, &mut self.kit.out);
        }
    }

    /// A message of a later height: this node is behind. The next height's are kept, once authenticated.
    fn on_later(&mut self, from: NodeId, message: ConsensusMessage) -> Result<(), Rejected> {
        let Some(place) = &mut self.place else { return Ok(()) };
        place.verifier.message(&message)?;
        let height = message.place().0;
        self.gate.ahead((from, height), self.now, &self.kit.config, &mut self.kit.out);
        if height == place.height + 1 {
            self.gate.keep(from, message);
        }
        Ok(())
    }
}

impl Place {
    fn authentic(&mut self, message: &ConsensusMessage) -> Result<(), Rejected> {
        if let ConsensusMessage::Proposal(p) = message {
            let turn = self.validators.proposer_node(self.height, p.proposal.round);
            ensure(turn == p.proposal.proposer, Check::Proposer)?;
        }
        self.verifier.message(message)
    }
}

impl Consensus for Driver {
    fn handle(&mut self, now_ms: u64, input: Input) -> Result<Vec<Effect>, Halted> {
        if let Some(halted) = &self.halted {
            return Err(halted.clone());
        }
        self.now = self.now.max(now_ms);
        if let Err(halted) = self.dispatch(input) {
            self.halted = Some(halted.clone());
            self.kit.out.clear();
            return Err(halted);
        }
        let height = self.place.as_ref().map_or(0, |p| p.height);
        Ok(self.kit.out.take(height))
    }

    fn status(&self) -> Status {
        let place = self.place.as_ref();
        let phase = match place.map(|p| &p.stage) {
            _ if self.halted.is_some() => Phase::Halted,
            None | Some(Stage::Following) => Phase::Following,
            Some(Stage::Idle) => Phase::Idle,
            Some(Stage::Running(_)) => Phase::Running,
            Some(Stage::Decided) => Phase::Decided,
        };
        let round = match place.map(|p| &p.stage) {
            Some(Stage::Running(running)) => running.round(),
            _ => 0,
        };
        Status { phase, height: place.map_or(0, |p| p.height), round, repeats: self.kit.timers.repeats() }
    }
}
