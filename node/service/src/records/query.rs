//! What the node's desk and API ask: decisions, lists of a patient, packets and the state of an entry.
//!
//! Nothing here says who may ask; lists are for those whose session the desk has judged.

use std::ops::ControlFlow;

use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, OrganizationId, PatientId, PersonId};
use hospes_protocol::personal::{AccessEntry, GrantEntry, Grantee, LockerEntry, RecordEntry, Revoked};
use hospes_protocol::policy::described::{as_it_stands, is_of_same_file};
use hospes_protocol::policy::{Known, Personal, View as _};

use super::index::{self, Epoch};
use crate::service::{Fatal, Service};

/// How far an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// Durable here, on its way to a block.
    Signed,
    /// Final since this height.
    Final(u64),
    /// Without effect, for this numbered check.
    Void(u64),
}

/// The state of an entry as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryState {
    /// How far it is.
    pub finality: Finality,
    /// How many nodes are known to hold it, this one included: of a record, its whole blob.
    pub holders: usize,
}

/// An entry of a patient, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// Its content.
    pub content: ContentId,
    /// What it says.
    pub entry: T,
    /// How far it is.
    pub state: EntryState,
}

impl Service {
    /// Patients of whom entries are here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn patients(&self) -> Result<Vec<PatientId>, Fatal> {
        let mut patients = Vec::new();
        index::each(&*self.objects, index::PATIENTS, None, |row| {
            patients.push(PatientId(index::id32(&row.key.item)?));
            Ok(true)
        })?;
        Ok(patients)
    }

    /// The state of an entry whose body is here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn entry_state(&self, content: &ContentId) -> Result<Option<EntryState>, Fatal> {
        let Some(facts) = index::facts(&*self.objects, content)? else { return Ok(None) };
        let finality = match (facts.void, facts.height) {
            (Some(check), _) => Finality::Void(check),
            (None, Some(height)) => Finality::Final(height),
            (None, None) => Finality::Signed,
        };
        let holders = match self.record_entry(content)? {
            Some(record) => self.holders_of(&record.manifest)?,
            None => 1 + self.acknowledged(content)?,
        };
        Ok(Some(EntryState { finality, holders }))
    }

    fn listed<T>(
        &self,
        patient: &PatientId,
        kind: u64,
        pick: impl Fn(Personal) -> Option<T>,
    ) -> Result<Vec<Listed<T>>, Fatal> {
        let mut list = Vec::new();
        for content in self.contents_of(patient, kind)? {
            let Some((_, payload)) = self.entry(&content)? else { continue };
            let (Some(entry), Some(state)) = (pick(payload), self.entry_state(&content)?) else { continue };
            list.push(Listed { content, entry, state });
        }
        Ok(list)
    }

    /// Records of a patient that are known here, in the order of arrival: title, category and label as they stand,
    /// data keys by every seal. A change of what is said of a record is in that record, not beside it.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn records_of(&self, patient: &PatientId) -> Result<Vec<Listed<RecordEntry>>, Fatal> {
        let mut list = Vec::new();
        for kind in [Kind::Record, Kind::Amendment] {
            for content in self.contents_of(patient, kind.code())? {
                list.extend(self.record(&content)?.filter(|listed| listed.content == content));
            }
        }
        Ok(list)
    }

    /// One record as it stands, if its body is here; of a change of what is said of it, the record itself.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn record(&self, content: &ContentId) -> Result<Option<Listed<RecordEntry>>, Fatal> {
        let Some((record, amendments)) = self.described(content)? else { return self.void_record(content) };
        let entry =
            as_it_stands(&self.view(), &record, &amendments).map_err(|e| Fatal::Contradiction(e.into()))?;
        let state = self.entry_state(&record.id)?;
        Ok(state.map(|state| Listed { content: record.id, entry, state }))
    }

    /// A record as its author filed it.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn filed(&self, content: &ContentId) -> Result<Option<RecordEntry>, Fatal> {
        self.record_entry(content)
    }

    /// A record without effect, which lists show as such.
    fn void_record(&self, content: &ContentId) -> Result<Option<Listed<RecordEntry>>, Fatal> {
        let Some((_, Personal::Record(entry))) = self.entry(content)? else { return Ok(None) };
        let state = self.entry_state(content)?;
        Ok(state.map(|state| Listed { content: *content, entry: *entry, state }))
    }

    /// Changes of what is said of a record, in the order in which they were signed.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn changes_of(&self, record: &ContentId) -> Result<Vec<Listed<RecordEntry>>, Fatal> {
        let Some((first, amendments)) = self.described(record)? else { return Ok(Vec::new()) };
        let mut list = Vec::new();
        for known in amendments.into_iter().filter(|known| is_of_same_file(&known.entry, &first.entry)) {
            let state = self.entry_state(&known.id)?;
            list.extend(state.map(|state| Listed { content: known.id, entry: known.entry, state }));
        }
        list.sort_by_key(|change| (change.entry.created, change.content));
        Ok(list)
    }

    /// Grants of a patient, withdrawn ones included.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn grants_of(&self, patient: &PatientId) -> Result<Vec<Listed<GrantEntry>>, Fatal> {
        self.listed(patient, 21, |payload| match payload {
            Personal::Grant(grant) => Some(grant),
            _ => None,
        })
    }

    /// Accesses to a patient's records.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn accesses_of(&self, patient: &PatientId) -> Result<Vec<Listed<AccessEntry>>, Fatal> {
        self.listed(patient, 24, |payload| match payload {
            Personal::Access(access) => Some(access),
            _ => None,
        })
    }

    /// Grants that name exactly this grantee, of every patient.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn grants_to(&self, grantee: &Grantee) -> Result<Vec<Listed<GrantEntry>>, Fatal> {
        use hospes_protocol::wire::Wire;
        let mut ids = Vec::new();
        index::each(&*self.objects, index::GRANTED, Some(&grantee.encode()), |row| {
            ids.push(index::content_of(row)?);
            Ok(true)
        })?;
        let mut list = Vec::new();
        for content in ids {
            let Some((_, Personal::Grant(entry))) = self.entry(&content)? else { continue };
            let Some(state) = self.entry_state(&content)? else { continue };
            list.push(Listed { content, entry, state });
        }
        Ok(list)
    }

    /// Grants under which a person may act: to the person, to the organization, to each of the person's roles.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn grants_to_person(&self, person: &PersonId) -> Result<Vec<Listed<GrantEntry>>, Fatal> {
        let mut list = self.grants_to(&Grantee::Person(*person))?;
        let Some(entry) = self.state.membership.people.get(person) else { return Ok(list) };
        list.extend(self.grants_to(&Grantee::Organization(entry.organization))?);
        for role in &entry.roles {
            list.extend(self.grants_to(&Grantee::Role(entry.organization, role.clone()))?);
        }
        Ok(list)
    }

    /// The patient whose card or recovery code has a key.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn patient_by_card(&self, key: &KeyId) -> Result<Option<PatientId>, Fatal> {
        Ok(self.card_of(key)?.map(|(patient, _)| patient))
    }

    /// The card entry that has a key, with its patient.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn card_entry(&self, key: &KeyId) -> Result<Option<(PatientId, Known<Personal>)>, Fatal> {
        let Some((patient, entry)) = self.card_of(key)? else { return Ok(None) };
        Ok(self.known_entry(&entry)?.map(|known| (patient, known)))
    }

    /// The newest epoch that is lawful, not staged, and rests on no grant that was withdrawn. While there is
    /// none, writers seal to the patient and their own organization.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn locker_epoch(&self, patient: &PatientId) -> Result<Option<(ContentId, LockerEntry)>, Fatal> {
        let mut found = None;
        index::each(&*self.objects, index::EPOCHS, Some(&patient.0), |row| {
            let epoch: Epoch = index::value(row)?;
            let content = index::content_of(row)?;
            let void = index::facts(&*self.objects, &content)?.is_none_or(|f| f.void.is_some());
            if void || epoch.staged || self.any_withdrawn(&epoch.rests_on)? {
                return Ok(true);
            }
            if let Some((_, Personal::Locker(locker))) = self.entry(&content)? {
                found = Some((content, locker));
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Whether one of these grants was withdrawn; one that is not known here is not.
    fn any_withdrawn(&self, grants: &[ContentId]) -> Result<bool, Fatal> {
        for id in grants {
            let Some(facts) = index::facts(&*self.objects, id)? else { continue };
            let closed = facts.lock.is_some_and(|lock| self.view().lock(&lock) != Ok(super::OPEN));
            if closed || facts.void.is_some() || self.is_revoked(id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The sealed packets of a patient for one key that are here, those of the newest epoch first.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn packets_for(&self, reader: &KeyId, patient: &PatientId) -> Result<Vec<Vec<u8>>, Fatal> {
        let mut packets = Vec::new();
        let group = index::reader_group(patient, reader);
        index::each(&*self.objects, index::PACKETS, Some(&group), |row| {
            let id = hospes_protocol::ids::ObjectId(
                row.key
                    .item
                    .as_slice()
                    .try_into()
                    .map_err(|_| Fatal::Contradiction(hospes_protocol::check::Check::Malformed.into()))?,
            );
            packets.extend(self.objects.object(&id)?);
            Ok(true)
        })?;
        Ok(packets)
    }

    /// Revocations of a patient that are known here and not yet final, ascending: what a new grant's `after`
    /// lists.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn pending_revocations(&self, patient: &PatientId) -> Result<Vec<ContentId>, Fatal> {
        let mut pending = Vec::new();
        for id in self.contents_of(patient, 22)? {
            let facts = index::facts(&*self.objects, &id)?;
            if facts.is_some_and(|f| f.height.is_none() && f.void.is_none()) {
                pending.push(id);
            }
        }
        pending.sort_unstable();
        Ok(pending)
    }

    /// How many nodes are known to hold a record's blob whole, this one included.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn holders(&self, record: &ContentId) -> Result<usize, Fatal> {
        self.record_entry(record)?.map_or(Ok(0), |row| self.holders_of(&row.manifest))
    }

    /// Whether an organization's nodes are in a patient's home organization.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn is_home(&self, patient: &PatientId, organization: &OrganizationId) -> Result<bool, Fatal> {
        Ok(self.home(patient)?.is_some_and(|home| home.organization == *organization))
    }

    /// As rule 9 of [`hospes_protocol::policy`]; a revocation by a card that is closed counts too, because an
    /// epoch too few is safe.
    fn is_revoked(&self, grant: &ContentId) -> Result<bool, Fatal> {
        let Some(known) = self.known_entry(grant)? else { return Ok(false) };
        let Personal::Grant(entry) = known.entry else { return Ok(false) };
        let patient = entry.patient;
        let mut found = false;
        let visited = self.view().revocations(&patient, &mut |revocation| {
            let by_name = matches!(&revocation.entry.revoked, Revoked::Entries(ids) if ids.contains(grant));
            let in_scope = match &revocation.entry.revoked {
                Revoked::Entries(_) => false,
                Revoked::Grantee(grantee) => {
                    *grantee == entry.grantee || self.acts_for(&entry.grantee, grantee)
                }
                Revoked::Everything => true,
            };
            let knew = entry.after.revocations.contains(&revocation.id)
                || revocation.height.is_some_and(|h| h <= entry.after.height);
            found = by_name || (in_scope && !knew);
            if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        visited.map_err(|e| Fatal::Contradiction(e.into()))?;
        Ok(found)
    }

    /// Whether a person or role that holds a grant is of the organization that a revocation names.
    fn acts_for(&self, holder: &Grantee, named: &Grantee) -> bool {
        let Grantee::Organization(named) = named else { return false };
        match holder {
            Grantee::Person(id) => {
                self.state.membership.people.get(id).is_some_and(|p| p.organization == *named)
            }
            Grantee::Role(organization, _) => organization == named,
            _ => false,
        }
    }
}
