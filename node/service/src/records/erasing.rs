//! Erasing: when an erasure is due, what it destroys here, and the receipt for it.
//!
//! ```text
//! kept -> waits -------------------------> begun -> destroyed -> receipt filed -> ended
//!           |  final, and a certified      one transaction: what is gone is noted,
//!           |  block at or after its time  and orders to others are taken back
//!           +-> withdrawn: its lock closed
//!
//! space            group     order       item      value
//! erasures         -         not before  erasure   -
//! erasing          -         -           erasure   Begun
//! erased           -         -           erasure   Ended
//! gone             -         -           patient, content or blob   the erasure
//! erasure-holders  erasure   -           node      Holder
//! retained         -         until       content   -
//! ```
//!
//! The time is that of the newest certified block, so no node's clock destroys anything. From the first transaction
//! on nothing of it is served, taken or kept; every step after it can be done again, so a crash between any two is
//! gone on with. Of a whole patient the erasable key goes last; accesses stay for the retention period, under the
//! node's key. Who must have signed the erasure is `policy::lawful`'s.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::entry::{Content, FORMAT, Kind};
use hospes_protocol::ids::{ContentId, NodeId, ObjectId, OrganizationId, PatientId};
use hospes_protocol::mutant;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{Category, ErasureEntry, ErasureReceipt};
use hospes_protocol::policy::described::is_of_same_file;
use hospes_protocol::policy::{LockState, PatientView as _, Personal, View as _};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{HeldBody, SealedKey, SealedRow, Write};

use super::index::{self, Facts};
use super::keep::named_packets;
use crate::filing::{FileError, Filing, body_bytes};
use crate::service::{Fatal, Service};

pub(super) const WAITING: &str = "erasures";
const BEGUN: &str = "erasing";
pub(super) const ENDED: &str = "erased";
const GONE: &str = "gone";
pub(super) const HOLDERS: &str = "erasure-holders";
const RETAINED: &str = "retained";
/// How long accesses to what was erased are kept, in milliseconds: three years.
const RETENTION_MS: u64 = 3 * 365 * 24 * 60 * 60 * 1000;

wire_struct! {
    /// An erasure that is being carried out here.
    pub struct Begun {
        /// Whose.
        pub patient: PatientId,
        /// Bodies to destroy; empty for everything of the patient.
        pub contents: Vec<ContentId>,
        /// Who gathers receipts: home and authors, as they were known before.
        pub gather: Vec<OrganizationId>,
        /// When it was begun, in milliseconds since 1970 UTC.
        pub at: u64,
        /// Objects and bodies that were here.
        pub objects: u64,
    }
}

wire_struct! {
    /// An erasure that was carried out here.
    pub struct Ended {
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
        /// Objects and bodies that were here.
        pub objects: u64,
    }
}

wire_struct! {
    /// A node that has, or had, something of what is erased.
    pub struct Holder {
        /// Whether it has bodies; then it signs a receipt.
        pub bodies: bool,
        /// Blobs that it was ordered to drop and has not.
        pub blobs: u64,
        /// When it was done, in milliseconds since 1970 UTC; 0 before.
        pub at: u64,
    }
}

fn bare(space: &str, item: &[u8]) -> SealedKey {
    SealedKey::new(space, &[], 0, item)
}

fn row(key: SealedKey, value: Vec<u8>) -> Write {
    Write::Sealed(SealedRow { key, patient: None, value })
}

fn holder_key(erasure: &ContentId, node: &NodeId) -> SealedKey {
    SealedKey::new(HOLDERS, &erasure.0, 0, &node.0)
}

/// Where an erasure stands that is not begun.
enum Due {
    Waits,
    Withdrawn,
    Now(ErasureEntry),
}

