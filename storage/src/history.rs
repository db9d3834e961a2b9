//! Going on from a certified state, and filling in afterwards what that left out.
//!
//! An installation jumps to a height above the newest block: what lies between stays missing, and a row says from
//! where. Filling in writes old heights beside the newest without moving it. All functions work inside a
//! transaction that `ledger_store` opens; whether a state or a block counts was judged by the node.

use redb::{ReadTransaction, WriteTransaction};

use hospes_protocol::wire::{Bytes, Wire};

use crate::chain::{STATE, close_locks, extend_range, finalise, keep_block, newest, put_block};
use crate::error::{Contradiction, Result};
use crate::headers::HeaderTables;
use crate::layout::{FINALS, LEDGER_META, OUTBOX, number_at};
use crate::ledger::{Commit, Head, HeaderRow, History, Installation, RecentBlock};
use crate::rows::Open;

const HISTORY: &[u8] = b"history";

/// Goes on from a certified state.
pub(crate) fn install(txn: &WriteTransaction, new: &Installation) -> Result<()> {
    let tip = newest(txn)?;
    if new.height <= tip {
        return Err(Contradiction::Height { tip, got: new.height }.into());
    }
    note_gap(txn, new.height)?;
    close_locks(txn, new.height, &new.locks)?;
    extend_range(txn, &new.range)?;
    advance_heads(txn, &new.heads)?;
    for below in new.recent.iter().filter(|b| b.height > tip) {
        keep_block(txn, below.height, &below.hash, &below.block, &below.certificate)?;
    }
    put_block(txn, new.height, &new.hash, &new.block, &new.certificate, &new.state)
}

// A gap that was not filled in yet goes on from where it began.
fn note_gap(txn: &WriteTransaction, until: u64) -> Result<()> {
    let mut meta = LEDGER_META.write(txn)?;
    let state = match meta.get(HISTORY)? {
        Some(payload) => LEDGER_META.decode::<History>(HISTORY, &payload)?.state,
        None => Bytes(meta.get(STATE)?.unwrap_or_default()),
    };
    meta.put(HISTORY, &History { until, state }.encode()).map(drop)
}

fn advance_heads(txn: &WriteTransaction, heads: &[Head]) -> Result<()> {
    let mut tables = HeaderTables::open(txn)?;
    let (finals, mut outbox) = (FINALS.write(txn)?, OUTBOX.write(txn)?);
    for head in heads {
        if tables.differs(head)? {
            tables.forget_pending(&head.node, |id| Ok(finals.get(&id.0)?.is_some()))?;
        }
        tables.advance(head)?;
        final_no_longer_waits(&mut outbox, head)?;
    }
    drop(outbox);
    tables.finish()
}

fn final_no_longer_waits(outbox: &mut Open<'_>, head: &Head) -> Result<()> {
    let mut done = Vec::new();
    outbox.scan(&head.node.0, &[], |at, _| {
        let is_final = number_at(at, 32).is_some_and(|s| s <= head.sequence);
        done.extend(is_final.then(|| at.to_vec()));
        Ok(is_final)
    })?;
    done.iter().try_for_each(|at| outbox.delete(at).map(drop))
}

/// Keeps old blocks.
pub(crate) fn keep(txn: &WriteTransaction, blocks: &[RecentBlock]) -> Result<()> {
    let gap = history_in(txn)?;
    for block in blocks {
        if gap.as_ref().is_none_or(|gap| block.height >= gap.until) {
            return Err(Contradiction::Height { tip: newest(txn)?, got: block.height }.into());
        }
        keep_block(txn, block.height, &block.hash, &block.block, &block.certificate)?;
    }
    Ok(())
}

/// Fills in old heights.
pub(crate) fn fill(txn: &WriteTransaction, headers: &[HeaderRow], heights: &[Commit]) -> Result<()> {
    let gap = history_in(txn)?;
    let mut tables = HeaderTables::open(txn)?;
    headers.iter().try_for_each(|row| tables.fill(row))?;
    tables.finish()?;
    for commit in heights {
        if gap.as_ref().is_none_or(|gap| commit.height > gap.until) {
            return Err(Contradiction::Height { tip: newest(txn)?, got: commit.height }.into());
        }
        finalise(txn, commit)?;
        close_locks(txn, commit.height, &commit.closed)?;
        extend_range(txn, &commit.range)?;
        keep_block(txn, commit.height, &commit.hash, &commit.block, &commit.certificate)?;
    }
    let (Some(gap), Some(last)) = (gap, heights.last()) else { return Ok(()) };
    let mut meta = LEDGER_META.write(txn)?;
    if last.height == gap.until {
        return meta.delete(HISTORY).map(drop);
    }
    meta.put(HISTORY, &History { state: Bytes(last.state.clone()), ..gap }.encode()).map(drop)
}

fn history_in(txn: &WriteTransaction) -> Result<Option<History>> {
    let payload = LEDGER_META.write(txn)?.get(HISTORY)?;
    payload.map(|p| LEDGER_META.decode(HISTORY, &p)).transpose()
}

/// What is still to be filled in.
pub(crate) fn read(txn: &ReadTransaction) -> Result<Option<History>> {
    let payload = LEDGER_META.read(txn)?.get(HISTORY)?;
    payload.map(|p| LEDGER_META.decode(HISTORY, &p)).transpose()
}
