//! Objects that fail after so many writes, as if the power went: what was written stays, nothing after it is.
//!
//! Used by the world of the stories.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hospes_protocol::ids::{ContentId, ObjectId, OrganizationId, PatientId};
use hospes_storage::{
    Fetch, HeldBody, Objects, Order, Quota, Receipt, SealedKey, SealedRow, Store, StoreError, Totals, Write,
};

type Result<T> = std::result::Result<T, StoreError>;

/// How many writes are left.
#[derive(Clone)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Default for Fuse {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Fuse {
    pub(crate) fn set(&self, writes: i64) {
        self.0.store(writes, Ordering::SeqCst);
    }

    pub(crate) fn is_blown(&self) -> bool {
        self.0.load(Ordering::SeqCst) < 0
    }

    fn burn(&self) -> Result<()> {
        let left = self.0.fetch_sub(1, Ordering::SeqCst);
        let dark = || StoreError::Io { file: "objects.redb", source: std::io::Error::other("no power") };
        if left > 0 { Ok(()) } else { Err(dark()) }
    }
}

/// A store behind a fuse.
pub(crate) struct Fused {
    pub(crate) store: Arc<Store>,
    pub(crate) fuse: Fuse,
}

impl Objects for Fused {
    fn apply(&self, writes: &[Write]) -> Result<()> {
        self.fuse.burn()?;
        self.store.apply(writes)
    }

    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>> {
        self.store.object(id)
    }

    fn has_objects(&self, ids: &[ObjectId]) -> Result<Vec<bool>> {
        self.store.has_objects(ids)
    }

    fn list_objects(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectId>> {
        self.store.list_objects(after, limit)
    }

    fn body(&self, content: &ContentId) -> Result<Option<HeldBody>> {
        self.store.body(content)
    }

    fn bodies(
        &self,
        patient: Option<&PatientId>,
        kind: Option<u64>,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<ContentId>> {
        self.store.bodies(patient, kind, skip, limit)
    }

    fn sealed(&self, key: &SealedKey) -> Result<Option<Vec<u8>>> {
        self.store.sealed(key)
    }

    fn sealed_rows(
        &self,
        space: &str,
        group: Option<&[u8]>,
        after: Option<&SealedKey>,
        limit: usize,
    ) -> Result<Vec<SealedRow>> {
        self.store.sealed_rows(space, group, after, limit)
    }

    fn orders(&self, object: &ObjectId) -> Result<Vec<Order>> {
        self.store.orders(object)
    }

    fn orders_ending(&self, time: u64, limit: usize) -> Result<Vec<Order>> {
        self.store.orders_ending(time, limit)
    }

    fn quota(&self, organization: &OrganizationId) -> Result<Quota> {
        self.store.quota(organization)
    }

    fn receipts(&self, object: &ObjectId) -> Result<Vec<Receipt>> {
        self.store.receipts(object)
    }

    fn fetches_due(&self, time: u64, limit: usize) -> Result<Vec<Fetch>> {
        self.store.fetches_due(time, limit)
    }

    fn fetch(&self, object: &ObjectId) -> Result<Option<Fetch>> {
        self.store.fetch(object)
    }

    fn make_keys(&self, patients: &[PatientId]) -> Result<()> {
        self.fuse.burn()?;
        self.store.make_keys(patients)
    }

    fn erase(&self, patient: &PatientId) -> Result<()> {
        self.fuse.burn()?;
        self.store.erase(patient)
    }

    fn totals(&self) -> Result<Totals> {
        self.store.totals()
    }
}
