//! Who takes part, by commands: organizations that are voted in and out, their nodes, validators, policy, people
//! and their cards.
//!
//! Method: two nodes as processes; the cards of all organizations lie in one reader, as at a first meeting.

use serde_json::{Value, json};

use crate::program::{Desk, Ended, Node, wait_until};
use crate::siblings::address;

fn north(desk: &Desk, arguments: &[&str]) -> Ended {
    desk.at("north", "north", arguments)
}

/// The entry of a list with this value.
fn entry(list: &Value, key: &str, value: &str) -> Option<Value> {
    list.as_array().unwrap().iter().find(|e| e[key] == value).cloned()
}

fn organization(desk: &Desk, id: &str) -> Option<Value> {
    entry(&north(desk, &["org", "list"]).data()["organizations"], "organization", id)
}

/// The south with a node in the network of the north, all by votes; its organization and node.
fn south_joins(desk: &Desk) -> (String, String) {
    let founded = desk.found("south", &["--found-only"]).data();
    let of = |key: &str| founded[key].as_str().unwrap().to_owned();
    let invited = north(desk, &["org", "invite", "south/founding.cbor", "--out", "invitation"]).data();
    assert_eq!(invited["filed"], Value::Null, "its own card must agree too");
    assert!(organization(desk, &of("organization")).is_none(), "so it is no member yet");
    let early = north(desk, &["org", "file", "invitation"]);
    assert_ne!(early.code, 0, "nor can the invitation be filed");
    let voted = north(desk, &["org", "vote", "invitation", "--vote-card", "south"]).data();
    assert!(voted["filed"].is_string(), "with its card the invitation is complete: {voted}");
    assert_eq!(organization(desk, &of("organization")).unwrap()["standing"], "active", "and it is a member");
    let admitted = north(desk, &["node", "admit", "south/founding.cbor", "--out", "node"]).data();
    assert_eq!(admitted["filed"], Value::Null, "the north certifies no node of the south");
    let voted = north(desk, &["org", "vote", "node", "--vote-card", "south"]).data();
    assert!(voted["filed"].is_string(), "the south's card does: {voted}");
    (of("organization"), of("node"))
}

fn start_south(desk: &Desk, north: &Node) -> Node {
    desk.json(&["--data-dir", "south", "init", "--join", "north/genesis.cbor"]).data();
    let south = desk.start_with("south", &[("HOSPES_P2P_BOOTSTRAP", &address(&north.ready))]);
    wait_until("the south has the ledger", || {
        let status = |name| desk.json(&["--data-dir", name, "status"]).data()["height"].as_u64();
        status("south") == status("north")
    });
    south
}

