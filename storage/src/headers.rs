//! Headers: each node's chain as far as it stands, forks beside it, and this node's own outbox.
//!
//! A header stands when it continues its node's chain; nothing here verifies a signature. All functions
//! work inside a transaction that `ledger_store` opens.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use hospes_protocol::ids::{ContentId, HeaderId, NodeId};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::error::{Contradiction, Result, StoreError};
use crate::layout::{
    CONTROL, FINALS, FORKS, HEADER_CONTENTS, HEADER_IDS, HEADERS, HEADS, LEDGER_META, Name, OUTBOX,
    header_id, id_at, key, node_key, number_at,
};
use crate::ledger::{Head, HeaderRow, Placed, StoredHeader};
use crate::rows::{Open, Rows};

/// Forks that are kept of one node: two suffice to retire it.
const FORKS_PER_NODE_MAX: usize = 16;

/// The tables that a new header touches.
pub(crate) struct HeaderTables<'t> {
    headers: Open<'t>,
    ids: Open<'t>,
    contents: Open<'t>,
    heads: Open<'t>,
    /// Opens those tables that few headers touch.
    txn: &'t WriteTransaction,
    /// Heads as they are now; null where none stands any more. Written once, at the end.
    moved: BTreeMap<NodeId, Option<Head>>,
}

fn previous_of(head: Option<&Head>) -> (u64, Option<HeaderId>) {
    head.map_or((0, None), |h| (h.sequence, Some(h.id)))
}

/// The payload of a row of the headers or forks: header id, content id, header.
fn row_payload(row: &HeaderRow) -> Vec<u8> {
    key(&[&row.id.0, &row.content.0, &row.bytes])
}

/// Reads a row of the headers or forks.
fn stored(name: &Name, at: &[u8], payload: &[u8]) -> Result<StoredHeader> {
    let node = name.part(at, id_at(at, 0).map(NodeId))?;
    let sequence = name.part(at, number_at(at, 32))?;
    let id = name.part(at, id_at(payload, 0).map(HeaderId))?;
    let bytes = name.part(at, payload.get(64..))?.to_vec();
    Ok(StoredHeader { node, sequence, id, bytes })
}

fn head_of<T: ReadableTable<&'static [u8], &'static [u8]>>(
    heads: &Rows<T>,
    node: &NodeId,
) -> Result<Option<Head>> {
    let Some(payload) = heads.get(&node.0)? else { return Ok(None) };
    read_head(&node.0, &payload).map(Some)
}

fn read_head(at: &[u8], payload: &[u8]) -> Result<Head> {
    let node = HEADS.part(at, id_at(at, 0).map(NodeId))?;
    let sequence = HEADS.part(at, number_at(payload, 0))?;
    let id = HEADS.part(at, id_at(payload, 8).map(HeaderId))?;
    Ok(Head { node, sequence, id })
}

impl<'t> HeaderTables<'t> {
    pub(crate) fn open(txn: &'t WriteTransaction) -> Result<Self> {
        Ok(Self {
            headers: HEADERS.write(txn)?,
            ids: HEADER_IDS.write(txn)?,
            contents: HEADER_CONTENTS.write(txn)?,
            heads: HEADS.write(txn)?,
            txn,
            moved: BTreeMap::new(),
        })
    }

