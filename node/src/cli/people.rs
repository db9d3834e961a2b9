//! `hospes person`: people who are not patients, and their roles.

use std::path::PathBuf;

use serde_json::json;

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome};
use super::client::quoted;
use super::members::encoded;

/// What of people.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum PersonCommand {
    /// Enrol a person of this organization; the organization's card and the person's must be in.
    Enrol(EnrolArgs),
    /// People who are not patients.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// Suspend a person's card, at once.
    Suspend {
        /// The person's id.
        person: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Give a person another card; the one before is dead from then on. The organization's card and the new one must
    /// be in.
    Replace {
        /// The person's id.
        person: String,
        /// The new card: serial, the beginning of one, or holder.
        #[arg(long, value_name = "CARD")]
        person_card: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Define a role of this organization.
    Role(RoleArgs),
    /// Roles of all organizations.
    Roles {
        #[command(flatten)]
        card: CardArgs,
    },
}

/// Options of `person enrol`.
#[derive(Debug, clap::Args)]
pub(crate) struct EnrolArgs {
    /// The person's card: serial, the beginning of one, or holder.
    #[arg(long, value_name = "CARD")]
    person_card: String,
    /// Role (repeatable).
    #[arg(long, value_name = "ROLE", required = true)]
    role: Vec<String>,
    /// Number in the public register.
    #[arg(long, value_name = "NUMBER")]
    register_number: String,
    /// The registry's attestation.
    #[arg(long, value_name = "FILE")]
    attestation: PathBuf,
    #[command(flatten)]
    card: CardArgs,
}

/// Options of `person role`.
#[derive(Debug, clap::Args)]
pub(crate) struct RoleArgs {
    /// Its name.
    name: String,
    /// Category that its holders may read at all (repeatable); all where absent.
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    /// read, write or share: what its holders may hold (repeatable).
    #[arg(long, value_name = "RIGHT")]
    right: Vec<String>,
    /// Its holders enrol people and run nodes, and read no record.
    #[arg(long)]
    administrator: bool,
    /// Registry attestation is demanded of its holders.
    #[arg(long)]
    attested: bool,
    #[command(flatten)]
    card: CardArgs,
}

const PERSONS: &[(&str, &str)] = &[
    ("PERSON", "person"),
    ("REGISTER NUMBER", "register_number"),
    ("ROLES", "roles"),
    ("STANDING", "standing"),
    ("ORGANIZATION", "organization"),
];

const ROLES: &[(&str, &str)] = &[
    ("NAME", "name"),
    ("RIGHTS", "rights"),
    ("CATEGORIES", "categories"),
    ("ADMINISTRATOR", "administrator"),
    ("ORGANIZATION", "organization"),
];

/// `hospes person`.
pub(crate) fn persons(global: &Global, command: &PersonCommand) -> Outcome<Done> {
    match command {
        PersonCommand::List { card } => list(global, card, "/persons", "persons", PERSONS),
        PersonCommand::Roles { card } => list(global, card, "/roles", "roles", ROLES),
        PersonCommand::Enrol(args) => enrol(global, args),
        PersonCommand::Suspend { person, card } => {
            Seat::take(global, card)?.act(&format!("/persons/{}/suspend", quoted(person)), &json!({}))
        }
        PersonCommand::Replace { person, person_card, card } => {
            let seat = Seat::take(global, card)?;
            let body = json!({"card": seat.serial(person_card)?});
            seat.act(&format!("/persons/{}/replace", quoted(person)), &body)
        }
        PersonCommand::Role(args) => {
            let body = json!({
                "name": args.name,
                "categories": args.category,
                "rights": args.right,
                "administrator": args.administrator,
                "attested": args.attested,
            });
            Seat::take(global, &args.card)?.act("/roles", &body)
        }
    }
}

fn enrol(global: &Global, args: &EnrolArgs) -> Outcome<Done> {
    let attestation = encoded(&args.attestation)?;
    let seat = Seat::take(global, &args.card)?;
    let body = json!({
        "card": seat.serial(&args.person_card)?,
        "roles": args.role,
        "register_number": args.register_number,
        "attestation": attestation,
    });
    seat.act("/persons", &body)
}
