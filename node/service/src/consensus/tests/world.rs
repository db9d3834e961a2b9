//! The world: hosts with a disk and a driver each, a network, virtual time.
//!
//! A host does for its driver what the service does: it keeps the WAL, builds and judges blocks, commits,
//! fetches decided heights, and tells the next height.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::block::{CommitCertificate, ValidatorSet};
use hospes_protocol::ids::{BlockHash, NodeId, sha256};
use hospes_protocol::wire::Wire;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::checker::Checker;
use super::keys::{self, NET};
use crate::consensus::{
    Consensus, ConsensusConfig, ConsensusMessage, Decision, Driver, Effect, Evidence, Input, NewHeight,
    TimerId, WalEntry, absentees,
};

/// A block, as far as consensus cares.
#[derive(Clone)]
struct Block {
    last_commit: Option<CommitCertificate>,
    valid: bool,
}

/// What travels.
#[derive(Clone)]
enum Packet {
    Engine(Vec<u8>),
    Block(u64, BlockHash),
    Decided(CommitCertificate),
    Ask(u64),
}

enum Event {
    Deliver { from: usize, to: usize, packet: Packet },
    Timer { host: usize, life: u64, timer: TimerId },
    Restart { host: usize },
}

/// How a host errs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Restarts without its WAL.
    pub(super) forgets_wal: bool,
    /// Publishes before it persists.
    pub(super) publishes_first: bool,
    /// Proposes blocks that nobody finds valid.
    pub(super) builds_invalid: bool,
    /// Does not answer who is behind.
    pub(super) never_helps: bool,
}

/// A validator and its disk.
pub(super) struct Host {
    pub(super) node: NodeId,
    key: u8,
    driver: Option<Driver>,
    life: u64,
    pub(super) faults: Faults,
    /// Durable.
    wal: BTreeMap<u64, Vec<Vec<u8>>>,
    pub(super) chain: Vec<CommitCertificate>,
    kept: BTreeSet<BlockHash>,
    /// Volatile.
    blocks: BTreeSet<BlockHash>,
    cleared: BTreeSet<TimerId>,
    effects: u64,
    /// Crash before this effect of its life in the world is carried out.
    pub(super) crash_at: Option<u64>,
    pub(super) evidence: Evidence,
    pub(super) refused: Vec<hospes_protocol::check::Check>,
    pub(super) timers_fired: u64,
    pub(super) helped: u64,
    pub(super) synced: u64,
}

/// The network's habits.
#[derive(Clone, Copy)]
pub(super) struct Net {
    pub(super) delay_ms: (u64, u64),
    pub(super) loss_percent: u64,
    pub(super) repeat_percent: u64,
}

/// Everything.
pub(super) struct World {
    rng: ChaCha8Rng,
    pub(super) now: u64,
    sequence: u64,
    queue: BTreeMap<(u64, u64), Event>,
    pub(super) hosts: Vec<Host>,
    pub(super) set: ValidatorSet,
    pub(super) net: Net,
    /// Hosts talk only within their group.
    groups: Vec<u8>,
    pub(super) checker: Checker,
    blocks: BTreeMap<BlockHash, Block>,
    /// There is something to order up to this height.
    pub(super) target: u64,
    pub(super) packets: u64,
    config: ConsensusConfig,
}

impl World {
    /// `n` validators, the first `n` keys; more hosts may share keys by `twin`.
    pub(super) fn new(seed: u64, n: u8) -> Self {
        Self::with_hosts(seed, n, &(0..n).collect::<Vec<_>>())
    }

