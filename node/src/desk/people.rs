//! Enrolling and suspending people: the organization's card and the person's own sign one tap after the other.
//!
//! The organization's card also seals its epoch secret to the new member's card, so that the member opens what the
//! organization authored and what patients opened to it.

use std::sync::Arc;

use hospes_card::{Card, CardSerial, Object, Slot};
use hospes_protocol::control::{OrganizationKeyEntry, PractitionerEntry, Standing};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{NetworkId, ObjectId, OrganizationId, PersonId, sha256};
use hospes_protocol::keys::AgreementKey;
use hospes_storage::{Objects, Write};
use serde_json::json;

use super::compose::{Entry, Place, file, sign_entries};
use super::error::DeskError;
use super::organization::{epoch_key, newest_key};
use super::sessions::Session;
use super::taps::{Shown, Tap, TapView};
use super::{Desk, random, text};

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

/// What the organization's card needs to know in its step.
struct OrganizationStep {
    place: Place,
    objects: Arc<dyn Objects>,
    current: Option<OrganizationKeyEntry>,
    own: Vec<AgreementKey>,
    member: AgreementKey,
    shown: Shown,
    person: Entry,
}

impl Desk {
    /// Enrols a person: `{person, entry}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::NotHere`] without the organization's card; the tap says what else
    /// went wrong.
    pub(crate) async fn enrol_person(
        &self,
        session: &Arc<Session>,
        request: EnrolPerson,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (serial, own) = self.organization_card().await?;
        let info = self.card_info(&request.card)?;
        let lacking = || DeskError::Invalid("the card lacks a key");
        let mut roles = request.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        let mut rng = random::generator()?;
        let payload = PractitionerEntry {
            person: None,
            organization: self.0.parts.organization,
            register_number: request.register_number.clone(),
            roles: roles.clone(),
            authentication: info.authentication.clone().ok_or_else(lacking)?,
            signature: info.signature.clone().ok_or_else(lacking)?,
            agreement: info.key_management.clone().ok_or_else(lacking)?,
            attestation: self.keep_attestation(&request.attestation)?,
            standing: Standing::Active,
        };
        let person = self.0.place.entry(Kind::Practitioner, &[], &payload, None, &mut rng);
        let organization = self.0.parts.organization;
        let certified = self.ask(move |s| Ok(s.state().membership.keys.get(&organization).cloned())).await?;
        let current = newest_key(&*self.0.parts.objects, &organization, certified)?;
        let shown = text::enrol_person(&own.name, &roles, &request.register_number);
        let step = OrganizationStep {
            place: self.0.place,
            objects: self.0.parts.objects.clone(),
            current,
            own: own.agreement,
            member: payload.agreement,
            shown: shown.clone(),
            person,
        };
        let desk = self.clone();
        self.0.taps.begin("enrol-person", shown, serial, move |tap| {
            desk.run_enrol_person(tap, serial, request.card, step)
        })
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

    async fn run_enrol_person(
        self,
        mut tap: Tap,
        organization_card: CardSerial,
        person_card: CardSerial,
        step: OrganizationStep,
    ) -> Result<serde_json::Value, DeskError> {
        let (place, shown) = (step.place, step.shown.clone());
        let mut entries = tap.card(organization_card, move |card| sign_by_organization(card, step)).await?;
        let entries = tap
            .card(person_card, move |mut card| {
                write_place(card.as_mut(), &place.network, &place.organization)?;
                let person = entries.get_mut(..1).ok_or(DeskError::Stopping)?;
                sign_entries(&mut card.signer(Slot::Signature)?, &place.network, &shown, person)?;
                Ok(entries)
            })
            .await?;
        let filed = file(&self.0.parts.service, entries).await?;
        let id = filed.first().map(|f| f.content.to_string());
        Ok(json!({ "person": id, "entry": id }))
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
    let current = step.current.as_ref();
    let mut key = epoch_key(&*step.objects, current, &step.own, card.as_mut(), &network, &mut rng)?;
    key.add(&step.member, &network, &mut rng)?;
    // Sealed to cards that are enrolled or about to be; without the entries nobody looks for them.
    key.store(&*step.objects, step.place.organization)?;
    let payload = key.entry(step.place.organization);
    let named = step.place.entry(Kind::OrganizationKey, &[], &payload, None, &mut rng);
    let mut entries = vec![step.person, named];
    sign_entries(&mut card.signer(Slot::Signature)?, &network, &step.shown, &mut entries)?;
    Ok(entries)
}
