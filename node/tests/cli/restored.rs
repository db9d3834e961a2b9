//! A node whose folder is put back from a copy: it signs nothing more under its key, says so, and works as a new
//! node; one that only starts again needs nothing.
//!
//! Method: two processes of one organization on loopback; the folder of the second is copied while it is off.

use std::fs;
use std::path::Path;

use crate::program::{Desk, Ended, Node, wait_until};
use crate::siblings::{Siblings, address, ward_beside_north};

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn add(desk: &Desk, patient: &str) -> Ended {
    let add = ["record", "add", patient, "letter.txt", "--category", "letters", "--title", "Letter"];
    desk.at("ward", "ana", &add)
}

fn start(desk: &Desk, north: &Node) -> Node {
    let ward = desk.start_with("ward", &[("HOSPES_P2P_BOOTSTRAP", &address(&north.ready))]);
    desk.wait_for_cards("ward", 1);
    ward
}

fn status(desk: &Desk) -> serde_json::Value {
    desk.json(&["--data-dir", "ward", "status"]).data()
}

#[test]
fn a_node_put_back_from_a_copy_says_so_and_works_under_a_new_key_only() {
    let desk = Desk::new();
    fs::write(desk.path("letter.txt"), "Dear colleague").unwrap();
    let Siblings { north, ward, patient, record } = ward_beside_north(&desk, "letter.txt");
    assert_eq!(ward.end("TERM"), 0, "the second node is off");
    copy(&desk.path("ward"), &desk.path("copy"));
    let ward = start(&desk, &north);
    wait_until("it files under its own disk", || add(&desk, &patient).code == 0);
    let old = status(&desk)["node"].as_str().unwrap().to_owned();
    assert_eq!(ward.end("TERM"), 0, "off again");

    let ward = start(&desk, &north);
    wait_until("after an ordinary start it files as before", || add(&desk, &patient).code == 0);
    assert_ne!(status(&desk)["state"], "outdated", "and needs no new key");
    let init = ["--data-dir", "ward", "init", "--organization", "north", "--org-card", "reader/north.card"];
    let new_key = || desk.json(&[&init[..], &["--pin-file", "pin", "--new-key"]].concat());
    assert_eq!((new_key().code, new_key().error().as_str()), (3, "locked"), "nor gets one while it runs");
    assert_eq!(ward.end("TERM"), 0, "off again");

    fs::remove_dir_all(desk.path("ward")).unwrap();
    fs::rename(desk.path("copy"), desk.path("ward")).unwrap();
    let ward = start(&desk, &north);
    wait_until("it sees what its key signed after the copy", || status(&desk)["state"] == "outdated");
    let refused = add(&desk, &patient);
    assert_eq!(
        (refused.code, refused.error().as_str()),
        (1, "node-outdated"),
        "it signs nothing: {refused:?}"
    );
    assert!(refused.json()["error"]["next"].as_str().unwrap().contains("--new-key"), "and says what to do");
    assert_eq!(ward.end("TERM"), 0, "off again");

    let made = new_key().data();
    assert_eq!(made["before"], old.as_str(), "another node than before: {made}");
    desk.at("north", "north", &["node", "admit", "ward/founding.cbor"]).data();
    desk.at("north", "north", &["node", "remove", &old]).data();
    let ward = start(&desk, &north);
    wait_until("as a new node it files", || add(&desk, &patient).code == 0);
    let got = || desk.at("ward", "ana", &["record", "get", &record, "--out", "got.txt"]).code == 0;
    wait_until("and opens what the copy held", got);
    assert_eq!(fs::read(desk.path("got.txt")).unwrap(), b"Dear colleague", "byte for byte");
    assert_eq!((ward.end("TERM"), north.end("TERM")), (0, 0), "an orderly end");
}
