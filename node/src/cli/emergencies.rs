//! `hospes breakglass`: asking for an emergency access, approving, opening, closing and reviewing it.

use serde_json::{Map, Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome, note};
use super::client::quoted;
use super::committees::{self, CommitteeCommand};
use super::searches::{self, FindArgs};
use super::show::{fields, table, text};

/// What of emergencies.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum EmergencyCommand {
    /// Committees: who opens in an emergency, and how far the making of their keys is.
    #[command(subcommand)]
    Committee(CommitteeCommand),
    /// Ask to open the record of someone who can't consent, by the own card.
    Request(RequestArgs),
    /// Look for a patient who has no card with him, by name and date of birth, at every hospital; by the own card.
    Find(FindArgs),
    /// Whom a search of one's own found; or, by a patient's card, who found the patient.
    Found {
        /// The search; none for a patient.
        search: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Put a request without a line before the hospital's witness card, once guardians have approved it.
    Witness {
        /// The request.
        request: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Approve a request as a guardian, by the own card.
    Approve {
        /// The request.
        request: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Open what was released and list what can be read.
    Open {
        /// The request.
        request: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Close it before its time.
    Close {
        /// The request.
        request: String,
        /// It was the wrong patient.
        #[arg(long)]
        wrong_patient: bool,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Say what a review found, by an auditor's card.
    Review {
        /// The request.
        request: String,
        /// justified, not-justified or unclear.
        outcome: String,
        /// In a few words.
        #[arg(long, default_value = "")]
        text: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Requests that concern whoever is signed in: the patient's own, a guardian's, an auditor's.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// An auditor's four questions: who may start it, who did, what limits held, how things returned to normal.
    Report {
        #[command(flatten)]
        card: CardArgs,
    },
}

/// A request.
#[derive(Debug, clap::Args)]
pub(crate) struct RequestArgs {
    /// The patient's card in a reader: serial, the beginning of one, or holder. No PIN is needed.
    #[arg(long, value_name = "CARD", required_unless_present_any = ["patient", "found"])]
    patient_card: Option<String>,
    /// The patient's pseudonym, where the record is known here.
    #[arg(long, value_name = "PATIENT", conflicts_with = "patient_card")]
    patient: Option<String>,
    /// Whom a search found, by the place in its list.
    #[arg(long, value_name = "SEARCH:PLACE", conflicts_with_all = ["patient_card", "patient"])]
    found: Option<String>,
    /// card or 0 (the patient's card in the reader, and nobody else), summary or 1 (two guardians), full or 2 (three).
    #[arg(long, default_value = "summary")]
    tier: String,
    /// Without a line: guardians of this hospital, which the patient named, and its witness card.
    #[arg(long, conflicts_with = "tier")]
    offline: bool,
    /// unconscious, allergy-or-medicine, urgent-surgery, lack-of-capacity, card-unusable or other.
    #[arg(long)]
    reason: String,
    /// In a few words; needed for other.
    #[arg(long, default_value = "")]
    text: String,
    /// For how many minutes, at most 240.
    #[arg(long, value_name = "MINUTES")]
    minutes: Option<u64>,
    #[command(flatten)]
    card: CardArgs,
}

const EMERGENCIES: &[(&str, &str)] = &[
    ("REQUEST", "request"),
    ("PATIENT", "patient"),
    ("TIER", "tier"),
    ("REASON", "reason"),
    ("STATE", "state"),
    ("UNTIL", "until"),
    ("REVIEW DUE", "review_due"),
];
const PEOPLE: &[(&str, &str)] = &[
    ("PERSON", "person"),
    ("ASKED", "asked"),
    ("RELEASED", "released"),
    ("JUSTIFIED", "justified"),
    ("NOT JUSTIFIED", "not_justified"),
    ("UNCLEAR", "unclear"),
    ("OVERDUE", "overdue"),
];
const ORGANIZATIONS: &[(&str, &str)] = &[
    ("ORGANIZATION", "organization_name"),
    ("PEOPLE", "people"),
    ("ASKED", "asked"),
    ("RELEASED", "released"),
    ("JUSTIFIED", "justified"),
    ("NOT JUSTIFIED", "not_justified"),
    ("UNCLEAR", "unclear"),
    ("OVERDUE", "overdue"),
];
const LIMITS: &[(&str, &str)] = &[
    ("REQUEST", "request"),
    ("PERSON", "requester.register_number"),
    ("TIER", "tier"),
    ("APPROVED", "approved"),
    ("UNTIL", "until"),
];
const RETURNED: &[(&str, &str)] = &[
    ("REQUEST", "request"),
    ("STATE", "state"),
    ("REVIEWS", "reviews"),
    ("REVIEW DUE", "review_due"),
    ("SEALED ANEW", "sealed_anew"),
];
const ALARMS: &[(&str, &str)] =
    &[("HOSPITAL", "organization_name"), ("LINK", "counter"), ("WHAT", "what"), ("NODES", "nodes")];
const RECORDS: &[(&str, &str)] = &[("RECORD", "content"), ("CATEGORY", "category"), ("TITLE", "title")];

/// `hospes breakglass`.
pub(crate) fn run(global: &Global, command: &EmergencyCommand) -> Outcome<Done> {
    match command {
        EmergencyCommand::Committee(command) => committees::run(global, command),
        EmergencyCommand::Request(args) => request(global, args),
        EmergencyCommand::Find(args) => searches::find(global, args),
        EmergencyCommand::Found { search, card } => searches::found(global, search.as_deref(), card),
        EmergencyCommand::Witness { request, card } => {
            Seat::take(global, card)?.act(&path(request, "/witness"), &json!({}))
        }
        EmergencyCommand::Approve { request, card } => {
            Seat::take(global, card)?.act(&path(request, "/approve"), &json!({}))
        }
        EmergencyCommand::Open { request, card } => open(global, request, card),
        EmergencyCommand::Close { request, wrong_patient, card } => {
            let body = json!({"wrong_patient": wrong_patient});
            Seat::take(global, card)?.act(&path(request, "/close"), &body)
        }
        EmergencyCommand::Review { request, outcome, text, card } => {
            let body = json!({"outcome": outcome, "text": text});
            Seat::take(global, card)?.act(&path(request, "/review"), &body)
        }
        EmergencyCommand::List { card } => list(global, card, "/breakglass", "emergencies", EMERGENCIES),
        EmergencyCommand::Report { card } => report(global, card),
    }
}

fn path(request: &str, end: &str) -> String {
    format!("/breakglass/{}{end}", quoted(request))
}

fn request(global: &Global, args: &RequestArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let mut body = Map::new();
    if let Some(name) = &args.patient_card {
        body.insert("card".into(), json!(seat.serial(name)?));
    }
    body.extend(args.patient.iter().map(|patient| ("patient".to_owned(), json!(patient))));
    body.extend(args.found.iter().map(|found| ("found".to_owned(), json!(found))));
    body.extend(args.minutes.iter().map(|minutes| ("minutes".to_owned(), json!(minutes))));
    let tier = if args.offline { "offline" } else { tier(&args.tier) };
    body.insert("tier".into(), json!(tier));
    body.insert("reason".into(), json!(args.reason));
    body.insert("text".into(), json!(args.text));
    let mut done = seat.act("/breakglass", &Value::Object(body))?;
    if let Some(request) = done.data.get("request").and_then(Value::as_str) {
        let now = seat.client().get(&path(request, ""))?;
        done.text.push_str(&format!("\n{}", still_needed(&now)));
    }
    Ok(done)
}

/// A tier by its number or its name.
fn tier(said: &str) -> &str {
    match said {
        "0" => "card",
        "1" => "summary",
        "2" => "full",
        name => name,
    }
}

/// Who is still needed, for people.
fn still_needed(now: &Value) -> String {
    let count = |key: &str| now.get(key).and_then(Value::as_array).map_or(0, Vec::len);
    let needed = now.get("needed").and_then(Value::as_u64).unwrap_or_default();
    if needed == 0 {
        return "Nobody else is needed. Leave the patient's card in the reader and open it.".to_owned();
    }
    let missing = usize::try_from(needed).unwrap_or_default().saturating_sub(count("approved"));
    let waiting: Vec<_> = rows(now, "waiting").iter().map(party_name).collect();
    let then = match text(now, "tier") {
        "offline" => " Then put it before the witness card: hospes breakglass witness.",
        _ => "",
    };
    format!("{missing} guardians are still needed, of: {}.{then}", waiting.join("; "))
}

/// Opens, and lists what is readable now.
fn open(global: &Global, request: &str, card: &CardArgs) -> Outcome<Done> {
    let seat = Seat::take(global, card)?;
    let opened = seat.client().post(&path(request, "/open"), &json!({}))?;
    let patient = text(&opened, "patient").to_owned();
    let query = format!("/records?patient={}", quoted(&patient));
    let records = seat.client().list(&query)?;
    let mut said = fields(&opened);
    if records.is_empty() {
        note("The record is on its way from its holders; ask again in a moment.");
    } else {
        said.push_str(&format!("\n{}", table(RECORDS, &records)));
    }
    Ok(Done::new(json!({"opened": opened, "records": records}), said))
}

/// Rows of a field.
fn rows(value: &Value, key: &str) -> Vec<Value> {
    value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn report(global: &Global, card: &CardArgs) -> Outcome<Done> {
    let mut audit = Seat::take(global, card)?.client().get("/breakglass/audit")?;
    let mut people = rows(&audit, "people");
    for row in &mut people {
        let number = row.get("person").map(|person| text(person, "register_number").to_owned());
        row["person"] = json!(number);
    }
    audit["people"] = json!(people);
    let shown = four_answers(&audit);
    Ok(Done::new(json!({"report": people, "audit": audit}), shown))
}

/// The answers to an auditor's four questions, for people.
fn four_answers(audit: &Value) -> String {
    let mut lines = vec!["Who may start it: any practitioner whose card stands may ask.".to_owned()];
    lines.extend(rows(audit, "may_release").iter().map(released_by));
    let people = rows(audit, "people");
    if people.is_empty() {
        lines.push("\nWho did: nobody.".into());
        lines.extend(Some(alarms(audit)).filter(|said| !said.is_empty()));
        return lines.join("\n");
    }
    lines.push(format!("\nWho did:\n{}", table(PEOPLE, &people)));
    lines.push(format!("\n{}", table(ORGANIZATIONS, &rows(audit, "organizations"))));
    let requests = rows(audit, "requests");
    let bound = |key: &str| audit.get("bounds").and_then(|b| b.get(key)).and_then(Value::as_u64).unwrap_or(0);
    lines.push(format!(
        "\nWhat limits held: at most {} minutes, private notes never, a review within {} hours.\n{}",
        bound("minutes_max"),
        bound("review_hours"),
        table(LIMITS, &requests)
    ));
    lines.push(format!("\nHow things returned to normal:\n{}", table(RETURNED, &requests)));
    lines.extend(Some(alarms(audit)).filter(|said| !said.is_empty()));
    lines.join("\n")
}

/// What is wrong with hospitals' logs of openings without a line; empty where nothing is.
fn alarms(audit: &Value) -> String {
    let rows = rows(audit, "alarms");
    if rows.is_empty() {
        return String::new();
    }
    format!("\nALARM: the log of openings without a line is not whole:\n{}", table(ALARMS, &rows))
}

fn released_by(tier: &Value) -> String {
    let guardians = rows(tier, "guardians");
    let names: Vec<_> = guardians.iter().map(party_name).collect();
    match tier.get("needed").and_then(Value::as_u64) {
        Some(0) => format!("  {}: the patient's card in a reader releases it by itself.", text(tier, "tier")),
        Some(needed) => format!("  {}: {needed} of {} release it.", text(tier, "tier"), names.join("; ")),
        None => format!(
            "  {}: nobody can release it, no committee holds its key or policy is against it.",
            text(tier, "tier")
        ),
    }
}

fn party_name(party: &Value) -> String {
    format!("{} of {}", text(party, "register_number"), text(party, "organization_name"))
}
