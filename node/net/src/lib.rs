//! The libp2p side of a node: connections, gossip, requests and streams.
//!
//! It moves opaque bytes between admitted peers within bounds; the caller decides. It doesn't know entries,
//! blocks or objects, keeps nothing on disk, and finds no peers by itself. Used by `node`'s runtime, which turns
//! its [`Event`]s into inputs of `node/service` and the outputs of that into [`Command`]s.
//!
//! [`spawn`] starts it inside a tokio runtime.

mod admission;
mod api;
mod behaviour;
mod bucket;
mod calls;
mod config;
mod consensus_stream;
mod counters;
mod cutoff;
mod frame;
mod handshake;
pub mod limits;
mod link;
mod muxer;
mod objects;
pub mod parsing;
mod redial;
mod session;
mod streams;
mod swarm;
mod sync_codec;

pub use admission::AdmittedPeers;
pub use api::{CallError, Command, DisconnectReason, Event, GossipId, Offence, Verdict};
pub use config::{Net, NetConfig, NetError, peer_id_of, public_key_of, spawn};
pub use counters::Counters;
pub use handshake::Refusal;
pub use libp2p::{Multiaddr, PeerId};
pub use limits::Limits;
pub use objects::{Frame, FramePlace, ObjectSink, SinkError};
