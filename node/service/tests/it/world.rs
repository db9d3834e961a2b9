//! A network of services: a router that delays and loses from a seed, virtual time, nodes that stop and start.
//!
//! Effects are carried out as the runtime would; nothing sleeps. A failing run prints its seed.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use hospes_protocol::block::Block;
use hospes_protocol::check::Check;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyFields, Standing};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::genesis::{Genesis, default_policy, organization_id};
use hospes_protocol::ids::{ContentId, NodeId, OrganizationId};
use hospes_protocol::keys::{KeyAgreement, Signer, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::limits::SNAPSHOT_GAP_BLOCKS;
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::effects::{Effect, Event, Timer};
use hospes_service::filing::{FileError, Filed, Filing};
use hospes_service::messages::Answer;
use hospes_service::service::{Identity, Service};
use hospes_storage::fault::FaultyMedium;
use hospes_storage::{Ledger, Medium, Objects, Options, Store};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use crate::fuse::{Fuse, Fused};
use crate::votes::Votes;

/// The virtual clock begins here, in milliseconds since 1970 UTC.
pub(crate) const T0: u64 = 1_790_000_000_000;

enum Packet {
    Gossip(Vec<u8>),
    Channel(Vec<u8>),
    Request { id: u64, bytes: Vec<u8> },
    Answer { id: u64, bytes: Option<Vec<u8>> },
    ObjectRequest { id: u64, bytes: Vec<u8> },
    Frame { id: u64, bytes: Vec<u8> },
    End { id: u64, complete: bool },
    Connected,
    Timer(Timer),
}

struct Due {
    at: u64,
    order: u64,
    from: usize,
    to: usize,
    packet: Packet,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    // The earliest first: the heap gives the greatest.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// What a node makes of its answers to others.
pub(crate) type Lie = fn(Answer) -> Answer;

/// One node.
pub(crate) struct Place {
    /// Null while it is off.
    pub(crate) service: Option<Service>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) events: Vec<Event>,
    /// The peers that it last let in.
    pub(crate) admitted: BTreeSet<NodeId>,
    /// What it said of others.
    pub(crate) blamed: Vec<(NodeId, Check)>,
    /// How it changes its answers, if it lies.
    pub(crate) lie: Option<Lie>,
    /// How often it lost power by its fuse.
    pub(crate) power_cuts: u32,
    /// A medium that may fail with the power.
    dark: Option<FaultyMedium>,
    fuse: Fuse,
    medium: Medium,
    seed: u8,
    pub(crate) organization: OrganizationId,
    pub(crate) timers: BTreeMap<Timer, u64>,
    tokens: BTreeMap<u64, (usize, u64)>,
}

/// The network.
pub(crate) struct World {
    pub(crate) nodes: Vec<Place>,
    pub(crate) cards: Vec<SoftwareSigner>,
    pub(crate) genesis: Genesis,
    pub(crate) now: u64,
    pub(crate) loss: f64,
    pub(crate) votes: Votes,
    /// Blocks that a node may lack before it asks for a state.
    pub(crate) gap: u64,
    /// Bytes of answers to each node.
    pub(crate) answered: BTreeMap<usize, usize>,
    /// Nodes that hear nobody.
    cut: BTreeSet<usize>,
    queue: BinaryHeap<Due>,
    rng: ChaCha20Rng,
    order: u64,
    next_token: u64,
}

fn signer(seed: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[seed; 32])
}

fn organization(card: &SoftwareSigner, name: &str) -> OrganizationEntry {
    OrganizationEntry {
        organization: organization_id(card.verifying_key().as_bytes()),
        name: name.into(),
        cards: vec![card.verifying_key()],
        agreement: vec![SoftwareAgreement::from_secret(&[77; 32]).agreement_key()],
        accreditation: [1; 32],
        standing: Standing::Active,
    }
}

fn entry(seed: u8, organization: OrganizationId) -> NodeEntry {
    NodeEntry {
        key: signer(seed).verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[seed.wrapping_add(100); 32]).agreement_key(),
        organization,
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    }
}

