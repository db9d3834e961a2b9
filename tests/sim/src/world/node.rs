//! One node of the federation: its keys, its medium, its clock, and its service while it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{BlockHash, NodeId, OrganizationId};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_service::effects::Timer;
use hospes_service::service::{Fatal, Identity, Service};
use hospes_storage::fault::{Cut, FaultyMedium};
use hospes_storage::{Ledger, Medium, Objects, Options, Store, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::dice::Dice;
use crate::plan::{Left, Trick};

/// Pages of the databases that a node keeps in memory, in bytes: little, so that reads meet the medium.
const CACHE_BYTES: usize = 1024 * 1024;

/// Secrets of a node.
#[derive(Clone)]
pub(crate) struct Secrets {
    pub(crate) signing: [u8; 32],
    pub(crate) agreement: [u8; 32],
}

impl Secrets {
    /// Those of the node at a place.
    pub(crate) fn of(seed: u64, place: usize) -> Self {
        let mut dice = Dice::of(&[seed, 2, place as u64]);
        Self { signing: dice.bytes(), agreement: dice.bytes() }
    }

    pub(crate) fn signer(&self) -> SoftwareSigner {
        SoftwareSigner::from_seed(&self.signing)
    }

    pub(crate) fn agreement_key(&self) -> hospes_protocol::keys::AgreementKey {
        SoftwareAgreement::from_secret(&self.agreement).agreement_key()
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId(self.signer().verifying_key().id().0)
    }
}

/// Why a node is not running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Off {
    /// It runs.
    Not,
    /// It was never started: a spare that nobody admitted yet.
    Unborn,
    /// It lost power, and gets it back.
    Power,
    /// It stopped for good, as it had to.
    Stopped,
}

/// A node.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// The place of its organization.
    pub(crate) organization: usize,
    pub(crate) organization_id: OrganizationId,
    pub(crate) secrets: Secrets,
    pub(crate) medium: FaultyMedium,
    pub(crate) service: Option<Service>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) off: Off,
    /// Operations of the medium at which power fails.
    pub(crate) cut_at: Option<u64>,
    /// What the next power cut leaves, and for how long power is off, in milliseconds.
    pub(crate) cut: (Left, u64),
    /// Local time less true time, in milliseconds.
    pub(crate) skew: i64,
    pub(crate) timers: BTreeMap<Timer, u64>,
    pub(crate) wake: Option<u64>,
    /// Requests of peers: from whom, and their number there.
    pub(crate) tokens: BTreeMap<u64, (usize, u64)>,
    /// Own requests under way, and to whom.
    pub(crate) asked: BTreeMap<u64, usize>,
    /// Own transfers under way, and from whom.
    pub(crate) fetching: BTreeMap<u64, usize>,
    pub(crate) admits: BTreeSet<NodeId>,
    /// Nothing is promised of it: its disk lies or flipped, or it is hostile.
    pub(crate) excused: bool,
    /// Two processes run under its key, and honest people work at each.
    pub(crate) copied: bool,
    /// A bit of its databases' own pages flipped: the process may end.
    pub(crate) rotten: bool,
    pub(crate) trick: Option<Trick>,
    /// The node whose key it has too.
    pub(crate) twin_of: Option<usize>,
    /// When the organizations removed it, in virtual milliseconds.
    pub(crate) removed_at: Option<u64>,
    /// Blocks of its own that it spoilt, by what they were.
    pub(crate) spoilt: BTreeMap<BlockHash, BlockHash>,
    /// How often it started.
    pub(crate) lives: u64,
    /// The greatest height that it reported committed.
    pub(crate) reported_height: u64,
}

