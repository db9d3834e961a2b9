//! `hospes card`: the cards in the node's readers; soft cards and their PINs, by file or in a reader of the node.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hospes_card::pcsc::PcscReader;
use hospes_card::smart::SmartCardSpec;
use hospes_card::soft::{Profile, SoftCard, SoftCardSpec};
use hospes_card::{Card, CardInfo, CardKind, HolderKind, HolderLabel, Pin, Puk, Slot, UnblockError};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome, print};
use super::client::Client;
use super::factory::enrol_factory_card;
use super::found::{keep_puk, new_pin, of_card};
use super::interrupt::on_interrupt;
use super::pins::{PinArgs, Pins, ask, passphrase};
use super::place::absolute;
use super::reached::{self, pcsc, place_of, reader};
use super::show::{table, text};
use crate::config::place::ReaderPlace;
use crate::desk::Vouched;
use crate::words;

/// Between two looks at the readers.
const POLL: Duration = Duration::from_millis(200);
/// How long a node may take to see a card that was put into its reader.
const NOTICED_MAX: Duration = Duration::from_secs(10);

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
    /// Make a card for a person at this desk, in a reader of the running node: a soft one, or a PIV or OpenPGP card from the
    /// factory.
    Enrol(EnrolArgs),
    /// Change the PIN of a card, or unblock it with its PUK.
    Pin(PinChange),
    /// Check that a card is whole and signs, without its PIN.
    Test {
        /// Its file, off line; or serial, the beginning of one, or holder of a card in the node's readers.
        card: String,
    },
    /// Say when a card comes or goes, until Ctrl-C.
    Watch,
}

/// Options of `card create`.
#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The card's file; in a reader's folder it must end in `.card`.
    file: PathBuf,
    #[command(flatten)]
    new: NewCard,
}

/// Options of `card enrol`.
#[derive(Debug, clap::Args)]
pub(crate) struct EnrolArgs {
    /// The node's reader, where it has several, as `hospes card list` names it.
    #[arg(long, value_name = "READER")]
    reader: Option<String>,
    #[command(flatten)]
    new: NewCard,
}

/// A card to make. Its keys are made on it; PIN and PUK are the holder's.
#[derive(Debug, clap::Args)]
pub(crate) struct NewCard {
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
    #[arg(long, value_name = "FILE", conflicts_with = "own_puk_file")]
    puk_file: Option<PathBuf>,
    /// File whose first line is the PUK that the holder chose; else one is made.
    #[arg(long, value_name = "FILE")]
    own_puk_file: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
}

/// Options of `card pin`.
#[derive(Debug, clap::Args)]
pub(crate) struct PinChange {
    /// The card's file, off line; or serial, the beginning of one, or holder of a card in the node's readers.
    card: String,
    /// Unblock with the PUK.
    #[arg(long, conflicts_with_all = ["pin_file", "pin_fd"])]
    unblock: bool,
    /// File whose first line is the PUK; else it is asked for.
    #[arg(long, value_name = "FILE", requires = "unblock")]
    puk_file: Option<PathBuf>,
    /// File whose first line is the PIN from now on; else it is asked for.
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
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
        CardCommand::Enrol(args) => enrol(global, args),
        CardCommand::Pin(args) => change_pin(global, args),
        CardCommand::Test { card } => test(global, &mut *reached::card(global, card)?),
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

pub(super) fn absent(message: &str) -> Failure {
    Failure::new(
        Exit::Unavailable,
        "card-absent",
        message,
        "Insert the card and try again; `hospes card list` shows those that are in.",
    )
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
    let (serial, puk) = make(&absolute(&args.file), &args.new)?;
    Ok(made(&args.file, &serial, puk.as_deref()))
}

impl NewCard {
    fn profile(&self) -> Profile {
        match self.keys {
            Keys::P256 => Profile::P256,
            Keys::P384 => Profile::P384,
            Keys::Edwards => Profile::Edwards,
        }
    }

    fn holder_label(&self) -> Outcome<Option<HolderLabel>> {
        let Some(label) = &self.label else { return Ok(None) };
        let wrong =
            || Failure::usage("a label has 1 to 64 bytes without control characters", "Choose another.");
        HolderLabel::new(label).ok_or_else(wrong).map(Some)
    }

    /// PIN and PUK: the holder's, or a PUK that is made.
    fn codes(&self, rng: &mut ChaCha20Rng) -> Outcome<(Pin, Puk)> {
        let pin = new_pin(&self.pins.open()?, self.label.as_deref().unwrap_or("the new card"))?;
        let puk = match &self.own_puk_file {
            Some(file) => puk_in(file)?,
            None => Puk::generate(rng),
        };
        Ok((pin, puk))
    }

