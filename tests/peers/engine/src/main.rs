//! The consensus engine's own full stack under an application that does nothing: four validators in one process, its
//! network over loopback, its WAL synced. Prints how many blocks a second a quorum of them decides.
//!
//! `hospes-peer-engine BLOCKS FOLDER`; `hospes bench --peers tests/peers` builds and runs it.
//!
//! Deliberately at its best: values travel in the proposal, nothing is executed and nothing stored beside the WAL.

mod codec;
mod context;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use eyre::{OptionExt, Result, eyre};
use malachite_app_channel::app::config::NodeConfig;
use malachite_app_channel::app::net::Multiaddr;
use malachite_app_channel::app::types::Keypair;
use malachite_app_channel::app::types::codec::Codec;
use malachite_app_channel::{
    AppMsg, Channels, ConsensusContext, EngineBuilder, NetworkContext, NetworkIdentity, RequestContext,
    WalContext,
};
use malachite_config::{ConsensusConfig, P2pConfig, ValuePayload, ValueSyncConfig};
use malachite_core_types::{HeightParams, LinearTimeouts};
use malachite_engine::host::{LocallyProposedValue, Next};
use malachite_signing::Signer;
use malachite_signing_ed25519::PrivateKey;
use tokio::sync::watch;

use codec::Borsh;
use context::{Address, AnyKey, Empty, Height, Key, Validators, Value};

const VALIDATORS: u8 = 4;
/// Blocks before the clock starts.
const WARM_UP: u64 = 5;
/// So many decide; who missed a message while the network came up stays behind, as synchronisation is off.
const QUORUM: usize = 3;
/// What the network has to come up.
const MEETING: Duration = Duration::from_secs(3);
/// How long everything may take.
const PATIENCE: Duration = Duration::from_secs(300);

struct Config {
    consensus: ConsensusConfig,
    sync: ValueSyncConfig,
}

impl NodeConfig for Config {
    fn moniker(&self) -> &str {
        "peer"
    }
    fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }
    fn consensus_mut(&mut self) -> &mut ConsensusConfig {
        &mut self.consensus
    }
    fn value_sync(&self) -> &ValueSyncConfig {
        &self.sync
    }
    fn value_sync_mut(&mut self) -> &mut ValueSyncConfig {
        &mut self.sync
    }
}

fn key(i: u8) -> PrivateKey {
    PrivateKey::from([i + 1; 32])
}

/// Free ports on loopback: bound once together, then given back.
fn addresses() -> Result<Vec<Multiaddr>> {
    let sockets = (0..VALIDATORS).map(|_| std::net::TcpListener::bind("127.0.0.1:0"));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    let address =
        |s: &std::net::TcpListener| Ok(format!("/ip4/127.0.0.1/tcp/{}", s.local_addr()?.port()).parse()?);
    sockets.iter().map(address).collect()
}

fn config(i: u8, addresses: &[Multiaddr]) -> Config {
    let others = (0..VALIDATORS).zip(addresses).filter(|(other, _)| *other != i);
    let p2p = P2pConfig {
        listen_addr: addresses[usize::from(i)].clone(),
        persistent_peers: others.map(|(_, address)| address.clone()).collect(),
        ..P2pConfig::default()
    };
    let consensus =
        ConsensusConfig { p2p, value_payload: ValuePayload::ProposalOnly, ..ConsensusConfig::default() };
    Config { consensus, sync: ValueSyncConfig { enabled: false, ..ValueSyncConfig::default() } }
}

/// Starts a validator; its application tells each height that it has decided.
async fn start(i: u8, addresses: &[Multiaddr], folder: &PathBuf, decided: watch::Sender<u64>) -> Result<()> {
    let (consensus, network) = (key(i), Keypair::ed25519_from_bytes([100 + i; 32])?);
    let peer = network.public().to_peer_id().to_bytes();
    let key = Key(consensus.clone());
    let proof = key.sign_validator_proof(consensus.public_key().as_bytes().to_vec(), peer).await;
    let proof = Borsh.encode(&proof.map_err(|e| eyre!("{e}"))?)?;
    let identity = NetworkIdentity::new_validator(format!("peer{i}"), network, i.to_string(), proof);
    let context = ConsensusContext::new_validator(Address(i), Box::new(AnyKey), Box::new(Key(consensus)));
    let (channels, _engine) = EngineBuilder::new(Empty, config(i, addresses))
        .with_default_wal(WalContext::new(folder.join(format!("{i}.wal")), Borsh))
        .with_default_network(NetworkContext::new(identity, Borsh))
        .with_no_sync()
        .with_default_consensus(context)
        .with_default_request(RequestContext::new(100))
        .build()
        .await?;
    tokio::spawn(application(channels, decided));
    Ok(())
}

fn params() -> HeightParams<Empty> {
    let keys: Vec<_> = (0..VALIDATORS).map(key).collect();
    HeightParams::new(Validators::of(&keys), LinearTimeouts::default(), None)
}

/// Agrees to everything, at once. An answer that nobody waits for any more is of no use to anybody.
async fn application(mut channels: Channels<Empty>, decided: watch::Sender<u64>) {
    while let Some(asked) = channels.consensus.recv().await {
        match asked {
            AppMsg::ConsensusReady { reply } => {
                tokio::time::sleep(MEETING).await;
                drop(reply.send((Height(1), params())));
            }
            AppMsg::StartedRound { reply_value, .. } => drop(reply_value.send(Vec::new())),
            AppMsg::GetValue { height, round, reply, .. } => {
                drop(reply.send(LocallyProposedValue::new(height, round, Value(height.0))));
            }
            AppMsg::Decided { certificate, reply, .. } => {
                decided.send_replace(certificate.height.0);
                let _unheard = reply.send(());
            }
            AppMsg::Finalized { certificate, reply, .. } => {
                drop(reply.send(Next::Start(Height(certificate.height.0 + 1), params())));
            }
            AppMsg::GetHistoryMinHeight { reply } => drop(reply.send(Height(1))),
            AppMsg::GetDecidedValues { reply, .. } => drop(reply.send(Vec::new())),
            AppMsg::ReceivedProposalPart { reply, .. } => drop(reply.send(None)),
            AppMsg::ExtendVote { reply, .. } => drop(reply.send(None)),
            AppMsg::RestreamProposal { .. }
            | AppMsg::VerifyVoteExtensions { .. }
            | AppMsg::ProcessSyncedValue { .. } => {}
        }
    }
}

/// Waits until a quorum has decided a height.
async fn quorum_at(height: u64, decided: &[watch::Receiver<u64>]) {
    while decided.iter().filter(|of| *of.borrow() >= height).count() < QUORUM {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn run(blocks: u64, folder: PathBuf) -> Result<f64> {
    let (addresses, mut decided) = (addresses()?, Vec::new());
    for i in 0..VALIDATORS {
        let (send, receive) = watch::channel(0);
        start(i, &addresses, &folder, send).await?;
        decided.push(receive);
    }
    quorum_at(WARM_UP, &decided).await;
    let since = Instant::now();
    quorum_at(WARM_UP + blocks, &decided).await;
    Ok(blocks as f64 / since.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let blocks = args.next().ok_or_eyre("how many blocks?")?.parse()?;
    let folder = args.next().ok_or_eyre("in which folder?")?.into();
    println!("{:.3}", tokio::time::timeout(PATIENCE, run(blocks, folder)).await??);
    Ok(())
}
