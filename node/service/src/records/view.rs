//! What decisions read of this node: its membership, its closed locks, and the rows of verified bodies.
//!
//! A row that cannot be read permits nothing: every failure is [`Unreadable`], and `decide` denies.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use hospes_protocol::check::Rejected;
use hospes_protocol::emergency::RequestEntry;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{BlockHash, ContentId, Lock, NetworkId, OrganizationId, PatientId, PersonId};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::personal::{
    CardEntry, Category, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry, RevocationEntry,
};
use hospes_protocol::policy::described::{is_of_same_file, record_facts};
use hospes_protocol::policy::view::{FirstUse, FormerCard, Visit, first_by_finality};
use hospes_protocol::policy::{
    Act, Actor, Decision, Known, LockState, Newest, PatientView, Personal, RecordFacts, ReleaseFacts,
    Request, Signed, Unreadable, View, decide,
};
use hospes_protocol::state::{FormerCardEntry, Membership};
use hospes_protocol::tap::{Body, TapPayload};
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow};

use super::index::{self, Row, Use};
use crate::service::{Fatal, Service};

/// A record, and the amendments that name it.
pub(super) type Described = (Known<RecordEntry>, Vec<Known<RecordEntry>>);

/// A group of rows, by its space.
type Group = (&'static str, Vec<u8>);

/// A service as decisions see it. It lives for one decision or judgement, and reads each group of rows once.
pub struct ServiceView<'a> {
    service: &'a Service,
    read: RefCell<BTreeMap<Group, Rc<Vec<SealedRow>>>>,
    /// What is read with the first of it.
    expected: RefCell<Vec<Group>>,
}

fn unreadable(_: Fatal) -> Unreadable {
    Unreadable
}

impl ServiceView<'_> {
    /// The rows of a group; null for one that is too large to be kept.
    fn rows(&self, group: Group) -> Result<Option<Rc<Vec<SealedRow>>>, Fatal> {
        let mut read = self.read.borrow_mut();
        if let Some(rows) = read.get(&group) {
            return Ok(Some(rows.clone()));
        }
        let mut expected = self.expected.borrow_mut();
        let wanted =
            if expected.contains(&group) { std::mem::take(&mut *expected) } else { vec![group.clone()] };
        let named: Vec<_> = wanted.iter().map(|(space, group)| (*space, group.as_slice())).collect();
        let lists = self.service.objects.sealed_groups(&named, index::PAGE)?;
        let whole = wanted.into_iter().zip(lists).filter(|(_, rows)| rows.len() < index::PAGE);
        read.extend(whole.map(|(group, rows)| (group, Rc::new(rows))));
        Ok(read.get(&group).cloned())
    }

    /// Passes the rows of a group that have effect.
    fn visit<T: Wire>(
        &self,
        space: &'static str,
        group: &[u8],
        visit: Visit<'_, T>,
    ) -> Result<(), Unreadable> {
        let mut show = |row: &SealedRow| {
            let id = index::content_of(row)?;
            let row: Row = index::value(row)?;
            // Its node may be retired and its turn still to come: it permits nothing from that block on.
            if row.facts.height.is_none() && self.service.has_lost_its_node(&id, &row.facts)? {
                return Ok(true);
            }
            let entry = T::decode(&row.payload).map_err(Fatal::Contradiction)?;
            let Some(known) = row.facts.known(id, entry) else { return Ok(true) };
            Ok(visit(&known).is_continue())
        };
        let Some(rows) = self.rows((space, group.to_vec())).map_err(unreadable)? else {
            return index::each(&*self.service.objects, space, Some(group), show).map_err(unreadable);
        };
        for row in rows.iter() {
            if !show(row).map_err(unreadable)? {
                break;
            }
        }
        Ok(())
    }

    /// The record of an entry, and the amendments that name it. A change of what is said of a record is of that
    /// record, so that one answer holds for both.
    fn described(&self, id: &ContentId) -> Result<Option<Described>, Fatal> {
        let known = |id: &ContentId| self.service.known_record(id);
        let Some(named) = known(id)? else { return Ok(None) };
        let first = named.entry.amends.map(|of| known(&of)).transpose()?.flatten();
        let record = first.filter(|of| is_of_same_file(&named.entry, &of.entry)).unwrap_or(named);
        let mut amendments = Vec::new();
        let each = &mut |amendment: &Known<RecordEntry>| {
            amendments.push(amendment.clone());
            ControlFlow::Continue(())
        };
        self.visit(index::AMENDMENTS, &record.id.0, each).map_err(|e| Fatal::Contradiction(e.into()))?;
        Ok(Some((record, amendments)))
    }

    /// The groups that a request under grants reads.
    fn expect(self, request: &Request) -> Self {
        let mut grantees = Vec::new();
        match request.actor {
            Actor::Patient(_) => return self,
            Actor::Proxy(id) => grantees.push(Grantee::Proxy(id)),
            Actor::Person(id) => {
                grantees.push(Grantee::Person(id));
                if let Some(person) = self.membership().people.get(&id) {
                    let organization = person.organization;
                    grantees.push(Grantee::Organization(organization));
                    grantees
                        .extend(person.roles.iter().map(|role| Grantee::Role(organization, role.clone())));
                }
            }
        }
        let group = |grantee: &Grantee| (index::GRANTS, index::pair(&request.patient, grantee));
        let mut expected: Vec<Group> = grantees.iter().map(group).collect();
        expected.push((index::CODES, request.patient.0.to_vec()));
        expected.push((index::REVOCATIONS, request.patient.0.to_vec()));
        if let Act::Read(record) | Act::Share { record, .. } = request.act {
            expected.push((index::AMENDMENTS, record.0.to_vec()));
        }
        Self { expected: RefCell::new(expected), ..self }
    }
}

