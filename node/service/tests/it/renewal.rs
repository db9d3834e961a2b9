//! A node whose certificate has ended files nothing and is let in by nobody, until its organization's card renews
//! it; then what waited becomes final. Nodes that leave while their headers wait stop nobody.
//!
//! Method: services over memory and virtual time. Blocks carry the time, so each step ends with one.

use hospes_protocol::check::Check;
use hospes_protocol::control::{NodeEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_service::filing::{FileError, Filed, Filing};

use crate::world::{T0, World};

fn node(w: &World, i: usize) -> NodeEntry {
    w.nodes[0].service.as_ref().unwrap().state().membership.nodes[&w.id(i)].clone()
}

fn tries(w: &mut World, i: usize, filing: Filing) -> Result<Filed, Check> {
    let now = w.now;
    let service = w.nodes[i].service.as_mut().unwrap();
    service.tick(now);
    let filed = service.file(vec![filing]).map(|filed| filed[0]);
    w.effects(i);
    filed.map_err(|e| match e {
        FileError::Rejected(rejected) => rejected.check,
        other => panic!("{other}"),
    })
}

/// Something final, so that the ledger's time is now.
fn block(w: &mut World, name: &str) {
    let role = w.role(0, name);
    let filed = w.file(0, role);
    assert!(w.run_until(10_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "a block is made");
}

#[test]
fn an_expired_node_is_refused_and_a_renewed_one_goes_on() {
    let mut w = World::new(31, 4, 0);
    w.run(50);
    let ward = w.second_node_until(0, T0 + 60_000);
    w.run(3_000);
    let role = w.role(ward, "nurse");
    let before = tries(&mut w, ward, role).expect("its certificate holds");
    assert!(w.run_until(10_000, |w| w.is_final(1, &before)), "what it files becomes final");
    w.cut(ward);
    let role = w.role(ward, "porter");
    let waiting = tries(&mut w, ward, role).expect("without a line too");
    w.run(60_000);
    block(&mut w, "one");
    w.heal(ward);
    w.run(10_000);
    block(&mut w, "two");

    assert!(!w.is_final(1, &waiting), "what came after its end is not ordered");
    assert!(!w.nodes[1].admitted.contains(&w.id(ward)), "and it is let in no more");
    let role = w.role(ward, "cook");
    assert_eq!(tries(&mut w, ward, role), Err(Check::NodeExpired), "nor does it file anything new");

    let renewed = NodeEntry { expires: T0 + 900_000, ..node(&w, ward) };
    let by_another = w.control(0, Kind::Node, &renewed, &[1]);
    assert_eq!(tries(&mut w, 0, by_another), Err(Check::NotAuthorized), "no other organization renews it");
    let renewal = w.control(0, Kind::Node, &renewed, &[0]);
    let renewal = w.file(0, renewal);
    assert!(w.run_until(10_000, |w| w.is_final(1, &renewal)), "its own organization's card does");
    let all_final = |w: &World| w.is_final(1, &waiting) && w.is_final(ward, &renewal);
    assert!(w.run_until(10_000, all_final), "what waited is ordered");
    assert!(w.nodes[1].admitted.contains(&w.id(ward)), "it is let in");
    let role = w.role(ward, "cook");
    let after = tries(&mut w, ward, role).expect("it files again");
    assert!(w.run_until(10_000, |w| w.is_final(1, &after)), "and goes on");
    w.check();
}

#[test]
fn an_expired_validator_still_decides_and_files_its_own_renewal() {
    let mut w = World::new(32, 4, 0);
    w.run(50);
    let ending = NodeEntry { expires: T0 + 60_000, ..node(&w, 1) };
    let filing = w.control(1, Kind::Node, &ending, &[1]);
    let filed = w.file(1, filing);
    assert!(w.run_until(10_000, |w| w.is_final(0, &filed)), "its certificate ends in a minute");
    w.run(60_000);
    block(&mut w, "one");
    assert!(w.nodes[0].admitted.contains(&w.id(1)), "who decides keeps its line");
    let role = w.role(1, "nurse");
    assert_eq!(tries(&mut w, 1, role), Err(Check::NodeExpired), "yet it files nothing");
    let short = NodeEntry { expires: T0 + 50_000, ..ending.clone() };
    let vain = w.control(1, Kind::Node, &short, &[1]);
    let vain = tries(&mut w, 1, vain).expect("this may be filed");
    w.run(5_000);
    assert!(!w.is_final(0, &vain), "but a renewal that is over already renews nothing");
    let renewed = NodeEntry { expires: u64::MAX, ..ending };
    let renewal = w.control(1, Kind::Node, &renewed, &[1]);
    let renewal = tries(&mut w, 1, renewal).expect("its own renewal");
    assert!(
        w.run_until(10_000, |w| w.is_final(0, &vain) && w.is_final(1, &renewal)),
        "is ordered, with its run"
    );
    let role = w.role(1, "nurse");
    let filed = tries(&mut w, 1, role).expect("it files again");
    assert!(w.run_until(10_000, |w| w.is_final(0, &filed)), "and goes on");
    w.check();
}

#[test]
fn a_node_that_leaves_while_its_headers_wait_stops_nobody() {
    let mut w = World::new(33, 4, 0);
    w.run(50);
    let ward = w.second_node(0);
    w.run(3_000);
    // The runs of a block stand in the order of their nodes, so the first can remove the second.
    let (first, second) = if w.id(0) < w.id(ward) { (0, ward) } else { (ward, 0) };
    let gone = NodeEntry { standing: Standing::Removed, ..node(&w, second) };
    let filing = {
        let role = w.role(second, "late");
        w.file(second, role);
        w.control(first, Kind::Node, &gone, &[0])
    };
    let removal = w.file(first, filing);
    assert!(w.run_until(20_000, |w| (1..4).all(|i| w.is_final(i, &removal))), "the removal becomes final");
    let role = w.role(1, "nurse");
    let filed = w.file(1, role);
    assert!(w.run_until(20_000, |w| (1..4).all(|i| w.is_final(i, &filed))), "and the others go on");
    w.check();
}