impl Place {
    fn new(seed: u8, organization: OrganizationId, medium: Medium) -> Self {
        Self {
            service: None,
            store: None,
            fuse: Fuse::default(),
            power_cuts: 0,
            dark: None,
            events: Vec::new(),
            blamed: Vec::new(),
            lie: None,
            admitted: BTreeSet::new(),
            medium,
            seed,
            organization,
            timers: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }
}

impl World {
    /// `validators` organizations with a validator each, and `replicas` more with a replica.
    pub(crate) fn new(seed: u64, validators: u8, replicas: u8) -> Self {
        Self::under(seed, validators, replicas, default_policy())
    }

    /// As [`World::new`], under a policy.
    pub(crate) fn under(seed: u64, validators: u8, replicas: u8, policy: PolicyFields) -> Self {
        Self::over(seed, (validators, replicas), policy, |_| Medium::memory())
    }

    /// The same, where node `i` stands on a medium that fills as told.
    pub(crate) fn with_faults(seed: u64, validators: u8, replicas: u8, i: u8) -> (Self, FaultyMedium) {
        let faults = FaultyMedium::default();
        let medium = |n| if n == 50 + i { Medium::Faulty(faults.clone()) } else { Medium::memory() };
        (Self::over(seed, (validators, replicas), default_policy(), medium), faults)
    }

    fn over(
        seed: u64,
        (validators, replicas): (u8, u8),
        policy: PolicyFields,
        medium: impl Fn(u8) -> Medium,
    ) -> Self {
        let cards: Vec<_> = (0..validators + replicas).map(|i| signer(10 + i)).collect();
        let mut organizations: Vec<_> =
            cards.iter().enumerate().map(|(i, c)| organization(c, &format!("Hospital {i}"))).collect();
        let owners: Vec<_> = organizations.iter().map(|o| o.organization).collect();
        organizations.sort_by_key(|o| o.organization);
        let seeds: Vec<u8> = (0..validators + replicas).map(|i| 50 + i).collect();
        let mut nodes: Vec<_> = seeds.iter().zip(&owners).map(|(s, o)| entry(*s, *o)).collect();
        nodes.sort_by_key(|n| n.key.id());
        let mut set: Vec<_> = seeds[..usize::from(validators)]
            .iter()
            .map(|s| NodeId(signer(*s).verifying_key().id().0))
            .collect();
        set.sort_unstable();
        let genesis = Genesis {
            format: FORMAT,
            name: "test".into(),
            time: T0,
            organizations,
            nodes,
            validators: set,
            policy,
        };
        let genesis = Genesis::read(&genesis.encode()).unwrap();
        let mut world = Self {
            nodes: Vec::new(),
            cards,
            genesis,
            now: T0,
            loss: 0.0,
            votes: Votes::default(),
            gap: SNAPSHOT_GAP_BLOCKS,
            answered: BTreeMap::new(),
            cut: BTreeSet::new(),
            queue: BinaryHeap::new(),
            rng: ChaCha20Rng::seed_from_u64(seed),
            order: 0,
            next_token: 0,
        };
        for (seed, organization) in seeds.into_iter().zip(owners) {
            world.nodes.push(Place::new(seed, organization, medium(seed)));
        }
        (0..world.nodes.len()).for_each(|i| world.start(i));
        world
    }

    /// Admits one more node of the organization of node `of`, and starts it; gives its number.
    pub(crate) fn second_node(&mut self, of: usize) -> usize {
        self.second_node_until(of, u64::MAX)
    }

    /// The same, with a certificate until a time.
    pub(crate) fn second_node_until(&mut self, of: usize, expires: u64) -> usize {
        let (i, organization) = (self.nodes.len(), self.nodes[of].organization);
        let seed = 50 + u8::try_from(i).unwrap();
        let admitted = NodeEntry { expires, ..entry(seed, organization) };
        let admission = self.control(of, Kind::Node, &admitted, &[of]);
        let filed = self.file(of, admission);
        assert!(self.run_until(5_000, |w| (0..i).all(|j| w.is_final(j, &filed))), "the node is admitted");
        self.nodes.push(Place::new(seed, organization, Medium::memory()));
        self.start(i);
        i
    }

    /// A card of an organization that is no member yet, and what it would join as.
    pub(crate) fn organization_to_join(&mut self) -> (usize, OrganizationEntry) {
        let card = signer(10 + u8::try_from(self.cards.len()).unwrap());
        let entry = organization(&card, "Hospital that joins");
        self.cards.push(card);
        (self.cards.len() - 1, entry)
    }

