//! Erasing: the patient orders that records, or everything of the patient, are destroyed, and takes it back.
//!
//! The order is signed by the patient's card and by a card of each organization that answers for what is erased, all
//! of them in readers of this desk, over one text. It waits for the federation's cooling-off; taking it back is one tap
//! of the patient alone. What is destroyed, and when, the service decides.

use std::sync::Arc;

use hospes_card::{CardSerial, Slot};
use hospes_protocol::control::OrganizationEntry;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, OrganizationId};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::personal::{Author, ErasureEntry, RevocationEntry, Revoked};
use hospes_service::records::ErasurePhase;
use hospes_service::service::Service;
use serde_json::json;

use super::compose::{file, sign_entries, sign_in_turn};
use super::error::DeskError;
use super::revocations::reveals;
use super::sessions::Session;
use super::sign_in::name_of;
use super::taps::{Shown, TapView, blocking};
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;
use crate::words;

/// What to erase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Erase {
    /// These records, with what was derived from them and what amends them.
    Records(Vec<ContentId>),
    /// Everything of the patient.
    Everything,
}

/// An order that is ready to be signed.
struct Order {
    payload: ErasureEntry,
    card_entry: ContentId,
    /// Cards of the organizations that answer for it.
    beside: Vec<CardSerial>,
    shown: Shown,
}

/// A card in a reader, with its 9C.
type InReader = (CardSerial, VerifyingKey);

impl Desk {
    /// Orders an erasure: `{erasure, not_before}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient, [`DeskError::Unknown`] for a record that is not the
    /// patient's, [`DeskError::SignerAbsent`] where the card of an organization that answers for it is not in a reader.
    pub(crate) async fn erase(&self, session: &Arc<Session>, what: Erase) -> Result<TapView, DeskError> {
        let cards = self.0.parts.readers.cards().into_iter();
        let cards: Vec<InReader> =
            cards.filter_map(|(_, info)| Some((info.serial, info.signature?))).collect();
        let asking = session.clone();
        let order = self.ask(move |service| order(service, &asking, &what, &cards)).await?;
        let opened = session.clone();
        let secret = blocking(move || opened.secret()).await?;
        let (place, not_before) = (self.0.place, order.payload.not_before);
        let k = secret.k(&place.organization);
        let mut rng = random::generator()?;
        let mut entry = place.entry(Kind::Erasure, &[order.card_entry], &order.payload, Some(k), &mut rng);
        entry.locked(&secret.lock_key());
        let (desk, serial, shown) = (self.clone(), session.card, order.shown.clone());
        self.0.taps.begin("erase", order.shown, serial, move |mut tap| async move {
            let cards = std::iter::once(serial).chain(order.beside);
            let entries = sign_in_turn(&mut tap, cards, &place.network, &shown, vec![entry]).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let erasure = filed.first().map(|f| f.content.to_string());
            Ok(json!({ "erasure": erasure, "not_before": words::rfc3339(not_before) }))
        })
    }

    /// Takes an erasure back: `{erasure, revocation}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone but the patient, [`DeskError::Unknown`], [`DeskError::Invalid`] once its time
    /// has come.
    pub(crate) async fn take_back(
        &self,
        session: &Arc<Session>,
        erasure: ContentId,
    ) -> Result<TapView, DeskError> {
        let asking = session.clone();
        let card_entry = self.ask(move |service| may_take_back(service, &asking, &erasure)).await?;
        let (patient, _) = session.patient()?;
        let (opened, objects) = (session.clone(), self.0.parts.objects.clone());
        let network = self.0.parts.network;
        let (secret, reveals) = blocking(move || {
            let secret = opened.secret()?;
            let reveals = reveals(&*objects, &network, &secret.lock_key(), &[erasure])?;
            Ok((secret, reveals))
        })
        .await?;
        if reveals.is_empty() {
            return Err(DeskError::Unknown("the lock of this erasure"));
        }
        let revoked = Revoked::Entries(vec![erasure]);
        let payload = RevocationEntry { patient, by_proxy: None, revoked };
        let place = self.0.place;
        let k = secret.k(&place.organization);
        let mut entry =
            place.entry(Kind::Revocation, &[card_entry], &payload, Some(k), &mut random::generator()?);
        entry.reveal = reveals.into_iter().map(|(_, reveal)| reveal).collect();
        let shown = patient_text::take_back(session.language);
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin("take-back", shown, serial, move |mut tap| async move {
            let entries = tap
                .card(serial, move |mut card| {
                    let (mut entries, mut signer) = (vec![entry], card.signer(Slot::Signature)?);
                    sign_entries(&mut signer, &place.network, &signed, &mut entries)?;
                    Ok(entries)
                })
                .await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let revocation = filed.first().map(|f| f.content.to_string());
            Ok(json!({ "erasure": erasure.to_string(), "revocation": revocation }))
        })
    }
}

