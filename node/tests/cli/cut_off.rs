//! Break-glass in a hospital that is cut off: its own guardians at two of its nodes and its witness card open the summary of a
//! patient who named it, while every other hospital's node is down; afterwards all of it is final, and the patient sees it.
//!
//! Method: four hospitals as processes, the southern one with a second node, one reader for all cards, a block a second.

use std::time::{Duration, Instant};

use crate::committees::{federation, voted};
use crate::daemon::only;
use crate::emergencies::{ceremony, enrol, glass, shown};
use crate::program::{Desk, Node, wait_until};
use crate::siblings::address;

const ALLERGY: &[u8] = b"{\"allergy\":\"penicillin\"}";
const ASK: [&str; 6] = ["request", "--offline", "--patient-card", "p17", "--reason", "unconscious"];

/// A second node of the southern hospital, which knows no other.
fn ward_of_south(desk: &Desk, south: &Node) -> Node {
    let init = ["--data-dir", "ward", "init", "--organization", "south", "--org-card", "reader/south.card"];
    let rest = ["--pin-file", "pin", "--found-only", "--reader", "reader", "--p2p", "/ip4/127.0.0.1/tcp/0"];
    desk.json(&[&init[..], &rest].concat()).data();
    desk.json(&["--data-dir", "ward", "init", "--join", "genesis.cbor"]).data();
    desk.at("south", "south", &["node", "admit", "ward/founding.cbor"]).data();
    desk.start_with("ward", &[("HOSPES_P2P_BOOTSTRAP", &address(&south.ready))])
}

/// The southern hospital's own committee with its witness card, by people of it.
fn committee(desk: &Desk) {
    let people = ["gus", "ina"].map(|name| enrol(desk, "south", name, &["physician"]));
    enrol(desk, "south", "dara", &["physician"]);
    let guardians = ["--guardian", &people[0], "--guardian", &people[1], "--phase-blocks", "12"];
    let set = ["breakglass", "committee", "set", "--local", "--witness-card", "witness"];
    desk.at("south", "south", &[&set[..], &guardians].concat()).data();
    wait_until("the north knows of it", || {
        let shown = desk.at("north", "north", &["breakglass", "committee", "show", "local-"]).data();
        !shown["committees"].as_array().unwrap().is_empty()
    });
    ceremony(desk, "local-", &[("south", "gus"), ("south", "ina")]);
}

fn organization(desk: &Desk, name: &str) -> String {
    desk.json(&["--data-dir", name, "status"]).data()["organization"].as_str().unwrap().to_owned()
}

/// A patient at home in the north with a summary.
fn patient(desk: &Desk) -> (String, String) {
    enrol(desk, "north", "ana", &["physician"]);
    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made = desk.at("north", "north", &[&create[..], &["--birth-date", "1815-12-10"]].concat()).data();
    let patient = made["patient"].as_str().unwrap();
    std::fs::write(desk.path("summary.json"), ALLERGY).unwrap();
    let add = ["record", "add", patient, "summary.json", "--category", "emergency-summary", "--title", "IPS"];
    desk.at("north", "ana", &add).data();
    let records = desk.at("north", "ana", &["record", "list", patient]).data();
    let record = only(&records["records"], "title", "IPS")["content"].as_str().unwrap().to_owned();
    (patient.to_owned(), record)
}

fn warnings(desk: &Desk, node: &str) -> String {
    desk.json(&["--data-dir", node, "status"]).data()["warnings"].to_string()
}

/// The southern hospital alone: its two guardians at two nodes, the witness card, and the first allergy; the request, and how
/// long it took from the witness card on.
fn opened_alone(desk: &Desk, record: &str) -> (String, Duration) {
    let request = glass(desk, "south", "dara", &ASK).data()["request"].as_str().unwrap().to_owned();
    glass(desk, "south", "gus", &["approve", &request]).data();
    let early = glass(desk, "south", "dara", &["witness", &request]);
    assert_eq!(early.error(), "not-here", "one guardian is too few: {early:?}");
    wait_until("the request is at the ward", || shown(desk, "ward", "ina", &request).is_some());
    glass(desk, "ward", "ina", &["approve", &request]).data();
    let both = || {
        shown(desk, "south", "dara", &request).is_some_and(|r| r["approved"].as_array().unwrap().len() == 2)
    };
    wait_until("both approvals are at the requester's node", both);
    desk.carry("reader/witness.card", "witness.card");
    desk.wait_for_cards("south", 10);
    let without = glass(desk, "south", "dara", &["witness", &request]);
    assert_eq!(without.error(), "signer-absent", "the witness card is missing: {without:?}");
    assert_eq!(glass(desk, "south", "dara", &["open", &request]).error(), "not-here", "so nothing opens");
    desk.carry("witness.card", "reader/witness.card");
    desk.wait_for_cards("south", 11);
    let began = Instant::now();
    glass(desk, "south", "dara", &["witness", &request]).data();
    glass(desk, "south", "dara", &["open", &request]).data();
    let read = ["record", "get", record, "--purpose", "emergency-treatment", "--out", "got.json"];
    let got = desk.at("south", "dara", &read);
    assert_eq!(got.code, 0, "it is read without a line: {got:?}");
    let took = began.elapsed();
    assert_eq!(std::fs::read(desk.path("got.json")).unwrap(), ALLERGY, "byte for byte");
    let seen = shown(desk, "south", "dara", &request).unwrap();
    assert_eq!(seen["state"], "released", "and not final yet: {seen}");
    (request, took)
}

