//! Finding a patient who has no card with him, by commands: nobody answers before the search is final, whoever is found is one of
//! five at most and sees it, and ten searches an hour are enough.
//!
//! Method: four hospitals as processes with one reader for all cards, a block a second; what is not final is shown by halting
//! two of the four that decide.

use serde_json::Value;

use crate::committees::federation;
use crate::emergencies::{enrol, glass, shown, stage};
use crate::program::{Desk, Ended, Node, send, wait_until};

fn find(desk: &Desk, who: &str, name: &str, more: &[&str]) -> Ended {
    let asked = ["find", "--name", name, "--birth-date", "1815-12-10"];
    glass(desk, "west", who, &[&asked[..], more].concat())
}

fn people(found: &Value) -> &Vec<Value> {
    found["people"].as_array().unwrap()
}

#[test]
fn a_patient_without_card_is_found_by_name_and_the_one_who_was_chosen_is_opened() {
    let desk = Desk::new();
    let (nodes, record) = stage(&desk, true);
    let found = find(&desk, "dara", "byron ADA", &[]).data();
    let one = &people(&found)[0];
    assert_eq!((&found["asked"], &found["answered"]), (&4.into(), &4.into()), "every node answers: {found}");
    assert_eq!(
        (people(&found).len(), &one["name"], &one["birth_year"], &one["home"]["organization_name"]),
        (1, &"Ada Byron".into(), &"1815".into(), &"north".into()),
        "one person, and no more of her than tells her from others: {found}"
    );
    assert_eq!(found["finality"]["state"], "final", "once it is on the ledger");
    let nobody = |found: Value| assert_eq!(people(&found).len(), 0, "{found}");
    nobody(find(&desk, "dara", "Ada", &[]).data());
    nobody(find(&desk, "dara", "Ada Byron", &["--id", "A-1"]).data());

    let search = found["search"].as_str().unwrap();
    assert_eq!(
        glass(&desk, "west", "ben", &["found", search]).code,
        4,
        "whom it found is nobody's business but hers who searched"
    );
    let ask = |place: &str| {
        let named = format!("{search}:{place}");
        glass(&desk, "west", "dara", &["request", "--found", &named, "--reason", "unconscious"])
    };
    assert_eq!(ask("2").error(), "unknown", "nobody stands there");
    let request = ask("1").data()["request"].as_str().unwrap().to_owned();
    for (hospital, who) in [("north", "ana"), ("east", "ben")] {
        wait_until("the request is there", || shown(&desk, hospital, who, &request).is_some());
        glass(&desk, hospital, who, &["approve", &request]).data();
    }
    glass(&desk, "west", "dara", &["open", &request]).data();
    let read = ["record", "get", &record, "--purpose", "emergency-treatment", "--out", "got.json"];
    wait_until("it is read", || desk.at("west", "dara", &read).code == 0);

    let seen = shown(&desk, "north", "p17", &request).expect("the patient sees it");
    assert_eq!(seen["search"], search, "and that she was found by name: {seen}");
    let found = glass(&desk, "north", "p17", &["found"]).data();
    let by_name = found["searches"].as_array().unwrap().iter().filter(|one| one["by"] == "name");
    let by: Vec<_> = by_name.map(|one| (&one["search"], &one["person"]["register_number"])).collect();
    assert_eq!(by, [(&search.into(), &"dara".into())], "once, and by whom: {found}");
    glass(&desk, "west", "dara", &["close", &request, "--wrong-patient"]).data();
    assert_ne!(desk.at("west", "dara", &read).code, 0, "the wrong patient's record is closed");
    wait_until("the patient sees that it was the wrong one", || {
        shown(&desk, "north", "p17", &request).is_some_and(|seen| seen["wrong_patient"] == true)
    });
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}

/// Six people of one name and day in the north, and a doctor in the west.
fn namesakes(desk: &Desk) -> Vec<Node> {
    let nodes = federation(desk);
    desk.card("reader/dara.card", "practitioner", "dara");
    for n in 1..=6 {
        desk.card(&format!("reader/p{n}.card"), "patient", &format!("p{n}"));
    }
    desk.wait_for_cards("north", 11);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    desk.card("reader/ana.card", "practitioner", "ana");
    desk.wait_for_cards("north", 12);
    enrol(desk, "north", "ana", &["physician"]);
    enrol(desk, "west", "dara", &["physician"]);
    nodes
}

fn create(desk: &Desk, n: u32) {
    let (card, id) = (format!("p{n}"), format!("N {n}"));
    let name = ["--family", "Byron", "--given", "Ada", "--birth-date", "1815-12-10", "--national-id", &id];
    desk.at("north", "north", &[&["patient", "create", "--patient-card", &card], &name[..]].concat()).data();
}

#[test]
fn nobody_answers_a_search_that_is_not_final_nor_names_more_than_five_nor_an_eleventh_in_an_hour() {
    let desk = Desk::new();
    let nodes = namesakes(&desk);
    (1..=5).for_each(|n| create(&desk, n));
    let five = find(&desk, "dara", "Ada Byron", &[]).data();
    assert_eq!((people(&five).len(), &five["too_many"]), (5, &false.into()), "five are shown: {five}");
    create(&desk, 6);
    let six = find(&desk, "dara", "Ada Byron", &[]).data();
    assert_eq!((people(&six).len(), &six["too_many"]), (0, &true.into()), "of six nobody is: {six}");
    let numbered = find(&desk, "dara", "Ada Byron", &["--id", "n-6"]).data();
    assert_eq!(people(&numbered).len(), 1, "with the number it is one: {numbered}");
    let place = format!("{}:1", numbered["search"].as_str().unwrap());
    let unescrowed = glass(&desk, "west", "dara", &["request", "--found", &place, "--reason", "unconscious"]);
    assert_eq!(unescrowed.error(), "not-here", "no committee holds a key yet: {unescrowed:?}");

    let halted = || nodes[1..=2].iter().map(|node| node.child.id());
    halted().for_each(|process| send(process, "STOP"));
    let waiting = find(&desk, "dara", "Ada Byron", &["--id", "N6", "--wait", "3"]);
    halted().for_each(|process| send(process, "CONT"));
    assert_eq!(waiting.code, 5, "two of four are too few to order it: {waiting:?}");
    let found = waiting.json()["data"].clone();
    assert_eq!((&found["answered"], people(&found).len()), (&0.into(), 0), "and nobody answered it: {found}");
    let search = found["search"].as_str().unwrap();
    let later = || glass(&desk, "west", "dara", &["found", search]).data();
    wait_until("it is final and answered", || later()["answered"] == 4);
    assert_eq!((people(&later()).len(), &later()["finality"]["state"]), (1, &"final".into()), "then it is");

    for n in 5..=10 {
        assert_eq!(find(&desk, "dara", "Bob", &[]).code, 0, "search {n} of the hour");
    }
    let eleventh = find(&desk, "dara", "Ada Byron", &[]);
    assert_eq!((eleventh.error().as_str(), eleventh.code), ("too-many-searches", 3), "{eleventh:?}");
    assert!(eleventh.stdout.contains("UTC"), "it says when the next may be made: {eleventh:?}");
    let another = glass(&desk, "north", "ana", &["find", "--name", "Bob", "--birth-date", "1815-12-10"]);
    assert_eq!(another.code, 0, "another person has an hour of her own");
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}