    /// A node of that organization, which is off and not certified.
    pub(crate) fn node_of(&mut self, card: usize, organization: OrganizationId) -> usize {
        let seed = 50 + u8::try_from(card).unwrap();
        assert_eq!(card, self.nodes.len(), "cards and nodes have the same numbers");
        self.nodes.push(Place::new(seed, organization, Medium::memory()));
        card
    }

    /// The certificate of a node, by these cards, as node 0 would file it.
    pub(crate) fn certificate(&mut self, i: usize, cards: &[usize]) -> Filing {
        let entry = entry(self.nodes[i].seed, self.nodes[i].organization);
        self.control(0, Kind::Node, &entry, cards)
    }

    /// A node starts over what its medium holds.
    pub(crate) fn start(&mut self, i: usize) {
        let place = &self.nodes[i];
        let (options, key) = (Options::default(), Zeroizing::new([place.seed; 32]));
        let rng = |n: u64| Box::new(ChaCha20Rng::seed_from_u64(n));
        let salt = self.rng.next_u64();
        let store = Store::open(&place.medium, &options, &key, rng(salt))
            .or_else(|_| Store::create(&place.medium, &options, &key, rng(salt)))
            .unwrap();
        let store = Arc::new(store);
        let me = Identity::new(&[place.seed; 32], &[place.seed.wrapping_add(100); 32], place.organization);
        let (ledger, objects): (Arc<dyn Ledger>, Arc<dyn Objects>) = (store.clone(), self.fused(i, &store));
        let mut service = Service::open(self.now, me, &self.genesis, ledger, objects).unwrap();
        service.set_snapshot_gap(self.gap);
        self.nodes[i].service = Some(service);
        self.nodes[i].store = Some(store);
        self.nodes[i].timers.clear();
        self.effects(i);
        let others: Vec<_> = (0..self.nodes.len()).filter(|j| *j != i && self.linked(i, *j)).collect();
        for j in others {
            self.connect(i, j);
        }
    }

    /// A service with the keys of node `i` over an empty store, apart from the network.
    pub(crate) fn observer(&self, i: usize) -> Service {
        let (place, options) = (&self.nodes[i], Options::default());
        let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
        let store = Store::create(&Medium::memory(), &options, &Zeroizing::new([1; 32]), rng).unwrap();
        let store = Arc::new(store);
        let me = Identity::new(&[place.seed; 32], &[place.seed.wrapping_add(100); 32], place.organization);
        Service::open(self.now, me, &self.genesis, store.clone(), store).unwrap()
    }

    fn fused(&self, i: usize, store: &Arc<Store>) -> Arc<dyn Objects> {
        Arc::new(Fused { store: store.clone(), fuse: self.nodes[i].fuse.clone() })
    }

    /// Writes into the store of a node that is off.
    pub(crate) fn write(&self, i: usize, write: impl FnOnce(&Store)) {
        let place = &self.nodes[i];
        let (key, rng) = (Zeroizing::new([place.seed; 32]), Box::new(ChaCha20Rng::seed_from_u64(1)));
        write(&Store::open(&place.medium, &Options::default(), &key, rng).unwrap());
    }

    /// The key of a node.
    pub(crate) fn signer(&self, i: usize) -> SoftwareSigner {
        signer(self.nodes[i].seed)
    }

    /// After so many more writes to its objects a node loses power, and starts again.
    pub(crate) fn fuse(&mut self, i: usize, writes: i64) {
        self.nodes[i].fuse.set(writes);
    }

    fn lose_power(&mut self, i: usize) {
        self.kill(i);
        self.nodes[i].fuse.set(i64::MAX);
        self.nodes[i].power_cuts += 1;
        self.start(i);
    }

    /// A node loses power: what it had not made durable is gone.
    pub(crate) fn kill(&mut self, i: usize) {
        self.nodes[i].service = None;
        self.nodes[i].store = None;
        self.drop_links(i);
    }

    /// The power of a node may fail with its medium; then it is off.
    pub(crate) fn goes_dark(&mut self, i: usize, medium: &FaultyMedium) {
        self.nodes[i].dark = Some(medium.clone());
    }

    /// The disk of a node that is off is put back from a copy.
    pub(crate) fn put_back(&mut self, i: usize, copy: &FaultyMedium) {
        self.nodes[i].medium = Medium::Faulty(copy.clone());
        self.nodes[i].dark = None;
    }

