//! Catching up: on every connection both sides say how far they are, and each fetches what it lacks.
//!
//! Headers come in runs, certified blocks in pages. What a peer claims is never believed: a claimed height
//! only makes us ask, and an answer that brings nothing ends the asking until the peer says more.

use std::collections::BTreeMap;

use hospes_protocol::block::CommitCertificate;
use hospes_protocol::check::Rejected;
use hospes_protocol::entry::is_control;
use hospes_protocol::ids::NodeId;
use hospes_protocol::limits::GOSSIP_BYTES_MAX;
use hospes_protocol::mutant;
use hospes_protocol::state::Frontier;
use hospes_protocol::wire::{Bytes, Wire};

use crate::chain::Taken;
use crate::effects::{Effect, Event, Timer};
use crate::messages::{self, Answer, BlockItem, Gossip, HeaderItem, HeaderRun, Position, Request, page};
use crate::service::{Fatal, Service};

/// Headers in one answer, at most.
pub(crate) const HEADERS_PAGE: usize = 2000;
/// Blocks in one answer, at most.
pub(crate) const BLOCKS_PAGE: usize = 64;
/// Runs that one request may name.
const RUNS_MAX: usize = 1024;
/// Room in a gossip message for what gossip itself adds, in bytes.
pub(crate) const GOSSIP_RESERVE: usize = 1024;
/// How often peers are asked where they are, in milliseconds; news normally comes by gossip.
pub(crate) const UPKEEP_MS: u64 = 2_000;
/// How often while nothing happens, at last, in milliseconds: an idle node costs next to nothing.
const UPKEEP_MS_MAX: u64 = 30_000;
/// Rounds without anything new before they become rarer.
const CALM_ROUNDS: u32 = 3;
/// Peers that are asked where they are at a time, in turn, so that none that is silent or lies is the only one asked.
const POSITIONS_AT_ONCE: usize = 2;
/// How long one peer's page of blocks is waited for before another is asked too, in milliseconds.
pub(crate) const BLOCKS_PATIENCE_MS: u64 = 5_000;

/// What is known of a connected peer.
#[derive(Default)]
pub(crate) struct Peer {
    /// The height that it claims.
    pub(crate) height: u64,
    /// Headers that it says it has.
    pub(crate) heads: BTreeMap<NodeId, u64>,
}

/// A request of ours that is under way.
pub(crate) enum Asked {
    /// Where a peer is.
    Position {
        /// Which.
        peer: NodeId,
    },
    /// Runs of headers.
    Headers {
        /// Of whom.
        peer: NodeId,
    },
    /// Blocks from a height on.
    Blocks {
        /// Of whom.
        peer: NodeId,
        /// When, in milliseconds since 1970 UTC.
        at: u64,
    },
    /// What leads to a state of its.
    Away {
        /// Of whom.
        peer: NodeId,
    },
    /// Old blocks, or their headers.
    History {
        /// Of whom.
        peer: NodeId,
    },
    /// Bodies that it should hold.
    Offer,
    /// Bodies that it lacked, by content.
    Deliver(Vec<hospes_protocol::ids::ContentId>),
    /// Bodies of a patient who is signed in here.
    Collect,
    /// So many orders.
    Orders(usize),
    /// Receipts.
    Receipts(Vec<(hospes_protocol::ids::ObjectId, [u8; 32])>),
    /// Shares of break-glass, by their names in the queue.
    Shares(Vec<Bytes>),
    /// Packets of the organization's key.
    Packets {
        /// Of whom.
        peer: NodeId,
        /// The row of the last of them.
        last: hospes_storage::SealedKey,
    },
    /// K of patients.
    SubjectKeys {
        /// Of whom.
        peer: NodeId,
        /// The row of the last of them.
        last: hospes_storage::SealedKey,
    },
}

