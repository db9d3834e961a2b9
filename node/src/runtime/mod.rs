//! The runtime: starts the store, the service's thread and the network, and ties them together.
//!
//! It does IO and decides nothing. Called by the command line (`run`) and by tests; the API and the desk
//! reach the service through [`Handle`].

pub(crate) mod actor;
mod bridge;
mod scrub;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hospes_net::{AdmittedPeers, Multiaddr, NetConfig, NetError, PeerId};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{NetworkId, NodeId, OrganizationId};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::Event;
use hospes_service::service::{Fatal, Identity, Service};
use hospes_storage::{Ledger, Medium, Objects, Options, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha20Rng;
use tokio::sync::{broadcast, mpsc, oneshot};
use zeroize::Zeroizing;

pub(crate) use actor::Handle;
pub(crate) use scrub::Damages;

/// Events that a slow watcher may be behind before it misses some.
const WATCHED_EVENTS_MAX: usize = 4096;
/// How long listeners may take to come up.
const LISTEN_WAIT: Duration = Duration::from_secs(10);

/// What a node is started with.
pub(crate) struct Settings {
    /// The folder of the stores.
    pub(crate) data_dir: PathBuf,
    /// The network.
    pub(crate) genesis: Genesis,
    /// The node's organization.
    pub(crate) organization: OrganizationId,
    /// Ed25519 seed.
    pub(crate) signing: Zeroizing<[u8; 32]>,
    /// X25519 secret.
    pub(crate) agreement: Zeroizing<[u8; 32]>,
    /// Seals what lies at rest.
    pub(crate) at_rest: Zeroizing<[u8; 32]>,
    /// Where peers reach it.
    pub(crate) listen: Vec<Multiaddr>,
    /// Peers that are dialled and admitted whatever the ledger says.
    pub(crate) bootstrap: BTreeMap<PeerId, Vec<Multiaddr>>,
    /// Page cache of the stores, in MiB.
    pub(crate) cache_mib: usize,
}

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service.
    #[error(transparent)]
    Fatal(#[from] Fatal),
    /// The network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The system.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// A listener did not come up.
    #[error("not every address could be listened on within {} seconds", LISTEN_WAIT.as_secs())]
    Listening,
}

/// A node that runs.
pub(crate) struct Running {
    /// Reaches the service.
    pub(crate) service: Handle,
    /// The object store, for streaming.
    pub(crate) objects: Arc<dyn Objects>,
    /// Headers and blocks, for exports.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// What happens, for whoever watches.
    pub(crate) events: broadcast::Sender<Event>,
    /// Where peers reach it.
    pub(crate) listening: Vec<Multiaddr>,
    /// Its libp2p name.
    pub(crate) peer_id: PeerId,
    /// Its node id.
    pub(crate) node: NodeId,
    /// Its organization.
    pub(crate) organization: OrganizationId,
    /// The network.
    pub(crate) network: NetworkId,
    /// Hears why the service ended; null once that was heard.
    ended: Option<oneshot::Receiver<Option<Fatal>>>,
    store: Arc<Store>,
    scrub: scrub::Scrub,
    stop: oneshot::Sender<()>,
    bridge: tokio::task::JoinHandle<()>,
}

impl Running {
    /// What the background scrub found damaged.
    pub(crate) fn damages(&self) -> Damages {
        self.scrub.damages.clone()
    }

    /// Waits for the end of the service and gives why it ended: a null reason for an orderly end, null where it
    /// ended without a word.
    pub(crate) async fn ended(&mut self) -> Option<Option<Fatal>> {
        let why = match &mut self.ended {
            Some(ended) => ended.await.ok(),
            None => None,
        };
        self.ended = None;
        why
    }

    /// Ends the node in order: the network first, then the service, whose store closes with it.
    pub(crate) async fn stop(mut self) {
        let _ended = self.stop.send(());
        let _joined = self.bridge.await;
        drop(self.service);
        drop(self.scrub);
        if let Some(ended) = self.ended.take() {
            let _why = tokio::time::timeout(Duration::from_secs(4), ended).await;
        }
        self.store.close();
    }
}

/// Starts a node.
///
/// # Errors
/// [`StartError`]; nothing is left running after it.
pub(crate) async fn start(settings: Settings) -> Result<Running, StartError> {
    let network = settings.genesis.network();
    let store = Arc::new(open_store(&settings)?);
    let objects: Arc<dyn Objects> = store.clone();
    let ledger: Arc<dyn Ledger> = store.clone();
    let identity = Identity::new(&settings.signing, &settings.agreement, settings.organization);
    let node = identity.node;
    let service =
        Service::open(actor::clock_ms(), identity, &settings.genesis, store.clone(), objects.clone())?;
    let (effects_out, effects) = mpsc::unbounded_channel();
    let (service, ended) = actor::start(service, effects_out)?;
    let wanted = settings.listen.len();
    let net = hospes_net::spawn(net_config(&settings, network))?;
    let (peer_id, (events, _)) = (net.peer_id, broadcast::channel(WATCHED_EVENTS_MAX));
    let (heard, mut hear) = mpsc::unbounded_channel();
    let bridge = bridge::Bridge {
        net,
        service: service.clone(),
        objects: objects.clone(),
        effects,
        watchers: events.clone(),
        bootstrap: settings.bootstrap,
        me: peer_id,
        listening: heard,
    };
    let (stop, stopped) = oneshot::channel();
    let bridge = tokio::spawn(bridge.run(stopped));
    let listening = listeners(&mut hear, wanted).await?;
    Ok(Running {
        service,
        objects,
        ledger,
        events,
        listening,
        peer_id,
        node,
        organization: settings.organization,
        network,
        ended: Some(ended),
        scrub: scrub::start(store.clone())?,
        store,
        stop,
        bridge,
    })
}

fn rng() -> Result<ChaCha20Rng, StartError> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|e| StartError::Random(e.to_string()))
}

// A folder without a store is a new node's; one with half a store is an error, never begun again.
fn open_store(settings: &Settings) -> Result<Store, StartError> {
    let medium = Medium::Folder(settings.data_dir.clone());
    let options = Options {
        ledger_cache_bytes: settings.cache_mib * 1024 * 1024 / 4,
        objects_cache_bytes: settings.cache_mib * 1024 * 1024 * 3 / 4,
        ..Options::default()
    };
    match Store::open(&medium, &options, &settings.at_rest, Box::new(rng()?)) {
        Err(StoreError::Absent(_)) => {
            Ok(Store::create(&medium, &options, &settings.at_rest, Box::new(rng()?))?)
        }
        opened => Ok(opened?),
    }
}

fn net_config(settings: &Settings, network: NetworkId) -> NetConfig {
    let build = env!("CARGO_PKG_VERSION").to_owned();
    NetConfig {
        key: settings.signing.clone(),
        listen: settings.listen.clone(),
        network: network.0,
        hello: (hospes_protocol::entry::FORMAT, Bytes(build.into_bytes())).encode(),
        admitted: AdmittedPeers::new(settings.bootstrap.keys().copied().collect()),
        limits: hospes_net::Limits::default(),
    }
}

// An address with port 0 and host 0.0.0.0 may be heard of more than once; one each is enough.
async fn listeners(
    hear: &mut mpsc::UnboundedReceiver<Multiaddr>,
    wanted: usize,
) -> Result<Vec<Multiaddr>, StartError> {
    let mut listening = Vec::new();
    while listening.len() < wanted {
        let next = tokio::time::timeout(LISTEN_WAIT, hear.recv()).await;
        listening.push(next.ok().flatten().ok_or(StartError::Listening)?);
    }
    Ok(listening)
}
