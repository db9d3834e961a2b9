//! What this package itself reads from a peer, over bytes in memory: the greeting after Noise, and frames.
//!
//! The very functions that read from a socket, for tests and the fuzzer, which have none. Nothing of a running
//! node calls this.

use std::future::Future;
use std::time::Duration;

use futures::io::Cursor;
use tokio::runtime::Builder;

use crate::frame::{Pace, next_frame};
use crate::handshake::read_greeting;
use crate::limits::Limits;
use crate::objects::frame_bytes_max;

/// Bytes in memory come at once, so no wait is ever this long.
const WINDOW: Duration = Duration::from_secs(1);

fn run<T>(reading: impl Future<Output = T>) -> Option<T> {
    Some(Builder::new_current_thread().enable_time().build().ok()?.block_on(reading))
}

/// The network id and opaque bytes of a greeting; `None` for a refusal, and for what is no greeting.
#[must_use]
pub fn greeting(bytes: &[u8]) -> Option<Vec<u8>> {
    run(async { read_greeting(&mut Cursor::new(bytes)).await.ok() })?
}

/// How many plain frames of the validators' channel stand before the first that is none.
#[must_use]
pub fn plain_frames(bytes: &[u8]) -> usize {
    let (max, mut from, mut count) = (Limits::default().consensus_frame_bytes_max, Cursor::new(bytes), 0);
    let reading = async {
        while let Ok(Some(_)) = next_frame(&mut from, WINDOW, max).await {
            count += 1;
        }
    };
    run(reading).map_or(0, |()| count)
}

/// How many tagged frames of an object stream stand before the first that is none.
#[must_use]
pub fn tagged_frames(bytes: &[u8]) -> usize {
    let (limits, mut from, mut count) = (Limits::default(), Cursor::new(bytes), 0);
    let reading = async {
        while Pace::new(WINDOW).read_tagged(&mut from, |tag| frame_bytes_max(tag, &limits)).await.is_ok() {
            count += 1;
        }
    };
    run(reading).map_or(0, |()| count)
}
