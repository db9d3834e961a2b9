//! `hospes card`: the cards in the node's readers; new soft cards and their PINs, off line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hospes_card::soft::{Profile, SoftCard, SoftCardSpec};
use hospes_card::{Card as _, HolderKind, HolderLabel, Pin, Puk, Slot, UnblockError};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome, print};
use super::found::{keep_puk, new_pin, of_card};
use super::pins::{PinArgs, Pins, ask};
use super::place::absolute;
use super::show::{table, text};

/// Between two looks at the readers.
const POLL: Duration = Duration::from_millis(200);

/// What of cards.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum CardCommand {
    /// Cards in the node's readers.
    List,
    /// One of them, by serial, the beginning of one, or holder; or a soft card's file.
    Info {
        /// Which.
        card: String,
    },
    /// Make a soft card, off line.
    Create(CreateArgs),
    /// Change the PIN of a soft card, or unblock it with its PUK, off line.
    Pin(PinChange),
    /// Check that a soft card is whole and signs, without its PIN, off line.
    Test {
        /// The card's file.
        file: PathBuf,
    },
    /// Say when a card comes or goes, until Ctrl-C.
    Watch,
}

/// Options of `card create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The card's file; in a reader's folder it must end in `.card`.
    file: PathBuf,
    /// Whose card.
    #[arg(long, value_enum)]
    kind: Holder,
    /// What screens call it. Anyone can read it off the card, so a patient's should say no name.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,
    /// Algorithms of its keys.
    #[arg(long, value_enum, default_value = "p256")]
    keys: Keys,
    /// File that takes the PUK; else it is printed once.
    #[arg(long, value_name = "FILE")]
    puk_file: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
}

/// Options of `card pin`.
#[derive(Debug, clap::Args)]
pub(crate) struct PinChange {
    /// The card's file.
    file: PathBuf,
    /// Unblock with the PUK, which is asked for.
    #[arg(long)]
    unblock: bool,
}

/// Whose card.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Holder {
    /// A patient.
    Patient,
    /// A practitioner.
    Practitioner,
    /// Someone who acts for a patient.
    Proxy,
    /// A guardian of the break-glass keys.
    Guardian,
    /// An auditor.
    Auditor,
    /// An administrator.
    Administrator,
    /// A researcher.
    Researcher,
    /// An organization.
    Organization,
}

impl From<Holder> for HolderKind {
    fn from(holder: Holder) -> Self {
        match holder {
            Holder::Patient => Self::Patient,
            Holder::Practitioner => Self::Practitioner,
            Holder::Proxy => Self::Proxy,
            Holder::Guardian => Self::Guardian,
            Holder::Auditor => Self::Auditor,
            Holder::Administrator => Self::Administrator,
            Holder::Researcher => Self::Researcher,
            Holder::Organization => Self::Organization,
        }
    }
}

/// Algorithms of a card.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Keys {
    /// P-256 in every slot.
    P256,
    /// P-384 signs, P-256 agrees keys.
    P384,
    /// Ed25519 signs, X25519 agrees keys.
    Edwards,
}

/// A generator seeded by the operating system.
///
/// # Errors
/// Where it gives no random numbers.
pub(crate) fn rng() -> Outcome<ChaCha20Rng> {
    ChaCha20Rng::try_from_rng(&mut rand::rngs::SysRng).map_err(|e| {
        Failure::new(Exit::Failed, "random", format!("the system gives no random numbers: {e}"), "Try again.")
    })
}

/// `hospes card`.
pub(crate) fn run(global: &Global, command: &CardCommand) -> Outcome<Done> {
    match command {
        CardCommand::List => list(global),
        CardCommand::Info { card } if Path::new(card).is_file() => file_info(Path::new(card)),
        CardCommand::Info { card } => info(global, card),
        CardCommand::Create(args) => create(args),
        CardCommand::Pin(args) => change_pin(args),
        CardCommand::Test { file } => test(file),
        CardCommand::Watch => watch(global),
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("SERIAL", "serial"),
    ("HOLDER", "holder"),
    ("KIND", "kind"),
    ("READER", "reader"),
    ("TRIES", "tries_left"),
];

fn list(global: &Global) -> Outcome<Done> {
    let cards = global.client()?.list("/cards")?;
    let text = if cards.is_empty() { "No card is in a reader.".to_owned() } else { table(COLUMNS, &cards) };
    Ok(Done::new(json!({"cards": cards}), text))
}

/// The one card that `name` stands for: its serial, the beginning of it, or its holder.
///
/// # Errors
/// None, or several.
pub(crate) fn pick<'a>(cards: &'a [Value], name: Option<&str>) -> Outcome<&'a Value> {
    let fits = |card: &&Value| match name {
        None => true,
        Some(name) => {
            text(card, "holder") == name || (name.len() >= 4 && text(card, "serial").starts_with(name))
        }
    };
    let mut found = cards.iter().filter(fits);
    match (found.next(), found.next(), name) {
        (Some(card), None, _) => Ok(card),
        (None, _, None) => Err(absent("no card is in a reader")),
        (None, _, Some(name)) => Err(absent(&format!("no card of `{name}` is in a reader"))),
        (Some(_), Some(_), _) => {
            let next = "Name one with --card SERIAL; `hospes card list` shows them.";
            Err(Failure::usage("several cards are in the readers", next))
        }
    }
}

fn absent(message: &str) -> Failure {
    Failure::new(Exit::Unavailable, "card-absent", message, "Insert the card and try again.")
}

fn info(global: &Global, name: &str) -> Outcome<Done> {
    let cards = global.client()?.list("/cards")?;
    let card = pick(&cards, Some(name))?;
    Ok(Done::new(card.clone(), super::show::fields(card)))
}

