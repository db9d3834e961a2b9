//! One redb file: opening, transactions, and what becomes of errors.
//!
//! Every durable write is a two-phase commit with quick repair, so that a crash costs milliseconds and no walk.
//! A write that waits is seen by every reader at once, and is durable with the next durable write.
//! redb refuses everything after a failed write; after a full disk it is opened again here, so that reading
//! goes on. A panic inside redb, which damaged pages can cause, is reported as damage of the file.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, WriteTransaction};

use crate::error::{Item, Result, StoreError};
use crate::medium::{DbFile, Medium, Retired};

/// Whether there is no room: on the disk, in the user's quota, or under the limit that the system sets to a
/// file's size (EFBIG).
pub(crate) fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// A redb error as ours.
pub(crate) fn medium_error(file: &'static str, e: impl Into<redb::Error>) -> StoreError {
    match e.into() {
        redb::Error::Io(e) if is_full(e.kind()) => StoreError::Full,
        redb::Error::Io(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData) => {
            StoreError::Corrupt(Item::File(file))
        }
        redb::Error::Io(source) => StoreError::Io { file, source },
        redb::Error::PreviousIo => StoreError::Io { file, source: ErrorKind::BrokenPipe.into() },
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted => StoreError::Corrupt(Item::File(file)),
        other => StoreError::Io { file, source: std::io::Error::other(other.to_string()) },
    }
}

/// What may wait to become durable, in bytes: it is held in the page cache, and one sync is to bear it.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

struct Handle {
    /// Which opening of the file this is, from 1.
    number: u64,
    /// Null only while it is dropped.
    db: Option<Database>,
    retired: Retired,
    closing: AtomicBool,
    full: AtomicBool,
}

impl Handle {
    fn db(&self) -> &Database {
        self.db.as_ref().expect("it is there until the handle is dropped")
    }
}

/// Lets go of the file as a crash would, unless it is closed on purpose: nothing is written, and redb, which
/// writes a last commit when it is dropped, is kept from it by losing its file first.
impl Drop for Handle {
    fn drop(&mut self) {
        let (db, orderly) = (self.db.take(), self.closing.load(Ordering::Acquire));
        let retired = self.retired.clone();
        let _closed_or_not = catch_unwind(AssertUnwindSafe(move || {
            let mut db = db;
            if let (Some(db), false) = (&mut db, orderly) {
                retired.set();
                // The first thing that this does is to fail on the file, after which redb writes nothing.
                let _fails = db.check_integrity();
            }
            drop(db);
        }));
    }
}

/// An open database.
pub(crate) struct Db {
    medium: Medium,
    file: DbFile,
    cache_bytes: usize,
    reserve_bytes: u64,
    unsynced: bool,
    handle: RwLock<Option<Arc<Handle>>>,
    closed: AtomicBool,
    /// Counts commits, so that the scrub knows whether anything changed under it.
    generation: AtomicU64,
    /// How often the file was opened.
    opened: AtomicU64,
    /// The handle under which writes wait to become durable; 0 for none.
    waiting: AtomicU64,
    waiting_bytes: AtomicUsize,
}

impl Db {
    /// Opens the file, or makes it, repairing what a crash left.
    pub(crate) fn open(
        medium: &Medium,
        file: DbFile,
        cache_bytes: usize,
        reserve_bytes: u64,
        unsynced: bool,
    ) -> Result<Self> {
        let db = Self {
            medium: medium.clone(),
            file,
            cache_bytes,
            reserve_bytes,
            unsynced,
            handle: RwLock::new(None),
            closed: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            opened: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            waiting_bytes: AtomicUsize::new(0),
        };
        db.handle()?;
        Ok(db)
    }

