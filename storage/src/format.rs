//! What makes a database one of ours: a row that says format and store, the list of its tables, and in each
//! table a first row that is always there.
//!
//! All of it is made in one transaction, so a crash leaves a file with everything or without a table. A
//! table whose first row is missing was lost, not emptied: damage of one pointer can do that, and its rows
//! would read as absent. Only opening and the scrub call this.

use hospes_protocol::wire::Wire;
use redb::TableHandle;

use crate::db::{Db, medium_error};
use crate::error::{Item, Result, StoreError};
use crate::layout::{FORMAT, Meta, Name};
use crate::rows::FIRST;

const META: &[u8] = b"meta";
const TABLES: &[u8] = b"tables";

fn lost(name: &Name) -> StoreError {
    StoreError::Corrupt(Item::Table(name.table))
}

fn table_names(db: &Db, file: &'static str) -> Result<Vec<String>> {
    db.read(|txn| {
        let tables = txn.list_tables().map_err(|e| medium_error(file, e))?;
        Ok(tables.map(|t| t.name().to_owned()).collect())
    })
}

fn list_of(names: &[&'static Name]) -> Vec<u8> {
    names.iter().map(|n| n.table.to_owned()).collect::<Vec<String>>().encode()
}

/// Whether the file has any table: one that a crash left while it was made has none.
pub(crate) fn is_made(db: &Db, meta: &'static Name) -> Result<bool> {
    Ok(!table_names(db, meta.file)?.is_empty())
}

/// Makes every table, and the rows that `meta` needs besides.
pub(crate) fn make(
    db: &Db,
    names: &'static [&'static Name],
    meta: &Meta,
    more: &[(&[u8], Vec<u8>)],
) -> Result<()> {
    db.write(0, |txn| {
        names.iter().try_for_each(|name| name.write(txn)?.put(FIRST, &[]).map(drop))?;
        let mut rows = names[0].write(txn)?;
        rows.put(META, &meta.encode())?;
        rows.put(TABLES, &list_of(names))?;
        more.iter().try_for_each(|(key, payload)| rows.put(key, payload).map(drop))
    })
}

/// Reads what the file says of itself, and checks that none of its tables is lost.
///
/// # Errors
/// [`StoreError::Newer`]; [`StoreError::Corrupt`] naming the file or table.
pub(crate) fn read(db: &Db, names: &'static [&'static Name]) -> Result<Meta> {
    let meta = names[0];
    let have = table_names(db, meta.file)?;
    if have.is_empty() {
        return Err(StoreError::Corrupt(Item::File(meta.file)));
    }
    let row = db.read(|txn| meta.read(txn)?.get(META))?.ok_or_else(|| lost(meta))?;
    let says: Meta = meta.decode(META, &row)?;
    if says.format > FORMAT {
        return Err(StoreError::Newer { file: meta.file, found: says.format, known: FORMAT });
    }
    let listed = db.read(|txn| meta.read(txn)?.get(TABLES))?.ok_or_else(|| lost(meta))?;
    let listed: Vec<String> = meta.decode(TABLES, &listed)?;
    for name in names.iter().filter(|n| listed.iter().any(|l| l == n.table)) {
        let stands = have.iter().any(|h| h == name.table) && has_first(db, name)?;
        if !stands {
            return Err(lost(name));
        }
    }
    add_new(db, names, &listed)?;
    Ok(says)
}

/// Whether a table's first row is there.
pub(crate) fn has_first(db: &Db, name: &'static Name) -> Result<bool> {
    db.read(|txn| Ok(name.read(txn)?.len_of(FIRST)?.is_some()))
}

/// Makes the tables that an older release did not have.
fn add_new(db: &Db, names: &'static [&'static Name], listed: &[String]) -> Result<()> {
    let new: Vec<_> = names.iter().filter(|n| listed.iter().all(|l| l != n.table)).collect();
    if new.is_empty() {
        return Ok(());
    }
    db.write(0, |txn| {
        new.iter().try_for_each(|name| name.write(txn)?.put(FIRST, &[]).map(drop))?;
        names[0].write(txn)?.put(TABLES, &list_of(names)).map(drop)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::LEDGER_TABLES;
    use crate::medium::{DbFile, Medium};

    fn open(medium: &Medium) -> Db {
        Db::open(medium, DbFile::Ledger, 1 << 20, 0, false).expect("memory opens")
    }

    fn made() -> (Db, Meta) {
        let (db, meta) = (open(&Medium::memory()), Meta { format: FORMAT, store: [4; 16] });
        make(&db, LEDGER_TABLES, &meta, &[]).expect("memory takes it");
        (db, meta)
    }

    #[test]
    fn a_newer_format_is_refused_by_number() {
        let (db, meta) = made();
        assert_eq!(read(&db, LEDGER_TABLES).expect("its own format"), meta, "what was written");
        let newer = Meta { format: FORMAT + 1, ..meta };
        db.write(0, |txn| LEDGER_TABLES[0].write(txn)?.put(META, &newer.encode()).map(drop))
            .expect("written");
        let refused = read(&db, LEDGER_TABLES).expect_err("a newer format");
        let named = matches!(refused, StoreError::Newer { found, known: FORMAT, .. } if found == FORMAT + 1);
        assert!(named, "it says which: {refused}");
    }

    #[test]
    fn a_table_of_an_older_release_is_added_and_a_lost_one_is_not() {
        let (db, _) = made();
        let last = LEDGER_TABLES[LEDGER_TABLES.len() - 1];
        let drop_last = |listed: &[&'static Name]| {
            let meta = list_of(listed);
            db.write(0, |txn| {
                let definition = redb::TableDefinition::<&[u8], &[u8]>::new(last.table);
                txn.delete_table(definition).map_err(|e| medium_error(last.file, e))?;
                LEDGER_TABLES[0].write(txn)?.put(TABLES, &meta).map(drop)
            })
            .expect("written");
        };
        drop_last(&LEDGER_TABLES[..LEDGER_TABLES.len() - 1]);
        read(&db, LEDGER_TABLES).expect("a file of an older release, without that table");
        assert!(has_first(&db, last).expect("it reads"), "the table was added");
        drop_last(LEDGER_TABLES);
        let refused = read(&db, LEDGER_TABLES);
        let named = matches!(&refused, Err(StoreError::Corrupt(Item::Table(t))) if *t == last.table);
        assert!(named, "a listed table that is missing is damage: {refused:?}");
    }
}
