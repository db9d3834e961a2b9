//! `hospes breakglass committee`: the committees that guard emergency access, and their keys.

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat};
use super::answer::{Done, Outcome};
use super::members::{ProposalArgs, propose};
use super::show::{fields, table, text};

/// What of committees.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CommitteeCommand {
    /// Propose a committee; more than two thirds of the organizations must vote for it.
    Propose(ProposeArgs),
    /// Set this hospital's own committee, which opens without a line, by the organization's card and the witness card.
    Set(SetArgs),
    /// Committees, or those of one name: stage, who is missing, until when.
    Show {
        /// The name; the beginning of one is enough.
        name: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// A guardian's card does whatever it owes in all ceremonies that run.
    Tap {
        #[command(flatten)]
        card: CardArgs,
    },
}

/// Options of `breakglass committee propose`.
#[derive(Debug, clap::Args)]
pub(crate) struct ProposeArgs {
    /// `summary`, `full` or `ledger`.
    name: String,
    /// A guardian's id, in the order of the shares; once for each.
    #[arg(long = "guardian", value_name = "PERSON", conflicts_with = "validators")]
    guardians: Vec<String>,
    /// The validators of today; for `ledger`.
    #[arg(long)]
    validators: bool,
    /// Shares needed: 2 where absent, 3 for `full`, more than two thirds for `ledger`.
    #[arg(long, value_name = "N")]
    needed: Option<u64>,
    /// Members that must prove their shares before the key stands: all guardians, or as many validators as are needed.
    #[arg(long, value_name = "N")]
    provers: Option<u64>,
    /// Blocks that each of the four phases takes.
    #[arg(long, value_name = "N", default_value_t = 72)]
    phase_blocks: u64,
    /// Make a new key although one stands: what was sealed to that one is not opened by it.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    proposal: ProposalArgs,
}

/// Options of `breakglass committee set`.
#[derive(Debug, clap::Args)]
pub(crate) struct SetArgs {
    /// It is this hospital's own; the federation's are proposed and voted on.
    #[arg(long, required = true)]
    local: bool,
    /// A guardian's id, one of this hospital's people; once for each, in the order of the shares.
    #[arg(long = "guardian", value_name = "PERSON", required = true)]
    guardians: Vec<String>,
    /// The witness card in a reader: serial, the beginning of one, or holder.
    #[arg(long, value_name = "CARD")]
    witness_card: String,
    /// Shares needed; 2 where absent.
    #[arg(long, value_name = "N")]
    needed: Option<u64>,
    /// Members that must prove their shares before the key stands; all where absent.
    #[arg(long, value_name = "N")]
    provers: Option<u64>,
    /// Blocks that each of the four phases takes.
    #[arg(long, value_name = "N", default_value_t = 72)]
    phase_blocks: u64,
    /// Make a new key although one stands: what was sealed to that one is not opened by it.
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    card: CardArgs,
}

fn set(global: &Global, args: &SetArgs) -> Outcome<Done> {
    let seat = Seat::take(global, &args.card)?;
    let body = json!({
        "guardians": args.guardians,
        "witness_card": seat.serial(&args.witness_card)?,
        "shares_needed": args.needed,
        "provers_needed": args.provers,
        "phase_blocks": args.phase_blocks,
        "fresh": args.fresh,
    });
    seat.act("/committees", &body)
}

fn propose_committee(global: &Global, args: &ProposeArgs) -> Outcome<Done> {
    let body = json!({
        "kind": "committee",
        "name": args.name,
        "guardians": args.guardians,
        "shares_needed": args.needed,
        "provers_needed": args.provers,
        "phase_blocks": args.phase_blocks,
        "fresh": args.fresh,
    });
    propose(global, &args.proposal, &body)
}

const COLUMNS: &[(&str, &str)] = &[
    ("NAME", "name"),
    ("STAGE", "stage"),
    ("COUNTS", "counts"),
    ("NEEDED", "shares_needed"),
    ("MISSING", "missing_names"),
    ("UNTIL", "until"),
    ("YOU OWE", "owed"),
];

fn named(member: &Value) -> String {
    let number = text(member, "register_number");
    let who = if number.is_empty() { text(member, "id") } else { number };
    format!("{who} ({})", text(member, "organization"))
}

fn show(global: &Global, name: Option<&str>, card: &CardArgs) -> Outcome<Done> {
    let mut rows = Seat::take(global, card)?.client().list("/committees")?;
    rows.retain(|row| name.is_none_or(|name| text(row, "name").starts_with(name)));
    let mut shown = rows.clone();
    for row in &mut shown {
        let missing = row["missing"].as_array().map(|all| all.iter().map(named).collect::<Vec<_>>());
        row["missing_names"] = json!(missing.unwrap_or_default());
    }
    let text = if rows.is_empty() { "There are no committees.".to_owned() } else { table(COLUMNS, &shown) };
    Ok(Done::new(json!({"committees": rows}), text))
}

fn tap(global: &Global, card: &CardArgs) -> Outcome<Done> {
    let mut done = Seat::take(global, card)?.act("/committees/tap", &json!({}))?;
    let did = done.data["did"].as_array().cloned().unwrap_or_default();
    if did.is_empty() {
        done.text = "This card owes nothing to any committee now.".to_owned();
        return Ok(done);
    }
    let line = |did: &Value| format!("{}: {}", text(did, "name"), text(did, "act"));
    let lines: Vec<_> = did.iter().map(line).collect();
    let rest = json!({"entries": done.data["entries"], "finality": done.data["finality"]});
    done.text = format!("{}\n{}", lines.join("\n"), fields(&rest));
    Ok(done)
}

/// `hospes breakglass committee`.
pub(crate) fn run(global: &Global, command: &CommitteeCommand) -> Outcome<Done> {
    match command {
        CommitteeCommand::Propose(args) => propose_committee(global, args),
        CommitteeCommand::Set(args) => set(global, args),
        CommitteeCommand::Show { name, card } => show(global, name.as_deref(), card),
        CommitteeCommand::Tap { card } => tap(global, card),
    }
}
