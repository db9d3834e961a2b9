//! Headers become final on every node, whatever the network does to messages; what was promised stays.
//!
//! Method: four validators and a replica over memory and virtual time. Replay: the printed seed, in
//! `for_seeds(SEED..SEED + 1, …)`.

use hospes_protocol::check::Check;
use hospes_protocol::control::{NodeEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_service::effects::Timer;
use hospes_service::filing::FileError;

use crate::world::{World, for_seeds};

#[test]
fn what_each_node_files_is_final_everywhere() {
    for_seeds(0..20, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        let filed: Vec<_> = (0..5)
            .map(|i| {
                let role = w.role(i, "doctor");
                w.file(i, role)
            })
            .collect();
        let all = |w: &World| filed.iter().all(|f| (0..5).all(|i| w.is_final(i, f)));
        assert!(w.run_until(2_000, all), "all five are final on all five nodes within two seconds");
        w.check();
    });
}

#[test]
fn an_idle_node_looks_after_its_peers_rarely_and_often_again_once_something_happens() {
    let mut w = World::new(1, 4, 1);
    let next = |w: &World, i: usize| w.nodes[i].timers[&Timer::Upkeep];
    w.run(300_000);
    for i in 0..5 {
        let before = next(&w, i);
        assert!(w.run_until(40_000, |w| next(w, i) != before), "an idle node goes on looking");
        assert!(next(&w, i) - before >= 29_000, "but only twice a minute");
    }
    let role = w.role(0, "doctor");
    w.file(0, role);
    w.run(500);
    for i in 0..5 {
        assert!(next(&w, i) <= w.now + 2_000, "two seconds after news it looks again");
    }
}

#[test]
fn a_lossy_network_delays_and_loses_nothing() {
    for_seeds(0..20, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.loss = 0.1;
        w.run(50);
        let mut filed = Vec::new();
        for n in 0..10 {
            let role = w.role(n % 5, &format!("role {n}"));
            filed.push(w.file(n % 5, role));
            w.run(37);
        }
        let all = |w: &World| filed.iter().all(|f| (0..5).all(|i| w.is_final(i, f)));
        assert!(w.run_until(60_000, all), "all are final although one message in ten is lost");
        w.check();
    });
}

#[test]
fn one_of_four_may_fail_two_make_writes_wait_and_nothing_is_lost() {
    for_seeds(0..10, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        w.kill(3);
        let role = w.role(0, "with three");
        let one = w.file(0, role);
        let three = |w: &World| [0, 1, 2, 4].iter().all(|i| w.is_final(*i, &one));
        assert!(w.run_until(10_000, three), "three of four commit");
        w.kill(2);
        let role = w.role(1, "with two");
        let two = w.file(1, role);
        let height = w.height(1);
        w.run(60_000);
        assert!(!w.is_final(1, &two), "two of four commit nothing");
        assert_eq!(w.height(1), height, "no block without a quorum");
        w.start(2);
        assert!(w.run_until(20_000, |w| w.is_final(1, &two)), "healed, it commits");
        w.start(3);
        let caught_up = |w: &World| (0..5).all(|i| w.is_final(i, &one) && w.is_final(i, &two));
        assert!(w.run_until(20_000, caught_up), "and those who were away have everything");
        w.check();
    });
}

#[test]
fn a_node_that_was_cut_off_files_on_and_all_becomes_final_by_itself() {
    for_seeds(0..10, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        w.cut(4);
        let mut filed = Vec::new();
        for n in 0..5 {
            let role = w.role(4, &format!("alone {n}"));
            filed.push(w.file(4, role));
            let role = w.role(0, &format!("others {n}"));
            filed.push(w.file(0, role));
            w.run(500);
        }
        assert!(!w.is_final(4, &filed[0]), "alone, nothing becomes final");
        w.heal(4);
        let all = |w: &World| filed.iter().all(|f| (0..5).all(|i| w.is_final(i, f)));
        assert!(w.run_until(10_000, all), "back on line, all is final without a hand");
        w.check();
    });
}

#[test]
fn every_node_goes_on_after_losing_power_at_any_time() {
    for_seeds(0..30, |seed| {
        let mut w = World::new(seed, 4, 1);
        w.run(50);
        let mut filed = Vec::new();
        for n in 0..12_usize {
            let role = w.role(n % 5, &format!("role {n}"));
            filed.push(w.file(n % 5, role));
            w.run(seed % 17 + n as u64);
            let victim = (n + usize::try_from(seed).unwrap()) % 5;
            w.kill(victim);
            w.run(11);
            w.start(victim);
        }
        let all = |w: &World| filed.iter().all(|f| (0..5).all(|i| w.is_final(i, f)));
        assert!(w.run_until(60_000, all), "what was durable becomes final");
        w.check();
    });
}

#[test]
fn an_idle_network_says_nothing_and_commits_an_empty_block_an_hour() {
    let mut w = World::new(1, 4, 0);
    w.run(5_000);
    assert_eq!(w.height(0), 0, "nothing to order, no block");
    w.run(61 * 60 * 1000);
    assert_eq!(w.height(0), 1, "one empty block in the first hour");
    w.check();
}

#[test]
fn one_node_alone_is_its_own_validator() {
    let mut w = World::new(1, 1, 0);
    let role = w.role(0, "doctor");
    let filed = w.file(0, role);
    assert!(w.run_until(1_000, |w| w.is_final(0, &filed)), "one of one is a quorum");
    let again = w.role(0, "nurse");
    let body = again.body.clone();
    w.file(0, again);
    let twice = hospes_service::filing::Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() };
    let refused = w.nodes[0].service.as_mut().unwrap().file(vec![twice]);
    let Err(FileError::Rejected(rejected)) = refused else { panic!("a content is filed once") };
    assert_eq!(rejected.check, Check::ContentFiled, "with its number");
}

#[test]
fn a_removed_node_is_shut_out_and_its_later_headers_are_refused() {
    let mut w = World::new(3, 4, 1);
    w.run(50);
    let entry = w.genesis.nodes.iter().find(|n| n.key.id().0 == w.id(4).0).unwrap().clone();
    let gone = NodeEntry { standing: Standing::Removed, ..entry };
    let few = w.control(0, Kind::Node, &gone, &[0, 1, 2]);
    let Err(FileError::Rejected(few)) = w.nodes[0].service.as_mut().unwrap().file(vec![few]) else {
        panic!("three of five organizations are not more than two thirds")
    };
    assert_eq!(few.check, Check::TwoThirdsMissing, "with its number");
    let removal = w.control(0, Kind::Node, &gone, &[0, 1, 2, 3]);
    let filed = w.file(0, removal);
    assert!(w.run_until(5_000, |w| (0..5).all(|i| w.is_final(i, &filed))), "removed by four of five");
    let late = w.role(4, "too late");
    let Err(FileError::Rejected(late)) = w.nodes[4].service.as_mut().unwrap().file(vec![late]) else {
        panic!("a removed node files nothing")
    };
    assert_eq!(late.check, Check::RetiredNode, "and is told so");
    let role = w.role(1, "goes on");
    let next = w.file(1, role);
    assert!(w.run_until(5_000, |w| w.is_final(0, &next)), "the others go on");
}
