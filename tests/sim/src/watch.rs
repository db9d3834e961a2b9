//! The watch: what must hold, looked at after every step, and once more when all is well again.
//!
//! | invariant | looked at |
//! |---|---|
//! | one block per height | each commit |
//! | certificates by their set | each commit, signatures counted anew |
//! | one state at one height | each commit |
//! | no vote twice differently | each vote of an honest node |
//! | no permit without a live grant | each decision, and whenever a node learned something |
//! | a closed lock permits nothing | the same, as a reveal counts in the model from the header that shows it |
//! | nothing reported durable is lost | each start, and at the end |
//! | no object out of place | every two seconds, and at the end |
//! | every read has its access entry | at the end, at the reader's and at the patient's home |
//! | all is final in bounded time | at the end |
//! | one verdict on an entry | at the end |
//! | of an erased patient nothing is left | at the end |
//! | what people signed is filed though their node forked | at the end, where another node of theirs has it |
//! | what is permitted works, what is not is refused | at the end, by one more patient |
//!
//! Only honest nodes are watched; what a liar, or a disk that lies, does to itself is its own affair.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::block::{Block, CommitCertificate, SignedVote, ValidatorSet, VoteKind};
use hospes_protocol::check::Check;
use hospes_protocol::control::{OrganizationEntry, Standing};
use hospes_protocol::entry::{Header, Kind};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{
    BlockHash, ContentId, HeaderId, Lock, NodeId, OrganizationId, Reveal, StateRoot, sha256,
};
use hospes_protocol::policy::Decision;
use hospes_protocol::state::LedgerState;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::Wire;
use hospes_service::consensus::ConsensusMessage;
use hospes_service::messages::Channel;
use hospes_service::records::Finality;
use hospes_storage::{Ledger, Objects, Store};

use crate::model::Knowledge;
use crate::people::{Record, Reported};
use crate::world::World;

/// Something that must not be.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which invariant.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

/// What is known of the one chain that there may be.
struct Decided {
    hash: BlockHash,
    root: StateRoot,
}

/// What a node has been seen to know.
#[derive(Default)]
struct Seen {
    locks: BTreeSet<Lock>,
    /// Grants and revocations of which it had body and header: what is there stays, or the next start says so.
    has: BTreeSet<ContentId>,
    /// Which nodes filed each content.
    filed: BTreeMap<ContentId, BTreeSet<NodeId>>,
    scanned: BTreeMap<NodeId, u64>,
    stale: bool,
    looked: u64,
}

/// The watch.
pub(crate) struct Watch {
    pub(crate) violation: Option<Violation>,
    chain: BTreeMap<u64, Decided>,
    sets: BTreeMap<u64, ValidatorSet>,
    votes: BTreeMap<(NodeId, u64, u64, bool), Option<BlockHash>>,
    pub(crate) finals: BTreeMap<ContentId, u64>,
    /// Contents that became final without effect, and at which height.
    void: BTreeMap<ContentId, u64>,
    final_headers: BTreeMap<HeaderId, u64>,
    closed: BTreeMap<Lock, u64>,
    /// At which height each organization left.
    left: BTreeMap<OrganizationId, u64>,
    seen: BTreeMap<usize, Seen>,
    last_places: u64,
}

const ONE_BLOCK: &str = "one block per height";
const CERTIFICATE: &str = "certificates by their set";
const ONE_STATE: &str = "one state at one height";
const ONE_VOTE: &str = "no vote twice differently";
const PERMIT: &str = "no permit without a live grant";
/// What a node reported durable is there again.
pub(crate) const DURABLE: &str = "nothing reported durable is lost";
const PLACES: &str = "no object out of place";
const ACCESS: &str = "every read has its access entry";
/// A healed federation serves its patients.
pub(crate) const WORKS: &str = "what is permitted works, what is not is refused";
const VERDICT: &str = "one verdict on an entry";
const BOUNDED: &str = "all is final in bounded time";
const ERASED: &str = "of an erased patient nothing is left";
const BRANCH: &str = "what people signed is filed though their node forked";

