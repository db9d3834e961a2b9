//! What decisions read of this node: its membership, its closed locks, and the rows of verified bodies.
//!
//! A row that cannot be read permits nothing: every failure is [`Unreadable`], and `decide` denies.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use hospes_protocol::check::Rejected;
use hospes_protocol::ids::{BlockHash, ContentId, Lock, NetworkId, OrganizationId, PatientId, PersonId};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::personal::{
    CardEntry, Category, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry, RevocationEntry,
};
use hospes_protocol::policy::described::{is_of_same_file, record_facts};
use hospes_protocol::policy::view::{FirstUse, FormerCard, Visit, first_by_finality};
use hospes_protocol::policy::{
    Known, LockState, Newest, PatientView, Personal, RecordFacts, Unreadable, View,
};
use hospes_protocol::state::Membership;
use hospes_protocol::tap::{Body, TapPayload};
use hospes_protocol::wire::Wire;
use hospes_storage::SealedKey;

use super::index::{self, Row, Use};
use crate::service::{Fatal, Service};

/// A record, and the amendments that name it.
pub(super) type Described = (Known<RecordEntry>, Vec<Known<RecordEntry>>);

/// A service as decisions see it.
#[derive(Clone, Copy)]
pub struct ServiceView<'a>(pub(super) &'a Service);

fn unreadable(_: Fatal) -> Unreadable {
    Unreadable
}

/// Passes the rows of a group that have effect.
fn visit<T: Wire>(
    service: &Service,
    space: &str,
    group: &[u8],
    visit: Visit<'_, T>,
) -> Result<(), Unreadable> {
    index::each(&*service.objects, space, Some(group), |row| {
        let id = index::content_of(row)?;
        let row: Row = index::value(row)?;
        let entry = T::decode(&row.payload).map_err(Fatal::Contradiction)?;
        let Some(known) = row.facts.known(id, entry) else { return Ok(true) };
        Ok(visit(&known).is_continue())
    })
    .map_err(unreadable)
}

impl View for ServiceView<'_> {
    fn membership(&self) -> &Membership {
        &self.0.state.membership
    }

    fn newest(&self) -> Newest {
        Newest { height: self.0.state.height, time: self.0.state.time }
    }

    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable> {
        if !self.0.seen.contains(lock) {
            return Ok(LockState::Open);
        }
        let row = self.0.ledger.lock(lock).map_err(|_| Unreadable)?;
        Ok(row.and_then(|row| row.height).map_or(LockState::Seen, LockState::Closed))
    }

    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        each: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        visit(self.0, index::GRANTS, &index::pair(patient, grantee), each)
    }

    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        each: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        let mut failed = Ok(());
        visit::<GrantEntry>(
            self.0,
            index::CODES,
            &patient.0,
            &mut |grant| match self.first_use(&grant.id) {
                Ok(Some(first)) if first.organization == Some(*organization) => each(grant),
                Ok(_) => ControlFlow::Continue(()),
                Err(unreadable) => {
                    failed = Err(unreadable);
                    ControlFlow::Break(())
                }
            },
        )?;
        failed
    }

    fn revocations(&self, patient: &PatientId, each: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        visit(self.0, index::REVOCATIONS, &patient.0, each)
    }

    fn card(&self, id: &ContentId) -> Result<Option<Known<CardEntry>>, Unreadable> {
        Ok(self.entry(id)?.and_then(|known| match known.entry.clone() {
            Personal::Card(card) => Some(known.map(|_| *card)),
            _ => None,
        }))
    }

    fn proxy(&self, id: &ContentId) -> Result<Option<Known<ProxyEntry>>, Unreadable> {
        Ok(self.entry(id)?.and_then(|known| match known.entry.clone() {
            Personal::Proxy(proxy) => Some(known.map(|_| proxy)),
            _ => None,
        }))
    }

    fn record(&self, id: &ContentId) -> Result<Option<RecordFacts>, Unreadable> {
        let Some((record, amendments)) = self.0.described(id).map_err(unreadable)? else { return Ok(None) };
        record_facts(self, &record, &amendments).map(Some)
    }

    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        let Some(home) = self.0.home(patient).map_err(unreadable)? else { return Ok(None) };
        Ok(self.entry(&home.entry)?.and_then(|known| match known.entry.clone() {
            Personal::Patient(entry) => Some(known.map(|_| entry)),
            _ => None,
        }))
    }

    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable> {
        let mut uses = Vec::new();
        let found = index::each(&*self.0.objects, index::USES, Some(&grant.0), |row| {
            let used: Use = index::value(row)?;
            let used_by = FirstUse { access: index::content_of(row)?, organization: used.organization };
            uses.push((used.height, used_by));
            Ok(true)
        });
        found.map_err(unreadable)?;
        Ok(first_by_finality(uses))
    }
}

