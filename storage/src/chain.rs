//! The chain: blocks with certificates, finality, closed locks, the range of final headers, state and WAL.
//!
//! Everything that one height makes true is one transaction. All functions work inside a transaction that
//! `ledger_store` opens.

use hospes_protocol::accumulator::RangeNode;
use hospes_protocol::block::CommitCertificate;
use hospes_protocol::check::Check;
use hospes_protocol::ids::{BlockHash, HeaderId, Lock, sha256};
use hospes_protocol::wire::{Bytes, Wire};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::error::{Contradiction, Result};
use crate::headers::place_of;
use crate::layout::{
    BLOCK_HASHES, BLOCKS, BlockRow, FINALS, FinalRow, HEADER_IDS, LEDGER_META, LOCKS, OUTBOX, RANGE, WAL,
    id_at, key, node_key, number_at, whole_id,
};
use crate::ledger::{ClosedLock, Commit, Finality, Tip};
use crate::rows::{Open, Rows, after};

const TIP: &[u8] = b"tip";
pub(crate) const STATE: &[u8] = b"state";
const WAL_END: &[u8] = b"wal";
/// Blocks that one transaction prunes.
const PRUNE_BATCH: usize = 1000;

fn tip_in<T: ReadableTable<&'static [u8], &'static [u8]>>(meta: &Rows<T>) -> Result<Option<Tip>> {
    let Some(payload) = meta.get(TIP)? else { return Ok(None) };
    let height = LEDGER_META.part(TIP, number_at(&payload, 0))?;
    let hash = LEDGER_META.part(TIP, id_at(&payload, 8).map(BlockHash))?;
    Ok(Some(Tip { height, hash }))
}

fn height_in<T: ReadableTable<&'static [u8], &'static [u8]>>(meta: &Rows<T>) -> Result<u64> {
    Ok(tip_in(meta)?.map_or(0, |t| t.height))
}

/// The height of the newest block, inside a transaction that writes.
pub(crate) fn newest(txn: &WriteTransaction) -> Result<u64> {
    height_in(&LEDGER_META.write(txn)?)
}

/// Makes a height final.
pub(crate) fn commit(txn: &WriteTransaction, commit: &Commit) -> Result<()> {
    let tip = newest(txn)?;
    if commit.height != tip + 1 {
        return Err(Contradiction::Height { tip, got: commit.height }.into());
    }
    finalise(txn, commit)?;
    close_locks(txn, commit.height, &commit.closed)?;
    extend_range(txn, &commit.range)?;
    put_block(txn, commit.height, &commit.hash, &commit.block, &commit.certificate, &commit.state)
}

pub(crate) fn finalise(txn: &WriteTransaction, commit: &Commit) -> Result<()> {
    let leaves: Vec<u64> = commit.range.iter().filter(|n| n.level == 0).map(|n| n.index).collect();
    if leaves.len() != commit.headers.len() {
        let (headers, leaves) = (commit.headers.len(), leaves.len());
        return Err(Contradiction::Leaves { headers, leaves }.into());
    }
    let ids = HEADER_IDS.write(txn)?;
    let (mut finals, mut outbox) = (FINALS.write(txn)?, OUTBOX.write(txn)?);
    for ((id, void), leaf) in commit.headers.iter().zip(leaves) {
        let (node, sequence) = place_of(&ids, id)?.ok_or(Contradiction::HeaderNotHere(*id))?;
        let void = void.map_or(0, |check| u64::from(check.code()));
        finals.put(&id.0, &FinalRow { height: commit.height, leaf, void }.encode())?;
        outbox.delete(&node_key(&node, sequence))?;
    }
    Ok(())
}

/// Records locks at a height, 0 for locks that were only seen. The lowest height stands: what fills in a gap brings
/// lower ones.
pub(crate) fn close_locks(txn: &WriteTransaction, height: u64, locks: &[Lock]) -> Result<()> {
    let mut rows = LOCKS.write(txn)?;
    for lock in locks {
        let known = rows.get(&lock.0)?.as_deref().and_then(|p| number_at(p, 0));
        if known.is_none_or(|k| height > 0 && (k == 0 || height < k)) {
            rows.put(&lock.0, &height.to_be_bytes())?;
        }
    }
    Ok(())
}

pub(crate) fn extend_range(txn: &WriteTransaction, nodes: &[RangeNode]) -> Result<()> {
    let mut rows = RANGE.write(txn)?;
    for node in nodes {
        rows.put(&range_key(node.level, node.index), &node.hash)?;
    }
    Ok(())
}

fn range_key(level: u64, index: u64) -> Vec<u8> {
    key(&[&level.to_be_bytes(), &index.to_be_bytes()])
}

fn block_row(hash: &BlockHash, block: &[u8], certificate: &CommitCertificate) -> Vec<u8> {
    let (block, certificate) = (Bytes(block.to_vec()), Bytes(certificate.encode()));
    BlockRow { hash: hash.0, block, certificate }.encode()
}

