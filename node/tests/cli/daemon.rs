//! `hospes run` and the commands that speak to it.

use std::time::Duration;

use serde_json::Value;

use crate::program::{Desk, Node};

pub(crate) fn node(desk: &Desk) -> Node {
    desk.found("north", &[]).data();
    desk.start("north")
}

#[test]
fn a_node_says_where_it_is_and_ends_in_order() {
    let desk = Desk::new();
    let node = node(&desk);
    assert_eq!(node.ready["ready"].as_bool(), Some(true), "the first line");
    let api = node.ready["api"].as_str().unwrap().to_owned();
    assert!(!api.ends_with(":0") && node.ready["peer_id"].is_string(), "real addresses: {}", node.ready);
    let status = desk.json(&["--api", api.trim_start_matches("http://"), "status"]).data();
    let found = desk.json(&["--data-dir", "north", "status"]).data();
    assert_eq!(status["node"], found["node"], "--data-dir finds the node of that folder");
    assert_eq!(node.end("TERM"), 0, "SIGTERM");
    assert_eq!(desk.json(&["--data-dir", "north", "--api", "127.0.0.1:1", "status"]).code, 3, "it is gone");
    assert!(!desk.path("north/api.address").exists(), "and says so");
    assert_eq!(desk.start("north").end("INT"), 0, "it starts again, and SIGINT ends it as well");
}

#[test]
fn a_second_process_on_one_folder_is_refused() {
    let desk = Desk::new();
    let node = node(&desk);
    let second = desk.json(&["--data-dir", "north", "--api", "127.0.0.1:0", "run"]);
    assert_eq!((second.code, second.error().as_str()), (3, "locked"), "{second:?}");
    assert_eq!(desk.json(&["--data-dir", "north", "status"]).code, 0, "the first goes on");
    assert_eq!(node.end("KILL"), -1, "the system takes the lock back");
    assert_eq!(desk.start("north").end("TERM"), 0, "so the next one may");
}

#[test]
fn an_api_that_others_could_reach_is_refused() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let ended = desk.json(&["--data-dir", "north", "--api", "0.0.0.0:0", "run"]);
    assert_eq!((ended.code, ended.error().as_str()), (1, "config"), "{ended:?}");
}

#[test]
fn a_damaged_store_is_exit_6() {
    let desk = Desk::new();
    assert_eq!(node(&desk).end("TERM"), 0, "a store is made");
    let path = desk.path("north/ledger.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..4096].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let ended = desk.json(&["--data-dir", "north", "--api", "127.0.0.1:0", "run"]);
    assert_eq!((ended.code, ended.error().as_str()), (6, "store-corrupt"), "{ended:?}");
}

#[test]
fn a_sealed_key_needs_its_passphrase() {
    let desk = Desk::new();
    std::fs::write(desk.path("pass"), "correct horse\n").unwrap();
    let made = desk.found("north", &["--passphrase-file", "pass"]);
    assert_eq!(made.data()["sealed"].as_bool(), Some(true), "{made:?}");
    let node = desk.start("north");
    let warnings = desk.json(&["--data-dir", "north", "status"]).data()["warnings"].to_string();
    assert!(!warnings.contains("unsealed"), "no warning: {warnings}");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
    std::fs::write(desk.path("pass"), "battery staple\n").unwrap();
    let ended = desk.json(&["--data-dir", "north", "run"]);
    assert_eq!((ended.code, ended.error().as_str()), (4, "wrong-passphrase"), "another passphrase");
}

pub(crate) fn card(desk: &Desk, name: &str, kind: &str) {
    desk.card(&format!("reader/{name}.card"), kind, name);
}

pub(crate) fn at(desk: &Desk, who: &str, arguments: &[&str]) -> crate::program::Ended {
    desk.at("north", who, arguments)
}

pub(crate) fn wait_for_cards(desk: &Desk, count: usize) {
    desk.wait_for_cards("north", count);
}

pub(crate) fn only<'a>(list: &'a Value, key: &str, value: &str) -> &'a Value {
    let mut found = list.as_array().unwrap().iter().filter(|e| e[key] == value);
    let one = found.next().unwrap_or_else(|| panic!("no {key} {value} in {list}"));
    assert!(found.next().is_none(), "one {key} {value}");
    one
}

