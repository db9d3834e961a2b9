//! Everything at once, many seeds: partitions, loss, stops and starts, with and without an equivocator, for
//! long enough that rounds run high and locks are taken and given up. What is said stays single, what is
//! decided stays one, and once the storm is over the chain goes on.
//!
//! `HOSPES_SEEDS=1000 cargo test -p hospes-service storms` for more seeds; a failing one is named.

use super::world::{Net, World};

fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("HOSPES_SEEDS").ok().and_then(|n| n.parse().ok());
    0..count.unwrap_or(6)
}

/// Thirty turns of bad weather.
fn storm(world: &mut World, honest: usize) {
    world.order_until(10_000);
    for _ in 0..30 {
        let hosts = world.hosts.len();
        let draw = world.draw(1 << 20);
        world.net = Net {
            delay_ms: (1, [5, 60, 400, 1_500][(draw & 3) as usize]),
            loss_percent: [0, 5, 30, 60][(draw >> 2 & 3) as usize],
            repeat_percent: 10,
        };
        let groups: Vec<u8> = (0..hosts).map(|h| u8::from(draw >> (4 + h) & 1 == 1)).collect();
        if draw >> 12 & 1 == 1 {
            world.partition(&groups);
        } else {
            world.heal();
        }
        let host = (draw >> 13) as usize % honest;
        if draw >> 16 & 3 == 0 {
            world.stop(host);
        }
        let pause = 200 + world.draw(4_000);
        world.run(pause);
        world.start_stopped();
    }
}

fn calm(world: &mut World, seed: u64) {
    world.net = Net { delay_ms: (1, 20), loss_percent: 0, repeat_percent: 0 };
    world.heal();
    let tip = world.hosts.iter().map(|h| h.chain.len()).max().unwrap_or(0) as u64;
    let goes_on = world.run_until(60_000, |w| w.all_reached(tip + 5));
    world.check(seed);
    assert!(goes_on, "seed {seed}: goes on after height {tip}: {:?}", world.statuses());
}

#[test]
fn honest_validators_come_through_any_weather() {
    let mut rounds = 0;
    for seed in seeds() {
        let mut world = World::new(seed, 4);
        storm(&mut world, 4);
        calm(&mut world, seed);
        rounds = rounds.max(world.hosts[0].chain.iter().map(|c| c.round).max().unwrap_or(0));
    }
    assert!(rounds > 3, "the weather was bad enough: round {rounds} was reached");
}

#[test]
fn an_equivocator_does_not_make_the_weather_worse() {
    for seed in seeds() {
        let mut world = World::with_hosts(seed, 4, &[0, 1, 2, 3, 3]);
        let twin = world.hosts[3].node;
        world.checker.excused.insert(twin);
        storm(&mut world, 3);
        calm(&mut world, seed);
    }
}

#[test]
fn seven_with_two_equivocators_come_through() {
    for seed in seeds().take(3) {
        let mut world = World::with_hosts(seed, 7, &[0, 1, 2, 3, 4, 5, 5, 6, 6]);
        for twin in [5, 7] {
            let node = world.hosts[twin].node;
            world.checker.excused.insert(node);
        }
        storm(&mut world, 5);
        calm(&mut world, seed);
    }
}