impl Service {
    /// A peer is connected, both hellos passed.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_connected(&mut self, peer: NodeId) -> Result<(), Fatal> {
        self.peers.insert(peer, Peer::default());
        self.stirred.set(true);
        self.event(Event::Peer { node: peer, connected: true });
        self.writing(|service| service.greet(peer)).map(drop)
    }

    /// Asks a connected peer where it is, and sends it what it is owed.
    pub(crate) fn greet(&mut self, peer: NodeId) -> Result<(), Fatal> {
        self.ask_position(peer);
        self.engine_peer_connected(peer)?;
        self.owe_peer(peer)
    }

    /// A peer is gone; what was asked of it is not answered any more.
    pub fn on_disconnected(&mut self, peer: NodeId) {
        self.peers.remove(&peer);
        self.forget_asked(&peer);
        self.away_unanswered(&peer);
        self.drop_page_of(&peer);
        self.event(Event::Peer { node: peer, connected: false });
        if !self.is_read_only() {
            self.peer_gone(peer);
        }
    }

    /// How many peers are connected.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Whether a node is connected.
    #[must_use]
    pub fn is_connected(&self, node: &NodeId) -> bool {
        self.peers.contains_key(node)
    }

    /// How far this node is.
    pub(crate) fn position(&self) -> Position {
        let head = |(node, (sequence, last)): (&NodeId, &(u64, _))| Frontier {
            node: *node,
            sequence: *sequence,
            last: *last,
        };
        Position {
            height: self.state.height,
            block: self.state.block,
            frontiers: self.pool.heads().map(head).collect(),
        }
    }

    pub(crate) fn on_position_asked(&mut self, from: NodeId, theirs: &Position) -> Position {
        let ours = self.position();
        self.compare(from, theirs);
        ours
    }

    /// Fetches what the peer has beyond us.
    fn compare(&mut self, from: NodeId, theirs: &Position) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.height = theirs.height;
        peer.heads = theirs.frontiers.iter().map(|f| (f.node, f.sequence)).collect();
        self.fetch_beyond(from);
    }

    /// Blocks come first, and the headers that they order with them; whatever else waits at the peer then comes in
    /// the order of nodes, and must not take the room of what the next block needs.
    pub(crate) fn fetch_beyond(&mut self, from: NodeId) {
        if self.is_behind(&from) {
            self.ask_blocks(from);
        } else {
            self.ask_lacking(from);
        }
    }

    fn is_behind(&self, peer: &NodeId) -> bool {
        self.peers.get(peer).is_some_and(|peer| peer.height > self.state.height)
    }

    fn ask_lacking(&mut self, from: NodeId) {
        let Some(peer) = self.peers.get(&from) else { return };
        let lacking = |(node, theirs): (&NodeId, &u64)| {
            let ours = self.pool.head(node).0;
            let member = self.state.membership.nodes.contains_key(node);
            (member && *theirs > ours).then_some(HeaderRun { node: *node, from: ours + 1, to: *theirs })
        };
        let runs: Vec<_> = peer.heads.iter().filter_map(lacking).take(RUNS_MAX).collect();
        self.ask_headers(from, runs);
    }

    fn ask_blocks(&mut self, from: NodeId) {
        if self.is_approaching() || self.is_far_behind(&from) {
            return;
        }
        let now = self.now;
        let waits = |asked: &Asked| matches!(asked, Asked::Blocks { peer, at } if *peer == from || now < at + BLOCKS_PATIENCE_MS);
        if !self.has_page() && !self.asked.values().any(waits) {
            let next = self.state.height + 1;
            self.ask(from, &Request::Blocks(next), Asked::Blocks { peer: from, at: now });
        }
    }

    fn ask_position(&mut self, peer: NodeId) {
        let position = self.position();
        self.ask(peer, &Request::Position(position), Asked::Position { peer });
    }

    /// A peer is seen to be at `height`.
    pub(crate) fn note_height(&mut self, from: NodeId, height: u64) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.height = peer.height.max(height);
        if height > self.state.height {
            self.ask_blocks(from);
        }
    }

    pub(crate) fn on_decided_elsewhere(
        &mut self,
        from: NodeId,
        certificate: CommitCertificate,
        block: Option<Bytes>,
    ) -> Result<Option<Rejected>, Fatal> {
        let height = certificate.height;
        if height <= self.state.height {
            return Ok(None);
        }
        if let (true, Some(block)) = (height == self.state.height + 1, block) {
            match self.take_certified(&block, &certificate)? {
                Ok(Taken::Committed) => {}
                Ok(Taken::Lacks(runs)) => {
                    self.ask_headers(from, runs);
                }
                Err(rejected) => return Ok(Some(rejected)),
            }
        }
        self.note_height(from, height);
        Ok(None)
    }

    pub(crate) fn header_page(&self, runs: &[HeaderRun]) -> Result<Vec<HeaderItem>, Fatal> {
        let mut rows = Vec::new();
        for run in runs.iter().take(RUNS_MAX) {
            let room = HEADERS_PAGE - rows.len();
            let to = run.to.min(run.from.saturating_add(room as u64).saturating_sub(1));
            rows.extend(self.ledger.headers(&run.node, run.from, to)?);
            if rows.len() >= HEADERS_PAGE {
                break;
            }
        }
        page(rows.into_iter().map(|row| self.header_item(row)), HEADERS_PAGE)
    }

    pub(crate) fn header_item(&self, row: Vec<u8>) -> Result<HeaderItem, Fatal> {
        let header =
            hospes_protocol::entry::Header::read(&row, &self.network).map_err(Fatal::Contradiction)?;
        let fields = header.fields();
        let control = match is_control(fields.kind) {
            true => self.ledger.control_body(&fields.content)?.map(Bytes),
            false => None,
        };
        Ok(HeaderItem { header: Bytes(row), control })
    }

    pub(crate) fn block_page(&self, from: u64) -> Result<Vec<BlockItem>, Fatal> {
        let read = |height| {
            let block = self.ledger.block(height).map_err(Fatal::from).transpose()?;
            Some(block.map(|(block, certificate)| BlockItem { block: Bytes(block), certificate }))
        };
        page((from.max(1)..=self.state.height).map_while(read), BLOCKS_PAGE)
    }

    /// An answer to one of our requests, or null where it failed.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_response(&mut self, from: NodeId, id: u64, bytes: Option<&[u8]>) -> Result<(), Fatal> {
        self.writing(|service| service.take_response(from, id, bytes)).map(drop)
    }

    fn take_response(&mut self, from: NodeId, id: u64, bytes: Option<&[u8]>) -> Result<(), Fatal> {
        let Some(asked) = self.asked.remove(&id) else { return Ok(()) };
        let Some(bytes) = bytes else { return self.unanswered(from, asked) };
        let answer = match messages::read(bytes) {
            Ok(answer) => answer,
            Err(rejected) => {
                self.judge_peer(from, Some(rejected));
                return self.unanswered(from, asked);
            }
        };
        match (asked, answer) {
            (Asked::Position { .. }, Answer::Position(theirs)) => {
                self.compare(from, &theirs);
                Ok(())
            }
            (Asked::Headers { .. }, Answer::Headers(items)) => self.on_header_page(from, items),
            (Asked::Blocks { .. }, Answer::Blocks(items)) => {
                self.on_block_page(from, items);
                Ok(())
            }
            (Asked::Away { .. }, answer) => self.on_away_answer(from, answer),
            (Asked::History { .. }, answer) => self.on_history_answer(from, answer),
            (asked, answer) => self.on_record_answer(from, asked, answer),
        }
    }

    fn unanswered(&mut self, from: NodeId, asked: Asked) -> Result<(), Fatal> {
        match asked {
            Asked::Away { peer } => self.away_unanswered(&peer),
            Asked::History { peer } => self.history_unanswered(peer),
            Asked::Headers { peer } => self.drop_page_of(&peer),
            asked => self.on_unanswered(from, asked)?,
        }
        Ok(())
    }

    fn on_header_page(&mut self, from: NodeId, items: Vec<HeaderItem>) -> Result<(), Fatal> {
        let before = self.pool.len();
        let wrong = self.on_headers(from, items)?;
        let hostile = wrong.filter(|r| r.check.blame() == hospes_protocol::check::Blame::Hostile);
        self.judge_peer(from, hostile);
        let grew = self.pool.len() > before;
        if grew && !self.has_page() {
            self.fetch_beyond(from);
        }
        self.follow_page(from, grew);
        Ok(())
    }

    /// Asks the next peers again where they are, and tells every peer what is still owed to it.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub(crate) fn upkeep(&mut self) -> Result<(), Fatal> {
        let peers: Vec<_> = self.peers.keys().copied().collect();
        for peer in self.next_to_ask(&peers) {
            self.last_asked = Some(peer);
            self.ask_position(peer);
        }
        self.emergency_turn()?;
        for peer in peers {
            self.owe_peer(peer)?;
        }
        self.hold_upkeep()?;
        self.file_anew()?;
        self.tell_forks()?;
        self.ceremonies_upkeep()?;
        self.away_upkeep()?;
        let behind = self.peers.values().any(|peer| peer.height > self.state.height);
        self.calm = if behind { 0 } else { self.calm.saturating_add(1) };
        self.next_upkeep();
        Ok(())
    }

    fn next_upkeep(&mut self) {
        if !mutant!(UpkeepEnds) {
            let doublings = self.calm.saturating_sub(CALM_ROUNDS).min(8);
            self.set_timer(Timer::Upkeep, self.now + (UPKEEP_MS << doublings).min(UPKEEP_MS_MAX));
        }
    }

    /// After an input that stored something or asked for something, upkeep is frequent again.
    pub(crate) fn stir(&mut self) {
        if self.stirred.take() {
            let slow = self.calm > CALM_ROUNDS;
            self.calm = 0;
            if slow {
                self.next_upkeep();
            }
        }
    }

    /// The peers after the one that was asked last, without those that have not answered.
    fn next_to_ask(&self, peers: &[NodeId]) -> Vec<NodeId> {
        let after = peers.partition_point(|peer| self.last_asked.is_some_and(|last| *peer <= last));
        let in_turn = peers[after..].iter().chain(&peers[..after]);
        let waits = |peer: &NodeId| {
            self.asked.values().any(|a| matches!(a, Asked::Position { peer: p } if p == peer))
        };
        in_turn.filter(|peer| !waits(peer)).take(POSITIONS_AT_ONCE).copied().collect()
    }

    /// Publishes headers of ours, in as many messages as their size takes.
    pub(crate) fn publish_headers(&mut self, items: Vec<HeaderItem>) {
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for item in items {
            let size = item.encode().len();
            if bytes + size > GOSSIP_BYTES_MAX - GOSSIP_RESERVE {
                self.emit(Effect::Gossip(Gossip::Headers(std::mem::take(&mut waiting)).encode()));
                bytes = 0;
            }
            bytes += size;
            waiting.push(item);
        }
        if !waiting.is_empty() {
            self.emit(Effect::Gossip(Gossip::Headers(waiting).encode()));
        }
    }
}
