//! What an input has read of the objects already: rows and bodies are opened once for each input, not once for each
//! of its steps.
//!
//! It remembers nothing outside an input, and nothing of lists. Every write of the service passes here and changes
//! what is remembered; other threads write segments and packets, which are not. `service` wraps its objects in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hospes_protocol::ids::{ContentId, ObjectId, OrganizationId, PatientId};
use hospes_storage::{
    Fetch, HeldBody, Objects, Order, Quota, Receipt, Result, SealedKey, SealedRow, Totals, Write,
};
use zeroize::Zeroizing;

/// Rows and bodies that are remembered, at most each.
const REMEMBERED_MAX: usize = 4096;

#[derive(Default)]
struct Memo {
    rows: BTreeMap<SealedKey, Option<Zeroizing<Vec<u8>>>>,
    bodies: BTreeMap<ContentId, Option<HeldBody>>,
}

impl Memo {
    fn note(&mut self, write: &Write) {
        match write {
            Write::Sealed(row) => {
                self.rows.insert(row.key.clone(), Some(Zeroizing::new(row.value.clone())));
            }
            Write::DropSealed(key) => {
                self.rows.insert(key.clone(), None);
            }
            Write::Body(body) => {
                self.bodies.insert(body.content, Some(body.clone()));
            }
            Write::DropBody(content) => {
                self.bodies.insert(*content, None);
            }
            _ => {}
        }
    }

    fn bound(&mut self) {
        if self.rows.len() > REMEMBERED_MAX || self.bodies.len() > REMEMBERED_MAX {
            *self = Self::default();
        }
    }
}

/// Objects behind what was read of them.
pub(crate) struct Recall {
    objects: Arc<dyn Objects>,
    /// Null between inputs.
    memo: Mutex<Option<Memo>>,
}

impl Recall {
    pub(crate) fn over(objects: Arc<dyn Objects>) -> Self {
        Self { objects, memo: Mutex::default() }
    }

    /// An input begins, or ends.
    pub(crate) fn turn(&self, on: bool) {
        *self.memo() = on.then(Memo::default);
    }

    fn memo(&self) -> MutexGuard<'_, Option<Memo>> {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what a failed write leaves in doubt, and what is gone with an erased patient.
    fn forget(&self) {
        if let Some(memo) = &mut *self.memo() {
            *memo = Memo::default();
        }
    }
}

impl Objects for Recall {
    fn apply(&self, writes: &[Write]) -> Result<()> {
        let applied = self.objects.apply(writes);
        if applied.is_err() {
            self.forget();
        } else if let Some(memo) = &mut *self.memo() {
            writes.iter().for_each(|write| memo.note(write));
            memo.bound();
        }
        applied
    }

    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>> {
        self.objects.object(id)
    }

    fn has_objects(&self, ids: &[ObjectId]) -> Result<Vec<bool>> {
        self.objects.has_objects(ids)
    }

    fn list_objects(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectId>> {
        self.objects.list_objects(after, limit)
    }

    fn body(&self, content: &ContentId) -> Result<Option<HeldBody>> {
        if let Some(known) = self.memo().as_ref().and_then(|memo| memo.bodies.get(content)) {
            return Ok(known.clone());
        }
        let body = self.objects.body(content)?;
        if let Some(memo) = &mut *self.memo() {
            memo.bodies.insert(*content, body.clone());
            memo.bound();
        }
        Ok(body)
    }

    fn bodies(
        &self,
        patient: Option<&PatientId>,
        kind: Option<u64>,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<ContentId>> {
        self.objects.bodies(patient, kind, skip, limit)
    }

    fn sealed(&self, key: &SealedKey) -> Result<Option<Vec<u8>>> {
        if let Some(known) = self.memo().as_ref().and_then(|memo| memo.rows.get(key)) {
            return Ok(known.as_ref().map(|value| value.to_vec()));
        }
        let value = self.objects.sealed(key)?;
        if let Some(memo) = &mut *self.memo() {
            memo.rows.insert(key.clone(), value.clone().map(Zeroizing::new));
            memo.bound();
        }
        Ok(value)
    }

    fn sealed_rows(
        &self,
        space: &str,
        group: Option<&[u8]>,
        after: Option<&SealedKey>,
        limit: usize,
    ) -> Result<Vec<SealedRow>> {
        self.objects.sealed_rows(space, group, after, limit)
    }

    fn sealed_groups(&self, groups: &[(&str, &[u8])], limit: usize) -> Result<Vec<Vec<SealedRow>>> {
        self.objects.sealed_groups(groups, limit)
    }

    fn orders(&self, object: &ObjectId) -> Result<Vec<Order>> {
        self.objects.orders(object)
    }

    fn orders_ending(&self, time: u64, limit: usize) -> Result<Vec<Order>> {
        self.objects.orders_ending(time, limit)
    }

    fn quota(&self, organization: &OrganizationId) -> Result<Quota> {
        self.objects.quota(organization)
    }

    fn receipts(&self, object: &ObjectId) -> Result<Vec<Receipt>> {
        self.objects.receipts(object)
    }

    fn fetches_due(&self, time: u64, limit: usize) -> Result<Vec<Fetch>> {
        self.objects.fetches_due(time, limit)
    }

    fn fetch(&self, object: &ObjectId) -> Result<Option<Fetch>> {
        self.objects.fetch(object)
    }

    fn make_keys(&self, patients: &[PatientId]) -> Result<()> {
        self.objects.make_keys(patients)
    }

    fn erase(&self, patient: &PatientId) -> Result<()> {
        self.forget();
        self.objects.erase(patient)
    }

    fn totals(&self) -> Result<Totals> {
        self.objects.totals()
    }
}
