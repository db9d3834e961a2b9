//! Every bound of the network side, each with its reason.
//!
//! The constants are the defaults of [`Limits`]; a test or an unusual deployment lowers or raises single fields.
//! Deliberately not here: limits on what the bytes mean (header, block, nesting), which `protocol` holds.
//! Read by every other file of this package.

use std::time::Duration;

/// Opaque part of a hello, bytes: formats and build hash take tens of bytes; 4 KiB leaves room for a decade.
pub const HELLO_BYTES_MAX: usize = 4 * 1024;
/// Gossip message, bytes (INTERFACES 4): announcements, never bulk; a header is at most 1 KiB.
pub const GOSSIP_BYTES_MAX: usize = 64 * 1024;
/// What gossipsub's own envelope adds to a message (source, sequence number, topic, key, signature), bytes.
pub(crate) const GOSSIP_ENVELOPE_BYTES: usize = 4 * 1024;
/// Consensus frame, bytes: a block of 1 MiB, its certificate and evidence.
pub const CONSENSUS_FRAME_BYTES_MAX: usize = 1_310_720;
/// Consensus frames waiting for one peer. Older votes are worthless, so the oldest goes first.
pub const CONSENSUS_QUEUE_FRAMES: usize = 256;
/// Consensus bytes waiting for one peer: six full blocks.
pub const CONSENSUS_QUEUE_BYTES: usize = 8 * 1024 * 1024;
/// Request, bytes: a frontier of 1,000 nodes, or a list of 1,900 object ids.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;
/// Answer, bytes (INTERFACES 4): four full blocks; longer things are paged or streamed.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Object frame, bytes: a stored segment of 1,048,064 bytes and 1 KiB for what the holder says about it.
pub const OBJECT_FRAME_BYTES_MAX: usize = 1_048_064 + 1024;
/// Refusal that ends an object stream, bytes: a numbered reason and a sentence.
pub const OBJECT_REFUSAL_BYTES_MAX: usize = 4 * 1024;
/// Object frames of one stream between the socket and the one who writes them to disk: enough to keep both busy.
pub const OBJECT_FRAMES_IN_FLIGHT: usize = 4;

/// Connections with one peer: two, because both sides may dial at once.
pub const CONNECTIONS_PER_PEER: u32 = 2;
/// Connections in all.
pub const CONNECTIONS_TOTAL: u32 = 256;
/// Inbound connections whose handshake is not finished.
pub const CONNECTIONS_PENDING: u32 = 64;
/// Unfinished inbound handshakes from one IP address: half of the total, so one machine cannot take all places.
pub const CONNECTIONS_PENDING_PER_ADDRESS: usize = 32;
/// How long after the first connection with a peer a second one is taken for the other half of two dials at
/// once. Later it means that the peer lost the first, though we haven't noticed, and it replaces the session.
pub const SIMULTANEOUS_DIALS_MAX: Duration = Duration::from_secs(10);
/// Requests in flight with one peer, in each direction (INTERFACES 4).
pub const REQUESTS_PER_PEER: usize = 32;
/// Requests of one peer that the caller works on at once: with answers of 4 MiB that is 16 MiB of memory.
pub const REQUESTS_SERVED_PER_PEER: usize = 4;
/// Requests of all peers that the caller works on at once.
pub const REQUESTS_SERVED_TOTAL: usize = 32;
/// Object streams with one peer, in each direction: one request names many objects, so few streams fill a line.
pub const OBJECT_STREAMS_PER_PEER: usize = 8;
/// Yamux streams of one connection, both directions: 64 requests, 16 object streams, 6 of consensus, gossip and
/// ping, and those that are closing. One more and yamux ends the connection, so there must be room.
pub const STREAMS_PER_CONNECTION: usize = 128;
/// Yamux receive window of one connection, bytes: 256 KiB for each stream (yamux insists) and 8 MiB to grow
/// into, where the default is 1 GiB.
pub const RECEIVE_WINDOW_BYTES: usize = STREAMS_PER_CONNECTION * 256 * 1024 + 8 * 1024 * 1024;

/// Inbound messages per second from one peer, all protocols: about 50 votes a height with 25 validators, 20
/// heights a second, four times over.
pub const MESSAGES_PER_SECOND: u32 = 4_000;
/// Inbound messages that may come at once, after silence.
pub const MESSAGES_BURST: u32 = 8_000;
/// First penalty for breaking a rule; doubles with each further one.
pub const PENALTY_FIRST: Duration = Duration::from_secs(10);
/// Longest penalty: an honest node with a fault that was mended is back within five minutes.
pub const PENALTY_MAX: Duration = Duration::from_secs(300);