    /// Validators with the first `n` keys, and a host for each of `hosts`, by key.
    pub(super) fn with_hosts(seed: u64, n: u8, hosts: &[u8]) -> Self {
        let (set, _) = keys::validators(n);
        let mut world = Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            now: 1_000,
            sequence: 0,
            queue: BTreeMap::new(),
            hosts: Vec::new(),
            set,
            net: Net { delay_ms: (1, 10), loss_percent: 0, repeat_percent: 0 },
            groups: vec![0; hosts.len()],
            checker: Checker::default(),
            blocks: BTreeMap::new(),
            target: 0,
            packets: 0,
            config: ConsensusConfig::default(),
        };
        world.hosts = hosts.iter().map(|key| Host::new(*key)).collect();
        (0..hosts.len()).for_each(|host| world.boot(host));
        world
    }

    fn below(&mut self, n: u64) -> u64 {
        self.rng.next_u64() % n.max(1)
    }

    /// A number below `n`, from the seed.
    pub(super) fn draw(&mut self, n: u64) -> u64 {
        self.below(n)
    }

    fn schedule(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    // ---- hosts ----

    fn boot(&mut self, host: usize) {
        let config = self.config;
        let it = &mut self.hosts[host];
        it.life += 1;
        it.blocks = it.kept.clone();
        it.driver = Some(Driver::new(NET, Box::new(keys::signer(it.key)), config));
        self.next_height(host);
    }

    fn next_height(&mut self, host: usize) {
        let it = &self.hosts[host];
        let height = it.chain.len() as u64 + 1;
        let rows = if it.faults.forgets_wal { None } else { it.wal.get(&height) };
        let wal = WalEntry::read_all(rows.into_iter().flatten()).expect("own rows");
        let recorded: Vec<_> =
            it.chain.iter().rev().take(4).filter_map(|c| self.blocks[&c.block].last_commit.clone()).collect();
        let absent = absentees(&self.set, &recorded);
        let new = NewHeight { height, validators: self.set.clone(), absent, wal };
        self.feed(host, Input::NewHeight(new));
        if height <= self.target {
            self.feed(host, Input::Order);
        }
    }

    /// Stops a host; its disk stays.
    pub(super) fn stop(&mut self, host: usize) {
        let it = &mut self.hosts[host];
        it.driver = None;
        it.life += 1;
        it.blocks.clear();
        it.cleared.clear();
    }

    /// Starts a stopped host; its peers notice.
    pub(super) fn start(&mut self, host: usize) {
        self.boot(host);
        self.reconnect(host);
    }

    /// Starts every host that is stopped.
    pub(super) fn start_stopped(&mut self) {
        let stopped: Vec<_> = (0..self.hosts.len()).filter(|h| self.hosts[*h].driver.is_none()).collect();
        stopped.into_iter().for_each(|host| self.start(host));
    }

    fn reconnect(&mut self, host: usize) {
        for other in 0..self.hosts.len() {
            if other != host && self.groups[other] == self.groups[host] {
                self.feed(other, Input::PeerConnected(self.hosts[host].node));
                self.feed(host, Input::PeerConnected(self.hosts[other].node));
            }
        }
    }

    /// Cuts the network into groups.
    pub(super) fn partition(&mut self, groups: &[u8]) {
        self.groups = groups.to_vec();
    }

    /// One group again.
    pub(super) fn heal(&mut self) {
        self.groups = vec![0; self.hosts.len()];
        (0..self.hosts.len()).for_each(|host| self.reconnect(host));
    }

    /// There is something to order up to this height, everywhere.
    pub(super) fn order_until(&mut self, target: u64) {
        self.target = target;
        (0..self.hosts.len()).for_each(|host| self.order(host));
    }

    /// A host learns that something waits.
    pub(super) fn order(&mut self, host: usize) {
        if (self.hosts[host].chain.len() as u64) < self.target {
            self.feed(host, Input::Order);
        }
    }

    /// Gives a driver an input and carries out what follows.
    pub(super) fn feed(&mut self, host: usize, input: Input) {
        let now = self.now;
        let Some(driver) = &mut self.hosts[host].driver else { return };
        let mut effects = driver.handle(now, input).expect("an honest driver does not halt");
        if self.hosts[host].faults.publishes_first {
            effects.sort_by_key(|e| matches!(e, Effect::Persist { .. }));
        }
        let life = self.hosts[host].life;
        for effect in effects {
            let it = &mut self.hosts[host];
            if it.life != life {
                return;
            }
            if it.crash_at == Some(it.effects) {
                it.crash_at = None;
                self.stop(host);
                let at = self.now + 50;
                self.schedule(at, Event::Restart { host });
                return;
            }
            it.effects += 1;
            self.carry_out(host, effect);
        }
    }

    fn carry_out(&mut self, host: usize, effect: Effect) {
        match effect {
            Effect::Persist { height, entries } => self.hosts[host].persist(height, &entries),
            Effect::Publish(bytes) => {
                self.checker.says(self.hosts[host].node, &bytes);
                if !self.hosts[host].logged(&bytes) {
                    self.checker.violations.push(format!("host {host} says what it did not log"));
                }
                self.send_all(host, &Packet::Engine(bytes));
            }
            Effect::Send { to, bytes } => {
                self.checker.says(self.hosts[host].node, &bytes);
                self.send(host, to, &Packet::Engine(bytes));
            }
            Effect::ResendBlock { to, block } => {
                let height = self.hosts[host].chain.len() as u64 + 1;
                if self.hosts[host].blocks.contains(&block) {
                    to.into_iter().for_each(|to| self.send(host, to, &Packet::Block(height, block)));
                }
            }
            Effect::SetTimer { timer, after_ms } => {
                let life = self.hosts[host].life;
                self.schedule(self.now + after_ms, Event::Timer { host, life, timer });
            }
            Effect::NeedBlock { height, round } => self.build(host, height, round),
            Effect::NeedVerdict { height, block, .. } => {
                if self.hosts[host].blocks.contains(&block) {
                    let valid = self.blocks[&block].valid;
                    self.feed(host, Input::Verdict { height, block, valid });
                }
            }
            Effect::SendDecided { to, height } if !self.hosts[host].faults.never_helps => {
                self.hosts[host].helped += 1;
                if let Some(certificate) = self.hosts[host].decided(height) {
                    self.send(host, to, &Packet::Decided(certificate));
                }
            }
            Effect::Behind { peer, .. } => {
                let next = self.hosts[host].chain.len() as u64 + 1;
                self.send(host, peer, &Packet::Ask(next));
            }
            Effect::Decided(decision) => self.decided(host, *decision),
            Effect::Equivocated(evidence) => self.hosts[host].keep(evidence),
            Effect::Refused { check, .. } => self.hosts[host].refused.push(check),
            Effect::ClearTimer(timer) => {
                self.hosts[host].cleared.insert(timer);
            }
            Effect::SendDecided { .. } => {}
        }
    }

    fn build(&mut self, host: usize, height: u64, round: u64) {
        let it = &mut self.hosts[host];
        let place = [u64::try_from(host).expect("few hosts"), it.life, height, round];
        let block = BlockHash(sha256(&[&place.map(u64::to_be_bytes).concat()]));
        let last_commit = it.chain.last().cloned();
        it.blocks.insert(block);
        let valid = !it.faults.builds_invalid;
        self.blocks.insert(block, Block { last_commit, valid });
        self.send_all(host, &Packet::Block(height, block));
        self.feed(host, Input::Propose { height, round, block });
    }

    fn decided(&mut self, host: usize, decision: Decision) {
        let Decision { certificate, evidence } = decision;
        self.hosts[host].keep(evidence);
        self.commit(host, certificate);
    }

    fn commit(&mut self, host: usize, certificate: CommitCertificate) {
        self.checker.decides(&self.set, &certificate);
        let it = &mut self.hosts[host];
        it.wal.remove(&certificate.height);
        it.chain.push(certificate);
        it.kept.clear();
        self.next_height(host);
    }

    // ---- network ----

    fn send_all(&mut self, host: usize, packet: &Packet) {
        let me = self.hosts[host].node;
        let others: Vec<_> = self.set.validators.iter().map(|v| v.node).filter(|n| *n != me).collect();
        others.into_iter().for_each(|to| self.send(host, to, packet));
    }

    fn send(&mut self, from: usize, to: NodeId, packet: &Packet) {
        for host in 0..self.hosts.len() {
            if self.hosts[host].node != to || self.groups[host] != self.groups[from] {
                continue;
            }
            self.packets += 1;
            if self.below(100) < self.net.loss_percent {
                continue;
            }
            let copies = 1 + u64::from(self.below(100) < self.net.repeat_percent);
            for _ in 0..copies {
                let (least, most) = self.net.delay_ms;
                let at = self.now + least + self.below(most - least + 1);
                self.schedule(at, Event::Deliver { from, to: host, packet: packet.clone() });
            }
        }
    }

    fn deliver(&mut self, from: usize, host: usize, packet: Packet) {
        if self.hosts[host].driver.is_none() {
            return;
        }
        let node = self.hosts[from].node;
        match packet {
            // A driver stops when it sees its key used elsewhere; these are to lie on.
            Packet::Engine(bytes) if self.checker.excused.contains(&self.hosts[host].node) => {
                if !signed_by(self.hosts[host].node, &bytes) {
                    self.feed(host, Input::Message { from: node, bytes });
                }
            }
            Packet::Engine(bytes) => self.feed(host, Input::Message { from: node, bytes }),
            Packet::Block(height, block) => {
                // One for the next height may overtake the last vote of this one.
                self.hosts[host].blocks.insert(block);
                let valid = self.blocks[&block].valid;
                self.feed(host, Input::Verdict { height, block, valid });
            }
            Packet::Ask(height) => {
                if let Some(certificate) = self.hosts[host].decided(height) {
                    self.send(host, node, &Packet::Decided(certificate));
                }
            }
            Packet::Decided(certificate) => {
                let next = self.hosts[host].chain.len() as u64 + 1;
                if certificate.height == next {
                    self.hosts[host].synced += 1;
                    self.commit(host, certificate);
                    self.send(host, node, &Packet::Ask(next + 1));
                }
            }
        }
    }

    // ---- time ----

    /// Lets one event happen; false if none is left.
    pub(super) fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.queue.pop_first() else { return false };
        self.now = self.now.max(at);
        match event {
            Event::Deliver { from, to, packet } => self.deliver(from, to, packet),
            Event::Timer { host, life, timer } if self.hosts[host].life == life => {
                // One that was cleared fires all the same: the runtime may have been just about to hand it over.
                self.hosts[host].timers_fired += u64::from(!self.hosts[host].cleared.remove(&timer));
                self.feed(host, Input::Timer(timer));
            }
            Event::Timer { .. } => {}
            Event::Restart { host } => self.start(host),
        }
        true
    }

    /// Runs until `goal` holds or so much time has passed; gives whether it holds.
    pub(super) fn run_until(&mut self, within_ms: u64, goal: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + within_ms;
        loop {
            if goal(self) {
                return true;
            }
            match self.queue.first_key_value() {
                Some(((at, _), _)) if *at <= end => self.step(),
                _ => {
                    self.now = end;
                    return goal(self);
                }
            };
        }
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, ms: u64) {
        self.run_until(ms, |_| false);
    }

    /// Whether all running hosts have this height.
    pub(super) fn all_reached(&self, height: u64) -> bool {
        self.hosts.iter().filter(|h| h.driver.is_some()).all(|h| h.chain.len() as u64 >= height)
    }

    /// The status of a running host.
    pub(super) fn status(&self, host: usize) -> crate::consensus::Status {
        self.hosts[host].driver.as_ref().expect("a running host").status()
    }

    /// The status of all running hosts, and their heights.
    pub(super) fn statuses(&self) -> Vec<(usize, Option<crate::consensus::Status>)> {
        self.hosts.iter().map(|h| (h.chain.len(), h.driver.as_ref().map(Consensus::status))).collect()
    }

    /// Nothing that must never happen did.
    pub(super) fn check(&self, seed: u64) {
        assert!(self.checker.violations.is_empty(), "seed {seed}: {:?}", self.checker.violations);
    }

    /// How many effects a host has carried out.
    pub(super) fn effects_of(&self, host: usize) -> u64 {
        self.hosts[host].effects
    }
}

