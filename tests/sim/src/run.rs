//! One run: a plan carried out, all made well again, and what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::coverage::Coverage;
use crate::plan::{Fault, Left, Plan, SETTLED_MS};
use crate::watch::Violation;
use crate::world::World;

/// All must be final so long after the last failure, in virtual milliseconds: the longest pause between two
/// attempts is a minute.
pub const HEALING_MS: u64 = 180_000;
/// How often it is looked whether all is settled, in virtual milliseconds.
const LOOK_MS: u64 = 500;

/// What came of a run.
pub struct Outcome {
    /// What it did.
    pub coverage: Coverage,
    /// What must not be, if anything.
    pub violation: Option<Violation>,
    /// What happened, line by line.
    pub story: Vec<String>,
}

/// Carries out a plan.
#[must_use]
pub fn run(plan: &Plan) -> Outcome {
    let ran = catch_unwind(AssertUnwindSafe(|| live(World::new(plan.clone()))));
    ran.unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
            .unwrap_or_default();
        let violation = Some(Violation { invariant: "no panic", what });
        Outcome { coverage: Coverage::default(), violation, story: Vec::new() }
    })
}

fn live(mut world: World) -> Outcome {
    world.run_to(50);
    for at in 0..world.people.organizations.len() {
        world.enrol_practitioner(at);
    }
    world.run_to(SETTLED_MS + world.plan.shape.active_ms + 50);
    // Where nothing of what was planned came about, somebody loses power all the same.
    if world.coverage.faults.is_empty() {
        world.fault(Fault::Crash { node: 0, after: 0, left: Left::Torn, down_ms: 500 });
        world.run_to(world.now + 1_000);
    }
    if world.watch.violation.is_none() {
        world.heal();
        settle(&mut world);
    }
    if world.watch.violation.is_none() && world.plan.shape.glass {
        world.open_what_is_released();
        settle(&mut world);
    }
    if world.watch.violation.is_none() {
        world.morning_after();
    }
    world.coverage.heights = world.watch.height();
    Outcome { coverage: world.coverage, violation: world.watch.violation, story: world.story }
}

/// Runs until nothing is unsettled any more; a violation where that takes too long.
pub(crate) fn settle(world: &mut World) {
    let from = world.now;
    loop {
        world.run_to(world.now + LOOK_MS);
        if world.watch.violation.is_some() {
            return;
        }
        world.coverage.healing_ms = world.coverage.healing_ms.max(world.now - from);
        match world.unsettled() {
            None => return world.watch_end(),
            Some((invariant, what)) if world.now - from >= HEALING_MS => {
                let what = format!("{HEALING_MS} ms after all was well: {what}");
                return world.watch.violated(invariant, what);
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_run_again_and_it_holds() {
        for seed in [1, 2, 9] {
            let (one, other) = (run(&Plan::of(seed)), run(&Plan::of(seed)));
            assert!(one.violation.is_none(), "seed {seed}: {:?}", one.violation);
            assert_eq!(one.story, other.story, "seed {seed}: the same story");
            assert_eq!(one.coverage.missing(), None, "seed {seed} did something of everything");
        }
    }
}
