//! The store as [`Objects`]: each call is one transaction over `held` or `holding`; and erasing.
//!
//! A patient's key is durable before the first row that is sealed under it, and gone before the first row
//! that is swept.

use std::sync::PoisonError;

use hospes_protocol::ids::{ContentId, ObjectId, OrganizationId, PatientId};
use redb::{ReadTransaction, WriteTransaction};

use crate::error::{Result, StoreError};
use crate::held::Batch;
use crate::layout::{BODIES, Name, OBJECTS_META, SEALED, STRUCTURED};
use crate::objects::{Fetch, HeldBody, Objects, Order, Quota, Receipt, SealedKey, SealedRow, Totals, Write};
use crate::rows::after;
use crate::store::Store;
use crate::{held, holding};

/// Stands in the meta table while a sweep is owed.
const SWEEP: &[u8] = b"sweep";
/// Rows that one transaction sweeps.
const SWEEP_BATCH: usize = 1000;

fn size(write: &Write) -> usize {
    match write {
        Write::Object { bytes, .. } => bytes.len(),
        Write::Segment(segment) => segment.bytes().len(),
        Write::Body(body) => body.bytes.len(),
        Write::Sealed(row) => row.value.len(),
        Write::Order(order) => order.bytes.len(),
        Write::Receipt(receipt) => receipt.bytes.len(),
        Write::Fetch(fetch) => fetch.note.len(),
        _ => 0,
    }
}

fn frees(write: &Write) -> bool {
    matches!(
        write,
        Write::DropObject(_)
            | Write::DropBody(_)
            | Write::DropSealed(_)
            | Write::DropOrder(..)
            | Write::DropReceipts(_)
            | Write::DropFetch(_)
    )
}

fn patient_of(write: &Write) -> Option<PatientId> {
    match write {
        Write::Object { id, patient, .. } if id.0[0] == hospes_protocol::ids::OBJECT_SHA256 => *patient,
        Write::Body(body) => body.patient,
        Write::Sealed(row) => row.patient,
        _ => None,
    }
}

impl Store {
    fn apply_one(&self, batch: &mut Batch<'_>, write: &Write) -> Result<()> {
        match write {
            Write::Object { id, patient, bytes } => self.put_object(batch, id, patient.as_ref(), bytes),
            Write::Segment(segment) => self.put_object(batch, &segment.id(), None, segment.bytes()),
            Write::DropObject(id) => held::drop_object(batch, id),
            Write::Body(body) => self.put_body(batch, body),
            Write::DropBody(content) => self.drop_body(batch, content),
            Write::Sealed(row) => self.put_sealed(batch, row),
            Write::DropSealed(key) => batch.delete_counted(&SEALED, &self.sealer.sealed_key(key)),
            Write::Order(order) => self.put_order(batch, order),
            Write::DropOrder(object, organization) => self.drop_order(batch, object, organization),
            Write::Receipt(receipt) => self.put_receipt(batch, receipt),
            Write::DropReceipts(object) => holding::drop_receipts(batch, object),
            Write::Fetch(fetch) => self.put_fetch(batch, fetch),
            Write::DropFetch(object) => self.drop_fetch(batch, object),
        }
    }

    /// Sweeps where a crash or a full disk kept an erasure from it: otherwise rows that are left would look
    /// damaged once their patient has a new key.
    pub(crate) fn finish_sweep(&self) -> Result<()> {
        if self.objects.read(|txn| OBJECTS_META.read(txn)?.get(SWEEP))?.is_none() {
            return Ok(());
        }
        match self.sweep().and_then(|()| self.note_sweep(false)) {
            Err(StoreError::Full) => Ok(()),
            other => other,
        }
    }

    fn note_sweep(&self, owed: bool) -> Result<()> {
        self.objects.write_freeing(|txn| {
            let mut meta = OBJECTS_META.write(txn)?;
            if owed { meta.put(SWEEP, &[]) } else { meta.delete(SWEEP) }.map(drop)
        })
    }

    /// Drops every row whose patient has no key any more.
    fn sweep(&self) -> Result<()> {
        [&BODIES, &SEALED, &STRUCTURED].into_iter().try_for_each(|name| self.sweep_table(name))
    }

