//! `hospes org` and `node`: who takes part, and the proposals that change it.

use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use hospes_protocol::wire::Wire as _;
use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list, time};
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
    /// What a proposal says and who has signed it.
    Proposal {
        /// The proposal's file.
        file: PathBuf,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Vote for a proposal with the organization's card.
    Vote {
        /// The proposal's file; the vote is written back into it.
        file: PathBuf,
        /// Vote with this card: of an organization that has no node yet.
        #[arg(long, value_name = "CARD")]
        vote_card: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// File a proposal of this organization that enough others have signed.
    File {
        /// The proposal's file.
        file: PathBuf,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Organizations.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// What the federation has set; with options, propose that it sets them so.
    Policy(PolicyArgs),
    /// What organizations have set for themselves; with options, set it for this node's.
    OwnPolicy(OwnPolicyArgs),
    /// Show this node's newest block; or let this node go on from one, after more than the trust period without news.
    Checkpoint {
        /// The height of a block, as a node shows it that you trust.
        #[arg(requires = "block")]
        height: Option<u64>,
        /// Its hash.
        block: Option<String>,
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

/// Options of `org policy`. What is not named stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct PolicyArgs {
    /// Headers in one block, at most.
    #[arg(long, value_name = "N")]
    block_headers_max: Option<u64>,
    /// How long a proposer waits for more headers, in milliseconds.
    #[arg(long, value_name = "MS")]
    block_delay_ms: Option<u64>,
    /// An idle network commits an empty block at this interval, in milliseconds.
    #[arg(long, value_name = "MS")]
    idle_block_ms: Option<u64>,
    /// Grants are not acted upon when the newest certified block is older, in milliseconds.
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    /// Whether cards without attested hardware are accepted for people.
    #[arg(long, value_name = "BOOL")]
    soft_cards: Option<bool>,
    /// Bytes that an organization may have others hold for it.
    #[arg(long, value_name = "BYTES")]
    quota_bytes: Option<u64>,
    /// How long an erasure can be taken back, in milliseconds.
    #[arg(long, value_name = "MS")]
    cooling_off_ms: Option<u64>,
    /// Whether the patient's card and one practitioner open an emergency summary.
    #[arg(long, value_name = "BOOL")]
    tier_zero: Option<bool>,
    /// How long the replacing of a lost card can be contested, in milliseconds.
    #[arg(long, value_name = "MS")]
    recovery_delay_ms: Option<u64>,
    #[command(flatten)]
    proposal: ProposalArgs,
}

/// Options of `org own-policy`. What is not named stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct OwnPolicyArgs {
    /// Organization whose nodes hold copies of what this one authored (repeatable); they replace those of before.
    #[arg(long, value_name = "ORGANIZATION")]
    backup_partner: Vec<String>,
    /// Nobody else holds copies any more.
    #[arg(long, conflicts_with = "backup_partner")]
    no_backup_partners: bool,
    /// Whether its people open emergency summaries by the patient's card and their own alone.
    #[arg(long, value_name = "BOOL")]
    tier_zero: Option<bool>,
    #[command(flatten)]
    card: CardArgs,
}

impl PolicyArgs {
    /// What is named, by its name in the API.
    fn changes(&self) -> Vec<(&'static str, Value)> {
        let number = |name, value: Option<u64>| value.map(|v| (name, json!(v)));
        let numbers = [
            number("block_headers_max", self.block_headers_max),
            number("block_delay_ms", self.block_delay_ms),
            number("idle_block_ms", self.idle_block_ms),
            number("lease_ms", self.lease_ms),
            number("quota_bytes", self.quota_bytes),
            number("cooling_off_ms", self.cooling_off_ms),
            number("recovery_delay_ms", self.recovery_delay_ms),
        ];
        let switch = |name, value: Option<bool>| value.map(|v| (name, json!(v)));
        let switches = [switch("soft_cards", self.soft_cards), switch("tier_zero", self.tier_zero)];
        numbers.into_iter().chain(switches).flatten().collect()
    }
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
    /// Renew a node of this organization before its certificate ends; the key stays the same.
    Renew {
        /// Its id; this node's own where absent.
        node: Option<String>,
        /// Until then; two years from now where absent. A time, a date, or a span such as 90d.
        #[arg(long, value_name = "TIME", value_parser = time)]
        until: Option<String>,
        #[command(flatten)]
        card: CardArgs,
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

/// A file in base64.
pub(crate) fn encoded(path: &Path) -> Outcome<String> {
    std::fs::read(path).map(|bytes| BASE64.encode(&bytes)).map_err(|e| Failure::file(path, &e))
}

/// Writes the proposal of an answer to `out`.
fn keep(mut done: Done, out: Option<&Path>) -> Outcome<Done> {
    let filed = !text(&done.data, "filed").is_empty();
    let bytes = BASE64.decode(text(&done.data, "proposal").as_bytes()).unwrap_or_default();
    let Some(out) = out.filter(|_| !bytes.is_empty()) else { return Ok(done) };
    write(out, &bytes, Readers::Anyone).map_err(|e| Failure::file(out, &e))?;
    let mut shown = done.data.clone();
    if let Value::Object(all) = &mut shown {
        all.remove("proposal");
    }
    done.text = fields(&shown);
    if !filed {
        let file = out.display();
        done.text.push_str(&format!(
            "\nnext: others vote by `hospes org vote {file}`; then `hospes org file {file}`"
        ));
    }
    Ok(done)
}

fn policy(global: &Global, args: &PolicyArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.proposal.card)?;
    let mut fields =
        seat.client().get("/policies")?.get_mut("federation").map(Value::take).unwrap_or_default();
    let changes = args.changes();
    if changes.is_empty() {
        let text = super::show::fields(&fields);
        return Ok(Done::new(json!({"federation": fields}), text));
    }
    changes.into_iter().for_each(|(name, value)| fields[name] = value);
    propose_at(&seat, &args.proposal, &json!({"kind": "policy", "fields": fields}))
}

fn own_policy(global: &Global, args: &OwnPolicyArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let partners =
        (args.no_backup_partners || !args.backup_partner.is_empty()).then_some(&args.backup_partner);
    if partners.is_none() && args.tier_zero.is_none() {
        let set =
            seat.client().get("/policies")?.get_mut("organizations").map(Value::take).unwrap_or_default();
        let text = super::show::table(OWN_POLICIES, set.as_array().map_or(&[], Vec::as_slice));
        return Ok(Done::new(json!({"organizations": set}), text));
    }
    seat.act("/policies", &json!({"backup_partners": partners, "tier_zero": args.tier_zero}))
}

fn checkpoint(global: &Global, named: Option<(u64, &str)>, card: &CardArgs) -> Outcome<Done> {
    if let Some((height, block)) = named {
        let asked = json!({"height": height, "block": block});
        return Seat::take(global, card)?.act("/checkpoint", &asked);
    }
    let status = global.client()?.get("/status")?;
    let newest = json!({"height": status["height"], "block": status["block"], "time": status["block_time"]});
    let shown = fields(&newest);
    Ok(Done::new(newest, shown))
}

/// Proposes, and votes for it with this organization's card.
pub(super) fn propose(global: &Global, args: &ProposalArgs, body: &Value) -> Outcome<Done> {
    propose_at(&Seat::take(global, &args.card)?, args, body)
}

fn propose_at(seat: &Seat, args: &ProposalArgs, body: &Value) -> Outcome<Done> {
    let proposed = seat.client().post("/proposals", body)?;
    let voted = seat.act("/proposals/vote", &json!({"proposal": text(&proposed, "proposal")}))?;
    keep(voted, args.out.as_deref())
}

fn vote(global: &Global, file: &Path, vote_card: Option<&str>, card: &CardArgs) -> Outcome<Done> {
    let proposal = encoded(file)?;
    let seat = Seat::take(global, card)?;
    let with = vote_card.map(|name| seat.serial(name)).transpose()?;
    keep(seat.act("/proposals/vote", &json!({"proposal": proposal, "card": with}))?, Some(file))
}

fn show(global: &Global, file: &Path, card: &CardArgs) -> Outcome<Done> {
    let body = json!({"proposal": encoded(file)?});
    let mut said = Seat::take(global, card)?.client().post("/proposals/show", &body)?;
    if let Value::Object(all) = &mut said {
        all.remove("proposal");
    }
    let shown = fields(&said);
    Ok(Done::new(said, shown))
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
        OrgCommand::Invite { founding: file, proposal } => {
            let entry = BASE64.encode(&read_founding(file)?.organization.encode());
            propose(global, proposal, &json!({"kind": "admit-organization", "entry": entry}))
        }
        OrgCommand::Policy(args) => policy(global, args),
        OrgCommand::OwnPolicy(args) => own_policy(global, args),
        OrgCommand::Checkpoint { height, block, card } => {
            checkpoint(global, height.zip(block.as_deref()), card)
        }
        OrgCommand::Remove { organization, proposal } => {
            propose(global, proposal, &json!({"kind": "remove-organization", "organization": organization}))
        }
        OrgCommand::Proposal { file, card } => show(global, file, card),
        OrgCommand::Vote { file, vote_card, card } => vote(global, file, vote_card.as_deref(), card),
        OrgCommand::File { file, card } => {
            Seat::take(global, card)?.act("/proposals/file", &json!({"proposal": encoded(file)?}))
        }
    }
}

const OWN_POLICIES: &[(&str, &str)] =
    &[("ORGANIZATION", "organization"), ("BACKUP PARTNERS", "backup_partners"), ("TIER ZERO", "tier_zero")];

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
        NodeCommand::Renew { node, until, card } => {
            let seat = Seat::take(global, card)?;
            let own = seat.client().get("/status")?;
            let node = node.as_deref().unwrap_or(text(&own, "node"));
            seat.act(&format!("/nodes/{}/renew", quoted(node)), &json!({"expires": until}))
        }
        NodeCommand::Remove { node, proposal } => {
            propose(global, proposal, &json!({"kind": "remove-node", "node": node}))
        }
        NodeCommand::Validators { nodes, proposal } => {
            propose(global, proposal, &json!({"kind": "validator-set", "nodes": nodes}))
        }
    }
}
