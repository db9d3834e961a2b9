//! The rows under which bodies are found again: few reads each, all of them made anew from the bodies alone.
//!
//! ```text
//! space        group               order         item            value
//! facts        -                   -             content         Facts
//! patients     -                   -             patient         Home: the patient entry that counts
//! card-keys    key id              -             content         patient
//! epochs       patient             MAX - epoch   content         Epoch
//! packets      patient, reader     MAX - epoch   packet          content of the locker entry
//! key-holders  patient             -             organization    -
//! records      -                   -             content         Row of the record or amendment
//! amendments   record              -             amendment       Row of the amendment
//! authors      patient             -             org, category   -
//! grants       patient, grantee    -             content         Row of the grant
//! granted      grantee             -             content         patient
//! codes        patient             -             content         Row of the grant
//! revocations  patient             -             content         Row of the revocation
//! uses         grant               -             access          Use
//! emergencies  -                   until         request         -
//! searches     -                   at            search          who looks
//! releases     request             -             release         -
//! closes       release             -             close           -
//! reviews      release             -             review          -
//! ```
//!
//! Rows of a patient are sealed under the patient's erasable key and go with it. Lawfulness is judged before
//! anything is written here; what became void stays in `facts` alone.

use hospes_protocol::check::Check;
use hospes_protocol::ids::{ContentId, KeyId, Lock, OrganizationId, PatientId};
use hospes_protocol::personal::{AccessEntry, CardEntry, GrantEntry, Grantee, LockerEntry, RecordEntry};
use hospes_protocol::policy::{Known, Personal, Under, Verified};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{Objects, SealedKey, SealedRow, Write};

use crate::service::Fatal;

pub(super) const FACTS: &str = "facts";
pub(crate) const PATIENTS: &str = "patients";
pub(super) const CARD_KEYS: &str = "card-keys";
pub(crate) const EPOCHS: &str = "epochs";
pub(super) const PACKETS: &str = "packets";
pub(super) const KEY_HOLDERS: &str = "key-holders";
pub(super) const RECORDS: &str = "records";
pub(super) const AMENDMENTS: &str = "amendments";
pub(super) const AUTHORS: &str = "authors";
pub(super) const GRANTS: &str = "grants";
pub(super) const GRANTED: &str = "granted";
pub(super) const CODES: &str = "codes";
pub(super) const REVOCATIONS: &str = "revocations";
pub(super) const USES: &str = "uses";
pub(crate) const EMERGENCIES: &str = "emergencies";
pub(crate) const SEARCHES: &str = "searches";
pub(crate) const RELEASES: &str = "releases";
pub(crate) const CLOSES: &str = "closes";
pub(crate) const REVIEWS: &str = "reviews";

/// Rows that are read from storage at a time.
pub(crate) const PAGE: usize = 1024;

wire_struct! {
    /// What is known of an entry whose body is here.
    pub struct Facts {
        /// Its kind.
        pub kind: u64,
        /// Whose it is; null for an erasure's receipt.
        pub patient: Option<PatientId>,
        /// Its lock.
        pub lock: Option<Lock>,
        /// The card or proxy entry under which it was signed, with its lock.
        pub under: Option<(ContentId, Lock)>,
        /// The height that made it final; null while it is only signed.
        pub height: Option<u64>,
        /// The number of the check for which it has no effect, where it has none.
        pub void: Option<u64>,
    }
}

impl Facts {
    /// The entry as decisions know it; null for one without effect.
    pub(super) fn known<T>(&self, id: ContentId, entry: T) -> Option<Known<T>> {
        let under = self.under.map(|(entry, lock)| Under { entry, lock });
        self.void.is_none().then_some(Known { id, entry, lock: self.lock, height: self.height, under })
    }
}

wire_struct! {
    /// An entry in one read: its facts and the encoding of what is needed of its payload.
    pub struct Row {
        /// What is known of it.
        pub facts: Facts,
        /// What it says.
        pub payload: Bytes,
    }
}

wire_struct! {
    /// Where a patient is at home.
    pub struct Home {
        /// The patient entry that counts.
        pub entry: ContentId,
        /// The home organization.
        pub organization: OrganizationId,
    }
}

wire_struct! {
    /// A locker epoch.
    pub struct Epoch {
        /// Its number.
        pub epoch: u64,
        /// Whether it waits for the closing of break-glass.
        pub staged: bool,
        /// The grants that it rests on.
        pub rests_on: Vec<ContentId>,
    }
}

