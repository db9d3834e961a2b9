//! A view in memory: ordered maps, filled with verified entries in any order.
//!
//! Tests, the simulator's model and the bench decide over it. It judges nothing: what goes in was verified.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::emergency::RequestEntry;
use crate::ids::{BlockHash, ContentId, Lock, OrganizationId, PatientId, PersonId};
use crate::keys::VerifyingKey;
use crate::personal::{
    CardEntry, Category, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry, RevocationEntry,
};
use crate::policy::described::{is_of_same_file, record_facts};
use crate::policy::shards::Shards;
use crate::policy::view::{
    FirstUse, FormerCard, Known, LockState, Newest, PatientView, RecordFacts, ReleaseFacts, Signed,
    Unreadable, View, Visit, first_by_finality, standing_patient,
};
use crate::policy::{Personal, Verified};
use crate::state::Membership;

/// What a decision reads of one patient, in one place.
#[derive(Clone, Debug, Default)]
struct OfPatient {
    /// Ascending by grantee, then id.
    grants: Vec<Known<GrantEntry>>,
    /// Ascending by id.
    revocations: Vec<Known<RevocationEntry>>,
    /// Everything else.
    others: BTreeSet<ContentId>,
}

impl OfPatient {
    fn put_grant(&mut self, known: Known<GrantEntry>) {
        let place = |k: &Known<GrantEntry>| (&k.entry.grantee, k.id).cmp(&(&known.entry.grantee, known.id));
        match self.grants.binary_search_by(place) {
            Ok(at) => self.grants[at] = known,
            Err(at) => self.grants.insert(at, known),
        }
    }

    fn put_revocation(&mut self, known: Known<RevocationEntry>) {
        match self.revocations.binary_search_by_key(&known.id, |k| k.id) {
            Ok(at) => self.revocations[at] = known,
            Err(at) => self.revocations.insert(at, known),
        }
    }

    fn grants_to(&self, grantee: &Grantee) -> &[Known<GrantEntry>] {
        let from = self.grants.partition_point(|k| k.entry.grantee < *grantee);
        let rest = &self.grants[from..];
        &rest[..rest.partition_point(|k| k.entry.grantee == *grantee)]
    }
}

/// What a node knows of patients, in maps.
#[derive(Clone, Debug)]
pub struct MemoryView {
    /// Who takes part.
    pub membership: Arc<Membership>,
    /// The newest certified block.
    pub newest: Newest,
    /// Hashes of blocks.
    pub blocks: BTreeMap<u64, BlockHash>,
    /// Times of blocks.
    pub block_times: BTreeMap<u64, u64>,
    /// Cards that practitioners had.
    pub former_cards: BTreeMap<PersonId, Vec<FormerCard>>,
    /// Cards that organizations had, each with the height at which it ended.
    pub former_organization_cards: BTreeMap<OrganizationId, Vec<(VerifyingKey, u64)>>,
    /// What was verified under a threshold key (see [`Signed::id`]).
    pub threshold_signatures: BTreeSet<[u8; 32]>,
    locks: Shards<LockState>,
    patients: Shards<OfPatient>,
    records: Shards<Box<Known<RecordEntry>>>,
    // Everything but grants, revocations and records, with what it stands on.
    others: BTreeMap<ContentId, (Known<Personal>, Vec<ContentId>)>,
    // Whose a grant or revocation is.
    places: BTreeMap<ContentId, PatientId>,
    uses: BTreeMap<ContentId, BTreeSet<ContentId>>,
    amendments: BTreeMap<ContentId, BTreeSet<ContentId>>,
}

fn show<'a, T: 'a>(
    list: impl IntoIterator<Item = &'a Known<T>>,
    visit: Visit<'_, T>,
) -> Result<(), Unreadable> {
    let _stopped = list.into_iter().try_for_each(visit);
    Ok(())
}

impl MemoryView {
    /// An empty view.
    #[must_use]
    pub fn new(membership: Arc<Membership>, newest: Newest) -> Self {
        Self {
            membership,
            newest,
            blocks: BTreeMap::new(),
            block_times: BTreeMap::new(),
            former_cards: BTreeMap::new(),
            former_organization_cards: BTreeMap::new(),
            threshold_signatures: BTreeSet::new(),
            locks: Shards::new(),
            patients: Shards::new(),
            records: Shards::new(),
            others: BTreeMap::new(),
            places: BTreeMap::new(),
            uses: BTreeMap::new(),
            amendments: BTreeMap::new(),
        }
    }

