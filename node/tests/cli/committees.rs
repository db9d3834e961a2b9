//! Guardians make a key by their cards, validators by themselves; every node comes to the same keys, and another roster
//! takes one over.
//!
//! Method: four hospitals as processes with one reader for all cards, a block a second.

use serde_json::Value;

use crate::program::{Desk, Ended, Node, wait_until};
use crate::siblings::address;

const HOSPITALS: [&str; 4] = ["north", "east", "south", "west"];

/// Four hospitals of one network, each with a node that decides.
pub(crate) fn federation(desk: &Desk) -> Vec<Node> {
    for name in HOSPITALS {
        desk.found(name, &["--found-only"]).data();
    }
    let foundings = HOSPITALS.map(|name| format!("{name}/founding.cbor"));
    let found: Vec<&str> =
        ["init", "--found"].into_iter().chain(foundings.iter().map(String::as_str)).collect();
    desk.json(&[&found[..], &["--network", "four", "--out", "genesis.cbor"]].concat()).data();
    let mut nodes: Vec<Node> = Vec::new();
    for name in HOSPITALS {
        desk.json(&["--data-dir", name, "init", "--join", "genesis.cbor"]).data();
        let known: Vec<_> = nodes.iter().map(|node| address(&node.ready)).collect();
        nodes.push(desk.start_with(name, &[("HOSPES_P2P_BOOTSTRAP", &known.join(","))]));
    }
    desk.wait_for_cards("north", HOSPITALS.len());
    nodes
}

pub(crate) fn north(desk: &Desk, arguments: &[&str]) -> Ended {
    desk.at("north", "north", arguments)
}

/// Proposes at the first hospital; two more vote for it there.
pub(crate) fn voted(desk: &Desk, proposal: &[&str]) {
    let proposed = north(desk, &[proposal, &["--out", "proposal"]].concat()).data();
    assert_eq!(proposed["filed"], Value::Null, "one of four is not enough");
    north(desk, &["org", "vote", "proposal", "--vote-card", "east"]).data();
    let voted = north(desk, &["org", "vote", "proposal", "--vote-card", "south"]).data();
    assert!(voted["filed"].is_string(), "three of four are: {voted}");
}

fn guardian(desk: &Desk, name: &str) -> String {
    let who = ["person", "enrol", "--person-card", name, "--role", "physician", "--register-number", name];
    let enrolled = north(desk, &[&who[..], &["--attestation", "attestation"]].concat()).data();
    enrolled["person"].as_str().unwrap().to_owned()
}

/// The newest committee of a name, as a node shows it to whoever signs in there.
fn committee(desk: &Desk, node: &str, who: &str, name: &str) -> Value {
    let shown = desk.at(node, who, &["breakglass", "committee", "show", name]).data();
    shown["committees"][0].clone()
}

fn wait_for(desk: &Desk, name: &str, stage: &str) {
    wait_until(&format!("{name} comes to {stage}"), || {
        let shown = committee(desk, "north", "north", name);
        assert!(!shown["stage"].as_str().unwrap().starts_with("too-few"), "nobody came in time: {shown}");
        shown["stage"] == stage
    });
}

fn taps(desk: &Desk, who: &str) -> Vec<String> {
    let did = desk.at("north", who, &["breakglass", "committee", "tap"]).data()["did"].clone();
    let act = |one: &Value| format!("{} {}", one["name"].as_str().unwrap(), one["act"].as_str().unwrap());
    did.as_array().unwrap().iter().map(act).collect()
}

fn status(desk: &Desk) -> Value {
    desk.json(&["--data-dir", "north", "status"]).data()
}

/// Whether the node warns of a committee in these words.
fn warns(desk: &Desk, words: &str) -> bool {
    status(desk)["warnings"].as_array().unwrap().iter().any(|w| w.as_str().unwrap().contains(words))
}

/// Another set of nodes decides: who holds the ledger's key isn't them, until it is handed on.
fn validators_change(desk: &Desk) {
    let key = committee(desk, "north", "north", "ledger")["key"].clone();
    let held_by_others = || warns(desk, "The key ledger is held by other nodes than those that decide");
    assert!(!held_by_others(), "those who decide hold it");
    let nodes = ["north", "east", "south"].map(|name| {
        let status = desk.json(&["--data-dir", name, "status"]).data();
        status["node"].as_str().unwrap().to_owned()
    });
    voted(desk, &["node", "validators", &nodes[0], &nodes[1], &nodes[2]]);
    wait_until("it warns", held_by_others);
    let again = ["breakglass", "committee", "propose", "ledger", "--validators", "--phase-blocks", "4"];
    voted(desk, &again);
    wait_until("it is handed on", || committee(desk, "north", "north", "ledger")["stage"] == "ready");
    assert!(!held_by_others(), "those who decide hold it again");
    let after = committee(desk, "west", "east", "ledger");
    assert_eq!(
        (&after["key"], after["members"].as_array().unwrap().len()),
        (&key, 3),
        "the same key, of three"
    );
}