fn order(service: &Service, session: &Session, what: &Erase, cards: &[InReader]) -> Result<Order, DeskError> {
    let (patient, home) = session.patient()?;
    let (_, card) = service.card_entry(&session.authentication)?.ok_or(DeskError::UnknownCard)?;
    let mut answering = Vec::new();
    let (mut records, mut titles) = (Vec::new(), Vec::new());
    match what {
        Erase::Everything => answering.push(home),
        Erase::Records(asked) => {
            let all = service.records_of(&patient)?;
            if asked.is_empty() || asked.iter().any(|id| all.iter().all(|r| r.content != *id)) {
                return Err(DeskError::Unknown("this record of yours"));
            }
            for record in &all {
                let from = [Some(record.content), record.entry.derived_from, record.entry.amends];
                if !from.into_iter().flatten().any(|id| asked.contains(&id)) {
                    continue;
                }
                records.push(record.content);
                titles.push(record.entry.title.clone());
                if record.entry.author != Author::Patient {
                    answering.push(record.entry.organization);
                }
            }
        }
    }
    records.sort_unstable();
    answering.sort_unstable();
    answering.dedup();
    let beside =
        answering.iter().map(|id| organizations_card(service, id, cards)).collect::<Result<_, _>>()?;
    let not_before = clock_ms().saturating_add(service.state().membership.policy.cooling_off_ms);
    let names: Vec<_> = answering.iter().map(|id| name_of(service, id)).collect();
    let shown = patient_text::erase(session.language, &titles, not_before, &names);
    let payload = ErasureEntry { patient, records, not_before };
    Ok(Order { payload, card_entry: card.id, beside, shown })
}

fn organizations_card(
    service: &Service,
    id: &OrganizationId,
    cards: &[InReader],
) -> Result<CardSerial, DeskError> {
    let entry: Option<&OrganizationEntry> = service.state().membership.organization(id);
    let is_its = |key: &VerifyingKey| entry.is_some_and(|entry| entry.cards.contains(key));
    let found = cards.iter().find(|(_, key)| is_its(key)).map(|(serial, _)| *serial);
    found.ok_or(DeskError::SignerAbsent(
        "the organization that answers for it must sign too, and its card is not in a reader",
    ))
}

/// The card entry under which the patient takes an erasure back.
fn may_take_back(service: &Service, session: &Session, erasure: &ContentId) -> Result<ContentId, DeskError> {
    let (patient, _) = session.patient()?;
    let unknown = || DeskError::Unknown("this erasure of yours");
    let known = service.erasure(erasure)?.filter(|e| e.entry.patient == patient).ok_or_else(unknown)?;
    let over = known.phase != ErasurePhase::Ordered || service.state().time >= known.entry.not_before;
    if over {
        return Err(DeskError::Invalid("this erasure cannot be taken back any more, or was"));
    }
    let (_, card) = service.card_entry(&session.authentication)?.ok_or(DeskError::UnknownCard)?;
    Ok(card.id)
}