    /// Writes the heads that moved.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (node, head) in &self.moved {
            match head {
                Some(h) => self.heads.put(&node.0, &key(&[&h.sequence.to_be_bytes(), &h.id.0]))?,
                None => self.heads.delete(&node.0)?,
            };
        }
        Ok(())
    }

    /// The last header of a node.
    pub(crate) fn head(&self, node: &NodeId) -> Result<Option<Head>> {
        self.moved.get(node).map_or_else(|| head_of(&self.heads, node), |head| Ok(*head))
    }

    /// Moves a node's head forward to one that is certified final; what lies between stays missing.
    pub(crate) fn advance(&mut self, head: &Head) -> Result<()> {
        if self.head(&head.node)?.is_none_or(|h| h.sequence < head.sequence) {
            self.moved.insert(head.node, Some(*head));
        }
        Ok(())
    }

    /// Whether another header stands with the number of a certified one, or beyond it on another branch.
    pub(crate) fn differs(&self, head: &Head) -> Result<bool> {
        let at = node_key(&head.node, head.sequence);
        let Some(payload) = self.headers.get(&at)? else { return Ok(false) };
        Ok(stored(&HEADERS, &at, &payload)?.id != head.id)
    }

    /// Takes aside what stands of a node and is not final.
    pub(crate) fn forget_pending(
        &mut self,
        node: &NodeId,
        is_final: impl Fn(&HeaderId) -> Result<bool>,
    ) -> Result<()> {
        let mut head = self.head(node)?;
        while let Some(last) = head {
            let at = node_key(node, last.sequence);
            if is_final(&last.id)? || self.headers.get(&at)?.is_none() {
                break;
            }
            self.displace(node, last.sequence)?;
            let before = node_key(node, last.sequence - 1);
            let payload = self.headers.get(&before)?;
            head = payload.map(|p| stored(&HEADERS, &before, &p)).transpose()?.map(|h| Head {
                node: *node,
                sequence: h.sequence,
                id: h.id,
            });
        }
        self.moved.insert(*node, head);
        Ok(())
    }

    /// Stores a certified header below its node's head; another one with its number is taken aside.
    pub(crate) fn fill(&mut self, row: &HeaderRow) -> Result<()> {
        let head = Head { node: row.node, sequence: row.sequence, id: row.id };
        if self.differs(&head)? {
            self.displace(&row.node, row.sequence)?;
        }
        let at = node_key(&row.node, row.sequence);
        self.headers.put(&at, &row_payload(row))?;
        self.ids.put(&row.id.0, &at)?;
        self.contents.put(&key(&[&row.content.0, &row.id.0]), &[])?;
        FORKS.write(self.txn)?.delete(&key(&[&at, &row.id.0]))?;
        self.advance(&head)?;
        self.keep_control(row)
    }

    /// Stores a header where it belongs.
    pub(crate) fn place(&mut self, row: &HeaderRow) -> Result<Placed> {
        let head = self.head(&row.node)?;
        let (last, id) = previous_of(head.as_ref());
        let placed = if row.sequence <= last {
            self.place_again(row)?
        } else if row.sequence > last + 1 {
            Placed::Gap
        } else if row.previous == id {
            self.stand(row)?;
            Placed::Stored
        } else {
            Placed::Forked
        };
        match placed {
            Placed::Forked => self.keep_aside(row)?,
            Placed::Stored | Placed::Known => self.keep_control(row)?,
            Placed::Gap => {}
        }
        Ok(placed)
    }

    fn stand(&mut self, row: &HeaderRow) -> Result<()> {
        let at = node_key(&row.node, row.sequence);
        self.headers.put(&at, &row_payload(row))?;
        self.ids.put(&row.id.0, &at)?;
        self.contents.put(&key(&[&row.content.0, &row.id.0]), &[])?;
        let head = Head { node: row.node, sequence: row.sequence, id: row.id };
        self.moved.insert(row.node, Some(head));
        Ok(())
    }

    /// A number that is taken: the same header, its damaged copy, or a fork.
    fn place_again(&mut self, row: &HeaderRow) -> Result<Placed> {
        let at = node_key(&row.node, row.sequence);
        let standing = match self.headers.get(&at) {
            Ok(Some(payload)) => stored(&HEADERS, &at, &payload)?.id,
            Ok(None) | Err(StoreError::Corrupt(_)) => {
                if self.ids.get(&row.id.0)?.as_ref() != Some(&at) {
                    return Ok(Placed::Gap);
                }
                self.headers.put(&at, &row_payload(row))?;
                row.id
            }
            Err(other) => return Err(other),
        };
        Ok(if standing == row.id { Placed::Known } else { Placed::Forked })
    }

    fn keep_aside(&mut self, row: &HeaderRow) -> Result<()> {
        let (mut kept, mut forks) = (0, FORKS.write(self.txn)?);
        forks.scan(&row.node.0, &[], |_, _| {
            kept += 1;
            Ok(kept < FORKS_PER_NODE_MAX)
        })?;
        if kept < FORKS_PER_NODE_MAX {
            let at = key(&[&node_key(&row.node, row.sequence), &row.id.0]);
            forks.put(&at, &row_payload(row))?;
        }
        Ok(())
    }

    fn keep_control(&mut self, row: &HeaderRow) -> Result<()> {
        match &row.control {
            Some(body) => CONTROL.write(self.txn)?.put(&row.content.0, body).map(drop),
            None => Ok(()),
        }
    }

    /// Takes a standing header aside.
    fn displace(&mut self, node: &NodeId, sequence: u64) -> Result<HeaderId> {
        let at = node_key(node, sequence);
        let payload = self.headers.get(&at)?.ok_or_else(|| HEADERS.corrupt(&at))?;
        let old = stored(&HEADERS, &at, &payload)?;
        self.headers.delete(&at)?;
        self.ids.delete(&old.id.0)?;
        let content = HEADERS.part(&at, id_at(&payload, 32))?;
        self.contents.delete(&key(&[&content, &old.id.0]))?;
        FORKS.write(self.txn)?.put(&key(&[&at, &old.id.0]), &payload)?;
        Ok(old.id)
    }
}