/// All of it is final, and the patient has it; the log is whole everywhere.
fn seen_afterwards(desk: &Desk, request: &str) {
    wait_until("the patient sees it, final", || {
        let seen = shown(desk, "north", "p17", request);
        seen.is_some_and(|seen| seen["state"] == "open" && seen["tier"] == "offline")
    });
    let seen = shown(desk, "north", "p17", request).unwrap();
    assert_eq!(seen["approved"].as_array().unwrap().len(), 2, "and who approved: {seen}");
    wait_until("the patient sees what was read", || {
        let accesses = desk.at("north", "p17", &["access", "list"]).data();
        accesses["accesses"].as_array().unwrap().iter().any(|a| a["purpose"] == "emergency-treatment")
    });
    let audit = glass(desk, "south", "vera", &["report"]).data()["audit"].clone();
    assert_eq!(audit["alarms"].as_array().map(Vec::len), Some(0), "the log is whole: {audit}");
    for node in ["north", "south", "ward", "west"] {
        assert!(!warnings(desk, node).contains("of its log"), "{node} raises no alarm");
    }
}

#[test]
fn a_hospital_that_is_cut_off_opens_the_summary_of_a_patient_who_named_it_and_the_patient_sees_it_later() {
    let desk = Desk::new();
    let mut nodes = federation(&desk);
    voted(&desk, &["org", "policy", "--idle-block-ms", "1000"]);
    for name in ["ana", "gus", "ina", "dara", "vera", "witness"] {
        desk.card(&format!("reader/{name}.card"), "practitioner", name);
    }
    desk.card("reader/p17.card", "patient", "p17");
    desk.wait_for_cards("north", 11);
    desk.wait_for_cards("south", 11);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    voted(&desk, &["breakglass", "committee", "propose", "ledger", "--validators", "--phase-blocks", "4"]);
    let ward = ward_of_south(&desk, &nodes[2]);
    committee(&desk);
    enrol(&desk, "south", "vera", &["auditor"]);
    let (patient, record) = patient(&desk);
    let unnamed = glass(&desk, "south", "dara", &ASK);
    assert_eq!(unnamed.error(), "not-here", "nobody was named yet: {unnamed:?}");
    let [south, west] = ["south", "west"].map(|name| organization(&desk, name));
    let name = |hospital: &str| desk.at("north", "p17", &["patient", "emergency-at", hospital]);
    assert_eq!(name(&west).code, 1, "a hospital without a committee of its own is not named");
    assert!(name(&south).data()["locker"].is_string(), "one that has one is");
    wait_until("the south has its escrow", || glass(&desk, "south", "dara", &ASK).code == 0);
    let held = || {
        let listed = desk.at("north", "ana", &["record", "list", &patient]).data();
        only(&listed["records"], "title", "IPS")["finality"]["holders"].as_u64() >= Some(2)
    };
    wait_until("the south has the summary", held);

    // The line is cut: nobody but the southern hospital's two nodes is left.
    let southern = nodes.remove(2);
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
    let (request, took) = opened_alone(&desk, &record);
    println!("from the witness card to the first allergy: {} ms, by commands", took.as_millis());

    // The line is back.
    let mut nodes = vec![southern, ward];
    for name in ["north", "east", "west"] {
        let known: Vec<_> = nodes.iter().map(|node| address(&node.ready)).collect();
        nodes.push(desk.start_with(name, &[("HOSPES_P2P_BOOTSTRAP", &known.join(","))]));
    }
    seen_afterwards(&desk, &request);
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}