/// A practitioner with her role, and a patient; their ids.
pub(crate) fn enrolled(desk: &Desk) -> (String, String) {
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    at(desk, "north", &["person", "role", "physician", "--right", "read", "--right", "write"]).data();
    let enrol =
        ["person", "enrol", "--person-card", "ana", "--role", "physician", "--register-number", "R-1"];
    let ana = at(desk, "north", &[&enrol[..], &["--attestation", "attestation"]].concat()).data();
    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made =
        at(desk, "north", &[&create[..], &["--birth-date", "1815-12-10", "--language", "fr"]].concat())
            .data();
    assert!(made["recovery_code"].is_string(), "to be printed");
    let found = at(desk, "north", &["patient", "find", "--family", "byron"]).data();
    let patient = only(&found["patients"], "patient", made["patient"].as_str().unwrap());
    (ana["person"].as_str().unwrap().to_owned(), patient["patient"].as_str().unwrap().to_owned())
}

#[test]
fn a_record_is_filed_read_consented_to_and_withdrawn_by_commands() {
    let desk = Desk::new();
    let node = node(&desk);
    card(&desk, "ana", "practitioner");
    card(&desk, "p17", "patient");
    wait_for_cards(&desk, 3);
    let (ana, patient) = enrolled(&desk);

    std::fs::write(desk.path("letter.txt"), "Dear colleague").unwrap();
    let add = ["record", "add", &patient, "letter.txt", "--category", "letters", "--title", "Letter"];
    let filed = at(&desk, "ana", &add);
    assert_eq!((filed.code, filed.data()["finality"]["state"].as_str()), (0, Some("final")), "{filed:?}");
    let records = at(&desk, "ana", &["record", "list", &patient]).data();
    let record = only(&records["records"], "title", "Letter")["content"].as_str().unwrap().to_owned();
    at(&desk, "ana", &["record", "get", &record, "--out", "got.txt"]).data();
    assert_eq!(std::fs::read(desk.path("got.txt")).unwrap(), b"Dear colleague", "byte for byte");

    let seen = at(&desk, "p17", &["access", "list"]).data();
    assert_eq!(only(&seen["accesses"], "record", &record)["reader"]["id"], ana, "the patient sees who read");
    let grant =
        ["consent", "grant", "--person", &ana, "--category", "letters", "--right", "read", "--until", "30d"];
    let text = at(&desk, "p17", &[&["consent", "text"], &grant[2..]].concat()).data();
    let words = text["text"].as_str().unwrap();
    assert!(text["language"] == "fr" && words.contains("peut lire"), "in the patient's language: {text}");
    assert_eq!(at(&desk, "p17", &grant).code, 0, "the patient consents");
    assert_eq!(at(&desk, "ana", &grant).error(), "not-permitted", "nobody else can");
    let grants = at(&desk, "p17", &["consent", "list"]).data();
    let given = grants["consents"][0]["content"].as_str().unwrap();
    assert_eq!(at(&desk, "p17", &["consent", "revoke", given]).code, 0, "and withdraws");
    let grants = at(&desk, "p17", &["consent", "list"]).data();
    assert_eq!(only(&grants["consents"], "content", given)["withdrawn"], true, "as the list shows");
    let why = at(&desk, "ana", &["why", &ana, &record]).data();
    assert_eq!(why["permitted"], true, "the author's organization reads what it authored: {why}");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}

#[test]
fn a_wrong_pin_in_a_file_is_not_tried_again() {
    let desk = Desk::new();
    let node = node(&desk);
    wait_for_cards(&desk, 1);
    std::fs::write(desk.path("wrong"), "north: 314159\n").unwrap();
    let ended = desk.json(&["--data-dir", "north", "org", "list", "--pin-file", "wrong"]);
    assert_eq!((ended.code, ended.error().as_str()), (4, "wrong-pin"), "{ended:?}");
    let tries = desk.json(&["--data-dir", "north", "card", "info", "north"]).data()["tries_left"].as_u64();
    assert_eq!(tries, Some(2), "one try, and no more");
    std::fs::write(desk.path("right"), "somebody: 314159\nnorth: 271828\n").unwrap();
    let ended = desk.json(&["--data-dir", "north", "org", "list", "--pin-file", "right"]);
    assert_eq!(ended.data()["organizations"].as_array().unwrap().len(), 1, "with its own line it works");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}