impl Service {
    /// What a kept erasure or receipt brings.
    pub(super) fn erasing_rows(
        &self,
        id: &ContentId,
        entry: &Personal,
        node: &NodeId,
    ) -> Result<Vec<Write>, Fatal> {
        Ok(match entry {
            Personal::Erasure(e) if self.objects.sealed(&bare(ENDED, &id.0))?.is_none() => {
                vec![row(SealedKey::new(WAITING, &[], e.not_before, &id.0), e.patient.encode())]
            }
            Personal::Receipt(e) => vec![self.holder_done(&e.erasure, node, e.at)?],
            Personal::Access(e) if self.is_gone(&e.patient.0)? => vec![self.retained(id)],
            _ => Vec::new(),
        })
    }

    fn holder_done(&self, erasure: &ContentId, node: &NodeId, at: u64) -> Result<Write, Fatal> {
        let key = holder_key(erasure, node);
        let known: Option<Holder> = index::read(&*self.objects, &key)?;
        let blobs = known.map_or(0, |holder| holder.blobs);
        Ok(row(key, Holder { bodies: true, blobs, at }.encode()))
    }

    /// A node dropped a blob that it was ordered to drop. One that had nothing else is done with the last.
    pub(crate) fn blob_dropped(&self, root: &ObjectId, node: &NodeId) -> Result<Option<Write>, Fatal> {
        let Some(erasure): Option<ContentId> = index::read(&*self.objects, &bare(GONE, &root.0))? else {
            return Ok(None);
        };
        let key = holder_key(&erasure, node);
        let Some(known): Option<Holder> = index::read(&*self.objects, &key)? else { return Ok(None) };
        let blobs = known.blobs.saturating_sub(1);
        let at = if blobs == 0 && !known.bodies { self.now } else { known.at };
        Ok(Some(row(key, Holder { blobs, at, ..known }.encode())))
    }

    /// Whether a blob was erased: it is neither served nor held again.
    pub(crate) fn is_gone(&self, id: &[u8]) -> Result<bool, Fatal> {
        Ok(self.objects.sealed(&bare(GONE, id))?.is_some())
    }

    /// Refuses a body of what was erased. Of an erased patient only what shows that it was done is kept, and who
    /// had seen what.
    pub(crate) fn judge_gone(
        &self,
        content: &ContentId,
        payload: &Personal,
    ) -> Result<Result<(), Rejected>, Fatal> {
        let mut gone = self.is_gone(&content.0)?;
        if let Personal::Record(e) | Personal::Amendment(e) = payload {
            gone = gone || e.amends.map(|of| self.is_gone(&of.0)).transpose()?.unwrap_or(false);
        }
        let stays = match payload {
            Personal::Erasure(_) | Personal::Receipt(_) => true,
            Personal::Access(e) => e.reader.is_some(),
            _ => false,
        };
        if let Some(patient) = payload.patient()
            && !stays
        {
            gone = gone || self.is_gone(&patient.0)?;
        }
        Ok(if gone { Err(Check::Erased.into()) } else { Ok(()) })
    }

    /// Whether this says who has read what of a patient who is unknown here, and not known to be erased. Nothing that was
    /// read needs it yet; and were that patient erased by then, the erasure could not be judged here and it would stay.
    pub(super) fn is_of_a_stranger(&self, payload: &Personal) -> Result<bool, Fatal> {
        let Personal::Access(e) = payload else { return Ok(false) };
        Ok(e.reader.is_some() && self.home(&e.patient)?.is_none() && !self.is_gone(&e.patient.0)?)
    }

    /// The erasure of its whole patient that an access here outlived, if it did.
    pub(super) fn outlived(&self, id: &ContentId, facts: &Facts) -> Result<Option<ContentId>, Fatal> {
        if facts.kind != Kind::Access.code() || facts.patient.is_some() {
            return Ok(None);
        }
        let Some((_, Personal::Access(access))) = self.entry(id)? else { return Ok(None) };
        index::read(&*self.objects, &bare(GONE, &access.patient.0))
    }

