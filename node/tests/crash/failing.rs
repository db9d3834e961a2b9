//! Named places fail in a node at work: by a panic, an error, slowness, or the end of the process.
//!
//! Each case starts one node with one fail point, lets everybody work until it struck, and starts the node
//! again without it. A place that no work reaches is a failure of this test.

use std::time::{Duration, Instant};

use hospes_protocol::failpoints::FailPoint;

use crate::dice::setting;
use crate::federation::{HOSPITALS, Hospital};
use crate::killed::World;
use crate::table::Table;

/// The last only where rounds are asked for: killed at random instants they are anyway.
const ACTIONS: [&str; 4] = ["panic", "error", "delay", "kill"];
/// A place that was not reached by then isn't.
const REACHED_MAX: Duration = Duration::from_secs(240);
/// What comes of it is seen by then: a node that is to end has ended.
const OUTCOME_WAIT: Duration = Duration::from_millis(1_200);

/// Between two acts of a desk: what fails is to be reached, not the machine to be filled.
const PAUSE: Duration = Duration::from_millis(40);

/// What came of a case.
fn outcome(hospital: &Hospital, name: &str, action: &str, log_from: usize) -> Result<String, String> {
    let begun = Instant::now();
    while !hospital.log_since(log_from).contains(&format!("fail point {name}")) {
        if hospital.ended().is_some() {
            return Err(format!("it ended by itself: {}", hospital.log_since(log_from)));
        }
        if begun.elapsed() > REACHED_MAX {
            return Err("not reached".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let struck = Instant::now();
    while struck.elapsed() < OUTCOME_WAIT {
        if let Some(status) = hospital.ended() {
            return Ok(status.code().map_or_else(|| "killed".into(), |code| format!("ended with {code}")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(if action == "delay" { "slow, went on".into() } else { "went on".into() })
}

/// One case; a node that cannot even start with its fail point has met it.
fn case(hospital: &Hospital, name: &str, action: &str, at: u64, table: &mut Table) -> String {
    hospital.kill();
    let log_from = hospital.log_since(0).len();
    let chosen = format!("{name}={action}@{at}");
    let started = hospital.start(&[("HOSPES_FAILPOINT", &chosen)]);
    let came = match outcome(hospital, name, action, log_from) {
        Ok(came) => came,
        Err(why) => {
            table.violations.push(format!("{}: {chosen}: {why} {started:?}", hospital.name));
            why
        }
    };
    hospital.kill();
    table
        .restarts
        .push(hospital.start(&[]).unwrap_or_else(|e| panic!("{} starts after {chosen}: {e}", hospital.name)));
    came
}

#[test]
fn a_node_that_fails_at_any_named_place_loses_nothing_that_was_answered() {
    let seed = setting("HOSPES_CRASH_SEED", 1);
    let only = std::env::var("HOSPES_CRASH_POINT").unwrap_or_default();
    let actions = if std::env::var_os("HOSPES_CRASH_ROUNDS").is_some() { ACTIONS.len() } else { 3 };
    println!("seed {seed}");
    let (world, mut table) = (World::start(), Table::default());
    world.under_load(seed, PAUSE, || {
        for (place, (_, name)) in FailPoint::ALL.iter().enumerate().filter(|(_, (_, n))| n.contains(&only)) {
            let mut line = format!("{name:<20}");
            for (n, action) in ACTIONS[..actions].iter().enumerate() {
                let hospital = &world.federation.hospitals[(place + n) % HOSPITALS];
                table.tried(&format!("{action} at a named place"));
                let came = case(hospital, name, action, 1, &mut table);
                line.push_str(&format!(" {:<22}", format!("{action}: {came}")));
            }
            println!("{line}");
        }
    });
    world.judge(&mut table);
    table.print();
    assert!(table.lost.is_empty(), "nothing that was answered is lost");
    assert!(table.violations.is_empty(), "every place was reached, and nothing contradicts itself");
}