/// TCP connect, Noise and hello together. The one total time here: nothing of it is bulk.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long an answer may take to begin, while the peer works.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(30);
/// In each such window a transfer must move [`PROGRESS_BYTES_MIN`] or end.
pub const PROGRESS_WINDOW: Duration = Duration::from_secs(15);
/// Bytes per window below which a transfer counts as stalled: about 1 KiB/s, a tenth of a bad modem line.
pub const PROGRESS_BYTES_MIN: usize = 16 * 1024;
/// Interval of pings. A connection on which no byte arrives for twice as long is dead: the peer pings too. (The
/// failures that libp2p's ping reports come after its first free one and a negotiation, up to a minute later.)
pub const PING_INTERVAL: Duration = Duration::from_secs(15);
/// First pause before dialling a wanted peer again: what a loopback restart takes.
pub const REDIAL_FIRST: Duration = Duration::from_millis(200);
/// Longest pause between dials: a healed line is used within five seconds.
pub const REDIAL_MAX: Duration = Duration::from_secs(5);
/// Addresses kept for one wanted peer.
pub const ADDRESSES_PER_PEER: usize = 16;

/// Commands that wait for the swarm.
pub(crate) const COMMAND_QUEUE: usize = 256;
/// Events that wait for the caller; each holds at most one frame.
pub(crate) const EVENT_QUEUE: usize = 32;
/// Reports of stream tasks that wait for the swarm.
pub(crate) const REPORT_QUEUE: usize = 16;
/// Events held back by the swarm before it stops reading from the network; commands are still taken.
pub(crate) const OUTBOX_HIGH: usize = 16;
/// Refusals that wait to be reported; further ones are only counted.
pub(crate) const REFUSAL_QUEUE: usize = 64;
/// Refusals reported per second (an unknown peer can invent any number of identities).
pub(crate) const REFUSALS_PER_SECOND: u32 = 10;

/// Bounds of one running network side. Sizes in bytes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// [`CONSENSUS_FRAME_BYTES_MAX`].
    pub consensus_frame_bytes_max: usize,
    /// [`CONSENSUS_QUEUE_FRAMES`].
    pub consensus_queue_frames: usize,
    /// [`REQUEST_BYTES_MAX`].
    pub request_bytes_max: usize,
    /// [`ANSWER_BYTES_MAX`].
    pub answer_bytes_max: usize,
    /// [`OBJECT_FRAME_BYTES_MAX`].
    pub object_frame_bytes_max: usize,
    /// [`CONNECTIONS_PER_PEER`].
    pub connections_per_peer: u32,
    /// [`CONNECTIONS_TOTAL`].
    pub connections_total: u32,
    /// [`CONNECTIONS_PENDING`].
    pub connections_pending: u32,
    /// [`CONNECTIONS_PENDING_PER_ADDRESS`].
    pub connections_pending_per_address: usize,
    /// [`SIMULTANEOUS_DIALS_MAX`].
    pub simultaneous_dials_max: Duration,
    /// [`REQUESTS_PER_PEER`].
    pub requests_per_peer: usize,
    /// [`MESSAGES_PER_SECOND`].
    pub messages_per_second: u32,
    /// [`MESSAGES_BURST`].
    pub messages_burst: u32,
    /// [`PENALTY_FIRST`].
    pub penalty_first: Duration,
    /// [`HANDSHAKE_TIME_MAX`].
    pub handshake_time_max: Duration,
    /// [`ANSWER_WAIT_MAX`].
    pub answer_wait_max: Duration,
    /// [`PROGRESS_WINDOW`].
    pub progress_window: Duration,
    /// [`PING_INTERVAL`].
    pub ping_interval: Duration,
    /// [`REDIAL_FIRST`].
    pub redial_first: Duration,
    /// [`REDIAL_MAX`].
    pub redial_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            consensus_frame_bytes_max: CONSENSUS_FRAME_BYTES_MAX,
            consensus_queue_frames: CONSENSUS_QUEUE_FRAMES,
            request_bytes_max: REQUEST_BYTES_MAX,
            answer_bytes_max: ANSWER_BYTES_MAX,
            object_frame_bytes_max: OBJECT_FRAME_BYTES_MAX,
            connections_per_peer: CONNECTIONS_PER_PEER,
            connections_total: CONNECTIONS_TOTAL,
            connections_pending: CONNECTIONS_PENDING,
            connections_pending_per_address: CONNECTIONS_PENDING_PER_ADDRESS,
            simultaneous_dials_max: SIMULTANEOUS_DIALS_MAX,
            requests_per_peer: REQUESTS_PER_PEER,
            messages_per_second: MESSAGES_PER_SECOND,
            messages_burst: MESSAGES_BURST,
            penalty_first: PENALTY_FIRST,
            handshake_time_max: HANDSHAKE_TIME_MAX,
            answer_wait_max: ANSWER_WAIT_MAX,
            progress_window: PROGRESS_WINDOW,
            ping_interval: PING_INTERVAL,
            redial_first: REDIAL_FIRST,
            redial_max: REDIAL_MAX,
        }
    }
}
