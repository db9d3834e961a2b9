//! A socket that another task can cut at once.
//!
//! A graceful close of a multiplexed connection waits for the other side to read; a peer that was removed must
//! not decide how long that takes. So the admission set holds a [`Switch`] of every socket, and when it is
//! thrown all reading and writing fails. It does not say why: the one who throws it reports. The switch also
//! tells for how long the socket has heard nothing, by which a dead line is known. Used by `handshake`, which
//! wraps each socket, and `admission`.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures::task::AtomicWaker;
use futures::{AsyncRead, AsyncWrite};

/// Cuts one socket, from any thread, once.
#[derive(Debug)]
pub(crate) struct Switch {
    cut: AtomicBool,
    waker: AtomicWaker,
    opened: Instant,
    /// When a byte last arrived, in milliseconds after `opened`.
    heard_ms: AtomicU64,
}

impl Switch {
    /// For a socket that was opened just now.
    pub(crate) fn new(now: Instant) -> Self {
        let waker = AtomicWaker::new();
        Self { cut: AtomicBool::new(false), waker, opened: now, heard_ms: AtomicU64::new(0) }
    }

    /// For how long no byte has arrived.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        let heard = Duration::from_millis(self.heard_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(self.opened).saturating_sub(heard)
    }

    fn hear(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard_ms.store(ms, Ordering::Relaxed);
    }

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
        let bytes = ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        self.switch.hear();
        Poll::Ready(Ok(bytes))
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
        let switch = Arc::new(Switch::new(Instant::now()));
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

    #[test]
    fn silence_ends_with_a_byte() {
        let opened = Instant::now();
        let later = |seconds| opened + Duration::from_secs(seconds);
        let switch = Switch::new(opened);
        assert_eq!(switch.silence(later(30)), Duration::from_secs(30), "nothing since it was opened");
        switch.heard_ms.store(20_000, Ordering::Relaxed);
        assert_eq!(switch.silence(later(30)), Duration::from_secs(10), "nothing since the last byte");
    }
}
