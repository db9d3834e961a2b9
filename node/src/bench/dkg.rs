//! Guardians make a threshold key by their cards: from the entry that names them to the key that stands, and the longest tap.
//!
//! A ceremony's phases end with a height, so that people have time to come: what it takes as a whole is measured against
//! its own deadlines at the pace of idle blocks, what a guardian waits for at the card against a limit.

use std::time::{Duration, Instant};

use serde_json::json;

use super::Size;
use super::emergency::hospitals;
use super::row::{Failed, Goal, Row, failed};
use crate::demo::acts::all;
use crate::demo::http::Client;
use crate::demo::steps::{committees, enrol};
use crate::demo::tap::{follow, text, until};
use crate::demo::world::{CLINIC, PIN, World};

/// Guardians of each ceremony, and the committee's name.
const CEREMONIES: [(&str, &str, usize); 2] = [("dkg-5", "summary", 5), ("dkg-15", "full", 15)];
/// What a guardian may wait at the card.
const TAP_GOAL_MS: f64 = 3_000.0;
/// Phases with a deadline.
const PHASES: u64 = 4;
/// How long a phase is waited for before the bench gives up.
const PHASE_MAX: Duration = Duration::from_secs(300);

type Told<T> = Result<T, crate::demo::Failed>;

pub(super) fn run(_: Size) -> Result<Vec<Row>, Failed> {
    let mut world = hospitals()?;
    committees::set_policy(&mut world, &[("idle_block_ms", committees::FAST_MS)]).map_err(failed)?;
    let mut rows = Vec::new();
    for (id, name, count) in CEREMONIES {
        rows.extend(ceremony(&mut world, (id, name), count).map_err(failed)?);
    }
    Ok(rows)
}

fn ceremony(world: &mut World, (id, name): (&str, &str), count: usize) -> Told<[Row; 2]> {
    let (mut people, mut guardians) = (Vec::new(), Vec::new());
    for number in 1..=count {
        let at = [0, 1, 2, CLINIC][number % 4];
        let who = format!("{name}-{number}");
        let mut person = enrol::practitioner(world, at, (&who, &format!("BENCH-{who}"), enrol::ROLE))?;
        let node = &world.nodes[at];
        let (client, _) = until(PHASE_MAX, "an enrolment", || Ok(person.sign_in(node).ok()))?;
        guardians.push(client);
        people.push(person.id);
    }
    // Each tap may come into a block of its own, and idle ones come beside.
    let phase_blocks = 2 * count as u64 + 6;
    let asked =
        json!({ "kind": "committee", "name": name, "guardians": people, "phase_blocks": phase_blocks });
    let proposal = committees::voted_by_others(world, &asked)?;
    let first = world.administers(0)?;
    let since = Instant::now();
    committees::file(&first, &proposal)?;
    let mut longest = Duration::ZERO;
    for stage in ["dealing", "complaining", "proving"] {
        come_to(&first, name, stage)?;
        for guardian in &guardians {
            longest = longest.max(does_its_part(guardian, name)?);
        }
    }
    come_to(&first, name, "ready")?;
    let (took, idle) = (since.elapsed().as_secs_f64(), committees::FAST_MS as f64 / 1000.0);
    let planned = (PHASES * phase_blocks) as f64 * idle;
    let tap_ms = longest.as_secs_f64() * 1000.0;
    Ok([
        Row::new(id, took, planned, "s", &Goal::AtMost(1.1)),
        Row::new(&format!("{id}-tap"), tap_ms, TAP_GOAL_MS, "ms", &Goal::AtMost(1.0)),
    ])
}

/// One tap for what a guardian owes, and how long it took.
fn does_its_part(guardian: &Client, name: &str) -> Told<Duration> {
    // What others filed may be on its way to this desk.
    let (took, _) = until(PHASE_MAX, name, || {
        let since = Instant::now();
        let begun = guardian.post("/committees/tap", &json!({}))?;
        let done = if text(&begun, "id").is_empty() { begun } else { follow(guardian, begun, PIN)? };
        let did = done["did"].as_array().map_or(0, Vec::len);
        Ok((did > 0).then(|| since.elapsed()))
    })?;
    Ok(took)
}

fn come_to(client: &Client, name: &str, stage: &str) -> Told<()> {
    let reached = until(PHASE_MAX, stage, || {
        let committees = all(client, "/committees")?;
        let one = committees.iter().find(|c| text(c, "name") == name);
        let at = one.map_or("", |c| text(c, "stage"));
        if at.starts_with("too-few") {
            return Err(crate::demo::Failed::Wrong(format!("{name} came to {at}")));
        }
        Ok((at == stage).then_some(()))
    });
    reached.map(drop)
}
