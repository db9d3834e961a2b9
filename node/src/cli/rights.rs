//! `hospes consent`, `access` and `why`: who may, who did, and by which rule.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list, time};
use super::answer::{Done, Failure, Outcome};
use super::client::query;
use super::show::{fields, text};
use crate::durable::{Readers, write};

/// What of consents.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ConsentCommand {
    /// Consent, by the patient's card.
    Grant(GrantArgs),
    /// Consents that stand or stood.
    List {
        /// Only of this patient.
        #[arg(long)]
        patient: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Take consents back, by the patient's card, at once.
    Revoke(RevokeArgs),
    /// The text that a consent would be signed with.
    Text(GrantArgs),
}

/// What is consented to.
#[derive(Debug, clap::Args)]
pub(crate) struct GrantArgs {
    #[command(flatten)]
    grantee: GranteeArgs,
    /// Category (repeatable).
    #[arg(long, value_name = "CATEGORY", required_unless_present = "record")]
    category: Vec<String>,
    /// Single record (repeatable).
    #[arg(long, value_name = "RECORD", conflicts_with = "category")]
    record: Vec<String>,
    /// The highest label included.
    #[arg(long, default_value = "normal")]
    label: String,
    /// read, write or share (repeatable).
    #[arg(long, value_name = "RIGHT", required = true)]
    right: Vec<String>,
    /// From when on; now where absent.
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<String>,
    /// Until when: a time, a date, or a span such as 90d.
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: String,
    /// For what.
    #[arg(long, default_value = "treatment")]
    purpose: String,
    /// The study, for share.
    #[arg(long, value_name = "STUDY")]
    study: Option<String>,
    /// as-is, pseudonymised or anonymised, for share.
    #[arg(long)]
    anonymity: Option<String>,
    /// It ends with its first use.
    #[arg(long)]
    one_time: bool,
    #[command(flatten)]
    card: CardArgs,
}

/// Who is meant.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(crate) struct GranteeArgs {
    /// A person.
    #[arg(long, value_name = "PERSON", conflicts_with_all = ["organization", "role"])]
    person: Option<String>,
    /// Every practitioner of an organization.
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
    /// Only those in this role.
    #[arg(long, value_name = "ROLE", requires = "organization")]
    role: Option<String>,
}

/// What is taken back.
#[derive(Debug, clap::Args)]
pub(crate) struct RevokeArgs {
    /// Consents.
    #[arg(required_unless_present_any = ["person", "organization", "everything"])]
    consents: Vec<String>,
    /// Everything that a person holds.
    #[arg(long, value_name = "PERSON", conflicts_with = "consents")]
    person: Option<String>,
    /// Everything that an organization holds.
    #[arg(long, value_name = "ORGANIZATION", conflicts_with_all = ["consents", "person"])]
    organization: Option<String>,
    /// Everything.
    #[arg(long, conflicts_with_all = ["consents", "person", "organization"])]
    everything: bool,
    #[command(flatten)]
    card: CardArgs,
}

/// What of accesses.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum AccessCommand {
    /// Who has read the records of the patient who signs in.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// The same as a JSON file.
    Export {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        card: CardArgs,
    },
}

/// Options of `why`.
#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    /// The person who would act.
    person: String,
    /// The record.
    record: String,
    /// read, write, or share for the study that --study names.
    #[arg(long, default_value = "read")]
    right: String,
    /// The study.
    #[arg(long, value_name = "ID")]
    study: Option<String>,
    /// For what.
    #[arg(long, default_value = "treatment")]
    purpose: String,
    /// At which time; now where absent.
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<String>,
    #[command(flatten)]
    card: CardArgs,
}

impl GranteeArgs {
    fn body(&self) -> Value {
        match (&self.person, &self.organization, &self.role) {
            (Some(person), ..) => json!({"person": person}),
            (None, organization, Some(role)) => json!({"role": {"organization": organization, "role": role}}),
            (None, organization, None) => json!({"organization": organization}),
        }
    }
}