impl Watch {
    pub(crate) fn new(genesis: &Genesis) -> Self {
        let first = LedgerState::genesis(genesis).map(|s| (1, (*s.validators).clone()));
        Self {
            violation: None,
            chain: BTreeMap::new(),
            sets: first.into_iter().collect(),
            votes: BTreeMap::new(),
            finals: BTreeMap::new(),
            void: BTreeMap::new(),
            final_headers: BTreeMap::new(),
            closed: BTreeMap::new(),
            left: BTreeMap::new(),
            seen: BTreeMap::new(),
            last_places: 0,
        }
    }

    /// Notes the first violation.
    pub(crate) fn violated(&mut self, invariant: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.violation.get_or_insert(Violation { invariant, what });
    }

    /// A node learned something.
    pub(crate) fn look_at(&mut self, i: usize) {
        self.seen.entry(i).or_default().stale = true;
    }

    /// The height of the one chain.
    pub(crate) fn height(&self) -> u64 {
        self.chain.last_key_value().map_or(0, |(height, _)| *height)
    }
}

// ---- the chain ----

impl World {
    /// A node says that a block is final.
    pub(crate) fn watch_committed(&mut self, i: usize, height: u64) {
        if !self.nodes[i].is_honest() {
            return;
        }
        self.watch.look_at(i);
        self.nodes[i].reported_height = self.nodes[i].reported_height.max(height);
        let Some(store) = self.nodes[i].store.clone() else { return };
        let (bytes, certificate) = match store.block(height) {
            Ok(Some(found)) => found,
            // Its power failed, or its disk was found full, in the same breath.
            Err(_) if self.nodes[i].is_dark() || self.nodes[i].is_full() => return,
            other => {
                let what = format!("node {i} reported height {height} and has {:?}", other.is_ok());
                return self.watch.violated(DURABLE, what);
            }
        };
        let Ok(block) = Block::read(&bytes, &self.genesis.network()) else {
            return self.watch.violated(ONE_BLOCK, format!("node {i} committed no block at {height}"));
        };
        let hash = BlockHash(sha256(&[&bytes]));
        let decided = Decided { hash, root: block.state_root };
        match self.watch.chain.get(&height) {
            Some(known) if known.hash != hash => {
                let what = format!("node {i} has {hash} at {height}, where another has {}", known.hash);
                self.watch.violated(ONE_BLOCK, what);
            }
            Some(_) => {}
            None => {
                self.watch.chain.insert(height, decided);
                self.note_final(height, &block, &store);
            }
        }
        self.watch_certificate(i, height, &hash, &certificate);
        self.watch_state(i, height, &block);
    }

    fn watch_state(&mut self, i: usize, height: u64, block: &Block) {
        let Some(service) = self.nodes[i].service.as_ref() else { return };
        let state = service.state();
        if state.height == height {
            if state.root() != block.state_root {
                self.watch.violated(ONE_STATE, format!("node {i} is not in the state of its block {height}"));
            }
            let set = (*state.validators).clone();
            self.watch.sets.entry(height + 1).or_insert(set);
        }
        if let Some(known) = self.watch.chain.get(&height)
            && known.root != block.state_root
        {
            self.watch.violated(ONE_STATE, format!("node {i} has another state root at {height}"));
        }
        // Blocks that came in one page: the set stays as long as the block says so.
        if let Some(set) = self.watch.sets.get(&height)
            && set.hash() == block.next_validators
        {
            let set = set.clone();
            self.watch.sets.entry(height + 1).or_insert(set);
        }
    }

    fn watch_certificate(
        &mut self,
        i: usize,
        height: u64,
        hash: &BlockHash,
        certificate: &CommitCertificate,
    ) {
        let Some(set) = self.watch.sets.get(&height) else { return };
        let network = self.genesis.network();
        let mut signers = BTreeSet::new();
        for signed in &certificate.signatures {
            let Some(validator) = set.get(&signed.validator) else { continue };
            let vote = certificate.precommit(&network, signed.validator);
            if (SignedVote { vote, signature: signed.signature }).verify(&validator.key).is_ok() {
                signers.insert(signed.validator);
            }
        }
        let about = certificate.block == *hash && certificate.height == height;
        if !about || signers.len() * 3 <= set.len() * 2 {
            let what = format!("node {i} took {height} by {} of {} signatures", signers.len(), set.len());
            self.watch.violated(CERTIFICATE, what);
        }
    }