    /// The PUK where it is to be printed: who chose it knows it.
    fn printed(&self, puk: &Puk) -> Outcome<Option<String>> {
        if self.own_puk_file.is_some() { Ok(None) } else { keep_puk(puk, self.puk_file.as_deref()) }
    }
}

/// Makes a soft card; its serial, and its PUK where that is to be printed.
fn make(file: &Path, new: &NewCard) -> Outcome<(String, Option<String>)> {
    let mut spec = SoftCardSpec::new(new.kind.into());
    spec.profile = new.profile();
    spec.holder_label = new.holder_label()?;
    let mut rng = rng()?;
    let (pin, puk) = new.codes(&mut rng)?;
    let card = spec.create(file, &pin, &puk, &mut rng).map_err(|e| of_card(&e))?;
    Ok((card.serial().to_string(), new.printed(&puk)?))
}

/// Makes the card from the factory that is in a PC/SC reader somebody's.
fn enrol_smart(global: &Global, reader: &PcscReader, new: &NewCard) -> Outcome<Done> {
    let spec = SmartCardSpec {
        profile: new.profile(),
        holder_kind: new.kind.into(),
        holder_label: new.holder_label()?,
        network: None,
        home_organization: None,
    };
    let mut rng = rng()?;
    let (pin, puk) = new.codes(&mut rng)?;
    // The PUK is in safe hands before it is on the card.
    let printed = new.printed(&puk)?;
    let (mut card, info) = enrol_factory_card(reader, &spec, (&pin, &puk), &mut rng)?;
    let vouched = vouched(global, &mut card);
    let serial = info.serial.to_string();
    let client = global.client()?;
    // The card is made whatever the node sees, and this is where its PUK is told.
    let seen = client.post("/cards/look", &json!({})).and_then(|_| noticed(&client, &serial));
    let mut text = format!("card {serial}");
    if seen.is_err() {
        text.push_str("; take it out and put it in again");
    }
    let maker = vouched.as_ref().ok().map(|vouched| {
        text.push_str(&format!("\n{}", vouched_text(vouched)));
        words::vouched(vouched)
    });
    if let Some(puk) = &printed {
        text.push_str(&format!("\nPUK, to be kept on paper: {puk}"));
    }
    Ok(Done::new(json!({"serial": serial, "puk": printed, "maker": maker}), text))
}

fn made(file: &Path, serial: &str, puk: Option<&str>) -> Done {
    let mut text = format!("card {serial} (soft: a copy of its file is a second card)");
    if let Some(puk) = puk {
        text.push_str(&format!("\nPUK, to be kept on paper: {puk}"));
    }
    Done::new(json!({"serial": serial, "file": file, "puk": puk}), text)
}

/// The first line of a file.
fn line_in(file: &Path) -> Outcome<Zeroizing<String>> {
    let bytes = passphrase(file)?;
    let text = std::str::from_utf8(&bytes).map(str::to_owned).map(Zeroizing::new);
    text.map_err(|_| Failure::usage(format!("{}: not text", file.display()), "Write it as plain text."))
}

fn puk_in(file: &Path) -> Outcome<Puk> {
    Puk::new(&line_in(file)?).map_err(|e| pin_form(&e))
}

fn pin_form(error: &hospes_card::PinForm) -> Failure {
    Failure::new(Exit::Failed, "pin-form", error.to_string(), "Choose another.")
}

fn enrol(global: &Global, args: &EnrolArgs) -> Outcome<Done> {
    let client = global.client()?;
    let readers = client.list("/readers")?;
    let folder = match place_of(global, reader(&readers, args.reader.as_deref())?)? {
        ReaderPlace::Folder(folder) => folder,
        ReaderPlace::Pcsc(name) => return enrol_smart(global, &pcsc(global, &name)?, &args.new),
    };
    let file = free_file(&folder, args.new.label.as_deref())?;
    let (serial, puk) = make(&file, &args.new)?;
    noticed(&client, &serial)?;
    Ok(made(&file, &serial, puk.as_deref()))
}

/// Waits until the node has seen a new card.
fn noticed(client: &Client, serial: &str) -> Outcome<()> {
    let begun = Instant::now();
    while !client.list("/cards")?.iter().any(|card| text(card, "serial") == serial) {
        if begun.elapsed() > NOTICED_MAX {
            let next = "`hospes card list` shows what the node sees; `hospes doctor` looks at its readers.";
            let message = format!("card {serial} is made, and the node's reader does not see it");
            return Err(Failure::new(Exit::Unavailable, "card-unseen", message, next));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

/// A file of that name, or of that name and a number, that is not there yet.
fn free_file(reader: &Path, label: Option<&str>) -> Outcome<PathBuf> {
    let kept = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let stem: String = label.unwrap_or("card").chars().map(kept).collect();
    let names = (1..1000).map(|n| if n == 1 { format!("{stem}.card") } else { format!("{stem}-{n}.card") });
    let free = names.map(|name| reader.join(name)).find(|path| !path.exists());
    free.ok_or_else(|| Failure::usage("the reader is full of cards of that label", "Choose another --label."))
}

fn change_pin(global: &Global, args: &PinChange) -> Outcome<Done> {
    let changed = change(global, args);
    if !Path::new(&args.card).is_file()
        && let Ok(client) = global.client()
    {
        // The node shows tries left; if it can't look now, it does when the card comes in again.
        let _stale = client.post("/cards/look", &json!({}));
    }
    changed
}

fn change(global: &Global, args: &PinChange) -> Outcome<Done> {
    let mut card = reached::card(global, &args.card)?;
    let info = card.info().map_err(|e| of_card(&e))?;
    let serial = info.serial.to_string();
    let label = info.holder_label.as_ref().map_or("the card", HolderLabel::as_str);
    let mut rng = rng()?;
    if args.unblock {
        let puk = match &args.puk_file {
            Some(file) => puk_in(file)?,
            None => Puk::new(&ask("PUK: ")?).map_err(|e| pin_form(&e))?,
        };
        card.unblock(&puk, &pin_from_now_on(args)?, &mut rng).map_err(|e| match e {
            UnblockError::Key(e) => of_card(&e),
            other => Failure::new(Exit::Denied, "wrong-puk", other.to_string(), "Check the letter."),
        })?;
    } else {
        let old = Pin::new(&args.pins.open()?.of(&[label, &serial])?).map_err(|e| pin_form(&e))?;
        card.change_pin(&old, &pin_from_now_on(args)?, &mut rng).map_err(|e| of_card(&e))?;
    }
    Ok(Done::new(json!({"serial": serial}), "The PIN is changed."))
}

fn pin_from_now_on(args: &PinChange) -> Outcome<Pin> {
    match &args.new_pin_file {
        Some(file) => Pin::new(&line_in(file)?).map_err(|e| pin_form(&e)),
        None => new_pin(&Pins::Prompt, "the card from now on"),
    }
}

/// What the maker of a card vouches for, by the makers of the configuration.
fn vouched(global: &Global, card: &mut dyn Card) -> Outcome<Vouched> {
    let makers = reached::makers(&global.config(Vec::new())?)?;
    makers.judge(card).map_err(|e| of_card(&e))
}

/// The same for people.
fn vouched_text(vouched: &Vouched) -> String {
    match vouched {
        Ok(said) => format!("Attested: {}", words::card_number(said)),
        Err(why) => format!("Unattested: {why}"),
    }
}

fn test(global: &Global, card: &mut dyn Card) -> Outcome<Done> {
    let info = card.info().map_err(|e| of_card(&e))?;
    let proven = prove_presence(&info, card)?;
    let vouched = vouched(global, card)?;
    let data = json!({"serial": info.serial.to_string(), "tries_left": info.pin_tries_left, "proven": proven, "maker": words::vouched(&vouched)});
    let found = if proven {
        "The card is whole."
    } else {
        "The card answers; all its keys need the PIN, so none was tried."
    };
    let text = format!("{found} PIN tries left: {}. {}.", info.pin_tries_left, vouched_text(&vouched));
    Ok(Done::new(data, text))
}

/// Has the card sign a challenge with the key that needs no PIN; false if it has none, as OpenPGP cards.
fn prove_presence(info: &CardInfo, card: &mut dyn Card) -> Outcome<bool> {
    if info.card_authentication.is_none() && info.kind == CardKind::OpenPgp {
        return Ok(false);
    }
    let challenge = crate::init::node_key::random::<32>().map_err(|e| {
        Failure::new(Exit::Failed, "random", format!("the system gives no random numbers: {e}"), "Try again.")
    })?;
    let signature = card.sign(Slot::CardAuthentication, &challenge[..]).map_err(|e| of_card(&e))?;
    let key = info.card_authentication.as_ref();
    if key.is_some_and(|key| key.verify(&challenge[..], &signature).is_ok()) {
        return Ok(true);
    }
    Err(Failure::new(Exit::Corrupt, "card-damaged", "the card signs with another key", "Replace it."))
}

fn watch(global: &Global) -> Outcome<Done> {
    let client = global.client()?;
    // Ctrl-C ends it also where whoever started it has the signal ignored.
    let _until = on_interrupt(|| ());
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
