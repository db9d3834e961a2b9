//! A record whose file was damaged on this node's disk opens all the same, from the copy of another holder;
//! without one it is refused by number, and the damage is named.
//!
//! Method: two nodes of one organization, as processes on loopback. While one is off, bytes of its object store
//! are flipped wherever nothing but ciphertext stands.

use crate::program::{Desk, wait_until};
use crate::siblings::{Siblings, address, ward_beside_north};

/// Flips a byte in each run of 64 KiB without a run of zeros: only segments are so long.
fn flip_segments(path: &std::path::Path) -> usize {
    let mut bytes = std::fs::read(path).unwrap();
    let mut flipped = 0;
    for run in bytes.chunks_mut(64 * 1024) {
        if !run.windows(16).any(|w| w.iter().all(|b| *b == 0)) {
            run[20_000] ^= 1;
            flipped += 1;
        }
    }
    std::fs::write(path, bytes).unwrap();
    flipped
}

#[test]
fn a_damaged_record_opens_from_another_holders_copy_and_is_refused_by_number_without_one() {
    let desk = Desk::new();
    let plain: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).take(3_000_000).collect();
    std::fs::write(desk.path("film"), &plain).unwrap();
    let Siblings { north, ward, record, .. } = ward_beside_north(&desk, "film");
    let get = || desk.at("ward", "ana", &["record", "get", &record, "--out", "got"]);
    wait_until("the file is at the second node too", || get().code == 0);
    let status = || desk.json(&["--data-dir", "ward", "status"]).data();
    assert_eq!(status()["damage"]["found"], 0, "nothing is damaged");
    assert_eq!(ward.end("TERM"), 0, "an orderly end");

    let store = desk.path("ward/objects.redb");
    assert!(flip_segments(&store) > 20, "segments were found");
    let to_north = address(&north.ready);
    let begin = || {
        let ward = desk.start_with("ward", &[("HOSPES_P2P_BOOTSTRAP", &to_north)]);
        desk.wait_for_cards("ward", 1);
        ward
    };
    let ward = begin();
    let peers = || status()["peers"].as_array().unwrap().iter().filter(|p| p["connected"] == true).count();
    wait_until("the nodes are connected", || peers() == 1);
    std::fs::remove_file(desk.path("got")).unwrap();
    let healed = get();
    assert_eq!(healed.code, 0, "it opens: {healed:?}");
    assert!(std::fs::read(desk.path("got")).unwrap() == plain, "byte for byte");
    let damage = status()["damage"].clone();
    assert!(damage["found"].as_u64().unwrap() > 0, "the damage was counted: {damage}");
    assert_eq!(damage["repaired"], 1, "and made good: {damage}");
    assert_eq!(ward.end("TERM"), 0, "an orderly end");

    flip_segments(&store);
    assert_eq!(north.end("TERM"), 0, "nobody else has it now");
    let ward = begin();
    let refused = get();
    assert_eq!((refused.code, refused.error().as_str()), (6, "rejected-801"), "{refused:?}");
    assert!(status()["warnings"].to_string().contains("Damaged on disk: the file"), "named: {}", status());
    let north = desk.start_with("north", &[("HOSPES_P2P_LISTEN", to_north.split("/p2p/").next().unwrap())]);
    wait_until("it opens once a holder is back", || get().code == 0);
    assert_eq!((ward.end("TERM"), north.end("TERM")), (0, 0), "an orderly end");
}
