//! Numbers that the caller shows as metrics: what happened that no event tells, or tells only in part.
//!
//! They hold no identities and no payload. Counted throughout this package.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections whose handshake passed.
    pub connections_established: AtomicU64,
    /// Handshakes refused on a rule, here or there.
    pub refusals: AtomicU64,
    /// Inbound handshakes that ended otherwise: silence, garbage, a limit on connections.
    pub handshakes_failed: AtomicU64,
    /// Consensus frames dropped because the peer was slow.
    pub consensus_dropped: AtomicU64,
    /// Consensus frames dropped because the peer was not connected, or the frame was too long.
    pub consensus_undelivered: AtomicU64,
    /// Announcements that reached nobody: no subscriber, full queues, too long.
    pub gossip_unpublished: AtomicU64,
    /// Inbound streams reset because the peer had too many.
    pub streams_refused: AtomicU64,
    /// Peers cut because they broke a rule.
    pub offences: AtomicU64,
}

/// One more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
