//! Step 9: validators die and come back; nothing is lost.

use std::time::{Duration, Instant};

use super::super::acts::{Filing, file, final_soon, finality, read};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::Client;
use super::super::story::{Filed, Who};
use super::super::tap::{text, until};
use super::super::world::World;
use super::consent::letter;

/// How long a commit may take with one validator down: rounds of a dead proposer included.
const COMMIT_MAX: Duration = Duration::from_secs(30);
/// How long a node may take to say that there is no quorum.
const NOTICE_MAX: Duration = Duration::from_secs(30);

fn files(world: &mut World, author: &Client, title: &str) -> Result<String, Failed> {
    let letter = letter(world)?;
    let id = world.story.id(Who::Patient(0))?;
    let bytes = world.samples.files[letter.sample].bytes.clone();
    let content = file(author, &Filing::letter(&id, title), &bytes)?;
    world.story.filed.push(Filed { content: content.clone(), sample: letter.sample, patient: 0 });
    Ok(content)
}

/// One validator is killed: commits go on.
pub(super) fn one_down(world: &mut World) -> Outcome {
    let author = world.sign_in(Who::Author, 0)?;
    world.nodes[3].kill();
    let content = files(world, &author, "Letter with three validators")?;
    let took = final_soon(&author, &content, COMMIT_MAX)?;
    Ok(Shown::within(took, format!("final {} ms after the tap, with three of four", took.as_millis())))
}

/// Two are killed: writes wait and say so.
pub(super) fn two_down(world: &mut World) -> Outcome {
    let author = world.sign_in(Who::Author, 0)?;
    world.nodes[2].kill();
    let (_, took) = until(NOTICE_MAX, "saying that there is no quorum", || {
        Ok((text(&world.nodes[0].status()?, "state") == "no-quorum").then_some(()))
    })?;
    let height = world.nodes[0].height()?;
    let content = files(world, &author, "Letter without a quorum")?;
    let entry = author.get(&format!("/records/{content}"))?;
    expect(finality(&entry) == "signed", || format!("it is shown as {}", finality(&entry)))?;
    expect(world.nodes[0].height()? == height, || "a block was committed without a quorum".into())?;
    let pending = world.nodes[0].status()?["finality"]["pending_own"].as_u64().unwrap_or_default();
    expect(pending > 0, || "the node says that nothing waits".into())?;
    Ok(Shown::within(
        took,
        format!("state no-quorum; the upload is signed, {pending} entries wait at height {height}"),
    ))
}

/// Healed, they commit, and none is lost \[4\].
pub(super) fn healed(world: &mut World) -> Outcome {
    world.nodes[2].start()?;
    world.nodes[3].start()?;
    let started = Instant::now();
    // The patient sees all of it, whoever filed it.
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let filed = world.story.filed.clone();
    for record in filed.iter().filter(|f| f.patient == 0).rev() {
        final_soon(&patient, &record.content, COMMIT_MAX)?;
        let bytes = read(&patient, &record.content)?;
        expect(bytes == world.samples.files[record.sample].bytes, || "a record changed".into())?;
    }
    let height = world.nodes[0].height()?;
    until(COMMIT_MAX, "the healed ones catching up", || {
        let there = world.nodes[2].height()? >= height && world.nodes[3].height()? >= height;
        Ok(there.then_some(()))
    })?;
    let took = started.elapsed();
    let count = filed.iter().filter(|f| f.patient == 0).count();
    Ok(Shown::within(
        took,
        format!("all {count} records of the patient final and whole; every node at height {height}"),
    ))
}