    /// A node's cable is pulled.
    pub(crate) fn cut(&mut self, i: usize) {
        self.cut.insert(i);
        self.drop_links(i);
    }

    fn drop_links(&mut self, i: usize) {
        let mut kept = BinaryHeap::new();
        for due in std::mem::take(&mut self.queue) {
            let touched = due.to == i || due.from == i;
            let timer_of_a_running_node =
                matches!(due.packet, Packet::Timer(_)) && self.nodes[due.to].service.is_some();
            if !touched || timer_of_a_running_node {
                kept.push(due);
            }
        }
        self.queue = kept;
        let id = self.id(i);
        for j in 0..self.nodes.len() {
            let other = self.id(j);
            if j != i {
                if let Some(service) = self.nodes[j].service.as_mut() {
                    service.on_disconnected(id);
                }
                if let Some(service) = self.nodes[i].service.as_mut() {
                    service.on_disconnected(other);
                }
                self.effects(j);
            }
        }
        self.effects(i);
    }

    /// The cable is back.
    pub(crate) fn heal(&mut self, i: usize) {
        self.cut.remove(&i);
        let others: Vec<_> = (0..self.nodes.len()).filter(|j| *j != i && self.linked(i, *j)).collect();
        for j in others {
            self.connect(i, j);
        }
    }

    fn linked(&self, i: usize, j: usize) -> bool {
        let on = |n: usize| self.nodes[n].service.is_some() && !self.cut.contains(&n);
        on(i) && on(j)
    }

    fn connect(&mut self, i: usize, j: usize) {
        self.push(i, j, 1, Packet::Connected);
        self.push(j, i, 1, Packet::Connected);
    }

    fn push(&mut self, from: usize, to: usize, delay: u64, packet: Packet) {
        self.order += 1;
        self.queue.push(Due { at: self.now + delay, order: self.order, from, to, packet });
    }

    fn send(&mut self, from: usize, to: usize, packet: Packet) {
        if !self.linked(from, to) {
            return;
        }
        let lossy = matches!(packet, Packet::Gossip(_) | Packet::Channel(_));
        if lossy && self.rng.random_bool(self.loss) {
            return;
        }
        let delay = self.rng.random_range(1..5);
        self.push(from, to, delay, packet);
    }

    /// The node id of a place.
    pub(crate) fn id(&self, i: usize) -> NodeId {
        NodeId(signer(self.nodes[i].seed).verifying_key().id().0)
    }

    fn index(&self, id: &NodeId) -> Option<usize> {
        (0..self.nodes.len()).find(|i| self.id(*i) == *id)
    }

    fn others(&self, i: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|j| *j != i).collect()
    }

    /// Carries out what node `i` wants done.
    pub(crate) fn effects(&mut self, i: usize) {
        let Some(service) = self.nodes[i].service.as_mut() else { return };
        for effect in service.take_effects() {
            self.effect(i, effect);
        }
    }

    fn effect(&mut self, i: usize, effect: Effect) {
        match effect {
            Effect::Gossip(bytes) => {
                for j in self.others(i) {
                    self.send(i, j, Packet::Gossip(bytes.clone()));
                }
            }
            Effect::Send { to, bytes } => {
                self.votes.says(&bytes);
                self.to(i, &to, Packet::Channel(bytes));
            }
            Effect::Request { id, to, bytes } => self.ask(i, &to, id, bytes),
            Effect::Respond { token, bytes } => {
                if let Some((to, id)) = self.nodes[i].tokens.remove(&token) {
                    let lie = |lie: Lie| lie(Answer::decode(&bytes).unwrap()).encode();
                    let bytes = self.nodes[i].lie.map_or(bytes.clone(), lie);
                    *self.answered.entry(to).or_default() += bytes.len();
                    self.send(i, to, Packet::Answer { id, bytes: Some(bytes) });
                }
            }
            Effect::Fetch { id, from, bytes } => self.to(i, &from, Packet::ObjectRequest { id, bytes }),
            Effect::Serve { token, objects } => self.serve(i, token, &objects),
            Effect::Refuse { token, .. } => {
                if let Some((to, id)) = self.nodes[i].tokens.remove(&token) {
                    self.send(i, to, Packet::End { id, complete: false });
                }
            }
            Effect::SetTimer { timer, at } => {
                self.nodes[i].timers.insert(timer, at);
                let delay = at.saturating_sub(self.now);
                self.push(i, i, delay, Packet::Timer(timer));
            }
            Effect::ClearTimer(timer) => {
                self.nodes[i].timers.remove(&timer);
            }
            Effect::Event(event) => self.nodes[i].events.push(event),
            Effect::Admit(members) => {
                self.nodes[i].admitted = members.into_iter().map(|m| m.node).collect();
            }
            Effect::Blame { node, check } => self.nodes[i].blamed.push((node, check)),
            Effect::CancelFetch(_) => {}
        }
    }

