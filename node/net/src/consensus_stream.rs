//! `/hospes/consensus/1`: one long-lived stream in each direction, plain frames, in order.
//!
//! The sender keeps a bounded queue for each peer and drops the oldest frame when it is full: consensus says
//! again what matters, and an old vote matters least. When the stream breaks while the peer stays connected, a
//! new one is opened and the frame that was under way is sent again. It doesn't know votes from proposals. The
//! two ends run as tasks of `swarm`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use libp2p::swarm::Stream;
use tokio::sync::Notify;

use crate::counters::{Counters, count};
use crate::frame::{FrameError, Pace, next_frame};
use crate::limits::{CONSENSUS_QUEUE_BYTES, Limits};
use crate::link::{Link, What};
use crate::streams::Channel;

/// Pause before a broken stream is opened again, doubled up to the maximum.
const REOPEN_FIRST: Duration = Duration::from_millis(50);
const REOPEN_MAX: Duration = Duration::from_secs(5);

/// Frames that wait for one peer.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    frames_max: usize,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Waiting {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Queue {
    pub(crate) fn new(frames_max: usize, counters: Arc<Counters>) -> Self {
        Self { waiting: Mutex::default(), filled: Notify::new(), frames_max, counters }
    }

    /// Adds a frame; the oldest make room.
    pub(crate) fn push(&self, frame: Vec<u8>) {
        let mut waiting = self.lock();
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        while waiting.frames.len() > self.frames_max || waiting.bytes > CONSENSUS_QUEUE_BYTES {
            waiting.pop();
            count(&self.counters.consensus_dropped);
        }
        self.filled.notify_one();
    }

    async fn next(&self) -> Vec<u8> {
        loop {
            let filled = self.filled.notified();
            if let Some(frame) = self.lock().pop() {
                return frame;
            }
            filled.await;
        }
    }

    /// No holder of this lock panics midway.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }
}

/// Sends what the queue gets, for as long as the peer is connected.
pub(crate) async fn send_all(link: &Link, queue: &Queue, limits: &Limits) {
    let mut frame = queue.next().await;
    let mut pause = REOPEN_FIRST;
    loop {
        if let Some(mut stream) = link.open(Channel::Consensus).await {
            while Pace::new(limits.progress_window).write_frame(&mut stream, &frame).await.is_ok() {
                pause = REOPEN_FIRST;
                frame = queue.next().await;
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(REOPEN_MAX);
    }
}

/// Reports frames until the stream ends.
pub(crate) async fn receive_all(link: &Link, mut stream: Stream, limits: &Limits) -> Result<(), FrameError> {
    let max = limits.consensus_frame_bytes_max;
    while let Some(frame) = next_frame(&mut stream, limits.progress_window, max).await? {
        link.tell(What::Message(frame)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[tokio::test]
    async fn a_full_queue_drops_the_oldest_and_keeps_the_order() {
        let counters = Arc::new(Counters::default());
        let queue = Queue::new(3, Arc::clone(&counters));
        (1..=5).for_each(|n| queue.push(vec![n]));
        assert_eq!(counters.consensus_dropped.load(Ordering::Relaxed), 2, "two did not fit");
        assert_eq!(queue.next().await, [3], "the oldest that is left");
        assert_eq!(queue.next().await, [4], "then the next");
        assert_eq!(queue.next().await, [5], "then the newest");
    }

    #[tokio::test]
    async fn a_queue_is_bounded_in_bytes_too() {
        let counters = Arc::new(Counters::default());
        let queue = Queue::new(1000, Arc::clone(&counters));
        for n in 0..20 {
            queue.push(vec![n; 1 << 20]);
        }
        let waiting = queue.lock();
        assert_eq!(waiting.bytes, CONSENSUS_QUEUE_BYTES, "as many bytes as allowed");
        assert_eq!(waiting.frames.front().map(|f| f[0]), Some(12), "the newest eight frames");
    }
}
