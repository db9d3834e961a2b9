//! One real node over a store in memory, and hostile peers with keys of their own.
//!
//! Carries out nothing of what the node wants done, but remembers it. The node is the first of four validators; the
//! other three are the test's. `stream` and `limits` feed it.

use std::collections::BTreeMap;
use std::sync::Arc;

use hospes_protocol::block::{Block, CommitCertificate, CommitSignature, SignedVote};
use hospes_protocol::check::Check;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, Standing};
use hospes_protocol::entry::{FORMAT, Header, HeaderFields};
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{ContentId, NodeId, OrganizationId, Subject};
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_service::effects::{Effect, Timer};
use hospes_service::messages::{HeaderItem, Position, Request};
use hospes_service::service::{Fatal, Identity, Service};
use hospes_storage::{Ledger, Medium, Objects, Options, Store};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

/// The clock begins here, in milliseconds since 1970 UTC.
pub(crate) const T0: u64 = 1_790_000_000_000;
/// Validators, the node among them.
pub(crate) const VALIDATORS: u8 = 4;

/// A node and what it wanted done.
pub(crate) struct Victim {
    /// The node.
    pub(crate) service: Service,
    /// The network's beginning.
    pub(crate) genesis: Genesis,
    /// Requests of its that nobody has answered: id, whom, bytes.
    pub(crate) asked: Vec<(u64, NodeId, Vec<u8>)>,
    /// Its answers: bytes by token.
    pub(crate) answers: BTreeMap<u64, Vec<u8>>,
    /// Whom it blamed, and for what.
    pub(crate) blamed: Vec<(NodeId, Check)>,
    /// Its timers.
    pub(crate) timers: BTreeMap<Timer, u64>,
    /// The longest message that it sent, in bytes.
    pub(crate) longest: usize,
    token: u64,
}

/// The key of node `n`.
pub(crate) fn signer(n: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[50 + n; 32])
}

/// Node `n`; 0 is the victim.
pub(crate) fn node(n: u8) -> NodeId {
    NodeId(signer(n).verifying_key().id().0)
}

/// The organization of node `n`.
pub(crate) fn organization(n: u8) -> OrganizationId {
    organization_id(SoftwareSigner::from_seed(&[10 + n; 32]).verifying_key().as_bytes())
}

fn genesis() -> Genesis {
    let member = |n: u8| OrganizationEntry {
        organization: organization(n),
        name: format!("Hospital {n}"),
        cards: vec![SoftwareSigner::from_seed(&[10 + n; 32]).verifying_key()],
        agreement: vec![SoftwareAgreement::from_secret(&[77; 32]).agreement_key()],
        accreditation: [1; 32],
        standing: Standing::Active,
    };
    let entry = |n: u8| NodeEntry {
        key: signer(n).verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[150 + n; 32]).agreement_key(),
        organization: organization(n),
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    };
    let mut organizations: Vec<_> = (0..VALIDATORS).map(member).collect();
    organizations.sort_by_key(|o| o.organization);
    let mut nodes: Vec<_> = (0..VALIDATORS).map(entry).collect();
    nodes.sort_by_key(|n| n.key.id());
    let mut validators: Vec<_> = (0..VALIDATORS).map(node).collect();
    validators.sort_unstable();
    let policy = default_policy();
    Genesis { format: FORMAT, name: "hostile".into(), time: T0, organizations, nodes, validators, policy }
}

impl Victim {
    /// A fresh node to which all peers are connected.
    pub(crate) fn new() -> Self {
        let genesis = genesis();
        let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
        let store =
            Store::create(&Medium::memory(), &Options::default(), &Zeroizing::new([7; 32]), rng).unwrap();
        let store = Arc::new(store);
        let (ledger, objects): (Arc<dyn Ledger>, Arc<dyn Objects>) = (store.clone(), store);
        let me = Identity::new(&[50; 32], &[150; 32], organization(0));
        let service = Service::open(T0, me, &genesis, ledger, objects).unwrap();
        let mut victim = Self {
            service,
            genesis,
            asked: Vec::new(),
            answers: BTreeMap::new(),
            blamed: Vec::new(),
            timers: BTreeMap::new(),
            longest: 0,
            token: 0,
        };
        (1..VALIDATORS).for_each(|n| victim.does(|service| service.on_connected(node(n))).unwrap());
        victim
    }

