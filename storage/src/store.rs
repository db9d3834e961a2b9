//! The store: both databases, the key file and the folder's lock, opened together and bound to one another.
//!
//! What it does with them is in `impl` blocks beside their subject: `headers` and `chain` for the ledger,
//! `held` and `holding` for the objects, `scrub` for both. The node and the simulator open it.

use std::path::Path;

use hospes_protocol::wire::Wire;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::db::Db;
use crate::erasable::ErasableKeys;
use crate::error::{Item, Result, StoreError};
use crate::folder::FolderLock;
use crate::layout::{
    BODIES, FORMAT, LEDGER_META, LEDGER_TABLES, Meta, Name, OBJECTS_META, OBJECTS_TABLES, SEALED, SEGMENTS,
    STRUCTURED,
};
use crate::medium::{DbFile, Medium};
use crate::seal::Sealer;

const META: &[u8] = b"meta";
const KEY_CHECK: &[u8] = b"key-check";

/// How a store uses memory and the medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Page cache of the ledger, in bytes.
    pub ledger_cache_bytes: usize,
    /// Page cache of the objects, in bytes.
    pub objects_cache_bytes: usize,
    /// Below so many free bytes on the medium, writing is refused as full.
    pub reserve_bytes: u64,
    /// Leaves out the syncs: a mutant that crash tests must catch.
    #[cfg(any(test, feature = "faults"))]
    pub unsynced: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ledger_cache_bytes: 16 * 1024 * 1024,
            objects_cache_bytes: 48 * 1024 * 1024,
            reserve_bytes: 32 * 1024 * 1024,
            #[cfg(any(test, feature = "faults"))]
            unsynced: false,
        }
    }
}

impl Options {
    fn unsynced(&self) -> bool {
        #[cfg(any(test, feature = "faults"))]
        return self.unsynced;
        #[cfg(not(any(test, feature = "faults")))]
        false
    }
}

/// Ledger, objects and erasable keys of one node.
pub struct Store {
    pub(crate) ledger: Db,
    pub(crate) objects: Db,
    pub(crate) keys: ErasableKeys,
    pub(crate) sealer: Sealer,
    _lock: Option<FolderLock>,
}

/// Names itself, never what it holds.
impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Store")
    }
}

