//! A view with the entries of one tap on top of it: those that stand on each other are judged together,
//! before the first of them is kept.
//!
//! For judging bodies alone. A decision is made over what is kept, never over a batch.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::check::Rejected;
use crate::control::CommitteeEntry;
use crate::emergency::RequestEntry;
use crate::ids::{BlockHash, ContentId, Lock, NetworkId, OrganizationId, PatientId, PersonId};
use crate::keys::VerifyingKey;
use crate::personal::{
    CardEntry, Category, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry, RevocationEntry,
};
use crate::policy::described::record_facts;
use crate::policy::view::{
    FirstUse, FormerCard, Known, LockState, Newest, PatientView, RecordFacts, ReleaseFacts, Signed,
    Unreadable, View, Visit,
};
use crate::policy::{Personal, Verified};
use crate::state::Membership;
use crate::tap::{Body, TapPayload};

/// Entries of one tap over a view.
pub struct Batch<'v, V: ?Sized> {
    view: &'v V,
    entries: Vec<Verified>,
}

impl<'v, V: PatientView + ?Sized> Batch<'v, V> {
    /// An empty batch over a view.
    #[must_use]
    pub fn over(view: &'v V) -> Self {
        Self { view, entries: Vec::new() }
    }

    /// Adds an entry that was judged over this batch.
    pub fn put(&mut self, verified: Verified) {
        self.entries.push(verified);
    }

    /// The entries, in the order in which they were judged.
    #[must_use]
    pub fn into_entries(self) -> Vec<Verified> {
        self.entries
    }

    fn own<'s, T>(
        &'s self,
        pick: impl Fn(&'s Personal) -> Option<T> + 's,
    ) -> impl DoubleEndedIterator<Item = Known<T>> + 's {
        self.entries.iter().filter_map(move |v| {
            let Known { id, lock, height, under, ref entry } = v.known;
            Some(Known { id, entry: pick(entry)?, lock, height, under })
        })
    }

    fn show<'s, T>(
        &'s self,
        pick: impl Fn(&'s Personal) -> Option<T> + 's,
        visit: Visit<'_, T>,
    ) -> Result<(), Unreadable> {
        let _stopped = self.own(pick).try_for_each(|known| visit(&known));
        Ok(())
    }
}

fn record_of(entry: &Personal) -> Option<RecordEntry> {
    match entry {
        Personal::Record(e) | Personal::Amendment(e) => Some((**e).clone()),
        _ => None,
    }
}

fn grant_of(entry: &Personal) -> Option<GrantEntry> {
    match entry {
        Personal::Grant(e) => Some(e.clone()),
        _ => None,
    }
}