    /// Lets the node do something, and remembers what it wants done.
    pub(crate) fn does(&mut self, act: impl FnOnce(&mut Service) -> Result<(), Fatal>) -> Result<(), Fatal> {
        let done = act(&mut self.service);
        for effect in self.service.take_effects() {
            self.remember(effect);
        }
        done
    }

    fn remember(&mut self, effect: Effect) {
        match effect {
            Effect::Gossip(bytes) | Effect::Send { bytes, .. } | Effect::Fetch { bytes, .. } => {
                self.longest = self.longest.max(bytes.len());
            }
            Effect::Request { id, to, bytes } => self.asked.push((id, to, bytes)),
            Effect::Respond { token, bytes } => {
                self.answers.insert(token, bytes);
            }
            Effect::SetTimer { timer, at } => {
                self.timers.insert(timer, at);
            }
            Effect::ClearTimer(timer) => {
                self.timers.remove(&timer);
            }
            Effect::Blame { node, check } => self.blamed.push((node, check)),
            Effect::CancelFetch(_)
            | Effect::Serve { .. }
            | Effect::Refuse { .. }
            | Effect::Admit(_)
            | Effect::Event(_) => {}
        }
    }

    /// Asks the node something as peer `n`; gives its answer.
    pub(crate) fn answer(&mut self, n: u8, request: &[u8]) -> Result<Vec<u8>, Fatal> {
        self.token += 1;
        let token = self.token;
        self.does(|service| service.on_request(node(n), token, request))?;
        Ok(self.answers.remove(&token).expect("every request is answered at once"))
    }

    /// Whether the node still answers an honest peer as it should.
    pub(crate) fn is_well(&mut self) -> bool {
        let position = Position { height: 0, block: self.service.state().block, frontiers: Vec::new() };
        let answer = self.answer(3, &Request::Position(position).encode());
        answer.is_ok_and(|bytes| bytes.starts_with(&[0x82, 1]))
    }

    /// Fires whatever is due at `now`.
    pub(crate) fn wakes(&mut self, now: u64) -> Result<(), Fatal> {
        self.does(|service| {
            service.tick(now);
            Ok(())
        })?;
        let due: Vec<_> = self.timers.iter().filter(|(_, at)| **at <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.timers.remove(&timer);
            self.does(|service| service.on_timer(timer))?;
        }
        Ok(())
    }

    /// A header of peer `n`, by its own key.
    pub(crate) fn header(&self, n: u8, change: impl FnOnce(&mut HeaderFields)) -> HeaderItem {
        let mut fields = HeaderFields {
            format: FORMAT,
            network: self.genesis.network(),
            organization: organization(n),
            node: node(n),
            sequence: 1,
            previous: None,
            kind: 24,
            subject: Some(Subject([n; 32])),
            content: ContentId([n; 32]),
            lock: None,
            reveal: Vec::new(),
            signed_at: T0,
        };
        change(&mut fields);
        let header = Header::sign(fields, &mut signer(n)).unwrap();
        HeaderItem { header: Bytes(header.as_bytes().to_vec()), control: None }
    }

    /// A certificate over `block`, by all peers but not the node.
    pub(crate) fn certify(&self, block: &Block) -> CommitCertificate {
        let mut certificate = CommitCertificate {
            height: block.height,
            round: 0,
            block: block.hash(),
            validators: self.service.state().validators.hash(),
            signatures: Vec::new(),
        };
        for n in 1..VALIDATORS {
            let vote = certificate.precommit(&self.genesis.network(), node(n));
            let signature = SignedVote::sign(vote, &mut signer(n)).unwrap().signature;
            certificate.signatures.push(CommitSignature { validator: node(n), signature });
        }
        certificate.signatures.sort_by_key(|s| s.validator);
        certificate
    }
}
