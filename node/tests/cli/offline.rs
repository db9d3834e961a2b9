//! Commands that need no node.

use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Desk, names};

#[test]
fn a_wrong_command_line_is_exit_2_also_in_json() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["frobnicate"]).code, 2, "an unknown command");
    assert_eq!(desk.run(&["verify"]).code, 2, "a missing argument");
    let ended = desk.json(&["record"]);
    assert_eq!((ended.code, ended.error().as_str()), (2, "usage"), "in JSON");
    assert_eq!(desk.run(&["--help"]).code, 0, "help is no mistake");
}

#[test]
fn no_command_takes_a_pin_on_its_command_line() {
    let desk = Desk::new();
    for wrong in [&["--pin", "271828"][..], &["--pin=271828"][..]] {
        let create = [&["card", "create", "a.card", "--kind", "patient"], wrong].concat();
        assert_eq!(desk.run(&create).code, 2, "{wrong:?}");
    }
    let made = desk.run(&["card", "create", "a.card", "--kind", "patient", "--pin-file", "pin"]);
    assert_eq!(made.code, 0, "by file it does: {made:?}");
}

#[test]
fn without_terminal_and_pin_file_nothing_hangs() {
    let desk = Desk::new();
    let ended = desk.json(&["card", "create", "a.card", "--kind", "patient"]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(!desk.path("a.card").exists(), "and nothing is made");
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("d")).unwrap();
    std::fs::write(desk.path("d/hospes.toml"), "[p2p]\nlisten = [\"/ip4/127.0.0.1/tcp/1\"]\n").unwrap();
    let good = desk.json(&["--data-dir", "d", "config", "check"]);
    assert_eq!(good.code, 0, "{good:?}");
    std::fs::write(desk.path("d/hospes.toml"), "[p2p]\nlistne = []\n").unwrap();
    let ended = desk.run(&["--data-dir", "d", "config", "check"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stderr.contains("`p2p.listne`") && ended.stderr.contains("`p2p.listen`"), "{ended:?}");
    assert!(ended.stderr.contains("next: "), "what to do: {ended:?}");
}

#[test]
fn config_show_says_who_set_what() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("d")).unwrap();
    std::fs::write(desk.path("d/hospes.toml"), "[store]\ncache_mib = 32\n").unwrap();
    let mut command =
        desk.command(&["--json", "--data-dir", "d", "--api", "127.0.0.1:1", "config", "show", "--origin"]);
    let output = command.env("HOSPES_P2P_LISTEN", "/ip4/127.0.0.1/tcp/5").output().unwrap();
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let origin = |key: &str| shown["data"][key]["origin"].as_str().unwrap().to_owned();
    assert_eq!(origin("api.listen"), "command line", "an option");
    assert_eq!(origin("p2p.listen"), "environment HOSPES_P2P_LISTEN", "a variable");
    assert!(origin("store.cache_mib").ends_with("hospes.toml"), "the file");
    assert_eq!(origin("log.level"), "default", "nobody");
}

#[test]
fn a_node_is_founded_once_and_keeps_its_key_to_itself() {
    let desk = Desk::new();
    let made = desk.found("north", &["--puk-file", "puk"]);
    assert_eq!(made.code, 0, "{made:?}");
    let data = made.data();
    assert!(data["puk"].is_null() && desk.path("puk").exists(), "the PUK is in its file only");
    let mode = |name: &str| std::fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("north"), mode("north/keys/node.key"), mode("puk")), (0o700, 0o600, 0o600), "secrets");
    assert_eq!(
        names(&desk.path("north")),
        ["founding.cbor", "genesis.cbor", "hospes.toml", "keys"],
        "its files"
    );
    let again =
        desk.json(&["--data-dir", "north", "init", "--organization", "x", "--org-card", "reader/north.card"]);
    assert_eq!((again.code, again.error().as_str()), (1, "exists"), "a node is never made over another");
}

#[test]
fn founders_make_a_network_that_each_joins() {
    let desk = Desk::new();
    for name in ["north", "south", "clinic"] {
        let made = desk.found(name, &["--found-only"]);
        assert!(made.data()["network"].is_null(), "no network yet: {made:?}");
    }
    let files = [
        "init",
        "--found",
        "north/founding.cbor",
        "south/founding.cbor",
        "--replica",
        "clinic/founding.cbor",
    ];
    let made =
        desk.json(&[&files[..], &["--network", "two and a clinic", "--out", "genesis.cbor"]].concat()).data();
    assert_eq!(
        (made["nodes"].as_u64(), made["validators"].as_u64()),
        (Some(3), Some(2)),
        "the clinic follows"
    );
    for name in ["north", "clinic"] {
        let joined = desk.json(&["--data-dir", name, "init", "--join", "genesis.cbor"]).data();
        assert_eq!(
            (&joined["network"], joined["member"].as_bool()),
            (&made["network"], Some(true)),
            "{name}"
        );
    }
    let stranger = desk.found("stranger", &["--found-only"]);
    assert_eq!(stranger.code, 0, "{stranger:?}");
    let joined = desk.json(&["--data-dir", "stranger", "init", "--join", "genesis.cbor"]).data();
    assert_eq!(joined["member"].as_bool(), Some(false), "it is told that it must be admitted");
    let nobody = desk.json(&["--data-dir", "nobody", "init", "--join", "genesis.cbor"]);
    assert_eq!((nobody.code, nobody.error().as_str()), (1, "no-node"), "a folder without a node");
}

