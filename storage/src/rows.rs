//! Rows: every table maps bytes to bytes, and every value carries a check over its table and key.
//!
//! The check, 16 bytes of BLAKE3, is against media, not against people: it finds flipped bits and rows that
//! turn up under another key. Segments go without, because their key is their hash. `headers`, `chain`,
//! `held`, `holding` and `scrub` read and write through here only.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, WriteTransaction};

use crate::db::medium_error;
use crate::error::{Result, StoreError};
use crate::layout::Name;

type Raw = &'static [u8];

/// The key of the row that every table begins with, and that no walk passes.
pub(crate) const FIRST: &[u8] = &[];

/// The length of a row's check.
pub(crate) const CHECK_BYTES: usize = 16;

/// The check of a row.
pub(crate) fn check(name: &Name, key: &[u8], payload: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.table.as_bytes()).update(&[0]).update(&(key.len() as u64).to_be_bytes());
    hasher.update(key).update(payload);
    let mut out = [0; CHECK_BYTES];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..CHECK_BYTES]);
    out
}

/// The payload of a stored value, if its check holds.
pub(crate) fn payload<'v>(name: &Name, key: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    if name.raw {
        return Some(value);
    }
    let (stored, rest) = value.split_first_chunk::<CHECK_BYTES>()?;
    (*stored == check(name, key, rest)).then_some(rest)
}

/// An open table.
pub(crate) struct Rows<T> {
    table: T,
    pub(crate) name: &'static Name,
}

/// A table open for writing.
pub(crate) type Open<'t> = Rows<Table<'t, Raw, Raw>>;

impl Name {
    fn definition(&self) -> TableDefinition<'_, Raw, Raw> {
        TableDefinition::new(self.table)
    }

    /// The length of the value that stores a payload.
    pub(crate) fn value_len(&self, payload: usize) -> u64 {
        (payload + if self.raw { 0 } else { CHECK_BYTES }) as u64
    }

    fn error(&self, e: impl Into<redb::Error>) -> StoreError {
        medium_error(self.file, e)
    }

    /// Opens the table for reading.
    pub(crate) fn read(&'static self, txn: &ReadTransaction) -> Result<Rows<ReadOnlyTable<Raw, Raw>>> {
        let table = txn.open_table(self.definition()).map_err(|e| self.error(e))?;
        Ok(Rows { table, name: self })
    }

    /// Opens the table for writing, making it where it is missing.
    pub(crate) fn write<'t>(&'static self, txn: &'t WriteTransaction) -> Result<Open<'t>> {
        let table = txn.open_table(self.definition()).map_err(|e| self.error(e))?;
        Ok(Rows { table, name: self })
    }
}

impl<T: ReadableTable<Raw, Raw>> Rows<T> {
    fn corrupt(&self, key: &[u8]) -> StoreError {
        StoreError::Corrupt(self.name.item(key))
    }

    /// The payload under a key.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let Some(value) = self.table.get(key).map_err(|e| self.name.error(e))? else { return Ok(None) };
        let payload = payload(self.name, key, value.value()).ok_or_else(|| self.corrupt(key))?;
        Ok(Some(payload.to_vec()))
    }

    /// The stored value's length, without reading what it says.
    pub(crate) fn len_of(&self, key: &[u8]) -> Result<Option<u64>> {
        let value = self.table.get(key).map_err(|e| self.name.error(e))?;
        Ok(value.map(|v| v.value().len() as u64))
    }

    /// How many rows the table says it has, without its first.
    pub(crate) fn count(&self) -> Result<u64> {
        Ok(self.table.len().map_err(|e| self.name.error(e))?.saturating_sub(1))
    }

    /// The first key.
    pub(crate) fn first_key(&self) -> Result<Option<Vec<u8>>> {
        let mut first = None;
        self.walk(FIRST, |key, _, _| {
            first = Some(key.to_vec());
            Ok(false)
        })?;
        Ok(first)
    }

    /// Passes rows from `from` on, in order, while `f` answers true. A row that fails its check passes as
    /// null.
    pub(crate) fn walk(
        &self,
        from: &[u8],
        mut f: impl FnMut(&[u8], Option<&[u8]>, usize) -> Result<bool>,
    ) -> Result<()> {
        for row in self.table.range(from..).map_err(|e| self.name.error(e))? {
            let (key, value) = row.map_err(|e| self.name.error(e))?;
            let (key, value) = (key.value(), value.value());
            if key == FIRST {
                continue;
            }
            if !f(key, payload(self.name, key, value), value.len())? {
                break;
            }
        }
        Ok(())
    }

    /// Passes rows whose key begins with `prefix`, from `from` on, while `f` answers true.
    pub(crate) fn scan(
        &self,
        prefix: &[u8],
        from: &[u8],
        mut f: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        self.walk(from.max(prefix), |key, payload, _| {
            if !key.starts_with(prefix) {
                return Ok(false);
            }
            f(key, payload.ok_or_else(|| self.corrupt(key))?)
        })
    }
}

impl Open<'_> {
    /// Stores a payload; gives the length of the value that it replaced.
    pub(crate) fn put(&mut self, key: &[u8], payload: &[u8]) -> Result<Option<u64>> {
        let name = self.name;
        let old = if name.raw {
            self.table.insert(key, payload)
        } else {
            let mut value = Vec::with_capacity(CHECK_BYTES + payload.len());
            value.extend_from_slice(&check(name, key, payload));
            value.extend_from_slice(payload);
            self.table.insert(key, value.as_slice())
        };
        Ok(old.map_err(|e| name.error(e))?.map(|v| v.value().len() as u64))
    }

    /// Drops a row; gives the length of its value.
    pub(crate) fn delete(&mut self, key: &[u8]) -> Result<Option<u64>> {
        let name = self.name;
        Ok(self.table.remove(key).map_err(|e| name.error(e))?.map(|v| v.value().len() as u64))
    }
}

/// The key after every key that begins with `key`, in the order of bytes: `key` with a zero behind it.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}
