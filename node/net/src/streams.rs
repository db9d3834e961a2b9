//! Streams for our own protocols: the behaviour that opens, accepts and admits.
//!
//! libp2p-stream does the same through one channel of capacity one for all peers and drops what doesn't fit;
//! here an inbound stream waits in its connection until the swarm takes it, so backpressure reaches the peer. It
//! doesn't read or write a byte of a stream. It also guards connections: nobody outside the admitted set, and no
//! more than a share of the unfinished handshakes for one address. Driven by `swarm`.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade};
use libp2p::core::{Endpoint, UpgradeInfo, transport::PortUse};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    NotifyHandler, Stream, StreamProtocol, SubstreamProtocol, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::oneshot;

use crate::admission::AdmittedPeers;
use crate::handshake::Refusal;

/// The protocols of INTERFACES 4 that run on plain streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Consensus,
    Sync,
    Objects,
}

impl Channel {
    const ALL: [Self; 3] = [Self::Consensus, Self::Sync, Self::Objects];

    fn protocol(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Self::Consensus => "/hospes/consensus/1",
            Self::Sync => "/hospes/sync/1",
            Self::Objects => "/hospes/objects/1",
        })
    }
}

/// A wish for a stream. The reply is dropped when the connection ends or the peer doesn't agree.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) channel: Channel,
    pub(crate) reply: oneshot::Sender<Stream>,
}

/// A stream that the peer opened.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) peer: PeerId,
    pub(crate) connection: ConnectionId,
    pub(crate) channel: Channel,
    pub(crate) stream: Stream,
}

/// The behaviour.
pub(crate) struct Streams {
    admitted: AdmittedPeers,
    pending_per_address_max: usize,
    pending: BTreeMap<ConnectionId, IpAddr>,
    outgoing: VecDeque<ToSwarm<Accepted, Open>>,
}

impl Streams {
    pub(crate) fn new(admitted: AdmittedPeers, pending_per_address_max: usize) -> Self {
        Self { admitted, pending_per_address_max, pending: BTreeMap::new(), outgoing: VecDeque::new() }
    }

    /// Asks the handler of one connection for a stream.
    pub(crate) fn open(&mut self, peer: PeerId, connection: ConnectionId, open: Open) {
        let handler = NotifyHandler::One(connection);
        self.outgoing.push_back(ToSwarm::NotifyHandler { peer_id: peer, handler, event: open });
    }

    /// The set may have changed since the handshake asked it.
    fn handler(&self, peer: &PeerId) -> Result<StreamHandler, ConnectionDenied> {
        if self.admitted.contains(peer) {
            Ok(StreamHandler::default())
        } else {
            Err(ConnectionDenied::new(Refusal::NotAdmitted))
        }
    }
}

/// An address that has too many unfinished handshakes.
#[derive(Debug, thiserror::Error)]
#[error("too many unfinished handshakes from {0}")]
struct AddressBusy(IpAddr);

impl NetworkBehaviour for Streams {
    type ConnectionHandler = StreamHandler;
    type ToSwarm = Accepted;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let Some(address) = ip_of(remote) else { return Ok(()) };
        if self.pending.values().filter(|a| **a == address).count() >= self.pending_per_address_max {
            return Err(ConnectionDenied::new(AddressBusy(address)));
        }
        self.pending.insert(connection, address);
        Ok(())
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<StreamHandler, ConnectionDenied> {
        self.handler(&peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<StreamHandler, ConnectionDenied> {
        self.handler(&peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            FromSwarm::ConnectionEstablished(e) => self.pending.remove(&e.connection_id),
            FromSwarm::ListenFailure(e) => self.pending.remove(&e.connection_id),
            _ => None,
        };
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        (channel, stream): THandlerOutEvent<Self>,
    ) {
        self.outgoing.push_back(ToSwarm::GenerateEvent(Accepted { peer, connection, channel, stream }));
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        self.outgoing.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

/// One connection's part. Both queues are short: the swarm bounds what it asks for, yamux what a peer opens.
#[derive(Default)]
pub(crate) struct StreamHandler {
    wanted: VecDeque<Open>,
    accepted: VecDeque<(Channel, Stream)>,
}

impl ConnectionHandler for StreamHandler {
    type FromBehaviour = Open;
    type ToBehaviour = (Channel, Stream);
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = oneshot::Sender<Stream>;

    fn listen_protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(Offer(Channel::ALL.to_vec()), ())
    }

    /// Admitted peers stay connected; ping ends what is dead.
    fn connection_keep_alive(&self) -> bool {
        true
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Offer, oneshot::Sender<Stream>, Self::ToBehaviour>> {
        if let Some(accepted) = self.accepted.pop_front() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(accepted));
        }
        while let Some(Open { channel, reply }) = self.wanted.pop_front() {
            if !reply.is_closed() {
                let protocol = SubstreamProtocol::new(Offer(vec![channel]), reply);
                return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
            }
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, open: Open) {
        self.wanted.push_back(open);
    }

    /// A reply whose task has gone takes the stream with it, which resets it.
    fn on_connection_event(&mut self, event: ConnectionEvent<Offer, Offer, (), oneshot::Sender<Stream>>) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.accepted.push_back(protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (_, stream),
                info,
            }) => {
                drop(info.send(stream));
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                tracing::debug!(%error, "the peer did not open the stream");
            }
            _ => {}
        }
    }
}

/// The channels offered in one negotiation.
pub(crate) struct Offer(Vec<Channel>);

/// A channel and its name on the wire.
#[derive(Clone)]
pub(crate) struct Named(Channel, StreamProtocol);

impl AsRef<str> for Named {
    fn as_ref(&self) -> &str {
        self.1.as_ref()
    }
}

impl UpgradeInfo for Offer {
    type Info = Named;
    type InfoIter = std::vec::IntoIter<Named>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.iter().map(|c| Named(*c, c.protocol())).collect::<Vec<_>>().into_iter()
    }
}

impl InboundUpgrade<Stream> for Offer {
    type Output = (Channel, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, Named(channel, _): Named) -> Self::Future {
        ready(Ok((channel, stream)))
    }
}

impl OutboundUpgrade<Stream> for Offer {
    type Output = (Channel, Stream);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, Named(channel, _): Named) -> Self::Future {
        ready(Ok((channel, stream)))
    }
}
