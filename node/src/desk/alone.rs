//! Tier 0: the patient's card lies in a reader and nobody else is awake. The practitioner's card signs the request, the
//! patient's signs its release by the key that needs no PIN, and both are filed together or not at all.
//!
//! The card has one half of what opens the escrow in a free object; the validators give the other once the release is
//! final, as for every tier.

use std::sync::Arc;

use hospes_card::{Card, CardSerial, Object, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::{ReleaseEntry, RequestEntry};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{OrganizationId, PersonId};
use hospes_protocol::keys::KeyError;
use hospes_protocol::policy::{PatientView as _, Personal};
use hospes_protocol::sign1::sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::NotAlone;
use hospes_service::service::Service;
use serde_json::json;
use zeroize::Zeroizing;

use super::compose::{Entry, file, sign_in_turn};
use super::error::DeskError;
use super::readers::hold;
use super::sessions::Session;
use super::taps::{Shown, TapView, blocking};
use super::{Desk, random};

/// Refuses a person who may not open by the patient's card alone.
///
/// # Errors
/// [`DeskError::NotAllowed`] with what to do instead; of the store.
pub(super) fn may_alone(
    service: &Service,
    person: &PersonId,
    organization: &OrganizationId,
) -> Result<(), DeskError> {
    match service.not_alone(person, organization, None)? {
        None => Ok(()),
        Some(NotAlone::SwitchedOff) => Err(DeskError::NotAllowed(
            "one person alone opens nothing here: ask two guardians (tier summary)",
        )),
        Some(NotAlone::Unreviewed) => Err(DeskError::NotAllowed(
            "three openings by the patient's card alone wait for their review: ask two guardians (tier summary)",
        )),
    }
}

/// The card's half of tier 0; null where it holds none.
///
/// # Errors
/// As the card.
pub(super) fn half_of(card: &mut dyn Card) -> Result<Option<Zeroizing<[u8; 32]>>, KeyError> {
    let bytes = card.read_object(Object::TierZeroHalf)?;
    Ok(bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok()).map(Zeroizing::new))
}

impl Desk {
    /// Files a request with its release by the patient's card, which is in a reader: `{request, release}`.
    pub(super) fn sign_present(
        &self,
        session: &Arc<Session>,
        shown: Shown,
        (entry, request): (Entry, RequestEntry),
        patient_card: CardSerial,
    ) -> Result<TapView, DeskError> {
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin("break-glass", shown, serial, move |mut tap| async move {
            let (network, id) = (desk.0.parts.network, entry.id());
            let key = entry.key.clone();
            let mut entries = sign_in_turn(&mut tap, [serial], &network, &signed, vec![entry]).await?;
            let statement = request.release(network, id).encode();
            let presence = desk
                .without_pin(patient_card, move |card| {
                    let mut signer = card.signer(Slot::CardAuthentication)?;
                    Ok(sign1(&mut signer, Context::Presence, &network, &statement)?)
                })
                .await?;
            let release = ReleaseEntry {
                patient: request.patient,
                request: id,
                approvals: Vec::new(),
                signature: None,
                presence: Some(Bytes(presence)),
                link: None,
            };
            let mut rng = random::generator()?;
            entries.push(desk.0.place.entry(Kind::Release, &[id, request.card], &release, key, &mut rng));
            let filed = file(&desk.0.parts.service, entries).await?;
            let mut ids = filed.iter().map(|f| f.content.to_string());
            Ok(json!({ "request": ids.next(), "release": ids.next() }))
        })
    }

    /// The half of a request's escrow that lies on the patient's card, which must be in a reader.
    ///
    /// # Errors
    /// [`DeskError::SignerAbsent`] where it isn't; [`DeskError::Unknown`] for a card entry that is not here.
    pub(super) async fn half_on_card(
        &self,
        request: &RequestEntry,
    ) -> Result<Zeroizing<[u8; 32]>, DeskError> {
        let entry = request.card;
        let presence = self
            .ask(move |service| match service.view().entry(&entry)?.map(|known| known.entry) {
                Some(Personal::Card(card)) => Ok(card.presence.clone()),
                _ => Err(DeskError::Unknown("the patient's card")),
            })
            .await?;
        let cards = self.0.parts.readers.cards();
        let serial = cards.iter().find(|(_, info)| info.card_authentication.as_ref() == Some(&presence));
        let absent = DeskError::SignerAbsent("the patient's card is not in a reader");
        let serial = serial.map(|(_, info)| info.serial).ok_or(absent)?;
        let half = self.without_pin(serial, |card| Ok(half_of(card)?)).await?;
        half.ok_or(DeskError::Invalid("the patient's card has no half of an escrow"))
    }

    async fn without_pin<R: Send + 'static>(
        &self,
        serial: CardSerial,
        work: impl FnOnce(&mut dyn Card) -> Result<R, DeskError> + Send + 'static,
    ) -> Result<R, DeskError> {
        let readers = self.0.parts.readers.clone();
        blocking(move || {
            let bus = readers.bus(&serial)?;
            let _working = hold(&bus);
            work(readers.connect(&serial)?.as_mut())
        })
        .await
    }
}