    /// Takes in a verified entry; the same one again replaces it.
    pub fn put(&mut self, verified: Verified) {
        let Verified { known, stands_on, patient, .. } = verified;
        let Known { id, lock, height, under, entry } = known;
        let of = self.patients.or_insert_with(&patient.0, OfPatient::default);
        match entry {
            Personal::Grant(entry) => {
                self.places.insert(id, patient);
                of.put_grant(Known { id, entry, lock, height, under });
            }
            Personal::Revocation(entry) => {
                self.places.insert(id, patient);
                of.put_revocation(Known { id, entry, lock, height, under });
            }
            Personal::Record(entry) | Personal::Amendment(entry) => {
                of.others.insert(id);
                if let Some(amended) = entry.amends {
                    self.amendments.entry(amended).or_default().insert(id);
                }
                let known = Known { id, entry: *entry, lock, height, under };
                self.records.insert(&id.0, Box::new(known));
            }
            entry => {
                of.others.insert(id);
                if let Personal::Access(access) = &entry {
                    access.why.iter().for_each(|grant| _ = self.uses.entry(*grant).or_default().insert(id));
                }
                self.others.insert(id, (Known { id, entry, lock, height, under }, stands_on));
            }
        }
    }

    /// An entry that is known became final.
    pub fn finalise(&mut self, id: &ContentId, height: u64) {
        if let Some((known, _)) = self.others.get_mut(id) {
            known.height = Some(height);
        }
        if let Some(known) = self.records.get_mut(&id.0) {
            known.height = Some(height);
        }
        let Some(of) = self.places.get(id).and_then(|p| self.patients.get_mut(&p.0)) else {
            return;
        };
        of.grants.iter_mut().filter(|k| k.id == *id).for_each(|k| k.height = Some(height));
        of.revocations.iter_mut().filter(|k| k.id == *id).for_each(|k| k.height = Some(height));
    }

    /// Closes a lock: on sight, or by the block of a height. One that a block closed stays as it is.
    pub fn close(&mut self, lock: Lock, height: Option<u64>) {
        let state = self.locks.or_insert_with(&lock.0, || LockState::Seen);
        if let (LockState::Seen, Some(height)) = (*state, height) {
            *state = LockState::Closed(height);
        }
    }

    fn other<T>(
        &self,
        id: &ContentId,
        pick: impl FnOnce(&Personal) -> Option<T>,
    ) -> Result<Option<Known<T>>, Unreadable> {
        let Some((known, _)) = self.others.get(id) else { return Ok(None) };
        let Known { id, lock, height, under, ref entry } = *known;
        Ok(pick(entry).map(|entry| Known { id, entry, lock, height, under }))
    }

    fn of(&self, patient: &PatientId) -> Option<&OfPatient> {
        self.patients.get(&patient.0)
    }

    fn record_entry(&self, id: &ContentId) -> Option<&Known<RecordEntry>> {
        self.records.get(&id.0).map(|known| &**known)
    }

    fn others_of(&self, patient: &PatientId) -> impl Iterator<Item = &(Known<Personal>, Vec<ContentId>)> {
        let ids = self.of(patient).into_iter().flat_map(|of| &of.others);
        ids.filter_map(|id| self.others.get(id))
    }
}

impl View for MemoryView {
    fn membership(&self) -> &Membership {
        &self.membership
    }

