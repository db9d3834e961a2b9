//! Break-glass by commands: a doctor of a hospital that never saw the patient, two guardians at two other hospitals, and
//! the first allergy on the screen; the patient sees all of it.
//!
//! Method: four hospitals as processes with one reader for all cards, a block a second; the committee's ceremony by cards.

use std::time::Instant;

use serde_json::Value;

use crate::committees::{federation, north, voted};
use crate::daemon::only;
use crate::program::{Desk, Ended, Node, wait_until};

const ALLERGY: &[u8] = b"{\"allergy\":\"penicillin\"}";

pub(crate) fn enrol(desk: &Desk, hospital: &str, who: &str, roles: &[&str]) -> String {
    for role in roles {
        desk.at(hospital, hospital, &["person", "role", role, "--right", "read", "--right", "write"]).data();
    }
    let mut arguments = vec!["person", "enrol", "--person-card", who, "--register-number", who];
    roles.iter().for_each(|role| arguments.extend(["--role", role]));
    arguments.extend(["--attestation", "attestation"]);
    desk.at(hospital, hospital, &arguments).data()["person"].as_str().unwrap().to_owned()
}

/// The guardians' ceremony, each at the own hospital.
pub(crate) fn ceremony(desk: &Desk, name: &str, guardians: &[(&str, &str)]) {
    let stage = || {
        let shown = north(desk, &["breakglass", "committee", "show", name]).data();
        shown["committees"][0]["stage"].as_str().unwrap().to_owned()
    };
    for (at, stage_after) in [(0, "complaining"), (1, "proving"), (2, "ready")] {
        for (hospital, who) in guardians {
            let did = desk.at(hospital, who, &["breakglass", "committee", "tap"]).data()["did"].clone();
            assert_eq!(did.as_array().map(Vec::len), Some(1), "{who} does what is owed in phase {at}");
        }
        wait_until(stage_after, || stage() == stage_after);
    }
}

pub(crate) fn glass(desk: &Desk, hospital: &str, who: &str, arguments: &[&str]) -> Ended {
    desk.at(hospital, who, &[&["breakglass"], arguments].concat())
}

pub(crate) fn shown(desk: &Desk, hospital: &str, who: &str, request: &str) -> Option<Value> {
    let list = glass(desk, hospital, who, &["list"]);
    let listed = if list.code == 0 { list.data() } else { return None };
    listed["emergencies"].as_array().unwrap().iter().find(|e| e["request"] == request).cloned()
}

/// Four hospitals whose validators hold a key, and guardians where they are wanted; a patient at home in the north with a
/// summary. The nodes and the record.
pub(crate) fn stage(desk: &Desk, guarded: bool) -> (Vec<Node>, String) {
    let nodes = federation(desk);
    voted(desk, &["org", "policy", "--idle-block-ms", "1000"]);
    for name in ["ana", "ben", "dara", "vera"] {
        desk.card(&format!("reader/{name}.card"), "practitioner", name);
    }
    desk.card("reader/p17.card", "patient", "p17");
    desk.wait_for_cards("north", 9);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    let (ana, ben) =
        (enrol(desk, "north", "ana", &["physician"]), enrol(desk, "east", "ben", &["physician"]));
    enrol(desk, "west", "dara", &["physician"]);
    enrol(desk, "north", "vera", &["auditor"]);

    let propose = ["breakglass", "committee", "propose"];
    voted(desk, &[&propose[..], &["ledger", "--validators", "--phase-blocks", "4"]].concat());
    if guarded {
        let guardians = ["summary", "--guardian", &ana, "--guardian", &ben, "--phase-blocks", "12"];
        voted(desk, &[&propose[..], &guardians].concat());
        ceremony(desk, "summary", &[("north", "ana"), ("east", "ben")]);
    }
    wait_until("the validators have a key", || {
        let shown = north(desk, &["breakglass", "committee", "show", "ledger"]).data();
        shown["committees"][0]["stage"] == "ready"
    });

    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made = desk.at("north", "north", &[&create[..], &["--birth-date", "1815-12-10"]].concat()).data();
    let patient = made["patient"].as_str().unwrap();
    std::fs::write(desk.path("summary.json"), ALLERGY).unwrap();
    let add = ["record", "add", patient, "summary.json", "--category", "emergency-summary", "--title", "IPS"];
    desk.at("north", "ana", &add).data();
    let records = desk.at("north", "ana", &["record", "list", patient]).data();
    let record = only(&records["records"], "title", "IPS")["content"].as_str().unwrap().to_owned();
    (nodes, record)
}

