//! What each kind demands beside its form: who must sign, and what must fit together.

use std::collections::BTreeSet;

use super::signers::{Slot, under};
use super::{Group, Judge, Wanted};
use crate::check::{Check, Rejected, ensure};
use crate::ids::{BlockHash, ContentId, OrganizationId, PersonId};
use crate::limits::SIGNED_AHEAD_MS_MAX;
use crate::personal::{
    AccessEntry, Author, CardEntry, ErasureEntry, GrantEntry, Grantee, PatientEntry, ProxyEntry, RecordEntry,
    RevocationEntry, Revoked, Right,
};
use crate::policy::Personal;
use crate::policy::described::{is_label_alone, is_of_same_file};
use crate::policy::view::{Known, PatientView, Under};

pub(super) fn patient_of(personal: &Personal) -> Option<&PatientEntry> {
    match personal {
        Personal::Patient(patient) => Some(patient),
        _ => None,
    }
}

fn proxy_of(personal: &Personal) -> Option<&ProxyEntry> {
    match personal {
        Personal::Proxy(proxy) => Some(proxy),
        _ => None,
    }
}

fn record_of(personal: &Personal) -> Option<&RecordEntry> {
    match personal {
        Personal::Record(record) | Personal::Amendment(record) => Some(record),
        _ => None,
    }
}

fn grant_of(personal: &Personal) -> Option<&GrantEntry> {
    match personal {
        Personal::Grant(grant) => Some(grant),
        _ => None,
    }
}

pub(super) fn by(groups: Vec<Group>, under: Option<Under>) -> Wanted {
    Wanted { groups, under }
}

