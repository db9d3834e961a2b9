//! The loop: commands in, events out, the swarm between.
//!
//! Commands are always taken; the network is read only while the caller keeps up with its events, so a caller
//! that waits for room in the command queue can't be waiting for this loop. It interprets no payload. Started by
//! `config::spawn`; stream tasks report to it through their `link`; what commands do stands in `commands`.

mod commands;

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use libp2p::gossipsub::{self, IdentTopic};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, Swarm, SwarmEvent};
use libp2p::{Multiaddr, PeerId, ping};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::admission::AdmittedPeers;
use crate::api::{CallError, Command, DisconnectReason, Event, GossipId, Offence};
use crate::behaviour::{Behaviour, BehaviourEvent};
use crate::bucket::TokenBucket;
use crate::calls::Calls;
use crate::counters::{Counters, count};
use crate::handshake::Refusal;
use crate::limits::{
    GOSSIP_BYTES_MAX, Limits, OUTBOX_HIGH, REFUSALS_PER_SECOND, REPORT_QUEUE, REQUESTS_SERVED_TOTAL,
};
use crate::link::{Link, SessionId, What};
use crate::redial::Redial;
use crate::session::{Session, Shared};
use crate::streams::{Accepted, Open};

/// Everything that the loop owns.
pub(crate) struct Driver {
    swarm: Swarm<Behaviour>,
    topic: IdentTopic,
    admitted: AdmittedPeers,
    shared: Shared,
    sessions: BTreeMap<PeerId, Session>,
    sessions_begun: u64,
    requests: Calls,
    transfers: Calls,
    answers: BTreeMap<u64, oneshot::Sender<Vec<u8>>>,
    answers_asked: u64,
    redial: Redial,
    refusals: TokenBucket,
    outbox: VecDeque<Event>,
    reports: mpsc::Sender<(SessionId, What)>,
    reported: mpsc::Receiver<(SessionId, What)>,
    opens: mpsc::Sender<(SessionId, Open)>,
    opened: mpsc::Receiver<(SessionId, Open)>,
}

impl Driver {
    pub(crate) fn new(
        swarm: Swarm<Behaviour>,
        topic: IdentTopic,
        limits: Limits,
        admitted: AdmittedPeers,
        counters: Arc<Counters>,
    ) -> Self {
        let (reports, reported) = mpsc::channel(REPORT_QUEUE);
        let (opens, opened) = mpsc::channel(REPORT_QUEUE);
        let redial = Redial::new(limits.redial_first, limits.redial_max, seed_of(swarm.local_peer_id()));
        let serving = Arc::new(Semaphore::new(REQUESTS_SERVED_TOTAL));
        Self {
            swarm,
            topic,
            admitted,
            shared: Shared { limits: Arc::new(limits), counters, serving },
            sessions: BTreeMap::new(),
            sessions_begun: 0,
            requests: Calls::default(),
            transfers: Calls::default(),
            answers: BTreeMap::new(),
            answers_asked: 0,
            redial,
            refusals: TokenBucket::new(REFUSALS_PER_SECOND, REFUSALS_PER_SECOND, Instant::now()),
            outbox: VecDeque::new(),
            reports,
            reported,
            opens,
            opened,
        }
    }

