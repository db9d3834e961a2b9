//! SIGKILL at random instants: one node, several, all, or one that is just starting.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::dice::{Dice, setting};
use crate::federation::{Federation, HOSPITALS};
use crate::ledgers::{Ledger, contradictions};
use crate::people::{People, enrol};
use crate::promises::{Promise, Promises};
use crate::table::Table;
use crate::work::Work;

/// A federation at work.
pub(crate) struct World {
    pub(crate) federation: Federation,
    pub(crate) people: Vec<People>,
    pub(crate) promises: Vec<Promises>,
}

impl World {
    pub(crate) fn start() -> Self {
        let federation = Federation::start();
        let people = federation.hospitals.iter().enumerate().map(|(i, h)| enrol(h, i)).collect();
        federation.settle();
        let promises = (0..HOSPITALS).map(|_| Promises::default()).collect();
        Self { federation, people, promises }
    }

    /// The desk of a hospital.
    pub(crate) fn work(&self, i: usize) -> Work<'_> {
        let others = (0..HOSPITALS).filter(|j| *j != i).map(|j| self.people[j].person.clone()).collect();
        Work {
            hospital: &self.federation.hospitals[i],
            people: &self.people[i],
            others,
            promises: &self.promises[i],
            refused: AtomicU64::new(0),
        }
    }

    /// Runs `strike` while every hospital works.
    pub(crate) fn under_load(&self, seed: u64, pause: Duration, strike: impl FnOnce()) {
        let stop = AtomicBool::new(false);
        let work: Vec<_> = (0..HOSPITALS).map(|i| self.work(i)).collect();
        std::thread::scope(|scope| {
            for (desk, part) in work.iter().zip(100..) {
                let (stop, dice) = (&stop, Dice::of(seed, part));
                scope.spawn(move || desk.run(dice, pause, stop));
            }
            // Whatever happens in there, the desks must end.
            let struck = std::panic::catch_unwind(std::panic::AssertUnwindSafe(strike));
            stop.store(true, Ordering::SeqCst);
            if let Err(panic) = struck {
                std::panic::resume_unwind(panic);
            }
        });
        let refused: u64 = work.iter().map(|w| w.refused.load(Ordering::SeqCst)).sum();
        println!("{refused} requests refused by nodes that ran");
    }

    /// Looks whether all that was answered is there, and all ledgers are one.
    pub(crate) fn judge(&self, table: &mut Table) {
        let level = self.federation.settle();
        for (i, promises) in self.promises.iter().enumerate() {
            table.lost.extend(promises.lost(&self.federation.hospitals[i], &self.people[i]));
        }
        // Looking files access entries, and so blocks.
        self.federation.settle();
        let ledgers: Vec<_> =
            (0..HOSPITALS).map(|i| Ledger::of(&self.federation, i, &self.people[i])).collect();
        table.violations.extend(contradictions(&ledgers));
        let promised: Vec<_> = self.promises.iter().map(Promises::all).collect();
        for ledger in &ledgers {
            table.lost.extend(ledger.lacks(promised.iter().flat_map(|p| p.keys())));
        }
        let count: usize = promised.iter().map(std::collections::BTreeMap::len).sum();
        println!(
            "{count} promises looked up on {HOSPITALS} nodes, {} heights; level after {} ms",
            ledgers[0].heights(),
            level.as_millis()
        );
        assert!(count > 0, "something was promised");
    }
}

/// One strike: who, for how long, and again at once or not.
fn strike(world: &World, dice: &mut Dice, table: &mut Table) {
    std::thread::sleep(Duration::from_millis(30 + dice.below(700)));
    let hospitals = &world.federation.hospitals;
    let first = dice.place(HOSPITALS);
    let (kind, count) = match dice.below(10) {
        0..=5 => ("one node killed", 1),
        6 | 7 => ("two nodes of four killed: no quorum meanwhile", 2),
        _ => ("all nodes killed", HOSPITALS),
    };
    table.tried(kind);
    let victims: Vec<_> = (0..count).map(|n| &hospitals[(first + n) % HOSPITALS]).collect();
    let heights: Vec<_> = victims.iter().map(|v| v.height()).collect();
    victims.iter().for_each(|v| v.kill());
    std::thread::sleep(Duration::from_millis(dice.below(300)));
    if dice.below(3) == 0 {
        table.tried("killed again while it started");
        victims[0].spawn();
        std::thread::sleep(Duration::from_millis(dice.below(250)));
        victims[0].kill();
    }
    for (victim, height) in victims.iter().zip(heights) {
        table.restarts.push(victim.start(&[]).unwrap_or_else(|e| panic!("{} starts: {e}", victim.name)));
        let now = victim.height();
        if now < height {
            table.violations.push(format!("{}: {height} was final, and now {now} is", victim.name));
        }
    }
}

#[test]
fn whatever_was_answered_is_there_after_nodes_were_killed_at_any_time() {
    let (seed, rounds) = (setting("HOSPES_CRASH_SEED", 1), setting("HOSPES_CRASH_ROUNDS", 12));
    println!("seed {seed}, {rounds} rounds");
    let (world, mut table, mut dice) = (World::start(), Table::default(), Dice::of(seed, 0));
    world.under_load(seed, Duration::ZERO, || {
        for _ in 0..rounds {
            strike(&world, &mut dice, &mut table);
        }
    });
    world.judge(&mut table);
    table.print();
    assert!(table.lost.is_empty(), "nothing that was answered is lost");
    assert!(table.violations.is_empty(), "and nothing contradicts itself");
    the_check_sees(&world);
}

/// The same look-up finds an entry that was never filed, and a file that was another.
fn the_check_sees(world: &World) {
    let (hospital, people) = (&world.federation.hospitals[0], &world.people[0]);
    let planted = Promises::default();
    planted.keep(&"5a".repeat(32), Promise::Access);
    let (id, _) = world.promises[0].records().into_iter().next().expect("a record was filed");
    planted.keep(&id, Promise::Record(Some(b"something else".to_vec())));
    assert_eq!(planted.lost(hospital, people).len(), 2, "what was never there, and what came back changed");
}
