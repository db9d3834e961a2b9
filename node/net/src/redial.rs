//! Whom to dial, and when again.
//!
//! A table of wanted peers with exponential back-off. Time and seed are arguments; it dials nobody itself.
//! Asked by `swarm`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

use crate::limits::ADDRESSES_PER_PEER;

/// A connection that ended sooner than this counts as a failure: the peer takes the call and hangs up.
const STABLE: Duration = Duration::from_secs(5);

/// The wanted peers.
#[derive(Debug)]
pub(crate) struct Redial {
    wanted: BTreeMap<PeerId, Wanted>,
    first: Duration,
    max: Duration,
    seed: u64,
}

#[derive(Debug)]
struct Wanted {
    addrs: Vec<Multiaddr>,
    failures: u32,
    state: State,
}

/// `Waiting -> Dialling -> Connected -> Waiting`; a failed dial goes from `Dialling` to `Waiting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Until the instant.
    Waiting(Instant),
    /// The transport bounds how long.
    Dialling,
    /// Since the instant.
    Connected(Instant),
}

impl Redial {
    /// Pauses grow from `first` to `max`; the seed spreads the nodes of a network that lost its line together.
    pub(crate) fn new(first: Duration, max: Duration, seed: u64) -> Self {
        Self { wanted: BTreeMap::new(), first, max, seed }
    }

    /// Wants `peer`; if it is neither connected nor being dialled, it is due now.
    pub(crate) fn want(&mut self, peer: PeerId, mut addrs: Vec<Multiaddr>, connected: bool, now: Instant) {
        addrs.truncate(ADDRESSES_PER_PEER);
        let state = match self.wanted.get(&peer).map(|w| w.state) {
            Some(State::Dialling) => State::Dialling,
            _ if connected => State::Connected(now),
            _ => State::Waiting(now),
        };
        self.wanted.insert(peer, Wanted { addrs, failures: 0, state });
    }

    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.wanted.remove(peer);
    }

    pub(crate) fn connected(&mut self, peer: &PeerId, now: Instant) {
        if let Some(wanted) = self.wanted.get_mut(peer) {
            wanted.state = State::Connected(now);
        }
    }

    /// The last connection ended.
    pub(crate) fn disconnected(&mut self, peer: &PeerId, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(peer) else { return };
        match wanted.state {
            State::Connected(since) if now.saturating_duration_since(since) >= STABLE => wanted.failures = 0,
            State::Connected(_) => wanted.failures += 1,
            State::Waiting(_) | State::Dialling => return,
        }
        self.pause(peer, now);
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, peer: &PeerId, now: Instant) {
        let Some(wanted) = self.wanted.get_mut(peer).filter(|w| w.state == State::Dialling) else { return };
        wanted.failures = wanted.failures.saturating_add(1);
        self.pause(peer, now);
    }

    /// Makes a waiting peer due: something changed that may let the dial succeed.
    pub(crate) fn hurry(&mut self, peer: &PeerId, now: Instant) {
        if let Some(wanted) = self.wanted.get_mut(peer)
            && matches!(wanted.state, State::Waiting(_))
        {
            wanted.state = State::Waiting(now);
        }
    }

    /// The peers that are due, with their addresses; from now on they count as being dialled.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        may: impl Fn(&PeerId) -> bool,
    ) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let due = |(peer, wanted): (&PeerId, &mut Wanted)| match wanted.state {
            State::Waiting(at) if at <= now && may(peer) => {
                wanted.state = State::Dialling;
                Some((*peer, wanted.addrs.clone()))
            }
            _ => None,
        };
        self.wanted.iter_mut().filter_map(due).collect()
    }

    /// When the next of the peers that may be dialled is due.
    pub(crate) fn next(&self, may: impl Fn(&PeerId) -> bool) -> Option<Instant> {
        let waiting = self.wanted.iter().filter(|(peer, _)| may(peer)).filter_map(|(_, w)| match w.state {
            State::Waiting(at) => Some(at),
            State::Dialling | State::Connected(_) => None,
        });
        waiting.min()
    }

    fn pause(&mut self, peer: &PeerId, now: Instant) {
        let jitter = self.random();
        let Some(wanted) = self.wanted.get_mut(peer) else { return };
        let doublings = wanted.failures.saturating_sub(1).min(16);
        let pause = (self.first * (1 << doublings)).min(self.max);
        // Between half and the whole of it.
        let shortened = (pause / 2 * (jitter % 1024)) / 1024;
        wanted.state = State::Waiting(now + pause - shortened);
    }

    /// SplitMix64 (Steele, Lea, Flood, 2014): small, seeded, good enough to spread dials.
    fn random(&mut self) -> u32 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const MAX: Duration = Duration::from_secs(5);

    fn dial(redial: &mut Redial, now: Instant) -> usize {
        redial.due(now, |_| true).len()
    }

    #[test]
    fn pauses_grow_to_the_maximum_and_never_end() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut redial = Redial::new(FIRST, MAX, 1);
        redial.want(peer, vec![], false, now);
        let mut pauses = Vec::new();
        for _ in 0..100 {
            assert_eq!(dial(&mut redial, now), 1, "due");
            assert_eq!(dial(&mut redial, now), 0, "not dialled twice at once");
            redial.failed(&peer, now);
            let next = redial.next(|_| true).expect("a wanted peer is always dialled again");
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST, "starts short: {:?}", pauses[0]);
        assert!(pauses[99] >= MAX / 2 && pauses[99] <= MAX, "stays below the maximum: {:?}", pauses[99]);
    }

    #[test]
    fn a_peer_that_takes_the_call_and_hangs_up_is_not_dialled_in_a_tight_loop() {
        let (peer, mut now) = (PeerId::random(), Instant::now());
        let mut redial = Redial::new(FIRST, MAX, 1);
        redial.want(peer, vec![], false, now);
        for _ in 0..10 {
            assert_eq!(dial(&mut redial, now), 1, "due");
            redial.connected(&peer, now);
            assert_eq!(redial.next(|_| true), None, "a connected peer is not dialled");
            redial.disconnected(&peer, now);
            now = redial.next(|_| true).expect("dialled again");
        }
        redial.due(now, |_| true);
        redial.connected(&peer, now);
        redial.disconnected(&peer, now);
        assert!(redial.next(|_| true).expect("waiting") - now >= MAX / 2, "the pause has grown");
    }

    #[test]
    fn a_peer_that_may_not_be_dialled_waits_until_it_may_and_a_forgotten_one_is_left_alone() {
        let (peer, now) = (PeerId::random(), Instant::now());
        let mut redial = Redial::new(FIRST, MAX, 1);
        redial.want(peer, vec![], false, now);
        assert!(redial.due(now, |_| false).is_empty(), "not admitted, not dialled");
        assert_eq!(dial(&mut redial, now), 1, "dialled once admitted");
        redial.forget(&peer);
        redial.failed(&peer, now);
        assert_eq!(redial.next(|_| true), None, "forgotten");
    }
}
