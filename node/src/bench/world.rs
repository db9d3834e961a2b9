//! A network of validators in this process: real stores in temporary folders, real TCP on loopback.

use std::path::Path;

use hospes_net::Multiaddr;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyFields, Standing};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{NodeId, OrganizationId};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::wire::Wire;
use hospes_storage::{Medium, Options, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::row::{Failed, failed};
use crate::runtime::actor::clock_ms;
use crate::runtime::{Running, Settings, start};

/// Nodes, in the order in which they were started, and the folders that they live in.
pub(super) struct World {
    pub(super) nodes: Vec<Running>,
    pub(super) genesis: Genesis,
    addresses: Vec<Multiaddr>,
    folders: Vec<TempDir>,
}

/// The card of organization `i`.
pub(super) fn card(i: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[10 + i; 32])
}

/// The key of node `i`.
fn signer(i: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[50 + i; 32])
}

fn id(i: u8) -> NodeId {
    NodeId(signer(i).verifying_key().id().0)
}

fn organization(i: u8) -> OrganizationEntry {
    let card = card(i).verifying_key();
    OrganizationEntry {
        organization: organization_id(card.as_bytes()),
        name: format!("Bench {i}"),
        cards: vec![card],
        agreement: Vec::new(),
        accreditation: [1; 32],
        standing: Standing::Active,
    }
}

fn node(i: u8, address: &Multiaddr) -> NodeEntry {
    NodeEntry {
        key: signer(i).verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[90 + i; 32]).agreement_key(),
        organization: organization(i).organization,
        emergency: false,
        addresses: vec![address.to_string()],
        expires: u64::MAX,
        standing: Standing::Active,
    }
}

/// Free ports on loopback: bound once together, then given back.
fn addresses(n: u8) -> Result<Vec<Multiaddr>, Failed> {
    let sockets: Vec<_> = (0..n)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let port = |s: &std::net::TcpListener| s.local_addr().map(|a| a.port()).map_err(failed);
    sockets.iter().map(|s| format!("/ip4/127.0.0.1/tcp/{}", port(s)?).parse().map_err(failed)).collect()
}

/// The first `validators` of the nodes decide.
fn genesis(addresses: &[Multiaddr], validators: u8, policy: PolicyFields) -> Result<Genesis, Failed> {
    let indexes = || 0..u8::try_from(addresses.len()).unwrap_or(u8::MAX);
    let mut organizations: Vec<_> = indexes().map(organization).collect();
    organizations.sort_by_key(|o| o.organization);
    let mut nodes: Vec<_> = indexes().zip(addresses).map(|(i, a)| node(i, a)).collect();
    nodes.sort_by_key(|n| n.key.id());
    let mut validators: Vec<_> = (0..validators).map(id).collect();
    validators.sort_unstable();
    let genesis = Genesis {
        format: FORMAT,
        name: "bench".into(),
        time: clock_ms(),
        organizations,
        nodes,
        validators,
        policy,
    };
    Genesis::read(&genesis.encode()).map_err(failed)
}

fn settings(i: u8, genesis: &Genesis, address: &Multiaddr, folder: &Path) -> Settings {
    Settings {
        data_dir: folder.to_owned(),
        genesis: genesis.clone(),
        organization: organization(i).organization,
        signing: Zeroizing::new([50 + i; 32]),
        agreement: Zeroizing::new([90 + i; 32]),
        at_rest: Zeroizing::new([i; 32]),
        listen: vec![address.clone()],
        bootstrap: std::collections::BTreeMap::new(),
        cache_mib: 64,
    }
}

impl World {
    /// Starts `n` validators and waits until each has met all others.
    pub(super) async fn start(n: u8) -> Result<Self, Failed> {
        Self::under(default_policy(), n).await
    }

    /// The same, under a policy.
    pub(super) async fn under(policy: PolicyFields, n: u8) -> Result<Self, Failed> {
        let mut world = Self::found(policy, n, n)?;
        for i in 0..n {
            world.join(i).await?;
        }
        world.meet().await?;
        Ok(world)
    }

    /// A network of `n` nodes, of which the first `validators` decide; none of them runs.
    pub(super) fn found(policy: PolicyFields, validators: u8, n: u8) -> Result<Self, Failed> {
        Self::found_behind(policy, validators, n, |listen| Ok(listen.to_vec()))
    }

    /// The same, where `lines` says at which addresses peers find what listens at these.
    pub(super) fn found_behind(
        policy: PolicyFields,
        validators: u8,
        n: u8,
        lines: impl FnOnce(&[Multiaddr]) -> Result<Vec<Multiaddr>, Failed>,
    ) -> Result<Self, Failed> {
        let addresses = addresses(n)?;
        let genesis = genesis(&lines(&addresses)?, validators, policy)?;
        let folders = (0..n).map(|_| tempfile::tempdir()).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Self { nodes: Vec::new(), genesis, addresses, folders })
    }

    /// Lets `write` fill the store of a node before it first starts, with the keys of the validators.
    pub(super) fn fill<T>(
        &self,
        i: u8,
        write: impl FnOnce(&Store, Vec<(NodeId, SoftwareSigner)>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let settings = self.settings(i)?;
        let (medium, rng) = (Medium::Folder(settings.data_dir), Box::new(ChaCha20Rng::seed_from_u64(1)));
        let store = Store::create(&medium, &Options::default(), &settings.at_rest, rng).map_err(failed)?;
        let validators = &self.genesis.validators;
        let numbers = (0..u8::try_from(self.addresses.len()).map_err(failed)?).map(|i| (id(i), signer(i)));
        write(&store, numbers.filter(|(id, _)| validators.contains(id)).collect())
    }

    /// Starts node `i`.
    pub(super) async fn join(&mut self, i: u8) -> Result<(), Failed> {
        self.nodes.push(start(self.settings(i)?).await.map_err(failed)?);
        Ok(())
    }

    fn settings(&self, i: u8) -> Result<Settings, Failed> {
        let place = self.addresses.get(usize::from(i)).zip(self.folders.get(usize::from(i)));
        let (address, folder) = place.ok_or_else(|| failed("there is no such node"))?;
        Ok(settings(i, &self.genesis, address, folder.path()))
    }

    async fn meet(&self) -> Result<(), Failed> {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        for node in &self.nodes {
            while node.service.call(|s| s.peer_count()).await.map_err(failed)? + 1 < self.nodes.len() {
                if tokio::time::Instant::now() > deadline {
                    return Err(failed("the validators did not meet within 20 seconds"));
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        Ok(())
    }

    /// The organization of node `i`.
    pub(super) fn organization(&self, i: u8) -> OrganizationId {
        organization(i).organization
    }

    /// Where the first node keeps its stores.
    pub(super) fn folder(&self) -> &Path {
        self.folders[0].path()
    }

    /// Ends the first node, and gives how many milliseconds it then takes to start over the stores in `folder`.
    pub(super) async fn restart(&mut self, folder: &Path) -> Result<f64, Failed> {
        self.nodes.remove(0).stop().await;
        let settings = settings(0, &self.genesis, &self.addresses[0], folder);
        let since = std::time::Instant::now();
        self.nodes.insert(0, start(settings).await.map_err(failed)?);
        Ok(since.elapsed().as_secs_f64() * 1000.0)
    }

    /// Ends all nodes.
    pub(super) async fn stop(self) {
        for node in self.nodes {
            node.stop().await;
        }
    }
}
