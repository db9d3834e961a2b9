//! Enrolling people, replacing and suspending their cards: the organization's card and the person's own sign one tap after the other.
//!
//! The organization's card also seals its epoch secret to the new member's card, so that the member opens what the
//! organization authored and what patients opened to it.

use std::sync::Arc;

use hospes_card::{Card, CardSerial, Object, Slot};
use hospes_protocol::control::{OrganizationKeyEntry, PractitionerEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{NetworkId, ObjectId, OrganizationId, PersonId, sha256};
use hospes_protocol::keys::{AgreementKey, VerifyingKey};
use hospes_storage::{Objects, Write};
use serde_json::json;

use super::compose::{Entry, Place, file, sign_entries};
use super::error::DeskError;
use super::organization::{Secrets, epoch_key, newest_key};
use super::sessions::Session;
use super::taps::{Shown, Tap, TapView};
use super::vouched::Vouched;
use super::{Desk, random, text};
use crate::words;

/// A person to enrol.
#[derive(Clone, Debug)]
pub(crate) struct EnrolPerson {
    /// The person's card, which is in.
    pub(crate) card: CardSerial,
    /// Roles of the organization.
    pub(crate) roles: Vec<String>,
    /// In the public register; unique in the federation.
    pub(crate) register_number: String,
    /// The registry's attestation; empty for none.
    pub(crate) attestation: Vec<u8>,
}

/// Public keys of a person's card.
struct CardKeys {
    authentication: VerifyingKey,
    signature: VerifyingKey,
    agreement: AgreementKey,
}

/// What the organization's card needs to know in its step.
struct OrganizationStep {
    place: Place,
    objects: Arc<dyn Objects>,
    certified: Option<OrganizationKeyEntry>,
    secrets: Secrets,
    own: Vec<AgreementKey>,
    member: AgreementKey,
    shown: Shown,
    person: Entry,
    vouched: Vouched,
}

impl Desk {
    /// Enrols a person: `{person, entry, card}`, the last what the card's maker says of it.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::SignerAbsent`] without the organization's card; the tap says what else
    /// went wrong.
    pub(crate) async fn enrol_person(
        &self,
        session: &Arc<Session>,
        request: EnrolPerson,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let keys = self.keys_of(&request.card)?;
        let mut roles = request.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        let payload = PractitionerEntry {
            person: None,
            organization: self.0.parts.organization,
            register_number: request.register_number.clone(),
            roles: roles.clone(),
            authentication: keys.authentication,
            signature: keys.signature,
            agreement: keys.agreement,
            attestation: self.keep_attestation(&request.attestation)?,
            standing: Standing::Active,
        };
        let vouched = self.vouched(request.card).await?;
        let organization = self.organization_name().await?;
        let shown = text::enrol_person(&organization, &roles, &request.register_number, &vouched);
        self.put_person(session, ("enrol-person", shown), (request.card, vouched), payload).await
    }

    /// Gives a person of this node's organization another card in place of the one that is lost, broken or
    /// suspended: `{person, entry, card}`. Roles and register number stay.
    ///
    /// # Errors
    /// As [`Desk::enrol_person`]; [`DeskError::Unknown`], [`DeskError::CardInUse`].
    pub(crate) async fn replace_card(
        &self,
        session: &Arc<Session>,
        person: PersonId,
        card: CardSerial,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let keys = self.keys_of(&card)?;
        let new = [keys.authentication.id(), keys.signature.id(), keys.agreement.id()];
        let (known, taken) = self
            .ask(move |service| {
                let members = &service.state().membership;
                let taken = new.iter().any(|key| members.key_taken(key, None));
                Ok((members.people.get(&person).cloned(), taken))
            })
            .await?;
        let known = known.ok_or(DeskError::Unknown("this person"))?;
        if known.organization != self.0.parts.organization {
            return Err(DeskError::NotAllowed("only the person's organization can do this"));
        }
        if known.standing == Standing::Removed {
            return Err(DeskError::Invalid("this person was removed for good: enrol the card anew"));
        }
        if taken {
            return Err(DeskError::CardInUse);
        }
        let payload = PractitionerEntry {
            person: Some(person),
            authentication: keys.authentication,
            signature: keys.signature,
            agreement: keys.agreement,
            standing: Standing::Active,
            ..known
        };
        let vouched = self.vouched(card).await?;
        let organization = self.organization_name().await?;
        let shown = text::replace_card(&organization, &payload.register_number, &vouched);
        self.put_person(session, ("replace-card", shown), (card, vouched), payload).await
    }

    fn keys_of(&self, card: &CardSerial) -> Result<CardKeys, DeskError> {
        let info = self.card_info(card)?;
        let lacking = || DeskError::Invalid("the card lacks a key");
        Ok(CardKeys {
            authentication: info.authentication.ok_or_else(lacking)?,
            signature: info.signature.ok_or_else(lacking)?,
            agreement: info.key_management.ok_or_else(lacking)?,
        })
    }

    /// The tap of the organization's card, then of the person's, over a person's entry.
    async fn put_person(
        &self,
        session: &Arc<Session>,
        (kind, shown): (&'static str, Shown),
        (card, vouched): (CardSerial, Vouched),
        payload: PractitionerEntry,
    ) -> Result<TapView, DeskError> {
        let (serial, own) = self.organization_card().await?;
        let mut rng = random::generator()?;
        let known = payload.person;
        let person = self.0.place.entry(Kind::Practitioner, &[], &payload, None, &mut rng);
        let organization = self.0.parts.organization;
        let certified = self.ask(move |s| Ok(s.state().membership.keys.get(&organization).cloned())).await?;
        let current = newest_key(&*self.0.parts.objects, &organization, certified.clone())?;
        let step = OrganizationStep {
            place: self.0.place,
            objects: self.0.parts.objects.clone(),
            certified,
            secrets: self.organization_secrets(session, current.as_ref()).await?,
            own: own.agreement,
            member: payload.agreement,
            shown: shown.clone(),
            person,
            vouched,
        };
        let desk = self.clone();
        self.0.taps.begin(kind, shown, serial, move |tap| desk.run_put_person(tap, serial, card, step, known))
    }

    /// Keeps a salted attestation as an erasable object; gives its hash for the ledger, zeros for none.
    fn keep_attestation(&self, bytes: &[u8]) -> Result<[u8; 32], DeskError> {
        if bytes.is_empty() {
            return Ok([0; 32]);
        }
        let salted = [&random::bytes::<32>()?, bytes].concat();
        let hash = sha256(&[&salted]);
        let id = ObjectId::of_structured(&salted);
        self.0.parts.objects.apply(&[Write::Object { id, patient: None, bytes: salted }])?;
        Ok(hash)
    }

    async fn run_put_person(
        self,
        mut tap: Tap,
        organization_card: CardSerial,
        person_card: CardSerial,
        step: OrganizationStep,
        known: Option<PersonId>,
    ) -> Result<serde_json::Value, DeskError> {
        let (place, shown, vouched) = (step.place, step.shown.clone(), words::vouched(&step.vouched));
        let mut entries = tap.card(organization_card, move |card| sign_by_organization(card, step)).await?;
        let entries = tap
            .card(person_card, move |mut card| {
                // Signed first: a PIV card wants the PIN to be the very command before a signature in 9C.
                let person = entries.get_mut(..1).ok_or(DeskError::Stopping)?;
                sign_entries(&mut card.signer(Slot::Signature)?, &place.network, &shown, person)?;
                write_place(card.as_mut(), &place.network, &place.organization)?;
                Ok(entries)
            })
            .await?;
        let filed = file(&self.0.parts.service, entries).await?;
        let entry = filed.first().map(|f| f.content.to_string());
        let person = known.map(|id| id.to_string()).or_else(|| entry.clone());
        Ok(json!({ "person": person, "entry": entry, "card": vouched }))
    }

    /// Suspends a person of this node's organization: `{entry, header}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::Unknown`]; the tap says what else went wrong.
    pub(crate) async fn suspend_person(
        &self,
        session: &Arc<Session>,
        person: PersonId,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let known = self.ask(move |s| Ok(s.state().membership.people.get(&person).cloned())).await?;
        let entry = known.ok_or(DeskError::Unknown("this person"))?;
        if entry.organization != self.0.parts.organization {
            return Err(DeskError::NotAllowed("only the person's organization can do this"));
        }
        let suspended = PractitionerEntry { person: Some(person), standing: Standing::Suspended, ..entry };
        let shown = text::suspend_person(&self.organization_name().await?, &suspended.register_number);
        let entry = self.0.place.entry(Kind::Practitioner, &[], &suspended, None, &mut random::generator()?);
        self.one_card("suspend-person", shown, entry).await
    }
}

/// Writes on a card which network and organization it belongs to.
pub(super) fn write_place(
    card: &mut dyn Card,
    network: &NetworkId,
    organization: &OrganizationId,
) -> Result<(), DeskError> {
    let mut rng = random::generator()?;
    card.write_object(Object::Network, &network.0, &mut rng)?;
    card.write_object(Object::HomeOrganization, &organization.0, &mut rng)?;
    Ok(())
}

fn sign_by_organization(mut card: Box<dyn Card>, step: OrganizationStep) -> Result<Vec<Entry>, DeskError> {
    let (mut rng, network) = (random::generator()?, step.place.network);
    // Looked up again: another enrolment may have ended since.
    let current = newest_key(&*step.objects, &step.place.organization, step.certified)?;
    let mut key = epoch_key(current.as_ref(), &step.own, step.secrets, &network, &mut rng)?;
    key.add(&step.member, &network, &mut rng)?;
    // Sealed to cards that are enrolled or about to be; without the entries nobody looks for them.
    key.store(&*step.objects, step.place.organization)?;
    let payload = key.entry(step.place.organization);
    let named = step.place.entry(Kind::OrganizationKey, &[], &payload, None, &mut rng);
    let mut entries = vec![step.person, named];
    sign_entries(&mut card.signer(Slot::Signature)?, &network, &step.shown, &mut entries)?;
    Ok(entries)
}
