//! Enrolling a patient: the organization's card signs who and which card, then the patient's card takes the secret
//! and signs the first lockers.
//!
//! The recovery code is in the result of the tap, to be printed, and nowhere else. Who the patient is lies sealed in
//! the patient entry and in this node's store, under the patient's erasable key.

use std::collections::BTreeSet;
use std::sync::Arc;

use hospes_card::{Card, CardInfo, CardSerial, Object, RecoveryCode, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{NetworkId, OrganizationId, PatientId, Reveal};
use hospes_protocol::keys::{AgreementKey, KeyAgreement};
use hospes_protocol::patient::{Identity, PatientSecret, recovery_key};
use hospes_protocol::personal::{CardEntry, PatientEntry};
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::{enrolled_key, enrolled_row};
use hospes_storage::{SealedKey, SealedRow, Write};
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use zeroize::Zeroizing;

use super::compose::{Entry, Place, file, sign_entries};
use super::error::DeskError;
use super::language::Language;
use super::lockers::{EscrowPlan, NewEpoch, escrow_plans, make_epoch, seal_subject_keys, treating};
use super::organization::newest_key;
use super::people::write_place;
use super::sessions::{Session, Who};
use super::sign_in::{CARD_SECRET_FORMAT, CardSecret, read_secret};
use super::taps::{Shown, Tap, TapView};
use super::{Desk, patient_text, random};

/// Who the patients enrolled here are: item is the pseudonym, value an [`Identity`].
const IDENTITIES: &str = "identities";
/// What closes the lock of a card: item is the card entry.
const CARD_REVEALS: &str = "card-reveals";
/// Rows that are read at a time.
const PAGE: usize = 256;

/// A patient to enrol.
#[derive(Clone, Debug)]
pub(crate) struct CreatePatient {
    /// The patient's card, which is in.
    pub(crate) card: CardSerial,
    /// Who.
    pub(crate) identity: Identity,
    /// The language of taps and prints, a BCP 47 tag.
    pub(crate) language: String,
}

/// A patient of this node's organization who was looked up by name.
#[derive(Clone, Debug)]
pub(crate) struct FoundPatient {
    /// The pseudonym.
    pub(crate) patient: PatientId,
    /// Who.
    pub(crate) identity: Identity,
}

/// All that the two cards sign.
struct Enrolment {
    place: Place,
    shown: Shown,
    secret: CardSecret,
    /// Patient entry and card entry, in this order.
    entries: Vec<Entry>,
    reveal: Reveal,
    recovery: AgreementKey,
    info: CardInfo,
    escrows: Vec<EscrowPlan>,
    attested: bool,
}

impl Desk {
    /// Enrols a patient: `{patient, entry, card_entry, recovery_code, recovery_qr, card_reveal,
    /// card_attested}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`], [`DeskError::SignerAbsent`] without the organization's card,
    /// [`DeskError::NotHere`] without its agreement key, [`DeskError::CardInUse`]; the tap says what else went wrong.
    pub(crate) async fn create_patient(
        &self,
        session: &Arc<Session>,
        request: CreatePatient,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        request.identity.judge()?;
        let (serial, own) = self.organization_card().await?;
        let info = self.card_info(&request.card)?;
        let code = RecoveryCode::generate(&mut random::generator()?);
        let shown = patient_text::create_patient(Language::of(&request.language), &own.name);
        let attested = self.vouched(request.card).await?.is_ok();
        let enrolment = self.prepare(&request, (info, attested), &code, shown.clone()).await?;
        let desk = self.clone();
        self.0.taps.begin("create-patient", shown, serial, move |tap| {
            desk.run_create_patient(tap, (serial, request.card), request.identity, enrolment, code)
        })
    }

    async fn prepare(
        &self,
        request: &CreatePatient,
        (info, attested): (CardInfo, bool),
        code: &RecoveryCode,
        shown: Shown,
    ) -> Result<Enrolment, DeskError> {
        let organization = self.0.parts.organization;
        let mut rng = random::generator()?;
        let secret = PatientSecret::random(&mut rng);
        let patient = secret.patient_id(&request.identity);
        let (secret_there, taken) = (secret.clone(), info.authentication.as_ref().map(|k| k.id()));
        let (certified, nodes, escrows) = self
            .ask(move |service| {
                if let Some(key) = taken
                    && (service.card_entry(&key)?.is_some()
                        || service.state().membership.key_taken(&key, None))
                {
                    return Err(DeskError::CardInUse);
                }
                let members = &service.state().membership;
                let nodes = treating(members, &[organization], &secret_there);
                Ok((
                    members.keys.get(&organization).cloned(),
                    nodes,
                    escrow_plans(service, &BTreeSet::new())?,
                ))
            })
            .await?;
        let epoch = newest_key(&*self.0.parts.objects, &organization, certified)?
            .ok_or(DeskError::NotHere("the organization has no agreement key yet: enrol a member first"))?;
        let recovery = recovery_key(code.expose()).agreement_key();
        let secret = CardSecret { format: CARD_SECRET_FORMAT, generation: 1, patient, secret };
        let network = self.0.parts.network;
        let identity = Zeroizing::new(request.identity.encode());
        let payload = PatientEntry {
            patient,
            home: organization,
            language: request.language.clone(),
            sealed_identity: Bytes(seal_to(&epoch.key, Context::PatientKey, &network, &identity, &mut rng)?),
            subject_keys: seal_subject_keys(&nodes, &network, &mut rng)?,
        };
        let k = secret.secret.k(&organization);
        let first = self.0.place.entry(Kind::Patient, &[], &payload, Some(k.clone()), &mut rng);
        let payload = card_entry(&info, attested, patient, recovery.clone())?;
        let mut card = self.0.place.entry(Kind::Card, &[first.id()], &payload, Some(k), &mut rng);
        let reveal = card.locked(&secret.secret.lock_key());
        Ok(Enrolment {
            place: self.0.place,
            shown,
            secret,
            entries: vec![first, card],
            reveal,
            recovery,
            info,
            escrows,
            attested,
        })
    }

    async fn run_create_patient(
        self,
        mut tap: Tap,
        cards: (CardSerial, CardSerial),
        identity: Identity,
        mut enrolment: Enrolment,
        code: RecoveryCode,
    ) -> Result<serde_json::Value, DeskError> {
        let (organization_card, patient_card) = cards;
        let enrolment = tap
            .card(organization_card, move |mut card| {
                let Enrolment { place, shown, entries, .. } = &mut enrolment;
                sign_entries(&mut card.signer(Slot::Signature)?, &place.network, shown, entries)?;
                Ok(enrolment)
            })
            .await?;
        let (patient, reveal, attested) = (enrolment.secret.patient, enrolment.reveal, enrolment.attested);
        let (entries, card) = tap.card(patient_card, move |card| write_and_sign(card, enrolment)).await?;
        let ids: Vec<_> = entries.iter().map(|e| e.id().to_string()).collect();
        let card_entry = entries.get(1).map(Entry::id);
        self.keep_identity(&patient, &identity, card_entry.map(|id| (id, reveal)))?;
        if let Err(error) = file(&self.0.parts.service, entries).await {
            self.forget_identity(&patient, &identity, card_entry)?;
            // The card is blank again for the next try; where it was pulled, the desk takes a new one.
            let _pulled = super::taps::blocking(move || blank(card)).await;
            return Err(error);
        }
        Ok(json!({
            "patient": patient.to_string(),
            "entry": ids.first(),
            "card_entry": ids.get(1),
            "locker_entry": ids.get(2),
            "recovery_code": code.to_printed().as_str(),
            "recovery_qr": code.to_qr_text().as_str(),
            "card_reveal": reveal.to_string(),
            "card_attested": attested,
        }))
    }

    fn keep_identity(
        &self,
        patient: &PatientId,
        identity: &Identity,
        card: Option<(hospes_protocol::ids::ContentId, Reveal)>,
    ) -> Result<(), DeskError> {
        let row = |key, value| Write::Sealed(SealedRow { key, patient: Some(*patient), value });
        let mut writes = vec![row(SealedKey::new(IDENTITIES, &[], 0, &patient.0), identity.encode())];
        writes.push(Write::Sealed(enrolled_row(patient, identity)));
        writes.extend(
            card.map(|(id, reveal)| {
                row(SealedKey::new(CARD_REVEALS, &patient.0, 0, &id.0), reveal.0.to_vec())
            }),
        );
        Ok(self.0.parts.objects.apply(&writes)?)
    }

    fn forget_identity(
        &self,
        patient: &PatientId,
        identity: &Identity,
        card: Option<hospes_protocol::ids::ContentId>,
    ) -> Result<(), DeskError> {
        let mut writes = vec![
            Write::DropSealed(SealedKey::new(IDENTITIES, &[], 0, &patient.0)),
            Write::DropSealed(enrolled_key(patient, identity)),
        ];
        writes.extend(card.map(|id| Write::DropSealed(SealedKey::new(CARD_REVEALS, &patient.0, 0, &id.0))));
        Ok(self.0.parts.objects.apply(&writes)?)
    }

    /// Patients enrolled at this node by family name and date of birth, either of which may be left out.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for those who are not of this node's organization; of the store.
    pub(crate) fn find_patients(
        &self,
        session: &Arc<Session>,
        family: Option<&str>,
        birth_date: Option<&str>,
    ) -> Result<Vec<FoundPatient>, DeskError> {
        self.is_staff(&session.who)?;
        let blank = |family: &str| Identity {
            family: family.to_owned(),
            given: Vec::new(),
            birth_date: String::new(),
            postal_code: String::new(),
            national_id: None,
        };
        let wanted = family.map(|family| blank(family).normalise());
        let mut found = Vec::new();
        self.each_identity(|patient, identity| {
            let named = wanted.as_ref().is_none_or(|w| *blank(&identity.family).normalise() == **w);
            if named && birth_date.is_none_or(|date| date == identity.birth_date) {
                found.push(FoundPatient { patient, identity });
            }
        })?;
        Ok(found)
    }

    fn is_staff(&self, who: &Who) -> Result<(), DeskError> {
        let own: OrganizationId = self.0.parts.organization;
        match who {
            Who::Person { organization, .. } if *organization == own => Ok(()),
            Who::Organization { id } if *id == own => Ok(()),
            _ => Err(DeskError::NotAllowed("only people of this organization can do this")),
        }
    }

    fn each_identity(&self, mut visit: impl FnMut(PatientId, Identity)) -> Result<(), DeskError> {
        let mut after = None;
        loop {
            let page = self.0.parts.objects.sealed_rows(IDENTITIES, None, after.as_ref(), PAGE)?;
            after = page.last().map(|row| row.key.clone());
            let full = page.len() == PAGE;
            for row in page {
                let identity = Identity::decode(&Zeroizing::new(row.value))?;
                if let Ok(id) = <[u8; 32]>::try_from(row.key.item.as_slice()) {
                    visit(PatientId(id), identity);
                }
            }
            if !full {
                return Ok(());
            }
        }
    }
}

/// The entry of a card that is in.
pub(super) fn card_entry(
    info: &CardInfo,
    attested: bool,
    patient: PatientId,
    recovery: AgreementKey,
) -> Result<CardEntry, DeskError> {
    let lacking = || DeskError::Invalid("the card lacks a key");
    Ok(CardEntry {
        patient,
        signature: info.signature.clone().ok_or_else(lacking)?,
        authentication: info.authentication.clone().ok_or_else(lacking)?,
        agreement: info.key_management.clone().ok_or_else(lacking)?,
        // An OpenPGP card proves presence by the key that signs in, since it has none that needs no PIN.
        presence: info.card_authentication.clone().or(info.authentication.clone()).ok_or_else(lacking)?,
        recovery,
        attested,
        generation: 1,
    })
}

type Signed = (Vec<Entry>, Box<dyn Card>);

fn write_and_sign(mut card: Box<dyn Card>, enrolment: Enrolment) -> Result<Signed, DeskError> {
    let Enrolment { place, shown, secret, mut entries, recovery, info, escrows, .. } = enrolment;
    let (mut rng, network) = (random::generator()?, place.network);
    let agreement = info.key_management.ok_or(DeskError::Invalid("the card lacks a key"))?;
    let half = Zeroizing::new(random::bytes::<32>()?);
    let keys = (&agreement, &recovery, &*half);
    let locker = first_lockers(&place, &secret, keys, (&entries, &escrows), &mut rng)?;
    entries.push(locker);
    // Signed first: a PIV card wants the PIN to be the very command before a signature in 9C.
    sign_entries(&mut card.signer(Slot::Signature)?, &network, &shown, &mut entries)?;
    if read_secret(card.as_mut(), &network).map_or(true, |held| held.is_some()) {
        return Err(DeskError::CardInUse);
    }
    let signed = write_secret(card.as_mut(), (&secret, &*half), &agreement, &place, &mut rng);
    match signed {
        Ok(()) => Ok((entries, card)),
        Err(error) => {
            // A card that was pulled keeps a secret that nobody knows of; the desk takes a new one.
            let _pulled = blank(card);
            Err(error)
        }
    }
}

fn first_lockers(
    place: &Place,
    secret: &CardSecret,
    (card, recovery, half): (&AgreementKey, &AgreementKey, &[u8; 32]),
    (entries, escrows): (&[Entry], &[EscrowPlan]),
    rng: &mut ChaCha20Rng,
) -> Result<Entry, DeskError> {
    let made = make_epoch(
        NewEpoch {
            number: 1,
            secret,
            card,
            recovery,
            old: Vec::new(),
            carried: &[],
            readers: &[],
            rests_on: Vec::new(),
            treating: &[],
            home: place.organization,
            escrows,
            on_card: Some(half),
        },
        &place.network,
        rng,
    )?;
    let stands_on: Vec<_> = entries.get(1).map(Entry::id).into_iter().collect();
    let k = secret.secret.k(&place.organization);
    let mut locker = place.entry(Kind::Locker, &stands_on, &made.entry, Some(k), rng);
    locker.packets = made.packets;
    Ok(locker)
}

/// Puts the secret on a card, sealed to it, with what break-glass by the card alone needs, and the patient's home.
pub(super) fn write_secret(
    card: &mut dyn Card,
    (secret, half): (&CardSecret, &[u8; 32]),
    agreement: &AgreementKey,
    place: &Place,
    rng: &mut ChaCha20Rng,
) -> Result<(), DeskError> {
    let network: NetworkId = place.network;
    let plain = Zeroizing::new(secret.encode());
    let sealed = seal_to(agreement, Context::PatientSecret, &network, &plain, rng)?;
    card.write_object(Object::PatientSecret, &sealed, rng)?;
    card.write_object(Object::TierZeroHalf, half, rng)?;
    write_place(card, &network, &place.organization)
}

fn blank(mut card: Box<dyn Card>) -> Result<(), DeskError> {
    Ok(card.write_object(Object::PatientSecret, &[], &mut random::generator()?)?)
}
