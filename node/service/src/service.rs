//! The service: one struct that owns the node's state and decides; the runtime feeds it and carries out
//! its effects.
//!
//! Inputs arrive one at a time, with the time. Whatever an input changes is durable before an effect that
//! rests on it can be taken from the outbox: what an input writes waits until it says something (`room`). The parts are `impl` blocks beside their subject: `chain` orders and
//! commits, `follow` catches up, `filing` puts this node's own entries on the ledger, `records` keeps
//! bodies and what they permit, `holding` places objects.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use hospes_protocol::block::{CommitCertificate, SignedVote};
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::context::Context;
use hospes_protocol::entry::Header;
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{BlockHash, ContentId, Lock, NetworkId, NodeId, OrganizationId, sha256};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::state::LedgerState;
use hospes_protocol::wire::Wire;
use hospes_storage::{Ledger, Objects, StoreError};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use crate::away::Away;
use crate::chain::Candidate;
use crate::committees::{Ceremonies, DealerSeed};
use crate::consensus::{Driver, Input};
use crate::effects::{Effect, Event, Member, Timer};
use crate::follow::{Asked, Peer};
use crate::holding::Damage;
use crate::messages::{self, Answer, Channel, Gossip, Request};
use crate::pages::Page;
use crate::pool::Pool;
use crate::recall::Recall;
use crate::records::Taps;
use crate::room::Room;

/// Why the service stops: its store or its engine failed, and going on would risk what was promised.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The consensus engine halted.
    #[error("the consensus engine halted: {0}")]
    Engine(String),
    /// What is stored contradicts itself.
    #[error("the stored ledger contradicts itself: {0}")]
    Contradiction(Rejected),
}

/// Keys and place of this node.
pub struct Identity {
    /// SHA-256 of its public key.
    pub node: NodeId,
    /// Its organization.
    pub organization: OrganizationId,
    /// Signs headers and orders.
    pub signer: SoftwareSigner,
    seed: Zeroizing<[u8; 32]>,
    /// Opens what is sealed to the node.
    pub agreement: SoftwareAgreement,
}

impl Identity {
    /// From the two secrets of a node.
    #[must_use]
    pub fn new(signing: &[u8; 32], agreement: &[u8; 32], organization: OrganizationId) -> Self {
        let signer = SoftwareSigner::from_seed(signing);
        let node = NodeId(signer.verifying_key().id().0);
        let seed = Zeroizing::new(*signing);
        Self { node, organization, signer, seed, agreement: SoftwareAgreement::from_secret(agreement) }
    }

    /// The same key, for the engine's votes.
    pub(crate) fn voter(&self) -> SoftwareSigner {
        SoftwareSigner::from_seed(&self.seed)
    }

    /// Randomness to seal with, where none is given: the same for the same recipient and plaintext, and nobody
    /// else's guess. `about` names both.
    pub(crate) fn sealing_rng(&self, about: &[&[u8]]) -> ChaCha20Rng {
        let mut parts = vec![Context::DeriveSealing.text().as_bytes(), self.seed.as_slice()];
        parts.extend(about);
        ChaCha20Rng::from_seed(sha256(&parts))
    }

    /// What this node makes its dealing for a committee from.
    pub(crate) fn dealer_seed(&self, committee: &ContentId) -> DealerSeed {
        let text = Context::DeriveDealing.text().as_bytes();
        Zeroizing::new(sha256(&[text, self.seed.as_slice(), &committee.0]))
    }

    /// 32 bytes that this node makes again for the same thing and nobody else can guess.
    pub(crate) fn once(&self, what: &str, of: &[u8; 32]) -> [u8; 32] {
        use hospes_protocol::context::Context;
        let name = [Context::DeriveReceipt.text(), "/", what].concat();
        let seed = hospes_protocol::ids::sha256(&[name.as_bytes(), &[0], &*self.seed]);
        hospes_protocol::ids::sha256(&[&seed, of])
    }

