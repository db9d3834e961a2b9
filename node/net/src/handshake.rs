//! The security upgrade of every connection: Noise, then admission, then hello.
//!
//! A peer that is not admitted, or belongs to another network, fails here, inside the handshake: libp2p never
//! sees a connection, no behaviour is asked, no application byte is sent. After Noise has shown who the peer is,
//! each side sends one greeting and reads one:
//!
//! ```text
//! code (1 byte)   length (2 bytes, big-endian)   body
//! 0 hello         32 + n                          network id (32 bytes), then n opaque bytes of the caller
//! 1 not admitted  0                               the peer id is not in the sender's set
//! 2 penalised     0                               it is, but broke a rule a moment ago
//! ```
//!
//! It doesn't interpret the opaque bytes and doesn't decide who is admitted. Built into the transport by
//! `behaviour`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt};
use libp2p::core::UpgradeInfo;
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::{PeerId, noise};
use tokio::sync::mpsc;

use crate::admission::{AdmittedPeers, Denied};
use crate::cutoff::Cuttable;
use crate::limits::HELLO_BYTES_MAX;

/// Negotiated name: a node that doesn't greet after Noise doesn't get as far as Noise.
const PROTOCOL: &str = "/hospes/noise/1";
const NETWORK_BYTES: usize = 32;
const CODE_HELLO: u8 = 0;
const CODE_NOT_ADMITTED: u8 = 1;
const CODE_PENALISED: u8 = 2;
/// How long and how much a refused peer may still send, so that closing doesn't destroy the refusal on its way
/// (TCP resets a connection that is closed with unread bytes).
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);
const DRAIN_BYTES_MAX: u64 = 8 * 1024;

/// Why a handshake ended without a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer is not in our set.
    #[error("the peer is not admitted here")]
    NotAdmitted,
    /// The peer broke a rule and its penalty is not over.
    #[error("the peer is kept out for a while because it broke a rule")]
    Penalised,
    /// The peer greeted with another network id; both sides see this.
    #[error("the peer belongs to another network")]
    WrongNetwork,
    /// What the peer sent as greeting is none.
    #[error("the peer sent a malformed hello")]
    MalformedHello,
    /// The peer says that we are not in its set.
    #[error("this node is not admitted there")]
    NotAdmittedThere,
    /// The peer says that we are kept out for a while.
    #[error("this node is kept out there for a while")]
    PenalisedThere,
}

