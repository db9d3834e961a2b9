//! `hospes org`, `node` and `person`: who takes part.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use hospes_protocol::wire::Wire as _;
use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Failure, Outcome};
use super::client::quoted;
use super::show::{fields, text};
use crate::durable::{Readers, write};
use crate::init::network::read_founding;

/// What of organizations.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum OrgCommand {
    /// Propose that an organization joins, by its founding file; more than two thirds must vote for it.
    Invite {
        /// Its `founding.cbor`.
        founding: PathBuf,
        #[command(flatten)]
        proposal: ProposalArgs,
    },
    /// Put a network's genesis into this node's folder, off line.
    Join {
        /// The genesis file.
        genesis: PathBuf,
    },
    /// Vote for a proposal with the organization's card.
    Vote {
        /// The proposal's file; the vote is written back into it.
        file: PathBuf,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Organizations.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// Propose that an organization leaves.
    Remove {
        /// Its id.
        organization: String,
        #[command(flatten)]
        proposal: ProposalArgs,
    },
}

/// Options of a proposal.
#[derive(Debug, clap::Args)]
pub(crate) struct ProposalArgs {
    /// Where the proposal is written, for the others to vote on.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    card: CardArgs,
}

/// What of nodes.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum NodeCommand {
    /// Nodes.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// Admit a node of this organization, by its founding file.
    Admit {
        /// Its `founding.cbor`.
        founding: PathBuf,
        #[command(flatten)]
        proposal: ProposalArgs,
    },
    /// Retire a node for good.
    Remove {
        /// Its id.
        node: String,
        #[command(flatten)]
        proposal: ProposalArgs,
    },
    /// Propose which nodes decide from the next height on.
    Validators {
        /// Their ids.
        #[arg(required = true)]
        nodes: Vec<String>,
        #[command(flatten)]
        proposal: ProposalArgs,
    },
}

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

fn encoded(path: &Path) -> Outcome<String> {
    std::fs::read(path).map(|bytes| BASE64.encode(&bytes)).map_err(|e| Failure::file(path, &e))
}

/// Writes the proposal of an answer to `out`.
fn keep(done: Done, out: Option<&Path>) -> Outcome<Done> {
    let Some(out) = out else { return Ok(done) };
    let Ok(bytes) = BASE64.decode(text(&done.data, "proposal").as_bytes()) else { return Ok(done) };
    if bytes.is_empty() {
        return Ok(done);
    }
    write(out, &bytes, Readers::Anyone).map_err(|e| Failure::file(out, &e))?;
    let mut shown = done.data.clone();
    if let Value::Object(all) = &mut shown {
        all.remove("proposal");
    }
    let next = format!("{}\nnext: others vote by `hospes org vote {}`", fields(&shown), out.display());
    Ok(Done { text: next, ..done })
}

/// Makes a proposal and votes for it with the card of whoever makes it.
fn propose(global: &Global, args: &ProposalArgs, body: &Value) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let made = seat.client().post("/proposals", body)?;
    let voted = seat.act("/proposals/vote", &json!({"proposal": text(&made, "proposal")}))?;
    keep(voted, args.out.as_deref())
}

const ORGANIZATIONS: &[(&str, &str)] = &[
    ("ORGANIZATION", "organization"),
    ("NAME", "name"),
    ("STANDING", "standing"),
    ("NODES", "nodes"),
    ("PEOPLE", "persons"),
];

/// `hospes org`.
pub(crate) fn organizations(global: &Global, command: &OrgCommand) -> Outcome<Done> {
    match command {
        OrgCommand::List { card } => list(global, card, "/organizations", "organizations", ORGANIZATIONS),
        OrgCommand::Join { genesis } => super::networks::join(&global.folder()?, genesis),
        OrgCommand::Invite { founding, proposal } => {
            let entry = BASE64.encode(&read_founding(founding)?.organization.encode());
            let body = json!({"kind": "admit-organization", "entry": entry});
            propose(global, proposal, &body)
        }
        OrgCommand::Remove { organization, proposal } => {
            propose(global, proposal, &json!({"kind": "remove-organization", "organization": organization}))
        }
        OrgCommand::Vote { file, card } => {
            let body = json!({"proposal": encoded(file)?});
            keep(Seat::take(global, card)?.act("/proposals/vote", &body)?, Some(file))
        }
    }
}

const NODES: &[(&str, &str)] = &[
    ("NODE", "node"),
    ("ORGANIZATION", "organization"),
    ("VALIDATOR", "validator"),
    ("STANDING", "standing"),
    ("EXPIRES", "expires"),
];

/// `hospes node`.
pub(crate) fn nodes(global: &Global, command: &NodeCommand) -> Outcome<Done> {
    match command {
        NodeCommand::List { card } => list(global, card, "/nodes", "nodes", NODES),
        NodeCommand::Admit { founding, proposal } => {
            let entry = BASE64.encode(&read_founding(founding)?.node.encode());
            let body = json!({"kind": "admit-node", "entry": entry});
            propose(global, proposal, &body)
        }
        NodeCommand::Remove { node, proposal } => {
            propose(global, proposal, &json!({"kind": "remove-node", "node": node}))
        }
        NodeCommand::Validators { nodes, proposal } => {
            propose(global, proposal, &json!({"kind": "validator-set", "nodes": nodes}))
        }
    }
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