    fn note_final(&mut self, height: u64, block: &Block, store: &Store) {
        self.coverage.heights = self.coverage.heights.max(height);
        for cut in &block.cuts {
            let Ok(rows) = store.headers(&cut.node, cut.from, cut.to) else { continue };
            for header in rows.iter().filter_map(|row| Header::read(row, &self.genesis.network()).ok()) {
                self.watch.final_headers.insert(header.id(), height);
                let void = matches!(store.finality(&header.id()), Ok(Some(f)) if f.void.is_some());
                let known = if void { &mut self.watch.void } else { &mut self.watch.finals };
                known.entry(header.fields().content).or_insert(height);
                self.coverage.anew += u64::from(!void && self.is_filed_anew(&header));
                for lock in header.fields().reveal.iter().map(Reveal::lock) {
                    self.watch.closed.entry(lock).or_insert(height);
                }
            }
        }
        self.note_left(height, block);
    }

    fn note_left(&mut self, height: u64, block: &Block) {
        for bytes in &block.control {
            let Ok((_, content)) = Body::read(bytes, &self.genesis.network()) else { continue };
            let lawful = self.watch.finals.get(&content.id()) == Some(&height);
            if !lawful || content.kind != Kind::Organization.code() {
                continue;
            }
            if let Ok(entry) = OrganizationEntry::decode(&content.payload)
                && entry.standing == Standing::Removed
            {
                self.watch.left.entry(entry.organization).or_insert(height);
            }
        }
    }

    /// A node says something to another validator.
    pub(crate) fn watch_said(&mut self, i: usize, bytes: &[u8]) {
        if !self.nodes[i].is_honest() {
            return;
        }
        let Ok(Channel::Engine(message)) = Channel::decode(bytes) else { return };
        let Ok(ConsensusMessage::Vote(signed)) = ConsensusMessage::read(&message, &self.genesis.network())
        else {
            return;
        };
        let vote = signed.vote;
        if vote.validator != self.nodes[i].id {
            return;
        }
        let place = (vote.validator, vote.height, vote.round, vote.kind == VoteKind::Precommit);
        let before = self.watch.votes.entry(place).or_insert(vote.block);
        if *before != vote.block {
            let what = format!("node {i} voted twice at {} in round {}", vote.height, vote.round);
            self.watch.violated(ONE_VOTE, what);
        }
    }
}

// ---- what nodes keep ----

impl World {
    /// A node came back: what it reported is there.
    pub(crate) fn watch_start(&mut self, i: usize) {
        self.watch.seen.remove(&i);
        self.watch.look_at(i);
        if !self.nodes[i].is_honest() {
            return;
        }
        let (reported, height) = (self.nodes[i].reported_height, self.nodes[i].height().unwrap_or(0));
        if height < reported {
            self.watch
                .violated(DURABLE, format!("node {i} reported height {reported} and is back at {height}"));
        }
        self.watch_reported(i);
        if let Some(service) = self.nodes[i].service.as_ref() {
            let (height, root) = (service.state().height, service.state().root());
            if self.watch.chain.get(&height).is_some_and(|d| d.root != root) {
                self.watch.violated(ONE_STATE, format!("node {i} is back in another state at {height}"));
            }
        }
    }

    fn watch_reported(&mut self, i: usize) {
        let Some(store) = self.nodes[i].store.clone() else { return };
        for one in self.people.reported.iter().filter(|r| r.node == i) {
            let header = matches!(store.header(&one.header), Ok(Some(_)));
            let body = !one.personal
                || self.is_erasing(one.patient)
                || matches!(store.body(&one.content), Ok(Some(_)));
            if !header || !body {
                self.coverage.lost += 1;
                let part = if header { "body" } else { "header" };
                let what = format!("node {i} lost the {part} of {} that it had filed", one.content);
                self.watch.violated(DURABLE, what);
            }
        }
    }

    /// Something happened at a node.
    pub(crate) fn watch_step(&mut self, i: usize) {
        let (now, pause) = (self.now, self.pace.permits_ms);
        let stale = self.watch.seen.get(&i).is_some_and(|s| s.stale && now >= s.looked + pause);
        let node = &self.nodes[i];
        if stale && node.is_honest() && node.is_running() && !node.is_dark() && !node.is_full() {
            self.watch.look_at(i);
            if let Some(seen) = self.watch.seen.get_mut(&i) {
                (seen.stale, seen.looked) = (false, now);
            }
            self.scan(i);
            self.watch_permits(i);
            self.watch_glass(i);
        }
        if self.now >= self.watch.last_places + self.pace.places_ms {
            self.watch.last_places = self.now;
            self.watch_places(false);
        }
    }