    /// Under whose erasable key a body is kept: what outlives an erasure is under the node's, and so is what is nobody's yet.
    pub(super) fn kept_under(
        &self,
        payload: &Personal,
        patient: PatientId,
    ) -> Result<Option<PatientId>, Fatal> {
        let outlives = matches!(payload, Personal::Erasure(_) | Personal::Receipt(_) | Personal::Search(_));
        Ok(if outlives || self.is_gone(&patient.0)? { None } else { Some(patient) })
    }

    /// Goes on with what was begun before a crash, before anything is served.
    pub(super) fn open_erasing(&mut self) -> Result<(), Fatal> {
        for found in self.objects.sealed_rows(BEGUN, None, None, index::PAGE)? {
            self.destroy(&index::value(&found)?)?;
        }
        Ok(())
    }

    /// Carries out what is due.
    pub(crate) fn erase_due(&mut self) -> Result<(), Fatal> {
        for found in self.objects.sealed_rows(BEGUN, None, None, index::PAGE)? {
            self.carry_out(&index::content_of(&found)?, &index::value(&found)?)?;
        }
        for waiting in self.objects.sealed_rows(WAITING, None, None, index::PAGE)? {
            if waiting.key.order > self.state.time {
                break;
            }
            let id = index::content_of(&waiting)?;
            match self.due(&id)? {
                Due::Waits => {}
                Due::Withdrawn => self.write(&[Write::DropSealed(waiting.key)])?,
                Due::Now(entry) => {
                    let begun = self.begin(&id, &entry, waiting.key)?;
                    self.carry_out(&id, &begun)?;
                }
            }
        }
        self.end_retention()
    }

    fn due(&self, id: &ContentId) -> Result<Due, Fatal> {
        let facts = index::facts(&*self.objects, id)?.filter(|f| f.void.is_none());
        let (Some(facts), Some((_, Personal::Erasure(entry)))) = (facts, self.entry(id)?) else {
            return Ok(Due::Withdrawn);
        };
        let lock = facts.lock.map_or(Ok(LockState::Open), |lock| self.view().lock(&lock));
        Ok(match (lock.map_err(|e| Fatal::Contradiction(e.into()))?, facts.height) {
            (LockState::Open, Some(_)) => Due::Now(entry),
            // A reveal that is not final yet may come to nothing, and waiting destroys nothing.
            (LockState::Open, None) | (LockState::Seen, _) => Due::Waits,
            (LockState::Closed(_), _) => Due::Withdrawn,
        })
    }

    /// Bodies that an erasure of records names: the records, and what was said of them since, before them.
    fn named(&self, entry: &ErasureEntry) -> Result<Vec<ContentId>, Fatal> {
        let mut contents = Vec::new();
        for record in &entry.records {
            let Some((first, amendments)) = self.described(record)? else { continue };
            let changes = amendments.iter().filter(|a| is_of_same_file(&a.entry, &first.entry));
            contents.extend(changes.map(|change| change.id));
            contents.push(*record);
        }
        Ok(contents)
    }

    /// All bodies of a patient, but for accesses.
    fn all_of(&self, patient: &PatientId) -> Result<Vec<ContentId>, Fatal> {
        let mut contents = Vec::new();
        for kind in [16, 17, 18, 19, 20, 21, 22, 23] {
            contents.extend(self.contents_of(patient, kind)?);
        }
        Ok(contents)
    }

    /// Nodes known to have something of what an erasure names, this one included.
    pub(super) fn holders_before(&self, entry: &ErasureEntry) -> Result<BTreeMap<NodeId, Holder>, Fatal> {
        let contents = match entry.records.is_empty() {
            true => self.all_of(&entry.patient)?,
            false => self.named(entry)?,
        };
        let mut holders = BTreeMap::from([(self.me.node, Holder { bodies: true, blobs: 0, at: 0 })]);
        let none = || Holder { bodies: false, blobs: 0, at: 0 };
        let mut roots = BTreeSet::new();
        for content in &contents {
            for node in self.acknowledging(content)? {
                holders.entry(node).or_insert_with(none).bodies = true;
            }
            let Some(record) = self.record_entry(content)? else { continue };
            if roots.insert(record.manifest) {
                for node in self.ordered_nodes(&record.manifest)? {
                    holders.entry(node).or_insert_with(none).blobs += 1;
                }
            }
        }
        holders.retain(|node, _| self.state.membership.node(node).is_some());
        Ok(holders)
    }

