//! A view in memory: ordered maps, filled with verified entries in any order.
//!
//! Tests, the simulator's model and the bench decide over it. It judges nothing: what goes in was verified.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::ids::{BlockHash, ContentId, Lock, OrganizationId, PatientId, PersonId};
use crate::keys::VerifyingKey;
use crate::personal::{
    CardEntry, Category, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry, RevocationEntry,
};
use crate::policy::view::{
    FirstUse, FormerCard, Known, LockState, Newest, PatientView, RecordFacts, Unreadable, View, Visit,
    first_by_finality, record_facts, standing_patient,
};
use crate::policy::{Personal, Verified};
use crate::state::Membership;

type Grants = BTreeMap<Grantee, Vec<Known<GrantEntry>>>;

/// What a node knows of patients, in maps.
#[derive(Clone, Debug)]
pub struct MemoryView {
    /// Who takes part.
    pub membership: Arc<Membership>,
    /// The newest certified block.
    pub newest: Newest,
    /// Hashes of blocks.
    pub blocks: BTreeMap<u64, BlockHash>,
    /// Cards that practitioners had.
    pub former_cards: BTreeMap<PersonId, Vec<FormerCard>>,
    /// Cards that organizations had, each with the height at which it ended.
    pub former_organization_cards: BTreeMap<OrganizationId, Vec<(VerifyingKey, u64)>>,
    locks: BTreeMap<Lock, LockState>,
    grants: BTreeMap<PatientId, Grants>,
    revocations: BTreeMap<PatientId, Vec<Known<RevocationEntry>>>,
    // Everything but grants and revocations, with the entries that it stands on.
    others: BTreeMap<ContentId, (Known<Personal>, Vec<ContentId>)>,
    of_patient: BTreeMap<PatientId, BTreeSet<ContentId>>,
    places: BTreeMap<ContentId, (PatientId, Option<Grantee>)>,
    uses: BTreeMap<ContentId, BTreeSet<ContentId>>,
    amendments: BTreeMap<ContentId, BTreeSet<ContentId>>,
}

fn insert<T>(list: &mut Vec<Known<T>>, known: Known<T>) {
    match list.binary_search_by_key(&known.id, |k| k.id) {
        Ok(at) => list[at] = known,
        Err(at) => list.insert(at, known),
    }
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
            former_cards: BTreeMap::new(),
            former_organization_cards: BTreeMap::new(),
            locks: BTreeMap::new(),
            grants: BTreeMap::new(),
            revocations: BTreeMap::new(),
            others: BTreeMap::new(),
            of_patient: BTreeMap::new(),
            places: BTreeMap::new(),
            uses: BTreeMap::new(),
            amendments: BTreeMap::new(),
        }
    }

    /// Takes in a verified entry; the same one again replaces it.
    pub fn put(&mut self, verified: Verified) {
        let Verified { known, stands_on, .. } = verified;
        let Known { id, lock, height, under, entry } = known;
        match entry {
            Personal::Grant(entry) => self.put_grant(Known { id, entry, lock, height, under }),
            Personal::Revocation(entry) => {
                self.places.insert(id, (entry.patient, None));
                let list = self.revocations.entry(entry.patient).or_default();
                insert(list, Known { id, entry, lock, height, under });
            }
            entry => self.put_other(Known { id, entry, lock, height, under }, stands_on),
        }
    }

    fn put_grant(&mut self, known: Known<GrantEntry>) {
        let (patient, grantee) = (known.entry.patient, known.entry.grantee.clone());
        self.places.insert(known.id, (patient, Some(grantee.clone())));
        insert(self.grants.entry(patient).or_default().entry(grantee).or_default(), known);
    }

    fn put_other(&mut self, known: Known<Personal>, stands_on: Vec<ContentId>) {
        let id = known.id;
        if let Some(patient) = known.entry.patient() {
            self.of_patient.entry(*patient).or_default().insert(id);
        }
        match &known.entry {
            Personal::Access(access) => {
                access.why.iter().for_each(|grant| _ = self.uses.entry(*grant).or_default().insert(id));
            }
            Personal::Record(e) | Personal::Amendment(e) => {
                e.amends.iter().for_each(|of| _ = self.amendments.entry(*of).or_default().insert(id));
            }
            _ => {}
        }
        self.others.insert(id, (known, stands_on));
    }

    /// An entry that is known became final.
    pub fn finalise(&mut self, id: &ContentId, height: u64) {
        if let Some((known, _)) = self.others.get_mut(id) {
            known.height = Some(height);
        }
        let Some((patient, grantee)) = self.places.get(id) else { return };
        let grants = grantee.as_ref().and_then(|g| self.grants.get_mut(patient)?.get_mut(g));
        grants.into_iter().flatten().filter(|k| k.id == *id).for_each(|k| k.height = Some(height));
        let revocations = self.revocations.get_mut(patient);
        revocations.into_iter().flatten().filter(|k| k.id == *id).for_each(|k| k.height = Some(height));
    }

    /// Closes a lock: on sight, or by the block of a height. One that a block closed stays as it is.
    pub fn close(&mut self, lock: Lock, height: Option<u64>) {
        let state = self.locks.entry(lock).or_insert(LockState::Seen);
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

    fn record_entry(&self, id: &ContentId) -> Option<Known<RecordEntry>> {
        self.other(id, as_record).ok().flatten()
    }

    fn of(&self, patient: &PatientId) -> impl Iterator<Item = &(Known<Personal>, Vec<ContentId>)> {
        self.of_patient.get(patient).into_iter().flatten().filter_map(|id| self.others.get(id))
    }
}

