//! A full disk makes the store read-only: nothing is lost, reading goes on, and space makes it write again.
//!
//! Method: a medium with so many free pages. Once it says so beforehand, and once it is found out by a write
//! that fails inside redb.

use hospes_storage::{Family, Ledger, Objects, Store, StoreError, Write};

use crate::world::{ME, faulty, header, patient, segment};

fn fill(store: &Store) -> usize {
    for n in 0..1000 {
        match store.apply(&[segment(&format!("s{n}"), 50_000).1]) {
            Ok(()) => {}
            Err(StoreError::Full) => return n,
            Err(other) => panic!("segment {n}: {other}"),
        }
    }
    panic!("a thousand segments fit where they should not");
}

fn all_here(store: &Store, stored: usize) -> bool {
    (0..stored).all(|n| store.object(&segment(&format!("s{n}"), 50_000).0).unwrap().is_some())
}

#[test]
fn a_disk_that_says_it_is_full_is_left_alone() {
    let (faults, _, store) = faulty();
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    // 32 MiB are held back.
    faults.set_free_pages(Some(8192 + 2000), false);
    let stored = fill(&store);
    assert!(stored > 10, "some fitted: {stored}");
    assert!(all_here(&store, stored), "and can be read");
    faults.set_free_pages(Some(8000), false);
    let refused = store.put_own(&[header(&ME, "a", 2)]).expect_err("the ledger is on the same disk");
    assert_eq!(refused.family(), Family::Unavailable, "try again later");
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "no number was given out");
    let first = segment("s0", 50_000).0;
    store.apply(&[Write::DropObject(first)]).unwrap();
    assert_eq!(store.object(&first).unwrap(), None, "what gives space back is let through");
    store.erase(&patient("ada")).unwrap();
    faults.set_free_pages(None, false);
    store.put_own(&[header(&ME, "a", 2)]).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 2, "with space it goes on");
    assert_eq!(store.scrub().unwrap(), [], "nothing is damaged");
}

#[test]
fn a_disk_found_full_in_the_middle_of_a_write_loses_nothing() {
    for pages in (40..400).step_by(7) {
        let (faults, medium, store) = faulty();
        store.put_own(&[header(&ME, "a", 1)]).unwrap();
        faults.set_free_pages(Some(pages), true);
        let stored = fill(&store);
        assert!(all_here(&store, stored), "{pages} pages: what was stored can be read");
        assert_eq!(store.own_sequence(&ME).unwrap(), 1, "{pages} pages: so can the ledger");
        assert!(matches!(store.apply(&[segment("more", 50_000).1]), Err(StoreError::Full)), "still full");
        assert!(all_here(&store, stored), "{pages} pages: a second failure harms nothing");
        faults.set_free_pages(None, true);
        store.apply(&[segment("more", 50_000).1]).unwrap();
        drop(store);
        let store = crate::world::reopen(&medium).unwrap();
        assert!(all_here(&store, stored), "{pages} pages: after a restart too");
        assert!(store.object(&segment("more", 50_000).0).unwrap().is_some(), "with what came later");
        assert_eq!(store.scrub().unwrap(), [], "{pages} pages: nothing is damaged");
    }
}

#[test]
fn a_key_file_that_does_not_fit_leaves_the_old_one() {
    let (faults, _, store) = faulty();
    let (ada, ben) = (patient("ada"), patient("ben"));
    store.make_keys(&[ada]).unwrap();
    faults.set_free_pages(Some(0), true);
    assert!(matches!(store.make_keys(&[ben]), Err(StoreError::Full)), "no room");
    store.make_keys(&[ada]).unwrap();
    faults.set_free_pages(None, true);
    store.make_keys(&[ben]).unwrap();
}
