//! Filling in what an installation left out, beside everything else and in no hurry.
//!
//! Blocks come from the installed one down, each named by the one above it; then the way is gone upwards again with
//! their headers, from the last state that was whole here, so that each header has its height, its place and its
//! effect as on a node that was never away. No signature is verified: the hashes lead to a certified block.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::accumulator::LockTree;
use hospes_protocol::block::{Block, Cut};
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::entry::{Header, is_control};
use hospes_protocol::ids::NodeId;
use hospes_protocol::state::{Draft, LedgerState, StateSnapshot};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{Commit, HeaderRow, History, RecentBlock};

use crate::follow::Asked;
use crate::messages::{Answer, BlockItem, HeaderItem, HeaderRun, Request};
use crate::service::{Fatal, Service};

/// Blocks that are asked for at a time.
const BLOCKS_PAGE: u64 = 64;
/// Heights that are filled in at a time.
const HEIGHTS_AT_ONCE: u64 = 64;
/// Headers that are asked for at a time.
const HEADERS_PAGE: usize = 2_000;

/// What is not here of the ledger's past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first height.
    pub from: u64,
    /// The last.
    pub until: u64,
}

impl Missing {
    /// What a ledger says of its past.
    ///
    /// # Errors
    /// Those of reading a state.
    pub fn of(history: &History) -> Result<Self, Rejected> {
        let before = match history.state.0.as_slice() {
            [] => 0,
            bytes => StateSnapshot::decode(bytes)?.height,
        };
        Ok(Self { from: before + 1, until: history.until })
    }
}

/// How far filling in is.
pub(super) struct Filling {
    /// The state before the first height that is missing.
    state: LedgerState,
    /// The last height that is missing.
    until: u64,
    /// Blocks are here from this height on.
    lowest: u64,
    /// Blocks that the next page is to have.
    page: u64,
    /// Headers that came for runs that are not whole yet.
    found: BTreeMap<(NodeId, u64), Header>,
    /// What was asked for.
    wanted: Vec<HeaderRun>,
    /// Peers that don't have it either.
    lacking: BTreeSet<NodeId>,
}