/// What the status of the north counts of break-glass.
fn counted(desk: &Desk, key: &str) -> u64 {
    desk.json(&["--data-dir", "north", "status"]).data()["emergencies"][key].as_u64().expect("a count")
}

/// Who may start it, who did, what limits held, how things returned to normal.
fn four_answers(audit: &Value, request: &str) {
    let summary = only(&audit["may_release"], "tier", "summary");
    assert_eq!(
        (&summary["needed"], summary["guardians"].as_array().unwrap().len()),
        (&2.into(), 2),
        "{audit}"
    );
    let full = only(&audit["may_release"], "tier", "full");
    assert!(
        full["needed"].is_null(),
        "nobody releases the full record, whose committee holds no key: {audit}"
    );
    let did = &audit["organizations"][0];
    assert_eq!(
        (&did["organization_name"], &did["people"], &did["released"]),
        (&"west".into(), &1.into(), &1.into())
    );
    assert_eq!(audit["bounds"]["minutes_max"], 240, "four hours at most: {audit}");
    let returned = only(&audit["requests"], "request", request);
    assert_eq!((&returned["approved"], &returned["reviews"][0]), (&2.into(), &"justified".into()), "{audit}");
    assert_eq!(returned["sealed_anew"], false, "the patient's card was not used since: {audit}");
}

#[test]
fn two_guardians_of_two_hospitals_open_the_summary_for_a_doctor_of_a_third() {
    let desk = Desk::new();
    let (nodes, record) = stage(&desk, true);
    let read = ["record", "get", &record, "--purpose", "emergency-treatment", "--out", "got.json"];
    assert_ne!(desk.at("west", "dara", &read).code, 0, "nobody at the west may read it");

    let began = Instant::now();
    let ask = ["request", "--patient-card", "p17", "--reason", "unconscious"];
    let asked = glass(&desk, "west", "dara", &ask).data();
    let request = asked["request"].as_str().unwrap().to_owned();
    wait_until("the request is at the north", || shown(&desk, "north", "ana", &request).is_some());
    assert_eq!(
        glass(&desk, "west", "dara", &["approve", &request]).code,
        4,
        "who is no guardian approves nothing"
    );
    glass(&desk, "north", "ana", &["approve", &request]).data();
    let asked_ms = began.elapsed().as_millis();
    let early = glass(&desk, "west", "dara", &["open", &request]);
    assert_eq!(early.error(), "not-here", "one guardian opens nothing: {early:?}");
    let again = Instant::now();
    glass(&desk, "east", "ben", &["approve", &request]).data();
    glass(&desk, "west", "dara", &["open", &request]).data();
    let mut got = desk.at("west", "dara", &read);
    while got.code != 0 && again.elapsed().as_secs() < 60 {
        got = desk.at("west", "dara", &read);
    }
    assert_eq!(got.code, 0, "it is read: {got:?}");
    let ms = asked_ms + again.elapsed().as_millis();
    println!("from the request to the first allergy: {ms} ms of machine time, by commands");
    assert_eq!(std::fs::read(desk.path("got.json")).unwrap(), ALLERGY, "byte for byte");

    let seen = shown(&desk, "north", "p17", &request).expect("the patient sees it");
    let said = seen["said"].as_str().unwrap_or_default();
    assert!(said.starts_with("Emergency: The practitioner with register number"), "in sentences: {said}");
    assert_eq!((&seen["state"], &seen["reason"]), (&"open".into(), &"unconscious".into()), "{seen}");
    assert_eq!(seen["approved"].as_array().unwrap().len(), 2, "and who approved: {seen}");
    wait_until("the patient sees what was read", || {
        let accesses = desk.at("north", "p17", &["access", "list"]).data();
        accesses["accesses"].as_array().unwrap().iter().any(|a| a["purpose"] == "emergency-treatment")
    });
    assert_eq!(counted(&desk, "reviews_due"), 1, "it waits for a review");
    assert_ne!(
        glass(&desk, "north", "ana", &["review", &request, "justified"]).code,
        0,
        "no guardian reviews"
    );
    glass(&desk, "north", "vera", &["review", &request, "justified", "--text", "asked the ward"]).data();
    let report = glass(&desk, "north", "vera", &["report"]).data();
    assert_eq!(report["report"][0]["justified"], 1, "an auditor does: {report}");
    four_answers(&report["audit"], &request);
    wait_until("north counts no review as due", || counted(&desk, "reviews_due") == 0);
    glass(&desk, "west", "dara", &["close", &request]).data();
    assert_ne!(desk.at("west", "dara", &read).code, 0, "closed, nothing more is read");
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}

