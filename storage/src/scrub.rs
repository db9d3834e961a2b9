//! The background scrub: reads everything again, a little at a time, and names what is damaged.
//!
//! It repairs nothing: the caller fetches what is named from a peer and stores it again. Pages that redb has
//! in memory are checked there. The node runs a step whenever it is idle.

use hospes_protocol::ids::{ContentId, NodeId, ObjectId, sha256};
use redb::ReadTransaction;

use crate::db::Db;
use crate::error::{Item, Result, StoreError};
use crate::layout::{
    BLOCK_HASHES, BLOCKS, BODIES, BODY_INDEX, BlockRow, FETCHES, FETCHES_DUE, HEADER_IDS, HEADERS,
    LEDGER_TABLES, Name, OBJECTS_TABLES, ORDER_ENDS, ORDERS, QUOTAS, RECEIPTS, SEALED, SEGMENTS, STRUCTURED,
    id_at, number_at, object_at,
};
use crate::rows::{FIRST, after};
use crate::store::Store;

/// How far one step goes: it ends with the row that reaches either number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Rows to check.
    pub rows: u64,
    /// Bytes to read.
    pub bytes: u64,
}

/// Where the scrub goes on. The default begins a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    table: usize,
    from: Vec<u8>,
    counted: u64,
    generation: u64,
}

/// Something damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What.
    pub what: Item,
}

/// What a step found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubReport {
    /// Rows that were checked.
    pub checked: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// What failed.
    pub damaged: Vec<Damage>,
    /// Where to go on.
    pub next: Cursor,
    /// Whether this step ended a pass; `next` begins another.
    pub pass_done: bool,
}

/// What a walk over part of a table gave.
#[derive(Default)]
struct Walked {
    checked: u64,
    bytes: u64,
    damaged: Vec<Item>,
    /// Rows of other tables that must be there.
    targets: Vec<(&'static Name, Vec<u8>)>,
    next: Option<Vec<u8>>,
    /// How many rows the table says it has.
    count: u64,
}

fn table_at(index: usize) -> Option<&'static Name> {
    LEDGER_TABLES.iter().chain(OBJECTS_TABLES).nth(index).copied()
}

/// The row of another table to which an index row leads.
fn target(name: &Name, key: &[u8], payload: &[u8], store: &Store) -> Option<(&'static Name, Vec<u8>)> {
    match name.table {
        t if t == BLOCK_HASHES.table => Some((&BLOCKS, payload.to_vec())),
        t if t == HEADER_IDS.table => Some((&HEADERS, payload.to_vec())),
        t if t == BODY_INDEX.table => {
            let content: ContentId = store.indexed_content(key, payload).ok()?;
            Some((&BODIES, content.0.to_vec()))
        }
        t if t == ORDER_ENDS.table => Some((&ORDERS, key.get(8..)?.to_vec())),
        t if t == FETCHES_DUE.table => Some((&FETCHES, key.get(8..)?.to_vec())),
        _ => None,
    }
}

impl Store {
    /// Checks some rows from `cursor` on.
    ///
    /// # Errors
    /// [`StoreError`] of the medium; damage is no error here but part of the report.
    pub fn scrub_step(&self, cursor: &Cursor, budget: &Budget) -> Result<ScrubReport> {
        let Some(name) = table_at(cursor.table) else { return Ok(ScrubReport::default()) };
        let db = self.db_of(name);
        let generation = if cursor.from.is_empty() { db.generation() } else { cursor.generation };
        let walked = match db.read(|txn| self.walk_part(txn, name, &cursor.from, budget)) {
            Ok(walked) => walked,
            Err(StoreError::Corrupt(_)) => {
                Walked { damaged: vec![Item::Table(name.table)], ..Walked::default() }
            }
            Err(other) => return Err(other),
        };
        let mut damaged = walked.damaged;
        for (table, key) in &walked.targets {
            if !self.is_there(db, table, key)? {
                damaged.push(table.item(key));
            }
        }
        let counted = cursor.counted + walked.checked;
        let broken = damaged.contains(&Item::Table(name.table));
        let miscounted = walked.next.is_none() && counted != walked.count && db.generation() == generation;
        let lost = cursor.from.is_empty() && !self.is_there(db, name, FIRST)?;
        if !broken && (miscounted || lost) {
            damaged.push(Item::Table(name.table));
        }
        let next = match walked.next {
            Some(from) => Cursor { table: cursor.table, from, counted, generation },
            None => Cursor { table: cursor.table + 1, ..Cursor::default() },
        };
        let pass_done = table_at(next.table).is_none();
        Ok(ScrubReport {
            checked: walked.checked,
            bytes: walked.bytes,
            damaged: damaged.into_iter().map(|what| Damage { what }).collect(),
            next: if pass_done { Cursor::default() } else { next },
            pass_done,
        })
    }

