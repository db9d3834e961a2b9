//! `hospes run`: the node, from its configuration to its orderly end.
//!
//! One line on stdout says that it is ready; logs go to stderr. It decides nothing; the runtime, the desk and the
//! API do the work.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hospes_service::service::Fatal;
use hospes_storage::{Family, StoreError};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use zeroize::Zeroizing;

use super::Global;
use super::answer::{Exit, Failure, Outcome, conclude, note, print};
use super::pins::{ask, passphrase};
use super::place::address_file;
use super::reached;
use crate::api::{NodeFacts, Parts, Serving, serve};
use crate::config::{Config, Overrides, Setting};
use crate::desk::{Desk, DeskParts, Readers as CardReaders};
use crate::durable::{Readers, write};
use crate::init::network::{self, read_genesis};
use crate::init::node_key::{NodeKey, NodeKeyError};
use crate::runtime::{Running, Settings, StartError, start};

/// How long an end may take before the process goes anyway; every store survives that.
const END_MAX: Duration = Duration::from_millis(4500);

/// Options of `run`; each beats the environment and the file.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// Multiaddress where peers reach this node (repeatable).
    #[arg(long, value_name = "MULTIADDR")]
    p2p: Vec<String>,
    /// Multiaddress of a peer, with /p2p/PEER (repeatable).
    #[arg(long, value_name = "MULTIADDR")]
    bootstrap: Vec<String>,
    /// Folder that serves as a reader of soft cards, or pcsc:NAME (repeatable).
    #[arg(long, value_name = "READER")]
    reader: Vec<String>,
    /// File whose first line opens the node key.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<String>,
    /// text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
    /// error, warn, info, debug, trace, or a filter.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl RunArgs {
    fn overrides(&self) -> Overrides {
        let list =
            |key, values: &Vec<String>| (!values.is_empty()).then(|| (key, Setting::Texts(values.clone())));
        let one = |key, value: &Option<String>| value.clone().map(|v| (key, Setting::Text(v)));
        let all = [
            list("p2p.listen", &self.p2p),
            list("p2p.bootstrap", &self.bootstrap),
            list("card.readers", &self.reader),
            one("node.passphrase_file", &self.passphrase_file),
            one("log.format", &self.log_format),
            one("log.level", &self.log_level),
        ];
        all.into_iter().flatten().collect()
    }
}

impl From<NodeKeyError> for Failure {
    fn from(error: NodeKeyError) -> Self {
        let (exit, code, next) = match &error {
            NodeKeyError::Absent(_) => (Exit::Failed, "no-node", "Make a node: hospes init --help"),
            NodeKeyError::System { .. } => (Exit::Failed, "file", "Check the path and its permissions."),
            NodeKeyError::Damaged(_) => {
                (Exit::Corrupt, "node-key-damaged", "Put a copy back, or make a new node.")
            }
            NodeKeyError::PassphraseNeeded => {
                (Exit::Denied, "passphrase-needed", "Give --passphrase-file FILE.")
            }
            NodeKeyError::WrongPassphrase => (Exit::Denied, "wrong-passphrase", "Check the passphrase file."),
        };
        Self::new(exit, code, error.to_string(), next)
    }
}

fn of_store(error: &StoreError) -> Failure {
    let message = error.to_string();
    if matches!(error, StoreError::Locked { .. }) {
        let next = "Use the node that runs, or stop it first.";
        return Failure::new(Exit::Unavailable, "locked", message, next);
    }
    if matches!(error, StoreError::Full) {
        let next = "Free some space on the disk of the data folder, then start again.";
        return Failure::new(Exit::Unavailable, "storage-full", message, next);
    }
    match error.family() {
        Family::Rejected => Failure::new(Exit::Failed, "store", message, "Run `hospes doctor`."),
        Family::Unavailable => Failure::new(Exit::Unavailable, "store", message, "Run `hospes doctor`."),
        Family::Fatal => {
            let next =
                "Keep the folder as it is. Other nodes hold the ledger: make a new node and let it catch up.";
            Failure::new(Exit::Corrupt, "store-corrupt", message, next)
        }
    }
}

