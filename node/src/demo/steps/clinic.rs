//! Step 8: the clinic is cut off, works on, and all becomes final by itself.

use std::time::Duration;

use super::super::acts::{Consent, Filing, all, consent, file, final_soon, finality, read};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::Client;
use super::super::proxy::Proxy;
use super::super::story::{Filed, Who};
use super::super::tap::{text, until};
use super::super::world::{CLINIC, World};
use super::consent::{denied, letter};

/// How long a cut or healed line may take to be noticed.
const LINE_MAX: Duration = Duration::from_secs(30);

/// Cut off, the clinic uploads, takes a consent and reads on.
pub(super) fn works_alone(world: &mut World) -> Outcome {
    let id = world.story.id(Who::Patient(0))?;
    // The patient comes in while the line stands, so that the clinic has what belongs to the card.
    let patient = world.sign_in(Who::Patient(0), CLINIC)?;
    until(LINE_MAX, "the patient's record at the clinic", || {
        Ok((!all(&patient, &format!("/grants?patient={id}"))?.is_empty()).then_some(()))
    })?;
    let cleo = world.sign_in(Who::Cleo, CLINIC)?;
    world.lines.iter().for_each(Proxy::cut);
    let shown = alone(world, &patient, &cleo);
    if shown.is_err() {
        // Later steps need the line.
        world.lines.iter().for_each(Proxy::heal);
    }
    shown
}

fn alone(world: &mut World, patient: &Client, cleo: &Client) -> Outcome {
    let (letter, id) = (letter(world)?, world.story.id(Who::Patient(0))?);
    until(LINE_MAX, "the clinic noticing", || Ok((world.nodes[CLINIC].peers()? == 0).then_some(())))?;
    let pdf = world.samples.files[letter.sample].bytes.clone();
    let content = file(cleo, &Filing::letter(&id, "Letter without a line"), &pdf)?;
    let entry = cleo.get(&format!("/records/{content}"))?;
    expect(finality(&entry) == "signed", || format!("it is shown as {}", finality(&entry)))?;
    let person = world.story.id(Who::Cleo)?;
    let scope = Consent {
        person: &person,
        categories: &["letters"],
        rights: &["read", "write"],
        ..Consent::default()
    };
    let grant = consent(patient, &scope)?;
    let bytes = read(cleo, &letter.content)?;
    expect(bytes == pdf, || "the letter came back changed".into())?;
    world.story.saw(Who::Cleo, &letter.content)?;
    world.story.grants.push((Who::Cleo, grant));
    world.story.filed.push(Filed { content, sample: letter.sample, patient: 0 });
    Ok(Shown::that("filed and shown as signed, took a consent, read a letter; no peer connected"))
}

/// Back on line, all of it becomes final by itself.
pub(super) fn becomes_final(world: &mut World) -> Outcome {
    let cleo = world.sign_in(Who::Cleo, CLINIC)?;
    world.lines.iter().for_each(Proxy::heal);
    let last = world.story.filed.last().cloned().ok_or_else(|| Failed::wrong("nothing was filed"))?;
    let took = final_soon(&cleo, &last.content, LINE_MAX)?;
    let id = world.story.id(Who::Patient(0))?;
    let grant = world.story.grants.last().map(|(_, g)| g.clone()).unwrap_or_default();
    let patient = world.sign_in(Who::Patient(0), 0)?;
    until(LINE_MAX, "the consent final at home", || {
        let listed = all(&patient, &format!("/grants?patient={id}"))?;
        let found = listed.iter().find(|g| text(g, "content") == grant);
        Ok(found.filter(|g| finality(g) == "final").map(|_| ()))
    })?;
    let ben = world.sign_in(Who::Ben, 0)?;
    denied(&ben, &super::consent::chart(world)?.content)?;
    Ok(Shown::that(format!(
        "the upload {} ms after the line was back; the consent is final at home",
        took.as_millis()
    )))
}
