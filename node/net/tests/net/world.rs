//! Named nodes and how to wait for what they see.
//!
//! It asserts nothing about behaviour; the tests do.

use std::collections::BTreeSet;
use std::time::Duration;

use hospes_net::{AdmittedPeers, Command, Event, Limits, Multiaddr, Net, NetConfig, PeerId, spawn};
use libp2p::identity::Keypair;
use zeroize::Zeroizing;

/// Long enough for a busy machine; no test that passes waits this long.
const WAIT_MAX: Duration = Duration::from_secs(60);
pub(crate) const NETWORK: [u8; 32] = [7; 32];

/// A running node; its number is its key.
pub(crate) struct Node {
    pub(crate) net: Net,
    pub(crate) address: Multiaddr,
}

/// The peer id of node `number`.
pub(crate) fn peer(number: u8) -> PeerId {
    Keypair::ed25519_from_bytes([number; 32]).unwrap().public().to_peer_id()
}

/// The default configuration of node `number`, which admits these nodes.
pub(crate) fn config(number: u8, admits: &[u8]) -> NetConfig {
    NetConfig {
        key: Zeroizing::new([number; 32]),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        network: NETWORK,
        hello: format!("hello of {number}").into_bytes(),
        admitted: AdmittedPeers::new(set(admits)),
        limits: Limits::default(),
    }
}

pub(crate) fn set(numbers: &[u8]) -> BTreeSet<PeerId> {
    numbers.iter().map(|n| peer(*n)).collect()
}

/// Starts node `number`.
pub(crate) async fn start(number: u8, admits: &[u8]) -> Node {
    start_with(config(number, admits)).await
}

pub(crate) async fn start_with(config: NetConfig) -> Node {
    let mut net = spawn(config).unwrap();
    let address = match net.events.recv().await {
        Some(Event::Listening(address)) => address,
        other => panic!("the first event is the listening address, not {other:?}"),
    };
    Node { net, address }
}

/// Starts nodes 1 and 2 with these limits and connects them.
pub(crate) async fn connected_pair(one: Limits, two: Limits) -> (Node, Node) {
    let mut a = start_with(NetConfig { limits: one, ..config(1, &[2]) }).await;
    let mut b = start_with(NetConfig { limits: two, ..config(2, &[1]) }).await;
    b.dial(&a).await;
    a.sees_connected(2).await;
    b.sees_connected(1).await;
    (a, b)
}

impl Node {
    pub(crate) async fn does(&self, command: Command) {
        self.net.commands.send(command).await.unwrap();
    }

    pub(crate) async fn dial(&self, other: &Node) {
        self.does(Command::Dial { peer: other.net.peer_id, addrs: vec![other.address.clone()] }).await;
    }

    pub(crate) async fn admits(&self, numbers: &[u8]) {
        self.does(Command::Admit(set(numbers))).await;
    }

    /// Waits for the event that `pick` picks; what comes before it is dropped.
    pub(crate) async fn sees<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let wait = async {
            loop {
                let event = self.net.events.recv().await.unwrap_or_else(|| panic!("ended before: {what}"));
                if let Some(picked) = pick(event) {
                    return picked;
                }
            }
        };
        tokio::time::timeout(WAIT_MAX, wait).await.unwrap_or_else(|_| panic!("never seen: {what}"))
    }

    /// Waits for the connection of node `number`; returns its hello.
    pub(crate) async fn sees_connected(&mut self, number: u8) -> Vec<u8> {
        self.sees("the connection", |event| match event {
            Event::Connected { peer: who, hello } if who == peer(number) => Some(hello),
            _ => None,
        })
        .await
    }

    /// Waits for the end of the connection with node `number`; returns why.
    pub(crate) async fn sees_disconnected(&mut self, number: u8) -> hospes_net::DisconnectReason {
        self.sees("the disconnection", |event| match event {
            Event::Disconnected { peer: who, reason } if who == peer(number) => Some(reason),
            _ => None,
        })
        .await
    }

    /// Waits for a refusal of, or by, node `number`; returns why.
    pub(crate) async fn sees_refused(&mut self, number: u8) -> hospes_net::Refusal {
        self.sees("the refusal", |event| match event {
            Event::Refused { peer: who, reason } if who == peer(number) => Some(reason),
            _ => None,
        })
        .await
    }

    /// Handshakes that passed so far.
    pub(crate) fn established(&self) -> u64 {
        self.net.counters.connections_established.load(std::sync::atomic::Ordering::Relaxed)
    }
}
