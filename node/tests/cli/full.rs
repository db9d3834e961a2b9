//! A node on a full disk, as its users meet it: it shows what it has, refuses what it cannot keep, says so, and
//! goes on by itself once there is space.
//!
//! Method: real files, and the system's limit to the size of a file (prlimit(1), of util-linux), set and lifted
//! while the node runs. A limit below what the files have makes every write fail, as on a disk without a free
//! block.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{at, card, enrolled, node, only, wait_for_cards};
use crate::program::{Desk, Node};

/// A space comes back within a pause of at most a minute.
const BACK_MAX: Duration = Duration::from_secs(90);

fn limit(node: &Node, bytes: &str) {
    let (pid, size) = (node.child.id().to_string(), format!("--fsize={bytes}:unlimited"));
    assert!(
        Command::new("prlimit").args(["--pid", &pid, &size]).status().unwrap().success(),
        "limit {bytes}"
    );
}

fn status(desk: &Desk) -> Value {
    desk.json(&["--data-dir", "north", "status"]).data()
}

fn wait(desk: &Desk, what: &str, done: impl Fn(&Value) -> bool) {
    let begun = Instant::now();
    while !done(&status(desk)) {
        assert!(begun.elapsed() < BACK_MAX, "{what}: {}", status(desk));
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Status and body of an answer without session.
fn get(node: &Node, path: &str) -> (String, String) {
    let address = node.ready["api"].as_str().unwrap().trim_start_matches("http://").to_owned();
    let mut stream = std::net::TcpStream::connect(&address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[test]
fn a_node_on_a_full_disk_reads_on_refuses_writes_and_comes_back_with_space() {
    let desk = Desk::new();
    let node = node(&desk);
    card(&desk, "ana", "practitioner");
    card(&desk, "p17", "patient");
    wait_for_cards(&desk, 3);
    let (_, patient) = enrolled(&desk);
    let add = |file: &str, title: &str| {
        at(&desk, "ana", &["record", "add", &patient, file, "--category", "letters", "--title", title])
    };
    std::fs::write(desk.path("letter"), "Dear colleague").unwrap();
    std::fs::write(desk.path("large"), vec![7; 24 << 20]).unwrap();
    assert_eq!(add("letter", "First").code, 0, "with space it is filed");
    let titles = || at(&desk, "ana", &["record", "list", &patient]).data()["records"].clone();
    let record = only(&titles(), "title", "First")["content"].as_str().unwrap().to_owned();

    let held = status(&desk)["objects"]["count"].clone();
    let room = std::fs::metadata(desk.path("north/objects.redb")).unwrap().len() + (8 << 20);
    limit(&node, &room.to_string());
    let refused = add("large", "Large");
    assert_eq!((refused.code, refused.error().as_str()), (3, "storage-full"), "{refused:?}");
    limit(&node, "65536");
    let refused = add("letter", "Second");
    assert_eq!((refused.code, refused.error().as_str()), (3, "storage-full"), "{refused:?}");
    assert!(refused.json()["error"]["next"].as_str().unwrap().contains("space"), "it says what to do");

    let ill = status(&desk);
    assert_eq!(ill["state"], "storage-full", "{ill}");
    assert!(ill["warnings"].to_string().contains("read-only"), "{ill}");
    let (code, body) = get(&node, "/healthz");
    assert_eq!((code.as_str(), body.contains("storage-full")), ("507", true), "{body}");
    assert!(get(&node, "/metrics").1.contains("\nhospes_storage_full 1"), "a gauge for who watches");
    let doctor = desk.json(&["--data-dir", "north", "doctor"]);
    assert!(doctor.stdout.contains("read-only: the disk is full"), "{doctor:?}");
    assert_eq!(titles().as_array().unwrap().len(), 1, "lists go on, without what was refused");
    let export = at(&desk, "ana", &["ledger", "export", "ledger"]);
    assert_eq!(export.code, 0, "so does the export: {export:?}");
    assert_eq!(desk.json(&["verify", "ledger"]).code, 0, "and it verifies");
    let read = at(&desk, "ana", &["record", "get", &record, "--out", "got"]);
    assert_eq!(
        (read.code, read.error().as_str()),
        (3, "storage-full"),
        "no access entry, no plaintext: {read:?}"
    );

    limit(&node, "unlimited");
    wait(&desk, "it writes again by itself", |s| s["state"] == "ok");
    assert_eq!(get(&node, "/healthz").0, "200", "and says so");
    at(&desk, "ana", &["record", "get", &record, "--out", "got"]).data();
    assert_eq!(std::fs::read(desk.path("got")).unwrap(), b"Dear colleague", "it reads");
    wait(&desk, "what was stored of the refused upload is dropped", |s| {
        s["objects"]["count"].as_u64().unwrap() < held.as_u64().unwrap() + 8
    });
    assert_eq!(add("large", "Large").code, 0, "the same upload is filed now");
    assert_eq!(titles().as_array().unwrap().len(), 2, "once");
    assert_eq!(node.end("TERM"), 0, "an orderly end");
}