/// Stores headers in order.
pub(crate) fn put(txn: &WriteTransaction, rows: &[HeaderRow]) -> Result<Vec<Placed>> {
    let mut tables = HeaderTables::open(txn)?;
    let placed = rows.iter().map(|row| tables.place(row)).collect::<Result<Vec<_>>>()?;
    tables.finish()?;
    Ok(placed)
}

fn own_key(node: &NodeId) -> Vec<u8> {
    key(&[b"own-sequence/", &node.0])
}

fn own_last<T: ReadableTable<&'static [u8], &'static [u8]>>(
    meta: &Rows<T>,
    node: &NodeId,
    head: Option<&Head>,
) -> Result<u64> {
    let at = own_key(node);
    let counter = match meta.get(&at)? {
        Some(payload) => LEDGER_META.part(&at, number_at(&payload, 0))?,
        None => 0,
    };
    // After a restore, peers may have given back own headers that the counter does not know.
    Ok(counter.max(previous_of(head).0))
}

/// Stores own headers, their places in the outbox and the counter.
pub(crate) fn put_own(txn: &WriteTransaction, rows: &[HeaderRow]) -> Result<()> {
    let mut tables = HeaderTables::open(txn)?;
    let (mut meta, mut outbox) = (LEDGER_META.write(txn)?, OUTBOX.write(txn)?);
    let mut last = BTreeMap::new();
    for row in rows {
        if let Entry::Vacant(first) = last.entry(row.node) {
            first.insert(own_last(&meta, &row.node, tables.head(&row.node)?.as_ref())?);
        }
        let last = last.get_mut(&row.node).expect("it was just put there");
        if row.sequence != *last + 1 || tables.place(row)? != Placed::Stored {
            return Err(Contradiction::OwnSequence { last: *last, got: row.sequence }.into());
        }
        *last = row.sequence;
        outbox.put(&node_key(&row.node, row.sequence), &row.id.0)?;
    }
    for (node, last) in last {
        meta.put(&own_key(&node), &last.to_be_bytes())?;
    }
    tables.finish()
}

/// The last own number given out.
pub(crate) fn own_sequence(txn: &ReadTransaction, node: &NodeId) -> Result<u64> {
    let head = head_of(&HEADS.read(txn)?, node)?;
    own_last(&LEDGER_META.read(txn)?, node, head.as_ref())
}

/// Own headers that are not final.
pub(crate) fn outbox(txn: &ReadTransaction) -> Result<Vec<StoredHeader>> {
    let (rows, headers) = (OUTBOX.read(txn)?, HEADERS.read(txn)?);
    let mut waiting = Vec::new();
    rows.scan(&[], &[], |at, _| {
        let payload = headers.get(at)?.ok_or_else(|| HEADERS.corrupt(at))?;
        waiting.push(stored(&HEADERS, at, &payload)?);
        Ok(true)
    })?;
    Ok(waiting)
}

