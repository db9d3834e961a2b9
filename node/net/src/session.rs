//! One connected peer: its connections, its stream tasks, its share of everything.
//!
//! Dropping a session aborts its tasks, and with them its streams. It doesn't talk to the swarm or the caller;
//! `swarm` owns it and its tasks report by their [`Link`].

use std::sync::Arc;
use std::time::Instant;

use libp2p::swarm::{ConnectionId, Stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use crate::api::{CallError, Offence};
use crate::bucket::TokenBucket;
use crate::consensus_stream::{self, Queue};
use crate::counters::{Counters, count};
use crate::frame::FrameError;
use crate::limits::{Limits, OBJECT_STREAMS_PER_PEER, REQUESTS_SERVED_PER_PEER};
use crate::link::{Link, What};
use crate::streams::Channel;
use crate::{objects, sync_codec};

/// A peer that has its answer may ask again before we have seen the old stream close, so what it may have open
/// with us is more than what we would open with it.
const INBOUND_SLACK: usize = 2;

/// What all sessions share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) limits: Arc<Limits>,
    pub(crate) counters: Arc<Counters>,
    /// Requests that the caller works on at once, for all peers.
    pub(crate) serving: Arc<Semaphore>,
}

/// A connected peer.
#[derive(Debug)]
pub(crate) struct Session {
    /// Open connections, oldest first; never empty while the session lives.
    pub(crate) connections: Vec<ConnectionId>,
    pub(crate) link: Link,
    begun: Instant,
    shared: Shared,
    tasks: JoinSet<()>,
    messages: TokenBucket,
    outgoing: Option<Arc<Queue>>,
    incoming: Option<AbortHandle>,
    requests_out: Arc<Semaphore>,
    requests_in: Arc<Semaphore>,
    serving: Arc<Semaphore>,
    objects_out: Arc<Semaphore>,
    objects_in: Arc<Semaphore>,
}

impl Session {
    pub(crate) fn new(link: Link, shared: Shared, connection: ConnectionId, now: Instant) -> Self {
        let limits = &shared.limits;
        let places = |n| Arc::new(Semaphore::new(n));
        Self {
            connections: vec![connection],
            link,
            begun: now,
            tasks: JoinSet::new(),
            messages: TokenBucket::new(limits.messages_per_second, limits.messages_burst, now),
            outgoing: None,
            incoming: None,
            requests_out: places(limits.requests_per_peer),
            requests_in: places(INBOUND_SLACK * limits.requests_per_peer),
            serving: places(REQUESTS_SERVED_PER_PEER),
            objects_out: places(OBJECT_STREAMS_PER_PEER),
            objects_in: places(INBOUND_SLACK * OBJECT_STREAMS_PER_PEER),
            shared,
        }
    }

    /// Whether a second connection can be the other half of two dials at once. Later, an honest peer opens one
    /// only after it has lost the first, though we may not have noticed.
    pub(crate) fn is_young(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < self.shared.limits.simultaneous_dials_max
    }

    /// Counts one inbound message; false when the peer exceeds its rate.
    pub(crate) fn allows_message(&mut self, now: Instant) -> bool {
        self.messages.take(now)
    }

    /// Queues a consensus frame; the first one starts the task that sends them.
    pub(crate) fn send(&mut self, frame: Vec<u8>) {
        if let Some(queue) = &self.outgoing {
            return queue.push(frame);
        }
        let frames_max = self.shared.limits.consensus_queue_frames;
        let queue = Arc::new(Queue::new(frames_max, Arc::clone(&self.shared.counters)));
        queue.push(frame);
        self.outgoing = Some(Arc::clone(&queue));
        let (link, limits) = (self.link.clone(), Arc::clone(&self.shared.limits));
        self.spawn(async move { consensus_stream::send_all(&link, &queue, &limits).await });
    }

    /// Starts a request.
    ///
    /// # Errors
    /// [`CallError::Busy`] when as many as allowed are in flight.
    pub(crate) fn ask(&mut self, id: u64, request: Vec<u8>) -> Result<AbortHandle, CallError> {
        let place = place(&self.requests_out).ok_or(CallError::Busy)?;
        let (link, limits) = (self.link.clone(), Arc::clone(&self.shared.limits));
        Ok(self.spawn(async move {
            let result = sync_codec::ask(&link, &request, &limits).await;
            drop(place);
            link.tell(What::Answered { id, result }).await;
        }))
    }

    /// Starts a transfer.
    ///
    /// # Errors
    /// [`CallError::Busy`] when as many as allowed are in flight.
    pub(crate) fn fetch(&mut self, id: u64, request: Vec<u8>) -> Result<AbortHandle, CallError> {
        let place = place(&self.objects_out).ok_or(CallError::Busy)?;
        let (link, limits) = (self.link.clone(), Arc::clone(&self.shared.limits));
        Ok(self.spawn(async move {
            let result = objects::fetch(&link, id, &request, &limits).await;
            drop(place);
            link.tell(What::ObjectEnd { id, result }).await;
        }))
    }

    /// Takes a stream that the peer opened. Beyond its share the stream is dropped, which resets it.
    pub(crate) fn accept(&mut self, channel: Channel, stream: Stream) {
        match channel {
            Channel::Consensus => self.accept_consensus(stream),
            Channel::Sync => self.accept_request(stream),
            Channel::Objects => self.accept_transfer(stream),
        }
    }

    /// The newest stream counts: a peer opens another only when it has given up the one before.
    fn accept_consensus(&mut self, stream: Stream) {
        let (link, limits) = (self.link.clone(), Arc::clone(&self.shared.limits));
        let reader = self.spawn(async move {
            let result = consensus_stream::receive_all(&link, stream, &limits).await;
            judge(&link, result).await;
        });
        if let Some(before) = self.incoming.replace(reader) {
            before.abort();
        }
    }

    /// The peer's requests wait for one of its few places at the caller, then for one of all peers.
    fn accept_request(&mut self, stream: Stream) {
        let Some(place) = place(&self.requests_in) else {
            return count(&self.shared.counters.streams_refused);
        };
        let (link, shared, own) = (self.link.clone(), self.shared.clone(), Arc::clone(&self.serving));
        self.spawn(async move {
            let result = sync_codec::serve(&link, stream, &shared.limits, &own, &shared.serving).await;
            drop(place);
            judge(&link, result).await;
        });
    }

    fn accept_transfer(&mut self, stream: Stream) {
        let Some(place) = place(&self.objects_in) else {
            return count(&self.shared.counters.streams_refused);
        };
        let (link, limits) = (self.link.clone(), Arc::clone(&self.shared.limits));
        self.spawn(async move {
            let result = objects::serve(&link, stream, &limits).await;
            drop(place);
            judge(&link, result).await;
        });
    }

    /// Starts a task that ends with the session, and forgets those that have ended.
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(task)
    }
}

fn place(places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(places).try_acquire_owned().ok()
}

/// A stream that ended is nobody's fault; a frame that is too long is.
async fn judge(link: &Link, result: Result<(), FrameError>) {
    match result {
        Ok(()) => {}
        Err(FrameError::Oversized { announced, max }) => {
            link.tell(What::Offence(Offence::Oversized { announced, max })).await;
        }
        Err(error @ (FrameError::Io(_) | FrameError::Stalled)) => {
            tracing::debug!(peer = %link.session.peer, %error, "an inbound stream ended early");
        }
    }
}
