//! One process at a time in a folder, and one store: what doesn't belong together doesn't open.
//!
//! Method: real folders; the second process is this test binary, started again to hold the lock.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use hospes_storage::{Family, Ledger, Medium, Store, StoreError};
use zeroize::Zeroizing;

use crate::world::{ME, create, header, node_key, options, reopen, rng};

const HOLD: &str = "HOSPES_TEST_HOLD_FOLDER";

#[test]
fn holds_the_folder_when_started_for_it() {
    let Ok(folder) = std::env::var(HOLD) else { return };
    let store = reopen(&Medium::Folder(folder.into())).expect("nobody else holds it");
    println!("\nholding");
    let _until_killed = std::io::stdin().read(&mut [0]);
    drop(store);
}

#[test]
fn a_second_process_is_refused_by_name_until_the_first_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let medium = Medium::Folder(folder.path().to_owned());
    drop(create(&medium));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "folder::holds_the_folder_when_started_for_it", "--nocapture"])
        .env(HOLD, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert!(lines.any(|l| l.unwrap() == "holding"), "the other process has the folder");
    let refused = reopen(&medium).expect_err("it is locked");
    assert_eq!(refused.family(), Family::Unavailable, "try again later");
    let says = refused.to_string();
    assert!(says.contains(&format!("process {}", child.id())), "it says who: {says}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(reopen(&medium).is_ok(), "the system gave the lock back");
}

#[test]
fn a_store_is_created_once_and_opened_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let medium = Medium::Folder(folder.path().join("data"));
    assert!(matches!(reopen(&medium), Err(StoreError::Absent(_))), "nothing is there");
    let store = create(&medium);
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    drop(store);
    let again = Store::create(&medium, &options(), &node_key(), rng(3));
    assert!(matches!(again, Err(StoreError::Exists(_))), "it is not made anew");
    let store = reopen(&medium).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "and has what was put in");
}

#[test]
fn a_store_closed_in_order_answers_no_more_and_opens_again() {
    let medium = Medium::memory();
    let store = create(&medium);
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    store.close();
    assert!(store.own_sequence(&ME).is_err(), "it is closed");
    assert!(store.put_own(&[header(&ME, "a", 2)]).is_err(), "for writing too");
    let store = reopen(&medium).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "with what was put in");
}

#[test]
fn another_node_key_opens_nothing() {
    let medium = Medium::memory();
    drop(create(&medium));
    let refused = Store::open(&medium, &options(), &Zeroizing::new([1; 32]), rng(3));
    assert!(matches!(refused, Err(StoreError::WrongKey)), "another key");
    assert!(reopen(&medium).is_ok(), "its own key");
}

#[test]
fn files_of_two_stores_do_not_open_together() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (n, folder) in [&one, &two].iter().enumerate() {
        let medium = Medium::Folder(folder.path().to_owned());
        drop(Store::create(&medium, &options(), &node_key(), rng(10 + n as u64)).unwrap());
    }
    for (file, text) in [("objects.redb", "objects.redb"), ("erasable.keys", "erasable.keys")] {
        let (own, kept) = (one.path().join(file), one.path().join("kept"));
        std::fs::rename(&own, &kept).unwrap();
        std::fs::copy(two.path().join(file), &own).unwrap();
        let refused = reopen(&Medium::Folder(one.path().to_owned()));
        assert!(
            matches!(&refused, Err(StoreError::Mixed(f)) if *f == text),
            "{file} of another store: {refused:?}"
        );
        std::fs::rename(&kept, &own).unwrap();
    }
    assert!(reopen(&Medium::Folder(one.path().to_owned())).is_ok(), "its own files");
}

#[test]
fn a_database_that_is_gone_is_never_made_up_for() {
    for file in ["ledger.redb", "objects.redb"] {
        let folder = tempfile::tempdir().unwrap();
        let medium = Medium::Folder(folder.path().to_owned());
        let store = create(&medium);
        store.put_own(&[header(&ME, "a", 1)]).unwrap();
        hospes_storage::Objects::apply(&store, &[crate::world::segment("s", 100).1]).unwrap();
        drop(store);
        let (path, kept) = (folder.path().join(file), folder.path().join("kept"));
        std::fs::rename(&path, &kept).unwrap();
        let opened = reopen(&medium);
        assert!(matches!(opened, Err(StoreError::Corrupt(_))), "{file} is gone: {opened:?}");
        let made = Store::create(&medium, &options(), &node_key(), rng(3));
        assert!(made.is_err(), "nor is a store made over what is left without {file}");
        std::fs::rename(&kept, &path).unwrap();
        assert!(reopen(&medium).is_ok(), "{file} is back");
    }
}

#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    drop(create(&Medium::Folder(folder.path().to_owned())));
    for file in ["ledger.redb", "objects.redb", "erasable.keys", "lock"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file} is closed to others");
    }
}