#[test]
fn an_organization_is_voted_in_decides_and_is_voted_out() {
    let desk = Desk::new();
    let founded = desk.found("north", &[]).data();
    let node = desk.start("north");
    desk.wait_for_cards("north", 1);
    let (south, south_node) = south_joins(&desk);
    let south_runs = start_south(&desk, &node);

    let policy = ["org", "policy", "--block-delay-ms", "40", "--block-headers-max", "50", "--out", "policy"];
    let proposed = north(&desk, &policy).data();
    assert_eq!(proposed["filed"], Value::Null, "one of two organizations sets no policy");
    let voted = desk.at("south", "south", &["org", "vote", "policy"]).data();
    assert_eq!(
        (&voted["sufficient"], &voted["filed"]),
        (&true.into(), &Value::Null),
        "the other agrees, at its desk"
    );
    assert_eq!(north(&desk, &["org", "file", "policy"]).code, 0, "and who proposed it files it");
    wait_until("the policy holds", || {
        let set = north(&desk, &["org", "policy"]).data()["federation"].clone();
        (set["block_delay_ms"].as_u64(), set["block_headers_max"].as_u64()) == (Some(40), Some(50))
    });
    let own = |arguments: &[&str]| north(&desk, &[&["org", "own-policy"], arguments].concat());
    assert_eq!(own(&["--tier-zero", "false"]).code, 0, "what concerns itself it sets alone");
    assert_eq!(own(&["--backup-partner", &south]).code, 0, "one thing after the other");
    wait_until("both hold: what is not named stays", || {
        let set = own(&[]).data()["organizations"].clone();
        let set = entry(&set, "organization", founded["organization"].as_str().unwrap());
        set.is_some_and(|set| set["tier_zero"] == false && set["backup_partners"] == json!([south]))
    });

    let own = desk.json(&["--data-dir", "north", "status"]).data()["node"].as_str().unwrap().to_owned();
    let validators = ["node", "validators", &own, &south_node, "--out", "validators"];
    assert_eq!(north(&desk, &validators).data()["filed"], Value::Null, "nor who decides");
    let voted = north(&desk, &["org", "vote", "validators", "--vote-card", "south"]).data();
    assert!(voted["filed"].is_string(), "both do: {voted}");
    let decides = || {
        let nodes = north(&desk, &["node", "list"]).data();
        entry(&nodes["nodes"], "node", &south_node).unwrap()["validator"] == true
    };
    wait_until("the south decides too", decides);
    let role = ["person", "role", "nurse", "--right", "read"];
    assert_eq!(desk.at("south", "south", &role).code, 0, "blocks go on with two validators");

    let alone = ["node", "validators", &own, "--out", "alone"];
    north(&desk, &alone).data();
    assert_eq!(north(&desk, &["org", "vote", "alone", "--vote-card", "south"]).code, 0, "back to one");
    wait_until("the north decides alone", || !decides());
    assert_eq!(
        north(&desk, &["org", "remove", &south, "--out", "removal"]).data()["filed"],
        Value::Null,
        "one vote"
    );
    assert_eq!(organization(&desk, &south).unwrap()["standing"], "active", "changes nothing");
    let voted = north(&desk, &["org", "vote", "removal", "--vote-card", "south"]).data();
    assert!(voted["filed"].is_string(), "two do: {voted}");
    assert_eq!(organization(&desk, &south).unwrap()["standing"], "removed", "it has left");
    assert_eq!((south_runs.end("TERM"), node.end("TERM")), (0, 0), "an orderly end");
}

#[test]
fn people_are_suspended_and_given_another_card_by_their_own_organization_only() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let node = desk.start("north");
    for name in ["ana", "ana2"] {
        desk.card(&format!("reader/{name}.card"), "practitioner", name);
    }
    desk.wait_for_cards("north", 3);
    std::fs::write(desk.path("attestation"), "in the register").unwrap();
    north(&desk, &["person", "role", "physician", "--right", "read"]).data();
    let who = ["person", "enrol", "--person-card", "ana", "--role", "physician", "--register-number", "R-1"];
    let ana = north(&desk, &[&who[..], &["--attestation", "attestation"]].concat()).data();
    let ana = ana["person"].as_str().unwrap();
    let lists = |card: &str| desk.at("north", card, &["person", "list"]);
    assert_eq!(lists("ana").code, 0, "her card signs in");

    south_joins(&desk);
    let south = start_south(&desk, &node);
    for act in [&["person", "suspend", ana][..], &["person", "replace", ana, "--person-card", "ana2"]] {
        let refused = desk.at("south", "south", act);
        assert_eq!(refused.code, 4, "another organization can't: {refused:?}");
    }
    let standing = || {
        let people = north(&desk, &["person", "list"]).data();
        entry(&people["persons"], "person", ana).unwrap()["standing"].as_str().unwrap().to_owned()
    };
    assert_eq!(standing(), "active", "nothing has changed");
    assert_eq!(north(&desk, &["person", "suspend", ana]).code, 0, "her own can");
    assert_eq!(standing(), "suspended", "as the list shows");
    assert_eq!(lists("ana").error(), "card-suspended", "her card signs in no more");
    let replaced = north(&desk, &["person", "replace", ana, "--person-card", "ana2"]).data();
    assert_eq!(replaced["person"], ana, "she gets another card");
    assert_eq!(standing(), "active", "and takes part again");
    assert_eq!(lists("ana2").code, 0, "with that one");
    assert_ne!(lists("ana").code, 0, "and not with the old one");
    assert_eq!((south.end("TERM"), node.end("TERM")), (0, 0), "an orderly end");
}