    /// Reads the reveals of headers that a node did not have when it was last looked at.
    fn scan(&mut self, i: usize) {
        let Some(store) = self.nodes[i].store.clone() else { return };
        let seen = self.watch.seen.entry(i).or_default();
        let fresh = self.people.consents().filter(|id| !seen.has.contains(id)).collect::<Vec<_>>();
        seen.has.extend(fresh.into_iter().filter(|id| has_both(&store, id)));
        let Ok(heads) = store.heads() else { return };
        for head in heads {
            let from = seen.scanned.get(&head.node).map_or(1, |n| n + 1);
            if head.sequence < from {
                continue;
            }
            let Ok(rows) = store.headers(&head.node, from, head.sequence) else { continue };
            for header in rows.iter().filter_map(|row| Header::read(row, &self.genesis.network()).ok()) {
                seen.locks.extend(header.fields().reveal.iter().map(Reveal::lock));
                seen.filed.entry(header.fields().content).or_default().insert(head.node);
            }
            seen.scanned.insert(head.node, head.sequence);
        }
    }

    /// What a node knows of people's entries.
    pub(crate) fn knowledge<'a>(&'a self, i: usize) -> Option<Knowledge<'a>> {
        let (service, store) = (self.nodes[i].service.as_ref()?, self.nodes[i].store.as_ref()?);
        let seen = self.watch.seen.get(&i)?;
        let contents = self.people.consents();
        let has = |id: &ContentId| {
            let known = seen.has.contains(id) || has_both(store, id);
            known && self.watch.void.get(id).is_none_or(|h| *h > service.state().height)
        };
        let state = service.state();
        let member = |node: &NodeId| state.membership.node(node).is_some();
        let vouched = |id: &ContentId| seen.filed.get(id).is_some_and(|by| by.iter().any(member));
        Some(Knowledge {
            people: &self.people,
            finals: &self.watch.finals,
            closed: &self.watch.closed,
            left: &self.watch.left,
            seen: &seen.locks,
            has: contents.filter(has).collect(),
            removed: (0..self.nodes.len()).filter(|j| !member(&self.nodes[*j].id)).collect(),
            vouched: self.people.grants.iter().map(|g| g.content).filter(vouched).collect(),
            height: state.height,
            tip_time: state.time,
            now: service.now(),
            lease_ms: self.plan.shape.lease_ms,
        })
    }

    fn watch_permits(&mut self, i: usize) {
        let Some(knowledge) = self.knowledge(i) else { return };
        let by = self.nodes[i].organization;
        let (Some(person), Some(service)) =
            (self.people.organizations[by].person, self.nodes[i].service.as_ref())
        else {
            return;
        };
        let mut wrong = None;
        for (number, record) in self.people.records.iter().enumerate() {
            let decision = service.decide(&self.request(record.patient, person, record.content));
            if decision.is_permitted() && !knowledge.permits(by, record) {
                wrong = Some(format!("node {i} lets {by} read record {number}: {:?}", decision.why().rule));
            }
        }
        let looked = self.people.records.len() as u64;
        self.coverage.decisions += looked;
        if let Some(what) = wrong {
            self.watch.violated(PERMIT, what);
        }
    }

    /// A decision that somebody asked for.
    pub(crate) fn watch_decision(&mut self, i: usize, number: usize, decision: &Decision) {
        // What a full node reads again shows once it is.
        if self.nodes[i].is_full() {
            return;
        }
        self.scan(i);
        self.coverage.decisions += 1;
        let by = self.nodes[i].organization;
        let allowed = self.knowledge(i).is_none_or(|k| k.permits(by, &self.people.records[number]));
        if decision.is_permitted() && !allowed {
            let what = format!("node {i} let {by} read record {number}: {:?}", decision.why().rule);
            self.watch.violated(PERMIT, what);
        }
    }
}

