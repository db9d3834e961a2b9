//! `hospes init`: its options, and founding a node. Off line.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use hospes_card::pcsc::PcscReader;
use hospes_card::smart::SmartCardSpec;
use hospes_card::soft::{Profile, SoftCard};
use hospes_card::{Card, HolderKind, HolderLabel, Pin, Puk};
use hospes_net::{Multiaddr, peer_id_of};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{NodeId, sha256};
use hospes_protocol::keys::{KeyError, VerifyingKey};
use hospes_protocol::wire::Wire as _;
use serde_json::json;

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome};
use super::factory::enrol_factory_card;
use super::networks::{join, new_network, place};
use super::pins::{PinArgs, Pins, ask, passphrase};
use super::place::absolute;
use super::reached;
use crate::config::place::ReaderPlace;
use crate::durable::{Readers, write, write_new};
use crate::init::founding::Founding;
use crate::init::network::{NetworkError, combine};
use crate::init::node_key::{self, NodeKey};
use crate::init::{Founder, InitError, found, name_organization, new_organization_card};

/// Where a founding file is in a data folder.
pub(crate) const FOUNDING: &str = "founding.cbor";

/// Options of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Three steps make a network of several organizations:
  hospes init --organization NAME --org-card CARD --new-card --p2p ADDR --found-only   (each)
  hospes init --found a.cbor b.cbor c.cbor d.cbor --network NAME --out genesis.cbor    (one of them)
  hospes init --join genesis.cbor                                                      (each)
Without --found-only the first of them makes a network of one.")]
pub(crate) struct InitArgs {
    /// Public name of the organization that runs the node.
    #[arg(long, value_name = "NAME", requires = "org_card", conflicts_with_all = ["found", "join"])]
    organization: Option<String>,
    /// The organization's card: the file of a soft one, or `pcsc:NAME` for the card in that reader.
    #[arg(long, value_name = "FILE|pcsc:NAME", requires = "organization")]
    org_card: Option<ReaderPlace>,
    /// Make that card; in a reader, of one from the factory.
    #[arg(long, requires = "org_card")]
    new_card: bool,
    /// File that takes the PUK of the new card; else it is printed once.
    #[arg(long, value_name = "FILE", requires = "new_card")]
    puk_file: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
    /// Signed accreditation of the organization; its SHA-256 goes into the entry.
    #[arg(long, value_name = "FILE", requires = "organization")]
    accreditation: Option<PathBuf>,
    /// Multiaddress on which the node listens (repeatable).
    #[arg(long, value_name = "MULTIADDR", requires = "organization")]
    p2p: Vec<Multiaddr>,
    /// Multiaddress under which peers dial it, where that is another one (repeatable).
    #[arg(long, value_name = "MULTIADDR", requires = "organization")]
    announce: Vec<Multiaddr>,
    /// Reader of the node: a folder of soft cards, or `pcsc:NAME` (repeatable).
    #[arg(long, value_name = "DIR|pcsc:NAME", requires = "organization")]
    reader: Vec<ReaderPlace>,
    /// The node may hold emergency summaries for the whole federation.
    #[arg(long, requires = "organization")]
    emergency: bool,
    /// File whose first line seals the node key.
    #[arg(long, value_name = "FILE", requires = "organization")]
    passphrase_file: Option<PathBuf>,
    /// The folder holds a node already, put back from a copy: give it a new key, as a new node.
    #[arg(long, requires = "organization", conflicts_with_all = ["new_card", "network", "found_only"])]
    new_key: bool,
    /// Only write the founding file: others make the network.
    #[arg(long, requires = "organization")]
    found_only: bool,
    /// Founding files of validators.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "out", conflicts_with = "join")]
    pub(crate) found: Vec<PathBuf>,
    /// Founding files of nodes that follow without voting.
    #[arg(long, value_name = "FILE", num_args = 1.., requires = "found")]
    pub(crate) replica: Vec<PathBuf>,
    /// Name of the network.
    #[arg(long, value_name = "NAME")]
    pub(crate) network: Option<String>,
    /// Where the genesis file is written.
    #[arg(long, value_name = "FILE", requires = "found")]
    pub(crate) out: Option<PathBuf>,
    /// Genesis file of the network that this node joins.
    #[arg(long, value_name = "FILE")]
    join: Option<PathBuf>,
}

