//! A lost card without its printed code, by commands: a contested notice opens nothing; one that is heard, waited for and
//! released by three guardians puts the new card in the lost one's place, with every record, and kills the lost card.
//!
//! Method: four hospitals as processes with one reader for all cards, a block a second, a delay of fifteen seconds.

use crate::committees::{federation, north, voted};
use crate::daemon::only;
use crate::emergencies::{ceremony, enrol, glass, shown};
use crate::program::{Desk, Ended, wait_until};

const REPORT: &[u8] = b"Haemoglobin 13.1 g/dl";
const GUARDIANS: [(&str, &str); 3] = [("east", "ben"), ("south", "cleo"), ("west", "dara")];

fn recover(desk: &Desk, who: &str, arguments: &[&str]) -> Ended {
    desk.at("north", who, &[&["patient", "recover"], arguments].concat())
}

/// The state of a notice, as home sees it.
fn state(desk: &Desk, patient: &str, notice: &str) -> String {
    let list = recover(desk, "ana", &["list", patient]).data();
    only(&list["notices"], "notice", notice)["state"].as_str().unwrap().to_owned()
}

fn gives_notice(desk: &Desk, patient: &str) -> String {
    let given = recover(desk, "north", &["notice", patient, "--new-card", "p18"]).data();
    assert!(
        given["recovery_code"].as_str().is_some_and(|code| !code.is_empty()),
        "a new code is printed: {given}"
    );
    given["notice"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_card_takes_the_lost_ones_place_after_notice_delay_and_three_guardians() {
    let desk = Desk::new();
    let nodes = federation(&desk);
    voted(&desk, &["org", "policy", "--idle-block-ms", "1000", "--recovery-delay-ms", "15000"]);
    for name in ["ana", "ben", "cleo", "dara"] {
        desk.card(&format!("reader/{name}.card"), "practitioner", name);
    }
    for name in ["p17", "p18"] {
        desk.card(&format!("reader/{name}.card"), "patient", name);
    }
    desk.wait_for_cards("north", 10);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    enrol(&desk, "north", "ana", &["physician"]);
    let people = GUARDIANS.map(|(hospital, who)| enrol(&desk, hospital, who, &["physician"]));
    let propose = ["breakglass", "committee", "propose"];
    voted(&desk, &[&propose[..], &["ledger", "--validators", "--phase-blocks", "4"]].concat());
    let mut guardians = vec!["full", "--phase-blocks", "14"];
    people.iter().for_each(|id| guardians.extend(["--guardian", id]));
    voted(&desk, &[&propose[..], &guardians].concat());
    ceremony(&desk, "full", &GUARDIANS);
    wait_until("the validators have a key", || {
        let shown = north(&desk, &["breakglass", "committee", "show", "ledger"]).data();
        shown["committees"][0]["stage"] == "ready"
    });
    let create = ["patient", "create", "--patient-card", "p17", "--family", "Byron", "--given", "Ada"];
    let made = desk.at("north", "north", &[&create[..], &["--birth-date", "1815-12-10"]].concat()).data();
    let patient = made["patient"].as_str().unwrap().to_owned();
    std::fs::write(desk.path("report.txt"), REPORT).unwrap();
    let add = ["record", "add", &patient, "report.txt", "--category", "laboratory", "--title", "Blood"];
    desk.at("north", "ana", &add).data();
    let records = desk.at("north", "ana", &["record", "list", &patient]).data();
    let record = only(&records["records"], "title", "Blood")["content"].as_str().unwrap().to_owned();

    let first = gives_notice(&desk, &patient);
    let early = recover(&desk, "ana", &["request", &first]);
    assert_eq!(early.error(), "not-here", "nobody is asked before the delay: {early:?}");
    recover(&desk, "p17", &["contest", &first]).data();
    wait_until("the contest is seen", || state(&desk, &patient, &first) == "contested");
    let contested = recover(&desk, "ana", &["request", &first]);
    assert_ne!(contested.code, 0, "the card that was found stopped it: {contested:?}");

    let notice = gives_notice(&desk, &patient);
    wait_until("the delay is over", || state(&desk, &patient, &notice) == "ready");
    assert_ne!(recover(&desk, "ana", &["request", &first]).code, 0, "what was contested stays so");
    let asked = recover(&desk, "ana", &["request", &notice]).data();
    let request = asked["request"].as_str().unwrap().to_owned();
    let early = recover(&desk, "north", &["finish", &notice]);
    assert_eq!(early.error(), "not-here", "guardians have not released it: {early:?}");
    for (hospital, who) in GUARDIANS {
        wait_until("the request is there", || shown(&desk, hospital, who, &request).is_some());
        glass(&desk, hospital, who, &["approve", &request]).data();
    }
    wait_until("the release is final", || {
        shown(&desk, "north", "ana", &request).is_some_and(|seen| seen["state"] == "open")
    });
    recover(&desk, "north", &["finish", &notice]).data();

    let read = |who: &str| desk.at("north", who, &["record", "get", &record, "--out", "got.txt"]);
    assert_eq!(read("p18").code, 0, "the new card reads what the lost one did: {:?}", read("p18"));
    assert_eq!(std::fs::read(desk.path("got.txt")).unwrap(), REPORT, "byte for byte");
    assert_ne!(read("p17").code, 0, "the lost card is dead");
    let seen = shown(&desk, "north", "p18", &request).expect("the patient sees it");
    assert_eq!(seen["approved"].as_array().unwrap().len(), 3, "and who approved: {seen}");
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}
