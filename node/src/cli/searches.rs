//! `hospes breakglass find` and `found`: looking for a patient who has no card with him, and who looked.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome};
use super::client::quoted;
use super::show::{table, text};

/// Between two looks at what nodes answered.
const POLL: Duration = Duration::from_millis(100);
/// How long nodes are waited for that don't answer.
const ANSWERS_MAX: Duration = Duration::from_secs(10);

/// Whom to look for.
#[derive(Debug, clap::Args)]
pub(crate) struct FindArgs {
    /// Given and family name, in either order.
    #[arg(long)]
    name: String,
    /// Date of birth.
    #[arg(long, value_name = "YYYY-MM-DD")]
    birth_date: String,
    /// The national number, where it is known.
    #[arg(long, value_name = "NUMBER")]
    id: Option<String>,
    #[command(flatten)]
    card: CardArgs,
}

const PEOPLE: &[(&str, &str)] = &[
    ("PLACE", "place"),
    ("NAME", "name"),
    ("BORN", "birth_year"),
    ("HOME", "home.organization_name"),
    ("LABEL", "label"),
];
const FOUND: &[(&str, &str)] = &[
    ("AT", "at"),
    ("PERSON", "person.register_number"),
    ("OF", "person.organization_name"),
    ("BY", "by"),
    ("SEARCH", "search"),
];

/// `hospes breakglass find`.
pub(super) fn find(global: &Global, args: &FindArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let asked = json!({"name": args.name, "birth_date": args.birth_date, "national_id": args.id});
    let mut done = seat.act("/breakglass/searches", &asked)?;
    let search = text(&done.data, "search").to_owned();
    let found = answers(&seat, &search)?;
    done.text = said(&search, &found);
    done.data = found;
    Ok(done)
}

/// What came, once every node has answered or was waited for.
fn answers(seat: &Seat, search: &str) -> Outcome<Value> {
    let began = Instant::now();
    loop {
        let found = seat.client().get(&format!("/breakglass/searches/{}", quoted(search)))?;
        let signed = found.get("finality").is_some_and(|finality| text(finality, "state") == "signed");
        // Nobody answers what is not final, which `act` has waited for.
        if signed || found.get("answered") == found.get("asked") || began.elapsed() >= ANSWERS_MAX {
            return Ok(found);
        }
        std::thread::sleep(POLL);
    }
}

fn said(search: &str, found: &Value) -> String {
    let number = |key: &str| found.get(key).and_then(Value::as_u64).unwrap_or_default();
    let heard = format!("{} of {} nodes answered.", number("answered"), number("asked"));
    if found.get("too_many").and_then(Value::as_bool) == Some(true) {
        return format!("{heard}\nToo many people: add the national number with --id.");
    }
    match found.get("people").and_then(Value::as_array) {
        Some(people) if !people.is_empty() => format!(
            "{heard}\n{}\nAsk for one of them: hospes breakglass request --found {search}:PLACE --reason …",
            table(PEOPLE, people)
        ),
        _ => format!("{heard}\nNobody was found."),
    }
}

/// `hospes breakglass found`.
pub(super) fn found(global: &Global, search: Option<&str>, card: &CardArgs) -> Outcome<Done> {
    if let Some(search) = search {
        let found = answers(&Seat::take(global, card)?, search)?;
        let text = said(search, &found);
        return Ok(Done::new(found, text));
    }
    list(global, card, "/breakglass/searches", "searches", FOUND)
}
