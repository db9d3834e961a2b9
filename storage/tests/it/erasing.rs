//! Erasing a patient drops his key: nothing that stood under it opens again, and nobody else's is touched.
//!
//! Method: bodies, packets and index rows of two patients; one is erased. The old pages and an old copy of
//! the databases are then opened with the key file as it is after erasing.

use hospes_storage::fault::{Cut, FaultFile};
use hospes_storage::{Medium, Objects, Store, StoreError, Write};

use crate::world::{
    body, content, faulty, node_key, options, patient, reopen, rng, sealed, segment, structured,
};

fn fill(store: &Store) {
    for name in ["ada", "ben"] {
        let of = Some(patient(name));
        let rows = [
            Write::Body(body(&format!("{name} grant"), 21, of)),
            structured(&format!("{name} packet"), of).1,
            Write::Sealed(sealed("keys", name, 0, "k", of)),
            Write::Sealed(sealed("keys", name, 1, "kept", None)),
            segment(name, 2000).1,
        ];
        store.apply(&rows).unwrap();
    }
}

fn readable(store: &Store, name: &str) -> [bool; 5] {
    [
        store.body(&content(&format!("{name} grant"))).unwrap().is_some(),
        store.object(&structured(&format!("{name} packet"), None).0).unwrap().is_some(),
        store.sealed(&sealed("keys", name, 0, "k", None).key).unwrap().is_some(),
        store.sealed(&sealed("keys", name, 1, "kept", None).key).unwrap().is_some(),
        store.object(&segment(name, 2000).0).unwrap().is_some(),
    ]
}

#[test]
fn an_erased_patient_is_unreadable_and_others_are_not() {
    let (_, medium, store) = faulty();
    fill(&store);
    assert_eq!(readable(&store, "ada"), [true; 5], "before");
    store.erase(&patient("ada")).unwrap();
    for store in [store, reopen(&medium).unwrap()] {
        assert_eq!(readable(&store, "ada"), [false, false, false, true, true], "body, packet and K are gone");
        assert_eq!(readable(&store, "ben"), [true; 5], "ben is as he was");
        assert_eq!(store.bodies(Some(&patient("ada")), None, 0, 9).unwrap(), [], "nor is there an index");
        assert_eq!(store.totals().unwrap().bodies.count, 1, "swept");
        assert_eq!(store.scrub().unwrap(), [], "which is no damage");
    }
}

#[test]
fn old_pages_open_with_no_key_that_is_left() {
    let (faults, medium, store) = faulty();
    fill(&store);
    drop(store);
    let before = faults.after(Cut::KeepAll);
    let store = reopen(&medium).unwrap();
    store.erase(&patient("ada")).unwrap();
    drop(store);

    // The thief has the databases of before, every row of them, and the node key, but the key file of now.
    before.take_keys_of(&faults);
    let store = reopen(&Medium::Faulty(before.clone())).unwrap();
    assert_eq!(readable(&store, "ada"), [false, false, false, true, true], "the key is what was erased");
    assert_eq!(readable(&store, "ben"), [true; 5], "ben's key opens his");
    assert!(before.length(FaultFile::Keys) > 0, "the key file is there");
    store.erase(&patient("ada")).unwrap();
    assert_eq!(store.bodies(Some(&patient("ada")), None, 0, 9).unwrap(), [], "repeating it sweeps the rest");
}

#[test]
fn an_erasure_cut_at_any_operation_leaves_no_row_that_looks_damaged() {
    let operations = {
        let (faults, _, store) = faulty();
        fill(&store);
        let before = faults.operations();
        store.erase(&patient("ada")).unwrap();
        before..faults.operations()
    };
    for cut in operations {
        let (faults, _, store) = faulty();
        fill(&store);
        faults.cut_after(cut);
        store.erase(&patient("ada")).expect_err("the power fails");
        drop(store);
        let store = reopen(&Medium::Faulty(faults.after(Cut::Tear(cut)))).unwrap();
        let [body, packet, k, kept, blob] = readable(&store, "ada");
        assert!(body == packet && packet == k, "cut {cut}: all opens or nothing does");
        assert!(kept && blob, "cut {cut}: the rest is as it was");
        // Whoever writes for the patient again makes a new key, which opens nothing of old.
        store.apply(&[Write::Sealed(sealed("keys", "new", 0, "k", Some(patient("ada"))))]).unwrap();
        assert_eq!(
            readable(&store, "ada"),
            [body, body, body, true, true],
            "cut {cut}: nothing looks damaged"
        );
        assert_eq!(readable(&store, "ben"), [true; 5], "cut {cut}: ben is as he was");
        assert_eq!(store.scrub().unwrap(), [], "cut {cut}: the scrub finds nothing");
    }
}

#[test]
fn the_key_file_is_replaced_whole_and_the_old_one_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let medium = Medium::Folder(folder.path().to_owned());
    let store = Store::create(&medium, &options(), &node_key(), rng(1)).unwrap();
    fill(&store);
    let path = folder.path().join("erasable.keys");
    let old = std::fs::File::open(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    store.erase(&patient("ada")).unwrap();
    let after = std::fs::read(&path).unwrap();
    assert!(after.len() < before.len(), "one key fewer");
    let mut left = Vec::new();
    std::io::Read::read_to_end(&mut &old, &mut left).unwrap();
    assert!(left.len() == before.len() && left.iter().all(|b| *b == 0), "the old file holds zeros");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().all(|n| n != "erasable.keys.new"), "no other copy is left");
}

#[test]
fn a_damaged_or_missing_key_file_is_never_taken_for_an_empty_one() {
    let (faults, _, store) = faulty();
    fill(&store);
    drop(store);
    for at in 0..faults.length(FaultFile::Keys) {
        let copy = faults.after(Cut::KeepAll);
        copy.flip(FaultFile::Keys, at, 0x10);
        let refused = reopen(&Medium::Faulty(copy));
        assert!(matches!(refused, Err(StoreError::Corrupt(_))), "byte {at} flipped");
    }
    let folder = tempfile::tempdir().unwrap();
    let medium = Medium::Folder(folder.path().to_owned());
    drop(Store::create(&medium, &options(), &node_key(), rng(1)).unwrap());
    let path = folder.path().join("erasable.keys");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(reopen(&medium), Err(StoreError::Corrupt(_))), "missing");
    std::fs::write(&path, bytes).unwrap();
    assert!(reopen(&medium).is_ok(), "back again");
}
