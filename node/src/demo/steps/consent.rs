//! Steps 3 and 4: refused without consent and told why; consent by tap; who, what, how long, which right.

use std::time::Duration;

use super::super::acts::{
    Consent, Filing, all, consent, file, read, read_soon, refused_soon, share as out_for,
};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::{Client, Refused};
use super::super::samples::Kind;
use super::super::story::{Filed, Who};
use super::super::tap::{text, until};
use super::super::world::{CLINIC, World};

/// How long a consent may take to act at another hospital.
const ACT_MAX: Duration = Duration::from_secs(20);
/// How long the short consent lasts: long enough to reach the other hospital and be used.
const SHORT_MS: u64 = 8_000;

pub(super) fn chart(world: &World) -> Result<Filed, Failed> {
    let samples = &world.samples.files;
    world.story.record(|f| samples[f.sample].kind == Kind::Fhir)
}

pub(super) fn letter(world: &World) -> Result<Filed, Failed> {
    let samples = &world.samples.files;
    world.story.record(|f| samples[f.sample].kind == Kind::Pdf)
}

/// A denial with its code; anything else is a wrong outcome.
pub(super) fn denied(client: &Client, content: &str) -> Result<String, Failed> {
    match read(client, content) {
        Ok(_) => Err(Failed::wrong("the record was shown")),
        Err(Refused::Problem(p)) if p.status < 500 => Ok(p.code),
        Err(other) => Err(other.into()),
    }
}

/// Reads, compares with the file and notes it.
pub(super) fn reads(world: &mut World, who: Who, client: &Client, filed: &Filed) -> Result<Duration, Failed> {
    let (bytes, took) = read_soon(client, &filed.content, ACT_MAX)?;
    expect(bytes == world.samples.files[filed.sample].bytes, || "it came back changed".into())?;
    world.story.saw(who, &filed.content)?;
    Ok(took)
}

/// The patient of the story signs in at home and consents.
pub(super) fn grants(world: &mut World, who: Who, consent_to: &Consent<'_>) -> Result<String, Failed> {
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let person = world.story.id(who)?;
    let grant = consent(&patient, &Consent { person: &person, ..consent_to.clone() })?;
    world.story.grants.push((who, grant.clone()));
    Ok(grant)
}

/// Without consent nobody of another hospital reads, on any node.
pub(super) fn refused(world: &mut World) -> Outcome {
    let record = chart(world)?;
    let mut codes = Vec::new();
    for at in [1, 0] {
        let ana = world.sign_in(Who::Ana, at)?;
        codes.push(denied(&ana, &record.content)?);
    }
    Ok(Shown::that(format!("at her own hospital: {}; at the author's: {}", codes[0], codes[1])))
}

/// She and the patient are told why.
pub(super) fn told_why(world: &mut World) -> Outcome {
    let record = chart(world)?;
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let ana = world.story.id(Who::Ana)?;
    let why = patient.get(&format!("/why?person={ana}&record={}", record.content))?;
    expect(why["permitted"] == false, || "why says that it is permitted".into())?;
    let (rule, sentence) = (text(&why, "rule").to_owned(), text(&why, "text").to_owned());
    expect(!sentence.is_empty(), || "why gives no reason".into())?;
    let own = world.sign_in(Who::Ana, 1)?;
    let told = own.get(&format!("/why?record={}", record.content))?;
    expect(told["permitted"] == false, || "her node says that it is permitted".into())?;
    Ok(Shown::that(format!("{rule}: {sentence}")))
}

/// A tap lets one clinician read, and nobody beside her \[47\].
pub(super) fn by_tap(world: &mut World) -> Outcome {
    let record = chart(world)?;
    let scope =
        Consent { categories: &["history-and-physical", "letters"], rights: &["read"], ..Consent::default() };
    let ana = world.sign_in(Who::Ana, 1)?;
    let ben = world.sign_in(Who::Ben, 1)?;
    denied(&ana, &record.content)?;
    grants(world, Who::Ana, &scope)?;
    let took = reads(world, Who::Ana, &ana, &record)?;
    let code = denied(&ben, &record.content)?;
    Ok(Shown::that(format!("she reads {} ms after the tap; beside her: {code}", took.as_millis())))
}

