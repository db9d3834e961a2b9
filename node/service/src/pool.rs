//! Headers that are known here and not yet final: what the next block may order.
//!
//! Each node's headers form one chain; the pool takes the next one only, names the gap otherwise, and
//! keeps the evidence when a chain forks. It reads no disk: the caller stores what was taken.

use std::collections::BTreeMap;

use hospes_protocol::block::{Cut, Fork};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::control::{NodeEntry, Standing};
use hospes_protocol::entry::{Header, Kind, is_control};
use hospes_protocol::ids::{ContentId, HeaderId, NodeId, OrganizationId};
use hospes_protocol::limits::{BLOCK_BYTES_MAX, HEADERS_PER_ORGANIZATION_MAX, SIGNED_AHEAD_MS_MAX};
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::tap::Body;
use hospes_protocol::wire::{Bytes, Wire};

use crate::branches::Branches;

/// Headers of one node that may wait here: ten blocks' worth. A node that files faster is asked to wait.
pub const PENDING_PER_NODE_MAX: usize = 10 * HEADERS_PER_ORGANIZATION_MAX;
/// Room that a draft leaves in a block for everything beside control bodies.
const BLOCK_RESERVE_BYTES: usize = 128 * 1024;

/// Headers that wait for a block.
#[derive(Default)]
pub struct Pool {
    pending: BTreeMap<(NodeId, u64), Header>,
    /// The last header known of each node, final or not.
    known: BTreeMap<NodeId, (u64, HeaderId)>,
    control: BTreeMap<ContentId, Bytes>,
    forks: BTreeMap<NodeId, Fork>,
    branches: Branches,
}

/// What a proposer would order now.
#[derive(Default)]
pub struct Selection {
    /// Ascending by node.
    pub cuts: Vec<Cut>,
    /// In the order of the cuts.
    pub headers: Vec<Header>,
    /// In the order of the headers.
    pub control: Vec<Bytes>,
    /// Forked sequences.
    pub forks: Vec<Fork>,
}

impl Selection {
    /// Whether there is nothing to order.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty() && self.forks.is_empty()
    }

    /// What a block at `time` orders by it.
    #[must_use]
    pub fn draft(&self, time: u64) -> Draft<'_> {
        Draft { time, cuts: &self.cuts, headers: &self.headers, control: &self.control, forks: &self.forks }
    }

    /// Leaves out what follows the first control entry of its one run.
    fn stop_at_control(&mut self) {
        let Some(at) = self.headers.iter().position(|h| is_control(h.fields().kind)) else { return };
        self.headers.truncate(at + 1);
        self.control.truncate(1);
        if let (Some(cut), Some(header)) = (self.cuts.first_mut(), self.headers.last()) {
            (cut.to, cut.last) = (header.fields().sequence, header.id());
        }
    }
}

impl Pool {
    /// An empty pool over a state and the headers that storage holds beyond it, in order.
    #[must_use]
    pub fn over(state: &LedgerState, waiting: Vec<Header>, control: BTreeMap<ContentId, Bytes>) -> Self {
        let mut pool = Self { known: state.frontiers.clone(), control, ..Self::default() };
        for header in waiting {
            pool.keep(header);
        }
        pool
    }

    /// The last header known of `node`: its sequence number and id; zero and null for none.
    #[must_use]
    pub fn head(&self, node: &NodeId) -> (u64, Option<HeaderId>) {
        self.known.get(node).map_or((0, None), |(sequence, id)| (*sequence, Some(*id)))
    }

    /// The last header known of each node.
    pub fn heads(&self) -> impl Iterator<Item = (&NodeId, &(u64, HeaderId))> {
        self.known.iter()
    }

    /// Every header that waits.
    pub fn waiting(&self) -> impl Iterator<Item = &Header> {
        self.pending.values()
    }