/// Whether a message carries a signature of this node.
fn signed_by(node: NodeId, bytes: &[u8]) -> bool {
    match ConsensusMessage::decode(bytes).expect("what a driver says is well formed") {
        ConsensusMessage::Vote(v) => v.vote.validator == node,
        ConsensusMessage::Proposal(p) => p.proposal.proposer == node,
        ConsensusMessage::Polka(c) => c.signatures.iter().any(|s| s.validator == node),
        ConsensusMessage::Round(c) => c.votes.iter().any(|v| v.validator == node),
    }
}

impl Host {
    fn new(key: u8) -> Self {
        use hospes_protocol::keys::Signer as _;
        Self {
            node: NodeId(keys::signer(key).verifying_key().id().0),
            key,
            driver: None,
            life: 0,
            faults: Faults::default(),
            wal: BTreeMap::new(),
            chain: Vec::new(),
            kept: BTreeSet::new(),
            blocks: BTreeSet::new(),
            cleared: BTreeSet::new(),
            effects: 0,
            crash_at: None,
            evidence: Evidence::default(),
            refused: Vec::new(),
            timers_fired: 0,
            helped: 0,
            synced: 0,
        }
    }

    fn persist(&mut self, height: u64, entries: &[WalEntry]) {
        let rows = self.wal.entry(height).or_default();
        for entry in entries {
            rows.push(entry.encode());
            self.kept.extend(entry.needs_block());
        }
    }

    /// Whether what it says of its own stands in the log of its disk.
    fn logged(&self, bytes: &[u8]) -> bool {
        let entry = match ConsensusMessage::decode(bytes).expect("what a driver says is well formed") {
            ConsensusMessage::Vote(vote) => (vote.vote.height, WalEntry::Vote(vote)),
            ConsensusMessage::Proposal(p) => (p.proposal.height, WalEntry::Proposal(p)),
            ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => return true,
        };
        self.wal.get(&entry.0).is_some_and(|rows| rows.contains(&entry.1.encode()))
    }

    fn decided(&self, height: u64) -> Option<CommitCertificate> {
        let index = usize::try_from(height.checked_sub(1)?).ok()?;
        self.chain.get(index).cloned()
    }

    fn keep(&mut self, evidence: Evidence) {
        self.evidence.votes.extend(evidence.votes);
        self.evidence.proposals.extend(evidence.proposals);
    }
}
