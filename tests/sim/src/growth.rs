//! Growth: the same load in federations of 4 to 64 validators, and what a block costs each of them.
//!
//! Nothing fails here and nobody lies. Bytes are those that a node sends, to each peer that it sends them to: in the
//! runtime gossip passes on what others published instead, which comes to as much on average. CPU is what the
//! node's service used, storage in memory included, the simulator's own work not; it is noisy, signatures and inputs are
//! not. `hospes-sim --growth yes` calls it.

use hospes_protocol::limits::{COOLING_OFF_MS_DEFAULT, RECOVERY_DELAY_MS_DEFAULT};
use std::io::{self, Write};

use crate::book::{Book, Cost, quantile};
use crate::plan::{CATEGORIES, Plan, Shape};
use crate::world::World;

/// Validators in the federations that are compared.
const SIZES: [usize; 5] = [4, 7, 16, 31, 64];
/// Hospitals at which entries are filed, in each of them.
const DESKS: usize = 4;
/// Blocks' worth of entries.
const BEATS: u64 = 20;
/// Entries in each.
const ENTRIES: usize = 10;
/// Virtual milliseconds between two of them: long enough for a block.
const BEAT_MS: u64 = 1_000;
/// Of the largest federation against the smallest, per node and block (DESIGN 12).
const GOAL: f64 = 20.0;

/// What a block cost a validator, on average.
#[derive(Clone, Copy, Debug)]
struct Row {
    validators: usize,
    blocks: u64,
    bytes: f64,
    cpu_us: f64,
    verified: f64,
    made: f64,
    inputs: f64,
    p50_ms: u64,
    p99_ms: u64,
}

/// A federation of so many validators, in which nothing is planned.
pub(crate) fn federation_of(validators: usize) -> Plan {
    let shape = Shape {
        validators,
        replicas: 0,
        spares: 0,
        late: 0,
        patients: DESKS,
        active_ms: 0,
        lease_ms: 72 * 3_600_000,
        idle_block_ms: 3_600_000,
        cooling_off_ms: COOLING_OFF_MS_DEFAULT,
        recovery_delay_ms: RECOVERY_DELAY_MS_DEFAULT,
        contested: false,
        glass: false,
    };
    Plan { seed: 1, shape, items: Vec::new() }
}

/// A federation with its practitioners and patients, at rest.
fn federation(validators: usize) -> World {
    let mut world = World::new(federation_of(validators));
    // Only that all went well is looked at, at the end.
    world.pace.permits_ms = u64::MAX / 2;
    world.pace.places_ms = u64::MAX / 2;
    world.run_to(50);
    for at in 0..DESKS {
        world.enrol_practitioner(at);
    }
    world.run_to(3_000);
    for patient in 0..DESKS {
        world.enrol(patient, patient);
    }
    world.run_to(60_000);
    world
}

fn measure(validators: usize) -> Option<Row> {
    let mut world = federation(validators);
    let (sent, height) = (world.links.bytes.clone(), world.watch.height());
    world.book = Some(Book::measuring());
    for _ in 0..BEATS {
        for number in 0..ENTRIES {
            world.file_record(number % DESKS, number % CATEGORIES, 1_000);
        }
        world.run_to(world.now + BEAT_MS);
    }
    world.run_to(world.now + BEAT_MS);
    let blocks = world.watch.height() - height;
    let book = world.book.take()?;
    let all_final = book.took.len() as u64 == BEATS * ENTRIES as u64;
    let alike = (0..validators).all(|i| world.nodes[i].height() == Some(world.watch.height()));
    if world.watch.violation.is_some() || !all_final || !alike || blocks == 0 {
        return None;
    }
    let mut took: Vec<u64> = book.took.iter().map(|t| t.ms).collect();
    took.sort_unstable();
    let share = |sum: u64| sum as f64 / (blocks * validators as u64) as f64;
    let sum = |of: fn(&Cost) -> u64| share(book.costs.values().map(of).sum());
    let bytes: u64 =
        (0..validators).map(|i| world.links.bytes.get(&i).unwrap_or(&0) - sent.get(&i).unwrap_or(&0)).sum();
    Some(Row {
        validators,
        blocks,
        bytes: share(bytes),
        cpu_us: sum(|c| c.cpu_ns) / 1000.0,
        verified: sum(|c| c.verified),
        made: sum(|c| c.made),
        inputs: sum(|c| c.inputs),
        p50_ms: quantile(&took, 500),
        p99_ms: quantile(&took, 990),
    })
}

/// Measures all sizes and prints them; gives whether the goal is met.
///
/// # Errors
/// Of the output only.
pub fn tell(json: bool, out: &mut impl Write) -> io::Result<bool> {
    let mut rows = Vec::new();
    if !json {
        writeln!(
            out,
            "{:>10} {:>6} {:>12} {:>10} {:>9} {:>6} {:>8} {:>7} {:>7}   per node and block",
            "validators", "blocks", "bytes sent", "cpu us", "verified", "made", "inputs", "p50 ms", "p99 ms"
        )?;
    }
    for validators in SIZES {
        let Some(row) = measure(validators) else {
            writeln!(io::stderr(), "{validators} validators: not all became final, or not everywhere")?;
            return Ok(false);
        };
        if !json {
            line(&row, out)?;
        }
        rows.push(row);
    }
    let (Some(least), Some(most)) = (rows.first(), rows.last()) else { return Ok(false) };
    let (bytes, cpu) = (most.bytes / least.bytes, most.cpu_us / least.cpu_us);
    let met = bytes <= GOAL && cpu <= GOAL;
    if json {
        let all: Vec<_> = rows.iter().map(object).collect();
        writeln!(
            out,
            "{{\"rows\":[{}],\"bytes_ratio\":{bytes:.2},\"cpu_ratio\":{cpu:.2},\"goal\":{GOAL:.1},\"met\":{met}}}",
            all.join(",")
        )?;
    } else {
        let verified = most.verified / least.verified;
        writeln!(
            out,
            "64 against 4: bytes {bytes:.1} times, cpu {cpu:.1}, verified {verified:.1}; goal {GOAL} at most"
        )?;
    }
    Ok(met)
}

fn line(row: &Row, out: &mut impl Write) -> io::Result<()> {
    let Row { validators, blocks, bytes, cpu_us, verified, made, inputs, p50_ms, p99_ms } = row;
    writeln!(
        out,
        "{validators:>10} {blocks:>6} {bytes:>12.0} {cpu_us:>10.0} {verified:>9.1} {made:>6.1} {inputs:>8.1} {p50_ms:>7} {p99_ms:>7}"
    )?;
    out.flush()
}

fn object(row: &Row) -> String {
    let Row { validators, blocks, bytes, cpu_us, verified, made, inputs, p50_ms, p99_ms } = row;
    format!(
        "{{\"validators\":{validators},\"blocks\":{blocks},\"bytes_per_block_per_node\":{bytes:.0},\
         \"cpu_us_per_block_per_node\":{cpu_us:.1},\"verifications_per_block_per_node\":{verified:.1},\
         \"signatures_per_block_per_node\":{made:.1},\"inputs_per_block_per_node\":{inputs:.1},\
         \"tap_to_final_ms_p50\":{p50_ms},\"tap_to_final_ms_p99\":{p99_ms}}}"
    )
}
