//! `/hospes/sync/1`: one request, one answer, one stream.
//!
//! ```text
//! requester                          answerer
//!   plain frame: request      ->
//!                             <-     plain frame: answer, or the end of the stream: declined
//! ```
//!
//! This is libp2p's request-response pattern without its total timeout: an answer may take as long as it makes
//! progress. What the bytes mean is the caller's. The two ends run as tasks of `swarm`.

use libp2p::swarm::Stream;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::api::CallError;
use crate::frame::{FrameError, Pace};
use crate::limits::Limits;
use crate::link::{Link, What};
use crate::streams::Channel;

/// Asks and reads the answer.
pub(crate) async fn ask(link: &Link, request: &[u8], limits: &Limits) -> Result<Vec<u8>, CallError> {
    let mut stream = link.open(Channel::Sync).await.ok_or(CallError::Interrupted)?;
    let mut pace = Pace::new(limits.progress_window);
    pace.write_frame(&mut stream, request).await?;
    pace.close(&mut stream).await?;
    let mut pace = Pace::starting_within(limits.answer_wait_max, limits.progress_window);
    Ok(pace.read_frame(&mut stream, limits.answer_bytes_max).await?)
}

/// Reads the request that opened the stream, has the caller answer it and sends the answer. A caller that says
/// nothing declines. The peer's own place is held while its answer is in memory, the one of all peers only while
/// the caller works: a peer that reads slowly takes nothing from the others.
pub(crate) async fn serve(
    link: &Link,
    mut stream: Stream,
    limits: &Limits,
    own_places: &Semaphore,
    all_places: &Semaphore,
) -> Result<(), FrameError> {
    let mut pace = Pace::new(limits.progress_window);
    let request = pace.read_frame(&mut stream, limits.request_bytes_max).await?;
    let Ok(_own) = own_places.acquire().await else { return Ok(()) };
    let Ok(of_all) = all_places.acquire().await else { return Ok(()) };
    let (reply, answer) = oneshot::channel();
    link.tell(What::Request { request, reply }).await;
    let answer = timeout(limits.answer_wait_max, answer).await;
    drop(of_all);
    if let Ok(Ok(answer)) = answer {
        let mut pace = Pace::new(limits.progress_window);
        pace.write_frame(&mut stream, &answer).await?;
        pace.close(&mut stream).await?;
    }
    Ok(())
}