/// Asks as the doctor of the west by the patient's card alone.
fn alone(desk: &Desk) -> Ended {
    let ask = ["request", "--tier", "0", "--patient-card", "p17", "--reason", "unconscious"];
    glass(desk, "west", "dara", &ask)
}

#[test]
fn at_night_a_doctor_opens_the_summary_alone_by_the_patients_card_but_no_fourth_time_unreviewed() {
    let desk = Desk::new();
    let (nodes, record) = stage(&desk, false);
    let read = ["record", "get", &record, "--purpose", "emergency-treatment", "--out", "got.json"];
    let request = alone(&desk).data()["request"].as_str().unwrap().to_owned();
    desk.carry("reader/p17.card", "p17.card");
    desk.wait_for_cards("west", 8);
    let without = glass(&desk, "west", "dara", &["open", &request]);
    assert_eq!(without.error(), "signer-absent", "the half on the card is missing: {without:?}");
    desk.carry("p17.card", "reader/p17.card");
    desk.wait_for_cards("west", 9);
    glass(&desk, "west", "dara", &["open", &request]).data();
    wait_until("it is read", || desk.at("west", "dara", &read).code == 0);
    assert_eq!(std::fs::read(desk.path("got.json")).unwrap(), ALLERGY, "byte for byte");
    wait_until("the patient sees it", || {
        shown(&desk, "north", "p17", &request).is_some_and(|seen| seen["tier"] == "card")
    });

    let pending = [alone(&desk), alone(&desk)].map(|ended| ended.data()["request"].clone());
    assert_eq!(alone(&desk).code, 4, "a fourth is refused while three wait for their review");
    glass(&desk, "north", "vera", &["review", &request, "justified"]).data();
    wait_until("the review is at the west", || {
        shown(&desk, "west", "dara", &request).is_some_and(|seen| seen["reviews"][0] == "justified")
    });
    let fourth = alone(&desk).data();
    assert!(!pending.contains(&fourth["request"]), "reviewed, it is let in: {fourth}");
    for unreviewed in pending.iter().chain([&fourth["request"]]) {
        let id = unreviewed.as_str().unwrap();
        wait_until("it is at the north", || shown(&desk, "north", "vera", id).is_some());
        let reviewed = || glass(&desk, "north", "vera", &["review", id, "unclear"]).code == 0;
        wait_until("its release is at the north", reviewed);
        wait_until("the review is at the west", || {
            shown(&desk, "west", "dara", id).is_some_and(|seen| seen["reviews"][0] == "unclear")
        });
    }
    voted(&desk, &["org", "policy", "--tier-zero", "false"]);
    wait_until("the west knows the policy", || alone(&desk).stdout.contains("opens nothing here"));
    voted(&desk, &["org", "policy", "--tier-zero", "true"]);
    wait_until("switched on again, it opens", || alone(&desk).code == 0);
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}
