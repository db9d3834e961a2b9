//! Whole runs: agreement and progress under delay, loss, repetition, reordering, partition, silence, crashes
//! and equivocation. Replay one with its seed in `World::new`.

use super::world::{Net, World};

const ROUGH: Net = Net { delay_ms: (1, 120), loss_percent: 10, repeat_percent: 10 };

#[test]
fn four_validators_agree_without_a_timer_when_all_goes_well() {
    for seed in 0..8 {
        let mut world = World::new(seed, 4);
        world.order_until(20);
        assert!(world.run_until(5_000, |w| w.all_reached(20)), "seed {seed}: twenty heights in five seconds");
        world.check(seed);
        let fired: u64 = world.hosts.iter().map(|h| h.timers_fired).sum();
        assert_eq!(fired, 0, "seed {seed}: no timeout was needed");
        assert!(world.hosts.iter().all(|h| h.refused.is_empty()), "seed {seed}: nobody blamed anybody");
    }
}

#[test]
fn a_height_takes_three_hops() {
    let mut world = World::new(1, 4);
    world.net.delay_ms = (5, 5);
    world.order_until(10);
    let start = world.now;
    assert!(world.run_until(5_000, |w| w.all_reached(10)), "ten heights");
    assert_eq!(world.now - start, 10 * 3 * 5, "proposal, prevotes, precommits, and no other wait");
}

#[test]
fn loss_repetition_and_reordering_do_not_halt_the_chain() {
    for seed in 0..12 {
        let mut world = World::new(seed, 4);
        world.net = ROUGH;
        world.order_until(25);
        assert!(world.run_until(300_000, |w| w.all_reached(25)), "seed {seed}: goes on at 10 % loss");
        world.check(seed);
    }
}

#[test]
fn seven_validators_agree_while_two_are_silent() {
    for seed in 0..4 {
        let mut world = World::new(seed, 7);
        world.net = Net { loss_percent: 3, ..ROUGH };
        world.stop(1);
        world.stop(5);
        world.order_until(15);
        assert!(world.run_until(300_000, |w| w.all_reached(15)), "seed {seed}: five of seven decide");
        world.check(seed);
    }
}

#[test]
fn without_a_quorum_nothing_is_decided_and_after_its_return_all_is() {
    for seed in 0..6 {
        let mut world = World::new(seed, 4);
        world.order_until(3);
        assert!(world.run_until(10_000, |w| w.all_reached(3)), "seed {seed}: all are well at first");
        world.stop(0);
        world.stop(2);
        world.order_until(30);
        world.run(2_000);
        let before = world.packets;
        world.run(3 * 3_600_000);
        assert!(world.hosts.iter().all(|h| h.chain.len() <= 4), "seed {seed}: two of four decide nothing");
        let each_second = (world.packets - before) / (3 * 3_600);
        assert!(each_second <= 4, "seed {seed}: {each_second} packets a second: repetitions backed off");
        let rounds: Vec<_> = [1, 3].map(|h| world.status(h).round).to_vec();
        assert!(rounds.iter().all(|r| *r < 4), "seed {seed}: no round was burnt while waiting: {rounds:?}");
        world.start(0);
        assert!(world.run_until(15_000, |w| w.all_reached(6)), "seed {seed}: it goes on within seconds");
        world.start(2);
        assert!(world.run_until(60_000, |w| w.all_reached(30)), "seed {seed}: and all catch up");
        world.check(seed);
    }
}

#[test]
fn a_partition_stops_the_smaller_side_only_and_heals() {
    for seed in 0..6 {
        let mut world = World::new(seed, 4);
        world.order_until(40);
        world.run(100);
        world.partition(&[0, 0, 0, 1]);
        assert!(world.run_until(60_000, |w| w.hosts[..3].iter().all(|h| h.chain.len() >= 25)), "three go on");
        let alone = world.hosts[3].chain.len();
        assert!(alone < 25, "seed {seed}: the one that is cut off does not");
        world.partition(&[0, 0, 1, 1]);
        world.run(20_000);
        world.heal();
        assert!(world.run_until(60_000, |w| w.all_reached(40)), "seed {seed}: healed");
        world.check(seed);
    }
}