    fn newest(&self) -> Newest {
        self.newest
    }

    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable> {
        Ok(self.locks.get(&lock.0).copied().unwrap_or(LockState::Open))
    }

    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        show(self.of(patient).into_iter().flat_map(|of| of.grants_to(grantee)), visit)
    }

    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        let grants = self.of(patient).into_iter().flat_map(|of| &of.grants);
        for grant in grants.filter(|k| matches!(k.entry.grantee, Grantee::Code(_))) {
            let bound = self.first_use(&grant.id)?.is_some_and(|f| f.organization == Some(*organization));
            if bound && visit(grant) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn revocations(&self, patient: &PatientId, visit: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        show(self.of(patient).into_iter().flat_map(|of| &of.revocations), visit)
    }

    fn card(&self, id: &ContentId) -> Result<Option<Known<CardEntry>>, Unreadable> {
        self.other(id, |entry| match entry {
            Personal::Card(e) => Some((**e).clone()),
            _ => None,
        })
    }

    fn proxy(&self, id: &ContentId) -> Result<Option<Known<ProxyEntry>>, Unreadable> {
        self.other(id, |entry| match entry {
            Personal::Proxy(e) => Some(e.clone()),
            _ => None,
        })
    }

    fn record(&self, id: &ContentId) -> Result<Option<RecordFacts>, Unreadable> {
        let Some(named) = self.record_entry(id) else { return Ok(None) };
        // What is said of a file is one thing, by whichever of its entries it is asked for.
        let first = named.entry.amends.and_then(|of| self.record_entry(&of));
        let record = first.filter(|of| is_of_same_file(&named.entry, &of.entry)).unwrap_or(named);
        let named = self.amendments.get(&record.id).into_iter().flatten();
        record_facts(self, record, named.filter_map(|a| self.record_entry(a))).map(Some)
    }

    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        let entries = self.others_of(patient).filter_map(|(known, stands_on)| match &known.entry {
            Personal::Patient(e) => Some((known.clone().map(|_| e.clone()), stands_on)),
            _ => None,
        });
        let entries: Vec<_> = entries.collect();
        let ids: BTreeSet<_> = entries.iter().map(|(k, _)| k.id).collect();
        let from = |stands_on: &[ContentId]| stands_on.iter().find(|id| ids.contains(id)).copied();
        let moves: Vec<_> = entries.iter().map(|(k, stands_on)| (k, from(stands_on))).collect();
        Ok(standing_patient(&moves).cloned())
    }

    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable> {
        let uses = self.uses.get(grant).into_iter().flatten().filter_map(|id| {
            let (known, _) = self.others.get(id)?;
            let Personal::Access(access) = &known.entry else { return None };
            Some((known.height, FirstUse { access: known.id, organization: access.organization }))
        });
        Ok(first_by_finality(uses))
    }

    fn releases(&self, patient: &PatientId, visit: Visit<'_, ReleaseFacts>) -> Result<(), Unreadable> {
        let closes = |id: &ContentId| {
            let close = |k: &Known<Personal>| matches!(&k.entry, Personal::Close(e) if e.release == *id);
            self.others_of(patient).any(|(known, _)| close(known))
        };
        let facts = |known: &Known<Personal>| {
            let Personal::Release(release) = &known.entry else { return None };
            let request = self.others.get(&release.request)?;
            let Personal::Request(request) = &request.0.entry else { return None };
            Some(known.clone().map(|_| release.facts(request, closes(&known.id))))
        };
        let found: Vec<_> = self.others_of(patient).filter_map(|(known, _)| facts(known)).collect();
        show(&found, visit)
    }
}

impl PatientView for MemoryView {
    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable> {
        if let Some(of) = self.places.get(id).and_then(|patient| self.of(patient)) {
            let grant = of.grants.iter().find(|k| k.id == *id).map(|k| k.clone().map(Personal::Grant));
            let revocation = of.revocations.iter().find(|k| k.id == *id);
            return Ok(grant.or_else(|| revocation.map(|k| k.clone().map(Personal::Revocation))));
        }
        if let Some(known) = self.record_entry(id) {
            let wrap = |e: RecordEntry| match e.amends {
                None => Personal::Record(Box::new(e)),
                Some(_) => Personal::Amendment(Box::new(e)),
            };
            return Ok(Some(known.clone().map(wrap)));
        }
        Ok(self.others.get(id).map(|(known, _)| known.clone()))
    }

    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable> {
        Ok(self.blocks.get(&height).copied())
    }

    fn block_time(&self, height: u64) -> Result<Option<u64>, Unreadable> {
        Ok(self.block_times.get(&height).copied())
    }

    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let keys = self.others_of(patient).flat_map(|(known, _)| match &known.entry {
            Personal::Patient(e) => e.subject_keys.as_slice(),
            Personal::Locker(e) => e.subject_keys.as_slice(),
            _ => &[],
        });
        Ok(keys.filter_map(|k| self.membership.nodes.get(&k.node)).map(|n| n.organization).collect())
    }

    fn authors(
        &self,
        patient: &PatientId,
        categories: &[Category],
    ) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let ids = self.of(patient).into_iter().flat_map(|of| &of.others);
        let records = ids.filter_map(|id| self.record_entry(id)).map(|known| &known.entry);
        Ok(records.filter(|r| categories.contains(&r.category)).map(|r| r.organization).collect())
    }

    fn all_grants(&self, patient: &PatientId, visit: Visit<'_, GrantEntry>) -> Result<(), Unreadable> {
        show(self.of(patient).into_iter().flat_map(|of| &of.grants), visit)
    }

    fn requests(&self, patient: &PatientId, visit: Visit<'_, RequestEntry>) -> Result<(), Unreadable> {
        let request = |(known, _): &(Known<Personal>, _)| match &known.entry {
            Personal::Request(e) => Some(known.clone().map(|_| (**e).clone())),
            _ => None,
        };
        show(&self.others_of(patient).filter_map(request).collect::<Vec<_>>(), visit)
    }

    fn threshold_signed(&self, committee: &ContentId, signed: Signed<'_>) -> Result<bool, Unreadable> {
        Ok(self.threshold_signatures.contains(&signed.id(committee)))
    }

    fn former_cards(&self, person: &PersonId) -> Result<Vec<FormerCard>, Unreadable> {
        Ok(self.former_cards.get(person).cloned().unwrap_or_default())
    }

    fn former_organization_cards(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Unreadable> {
        Ok(self.former_organization_cards.get(organization).cloned().unwrap_or_default())
    }
}
