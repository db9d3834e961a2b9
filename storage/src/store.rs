//! The store: both databases, the key file and the folder's lock, opened together and bound to one another.
//!
//! What it does with them is in `impl` blocks beside their subject: `headers` and `chain` for the ledger,
//! `held` and `holding` for the objects, `scrub` for both. The node and the simulator open it.

use std::path::Path;
use std::sync::Mutex;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::db::Db;
use crate::erasable::ErasableKeys;
use crate::error::{Item, Result, StoreError};
use crate::folder::FolderLock;
use crate::format;
use crate::gathering::Gathering;
use crate::layout::{
    BODIES, FORMAT, LEDGER_META, LEDGER_TABLES, Meta, Name, OBJECTS_META, OBJECTS_TABLES, SEALED, SEGMENTS,
    STRUCTURED,
};
use crate::medium::{DbFile, Medium};
use crate::seal::Sealer;

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
    /// Held while a patient is erased: one sweep at a time.
    pub(crate) erasing: Mutex<()>,
    pub(crate) gathering: Gathering,
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
        refuse_existing(medium)?;
        let meta = Meta { format: FORMAT, store: sealer.random() };
        let check = sealer.seal_row(&OBJECTS_META, KEY_CHECK, None, &[], &meta.store);
        let objects = open_db(medium, DbFile::Objects, options)?;
        format::make(&objects, OBJECTS_TABLES, &meta, &[(KEY_CHECK, check)])?;
        ErasableKeys::create(medium, meta.store)?;
        // The ledger comes last: a store is one only once it stands.
        let ledger = open_db(medium, DbFile::Ledger, options)?;
        format::make(&ledger, LEDGER_TABLES, &meta, &[])?;
        medium.sync_names().map_err(|source| StoreError::Io { file: DbFile::Ledger.name(), source })?;
        let keys = ErasableKeys::open(medium, meta.store)?;
        Ok(Self {
            ledger,
            objects,
            keys,
            sealer,
            erasing: Mutex::default(),
            gathering: Gathering::default(),
            _lock: lock,
        })
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
        let meta = format::read(&ledger, LEDGER_TABLES)?;
        let other = format::read(&objects, OBJECTS_TABLES)?;
        if meta.store != other.store {
            return Err(StoreError::Mixed(DbFile::Objects.name()));
        }
        check_key(&objects, &sealer, &meta)?;
        let keys = ErasableKeys::open(medium, meta.store)?;
        let store = Self {
            ledger,
            objects,
            keys,
            sealer,
            erasing: Mutex::default(),
            gathering: Gathering::default(),
            _lock: lock,
        };
        store.finish_sweep()?;
        Ok(store)
    }

    /// Closes both databases in order, when the last reader is done; everything after that fails. A store
    /// that is only dropped is as after a crash: opening it again costs a few milliseconds more.
    pub fn close(&self) {
        // What nobody was told may be lost.
        let _unsettled = self.settle_both();
        self.ledger.close();
        self.objects.close();
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

/// Whether both files are there. One alone is what is left of a store, and never made up for.
fn has_both(medium: &Medium) -> Result<bool> {
    match (has(medium, DbFile::Ledger)?, has(medium, DbFile::Objects)?) {
        (true, true) => Ok(true),
        (true, false) => Err(StoreError::Corrupt(Item::File(DbFile::Objects.name()))),
        (false, false) => Ok(false),
        (false, true) => Err(StoreError::Corrupt(Item::File(DbFile::Ledger.name()))),
    }
}

/// Refuses to make a store over one, or over what is left of one; clears what a crash left of the making of
/// one: no ledger yet, and objects that hold nothing.
fn refuse_existing(medium: &Medium) -> Result<()> {
    if is_made(medium, DbFile::Ledger, &LEDGER_META)? {
        return Err(StoreError::Exists(place(medium).to_owned()));
    }
    if is_made(medium, DbFile::Objects, &OBJECTS_META)? && !holds_nothing(medium)? {
        return Err(StoreError::Corrupt(Item::File(DbFile::Ledger.name())));
    }
    [DbFile::Ledger, DbFile::Objects].into_iter().try_for_each(|file| {
        medium.clear(file).map_err(|source| StoreError::Io { file: file.name(), source })
    })
}

fn is_made(medium: &Medium, file: DbFile, meta: &'static Name) -> Result<bool> {
    Ok(has(medium, file)? && format::is_made(&look_into(medium, file)?, meta)?)
}

fn look_into(medium: &Medium, file: DbFile) -> Result<Db> {
    Db::open(medium, file, 1024 * 1024, 0, false)
}

fn holds_nothing(medium: &Medium) -> Result<bool> {
    let objects = look_into(medium, DbFile::Objects)?;
    let tables = [&SEGMENTS, &STRUCTURED, &BODIES, &SEALED];
    let rows = objects.read(|txn| tables.iter().map(|name| name.read(txn)?.count()).sum::<Result<u64>>())?;
    Ok(rows == 0)
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
