//! Step 12: break-glass. A clinician of a third hospital, whom nobody let in, has an unconscious patient's card before her:
//! one guardian opens nothing, two open the emergency summary, and the patient sees all of it. At night, the card in the
//! reader and her own open it alone.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::acts::all;
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::{Client, Refused};
use super::super::people::tap;
use super::super::story::Who;
use super::super::tap::{text, until};
use super::super::world::World;
use super::consent::chart;
use super::enrol::staff;

/// Where she works; neither the patient's home nor where anyone was let in.
const AWAY: usize = 2;
/// How long a request may take to reach a guardian, or a record the clinician.
pub(super) const REACH_MAX: Duration = Duration::from_secs(20);

fn request(world: &World) -> Result<String, Failed> {
    world.story.emergency.clone().ok_or_else(|| Failed::NotReached("nothing was requested".into()))
}

/// A guardian approves once the request has come.
pub(super) fn approves(guardian: &Client, request: &str) -> Result<(), Failed> {
    until(REACH_MAX, "the request reaching the guardian", || {
        let listed = all(guardian, "/breakglass")?;
        Ok(listed.iter().any(|e| text(e, "request") == request).then_some(()))
    })?;
    tap(guardian, &format!("/breakglass/{request}/approve"), &json!({}))?;
    Ok(())
}

fn reads(client: &Client, content: &str) -> Result<Vec<u8>, Refused> {
    client.bytes(&format!("/records/{content}/content?purpose=emergency-treatment"))
}

/// One guardian opens nothing.
pub(super) fn one_guardian(world: &mut World) -> Outcome {
    staff(world, (Who::Dora, AWAY, "practitioner-6", "DEMO-1006"), "physician")?;
    staff(world, (Who::Vera, 0, "practitioner-7", "DEMO-1007"), "auditor")?;
    let patient = world.story.people.get_mut(&Who::Patient(0));
    let patient = patient.ok_or_else(|| Failed::NotReached("the patient is not enrolled".into()))?;
    patient.card.insert(&world.nodes[AWAY])?;
    let card = patient.card.serial.clone();
    let dora = world.sign_in(Who::Dora, AWAY)?;
    let asked = json!({ "card": card, "tier": "summary", "reason": "unconscious", "minutes": 60 });
    let result = tap(&dora, "/breakglass", &asked)?;
    let request = text(&result, "request").to_owned();
    world.story.emergency = Some(request.clone());
    approves(&world.sign_in(Who::Author, 0)?, &request)?;
    let opened = dora.post(&format!("/breakglass/{request}/open"), &json!({}));
    let code = match opened {
        Ok(_) => return Err(Failed::wrong("one guardian opened the record")),
        Err(refused) => refused.code().to_owned(),
    };
    let chart = chart(world)?;
    expect(reads(&dora, &chart.content).is_err(), || "and she reads".into())?;
    Ok(Shown::that(format!("no PIN of the patient's; after one approval: {code}")))
}

/// Two open the emergency summary, and nothing beyond it.
pub(super) fn two_guardians(world: &mut World) -> Outcome {
    let (request, patient) = (request(world)?, world.story.id(Who::Patient(0))?);
    let dora = world.sign_in(Who::Dora, AWAY)?;
    let ana = world.sign_in(Who::Ana, 1)?;
    let began = Instant::now();
    approves(&ana, &request)?;
    dora.post(&format!("/breakglass/{request}/open"), &json!({}))?;
    let opened = began.elapsed();
    let path = format!("/records?patient={patient}");
    let (content, _) = until(REACH_MAX, "the summary", || {
        let listed = all(&dora, &path)?;
        let summary = listed.iter().find(|r| text(r, "category") == "emergency-summary");
        let Some(content) = summary.map(|r| text(r, "content").to_owned()) else { return Ok(None) };
        Ok(reads(&dora, &content).is_ok().then_some(content))
    })?;
    let shown = began.elapsed();
    world.story.saw(Who::Dora, &content)?;
    let chart = chart(world)?;
    let beyond = reads(&dora, &chart.content);
    expect(beyond.is_err(), || "she reads the chart, which the summary's guardians did not open".into())?;
    Ok(Shown::within(
        shown,
        format!(
            "open {} ms after the second tap, on the screen after {} ms",
            opened.as_millis(),
            shown.as_millis()
        ),
    ))
}

/// The patient sees who asked, why, who approved, what was read, and what the review found.
pub(super) fn seen_and_reviewed(world: &mut World) -> Outcome {
    let request = request(world)?;
    let author = world.sign_in(Who::Author, 0)?;
    let review = json!({ "outcome": "justified", "text": "the ward was asked" });
    let path = format!("/breakglass/{request}/review");
    expect(tap(&author, &path, &review).is_err(), || "a guardian reviewed his own approval".into())?;
    tap(&world.sign_in(Who::Vera, 0)?, &path, &review)?;
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let dora = world.story.id(Who::Dora)?;
    let (seen, _) = until(REACH_MAX, "the patient's own list", || {
        let seen = patient.get(&format!("/breakglass/{request}"))?;
        Ok((seen["reviews"] == json!(["justified"])).then_some(seen))
    })?;
    let approved = seen["approved"].as_array().map_or(0, Vec::len);
    let complete =
        text(&seen["requester"], "id") == dora && approved == 2 && text(&seen, "reason") == "unconscious";
    expect(complete, || format!("the list says otherwise: {seen}"))?;
    until(REACH_MAX, "the access in the patient's list", || {
        let by_her =
            |a: &Value| text(&a["reader"], "id") == dora && text(a, "purpose") == "emergency-treatment";
        Ok(all(&patient, "/accesses")?.iter().any(by_her).then_some(()))
    })?;
    Ok(Shown::that("who asked, why, who approved, what was read, and that it was justified"))
}

/// She closes what guardians let her open; later, when none of them is awake, the patient's card stands in for them.
pub(super) fn alone(world: &mut World) -> Outcome {
    let (first, patient) = (request(world)?, world.story.id(Who::Patient(0))?);
    let dora = world.sign_in(Who::Dora, AWAY)?;
    tap(&dora, &format!("/breakglass/{first}/close"), &json!({}))?;
    let asked =
        |by: &str, named: &str| json!({ by: named, "tier": "card", "reason": "unconscious", "minutes": 60 });
    let refused = match dora.post("/breakglass", &asked("patient", &patient)) {
        Ok(_) => return Err(Failed::wrong("she opens alone without the patient's card")),
        Err(refused) => refused.code().to_owned(),
    };
    let owner = world.story.someone(Who::Patient(0))?;
    owner.card.insert(&world.nodes[AWAY])?;
    let card = owner.card.serial.clone();
    let began = Instant::now();
    let result = tap(&dora, "/breakglass", &asked("card", &card))?;
    dora.post(&format!("/breakglass/{}/open", text(&result, "request")), &json!({}))?;
    let opened = began.elapsed();
    let path = format!("/records?patient={patient}&category=emergency-summary");
    let (content, _) = until(REACH_MAX, "the summary", || {
        let listed = all(&dora, &path)?;
        let Some(content) = listed.first().map(|r| text(r, "content").to_owned()) else { return Ok(None) };
        Ok(reads(&dora, &content).is_ok().then_some(content))
    })?;
    let shown = began.elapsed();
    world.story.saw(Who::Dora, &content)?;
    let chart = chart(world)?;
    expect(reads(&dora, &chart.content).is_err(), || "she reads the chart as well".into())?;
    Ok(Shown::within(
        shown,
        format!("without the card: {refused}; with it, open after {} ms", opened.as_millis()),
    ))
}