impl Service {
    /// What of the ledger's past is not here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn missing_history(&self) -> Result<Option<Missing>, Fatal> {
        if let Some(filling) = &self.away.filling {
            return Ok(Some(Missing { from: filling.state.height + 1, until: filling.until }));
        }
        let Some(history) = self.ledger.history()? else { return Ok(None) };
        Missing::of(&history).map(Some).map_err(Fatal::Contradiction)
    }

    /// Asks a peer for more of what is missing, unless one is being asked.
    pub(super) fn history_upkeep(&mut self) -> Result<(), Fatal> {
        let asking = self.asked.values().any(|a| matches!(a, Asked::History { .. }));
        if asking || self.away.under_way.is_some() || !self.open_history()? {
            return Ok(());
        }
        self.fill_in()?;
        let Some(filling) = self.away.filling.as_mut() else { return Ok(()) };
        let lacking = &filling.lacking;
        let has = |(id, peer): &(&NodeId, &crate::follow::Peer)| {
            peer.height >= filling.until && !lacking.contains(*id)
        };
        match self.peers.iter().find(has).map(|(id, _)| *id) {
            Some(peer) => self.ask_history(peer),
            None => {
                filling.lacking.clear();
                Ok(())
            }
        }
    }

    /// Takes up what is missing; gives whether anything is.
    fn open_history(&mut self) -> Result<bool, Fatal> {
        if self.away.filling.is_some() {
            return Ok(true);
        }
        let Some(history) = self.ledger.history()? else { return Ok(false) };
        let state = match history.state.0.as_slice() {
            [] => LedgerState::genesis(&self.genesis),
            bytes => StateSnapshot::decode(bytes)
                .and_then(|snapshot| LedgerState::restore(snapshot, LockTree::default())),
        };
        let mut state = state.map_err(Fatal::Contradiction)?;
        state.locks = self.locks_until(state.height)?;
        let lowest = self.lowest_block(state.height + 1, history.until)?;
        // What a crash left undone in the objects.
        self.settle_filled(state.height.saturating_sub(HEIGHTS_AT_ONCE) + 1..=state.height)?;
        self.away.filling = Some(Filling {
            state,
            until: history.until,
            lowest,
            page: BLOCKS_PAGE,
            found: BTreeMap::new(),
            wanted: Vec::new(),
            lacking: BTreeSet::new(),
        });
        Ok(true)
    }

    fn locks_until(&self, height: u64) -> Result<LockTree, Fatal> {
        let (mut tree, mut after) = (LockTree::default(), None);
        loop {
            let page = self.ledger.locks(after.as_ref(), 4096)?;
            let Some(last) = page.last().map(|row| row.lock) else { return Ok(tree) };
            let closed = page.iter().filter(|row| row.height.is_some_and(|at| at <= height));
            closed.for_each(|row| tree.close(&row.lock));
            after = Some(last);
        }
    }

    // Blocks come from the top down, so those that are here are one run that ends at `until`.
    fn lowest_block(&self, first: u64, until: u64) -> Result<u64, Fatal> {
        let (mut low, mut high) = (first, until);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.ledger.block(middle)? {
                Some(_) => high = middle,
                None => low = middle + 1,
            }
        }
        Ok(low)
    }

    fn ask_history(&mut self, peer: NodeId) -> Result<(), Fatal> {
        let Some(filling) = &self.away.filling else { return Ok(()) };
        let next = filling.state.height + 1;
        if filling.lowest > next {
            let from = next.max(filling.lowest.saturating_sub(filling.page));
            self.ask(peer, &Request::Blocks(from), Asked::History { peer });
            return Ok(());
        }
        let runs = self.missing_runs()?;
        if let Some(filling) = self.away.filling.as_mut().filter(|_| !runs.is_empty()) {
            filling.wanted.clone_from(&runs);
            self.ask(peer, &Request::Headers(runs), Asked::History { peer });
        }
        Ok(())
    }

    /// Headers of the next heights that are not here.
    fn missing_runs(&self) -> Result<Vec<HeaderRun>, Fatal> {
        let Some(filling) = &self.away.filling else { return Ok(Vec::new()) };
        let (mut runs, mut count) = (Vec::new(), 0);
        for height in (filling.state.height + 1..=filling.until).take(64) {
            let Some(block) = self.old_block(height)? else { break };
            for cut in &block.cuts {
                if self.old_run(cut, filling)?.is_none() {
                    count += usize::try_from(cut.to - cut.from).unwrap_or(usize::MAX).saturating_add(1);
                    let here = filling.found.range((cut.node, cut.from)..=(cut.node, cut.to)).count() as u64;
                    runs.push(HeaderRun { node: cut.node, from: cut.from + here, to: cut.to });
                }
            }
            if count >= HEADERS_PAGE {
                break;
            }
        }
        Ok(runs)
    }

    fn old_block(&self, height: u64) -> Result<Option<Block>, Fatal> {
        let Some((bytes, _)) = self.ledger.block(height)? else { return Ok(None) };
        Block::read(&bytes, &self.network).map(Some).map_err(Fatal::Contradiction)
    }

    /// The headers of a cut, out of the ledger or of what came; null where one is missing.
    fn old_run(&self, cut: &Cut, filling: &Filling) -> Result<Option<Vec<Header>>, Fatal> {
        let stored = self.ledger.headers(&cut.node, cut.from, cut.to)?;
        let read: Result<Vec<_>, _> = stored.iter().map(|bytes| Header::read(bytes, &self.network)).collect();
        let here = read.map_err(Fatal::Contradiction)?;
        if is_run(cut, &here) {
            return Ok(Some(here));
        }
        let came = filling.found.range((cut.node, cut.from)..=(cut.node, cut.to));
        let came: Vec<_> = came.map(|(_, header)| header.clone()).collect();
        Ok(is_run(cut, &came).then_some(came))
    }

    /// An answer of the peer that was asked.
    pub(crate) fn on_history_answer(&mut self, from: NodeId, answer: Answer) -> Result<(), Fatal> {
        let progressed = match answer {
            Answer::Blocks(items) => self.take_old_blocks(items)?,
            Answer::Headers(items) => self.take_old_headers(items)?,
            _ => false,
        };
        if !progressed {
            self.history_unanswered(from);
        }
        self.history_upkeep()
    }

    /// A peer doesn't have what is missing, or doesn't say it.
    pub(crate) fn history_unanswered(&mut self, from: NodeId) {
        if let Some(filling) = self.away.filling.as_mut() {
            filling.lacking.insert(from);
        }
    }

    fn take_old_blocks(&mut self, items: Vec<BlockItem>) -> Result<bool, Fatal> {
        let Some((lowest, next)) = self.away.filling.as_ref().map(|f| (f.lowest, f.state.height + 1)) else {
            return Ok(false);
        };
        let Some(mut above) = self.old_block(lowest)? else { return Ok(false) };
        let (mut rows, count) = (Vec::new(), items.len() as u64);
        for item in items.into_iter().rev() {
            let Ok(block) = Block::read(&item.block, &self.network) else { return Ok(false) };
            if block.height < next || block.height >= above.height {
                continue;
            }
            let hash = block.hash();
            let Some(certificate) = above.last_commit.clone().filter(|_| above.previous == hash) else {
                break;
            };
            let height = block.height;
            rows.push(RecentBlock { height, hash, block: item.block.0, certificate });
            above = block;
        }
        self.ledger.keep_blocks(&rows)?;
        let Some(filling) = self.away.filling.as_mut() else { return Ok(false) };
        filling.lowest = above.height;
        // A page that ends early does not reach the blocks that are here: the next one begins further up.
        let shorter = rows.is_empty() && count > 0 && count < filling.page;
        filling.page = if shorter { count } else { BLOCKS_PAGE };
        Ok(!rows.is_empty() || shorter)
    }

    fn take_old_headers(&mut self, items: Vec<HeaderItem>) -> Result<bool, Fatal> {
        let network = self.network;
        let Some(filling) = self.away.filling.as_mut() else { return Ok(false) };
        let (before, had) = (filling.state.height, filling.found.len());
        for item in items.iter().take(HEADERS_PAGE) {
            let Ok(header) = Header::read(&item.header, &network) else { break };
            let (node, sequence) = (header.fields().node, header.fields().sequence);
            let asked = |run: &HeaderRun| run.node == node && (run.from..=run.to).contains(&sequence);
            if filling.wanted.iter().any(asked) {
                filling.found.insert((node, sequence), header);
            }
        }
        let more = filling.found.len() > had;
        self.fill_in()?;
        let wrong = self.drop_wrong_runs()?;
        Ok(!wrong && (more || self.away.filling.as_ref().is_none_or(|f| f.state.height > before)))
    }

    /// Lets go of runs that came whole and are not those that the next block names.
    fn drop_wrong_runs(&mut self) -> Result<bool, Fatal> {
        let Some(next) = self.away.filling.as_ref().map(|f| f.state.height + 1) else { return Ok(false) };
        let Some(block) = self.old_block(next)? else { return Ok(false) };
        let Some(filling) = self.away.filling.as_mut() else { return Ok(false) };
        let mut wrong = false;
        for cut in &block.cuts {
            let run = (cut.node, cut.from)..=(cut.node, cut.to);
            let came: Vec<_> = filling.found.range(run).map(|(_, header)| header.clone()).collect();
            if came.len() as u64 > cut.to - cut.from && !is_run(cut, &came) {
                wrong = true;
                filling.found.retain(|(node, sequence), _| {
                    *node != cut.node || !(cut.from..=cut.to).contains(sequence)
                });
            }
        }
        Ok(wrong)
    }

    /// Fills in the heights of which all is here, some at a time.
    fn fill_in(&mut self) -> Result<(), Fatal> {
        let Some(mut filling) = self.away.filling.take() else { return Ok(()) };
        let first = filling.state.height + 1;
        let (mut rows, mut commits) = (Vec::new(), Vec::new());
        while filling.lowest <= filling.state.height + 1
            && filling.state.height < filling.until
            && (commits.len() as u64) < HEIGHTS_AT_ONCE
            && let Some((headers, commit)) = self.next_old(&mut filling)?
        {
            rows.extend(headers);
            commits.push(commit);
        }
        let (last, until) = (filling.state.height, filling.until);
        if !commits.is_empty() {
            self.ledger.fill(&rows, &commits)?;
            self.settle_filled(first..=last)?;
        }
        if last < until {
            self.away.filling = Some(filling);
        }
        Ok(())
    }

    /// The next height, if its headers are here.
    fn next_old(&self, filling: &mut Filling) -> Result<Option<(Vec<HeaderRow>, Commit)>, Fatal> {
        let height = filling.state.height + 1;
        let Some((bytes, certificate)) = self.ledger.block(height)? else { return Ok(None) };
        let block = Block::read(&bytes, &self.network).map_err(Fatal::Contradiction)?;
        let mut headers = Vec::new();
        for cut in &block.cuts {
            match self.old_run(cut, filling)? {
                Some(run) => headers.extend(run),
                None => return Ok(None),
            }
        }
        let draft = Draft {
            time: block.time,
            cuts: &block.cuts,
            headers: &headers,
            control: &block.control,
            forks: &block.forks,
        };
        let mut executed = filling.state.execute(&draft).map_err(Fatal::Contradiction)?;
        if executed.state.root() != block.state_root || block.previous != filling.state.block {
            return Err(Fatal::Contradiction(Check::StateRoot.into()));
        }
        executed.state.seal(certificate.block);
        filling.found.retain(|(node, sequence), _| {
            executed.state.frontiers.get(node).is_none_or(|(last, _)| sequence > last)
        });
        self.note_handover(&block, &certificate, &executed.state.validators)?;
        filling.state = executed.state;
        let commit = Commit {
            height,
            hash: certificate.block,
            block: bytes,
            certificate,
            headers: executed.outcomes.iter().map(|o| (o.header, o.void)).collect(),
            closed: executed.closed,
            range: executed.range,
            state: filling.state.encode_snapshot(),
        };
        let mut control = block.control.iter();
        let mut row = |header: &Header| {
            let body: Option<&Bytes> = is_control(header.fields().kind).then(|| control.next()).flatten();
            HeaderRow::of(header, body.map(|b| b.0.clone()))
        };
        Ok(Some((headers.iter().map(&mut row).collect(), commit)))
    }
}

/// Whether headers are the whole run of a cut, each naming the one before it.
fn is_run(cut: &Cut, headers: &[Header]) -> bool {
    let whole = headers.len() as u64 == cut.to - cut.from + 1;
    let linked = headers.windows(2).all(|w| w[1].fields().previous == Some(w[0].id()));
    whole && linked && headers.last().is_some_and(|h| h.id() == cut.last)
}
