//! What a stream task knows of the world: its peer, a way to ask for streams, a way to report.
//!
//! All reports of all tasks pass through the swarm, which is why an event of a peer never comes before its
//! `Connected` or after its `Disconnected`. Decides nothing. Held by the tasks of `consensus_stream`,
//! `sync_codec` and `objects`; made by `session`.

use libp2p::PeerId;
use libp2p::swarm::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::api::{CallError, Offence};
use crate::objects::{Frame, ObjectSink};
use crate::streams::{Channel, Open};

/// Which life of which peer: reports of an earlier connection are recognised as such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId {
    pub(crate) peer: PeerId,
    pub(crate) number: u64,
}

/// A report of a stream task.
#[derive(Debug)]
pub(crate) enum What {
    Message(Vec<u8>),
    Request { request: Vec<u8>, reply: oneshot::Sender<Vec<u8>> },
    Answered { id: u64, result: Result<Vec<u8>, CallError> },
    ObjectRequested { request: Vec<u8>, sink: ObjectSink },
    ObjectData { id: u64, frame: Frame },
    ObjectEnd { id: u64, result: Result<(), CallError> },
    Offence(Offence),
}

/// A task's connection to the swarm.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) session: SessionId,
    pub(crate) reports: mpsc::Sender<(SessionId, What)>,
    pub(crate) opens: mpsc::Sender<(SessionId, Open)>,
}

impl Link {
    /// Reports, waiting while the caller is busy: so the peer feels it. When the swarm has ended, so does the
    /// runtime of this task, and nobody misses the report.
    pub(crate) async fn tell(&self, what: What) {
        drop(self.reports.send((self.session, what)).await);
    }

    /// A new stream, or `None` when the peer doesn't open one or is gone.
    pub(crate) async fn open(&self, channel: Channel) -> Option<Stream> {
        let (reply, stream) = oneshot::channel();
        self.opens.send((self.session, Open { channel, reply })).await.ok()?;
        stream.await.ok()
    }
}
