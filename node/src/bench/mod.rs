//! `hospes bench`: what each part costs against a peer or a limit, both sides measured in one run.
//!
//! Figures are medians; a row says what was measured, the other side, their ratio and the goal. It starts
//! nodes of its own in temporary folders and touches no other.
//!
//! Goals that were missed on two cores that others used at the same time, and why:
//!
//! | row | seen | where the rest goes, by profile |
//! |---|---|---|
//! | `commit-throughput` | 0.07 to 0.27 of the limit, goal 0.4 | syncs: each of redb's commits is two, of 5 ms on that disk |
//! | `commit-cpu` | 5.0 times the limit's, goal 2.5 | a quarter redb's commits, a tenth placing records, a sixth the network's threads |
//! | `commit-latency-p50` | 56 to 104 ms, goal 20 | the same syncs: ten commits follow one another from filing to final |
//! | `decide-memory` | 2.1 us, goal 1 | some twenty cache lines in 800 MB; shorter lists in the map gained nothing |
//! | `decide-disk` | 40 us, one read 9, goal 10 | seven looks at the store, before they became three; not measured since |

mod commit;
mod decide;
mod decide_disk;
mod idle;
mod ingest;
mod people;
mod row;
mod start;
mod world;

pub(crate) use row::Row;

use row::Failed;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes that are sealed and stored.
    pub(crate) ingest_bytes: u64,
    /// Grants among which one decides, and records over which a node starts.
    pub(crate) grants: u32,
    /// Headers that are committed.
    pub(crate) headers: u32,
    /// Entries whose time to finality is taken.
    pub(crate) taps: u32,
    /// Seconds for which an idle node is watched.
    pub(crate) idle_seconds: u64,
}

impl Size {
    /// The sizes that the goals speak of.
    pub(crate) const FULL: Self =
        Self { ingest_bytes: 1 << 30, grants: 1_000_000, headers: 20_000, taps: 300, idle_seconds: 20 };
    /// A tenth of it, for a first look.
    pub(crate) const QUICK: Self =
        Self { ingest_bytes: 128 << 20, grants: 100_000, headers: 4_000, taps: 100, idle_seconds: 5 };
}

type Bench = fn(Size) -> Result<Vec<Row>, Failed>;

/// Every bench by name, in the order in which they run; idling first, before others leave memory behind.
pub(crate) const BENCHES: &[(&str, Bench)] = &[
    ("idle", idle::run),
    ("ingest", ingest::run),
    ("decide", decide::run),
    ("commit", commit::run),
    ("start", start::run),
];

/// Runs the benches that `names` name, or all, and hands each row over as it is measured.
///
/// # Errors
/// [`Failed`] names the bench that could not run.
pub(crate) fn run(names: &[String], size: Size, mut show: impl FnMut(&Row)) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    for (name, bench) in BENCHES {
        if !names.is_empty() && !names.iter().any(|n| n == name) {
            continue;
        }
        for row in bench(size).map_err(|f| f.in_bench(name))? {
            show(&row);
            rows.push(row);
        }
    }
    Ok(rows)
}
