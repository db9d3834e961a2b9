//! A socket that another task can cut at once.
//!
//! A graceful close of a multiplexed connection waits for the other side to read; a peer that was removed must
//! not decide how long that takes. So the admission set holds a [`Switch`] of every socket, and when it is
//! thrown all reading and writing fails. It does not say why: the one who throws it reports. Used by
//! `handshake`, which wraps each socket, and `admission`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use futures::{AsyncRead, AsyncWrite};

/// Cuts one socket, from any thread, once.
#[derive(Debug, Default)]
pub(crate) struct Switch {
    cut: AtomicBool,
    waker: AtomicWaker,
}

impl Switch {
    /// Makes every further read and write of the socket fail and wakes the task that owns it.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Registers before it looks, so that a cut between the two still wakes the task.
    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        self.waker.register(cx.waker());
        if self.is_cut() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

/// An encrypted socket under a [`Switch`]. One task owns it (the connection's), so one waker is enough.
#[derive(Debug)]
pub(crate) struct Cuttable<S> {
    socket: S,
    switch: Arc<Switch>,
}

impl<S> Cuttable<S> {
    pub(crate) fn new(socket: S, switch: Arc<Switch>) -> Self {
        Self { socket, switch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cuttable<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cuttable<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::{AsyncReadExt, executor, future};

    use super::*;

    /// A socket whose peer never sends.
    struct Silent;

    impl AsyncRead for Silent {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }
    }

    #[test]
    fn a_cut_ends_a_read_that_would_wait_for_ever() {
        let switch = Arc::new(Switch::default());
        let mut socket = Cuttable::new(Silent, Arc::clone(&switch));
        let mut byte = [0];
        let read = future::join(socket.read(&mut byte), async { switch.cut() });
        let (result, ()) = executor::block_on(read);
        assert_eq!(
            result.unwrap_err().kind(),
            io::ErrorKind::ConnectionAborted,
            "the reader was woken and told"
        );
    }
}
