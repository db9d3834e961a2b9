//! A node that is new or was away takes a certified state in place of each block since, refuses a false one, and
//! afterwards is like one that was never away.
//!
//! Method: services over memory and virtual time; a gap of ten blocks instead of a thousand. Liars change their
//! answers on the way out. Each refusal stands beside the honest peer that helps.

use hospes_protocol::check::Check;
use hospes_protocol::ids::{Lock, Reveal};
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::wire::Wire as _;
use hospes_service::effects::Event;
use hospes_service::messages::{Answer, Part};
use hospes_storage::{Ledger as _, Objects as _};

use crate::world::{World, for_seeds};

/// Blocks that a node may lack here before it asks for a state.
const GAP: u64 = 10;

fn reveal(n: usize) -> Reveal {
    Reveal([u8::try_from(n).unwrap() + 1; 32])
}

/// So many blocks, each with an entry that closes a lock.
fn blocks(w: &mut World, from: usize, count: usize, who: &[usize]) {
    for n in from..from + count {
        let mut role = w.role(0, &format!("role {n}"));
        role.reveal = vec![reveal(n)];
        let filed = w.file(0, role);
        assert!(w.run_until(20_000, |w| who.iter().all(|i| w.is_final(*i, &filed))), "block {n} is made");
    }
}

/// Four validators and a replica that was away for so many blocks.
fn away(seed: u64, count: usize) -> World {
    let mut w = World::new(seed, 4, 1);
    w.gap = GAP;
    w.run(50);
    blocks(&mut w, 0, 3, &[0, 1, 2, 3, 4]);
    w.kill(4);
    blocks(&mut w, 3, count, &[0, 1, 2, 3]);
    w
}

fn missing(w: &World, i: usize) -> bool {
    w.nodes[i].service.as_ref().unwrap().missing_history().unwrap().is_some()
}

fn caught_up(w: &World, i: usize) -> bool {
    w.height(i) == w.height(0)
}

/// Blocks that a node took one by one.
fn replayed(w: &World, i: usize) -> usize {
    w.nodes[i].events.iter().filter(|e| matches!(e, Event::BlockCommitted { headers: 1.., .. })).count()
}

/// Two nodes hold the same of every height.
fn alike(w: &World, i: usize, j: usize) {
    let (one, other) = (w.nodes[i].store.as_ref().unwrap(), w.nodes[j].store.as_ref().unwrap());
    for height in 1..=w.height(i) {
        let of = |s: &hospes_storage::Store| s.block(height).unwrap().map(|(block, _)| block);
        assert!(of(one).is_some() && of(one) == of(other), "block {height}");
    }
    for head in one.heads().unwrap() {
        let run = |s: &hospes_storage::Store| s.headers(&head.node, 1, head.sequence).unwrap();
        assert_eq!(run(one), run(other), "the headers of a node");
        for bytes in run(one) {
            let header = hospes_protocol::entry::Header::read(&bytes, &w.genesis.network()).unwrap();
            let of = |s: &hospes_storage::Store| s.finality(&header.id()).unwrap();
            assert_eq!(of(one), of(other), "height, place and effect of a header");
        }
    }
    for n in 0..50 {
        let lock: Lock = reveal(n).lock();
        assert_eq!(one.lock(&lock).unwrap(), other.lock(&lock).unwrap(), "lock {n}");
    }
    assert_eq!(other.scrub().unwrap(), [], "and nothing is damaged");
}

#[test]
fn a_node_that_was_away_takes_a_state_and_then_the_past() {
    for_seeds(0..5, |seed| {
        let mut w = away(seed, 30);
        let took = replayed(&w, 4);
        w.start(4);
        assert!(w.run_until(20_000, |w| caught_up(w, 4)), "it catches up");
        assert_eq!(replayed(&w, 4), took, "without a single block in between");
        assert!(missing(&w, 4), "what lies between is said to be missing");
        w.check();
        let lock = reveal(7).lock();
        let closed = |i: usize| w.nodes[i].service.as_ref().unwrap().state().locks.is_closed(&lock);
        assert!(closed(4), "what was withdrawn meanwhile is withdrawn at once");

        blocks(&mut w, 33, 3, &[0, 1, 2, 3, 4]);
        assert!(w.run_until(60_000, |w| !missing(w, 4)), "the past is filled in by itself");
        w.check();
        alike(&w, 0, 4);
        w.kill(4);
        w.start(4);
        blocks(&mut w, 36, 2, &[0, 1, 2, 3, 4]);
        w.check();
    });
}