fn of_fatal(error: &Fatal) -> Failure {
    match error {
        Fatal::Store(store) => of_store(store),
        Fatal::Contradiction(_) => {
            Failure::new(Exit::Corrupt, "ledger-contradiction", error.to_string(), "Run `hospes doctor`.")
        }
        Fatal::Engine(_) => {
            Failure::new(Exit::Failed, "consensus-halted", error.to_string(), "Start the node again.")
        }
    }
}

fn of_start(error: &StartError) -> Failure {
    match error {
        StartError::Store(store) => of_store(store),
        StartError::Fatal(fatal) => of_fatal(fatal),
        StartError::Net(_) | StartError::Listening => {
            let next = "Free the address, or choose another one with --p2p.";
            Failure::new(Exit::Unavailable, "listen", error.to_string(), next)
        }
        StartError::System(_) | StartError::Random(_) => {
            Failure::new(Exit::Failed, "system", error.to_string(), "Run `hospes doctor`.")
        }
    }
}

/// What a test wants to fail in this process.
#[cfg(feature = "failpoints")]
fn choose_what_fails() {
    let Ok(text) = std::env::var("HOSPES_FAILPOINT") else { return };
    if hospes_protocol::failpoints::set(&text, || std::process::abort()).is_err() {
        note(&format!("there is no fail point {text}"));
        std::process::exit(2);
    }
}

/// `hospes run`; gives the exit code.
pub(crate) fn run(global: &Global, args: &RunArgs) -> ExitCode {
    let prepared = prepare(global, args);
    let (config, settings, sealed) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => return conclude(global.json, Err(failure)),
    };
    log(&config);
    #[cfg(feature = "failpoints")]
    choose_what_fails();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            let failure = Failure::new(Exit::Failed, "system", e.to_string(), "Run `hospes doctor`.");
            return conclude(global.json, Err(failure));
        }
    };
    let ended = runtime.block_on(node(global, &config, settings, sealed));
    // Blocking card operations may be under way; they hold nothing that must be written.
    runtime.shutdown_background();
    ended
}

/// RFC 3339, UTC, three digits of the second: six would now and then look like a clinical code.
struct ToTheMillisecond;

impl tracing_subscriber::fmt::time::FormatTime for ToTheMillisecond {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{:.3}", jiff::Timestamp::now())
    }
}

fn log(config: &Config) {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.log_level).unwrap_or_default();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(ToTheMillisecond);
    let set = if config.log_json { builder.json().try_init() } else { builder.with_ansi(false).try_init() };
    if let Err(error) = set {
        note(&format!("logs cannot be set up: {error}"));
    }
}

fn opened_key(config: &Config, data_dir: &Path) -> Outcome<NodeKey> {
    let from_file = config.passphrase_file.as_deref().map(passphrase).transpose()?;
    match NodeKey::read(data_dir, from_file.as_ref().map(|p| &p[..])) {
        Err(NodeKeyError::PassphraseNeeded) if std::io::stdin().is_terminal() => {
            let typed = ask("Passphrase of the node key: ")?;
            let bytes = Zeroizing::new(typed.as_bytes().to_vec());
            Ok(NodeKey::read(data_dir, Some(&bytes))?)
        }
        read => Ok(read?),
    }
}

fn prepare(global: &Global, args: &RunArgs) -> Outcome<(Config, Settings, bool)> {
    let data_dir = global.folder()?;
    let config = global.config(args.overrides())?;
    let key = opened_key(&config, &data_dir)?;
    let path = network::path(&data_dir);
    if !path.exists() {
        let next = "Put the network's genesis in place: hospes init --join GENESIS";
        return Err(Failure::new(Exit::Failed, "no-network", "this node is in no network yet", next));
    }
    let settings = Settings {
        genesis: read_genesis(&path)?,
        data_dir,
        organization: key.organization,
        signing: key.signing,
        agreement: key.agreement,
        at_rest: key.at_rest,
        listen: config.p2p.clone(),
        bootstrap: config.bootstrap.clone(),
        cache_mib: config.cache_mib,
    };
    Ok((config, settings, key.sealed))
}

/// What runs, from its start to its end.
struct Node {
    running: Running,
    serving: Serving,
}

