//! What the caller says to the network side and hears from it.
//!
//! Payloads are opaque bytes. Commands never block on the network: what cannot be sent now is refused, dropped
//! oldest first (consensus) or counted, and each request gets exactly one answer. Spoken by `node`'s runtime;
//! carried out in `swarm`.

use std::collections::BTreeSet;
use std::fmt;

use libp2p::gossipsub::MessageId;
use libp2p::{Multiaddr, PeerId};

use crate::frame::FrameError;
use crate::handshake::Refusal;
use crate::objects::{Frame, ObjectSink};

/// What the network side shall do.
#[derive(Debug)]
pub enum Command {
    /// Replace the admitted set; peers that left it are cut at once.
    Admit(BTreeSet<PeerId>),
    /// Keep a connection to `peer`: dial, and dial again with back-off until [`Command::Forget`]. Said again, it
    /// replaces the addresses and dials at once. A peer outside the admitted set is dialled once it is in it.
    Dial {
        /// Whom to reach.
        peer: PeerId,
        /// Where; at most [`crate::limits::ADDRESSES_PER_PEER`] are kept.
        addrs: Vec<Multiaddr>,
    },
    /// Stop dialling `peer`; an open connection stays.
    Forget(PeerId),
    /// Close all connections with `peer`; `reason` comes back in [`Event::Disconnected`].
    Disconnect {
        /// Whom.
        peer: PeerId,
        /// Why, for the log.
        reason: String,
    },
    /// `peer` broke a rule that only the caller can judge: cut it and keep it out for a while.
    Penalise {
        /// Whom.
        peer: PeerId,
        /// What it did, for the log.
        reason: String,
    },
    /// Announce to all subscribers, at most [`crate::limits::GOSSIP_BYTES_MAX`] bytes.
    Publish(Vec<u8>),
    /// The verdict on a gossip message. Until it is given, the message is not passed on.
    Validate {
        /// The message, from [`Event::Gossip`].
        message: GossipId,
        /// What becomes of it.
        verdict: Verdict,
    },
    /// Send one consensus frame to a connected peer, in order. When the peer is slow, its oldest frames are
    /// dropped; when it is not connected, this one is.
    Send {
        /// To whom.
        peer: PeerId,
        /// At most [`crate::limits::CONSENSUS_FRAME_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// Ask; answered by exactly one [`Event::Response`].
    Request {
        /// Whom.
        peer: PeerId,
        /// Chosen by the caller, unique among its open requests.
        id: u64,
        /// At most [`crate::limits::REQUEST_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// Answer an [`Event::Request`]. A token whose peer has gone is ignored.
    Respond {
        /// From the event.
        token: u64,
        /// At most [`crate::limits::ANSWER_BYTES_MAX`].
        bytes: Vec<u8>,
    },
    /// End an [`Event::Request`] without an answer.
    Decline {
        /// From the event.
        token: u64,
    },
    /// Ask for objects; answered by any number of [`Event::ObjectData`] and exactly one [`Event::ObjectEnd`].
    GetObjects {
        /// Whom.
        peer: PeerId,
        /// Chosen by the caller, unique among its open transfers.
        id: u64,
        /// At most [`crate::limits::REQUEST_BYTES_MAX`].
        request: Vec<u8>,
    },
    /// Stop a transfer; it ends in [`CallError::Cancelled`].
    CancelObjects {
        /// Of the transfer.
        id: u64,
    },
    /// Close everything and end.
    Shutdown,
}

/// What the network side reports.
#[derive(Debug)]
pub enum Event {
    /// A listener is ready on this address.
    Listening(Multiaddr),
    /// Handshake and hello of a peer have passed. Comes before anything else of that peer.
    Connected {
        /// Who.
        peer: PeerId,
        /// The opaque part of its hello.
        hello: Vec<u8>,
    },
    /// The last connection with a peer is gone. Nothing else of that peer comes after it.
    Disconnected {
        /// Who.
        peer: PeerId,
        /// Why.
        reason: DisconnectReason,
    },
    /// A handshake failed on a rule, here or there. At most `limits::REFUSALS_PER_SECOND` a second.
    Refused {
        /// Who, as proven by Noise.
        peer: PeerId,
        /// Why.
        reason: Refusal,
    },
    /// A dial failed; a wanted peer is dialled again.
    DialFailed {
        /// Who was to be reached.
        peer: PeerId,
        /// What the transport said.
        error: String,
    },
    /// A peer takes part in gossip from now on.
    Subscribed(PeerId),
    /// An announcement; wants a [`Command::Validate`] within seconds.
    Gossip {
        /// The peer that passed it on.
        from: PeerId,
        /// Names it in the verdict.
        message: GossipId,
        /// The announcement.
        bytes: Vec<u8>,
    },
    /// A consensus frame.
    Message {
        /// Its sender.
        from: PeerId,
        /// The frame.
        bytes: Vec<u8>,
    },
    /// A request; wants a [`Command::Respond`] or [`Command::Decline`].
    Request {
        /// Who asks.
        from: PeerId,
        /// Names it in the answer.
        token: u64,
        /// The request.
        bytes: Vec<u8>,
    },
    /// The end of a [`Command::Request`].
    Response {
        /// Of the request.
        id: u64,
        /// The answer.
        result: Result<Vec<u8>, CallError>,
    },
    /// A peer asks for objects. Dropping the sink ends the stream as interrupted.
    ObjectRequested {
        /// Who asks.
        from: PeerId,
        /// The request.
        request: Vec<u8>,
        /// Where the frames go.
        sink: ObjectSink,
    },
    /// One frame of a transfer. Until it is dropped it counts against the four that may be in flight.
    ObjectData {
        /// Of the transfer.
        id: u64,
        /// The bytes.
        frame: Frame,
    },
    /// The end of a transfer.
    ObjectEnd {
        /// Of the transfer.
        id: u64,
        /// `Ok` only if the holder said that this was all.
        result: Result<(), CallError>,
    },
}

/// Names a gossip message while its verdict is outstanding.
#[derive(Clone, PartialEq, Eq)]
pub struct GossipId {
    pub(crate) message: MessageId,
    pub(crate) from: PeerId,
}

impl fmt::Debug for GossipId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GossipId({} from {})", self.message, self.from)
    }
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Don't, and hold it against the one who sent it.
    Reject,
    /// Don't, and hold it against nobody: it is too early to tell, or known.
    Ignore,
}

