//! What is printed of a day: hour by hour, and how long entries took.

use std::io::{self, Write};

use crate::book::{Took, quantile};
use crate::coverage::Coverage;
use crate::world::World;

/// The counts at the end of an hour.
pub(super) struct Hour {
    coverage: Coverage,
    height: u64,
    bytes: u64,
}

impl Hour {
    pub(super) fn of(world: &World) -> Self {
        Self {
            coverage: world.coverage.clone(),
            height: world.watch.height(),
            bytes: world.links.bytes.values().sum(),
        }
    }

    fn faults(&self) -> u64 {
        self.coverage.faults.values().sum()
    }
}

/// The names of the columns.
pub(super) fn head(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<5} {:>8} {:>6} {:>7} {:>6} {:>8} {:>8} {:>7} {:>7} {:>9} {:>9}",
        "hour",
        "entries",
        "grants",
        "revoked",
        "read",
        "refused",
        "changes",
        "blocks",
        "faults",
        "messages",
        "kB"
    )
}

/// What people and faults did between two times.
pub(super) fn row(name: &str, (a, b): (&Hour, &Hour), out: &mut impl Write) -> io::Result<()> {
    let since = |count: fn(&Coverage) -> u64| count(&b.coverage) - count(&a.coverage);
    writeln!(
        out,
        "{name:<5} {:>8} {:>6} {:>7} {:>6} {:>8} {:>8} {:>7} {:>7} {:>9} {:>9}",
        since(|c| c.reported),
        since(|c| c.grants),
        since(|c| c.revocations),
        since(|c| c.reads),
        since(|c| c.refusals),
        since(|c| c.changes),
        b.height - a.height,
        b.faults() - a.faults(),
        since(|c| c.messages),
        (b.bytes - a.bytes) / 1000
    )?;
    out.flush()
}

/// From tap to final, in virtual time.
pub(super) fn latencies(world: &World, out: &mut impl Write) -> io::Result<()> {
    let Some(book) = &world.book else { return Ok(()) };
    let of = |connected: bool| {
        let mut all: Vec<u64> =
            book.took.iter().filter(|t: &&Took| t.connected == connected).map(|t| t.ms).collect();
        all.sort_unstable();
        all
    };
    for (name, all) in [("connected", of(true)), ("cut off or without a quorum", of(false))] {
        writeln!(
            out,
            "tap to final, {name}: {} entries, p50 {} ms, p99 {} ms, longest {} ms",
            all.len(),
            quantile(&all, 500),
            quantile(&all, 990),
            all.last().unwrap_or(&0)
        )?;
    }
    let last = book.took.iter().map(|t| t.at).max().unwrap_or(0);
    writeln!(out, "the last of them was signed at {} min", last / 60_000)
}
