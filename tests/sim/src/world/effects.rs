//! What services ask for, carried out over the lines, and what arrives, handed to services.

use hospes_protocol::check::{Blame, Check};
use hospes_protocol::ids::{NodeId, ObjectId};
use hospes_service::effects::{Effect, Event};
use hospes_storage::Objects;

use super::links::{Fate, Manner};
use super::{Due, Packet, REQUEST_MS, World};
use crate::plan::Trick;

/// Penalties after which a peer is cut, as the runtime has it; hostile acts count ten.
const SCORE_MAX: u32 = 30;
/// A connection whose stream lost something ends after so long, in milliseconds.
const TORN_MS: u64 = 1_000;
/// How long a peer stays cut, in milliseconds.
const BANNED_MS: u64 = 10_000;

impl World {
    /// Carries out what a node wants done.
    pub(crate) fn effects(&mut self, i: usize) {
        let Some(service) = self.nodes[i].service.as_mut() else { return };
        let effects = service.take_effects();
        for effect in effects {
            self.effect(i, effect);
        }
        self.arm(i);
    }

    fn effect(&mut self, i: usize, effect: Effect) {
        match effect {
            Effect::Gossip(bytes) => {
                for j in self.links.of(i) {
                    self.say(i, j, Packet::Gossip(bytes.clone()));
                }
            }
            Effect::Send { to, bytes } => {
                self.watch_said(i, &bytes);
                if let Some(j) = self.reached(i, &to) {
                    self.say(i, j, Packet::Channel(bytes));
                }
            }
            Effect::Request { id, to, bytes } => self.ask(i, id, &to, bytes),
            Effect::Respond { token, bytes } => {
                if let Some((to, id)) = self.nodes[i].tokens.remove(&token) {
                    self.say(i, to, Packet::Answer { id, bytes });
                }
            }
            Effect::Fetch { id, from, bytes } => self.fetch(i, id, &from, bytes),
            Effect::CancelFetch(id) => {
                self.nodes[i].fetching.remove(&id);
            }
            Effect::Serve { token, objects } => self.serve(i, token, &objects),
            Effect::Refuse { token, .. } => {
                self.coverage.refusals += 1;
                if let Some((to, id)) = self.nodes[i].tokens.remove(&token) {
                    self.say(i, to, Packet::End { id, complete: false });
                }
            }
            Effect::SetTimer { timer, at } => {
                self.nodes[i].timers.insert(timer, at);
            }
            Effect::ClearTimer(timer) => {
                self.nodes[i].timers.remove(&timer);
            }
            Effect::Admit(members) => {
                self.nodes[i].admits = members.iter().map(|m| m.node).collect();
                self.due(self.now, Due::Relink);
            }
            Effect::Blame { node, check } => self.blame(i, &node, check),
            Effect::Event(event) => self.happened(i, &event),
        }
    }

    fn happened(&mut self, i: usize, event: &Event) {
        match event {
            Event::BlockCommitted { height, .. } => self.watch_committed(i, *height),
            Event::Finalised { headers, .. } => self.note_finalised(i, headers),
            Event::DiskFull(true) => self.coverage.fault("full disk"),
            Event::LockClosed(_) | Event::BodyKept { .. } => self.watch.look_at(i),
            _ => {}
        }
    }

    fn blame(&mut self, i: usize, node: &NodeId, check: Check) {
        let Some(j) = self.reached(i, node) else { return };
        let score = self.scores.entry((i, j)).or_default();
        *score += if check.blame() == Blame::Hostile { 10 } else { 1 };
        if *score >= SCORE_MAX {
            self.scores.remove(&(i, j));
            self.links.ban(i, j, self.now + BANNED_MS);
            self.tell(format!("node {i} cuts node {j} off: {}", check.text()));
            self.due(self.now, Due::Relink);
            self.due(self.now + BANNED_MS, Due::Relink);
        }
    }

    /// Sends over a link, as its line and the sender's honesty allow.
    pub(crate) fn say(&mut self, from: usize, to: usize, packet: Packet) {
        for packet in self.twist(from, packet) {
            self.put_on_line(from, to, packet);
        }
    }