/// Lets another branch stand.
pub(crate) fn adopt(txn: &WriteTransaction, rows: &[HeaderRow]) -> Result<()> {
    let Some(first) = rows.first() else { return Ok(()) };
    let mut tables = HeaderTables::open(txn)?;
    let (finals, mut outbox) = (FINALS.write(txn)?, OUTBOX.write(txn)?);
    let head = tables.head(&first.node)?;
    let before = node_key(&first.node, first.sequence.saturating_sub(1));
    let standing = tables.headers.get(&before)?.as_deref().and_then(|p| id_at(p, 0)).map(HeaderId);
    // After an installation the head stands without its row.
    let standing = standing.or(head.filter(|h| h.sequence + 1 == first.sequence).map(|h| h.id));
    if standing != first.previous {
        return Err(Contradiction::HeaderNotHere(first.previous.unwrap_or(first.id)).into());
    }
    for sequence in first.sequence..=head.map_or(0, |h| h.sequence) {
        let id = tables.displace(&first.node, sequence)?;
        if finals.get(&id.0)?.is_some() {
            return Err(Contradiction::Final(first.node, sequence).into());
        }
        outbox.delete(&node_key(&first.node, sequence))?;
    }
    let before = standing.map(|id| Head { node: first.node, sequence: first.sequence - 1, id });
    tables.moved.insert(first.node, before);
    for row in rows {
        if row.node != first.node || tables.place(row)? != Placed::Stored {
            return Err(Contradiction::HeaderNotHere(row.id).into());
        }
        FORKS.write(txn)?.delete(&key(&[&node_key(&row.node, row.sequence), &row.id.0]))?;
    }
    tables.finish()
}

/// Where a header stands.
pub(crate) fn place_of<T: ReadableTable<&'static [u8], &'static [u8]>>(
    ids: &Rows<T>,
    id: &HeaderId,
) -> Result<Option<(NodeId, u64)>> {
    let Some(at) = ids.get(&id.0)? else { return Ok(None) };
    let node = HEADER_IDS.part(&id.0, id_at(&at, 0).map(NodeId))?;
    Ok(Some((node, HEADER_IDS.part(&id.0, number_at(&at, 32))?)))
}

/// A standing header.
pub(crate) fn header(txn: &ReadTransaction, id: &HeaderId) -> Result<Option<StoredHeader>> {
    let Some((node, sequence)) = place_of(&HEADER_IDS.read(txn)?, id)? else { return Ok(None) };
    let at = node_key(&node, sequence);
    let payload = HEADERS.read(txn)?.get(&at)?.ok_or_else(|| HEADERS.corrupt(&at))?;
    let found = stored(&HEADERS, &at, &payload)?;
    if found.id == *id { Ok(Some(found)) } else { Err(HEADERS.corrupt(&at)) }
}

/// Headers of a node without a gap.
pub(crate) fn run(txn: &ReadTransaction, node: &NodeId, from: u64, to: u64) -> Result<Vec<Vec<u8>>> {
    let (mut found, mut next) = (Vec::new(), from);
    HEADERS.read(txn)?.scan(&node.0, &node_key(node, from), |at, payload| {
        if next > to || number_at(at, 32) != Some(next) {
            return Ok(false);
        }
        found.push(stored(&HEADERS, at, payload)?.bytes);
        next += 1;
        Ok(true)
    })?;
    Ok(found)
}

/// The last header of every node.
pub(crate) fn heads(txn: &ReadTransaction) -> Result<Vec<Head>> {
    let mut found = Vec::new();
    HEADS.read(txn)?.scan(&[], &[], |at, payload| {
        found.push(read_head(at, payload)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Headers kept aside.
pub(crate) fn forks(txn: &ReadTransaction, node: &NodeId) -> Result<Vec<StoredHeader>> {
    let mut found = Vec::new();
    FORKS.read(txn)?.scan(&node.0, &[], |at, payload| {
        found.push(stored(&FORKS, at, payload)?);
        Ok(true)
    })?;
    Ok(found)
}

/// Standing headers that name a content.
pub(crate) fn naming(txn: &ReadTransaction, content: &ContentId) -> Result<Vec<HeaderId>> {
    let mut found = Vec::new();
    HEADER_CONTENTS.read(txn)?.scan(&content.0, &[], |at, _| {
        found.push(HEADER_CONTENTS.part(at, at.get(32..).and_then(header_id))?);
        Ok(true)
    })?;
    Ok(found)
}