/// Whether a store has an entry's body and a header of it.
fn has_both(store: &Store, id: &ContentId) -> bool {
    let body = matches!(store.body(id), Ok(Some(_)));
    body && store.headers_of(id).is_ok_and(|headers| !headers.is_empty())
}

// ---- where things are ----

impl World {
    /// Organizations that a record's blob was ever to be held by, or is to be held by now.
    pub(crate) fn placed(&self, record: &Record, now: Option<&Knowledge<'_>>) -> BTreeSet<usize> {
        let of = |g: &&crate::people::Grant| (g.patient, g.category) == (record.patient, record.category);
        let grants = self.people.grants.iter().filter(of);
        let live = grants.filter(|g| now.is_none_or(|k| k.lives(g)));
        let mut placed: BTreeSet<usize> = live.map(|g| g.to.organization()).collect();
        placed.insert(record.organization);
        match now {
            None => placed.extend(&self.people.organizations[record.organization].partners),
            Some(_) => placed.extend(self.partners_now(record.organization)),
        }
        placed
    }

    fn partners_now(&self, of: usize) -> BTreeSet<usize> {
        let any = self.settled_nodes().first().copied();
        let Some(state) = any.and_then(|i| self.nodes[i].service.as_ref()).map(|s| s.state()) else {
            return BTreeSet::new();
        };
        let policy = state.membership.organization_policies.get(&self.people.organizations[of].id);
        let partners = policy.map(|p| p.backup_partners.clone()).unwrap_or_default();
        (0..self.people.organizations.len())
            .filter(|o| partners.contains(&self.people.organizations[*o].id))
            .collect()
    }

    /// Organizations whose first node is honest, running and a member.
    pub(crate) fn open_organizations(&self) -> Vec<usize> {
        let nodes = self.settled_nodes();
        (0..self.people.organizations.len()).filter(|o| nodes.contains(o)).collect()
    }

    /// Nodes that are watched at the end: honest, running, members.
    pub(crate) fn settled_nodes(&self) -> Vec<usize> {
        let member = |i: &usize| {
            let node = &self.nodes[*i];
            node.is_honest() && node.is_running() && node.removed_at.is_none()
        };
        (0..self.nodes.len()).filter(member).collect()
    }

    /// Looks for objects where nothing puts them; at the end where nothing puts them any more.
    fn watch_places(&mut self, at_the_end: bool) {
        if let Some(what) = self.misplaced(at_the_end) {
            self.watch.violated(PLACES, what);
        }
    }

    /// The node by whose knowledge it is judged whether a holder still holds a record rightly: the author's; the
    /// holder itself where the author's was removed, because what only that one was told is nobody's to act on; none
    /// where the author's is a member and hostile, because its orders stand, or where the removed one's record never
    /// came to the holder: who can't judge a blob keeps it, as it may be the last copy.
    fn judge_of(&self, record: &Record, holder: usize) -> Option<usize> {
        let author = record.organization;
        match self.nodes[author].removed_at {
            Some(_) => Some(holder).filter(|holder| self.has_body(*holder, &record.content)),
            None => Some(author).filter(|author| self.settled_nodes().contains(author)),
        }
    }

    /// Whether a hostile partner, a member still, ordered a record here while it was honest: it takes nothing back.
    fn a_liar_orders(&self, record: &Record, holder: usize) -> bool {
        let ever = &self.people.organizations[record.organization].partners;
        let lies = |o: &&usize| !self.nodes[**o].is_honest() && self.nodes[**o].removed_at.is_none();
        let liars: BTreeSet<_> = ever.iter().filter(lies).map(|o| self.people.organizations[*o].id).collect();
        let Some(store) = self.nodes[holder].store.as_ref() else { return false };
        let orders = |object| {
            store.orders(object).is_ok_and(|all| all.iter().any(|o| liars.contains(&o.organization)))
        };
        record.objects.iter().any(orders)
    }

