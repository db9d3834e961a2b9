//! Whose cards count, and whether they signed.

use super::{Group, Judge};
use crate::check::{Check, Rejected, ensure};
use crate::control::Standing;
use crate::ids::{OrganizationId, PersonId};
use crate::keys::VerifyingKey;
use crate::personal::CardEntry;
use crate::policy::Personal;
use crate::policy::view::{Known, PatientView, Under};
use crate::tap::TapPayload;

/// A slot of a practitioner's card.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// 9A.
    Authentication,
    /// 9C.
    Signature,
}

impl Group {
    pub(super) fn one(key: VerifyingKey) -> Self {
        Self { accepted: vec![key], ended: Vec::new() }
    }

    fn push(&mut self, stands: bool, key: VerifyingKey) {
        if stands { &mut self.accepted } else { &mut self.ended }.push(key);
    }
}

pub(super) fn card_of(personal: &Personal) -> Option<&CardEntry> {
    match personal {
        Personal::Card(card) => Some(card),
        _ => None,
    }
}

pub(super) fn under(known: &Known<Personal>) -> Result<Under, Rejected> {
    Ok(Under { entry: known.id, lock: known.lock.ok_or(Check::StandsOnWrong)? })
}

impl<V: PatientView + ?Sized> Judge<'_, V> {
    /// The patient's card that it stands on.
    pub(super) fn patient_card(&self, slot: Slot) -> Result<(Group, Under), Rejected> {
        let (known, card) = self.the(card_of)?;
        let key = if slot == Slot::Signature { &card.signature } else { &card.authentication };
        Ok((Group::one(key.clone()), under(known)?))
    }

    /// The cards of an organization.
    pub(super) fn organization_cards(&self, id: &OrganizationId) -> Result<Group, Rejected> {
        let entry = self.view.membership().organizations.get(id).ok_or(Check::UnknownOrganization)?;
        let mut group = Group { accepted: Vec::new(), ended: Vec::new() };
        let active = entry.standing == Standing::Active;
        entry.cards.iter().for_each(|key| group.push(active, key.clone()));
        for (key, until) in self.view.former_organization_cards(id)? {
            group.push(self.final_before(until), key);
        }
        Ok(group)
    }

    /// The cards of a person, who must be of `organization`.
    pub(super) fn person_cards(
        &self,
        id: &PersonId,
        organization: &OrganizationId,
        slot: Slot,
    ) -> Result<Group, Rejected> {
        let members = self.view.membership();
        let person = members.people.get(id).ok_or(Check::UnknownSigner)?;
        ensure(person.organization == *organization, Check::NotAuthorized)?;
        let active =
            person.standing == Standing::Active && members.organization(&person.organization).is_some();
        let pick = |signature: &VerifyingKey, authentication: &VerifyingKey| match slot {
            Slot::Signature => signature.clone(),
            Slot::Authentication => authentication.clone(),
        };
        let mut group = Group { accepted: Vec::new(), ended: Vec::new() };
        group.push(active, pick(&person.signature, &person.authentication));
        for card in self.view.former_cards(id)? {
            group.push(self.final_before(card.until), pick(&card.signature, &card.authentication));
        }
        Ok(group)
    }

    /// A card of any practitioner of an organization among those that signed.
    pub(super) fn any_practitioner(&self, organization: &OrganizationId) -> Result<Group, Rejected> {
        let members = self.view.membership();
        let holder = |signature: &crate::tap::CardSignature| members.person_by_key(&signature.kid().ok()?);
        let mut group = Group { accepted: Vec::new(), ended: Vec::new() };
        let signers = self.body.signatures.iter().filter_map(holder);
        for (id, _) in signers.filter(|(_, person)| person.organization == *organization) {
            let cards = self.person_cards(id, organization, Slot::Signature)?;
            group.accepted.extend(cards.accepted);
            group.ended.extend(cards.ended);
        }
        Ok(group)
    }

    /// One signature of each group; what was shown with them.
    ///
    /// # Errors
    /// [`Check::CardSuspended`] where a card that ended signed instead, [`Check::WrongSigner`] where only cards signed
    /// that nobody asked, [`Check::MissingSignature`] where some are missing; that of a signature that fails.
    pub(super) fn signed(&self, groups: &[Group]) -> Result<Vec<TapPayload>, Rejected> {
        let verdicts: Vec<_> = groups.iter().map(|g| self.signed_by_any(g)).collect();
        let stranger = verdicts.iter().all(|v| *v == Err(Check::MissingSignature.into()));
        if stranger && !verdicts.is_empty() && !self.body.signatures.is_empty() {
            return Err(Check::WrongSigner.into());
        }
        verdicts.into_iter().collect()
    }

    fn signed_by_any(&self, group: &Group) -> Result<TapPayload, Rejected> {
        let mut why = Rejected::from(Check::MissingSignature);
        for key in &group.accepted {
            match self.view.signed_by(self.body, key, &self.content.network) {
                Ok(shown) => return Ok(shown),
                Err(e) if e.check != Check::MissingSignature => why = e,
                Err(_) => {}
            }
        }
        let ended = |key| self.view.signed_by(self.body, key, &self.content.network).is_ok();
        if group.ended.iter().any(ended) { Err(Check::CardSuspended.into()) } else { Err(why) }
    }
}
