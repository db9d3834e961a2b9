//! Ordering: headers into the pool, the pool into blocks, blocks into the state.
//!
//! A block that was proposed waits as a candidate until its headers are here and it has been judged; a
//! block that was decided is committed in one transaction with everything that follows from it.

use hospes_protocol::block::{Block, CommitCertificate};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::entry::{Header, is_control};
use hospes_protocol::ids::{BlockHash, NodeId, Reveal};
use hospes_protocol::limits::GOSSIP_BYTES_MAX;
use hospes_protocol::state::Executed;
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::{fail_point, mutant};
use hospes_storage::{Commit, HeaderRow};

use crate::branches::Aside;
use crate::effects::{Effect, Event, Timer};
use crate::follow::Asked;
use crate::messages::{Channel, Gossip, HeaderItem, HeaderRun, Request};
use crate::pool::Selection;
use crate::service::{Fatal, Service};

/// Candidates of one validator that are kept for a height: an honest one proposes one a round that it leads. So many
/// of each, and not so many of all: who floods fills its own share.
const CANDIDATES_PER_VALIDATOR: usize = 16;
/// Validators that tell everyone of a block that was decided. If each did, what a node carries would grow with the square
/// of their number.
const ANNOUNCERS: u64 = 5;

/// A proposed block.
pub(crate) struct Candidate {
    block: Block,
    /// Whose share it counts against: its proposer once that has sent it, until then whoever did.
    from: NodeId,
    verdict: Option<bool>,
    executed: Option<Executed>,
}

/// What became of a certified block.
pub(crate) enum Taken {
    /// It is the state's.
    Committed,
    /// These headers of it are not here.
    Lacks(Vec<HeaderRun>),
}

impl Service {
    /// Takes headers from a peer, durably and at once; gives what was wrong with the first that was refused.
    pub(crate) fn on_headers(
        &mut self,
        from: NodeId,
        items: Vec<HeaderItem>,
    ) -> Result<Option<Rejected>, Fatal> {
        let (mut wrong, mut taken, mut rows, mut aside) = (None, Vec::new(), Vec::new(), Vec::new());
        let read: Vec<_> = items.iter().map(|item| Header::read(&item.header, &self.network)).collect();
        let verified = self.verify_together(&read);
        for ((item, read), verified) in items.into_iter().zip(read).zip(verified) {
            let header = match read {
                Ok(header) => header,
                Err(rejected) => {
                    wrong = wrong.or(Some(rejected));
                    continue;
                }
            };
            match self.judge_header(&header, item.control.as_ref(), verified) {
                Ok(control) => {
                    rows.push(HeaderRow::of(&header, control.as_ref().map(|body| body.0.clone())));
                    self.pool_header(header.clone(), control);
                    taken.push(header);
                }
                Err(rejected) => {
                    // Whoever passes on what it holds is not to blame for the one who forked it.
                    let forked = matches!(rejected.check, Check::Fork | Check::PrevMismatch);
                    let own = header.fields().node == from;
                    aside.extend(self.on_refused_header(from, header, item.control, rejected)?);
                    wrong = wrong.or(Some(if forked && !own { Check::Replay.into() } else { rejected }));
                }
            }
        }
        if !taken.is_empty() {
            fail_point!(HeaderUnkept, return Err(hospes_storage::StoreError::wanted().into()));
            self.stirred.set(true);
            self.ledger.put_headers(&rows)?;
            self.look_for_own_headers(&taken)?;
            self.see_reveals(&taken)?;
            self.after_headers(&taken)?;
        }
        if !aside.is_empty() {
            self.take_aside(aside);
            self.judge_candidates()?;
            self.want_block();
        }
        Ok(wrong)
    }

    /// For each header whether its signature is known to hold: those that may be new are verified as a batch,
    /// and one false among them leaves each to be verified alone.
    fn verify_together(&self, read: &[Result<Header, Rejected>]) -> Vec<bool> {
        let fresh = |header: &Header| header.fields().sequence > self.pool.head(&header.fields().node).0;
        let key = |header: &Header| self.state.membership.node(&header.fields().node).map(|node| &node.key);
        let keyed =
            |read: &'_ Result<Header, Rejected>| read.as_ref().ok().filter(|h| fresh(h)).and_then(key);
        let keys: Vec<_> = read.iter().map(keyed).collect();
        let batch: Vec<_> =
            read.iter().zip(&keys).filter_map(|(read, key)| read.as_ref().ok().zip(*key)).collect();
        let hold = Header::all_verify(&batch);
        keys.iter().map(|key| hold && key.is_some()).collect()
    }

