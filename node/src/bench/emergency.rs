//! Emergencies of two people, from the request to the first record on the screen: the machine's part of it, since whoever
//! taps has the PIN at hand.
//!
//! The hospitals are processes of this program, the cards soft; each patient is unknown to the hospital that asks, and its
//! record comes from the patient's home. Both guardians tap at once, each at the own desk.

use std::time::{Duration, Instant};

use hospes_import::{Category, Label};
use serde_json::json;

use super::Size;
use super::row::{Failed, Goal, Row, failed, quantile};
use crate::demo::acts::{Filing, all, file};
use crate::demo::http::Client;
use crate::demo::people::{Card, Person, sign_in, tap};
use crate::demo::steps::{committees, enrol};
use crate::demo::story::Who;
use crate::demo::tap::{needed, text, until};
use crate::demo::world::World;
use crate::demo::{CardKind, DemoArgs, PcscReaders};

/// The hospital that asks.
const AWAY: usize = 2;
/// What an emergency may take of the machines' time.
const GOAL_MS: f64 = 3_000.0;
/// How long a step of it is waited for before the bench gives up.
const STEP_MAX: Duration = Duration::from_secs(30);
const SUMMARY: &[u8] = br#"{"allergy":"penicillin"}"#;

/// Who takes part, each signed in.
struct Night {
    doctor: Client,
    guardians: [Client; 2],
}

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let mut world = hospitals()?;
    committees::keys(&mut world).map_err(failed)?;
    let night = night(&mut world).map_err(failed)?;
    let mut took = Vec::new();
    for number in 0..size.emergencies {
        let (mut patient, record) = patient(&mut world, number).map_err(failed)?;
        patient.card.insert(&world.nodes[AWAY]).map_err(failed)?;
        took.push(night.opens(&patient, &record).map_err(failed)?.as_secs_f64() * 1000.0);
    }
    let row = |id, share| {
        let ms = quantile(&mut took.clone(), share);
        Row::new(id, ms, GOAL_MS, "ms", &Goal::AtMost(1.0))
    };
    Ok(vec![row("emergency-online-median", 0.5), row("emergency-online-worst", 1.0)])
}

/// Four hospitals and a clinic as processes, with practitioners.
pub(super) fn hospitals() -> Result<World, Failed> {
    let args = DemoArgs {
        data: None,
        dir: None,
        cards: CardKind::Soft,
        hand: None,
        keep: false,
        only: None,
        strict: false,
    };
    let mut world = World::new(&args, &PcscReaders::default()).map_err(failed)?;
    enrol::network(&mut world).map_err(failed)?;
    enrol::practitioners(&mut world).map_err(failed)?;
    Ok(world)
}

type Told<T> = Result<T, crate::demo::Failed>;

fn night(world: &mut World) -> Told<Night> {
    let mut doctor = enrol::practitioner(world, AWAY, ("doctor", "BENCH-1", enrol::ROLE))?;
    let guardians = [world.sign_in(Who::Author, 0)?, world.sign_in(Who::Ana, 1)?];
    let signs_in = until(STEP_MAX, "the doctor's enrolment", || Ok(doctor.sign_in(&world.nodes[AWAY]).ok()))?;
    Ok(Night { doctor: signs_in.0, guardians })
}

/// A patient of the first hospital with an emergency summary there, and its content id.
fn patient(world: &mut World, number: u16) -> Told<(Person, String)> {
    let name = format!("patient-{number}");
    let home = &world.nodes[0];
    let mut card = Card::create(home, &world.drawer(), &name, "patient", &world.pins)?;
    card.insert(home)?;
    let identity = json!({ "family": name, "given": ["Bench"], "birth_date": "1970-01-01" });
    let body = json!({ "card": card.serial, "identity": identity, "language": "en" });
    let id = needed(&tap(&world.administers(0)?, "/patients", &body)?, "patient")?;
    let author = sign_in(&world.nodes[0], &world.story.someone(Who::Author)?.card.serial)?;
    let (category, label) = (Category::EmergencySummary, Label::Normal);
    let (title, media_type) = ("Summary", "application/json");
    let filing = Filing { patient: &id, category, label, title, media_type, derive_summary: false };
    let record = file(&author, &filing, SUMMARY)?;
    Ok((Person { name, card, id }, record))
}

impl Night {
    /// From the request until the record was read.
    fn opens(&self, patient: &Person, record: &str) -> Told<Duration> {
        let since = Instant::now();
        let asked = json!({ "card": patient.card.serial, "tier": "summary", "reason": "unconscious" });
        let request = needed(&tap(&self.doctor, "/breakglass", &asked)?, "request")?;
        std::thread::scope(|threads| {
            let tapping = self.guardians.each_ref().map(|one| threads.spawn(|| approves(one, &request)));
            tapping.into_iter().try_for_each(|one| match one.join() {
                Ok(told) => told,
                Err(_) => Err(crate::demo::Failed::wrong("a guardian's tap ended in a panic")),
            })
        })?;
        self.doctor.post(&format!("/breakglass/{request}/open"), &json!({}))?;
        let path = format!("/records/{record}/content?purpose=emergency-treatment");
        until(STEP_MAX, "the record", || Ok(self.doctor.bytes(&path).ok().filter(|read| read == SUMMARY)))?;
        Ok(since.elapsed())
    }
}

/// A guardian approves once the request has come.
fn approves(guardian: &Client, request: &str) -> Told<()> {
    until(STEP_MAX, "the request reaching a guardian", || {
        Ok(all(guardian, "/breakglass")?.iter().any(|e| text(e, "request") == request).then_some(()))
    })?;
    tap(guardian, &format!("/breakglass/{request}/approve"), &json!({}))?;
    Ok(())
}