impl Store {
    /// Makes an empty store. `rng` gives keys and nonces, and must never repeat itself.
    ///
    /// # Errors
    /// [`StoreError::Exists`], [`StoreError::Locked`], [`StoreError`] of the medium.
    pub fn create(
        medium: &Medium,
        options: &Options,
        node_key: &Zeroizing<[u8; 32]>,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self> {
        let lock = lock(medium)?;
        let sealer = Sealer::new(node_key, rng);
        if is_created(medium)? {
            return Err(StoreError::Exists(place(medium).to_owned()));
        }
        [DbFile::Ledger, DbFile::Objects].into_iter().try_for_each(|file| clear_unfinished(medium, file))?;
        let meta = Meta { format: FORMAT, store: sealer.random() };
        let objects = open_db(medium, DbFile::Objects, options)?;
        objects.ensure_tables(OBJECTS_TABLES)?;
        holds_nothing(&objects)?;
        objects.write(0, |txn| {
            let mut rows = OBJECTS_META.write(txn)?;
            rows.put(META, &meta.encode())?;
            rows.put(KEY_CHECK, &sealer.seal_row(&OBJECTS_META, KEY_CHECK, None, &[], &meta.store)).map(drop)
        })?;
        ErasableKeys::create(medium, meta.store)?;
        // The ledger's own row comes last: a store is one only once it stands.
        let ledger = open_db(medium, DbFile::Ledger, options)?;
        ledger.ensure_tables(LEDGER_TABLES)?;
        ledger.write(0, |txn| LEDGER_META.write(txn)?.put(META, &meta.encode()).map(drop))?;
        medium.sync_names().map_err(|source| StoreError::Io { file: DbFile::Ledger.name(), source })?;
        let keys = ErasableKeys::open(medium, meta.store)?;
        Ok(Self { ledger, objects, keys, sealer, _lock: lock })
    }

    /// Opens a store, repairing what a crash left.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Locked`], [`StoreError::WrongKey`], [`StoreError::Newer`],
    /// [`StoreError::Mixed`], [`StoreError::Corrupt`].
    pub fn open(
        medium: &Medium,
        options: &Options,
        node_key: &Zeroizing<[u8; 32]>,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Result<Self> {
        let lock = lock(medium)?;
        let sealer = Sealer::new(node_key, rng);
        if !has_both(medium)? {
            return Err(StoreError::Absent(place(medium).to_owned()));
        }
        let ledger = open_db(medium, DbFile::Ledger, options)?;
        let objects = open_db(medium, DbFile::Objects, options)?;
        let absent = || StoreError::Absent(place(medium).to_owned());
        let meta = read_meta(&ledger, &LEDGER_META)?.ok_or_else(absent)?;
        let other = read_meta(&objects, &OBJECTS_META)?.ok_or_else(absent)?;
        if meta.store != other.store {
            return Err(StoreError::Mixed(DbFile::Objects.name()));
        }
        check_key(&objects, &sealer, &meta)?;
        ledger.ensure_tables(LEDGER_TABLES)?;
        objects.ensure_tables(OBJECTS_TABLES)?;
        let keys = ErasableKeys::open(medium, meta.store)?;
        Ok(Self { ledger, objects, keys, sealer, _lock: lock })
    }
}

fn open_db(medium: &Medium, file: DbFile, options: &Options) -> Result<Db> {
    let cache = match file {
        DbFile::Ledger => options.ledger_cache_bytes,
        DbFile::Objects => options.objects_cache_bytes,
    };
    Db::open(medium, file, cache, options.reserve_bytes, options.unsynced())
}

fn lock(medium: &Medium) -> Result<Option<FolderLock>> {
    match medium {
        Medium::Folder(folder) => FolderLock::take(folder).map(Some),
        _ => Ok(None),
    }
}

fn place(medium: &Medium) -> &Path {
    match medium {
        Medium::Folder(folder) => folder,
        _ => Path::new("memory"),
    }
}

fn has(medium: &Medium, file: DbFile) -> Result<bool> {
    medium.has(file).map_err(|source| StoreError::Io { file: file.name(), source })
}

fn clear_unfinished(medium: &Medium, file: DbFile) -> Result<()> {
    match has(medium, file)? {
        true => Ok(()),
        false => medium.clear(file).map_err(|source| StoreError::Io { file: file.name(), source }),
    }
}

/// Whether both files are there. One alone is what is left of a store, and never made up for.
fn has_both(medium: &Medium) -> Result<bool> {
    match (has(medium, DbFile::Ledger)?, has(medium, DbFile::Objects)?) {
        (true, true) => Ok(true),
        (true, false) => Err(StoreError::Corrupt(Item::File(DbFile::Objects.name()))),
        (false, false) => Ok(false),
        (false, true) => Err(StoreError::Corrupt(Item::File(DbFile::Ledger.name()))),
    }
}

/// Refuses to make a store over objects whose ledger is gone.
fn holds_nothing(objects: &Db) -> Result<()> {
    let tables = [&SEGMENTS, &STRUCTURED, &BODIES, &SEALED];
    let rows = objects.read(|txn| tables.iter().map(|name| name.read(txn)?.count()).sum::<Result<u64>>())?;
    if rows == 0 { Ok(()) } else { Err(StoreError::Corrupt(Item::File(DbFile::Ledger.name()))) }
}

/// Whether a store was finished here: a crash while making one leaves no ledger, or one without its row.
fn is_created(medium: &Medium) -> Result<bool> {
    if !has(medium, DbFile::Ledger)? {
        return Ok(false);
    }
    let ledger = Db::open(medium, DbFile::Ledger, 1024 * 1024, 0, false)?;
    Ok(ledger.has_tables()? && read_meta(&ledger, &LEDGER_META)?.is_some())
}

fn read_meta(db: &Db, name: &'static Name) -> Result<Option<Meta>> {
    if !db.has_tables()? {
        return Ok(None);
    }
    let bytes = db.read(|txn| name.read(txn)?.get(META))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let meta: Meta = name.decode(META, &bytes)?;
    if meta.format > FORMAT {
        return Err(StoreError::Newer { file: name.file, found: meta.format, known: FORMAT });
    }
    Ok(Some(meta))
}

fn check_key(objects: &Db, sealer: &Sealer, meta: &Meta) -> Result<()> {
    let corrupt = || OBJECTS_META.corrupt(KEY_CHECK);
    let row = objects.read(|txn| OBJECTS_META.read(txn)?.get(KEY_CHECK))?.ok_or_else(corrupt)?;
    let opened = sealer.open_row(&OBJECTS_META, KEY_CHECK, &row, |_| Ok(None));
    match opened {
        Ok(opened) if opened.data.as_deref() == Some(&meta.store[..]) => Ok(()),
        _ => Err(StoreError::WrongKey),
    }
}
