//! Step 7: the author's hospital is switched off.

use std::time::{Duration, Instant};

use super::super::acts::{Consent, all, holders, read};
use super::super::failed::{Outcome, Shown, expect};
use super::super::story::Who;
use super::super::tap::until;
use super::super::world::World;
use super::consent::{chart, grants, reads};

/// How long a node may take to answer again after a start.
const BACK_MAX: Duration = Duration::from_secs(30);

/// The record opens elsewhere \[22\].
pub(super) fn opens_elsewhere(world: &mut World) -> Outcome {
    let chart = chart(world)?;
    let scope = Consent { categories: &["history-and-physical"], rights: &["read"], ..Consent::default() };
    grants(world, Who::Ana, &scope)?;
    let ana = world.sign_in(Who::Ana, 1)?;
    reads(world, Who::Ana, &ana, &chart)?;
    let author = world.sign_in(Who::Author, 0)?;
    let (count, _) = until(BACK_MAX, "a second holder", || {
        let count = holders(&author.get(&format!("/records/{}", chart.content))?);
        Ok((count > 1).then_some(count))
    })?;
    world.nodes[0].stop()?;
    let started = Instant::now();
    let bytes = read(&ana, &chart.content)?;
    let took = started.elapsed();
    expect(bytes == world.samples.files[chart.sample].bytes, || "it came back changed".into())?;
    world.story.saw(Who::Ana, &chart.content)?;
    Ok(Shown::within(
        took,
        format!(
            "of {count} holders the author's is off; opened at {} in {} ms",
            world.nodes[1].name,
            took.as_millis()
        ),
    ))
}

/// The patient signs in at another node \[21\] and sees who may see.
pub(super) fn signs_in_elsewhere(world: &mut World) -> Outcome {
    expect(!world.nodes[0].runs(), || "the home hospital is on".into())?;
    let started = Instant::now();
    let patient = world.sign_in(Who::Patient(0), 1)?;
    let id = world.story.id(Who::Patient(0))?;
    let path = format!("/grants?patient={id}");
    let (listed, _) = until(BACK_MAX, "the patient's own list", || {
        let listed = all(&patient, &path)?;
        Ok((!listed.is_empty()).then_some(listed))
    })?;
    let took = started.elapsed();
    let records_path = format!("/records?patient={id}");
    let here = all(&patient, &records_path)?;
    // The card goes to the other hospital, so the session here ends.
    let foreign = world.sign_in(Who::Patient(0), 2)?;
    let (there, _) = until(BACK_MAX, "the list at a hospital that never saw the patient", || {
        let listed = all(&foreign, &path)?;
        Ok((!listed.is_empty()).then_some(listed))
    })?;
    expect(ids(&listed) == ids(&there), || {
        format!("{} grants at one hospital, {} at the other", listed.len(), there.len())
    })?;
    let elsewhere = all(&foreign, &records_path)?;
    expect(!here.is_empty() && ids(&here) == ids(&elsewhere), || {
        format!("{} records at one hospital, {} at the other", here.len(), elsewhere.len())
    })?;
    let (grants, records) = (listed.len(), here.len());
    let text = format!(
        "the same {grants} grants and {records} records at {} and {}",
        world.nodes[1].name, world.nodes[2].name
    );
    Ok(Shown::within(took, text))
}

fn ids(list: &[serde_json::Value]) -> std::collections::BTreeSet<String> {
    list.iter().map(|item| item["content"].to_string()).collect()
}

/// Switched on again it catches up.
pub(super) fn back(world: &mut World) -> Outcome {
    let height = world.nodes[1].height()?;
    world.nodes[0].start()?;
    until(BACK_MAX, "catching up", || Ok((world.nodes[0].height()? >= height).then_some(())))?;
    let chart = chart(world)?;
    let author = world.sign_in(Who::Author, 0)?;
    reads(world, Who::Author, &author, &chart)?;
    Ok(Shown::that(format!("at height {height} and beyond; its author reads")))
}
