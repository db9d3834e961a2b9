//! `hospes verify` on files: exit 6 for damage, whatever is damaged. That every flipped byte is found is shown
//! beside the code, over files with blocks; here the program's own ledger is exported by a node.

use crate::program::Desk;

/// Exports the ledger of a node that has filed an entry; the file and its height.
fn exported(desk: &Desk) -> u64 {
    desk.found("north", &[]).data();
    let node = desk.start("north");
    let role = ["person", "role", "physician", "--right", "read", "--pin-file", "pin"];
    let act = desk.json(&[&["--data-dir", "north"], &role[..]].concat());
    assert_eq!(act.data()["finality"]["state"], "final", "{act:?}");
    let export = desk.json(&["--data-dir", "north", "ledger", "export", "ledger", "--pin-file", "pin"]);
    let height = export.data()["height"].as_u64().unwrap();
    assert_eq!(node.end("TERM"), 0, "an orderly end");
    height
}

#[test]
fn an_exported_ledger_verifies_without_a_node_and_damage_is_exit_6() {
    let desk = Desk::new();
    let height = exported(&desk);
    let verified = desk.json(&["verify", "ledger"]);
    assert_eq!(verified.data()["height"].as_u64(), Some(height), "{verified:?}");
    assert!(height > 0, "there is a block");
    let good = std::fs::read(desk.path("ledger")).unwrap();
    for at in (0..good.len()).step_by(good.len() / 24) {
        let mut bad = good.clone();
        bad[at] ^= 4;
        std::fs::write(desk.path("bad"), bad).unwrap();
        let ended = desk.json(&["verify", "bad"]);
        assert_eq!(ended.code, 6, "byte {at} of {}: {ended:?}", good.len());
        ended.error();
    }
    std::fs::write(desk.path("bad"), &good[..good.len() - 40]).unwrap();
    assert_eq!(desk.json(&["verify", "bad"]).error(), "end-damaged", "a file that was cut");
    let mut bad = good.clone();
    let last = good.len() - 200;
    bad[last] ^= 1;
    std::fs::write(desk.path("bad"), bad).unwrap();
    let ended = desk.run(&["verify", "bad"]);
    assert!(ended.stderr.contains(&format!("block {height} is damaged")), "it is named: {ended:?}");
}

#[test]
fn another_file_is_no_export() {
    let desk = Desk::new();
    let ended = desk.json(&["verify", "pin"]);
    assert_eq!((ended.code, ended.error().as_str()), (6, "not-an-export"), "{ended:?}");
    assert_eq!(desk.json(&["verify", "nothing"]).code, 1, "no such file");
}