    /// The key that others seal to.
    #[must_use]
    pub fn agreement_key(&self) -> hospes_protocol::keys::AgreementKey {
        self.agreement.agreement_key()
    }
}

/// What a service holds in memory of what its ledger holds.
pub(crate) struct Durable {
    pub(crate) state: LedgerState,
    pub(crate) pool: Pool,
    pub(crate) seen: BTreeSet<Lock>,
}

/// A node, without its IO.
pub struct Service {
    /// Keys and place.
    pub(crate) me: Identity,
    /// The network.
    pub(crate) network: NetworkId,
    pub(crate) genesis: Genesis,
    /// Headers, blocks, WAL.
    pub(crate) ledger: Arc<dyn Ledger>,
    /// Bodies, packets, segments and sealed indexes.
    pub(crate) objects: Arc<dyn Objects>,
    /// The same.
    pub(crate) recall: Arc<Recall>,
    /// The state after the newest block.
    pub(crate) state: LedgerState,
    /// The certificate of the newest block, once it was verified here.
    pub(crate) decided_by: Option<CommitCertificate>,
    pub(crate) pool: Pool,
    /// Taken out while it runs.
    pub(crate) engine: Option<Driver>,
    /// Inputs that wait for the engine.
    pub(crate) steps: VecDeque<Input>,
    /// Evidence that waits for a block.
    pub(crate) equivocations: Vec<(SignedVote, SignedVote)>,
    pub(crate) candidates: BTreeMap<BlockHash, Candidate>,
    /// One block of each validator for the height after the next.
    pub(crate) early: BTreeMap<NodeId, Vec<u8>>,
    /// The certificates that the newest blocks carry, newest first.
    pub(crate) recorded: VecDeque<CommitCertificate>,
    /// What this node lacks beyond single blocks, and what it gives to those who do.
    pub(crate) away: Away,
    /// Filed here, and not yet offered to their audience. A node that starts finds them by their rows.
    pub(crate) outgoing: Vec<ContentId>,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// Blocks of a peer that are being taken.
    pub(crate) page: Option<Page>,
    /// The peer that was asked last where it is.
    pub(crate) last_asked: Option<NodeId>,
    pub(crate) next_id: u64,
    /// Locks whose reveal was seen, final or not.
    pub(crate) seen: BTreeSet<Lock>,
    /// Ceremonies of committees, made of what was said in them.
    pub(crate) ceremonies: Ceremonies,
    /// Card signatures that were verified.
    pub(crate) taps: RefCell<Taps>,
    /// Whether there is room on the disk.
    pub(crate) room: Room,
    /// Whether the store is older than what this node signed.
    pub(crate) outdated: bool,
    /// What reading and serving found damaged.
    pub(crate) damage: Damage,
    /// Whether something was stored or asked for since it was last looked.
    pub(crate) stirred: Cell<bool>,
    /// Rounds of upkeep since then.
    pub(crate) calm: u32,
    outbox: Vec<Effect>,
    pub(crate) now: u64,
}

impl Service {
    pub(crate) fn with(
        me: Identity,
        genesis: &Genesis,
        (ledger, objects): (Arc<dyn Ledger>, Arc<dyn Objects>),
        Durable { state, pool, seen }: Durable,
    ) -> Self {
        let recall = Arc::new(Recall::over(objects));
        Self {
            network: state.network,
            genesis: genesis.clone(),
            me,
            ledger,
            objects: recall.clone(),
            recall,
            state,
            pool,
            seen,
            room: Room::default(),
            outdated: false,
            damage: Damage::default(),
            decided_by: None,
            engine: None,
            steps: VecDeque::new(),
            equivocations: Vec::new(),
            candidates: BTreeMap::new(),
            early: BTreeMap::new(),
            recorded: VecDeque::new(),
            away: Away::default(),
            outgoing: Vec::new(),
            peers: BTreeMap::new(),
            asked: BTreeMap::new(),
            page: None,
            last_asked: None,
            next_id: 0,
            ceremonies: Ceremonies::default(),
            taps: RefCell::default(),
            stirred: Cell::new(false),
            calm: 0,
            outbox: Vec::new(),
            now: 0,
        }
    }

