//! The store as a [`Ledger`]: each method is one transaction over `headers` or `chain`.

use hospes_protocol::block::CommitCertificate;
use hospes_protocol::ids::{BlockHash, ContentId, HeaderId, Lock, NodeId};

use crate::error::Result;
use crate::layout::{CONTROL, LEDGER_META, key};
use crate::ledger::{
    ClosedLock, Commit, Finality, Head, HeaderRow, History, Installation, Ledger, Placed, RecentBlock,
    StoredHeader, Tip,
};
use crate::store::Store;
use crate::{chain, headers, history};

fn size(rows: &[HeaderRow]) -> usize {
    rows.iter().map(|r| r.bytes.len() + r.control.as_ref().map_or(0, Vec::len) + 512).sum()
}

fn property_key(name: &str) -> Vec<u8> {
    key(&[b"property/", name.as_bytes()])
}

impl Ledger for Store {
    fn gather(&self, on: bool) {
        self.gathering.turn(on);
    }

    fn settle(&self) -> Result<()> {
        self.settle_both()
    }

    fn give_up(&self) {
        self.objects.give_up();
        self.ledger.give_up();
    }

    fn put_headers(&self, rows: &[HeaderRow]) -> Result<Vec<Placed>> {
        self.write_ledger(size(rows), |txn| headers::put(txn, rows))
    }

    fn put_own(&self, rows: &[HeaderRow]) -> Result<()> {
        self.write_ledger(size(rows), |txn| headers::put_own(txn, rows))
    }

    fn own_sequence(&self, node: &NodeId) -> Result<u64> {
        self.ledger.read(|txn| headers::own_sequence(txn, node))
    }

    fn outbox(&self) -> Result<Vec<StoredHeader>> {
        self.ledger.read(headers::outbox)
    }

    fn adopt_branch(&self, rows: &[HeaderRow]) -> Result<()> {
        self.write_ledger(size(rows), |txn| headers::adopt(txn, rows))
    }

    fn header(&self, id: &HeaderId) -> Result<Option<StoredHeader>> {
        self.ledger.read(|txn| headers::header(txn, id))
    }

    fn headers(&self, node: &NodeId, from: u64, to: u64) -> Result<Vec<Vec<u8>>> {
        self.ledger.read(|txn| headers::run(txn, node, from, to))
    }

    fn heads(&self) -> Result<Vec<Head>> {
        self.ledger.read(headers::heads)
    }

    fn forks(&self, node: &NodeId) -> Result<Vec<StoredHeader>> {
        self.ledger.read(|txn| headers::forks(txn, node))
    }

    fn headers_of(&self, content: &ContentId) -> Result<Vec<HeaderId>> {
        self.ledger.read(|txn| headers::naming(txn, content))
    }

    fn control_body(&self, content: &ContentId) -> Result<Option<Vec<u8>>> {
        self.ledger.read(|txn| CONTROL.read(txn)?.get(&content.0))
    }

    fn put_control_body(&self, content: &ContentId, body: &[u8]) -> Result<()> {
        self.write_ledger(body.len(), |txn| CONTROL.write(txn)?.put(&content.0, body).map(drop))
    }

    fn finality(&self, id: &HeaderId) -> Result<Option<Finality>> {
        self.ledger.read(|txn| chain::finality(txn, id))
    }

    fn commit(&self, commit: &Commit) -> Result<()> {
        let bytes = commit.block.len() + commit.state.len() + 512 * (commit.headers.len() + 1);
        self.write_ledger(bytes, |txn| chain::commit(txn, commit))
    }

    fn install(&self, installation: &Installation) -> Result<()> {
        let recent: usize = installation.recent.iter().map(|b| b.block.len() + 512).sum();
        let bytes = installation.state.len() + 128 * installation.locks.len() + recent;
        self.write_ledger(bytes, |txn| history::install(txn, installation))
    }

    fn keep_blocks(&self, blocks: &[RecentBlock]) -> Result<()> {
        let bytes = blocks.iter().map(|b| b.block.len() + 512).sum();
        self.write_ledger(bytes, |txn| history::keep(txn, blocks))
    }

    fn fill(&self, headers: &[HeaderRow], heights: &[Commit]) -> Result<()> {
        let bytes = |c: &Commit| c.block.len() + c.state.len() + 512 * (c.headers.len() + 1);
        let bytes = size(headers) + heights.iter().map(bytes).sum::<usize>();
        self.write_ledger(bytes, |txn| history::fill(txn, headers, heights))
    }

    fn history(&self) -> Result<Option<History>> {
        self.ledger.read(history::read)
    }

    fn tip(&self) -> Result<Option<Tip>> {
        self.ledger.read(chain::tip)
    }

    fn block(&self, height: u64) -> Result<Option<(Vec<u8>, CommitCertificate)>> {
        self.ledger.read(|txn| chain::block(txn, height))
    }

    fn height_of(&self, hash: &BlockHash) -> Result<Option<u64>> {
        self.ledger.read(|txn| chain::height_of(txn, hash))
    }

    fn repair_block(&self, height: u64, block: &[u8], certificate: &CommitCertificate) -> Result<()> {
        self.write_ledger(block.len(), |txn| chain::repair(txn, height, block, certificate))
    }

    fn prune_blocks(&self, below: u64) -> Result<u64> {
        let mut pruned = 0;
        loop {
            match self.ledger.write_freeing(|txn| chain::prune(txn, below))? {
                0 => return Ok(pruned),
                n => pruned += n as u64,
            }
        }
    }

    fn oldest_block(&self) -> Result<Option<u64>> {
        self.ledger.read(chain::oldest)
    }

    fn state(&self) -> Result<Option<Vec<u8>>> {
        self.ledger.read(chain::state)
    }

    fn see_locks(&self, locks: &[Lock]) -> Result<()> {
        self.write_ledger(128 * locks.len(), |txn| chain::close_locks(txn, 0, locks))
    }

    fn locks(&self, after: Option<&Lock>, limit: usize) -> Result<Vec<ClosedLock>> {
        self.ledger.read(|txn| chain::locks(txn, after, limit))
    }

    fn lock(&self, lock: &Lock) -> Result<Option<ClosedLock>> {
        self.ledger.read(|txn| chain::lock(txn, lock))
    }

    fn range_node(&self, level: u64, index: u64) -> Result<Option<[u8; 32]>> {
        self.ledger.read(|txn| chain::range_node(txn, level, index))
    }

    fn wal_append(&self, height: u64, entries: &[Vec<u8>]) -> Result<()> {
        let bytes = entries.iter().map(Vec::len).sum();
        self.write_ledger(bytes, |txn| chain::wal_append(txn, height, entries))
    }

    fn wal(&self, height: u64) -> Result<Vec<Vec<u8>>> {
        self.ledger.read(|txn| chain::wal(txn, height))
    }

    fn property(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.ledger.read(|txn| LEDGER_META.read(txn)?.get(&property_key(name)))
    }

    fn put_property(&self, name: &str, value: &[u8]) -> Result<()> {
        self.write_ledger(value.len(), |txn| {
            LEDGER_META.write(txn)?.put(&property_key(name), value).map(drop)
        })
    }
}