fn as_record(entry: &Personal) -> Option<RecordEntry> {
    match entry {
        Personal::Record(e) | Personal::Amendment(e) => Some((**e).clone()),
        _ => None,
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
        Ok(self.locks.get(lock).copied().unwrap_or(LockState::Open))
    }

    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        show(self.grants.get(patient).and_then(|g| g.get(grantee)).into_iter().flatten(), visit)
    }

    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        let codes = Grantee::Code([0; 32])..=Grantee::Code([0xff; 32]);
        let grants = self.grants.get(patient).map(|g| g.range(codes));
        for grant in grants.into_iter().flatten().flat_map(|(_, list)| list) {
            let bound = self.first_use(&grant.id)?.is_some_and(|f| f.organization == Some(*organization));
            if bound && visit(grant) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }

    fn revocations(&self, patient: &PatientId, visit: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        show(self.revocations.get(patient).into_iter().flatten(), visit)
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
        let Some(record) = self.record_entry(id) else { return Ok(None) };
        let named = self.amendments.get(id).into_iter().flatten();
        let amendments: Vec<_> = named.filter_map(|a| self.record_entry(a)).collect();
        record_facts(self, &record, &amendments).map(Some)
    }

    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        let entries = self.of(patient).filter_map(|(known, stands_on)| match &known.entry {
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
}

impl PatientView for MemoryView {
    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable> {
        let Some((patient, grantee)) = self.places.get(id) else {
            return Ok(self.others.get(id).map(|(known, _)| known.clone()));
        };
        if let Some(grantee) = grantee {
            let list = self.grants.get(patient).and_then(|g| g.get(grantee));
            let known = list.into_iter().flatten().find(|k| k.id == *id);
            return Ok(known.cloned().map(|k| k.map(Personal::Grant)));
        }
        let known = self.revocations.get(patient).into_iter().flatten().find(|k| k.id == *id);
        Ok(known.cloned().map(|k| k.map(Personal::Revocation)))
    }

    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable> {
        Ok(self.blocks.get(&height).copied())
    }

    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let keys = self.of(patient).flat_map(|(known, _)| match &known.entry {
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
        let author = |(known, _): &(Known<Personal>, _)| match &known.entry {
            Personal::Record(e) | Personal::Amendment(e) if categories.contains(&e.category) => {
                Some(e.organization)
            }
            _ => None,
        };
        Ok(self.of(patient).filter_map(author).collect())
    }

    fn all_grants(&self, patient: &PatientId, visit: Visit<'_, GrantEntry>) -> Result<(), Unreadable> {
        show(self.grants.get(patient).into_iter().flat_map(BTreeMap::values).flatten(), visit)
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
