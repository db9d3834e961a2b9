//! Length-prefixed frames, timed by progress.
//!
//! ```text
//! plain frame:   length (4 bytes, big-endian)   bytes
//! tagged frame:  tag (1 byte)   length (4 bytes, big-endian)   bytes
//! ```
//!
//! A transfer has no total time: it must move [`PROGRESS_BYTES_MIN`] bytes in each window, or finish its frame.
//! The reader's memory grows with what has arrived, not with what was announced. What frames mean is decided in
//! `consensus_stream`, `sync_codec` and `objects`, which call this.

use std::future::Future;
use std::io;
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use crate::limits::PROGRESS_BYTES_MIN;

const LENGTH_BYTES: usize = 4;
/// Memory taken on the word of the peer; beyond it the buffer doubles as bytes arrive.
const FIRST_BYTES: usize = 64 * 1024;
/// What yamux sends as one packet at most.
const PACKET_BYTES: usize = 16 * 1024;

/// Why a frame was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the stream ended: {0}")]
    Io(#[from] io::Error),
    #[error("the peer announced {announced} bytes where {max} are allowed")]
    Oversized { announced: usize, max: usize },
    #[error("no progress")]
    Stalled,
}

/// Times one transfer: each window must move enough bytes.
pub(crate) struct Pace {
    window: Duration,
    deadline: Instant,
    moved: usize,
}

impl Pace {
    pub(crate) fn new(window: Duration) -> Self {
        Self::starting_within(window, window)
    }

    /// The first bytes may take `first`; from then on `window` counts.
    pub(crate) fn starting_within(first: Duration, window: Duration) -> Self {
        Self { window, deadline: Instant::now() + first, moved: 0 }
    }

    /// A new window, after a frame is complete or our own side was slow.
    pub(crate) fn restart(&mut self) {
        self.deadline = Instant::now() + self.window;
        self.moved = 0;
    }

    async fn step(&mut self, io: impl Future<Output = io::Result<usize>>) -> Result<usize, FrameError> {
        let bytes = timeout_at(self.deadline, io).await.map_err(|_| FrameError::Stalled)??;
        self.moved += bytes;
        if self.moved >= PROGRESS_BYTES_MIN {
            self.restart();
        }
        Ok(bytes)
    }

    async fn read_some(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        to: &mut [u8],
    ) -> Result<usize, FrameError> {
        self.step(io.read(to)).await
    }

    async fn read_exact(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        to: &mut [u8],
    ) -> Result<(), FrameError> {
        let mut filled = 0;
        while filled < to.len() {
            match self.read_some(io, &mut to[filled..]).await? {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                n => filled += n,
            }
        }
        Ok(())
    }

    /// Reads the rest of a frame whose length was announced.
    async fn read_body(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        announced: usize,
        max: usize,
    ) -> Result<Vec<u8>, FrameError> {
        if announced > max {
            return Err(FrameError::Oversized { announced, max });
        }
        let mut body = Vec::new();
        while body.len() < announced {
            let from = body.len();
            body.resize(announced.min((2 * from).max(FIRST_BYTES)), 0);
            self.read_exact(io, &mut body[from..]).await?;
        }
        self.restart();
        Ok(body)
    }

    /// Reads one plain frame.
    pub(crate) async fn read_frame(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        max: usize,
    ) -> Result<Vec<u8>, FrameError> {
        let mut length = [0; LENGTH_BYTES];
        self.read_exact(io, &mut length).await?;
        self.read_body(io, announced(length), max).await
    }

    /// Reads one tagged frame, with the bound that `max` gives for its tag.
    pub(crate) async fn read_tagged(
        &mut self,
        io: &mut (impl AsyncRead + Unpin),
        max: impl Fn(u8) -> usize,
    ) -> Result<(u8, Vec<u8>), FrameError> {
        let mut head = [0; 1 + LENGTH_BYTES];
        self.read_exact(io, &mut head).await?;
        let [tag, length @ ..] = head;
        Ok((tag, self.read_body(io, announced(length), max(tag)).await?))
    }

    /// Writes one plain frame and hands it to the socket.
    pub(crate) async fn write_frame(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        body: &[u8],
    ) -> Result<(), FrameError> {
        self.write_all(io, &length_of(body)?, body).await
    }

    /// Writes one tagged frame and hands it to the socket.
    pub(crate) async fn write_tagged(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        tag: u8,
        body: &[u8],
    ) -> Result<(), FrameError> {
        let [a, b, c, d] = length_of(body)?;
        self.write_all(io, &[tag, a, b, c, d], body).await
    }