    /// A whole pass; gives everything that is damaged.
    ///
    /// # Errors
    /// As [`Store::scrub_step`].
    pub fn scrub(&self) -> Result<Vec<Damage>> {
        let budget = Budget { rows: 4096, bytes: 8 * 1024 * 1024 };
        let (mut cursor, mut damaged) = (Cursor::default(), Vec::new());
        loop {
            let report = self.scrub_step(&cursor, &budget)?;
            damaged.extend(report.damaged);
            if report.pass_done {
                return Ok(damaged);
            }
            cursor = report.next;
        }
    }

    fn db_of(&self, name: &Name) -> &Db {
        if LEDGER_TABLES.iter().any(|n| std::ptr::eq(*n, name)) { &self.ledger } else { &self.objects }
    }

    fn is_there(&self, db: &Db, name: &'static Name, key: &[u8]) -> Result<bool> {
        match db.read(|txn| name.read(txn)?.len_of(key)) {
            Ok(found) => Ok(found.is_some()),
            Err(StoreError::Corrupt(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn walk_part(
        &self,
        txn: &ReadTransaction,
        name: &'static Name,
        from: &[u8],
        budget: &Budget,
    ) -> Result<Walked> {
        let table = name.read(txn)?;
        let mut walked = Walked { count: table.count()?, ..Walked::default() };
        table.walk(from, |key, payload, length| {
            walked.checked += 1;
            walked.bytes += length as u64;
            match payload {
                // Walking finds what looking up misses, where damage is in the pages that lead to the row.
                Some(payload) if self.is_sound(name, key, payload) && table.len_of(key)?.is_some() => {
                    walked.targets.extend(target(name, key, payload, self));
                }
                _ => walked.damaged.push(self.named(name, key, payload)),
            }
            let more = walked.checked < budget.rows && walked.bytes < budget.bytes;
            if !more {
                walked.next = Some(after(key));
            }
            Ok(more)
        })?;
        Ok(walked)
    }

    /// The name of a damaged row: a segment under a wrong key is known by its bytes.
    fn named(&self, name: &Name, key: &[u8], payload: Option<&[u8]>) -> Item {
        match payload {
            Some(bytes) if name.raw && object_at(key, 0).is_none() => {
                Item::Object(ObjectId::of_segment(bytes))
            }
            _ => name.item(key),
        }
    }

    /// Whether a row that passed its check also says what its key promises.
    fn is_sound(&self, name: &Name, key: &[u8], payload: &[u8]) -> bool {
        match name.table {
            t if t == SEGMENTS.table => object_at(key, 0).is_some_and(|id| id.names(payload)),
            t if t == STRUCTURED.table => match self.open_row(name, key, payload) {
                Ok(o) => o.data.is_none_or(|d| object_at(key, 0).is_some_and(|id| id.names(&d))),
                Err(_) => false,
            },
            t if [&BODIES, &BODY_INDEX, &SEALED, &ORDERS, &QUOTAS, &RECEIPTS, &FETCHES]
                .iter()
                .any(|n| n.table == t) =>
            {
                self.open_row(name, key, payload).is_ok()
            }
            t if t == BLOCKS.table => name
                .decode::<BlockRow>(key, payload)
                .is_ok_and(|row| number_at(key, 0).is_some() && sha256(&[&row.block]) == row.hash),
            t if t == HEADERS.table => {
                id_at(key, 0).map(NodeId).is_some() && number_at(key, 32).is_some() && payload.len() >= 64
            }
            _ => true,
        }
    }
}
