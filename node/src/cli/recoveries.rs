//! `hospes patient recover`: a lost card without its printed code, from the notice to the new card.

use serde_json::{Value, json};

use super::Global;
use super::acts::{CardArgs, Seat, list};
use super::answer::{Done, Outcome};
use super::client::{query, quoted};
use super::show::text;

/// What of a lost card.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum RecoverCommand {
    /// Give notice that a new card takes the lost one's place; the cards of this organization and of another must be in, and
    /// the new one.
    Notice {
        /// The pseudonym.
        patient: String,
        /// The new card: serial, the beginning of one, or holder.
        #[arg(long, value_name = "CARD")]
        new_card: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Notices about a patient's cards: the own, or of a patient at home here.
    List {
        /// The pseudonym.
        patient: Option<String>,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Contest a notice, by the lost card or this organization's.
    Contest {
        /// The notice.
        notice: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Ask three guardians for the way back, once the notice's delay is over; they approve it by breakglass approve.
    Request {
        /// The notice.
        notice: String,
        #[command(flatten)]
        card: CardArgs,
    },
    /// Put the new card in the lost one's place, once guardians released it.
    Finish {
        /// The notice.
        notice: String,
        #[command(flatten)]
        card: CardArgs,
    },
}

const NOTICES: &[(&str, &str)] =
    &[("NOTICE", "notice"), ("PATIENT", "patient"), ("STATE", "state"), ("DUE", "due")];

/// `hospes patient recover`.
pub(crate) fn run(global: &Global, command: &RecoverCommand) -> Outcome<Done> {
    let act = |notice: &str, end: &str, card: &CardArgs| {
        Seat::take(global, card)?.act(&format!("/recoveries/{}{end}", quoted(notice)), &json!({}))
    };
    match command {
        RecoverCommand::Notice { patient, new_card, card } => notice(global, patient, new_card, card),
        RecoverCommand::List { patient, card } => {
            let path = format!("/recoveries{}", query(&[("patient", patient.clone())]));
            list(global, card, &path, "notices", NOTICES)
        }
        RecoverCommand::Contest { notice, card } => act(notice, "/contest", card),
        RecoverCommand::Request { notice, card } => act(notice, "/request", card),
        RecoverCommand::Finish { notice, card } => act(notice, "/finish", card),
    }
}

fn notice(global: &Global, patient: &str, new_card: &str, card: &CardArgs) -> Outcome<Done> {
    let seat = Seat::take(global, card)?;
    let body = json!({"patient": patient, "card": seat.serial(new_card)?});
    let mut done = seat.act("/recoveries", &body)?;
    if !text(&done.data, "recovery_code").is_empty() {
        let hours = done.data.get("delay_ms").and_then(Value::as_u64).unwrap_or(0).div_ceil(3_600_000);
        done.text.push_str(&format!(
            "\nPrint the recovery code for the patient: it is shown this once.\nIt can be contested for {hours} hours."
        ));
    }
    Ok(done)
}