impl PatientView for ServiceView<'_> {
    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable> {
        self.0.known_entry(id).map_err(unreadable)
    }

    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable> {
        if height == self.0.state.height {
            return Ok(Some(self.0.state.block));
        }
        let certificate = self.0.ledger.certificate(height).map_err(|_| Unreadable)?;
        Ok(certificate.map(|c| c.block))
    }

    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let mut holders = BTreeSet::new();
        let found = index::each(&*self.0.objects, index::KEY_HOLDERS, Some(&patient.0), |row| {
            holders.insert(OrganizationId(index::id32(&row.key.item)?));
            Ok(true)
        });
        found.map_err(unreadable)?;
        Ok(holders)
    }

    fn authors(
        &self,
        patient: &PatientId,
        categories: &[Category],
    ) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let mut authors = BTreeSet::new();
        let found = index::each(&*self.0.objects, index::AUTHORS, Some(&patient.0), |row| {
            let (organization, category) = row.key.item.split_at_checked(32).unwrap_or_default();
            let asked = categories.iter().any(|c| c.code().to_be_bytes() == category);
            if asked {
                authors.insert(OrganizationId(index::id32(organization)?));
            }
            Ok(true)
        });
        found.map_err(unreadable)?;
        Ok(authors)
    }

    fn signed_by(
        &self,
        body: &Body,
        key: &VerifyingKey,
        network: &NetworkId,
    ) -> Result<TapPayload, Rejected> {
        body.signed_by_known(key, network, &mut *self.0.taps.borrow_mut())
    }

    fn former_cards(&self, person: &PersonId) -> Result<Vec<FormerCard>, Unreadable> {
        self.0.former_cards_of(person).map_err(unreadable)
    }

    fn former_organization_cards(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Unreadable> {
        self.0.former_cards_of_organization(organization).map_err(unreadable)
    }

    fn all_grants(&self, patient: &PatientId, each: Visit<'_, GrantEntry>) -> Result<(), Unreadable> {
        for id in self.0.contents_of(patient, 21).map_err(unreadable)? {
            let Some(known) = self.entry(&id)? else { continue };
            let Personal::Grant(grant) = known.entry.clone() else { continue };
            if each(&known.map(|_| grant)).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Service {
    /// The node as decisions see it.
    #[must_use]
    pub fn view(&self) -> ServiceView<'_> {
        ServiceView(self)
    }

    /// A verified entry that has effect.
    pub(super) fn known_entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Fatal> {
        let Some(facts) = index::facts(&*self.objects, id)? else { return Ok(None) };
        let Some((_, payload)) = self.entry(id)? else { return Ok(None) };
        Ok(facts.known(*id, payload))
    }

    /// A record or amendment, whatever its effect: one read.
    pub(crate) fn record_entry(&self, id: &ContentId) -> Result<Option<RecordEntry>, Fatal> {
        let row: Option<Row> = index::read(&*self.objects, &SealedKey::new(index::RECORDS, &[], 0, &id.0))?;
        row.map(|row| RecordEntry::decode(&row.payload)).transpose().map_err(Fatal::Contradiction)
    }

    fn known_record(&self, id: &ContentId) -> Result<Option<Known<RecordEntry>>, Fatal> {
        let key = SealedKey::new(index::RECORDS, &[], 0, &id.0);
        let Some(row) = index::read::<Row>(&*self.objects, &key)? else { return Ok(None) };
        let entry = RecordEntry::decode(&row.payload).map_err(Fatal::Contradiction)?;
        Ok(row.facts.known(*id, entry))
    }

    /// The record of an entry, and the amendments that name it. A change of what is said of a record is of that
    /// record, so that one answer holds for both.
    pub(super) fn described(&self, id: &ContentId) -> Result<Option<Described>, Fatal> {
        let Some(named) = self.known_record(id)? else { return Ok(None) };
        let first = named.entry.amends.map(|of| self.known_record(&of)).transpose()?.flatten();
        let record = first.filter(|of| is_of_same_file(&named.entry, &of.entry)).unwrap_or(named);
        let mut amendments = Vec::new();
        visit::<RecordEntry>(self, index::AMENDMENTS, &record.id.0, &mut |amendment| {
            amendments.push(amendment.clone());
            ControlFlow::Continue(())
        })
        .map_err(|e| Fatal::Contradiction(e.into()))?;
        Ok(Some((record, amendments)))
    }

    /// Every body of a patient of one kind, in the order of arrival.
    pub(crate) fn contents_of(&self, patient: &PatientId, kind: u64) -> Result<Vec<ContentId>, Fatal> {
        let mut all = Vec::new();
        loop {
            let page = self.objects.bodies(Some(patient), Some(kind), all.len(), index::PAGE)?;
            let last = page.len() < index::PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }
}