    fn judge_header(
        &self,
        header: &Header,
        control: Option<&Bytes>,
        verified: bool,
    ) -> Result<Option<Bytes>, Rejected> {
        let verify = || if verified { Ok(()) } else { self.verify_header(header) };
        self.pool.judge(header).or_else(|r| {
            // A replay is not worth a verification; a fork is evidence only if both are signed.
            if r.check == Check::Replay { Err(r) } else { verify().and(Err(r)) }
        })?;
        verify()?;
        let Some(bytes) = control.filter(|_| is_control(header.fields().kind)) else { return Ok(None) };
        let (body, _) = Body::read(bytes, &self.network)?;
        ensure(body.id() == header.fields().content, Check::ContentMismatch)?;
        Ok(Some(bytes.clone()))
    }

    /// A header waits for a block from now on; the caller makes it durable before anything leaves.
    pub(crate) fn pool_header(&mut self, header: Header, control: Option<Bytes>) {
        if let Some(body) = control {
            self.pool.keep_control(header.fields().content, body);
        }
        self.pool.keep(header);
    }

    /// Reveals close their locks on sight, final or not.
    pub(crate) fn see_reveals(&mut self, headers: &[Header]) -> Result<(), Fatal> {
        let reveals = headers.iter().flat_map(|h| &h.fields().reveal);
        let fresh: Vec<_> = reveals.map(Reveal::lock).filter(|lock| !self.seen.contains(lock)).collect();
        if fresh.is_empty() || mutant!(RevealsUnseen) {
            return Ok(());
        }
        fail_point!(LockUnseen, return Err(hospes_storage::StoreError::wanted().into()));
        self.ledger.see_locks(&fresh)?;
        for lock in fresh {
            self.seen.insert(lock);
            self.event(Event::LockClosed(lock));
        }
        Ok(())
    }

    /// What a refused header tells all the same: a gap, a fork, or a part of a branch that a block stands on.
    fn on_refused_header(
        &mut self,
        from: NodeId,
        header: Header,
        control: Option<Bytes>,
        rejected: Rejected,
    ) -> Result<Option<Aside>, Fatal> {
        let (node, sequence) = (header.fields().node, header.fields().sequence);
        let run = |from| vec![HeaderRun { node, from, to: sequence }];
        match rejected.check {
            // While blocks are taken, what lies before it comes with them.
            Check::SequenceGap if !self.has_page() => {
                self.ask_headers(from, run(self.pool.head(&node).0 + 1));
            }
            Check::SequenceGap => {}
            Check::Fork => {
                self.pool.suspect(node);
                self.look_for_own_headers(std::slice::from_ref(&header))?;
                if let Some(other) = self.pool.get(&node, sequence).cloned() {
                    self.pool.keep_fork(node, &other, &header);
                }
            }
            // The fork is further back.
            Check::PrevMismatch => {
                self.pool.suspect(node);
                self.ask_headers(from, run(sequence.saturating_sub(1).max(1)));
            }
            Check::Replay => return self.on_replay(&header).map(|()| None),
            _ => return Ok(None),
        }
        let control = control.filter(|bytes| {
            let body = Body::read(bytes, &self.network);
            is_control(header.fields().kind) && body.is_ok_and(|(b, _)| b.id() == header.fields().content)
        });
        let useful = rejected.check == Check::Fork || self.pool.wants_branch(&node);
        Ok(useful.then_some((header, control)))
    }

    /// Another header than the final one with its number is evidence too.
    fn on_replay(&mut self, header: &Header) -> Result<(), Fatal> {
        let (node, sequence) = (header.fields().node, header.fields().sequence);
        if self.state.membership.node(&node).is_none() {
            return Ok(());
        }
        let stored = self.ledger.headers(&node, sequence, sequence)?;
        let standing = stored.first().and_then(|bytes| Header::read(bytes, &self.network).ok());
        if let Some(standing) = standing.filter(|s| s.id() != header.id())
            && self.verify_header(header).is_ok()
        {
            self.pool.suspect(node);
            self.look_for_own_headers(std::slice::from_ref(header))?;
            self.pool.keep_fork(node, &standing, header);
            self.want_block();
        }
        Ok(())
    }