/// A block in its place, without a word of what is newest.
pub(crate) fn keep_block(
    txn: &WriteTransaction,
    height: u64,
    hash: &BlockHash,
    block: &[u8],
    certificate: &CommitCertificate,
) -> Result<()> {
    let at = height.to_be_bytes();
    BLOCKS.write(txn)?.put(&at, &block_row(hash, block, certificate))?;
    BLOCK_HASHES.write(txn)?.put(&hash.0, &at).map(drop)
}

pub(crate) fn put_block(
    txn: &WriteTransaction,
    height: u64,
    hash: &BlockHash,
    block: &[u8],
    certificate: &CommitCertificate,
    state: &[u8],
) -> Result<()> {
    let at = height.to_be_bytes();
    keep_block(txn, height, hash, block, certificate)?;
    let mut meta = LEDGER_META.write(txn)?;
    meta.put(TIP, &key(&[&at, &hash.0]))?;
    meta.put(STATE, state)?;
    let mut wal = WAL.write(txn)?;
    let mut done = Vec::new();
    wal.walk(&[], |at, _, _| {
        let old = number_at(at, 0).is_none_or(|h| h <= height);
        if old {
            done.push(at.to_vec());
        }
        Ok(old)
    })?;
    done.iter().try_for_each(|at| wal.delete(at).map(drop))
}

/// The newest block, after a look at its row.
pub(crate) fn tip(txn: &ReadTransaction) -> Result<Option<Tip>> {
    let Some(tip) = tip_in(&LEDGER_META.read(txn)?)? else { return Ok(None) };
    let at = tip.height.to_be_bytes();
    match read_block(txn, tip.height)? {
        Some(row) if row.hash == tip.hash.0 => Ok(Some(tip)),
        _ => Err(BLOCKS.corrupt(&at)),
    }
}

fn read_block(txn: &ReadTransaction, height: u64) -> Result<Option<BlockRow>> {
    let at = height.to_be_bytes();
    let Some(payload) = BLOCKS.read(txn)?.get(&at)? else { return Ok(None) };
    let row: BlockRow = BLOCKS.decode(&at, &payload)?;
    if sha256(&[&row.block]) == row.hash { Ok(Some(row)) } else { Err(BLOCKS.corrupt(&at)) }
}

/// A block with its certificate.
pub(crate) fn block(txn: &ReadTransaction, height: u64) -> Result<Option<(Vec<u8>, CommitCertificate)>> {
    let at = height.to_be_bytes();
    let Some(row) = read_block(txn, height)? else { return Ok(None) };
    let certificate: CommitCertificate = BLOCKS.decode(&at, &row.certificate)?;
    Ok(Some((row.block.0, certificate)))
}

/// The height of a block.
pub(crate) fn height_of(txn: &ReadTransaction, hash: &BlockHash) -> Result<Option<u64>> {
    let Some(payload) = BLOCK_HASHES.read(txn)?.get(&hash.0)? else { return Ok(None) };
    BLOCK_HASHES.part(&hash.0, number_at(&payload, 0)).map(Some)
}

/// Replaces a block by the same one.
pub(crate) fn repair(
    txn: &WriteTransaction,
    height: u64,
    block: &[u8],
    certificate: &CommitCertificate,
) -> Result<()> {
    let hash = BlockHash(sha256(&[block]));
    let known = BLOCK_HASHES.write(txn)?.get(&hash.0)?.as_deref().and_then(|p| number_at(p, 0));
    if known != Some(height) || certificate.block != hash {
        return Err(Contradiction::OtherBlock(height, hash).into());
    }
    BLOCKS.write(txn)?.put(&height.to_be_bytes(), &block_row(&hash, block, certificate)).map(drop)
}

/// Drops some blocks below a height, never the newest; gives how many.
pub(crate) fn prune(txn: &WriteTransaction, below: u64) -> Result<usize> {
    let below = below.min(height_in(&LEDGER_META.write(txn)?)?);
    let (mut blocks, mut hashes) = (BLOCKS.write(txn)?, BLOCK_HASHES.write(txn)?);
    let (mut old, mut nameless) = (Vec::new(), false);
    blocks.walk(&[], |at, payload, _| {
        let more = number_at(at, 0).is_some_and(|h| h < below) && old.len() < PRUNE_BATCH;
        if more {
            let row = payload.and_then(|p| BLOCKS.decode::<BlockRow>(at, p).ok());
            nameless |= row.is_none();
            old.push((at.to_vec(), row.map(|r| r.hash)));
        }
        Ok(more)
    })?;
    for (at, hash) in &old {
        blocks.delete(at)?;
        hash.map(|h| hashes.delete(&h)).transpose()?;
    }
    if nameless {
        forget_hashes(&mut hashes, below)?;
    }
    Ok(old.len())
}