/// The ceremony of a committee of people, by these cards: those who deal, then those who get shares.
fn ceremony(desk: &Desk, name: &str, dealers: &[&str], members: &[&str]) {
    for who in dealers {
        assert_eq!(taps(desk, who), [format!("{name} deal")], "{who} deals");
    }
    assert_eq!(taps(desk, dealers[0]), [""; 0], "nobody deals twice");
    wait_for(desk, name, "complaining");
    for who in members {
        assert_eq!(taps(desk, who), [format!("{name} look")], "{who} looks at what came");
    }
    wait_for(desk, name, "proving");
    for who in members {
        assert_eq!(taps(desk, who), [format!("{name} prove")], "{who} proves the share");
    }
    wait_for(desk, name, "ready");
}

#[test]
fn guardians_make_a_key_by_their_cards_and_hand_it_on() {
    let desk = Desk::new();
    let nodes = federation(&desk);
    voted(&desk, &["org", "policy", "--idle-block-ms", "1000"]);
    let names = ["ana", "ben", "cleo", "dara"];
    for name in names {
        desk.card(&format!("reader/{name}.card"), "practitioner", name);
    }
    desk.wait_for_cards("north", HOSPITALS.len() + names.len());
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    north(&desk, &["person", "role", "physician", "--right", "read"]).data();
    let people = names.map(|name| guardian(&desk, name));

    let propose = ["breakglass", "committee", "propose"];
    assert_eq!(status(&desk)["committees"], Value::Array(Vec::new()), "there is none");
    voted(&desk, &[&propose[..], &["ledger", "--validators", "--phase-blocks", "4"]].concat());
    assert!(warns(&desk, "The committee ledger has no key yet"), "it is being made");
    let three = ["summary", "--guardian", &people[0], "--guardian", &people[1], "--guardian", &people[2]];
    let alone = north(&desk, &[&propose[..], &three, &["--needed", "1", "--out", "alone"]].concat()).data();
    assert_eq!(alone["sufficient"], false, "one person opens nothing");
    voted(&desk, &[&propose[..], &three, &["--phase-blocks", "15"]].concat());
    let shown = committee(&desk, "north", "ana", "summary");
    assert_eq!((&shown["stage"], &shown["owed"][0]), (&"dealing".into(), &"deal".into()), "{shown}");
    assert_eq!(shown["missing"].as_array().unwrap().len(), 3, "all are waited for");
    ceremony(&desk, "summary", &["ana", "ben", "cleo"], &["ana", "ben", "cleo"]);

    let summary = committee(&desk, "north", "north", "summary");
    assert!(summary["key"].is_string() && summary["counts"] == true, "the key stands: {summary}");
    for node in ["east", "west"] {
        assert_eq!(committee(&desk, node, "east", "summary")["key"], summary["key"], "{node} sees the same");
    }
    wait_until("the validators make theirs", || {
        committee(&desk, "west", "east", "ledger")["stage"] == "ready"
    });

    let others = ["summary", "--guardian", &people[1], "--guardian", &people[2], "--guardian", &people[3]];
    voted(&desk, &[&propose[..], &others, &["--phase-blocks", "15"]].concat());
    let old = committee(&desk, "north", "ana", "summary");
    assert_eq!(old["previous"], summary["committee"], "it takes the key over");
    assert_eq!(
        (&old["counts"], &old["owed"][0]),
        (&false.into(), &"deal".into()),
        "once who had it deal it on"
    );
    ceremony(&desk, "summary", &["ana", "cleo"], &["ben", "cleo", "dara"]);
    let after = committee(&desk, "east", "east", "summary");
    assert_eq!(
        (&after["key"], &after["counts"]),
        (&summary["key"], &true.into()),
        "the same key, in other hands"
    );
    validators_change(&desk);
    let shown = status(&desk);
    let stages = shown["committees"].as_array().unwrap().iter().map(|c| (&c["stage"], &c["missing"]));
    assert!(stages.clone().all(|c| c == (&"ready".into(), &0.into())), "nothing is missing: {shown}");
    assert!(!warns(&desk, "committee") && !warns(&desk, "The key ledger"), "nor warned of: {shown}");
    for node in nodes {
        assert_eq!(node.end("TERM"), 0, "an orderly end");
    }
}
