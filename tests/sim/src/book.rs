//! The book of a long run: when each entry was filed and when its node saw it final, whether the node was
//! connected meanwhile, and what each node's service cost. It judges nothing; `day` and `growth` make their tables
//! from it.
//!
//! The CPU clock is read here alone, and only where costs are asked for. Nothing in a run follows from it.

use std::collections::BTreeMap;

use hospes_protocol::check::Check;
use hospes_protocol::ids::HeaderId;
use hospes_protocol::tally::{Tally, tally};
use rustix::time::{ClockId, clock_gettime};

use crate::world::World;

/// An entry between tap and finality.
struct Waiting {
    at: u64,
    connected: bool,
}

/// How long one entry took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took {
    /// When it was filed, in virtual milliseconds.
    pub(crate) at: u64,
    /// From the tap until its own node saw it final, in virtual milliseconds.
    pub(crate) ms: u64,
    /// Whether its node reached a quorum of honest validators at both ends.
    pub(crate) connected: bool,
}

/// What a node's service cost so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// CPU time, in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Inputs: messages that arrived, timers, entries filed.
    pub(crate) inputs: u64,
    /// Signatures verified, alone and in batches.
    pub(crate) verified: u64,
    /// Signatures made.
    pub(crate) made: u64,
}

/// What is counted.
#[derive(Default)]
pub(crate) struct Book {
    waiting: BTreeMap<HeaderId, Waiting>,
    pub(crate) took: Vec<Took>,
    /// Whether costs are measured.
    measures: bool,
    pub(crate) costs: BTreeMap<usize, Cost>,
}

/// The beginning of an input.
#[derive(Clone, Copy)]
pub(crate) struct Begun {
    cpu_ns: u64,
    tally: Tally,
}

impl Book {
    /// One that measures costs.
    pub(crate) fn measuring() -> Self {
        Self { measures: true, ..Self::default() }
    }

    /// An input begins.
    pub(crate) fn begin(&self) -> Begun {
        Begun { cpu_ns: if self.measures { cpu_ns() } else { 0 }, tally: tally() }
    }
}

/// The value at a share of a thousand of an ascending list.
pub(crate) fn quantile(sorted: &[u64], permille: usize) -> u64 {
    let place = (sorted.len() * permille).div_ceil(1000).saturating_sub(1);
    sorted.get(place).copied().unwrap_or(0)
}

/// CPU time of this thread, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let nanoseconds = spent.tv_sec * 1_000_000_000 + spent.tv_nsec;
    u64::try_from(nanoseconds).unwrap_or(0)
}

impl World {
    /// An input of a node ended.
    pub(crate) fn charge(&mut self, i: usize, begun: Option<Begun>) {
        let (Some(begun), Some(book)) = (begun, self.book.as_mut()) else { return };
        let (now, end) = (tally(), if book.measures { cpu_ns() } else { 0 });
        let cost = book.costs.entry(i).or_default();
        cost.cpu_ns += end - begun.cpu_ns;
        cost.inputs += 1;
        cost.verified += now.alone + now.in_batches - begun.tally.alone - begun.tally.in_batches;
        cost.made += now.made - begun.tally.made;
    }

    /// A node reported an entry durable.
    pub(crate) fn note_filed(&mut self, i: usize, header: HeaderId) {
        if self.book.is_none() {
            return;
        }
        let (at, connected) = (self.now, self.reaches_quorum(i));
        if let Some(book) = self.book.as_mut() {
            book.waiting.insert(header, Waiting { at, connected });
        }
    }

    /// A node saw its own entries final.
    pub(crate) fn note_finalised(&mut self, i: usize, headers: &[(HeaderId, Option<Check>)]) {
        if self.book.is_none() {
            return;
        }
        let (now, connected) = (self.now, self.reaches_quorum(i));
        let Some(book) = self.book.as_mut() else { return };
        for (header, _) in headers {
            if let Some(waited) = book.waiting.remove(header) {
                let connected = waited.connected && connected;
                book.took.push(Took { at: waited.at, ms: now - waited.at, connected });
            }
        }
    }

    /// Whether lines lead from a node to a quorum of honest validators.
    fn reaches_quorum(&self, i: usize) -> bool {
        let many = self.plan.shape.validators;
        let reached = |j: &usize| {
            let there = self.nodes[*j].is_honest() && self.nodes[*j].is_running();
            there && (*j == i || self.links.is_up(i, *j) && !self.is_cut(i, *j))
        };
        (0..many).filter(reached).count() * 3 > many * 2
    }
}