    fn sweep_table(&self, name: &'static Name) -> Result<()> {
        let mut from = Vec::new();
        loop {
            let (gone, next) = self.objects.read(|txn| self.keyless(txn, name, &from))?;
            if !gone.is_empty() {
                self.objects.write_freeing(|txn| {
                    let mut batch = Batch::new(txn);
                    gone.iter().try_for_each(|at| self.sweep_row(&mut batch, name, at))?;
                    batch.finish()
                })?;
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    fn sweep_row(&self, batch: &mut Batch<'_>, name: &'static Name, at: &[u8]) -> Result<()> {
        match crate::layout::whole_id(at) {
            Some(id) if std::ptr::eq(name, &BODIES) => self.drop_body(batch, &ContentId(id)),
            _ => batch.delete_counted(name, at),
        }
    }

    /// Some rows from `from` on that are under a key that is gone, and where to go on.
    fn keyless(&self, txn: &ReadTransaction, name: &'static Name, from: &[u8]) -> Result<Sweep> {
        let (mut gone, mut seen, mut next) = (Vec::new(), 0, None);
        name.read(txn)?.walk(from, |at, payload, _| {
            // Damaged rows are the scrub's to report.
            let opened = payload.and_then(|row| self.open_row(name, at, row).ok());
            if opened.is_some_and(|o| o.data.is_none()) {
                gone.push(at.to_vec());
            }
            seen += 1;
            if seen == SWEEP_BATCH {
                next = Some(after(at));
            }
            Ok(seen < SWEEP_BATCH)
        })?;
        Ok((gone, next))
    }
}

type Sweep = (Vec<Vec<u8>>, Option<Vec<u8>>);

impl Objects for Store {
    fn apply(&self, writes: &[Write]) -> Result<()> {
        writes.iter().try_for_each(held::judge)?;
        let patients: Vec<_> = writes.iter().filter_map(patient_of).collect();
        if !self.keys.have(&self.sealer, &patients) {
            self.make_keys(&patients)?;
        }
        let run = |txn: &WriteTransaction| {
            let mut batch = Batch::new(txn);
            writes.iter().try_for_each(|write| self.apply_one(&mut batch, write))?;
            batch.finish()
        };
        if writes.iter().all(frees) {
            return self.free_objects(run);
        }
        self.write_objects(writes.iter().map(size).sum(), run)
    }

    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>> {
        self.objects.read(|txn| self.read_object(txn, id))
    }

    fn has_objects(&self, ids: &[ObjectId]) -> Result<Vec<bool>> {
        self.objects.read(|txn| held::has_objects(txn, ids))
    }

    fn list_objects(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectId>> {
        self.objects.read(|txn| held::list_objects(txn, after, limit))
    }

    fn body(&self, content: &ContentId) -> Result<Option<HeldBody>> {
        self.objects.read(|txn| self.read_body(txn, content))
    }

    fn bodies(
        &self,
        patient: Option<&PatientId>,
        kind: Option<u64>,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<ContentId>> {
        self.objects.read(|txn| self.list_bodies(txn, patient, kind, (skip, limit)))
    }

    fn sealed(&self, key: &SealedKey) -> Result<Option<Vec<u8>>> {
        self.objects.read(|txn| self.read_sealed(txn, key))
    }

    fn sealed_rows(
        &self,
        space: &str,
        group: Option<&[u8]>,
        after: Option<&SealedKey>,
        limit: usize,
    ) -> Result<Vec<SealedRow>> {
        self.objects.read(|txn| self.list_sealed(&SEALED.read(txn)?, space, group, (after, limit)))
    }

    fn sealed_groups(&self, groups: &[(&str, &[u8])], limit: usize) -> Result<Vec<Vec<SealedRow>>> {
        self.objects.read(|txn| {
            let rows = SEALED.read(txn)?;
            let list =
                |(space, group): &(&str, &[u8])| self.list_sealed(&rows, space, Some(group), (None, limit));
            groups.iter().map(list).collect()
        })
    }

    fn orders(&self, object: &ObjectId) -> Result<Vec<Order>> {
        self.objects.read(|txn| self.list_orders(txn, object))
    }

    fn orders_ending(&self, time: u64, limit: usize) -> Result<Vec<Order>> {
        self.objects.read(|txn| self.list_ending(txn, time, limit))
    }

    fn quota(&self, organization: &OrganizationId) -> Result<Quota> {
        self.objects.read(|txn| self.read_quota(txn, organization))
    }

    fn receipts(&self, object: &ObjectId) -> Result<Vec<Receipt>> {
        self.objects.read(|txn| self.list_receipts(txn, object))
    }

    fn fetches_due(&self, time: u64, limit: usize) -> Result<Vec<Fetch>> {
        self.objects.read(|txn| self.list_due(txn, time, limit))
    }

    fn fetch(&self, object: &ObjectId) -> Result<Option<Fetch>> {
        self.objects.read(|txn| self.read_fetch(txn, object))
    }

    fn make_keys(&self, patients: &[PatientId]) -> Result<()> {
        self.keys.make(&self.sealer, patients)
    }

    fn erase(&self, patient: &PatientId) -> Result<()> {
        let _one_at_a_time = self.erasing.lock().unwrap_or_else(PoisonError::into_inner);
        // The key file is no part of what is gathered: nothing that was written before may come after it.
        self.settle_both()?;
        self.note_sweep(true)?;
        self.keys.erase(&self.sealer, patient)?;
        self.sweep()?;
        self.note_sweep(false)
    }

    fn totals(&self) -> Result<Totals> {
        self.objects.read(held::totals)
    }
}