#[test]
fn a_changed_founding_file_makes_no_network() {
    let desk = Desk::new();
    desk.found("north", &["--found-only"]).data();
    let mut bytes = std::fs::read(desk.path("north/founding.cbor")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(desk.path("changed.cbor"), bytes).unwrap();
    let make = |file| desk.json(&["init", "--found", file, "--network", "n", "--out", "genesis.cbor"]);
    assert_eq!(make("changed.cbor").error(), "network", "refused");
    assert!(!desk.path("genesis.cbor").exists(), "nothing is left");
    assert_eq!(make("north/founding.cbor").code, 0, "as it was sent it is taken");
}

#[test]
fn a_wrong_pin_of_a_file_is_exit_4_and_costs_one_try() {
    let desk = Desk::new();
    desk.found("north", &["--found-only"]).data();
    std::fs::write(desk.path("wrong"), "314159\n").unwrap();
    let second = |pin| {
        let organization = ["--organization", "north", "--org-card", "reader/north.card", "--found-only"];
        desk.json(&[&["--data-dir", "desk", "init"], &organization[..], &["--pin-file", pin]].concat())
    };
    let refused = second("wrong");
    assert_eq!((refused.code, refused.error().as_str()), (4, "wrong-pin"), "denied");
    let left = desk.json(&["card", "info", "reader/north.card"]).data()["tries_left"].as_u64();
    assert_eq!(left, Some(2), "one try is gone, not more");
    assert_eq!(second("pin").code, 0, "with the right one the second node is founded");
}

#[test]
fn a_soft_card_is_made_tested_and_never_overwritten() {
    let desk = Desk::new();
    let create =
        ["card", "create", "ada.card", "--kind", "patient", "--label", "Card 17", "--pin-file", "pin"];
    let made = desk.json(&create).data();
    let tested = desk.json(&["card", "test", "ada.card"]).data();
    assert_eq!(made["serial"], tested["serial"], "the same card");
    assert_eq!(desk.json(&create).code, 1, "a card is not made over another");
    assert_eq!(desk.json(&["card", "test", "bob.card"]).code, 3, "no card there: try again with it");
    std::fs::write(desk.path("torn.card"), &std::fs::read(desk.path("ada.card")).unwrap()[..100]).unwrap();
    assert_eq!(desk.json(&["card", "test", "torn.card"]).code, 1, "half a card");
}

#[test]
fn completions_and_manuals_know_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.run(&["completions", shell]);
        assert!(script.code == 0 && script.stdout.contains("consent"), "{shell}");
    }
    let pages = desk.json(&["man", "pages"]).data()["pages"].as_array().unwrap().len();
    let files = names(&desk.path("pages"));
    assert_eq!(pages, files.len(), "as many as it says");
    for page in ["hospes.1", "hospes-consent-grant.1", "hospes-verify.1"] {
        assert!(files.iter().any(|f| f == page), "{page}");
    }
}

#[test]
fn without_a_node_commands_are_exit_3_and_say_what_to_do() {
    let desk = Desk::new();
    for command in [&["status"][..], &["card", "list"][..], &["patient", "find"][..]] {
        let ended = desk.json(&[&["--api", "127.0.0.1:1"], command].concat());
        assert_eq!((ended.code, ended.error().as_str()), (3, "node-unreachable"), "{command:?}");
    }
    let ended = desk.json(&["--data-dir", "nothing", "run"]);
    assert_eq!((ended.code, ended.error().as_str()), (1, "no-node"), "nor is there one to run");
}

#[test]
fn doctor_finds_and_repairs_an_open_key() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let finding = |repair: &[&str]| {
        let ended = desk.json(&[&["--data-dir", "north", "--api", "127.0.0.1:1", "doctor"], repair].concat());
        let checks = ended.data()["checks"].as_array().unwrap().clone();
        let key = checks.into_iter().find(|c| c["name"] == "node key").unwrap();
        (ended.code, key["finding"].as_str().unwrap().to_owned())
    };
    assert_eq!(finding(&[]), (0, "ok".into()), "as it was made");
    let key = desk.path("north/keys/node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(finding(&[]), (1, "bad".into()), "others can read it");
    assert_eq!(finding(&["--repair"]), (0, "ok".into()), "repaired");
    assert_eq!(finding(&[]), (0, "ok".into()), "and it stays so");
}
