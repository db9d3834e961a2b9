//! A page of certified blocks that a peer sent: taken one by one, and held while headers that they order are missing.
//!
//! Of headers only those are asked for on which the page's next blocks stand, so that none of them is behind more of
//! another node's than the pool holds. A page is held for one peer at a time; a peer that doesn't bring what its own
//! blocks stand on is left, and whoever says next where it is is asked.

use std::collections::{BTreeMap, VecDeque};

use hospes_protocol::block::{Block, Cut};
use hospes_protocol::ids::NodeId;

use crate::chain::Taken;
use crate::follow::{BLOCKS_PATIENCE_MS, HEADERS_PAGE};
use crate::messages::{BlockItem, HeaderRun};
use crate::service::{Fatal, Service};

/// Blocks that are not taken yet, ascending.
pub(crate) struct Page {
    /// Who sent them, and is asked for their headers.
    from: NodeId,
    items: VecDeque<BlockItem>,
    /// The runs that were asked for last.
    wanted: Vec<HeaderRun>,
    /// When it last brought something, in milliseconds since 1970 UTC.
    at: u64,
}

impl Service {
    /// Whether blocks of a page are being taken, or will be soon.
    pub(crate) fn has_page(&self) -> bool {
        self.page.as_ref().is_some_and(|page| self.now < page.at.saturating_add(BLOCKS_PATIENCE_MS))
    }

    /// A peer is gone, or doesn't answer.
    pub(crate) fn drop_page_of(&mut self, from: &NodeId) {
        self.page.take_if(|page| page.from == *from);
    }

    pub(crate) fn on_block_page(&mut self, from: NodeId, items: Vec<BlockItem>) -> Result<(), Fatal> {
        self.page = Some(Page { from, items: items.into(), wanted: Vec::new(), at: self.now });
        self.take_page(from)
    }

    /// Takes the blocks of a peer's page of which all is here, and asks for what the next ones stand on.
    pub(crate) fn take_page(&mut self, from: NodeId) -> Result<(), Fatal> {
        let Some(mut page) = self.page.take_if(|page| page.from == from) else { return Ok(()) };
        let before = self.state.height;
        while let Some(item) = page.items.front() {
            if item.certificate.height > self.state.height {
                match self.take_certified(&item.block, &item.certificate)? {
                    Ok(Taken::Committed) => page.at = self.now,
                    Ok(Taken::Lacks(runs)) => {
                        self.ask_for_page(page, runs);
                        return Ok(());
                    }
                    Err(rejected) => {
                        self.judge_peer(from, Some(rejected));
                        return Ok(());
                    }
                }
            }
            page.items.pop_front();
        }
        if self.state.height > before {
            self.fetch_beyond(from);
        }
        Ok(())
    }

    /// Asks for the headers of the page's next blocks, and holds the page meanwhile; lets go of it where its peer was
    /// asked for just these and didn't bring them.
    fn ask_for_page(&mut self, mut page: Page, first: Vec<HeaderRun>) {
        let runs = self.runs_of(&page, first);
        if page.wanted == runs {
            return;
        }
        if self.ask_headers(page.from, runs.clone()) {
            page.wanted = runs;
        }
        self.page = Some(page);
    }

    /// The missing runs of the first block, and of as many after it as fit into one answer with it.
    fn runs_of(&self, page: &Page, first: Vec<HeaderRun>) -> Vec<HeaderRun> {
        let mut runs: BTreeMap<NodeId, HeaderRun> = first.into_iter().map(|run| (run.node, run)).collect();
        for item in page.items.iter().skip(1) {
            let Ok(block) = Block::read(&item.block, &self.network) else { break };
            let mut more = runs.clone();
            block.cuts.iter().for_each(|cut| self.lengthen(&mut more, cut));
            let headers: u64 =
                more.values().map(|run| run.to.saturating_sub(run.from).saturating_add(1)).sum();
            if headers > HEADERS_PAGE as u64 {
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