    /// New headers wait: candidates may be complete now, and there is something to order.
    fn after_headers(&mut self, taken: &[Header]) -> Result<(), Fatal> {
        let bodies: Vec<_> = taken.iter().map(|h| h.fields().content).collect();
        self.on_headers_known(&bodies)?;
        self.judge_candidates()?;
        self.want_block();
        Ok(())
    }

    /// Own headers wait for a block. Their bodies are offered by an input of its own, so that nobody who waits for
    /// the headers waits for that.
    pub(crate) fn after_filing(&mut self, filed: &[Header]) -> Result<(), Fatal> {
        self.outgoing.extend(filed.iter().map(|h| h.fields().content));
        self.set_timer(Timer::SendOut, self.now);
        self.judge_candidates()?;
        self.want_block();
        Ok(())
    }

    /// Bodies that were filed here are owed to their audience, and offered.
    pub(crate) fn send_out_filed(&mut self) -> Result<(), Fatal> {
        let filed = std::mem::take(&mut self.outgoing);
        self.on_headers_known(&filed)?;
        self.emergency_turn()?;
        let peers: Vec<_> = self.peers.keys().copied().collect();
        peers.into_iter().try_for_each(|peer| self.owe_peer(peer))
    }

    /// Asks for a height to be decided, a little later so that more headers share it.
    pub(crate) fn want_block(&mut self) {
        if self.is_validator() && self.pool.can_order(&self.state, self.now) {
            let delay = self.state.membership.policy.block_delay_ms;
            self.set_timer(Timer::Gather, self.now.saturating_add(delay));
        }
    }

    /// Builds a block for this height; gives its hash.
    pub(crate) fn build_block(&mut self) -> Result<BlockHash, Fatal> {
        let time = self.now.max(self.state.time);
        let (picked, mut executed) = self.select(time)?;
        let mut block = Block::over(&self.state, &picked.draft(time), &executed, self.me.node);
        block.last_commit = self.ledger.certificate(self.state.height)?;
        block.equivocations.clone_from(&self.equivocations);
        let hash = block.hash();
        executed.state.seal(hash);
        let bytes = Channel::Block(Bytes(block.encode())).encode();
        self.send_validators(&bytes);
        let candidate =
            Candidate { block, from: self.me.node, verdict: Some(true), executed: Some(executed) };
        self.candidates.insert(hash, candidate);
        Ok(hash)
    }

    /// What the next block orders. A run that removes or outdates what another rests on makes the whole fail, so
    /// then one goes first; at the worst none does, and the next proposer tries another.
    fn select(&self, time: u64) -> Result<(Selection, Executed), Fatal> {
        let whole = self.pool.select(&self.state, time);
        if let Ok(executed) = self.state.execute(&whole.draft(time)) {
            return Ok((whole, executed));
        }
        let alone = self.pool.select_alone(&self.state, time, self.state.height);
        if let Ok(executed) = self.state.execute(&alone.draft(time)) {
            return Ok((alone, executed));
        }
        let none = Selection::default();
        let executed = self.state.execute(&none.draft(time)).map_err(Fatal::Contradiction)?;
        Ok((none, executed))
    }

    /// Sends to every other validator of the height.
    pub(crate) fn send_validators(&mut self, bytes: &[u8]) {
        let others: Vec<_> =
            self.state.validators.validators.iter().map(|v| v.node).filter(|n| *n != self.me.node).collect();
        for to in others {
            self.emit(Effect::Send { to, bytes: bytes.to_vec() });
        }
    }

