//! A validator crashes at every single step of a run and comes back with what was durable. It never signs two
//! different things for one height, round and kind, and the chain goes on.
//!
//! Method: the run is deterministic, so the n-th effect of host 0 is the same each time; the crash comes just
//! before it. Two hosts that don't keep the rule, one without its WAL and one that publishes first, are caught.

use super::world::{Faults, Net, World};

const HEIGHTS: u64 = 4;

/// A run in which host 0 crashes before its n-th effect; null once the run is over before that.
fn crash_run(seed: u64, at: u64, faults: Faults) -> Option<World> {
    let mut world = World::new(seed, 4);
    world.net = Net { delay_ms: (1, 40), loss_percent: 8, repeat_percent: 5 };
    world.hosts[0].faults = faults;
    world.hosts[0].crash_at = Some(at);
    world.order_until(HEIGHTS);
    let done =
        world.run_until(120_000, |w| w.all_reached(HEIGHTS) && w.hosts[0].chain.len() as u64 >= HEIGHTS);
    assert!(done || !world.checker.violations.is_empty(), "seed {seed}, crash {at}: the chain goes on");
    world.hosts[0].crash_at.is_none().then_some(world)
}

fn equivocations(seeds: std::ops::Range<u64>, faults: Faults) -> usize {
    let mut found = 0;
    for seed in seeds {
        let mut at = 0;
        while let Some(world) = crash_run(seed, at, faults) {
            found += world.checker.violations.iter().filter(|v| v.contains("equivocates")).count();
            at += 1;
        }
        assert!(at > 20, "seed {seed}: {at} crash points were tried");
    }
    found
}

#[test]
fn no_crash_point_makes_a_validator_equivocate() {
    assert_eq!(equivocations(0..4, Faults::default()), 0, "at no step of four runs");
}

#[test]
fn a_validator_that_forgets_its_wal_is_caught() {
    let faults = Faults { forgets_wal: true, ..Faults::default() };
    assert!(equivocations(0..2, faults) > 0, "somewhere it votes again, differently");
}

#[test]
fn a_validator_that_publishes_before_it_persists_is_caught() {
    let faults = Faults { publishes_first: true, ..Faults::default() };
    assert!(equivocations(0..4, faults) > 0, "somewhere it crashes in between");
}

#[test]
fn all_validators_lose_power_at_once_and_go_on() {
    for seed in 0..40 {
        let mut world = World::new(seed, 4);
        world.order_until(12);
        for turn in 0..6 {
            world.run(7 + seed % 13 + turn * 3);
            (0..4).for_each(|host| world.stop(host));
            world.run(100);
            (0..4).for_each(|host| world.start(host));
        }
        assert!(
            world.run_until(60_000, |w| w.all_reached(12)),
            "seed {seed}: nobody is locked on a lost block"
        );
        world.check(seed);
    }
}

#[test]
fn effects_are_counted_the_same_in_the_same_run() {
    let count = || {
        let mut world = World::new(5, 4);
        world.order_until(HEIGHTS);
        world.run(5_000);
        world.effects_of(0)
    };
    assert_eq!(count(), count(), "a run is its seed");
}