/// A category is a limit on every node \[48\].
pub(super) fn category(world: &mut World) -> Outcome {
    let (chart, letter) = (chart(world)?, letter(world)?);
    let scope = Consent { categories: &["letters"], rights: &["read"], ..Consent::default() };
    grants(world, Who::Ben, &scope)?;
    let ben = world.sign_in(Who::Ben, 1)?;
    reads(world, Who::Ben, &ben, &letter)?;
    let mut codes = Vec::new();
    for at in 0..world.nodes.len() {
        let ben = world.sign_in(Who::Ben, at)?;
        codes.push(denied(&ben, &chart.content)?);
    }
    Ok(Shown::that(format!("the letter opens, the chart nowhere: {}", codes.join(", "))))
}

/// A period is a limit on every node \[51\].
pub(super) fn period(world: &mut World) -> Outcome {
    let chart = chart(world)?;
    let chart_only = &["history-and-physical"];
    let later =
        Consent { categories: chart_only, rights: &["read"], from_ms: 3_600_000, ..Consent::default() };
    grants(world, Who::Ben, &later)?;
    let ben = world.sign_in(Who::Ben, 1)?;
    // Refused all along; the reason changes once the consent has come.
    let (early, _) = until(ACT_MAX, "the coming consent being known", || {
        let code = denied(&ben, &chart.content)?;
        Ok((code == "consent-not-yet").then_some(code))
    })?;
    let short = Consent { categories: chart_only, rights: &["read"], for_ms: SHORT_MS, ..Consent::default() };
    grants(world, Who::Ben, &short)?;
    reads(world, Who::Ben, &ben, &chart)?;
    // Each permitted look is an access too, so the looks until the end are counted.
    let looked = std::cell::Cell::new(0_u32);
    let (over, _) =
        until(Duration::from_millis(SHORT_MS * 2), "still reads", || match read(&ben, &chart.content) {
            Ok(_) => {
                looked.set(looked.get() + 1);
                std::thread::sleep(Duration::from_millis(250));
                Ok(None)
            }
            Err(refused) => Ok(Some(refused.code().to_owned())),
        })?;
    for _ in 0..looked.get() {
        world.story.saw(Who::Ben, &chart.content)?;
    }
    for at in 0..world.nodes.len() {
        let ben = world.sign_in(Who::Ben, at)?;
        denied(&ben, &chart.content)?;
    }
    Ok(Shown::that(format!("before: {early}; within: read; after, on every node: {over}")))
}

/// A right to write is none to read \[53\].
pub(super) fn write_only(world: &mut World) -> Outcome {
    let letter = letter(world)?;
    let patient = world.story.id(Who::Patient(0))?;
    let pdf = world.samples.files[letter.sample].bytes.clone();
    let cleo = world.sign_in(Who::Cleo, CLINIC)?;
    let filing = Filing::letter(&patient, "Letter from the clinic");
    let before = match file(&cleo, &filing, &pdf) {
        Ok(_) => return Err(Failed::wrong("the clinic filed without a right")),
        Err(refused) if refused.is_denial() => refused.code().to_owned(),
        Err(refused) => return Err(refused.into()),
    };
    let scope = Consent { categories: &["letters"], rights: &["write"], ..Consent::default() };
    grants(world, Who::Cleo, &scope)?;
    let (content, _) = until(ACT_MAX, "filing", || Ok(file(&cleo, &filing, &pdf).ok()))?;
    let code = denied(&cleo, &letter.content)?;
    let filed = Filed { content, sample: letter.sample, patient: 0 };
    let author = world.sign_in(Who::Author, 0)?;
    // What the clinic filed reaches home.
    super::super::acts::final_soon(&world.sign_in(Who::Patient(0), 0)?, &filed.content, ACT_MAX)?;
    drop(author);
    grants(world, Who::Cleo, &Consent { rights: &["read", "write"], ..scope })?;
    reads(world, Who::Cleo, &cleo, &letter)?;
    world.story.filed.push(filed);
    Ok(Shown::that(format!("before: {before}; then files, reading: {code}; with a right to read it reads")))
}

