//! Step 1d: the committees of break-glass make their keys, guardians by their cards, validators by themselves.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::acts::all;
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::Client;
use super::super::people::tap;
use super::super::story::Who;
use super::super::tap::{follow, needed, text, until};
use super::super::world::{CLINIC, PIN, VALIDATORS, World};

/// The longest that a phase may take.
pub(super) const PHASE_MAX: Duration = Duration::from_secs(60);
/// Blocks of a phase: as many seconds, while idle blocks come each second.
pub(super) const PHASE_BLOCKS: u64 = 12;
/// Idle blocks while keys are made, in milliseconds.
pub(crate) const FAST_MS: u64 = 1_000;
/// The guardians, and where they tap.
const GUARDIANS: [(Who, usize); 4] = [(Who::Author, 0), (Who::Ana, 1), (Who::Ben, 1), (Who::Cleo, CLINIC)];

/// The three keys of emergency access.
pub(crate) fn keys(world: &mut World) -> Outcome {
    let before = set_policy(world, &[("idle_block_ms", FAST_MS)])?;
    let made = make(world);
    set_policy(world, &before)?;
    made
}

fn make(world: &mut World) -> Outcome {
    let ids = GUARDIANS.map(|(who, _)| world.story.someone(who).map(|person| person.id.clone()));
    let ids = ids.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut proposals = Vec::new();
    for (name, guardians) in [("ledger", &[][..]), ("summary", &ids[..]), ("full", &ids[..])] {
        let asked = json!({ "kind": "committee", "name": name, "guardians": guardians, "phase_blocks": PHASE_BLOCKS });
        proposals.push(voted_by_others(world, &asked)?);
    }
    let mut guardians = Vec::new();
    for (who, at) in GUARDIANS {
        guardians.push(world.sign_in(who, at)?);
    }
    let first = world.administers(0)?;
    // From here on time runs: all three begin together.
    proposals.iter().try_for_each(|proposal| file(&first, proposal))?;
    for stage in ["dealing", "complaining", "proving"] {
        come_to(&first, stage)?;
        guardians.iter().try_for_each(does_its_part)?;
    }
    come_to(&first, "ready")?;
    let keys = keys_at(&first)?;
    for at in 1..VALIDATORS {
        let same = keys_at(&world.administers(at)?)? == keys;
        expect(same, || format!("node {at} sees other keys"))?;
    }
    Ok(Shown::that(format!(
        "ledger 3 of {VALIDATORS} nodes, summary 2 and full 3 of {} people, each with 3 taps; the same keys everywhere",
        GUARDIANS.len()
    )))
}

/// What a guardian owes to both committees, in one tap.
fn does_its_part(guardian: &Client) -> Result<(), Failed> {
    let begun = guardian.post("/committees/tap", &json!({}))?;
    let done = if text(&begun, "id").is_empty() { begun } else { follow(guardian, begun, PIN)? };
    let did = done["did"].as_array().map_or(0, Vec::len);
    expect(did == 2, || format!("a guardian did {did} things instead of one for each key: {done}"))
}

fn keys_at(client: &Client) -> Result<Vec<String>, Failed> {
    all(client, "/committees")?.iter().map(|committee| needed(committee, "key")).collect()
}

fn come_to(client: &Client, stage: &str) -> Result<(), Failed> {
    let reached = until(PHASE_MAX, stage, || {
        let committees = all(client, "/committees")?;
        if let Some(failed) = committees.iter().find(|c| text(c, "stage").starts_with("too-few")) {
            return Err(Failed::Wrong(format!("{} came to {}", text(failed, "name"), text(failed, "stage"))));
        }
        // The validators need nobody, and may be further.
        let mut waited = committees.iter().filter(|c| text(c, "name") != "ledger" || stage == "ready");
        let there = committees.len() == 3 && waited.all(|c| text(c, "stage") == stage);
        Ok(there.then_some(()))
    });
    reached.map(drop)
}

/// Proposes at the first hospital; the others vote, each at its own desk. Gives what is still to be filed.
pub(crate) fn voted_by_others(world: &mut World, asked: &Value) -> Result<String, Failed> {
    let mut proposal = needed(&world.administers(0)?.post("/proposals", asked)?, "proposal")?;
    for at in 1..VALIDATORS {
        let voted = tap(&world.administers(at)?, "/proposals/vote", &json!({ "proposal": proposal }))?;
        proposal = needed(&voted, "proposal")?;
    }
    Ok(proposal)
}

/// The first hospital votes too, which is enough.
pub(crate) fn file(first: &Client, proposal: &str) -> Result<(), Failed> {
    let voted = tap(first, "/proposals/vote", &json!({ "proposal": proposal }))?;
    expect(!text(&voted, "filed").is_empty(), || "four votes of five were not enough".into())
}

/// A field of the federation's policy that holds milliseconds, and its value.
pub(crate) type PolicyMs = (&'static str, u64);

/// Sets fields of the federation's policy, by the votes of the hospitals; gives what they were.
pub(crate) fn set_policy(world: &mut World, wanted: &[PolicyMs]) -> Result<Vec<PolicyMs>, Failed> {
    let mut fields = world.administers(0)?.get("/policies")?["federation"].clone();
    let before = wanted.iter().map(|(name, _)| (*name, fields[*name].as_u64().unwrap_or_default()));
    let before = before.collect();
    for (name, ms) in wanted {
        fields[*name] = json!(ms);
    }
    let proposal = voted_by_others(world, &json!({ "kind": "policy", "fields": fields }))?;
    let first = world.administers(0)?;
    file(&first, &proposal)?;
    until(PHASE_MAX, "the policy", || {
        let now = first.get("/policies")?["federation"].clone();
        Ok(wanted.iter().all(|(name, ms)| now[*name].as_u64() == Some(*ms)).then_some(()))
    })?;
    Ok(before)
}