wire_struct! {
    /// An access under a grant.
    pub struct Use {
        /// The height that made it final.
        pub height: Option<u64>,
        /// The reader's organization; null for a proxy.
        pub organization: Option<OrganizationId>,
    }
}

/// The group of what a grantee holds from a patient.
pub(super) fn pair(patient: &PatientId, grantee: &Grantee) -> Vec<u8> {
    [patient.0.as_slice(), &grantee.encode()].concat()
}

/// The group of the packets of a patient for one key.
pub(super) fn reader_group(patient: &PatientId, reader: &KeyId) -> Vec<u8> {
    [patient.0, reader.0].concat()
}

/// Builds the rows of one body.
struct Rows<'a> {
    content: ContentId,
    facts: &'a Facts,
    writes: Vec<Write>,
}

impl Rows<'_> {
    fn put(&mut self, key: SealedKey, value: Vec<u8>) {
        self.writes.push(Write::Sealed(SealedRow { key, patient: self.facts.patient, value }));
    }

    fn under(&mut self, space: &str, group: &[u8], payload: Vec<u8>) {
        let row = Row { facts: self.facts.clone(), payload: Bytes(payload) };
        self.put(SealedKey::new(space, group, 0, &self.content.0), row.encode());
    }

    fn card(&mut self, card: &CardEntry) {
        let keys = [
            card.signature.id(),
            card.authentication.id(),
            card.agreement.id(),
            card.presence.id(),
            card.recovery.id(),
        ];
        for key in keys {
            let value = card.patient.encode();
            self.put(SealedKey::new(CARD_KEYS, &key.0, 0, &self.content.0), value);
        }
    }

    fn locker(&mut self, locker: &LockerEntry) {
        let order = u64::MAX - locker.epoch;
        let epoch = Epoch { epoch: locker.epoch, staged: locker.staged, rests_on: locker.rests_on.clone() };
        let key = SealedKey::new(EPOCHS, &locker.patient.0, order, &self.content.0);
        self.put(key, epoch.encode());
        for packet in &locker.packets {
            let group = reader_group(&locker.patient, &packet.reader);
            let value = self.content.encode();
            self.put(SealedKey::new(PACKETS, &group, order, &packet.packet.0), value);
        }
    }

    fn record(&mut self, record: &RecordEntry) {
        self.under(RECORDS, &[], record.encode());
        if let Some(amended) = &record.amends {
            self.under(AMENDMENTS, &amended.0, record.encode());
        }
        let author = [record.organization.0.as_slice(), &record.category.code().to_be_bytes()].concat();
        self.put(SealedKey::new(AUTHORS, &record.patient.0, 0, &author), Vec::new());
    }

    fn grant(&mut self, grant: &GrantEntry) {
        self.under(GRANTS, &pair(&grant.patient, &grant.grantee), grant.encode());
        if matches!(grant.grantee, Grantee::Code(_)) {
            self.under(CODES, &grant.patient.0, grant.encode());
        }
        let key = SealedKey::new(GRANTED, &grant.grantee.encode(), 0, &self.content.0);
        self.put(key, grant.patient.encode());
    }

    fn access(&mut self, access: &AccessEntry) {
        let used = Use { height: self.facts.height, organization: access.organization };
        for entry in &access.why {
            self.put(SealedKey::new(USES, &entry.0, 0, &self.content.0), used.encode());
        }
    }
}

impl Rows<'_> {
    fn follows(&mut self, space: &str, of: &ContentId) {
        self.put(SealedKey::new(space, &of.0, 0, &self.content.0), Vec::new());
    }
}