impl From<InitError> for Failure {
    fn from(error: InitError) -> Self {
        let (exit, code, next) = match &error {
            InitError::Card(e) => return of_card(e),
            InitError::CardKeys => (Exit::Failed, "card-keys", "Use a card with keys in 9C and 9D."),
            InitError::Name => (Exit::Usage, "usage", "Choose another name."),
            InitError::Key(_) | InitError::System(_) => (Exit::Failed, "node-key", "Check the data folder."),
        };
        Self::new(exit, code, error.to_string(), next)
    }
}

impl From<NetworkError> for Failure {
    fn from(error: NetworkError) -> Self {
        let next = "Have the file sent again, and compare its SHA-256 with its author.";
        Self::new(Exit::Failed, "network", error.to_string(), next)
    }
}

/// The failure that a card's error is.
pub(crate) fn of_card(error: &KeyError) -> Failure {
    let (exit, code, next) = match error {
        KeyError::Absent => (Exit::Unavailable, "card-absent", "Check the card's path, or insert it."),
        KeyError::Removed => (Exit::Unavailable, "card-removed", "Insert the card and try again."),
        KeyError::PinNeeded => (Exit::Denied, "pin-needed", "Give the PIN."),
        KeyError::WrongPin { .. } => (Exit::Denied, "wrong-pin", "Check the PIN before the card blocks."),
        KeyError::PinBlocked => (Exit::Denied, "pin-blocked", "Unblock it with the PUK."),
        KeyError::PukBlocked => (Exit::Denied, "puk-blocked", "Replace the card."),
        KeyError::Busy(_) => (Exit::Unavailable, "card-busy", "Close the other program and try again."),
        KeyError::Unsupported(_) => (Exit::Failed, "card-unsupported", "Use another card."),
        KeyError::Failed(_) => (Exit::Failed, "card-failed", "Check the card's file and folder."),
    };
    Failure::new(exit, code, error.to_string(), next)
}

/// `hospes init`.
pub(crate) fn run(global: &Global, args: &InitArgs) -> Outcome<Done> {
    match (&args.organization, &args.join, args.found.is_empty()) {
        (Some(name), ..) => new_node(global, args, name),
        (None, Some(genesis), _) => join(&global.folder()?, genesis),
        (None, None, false) => new_network(args),
        (None, None, true) => {
            let next = "`hospes init --help` shows the three steps.";
            Err(Failure::usage("say what to make: --organization, --found or --join", next))
        }
    }
}

/// Milliseconds since 1970 UTC by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A PIN for a new card: from a file, or typed twice.
pub(crate) fn new_pin(pins: &Pins, holder: &str) -> Outcome<Pin> {
    let typed = pins.of(&[holder])?;
    if pins.can_ask_again() && *ask("Once more: ")? != *typed {
        return Err(Failure::usage("the two PINs differ", "Run the command again."));
    }
    Pin::new(&typed).map_err(|e| Failure::usage(e.to_string(), "Choose another PIN."))
}

/// Gives a new card's PUK to its file, or to whoever reads the output.
pub(crate) fn keep_puk(puk: &Puk, file: Option<&Path>) -> Outcome<Option<String>> {
    let printed = puk.to_printed();
    let Some(path) = file else { return Ok(Some(printed.to_string())) };
    let line = zeroize::Zeroizing::new(format!("{}\n", printed.as_str()));
    write_new(path, line.as_bytes(), Readers::Owner).map_err(|e| Failure::file(path, &e))?;
    Ok(None)
}

fn make_folders(data_dir: &Path) -> Outcome<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    let keys = data_dir.join("keys");
    builder.create(&keys).map_err(|e| Failure::file(&keys, &e))
}