    /// A proposed block from a validator.
    pub(crate) fn on_block(&mut self, from: NodeId, bytes: &[u8]) -> Result<Option<Rejected>, Fatal> {
        let block = match Block::read(bytes, &self.network) {
            Ok(block) => block,
            Err(rejected) => return Ok(Some(rejected)),
        };
        let validator = self.state.validators.get(&from).is_some();
        if block.height != self.state.height + 1 || !validator {
            // It overtook the last votes of the height before it.
            if validator && block.height == self.state.height + 2 {
                self.early.insert(from, bytes.to_vec());
            }
            self.note_height(from, block.height.saturating_sub(1));
            return Ok(None);
        }
        let hash = block.hash();
        if let Some(known) = self.candidates.get_mut(&hash) {
            if block.proposer == from {
                known.from = from;
            }
            return Ok(None);
        }
        let theirs = self.candidates.values().filter(|candidate| candidate.from == from).count();
        if theirs >= CANDIDATES_PER_VALIDATOR {
            return Ok(None);
        }
        self.candidates.insert(hash, Candidate { block, from, verdict: None, executed: None });
        self.judge_candidates()?;
        Ok(None)
    }

    /// Takes blocks that came before their height.
    pub(crate) fn take_early(&mut self) -> Result<(), Fatal> {
        for (from, bytes) in std::mem::take(&mut self.early) {
            let wrong = self.on_block(from, &bytes)?;
            self.judge_peer(from, wrong);
        }
        Ok(())
    }

    /// Judges every candidate whose headers are here, and asks for those that are missing.
    pub(crate) fn judge_candidates(&mut self) -> Result<(), Fatal> {
        let open: Vec<_> =
            self.candidates.iter().filter(|(_, c)| c.verdict.is_none()).map(|(hash, _)| *hash).collect();
        for hash in open {
            let Some(candidate) = self.candidates.get(&hash) else { continue };
            let headers = match self.pool.headers_of(&candidate.block.cuts) {
                Ok(headers) => headers,
                Err(missing) => {
                    let (from, runs) = (candidate.from, runs(missing));
                    self.pool.want_branches(&candidate.block.cuts);
                    self.ask_headers(from, runs);
                    continue;
                }
            };
            let known = self.decided_by.as_ref();
            let judged = self.state.judge_after(&candidate.block, &headers, Some(self.now), known);
            let valid = judged.is_ok();
            if let Err(rejected) = &judged {
                let from = candidate.from;
                self.judge_peer(from, Some(*rejected));
            }
            if let Some(candidate) = self.candidates.get_mut(&hash) {
                candidate.verdict = Some(valid);
                candidate.executed = judged.ok();
            }
            self.tell_verdict(hash, valid)?;
        }
        Ok(())
    }

    /// A candidate in bytes.
    pub(crate) fn candidate_bytes(&self, hash: &BlockHash) -> Option<Vec<u8>> {
        self.candidates.get(hash).map(|c| c.block.encode())
    }

    /// The verdict on a proposed block, if it is here and judged.
    #[must_use]
    pub fn verdict(&self, hash: &BlockHash) -> Option<bool> {
        self.candidates.get(hash).and_then(|c| c.verdict)
    }

    /// The engine decided: commits the block if it is here, otherwise asks for it.
    pub(crate) fn on_decided(&mut self, certificate: CommitCertificate) -> Result<(), Fatal> {
        match self.candidates.remove(&certificate.block) {
            Some(Candidate { block, executed: Some(executed), .. }) => {
                let item = (certificate.clone(), Some(Bytes(block.encode())));
                let announces = self.announces(certificate.height);
                self.commit(&block, &certificate, executed)?;
                if announces {
                    self.announce(item);
                }
                Ok(())
            }
            _ => {
                let certified: Vec<_> = certificate.signatures.iter().map(|s| s.validator).collect();
                for peer in certified {
                    self.note_height(peer, certificate.height);
                }
                Ok(())
            }
        }
    }

    /// Whether this validator tells everyone of the block of a height: a few do, in turn. If all of them lie or are cut
    /// off, a peer that lacks the block learns of it from the next that it asks where it is.
    fn announces(&self, height: u64) -> bool {
        let set = &self.state.validators.validators;
        let many = set.len() as u64;
        let place = set.iter().position(|v| v.node == self.me.node).map(|place| place as u64);
        place.is_some_and(|place| (place + many - height % many) % many < ANNOUNCERS)
    }

    fn announce(&mut self, (certificate, block): (CommitCertificate, Option<Bytes>)) {
        let whole = Gossip::Decided((certificate.clone(), block)).encode();
        let bytes = if whole.len() < GOSSIP_BYTES_MAX - 1024 {
            whole
        } else {
            Gossip::Decided((certificate, None)).encode()
        };
        self.emit(Effect::Gossip(bytes));
    }

