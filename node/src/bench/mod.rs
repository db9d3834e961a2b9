//! `hospes bench`: what each part costs against a peer or a limit, both sides measured in one run.
//!
//! Figures are medians; a row says what was measured, the other side, their ratio and the goal. It starts
//! nodes of its own in temporary folders and touches no other.
//!
//! Goals that were missed on two cores that others used at the same time, and why:
//!
//! | row | seen | where the rest goes, by profile |
//! |---|---|---|
//! | `commit-throughput` | 0.06 to 0.31 of the limit, goal 0.4 | waiting: four nodes share one disk, and a header's way to finality syncs it some nine times in turn |
//! | `commit-cpu` | 4.5 times the limit's, goal 2.5 (6.4 before what helped, below) | sealing and opening rows, redb's commits and tables, the network's threads, a sixth each |
//! | `commit-latency-p50` | 47 to 104 ms, goal 20 (19 on an idle machine) | the same syncs, and waiting for a core |
//! | `decide-memory` | 2.1 to 2.5 us, goal 1 | some twenty cache lines in 800 MB; shorter lists in the map gained nothing |
//! | `decide-growth` | 2.5 us among a million grants, 0.4 among 1,000, which the processor's caches hold; goal 3 times | the same lines |
//! | `decide-disk` | 29 us (46 at a load of 12; 40 before what helped), one read 9, goal 10 | two looks at the store; three rows opened, two seals each |
//! | `catch-up-replay` | 217 s, 4.6 times the ideal, over 100,000 blocks (2.0 and 2.7 over 4,000), goal 2.3 | of the 217 s both nodes computed for 123: the node takes a page of blocks and only then asks for the next; of the CPU of both 23 % verifies, 22 % is redb, 22 % allocates and copies, 18 % is the system |
//! | `peer-engine` | 16 blocks a second against 27, at a load of 12; goal 1.0 of it | as `commit-latency-p50`: our blocks carry records that are judged, sealed, stored and synced, those of the peer nothing |
//!
//! What helped: the bodies of a tap in one commit; headers and the signatures of a certificate verified in batches, and
//! a certificate that a block carries again not at all; writes of an input that wait for one sync; rows opened once for
//! an input, and patients' keys kept open; the members of a state encoded once a change and not at every block.
//!
//! Met on 21 November 2026 in full size, at a load of 8 to 15 on two cores: a node idles at 0.05 % of a core and 3.6 MiB;
//! with a million records it starts in 19 ms, after a crash in 12, and has 82 MiB; ingest 0.51 of its limit (126 MB/s
//! against 246) and 0.65 of the peer's; a state is 2,457 times cheaper than replaying
//! 100,000 blocks, by CPU.

mod blocks;
mod catch_up;
mod chain;
mod commit;
mod decide;
mod decide_disk;
mod idle;
mod ingest;
mod peers;
mod people;
mod row;
mod start;
mod world;

use std::path::Path;

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
    /// Blocks that a new node catches up over, ten headers each.
    pub(crate) blocks: u64,
    /// Blocks that are decided beside the engine's own full stack.
    pub(crate) peer_blocks: u64,
    /// Blocks after which the simulator looks at what one more costs.
    pub(crate) history_blocks: u64,
    /// Entries whose time to finality is taken.
    pub(crate) taps: u32,
    /// Seconds for which an idle node is watched.
    pub(crate) idle_seconds: u64,
}

impl Size {
    /// The sizes that the goals speak of.
    pub(crate) const FULL: Self = Self {
        ingest_bytes: 1 << 30,
        grants: 1_000_000,
        headers: 20_000,
        blocks: 100_000,
        peer_blocks: 500,
        history_blocks: 100_000,
        taps: 300,
        idle_seconds: 20,
    };
    /// A tenth of it, for a first look.
    pub(crate) const QUICK: Self = Self {
        ingest_bytes: 128 << 20,
        grants: 100_000,
        headers: 4_000,
        blocks: 4_000,
        peer_blocks: 100,
        history_blocks: 4_000,
        taps: 100,
        idle_seconds: 5,
    };
}

type Bench = fn(Size) -> Result<Vec<Row>, Failed>;

/// Every bench by name, in the order in which they run; those that look at memory first, before others leave some behind.
pub(crate) const BENCHES: &[(&str, Bench)] = &[
    ("idle", idle::run),
    ("start", start::run),
    ("ingest", ingest::run),
    ("decide", decide::run),
    ("commit", commit::run),
    ("catch-up", catch_up::run),
];

type PeerBench = fn(&Path, Size) -> Result<Vec<Row>, Failed>;

/// What runs beside programs of a folder, by name, after the benches.
pub(crate) const PEERS: &[(&str, PeerBench)] = &[
    ("peer-plain", peers::plain),
    ("peer-engine", peers::engine),
    ("growth", peers::growth),
    ("history", peers::history),
];

/// Runs the benches that `names` name, or all, then those beside the peers of a folder, and hands each row over as it is
/// measured.
///
/// # Errors
/// [`Failed`] names the bench that could not run.
pub(crate) fn run(
    names: &[String],
    size: Size,
    peers: Option<&Path>,
    mut show: impl FnMut(&Row),
) -> Result<Vec<Row>, Failed> {
    let mut rows = Vec::new();
    let mut add = |of: Result<Vec<Row>, Failed>, name| {
        let of = of.map_err(|failed| failed.in_bench(name))?;
        of.iter().for_each(&mut show);
        rows.extend(of);
        Ok(())
    };
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    for (name, bench) in BENCHES.iter().filter(|(name, _)| wanted(name)) {
        add(bench(size), *name)?;
    }
    for (name, bench) in PEERS.iter().filter(|(name, _)| wanted(name)) {
        if let Some(folder) = peers {
            add(bench(folder, size), *name)?;
        }
    }
    Ok(rows)
}
