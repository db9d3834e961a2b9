//! Step 5: the patient sees who may see and who has seen.

use std::time::Duration;

use super::super::acts::all;
use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::story::{Seen, Who};
use super::super::tap::{text, until};
use super::super::world::World;

/// How long an access at another node may take to be listed at home.
const LISTED_MAX: Duration = Duration::from_secs(20);

/// Who may see \[65\].
pub(super) fn who_may(world: &mut World) -> Outcome {
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let id = world.story.id(Who::Patient(0))?;
    let listed = all(&patient, &format!("/grants?patient={id}"))?;
    for (_, grant) in &world.story.grants {
        expect(listed.iter().any(|g| text(g, "content") == grant), || "a grant is not listed".into())?;
    }
    let nobody = world.nodes[0].client();
    match nobody.get(&format!("/grants?patient={id}")) {
        Ok(_) => Err(Failed::wrong("the list was shown without a session")),
        Err(refused) => {
            Ok(Shown::that(format!("{} grants; without a session: {}", listed.len(), refused.code())))
        }
    }
}

/// Who has seen; every read is there \[66\].
pub(super) fn who_has(world: &mut World) -> Outcome {
    let patient = world.sign_in(Who::Patient(0), 0)?;
    let wanted = world.story.seen.clone();
    let (listed, _) = until(LISTED_MAX, "every read listed", || {
        let listed = all(&patient, "/accesses")?;
        Ok(missing(&wanted, &listed).is_empty().then_some(listed))
    })?;
    Ok(Shown::that(format!(
        "{} accesses; all {} reads of the story are among them",
        listed.len(),
        wanted.len()
    )))
}

/// Reads that the list lacks; as many entries are needed as there were reads.
fn missing(wanted: &[Seen], listed: &[serde_json::Value]) -> Vec<Seen> {
    let entry = |e: &serde_json::Value| Seen {
        person: e.get("reader").map(|r| text(r, "id").to_owned()).unwrap_or_default(),
        content: text(e, "record").to_owned(),
    };
    let mut there: Vec<Seen> = listed.iter().map(entry).collect();
    let mut missing = Vec::new();
    for seen in wanted {
        match there.iter().position(|t| t == seen) {
            Some(at) => drop(there.swap_remove(at)),
            None => missing.push(seen.clone()),
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn two_reads_need_two_entries() {
        let seen = Seen { person: "aa".into(), content: "bb".into() };
        let entry = json!({ "reader": { "id": "aa" }, "record": "bb" });
        let wanted = [seen.clone(), seen];
        assert_eq!(missing(&wanted, std::slice::from_ref(&entry)).len(), 1, "one is missing");
        assert!(missing(&wanted, &[entry.clone(), entry]).is_empty(), "both are there");
    }
}