/// A share right is for its study, and carries how data may leave \[54-56\].
pub(super) fn share(world: &mut World) -> Outcome {
    let (open, veiled) = ("5d".repeat(32), "5e".repeat(32));
    let letter = letter(world)?;
    let scope = Consent { categories: &["letters"], rights: &["share"], ..Consent::default() };
    let ana = world.sign_in(Who::Ana, 1)?;
    let before = stays(&ana, &letter, &open)?;
    let bare = without_study(world, &scope)?;
    grants(world, Who::Ana, &Consent { study: Some((&open, "as-is")), ..scope.clone() })?;
    leaves(world, Who::Ana, &ana, &letter, &open)?;
    let other = stays(&ana, &letter, &veiled)?;
    let grant = grants(world, Who::Ana, &Consent { study: Some((&veiled, "pseudonymised")), ..scope })?;
    listed_with(world, &grant, &veiled, "pseudonymised")?;
    let (named, _) = until(ACT_MAX, "the consent for the other study acts", || {
        let code = stays(&ana, &letter, &veiled)?;
        Ok((code != other).then_some(code))
    })?;
    expect(named == "must-not-leave-as-is", || format!("pseudonymised only, and refused by {named}"))?;
    Ok(Shown::that(format!(
        "before: {before}; without a study: {bare}; with one: leaves for it as it was filed; for another study: {other}; \
         pseudonymised only: {named}"
    )))
}

/// The code by which a right to share is refused where it names no study.
fn without_study(world: &mut World, scope: &Consent<'_>) -> Result<String, Failed> {
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let ana = world.story.id(Who::Ana)?;
    match consent(&patient, &Consent { person: &ana, ..scope.clone() }) {
        Ok(_) => Err(Failed::wrong("a share right without a study was taken")),
        Err(refused) => Ok(refused.code().to_owned()),
    }
}

fn listed_with(world: &mut World, grant: &str, study: &str, anonymity: &str) -> Result<(), Failed> {
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let listed = all(&patient, &format!("/grants?patient={}", world.story.id(Who::Patient(0))?))?;
    let found = listed.iter().find(|g| text(g, "content") == grant);
    let found = found.ok_or_else(|| Failed::wrong("the grant is not listed"))?;
    let carried = text(found, "study") == study && text(found, "anonymity") == anonymity;
    expect(carried, || "the list doesn't carry study and anonymity".into())
}

/// Takes a record out for a study, byte for byte, once the consent has come.
fn leaves(world: &mut World, who: Who, client: &Client, filed: &Filed, study: &str) -> Result<(), Failed> {
    let (bytes, _) =
        until(ACT_MAX, "it leaves for the study", || Ok(out_for(client, &filed.content, study).ok()))?;
    expect(bytes == world.samples.files[filed.sample].bytes, || "it left changed".into())?;
    world.story.saw(who, &filed.content)
}

/// The code by which a record is kept from a study.
fn stays(client: &Client, filed: &Filed, study: &str) -> Result<String, Failed> {
    match out_for(client, &filed.content, study) {
        Ok(_) => Err(Failed::wrong("the record left")),
        Err(Refused::Problem(p)) if p.status < 500 => Ok(p.code),
        Err(other) => Err(other.into()),
    }
}

/// Withdrawn by tap, refused everywhere \[58\].
pub(super) fn revoked(world: &mut World) -> Outcome {
    let chart = chart(world)?;
    let ana = world.sign_in(Who::Ana, 1)?;
    reads(world, Who::Ana, &ana, &chart)?;
    let mine: Vec<String> =
        world.story.grants.iter().filter(|(who, _)| *who == Who::Ana).map(|(_, g)| g.clone()).collect();
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let mut took = Duration::ZERO;
    super::super::acts::revoke(&patient, &mine)?;
    let (started, in_hand) = (std::time::Instant::now(), world.in_hand());
    let (code, at_hers) = refused_soon(&ana, &chart.content, ACT_MAX)?;
    for at in [0, 2, 3, CLINIC] {
        let ana = world.sign_in(Who::Ana, at)?;
        denied(&ana, &chart.content)?;
        took = started.elapsed().saturating_sub(world.in_hand().saturating_sub(in_hand));
    }
    world.story.grants.retain(|(who, _)| *who != Who::Ana);
    let text = format!("at her hospital after {} ms: {code}; refused on all five nodes", at_hers.as_millis());
    Ok(Shown::within(took, text))
}