impl View for ServiceView<'_> {
    fn membership(&self) -> &Membership {
        &self.service.state.membership
    }

    fn newest(&self) -> Newest {
        Newest { height: self.service.state.height, time: self.service.state.time }
    }

    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable> {
        if !self.service.seen.contains(lock) {
            return Ok(LockState::Open);
        }
        let row = self.service.ledger.lock(lock).map_err(|_| Unreadable)?;
        Ok(row.and_then(|row| row.height).map_or(LockState::Seen, LockState::Closed))
    }

    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        each: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        self.visit(index::GRANTS, &index::pair(patient, grantee), each)
    }

    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        each: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable> {
        let mut failed = Ok(());
        self.visit::<GrantEntry>(index::CODES, &patient.0, &mut |grant| match self.first_use(&grant.id) {
            Ok(Some(first)) if first.organization == Some(*organization) => each(grant),
            Ok(_) => ControlFlow::Continue(()),
            Err(unreadable) => {
                failed = Err(unreadable);
                ControlFlow::Break(())
            }
        })?;
        failed
    }

    fn revocations(&self, patient: &PatientId, each: Visit<'_, RevocationEntry>) -> Result<(), Unreadable> {
        self.visit(index::REVOCATIONS, &patient.0, each)
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
        let Some((record, amendments)) = self.described(id).map_err(unreadable)? else {
            return Ok(None);
        };
        record_facts(self, &record, &amendments).map(Some)
    }

    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable> {
        let Some(home) = self.service.home(patient).map_err(unreadable)? else { return Ok(None) };
        Ok(self.entry(&home.entry)?.and_then(|known| match known.entry.clone() {
            Personal::Patient(entry) => Some(known.map(|_| entry)),
            _ => None,
        }))
    }

    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable> {
        let mut uses = Vec::new();
        let found = index::each(&*self.service.objects, index::USES, Some(&grant.0), |row| {
            let used: Use = index::value(row)?;
            let used_by = FirstUse { access: index::content_of(row)?, organization: used.organization };
            uses.push((used.height, used_by));
            Ok(true)
        });
        found.map_err(unreadable)?;
        Ok(first_by_finality(uses))
    }

    fn releases(&self, patient: &PatientId, visit: Visit<'_, ReleaseFacts>) -> Result<(), Unreadable> {
        self.service.each_release(patient, visit).map_err(unreadable)
    }
}

impl PatientView for ServiceView<'_> {
    fn offline_at(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        self.service.offline_at(patient).map_err(unreadable)
    }

    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable> {
        self.service.known_entry(id).map_err(unreadable)
    }

    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable> {
        if height == self.service.state.height {
            return Ok(Some(self.service.state.block));
        }
        let certificate = self.service.ledger.certificate(height).map_err(|_| Unreadable)?;
        Ok(certificate.map(|c| c.block))
    }

    fn block_time(&self, height: u64) -> Result<Option<u64>, Unreadable> {
        self.service.block_time(height).map_err(unreadable)
    }

    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        let mut holders = BTreeSet::new();
        let found = index::each(&*self.service.objects, index::KEY_HOLDERS, Some(&patient.0), |row| {
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
        let found = index::each(&*self.service.objects, index::AUTHORS, Some(&patient.0), |row| {
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

    fn requests(&self, patient: &PatientId, visit: Visit<'_, RequestEntry>) -> Result<(), Unreadable> {
        for id in self.service.contents_of(patient, Kind::BreakGlassRequest.code()).map_err(unreadable)? {
            let Some(known) = self.entry(&id)? else { continue };
            let Personal::Request(request) = known.entry.clone() else { continue };
            if visit(&known.map(|_| *request)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn threshold_signed(&self, committee: &ContentId, signed: Signed<'_>) -> Result<bool, Unreadable> {
        self.service.threshold_signed(committee, signed).map_err(unreadable)?.ok_or(Unreadable)
    }

    fn signed_by(
        &self,
        body: &Body,
        key: &VerifyingKey,
        network: &NetworkId,
    ) -> Result<TapPayload, Rejected> {
        body.signed_by_known(key, network, &mut *self.service.taps.borrow_mut())
    }

    fn former_cards(&self, person: &PersonId) -> Result<Vec<FormerCard>, Unreadable> {
        let card = |former: &FormerCardEntry| {
            let (signature, authentication) = (former.signature.clone(), former.authentication.clone()?);
            Some(FormerCard { signature, authentication, until: former.until })
        };
        Ok(self.membership().former_cards(&person.0).filter_map(card).collect())
    }

    fn former_organization_cards(
        &self,
        organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Unreadable> {
        let card = |former: &FormerCardEntry| (former.signature.clone(), former.until);
        Ok(self.membership().former_cards(&organization.0).map(card).collect())
    }

    fn all_grants(&self, patient: &PatientId, each: Visit<'_, GrantEntry>) -> Result<(), Unreadable> {
        for id in self.service.contents_of(patient, 21).map_err(unreadable)? {
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
        ServiceView { service: self, read: RefCell::default(), expected: RefCell::default() }
    }

    /// Decides a request by what is known here now.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        decide(&self.view().expect(request), request, self.now)
    }

    /// A verified entry that has effect.
    pub(crate) fn known_entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Fatal> {
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

    /// The record of an entry, and the amendments that name it.
    pub(super) fn described(&self, id: &ContentId) -> Result<Option<Described>, Fatal> {
        self.view().described(id)
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