    pub(crate) fn put_on_line(&mut self, from: usize, to: usize, packet: Packet) {
        let Some(life) = self.links.life(from, to) else { return };
        let (bytes, manner) = match &packet {
            Packet::Gossip(b) | Packet::Channel(b) => (b.len(), Manner::Datagram),
            Packet::Request { bytes, .. } | Packet::Answer { bytes, .. } => (bytes.len(), Manner::Once),
            Packet::ObjectRequest { bytes, .. } | Packet::Frame { bytes, .. } => {
                (bytes.len(), Manner::Stream)
            }
            Packet::End { .. } => (16, Manner::Stream),
        };
        match self.links.fate((from, to), self.now, bytes as u64, manner) {
            Fate::Lost if self.links.is_torn(from, to) => {
                self.due(self.now + TORN_MS, Due::Break { a: from, b: to, life });
            }
            Fate::Lost => {}
            Fate::Arrives(at, twice) => {
                if let Some((at, copy)) = twice.zip(packet.again()) {
                    self.due(at, Due::Packet { from, to, life, packet: copy });
                }
                self.due(at, Due::Packet { from, to, life, packet });
            }
        }
    }

    fn ask(&mut self, i: usize, id: u64, to: &NodeId, bytes: Vec<u8>) {
        let lives = self.nodes[i].lives;
        match self.reached(i, to) {
            Some(j) => {
                self.nodes[i].asked.insert(id, j);
                self.due(self.now + REQUEST_MS, Due::Expire { node: i, id, lives });
                self.say(i, j, Packet::Request { id, bytes });
            }
            None => {
                // As the runtime: a peer that is gone answers nothing, at once.
                let gone = self.nodes.iter().position(|node| node.id == *to).unwrap_or(i);
                self.nodes[i].asked.insert(id, gone);
                self.due(self.now + 1, Due::Expire { node: i, id, lives });
            }
        }
    }

    fn fetch(&mut self, i: usize, id: u64, from: &NodeId, bytes: Vec<u8>) {
        match self.reached(i, from) {
            Some(j) => {
                self.nodes[i].fetching.insert(id, j);
                self.say(i, j, Packet::ObjectRequest { id, bytes });
            }
            None => {
                self.input(i, |s| s.on_object_end(id, false));
            }
        }
    }

    fn serve(&mut self, i: usize, token: u64, objects: &[ObjectId]) {
        let Some((to, id)) = self.nodes[i].tokens.remove(&token) else { return };
        let Some(store) = self.nodes[i].store.clone() else { return };
        if self.nodes[i].trick == Some(Trick::Withholding) {
            return self.say(i, to, Packet::End { id, complete: false });
        }
        let rotten = self.nodes[i].rotten;
        for object in objects {
            match super::braced(rotten, || Ok(store.object(object)?)) {
                Ok(Some(bytes)) => self.say(i, to, Packet::Frame { id, bytes }),
                // Damaged or dropped meanwhile: the stream ends early.
                _ => return self.say(i, to, Packet::End { id, complete: false }),
            }
        }
        self.say(i, to, Packet::End { id, complete: true });
    }

    /// Hands what arrived to a node.
    pub(crate) fn deliver(&mut self, from: usize, to: usize, packet: Packet) {
        self.coverage.messages += 1;
        let peer = self.nodes[from].id;
        self.next_token += 1;
        let token = self.next_token;
        match packet {
            Packet::Gossip(bytes) => drop(self.input(to, |s| s.on_gossip(peer, &bytes))),
            Packet::Channel(bytes) => {
                self.agree(to, &bytes);
                self.input(to, |s| s.on_channel(peer, &bytes));
            }
            Packet::Request { id, bytes } => {
                self.nodes[to].tokens.insert(token, (from, id));
                self.input(to, |s| s.on_request(peer, token, &bytes));
            }
            Packet::Answer { id, bytes } => {
                if self.nodes[to].asked.remove(&id).is_some() {
                    self.input(to, |s| s.on_response(peer, id, Some(&bytes)));
                }
            }
            Packet::ObjectRequest { id, bytes } => {
                self.nodes[to].tokens.insert(token, (from, id));
                self.input(to, |s| s.on_object_request(peer, token, &bytes));
            }
            Packet::Frame { id, bytes } => {
                if self.nodes[to].fetching.contains_key(&id) {
                    self.input(to, |s| s.on_object_frame(id, &bytes));
                }
            }
            Packet::End { id, complete } => {
                if self.nodes[to].fetching.remove(&id).is_some() {
                    self.input(to, |s| s.on_object_end(id, complete));
                }
            }
        }
        self.watch_step(to);
    }
}

impl Packet {
    /// A second copy of a message that may come twice.
    pub(crate) fn again(&self) -> Option<Self> {
        match self {
            Self::Gossip(bytes) => Some(Self::Gossip(bytes.clone())),
            Self::Channel(bytes) => Some(Self::Channel(bytes.clone())),
            Self::Request { id, bytes } => Some(Self::Request { id: *id, bytes: bytes.clone() }),
            _ => None,
        }
    }
}