async fn node(global: &Global, config: &Config, settings: Settings, sealed: bool) -> ExitCode {
    let address = address_file(&settings.data_dir);
    // Before anyone is told that the node is ready, and may end it.
    let started = match Signals::new() {
        Ok(signals) => begin(config, settings, sealed).await.map(|node| (node, signals)),
        Err(failure) => Err(failure),
    };
    let (mut node, mut signals) = match started {
        Ok(started) => started,
        Err(failure) => return conclude(global.json, Err(failure)),
    };
    let said = said(&node);
    if let Err(error) = write(&address, node.serving.address.to_string().as_bytes(), Readers::Anyone) {
        tracing::warn!(%error, "the address of the API could not be written: commands need --api");
    }
    print(&said.to_string());
    // Whoever reads the line waits for it.
    let _closed = std::io::stdout().flush();
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!(%error, "no service manager was told");
    }
    let ended = signals.until_end(&mut node.running).await;
    let _untold = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    // A node that is gone says nowhere where it listens; a leftover is found by its silence.
    let _leftover = std::fs::remove_file(&address);
    if tokio::time::timeout(END_MAX, node.stop()).await.is_err() {
        tracing::warn!("something did not end in time; the stores are consistent all the same");
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => conclude(false, Err(failure)),
    }
}

fn said(node: &Node) -> serde_json::Value {
    json!({
        "ready": true,
        "api": format!("http://{}", node.serving.address),
        "p2p": node.running.listening.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "peer_id": node.running.peer_id.to_string(),
    })
}

async fn begin(config: &Config, settings: Settings, sealed: bool) -> Outcome<Node> {
    let readers = CardReaders::open(&config.readers, &config.pcscd).map_err(|e| {
        let next = "Make the folders of card.readers, or run `hospes doctor --repair`.";
        Failure::new(Exit::Failed, "reader", e.to_string(), next)
    })?;
    let makers = reached::makers(config)?;
    let genesis = settings.genesis.clone();
    let running = start(settings).await.map_err(|e| of_start(&e))?;
    let mut warnings = Vec::new();
    if !sealed {
        warnings.push("The node key lies unsealed: whoever has the disk has it.".to_owned());
    }
    let desk = Desk::new(DeskParts {
        service: running.service.clone(),
        objects: running.objects.clone(),
        readers,
        makers,
        network: running.network,
        node: running.node,
        organization: running.organization,
    });
    let parts = Parts {
        desk,
        service: running.service.clone(),
        objects: running.objects.clone(),
        ledger: running.ledger.clone(),
        genesis,
        node: NodeFacts {
            network: running.network,
            node: running.node,
            organization: running.organization,
            peer_id: running.peer_id.to_string(),
            p2p: running.listening.iter().map(ToString::to_string).collect(),
            warnings,
            damages: running.damages(),
        },
    };
    match serve(config.api, parts, running.events.subscribe()).await {
        Ok(serving) => Ok(Node { running, serving }),
        Err(error) => {
            running.stop().await;
            let next = "Free the address, or choose another one with --api.";
            Err(Failure::new(Exit::Unavailable, "listen", error.to_string(), next))
        }
    }
}

impl Node {
    async fn stop(self) {
        self.serving.stop().await;
        self.running.stop().await;
    }
}

/// What ends a node from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Outcome<Self> {
        let system =
            |e: std::io::Error| Failure::new(Exit::Failed, "system", e.to_string(), "Start the node again.");
        let (terminate, interrupt) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        // A limit to the size of files is met as a full disk, not by dying of its signal.
        let too_large = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
        let _unread = signal(too_large).map_err(system)?;
        Ok(Self { terminate: terminate.map_err(system)?, interrupt: interrupt.map_err(system)? })
    }

    /// Waits for SIGTERM, SIGINT, or the end of the service.
    async fn until_end(&mut self, running: &mut Running) -> Outcome<()> {
        tokio::select! {
            _ = self.terminate.recv() => Ok(()),
            _ = self.interrupt.recv() => Ok(()),
            ended = running.ended() => match ended {
                Some(None) => Ok(()),
                Some(Some(fatal)) => Err(of_fatal(&fatal)),
                None => {
                    let (message, next) = ("the service ended without a word", "Look at the log, then start again.");
                    Err(Failure::new(Exit::Failed, "service", message, next))
                }
            },
        }
    }
}
