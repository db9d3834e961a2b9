//! Step 12e: the same with the hospital's uplink cut. The clinic's own people and its witness card open the summary of a
//! patient who named it; once the line is back, all of it is final, and the patient sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::acts::all;
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::Client;
use super::super::people::{Card, tap};
use super::super::proxy::Proxy;
use super::super::story::Who;
use super::super::tap::{follow, text, until};
use super::super::world::{CLINIC, PIN, World};
use super::committees::{FAST_MS, PHASE_BLOCKS, PHASE_MAX, set_policy};
use super::enrol::staff;

/// How long a cut or healed line may take to be noticed, or an entry to come over it.
const LINE_MAX: Duration = Duration::from_secs(30);
/// The clinic's guardians.
const GUARDIANS: [(Who, &str, &str); 2] =
    [(Who::Gus, "practitioner-8", "DEMO-1008"), (Who::Ina, "practitioner-9", "DEMO-1009")];

/// The clinic cut off opens the summary; with the line back the patient sees it.
pub(super) fn cut_off(world: &mut World) -> Outcome {
    for (who, name, number) in GUARDIANS {
        staff(world, (who, CLINIC, name, number), "physician")?;
    }
    let mut witness =
        Card::create(&world.nodes[CLINIC], &world.drawer(), "witness", "practitioner", &world.pins)?;
    let before = set_policy(world, &[("idle_block_ms", FAST_MS)])?;
    let ready = prepare(world, &mut witness);
    set_policy(world, &before)?;
    ready?;
    let patient = world.story.id(Who::Patient(0))?;
    let cleo = world.sign_in(Who::Cleo, CLINIC)?;
    world.lines.iter().for_each(Proxy::cut);
    let opened = alone(world, &cleo, (&patient, &mut witness));
    world.lines.iter().for_each(Proxy::heal);
    let (request, refused, took) = opened?;
    let owner = world.sign_in(Who::Patient(0), 0)?;
    until(LINE_MAX, "the patient's own list, final", || {
        let listed = all(&owner, "/breakglass")?;
        let seen = |e: &Value| text(e, "request") == request && text(e, "state") == "open";
        Ok(listed.iter().any(seen).then_some(()))
    })?;
    // Where readers are few, her card had to make room meanwhile, which ended her session.
    let audit = world.sign_in(Who::Cleo, CLINIC)?.get("/breakglass/audit")?;
    expect(audit["alarms"] == json!([]), || format!("the log is not whole: {audit}"))?;
    Ok(Shown::within(
        took,
        format!("before the witness card signed: {refused}; the patient sees it once the line is back"),
    ))
}

/// The clinic's committee makes its key, and the patient names the clinic.
fn prepare(world: &mut World, witness: &mut Card) -> Result<(), Failed> {
    let ids = GUARDIANS.map(|(who, ..)| world.story.id(who));
    let ids = ids.into_iter().collect::<Result<Vec<_>, _>>()?;
    witness.insert(&world.nodes[CLINIC])?;
    let clinic = world.administers(CLINIC)?;
    let asked = json!({ "guardians": ids, "witness_card": witness.serial, "phase_blocks": PHASE_BLOCKS });
    tap(&clinic, "/committees", &asked)?;
    for stage in ["dealing", "complaining", "proving"] {
        for (who, ..) in GUARDIANS {
            let guardian = world.sign_in(who, CLINIC)?;
            come_to(&guardian, stage)?;
            let begun = guardian.post("/committees/tap", &json!({}))?;
            // Where there is nothing to sign, as when nobody complains, no tap begins.
            if !text(&begun, "id").is_empty() {
                follow(&guardian, begun, PIN)?;
            }
        }
    }
    let patient = world.sign_in(Who::Patient(0), 0)?;
    come_to(&patient, "ready")?;
    let organization = text(&world.nodes[CLINIC].status()?, "organization").to_owned();
    tap(&patient, "/emergency-hospitals", &json!({ "organizations": [organization] }))?;
    Ok(())
}

fn come_to(client: &Client, stage: &str) -> Result<(), Failed> {
    let reached = until(PHASE_MAX, stage, || {
        let committees = all(client, "/committees")?;
        let own = committees.iter().find(|c| text(c, "name").starts_with("local-"));
        let Some(own) = own else { return Ok(None) };
        if text(own, "stage").starts_with("too-few") {
            return Err(Failed::Wrong(format!("the clinic's committee came to {}", text(own, "stage"))));
        }
        Ok((text(own, "stage") == stage).then_some(()))
    });
    reached.map(drop)
}

/// From the request to the summary on the screen; the request, what was refused before, and how long the rest took.
fn alone(
    world: &mut World,
    cleo: &Client,
    (patient, witness): (&str, &mut Card),
) -> Result<(String, String, Duration), Failed> {
    until(LINE_MAX, "the clinic noticing", || Ok((world.nodes[CLINIC].peers()? == 0).then_some(())))?;
    let asked = json!({ "patient": patient, "tier": "offline", "reason": "unconscious", "minutes": 60 });
    let request = text(&tap(cleo, "/breakglass", &asked)?, "request").to_owned();
    for (who, ..) in GUARDIANS {
        let guardian = world.sign_in(who, CLINIC)?;
        tap(&guardian, &format!("/breakglass/{request}/approve"), &json!({}))?;
    }
    let cleo = world.sign_in(Who::Cleo, CLINIC)?;
    let refused = match cleo.post(&format!("/breakglass/{request}/open"), &json!({})) {
        Ok(_) => return Err(Failed::wrong("it opens without the witness card")),
        Err(refused) => refused.code().to_owned(),
    };
    witness.insert(&world.nodes[CLINIC])?;
    let began = Instant::now();
    tap(&cleo, &format!("/breakglass/{request}/witness"), &json!({}))?;
    cleo.post(&format!("/breakglass/{request}/open"), &json!({}))?;
    let listed = all(&cleo, &format!("/records?patient={patient}&category=emergency-summary"))?;
    let content = listed.first().map(|r| text(r, "content").to_owned());
    let content = content.ok_or_else(|| Failed::wrong("the clinic has no summary"))?;
    cleo.bytes(&format!("/records/{content}/content?purpose=emergency-treatment"))?;
    world.story.saw(Who::Cleo, &content)?;
    Ok((request, refused, began.elapsed()))
}