#[test]
fn changing_partitions_and_loss_never_split_the_chain() {
    for seed in 0..10 {
        let mut world = World::new(seed, 4);
        world.net = Net { delay_ms: (1, 400), loss_percent: 20, repeat_percent: 20 };
        world.order_until(1_000);
        for turn in 0..30u64 {
            let bits = (seed * 31 + turn * 7) % 16;
            let groups: Vec<u8> = (0..4).map(|h| u8::from(bits >> h & 1 == 1)).collect();
            world.partition(&groups);
            world.run(1_500);
        }
        world.heal();
        let tip = world.hosts.iter().map(|h| h.chain.len()).max().unwrap_or(0) as u64;
        assert!(world.run_until(120_000, |w| w.all_reached(tip + 3)), "seed {seed}: goes on after {tip}");
        world.check(seed);
    }
}

#[test]
fn one_equivocator_cannot_split_the_chain_and_leaves_evidence() {
    let mut seen = 0;
    for seed in 0..8 {
        // Hosts 3 and 4 share a key: whatever one signs, the other signs differently.
        let mut world = World::with_hosts(seed, 4, &[0, 1, 2, 3, 3]);
        let twin = world.hosts[3].node;
        world.checker.excused.insert(twin);
        world.order_until(60);
        for turn in 0..20 {
            let side = u8::from(turn % 2 == 0);
            world.partition(&[0, 1, side, 0, 1]);
            world.run(800);
        }
        world.heal();
        assert!(world.run_until(120_000, |w| w.all_reached(60)), "seed {seed}: the honest three go on");
        world.check(seed);
        for host in &world.hosts[..3] {
            for (one, other) in &host.evidence.votes {
                assert_eq!(one.vote.validator, twin, "seed {seed}: only the twin equivocated");
                assert_eq!(one.verify(&world.set.get(&twin).unwrap().key), Ok(()), "its own signature");
                assert_eq!(other.verify(&world.set.get(&twin).unwrap().key), Ok(()), "and again");
                assert_ne!(one.vote.block, other.vote.block, "for two things");
                seen += 1;
            }
        }
    }
    assert!(seen > 0, "equivocations were proved");
}

#[test]
fn more_equivocators_than_tolerated_split_the_chain_and_the_checker_sees_it() {
    let split = (0..8).any(|seed| {
        let mut world = World::with_hosts(seed, 4, &[0, 1, 2, 2, 3, 3]);
        for twin in [2, 4] {
            let node = world.hosts[twin].node;
            world.checker.excused.insert(node);
        }
        world.partition(&[0, 1, 0, 1, 0, 1]);
        world.order_until(3);
        world.run(30_000);
        world.checker.violations.iter().any(|v| v.contains("two blocks"))
    });
    assert!(split, "with two of four lying each side finds a quorum");
}

#[test]
fn a_dead_proposer_costs_only_the_first_heights() {
    let mut world = World::new(7, 4);
    world.order_until(4);
    assert!(world.run_until(10_000, |w| w.all_reached(4)), "all are well at first");
    world.stop(2);
    world.order_until(80);
    assert!(world.run_until(120_000, |w| w.all_reached(20)), "some heights wait for it");
    let start = world.now;
    assert!(world.run_until(120_000, |w| w.all_reached(80)), "sixty heights more");
    let each = (world.now - start) / 60;
    assert!(each < 100, "{each} ms a height: it is passed over");
    world.start(2);
    world.order_until(250);
    assert!(world.run_until(120_000, |w| w.all_reached(250)), "it catches up and takes part again");
    let signed =
        |h: usize, w: &World| w.hosts[0].chain[h].signatures.iter().any(|s| s.validator == w.hosts[2].node);
    assert!((150..250).any(|h| signed(h, &world)), "its votes count again");
    world.check(7);
}

#[test]
fn one_validator_alone_decides_by_itself() {
    let mut world = World::new(1, 1);
    world.order_until(50);
    assert!(world.run_until(10, |w| w.all_reached(50)), "without a network and without waiting");
    world.check(1);
    assert_eq!(world.packets, 0, "nobody to talk to");
}