    /// Takes what is to be done, in order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.outbox)
    }

    /// How many effects wait to be taken.
    pub(crate) fn said(&self) -> usize {
        self.outbox.len()
    }

    /// Whether an effect since then tells anybody anything.
    pub(crate) fn speaks_since(&self, said: usize) -> bool {
        self.outbox.iter().skip(said).any(Effect::speaks)
    }

    /// Takes back the effects since then.
    pub(crate) fn unsay(&mut self, said: usize) {
        self.outbox.truncate(said);
    }

    pub(crate) fn emit(&mut self, effect: Effect) {
        self.outbox.push(effect);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.emit(Effect::Event(event));
    }

    pub(crate) fn set_timer(&mut self, timer: Timer, at: u64) {
        self.emit(Effect::SetTimer { timer, at });
    }

    /// This node's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.me.node
    }

    /// The ledger's state after the newest block.
    #[must_use]
    pub fn state(&self) -> &LedgerState {
        &self.state
    }

    /// Moves the service's clock; it never runs backwards.
    pub fn tick(&mut self, now: u64) {
        self.now = self.now.max(now);
    }

    /// The service's clock, in milliseconds since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Nodes that others talk to: those whose certificate holds at the newest block's time, and the validators, who
    /// must be able to decide that theirs is renewed.
    pub(crate) fn standing_nodes(&self) -> BTreeSet<NodeId> {
        let members = &self.state.membership;
        let mut standing: BTreeSet<_> = members.certified_nodes(self.state.time).map(|(id, _)| *id).collect();
        let validators = self.state.validators.validators.iter().map(|v| v.node);
        standing.extend(validators.filter(|id| members.node(id).is_some()));
        standing
    }

    /// Admits exactly the nodes that stand in the newest state.
    pub(crate) fn admit(&mut self) {
        let member = |(node, entry): (&NodeId, &hospes_protocol::control::NodeEntry)| Member {
            node: *node,
            key: entry.key.clone(),
            addresses: entry.addresses.clone(),
        };
        let standing = self.standing_nodes();
        let nodes = self.state.membership.nodes.iter().filter(|(id, _)| standing.contains(id));
        let members = nodes.map(member).collect();
        self.emit(Effect::Admit(members));
    }

    /// A peer's gossip. The answer says whether it may be relayed.
    ///
    /// # Errors
    /// [`Fatal`] only; what the peer did wrong is blamed on it.
    pub fn on_gossip(&mut self, from: NodeId, bytes: &[u8]) -> Result<bool, Fatal> {
        let taken = self.writing(|service| service.take_gossip(from, bytes))?;
        if taken.is_none() {
            self.note_reveals(bytes);
        }
        Ok(taken.unwrap_or(false))
    }

    fn take_gossip(&mut self, from: NodeId, bytes: &[u8]) -> Result<bool, Fatal> {
        let relay = match messages::read(bytes) {
            Ok(Gossip::Headers(items)) => self.on_headers(from, items)?,
            Ok(Gossip::Decided((certificate, block))) => {
                self.on_decided_elsewhere(from, certificate, block)?
            }
            Err(rejected) => Some(rejected),
        };
        Ok(self.judge_peer(from, relay))
    }

    /// A message on the validators' channel.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_channel(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), Fatal> {
        self.writing(|service| service.take_channel(from, bytes)).map(drop)
    }

    fn take_channel(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), Fatal> {
        let wrong = match messages::read(bytes) {
            Ok(Channel::Engine(message)) => self.on_engine_message(from, &message)?,
            Ok(Channel::Block(block)) => self.on_block(from, &block)?,
            Ok(Channel::Decided(item)) => {
                self.on_decided_elsewhere(from, item.certificate, Some(item.block))?
            }
            Err(rejected) => Some(rejected),
        };
        self.judge_peer(from, wrong);
        Ok(())
    }

    /// A peer's request; the answer goes into the outbox under `token`.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_request(&mut self, from: NodeId, token: u64, bytes: &[u8]) -> Result<(), Fatal> {
        let answer = match messages::read(bytes) {
            Err(rejected) => Err(rejected),
            Ok(request) if self.is_read_only() => self.answer_read_only(from, request)?,
            Ok(request) => match self.writing(|service| service.answer(from, request))? {
                Some(answer) => answer,
                None => Err(Check::DiskFull.into()),
            },
        };
        let answer = answer.unwrap_or_else(|rejected| {
            self.judge_peer(from, Some(rejected));
            Answer::Refused(u64::from(rejected.check.code()))
        });
        self.emit(Effect::Respond { token, bytes: answer.encode() });
        Ok(())
    }

    pub(crate) fn answer(
        &mut self,
        from: NodeId,
        request: Request,
    ) -> Result<Result<Answer, Rejected>, Fatal> {
        Ok(match request {
            Request::Position(position) => Ok(Answer::Position(self.on_position_asked(from, &position))),
            Request::Headers(runs) => Ok(Answer::Headers(self.header_page(&runs)?)),
            Request::Blocks(height) => Ok(Answer::Blocks(self.block_page(height)?)),
            Request::Offer(contents) => self.on_offer(&contents).map(Answer::Lacking),
            Request::Deliver(deliveries) => Ok(Answer::Verdicts(self.on_deliver(from, deliveries)?)),
            Request::Collect(collection) => self.on_collect(from, &collection)?.map(Answer::Bodies),
            Request::Orders(orders) => Ok(Answer::Verdicts(self.on_orders(from, &orders)?)),
            Request::Receipts(receipts) => Ok(Answer::Verdicts(self.on_receipts(from, &receipts)?)),
            Request::Packets(ids) => self.on_packets_asked(&from, &ids)?.map(Answer::Packets),
            Request::SubjectKeys(patients) => {
                self.on_subject_keys_asked(&from, &patients)?.map(Answer::SubjectKeys)
            }
            Request::Handovers(height) => Ok(Answer::Handovers(self.on_handovers_asked(height)?)),
            Request::Snapshot(above) => self.on_snapshot_asked(above)?.map(Answer::Snapshot),
            Request::Find(finding) => self.on_find(from, &finding)?.map(Answer::Bodies),
            Request::Shares(shares) => Ok(Answer::Verdicts(self.on_shares(from, &shares)?)),
            Request::SnapshotPart(part) => self.on_part_asked(&part).map(Answer::SnapshotPart),
        })
    }

    /// Blames the peer where it is to blame; gives whether the message was good.
    pub(crate) fn judge_peer(&mut self, from: NodeId, wrong: Option<Rejected>) -> bool {
        match wrong {
            None => true,
            Some(Rejected { check }) => {
                if check.blame() != hospes_protocol::check::Blame::None {
                    self.emit(Effect::Blame { node: from, check });
                }
                false
            }
        }
    }

    /// Sends a request; what comes back is matched by its id.
    pub(crate) fn ask(&mut self, to: NodeId, request: &Request, asked: Asked) {
        let id = self.fresh_id();
        // Where peers are is asked for its own sake; anything else is something that this node lacks or owes.
        if !matches!(asked, Asked::Position { .. }) {
            self.stirred.set(true);
        }
        self.asked.insert(id, asked);
        self.emit(Effect::Request { id, to, bytes: request.encode() });
    }

    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Verifies a header's signature under the state's key for its node.
    pub(crate) fn verify_header(&self, header: &Header) -> Result<(), Rejected> {
        let node = self.state.membership.nodes.get(&header.fields().node).ok_or(Check::UnknownNode)?;
        if self.state.membership.node(&header.fields().node).is_none() {
            return Err(Check::RetiredNode.into());
        }
        header.verify(&node.key)
    }
}