    /// How many headers wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty() && self.forks.is_empty()
    }

    /// A header that waits.
    #[must_use]
    pub fn get(&self, node: &NodeId, sequence: u64) -> Option<&Header> {
        self.pending.get(&(*node, sequence))
    }

    /// Judges whether `header` is the next of its node; its signature is the caller's.
    ///
    /// # Errors
    /// [`Check::Replay`] for one that is known, [`Check::SequenceGap`] where headers before it are missing,
    /// [`Check::PrevMismatch`], [`Check::Fork`] for a second one with its number, [`Check::CapExceeded`].
    pub fn judge(&self, header: &Header) -> Result<(), Rejected> {
        let fields = header.fields();
        let (sequence, head) = self.head(&fields.node);
        if fields.sequence <= sequence {
            let other = self.pending.get(&(fields.node, fields.sequence));
            let forked = other.is_some_and(|o| o.id() != header.id());
            return Err(if forked { Check::Fork } else { Check::Replay }.into());
        }
        ensure(fields.sequence == sequence + 1, Check::SequenceGap)?;
        ensure(fields.previous == head, Check::PrevMismatch)?;
        let first = self.pending.range((fields.node, 0)..=(fields.node, u64::MAX)).next();
        let waiting = first.map_or(0, |((_, from), _)| fields.sequence - from);
        ensure(waiting < PENDING_PER_NODE_MAX as u64, Check::CapExceeded)
    }

    /// Takes a judged and stored header.
    pub fn keep(&mut self, header: Header) {
        let fields = header.fields();
        self.known.insert(fields.node, (fields.sequence, header.id()));
        self.pending.insert((fields.node, fields.sequence), header);
    }

    /// Takes the body of a control header.
    pub fn keep_control(&mut self, id: ContentId, body: Bytes) {
        self.control.insert(id, body);
    }

    /// The body of a control header that waits.
    #[must_use]
    pub fn control_body(&self, id: &ContentId) -> Option<&Bytes> {
        self.control.get(id)
    }

    /// Keeps the evidence of a fork; the first suffices to retire a node.
    pub fn keep_fork(&mut self, node: NodeId, one: &Header, other: &Header) {
        let fork = || Fork { one: Bytes(one.as_bytes().to_vec()), other: Bytes(other.as_bytes().to_vec()) };
        self.forks.entry(node).or_insert_with(fork);
    }

    /// Evidence of forks whose nodes still take part.
    pub(crate) fn evidence(&self) -> impl Iterator<Item = &Fork> {
        self.forks.values()
    }

    /// Whether a block at `time` would order anything.
    #[must_use]
    pub fn can_order(&self, state: &LedgerState, time: u64) -> bool {
        let forked = self.forks.keys().any(|node| state.membership.node(node).is_some());
        forked || self.known.keys().any(|node| self.next_is_ready(node, state, time))
    }

    fn next_is_ready(&self, node: &NodeId, state: &LedgerState, time: u64) -> bool {
        let next = state.frontiers.get(node).map_or(1, |f| f.0 + 1);
        let (Some(member), Some(header)) = (state.membership.node(node), self.get(node, next)) else {
            return false;
        };
        let fields = header.fields();
        fields.signed_at <= time.saturating_add(SIGNED_AHEAD_MS_MAX)
            && fields.organization == member.organization
            && self.last_in_force(node, member, state, time).is_some()
            && (!is_control(fields.kind) || self.control.contains_key(&fields.content))
    }

    /// The last header that a node's run may order: any, or, once its certificate has ended, one that renews it.
    fn last_in_force(
        &self,
        node: &NodeId,
        member: &NodeEntry,
        state: &LedgerState,
        time: u64,
    ) -> Option<u64> {
        if member.expires > time {
            return Some(u64::MAX);
        }
        let mut run = self.pending.range((*node, 0)..=(*node, u64::MAX));
        run.find(|(_, header)| self.renews(node, header, state, time)).map(|((_, sequence), _)| *sequence)
    }

    fn renews(&self, node: &NodeId, header: &Header, state: &LedgerState, time: u64) -> bool {
        let fields = header.fields();
        let body = self.control.get(&fields.content).filter(|_| fields.kind == Kind::Node.code());
        let Some((body, content)) = body.and_then(|bytes| Body::read(bytes, &state.network).ok()) else {
            return false;
        };
        let entry = NodeEntry::decode(&content.payload);
        let later =
            |e: &NodeEntry| e.key.id().0 == node.0 && e.standing == Standing::Active && e.expires > time;
        entry.is_ok_and(|e| later(&e))
            && header.matches(&content).is_ok()
            && state.judge_control(&content, &body, node).is_ok()
    }

    /// The run of one node up to its first control entry. It can be ordered where all of [`Pool::select`] can't,
    /// because one run takes away what another rests on; `turn` says whose it is.
    #[must_use]
    pub fn select_alone(&self, state: &LedgerState, time: u64, turn: u64) -> Selection {
        let ready: Vec<_> = self.known.keys().filter(|n| self.next_is_ready(n, state, time)).collect();
        let mut picked = Selection::default();
        let place = turn.checked_rem(ready.len() as u64).and_then(|n| usize::try_from(n).ok());
        if let Some(node) = place.and_then(|n| ready.get(n)) {
            self.select_run(node, state, time, &mut Room::of(state), &mut picked);
            picked.stop_at_control();
        }
        picked
    }

    /// What a block at `time` may order, within the caps and the block's size.
    #[must_use]
    pub fn select(&self, state: &LedgerState, time: u64) -> Selection {
        let mut picked = Selection::default();
        let mut room = Room::of(state);
        for node in self.known.keys() {
            self.select_run(node, state, time, &mut room, &mut picked);
        }
        let standing = |(node, _): &(&NodeId, &Fork)| state.membership.node(node).is_some();
        picked.forks = self.forks.iter().filter(standing).map(|(_, f)| f.clone()).take(8).collect();
        picked
    }

    fn select_run(
        &self,
        node: &NodeId,
        state: &LedgerState,
        time: u64,
        room: &mut Room,
        out: &mut Selection,
    ) {
        let Some(member) = state.membership.node(node) else { return };
        let Some(until) = self.last_in_force(node, member, state, time) else { return };
        let from = state.frontiers.get(node).map_or(1, |f| f.0 + 1);
        let before = (out.headers.len(), out.control.len());
        let mut last = None;
        for ((_, sequence), header) in self.pending.range((*node, from)..=(*node, until)) {
            let fields = header.fields();
            let in_time = fields.signed_at <= time.saturating_add(SIGNED_AHEAD_MS_MAX);
            let body = self.control.get(&fields.content);
            if !in_time || fields.organization != member.organization || !room.takes(header, body) {
                break;
            }
            if is_control(fields.kind) {
                let Some(body) = body else { break };
                out.control.push(body.clone());
            }
            out.headers.push(header.clone());
            last = Some((*sequence, header.id()));
        }
        let renewed = until == u64::MAX || last.is_some_and(|(to, _)| to == until);
        if !renewed {
            out.headers.truncate(before.0);
            out.control.truncate(before.1);
        } else if let Some((to, last)) = last {
            out.cuts.push(Cut { node: *node, from, to, last });
        }
    }

    /// A header of a node came that doesn't continue what is known of it.
    pub(crate) fn suspect(&mut self, node: NodeId) {
        self.branches.suspect(node);
    }

    /// Whether headers of a node on another branch are of use.
    pub(crate) fn wants_branch(&self, node: &NodeId) -> bool {
        self.branches.is_wanted(node)
    }

    /// A block stands on these cuts, which are not all here: other branches among them are kept when they come.
    pub(crate) fn want_branches(&mut self, cuts: &[Cut]) {
        for cut in cuts {
            if self.branches.is_forked(&cut.node) || !self.stands(cut) {
                self.branches.want(cut);
            }
        }
    }

    /// Takes verified headers of other branches; gives whether one that a block stands on is whole now.
    pub(crate) fn take_branch(&mut self, headers: &[Header]) -> bool {
        let pending = &self.pending;
        self.branches.take(headers, |node, sequence| pending.get(&(*node, sequence)).cloned())
    }

    /// What of a cut's branch is not the pool's own, from the fork on; null where the pool stands on it.
    pub(crate) fn other_branch(&self, cut: &Cut) -> Option<Vec<Header>> {
        let ours = |h: &&Header| self.get(&cut.node, h.fields().sequence).is_some_and(|o| o.id() == h.id());
        let branch: Vec<_> = self.branches.of(cut)?.iter().skip_while(ours).cloned().collect();
        (!branch.is_empty()).then_some(branch)
    }

    /// Lets a branch stand in place of what the pool has of its node.
    pub(crate) fn adopt(&mut self, cut: &Cut, branch: Vec<Header>) {
        let from = branch.first().map_or(cut.to, |h| h.fields().sequence);
        self.pending.retain(|(node, sequence), _| *node != cut.node || *sequence < from);
        branch.into_iter().for_each(|header| self.keep(header));
        self.branches.forget(&cut.node);
    }

    // Whether the pool's own chain ends a cut as the block has it; what is not here doesn't contradict it.
    fn stands(&self, cut: &Cut) -> bool {
        self.get(&cut.node, cut.to).is_none_or(|header| header.id() == cut.last)
    }

    /// The headers that `cuts` order, or the runs of those that are missing.
    ///
    /// # Errors
    /// The missing runs, as (node, from, to).
    pub fn headers_of(&self, cuts: &[Cut]) -> Result<Vec<Header>, Vec<(NodeId, u64, u64)>> {
        let (mut headers, mut missing) = (Vec::new(), Vec::new());
        for cut in cuts {
            if let Some(branch) = self.branches.of(cut) {
                headers.extend_from_slice(branch);
                continue;
            }
            let have = self.head(&cut.node).0;
            if have < cut.to || !self.stands(cut) {
                let whole = have >= cut.to || self.branches.is_forked(&cut.node);
                missing.push((cut.node, if whole { cut.from } else { have + 1 }, cut.to));
                continue;
            }
            let run = self.pending.range((cut.node, cut.from)..=(cut.node, cut.to));
            headers.extend(run.map(|(_, h)| h.clone()));
        }
        if missing.is_empty() { Ok(headers) } else { Err(missing) }
    }

    /// Forgets what has become final.
    pub fn finalised(&mut self, state: &LedgerState, cuts: &[Cut]) {
        for cut in cuts {
            self.branches.forget(&cut.node);
            for sequence in cut.from..=cut.to {
                if let Some(header) = self.pending.remove(&(cut.node, sequence)) {
                    self.control.remove(&header.fields().content);
                }
            }
        }
        self.forks.retain(|node, _| state.membership.node(node).is_some());
    }
}

struct Room {
    headers: usize,
    bytes: usize,
    filed: BTreeMap<OrganizationId, usize>,
}

impl Room {
    fn of(state: &LedgerState) -> Self {
        Self {
            headers: usize::try_from(state.membership.policy.block_headers_max).unwrap_or(usize::MAX),
            bytes: BLOCK_BYTES_MAX - BLOCK_RESERVE_BYTES,
            filed: BTreeMap::new(),
        }
    }

    fn takes(&mut self, header: &Header, body: Option<&Bytes>) -> bool {
        let size = body.map_or(0, |b| b.len() + 8);
        let filed = self.filed.entry(header.fields().organization).or_default();
        if self.headers == 0 || self.bytes < size || *filed >= HEADERS_PER_ORGANIZATION_MAX {
            return false;
        }
        self.headers -= 1;
        self.bytes -= size;
        *filed += 1;
        true
    }
}
