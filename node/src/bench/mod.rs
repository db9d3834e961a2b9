//! `hospes bench`: what each part costs against a peer or a limit, both sides measured in one run.
//!
//! Figures are medians; a row says what was measured, the other side, their ratio and the goal. It starts
//! nodes of its own in temporary folders and touches no other.
//!
//! Goals that were missed on two cores that others used at the same time, and why:
//!
//! | row | seen | where the rest goes, by profile |
//! |---|---|---|
//! | `commit-cpu` | 3.8 times the limit's, goal 2.5 (6.4 before what helped, below) | sealing and opening rows, redb's commits and tables, the network's threads, a sixth each |
//! | `commit-latency-p50` | 47 ms, goal 20 (19 on an idle machine); `p99` 119 ms, goal 100 | syncs, some nine in turn on one disk, and waiting for a core |
//! | `decide-memory` | 2.1 to 2.6 us, goal 1 | some twenty cache lines in 800 MB; shorter lists in the map gained nothing |
//! | `decide-growth` | 2.6 us among a million grants, 0.5 among 1,000, which the processor's caches hold; goal 3 times | the same lines |
//! | `decide-disk` | 29 to 47 us, one read 9 to 16, goal 10 | two looks at the store; three rows opened, two seals each |
//! | `catch-up-replay` | 286 s, 3.7 times the ideal, over 100,000 blocks, goal 2.3; 3.0 over 4,000 since a page is taken while the next is on its way | of the CPU of both nodes 23 % verifies, 22 % is redb, 22 % allocates and copies, 18 % is the system |
//! | `peer-plain` | 0.3 to 0.65 of the peer, goal 0.45 | the peer syncs once at the end, we after every 4 MiB: that moves with what else the disk does |
//! | `peer-engine` | 14 blocks a second against 32; goal 1.0 of it | as `commit-latency-p50`: our blocks carry records that are judged, sealed, stored and synced, those of the peer nothing |
//! | `threshold-deal` | 603 us against 475; goal 1.0 | a proof that the dealer knows what was dealt, which the peer does not make |
//! | `replicate-large` | 99 to 152 MB/s: 0.3 of a bare stream (goal 0.8), 0.2 to 0.4 of rsync (1.5), 0.8 to 1.4 of scp (1.0) | every byte enciphered by the link, hashed and synced on the way; the stream and rsync do none of it |
//! | `replicate-small` | 0.3 to 0.6 MB/s, a record 7 to 15 ms (32 before what helped); goals as above | a dozen hand-overs between threads a record, each of which waits for a core here; an order, a receipt and a manifest each |
//! | `card-sign`, `card-open` | 0.52 and 0.45 ms, goal 0.3 | a call through `pcscd`'s socket for each command, and verifying what the card signed |
//!
//! What helped: the bodies of a tap in one commit; headers and the signatures of a certificate verified in batches, and
//! a certificate that a block carries again not at all; writes of an input that wait for one sync; rows opened once for
//! an input, and patients' keys kept open; the members of a state encoded once a change and not at every block; blocks
//! taken while the peer answers for the next; orders and receipts that follow one another without a pause, and objects
//! that share a sync.
//!
//! Met on 22 November 2026 in full size, all rows in one run of 46 minutes, at a load of 6 to 14 on two cores: a node
//! idles at 0.05 % of a core and 3.5 MiB; with a million records it starts in 25 ms, after a crash in 34, and has 84 MiB;
//! ingest 0.50 of its limit (127 MB/s against 256); commits 0.45 of the limit (904 headers a second against 2,006); a tap
//! is final within 382 ms, 99 of 100 times; what two nodes differ in costs 1.13 times its bytes; a state is 1,484 times
//! cheaper than replaying 100,000 blocks, by CPU; a share of a signature 0.7, verifying and combining 0.4 of the peer's
//! time; 39 consents a minute with a card of 100 ms, of 43; each of 64 validators has 9.6 times the bytes and 3.1 times
//! the CPU of one of four; a block after 100,000 others costs 1.10 times that after 1,000.