    fn to(&mut self, i: usize, to: &NodeId, packet: Packet) {
        if let Some(j) = self.index(to) {
            self.send(i, j, packet);
        }
    }

    fn ask(&mut self, i: usize, to: &NodeId, id: u64, bytes: Vec<u8>) {
        match self.index(to).filter(|j| self.linked(i, *j)) {
            Some(j) => self.send(i, j, Packet::Request { id, bytes }),
            None => self.push(i, i, 1, Packet::Answer { id, bytes: None }),
        }
    }

    fn serve(&mut self, i: usize, token: u64, objects: &[hospes_protocol::ids::ObjectId]) {
        let Some((to, id)) = self.nodes[i].tokens.remove(&token) else { return };
        let store = self.nodes[i].store.clone().unwrap();
        let delay = 5;
        for object in objects {
            let bytes = store.object(object).unwrap().unwrap();
            self.push(i, to, delay, Packet::Frame { id, bytes });
        }
        self.push(i, to, delay, Packet::End { id, complete: true });
    }

    /// Delivers the next packet; false when none waits.
    fn step(&mut self) -> bool {
        let Some(due) = self.queue.pop() else { return false };
        self.now = self.now.max(due.at);
        let (from, i) = (self.id(due.from), due.to);
        self.next_token += 1;
        let token = self.next_token;
        let now = self.now;
        let place = &mut self.nodes[i];
        let Some(service) = place.service.as_mut() else { return true };
        service.tick(now);
        let done = match due.packet {
            Packet::Gossip(bytes) => service.on_gossip(from, &bytes).map(|_| ()),
            Packet::Channel(bytes) => service.on_channel(from, &bytes),
            Packet::Request { id, bytes } => {
                place.tokens.insert(token, (due.from, id));
                service.on_request(from, token, &bytes)
            }
            Packet::Answer { id, bytes } => service.on_response(from, id, bytes.as_deref()),
            Packet::ObjectRequest { id, bytes } => {
                place.tokens.insert(token, (due.from, id));
                service.on_object_request(from, token, &bytes)
            }
            Packet::Frame { id, bytes } => service.on_object_frame(id, &bytes),
            Packet::End { id, complete } => service.on_object_end(id, complete),
            Packet::Connected => service.on_connected(from),
            Packet::Timer(timer) if place.timers.get(&timer).is_some_and(|at| *at <= now) => {
                place.timers.remove(&timer);
                service.on_timer(timer)
            }
            Packet::Timer(_) => Ok(()),
        };
        match done {
            Ok(()) => self.effects(i),
            Err(_) if self.nodes[i].fuse.is_blown() => self.lose_power(i),
            Err(_) if self.nodes[i].dark.as_ref().is_some_and(FaultyMedium::is_dark) => self.kill(i),
            Err(fatal) => panic!("node {i} stops: {fatal}"),
        }
        true
    }

    /// All machines sleep for so long: what was due meanwhile comes late.
    pub(crate) fn sleep(&mut self, ms: u64) {
        self.now += ms;
    }