impl GrantArgs {
    fn body(&self) -> Value {
        json!({
            "grantee": self.grantee.body(),
            "categories": self.category,
            "records": self.record,
            "label": self.label,
            "rights": self.right,
            "from": self.from,
            "until": self.until,
            "purpose": self.purpose,
            "study": self.study,
            "anonymity": self.anonymity,
            "one_time": self.one_time,
        })
    }
}

const GRANTS: &[(&str, &str)] = &[
    ("CONSENT", "content"),
    ("WHO", "grantee.kind"),
    ("ID", "grantee.id"),
    ("ORGANIZATION", "grantee.organization_name"),
    ("RIGHTS", "rights"),
    ("CATEGORIES", "categories"),
    ("UNTIL", "until"),
    ("WITHDRAWN", "withdrawn"),
    ("STATE", "finality.state"),
];

/// `hospes consent`.
pub(crate) fn consents(global: &Global, command: &ConsentCommand) -> Outcome<Done> {
    match command {
        ConsentCommand::Grant(args) => Seat::take(global, &args.card)?.act("/grants", &args.body()),
        ConsentCommand::List { patient, card } => {
            let query = query(&[("patient", patient.clone())]);
            list(global, card, &format!("/grants{query}"), "consents", GRANTS)
        }
        ConsentCommand::Revoke(args) => {
            Seat::take(global, &args.card)?.act("/grants/revoke", &taken_back(args))
        }
        ConsentCommand::Text(args) => {
            let query = query(&[("grant", Some(args.body().to_string()))]);
            let found = Seat::take(global, &args.card)?.client().get(&format!("/grants/text{query}"))?;
            let shown = text(&found, "text").to_owned();
            Ok(Done::new(found, shown))
        }
    }
}

fn taken_back(args: &RevokeArgs) -> Value {
    match (&args.person, &args.organization) {
        (Some(person), _) => json!({"grantee": {"person": person}}),
        (None, Some(organization)) => json!({"grantee": {"organization": organization}}),
        (None, None) if args.everything => json!({"everything": true}),
        (None, None) => json!({"grants": args.consents}),
    }
}

const ACCESSES: &[(&str, &str)] = &[
    ("AT", "at"),
    ("WHO", "reader.kind"),
    ("ID", "reader.id"),
    ("ORGANIZATION", "reader.organization_name"),
    ("CATEGORY", "category"),
    ("PURPOSE", "purpose"),
    ("RECORD", "record"),
    ("STATE", "finality.state"),
];

/// `hospes access`.
pub(crate) fn accesses(global: &Global, command: &AccessCommand) -> Outcome<Done> {
    match command {
        AccessCommand::List { card } => list(global, card, "/accesses", "accesses", ACCESSES),
        AccessCommand::Export { file, card } => {
            let rows = Seat::take(global, card)?.client().list("/accesses")?;
            let count = rows.len();
            let text = format!("{:#}\n", json!({"version": 1, "accesses": rows}));
            write(file, text.as_bytes(), Readers::Owner).map_err(|e| Failure::file(file, &e))?;
            let said = format!("{}: {count} accesses", file.display());
            Ok(Done::new(json!({"file": file, "accesses": count}), said))
        }
    }
}

/// `hospes why`.
pub(crate) fn why(global: &Global, args: &WhyArgs) -> Outcome<Done> {
    let query = query(&[
        ("person", Some(args.person.clone())),
        ("record", Some(args.record.clone())),
        ("right", Some(args.right.clone())),
        ("study", args.study.clone()),
        ("purpose", Some(args.purpose.clone())),
        ("at", args.at.clone()),
    ]);
    let found = Seat::take(global, &args.card)?.client().get(&format!("/why{query}"))?;
    let shown = fields(&found);
    Ok(Done::new(found, shown))
}