#[test]
fn a_new_node_begins_with_a_state_and_gives_it_on() {
    let mut w = World::new(7, 4, 0);
    w.gap = GAP;
    w.run(50);
    blocks(&mut w, 0, 25, &[0, 1, 2, 3]);
    let ward = w.second_node(0);
    assert!(w.run_until(20_000, |w| caught_up(w, ward)), "it begins with a state");
    assert_eq!(replayed(&w, ward), 0, "and replays nothing");
    assert!(w.run_until(60_000, |w| !missing(w, ward)), "then it fetches the past, from the genesis file on");
    alike(&w, 0, ward);
    let role = w.role(ward, "porter");
    let filed = w.file(ward, role);
    assert!(w.run_until(20_000, |w| w.is_final(1, &filed)), "and takes part");
    w.check();
}

#[test]
fn a_short_absence_is_replayed() {
    let mut w = away(8, 8);
    w.start(4);
    assert!(w.run_until(20_000, |w| caught_up(w, 4)), "it catches up");
    assert!(!missing(&w, 4), "block by block");
    w.check();
}

/// Every peer but one changes its answers, and that one is off at first.
fn lied_to(seed: u64, lie: fn(Answer) -> Answer, number: Check) {
    let mut w = away(seed, 30);
    for i in 0..3 {
        w.nodes[i].lie = Some(lie);
    }
    w.cut(3);
    w.start(4);
    w.run(15_000);
    let to_blame = w.nodes[4].blamed.iter().filter(|(_, check)| *check == number).count();
    assert!(to_blame > 0, "the lie is named by its number: {:?}", w.nodes[4].blamed);
    assert!(!missing(&w, 4), "and no false state is installed");
    w.check();
    w.heal(3);
    assert!(w.run_until(120_000, |w| caught_up(w, 4)), "whoever is honest helps");
    w.check();
}

#[test]
fn a_state_that_leaves_something_out_is_refused() {
    let lie = |answer| match answer {
        Answer::SnapshotPart(Part::State(bytes)) => {
            let mut state = hospes_protocol::state::StateSnapshot::decode(&bytes).unwrap();
            state.membership.roles.pop();
            Answer::SnapshotPart(Part::State(hospes_protocol::wire::Bytes(state.encode())))
        }
        other => other,
    };
    lied_to(1, lie, Check::StateRoot);
}

#[test]
fn half_a_state_is_refused() {
    let lie = |answer| match answer {
        Answer::SnapshotPart(Part::State(mut bytes)) => {
            bytes.0.truncate(bytes.0.len() / 2);
            Answer::SnapshotPart(Part::State(bytes))
        }
        other => other,
    };
    lied_to(2, lie, Check::StateRoot);
}

#[test]
fn a_state_without_one_withdrawal_is_refused() {
    let lie = |answer| match answer {
        Answer::SnapshotPart(Part::Locks(mut part)) => {
            part.locks.pop();
            Answer::SnapshotPart(Part::Locks(part))
        }
        other => other,
    };
    lied_to(3, lie, Check::StateRoot);
}

#[test]
fn an_offer_that_too_few_signed_is_refused() {
    let lie = |answer| match answer {
        Answer::Snapshot(mut offer) => {
            offer.item.certificate.signatures.truncate(2);
            Answer::Snapshot(offer)
        }
        other => other,
    };
    lied_to(4, lie, Check::QuorumMissing);
}

#[test]
fn an_offer_whose_blocks_do_not_lead_to_it_is_refused() {
    let lie = |answer| match answer {
        Answer::Snapshot(mut offer) => {
            offer.recent.swap(0, 1);
            Answer::Snapshot(offer)
        }
        other => other,
    };
    lied_to(5, lie, Check::BlockPrev);
}

#[test]
fn a_crash_in_the_middle_goes_on_with_what_is_here() {
    for_seeds(0..5, |seed| {
        let mut w = away(seed, 30);
        w.start(4);
        let parts = |w: &World| {
            let store = w.nodes[4].store.as_ref().unwrap();
            store.sealed_rows("snapshot-parts", None, None, 100).unwrap().len()
        };
        assert!(w.run_until(20_000, |w| parts(w) == 1), "one part of two is here");
        w.kill(4);
        w.start(4);
        assert_eq!(parts(&w), 1, "it is durable");
        w.answered.clear();
        assert!(w.run_until(20_000, |w| caught_up(w, 4)), "the rest follows");
        assert_eq!(parts(&w), 0, "and nothing is left over");
        assert!(w.run_until(60_000, |w| !missing(w, 4)), "the past too");
        alike(&w, 0, 4);
    });
}