// A visit of the view below, then of the batch unless it was broken off.
fn both<T>(
    visit: Visit<'_, T>,
    below: impl FnOnce(Visit<'_, T>) -> Result<(), Unreadable>,
    above: impl FnOnce(Visit<'_, T>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let mut stopped = false;
    below(&mut |known| {
        let flow = visit(known);
        stopped = flow == ControlFlow::Break(());
        flow
    })?;
    if stopped { Ok(()) } else { above(visit) }
}

impl<V: PatientView + ?Sized> View for Batch<'_, V> {
    fn membership(&self) -> &Membership {
        self.view.membership()
    }

    fn newest(&self) -> Newest {
        self.view.newest()
    }

    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable> {
        self.view.lock(lock)
    }

    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        let own = |e: &Personal| grant_of(e).filter(|g| g.patient == *patient && g.grantee == *grantee);
        both(visit, |v| self.view.grants(patient, grantee, v), |v| self.show(own, v))
    }

    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        self.view.bound_grants(patient, organization, visit)
    }

    fn revocations(&self, patient: &PatientId, visit: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        let own = |e: &Personal| match e {
            Personal::Revocation(e) if e.patient == *patient => Some(e.clone()),
            _ => None,
        };
        both(visit, |v| self.view.revocations(patient, v), |v| self.show(own, v))
    }

    fn card(&self, id: &ContentId) -> Result<Option<Known<CardEntry>>, Unreadable> {
        let own = |e: &Personal| match e {
            Personal::Card(e) => Some((**e).clone()),
            _ => None,
        };
        self.own(own).find(|k| k.id == *id).map_or_else(|| self.view.card(id), |k| Ok(Some(k)))
    }

    fn proxy(&self, id: &ContentId) -> Result<Option<Known<ProxyEntry>>, Unreadable> {
        let own = |e: &Personal| match e {
            Personal::Proxy(e) => Some(e.clone()),
            _ => None,
        };
        self.own(own).find(|k| k.id == *id).map_or_else(|| self.view.proxy(id), |k| Ok(Some(k)))
    }

    fn record(&self, id: &ContentId) -> Result<Option<RecordFacts>, Unreadable> {
        match self.own(record_of).find(|k| k.id == *id) {
            Some(record) => record_facts(self, &record, []).map(Some),
            None => self.view.record(id),
        }
    }

    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        let own = |e: &Personal| match e {
            Personal::Patient(e) if e.patient == *patient => Some(e.clone()),
            _ => None,
        };
        self.own(own).next_back().map_or_else(|| self.view.patient(patient), |k| Ok(Some(k)))
    }

    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable> {
        if let Some(first) = self.view.first_use(grant)? {
            return Ok(Some(first));
        }
        let own = |e: &Personal| match e {
            Personal::Access(e) if e.why.contains(grant) => Some(e.organization),
            _ => None,
        };
        let used = self.own(own).min_by_key(|k| k.id);
        Ok(used.map(|k| FirstUse { access: k.id, organization: k.entry }))
    }

    // Whoever files a release is no reader under it in the same tap.
    fn releases(&self, patient: &PatientId, visit: Visit<'_, ReleaseFacts>) -> Result<(), Unreadable> {
        self.view.releases(patient, visit)
    }
}

impl<V: PatientView + ?Sized> PatientView for Batch<'_, V> {
    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable> {
        let own = self.entries.iter().find(|v| v.known.id == *id);
        own.map_or_else(|| self.view.entry(id), |v| Ok(Some(v.known.clone())))
    }

    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable> {
        self.view.block(height)
    }

    fn block_time(&self, height: u64) -> Result<Option<u64>, Unreadable> {
        self.view.block_time(height)
    }

    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        self.view.key_holders(patient)
    }

    fn authors(
        &self,
        patient: &PatientId,
        categories: &[Category],
    ) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        self.view.authors(patient, categories)
    }

    fn all_grants(&self, patient: &PatientId, visit: Visit<'_, GrantEntry>) -> Result<(), Unreadable> {
        let own = |e: &Personal| grant_of(e).filter(|g| g.patient == *patient);
        both(visit, |v| self.view.all_grants(patient, v), |v| self.show(own, v))
    }

    fn requests(&self, patient: &PatientId, visit: Visit<'_, RequestEntry>) -> Result<(), Unreadable> {
        self.view.requests(patient, visit)
    }

    fn offline_at(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        self.view.offline_at(patient)
    }

    fn committee(&self, id: &ContentId) -> Result<Option<CommitteeEntry>, Unreadable> {
        self.view.committee(id)
    }

    fn threshold_signed(&self, committee: &ContentId, signed: Signed<'_>) -> Result<bool, Unreadable> {
        self.view.threshold_signed(committee, signed)
    }

    fn signed_by(
        &self,
        body: &Body,
        key: &VerifyingKey,
        network: &NetworkId,
    ) -> Result<TapPayload, Rejected> {
        self.view.signed_by(body, key, network)
    }

    fn former_cards(&self, person: &PersonId) -> Result<Vec<FormerCard>, Unreadable> {
        self.view.former_cards(person)
    }

    fn former_organization_cards(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Unreadable> {
        self.view.former_organization_cards(organization)
    }
}
