//! `hospes patient`: enrolling, finding and showing patients of this organization, and replacing their lost cards.

use serde_json::json;

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome};
use super::client::{query, quoted};
use super::show::{fields, text};

/// What of patients.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PatientCommand {
    /// Enrol a patient; the organization's card and the patient's new one must be in.
    Create(CreateArgs),
    /// Find patients of this organization by exact match.
    Find {
        /// Family name.
        #[arg(long)]
        family: Option<String>,
        /// Date of birth, YYYY-MM-DD.
        #[arg(long, value_name = "DATE")]
        birth_date: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// The patient who signs in names hospitals at which the emergency summary may be opened without a line, in place of
    /// those named before.
    EmergencyAt {
        /// A hospital that has a committee of its own (repeatable, at most four).
        #[arg(value_name = "ORGANIZATION", required_unless_present = "none")]
        organizations: Vec<String>,
        /// Nowhere.
        #[arg(long, conflicts_with = "organizations")]
        none: bool,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Order that everything of the patient who signs in is destroyed everywhere.
    Erase {
        #[command(flatten)]
        card: CardArgs,
    },
    /// Replace a lost card without its printed code.
    #[command(subcommand)]
    Recover(super::recoveries::RecoverCommand),
    /// What is known of a patient.
    Show {
        /// The pseudonym.
        patient: String,
        #[command(flatten)]
        card: CardArgs,
    },
}

/// Options of `patient create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The patient's new card: serial, the beginning of one, or holder.
    #[arg(long, value_name = "CARD")]
    patient_card: String,
    /// Family name.
    #[arg(long)]
    family: String,
    /// Given name (repeatable).
    #[arg(long, required = true)]
    given: Vec<String>,
    /// Date of birth, YYYY-MM-DD.
    #[arg(long, value_name = "DATE")]
    birth_date: String,
    /// Postal code.
    #[arg(long, value_name = "CODE", default_value = "")]
    postal_code: String,
    /// National number.
    #[arg(long, value_name = "NUMBER")]
    national_id: Option<String>,
    /// Language of texts for the patient (BCP 47).
    #[arg(long, default_value = "en")]
    language: String,
    #[command(flatten)]
    card: CardArgs,
}

const FOUND: &[(&str, &str)] = &[
    ("PATIENT", "patient"),
    ("FAMILY", "identity.family"),
    ("GIVEN", "identity.given"),
    ("BORN", "identity.birth_date"),
];

/// `hospes patient`.
pub(crate) fn run(global: &Global, command: &PatientCommand) -> Outcome<Done> {
    match command {
        PatientCommand::Create(args) => create(global, args),
        PatientCommand::Find { family, birth_date, card } => {
            let query = query(&[("family", family.clone()), ("birth_date", birth_date.clone())]);
            list(global, card, &format!("/patients{query}"), "patients", FOUND)
        }
        PatientCommand::EmergencyAt { organizations, none: _, card } => {
            let body = json!({"organizations": organizations});
            Seat::take(global, card)?.act("/emergency-hospitals", &body)
        }
        PatientCommand::Erase { card } => super::erasures::order(global, card, &[]),
        PatientCommand::Recover(command) => super::recoveries::run(global, command),
        PatientCommand::Show { patient, card } => {
            let found = Seat::take(global, card)?.client().get(&format!("/patients/{}", quoted(patient)))?;
            let shown = fields(&found);
            Ok(Done::new(found, shown))
        }
    }
}

fn create(global: &Global, args: &CreateArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let body = json!({
        "card": seat.serial(&args.patient_card)?,
        "identity": {
            "family": args.family,
            "given": args.given,
            "birth_date": args.birth_date,
            "postal_code": args.postal_code,
            "national_id": args.national_id,
        },
        "language": args.language,
    });
    let mut done = seat.act("/patients", &body)?;
    if !text(&done.data, "recovery_code").is_empty() {
        done.text.push_str("\nPrint the recovery code for the patient: it is shown this once.");
    }
    Ok(done)
}
