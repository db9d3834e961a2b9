//! How large blocks are, how long they wait and how often an idle one comes is the federation's to set.
//!
//! Method: services over memory and virtual time; blocks are counted.

use hospes_protocol::check::Check;
use hospes_protocol::control::{PolicyEntry, PolicyFields};
use hospes_protocol::entry::Kind;
use hospes_protocol::genesis::default_policy;
use hospes_service::filing::FileError;

use crate::world::World;

fn sets(w: &mut World, fields: PolicyFields) {
    let entry = PolicyEntry {
        organization: None,
        fields: Some(fields),
        backup_partners: Vec::new(),
        tier_zero: true,
    };
    let filing = w.control(0, Kind::Policy, &entry, &[0, 1, 2]);
    let filed = w.file(0, filing);
    assert!(w.run_until(20_000, |w| (0..4).all(|i| w.is_final(i, &filed))), "three of four set it");
}

/// Blocks, and milliseconds, until twelve entries that were filed at once are final.
fn twelve(w: &mut World, name: &str) -> (u64, u64) {
    let (height, begun) = (w.height(0), w.now);
    let filings: Vec<_> = (0..12).map(|n| w.role(0, &format!("{name} {n}"))).collect();
    let service = w.nodes[0].service.as_mut().unwrap();
    service.tick(begun);
    let filed = service.file(filings).unwrap();
    w.effects(0);
    assert!(w.run_until(60_000, |w| filed.iter().all(|f| w.is_final(0, f))), "all become final");
    (w.height(0) - height, w.now - begun)
}

#[test]
fn blocks_are_as_large_wait_as_long_and_come_as_often_as_the_policy_says() {
    let mut w = World::new(51, 4, 0);
    w.run(50);
    let default = default_policy();
    let (blocks, ms) = twelve(&mut w, "default");
    assert!(blocks <= 2 && ms < 1_000, "one block takes them all, at once: {blocks} blocks, {ms} ms");
    sets(&mut w, PolicyFields { block_headers_max: 3, ..default.clone() });
    let (blocks, _) = twelve(&mut w, "small");
    assert_eq!(blocks, 4, "three in each");
    sets(&mut w, PolicyFields { block_delay_ms: 3_000, ..default.clone() });
    let (blocks, ms) = twelve(&mut w, "late");
    assert!(blocks == 1 && ms >= 3_000, "a proposer waits for more: {blocks} blocks, {ms} ms");
    sets(&mut w, PolicyFields { idle_block_ms: 10_000, ..default.clone() });
    let height = w.height(0);
    w.run(101_000);
    let empty = w.height(0) - height;
    assert!((9..=11).contains(&empty), "an idle network commits one every ten seconds: {empty}");

    let fields = Some(PolicyFields { block_headers_max: 1, ..default.clone() });
    let entry = PolicyEntry { organization: None, fields, backup_partners: Vec::new(), tier_zero: true };
    let filing = w.control(0, Kind::Policy, &entry, &[0, 1]);
    let refused = w.nodes[0].service.as_mut().unwrap().file(vec![filing]);
    let missing = |e: &FileError| matches!(e, FileError::Rejected(r) if r.check == Check::TwoThirdsMissing);
    assert!(refused.is_err_and(|e| missing(&e)), "two of four set nothing");
    w.check();
}
