//! Writes of one thread that become durable together, in the order in which they were made.
//!
//! A durable write costs two syncs. Whoever says nothing to anybody between two writes may let both wait, and
//! settle them once. At any instant writes wait in one database alone: before the first write to the other, those
//! of the one are settled. So a crash leaves what was written up to some instant, over both databases. The key file
//! is never waited for. The service's thread is the one that gathers; uploads and the scrub write durably beside it.

use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use redb::WriteTransaction;

use crate::db::Db;
use crate::error::Result;
use crate::store::Store;

/// The thread whose writes may wait.
#[derive(Default)]
pub(crate) struct Gathering(Mutex<Option<ThreadId>>);

impl Gathering {
    /// Lets this thread's writes wait, or no more.
    pub(crate) fn turn(&self, on: bool) {
        let mut thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *thread = on.then(|| std::thread::current().id());
    }

    fn is_mine(&self) -> bool {
        let thread = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *thread == Some(std::thread::current().id())
    }
}

impl Store {
    /// Whether a write of this thread to one database may wait; then nothing waits in the other.
    fn may_wait(&self, other: &Db) -> Result<bool> {
        let waits = self.gathering.is_mine();
        if waits {
            other.settle()?;
        }
        Ok(waits)
    }

    pub(crate) fn write_ledger<T>(
        &self,
        bytes: usize,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        if self.may_wait(&self.objects)? {
            return self.ledger.write_waiting(bytes, f);
        }
        self.ledger.write(bytes, f)
    }

    pub(crate) fn write_objects<T>(
        &self,
        bytes: usize,
        f: impl FnOnce(&WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        if self.may_wait(&self.ledger)? {
            return self.objects.write_waiting(bytes, f);
        }
        self.objects.write(bytes, f)
    }

    /// As [`Store::write_objects`], for what gives space back.
    pub(crate) fn free_objects<T>(&self, f: impl FnOnce(&WriteTransaction) -> Result<T>) -> Result<T> {
        if self.may_wait(&self.ledger)? {
            return self.objects.write_freeing_waiting(f);
        }
        self.objects.write_freeing(f)
    }

    /// Makes durable what waits in either database; at most one has any.
    pub(crate) fn settle_both(&self) -> Result<()> {
        self.objects.settle()?;
        self.ledger.settle()
    }
}