impl<V: PatientView + ?Sized> Judge<'_, V> {
    pub(super) fn rules(&self, personal: &Personal) -> Result<Wanted, Rejected> {
        match personal {
            Personal::Patient(e) => self.patient_entry(e),
            Personal::Card(e) => self.card(e),
            Personal::Locker(_) => self.by_patient(),
            Personal::Record(e) => self.record(e),
            Personal::Amendment(e) => self.amendment(e),
            Personal::Grant(e) => self.grant(e),
            Personal::Revocation(e) => self.revocation(e),
            Personal::Proxy(e) => self.proxy(e),
            Personal::Access(e) => self.access(e),
            Personal::Erasure(e) => self.erasure(e),
            Personal::Receipt(e) => {
                ensure(self.stands_on.first().is_some_and(|k| k.id == e.erasure), Check::StandsOnMissing)?;
                Ok(by(Vec::new(), None))
            }
            Personal::Request(e) => self.request(e),
            Personal::Release(e) => self.release(e),
            Personal::Close(e) => self.close(e),
            Personal::Review(e) => self.review(e),
            Personal::Search(e) => self.search(e),
            Personal::Recovery(e) => self.recovery(e),
        }
    }

    fn by_patient(&self) -> Result<Wanted, Rejected> {
        let (card, under) = self.patient_card(Slot::Signature)?;
        Ok(by(vec![card], Some(under)))
    }

    fn by_patient_or_proxy(&self, by_proxy: Option<ContentId>) -> Result<Wanted, Rejected> {
        let Some(id) = by_proxy else { return self.by_patient() };
        let known = self.stands_on.iter().find(|k| k.id == id).ok_or(Check::StandsOnMissing)?;
        let proxy = proxy_of(&known.entry).ok_or(Check::StandsOnWrong)?;
        let within = proxy.from <= self.facts.signed_at && self.facts.signed_at < proxy.until;
        ensure(within, Check::NotAuthorized)?;
        Ok(by(vec![Group::one(proxy.signature.clone())], Some(under(known)?)))
    }

    // One pseudonym is enrolled once, and the first by finality stands; then it moves home.
    fn patient_entry(&self, e: &PatientEntry) -> Result<Wanted, Rejected> {
        let home = self.organization_cards(&e.home)?;
        if self.content.stands_on.is_empty() {
            if let Some(other) = self.view.patient(&e.patient)?.filter(|o| o.id != self.facts.content) {
                let ours_is_first = match (self.facts.height, other.height) {
                    (Some(ours), Some(other)) => ours <= other,
                    (ours, _) => ours.is_some(),
                };
                ensure(ours_is_first, Check::AlreadyExists)?;
            }
            return Ok(by(vec![home], None));
        }
        self.the(patient_of)?;
        let (card, under) = self.patient_card(Slot::Signature)?;
        Ok(by(vec![card, home], Some(under)))
    }

    fn card(&self, e: &CardEntry) -> Result<Wanted, Rejected> {
        let (known, patient) = self.the(patient_of)?;
        if let Some(now) = self.view.patient(&e.patient)?.filter(|now| now.id != known.id) {
            // Who was home before the patient moved issues no cards after.
            ensure(now.height.is_some_and(|moved| self.final_before(moved)), Check::StandsOnWrong)?;
        }
        let soft = e.attested || self.facts.height.is_some() || self.view.membership().policy.soft_cards;
        ensure(soft, Check::NotAuthorized)?;
        Ok(by(vec![self.organization_cards(&patient.home)?], None))
    }

    fn record(&self, e: &RecordEntry) -> Result<Wanted, Rejected> {
        let Author::Practitioner(author) = &e.author else { return self.by_patient() };
        ensure(self.is_home(e)? || self.may_write(e, author)?, Check::NotAuthorized)?;
        let card = self.person_cards(author, &e.organization, Slot::Signature)?;
        Ok(by(vec![card], None))
    }

    // The home of now, or of the patient entry that it stands on: the patient may have moved since.
    fn is_home(&self, e: &RecordEntry) -> Result<bool, Rejected> {
        let now = self.view.patient(&e.patient)?.ok_or(Check::StandsOnMissing)?;
        let mut homes = self.stands_on.iter().filter_map(|k| patient_of(&k.entry)).map(|p| p.home);
        Ok(now.entry.home == e.organization || homes.any(|home| home == e.organization))
    }

    fn grants(&self) -> impl Iterator<Item = (&Known<Personal>, &GrantEntry)> {
        self.stands_on.iter().filter_map(|k| Some((k, grant_of(&k.entry)?)))
    }

    fn may_write(&self, e: &RecordEntry, author: &PersonId) -> Result<bool, Rejected> {
        for (known, grant) in self.grants() {
            let covers = grant.allows(Right::Write)
                && e.label <= grant.scope.label
                && (grant.scope.categories.contains(&e.category)
                    || e.amends.is_some_and(|of| grant.scope.records.contains(&of)));
            if covers && self.fits(&known.id, &grant.grantee, author, &e.organization)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    // Whether a person may act under a grantee. A code not yet bound fits everyone.
    fn fits(
        &self,
        grant: &ContentId,
        grantee: &Grantee,
        person: &PersonId,
        organization: &OrganizationId,
    ) -> Result<bool, Rejected> {
        Ok(match grantee {
            Grantee::Person(id) => id == person,
            Grantee::Organization(id) => id == organization,
            Grantee::Role(id, role) => {
                let entry = self.view.membership().people.get(person);
                id == organization && entry.is_some_and(|p| p.roles.contains(role))
            }
            Grantee::Code(_) => {
                let first = self.view.first_use(grant)?;
                first.is_none_or(|f| f.access == self.facts.content || f.organization == Some(*organization))
            }
            Grantee::Proxy(_) => false,
        })
    }

    fn amendment(&self, e: &RecordEntry) -> Result<Wanted, Rejected> {
        let amended = self.stands_on.iter().find(|k| Some(k.id) == e.amends).ok_or(Check::StandsOnMissing)?;
        let of = record_of(&amended.entry).ok_or(Check::StandsOnWrong)?;
        if is_of_same_file(e, of) {
            return self.description(e, of);
        }
        let Author::Practitioner(author) = &e.author else {
            let mut wanted = self.by_patient()?;
            if of.author != Author::Patient {
                wanted.groups.push(self.any_practitioner(&of.organization)?);
            }
            return Ok(wanted);
        };
        let own = of.organization == e.organization && of.author != Author::Patient;
        let mut wanted = if own {
            by(vec![self.person_cards(author, &e.organization, Slot::Signature)?], None)
        } else {
            self.record(e)?
        };
        if self.grants().any(|(_, g)| g.two_signatures) {
            let (card, under) = self.patient_card(Slot::Signature)?;
            wanted.groups.push(card);
            wanted.under = Some(under);
        }
        Ok(wanted)
    }

    // What is said of a record is changed by both; the patient alone raises its label.
    fn description(&self, e: &RecordEntry, of: &RecordEntry) -> Result<Wanted, Rejected> {
        if let Some(first) = of.amends.map(|first| self.view.entry(&first)).transpose()?.flatten() {
            // A change is of the record itself, so that all of them stand in one list.
            let itself = record_of(&first.entry).is_none_or(|first| !is_of_same_file(of, first));
            ensure(itself, Check::StandsOnWrong)?;
        }
        ensure(e.organization == of.organization, Check::NotAuthorized)?;
        let mut wanted = self.by_patient()?;
        match &e.author {
            Author::Patient if of.author == Author::Patient || is_label_alone(e, of) => {}
            Author::Patient => wanted.groups.push(self.any_practitioner(&of.organization)?),
            Author::Practitioner(author) => {
                ensure(of.author != Author::Patient, Check::NotAuthorized)?;
                wanted.groups.push(self.person_cards(author, &of.organization, Slot::Signature)?);
            }
        }
        Ok(wanted)
    }

    fn grant(&self, e: &GrantEntry) -> Result<Wanted, Rejected> {
        if let Grantee::Proxy(id) = &e.grantee {
            ensure(e.by_proxy.is_none(), Check::NotAuthorized)?;
            let known = self.view.entry(id)?.ok_or(Check::StandsOnMissing)?;
            ensure(proxy_of(&known.entry).is_some_and(|p| p.patient == e.patient), Check::StandsOnWrong)?;
        }
        let block = match e.after.height {
            0 => BlockHash(self.content.network.0),
            height => self.view.block(height)?.ok_or(Check::StandsOnMissing)?,
        };
        ensure(block == e.after.block, Check::StandsOnWrong)?;
        self.by_patient_or_proxy(e.by_proxy)
    }

    fn revocation(&self, e: &RevocationEntry) -> Result<Wanted, Rejected> {
        if self.contests(e)? {
            let home = self.view.patient(&e.patient)?.ok_or(Check::StandsOnMissing)?.entry.home;
            ensure(self.content.organization == home, Check::WrongOrganization)?;
            return Ok(by(vec![self.organization_cards(&home)?], None));
        }
        if let Revoked::Entries(ids) = &e.revoked {
            for known in ids.iter().filter_map(|id| self.view.entry(id).transpose()) {
                let known = known?;
                let fits = matches!(
                    known.entry,
                    Personal::Grant(_) | Personal::Proxy(_) | Personal::Erasure(_) | Personal::Recovery(_)
                ) && known.entry.patient() == Some(&e.patient);
                ensure(fits, Check::StandsOnWrong)?;
            }
        }
        self.by_patient_or_proxy(e.by_proxy)
    }

    // The home organization takes back no more than the notices by which it replaces cards.
    fn contests(&self, e: &RevocationEntry) -> Result<bool, Rejected> {
        let Revoked::Entries(ids) = &e.revoked else { return Ok(false) };
        let carded = self.stands_on.iter().any(|k| matches!(k.entry, Personal::Card(_) | Personal::Proxy(_)));
        let mut notices = !carded && e.by_proxy.is_none();
        for id in ids {
            let known = self.view.entry(id)?;
            notices &=
                known.is_some_and(|k| matches!(&k.entry, Personal::Recovery(n) if n.patient == e.patient));
        }
        Ok(notices)
    }

    fn proxy(&self, e: &ProxyEntry) -> Result<Wanted, Rejected> {
        let (card, under) = self.patient_card(Slot::Signature)?;
        Ok(by(vec![card, Group::one(e.signature.clone())], Some(under)))
    }

    fn access(&self, e: &AccessEntry) -> Result<Wanted, Rejected> {
        if let Some(record) = self.view.record(&e.record)? {
            ensure(record.patient == e.patient && record.has_had(e.category), Check::StandsOnWrong)?;
        }
        let (Some(reader), Some(organization)) = (&e.reader, &e.organization) else {
            return self.own_access();
        };
        for id in &e.why {
            let Some(known) = self.view.entry(id)? else { continue };
            if let Some(grant) = grant_of(&known.entry) {
                let fits =
                    grant.patient == e.patient && self.fits(id, &grant.grantee, reader, organization)?;
                ensure(fits, Check::StandsOnWrong)?;
            }
        }
        Ok(by(vec![self.person_cards(reader, organization, Slot::Authentication)?], None))
    }

    // The patient's own, or a proxy's in the patient's place.
    fn own_access(&self) -> Result<Wanted, Rejected> {
        if let Ok((known, proxy)) = self.the(proxy_of) {
            let within = proxy.from <= self.facts.signed_at && self.facts.signed_at < proxy.until;
            ensure(within, Check::NotAuthorized)?;
            return Ok(by(vec![Group::one(proxy.signature.clone())], Some(under(known)?)));
        }
        let (card, under) = self.patient_card(Slot::Authentication)?;
        Ok(by(vec![card], Some(under)))
    }

    fn erasure(&self, e: &ErasureEntry) -> Result<Wanted, Rejected> {
        let cooling_off = self.view.membership().policy.cooling_off_ms;
        // The cards sign one after the other before it is filed.
        let made = self.facts.signed_at.saturating_sub(SIGNED_AHEAD_MS_MAX);
        let waits = e.not_before >= made.saturating_add(cooling_off);
        ensure(waits, Check::PeriodForm)?;
        let mut answering = BTreeSet::new();
        for id in &e.records {
            let record = self.view.record(id)?.ok_or(Check::StandsOnMissing)?;
            ensure(record.patient == e.patient, Check::StandsOnWrong)?;
            // What the patient wrote, the patient destroys alone.
            if record.author != Author::Patient {
                answering.insert(record.organization);
            }
        }
        if e.records.is_empty() {
            answering.insert(self.view.patient(&e.patient)?.ok_or(Check::StandsOnMissing)?.entry.home);
        }
        let mut wanted = self.by_patient()?;
        for organization in &answering {
            wanted.groups.push(self.organization_cards(organization)?);
        }
        Ok(wanted)
    }
}
