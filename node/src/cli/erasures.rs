//! `hospes erasure`, and what `record erase` and `patient erase` order.

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome};
use super::client::quoted;

/// What of erasures.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ErasureCommand {
    /// Erasures: until when they can be taken back, and how many holders are done.
    List {
        #[command(flatten)]
        card: CardArgs,
    },
    /// Take an erasure back, by the patient's card.
    Withdraw {
        /// The erasure.
        erasure: String,
        #[command(flatten)]
        card: CardArgs,
    },
}

const ERASURES: &[(&str, &str)] = &[
    ("ERASURE", "content"),
    ("PATIENT", "patient"),
    ("STATE", "state"),
    ("NOT BEFORE", "not_before"),
    ("HOLDERS", "holders"),
    ("DONE", "done_by"),
];

/// `hospes erasure`.
pub(crate) fn run(global: &Global, command: &ErasureCommand) -> Outcome<Done> {
    match command {
        ErasureCommand::List { card } => list(global, card, "/erasures", "erasures", ERASURES),
        ErasureCommand::Withdraw { erasure, card } => {
            let path = format!("/erasures/{}/withdraw", quoted(erasure));
            Seat::take(global, card)?.act(&path, &json!({}))
        }
    }
}

/// Orders that records are erased, or everything where there are none.
///
/// # Errors
/// As the node refuses, or the tap ends.
pub(crate) fn order(global: &Global, card: &CardArgs, records: &[String]) -> Outcome<Done> {
    let body: Value =
        if records.is_empty() { json!({"everything": true}) } else { json!({"records": records}) };
    let mut done = Seat::take(global, card)?.act("/erasures", &body)?;
    done.text.push_str("\nIt can be taken back until its time: hospes erasure withdraw ERASURE.");
    Ok(done)
}