    fn handle(&self) -> Result<Arc<Handle>> {
        if let Some(handle) = &*self.handle.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(handle.clone());
        }
        let mut slot = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*slot {
            return Ok(handle.clone());
        }
        if self.closed.load(Ordering::Acquire) {
            let source = std::io::Error::other("the store was closed");
            return Err(StoreError::Io { file: self.file.name(), source });
        }
        let (db, retired) = self.guarded(|| {
            let backend = self.medium.open(self.file).map_err(redb::StorageError::from);
            let backend = backend.map_err(|e| medium_error(self.file.name(), e))?;
            let retired = backend.retired();
            let mut builder = Database::builder();
            builder.set_cache_size(self.cache_bytes);
            let db = builder.create_with_backend(backend);
            Ok((db.map_err(|e| medium_error(self.file.name(), e))?, retired))
        })?;
        let (closing, full) = (AtomicBool::new(false), AtomicBool::new(false));
        let number = self.opened.fetch_add(1, Ordering::AcqRel) + 1;
        let handle = Arc::new(Handle { number, db: Some(db), retired, closing, full });
        *slot = Some(handle.clone());
        Ok(handle)
    }

    /// Closes the file in order: free space at its end is given back, and opening again repairs nothing.
    /// Everything after that fails.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let handle = self.handle.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(handle) = handle {
            handle.closing.store(true, Ordering::Release);
        }
    }

    /// Lets go of a handle that redb has closed after a full disk.
    fn discard(&self, failed: &Arc<Handle>) {
        let mut slot = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|h| Arc::ptr_eq(h, failed)) {
            *slot = None;
        }
    }

    fn guarded<T>(&self, f: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(f))
            .unwrap_or_else(|_| Err(StoreError::Corrupt(Item::File(self.file.name()))))
    }

    /// Reads from the last commit.
    pub(crate) fn read<T>(&self, f: impl Fn(&ReadTransaction) -> Result<T>) -> Result<T> {
        let handle = self.handle()?;
        let result = self.read_once(&handle, &f);
        if result.is_err() && handle.full.load(Ordering::Acquire) {
            self.discard(&handle);
            return self.read_once(&*self.handle()?, &f);
        }
        result
    }

    fn read_once<T>(&self, handle: &Handle, f: impl Fn(&ReadTransaction) -> Result<T>) -> Result<T> {
        self.guarded(|| {
            let txn = handle.db().begin_read().map_err(|e| medium_error(self.file.name(), e))?;
            f(&txn)
        })
    }

    /// Writes in one durable transaction, about `bytes` of it. An error leaves things as they were, but for
    /// [`StoreError::Io`], after which only opening again tells.
    pub(crate) fn write<T>(&self, bytes: usize, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        // A row may be written twice on the way into its page, and pages grow by powers of two.
        self.has_room(self.reserve_bytes.saturating_add(4 * bytes as u64))?;
        self.write_in_room(true, f)
    }

    /// As [`Db::write`], but durable only once [`Db::settle`] has ended. Only one thread at a time may wait.
    pub(crate) fn write_waiting<T>(
        &self,
        bytes: usize,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        if self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel) + bytes > WAITING_BYTES_MAX {
            self.settle()?;
            self.waiting_bytes.store(bytes, Ordering::Release);
        }
        self.has_room(self.reserve_bytes.saturating_add(4 * bytes as u64))?;
        self.write_in_room(false, f)
    }

    /// Makes durable what waits. [`StoreError::Full`] also where a disk that was full meanwhile took it. What could
    /// not be made durable still waits, so that who asks again is not told that it is.
    pub(crate) fn settle(&self) -> Result<()> {
        let waiting = self.waiting.load(Ordering::Acquire);
        if waiting == 0 {
            return Ok(());
        }
        let lost = self.handle()?.number != waiting;
        let settled = if lost { Err(StoreError::Full) } else { self.write_in_room(true, |_| Ok(())) };
        if lost || settled.is_ok() {
            self.waiting.store(0, Ordering::Release);
            self.waiting_bytes.store(0, Ordering::Release);
        }
        settled
    }

    /// Takes back what waits, as a crash would.
    pub(crate) fn give_up(&self) {
        let waiting = self.waiting.swap(0, Ordering::AcqRel);
        let mut slot = self.handle.write().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|h| h.number == waiting) {
            *slot = None;
        }
    }

    /// As [`Db::write`], for what gives space back: it may use most of the reserve.
    pub(crate) fn write_freeing<T>(&self, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        self.has_room(self.reserve_bytes / 4)?;
        self.write_in_room(true, f)
    }

    /// As [`Db::write_freeing`], but durable only once [`Db::settle`] has ended.
    pub(crate) fn write_freeing_waiting<T>(
        &self,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        self.has_room(self.reserve_bytes / 4)?;
        self.write_in_room(false, f)
    }

    fn write_in_room<T>(&self, durable: bool, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        let handle = self.handle()?;
        let result = self.guarded(|| self.write_once(&handle, durable, f));
        match result {
            Err(StoreError::Full) => handle.full.store(true, Ordering::Release),
            Err(StoreError::Io { .. }) if handle.full.load(Ordering::Acquire) => {}
            other => return other,
        }
        self.discard(&handle);
        Err(StoreError::Full)
    }

    fn write_once<T>(
        &self,
        handle: &Handle,
        durable: bool,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        let file = self.file.name();
        let mut txn = handle.db().begin_write().map_err(|e| medium_error(file, e))?;
        if durable && !self.unsynced {
            txn.set_two_phase_commit(true);
            txn.set_quick_repair(true);
        } else {
            // Refused only for persistent savepoints, which nothing here makes; then it is durable.
            let _no_savepoints = txn.set_durability(Durability::None);
        }
        let value = f(&txn)?;
        txn.commit().map_err(|e| medium_error(file, e))?;
        if !durable {
            self.waiting.store(handle.number, Ordering::Release);
        }
        self.generation.fetch_add(1, Ordering::Release);
        Ok(value)
    }

    /// Refuses early where the medium says that it is nearly full: redb is not brought to fail.
    fn has_room(&self, needed: u64) -> Result<()> {
        match self.medium.free_bytes() {
            Some(free) if free < needed => Err(StoreError::Full),
            _ => Ok(()),
        }
    }

    /// How many commits there were since the file was opened.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}
