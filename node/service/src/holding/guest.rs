//! Blobs for a patient who is signed in where none of his are held: fetched against the authorization that
//! the patient's card signed for this node, and dropped when the visit is over.
//!
//! No order stands for them, so they count against nobody's quota; what placement wants here stays.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NodeId, ObjectId};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{Fetch, SealedKey, SealedRow, Write};

use super::blob;
use super::fetch::FetchNote;
use crate::service::{Fatal, Service};

/// How long a blob stays for a visit, in milliseconds.
const VISIT_MS: u64 = 12 * 60 * 60 * 1000;
/// Blobs that are here for visits, by their end.
const GUESTS: &str = "guests";
/// Rows that are looked at together.
const PAGE: usize = 1024;

wire_struct! {
    /// A blob that is here for a visit.
    pub struct Guest {
        /// Its root.
        pub root: ObjectId,
        /// Its record.
        pub record: ContentId,
        /// COSE_Sign1 of the patient's card over [node, time], context `session`.
        pub authorization: Bytes,
    }
}

impl Service {
    fn guests(&self) -> Result<Vec<(SealedKey, Guest)>, Fatal> {
        let rows = self.objects.sealed_rows(GUESTS, None, None, PAGE)?;
        let read = |row: SealedRow| Ok((row.key, Guest::decode(&row.value).map_err(Fatal::Contradiction)?));
        rows.into_iter().map(read).collect()
    }

    /// What ends the visits for which a blob is here.
    pub(super) fn visits_of(&self, root: &ObjectId) -> Result<Vec<Write>, Fatal> {
        let of = self.guests()?.into_iter().filter(|(_, guest)| guest.root == *root);
        Ok(of.map(|(key, _)| Write::DropSealed(key)).collect())
    }

    /// The visit for which a blob is fetched, if there is one.
    pub(super) fn guest(&self, root: &ObjectId) -> Result<Option<Guest>, Fatal> {
        Ok(self.guests()?.into_iter().map(|(_, guest)| guest).find(|g| g.root == *root))
    }

    /// Fetches a record's blob for its patient, who is signed in here; gives whether it is here already. An
    /// event says when it came.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn fetch_for_patient(&mut self, record: &ContentId, authorization: &[u8]) -> Result<bool, Fatal> {
        let here = self.writing(|service| service.note_guest(record, authorization))?;
        Ok(here.unwrap_or(false))
    }

    fn note_guest(&mut self, record: &ContentId, authorization: &[u8]) -> Result<bool, Fatal> {
        let Some(entry) = self.record_entry(record)? else { return Ok(false) };
        let root = entry.manifest;
        if blob::held(&*self.objects, &root)?.is_some() {
            return Ok(true);
        }
        let old = self.guests()?.into_iter().filter(|(_, g)| g.root == root);
        let mut writes: Vec<_> = old.map(|(key, _)| Write::DropSealed(key)).collect();
        let guest = Guest { root, record: *record, authorization: Bytes(authorization.to_vec()) };
        let key = SealedKey::new(GUESTS, &[], self.now + VISIT_MS, &root.0);
        writes.push(Write::Sealed(SealedRow { key, patient: Some(entry.patient), value: guest.encode() }));
        // Somebody waits at the screen.
        let note = FetchNote { rank: 0, record: Some(*record) };
        writes.push(Write::Fetch(Fetch { object: root, due: self.now, attempts: 0, note: note.encode() }));
        self.write(&writes)?;
        self.start_fetches()?;
        Ok(false)
    }

    /// Whether a peer's authorization is of the patient whose record has this blob.
    pub(super) fn judge_visit(
        &self,
        from: &NodeId,
        root: &ObjectId,
        authorization: &[u8],
    ) -> Result<Result<(), Rejected>, Fatal> {
        let patient = match self.authorized(from, authorization)? {
            Ok(patient) => patient,
            Err(rejected) => return Ok(Err(rejected)),
        };
        for kind in [Kind::Record, Kind::Amendment] {
            for content in self.contents_of(&patient, kind.code())? {
                if self.record_entry(&content)?.is_some_and(|entry| entry.manifest == *root) {
                    return Ok(Ok(()));
                }
            }
        }
        Ok(ensure(false, Check::NotEntitled))
    }

    /// Drops what is here for visits that are over.
    pub(super) fn end_visits(&mut self) -> Result<(), Fatal> {
        for (key, guest) in self.guests()? {
            if key.order <= self.now {
                // The row goes last, so that a visit whose end power cuts short ends at the next start.
                if self.objects.orders(&guest.root)?.is_empty() {
                    self.let_go(&guest.root)?;
                }
                self.write(&[Write::DropSealed(key)])?;
            }
        }
        Ok(())
    }
}