#[test]
fn a_pin_comes_from_an_open_descriptor_too() {
    let desk = Desk::new();
    let node = node(&desk);
    wait_for_cards(&desk, 1);
    let program = env!("CARGO_BIN_EXE_hospes");
    let script = format!("exec '{program}' --json --data-dir north org list --pin-fd 3 3< pin");
    let output =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(desk.folder.path()).output();
    let said: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    assert_eq!(said["ok"], true, "{said}");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}

#[test]
fn a_second_node_is_admitted_and_retired_by_the_organizations_card() {
    let desk = Desk::new();
    let node = node(&desk);
    wait_for_cards(&desk, 1);
    let second = ["--data-dir", "ward", "init", "--organization", "north", "--org-card", "reader/north.card"];
    let ward = desk.json(&[&second[..], &["--pin-file", "pin", "--found-only"]].concat()).data();
    let id = ward["node"].as_str().unwrap();
    let standing = |desk: &Desk| {
        let nodes = at(desk, "north", &["node", "list"]).data();
        let found = nodes["nodes"].as_array().unwrap().iter().find(|n| n["node"] == id);
        found.map(|n| n["standing"].as_str().unwrap().to_owned())
    };
    assert_eq!(standing(&desk), None, "unknown at first");
    let admitted = at(&desk, "north", &["node", "admit", "ward/founding.cbor", "--out", "proposal"]);
    assert!(
        admitted.data()["filed"].is_string(),
        "one organization is enough for its own node: {admitted:?}"
    );
    assert_eq!(standing(&desk).as_deref(), Some("active"), "admitted");
    let said = at(&desk, "north", &["org", "proposal", "proposal"]).data();
    assert_eq!(said["signed"].as_array().unwrap().len(), 1, "who has signed: {said}");
    let expires = |desk: &Desk| {
        let nodes = at(desk, "north", &["node", "list"]).data();
        only(&nodes["nodes"], "node", id)["expires"].as_str().unwrap().to_owned()
    };
    let before = expires(&desk);
    assert_eq!(at(&desk, "north", &["node", "renew", id, "--until", "30d"]).code, 1, "not to an earlier day");
    assert_eq!(at(&desk, "north", &["node", "renew", id, "--until", "1000d"]).code, 0, "to a later one");
    assert!(expires(&desk) > before, "as the list shows");
    assert_eq!(at(&desk, "north", &["node", "remove", id]).code, 0, "retired");
    assert_ne!(at(&desk, "north", &["node", "renew", id]).code, 0, "a retired node is not renewed");
    assert_eq!(standing(&desk).as_deref(), Some("removed"), "for good");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}

#[test]
fn what_is_signed_without_a_quorum_is_exit_5_and_becomes_final_by_itself() {
    let desk = Desk::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let announced = format!("/ip4/127.0.0.1/tcp/{port}");
    desk.found("north", &["--found-only"]).data();
    desk.found("south", &["--found-only", "--announce", &announced]).data();
    let files = ["init", "--found", "north/founding.cbor", "south/founding.cbor"];
    desk.json(&[&files[..], &["--network", "two", "--out", "genesis.cbor"]].concat()).data();
    for name in ["north", "south"] {
        desk.json(&["--data-dir", name, "init", "--join", "genesis.cbor"]).data();
    }
    let north = desk.start("north");
    wait_for_cards(&desk, 2);
    let role = ["person", "role", "physician", "--right", "read", "--wait", "1"];
    let signed = at(&desk, "north", &role);
    assert_eq!((signed.code, &signed.data()["finality"]["state"]), (5, &Value::from("signed")), "{signed:?}");
    let mut south =
        desk.command(&["--data-dir", "south", "--api", "127.0.0.1:0", "run", "--p2p", &announced]);
    let south = south.env("HOSPES_CARD_READERS", "").stdout(std::process::Stdio::null()).spawn().unwrap();
    let south = Node { child: south, ready: Value::Null };
    let begun = std::time::Instant::now();
    let pending =
        |desk: &Desk| desk.json(&["--data-dir", "north", "status"]).data()["finality"]["pending_own"].clone();
    while pending(&desk) != 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "final once a quorum is there");
        std::thread::sleep(Duration::from_millis(50));
    }
    let again = ["person", "role", "nurse", "--right", "read"];
    assert_eq!(at(&desk, "north", &again).code, 0, "with a quorum an act is final at once");
    assert_eq!((north.end("TERM"), south.end("TERM")), (0, 0), "an orderly end");
}
