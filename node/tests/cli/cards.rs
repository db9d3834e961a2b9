//! `hospes card`: cards made at a desk, their PINs, cards that come and go; and what a service manager hears.

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::program::{Desk, send, wait_until};

#[test]
fn a_card_is_enrolled_at_the_desk_tested_and_known_by_its_holder() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let puk = ["card", "enrol", "--kind", "practitioner", "--label", "ana", "--pin-file", "pin"];
    let all = [&["--data-dir", "north"], &puk[..]].concat();
    assert_eq!(desk.json(&all).code, 3, "the node must run");
    let north = desk.start("north");
    let made = desk.json(&all).data();
    assert!(made["puk"].is_string(), "the PUK is printed once: {made}");
    let serial = made["serial"].as_str().unwrap();
    let listed = desk.json(&["--data-dir", "north", "card", "info", "ana"]).data();
    assert_eq!(listed["serial"].as_str(), Some(serial), "the node knows it by its holder");
    let again = desk.json(&all).data();
    assert_ne!(again["file"], made["file"], "another of the same label gets a file of its own");
    let other = [&all[..], &["--reader", "nowhere"]].concat();
    assert_eq!(desk.json(&other).error(), "no-reader", "a reader that the node lacks");
    let tested = desk.json(&["--data-dir", "north", "card", "test", serial]).data();
    assert_eq!(tested["tries_left"], 3, "through the node");
    let by_file = desk.json(&["card", "test", made["file"].as_str().unwrap()]).data();
    assert_eq!(by_file["serial"].as_str(), Some(serial), "and off line");
    assert_eq!(north.end("TERM"), 0, "an orderly end");
}

#[test]
fn a_pin_is_changed_blocked_and_unblocked_by_the_puk_that_the_holder_chose() {
    let desk = Desk::new();
    for (file, text) in [("new", "314159"), ("wrong", "999999"), ("puk", "27182818"), ("no-puk", "11111111")]
    {
        std::fs::write(desk.path(file), text).unwrap();
    }
    let create = [
        "card",
        "create",
        "reader/a.card",
        "--kind",
        "patient",
        "--pin-file",
        "pin",
        "--own-puk-file",
        "puk",
    ];
    assert_eq!(desk.json(&create).data()["puk"], Value::Null, "who chose the PUK isn't told it");
    let change = |pin: &str, new: &str| {
        desk.json(&["card", "pin", "reader/a.card", "--pin-file", pin, "--new-pin-file", new])
    };
    assert_eq!(change("pin", "new").code, 0, "by the PIN as it is");
    assert_eq!(change("pin", "new").error(), "wrong-pin", "which it is no more");
    assert_eq!(change("new", "pin").code, 0, "the new one is");
    for _ in 0..2 {
        assert_eq!(change("wrong", "new").error(), "wrong-pin", "a try less");
    }
    assert_eq!(change("wrong", "new").error(), "pin-blocked", "the third blocks it");
    assert_eq!(change("pin", "new").error(), "pin-blocked", "for the right one too");
    let unblock = |puk: &str| {
        desk.json(&["card", "pin", "reader/a.card", "--unblock", "--puk-file", puk, "--new-pin-file", "new"])
    };
    assert_eq!(unblock("no-puk").error(), "wrong-puk", "another PUK");
    assert_eq!(unblock("puk").code, 0, "its own unblocks it");
    assert_eq!(change("new", "pin").code, 0, "with the PIN that was set");
}

#[test]
fn cards_that_come_and_go_are_told_until_ctrl_c() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let north = desk.start("north");
    let mut command = desk.command(&["--json", "--data-dir", "north", "card", "watch"]);
    let mut watch = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let mut next = || {
        let said: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (of(&said["event"]), of(&said["card"]["holder"]))
    };
    assert_eq!(next(), ("inserted".into(), "north".into()), "the card that is in");
    desk.card("ana.card", "practitioner", "ana");
    desk.carry("ana.card", "reader/ana.card");
    assert_eq!(next(), ("inserted".into(), "ana".into()), "one comes");
    desk.carry("reader/ana.card", "ana.card");
    assert_eq!(next(), ("removed".into(), "ana".into()), "and goes");
    send(watch.id(), "INT");
    assert!(!watch.wait().unwrap().success(), "and ends it");
    assert_eq!(north.end("TERM"), 0, "an orderly end");
}

#[test]
fn a_service_manager_hears_when_the_node_is_ready_and_when_it_stops() {
    let desk = Desk::new();
    desk.found("north", &[]).data();
    let path = desk.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    };
    let north = desk.start_with("north", &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert!(heard().lines().any(|line| line == "READY=1"), "once its API answers");
    let answers = || desk.json(&["--data-dir", "north", "status"]).code == 0;
    wait_until("the node answers", answers);
    assert_eq!(north.end("TERM"), 0, "an orderly end");
    assert!(heard().lines().any(|line| line == "STOPPING=1"), "and that it stops");
}