/// Drops the hashes of blocks below a height whose rows could not say their hash.
fn forget_hashes(hashes: &mut Open<'_>, below: u64) -> Result<()> {
    let mut old = Vec::new();
    hashes.walk(&[], |hash, height, _| {
        if height.and_then(|h| number_at(h, 0)).is_some_and(|h| h < below) {
            old.push(hash.to_vec());
        }
        Ok(true)
    })?;
    old.iter().try_for_each(|hash| hashes.delete(hash).map(drop))
}

/// The lowest height whose block is here.
pub(crate) fn oldest(txn: &ReadTransaction) -> Result<Option<u64>> {
    Ok(BLOCKS.read(txn)?.first_key()?.as_deref().and_then(|at| number_at(at, 0)))
}

/// The state after the newest block.
pub(crate) fn state(txn: &ReadTransaction) -> Result<Option<Vec<u8>>> {
    LEDGER_META.read(txn)?.get(STATE)
}

/// Whether and with what effect a header is final.
pub(crate) fn finality(txn: &ReadTransaction, id: &HeaderId) -> Result<Option<Finality>> {
    let Some(payload) = FINALS.read(txn)?.get(&id.0)? else { return Ok(None) };
    let row: FinalRow = FINALS.decode(&id.0, &payload)?;
    let void = match row.void {
        0 => None,
        code => Some(FINALS.part(&id.0, u16::try_from(code).ok().and_then(Check::from_code))?),
    };
    Ok(Some(Finality { height: row.height, leaf: row.leaf, void }))
}

fn closed_lock(at: &[u8], payload: &[u8]) -> Result<ClosedLock> {
    let lock = LOCKS.part(at, whole_id(at).map(Lock))?;
    let height = LOCKS.part(at, number_at(payload, 0))?;
    Ok(ClosedLock { lock, height: (height > 0).then_some(height) })
}

/// Closed locks in order.
pub(crate) fn locks(txn: &ReadTransaction, from: Option<&Lock>, limit: usize) -> Result<Vec<ClosedLock>> {
    let mut found = Vec::new();
    let from = from.map_or_else(Vec::new, |l| after(&l.0));
    LOCKS.read(txn)?.scan(&[], &from, |at, payload| {
        if found.len() < limit {
            found.push(closed_lock(at, payload)?);
        }
        Ok(found.len() < limit)
    })?;
    Ok(found)
}

/// One closed lock.
pub(crate) fn lock(txn: &ReadTransaction, lock: &Lock) -> Result<Option<ClosedLock>> {
    let payload = LOCKS.read(txn)?.get(&lock.0)?;
    payload.map(|p| closed_lock(&lock.0, &p)).transpose()
}

/// A node of the range.
pub(crate) fn range_node(txn: &ReadTransaction, level: u64, index: u64) -> Result<Option<[u8; 32]>> {
    let at = range_key(level, index);
    let payload = RANGE.read(txn)?.get(&at)?;
    payload.map(|p| RANGE.part(&at, whole_id(&p))).transpose()
}

/// The height that the WAL is at, and how many entries it has.
fn wal_end<T: ReadableTable<&'static [u8], &'static [u8]>>(meta: &Rows<T>) -> Result<(u64, u64)> {
    let Some(payload) = meta.get(WAL_END)? else { return Ok((0, 0)) };
    LEDGER_META.part(WAL_END, number_at(&payload, 0).zip(number_at(&payload, 8)))
}

/// Appends to the WAL of a height.
pub(crate) fn wal_append(txn: &WriteTransaction, height: u64, entries: &[Vec<u8>]) -> Result<()> {
    let (mut meta, mut wal) = (LEDGER_META.write(txn)?, WAL.write(txn)?);
    let tip = height_in(&meta)?;
    let (at, count) = wal_end(&meta)?;
    if height <= tip || height < at {
        return Err(Contradiction::Height { tip: tip.max(at), got: height }.into());
    }
    let mut next = if at == height { count } else { 0 };
    for entry in entries {
        wal.put(&key(&[&height.to_be_bytes(), &next.to_be_bytes()]), entry)?;
        next += 1;
    }
    meta.put(WAL_END, &key(&[&height.to_be_bytes(), &next.to_be_bytes()])).map(drop)
}

/// The WAL of a height. Entries that are missing are damage, at its end too.
pub(crate) fn wal(txn: &ReadTransaction, height: u64) -> Result<Vec<Vec<u8>>> {
    let (at, count) = wal_end(&LEDGER_META.read(txn)?)?;
    if at != height || height <= height_in(&LEDGER_META.read(txn)?)? {
        return Ok(Vec::new());
    }
    let rows = WAL.read(txn)?;
    let entry = |number: u64| {
        let at = key(&[&height.to_be_bytes(), &number.to_be_bytes()]);
        rows.get(&at)?.ok_or_else(|| WAL.corrupt(&at))
    };
    (0..count).map(entry).collect()
}
