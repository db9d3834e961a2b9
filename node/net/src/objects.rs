//! `/hospes/objects/1`: objects as a stream of frames, acknowledged.
//!
//! ```text
//! requester                          holder
//!   plain frame: request      ->
//!                             <-     tag 0, frame          any number
//!                             <-     tag 1, empty          that was all
//!                        or   <-     tag 2, refusal        nothing more comes
//!   byte 6                    ->                           all has arrived (a close proves no delivery)
//! ```
//!
//! Dropping the stream cancels it, from either side. It doesn't know what an object is: hashing, entitlement and
//! resuming are the caller's. The two ends run as tasks of `swarm`.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::swarm::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::api::{CallError, Offence};
use crate::frame::{FrameError, Pace};
use crate::limits::{Limits, OBJECT_FRAMES_IN_FLIGHT, OBJECT_REFUSAL_BYTES_MAX};
use crate::link::{Link, What};
use crate::streams::Channel;

const TAG_DATA: u8 = 0;
const TAG_END: u8 = 1;
const TAG_REFUSED: u8 = 2;
const ACKNOWLEDGED: u8 = 6;

/// One frame of a transfer. Holding it holds its place among the frames in flight; drop it once it is written.
pub struct Frame {
    bytes: Vec<u8>,
    place: FramePlace,
}

/// The place of a frame among those in flight; dropping it lets the next one come.
#[derive(Debug)]
pub struct FramePlace(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Frame {
    /// The bytes without a copy, and the place that they hold.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, FramePlace) {
        (self.bytes, self.place)
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.bytes.len())
    }
}

/// A frame in bytes, at most, by its tag.
pub(crate) fn frame_bytes_max(tag: u8, limits: &Limits) -> usize {
    match tag {
        TAG_DATA => limits.object_frame_bytes_max,
        TAG_REFUSED => OBJECT_REFUSAL_BYTES_MAX,
        _ => 0,
    }
}

/// Runs the requester's end of transfer `id`.
pub(crate) async fn fetch(link: &Link, id: u64, request: &[u8], limits: &Limits) -> Result<(), CallError> {
    let mut stream = link.open(Channel::Objects).await.ok_or(CallError::Interrupted)?;
    Pace::new(limits.progress_window).write_frame(&mut stream, request).await?;
    let mut pace = Pace::starting_within(limits.answer_wait_max, limits.progress_window);
    let places = Arc::new(Semaphore::new(OBJECT_FRAMES_IN_FLIGHT));
    loop {
        let place = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                let place = Arc::clone(&places).acquire_owned().await.map_err(|_| CallError::Cancelled)?;
                // The caller was slow, not the peer.
                pace.restart();
                place
            }
        };
        match pace.read_tagged(&mut stream, |tag| frame_bytes_max(tag, limits)).await? {
            (TAG_DATA, bytes) => {
                link.tell(What::ObjectData { id, frame: Frame { bytes, place: FramePlace(place) } }).await
            }
            (TAG_END, _) => return acknowledge(stream, pace).await,
            (TAG_REFUSED, refusal) => return Err(CallError::Refused(refusal)),
            _ => return Err(CallError::Offence(Offence::Malformed)),
        }
    }
}

/// The transfer is complete whether or not the holder hears of it.
async fn acknowledge(mut stream: Stream, mut pace: Pace) -> Result<(), CallError> {
    let told = async {
        stream.write_all(&[ACKNOWLEDGED]).await?;
        pace.close(&mut stream).await
    };
    if let Err(error) = told.await {
        tracing::debug!(%error, "a complete transfer was not acknowledged");
    }
    Ok(())
}

/// Where a holder puts the frames of one transfer. At most four wait; then `send` waits.
#[derive(Debug)]
pub struct ObjectSink {
    frames: mpsc::Sender<Outgoing>,
    frame_bytes_max: usize,
}

/// Why a frame or the end of a transfer didn't reach the requester.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkError {
    /// The requester cancelled, stalled or was disconnected.
    #[error("the requester is gone")]
    Gone,
    /// The frame or refusal is longer than allowed; it was not sent.
    #[error("the frame is too long")]
    TooLong,
}

