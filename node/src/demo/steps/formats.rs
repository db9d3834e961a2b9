//! Step 2: clinical files go in and come out byte for byte.

use std::time::Duration;

use super::super::acts::{self, Filing, file, read};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::samples::Kind;
use super::super::story::{Filed, Who};
use super::super::tap::text;
use super::super::world::World;

/// How long records may take to be final.
const FINAL_MAX: Duration = Duration::from_secs(20);

/// Every sample is filed by its author, under its own patient.
pub(super) fn upload(world: &mut World) -> Outcome {
    let author = world.sign_in(Who::Author, 0)?;
    let mut bytes = 0;
    for at in 0..world.samples.files.len() {
        let sample = &world.samples.files[at];
        let patient = world.story.id(Who::Patient(sample.patient))?;
        let filed = file(&author, &Filing::of(sample, &patient), &sample.bytes);
        let content = filed.map_err(|r| Failed::from(r).doing(&format!("filing file {}", at + 1)))?;
        bytes += sample.bytes.len();
        world.story.filed.push(Filed { content, sample: at, patient: sample.patient });
    }
    let kinds: Vec<String> =
        Kind::ALL.iter().map(|k| format!("{} {}", world.samples.count(*k), k.name())).collect();
    for kind in Kind::ALL {
        expect(world.samples.count(kind) > 0, || format!("no {} among the samples", kind.name()))?;
    }
    // The story needs a letter and a chart of the first patient, whatever the samples hold.
    add_for_story(world, &author)?;
    let left = world.samples.left_out;
    Ok(Shown::that(format!("{}; {} KiB; {left} registers left out", kinds.join(", "), bytes / 1024)))
}

fn add_for_story(world: &mut World, author: &super::super::http::Client) -> Result<(), Failed> {
    let Some(at) = world.samples.files.iter().position(|f| f.kind == Kind::Pdf) else { return Ok(()) };
    let patient = world.story.id(Who::Patient(0))?;
    let content = file(author, &Filing::letter(&patient, "Letter"), &world.samples.files[at].bytes)?;
    world.story.filed.push(Filed { content, sample: at, patient: 0 });
    Ok(())
}

/// What was filed comes back as it was, and is final.
pub(super) fn byte_for_byte(world: &mut World) -> Outcome {
    let author = world.sign_in(Who::Author, 0)?;
    for filed in world.story.filed.clone() {
        let sample = &world.samples.files[filed.sample];
        let got = read(&author, &filed.content)
            .map_err(|r| Failed::from(r).doing(&format!("reading file {}", filed.sample + 1)))?;
        expect(got == sample.bytes, || format!("file {} came back changed", filed.sample + 1))?;
        if filed.patient == 0 {
            world.story.saw(Who::Author, &filed.content)?;
        }
    }
    for filed in &world.story.filed {
        acts::final_soon(&author, &filed.content, FINAL_MAX)?;
    }
    Ok(Shown::that(format!("{} records equal to their files, all final", world.story.filed.len())))
}

/// From each FHIR chart an emergency summary was derived, as a record of its own.
pub(super) fn summaries(world: &mut World) -> Outcome {
    let author = world.sign_in(Who::Author, 0)?;
    let mut found = 0;
    let charts: Vec<Filed> = world
        .story
        .filed
        .iter()
        .filter(|f| world.samples.files[f.sample].kind == Kind::Fhir)
        .cloned()
        .collect();
    for chart in &charts {
        let patient = world.story.id(Who::Patient(chart.patient))?;
        let records = acts::all(&author, &format!("/records?patient={patient}&category=emergency-summary"))?;
        let derived = records.iter().find(|r| text(r, "derived_from") == chart.content);
        let summary = derived.ok_or_else(|| Failed::wrong("a chart has no summary"))?;
        let bytes = read(&author, text(summary, "content"))?;
        if chart.patient == 0 {
            world.story.saw(Who::Author, text(summary, "content"))?;
        }
        let bundle: serde_json::Value = serde_json::from_slice(&bytes).map_err(Failed::wrong)?;
        expect(text(&bundle, "type") == "document", || "a summary is no document bundle".into())?;
        found += 1;
    }
    Ok(Shown::that(format!("{found} International Patient Summaries, one for each chart")))
}
