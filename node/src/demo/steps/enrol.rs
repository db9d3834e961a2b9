//! Step 1: organizations, nodes, practitioners, patients.

use std::time::Duration;

use serde_json::json;

use super::super::acts::{all, identity};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::Refused;
use super::super::people::{Card, Person, tap};
use super::super::story::Who;
use super::super::tap::{needed, text, until};
use super::super::world::{CLINIC, VALIDATORS, World};

/// How long nodes may take to find each other.
const MEET_MAX: Duration = Duration::from_secs(30);
/// How long an enrolment may take to be final everywhere.
const FINAL_MAX: Duration = Duration::from_secs(20);

/// The role of practitioners.
pub(crate) const ROLE: &str = "physician";

/// Five organizations found one network, by their cards.
pub(crate) fn network(world: &mut World) -> Outcome {
    world.found()?;
    world.start()?;
    let others = world.nodes.len() - 1;
    until(MEET_MAX, "all nodes meeting", || {
        let peers = world.nodes.iter().map(|n| n.peers()).collect::<Result<Vec<_>, _>>()?;
        // The clinic and the hospitals each see all four others.
        Ok(peers.iter().all(|count| *count == others).then_some(()))
    })?;
    let statuses = world.nodes.iter().map(|n| n.status()).collect::<Result<Vec<_>, _>>()?;
    let network = text(&statuses[0], "network").to_owned();
    let same = statuses.iter().all(|s| text(s, "network") == network && !network.is_empty());
    expect(same, || "the nodes name different networks".into())?;
    let validators = statuses[0]["validators"]["count"].as_u64().unwrap_or_default();
    expect(validators == 4, || format!("{validators} validators instead of four"))?;
    let tolerated = statuses[0]["validators"]["faults_tolerated"].as_u64().unwrap_or_default();
    Ok(Shown::that(format!("{VALIDATORS} hospitals vote, the clinic follows; {tolerated} fault tolerated")))
}

/// Practitioners, each by the card of the organization and his own.
pub(crate) fn practitioners(world: &mut World) -> Outcome {
    let staff = [
        (Who::Author, 0, "practitioner-1", "DEMO-1001"),
        (Who::Ana, 1, "practitioner-2", "DEMO-1002"),
        (Who::Ben, 1, "practitioner-3", "DEMO-1003"),
        (Who::Cleo, CLINIC, "practitioner-4", "DEMO-1004"),
    ];
    define_role(world)?;
    for (who, at, name, number) in staff {
        let person = practitioner(world, at, (name, number, ROLE))?;
        world.story.people.insert(who, person);
    }
    // The same number once more is refused; another number with the same card is not.
    let mut card =
        Card::create(&world.nodes[2], &world.drawer(), "practitioner-5", "practitioner", &world.pins)?;
    let code = match enrol(world, 2, "DEMO-1001", &mut card) {
        Ok(_) => return Err(Failed::wrong("a register number was enrolled twice")),
        Err(refused) => refused.code().to_owned(),
    };
    enrol(world, 2, "DEMO-1005", &mut card).map_err(Failed::from)?;
    known_everywhere(world, 5)?;
    Ok(Shown::that(format!("5 enrolled and known on every node; a second DEMO-1001 refused: {code}")))
}

/// What practitioners of the demo may hold and do, defined by each organization.
fn define_role(world: &mut World) -> Result<(), Failed> {
    for at in [0, 1, 2, CLINIC] {
        let organization = world.administers(at)?;
        let role = json!({ "name": ROLE, "rights": ["read", "write", "share"], "attested": true });
        tap(&organization, "/roles", &role)?;
        until(FINAL_MAX, "the role", || Ok((!all(&organization, "/roles")?.is_empty()).then_some(())))?;
    }
    Ok(())
}

/// One more person of a node's organization, in a role that is defined with it.
pub(super) fn staff(
    world: &mut World,
    (who, at, name, number): (Who, usize, &str, &str),
    role: &str,
) -> Result<(), Failed> {
    let organization = world.administers(at)?;
    tap(
        &organization,
        "/roles",
        &json!({ "name": role, "rights": ["read", "write", "share"], "attested": true }),
    )?;
    let person = practitioner(world, at, (name, number, role))?;
    world.story.people.insert(who, person);
    for node in &world.nodes {
        let last = world.nodes[at].height()?;
        until(FINAL_MAX, "the enrolment on every node", || Ok((node.height()? >= last).then_some(())))?;
    }
    Ok(())
}

/// A person of a node's organization with a new card: name, register number, a role that is defined there.
pub(crate) fn practitioner(
    world: &mut World,
    at: usize,
    (name, number, role): (&str, &str, &str),
) -> Result<Person, Failed> {
    let mut card = Card::create(&world.nodes[at], &world.drawer(), name, "practitioner", &world.pins)?;
    let id = enrol_as(world, (at, number, role), &mut card).map_err(Failed::from)?;
    Ok(Person { name: name.to_owned(), card, id })
}

fn enrol(world: &mut World, at: usize, number: &str, card: &mut Card) -> Result<String, Refused> {
    enrol_as(world, (at, number, ROLE), card)
}

fn enrol_as(
    world: &mut World,
    (at, number, role): (usize, &str, &str),
    card: &mut Card,
) -> Result<String, Refused> {
    let broken = |f: Failed| Refused::Unreachable(f.to_string());
    let organization = world.administers(at).map_err(broken)?;
    card.insert(&world.nodes[at]).map_err(broken)?;
    let body =
        json!({ "card": card.serial, "register_number": number, "roles": [role], "attestation": "ZGVtbw==" });
    let result = tap(&organization, "/persons", &body)?;
    needed(&result, "person").map_err(broken)
}

fn known_everywhere(world: &mut World, count: usize) -> Result<(), Failed> {
    for at in 0..world.nodes.len() {
        let organization = world.administers(at)?;
        until(FINAL_MAX, "practitioners on every node", || {
            Ok((all(&organization, "/persons")?.len() >= count).then_some(()))
        })?;
    }
    Ok(())
}

/// Patients, each by the card of the home organization and their own.
pub(super) fn patients(world: &mut World) -> Outcome {
    let mut codes = 0;
    for at in 0..world.samples.patients.len() {
        let name = format!("patient-{}", at + 1);
        let mut card = Card::create(&world.nodes[0], &world.drawer(), &name, "patient", &world.pins)?;
        card.insert(&world.nodes[0])?;
        let desk = world.administers(0)?;
        let body = json!({ "card": card.serial, "identity": identity(&world.samples.patients[at]), "language": "en" });
        let result = tap(&desk, "/patients", &body)?;
        codes += usize::from(!text(&result, "recovery_code").is_empty());
        let id = needed(&result, "patient")?;
        world.story.people.insert(Who::Patient(at), Person { name, card, id });
    }
    let count = world.samples.patients.len();
    expect(codes == count, || format!("{codes} recovery codes for {count} patients"))?;
    // One card is one patient.
    let first = world.story.someone(Who::Patient(0))?;
    first.card.insert(&world.nodes[0])?;
    let again = first.card.serial.clone();
    let desk = world.administers(0)?;
    let body = json!({ "card": again, "identity": identity(&world.samples.patients[0]), "language": "en" });
    match tap(&desk, "/patients", &body) {
        Ok(_) => Err(Failed::wrong("a card was enrolled twice")),
        Err(refused) => Ok(Shown::that(format!(
            "{count} patients, each with a recovery code; a card twice: {}",
            refused.code()
        ))),
    }
}
