//! What the swarm is made of: TCP, handshake, yamux below; our streams, gossip, ping and limits above.
//!
//! No identify (it would tell every peer our addresses and version), no DHT, no DNS, no mDNS: peers and their
//! addresses come from the caller. Built once by `swarm`.

use libp2p::core::Transport as _;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::gossipsub::{
    self, ConfigBuilder, IdentTopic, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds,
    TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{PeerId, connection_limits, ping, tcp};
use sha2::{Digest, Sha256};

use crate::admission::AdmittedPeers;
use crate::handshake::Handshake;
use crate::limits::{GOSSIP_BYTES_MAX, GOSSIP_ENVELOPE_BYTES, Limits};
use crate::muxer::Yamux;
use crate::streams::Streams;

/// Gossip between the heartbeats of which a message must be judged; the rest of the timing is gossipsub's own.
const GOSSIP_HISTORY_HEARTBEATS: usize = 20;
/// Messages that wait for one subscriber; 16 MiB at worst.
const GOSSIP_QUEUE: usize = 256;

/// Gossip on one topic and no other.
pub(crate) type Gossip = gossipsub::Behaviour<gossipsub::IdentityTransform, WhitelistSubscriptionFilter>;

/// The parts, in the order in which they are asked about a connection: limits first.
#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    limits: connection_limits::Behaviour,
    pub(crate) streams: Streams,
    pub(crate) gossip: Gossip,
    ping: ping::Behaviour,
}

impl Behaviour {
    /// # Errors
    /// What gossipsub says about its configuration; none with the constants as they are.
    pub(crate) fn new(
        key: &Keypair,
        topic: &IdentTopic,
        admitted: AdmittedPeers,
        limits: &Limits,
    ) -> Result<Self, String> {
        let connections = connection_limits::ConnectionLimits::default()
            .with_max_pending_incoming(Some(limits.connections_pending))
            .with_max_established(Some(limits.connections_total))
            // One more, so that a peer that came back can replace a connection that died unnoticed.
            .with_max_established_per_peer(Some(limits.connections_per_peer + 1));
        let ping = ping::Config::new().with_interval(limits.ping_interval).with_timeout(limits.ping_interval);
        Ok(Self {
            limits: connection_limits::Behaviour::new(connections),
            streams: Streams::new(admitted, limits.connections_pending_per_address),
            gossip: gossip(key, topic)?,
            ping: ping::Behaviour::new(ping),
        })
    }
}

/// The topic of one network.
pub(crate) fn topic(network: &[u8; 32]) -> IdentTopic {
    use std::fmt::Write as _;
    let mut name = String::from("/hospes/headers/1/");
    for byte in network {
        write!(name, "{byte:02x}").expect("writing into a String does not fail");
    }
    IdentTopic::new(name)
}

/// Strictly signed messages, named by the hash of their data, passed on only after the caller's verdict. Scores
/// punish what the caller rejects; silence and shared addresses are no fault here (idle networks, hospitals
/// behind one address).
fn gossip(key: &Keypair, topic: &IdentTopic) -> Result<Gossip, String> {
    let config = ConfigBuilder::default()
        .protocol_id("/hospes/headers/1", gossipsub::Version::V1_1)
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .max_transmit_size(GOSSIP_BYTES_MAX + GOSSIP_ENVELOPE_BYTES)
        .message_id_fn(|message| MessageId::new(&Sha256::digest(&message.data)))
        .history_length(GOSSIP_HISTORY_HEARTBEATS)
        .connection_handler_queue_len(GOSSIP_QUEUE)
        .build()
        .map_err(|e| e.to_string())?;
    let filter = WhitelistSubscriptionFilter([topic.hash()].into());
    let mut gossip =
        Gossip::new_with_subscription_filter(MessageAuthenticity::Signed(key.clone()), config, filter)?;
    let topic_score = TopicScoreParams {
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        ..TopicScoreParams::default()
    };
    let score = PeerScoreParams {
        topics: [(topic.hash(), topic_score)].into(),
        ip_colocation_factor_weight: 0.0,
        ..PeerScoreParams::default()
    };
    gossip.with_peer_score(score, PeerScoreThresholds::default())?;
    gossip.subscribe(topic).map_err(|e| e.to_string())?;
    Ok(gossip)
}

/// TCP, then the handshake, then yamux, all within one time.
pub(crate) fn transport(handshake: Handshake, limits: &Limits) -> Boxed<(PeerId, StreamMuxerBox)> {
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1)
        .authenticate(handshake)
        .multiplex(Yamux::default())
        .timeout(limits.handshake_time_max)
        .boxed()
}
