//! A node whose disk is put back from a copy signs nothing more under its key once it sees what that key signed
//! later; under a new key it works, and opens what the copy holds.
//!
//! Method: node 1 stands on a medium of which a copy is taken at some time; it works on, stops, and is started over
//! the copy. Every vote on the wire is watched. Replay: the seed that is printed.

use hospes_service::effects::Event;
use hospes_service::filing::FileError;
use hospes_storage::fault::{Cut, FaultyMedium};

use crate::world::{World, for_seeds};

/// Work at every node, some of it by node 1.
fn work(w: &mut World, name: &str, rounds: usize) {
    for n in 0..rounds {
        for i in [0, 1, 3] {
            let role = w.role(i, &format!("{name} {n} {i}"));
            w.file(i, role);
        }
        w.run(300);
    }
}

/// A node that worked on after the copy was taken.
fn story(seed: u64) -> (World, FaultyMedium) {
    let (mut w, medium) = World::with_faults(seed, 4, 1, 1);
    w.run(50 + seed % 40);
    work(&mut w, "before", 3);
    let copy = medium.after(Cut::KeepAll);
    work(&mut w, "after", 1 + usize::try_from(seed % 4).unwrap());
    w.kill(1);
    (w, copy)
}

#[test]
fn a_node_put_back_from_a_copy_signs_nothing_more_under_its_key() {
    for_seeds(0..24, |seed| {
        let (mut w, copy) = story(seed);
        w.put_back(1, &copy);
        w.start(1);
        let outdated = |w: &World| w.nodes[1].service.as_ref().unwrap().is_outdated();
        assert!(w.run_until(20_000, outdated), "it sees what its key signed after the copy");
        let told = w.nodes[1].events.iter().filter(|e| matches!(e, Event::Outdated)).count();
        assert_eq!(told, 1, "and says so once");
        let role = w.role(1, "too late");
        let Err(FileError::Outdated) = w.try_file(1, role) else { panic!("it files nothing") };
        w.kill(1);
        w.start(1);
        assert!(outdated(&w), "nor after another start");
        let role = w.role(0, "without it");
        let filed = w.file(0, role);
        assert!(
            w.run_until(20_000, |w| (0..5).all(|i| w.is_final(i, &filed))),
            "it follows, and three decide"
        );
        w.check();
    });
}

#[test]
fn a_node_that_starts_again_over_its_own_disk_needs_no_new_key() {
    for_seeds(0..12, |seed| {
        let (mut w, _) = story(seed);
        w.start(1);
        w.run(2_000);
        assert!(!w.nodes[1].service.as_ref().unwrap().is_outdated(), "its disk holds all that it signed");
        let role = w.role(1, "goes on");
        let filed = w.file(1, role);
        assert!(w.run_until(20_000, |w| (0..5).all(|i| w.is_final(i, &filed))), "and it files");
        w.check();
    });
}

#[test]
fn a_copy_that_lacks_only_a_vote_is_found_out_by_the_certificate() {
    let (mut w, medium) = World::with_faults(7, 4, 1, 1);
    w.run(50);
    work(&mut w, "before", 2);
    w.run(2_000);
    let copy = medium.after(Cut::KeepAll);
    // Node 1 signs no header of its own after the copy, it only votes; with node 3 away its vote is needed.
    w.kill(3);
    let role = w.role(0, "voted on");
    let filed = w.file(0, role);
    assert!(w.run_until(30_000, |w| w.is_final(0, &filed) && w.is_final(1, &filed)), "decided with its vote");
    w.kill(1);
    w.put_back(1, &copy);
    w.start(1);
    let outdated = |w: &World| w.nodes[1].service.as_ref().unwrap().is_outdated();
    assert!(w.run_until(20_000, outdated), "the certificate holds a vote that its log lacks");
    w.start(3);
    w.check();
}