    /// Runs for so many virtual milliseconds.
    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.now + ms;
        while self.queue.peek().is_some_and(|due| due.at <= until) && self.step() {}
        self.now = until;
    }

    /// Runs until `done`, at most so many virtual milliseconds; gives whether it came to be.
    pub(crate) fn run_until(&mut self, ms: u64, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + ms;
        while !done(self) {
            if self.queue.peek().is_none_or(|due| due.at > until) || !self.step() {
                return done(self);
            }
        }
        true
    }

    /// The height of a node.
    pub(crate) fn height(&self, i: usize) -> u64 {
        self.nodes[i].service.as_ref().map_or(0, |s| s.state().height)
    }

    /// A control content that changes nothing: a role of the node's own organization.
    pub(crate) fn role(&mut self, i: usize, name: &str) -> Filing {
        let role = hospes_protocol::control::RoleEntry {
            organization: self.nodes[i].organization,
            name: name.into(),
            categories: Vec::new(),
            rights: 7,
            administrator: false,
            attested: false,
        };
        let owner = self.nodes[i].organization;
        let card = self.nodes.iter().position(|n| n.organization == owner).unwrap();
        self.control(i, Kind::Role, &role, &[card])
    }

    /// A control entry filed by `i` and signed by `cards`.
    pub(crate) fn control(&mut self, i: usize, kind: Kind, payload: &impl Wire, cards: &[usize]) -> Filing {
        let content = Content {
            format: FORMAT,
            network: self.genesis.network(),
            kind: kind.code(),
            organization: self.nodes[i].organization,
            salt: self.rng.random(),
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(payload.encode()),
        };
        let mut signatures = Vec::new();
        for card in cards {
            let ids: [ContentId; 1] = [content.id()];
            signatures.extend(
                sign_tap(&mut self.cards[*card], &self.genesis.network(), ("t", "en"), &ids).unwrap(),
            );
        }
        let body = Body { content: Bytes(content.encode()), signatures }.encode();
        Filing { body, key: None, reveal: Vec::new(), packets: Vec::new() }
    }

    /// Files at node `i`.
    pub(crate) fn file(&mut self, i: usize, filing: Filing) -> Filed {
        self.try_file(i, filing).unwrap()
    }

    /// Files at node `i`, or is refused.
    pub(crate) fn try_file(&mut self, i: usize, filing: Filing) -> Result<Filed, FileError> {
        let now = self.now;
        let service = self.nodes[i].service.as_mut().unwrap();
        service.tick(now);
        let filed = service.file(vec![filing]);
        self.effects(i);
        filed.map(|filed| filed[0])
    }

    /// Whether node `i` is read-only.
    pub(crate) fn is_full(&self, i: usize) -> bool {
        self.nodes[i].service.as_ref().is_some_and(|s| s.full_since().is_some())
    }

    /// Whether a header is final at node `i`.
    pub(crate) fn is_final(&self, i: usize, filed: &Filed) -> bool {
        let store = self.nodes[i].store.as_ref().unwrap();
        store.finality(&filed.header).unwrap().is_some()
    }

    /// One block and one root at every height that two nodes share, and nothing signed twice.
    pub(crate) fn check(&self) {
        assert_eq!(self.votes.violations, Vec::<String>::new(), "nobody signs two things");
        let mut by_height: BTreeMap<u64, (usize, Vec<u8>)> = BTreeMap::new();
        for (i, place) in self.nodes.iter().enumerate() {
            let Some(store) = &place.store else { continue };
            for height in 1..=self.height(i) {
                let Some((bytes, certificate)) = store.block(height).unwrap() else {
                    let missing = place.service.as_ref().unwrap().missing_history().unwrap();
                    let said = missing.is_some_and(|m| m.from <= height && height <= m.until);
                    assert!(said, "node {i} has no block {height}, and says so");
                    continue;
                };
                let block = Block::read(&bytes, &self.genesis.network()).unwrap();
                assert_eq!(certificate.block, block.hash(), "node {i} holds what was certified at {height}");
                let (first, other) = by_height.entry(height).or_insert_with(|| (i, bytes.clone()));
                assert_eq!(*other, bytes, "nodes {first} and {i} agree at height {height}");
            }
            let service = place.service.as_ref().unwrap();
            let (tip, _) = match store.block(self.height(i)).unwrap() {
                Some(tip) => tip,
                None => continue,
            };
            let block = Block::read(&tip, &self.genesis.network()).unwrap();
            assert_eq!(block.state_root, service.state().root(), "node {i} is in the state of its block");
        }
    }
}

/// Runs a story for each seed, and names the seed that fails.
pub(crate) fn for_seeds(seeds: std::ops::Range<u64>, story: impl Fn(u64)) {
    for seed in seeds {
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| story(seed)));
        if let Err(why) = run {
            eprintln!("replay with SEED={seed}");
            std::panic::resume_unwind(why);
        }
    }
}
