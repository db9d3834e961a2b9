//! A peer that speaks the handshake and then does what no node of ours does.
//!
//! It authenticates, greets and multiplexes as the protocol says, and leaves the rest to the test.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::future::BoxFuture;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use hospes_net::{Multiaddr, PeerId};
use libp2p::core::muxing::{StreamMuxer as _, StreamMuxerBox, SubstreamBox};
use libp2p::core::transport::{DialOpts, PortUse};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, Version};
use libp2p::core::{Endpoint, Transport as _, UpgradeInfo};
use libp2p::identity::Keypair;
use libp2p::{noise, tcp, yamux};

use crate::world::NETWORK;

type Socket = libp2p::core::Negotiated<tcp::tokio::TcpStream>;

/// Noise, then a greeting of our network.
#[derive(Clone)]
struct Polite(noise::Config);

impl UpgradeInfo for Polite {
    type Info = &'static str;
    type InfoIter = std::iter::Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/hospes/noise/1")
    }
}

impl OutboundConnectionUpgrade<Socket> for Polite {
    type Output = (PeerId, noise::Output<Socket>);
    type Error = noise::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: Socket, info: &'static str) -> Self::Future {
        Box::pin(async move {
            let (peer, mut socket) = self.0.upgrade_outbound(socket, info).await?;
            socket.write_all(&[&[0, 0, 33][..], &NETWORK, b"x"].concat()).await?;
            socket.flush().await?;
            let mut head = [0; 3];
            socket.read_exact(&mut head).await?;
            let mut hello = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
            socket.read_exact(&mut hello).await?;
            Ok((peer, socket))
        })
    }
}

impl InboundConnectionUpgrade<Socket> for Polite {
    type Output = (PeerId, noise::Output<Socket>);
    type Error = noise::Error;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, _: Socket, _: &'static str) -> Self::Future {
        unreachable!("it only dials")
    }
}

/// The key of a hostile peer; there are more of them than a byte counts.
pub(crate) fn key(number: u16) -> Keypair {
    let [high, low] = number.to_be_bytes();
    let mut seed = [0xee; 32];
    (seed[0], seed[1]) = (high, low);
    Keypair::ed25519_from_bytes(seed).unwrap()
}

/// A connection as one of these peers; an error where the node doesn't let it in.
pub(crate) async fn dial(number: u16, address: &Multiaddr) -> Result<Connection, String> {
    let mut transport = tcp::tokio::Transport::new(tcp::Config::default())
        .upgrade(Version::V1)
        .authenticate(Polite(noise::Config::new(&key(number)).unwrap()))
        .multiplex(yamux::Config::default())
        .boxed();
    let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
    let dialled = transport.dial(address.clone(), options).map_err(|e| e.to_string())?;
    let (_, muxer) = dialled.await.map_err(|e| e.to_string())?;
    Ok(Connection(muxer))
}

/// A multiplexed connection that is driven only while something is done with it.
pub(crate) struct Connection(StreamMuxerBox);

impl Connection {
    /// Opens a stream and asks for a protocol, without waiting for anything.
    pub(crate) async fn open(&mut self, protocol: &str) -> Result<SubstreamBox, String> {
        let opened = poll_fn(|cx| {
            if let Poll::Ready(Err(error)) = Pin::new(&mut self.0).poll(cx) {
                return Poll::Ready(Err(error.to_string()));
            }
            Pin::new(&mut self.0).poll_outbound(cx).map_err(|e| e.to_string())
        });
        let mut stream = opened.await?;
        let line = |text: &str| [&[u8::try_from(text.len() + 1).unwrap()], text.as_bytes(), b"\n"].concat();
        let asked = [line("/multistream/1.0.0"), line(protocol)].concat();
        stream.write_all(&asked).await.map_err(|e| e.to_string())?;
        stream.flush().await.map_err(|e| e.to_string())?;
        Ok(stream)
    }

    /// Drives the connection until the node ends it.
    pub(crate) async fn ends(&mut self) {
        poll_fn(|cx| match Pin::new(&mut self.0).poll(cx) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            _ => match Pin::new(&mut self.0).poll_inbound(cx) {
                Poll::Ready(Err(_)) => Poll::Ready(()),
                Poll::Ready(Ok(_)) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            },
        })
        .await;
    }
}
