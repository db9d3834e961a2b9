//! A practitioner's card that was replaced signs nothing more, and what it had signed before counts, wherever and
//! whenever it arrives.
//!
//! Method: services over memory and virtual time; a second node of the hospital is cut off meanwhile.

use hospes_protocol::check::Check;
use hospes_protocol::personal::{Category, Grantee};
use hospes_service::filing::FileError;
use hospes_service::records::Finality;
use hospes_storage::Objects;

use crate::people::Record;
use crate::world::World;

const LAB: Category = Category::Laboratory;

fn finality(w: &World, i: usize, record: &Record) -> Option<Finality> {
    let service = w.nodes[i].service.as_ref().unwrap();
    service.entry_state(&record.content).unwrap().map(|state| state.finality)
}

fn is_final(w: &World, i: usize, record: &Record) -> bool {
    matches!(finality(w, i, record), Some(Finality::Final(_)))
}

#[test]
fn what_a_replaced_card_signed_counts_if_it_was_final_before_and_not_otherwise() {
    let mut w = World::new(41, 4, 0);
    w.run(50);
    let reader = w.doctor(1, 110);
    let lost = w.doctor(0, 100);
    let ward = w.second_node(0);
    let mut ada = w.patient(0, 140);
    let has_k = |w: &World| w.nodes[ward].service.as_ref().unwrap().subject_key(&ada.id).unwrap().is_some();
    assert!(w.run_until(20_000, has_k), "the second node files for her as well");
    let before = w.record(&lost, &mut ada, LAB, 100);
    assert!(w.run_until(10_000, |w| is_final(w, 0, &before)), "signed while the card stood");
    w.cut(ward);
    let late = w.record(&lost.at_node(ward), &mut ada, LAB, 100);

    let (new, replaced) = w.replace_card(&lost, 160);
    assert!(
        w.run_until(10_000, |w| (0..4).all(|i| w.is_final(i, &replaced))),
        "another card takes its place"
    );
    let refused = w.try_record(&lost, &mut ada, LAB, 100).map(|_| ());
    let suspended = |e: &FileError| matches!(e, FileError::Rejected(r) if r.check == Check::CardSuspended);
    assert!(refused.is_err_and(|e| suspended(&e)), "the old card signs nothing more");
    let after = w.record(&new, &mut ada, LAB, 100);
    assert!(w.run_until(10_000, |w| is_final(w, 0, &after)), "the new one does");

    let grant = w.grant(0, &mut ada, Grantee::Person(reader.id), LAB);
    let epoch = w.epoch(0, &mut ada, 1, &[&grant]);
    w.tap(0, &ada, vec![grant, epoch]);
    let arrived = |w: &World, record: &Record| {
        w.nodes[1].store.as_ref().unwrap().body(&record.content).unwrap().is_some() && is_final(w, 1, record)
    };
    assert!(w.run_until(20_000, |w| arrived(w, &after)), "a reader elsewhere gets what the new card signed");
    assert!(w.run_until(20_000, |w| arrived(w, &before)), "and, only now, what the old one had signed");

    w.heal(ward);
    let void = Some(Finality::Void(u64::from(Check::CardSuspended.code())));
    assert!(w.run_until(20_000, |w| finality(w, ward, &late) == void), "too late at the desk where it lay");
    w.run(5_000);
    assert!(!is_final(&w, 0, &late) && !is_final(&w, 1, &late), "and nobody else takes it");
    w.check();
}