    /// Runs until the caller shuts down or drops a handle. What is open then is dropped, and so closed.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
        mut refusals: mpsc::Receiver<(PeerId, Refusal)>,
    ) {
        let ping_interval = self.shared.limits.ping_interval;
        let mut listen_closely = tokio::time::interval(ping_interval / 2);
        listen_closely.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lagged_at = Instant::now();
        loop {
            let keeps_up = self.outbox.len() < OUTBOX_HIGH;
            let redial_at = self.redial.next(|peer| self.admitted.contains(peer));
            let dial = tokio::time::sleep_until(redial_at.unwrap_or_else(Instant::now).into());
            tokio::select! {
                command = commands.recv() => match command.map(|c| self.obey(c)) {
                    Some(ControlFlow::Continue(())) => {}
                    Some(ControlFlow::Break(())) | None => break,
                },
                permit = events.reserve(), if !self.outbox.is_empty() => match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send(event),
                    _ => break,
                },
                Some((session, open)) = self.opened.recv() => self.open(session, open),
                Some((session, what)) = self.reported.recv(), if keeps_up => self.hear(session, what),
                Some((peer, reason)) = refusals.recv(), if keeps_up => self.refused(peer, reason),
                event = self.swarm.select_next_some(), if keeps_up => self.swarm_event(event),
                () = dial, if redial_at.is_some() => self.dial(),
                // While the caller lags, silence may be ours.
                _ = listen_closely.tick() => if lagged_at.elapsed() > 2 * ping_interval {
                    self.admitted.cut_silent(Instant::now(), 2 * ping_interval);
                },
            }
            if !keeps_up {
                lagged_at = Instant::now();
            }
        }
    }

    fn open(&mut self, id: SessionId, open: Open) {
        let session = self.sessions.get(&id.peer).filter(|s| s.link.session == id);
        if let Some(connection) = session.and_then(|s| s.connections.first()) {
            self.swarm.behaviour_mut().streams.open(id.peer, *connection, open);
        }
    }

    /// A report of a stream task, unless the session that it belongs to has ended.
    fn hear(&mut self, id: SessionId, what: What) {
        let from = id.peer;
        let Some(session) = self.sessions.get_mut(&from).filter(|s| s.link.session == id) else { return };
        let is_message =
            matches!(what, What::Message(_) | What::Request { .. } | What::ObjectRequested { .. });
        if is_message && !session.allows_message(Instant::now()) {
            return self.offend(&from, Offence::RateExceeded);
        }
        match what {
            What::Message(bytes) => self.outbox.push_back(Event::Message { from, bytes }),
            What::Request { request, reply } => self.requested(from, request, reply),
            What::ObjectRequested { request, sink } => {
                self.outbox.push_back(Event::ObjectRequested { from, request, sink });
            }
            What::ObjectData { id, frame } if self.transfers.is_open(id, &from) => {
                self.outbox.push_back(Event::ObjectData { id, frame });
            }
            What::ObjectData { .. } => {}
            What::Answered { id, result } => {
                let offence = offence_in(&result);
                if self.requests.close(id) {
                    self.outbox.push_back(Event::Response { id, result });
                }
                offence.into_iter().for_each(|offence| self.offend(&from, offence));
            }
            What::ObjectEnd { id, result } => {
                let offence = offence_in(&result);
                if self.transfers.close(id) {
                    self.outbox.push_back(Event::ObjectEnd { id, result });
                }
                offence.into_iter().for_each(|offence| self.offend(&from, offence));
            }
            What::Offence(offence) => self.offend(&from, offence),
        }
    }

    fn requested(&mut self, from: PeerId, bytes: Vec<u8>, reply: oneshot::Sender<Vec<u8>>) {
        self.answers.retain(|_, open| !open.is_closed());
        self.answers_asked += 1;
        let token = self.answers_asked;
        self.answers.insert(token, reply);
        self.outbox.push_back(Event::Request { from, token, bytes });
    }

    fn refused(&mut self, peer: PeerId, reason: Refusal) {
        count(&self.shared.counters.refusals);
        if self.refusals.take(Instant::now()) {
            self.outbox.push_back(Event::Refused { peer, reason });
        }
    }

    fn swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::NewListenAddr { address, .. } => self.outbox.push_back(Event::Listening(address)),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                self.closed(&peer_id, connection_id);
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.dial_failed(peer, &error);
            }
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(%error, "an inbound handshake failed");
                count(&self.shared.counters.handshakes_failed);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "a listener reports an error"),
            SwarmEvent::ListenerClosed { reason, .. } => tracing::error!(?reason, "a listener closed"),
            SwarmEvent::Behaviour(BehaviourEvent::Streams(accepted)) => self.accepted(accepted),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, result: Err(error), .. })) => {
                tracing::debug!(%peer, %error, "a ping failed");
            }
            _ => {}
        }
    }

    /// A handshake passed. The set may have changed since, and then the connection goes.
    fn connected(&mut self, peer: PeerId, connection: ConnectionId) {
        count(&self.shared.counters.connections_established);
        let now = Instant::now();
        let hello = match self.admitted.hello(&peer) {
            Some(hello) if self.admitted.contains(&peer) => hello,
            _ => {
                self.redial.failed(&peer, now);
                return self.cut(&peer, DisconnectReason::Removed);
            }
        };
        match self.sessions.get_mut(&peer) {
            Some(session) if session.is_young(now) => self.join(peer, connection),
            Some(session) => {
                let dead = std::mem::take(&mut session.connections);
                dead.into_iter().for_each(|c| {
                    self.swarm.close_connection(c);
                });
                self.end(&peer, DisconnectReason::Lost);
                self.begin(peer, connection, hello, now);
            }
            None => self.begin(peer, connection, hello, now),
        }
    }

    fn begin(&mut self, peer: PeerId, connection: ConnectionId, hello: Vec<u8>, now: Instant) {
        self.redial.connected(&peer, now);
        self.sessions_begun += 1;
        let session = SessionId { peer, number: self.sessions_begun };
        let link = Link { session, reports: self.reports.clone(), opens: self.opens.clone() };
        self.sessions.insert(peer, Session::new(link, self.shared.clone(), connection, now));
        self.outbox.push_back(Event::Connected { peer, hello });
    }

    /// Another connection of a young session: both sides dialled. Beyond the limit the oldest goes.
    fn join(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(&peer) else { return };
        session.connections.push(connection);
        if session.connections.len() > self.shared.limits.connections_per_peer as usize {
            self.swarm.close_connection(session.connections.remove(0));
        }
    }

    fn closed(&mut self, peer: &PeerId, connection: ConnectionId) {
        let Some(session) = self.sessions.get_mut(peer) else { return };
        session.connections.retain(|c| *c != connection);
        if session.connections.is_empty() {
            let admitted = self.admitted.contains(peer);
            self.end(peer, if admitted { DisconnectReason::Lost } else { DisconnectReason::Removed });
        }
    }

    fn accepted(&mut self, Accepted { peer, connection, channel, stream }: Accepted) {
        if let Some(session) = self.sessions.get_mut(&peer).filter(|s| s.connections.contains(&connection)) {
            session.accept(channel, stream);
        }
    }

    fn gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source: from, message_id, message } => {
                let Some(session) = self.sessions.get_mut(&from) else { return };
                if !session.allows_message(Instant::now()) {
                    return self.offend(&from, Offence::RateExceeded);
                }
                if message.data.len() > GOSSIP_BYTES_MAX {
                    let announced = message.data.len();
                    return self.offend(&from, Offence::Oversized { announced, max: GOSSIP_BYTES_MAX });
                }
                let name = GossipId { message: message_id, from };
                self.outbox.push_back(Event::Gossip { from, message: name, bytes: message.data });
            }
            gossipsub::Event::Subscribed { peer_id, .. } if self.sessions.contains_key(&peer_id) => {
                self.outbox.push_back(Event::Subscribed(peer_id));
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => tracing::debug!(peer = %peer_id, "gossip is slow"),
            _ => {}
        }
    }

    /// Dials every wanted peer that is due and may be dialled. From a port of its own: with the listening port,
    /// two nodes that dial each other at once would open one TCP connection that both believe to have dialled.
    fn dial(&mut self) {
        for (peer, addrs) in self.redial.due(Instant::now(), |peer| self.admitted.contains(peer)) {
            match self.swarm.dial(dial_opts(peer, addrs)) {
                Ok(()) => {}
                // A connection that was cut has not quite closed.
                Err(DialError::DialPeerConditionFalse(_)) => self.redial.failed(&peer, Instant::now()),
                Err(error) => self.dial_failed(peer, &error),
            }
        }
    }

    fn dial_failed(&mut self, peer: PeerId, error: &DialError) {
        self.redial.failed(&peer, Instant::now());
        self.outbox.push_back(Event::DialFailed { peer, error: error.to_string() });
    }

    /// A broken rule: out, for a while.
    fn offend(&mut self, peer: &PeerId, offence: Offence) {
        tracing::warn!(%peer, %offence, "a peer broke a rule");
        count(&self.shared.counters.offences);
        self.admitted.penalise(peer, Instant::now(), self.shared.limits.penalty_first);
        self.cut(peer, DisconnectReason::Offence(offence));
    }

    /// Ends all sockets and the session, without waiting for the peer.
    fn cut(&mut self, peer: &PeerId, reason: DisconnectReason) {
        self.admitted.cut(peer);
        let _was_connected = self.swarm.disconnect_peer_id(*peer);
        self.end(peer, reason);
    }

    /// Ends the session: its tasks stop, its calls get their end, then the caller hears of it.
    fn end(&mut self, peer: &PeerId, reason: DisconnectReason) {
        if self.sessions.remove(peer).is_none() {
            return;
        }
        self.redial.disconnected(peer, Instant::now());
        for id in self.requests.close_all(peer) {
            self.outbox.push_back(Event::Response { id, result: Err(CallError::Disconnected) });
        }
        for id in self.transfers.close_all(peer) {
            self.outbox.push_back(Event::ObjectEnd { id, result: Err(CallError::Disconnected) });
        }
        self.outbox.push_back(Event::Disconnected { peer: *peer, reason });
    }
}

fn dial_opts(peer: PeerId, addrs: Vec<Multiaddr>) -> DialOpts {
    DialOpts::peer_id(peer)
        .addresses(addrs)
        .condition(PeerCondition::DisconnectedAndNotDialing)
        .allocate_new_port()
        .build()
}

fn offence_in<T>(result: &Result<T, CallError>) -> Option<Offence> {
    match result {
        Err(CallError::Offence(offence)) => Some(offence.clone()),
        _ => None,
    }
}

/// The nodes of a network differ in their ids, so they differ in their jitter.
fn seed_of(peer: &PeerId) -> u64 {
    peer.to_bytes().iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
