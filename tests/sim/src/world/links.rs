//! Lines between nodes: what is delayed, lost, doubled, shuffled, cut and slow.
//!
//! A link is up while both ends run, admit each other and no cut is noticed; what is under way when it goes
//! down is lost. The fate of a message follows from the seed, the link and the message's number on it.

use std::collections::{BTreeMap, BTreeSet};

use crate::dice::Dice;

/// Bad weather on all lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) spread_ms: u64,
    pub(crate) until: u64,
}

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives at this time, and once more where it is doubled.
    Arrives(u64, Option<u64>),
    /// It doesn't.
    Lost,
}

/// How a message may fare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Lost, doubled, shuffled.
    Datagram,
    /// Lost or late, once.
    Once,
    /// In order behind the stream's last, or not at all while the line is cut.
    Stream,
}

/// All lines.
#[derive(Default)]
pub(crate) struct Links {
    seed: u64,
    /// Links that are up, lower place first, and how often each came up.
    up: BTreeMap<(usize, usize), u64>,
    risen: u64,
    blocked: Vec<(usize, usize, u64)>,
    splits: Vec<(u64, u64)>,
    weather: Vec<Weather>,
    slow: BTreeMap<usize, (u64, u64)>,
    line_free: BTreeMap<usize, u64>,
    stream_end: BTreeMap<(usize, usize), u64>,
    sent: BTreeMap<(usize, usize), u64>,
    banned: BTreeMap<(usize, usize), u64>,
    /// Bytes that each node sent.
    pub(crate) bytes: BTreeMap<usize, u64>,
    /// Directions in which a stream lost something: it carries nothing more until the link comes up anew.
    torn: BTreeSet<(usize, usize)>,
    /// Messages that were lost on the way.
    pub(crate) lost: u64,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Links {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The life of the link between two nodes, while it is up.
    pub(crate) fn life(&self, a: usize, b: usize) -> Option<u64> {
        self.up.get(&pair(a, b)).copied()
    }

    pub(crate) fn is_up(&self, a: usize, b: usize) -> bool {
        self.life(a, b).is_some()
    }

    pub(crate) fn raise(&mut self, a: usize, b: usize) {
        self.risen += 1;
        self.torn.remove(&(a, b));
        self.torn.remove(&(b, a));
        self.up.insert(pair(a, b), self.risen);
    }

    pub(crate) fn drop_link(&mut self, a: usize, b: usize) -> bool {
        self.up.remove(&pair(a, b)).is_some()
    }

    /// Those whom a node is linked with.
    pub(crate) fn of(&self, a: usize) -> BTreeSet<usize> {
        let other = |(x, y): &(usize, usize)| match (*x == a, *y == a) {
            (true, _) => Some(*y),
            (_, true) => Some(*x),
            _ => None,
        };
        self.up.keys().filter_map(other).collect()
    }

    pub(crate) fn block(&mut self, from: usize, to: usize, until: u64) {
        self.blocked.push((from, to, until));
    }

    pub(crate) fn split(&mut self, side: u64, until: u64) {
        self.splits.push((side, until));
    }

    pub(crate) fn storm(&mut self, weather: Weather) {
        self.weather.push(weather);
    }

    pub(crate) fn slow_down(&mut self, node: usize, bytes_per_ms: u64, until: u64) {
        self.slow.insert(node, (bytes_per_ms.max(1), until));
    }

    /// A node has enough of another.
    pub(crate) fn ban(&mut self, a: usize, b: usize, until: u64) {
        self.banned.insert(pair(a, b), until);
    }

    pub(crate) fn is_banned(&self, a: usize, b: usize, now: u64) -> bool {
        self.banned.get(&pair(a, b)).is_some_and(|until| now < *until)
    }

    /// Whether messages from one to another are swallowed.
    pub(crate) fn is_blocked(&self, from: usize, to: usize, now: u64) -> bool {
        let cut = |(f, t, until): &(usize, usize, u64)| (*f, *t) == (from, to) && now < *until;
        let apart = |(side, until): &(u64, u64)| now < *until && (side >> from) & 1 != (side >> to) & 1;
        self.blocked.iter().any(cut) || self.splits.iter().any(apart)
    }

    /// Whether the stream from one to another lost something.
    pub(crate) fn is_torn(&self, from: usize, to: usize) -> bool {
        self.torn.contains(&(from, to))
    }

    /// The weather is good again everywhere.
    pub(crate) fn clear_up(&mut self) {
        self.blocked.clear();
        self.splits.clear();
        self.weather.clear();
        self.slow.clear();
        self.banned.clear();
    }

    /// What becomes of a message of so many bytes that leaves now.
    pub(crate) fn fate(&mut self, (from, to): (usize, usize), now: u64, bytes: u64, manner: Manner) -> Fate {
        let number = self.sent.entry((from, to)).or_default();
        *number += 1;
        *self.bytes.entry(from).or_default() += bytes;
        let mut dice = Dice::of(&[self.seed, 4, from as u64, to as u64, *number]);
        let here: Vec<_> = self.weather.iter().filter(|w| now < w.until).copied().collect();
        let (stream, blocked) = (manner == Manner::Stream, self.is_blocked(from, to, now));
        let lost = here.iter().any(|w| dice.permille(w.lost)) && !stream;
        if stream && blocked {
            self.torn.insert((from, to));
        }
        if lost || blocked || stream && self.torn.contains(&(from, to)) {
            self.lost += 1;
            return Fate::Lost;
        }
        let spread = here.iter().map(|w| w.spread_ms).max().unwrap_or(0);
        let leaves = [from, to].into_iter().map(|end| self.through(end, now, bytes)).max().unwrap_or(now);
        if manner == Manner::Stream {
            let end = self.stream_end.entry((from, to)).or_default();
            *end = (*end + 1).max(leaves + 2);
            return Fate::Arrives(*end, None);
        }
        let at = leaves + dice.range(1, 5) + dice.below(spread.max(1));
        let doubled = manner == Manner::Datagram && here.iter().any(|w| dice.permille(w.doubled));
        Fate::Arrives(at, doubled.then(|| leaves + dice.range(1, 40) + dice.below(spread.max(1))))
    }

    fn through(&mut self, end: usize, now: u64, bytes: u64) -> u64 {
        let Some((rate, until)) = self.slow.get(&end).copied() else { return now };
        if now >= until {
            return now;
        }
        let free = self.line_free.entry(end).or_default();
        // A line that is far behind drops its backlog with its connection, as TCP would.
        let begins = (*free).clamp(now, now + 5_000);
        *free = begins + bytes / rate;
        *free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_swallows_one_direction_and_ends_by_itself() {
        let mut links = Links::new(1);
        links.block(0, 1, 100);
        assert_eq!(links.fate((0, 1), 50, 10, Manner::Once), Fate::Lost, "that way");
        assert_ne!(links.fate((1, 0), 50, 10, Manner::Once), Fate::Lost, "not the other");
        assert_ne!(links.fate((0, 1), 100, 10, Manner::Once), Fate::Lost, "and not after it");
    }

    #[test]
    fn a_stream_keeps_its_order_whatever_the_weather() {
        let mut links = Links::new(1);
        links.storm(Weather { lost: 500, doubled: 500, spread_ms: 400, until: 1_000 });
        let mut last = 0;
        for _ in 0..50 {
            let Fate::Arrives(at, None) = links.fate((0, 1), 10, 10, Manner::Stream) else { panic!("once") };
            assert!(at > last, "one behind the other");
            last = at;
        }
    }

    #[test]
    fn a_slow_line_takes_its_time() {
        let mut links = Links::new(1);
        links.slow_down(1, 2, 1_000);
        let Fate::Arrives(at, _) = links.fate((0, 1), 0, 1_000, Manner::Once) else { panic!("not lost") };
        assert!(at >= 500, "a kilobyte at two bytes in a millisecond");
        let Fate::Arrives(at, _) = links.fate((0, 2), 0, 1_000, Manner::Once) else { panic!("not lost") };
        assert!(at < 10, "others are not concerned");
    }
}
