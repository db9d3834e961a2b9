//! Step 13: a lost card without its printed code. Two organizations give notice that a new one takes its place, three
//! guardians release the way back once that was to be heard for a while, and the new card reads what the lost one did.

use serde_json::json;

use super::super::acts::{all, read};
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::http::{Client, Refused};
use super::super::people::{Card, Person, tap};
use super::super::story::Who;
use super::super::tap::{needed, text, until};
use super::super::world::{CLINIC, World};
use super::committees::{FAST_MS, set_policy};
use super::consent::chart;
use super::emergency::{REACH_MAX, approves};

/// For how long a notice can be contested here; a day where no policy says otherwise.
const DELAY_MS: u64 = 4_000;
/// Who approve, and where; who asks counts for nothing.
const GUARDIANS: [(Who, usize); 3] = [(Who::Ana, 1), (Who::Ben, 1), (Who::Cleo, CLINIC)];

/// The new card takes the lost one's place.
pub(super) fn new_card(world: &mut World) -> Outcome {
    let before = set_policy(world, &[("idle_block_ms", FAST_MS), ("recovery_delay_ms", DELAY_MS)])?;
    let came = replaced(world);
    set_policy(world, &before)?;
    came
}

fn replaced(world: &mut World) -> Outcome {
    let mut lost = world.story.someone(Who::Patient(0))?.clone();
    let name = format!("{}-again", lost.name);
    let card = Card::create(&world.nodes[0], &world.drawer(), &name, "patient", &world.pins)?;
    let mut found = Person { name, card, id: lost.id.clone() };
    world.organization_cards[1].insert(&world.nodes[0])?;
    let home = world.administers(0)?;
    found.card.insert(&world.nodes[0])?;
    let given = tap(&home, "/recoveries", &json!({ "patient": lost.id, "card": found.card.serial }))?;
    expect(!text(&given, "recovery_code").is_empty(), || "no new recovery code was printed".into())?;
    let notice = format!("/recoveries/{}", needed(&given, "notice")?);

    let (early, unreleased) = ask(world, &home, &notice)?;
    tap(&home, &format!("{notice}/finish"), &json!({}))?;
    let reads = |world: &World, person: &mut Person| {
        let client = person.sign_in(&world.nodes[0])?;
        Ok::<_, Failed>(read(&client, &chart(world)?.content)?)
    };
    let sample = chart(world)?.sample;
    let whole = reads(world, &mut found)? == world.samples.files[sample].bytes;
    expect(whole, || "the new card reads something else".into())?;
    let dead = reads(world, &mut lost).err();
    let dead = dead.ok_or_else(|| Failed::wrong("the lost card reads on"))?;
    world.story.people.insert(Who::Patient(0), found);
    Ok(Shown::that(format!(
        "before the delay: {early}; before three guardians: {unreleased}; then the chart with the new card; the lost one: {dead}"
    )))
}

/// The author asks and the guardians approve; gives how it was refused before the delay was over, and how the new card
/// was before they approved.
fn ask(world: &mut World, home: &Client, notice: &str) -> Result<(String, String), Failed> {
    let author = world.sign_in(Who::Author, 0)?;
    let early = refusal(author.post(&format!("{notice}/request"), &json!({})), "before the delay")?;
    let (patient, id) = (world.story.id(Who::Patient(0))?, notice.trim_start_matches("/recoveries/"));
    until(REACH_MAX, "the end of the delay", || {
        let notices = all(&author, &format!("/recoveries?patient={patient}"))?;
        Ok(notices.iter().any(|n| text(n, "notice") == id && text(n, "state") == "ready").then_some(()))
    })?;
    let asked = tap(&author, &format!("{notice}/request"), &json!({}))?;
    let request = needed(&asked, "request")?;
    let unreleased =
        refusal(home.post(&format!("{notice}/finish"), &json!({})), "before guardians approved")?;
    for (who, at) in GUARDIANS {
        approves(&world.sign_in(who, at)?, &request)?;
    }
    until(REACH_MAX, "the release", || {
        let seen = author.get(&format!("/breakglass/{request}"))?;
        Ok((text(&seen, "state") == "open").then_some(()))
    })?;
    Ok((early, unreleased))
}

fn refusal<T>(answer: Result<T, Refused>, when: &str) -> Result<String, Failed> {
    match answer {
        Ok(_) => Err(Failed::Wrong(format!("it was allowed {when}"))),
        Err(refused) => Ok(refused.code().to_owned()),
    }
}
