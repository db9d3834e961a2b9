//! A whole node over the real databases loses power at any operation on its disk: what no sync covered is lost, kept
//! or torn. What it had acknowledged becomes final everywhere, nobody signs two things, and the node comes back over
//! what is left, at once and under its old key.
//!
//! Method: node 1 stands on redb over a medium that is cut after so many of the operations that a small workload
//! takes, each kind of cut in turn. Replay: `story(CUT, KIND)`. All operations instead of every fourth:
//! `HOSPES_POWER_STRIDE=1 cargo test -p hospes-service --test it power -- --nocapture`.

use hospes_service::filing::{FileError, Filed};
use hospes_storage::fault::{Cut, FaultyMedium};

use crate::world::World;

/// Entries of nodes 0 and 1; gives those that were acknowledged, until node 1 is dark.
fn work(w: &mut World, medium: &FaultyMedium) -> Vec<Filed> {
    let mut filed = Vec::new();
    for n in 0..2 {
        for i in [1, 0] {
            let role = w.role(i, &format!("role {n} {i}"));
            if w.nodes[i].service.is_none() {
                continue;
            }
            match w.try_file(i, role) {
                Ok(one) => filed.push(one),
                Err(FileError::Fatal(_)) if medium.is_dark() => w.kill(i),
                Err(other) => panic!("node {i}: {other}"),
            }
        }
        w.run(300);
    }
    filed
}

/// Cuts after so many operations; gives how many there were in all and how many entries were acknowledged.
fn story(cut: Option<u64>, kind: Cut) -> (u64, usize) {
    let (mut w, medium) = World::with_faults(3, 4, 0, 1);
    w.run(50);
    let before = medium.operations();
    if let Some(cut) = cut {
        medium.cut_after(before + cut);
        w.goes_dark(1, &medium);
    }
    let filed = work(&mut w, &medium);
    let operations = medium.operations() - before;
    if cut.is_some() {
        w.kill(1);
        w.put_back(1, &medium.after(kind));
        w.start(1);
    }
    let all = |w: &World| filed.iter().all(|f| (0..4).all(|i| w.is_final(i, f)));
    assert!(w.run_until(30_000, all), "{cut:?} {kind:?}: what was acknowledged is final everywhere");
    let own = w.nodes[1].service.as_ref().unwrap();
    assert!(!own.is_outdated(), "{cut:?} {kind:?}: its disk holds all that it signed");
    let role = w.role(1, "and on");
    let on = w.file(1, role);
    assert!(w.run_until(30_000, |w| (0..4).all(|i| w.is_final(i, &on))), "{cut:?} {kind:?}: it goes on");
    w.check();
    (operations, filed.len())
}

#[test]
fn a_node_that_loses_unsynced_writes_at_any_operation_loses_nothing_that_it_acknowledged() {
    let stride = std::env::var("HOSPES_POWER_STRIDE").map_or(4, |s| s.parse().unwrap());
    let (operations, whole) = story(None, Cut::KeepAll);
    assert_eq!(whole, 4, "without a cut all is acknowledged");
    let (mut cuts, mut fewer) = (0, 0);
    for cut in (0..operations).step_by(stride) {
        let kind = [Cut::LoseAll, Cut::Tear(cut), Cut::KeepAll][usize::try_from(cut).unwrap() / stride % 3];
        let (_, filed) = story(Some(cut), kind);
        cuts += 1;
        fewer += usize::from(filed < whole);
    }
    println!(
        "{cuts} of {operations} crash points tried, {fewer} before all was acknowledged: lost 0, violations 0"
    );
    assert!(fewer > 0, "some cuts came before the end");
}

#[test]
fn a_disk_that_lies_about_its_syncs_is_found_out() {
    let (mut w, medium) = World::with_faults(3, 4, 0, 1);
    w.run(50);
    medium.lie_about_syncs(true);
    let filed = work(&mut w, &medium);
    assert!(w.run_until(10_000, |w| filed.iter().all(|f| w.is_final(0, f))), "final at the others");
    w.kill(1);
    w.put_back(1, &medium.after(Cut::LoseAll));
    w.start(1);
    let outdated = |w: &World| w.nodes[1].service.as_ref().unwrap().is_outdated();
    assert!(w.run_until(20_000, outdated), "what it signed since the lie is known to the others");
    w.check();
}