mod blocks;
mod cards;
mod catch_up;
mod chain;
mod commit;
mod decide;
mod decide_disk;
mod dkg;
mod emergency;
mod idle;
mod ingest;
mod kiosk;
mod peers;
mod people;
mod reconcile;
mod replicate;
mod row;
mod start;
mod tap;
mod world;

use std::path::Path;

pub(crate) use row::{Failed, Row};

/// What a run of the benches says as it goes.
#[derive(Debug)]
pub(crate) enum Shown<'a> {
    /// A bench begins; some take minutes.
    Begun(&'static str),
    /// A row was measured.
    Row(&'a Row),
    /// A bench could not run.
    Failed(&'a Failed),
}

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
    /// Blocks that two nodes have in common, ten headers each, when they are to be made alike.
    pub(crate) reconciled_blocks: u64,
    /// Blocks that are decided beside the engine's own full stack.
    pub(crate) peer_blocks: u64,
    /// Blocks after which the simulator looks at what one more costs.
    pub(crate) history_blocks: u64,
    /// Entries whose time to finality is taken.
    pub(crate) taps: u32,
    /// Small blobs that a new node is to hold.
    pub(crate) small_blobs: u32,
    /// Consents that are given with a card of 100 ms.
    pub(crate) consents: u32,
    /// Emergencies, each of another patient.
    pub(crate) emergencies: u16,
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
        reconciled_blocks: 10_000,
        peer_blocks: 500,
        history_blocks: 100_000,
        taps: 300,
        small_blobs: 10_000,
        consents: 20,
        emergencies: 20,
        idle_seconds: 20,
    };
    /// A tenth of it, for a first look.
    pub(crate) const QUICK: Self = Self {
        ingest_bytes: 128 << 20,
        grants: 100_000,
        headers: 4_000,
        blocks: 4_000,
        reconciled_blocks: 1_000,
        peer_blocks: 100,
        history_blocks: 4_000,
        taps: 100,
        small_blobs: 1_000,
        consents: 5,
        emergencies: 5,
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
    ("tap", tap::run),
    ("emergency", emergency::run),
    ("dkg", dkg::run),
    ("reconcile", reconcile::run),
    ("catch-up", catch_up::run),
];

type PeerBench = fn(&Path, Size) -> Result<Vec<Row>, Failed>;

/// What runs beside programs of a folder, by name, after the benches.
pub(crate) const PEERS: &[(&str, PeerBench)] = &[
    ("peer-plain", peers::plain),
    ("peer-engine", peers::engine),
    ("threshold", peers::threshold),
    ("replicate", replicate::run),
    ("cards", cards::run),
    ("kiosk", kiosk::run),
    ("growth", peers::growth),
    ("history", peers::history),
];

/// Runs the benches that `names` name, or all, then those beside the peers of a folder; says when one begins, and hands
/// each row over as it is measured. Gives all rows, and what could not run: the rest runs all the same.
pub(crate) fn run(
    names: &[String],
    size: Size,
    peers: Option<&Path>,
    mut show: impl FnMut(Shown<'_>),
) -> (Vec<Row>, Vec<Failed>) {
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    let mut add = |name: &'static str, bench: &dyn Fn() -> Result<Vec<Row>, Failed>| {
        if !wanted(name) {
            return;
        }
        show(Shown::Begun(name));
        match bench() {
            Ok(of) => {
                of.iter().for_each(|row| show(Shown::Row(row)));
                rows.extend(of);
            }
            Err(failed) => {
                let failed = failed.in_bench(name);
                show(Shown::Failed(&failed));
                broken.push(failed);
            }
        }
    };
    for (name, bench) in BENCHES {
        add(name, &|| bench(size));
    }
    for (name, bench) in PEERS {
        if let Some(folder) = peers {
            add(name, &|| bench(folder, size));
        }
    }
    (rows, broken)
}
