//! An idle network makes a block an hour, so that a node is as current as its newest one; whoever is cut off reads
//! under grants until the lease is over, and what its own organization wrote beyond that.
//!
//! Method: services over memory and virtual time that sleeps for hours. What is denied is permitted again once the
//! line is back.

use hospes_protocol::personal::{Category, Grantee};

use crate::people::{Doctor, Patient, Record};
use crate::world::World;

const HOUR: u64 = 60 * 60 * 1000;

/// Hours pass on all machines.
fn hours(w: &mut World, count: u64) {
    for _ in 0..count {
        w.sleep(HOUR);
        w.run(5_000);
    }
}

fn rule(w: &World, i: usize, who: (&Doctor, &Patient), what: &Record) -> &'static str {
    w.may_read(i, who.0, who.1, what).why().rule.code()
}

#[test]
fn an_idle_network_stays_current_by_a_block_an_hour() {
    let mut w = World::new(1, 4, 1);
    w.run(50);
    let before = w.height(0);
    hours(&mut w, 100);
    let made = w.height(0) - before;
    assert!((98..=101).contains(&made), "a block an hour, not {made} in a hundred hours");
    let state = w.nodes[4].service.as_ref().unwrap().state();
    assert!(w.now - state.time <= HOUR + 20_000, "and every node is as current as that");
    w.check();
}

/// An author at node 0, and a clinician at node 4 who may read a record of that author's patient for a thousand hours.
fn granted(w: &mut World) -> ([Doctor; 2], Patient, Record) {
    w.run(50);
    let author = w.doctor(0, 100);
    let reader = w.doctor(4, 110);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, Category::Laboratory, 5_000);
    let to = (Grantee::Person(reader.id), Category::Laboratory);
    let grant = w.grant_for(0, &mut ada, to, 1_000 * HOUR);
    let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
    w.tap(0, &ada, vec![grant, epoch]);
    ([author, reader], ada, record)
}

#[test]
fn whoever_is_cut_off_reads_under_grants_until_the_lease_is_over() {
    let mut w = World::new(2, 4, 1);
    let ([author, reader], ada, record) = granted(&mut w);
    let reads = |w: &World, i: usize| w.may_read(i, &reader, &ada, &record).is_permitted();
    assert!(w.run_until(20_000, |w| reads(w, 4)), "the clinician reads");
    hours(&mut w, 80);
    assert!(reads(&w, 4), "with a line, eighty idle hours change nothing");

    w.cut(4);
    w.cut(0);
    hours(&mut w, 71);
    assert!(reads(&w, 4), "without one, from what is here, within the lease");
    hours(&mut w, 2);
    assert_eq!(rule(&w, 4, (&reader, &ada), &record), "lease-over", "after three days no more");
    assert!(w.may_read(0, &author, &ada, &record).is_permitted(), "the author's organization reads its own");
    assert_eq!(rule(&w, 0, (&reader, &ada), &record), "lease-over", "but gives nothing under grants either");
    w.heal(0);
    w.heal(4);
    assert!(w.run_until(30_000, |w| reads(w, 4) && reads(w, 0)), "with the line, everything as before");
    w.check();
}

#[test]
fn a_shorter_lease_by_policy_ends_sooner() {
    let policy = hospes_protocol::control::PolicyFields {
        lease_ms: 2 * HOUR,
        ..hospes_protocol::genesis::default_policy()
    };
    let mut w = World::under(3, 4, 1, policy);
    let ([_, reader], ada, record) = granted(&mut w);
    let reads = |w: &World| w.may_read(4, &reader, &ada, &record).is_permitted();
    assert!(w.run_until(20_000, reads), "the clinician reads");
    w.cut(4);
    hours(&mut w, 1);
    assert!(reads(&w), "an hour later too");
    hours(&mut w, 2);
    assert_eq!(rule(&w, 4, (&reader, &ada), &record), "lease-over", "after two hours no more");
    w.heal(4);
    assert!(w.run_until(30_000, reads), "with the line again");
}