fn refuse_second(data_dir: &Path) -> Outcome<()> {
    if node_key::path(data_dir).exists() {
        let message = format!("{} holds a node already", data_dir.display());
        return Err(Failure::new(Exit::Failed, "exists", message, "Choose another --data-dir."));
    }
    Ok(())
}

/// The organization's card, its PIN, and the PUK of a new one where that is to be printed.
fn open_card(global: &Global, args: &InitArgs, name: &str) -> Outcome<(Box<dyn Card>, Pin, Option<String>)> {
    let missing = || Failure::usage("--org-card is missing", "Name the card's file or reader.");
    let place = args.org_card.clone().ok_or_else(missing)?;
    match (place, args.new_card) {
        (ReaderPlace::Folder(file), true) => {
            let pin = new_pin(&args.pins.open()?, name)?;
            let (card, puk) = new_organization_card(&file, name, &pin, &mut super::cards::rng()?)?;
            Ok((Box::new(card), pin, keep_puk(&puk, args.puk_file.as_deref())?))
        }
        (ReaderPlace::Pcsc(reader), true) => new_card_in(&reached::pcsc(global, &reader)?, args, name),
        (ReaderPlace::Folder(file), false) => {
            with_pin(args, name, Box::new(SoftCard::open(&file).map_err(|e| of_card(&e))?))
        }
        (ReaderPlace::Pcsc(reader), false) => {
            with_pin(args, name, Box::new(reached::pcsc(global, &reader)?.handle()))
        }
    }
}

/// Makes the card from the factory that is in a reader the organization's.
fn new_card_in(
    reader: &PcscReader,
    args: &InitArgs,
    name: &str,
) -> Outcome<(Box<dyn Card>, Pin, Option<String>)> {
    let label = HolderLabel::new(name).ok_or(InitError::Name)?;
    let pin = new_pin(&args.pins.open()?, name)?;
    let mut rng = super::cards::rng()?;
    let puk = Puk::generate(&mut rng);
    let spec = SmartCardSpec {
        profile: Profile::P256,
        holder_kind: HolderKind::Organization,
        holder_label: Some(label),
        network: None,
        home_organization: None,
    };
    // The PUK is in safe hands before it is on the card.
    let printed = keep_puk(&puk, args.puk_file.as_deref())?;
    let (mut card, _) = enrol_factory_card(reader, &spec, (&pin, &puk), &mut rng)?;
    name_organization(&mut card, &pin, &mut rng)?;
    Ok((Box::new(card), pin, printed))
}

fn with_pin(
    args: &InitArgs,
    name: &str,
    mut card: Box<dyn Card>,
) -> Outcome<(Box<dyn Card>, Pin, Option<String>)> {
    let info = card.info().map_err(|e| of_card(&e))?;
    let serial = info.serial.to_string();
    let label = info.holder_label.as_ref().map_or(name, HolderLabel::as_str);
    let pin = args.pins.open()?.of(&[label, &serial])?;
    let pin = Pin::new(&pin).map_err(|e| Failure::usage(e.to_string(), "Give the card's PIN."))?;
    Ok((card, pin, None))
}

fn accreditation(args: &InitArgs) -> Outcome<Option<[u8; 32]>> {
    let Some(path) = &args.accreditation else { return Ok(None) };
    let bytes = std::fs::read(path).map_err(|e| Failure::file(path, &e))?;
    Ok(Some(sha256(&[&bytes])))
}

fn new_node(global: &Global, args: &InitArgs, name: &str) -> Outcome<Done> {
    let data_dir = global.folder()?;
    if !args.new_key {
        refuse_second(&data_dir)?;
    }
    let passphrase = args.passphrase_file.as_deref().map(passphrase).transpose()?;
    let accreditation = accreditation(args)?;
    let emergency = args.emergency || global.config(Vec::new())?.emergency;
    let (mut card, pin, puk) = open_card(global, args, name)?;
    let addresses = if args.announce.is_empty() { &args.p2p } else { &args.announce };
    let founder = Founder { name, accreditation, addresses, emergency, now: now_ms() };
    if args.new_key {
        return super::new_key::renew(&data_dir, &founder, (card, pin), passphrase.as_ref());
    }
    let (founding, key) = found(&founder, card.as_mut(), &pin)?;
    make_folders(&data_dir)?;
    configure(global, args, &data_dir)?;
    let file = data_dir.join(FOUNDING);
    write(&file, &founding.encode(), Readers::Anyone).map_err(|e| Failure::file(&file, &e))?;
    let genesis = if args.found_only { None } else { Some(network_of_one(args, name, &founding)?) };
    if let Some(genesis) = &genesis {
        place(&data_dir, genesis)?;
    }
    // Last: without a key the folder holds no node, and the command can be run again.
    key.write(&data_dir, passphrase.as_ref().map(|p| &p[..])).map_err(InitError::from)?;
    Ok(described(&data_dir, &founding, &key, passphrase.is_some(), genesis.as_ref(), puk))
}