    /// Takes a certified block that follows the state, or says which headers of it are missing.
    pub(crate) fn take_certified(
        &mut self,
        bytes: &[u8],
        certificate: &CommitCertificate,
    ) -> Result<Result<Taken, Rejected>, Fatal> {
        if !self.trusts_its_state() {
            return Ok(Err(Check::TrustPeriod.into()));
        }
        let block = match self.judge_certified(bytes, certificate) {
            Ok(block) => block,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let headers = match self.pool.headers_of(&block.cuts) {
            Ok(headers) => headers,
            Err(missing) => {
                self.pool.want_branches(&block.cuts);
                return Ok(Ok(Taken::Lacks(runs(missing))));
            }
        };
        match self.state.judge_after(&block, &headers, None, self.decided_by.as_ref()) {
            Ok(executed) => {
                self.look_for_own_vote(certificate)?;
                self.commit(&block, certificate, executed)?;
                Ok(Ok(Taken::Committed))
            }
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    fn judge_certified(&self, bytes: &[u8], certificate: &CommitCertificate) -> Result<Block, Rejected> {
        let block = Block::read(bytes, &self.network)?;
        ensure(block.height == self.state.height + 1, Check::BlockHeight)?;
        ensure(certificate.height == block.height, Check::CertificateHeight)?;
        ensure(block.hash() == certificate.block || mutant!(BlockUnbound), Check::BlockHash)?;
        certificate.verify(&self.network, &self.state.validators)?;
        Ok(block)
    }

    fn commit(
        &mut self,
        block: &Block,
        certificate: &CommitCertificate,
        executed: Executed,
    ) -> Result<(), Fatal> {
        let headers = self.pool.headers_of(&block.cuts).unwrap_or_default();
        self.adopt_branches(&block.cuts)?;
        self.note_handover(block, certificate, &executed.state.validators)?;
        fail_point!(BlockUnwritten, return Err(hospes_storage::StoreError::wanted().into()));
        self.stirred.set(true);
        self.ledger.commit(&Commit {
            height: block.height,
            hash: certificate.block,
            block: block.encode(),
            certificate: certificate.clone(),
            headers: executed.outcomes.iter().map(|o| (o.header, o.void)).collect(),
            closed: executed.closed.clone(),
            range: executed.range.clone(),
            state: executed.state.encode_snapshot(),
        })?;
        fail_point!(BlockUnindexed, return Err(hospes_storage::StoreError::wanted().into()));
        let before = self.standing_nodes();
        let membership_changed = !std::sync::Arc::ptr_eq(&self.state.membership, &executed.state.membership);
        self.state = executed.state;
        self.decided_by = Some(certificate.clone());
        self.pool.finalised(&self.state, &block.cuts);
        self.candidates.clear();
        self.equivocations.retain(|pair| !block.equivocations.contains(pair));
        self.seen.extend(executed.closed.iter().copied());
        self.event(Event::BlockCommitted { height: block.height, headers: headers.len() });
        let now = self.standing_nodes();
        if membership_changed || before != now {
            self.admit();
            self.event(Event::MembershipChanged { left: before.difference(&now).copied().collect() });
        }
        self.on_forks_final(block)?;
        self.on_final(block.height, &headers, &executed.outcomes)?;
        self.look_at_ceremonies();
        fail_point!(BlockUnsaid, return Err(hospes_storage::StoreError::wanted().into()));
        self.after_commit(block)
    }
}

fn runs(missing: Vec<(NodeId, u64, u64)>) -> Vec<HeaderRun> {
    missing.into_iter().map(|(node, from, to)| HeaderRun { node, from, to }).collect()
}

impl Service {
    /// Asks a peer for runs of headers, once at a time; gives whether it is asked.
    pub(crate) fn ask_headers(&mut self, from: NodeId, runs: Vec<HeaderRun>) -> bool {
        let busy = self.asked.values().any(|a| matches!(a, Asked::Headers { peer, .. } if *peer == from));
        let asks = !busy && from != self.me.node && !runs.is_empty();
        if asks {
            self.ask(from, &Request::Headers(runs), Asked::Headers { peer: from });
        }
        asks
    }
}
