//! What each command does.
//!
//! The other half of the loop: it acts on the swarm and the sessions and puts into the outbox what the caller must
//! hear at once. It waits for nothing. Called by `swarm` for each command.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Instant;

use libp2p::PeerId;
use libp2p::gossipsub::{self, MessageAcceptance};

use super::Driver;
use crate::api::{CallError, Command, DisconnectReason, Event, GossipId, Offence, Verdict};
use crate::counters::count;
use crate::limits::GOSSIP_BYTES_MAX;

impl Driver {
    /// Carries out one command; breaks on the last.
    pub(super) fn obey(&mut self, command: Command) -> ControlFlow<()> {
        match command {
            Command::Admit(peers) => self.admit(peers),
            // A set of all nodes holds our own; nobody dials himself.
            Command::Dial { peer, .. } if peer == *self.swarm.local_peer_id() => {}
            Command::Dial { peer, addrs } => {
                let connected = self.sessions.contains_key(&peer);
                self.redial.want(peer, addrs, connected, Instant::now());
            }
            Command::Forget(peer) => self.redial.forget(&peer),
            Command::Disconnect { peer, reason } => self.cut(&peer, DisconnectReason::Asked(reason)),
            Command::Penalise { peer, reason } => self.offend(&peer, Offence::Judged(reason)),
            Command::Publish(bytes) => self.publish(bytes),
            Command::Validate { message, verdict } => self.validate(&message, verdict),
            Command::Send { peer, bytes } => self.send(&peer, bytes),
            Command::Request { peer, id, bytes } => self.request(peer, id, bytes),
            Command::Respond { token, bytes } => self.respond(token, bytes),
            Command::Decline { token } => drop(self.answers.remove(&token)),
            Command::GetObjects { peer, id, request } => self.get_objects(peer, id, request),
            Command::CancelObjects { id } => {
                if self.transfers.close(id) {
                    self.outbox.push_back(Event::ObjectEnd { id, result: Err(CallError::Cancelled) });
                }
            }
            Command::Shutdown => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Replaces the set; those who left it are gone before this returns.
    fn admit(&mut self, peers: BTreeSet<PeerId>) {
        let now = Instant::now();
        for peer in peers.iter().filter(|p| !self.admitted.contains(p)) {
            self.redial.hurry(peer, now);
        }
        for peer in self.admitted.replace(peers) {
            self.cut(&peer, DisconnectReason::Removed);
        }
    }

    fn publish(&mut self, bytes: Vec<u8>) {
        let fits = bytes.len() <= GOSSIP_BYTES_MAX;
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        match fits.then(|| gossip.publish(self.topic.hash(), bytes)) {
            Some(Ok(_) | Err(gossipsub::PublishError::Duplicate)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "an announcement reached nobody");
                count(&self.shared.counters.gossip_unpublished);
            }
            None => {
                tracing::warn!("an announcement longer than {GOSSIP_BYTES_MAX} bytes was not sent");
                count(&self.shared.counters.gossip_unpublished);
            }
        }
    }

    fn validate(&mut self, message: &GossipId, verdict: Verdict) {
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Reject => MessageAcceptance::Reject,
            Verdict::Ignore => MessageAcceptance::Ignore,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(&message.message, &message.from, acceptance) {
            tracing::debug!("a verdict came after gossip had forgotten the message");
        }
    }

    fn send(&mut self, peer: &PeerId, bytes: Vec<u8>) {
        let fits = bytes.len() <= self.shared.limits.consensus_frame_bytes_max;
        match self.sessions.get_mut(peer) {
            Some(session) if fits => session.send(bytes),
            _ => count(&self.shared.counters.consensus_undelivered),
        }
    }

    fn request(&mut self, peer: PeerId, id: u64, bytes: Vec<u8>) {
        let begun = if bytes.len() > self.shared.limits.request_bytes_max {
            Err(CallError::TooLong)
        } else if let Some(session) = self.sessions.get_mut(&peer) {
            self.requests.open(id, peer, || session.ask(id, bytes))
        } else {
            Err(CallError::NotConnected)
        };
        if let Err(error) = begun {
            self.outbox.push_back(Event::Response { id, result: Err(error) });
        }
    }

    fn get_objects(&mut self, peer: PeerId, id: u64, request: Vec<u8>) {
        let begun = if request.len() > self.shared.limits.request_bytes_max {
            Err(CallError::TooLong)
        } else if let Some(session) = self.sessions.get_mut(&peer) {
            self.transfers.open(id, peer, || session.fetch(id, request))
        } else {
            Err(CallError::NotConnected)
        };
        if let Err(error) = begun {
            self.outbox.push_back(Event::ObjectEnd { id, result: Err(error) });
        }
    }

    /// An answer that is too long is a fault of ours; the peer sees a request declined.
    fn respond(&mut self, token: u64, bytes: Vec<u8>) {
        let Some(reply) = self.answers.remove(&token) else { return };
        if bytes.len() > self.shared.limits.answer_bytes_max {
            tracing::error!(bytes = bytes.len(), "an answer is longer than allowed and was not sent");
        } else if reply.send(bytes).is_err() {
            tracing::debug!("an answer came after its requester had gone");
        }
    }
}