/// The rows of a body, its facts included. What became void leaves the rows that decisions read.
pub(super) fn rows_of(content: ContentId, facts: &Facts, payload: &Personal) -> Vec<Write> {
    let mut rows = Rows { content, facts, writes: vec![facts_row(&content, facts)] };
    match payload {
        Personal::Card(card) => rows.card(card),
        Personal::Locker(locker) => rows.locker(locker),
        Personal::Record(record) | Personal::Amendment(record) => rows.record(record),
        Personal::Grant(grant) => rows.grant(grant),
        Personal::Revocation(e) => rows.under(REVOCATIONS, &e.patient.0, e.encode()),
        Personal::Access(access) => rows.access(access),
        Personal::Patient(_)
        | Personal::Proxy(_)
        | Personal::Erasure(_)
        | Personal::Receipt(_)
        | Personal::Recovery(_) => {}
        Personal::Request(e) => {
            rows.put(SealedKey::new(EMERGENCIES, &[], e.until, &content.0), Vec::new());
        }
        Personal::Search(e) => {
            rows.put(SealedKey::new(SEARCHES, &[], e.at, &content.0), e.requester.encode());
        }
        Personal::Release(e) => rows.follows(RELEASES, &e.request),
        Personal::Close(e) => rows.follows(CLOSES, &e.release),
        Personal::Review(e) => rows.follows(REVIEWS, &e.release),
    }
    rows.writes
}

/// The rows that say at which height a body became final, and with what effect: all but those that don't depend on it.
pub(super) fn final_rows(content: ContentId, facts: &Facts, payload: &Personal) -> Vec<Write> {
    let depends = |write: &Write| !matches!(write, Write::Sealed(row) if row.key.space == AUTHORS);
    rows_of(content, facts, payload).into_iter().filter(depends).collect()
}

/// The keys of the rows that no other body has a part in.
pub(super) fn own_keys(content: ContentId, facts: &Facts, payload: &Personal) -> Vec<SealedKey> {
    let key = |write| match write {
        Write::Sealed(row) if row.key.space != AUTHORS => Some(row.key),
        _ => None,
    };
    rows_of(content, facts, payload).into_iter().filter_map(key).collect()
}

/// The rows under which a verified entry is found, sealed under the key of `patient`.
#[must_use]
pub fn verified_rows(verified: &Verified, patient: Option<PatientId>) -> Vec<Write> {
    let known = &verified.known;
    let facts = Facts {
        kind: known.entry.kind().code(),
        patient,
        lock: known.lock,
        under: known.under.map(|u| (u.entry, u.lock)),
        height: known.height,
        void: None,
    };
    rows_of(known.id, &facts, &known.entry)
}

/// The row that says that an organization holds K of a patient.
pub(super) fn key_holder_row(patient: &PatientId, organization: &OrganizationId) -> Write {
    let key = SealedKey::new(KEY_HOLDERS, &patient.0, 0, &organization.0);
    Write::Sealed(SealedRow { key, patient: Some(*patient), value: Vec::new() })
}

/// The row of an entry's facts.
pub(super) fn facts_row(content: &ContentId, facts: &Facts) -> Write {
    let key = SealedKey::new(FACTS, &[], 0, &content.0);
    Write::Sealed(SealedRow { key, patient: facts.patient, value: facts.encode() })
}

/// The value of a row, read as its type.
pub(super) fn read<T: Wire>(objects: &dyn Objects, key: &SealedKey) -> Result<Option<T>, Fatal> {
    objects.sealed(key)?.map(|bytes| T::decode(&bytes)).transpose().map_err(Fatal::Contradiction)
}

/// What is known of an entry whose body is here.
pub(crate) fn facts(objects: &dyn Objects, content: &ContentId) -> Result<Option<Facts>, Fatal> {
    read(objects, &SealedKey::new(FACTS, &[], 0, &content.0))
}

/// Passes every row of a group.
pub(crate) fn each(
    objects: &dyn Objects,
    space: &str,
    group: Option<&[u8]>,
    mut f: impl FnMut(&SealedRow) -> Result<bool, Fatal>,
) -> Result<(), Fatal> {
    let mut after: Option<SealedKey> = None;
    loop {
        let rows = objects.sealed_rows(space, group, after.as_ref(), PAGE)?;
        for row in &rows {
            if !f(row)? {
                return Ok(());
            }
        }
        match rows.last() {
            Some(last) if rows.len() == PAGE => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}

/// The content that is the item of a row.
pub(crate) fn content_of(row: &SealedRow) -> Result<ContentId, Fatal> {
    id32(&row.key.item).map(ContentId)
}

/// 32 bytes of a row's key.
pub(crate) fn id32(bytes: &[u8]) -> Result<[u8; 32], Fatal> {
    bytes.try_into().map_err(|_| Fatal::Contradiction(Check::Malformed.into()))
}

/// The value of a row that was read with others.
pub(crate) fn value<T: Wire>(row: &SealedRow) -> Result<T, Fatal> {
    T::decode(&row.value).map_err(Fatal::Contradiction)
}
