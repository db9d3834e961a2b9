//! A flipped byte of a blob is made good by another holder's copy, and named as long as there is none.
//!
//! Method: two hospitals hold a record; in the store of one a byte of a segment is flipped behind everyone's back,
//! and the node started again, so that nothing is in a cache.

use hospes_protocol::ids::ObjectId;
use hospes_protocol::personal::{Category, Grantee};
use hospes_protocol::seal::manifest::RootPage;
use hospes_service::holding::{Damage, Healing};
use hospes_storage::fault::{FaultFile, FaultyMedium};
use hospes_storage::{Item, Objects, StoreError};

use crate::people::Record;
use crate::world::World;

const TWO_SEGMENTS: usize = 1_200_000;

fn two_holders() -> (World, FaultyMedium, Record) {
    let (mut w, faults) = World::with_faults(1, 4, 0, 1);
    w.run(50);
    let author = w.doctor(0, 100);
    let mut ada = w.patient(0, 140);
    let record = w.record(&author, &mut ada, Category::Laboratory, TWO_SEGMENTS);
    let grantee = Grantee::Organization(w.organization(1));
    let grant = w.grant(0, &mut ada, grantee, Category::Laboratory);
    w.tap(0, &ada, vec![grant]);
    assert!(w.run_until(20_000, |w| whole(w, &record)), "the reader's hospital holds it too");
    w.run(1_000);
    (w, faults, record)
}

fn whole(w: &World, record: &Record) -> bool {
    w.nodes[1].service.as_ref().unwrap().healing(&record.root).unwrap() == Healing::Whole
}

/// Root, page and segments, as the author's node has them.
fn parts(w: &World, record: &Record) -> Vec<(ObjectId, Vec<u8>)> {
    let store = w.nodes[0].store.as_ref().unwrap();
    let bytes = |id: &ObjectId| store.object(id).unwrap().unwrap();
    let root = RootPage::read(&bytes(&record.root)).unwrap();
    let page = root.page(0, &bytes(&root.pages[0])).unwrap();
    let ids = [record.root, root.pages[0]].into_iter().chain(page.segments().map(|s| s.id));
    ids.map(|id| (id, bytes(&id))).collect()
}

/// Flips a byte of a segment on the disk of node 1.
fn flip(w: &mut World, faults: &FaultyMedium, segment: &(ObjectId, Vec<u8>)) {
    w.kill(1);
    let places = faults.find(FaultFile::Objects, &segment.1[..64]);
    assert!(!places.is_empty(), "the segment stands in the file");
    places.iter().for_each(|place| faults.flip(FaultFile::Objects, place + 40, 0x10));
    w.start(1);
    let read = w.nodes[1].store.as_ref().unwrap().object(&segment.0);
    assert!(
        matches!(read, Err(StoreError::Corrupt(Item::Object(id))) if id == segment.0),
        "damaged: {read:?}"
    );
}

fn heal(w: &mut World, record: &Record, damaged: ObjectId) -> Healing {
    let now = w.now;
    let service = w.nodes[1].service.as_mut().unwrap();
    service.tick(now);
    let begun = service.heal(&record.root, Some(record.content), Some(damaged)).unwrap();
    w.effects(1);
    begun
}

fn damage(w: &World) -> Damage {
    w.nodes[1].service.as_ref().unwrap().damage().clone()
}

#[test]
fn a_damaged_segment_comes_again_from_another_holder() {
    let (mut w, faults, record) = two_holders();
    let parts = parts(&w, &record);
    for segment in &parts[2..] {
        flip(&mut w, &faults, segment);
        w.run(100);
        assert!(matches!(heal(&mut w, &record, segment.0), Healing::Coming(_)), "another holder is in reach");
        assert!(w.run_until(10_000, |w| whole(w, &record)), "it is whole again");
        let store = w.nodes[1].store.clone().unwrap();
        assert!(
            parts.iter().all(|(id, bytes)| store.object(id).unwrap().as_ref() == Some(bytes)),
            "byte for byte"
        );
        assert_eq!(damage(&w), Damage { found: 1, repaired: 1, ..Damage::default() }, "and counted");
    }
    assert_eq!(w.nodes[1].store.as_ref().unwrap().scrub().unwrap(), [], "nothing is damaged any more");
}

#[test]
fn without_another_holder_the_damage_is_named_until_one_comes_back() {
    let (mut w, faults, record) = two_holders();
    let parts = parts(&w, &record);
    w.cut(0);
    flip(&mut w, &faults, &parts[2]);
    w.run(100);
    assert_eq!(heal(&mut w, &record, parts[2].0), Healing::Nobody, "the author's hospital is off");
    w.run(5_000);
    assert_eq!(damage(&w).open.into_iter().collect::<Vec<_>>(), [record.root], "named");
    assert!(!whole(&w, &record), "and not held");
    w.heal(0);
    assert!(w.run_until(30_000, |w| whole(w, &record)), "it comes by itself once a holder is back");
    assert_eq!(damage(&w), Damage { found: 1, repaired: 1, ..Damage::default() }, "and is named no longer");
}