    fn misplaced(&self, at_the_end: bool) -> Option<String> {
        for i in self.settled_nodes() {
            let (Some(store), by) = (self.nodes[i].store.as_ref(), self.nodes[i].organization) else {
                continue;
            };
            if self.nodes[i].is_dark() || self.nodes[i].is_full() {
                continue;
            }
            for (number, record) in self.people.records.iter().enumerate() {
                let judge = self.judge_of(record, i).filter(|_| at_the_end);
                let knowledge = judge.and_then(|judge| self.knowledge(judge));
                // Whoever broke the glass keeps what came until the patient's next turn.
                let mut asked = self.glass.emergencies.values().filter(|e| e.patient == record.patient);
                if self.placed(record, knowledge.as_ref()).contains(&by) || asked.any(|e| e.by == by) {
                    continue;
                }
                let any = store.has_objects(&record.objects).is_ok_and(|here| here.contains(&true));
                if any && !(at_the_end && self.a_liar_orders(record, i)) {
                    return Some(format!("node {i} holds parts of record {number}"));
                }
                let ever = self.placed(record, None).contains(&by);
                if !ever && matches!(store.body(&record.content), Ok(Some(_))) {
                    return Some(format!("node {i} holds the body of record {number}"));
                }
            }
        }
        None
    }
}

// ---- the end ----

impl World {
    /// What is not yet as it will be; null once all is settled.
    pub(crate) fn unsettled(&mut self) -> Option<(&'static str, String)> {
        let nodes = self.settled_nodes();
        let height = self.watch.height();
        for i in &nodes {
            let here = self.nodes[*i].height().unwrap_or(0);
            if here != height {
                return Some((BOUNDED, format!("node {i} is at height {here} of {height}")));
            }
            if self.nodes[*i].is_full() {
                return Some((BOUNDED, format!("node {i} has not seen that its disk has room again")));
            }
            self.scan(*i);
        }
        let disagreed = || self.disagreement(&nodes).map(|what| (VERDICT, what));
        let unlike = || self.undecided(&nodes).or_else(disagreed);
        let unfiled = || self.forgotten(&nodes).map(|what| (BRANCH, what));
        let erased = || self.unerased(&nodes).map(|what| (ERASED, what));
        let earlier = self.unfinished(&nodes).or_else(unfiled).or_else(erased);
        earlier.or_else(|| self.undelivered(&nodes)).or_else(unlike).or_else(|| self.unopened(&nodes))
    }

    /// Whether a header files what was reported by a node of which there are two under one key, under another node.
    fn is_filed_anew(&self, header: &Header) -> bool {
        let fields = header.fields();
        let copied = |r: &Reported| r.content == fields.content && self.nodes[r.node].id != fields.node;
        self.nodes.iter().any(|n| n.copied) && self.people.reported.iter().any(copied)
    }

    // What was filed at one of two processes under one key, and another node of the organization has, is final; but for what
    // that node finds unlawful by now.
    fn forgotten(&self, nodes: &[usize]) -> Option<String> {
        let stays = |r: &&Reported| r.personal && !self.is_erasing(r.patient);
        let copied = self.people.reported.iter().filter(stays).filter(|r| self.nodes[r.node].copied);
        for one in copied.filter(|r| !self.watch.finals.contains_key(&r.content)) {
            let theirs = |i: &&usize| self.nodes[**i].organization == self.nodes[one.node].organization;
            let stranded = Finality::Void(u64::from(Check::RetiredNode.code()));
            let lost = |i: &usize| {
                self.verdict(*i, &one.content)
                    .is_some_and(|said| said == Finality::Signed || said == stranded)
            };
            if let Some(i) = nodes.iter().filter(theirs).find(|i| lost(i)) {
                let (at, from) = (one.at, one.node);
                return Some(format!(
                    "node {i} has what was filed at {from} at {at} ms, and nobody files it"
                ));
            }
        }
        None
    }

    fn unfinished(&self, nodes: &[usize]) -> Option<(&'static str, String)> {
        let kept = |r: &&crate::people::Reported| nodes.contains(&r.node);
        let waits = self.people.reported.iter().filter(kept);
        let first = waits.into_iter().find(|r| !self.watch.final_headers.contains_key(&r.header));
        first.map(|r| (BOUNDED, format!("what node {} filed at {} ms is not final", r.node, r.at)))
    }

    pub(crate) fn has_body(&self, i: usize, content: &ContentId) -> bool {
        self.nodes[i].store.as_ref().is_some_and(|s| matches!(s.body(content), Ok(Some(_))))
    }