impl Node {
    pub(crate) fn new(seed: u64, place: usize, organization: (usize, OrganizationId)) -> Self {
        let secrets = Secrets::of(seed, place);
        Self {
            id: secrets.id(),
            organization: organization.0,
            organization_id: organization.1,
            secrets,
            medium: FaultyMedium::default(),
            service: None,
            store: None,
            off: Off::Unborn,
            cut_at: None,
            cut: (Left::Nothing, 0),
            skew: 0,
            timers: BTreeMap::new(),
            wake: None,
            tokens: BTreeMap::new(),
            asked: BTreeMap::new(),
            fetching: BTreeMap::new(),
            admits: BTreeSet::new(),
            excused: false,
            copied: false,
            rotten: false,
            trick: None,
            twin_of: None,
            removed_at: None,
            spoilt: BTreeMap::new(),
            lives: 0,
            reported_height: 0,
        }
    }

    /// Opens the store, or makes it the first time, and the service over it.
    pub(crate) fn open(&mut self, seed: u64, now: u64, genesis: &Genesis) -> Result<(), Fatal> {
        self.lives += 1;
        let options = Options {
            ledger_cache_bytes: CACHE_BYTES,
            objects_cache_bytes: CACHE_BYTES,
            unsynced: hospes_protocol::mutant!(UnsyncedStore),
            ..Options::default()
        };
        let key = Zeroizing::new(self.secrets.signing);
        let salt = Dice::of(&[seed, 3, u64::from(self.id.0[0]), self.lives]).draw();
        let rng = || Box::new(ChaCha20Rng::seed_from_u64(salt));
        let medium = Medium::Faulty(self.medium.clone());
        let store = match Store::open(&medium, &options, &key, rng()) {
            Err(StoreError::Absent(_)) if self.off == Off::Unborn => {
                Store::create(&medium, &options, &key, rng())
            }
            opened => opened,
        };
        let store = Arc::new(store.map_err(Fatal::Store)?);
        let me = Identity::new(&self.secrets.signing, &self.secrets.agreement, self.organization_id);
        let (ledger, objects): (Arc<dyn Ledger>, Arc<dyn Objects>) = (store.clone(), store.clone());
        self.service = Some(Service::open(now, me, genesis, ledger, objects)?);
        self.store = Some(store);
        self.off = Off::Not;
        Ok(())
    }

    /// Whether the power failed under it.
    pub(crate) fn is_dark(&self) -> bool {
        self.cut_at.is_some_and(|cut| self.medium.operations() > cut)
    }

    /// Drops what runs and leaves on the medium what the power cut leaves.
    pub(crate) fn lose_power(&mut self, torn: u64) {
        self.medium.cut_after(self.medium.operations());
        self.drop_all();
        let left = match self.cut.0 {
            Left::Nothing => Cut::LoseAll,
            Left::All => Cut::KeepAll,
            Left::Torn => Cut::Tear(torn),
        };
        self.medium = self.medium.after(left);
        self.off = Off::Power;
        self.cut_at = None;
        self.forget();
    }

    /// Ends the process.
    pub(crate) fn drop_all(&mut self) {
        let (service, store) = (self.service.take(), self.store.take());
        let _its_end = super::braced(self.rotten, || {
            drop((service, store));
            Ok(())
        });
    }

    /// Whether its disk is full, as far as it knows.
    pub(crate) fn is_full(&self) -> bool {
        self.service.as_ref().is_some_and(|s| s.full_since().is_some())
    }

    /// Forgets what only a running process knows.
    pub(crate) fn forget(&mut self) {
        self.timers.clear();
        self.wake = None;
        self.tokens.clear();
        self.asked.clear();
        self.fetching.clear();
        self.admits.clear();
    }

    /// Whether what it says can be taken at its word.
    pub(crate) fn is_honest(&self) -> bool {
        !self.excused && self.trick.is_none() && self.twin_of.is_none()
    }

    pub(crate) fn is_running(&self) -> bool {
        self.service.is_some()
    }

    /// Its height, if it runs.
    pub(crate) fn height(&self) -> Option<u64> {
        self.service.as_ref().map(|s| s.state().height)
    }
}
