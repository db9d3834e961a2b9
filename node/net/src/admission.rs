//! Who may connect: one set shared by the handshake, which asks it, and the caller, who replaces it.
//!
//! It also knows the open sockets of each peer, so that taking a peer out of the set cuts them in the same call,
//! and remembers for how long a peer that broke a rule stays out. It doesn't decide who belongs in the set: that
//! is read from the ledger by the caller. Used by `handshake`, `streams` and `swarm`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak};
use std::time::{Duration, Instant};

use libp2p::PeerId;

use crate::cutoff::Switch;
use crate::limits::PENALTY_MAX;

/// The peers whose handshake may succeed. Clones share one set.
#[derive(Clone, Debug, Default)]
pub struct AdmittedPeers(Arc<RwLock<Admission>>);

#[derive(Debug, Default)]
struct Admission {
    admitted: BTreeSet<PeerId>,
    penalties: BTreeMap<PeerId, Penalty>,
    sockets: BTreeMap<PeerId, Vec<Weak<Switch>>>,
    hellos: BTreeMap<PeerId, Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
struct Penalty {
    until: Instant,
    length: Duration,
}

/// Why the set turned a peer away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    NotAdmitted,
    Penalised,
}

impl AdmittedPeers {
    /// A set with these peers.
    #[must_use]
    pub fn new(admitted: BTreeSet<PeerId>) -> Self {
        Self(Arc::new(RwLock::new(Admission { admitted, ..Admission::default() })))
    }

    /// Whether `peer` is in the set.
    #[must_use]
    pub fn contains(&self, peer: &PeerId) -> bool {
        self.read().admitted.contains(peer)
    }

    /// Replaces the set and cuts every socket, handshakes under way included, of the peers that left it. Returns
    /// those peers.
    pub fn replace(&self, admitted: BTreeSet<PeerId>) -> BTreeSet<PeerId> {
        let mut state = self.write();
        let removed: BTreeSet<PeerId> = state.admitted.difference(&admitted).copied().collect();
        state.admitted = admitted;
        for peer in &removed {
            state.penalties.remove(peer);
            state.hellos.remove(peer);
            state.cut(peer);
        }
        removed
    }

    /// Cuts every socket of `peer`, which may connect again.
    pub(crate) fn cut(&self, peer: &PeerId) {
        self.write().cut(peer);
    }

    /// Cuts every socket that has heard nothing for `silence_max`.
    pub(crate) fn cut_silent(&self, now: Instant, silence_max: Duration) {
        let state = self.read();
        for switch in state.sockets.values().flatten().filter_map(Weak::upgrade) {
            if switch.silence(now) >= silence_max {
                switch.cut();
            }
        }
    }

    /// Cuts `peer` and keeps it out for `first`, doubled for each offence of the last minutes, at most
    /// [`PENALTY_MAX`].
    pub(crate) fn penalise(&self, peer: &PeerId, now: Instant, first: Duration) {
        let mut state = self.write();
        state.cut(peer);
        if !state.admitted.contains(peer) {
            return;
        }
        let recent = state.penalties.get(peer).filter(|p| now < p.until + PENALTY_MAX);
        let length = recent.map_or(first, |p| (p.length * 2).min(PENALTY_MAX));
        state.penalties.insert(*peer, Penalty { until: now + length, length });
    }

    /// Admits one socket of `peer`: the answer and the entry under which a later [`Self::replace`] finds the
    /// socket are made under one lock, so no removal falls between them.
    pub(crate) fn enter(&self, peer: &PeerId, now: Instant) -> Result<Arc<Switch>, Denied> {
        let mut state = self.write();
        if !state.admitted.contains(peer) {
            return Err(Denied::NotAdmitted);
        }
        if state.penalties.get(peer).is_some_and(|p| now < p.until) {
            return Err(Denied::Penalised);
        }
        let switch = Arc::new(Switch::new(now));
        let sockets = state.sockets.entry(*peer).or_default();
        sockets.retain(|s| s.strong_count() > 0);
        sockets.push(Arc::downgrade(&switch));
        Ok(switch)
    }

    /// Keeps the hello of an admitted peer until the connection is reported.
    pub(crate) fn keep_hello(&self, peer: &PeerId, hello: Vec<u8>) {
        let mut state = self.write();
        if state.admitted.contains(peer) {
            state.hellos.insert(*peer, hello);
        }
    }

    /// The newest hello of `peer`.
    pub(crate) fn hello(&self, peer: &PeerId) -> Option<Vec<u8>> {
        self.read().hellos.get(peer).cloned()
    }

    /// The state behind a lock that a panic elsewhere cannot have left half changed: no writer panics midway.
    fn read(&self) -> RwLockReadGuard<'_, Admission> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Admission> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Admission {
    fn cut(&mut self, peer: &PeerId) {
        for switch in self.sockets.remove(peer).into_iter().flatten().filter_map(|s| s.upgrade()) {
            switch.cut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_leaves_the_set_is_cut_and_refused() {
        let (kept, left) = (PeerId::random(), PeerId::random());
        let peers = AdmittedPeers::new([kept, left].into());
        let now = Instant::now();
        let stays = peers.enter(&kept, now).expect("in the set");
        let goes = peers.enter(&left, now).expect("in the set");

        assert_eq!(peers.replace([kept].into()), [left].into(), "the one that left is named");
        assert!(goes.is_cut(), "its open socket is cut by the same call");
        assert!(!stays.is_cut(), "nobody else is");
        assert_eq!(peers.enter(&left, now).err(), Some(Denied::NotAdmitted), "it cannot come back");
    }

    #[test]
    fn penalties_end_and_double() {
        let peer = PeerId::random();
        let peers = AdmittedPeers::new([peer].into());
        let (start, first) = (Instant::now(), Duration::from_secs(10));
        peers.penalise(&peer, start, first);
        assert_eq!(peers.enter(&peer, start).err(), Some(Denied::Penalised), "kept out at once");
        assert!(peers.enter(&peer, start + first).is_ok(), "back when the time is over");
        peers.penalise(&peer, start, first);
        assert!(peers.enter(&peer, start + first).is_err(), "the second one is longer");
        assert!(peers.enter(&peer, start + 2 * first).is_ok(), "by a factor of two");
    }
}