    /// How a node sees an entry, for a story.
    fn state_of(&self, i: usize, content: &ContentId) -> String {
        let state = self.nodes[i].service.as_ref().map(|s| s.entry_state(content));
        match state {
            Some(Ok(Some(state))) => format!("{:?}, {} holders", state.finality, state.holders),
            _ => "unknown there".into(),
        }
    }

    // Access entries at home, grants at the grantee's, records with their blobs where they are placed.
    fn undelivered(&self, nodes: &[usize]) -> Option<(&'static str, String)> {
        for opened in self.people.opened.iter().filter(|o| !self.is_erasing(Some(o.patient))) {
            let home = self.people.patients[opened.patient].home;
            let wanted =
                nodes.iter().filter(|i| Some(self.nodes[**i].organization) == home || **i == opened.node);
            for i in wanted {
                if nodes.contains(&opened.node) && !self.has_body(*i, &opened.access) {
                    let there = self.state_of(opened.node, &opened.access);
                    let what =
                        format!("node {i} lacks the access entry of a read at {} ({there})", opened.by);
                    return Some((ACCESS, what));
                }
            }
        }
        for (number, grant) in self.people.grants.iter().enumerate() {
            let home = self.people.patients[grant.patient].home;
            let erasing = self.is_erasing(Some(grant.patient));
            let Some(home) = home.filter(|h| nodes.contains(h) && !erasing) else { continue };
            let live = self.watch.finals.contains_key(&grant.content) && self.knowledge(home)?.lives(grant);
            let to = |i: &&usize| self.nodes[**i].organization == grant.to.organization();
            if let Some(i) = nodes.iter().filter(to).find(|i| live && !self.has_body(**i, &grant.content)) {
                return Some((BOUNDED, format!("node {i} lacks grant {number}")));
            }
        }
        for (number, record) in self.people.records.iter().enumerate() {
            let known =
                nodes.contains(&record.organization) && self.watch.finals.contains_key(&record.content);
            if !known || self.is_erasing(Some(record.patient)) {
                continue;
            }
            let knowledge = self.knowledge(record.organization);
            let placed = self.placed(record, knowledge.as_ref());
            for i in nodes.iter().filter(|i| placed.contains(&self.nodes[**i].organization)) {
                let store = self.nodes[*i].store.as_ref()?;
                let all = store.has_objects(&record.objects).is_ok_and(|here| !here.contains(&false));
                if !all || !self.has_body(*i, &record.content) {
                    let invariant = if *i == record.organization { DURABLE } else { BOUNDED };
                    return Some((invariant, format!("node {i} lacks parts of record {number}")));
                }
            }
        }
        self.misplaced(true).map(|what| (PLACES, what))
    }

    // Every node decides as the model does.
    fn undecided(&self, nodes: &[usize]) -> Option<(&'static str, String)> {
        for i in nodes {
            let by = self.nodes[*i].organization;
            let (knowledge, service) = (self.knowledge(*i)?, self.nodes[*i].service.as_ref()?);
            let Some(person) = self.people.organizations[by].person else { continue };
            let stays = |(_, record): &(usize, &Record)| !self.is_erasing(Some(record.patient));
            for (number, record) in self.people.records.iter().enumerate().filter(stays) {
                let decision = service.decide(&self.request(record.patient, person, record.content));
                let known =
                    self.has_body(*i, &record.content) && self.watch.finals.contains_key(&record.content);
                let permits = knowledge.permits(by, record) && knowledge.has_author(record) && known;
                if decision.is_permitted() != permits {
                    let what = format!(
                        "node {i} says {} of record {number} ({}), the model {permits}",
                        decision.why().rule.code(),
                        self.state_of(*i, &record.content)
                    );
                    return Some((PERMIT, what));
                }
                // Who may read needs K as well, to file the access.
                let first = *i < self.plan.shape.organizations();
                let id = &self.people.patients[record.patient].id;
                if permits && first && !matches!(service.subject_key(id), Ok(Some(_))) {
                    return Some((BOUNDED, format!("node {i} lacks the key of patient {}", record.patient)));
                }
            }
        }
        None
    }

    /// What was reported is there, on every honest node.
    pub(crate) fn watch_end(&mut self) {
        for i in self.settled_nodes() {
            self.watch_reported(i);
        }
        self.watch_places(true);
    }
}