    /// The head goes out together with the start of the body: each write is a packet of the multiplexer.
    async fn write_all(
        &mut self,
        io: &mut (impl AsyncWrite + Unpin),
        head: &[u8],
        body: &[u8],
    ) -> Result<(), FrameError> {
        let (start, rest) = body.split_at(body.len().min(PACKET_BYTES - head.len()));
        for part in [&[head, start].concat(), rest] {
            let mut rest = part;
            while !rest.is_empty() {
                match self.step(io.write(rest)).await? {
                    0 => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                    n => rest = &rest[n..],
                }
            }
        }
        self.step(async { io.flush().await.map(|()| 0) }).await?;
        self.restart();
        Ok(())
    }

    /// Ends our direction of the stream.
    pub(crate) async fn close(&mut self, io: &mut (impl AsyncWrite + Unpin)) -> Result<(), FrameError> {
        self.step(async { io.close().await.map(|()| 0) }).await.map(|_| ())
    }
}

/// Waits, without a time bound, for the first byte of the next plain frame, then reads it by pace. `None` when
/// the stream ends between frames.
pub(crate) async fn next_frame(
    io: &mut (impl AsyncRead + Unpin),
    window: Duration,
    max: usize,
) -> Result<Option<Vec<u8>>, FrameError> {
    let mut length = [0; LENGTH_BYTES];
    let (first, rest) = length.split_at_mut(1);
    if io.read(first).await? == 0 {
        return Ok(None);
    }
    let mut pace = Pace::new(window);
    pace.read_exact(io, rest).await?;
    pace.read_body(io, announced(length), max).await.map(Some)
}

/// A length that doesn't fit the address space is as good as the largest: every bound refuses it.
fn announced(length: [u8; LENGTH_BYTES]) -> usize {
    usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX)
}

fn length_of(body: &[u8]) -> Result<[u8; LENGTH_BYTES], FrameError> {
    let length = u32::try_from(body.len());
    length
        .map(u32::to_be_bytes)
        .map_err(|_| FrameError::Oversized { announced: body.len(), max: u32::MAX as usize })
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn frames_survive_the_wire() {
        let mut wire = Cursor::new(Vec::new());
        let long = vec![5; 200_000];
        Pace::new(WINDOW).write_frame(&mut wire, &long).await.unwrap();
        Pace::new(WINDOW).write_tagged(&mut wire, 3, b"short").await.unwrap();
        wire.set_position(0);
        let first = next_frame(&mut wire, WINDOW, 200_000).await.unwrap();
        assert_eq!(first, Some(long), "longer than the first buffer");
        let second = Pace::new(WINDOW).read_tagged(&mut wire, |tag| usize::from(tag) + 2).await.unwrap();
        assert_eq!(second, (3, b"short".to_vec()), "exactly as long as its tag allows");
        assert_eq!(next_frame(&mut wire, WINDOW, 1).await.unwrap(), None, "then the stream ends cleanly");
    }

    #[tokio::test]
    async fn an_announcement_beyond_the_bound_is_refused_before_its_bytes_are_read() {
        let mut wire = Cursor::new(vec![0xff, 0xff, 0xff, 0xff]);
        let error = next_frame(&mut wire, WINDOW, 1024).await.unwrap_err();
        assert!(matches!(error, FrameError::Oversized { announced: 0xffff_ffff, max: 1024 }), "{error}");
        let mut cut = Cursor::new(vec![0, 0, 0, 9, 1]);
        let error = next_frame(&mut cut, WINDOW, 1024).await.unwrap_err();
        assert!(matches!(error, FrameError::Io(_)), "a frame cut short is an error, not an end: {error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trickle_is_a_stall_and_a_slow_stream_is_not() {
        let window = Duration::from_secs(10);
        let mut pace = Pace::new(window);
        for _ in 0..100 {
            tokio::time::advance(window / 2).await;
            pace.step(async { Ok(PROGRESS_BYTES_MIN) }).await.expect("enough bytes in every window");
        }
        tokio::time::advance(window / 2).await;
        pace.step(async { Ok(1) }).await.expect("the window is not over");
        tokio::time::advance(window / 2).await;
        let late = pace.step(futures::future::pending()).await;
        assert!(matches!(late, Err(FrameError::Stalled)), "one byte in a window is no progress");
    }
}
