//! What break-glass demands: of a request that its label is of that patient's escrow, of a release that enough people
//! of the roster approved this very request, or that the patient's card signed it.
//!
//! Persons are counted by the roster: an approval counts for the person at its place there, whatever message or card it
//! came with. Whether the shares and their sum are of the committee's key is asked of the view, which knows keys.

use super::rules::{by, patient_of};
use super::signers::{Slot, card_of, under};
use super::{Group, Judge, Wanted};
use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::control::{CommitteeEntry, LocalCommittee, Roster, local_committee};
use crate::emergency::{
    AUDITOR_ROLE, Approval, ApprovalStatement, CloseEntry, EscrowRef, ReleaseEntry, RequestEntry,
    ReviewEntry, Tier, WitnessLink,
};
use crate::ids::{BlockHash, ContentId, OrganizationId, PersonId, sha256};
use crate::limits::{
    EMERGENCY_BLOCKS_MAX, EMERGENCY_MS_MAX, OFFLINE_MS_MAX, SEARCH_MS_MAX, SIGNED_AHEAD_MS_MAX,
};
use crate::mutant;
use crate::personal::LockerEntry;
use crate::policy::Personal;
use crate::policy::view::{PatientView, Signed};
use crate::search::SearchEntry;
use crate::sign1::Sign1;
use crate::wire::{Bytes, Wire};

fn locker_of(personal: &Personal) -> Option<&LockerEntry> {
    match personal {
        Personal::Locker(locker) => Some(locker),
        _ => None,
    }
}