fn network_of_one(args: &InitArgs, name: &str, founding: &Founding) -> Outcome<Genesis> {
    let network = args.network.as_deref().unwrap_or(name);
    Ok(combine(network, now_ms(), std::slice::from_ref(founding), &[])?)
}

// Only what was said goes into the file; everything else keeps its default.
fn configure(global: &Global, args: &InitArgs, data_dir: &Path) -> Outcome<()> {
    let path = data_dir.join(crate::config::FILE);
    if path.exists() {
        return Ok(());
    }
    let text = |list: Vec<String>| toml::Value::from(list).to_string();
    let absolute = |p: &PathBuf| absolute(p).display().to_string();
    let mut out = String::from("# `hospes config show` lists every key.\n");
    if let Some(api) = &global.api {
        out.push_str(&format!("\n[api]\nlisten = {}\n", toml::Value::from(api.as_str())));
    }
    if !args.p2p.is_empty() {
        let list = args.p2p.iter().map(ToString::to_string).collect();
        out.push_str(&format!("\n[p2p]\nlisten = {}\n", text(list)));
    }
    if !args.reader.is_empty() {
        let places = args.reader.iter().map(ToString::to_string).collect();
        out.push_str(&format!("\n[card]\nreaders = {}\n", text(places)));
    }
    if let Some(file) = &args.passphrase_file {
        out.push_str(&format!("\n[node]\npassphrase_file = {}\n", toml::Value::from(absolute(file))));
    }
    write_new(&path, out.as_bytes(), Readers::Anyone).map_err(|e| Failure::file(&path, &e))
}

fn peer_id(key: &VerifyingKey) -> Option<String> {
    peer_id_of(key.as_bytes().try_into().ok()?).map(|p| p.to_string())
}

fn described(
    data_dir: &Path,
    founding: &Founding,
    key: &NodeKey,
    sealed: bool,
    genesis: Option<&Genesis>,
    puk: Option<String>,
) -> Done {
    let node = NodeId(founding.node.key.id().0);
    let mut warnings = Vec::new();
    if !sealed {
        warnings.push("The node key lies unsealed: whoever has the disk has it. Use --passphrase-file.");
    }
    if founding.node.addresses.is_empty() {
        warnings.push("No address that peers can dial was given: the node will dial them.");
    }
    let data = json!({
        "data_dir": data_dir,
        "organization": key.organization.to_string(),
        "node": node.to_string(),
        "peer_id": peer_id(&founding.node.key),
        "founding": data_dir.join(FOUNDING),
        "addresses": founding.node.addresses,
        "network": genesis.map(|g| g.network().to_string()),
        "sealed": sealed,
        "puk": puk,
        "warnings": warnings,
    });
    let mut text = format!("node {node}\norganization {}\nfiles {}", key.organization, data_dir.display());
    if let Some(puk) = &puk {
        text.push_str(&format!("\nPUK of the new card, to be kept on paper: {puk}"));
    }
    warnings.iter().for_each(|w| text.push_str(&format!("\nwarning: {w}")));
    let next = match genesis {
        Some(_) => "\nnext: hospes run".to_owned(),
        None => format!("\nnext: send {} to whoever makes the genesis", data_dir.join(FOUNDING).display()),
    };
    text.push_str(&next);
    Done::new(data, text)
}