    /// Notes, in one transaction, all that is gone from now on, and takes back what others were ordered to hold.
    fn begin(&mut self, id: &ContentId, entry: &ErasureEntry, waiting: SealedKey) -> Result<Begun, Fatal> {
        let whole = entry.records.is_empty();
        let contents = if whole { self.all_of(&entry.patient)? } else { self.named(entry)? };
        let mut writes = vec![Write::DropSealed(waiting)];
        for (node, holder) in self.holders_before(entry)? {
            // Whoever was faster gave its receipt already.
            if self.objects.sealed(&holder_key(id, &node))?.is_none() {
                writes.push(row(holder_key(id, &node), holder.encode()));
            }
        }
        let gone = |item: &[u8]| row(bare(GONE, item), id.encode());
        let (mut objects, mut roots) = (contents.len() as u64, BTreeSet::new());
        for content in &contents {
            let Some((_, payload)) = self.entry(content)? else { continue };
            objects += named_packets(&payload).len() as u64;
            let (Personal::Record(record) | Personal::Amendment(record)) = payload else { continue };
            if roots.insert(record.manifest) {
                objects += self.objects_of(&record.manifest)?;
                writes.extend(self.take_back(content, &record)?.0);
                writes.push(gone(&record.manifest.0));
            }
        }
        writes.extend(contents.iter().map(|content| gone(&content.0)));
        if whole {
            writes.push(gone(&entry.patient.0));
        }
        let begun = Begun {
            patient: entry.patient,
            contents: if whole { Vec::new() } else { contents },
            gather: self.gatherers(&entry.patient)?,
            at: self.now,
            objects,
        };
        writes.push(row(bare(BEGUN, &id.0), begun.encode()));
        self.write(&writes)?;
        Ok(begun)
    }

    fn gatherers(&self, patient: &PatientId) -> Result<Vec<OrganizationId>, Fatal> {
        let authors = self.view().authors(patient, Category::ALL);
        let mut gather = authors.map_err(|e| Fatal::Contradiction(e.into()))?;
        gather.extend(self.home(patient)?.map(|home| home.organization));
        Ok(gather.into_iter().collect())
    }

    fn carry_out(&mut self, id: &ContentId, begun: &Begun) -> Result<(), Fatal> {
        self.destroy(begun)?;
        self.sign_off(id, begun)
    }

    fn destroy(&mut self, begun: &Begun) -> Result<(), Fatal> {
        if begun.contents.is_empty() {
            return self.destroy_patient(&begun.patient);
        }
        begun.contents.iter().try_for_each(|content| self.destroy_body(content))
    }

    /// Destroys a body with its blob, its packets and its rows. Other records of the author keep the author's row.
    fn destroy_body(&mut self, content: &ContentId) -> Result<(), Fatal> {
        let mut writes = self.forget_acknowledgements(content)?;
        if let Some((_, payload)) = self.entry(content)? {
            if let Personal::Record(record) | Personal::Amendment(record) = &payload
                && !mutant!(BlobsOutlive)
            {
                self.end_blob(&record.manifest)?;
            }
            writes.extend(named_packets(&payload).into_iter().map(Write::DropObject));
            if let Some(facts) = index::facts(&*self.objects, content)? {
                let rows = index::rows_of(*content, &facts, &payload).into_iter();
                writes.extend(rows.filter_map(|write| match write {
                    Write::Sealed(row) if row.key.space != index::AUTHORS => Some(Write::DropSealed(row.key)),
                    _ => None,
                }));
            }
        }
        writes.push(Write::DropBody(*content));
        self.write(&writes)
    }