/// Why the upgrade failed, as libp2p passes it on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    #[error(transparent)]
    Noise(#[from] noise::Error),
    #[error("the connection ended during the handshake: {0}")]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// The upgrade: what libp2p clones for each connection.
#[derive(Clone)]
pub(crate) struct Handshake {
    noise: noise::Config,
    greeter: Arc<Greeter>,
}

/// What all handshakes share.
pub(crate) struct Greeter {
    admitted: AdmittedPeers,
    network: [u8; NETWORK_BYTES],
    greeting: Vec<u8>,
    refusals: mpsc::Sender<(PeerId, Refusal)>,
}

impl Handshake {
    /// `hello` is opaque and at most [`HELLO_BYTES_MAX`] bytes long, which the caller has checked. Refusals go to
    /// `refusals` as far as it has room.
    pub(crate) fn new(
        noise: noise::Config,
        admitted: AdmittedPeers,
        network: [u8; 32],
        hello: &[u8],
        refusals: mpsc::Sender<(PeerId, Refusal)>,
    ) -> Self {
        let greeting = greeting(CODE_HELLO, &[&network, hello]);
        Self { noise, greeter: Arc::new(Greeter { admitted, network, greeting, refusals }) }
    }
}

impl UpgradeInfo for Handshake {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once(PROTOCOL)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<S> for Handshake {
    type Output = (PeerId, Cuttable<noise::Output<S>>);
    type Error = HandshakeError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: S, info: Self::Info) -> Self::Future {
        let noise = self.noise.upgrade_inbound(socket, info);
        async move { self.greeter.admit(noise.await?).await }.boxed()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<S> for Handshake {
    type Output = (PeerId, Cuttable<noise::Output<S>>);
    type Error = HandshakeError;
    type Future = BoxFuture<'static, Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: S, info: Self::Info) -> Self::Future {
        let noise = self.noise.upgrade_outbound(socket, info);
        async move { self.greeter.admit(noise.await?).await }.boxed()
    }
}

impl Greeter {
    /// Greets the peer that Noise has authenticated, or refuses it and says why.
    async fn admit<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        (peer, mut socket): (PeerId, S),
    ) -> Result<(PeerId, Cuttable<S>), HandshakeError> {
        let switch = match self.admitted.enter(&peer, Instant::now()) {
            Ok(switch) => switch,
            Err(denied) => return Err(self.refuse(peer, &mut socket, denied).await.into()),
        };
        let mut socket = Cuttable::new(socket, switch);
        match self.exchange(&mut socket).await {
            Ok(hello) => self.admitted.keep_hello(&peer, hello),
            Err(error) => {
                if let HandshakeError::Refused(refusal) = &error {
                    self.report(peer, *refusal);
                }
                return Err(error);
            }
        }
        Ok((peer, socket))
    }

    /// Sends our hello and reads theirs; returns its opaque part.
    async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        socket: &mut S,
    ) -> Result<Vec<u8>, HandshakeError> {
        socket.write_all(&self.greeting).await?;
        socket.flush().await?;
        let hello = read_greeting(socket).await?;
        #[cfg(feature = "failpoints")]
        hospes_protocol::fail_point!(
            HelloUnanswered,
            return Err(std::io::Error::other("wanted by a test").into())
        );
        match hello.strip_prefix(&self.network) {
            Some(opaque) => Ok(opaque.to_vec()),
            None => Err(Refusal::WrongNetwork.into()),
        }
    }

    /// Tells the peer why it is turned away; a peer that doesn't listen changes nothing.
    async fn refuse<S>(&self, peer: PeerId, socket: &mut S, denied: Denied) -> Refusal
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (code, refusal) = match denied {
            Denied::NotAdmitted => (CODE_NOT_ADMITTED, Refusal::NotAdmitted),
            Denied::Penalised => (CODE_PENALISED, Refusal::Penalised),
        };
        self.report(peer, refusal);
        let farewell = async {
            socket.write_all(&greeting(code, &[])).await?;
            socket.close().await?;
            futures::io::copy(socket.take(DRAIN_BYTES_MAX), &mut futures::io::sink()).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(DRAIN_TIME_MAX, farewell).await {
            tracing::trace!(%peer, %error, "a refused peer left before it was told why");
        }
        refusal
    }

    fn report(&self, peer: PeerId, refusal: Refusal) {
        if self.refusals.try_send((peer, refusal)).is_err() {
            tracing::trace!(%peer, "refusal not reported: too many at once");
        }
    }
}

/// One greeting as bytes. The parts fit: a hello is bounded by [`HELLO_BYTES_MAX`].
fn greeting(code: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u16::try_from(body.len()).expect("a hello of at most 4 KiB and a network id fit 16 bits");
    let mut bytes = vec![code];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Reads one greeting; returns the body of a hello.
pub(crate) async fn read_greeting<S: AsyncRead + Unpin>(socket: &mut S) -> Result<Vec<u8>, HandshakeError> {
    let mut head = [0; 3];
    socket.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    match (head[0], length) {
        (CODE_HELLO, NETWORK_BYTES..) if length <= NETWORK_BYTES + HELLO_BYTES_MAX => {
            let mut body = vec![0; length];
            socket.read_exact(&mut body).await?;
            Ok(body)
        }
        (CODE_NOT_ADMITTED, 0) => Err(Refusal::NotAdmittedThere.into()),
        (CODE_PENALISED, 0) => Err(Refusal::PenalisedThere.into()),
        _ => Err(Refusal::MalformedHello.into()),
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        block_on(read_greeting(&mut Cursor::new(bytes)))
    }

    #[test]
    fn greetings_survive_the_wire() {
        let hello = greeting(CODE_HELLO, &[&[7; 32], b"build"]);
        assert_eq!(
            read(&hello).unwrap(),
            [&[7; 32][..], b"build"].concat(),
            "network id, then the opaque part"
        );
    }

    #[test]
    fn malformed_greetings_are_refused() {
        let too_long = u16::try_from(NETWORK_BYTES + HELLO_BYTES_MAX + 1).unwrap();
        let cases: [(&str, Vec<u8>); 4] = [
            ("shorter than a network id", vec![CODE_HELLO, 0, 31]),
            ("longer than a hello may be", [&[CODE_HELLO][..], &too_long.to_be_bytes()].concat()),
            ("unknown code", vec![9, 0, 0]),
            ("a refusal with a body", vec![CODE_NOT_ADMITTED, 0, 1, 0]),
        ];
        for (what, bytes) in cases {
            let error = read(&bytes).unwrap_err();
            assert!(matches!(error, HandshakeError::Refused(Refusal::MalformedHello)), "{what}");
        }
        assert!(matches!(read(&[CODE_HELLO]).unwrap_err(), HandshakeError::Io(_)), "cut short");
    }
}