#[derive(Debug)]
enum Outgoing {
    Data(Vec<u8>),
    Refusal(Vec<u8>),
    /// With the one who waits for the acknowledgement.
    End(oneshot::Sender<()>),
}

impl ObjectSink {
    /// Sends one frame, at most [`crate::limits::OBJECT_FRAME_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`SinkError`]; after `Gone` nothing more can be sent.
    pub async fn send(&self, frame: Vec<u8>) -> Result<(), SinkError> {
        self.check(&frame)?;
        self.frames.send(Outgoing::Data(frame)).await.map_err(|_| SinkError::Gone)
    }

    /// [`Self::send`] for a thread outside the runtime, such as one that reads a file.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_blocking(&self, frame: Vec<u8>) -> Result<(), SinkError> {
        self.check(&frame)?;
        self.frames.blocking_send(Outgoing::Data(frame)).map_err(|_| SinkError::Gone)
    }

    /// Says that this was all and waits until the requester has acknowledged it.
    ///
    /// # Errors
    /// [`SinkError::Gone`] when the acknowledgement doesn't come.
    pub async fn finish(self) -> Result<(), SinkError> {
        let (acknowledged, done) = oneshot::channel();
        self.frames.send(Outgoing::End(acknowledged)).await.map_err(|_| SinkError::Gone)?;
        done.await.map_err(|_| SinkError::Gone)
    }

    /// Refuses with words for the requester, at most [`OBJECT_REFUSAL_BYTES_MAX`] bytes. Waits for nothing but
    /// frames that were sent before.
    ///
    /// # Errors
    /// [`SinkError`] when the refusal will not be sent.
    pub async fn refuse(self, refusal: Vec<u8>) -> Result<(), SinkError> {
        if refusal.len() > OBJECT_REFUSAL_BYTES_MAX {
            return Err(SinkError::TooLong);
        }
        self.frames.send(Outgoing::Refusal(refusal)).await.map_err(|_| SinkError::Gone)
    }

    fn check(&self, frame: &[u8]) -> Result<(), SinkError> {
        if frame.len() > self.frame_bytes_max { Err(SinkError::TooLong) } else { Ok(()) }
    }
}

/// Runs the holder's end: reads the request, gives the caller a sink for it and sends what comes of it.
pub(crate) async fn serve(link: &Link, mut stream: Stream, limits: &Limits) -> Result<(), FrameError> {
    let request = Pace::new(limits.progress_window).read_frame(&mut stream, limits.request_bytes_max).await?;
    let (frames, outgoing) = mpsc::channel(OBJECT_FRAMES_IN_FLIGHT);
    let sink = ObjectSink { frames, frame_bytes_max: limits.object_frame_bytes_max };
    link.tell(What::ObjectRequested { request, sink }).await;
    send_all(stream, outgoing, limits).await
}

async fn send_all(
    stream: Stream,
    mut outgoing: mpsc::Receiver<Outgoing>,
    limits: &Limits,
) -> Result<(), FrameError> {
    let (mut from_requester, mut to_requester) = stream.split();
    let mut acknowledgement = [0];
    loop {
        let next = tokio::select! {
            biased;
            // Before the end nothing may come: a byte or an end of the stream is a requester that left.
            _ = from_requester.read(&mut acknowledgement) => return Ok(()),
            next = outgoing.recv() => next,
        };
        let mut pace = Pace::new(limits.progress_window);
        match next {
            Some(Outgoing::Data(frame)) => pace.write_tagged(&mut to_requester, TAG_DATA, &frame).await?,
            Some(Outgoing::Refusal(words)) => {
                pace.write_tagged(&mut to_requester, TAG_REFUSED, &words).await?;
                return pace.close(&mut to_requester).await;
            }
            Some(Outgoing::End(acknowledged)) => {
                pace.write_tagged(&mut to_requester, TAG_END, &[]).await?;
                let read = from_requester.read(&mut acknowledgement);
                let done = tokio::time::timeout(limits.progress_window, read).await;
                if matches!(done, Ok(Ok(1))) && acknowledgement == [ACKNOWLEDGED] {
                    let _gone = acknowledged.send(());
                }
                return Ok(());
            }
            None => return Ok(()),
        }
    }
}