impl<V: PatientView + ?Sized> Judge<'_, V> {
    pub(super) fn request(&self, e: &RequestEntry) -> Result<Wanted, Rejected> {
        ensure(self.content.organization == e.organization, Check::NotAuthorized)?;
        let signed_at = self.facts.signed_at;
        let lasts = signed_at < e.until && e.until - signed_at <= EMERGENCY_MS_MAX;
        ensure(lasts, Check::PeriodForm)?;
        let block = match e.after.0 {
            0 => BlockHash(self.content.network.0),
            height => self.view.block(height)?.ok_or(Check::StandsOnMissing)?,
        };
        ensure(block == e.after.1, Check::StandsOnWrong)?;
        self.committee(e)?;
        self.judge_label(e)?;
        if e.tier == Tier::Recovery {
            self.recovers(e)?;
        }
        self.searched(e)?;
        Ok(by(vec![self.person_cards(&e.requester, &e.organization, Slot::Signature)?], None))
    }

    /// A request on a search is its searcher's, and made soon after.
    fn searched(&self, e: &RequestEntry) -> Result<(), Rejected> {
        for known in &self.stands_on {
            let Personal::Search(search) = &known.entry else { continue };
            ensure(search.requester == e.requester, Check::StandsOnWrong)?;
            let soon = self.facts.signed_at <= search.at.saturating_add(SEARCH_MS_MAX);
            ensure(soon, Check::PeriodForm)?;
        }
        Ok(())
    }

    pub(super) fn search(&self, e: &SearchEntry) -> Result<Wanted, Rejected> {
        ensure(self.content.organization == e.organization, Check::NotAuthorized)?;
        ensure(self.content.stands_on.is_empty(), Check::StandsOnWrong)?;
        let now = e.at.abs_diff(self.facts.signed_at) <= SIGNED_AHEAD_MS_MAX;
        ensure(now, Check::PeriodForm)?;
        Ok(by(vec![self.person_cards(&e.requester, &e.organization, Slot::Signature)?], None))
    }

    // The label is made again from what it names, so that it is no other patient's, and of no other tier.
    fn judge_label(&self, e: &RequestEntry) -> Result<(), Rejected> {
        let (patient, enrolment) = self.the(patient_of)?;
        let (card, holder) = self.the(card_of)?;
        let (locker, epoch) = self.the(locker_of)?;
        let named = [patient.id, card.id, locker.id] == [e.enrolment, e.card, e.locker];
        ensure(named, Check::StandsOnWrong)?;
        // Whoever opens an epoch's escrow learns the secrets that its packet holds; a staged one has none.
        let mut escrows = Vec::new();
        for escrow in epoch.escrows.iter().filter(|e| !e.public.staged) {
            if escrow.public.tier == e.tier && self.is_for(escrow, e)? {
                escrows.push(escrow);
            }
        }
        let label =
            |escrow: &EscrowRef| escrow.label(self.content.network, &holder.agreement, &enrolment.home);
        ensure(escrows.into_iter().map(label).any(|label| label == e.label), Check::StandsOnWrong)
    }

    // An offline escrow is of one hospital that the patient named, and another's people don't ask for it.
    fn is_for(&self, escrow: &EscrowRef, e: &RequestEntry) -> Result<bool, Rejected> {
        if e.tier != Tier::Offline {
            return Ok(true);
        }
        let committee = self.view.committee(&escrow.guardians)?.ok_or(Check::StandsOnMissing)?;
        Ok(committee.local.is_some_and(|local| local.organization == e.organization))
    }

    /// The committee that a request names, which is the one of its tier; without a line, of the requester's organization.
    fn committee(&self, e: &RequestEntry) -> Result<CommitteeEntry, Rejected> {
        let committee = self.view.committee(&e.guardians)?.ok_or(Check::StandsOnMissing)?;
        let named = match e.tier.committee() {
            Some((name, _)) => committee.name == name,
            None => committee.name == local_committee(&e.organization),
        };
        ensure(named, Check::StandsOnWrong)?;
        Ok(committee)
    }

    pub(super) fn release(&self, e: &ReleaseEntry) -> Result<Wanted, Rejected> {
        let (known, request) = self.the(request_of)?;
        ensure(known.id == e.request, Check::StandsOnWrong)?;
        ensure(self.content.organization == request.organization, Check::WrongOrganization)?;
        ensure(self.facts.signed_at < request.until, Check::PeriodForm)?;
        let height = self.facts.height.unwrap_or(self.view.newest().height);
        let last = request.after.0.saturating_add(EMERGENCY_BLOCKS_MAX);
        // Without a line it is final once the line is back, however many blocks the others have made since.
        ensure(height <= last || request.tier == Tier::Offline, Check::PeriodForm)?;
        ensure(e.link.is_some() == (request.tier == Tier::Offline), Check::ScopeForm)?;
        if request.tier == Tier::Card {
            return self.released_by_card(e, request);
        }
        if request.tier == Tier::Recovery {
            self.recovery_stands()?;
        }
        let committee = self.committee(request)?;
        self.judge_people(e, request, &committee)?;
        if let (Some(signed), Some(local)) = (&e.link, &committee.local) {
            self.judge_link(signed, local, (&e.request, request))?;
        }
        for approval in &e.approvals {
            self.judge_approval(&e.request, approval)?;
        }
        let statement = request.release(self.content.network, e.request).encode();
        let shares = e.approvals.iter().map(|a| (a.index, &a.share)).collect::<Vec<_>>();
        let signature = e.signature.as_ref().ok_or(Check::MissingSignature)?;
        let signed = Signed { statement: &statement, shares: &shares, signature };
        let whole = self.view.threshold_signed(&request.guardians, signed)? || mutant!(ReleaseByFewer);
        ensure(whole, Check::BadSignature)?;
        Ok(by(Vec::new(), None))
    }

    // The request is named whole by what the card signs, its newest block included: a signature made before serves no
    // other, and lasts as long as its request. A card that was suspended before this is final releases nothing.
    fn released_by_card(&self, e: &ReleaseEntry, request: &RequestEntry) -> Result<Wanted, Rejected> {
        let members = self.view.membership();
        let on = self.facts.height.is_some() || members.allows_tier_zero(&request.organization);
        ensure(on, Check::NotAuthorized)?;
        let (card, holder) = self.the(card_of)?;
        ensure(card.id == request.card, Check::StandsOnWrong)?;
        let presence = e.presence.as_ref().ok_or(Check::MissingSignature)?;
        if mutant!(PresenceUnread) {
            return Ok(by(Vec::new(), Some(under(card)?)));
        }
        let signed = Sign1::parse(presence)?;
        ensure(signed.kid() == holder.presence.id(), Check::WrongSigner)?;
        let statement = request.release(self.content.network, e.request).encode();
        ensure(signed.payload() == statement, Check::ContentMismatch)?;
        signed.verify(&holder.presence, Context::Presence, &self.content.network)?;
        Ok(by(Vec::new(), Some(under(card)?)))
    }

    // What was opened before is not judged here: who holds one link need not hold the others. Gaps and doubles are an alarm.
    fn judge_link(
        &self,
        signed: &Bytes,
        local: &LocalCommittee,
        (id, request): (&ContentId, &RequestEntry),
    ) -> Result<(), Rejected> {
        let (signed, link) = WitnessLink::read(signed)?;
        ensure(signed.kid() == local.witness.id(), Check::WrongSigner)?;
        signed.verify(&local.witness, Context::WitnessLink, &self.content.network)?;
        let label = sha256(&[&request.label.encode()]);
        let of_this = (link.network, link.organization, link.request, link.requester, link.label, link.after)
            == (self.content.network, request.organization, *id, request.requester, label, request.after);
        ensure(of_this && link.counter > 0, Check::ContentMismatch)?;
        ensure(link.at < request.until && link.at <= self.facts.signed_at, Check::PeriodForm)?;
        let newest = self.view.block_time(request.after.0)?.ok_or(Check::StandsOnMissing)?;
        ensure(link.at.saturating_sub(newest) <= OFFLINE_MS_MAX, Check::PeriodForm)
    }

    fn judge_people(
        &self,
        e: &ReleaseEntry,
        request: &RequestEntry,
        committee: &CommitteeEntry,
    ) -> Result<(), Rejected> {
        let Roster::Guardians(roster) = &committee.roster else { return Err(Check::StandsOnWrong.into()) };
        let place = |a: &Approval| usize::try_from(a.index).ok()?.checked_sub(1);
        let at_place = |a: &Approval| place(a).and_then(|n| roster.get(n)) == Some(&a.person);
        ensure(e.approvals.iter().all(at_place), Check::NotAuthorized)?;
        let people = request.tier.people();
        let needed = usize::try_from(committee.shares_needed).unwrap_or(usize::MAX).max(people);
        let needed = needed - usize::from(mutant!(ReleaseByFewer));
        ensure(e.approvals.len() >= needed, Check::MissingSignature)?;
        if request.tier.wants_others() {
            let own = e.approvals.iter().any(|a| a.person == request.requester);
            ensure(!own, Check::NotAuthorized)?;
            let members = self.view.membership();
            let elsewhere = |a: &Approval| {
                let person = members.people.get(&a.person);
                person.is_some_and(|p| p.organization != request.organization)
            };
            ensure(e.approvals.iter().any(elsewhere), Check::NotAuthorized)?;
        }
        Ok(())
    }

    fn judge_approval(&self, request: &ContentId, approval: &Approval) -> Result<(), Rejected> {
        let person = self.view.membership().people.get(&approval.person).ok_or(Check::UnknownSigner)?;
        let cards = self.person_cards(&approval.person, &person.organization, Slot::Signature)?;
        let signed = Sign1::parse(&approval.signed)?;
        self.signed_alone(&signed, &cards)?;
        let statement = ApprovalStatement::decode(signed.payload())?;
        ensure(statement.request == *request, Check::ContentMismatch)
    }

    // A signature that is no tap's: one card over one statement.
    fn signed_alone(&self, signed: &Sign1<'_>, cards: &Group) -> Result<(), Rejected> {
        let kid = signed.kid();
        let of = |keys: &[crate::keys::VerifyingKey]| keys.iter().find(|key| key.id() == kid).cloned();
        if let Some(key) = of(&cards.accepted) {
            return signed.verify(&key, Context::Approval, &self.content.network);
        }
        Err(if of(&cards.ended).is_some() { Check::CardSuspended } else { Check::WrongSigner }.into())
    }

    /// The request of the release that this stands on.
    fn released(&self, release: &ContentId) -> Result<(ReleaseEntry, RequestEntry), Rejected> {
        let (known, entry) = self.the(release_of)?;
        ensure(known.id == *release, Check::StandsOnWrong)?;
        match self.view.entry(&entry.request)?.map(|known| known.entry) {
            Some(Personal::Request(request)) => Ok((entry.clone(), *request)),
            _ => Err(Check::StandsOnMissing.into()),
        }
    }

    fn is_home_now(&self, request: &RequestEntry, organization: &OrganizationId) -> Result<bool, Rejected> {
        let patient = self.view.patient(&request.patient)?;
        Ok(patient.is_some_and(|patient| patient.entry.home == *organization))
    }

    pub(super) fn close(&self, e: &CloseEntry) -> Result<Wanted, Rejected> {
        let (_, request) = self.released(&e.release)?;
        let may = e.person == request.requester || self.is_home_now(&request, &e.organization)?;
        ensure(may, Check::NotAuthorized)?;
        Ok(by(vec![self.person_cards(&e.person, &e.organization, Slot::Signature)?], None))
    }

    pub(super) fn review(&self, e: &ReviewEntry) -> Result<Wanted, Rejected> {
        let (release, request) = self.released(&e.release)?;
        let took_part = |person: &PersonId| {
            *person == request.requester || release.approvals.iter().any(|a| a.person == *person)
        };
        let reviewer = self.view.membership().people.get(&e.reviewer).ok_or(Check::UnknownSigner)?;
        let auditor = reviewer.roles.iter().any(|role| role == AUDITOR_ROLE) && !took_part(&e.reviewer);
        let concerned =
            e.organization == request.organization || self.is_home_now(&request, &e.organization)?;
        ensure(auditor && concerned, Check::NotAuthorized)?;
        Ok(by(vec![self.person_cards(&e.reviewer, &e.organization, Slot::Signature)?], None))
    }
}

fn request_of(personal: &Personal) -> Option<&RequestEntry> {
    match personal {
        Personal::Request(request) => Some(request),
        _ => None,
    }
}

fn release_of(personal: &Personal) -> Option<&ReleaseEntry> {
    match personal {
        Personal::Release(release) => Some(release),
        _ => None,
    }
}
