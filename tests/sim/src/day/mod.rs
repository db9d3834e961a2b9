//! A day of a federation: 24 virtual hours of seven hospitals and five clinics, one validator hostile, lines and
//! machines failing, people working. At the end all nodes are compared.
//!
//! The same code, faults and invariants as in the short runs; only what would cost too much at every step of a
//! day (each record asked for at each node) is looked at every few minutes. `hospes-sim --day yes` calls it.

mod acts;
mod compare;
mod plan;
mod table;

use std::io::{self, Write};

use self::plan::{HOSTILE, HOUR, MINUTE, day_of};
use self::table::Hour;
use crate::book::Book;
use crate::plan::Trick;
use crate::run::settle;
use crate::watch::Violation;
use crate::world::{Pace, World};

/// At what pace a day is watched.
const PACE: Pace = Pace { permits_ms: 15 * MINUTE, places_ms: 20 * MINUTE, mischief_ms: 10_000 };

fn live(seed: u64, out: &mut impl Write) -> io::Result<World> {
    let mut world = World::new(day_of(seed));
    world.pace = PACE;
    world.book = Some(Book::default());
    world.run_to(50);
    for at in 0..world.plan.shape.founders() {
        world.enrol_practitioner(at);
    }
    table::head(out)?;
    let mut before = Hour::of(&world);
    for hour in 0..24 {
        world.run_to((hour + 1) * HOUR);
        let after = Hour::of(&world);
        table::row(&format!("{hour:02}"), (&before, &after), out)?;
        before = after;
    }
    if world.watch.violation.is_none() {
        world.heal();
        settle(&mut world);
    }
    if world.watch.violation.is_none() {
        world.morning_after();
    }
    table::row("after", (&before, &Hour::of(&world)), out)?;
    Ok(world)
}

/// What the day was to bring and didn't.
fn missing(world: &World) -> Option<String> {
    let honest = world.settled_nodes();
    let shape = &world.plan.shape;
    let off = |i: &usize| *i != HOSTILE && !honest.contains(i) && world.nodes[*i].removed_at.is_none();
    let off = (0..shape.nodes()).find(off).map(|i| format!("node {i} is not there at the end"));
    let faults = Trick::ALL.iter().find(|t| !world.coverage.faults.contains_key(t.name()));
    let faults = faults.map(|t| format!("nobody was {}", t.name()));
    off.or(faults).or_else(|| world.coverage.missing().map(str::to_owned))
}

/// Lives the day of a seed and prints its tables; gives whether all held.
///
/// # Errors
/// Of the output only.
pub fn tell(seed: u64, out: &mut impl Write) -> io::Result<bool> {
    let world = live(seed, out)?;
    table::latencies(&world, out)?;
    let same = compare::tell(&world, out)?;
    if world.watch.violation.is_some() {
        world.story.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    writeln!(out, "seed {seed}: {}", world.coverage)?;
    if let Some(what) = missing(&world) {
        writeln!(out, "seed {seed}: {what}")?;
        return Ok(false);
    }
    match &world.watch.violation {
        Some(Violation { invariant, what }) => writeln!(out, "seed {seed}: {invariant}: {what}")?,
        None => writeln!(out, "seed {seed}: a day held")?,
    }
    Ok(same && world.watch.violation.is_none())
}