#[test]
fn power_may_fail_while_the_past_is_filled_in() {
    for_seeds(0..8, |seed| {
        let mut w = away(seed, 30);
        w.start(4);
        assert!(w.run_until(20_000, |w| caught_up(w, 4) && missing(w, 4)), "a state is here");
        for _ in 0..4 {
            w.run(1 + seed * 3);
            w.kill(4);
            w.start(4);
        }
        assert!(w.run_until(60_000, |w| !missing(w, 4)), "it is filled in all the same");
        alike(&w, 0, 4);
        w.check();
    });
}

#[test]
fn decisions_are_those_of_a_node_that_was_never_away() {
    let mut w = World::new(9, 4, 1);
    w.gap = GAP;
    w.run(50);
    let author = w.doctor(0, 100);
    let [reader, stranger] = [w.doctor(4, 110), w.doctor(4, 120)];
    w.kill(4);
    let [mut ada, mut bob] = [w.patient(0, 140), w.patient(0, 160)];
    let old = w.record(&author, &mut ada, Category::Laboratory, 5_000);
    let withdrawn = w.record(&author, &mut bob, Category::Laboratory, 5_000);
    let give = w.grant(0, &mut ada, Grantee::Person(reader.id), Category::Laboratory);
    let epoch = w.epoch(0, &mut ada, 1, &[&give]);
    w.tap(0, &ada, vec![give, epoch]);
    let take = w.grant(0, &mut bob, Grantee::Person(reader.id), Category::Laboratory);
    let revocation = w.revocation(0, &mut bob, &take);
    w.tap(0, &bob, vec![take]);
    w.run(3_000);
    w.tap(0, &bob, vec![revocation]);
    // What the author signed before counts, although that card is over.
    let (author, replaced) = w.replace_card(&author, 130);
    assert!(w.run_until(20_000, |w| w.is_final(0, &replaced)), "the author has another card");
    blocks(&mut w, 0, 20, &[0, 1, 2, 3]);
    let new = w.record(&author, &mut ada, Category::Laboratory, 5_000);
    w.run(3_000);

    w.start(4);
    assert!(w.run_until(20_000, |w| caught_up(w, 4) && missing(w, 4)), "a state is here");
    assert!(
        !w.may_read(4, &reader, &bob, &withdrawn).is_permitted(),
        "what was withdrawn stays so meanwhile"
    );
    assert!(w.run_until(120_000, |w| !missing(w, 4)), "the past is here");
    let reads = |w: &World, record| w.may_read(4, &reader, &ada, record).is_permitted();
    assert!(
        w.run_until(120_000, |w| reads(w, &old) && reads(w, &new)),
        "both records are read under the grant"
    );
    for (who, record) in [(&reader, &old), (&reader, &new), (&stranger, &old)] {
        let [here, there] = [4, 0].map(|i| w.may_read(i, who, &ada, record).is_permitted());
        assert_eq!(here, there, "as at the patient's home");
    }
    assert!(!w.may_read(4, &reader, &bob, &withdrawn).is_permitted(), "and denied where they are denied");
    w.check();
}

#[test]
fn the_past_comes_from_whoever_has_it() {
    let mut w = away(10, 30);
    w.start(4);
    assert!(w.run_until(20_000, |w| caught_up(w, 4) && missing(w, 4)), "a state is here");
    for i in 0..3 {
        w.nodes[i].lie = Some(|answer| match answer {
            Answer::Blocks(_) => Answer::Blocks(Vec::new()),
            Answer::Headers(mut items) => {
                items.truncate(items.len() / 2);
                items.reverse();
                Answer::Headers(items)
            }
            other => other,
        });
    }
    w.cut(3);
    w.run(20_000);
    assert!(missing(&w, 4), "peers that pruned it bring nothing");
    w.heal(3);
    assert!(w.run_until(60_000, |w| !missing(w, 4)), "one that has it does");
    alike(&w, 0, 4);
    w.check();
}
