//! Starting the network side: its configuration, its handles, its errors, and the two forms of a node's name.
//!
//! Nothing here runs: [`spawn`] checks, binds the listeners and hands over to `swarm`. Called by `node`'s runtime.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{self, Swarm};
use libp2p::{Multiaddr, PeerId, noise};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::admission::AdmittedPeers;
use crate::api::{Command, Event};
use crate::behaviour::{self, Behaviour};
use crate::counters::Counters;
use crate::handshake::Handshake;
use crate::limits::{COMMAND_QUEUE, EVENT_QUEUE, HELLO_BYTES_MAX, Limits, REFUSAL_QUEUE};
use crate::swarm::Driver;

/// What a network side is started with.
pub struct NetConfig {
    /// The node's Ed25519 secret key (RFC 8032 seed), 32 bytes.
    pub key: Zeroizing<[u8; 32]>,
    /// Addresses to listen on; port 0 is allowed. None: a node that only dials.
    pub listen: Vec<Multiaddr>,
    /// The network id; a peer with another one is refused.
    pub network: [u8; 32],
    /// What peers are told after the network id, opaque, at most [`HELLO_BYTES_MAX`] bytes.
    pub hello: Vec<u8>,
    /// Who may connect at the start; see [`AdmittedPeers::replace`] and [`Command::Admit`].
    pub admitted: AdmittedPeers,
    /// Bounds.
    pub limits: Limits,
}

impl fmt::Debug for NetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetConfig")
            .field("listen", &self.listen)
            .field("key", &"redacted")
            .finish_non_exhaustive()
    }
}

/// A running network side. Dropping `commands` ends it, as [`Command::Shutdown`] does; `events` then ends too.
#[derive(Debug)]
pub struct Net {
    /// Where commands go.
    pub commands: mpsc::Sender<Command>,
    /// Where events come from. While they are not taken, nothing more is read from the network.
    pub events: mpsc::Receiver<Event>,
    /// This node's peer id.
    pub peer_id: PeerId,
    /// The admitted set, which may be replaced here or by [`Command::Admit`].
    pub admitted: AdmittedPeers,
    /// Totals for metrics.
    pub counters: Arc<Counters>,
}

/// Why the network side did not start.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The hello is too long.
    #[error("the hello has {0} bytes, more than {HELLO_BYTES_MAX}")]
    HelloTooLong(usize),
    /// The key is none.
    #[error("the node key is not an Ed25519 key")]
    Key,
    /// Noise could not be set up.
    #[error("the secure channel could not be set up: {0}")]
    Noise(#[from] noise::Error),
    /// Gossip could not be set up.
    #[error("gossip could not be set up: {0}")]
    Gossip(String),
    /// An address can't be listened on: in use, not ours, not TCP.
    #[error("cannot listen on {address}: {cause}; free the port or choose another with --p2p")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What the system said.
        cause: String,
    },
}

/// Starts the network side. Must be called inside a tokio runtime.
///
/// # Errors
/// [`NetError`]; then nothing was left running.
pub fn spawn(config: NetConfig) -> Result<Net, NetError> {
    if config.hello.len() > HELLO_BYTES_MAX {
        return Err(NetError::HelloTooLong(config.hello.len()));
    }
    let key = Keypair::ed25519_from_bytes(config.key.to_vec()).map_err(|_| NetError::Key)?;
    let peer_id = key.public().to_peer_id();
    let topic = behaviour::topic(&config.network);
    let (refused, refusals) = mpsc::channel(REFUSAL_QUEUE);
    let noise = noise::Config::new(&key)?;
    let handshake = Handshake::new(noise, config.admitted.clone(), config.network, &config.hello, refused);
    let behaviour = Behaviour::new(&key, &topic, config.admitted.clone(), &config.limits);
    let mut swarm = Swarm::new(
        behaviour::transport(handshake, &config.limits),
        behaviour.map_err(NetError::Gossip)?,
        peer_id,
        swarm::Config::with_tokio_executor().with_idle_connection_timeout(Duration::from_secs(60)),
    );
    for address in config.listen {
        let failed = |cause: String| NetError::Listen { address: address.clone(), cause };
        probe(&address).map_err(|e| failed(e.to_string()))?;
        swarm.listen_on(address.clone()).map_err(|e| failed(e.to_string()))?;
    }
    let (commands, commanded) = mpsc::channel(COMMAND_QUEUE);
    let (events_out, events) = mpsc::channel(EVENT_QUEUE);
    let (admitted, counters) = (config.admitted, Arc::new(Counters::default()));
    let driver = Driver::new(swarm, topic, config.limits, admitted.clone(), Arc::clone(&counters));
    tokio::spawn(driver.run(commanded, events_out, refusals));
    Ok(Net { commands, events, peer_id, admitted, counters })
}

/// Fails if another socket listens on the address. libp2p binds with SO_REUSEPORT, so without this a second node
/// on the same port would start and silently get half of the connections.
fn probe(address: &Multiaddr) -> io::Result<()> {
    let mut parts = address.iter();
    let address: SocketAddr = match (parts.next(), parts.next()) {
        (Some(Protocol::Ip4(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        (Some(Protocol::Ip6(ip)), Some(Protocol::Tcp(port))) => (ip, port).into(),
        _ => return Ok(()),
    };
    TcpListener::bind(address).map(drop)
}

/// The peer id of a node with this Ed25519 public key; `None` if the bytes are no point of the curve.
#[must_use]
pub fn peer_id_of(public_key: &[u8; 32]) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(public_key).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The Ed25519 public key inside a peer id; `None` for a peer id of another kind of key.
#[must_use]
pub fn public_key_of(peer: &PeerId) -> Option<[u8; 32]> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(key.try_into_ed25519().ok()?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peer_id_and_public_key_are_two_forms_of_one_name() {
        let key = Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let public = key.public().try_into_ed25519().unwrap().to_bytes();
        let peer = key.public().to_peer_id();
        assert_eq!(peer_id_of(&public), Some(peer), "there");
        assert_eq!(public_key_of(&peer), Some(public), "and back");
        assert_eq!(public_key_of(&PeerId::random()), None, "a random peer id holds no key");
    }
}
