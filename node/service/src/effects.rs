//! What leaves the service: effects for the runtime to carry out, in order, and events for whoever watches.

use std::collections::BTreeSet;

use hospes_breakglass::ceremony::Refused;
use hospes_protocol::check::Check;
use hospes_protocol::control::CommitteeMember;
use hospes_protocol::ids::{ContentId, HeaderId, Lock, NodeId, ObjectId};
use hospes_protocol::keys::VerifyingKey;

/// A timer of the service. Setting one again moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// One of the consensus engine's.
    Consensus(u64),
    /// Gather headers a little before a block is proposed.
    Gather,
    /// Offer what was filed here to its audience, and what break-glass owes.
    SendOut,
    /// An idle network commits an empty block.
    Idle,
    /// Look again at peers, bodies and objects that are still owed.
    Upkeep,
    /// Do what this node owes to ceremonies of committees.
    Ceremony,
    /// Take the blocks of a peer that wait here and are whole.
    Follow,
    /// Look whether a full disk has room again.
    Room,
}

/// Something for the runtime to do. Everything that it rests on is durable already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Publish on the network's gossip topic.
    Gossip(Vec<u8>),
    /// Send to one validator, in order.
    Send {
        /// To whom.
        to: NodeId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Ask a peer; its answer comes back under `id`.
    Request {
        /// For the answer.
        id: u64,
        /// Whom.
        to: NodeId,
        /// The request.
        bytes: Vec<u8>,
    },
    /// Answer a peer's request.
    Respond {
        /// Of the request.
        token: u64,
        /// The answer.
        bytes: Vec<u8>,
    },
    /// Fetch an object's parts from a peer; frames come back under `id`.
    Fetch {
        /// For the frames.
        id: u64,
        /// From whom.
        from: NodeId,
        /// The request.
        bytes: Vec<u8>,
    },
    /// Stop a fetch.
    CancelFetch(u64),
    /// Stream these objects to the peer, in order, from the store.
    Serve {
        /// Of the peer's request.
        token: u64,
        /// What.
        objects: Vec<ObjectId>,
    },
    /// Refuse to serve.
    Refuse {
        /// Of the peer's request.
        token: u64,
        /// Why.
        check: Check,
    },
    /// Wake the service at this time, in milliseconds since 1970 UTC.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When.
        at: u64,
    },
    /// Forget a timer.
    ClearTimer(Timer),
    /// Admit exactly these nodes in the handshake, and cut all others.
    Admit(Vec<Member>),
    /// A peer misbehaved.
    Blame {
        /// Which.
        node: NodeId,
        /// How.
        check: Check,
    },
    /// Tell those who watch.
    Event(Event),
}

impl Effect {
    /// Whether it tells anybody but the runtime something to rely on: then what it rests on is durable first.
    ///
    /// A fetch asks for what an order names, again after a crash, and the news that an object is here or gone is about
    /// this instant: it is the receipt that promises to keep it. So many small objects share a sync.
    #[must_use]
    pub fn speaks(&self) -> bool {
        !matches!(
            self,
            Self::SetTimer { .. }
                | Self::ClearTimer(_)
                | Self::Fetch { .. }
                | Self::CancelFetch(_)
                | Self::Blame { .. }
                | Self::Event(Event::Object { .. })
        )
    }
}

/// A node that may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its key, which gives its peer id.
    pub key: VerifyingKey,
    /// Multiaddresses under which it may be dialled.
    pub addresses: Vec<String>,
}

/// What happened, for people and programs that watch. Without health data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A block became final.
    BlockCommitted {
        /// Its height.
        height: u64,
        /// How many headers it made final.
        headers: usize,
    },
    /// Headers of this node became final.
    Finalised {
        /// The height.
        height: u64,
        /// Which, and why without effect where one has none.
        headers: Vec<(HeaderId, Option<Check>)>,
    },
    /// A lock was seen to close.
    LockClosed(Lock),
    /// A personal body arrived or was filed here.
    BodyKept {
        /// Its content.
        content: ContentId,
        /// Its kind.
        kind: u64,
    },
    /// An approval of this request, or an opening share for this release, came.
    ShareCame(ContentId),
    /// The admitted nodes changed.
    MembershipChanged {
        /// Those that left.
        left: BTreeSet<NodeId>,
    },
    /// A message of a committee's ceremony became final.
    Ceremony {
        /// The committee.
        committee: ContentId,
        /// Who said it.
        sender: CommitteeMember,
        /// Why it has no effect, or which effect it had on its sender; null for a good one.
        refused: Option<Refused>,
    },
    /// The disk is full and the node read-only, or no longer.
    DiskFull(bool),
    /// The store is older than what this node signed: it signs nothing more under its key.
    Outdated,
    /// A peer is connected, or no longer.
    Peer {
        /// Which.
        node: NodeId,
        /// Whether.
        connected: bool,
    },
    /// An object that this node should hold arrived, or was dropped.
    Object {
        /// Its root.
        root: ObjectId,
        /// Whether it is held now.
        held: bool,
    },
}
