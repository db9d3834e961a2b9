//! Who gets in: nobody but admitted peers of the same network, and nobody a moment longer than that.

use std::sync::{Arc, Mutex};

use futures::AsyncReadExt;
use futures::future::BoxFuture;
use hospes_net::{CallError, Command, DisconnectReason, Event, NetConfig, PeerId, Refusal};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, Version};
use libp2p::core::{Endpoint, Transport, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::{noise, tcp, yamux};

use crate::world::{config, connected_pair, peer, start, start_with};

#[tokio::test]
async fn an_unknown_peer_is_refused_inside_the_handshake_and_let_in_once_admitted() {
    let mut city = start(1, &[]).await;
    let mut stranger = start(2, &[1]).await;
    stranger.dial(&city).await;

    assert_eq!(city.sees_refused(2).await, Refusal::NotAdmitted, "the refusing side knows whom it refused");
    assert_eq!(stranger.sees_refused(1).await, Refusal::NotAdmittedThere, "the refused side is told");
    assert_eq!(city.established(), 0, "no connection was ever established at the refusing side");
    assert_eq!(stranger.established(), 0, "nor at the refused one");

    city.admits(&[2]).await;
    assert_eq!(city.sees_connected(2).await, b"hello of 2", "the same dial passes once admitted");
    assert_eq!(stranger.sees_connected(1).await, b"hello of 1", "and both sides have the other's hello");
}

#[tokio::test]
async fn a_node_that_dials_an_unknown_peer_by_mistake_is_protected_too() {
    let mut city = start(1, &[2]).await;
    let impostor = start(3, &[1]).await;
    // City believes that node 2 lives there.
    city.does(Command::Dial { peer: peer(2), addrs: vec![impostor.address.clone()] }).await;
    assert_eq!(city.sees_refused(3).await, Refusal::NotAdmitted, "whoever answers is asked for in the set");
    assert_eq!(city.established(), 0, "no connection");
}

/// Noise under our name, by an identity of its own, that keeps every byte it gets afterwards.
#[derive(Clone)]
struct Eavesdropper {
    noise: noise::Config,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl UpgradeInfo for Eavesdropper {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/hospes/noise/1")
    }
}

type Socket = libp2p::core::Negotiated<tcp::tokio::TcpStream>;

impl OutboundConnectionUpgrade<Socket> for Eavesdropper {
    type Output = (PeerId, noise::Output<Socket>);
    type Error = noise::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: Socket, info: &'static str) -> Self::Future {
        Box::pin(async move {
            let (_, mut socket) = self.noise.upgrade_outbound(socket, info).await?;
            let mut heard = Vec::new();
            socket.read_to_end(&mut heard).await?;
            *self.heard.lock().unwrap() = heard;
            Err(noise::Error::AuthenticationFailed)
        })
    }
}

impl InboundConnectionUpgrade<Socket> for Eavesdropper {
    type Output = (PeerId, noise::Output<Socket>);
    type Error = noise::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, _: Socket, _: &'static str) -> Self::Future {
        unreachable!("it only dials")
    }
}

#[tokio::test]
async fn an_unknown_peer_hears_that_it_is_unknown_and_nothing_else() {
    let mut city = start(1, &[]).await;
    let key = Keypair::ed25519_from_bytes([9; 32]).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let upgrade = Eavesdropper { noise: noise::Config::new(&key).unwrap(), heard: Arc::clone(&heard) };
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1)
        .authenticate(upgrade)
        .multiplex(yamux::Config::default())
        .boxed();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let refused = transport.dial(city.address.clone(), options).unwrap().await;
    assert!(refused.is_err(), "the upgrade cannot succeed");
    assert_eq!(*heard.lock().unwrap(), [1, 0, 0], "one code, no hello, no network id, then the end");
    assert_eq!(city.sees_refused(9).await, Refusal::NotAdmitted, "and the node knows who it was");
}

#[tokio::test]
async fn another_network_is_refused_and_both_sides_say_why() {
    let mut city = start(1, &[2]).await;
    let mut other = start_with(NetConfig { network: [8; 32], ..config(2, &[1]) }).await;
    other.dial(&city).await;
    assert_eq!(city.sees_refused(2).await, Refusal::WrongNetwork, "at the side that was dialled");
    assert_eq!(other.sees_refused(1).await, Refusal::WrongNetwork, "at the side that dialled");
    assert_eq!(city.established() + other.established(), 0, "no connection on either side");
}

#[tokio::test]
async fn a_removed_peer_is_cut_at_once_and_stays_out() {
    let (mut city, mut clinic) = connected_pair(Default::default(), Default::default()).await;
    clinic.does(Command::Request { peer: peer(1), id: 5, bytes: vec![1] }).await;
    city.sees("the request", |e| matches!(e, Event::Request { .. }).then_some(())).await;

    city.admits(&[]).await;
    assert_eq!(city.sees_disconnected(2).await, DisconnectReason::Removed, "the remover knows why");
    let result = clinic
        .sees("the end of the open request", |event| match event {
            Event::Response { id: 5, result } => Some(result),
            Event::Disconnected { .. } => panic!("the request ends before the connection does"),
            _ => None,
        })
        .await;
    assert!(
        matches!(result, Err(CallError::Disconnected | CallError::Interrupted)),
        "what was open ends: {result:?}"
    );
    assert_eq!(clinic.sees_disconnected(1).await, DisconnectReason::Lost, "the removed one sees a lost line");
    assert_eq!(clinic.sees_refused(1).await, Refusal::NotAdmittedThere, "and learns why when it dials again");

    city.admits(&[2]).await;
    city.sees_connected(2).await;
    clinic.sees_connected(1).await;
}

#[tokio::test]
async fn the_shared_set_cuts_without_a_command() {
    let (mut city, _clinic) = connected_pair(Default::default(), Default::default()).await;
    let removed = city.net.admitted.replace([peer(3)].into());
    assert_eq!(removed, [peer(2)].into(), "the handle names whom it cut");
    assert_eq!(city.sees_disconnected(2).await, DisconnectReason::Removed, "and the loop notices");
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_share_one_session() {
    let mut a = start(1, &[2]).await;
    let mut b = start(2, &[1]).await;
    a.dial(&b).await;
    b.dial(&a).await;
    a.sees_connected(2).await;
    b.sees_connected(1).await;
    // A round trip in each direction: any second Connected or a Disconnected would come before its end.
    for (asker, answerer, to) in [(1, 2, 2), (2, 1, 1)] {
        let (from, at) = if asker == 1 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        from.does(Command::Request { peer: peer(to), id: 1, bytes: vec![] }).await;
        let token = at
            .sees("the request", |event| match event {
                Event::Request { token, .. } => Some(token),
                Event::Connected { .. } | Event::Disconnected { .. } => panic!("one session: {event:?}"),
                _ => None,
            })
            .await;
        at.does(Command::Respond { token, bytes: vec![answerer] }).await;
        let answer = from
            .sees("the answer", |event| match event {
                Event::Response { result, .. } => Some(result),
                Event::Connected { .. } | Event::Disconnected { .. } => panic!("one session: {event:?}"),
                _ => None,
            })
            .await;
        assert_eq!(answer, Ok(vec![answerer]), "the session works in both directions");
    }
}
