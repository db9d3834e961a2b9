//! Yamux as the stream multiplexer, with a receive window of our own choosing.
//!
//! libp2p-yamux offers the same in fewer lines, but hides the receive window of `yamux::Config`, whose default
//! lets one connection claim 1 GiB. Nothing else differs. Built into the transport by `behaviour`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use yamux::{Connection, ConnectionError, Mode};

use crate::limits::{RECEIVE_WINDOW_BYTES, STREAMS_PER_CONNECTION};

/// The upgrade that puts yamux on an authenticated socket.
#[derive(Clone)]
pub(crate) struct Yamux(yamux::Config);

impl Default for Yamux {
    /// Streams first: yamux checks that the window holds 256 KiB for each.
    fn default() -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_PER_CONNECTION);
        config.set_max_connection_receive_window(Some(RECEIVE_WINDOW_BYTES));
        Self(config)
    }
}

impl UpgradeInfo for Yamux {
    type Info = &'static str;
    type InfoIter = std::iter::Once<Self::Info>;

    fn protocol_info(&self) -> Self::InfoIter {
        std::iter::once("/yamux/1.0.0")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> InboundConnectionUpgrade<S> for Yamux {
    type Output = Muxer<S>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, socket: S, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Server))))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> OutboundConnectionUpgrade<S> for Yamux {
    type Output = Muxer<S>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, socket: S, _: Self::Info) -> Self::Future {
        ready(Ok(Muxer::new(Connection::new(socket, self.0, Mode::Client))))
    }
}

/// One multiplexed connection. `accepted` holds inbound streams that turned up while the connection was driven
/// for another reason; beyond [`STREAMS_PER_CONNECTION`] they are reset, for a peer that opens and resets streams
/// faster than they are taken isn't bounded by yamux.
pub(crate) struct Muxer<S> {
    connection: Connection<S>,
    accepted: VecDeque<yamux::Stream>,
    acceptor: Option<Waker>,
}

impl<S> Muxer<S> {
    fn new(connection: Connection<S>) -> Self {
        Self { connection, accepted: VecDeque::new(), acceptor: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Muxer<S> {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<yamux::Stream, ConnectionError>> {
        let next = ready!(self.connection.poll_next_inbound(cx));
        Poll::Ready(next.unwrap_or(Err(ConnectionError::Closed)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> StreamMuxer for Muxer<S> {
    type Substream = yamux::Stream;
    type Error = ConnectionError;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        if let Some(stream) = self.accepted.pop_front() {
            return Poll::Ready(Ok(stream));
        }
        if let Poll::Ready(result) = self.poll_accept(cx) {
            return Poll::Ready(result);
        }
        self.acceptor = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.connection.poll_new_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connection.poll_close(cx)
    }

    /// Drives the connection. A stream that arrives meanwhile is kept, and the task is woken to go on driving.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        let stream = ready!(self.poll_accept(cx))?;
        if self.accepted.len() < STREAMS_PER_CONNECTION {
            self.accepted.push_back(stream);
        }
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.wake();
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