/// Why the last connection with a peer ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// The peer closed it, or the line broke.
    #[error("the connection was lost")]
    Lost,
    /// The peer left the admitted set.
    #[error("the peer is no longer admitted")]
    Removed,
    /// The caller asked for it.
    #[error("{0}")]
    Asked(String),
    /// The peer broke a rule and stays out for a while.
    #[error("{0}")]
    Offence(Offence),
}

/// A rule that a peer broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// It announced a frame that is longer than allowed.
    #[error("a frame of {announced} bytes where {max} are allowed")]
    Oversized {
        /// Announced length, bytes.
        announced: usize,
        /// Allowed length, bytes.
        max: usize,
    },
    /// It sent more messages than its rate allows.
    #[error("more messages than the rate allows")]
    RateExceeded,
    /// It sent a frame that the protocol doesn't know.
    #[error("a frame out of place")]
    Malformed,
    /// What the caller found.
    #[error("{0}")]
    Judged(String),
}

/// Why a request or a transfer gave no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer is not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// The connection ended before the answer did.
    #[error("the peer was disconnected")]
    Disconnected,
    /// As many as allowed are in flight with this peer.
    #[error("too many in flight with this peer")]
    Busy,
    /// The id belongs to a call that is still open.
    #[error("the id is in use")]
    IdInUse,
    /// Our request is longer than allowed.
    #[error("the request is too long")]
    TooLong,
    /// The peer ended the stream early, or declined.
    #[error("the peer ended the stream early")]
    Interrupted,
    /// The peer moved nothing for too long.
    #[error("the peer made no progress")]
    Stalled,
    /// The holder refused, in its own words.
    #[error("the holder refused")]
    Refused(Vec<u8>),
    /// The peer broke a rule and was disconnected.
    #[error("the peer broke a rule: {0}")]
    Offence(Offence),
    /// The caller stopped it.
    #[error("cancelled")]
    Cancelled,
}

impl From<FrameError> for CallError {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Io(_) => Self::Interrupted,
            FrameError::Stalled => Self::Stalled,
            FrameError::Oversized { announced, max } => Self::Offence(Offence::Oversized { announced, max }),
        }
    }
}