    fn destroy_patient(&mut self, patient: &PatientId) -> Result<(), Fatal> {
        for content in self.contents_of(patient, Kind::Access.code())? {
            self.retain_access(&content)?;
        }
        for content in self.all_of(patient)? {
            self.destroy_body(&content)?;
        }
        if !mutant!(KeyOutlives) {
            self.objects.erase(patient)?;
        }
        self.forget_turns(patient)
    }

    /// Puts an access under the node's key, to be dropped after the retention period.
    fn retain_access(&mut self, content: &ContentId) -> Result<(), Fatal> {
        let (Some(held), Some(mut facts)) =
            (self.objects.body(content)?, index::facts(&*self.objects, content)?)
        else {
            return Ok(());
        };
        facts.patient = None;
        self.write(&[
            Write::Body(HeldBody { patient: None, ..held }),
            index::facts_row(content, &facts),
            self.retained(content),
        ])
    }

    fn retained(&self, content: &ContentId) -> Write {
        let until = self.now.saturating_add(RETENTION_MS);
        row(SealedKey::new(RETAINED, &[], until, &content.0), Vec::new())
    }

    fn end_retention(&mut self) -> Result<(), Fatal> {
        for retained in self.objects.sealed_rows(RETAINED, None, None, index::PAGE)? {
            if retained.key.order > self.now {
                break;
            }
            self.destroy_body(&index::content_of(&retained)?)?;
            self.write(&[Write::DropSealed(retained.key)])?;
        }
        Ok(())
    }

    /// Files the receipt, under a subject that links to nobody, and ends the erasure here.
    fn sign_off(&mut self, id: &ContentId, begun: &Begun) -> Result<(), Fatal> {
        let receipt = ErasureReceipt { erasure: *id, objects: begun.objects, at: begun.at };
        let content = Content {
            format: FORMAT,
            network: self.network,
            kind: Kind::Receipt.code(),
            organization: self.me.organization,
            salt: self.me.once("salt", &id.0),
            lock: None,
            stands_on: vec![*id],
            payload: Bytes(receipt.encode()),
        };
        let filing = Filing {
            body: body_bytes(&content, Vec::new()),
            key: Some(PatientKey::from_bytes(zeroize::Zeroizing::new(self.me.once("subject", &id.0)))),
            reveal: Vec::new(),
            packets: Vec::new(),
        };
        match self.file(vec![filing]) {
            Ok(_) => {}
            Err(FileError::Rejected(refused)) if refused.check == Check::ContentFiled => {}
            Err(FileError::Fatal(fatal)) => return Err(fatal),
            // The clock, a full disk, a key that signs no more, or a node that was retired: all is destroyed, the
            // receipt comes at another upkeep.
            Err(
                FileError::Rejected(_) | FileError::Clock { .. } | FileError::DiskFull | FileError::Outdated,
            ) => return Ok(()),
        }
        let mut writes = vec![
            Write::DropSealed(bare(BEGUN, &id.0)),
            row(bare(ENDED, &id.0), Ended { at: begun.at, objects: begun.objects }.encode()),
            self.holder_done(id, &self.me.node, begun.at)?,
        ];
        let receipt = content.id();
        for node in self.nodes_of(&begun.gather.iter().copied().collect()) {
            writes.extend(self.owe(&receipt, &node)?);
        }
        self.write(&writes)
    }

    /// Whether an erasure is being carried out or was, with when and how much.
    pub(super) fn carried_out(&self, id: &ContentId) -> Result<Option<(bool, Ended)>, Fatal> {
        if let Some(ended) = index::read::<Ended>(&*self.objects, &bare(ENDED, &id.0))? {
            return Ok(Some((true, ended)));
        }
        let begun = index::read::<Begun>(&*self.objects, &bare(BEGUN, &id.0))?;
        Ok(begun.map(|b| (false, Ended { at: b.at, objects: b.objects })))
    }
}
