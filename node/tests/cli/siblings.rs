//! A second node of one organization: what is sealed to the organization opens there too.
//!
//! Method: two processes on loopback with a reader each; cards are carried from one to the other.

use crate::program::{Desk, Ended, Node, wait_until};

/// The address under which a running node is dialled.
pub(crate) fn address(ready: &serde_json::Value) -> String {
    let listening = ready["p2p"][0].as_str().unwrap();
    format!("{}/p2p/{}", listening.split("/p2p/").next().unwrap(), ready["peer_id"].as_str().unwrap())
}

fn enrol(desk: &Desk, node: &str, card: &str, number: &str) -> Ended {
    let who = ["person", "enrol", "--person-card", card, "--role", "physician", "--register-number", number];
    desk.at(node, "north", &[&who[..], &["--attestation", "attestation"]].concat())
}

/// Two nodes of one organization, and a record that both have.
pub(crate) struct Siblings {
    pub(crate) north: Node,
    pub(crate) ward: Node,
    pub(crate) patient: String,
    pub(crate) record: String,
}

/// Files `file` as a letter of Ada's at north, and starts a second node of its organization, to which ana goes with
/// her card. The record is listed there.
pub(crate) fn ward_beside_north(desk: &Desk, file: &str) -> Siblings {
    desk.found("north", &[]).data();
    let north = desk.start("north");
    desk.card("reader/ana.card", "practitioner", "ana");
    desk.card("reader/p17.card", "patient", "p17");
    desk.wait_for_cards("north", 3);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    let role = ["person", "role", "physician", "--right", "read", "--right", "write"];
    desk.at("north", "north", &role).data();
    enrol(desk, "north", "ana", "R-1").data();
    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made = desk.at("north", "north", &[&create[..], &["--birth-date", "1815-12-10"]].concat()).data();
    let patient = made["patient"].as_str().unwrap();
    let add = ["record", "add", patient, file, "--category", "letters", "--title", "Letter"];
    desk.at("north", "ana", &add).data();

    std::fs::create_dir(desk.path("ward-reader")).unwrap();
    let init = ["--data-dir", "ward", "init", "--organization", "north", "--org-card", "reader/north.card"];
    let rest =
        ["--pin-file", "pin", "--found-only", "--reader", "ward-reader", "--p2p", "/ip4/127.0.0.1/tcp/0"];
    desk.json(&[&init[..], &rest].concat()).data();
    desk.json(&["--data-dir", "ward", "init", "--join", "north/genesis.cbor"]).data();
    desk.at("north", "north", &["node", "admit", "ward/founding.cbor"]).data();
    let ward = desk.start_with("ward", &[("HOSPES_P2P_BOOTSTRAP", &address(&north.ready))]);
    desk.carry("reader/ana.card", "ward-reader/ana.card");
    desk.wait_for_cards("ward", 1);
    // Until the ledger has come over nobody knows the card there.
    let listed = || {
        let listed = desk.at("ward", "ana", &["record", "list", patient]);
        let first = (listed.code == 0).then(|| listed.data()["records"][0]["content"].clone());
        first.and_then(|content| content.as_str().map(str::to_owned))
    };
    wait_until("the record is listed at the second node", || listed().is_some());
    let record = listed().unwrap();
    Siblings { north, ward, patient: patient.to_owned(), record }
}

#[test]
fn a_practitioner_reads_at_the_second_node_what_was_sealed_to_the_organization() {
    let desk = Desk::new();
    std::fs::write(desk.path("letter.txt"), "Dear colleague").unwrap();
    let Siblings { north, ward, patient, record } = ward_beside_north(&desk, "letter.txt");
    let got = || desk.at("ward", "ana", &["record", "get", &record, "--out", "got.txt"]).code == 0;
    wait_until("the record opens at the second node", got);
    assert_eq!(std::fs::read(desk.path("got.txt")).unwrap(), b"Dear colleague", "byte for byte");
    let add = ["record", "add", &patient, "letter.txt", "--category", "letters", "--title", "Letter"];
    let filed = desk.at("ward", "ana", &add);
    assert_eq!((filed.code, filed.data()["finality"]["state"].as_str()), (0, Some("final")), "{filed:?}");

    desk.card("ward-reader/ben.card", "practitioner", "ben");
    desk.carry("reader/north.card", "ward-reader/north.card");
    desk.wait_for_cards("ward", 3);
    let ben = enrol(&desk, "ward", "ben", "R-2");
    assert_eq!(
        ben.code, 0,
        "the organization's card opens its key there, so people are enrolled there: {ben:?}"
    );
    assert_eq!((ward.end("TERM"), north.end("TERM")), (0, 0), "an orderly end");
}