fn soft(file: &Path) -> Outcome<SoftCard> {
    SoftCard::open(&absolute(file)).map_err(|e| of_card(&e))
}

fn file_info(file: &Path) -> Outcome<Done> {
    let info = soft(file)?.info().map_err(|e| of_card(&e))?;
    let data = json!({
        "serial": info.serial.to_string(),
        "kind": "soft",
        "holder": info.holder_label.as_ref().map(HolderLabel::as_str),
        "holder_kind": info.holder_kind.map(|k| format!("{k:?}").to_lowercase()),
        "network": info.network.map(|n| n.to_string()),
        "home_organization": info.home_organization.map(|o| o.to_string()),
        "tries_left": info.pin_tries_left,
        "puk_tries_left": info.puk_tries_left,
    });
    let text = super::show::fields(&data);
    Ok(Done::new(data, text))
}

fn create(args: &CreateArgs) -> Outcome<Done> {
    let mut spec = SoftCardSpec::new(args.kind.into());
    spec.profile = match args.keys {
        Keys::P256 => Profile::P256,
        Keys::P384 => Profile::P384,
        Keys::Edwards => Profile::Edwards,
    };
    if let Some(label) = &args.label {
        let wrong =
            || Failure::usage("a label has 1 to 64 bytes without control characters", "Choose another.");
        spec.holder_label = Some(HolderLabel::new(label).ok_or_else(wrong)?);
    }
    let pin = new_pin(&args.pins.open()?, args.label.as_deref().unwrap_or("the new card"))?;
    let mut rng = rng()?;
    let puk = Puk::generate(&mut rng);
    let card = spec.create(&absolute(&args.file), &pin, &puk, &mut rng).map_err(|e| of_card(&e))?;
    let (serial, puk) = (card.serial().to_string(), keep_puk(&puk, args.puk_file.as_deref())?);
    let mut text = format!("card {serial} (soft: a copy of its file is a second card)");
    if let Some(puk) = &puk {
        text.push_str(&format!("\nPUK, to be kept on paper: {puk}"));
    }
    Ok(Done::new(json!({"serial": serial, "file": args.file, "puk": puk}), text))
}

fn change_pin(args: &PinChange) -> Outcome<Done> {
    let mut card = soft(&args.file)?;
    let form =
        |e: hospes_card::PinForm| Failure::new(Exit::Failed, "pin-form", e.to_string(), "Type it again.");
    let secret = if args.unblock { ask("PUK: ")? } else { ask("PIN: ")? };
    let new = new_pin(&Pins::Prompt, "the card from now on")?;
    let mut rng = rng()?;
    if args.unblock {
        let unblocked = card.unblock(&Puk::new(&secret).map_err(form)?, &new, &mut rng);
        unblocked.map_err(|e| match e {
            UnblockError::Key(e) => of_card(&e),
            other => Failure::new(Exit::Denied, "wrong-puk", other.to_string(), "Check the letter."),
        })?;
    } else {
        let old = Pin::new(&secret).map_err(form)?;
        card.change_pin(&old, &new, &mut rng).map_err(|e| of_card(&e))?;
    }
    Ok(Done::new(json!({"serial": card.serial().to_string()}), "The PIN is changed."))
}

fn test(file: &Path) -> Outcome<Done> {
    let mut card = soft(file)?;
    let info = card.info().map_err(|e| of_card(&e))?;
    let challenge = crate::init::node_key::random::<32>().map_err(|e| Failure::file(file, &e))?;
    let signature = card.sign(Slot::CardAuthentication, &challenge[..]).map_err(|e| of_card(&e))?;
    let proven = info.card_authentication.is_some_and(|k| k.verify(&challenge[..], &signature).is_ok());
    if !proven {
        return Err(Failure::new(
            Exit::Corrupt,
            "card-damaged",
            "the card signs with another key",
            "Replace it.",
        ));
    }
    let data = json!({"serial": info.serial.to_string(), "tries_left": info.pin_tries_left});
    Ok(Done::new(data, format!("The card is whole. PIN tries left: {}.", info.pin_tries_left)))
}

fn watch(global: &Global) -> Outcome<Done> {
    let client = global.client()?;
    let mut before: Vec<Value> = Vec::new();
    loop {
        let now = client.list("/cards")?;
        let tell = |what: &str, card: &Value| {
            if global.json {
                print(&json!({"event": what, "card": card}).to_string());
            } else {
                print(&format!("{what}: {} {}", text(card, "serial"), text(card, "holder")));
            }
        };
        let in_list = |list: &[Value], card: &Value| list.iter().any(|c| c["serial"] == card["serial"]);
        now.iter().filter(|c| !in_list(&before, c)).for_each(|c| tell("inserted", c));
        before.iter().filter(|c| !in_list(&now, c)).for_each(|c| tell("removed", c));
        before = now;
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_named_by_holder_or_by_the_beginning_of_its_serial() {
        let cards =
            [json!({"serial": "aabbccdd", "holder": "Ada"}), json!({"serial": "aabb0000", "holder": "Ben"})];
        assert_eq!(pick(&cards, Some("Ben")).unwrap()["serial"], "aabb0000", "by holder");
        assert_eq!(pick(&cards, Some("aabbcc")).unwrap()["holder"], "Ada", "by serial");
        assert_eq!(pick(&cards, Some("aabb")).unwrap_err().exit, Exit::Usage, "of two");
        assert_eq!(pick(&cards, Some("Eve")).unwrap_err().exit, Exit::Unavailable, "not in");
        assert_eq!(pick(&[], None).unwrap_err().exit, Exit::Unavailable, "no card at all");
        assert!(pick(&cards[..1], None).is_ok(), "the only one needs no name");
    }
}
