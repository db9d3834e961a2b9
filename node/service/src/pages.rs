//! Certified blocks that a peer sent: taken one by one, and held while headers that they order are missing.
//!
//! Of headers only those are asked for on which the next blocks stand, so that none of them is behind more of another
//! node's than the pool holds. Blocks are held of one peer at a time; one that doesn't bring what its own blocks stand
//! on is left, and whoever says next where it is is asked.
//!
//! ```text
//!  a peer is ahead      its answer: held        the next block is whole here: an input of its own takes what is whole,
//! ----> blocks asked ---------> headers asked, and the blocks after these -----> while the answers are under way
//! ```

use std::collections::{BTreeMap, VecDeque};

use hospes_protocol::block::{Block, Cut};
use hospes_protocol::ids::NodeId;

use crate::chain::Taken;
use crate::effects::Timer;
use crate::follow::{Asked, BLOCKS_PAGE, BLOCKS_PATIENCE_MS, HEADERS_PAGE};
use crate::messages::{BlockItem, HeaderRun, Request};
use crate::service::{Fatal, Service};

/// Blocks that are not taken yet, ascending: two answers of them at most.
pub(crate) struct Page {
    /// Who sent them, and is asked for their headers.
    from: NodeId,
    items: VecDeque<BlockItem>,
    /// The runs that were asked for last.
    wanted: Vec<HeaderRun>,
    /// When it last brought something, in milliseconds since 1970 UTC.
    at: u64,
}

impl Page {
    fn last(&self) -> Option<u64> {
        self.items.back().map(|item| item.certificate.height)
    }
}

impl Service {
    /// Whether blocks are held that are being taken, or will be soon.
    pub(crate) fn has_page(&self) -> bool {
        self.page.as_ref().is_some_and(|page| self.now < page.at.saturating_add(BLOCKS_PATIENCE_MS))
    }

    /// A peer is gone, or doesn't answer.
    pub(crate) fn drop_page_of(&mut self, from: &NodeId) {
        self.page.take_if(|page| page.from == *from);
    }

    pub(crate) fn on_block_page(&mut self, from: NodeId, items: Vec<BlockItem>) {
        let Some(first) = items.first().map(|item| item.certificate.height) else { return };
        let follows =
            |page: &&mut Page| page.from == from && page.last().is_some_and(|last| last + 1 == first);
        match self.page.as_mut().filter(follows) {
            Some(page) => page.items.extend(items),
            None => self.page = Some(Page { from, items: items.into(), wanted: Vec::new(), at: self.now }),
        }
        self.follow_page(from, true);
    }

    /// Something came of a peer: asks on where it `grew` what is here, and lets what is whole be taken.
    pub(crate) fn follow_page(&mut self, from: NodeId, grew: bool) {
        let Some(mut page) = self.page.take_if(|page| page.from == from) else { return };
        if grew {
            let runs = self.runs_of(&page, Vec::new());
            if self.ask_headers(from, runs.clone()) {
                page.wanted = runs;
            }
            self.ask_more(&page);
        }
        self.page = Some(page);
        self.set_timer(Timer::Follow, self.now);
    }

    /// Takes the held blocks of which all is here.
    pub(crate) fn take_page(&mut self) -> Result<(), Fatal> {
        let Some(mut page) = self.page.take() else { return Ok(()) };
        let before = self.state.height;
        while let Some(item) = page.items.front() {
            if item.certificate.height > self.state.height {
                match self.take_certified(&item.block, &item.certificate)? {
                    Ok(Taken::Committed) => page.at = self.now,
                    Ok(Taken::Lacks(runs)) => {
                        self.hold_page(page, runs);
                        return Ok(());
                    }
                    Err(rejected) => {
                        self.judge_peer(page.from, Some(rejected));
                        return Ok(());
                    }
                }
            }
            page.items.pop_front();
        }
        if self.state.height > before {
            self.fetch_beyond(page.from);
        }
        Ok(())
    }

    /// Holds the page for the headers of its next block; lets go of it where its peer was asked for just these and didn't
    /// bring them.
    fn hold_page(&mut self, mut page: Page, first: Vec<HeaderRun>) {
        let asking = |a: &Asked| matches!(a, Asked::Headers { peer } if *peer == page.from);
        if !self.asked.values().any(asking) {
            let runs = self.runs_of(&page, first);
            if page.wanted == runs {
                return;
            }
            if self.ask_headers(page.from, runs.clone()) {
                page.wanted = runs;
            }
        }
        self.ask_more(&page);
        self.page = Some(page);
    }

    /// Asks for the blocks after those that are held, before they are taken: so the peer works meanwhile.
    fn ask_more(&mut self, page: &Page) {
        let Some(last) = page.last() else { return };
        let asking = |a: &Asked| matches!(a, Asked::Blocks { peer, .. } if *peer == page.from);
        let more = self.peers.get(&page.from).is_some_and(|peer| peer.height > last);
        if more && page.items.len() <= BLOCKS_PAGE && !self.asked.values().any(asking) {
            self.ask(page.from, &Request::Blocks(last + 1), Asked::Blocks { peer: page.from, at: self.now });
        }
    }

    /// The missing runs of the first blocks, as many as fit into one answer; `first` are those of the next block.
    fn runs_of(&self, page: &Page, first: Vec<HeaderRun>) -> Vec<HeaderRun> {
        let skip = usize::from(!first.is_empty());
        let mut runs: BTreeMap<NodeId, HeaderRun> = first.into_iter().map(|run| (run.node, run)).collect();
        for item in page.items.iter().skip(skip) {
            let Ok(block) = Block::read(&item.block, &self.network) else { break };
            let mut more = runs.clone();
            block.cuts.iter().for_each(|cut| self.lengthen(&mut more, cut));
            let headers: u64 =
                more.values().map(|run| run.to.saturating_sub(run.from).saturating_add(1)).sum();
            if headers > HEADERS_PAGE as u64 && !runs.is_empty() {
                break;
            }
            runs = more;
        }
        runs.into_values().collect()
    }

    fn lengthen(&self, runs: &mut BTreeMap<NodeId, HeaderRun>, cut: &Cut) {
        let known = self.pool.head(&cut.node).0;
        if cut.to > known {
            let begins = HeaderRun { node: cut.node, from: cut.from.max(known + 1), to: cut.to };
            let run = runs.entry(cut.node).or_insert(begins);
            run.to = run.to.max(cut.to);
        }
    }
}
