//! A lost card without its printed code: notice by two organizations' cards, contest, the request for the way back, and
//! what the new card then takes over.
//!
//! ```text
//! notice ---- delay ---- request, three guardians ---- finish: the new card opens the escrow, takes the secret, makes
//!    \------------------------ contest: nothing                 fresh lockers; the lost card's lock is closed
//! ```
//!
//! Whether a step is lawful is the service's to judge; who opens what, the shares decide, which are sealed to the new card.

use std::sync::Arc;

use hospes_breakglass::escrow::{EscrowKeys, Openings, SealedEscrow};
use hospes_card::{Card, CardInfo, CardSerial, RecoveryCode};
use hospes_protocol::context::Context;
use hospes_protocol::emergency::{Reason, RequestEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, Lock, NetworkId, OrganizationId, PatientId, Reveal};
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement, VerifyingKey};
use hospes_protocol::limits::EMERGENCY_MS_MAX;
use hospes_protocol::patient::{PatientKey, recovery_key};
use hospes_protocol::personal::{CardEntry, RevocationEntry, Revoked};
use hospes_protocol::policy::View as _;
use hospes_protocol::recovery::RecoveryEntry;
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_service::emergency::{Basis, Recovery};
use hospes_service::service::Service;
use hospes_storage::{Objects, SealedKey, SealedRow, Write};
use serde_json::json;
use zeroize::Zeroizing;

use super::break_glass::{ground, person};
use super::compose::{Entry, Place, file, sign_in_turn};
use super::error::DeskError;
use super::glass::{Parts, signature};
use super::patient_text::language_of;
use super::patients::{card_entry, write_secret};
use super::renewal::{Lockers, renew_with, standing_of};
use super::revocations::reveals;
use super::sessions::{Opened, Session, Who};
use super::sign_in::{CardSecret, read_secret};
use super::taps::{Shown, Tap, TapView, blocking};
use super::unseal::take_packet;
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;

/// What contests the notices that this node gave: item is the notice.
const CONTESTS: &str = "contests";
/// Packets of the escrow: locker secrets, a bundle, the patient's secret.
const ESCROW_PACKETS: usize = 3;

/// Which card is to take a lost one's place.
#[derive(Clone, Debug)]
pub(crate) struct GiveNotice {
    /// Whose.
    pub(crate) patient: PatientId,
    /// The new card, which is in.
    pub(crate) card: CardSerial,
}

/// What stands on the service's side of a notice.
struct NoticeGround {
    enrolment: ContentId,
    basis: Basis,
    witness: Option<(OrganizationId, String, CardSerial)>,
    key: PatientKey,
    delay_ms: u64,
}

type InReader = (CardSerial, VerifyingKey);

fn notice_ground(
    service: &Service,
    (patient, own): (PatientId, OrganizationId),
    new: &CardInfo,
    cards: &[InReader],
) -> Result<NoticeGround, DeskError> {
    let members = &service.state().membership;
    for key in [&new.signature, &new.authentication, &new.card_authentication].into_iter().flatten() {
        if service.card_entry(&key.id())?.is_some() || members.key_taken(&key.id(), None) {
            return Err(DeskError::CardInUse);
        }
    }
    let enrolled = service.view().patient(&patient)?.ok_or(DeskError::Unknown("this patient"))?;
    if enrolled.entry.home != own {
        return Err(DeskError::NotAllowed("only the patient's home gives notice of a new card"));
    }
    let basis = service.escrow_of(&patient, Tier::Recovery)?;
    let none =
        DeskError::NotHere("the lost card made no escrow for a new one: the printed code is the only way");
    let others = members.active_organizations().filter(|o| o.organization != own);
    let mut witness = None;
    let mut any = false;
    for other in others {
        any = true;
        let card = cards.iter().find(|(_, key)| other.cards.contains(key));
        witness = witness.or(card.map(|(serial, _)| (other.organization, other.name.clone(), *serial)));
    }
    if any && witness.is_none() {
        return Err(DeskError::SignerAbsent(
            "another organization must look at who the patient is and sign too, and its card is not in a reader",
        ));
    }
    let key = service.subject_key(&patient)?;
    Ok(NoticeGround {
        enrolment: enrolled.id,
        basis: basis.ok_or(none)?,
        witness,
        key: key.ok_or(DeskError::NotHere("this node has no key for this patient's entries"))?,
        delay_ms: members.policy.recovery_delay_ms,
    })
}

impl Desk {
    /// Gives notice that a new card is to take the place of a lost one: `{notice, delay_ms, recovery_code, recovery_qr}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] without the cards of both organizations;
    /// [`DeskError::NotHere`] where the lost card made no escrow; [`DeskError::CardInUse`].
    pub(crate) async fn give_notice(
        &self,
        session: &Arc<Session>,
        asked: GiveNotice,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (serial, own) = self.organization_card().await?;
        let (organization, network) = (self.0.parts.organization, self.0.parts.network);
        let info = self.card_info(&asked.card)?;
        let attested = self.vouched(asked.card).await?.is_ok();
        let cards = self.0.parts.readers.cards().into_iter();
        let cards: Vec<InReader> = cards.filter_map(|(_, i)| Some((i.serial, i.signature?))).collect();
        let (new, patient) = (info.clone(), asked.patient);
        let of = (patient, organization);
        let ground = self.ask(move |service| notice_ground(service, of, &new, &cards)).await?;
        let mut rng = random::generator()?;
        let code = RecoveryCode::generate(&mut rng);
        let recovery = recovery_key(code.expose()).agreement_key();
        let reveal = Reveal(random::bytes::<32>()?);
        let payload = RecoveryEntry {
            patient,
            home: organization,
            witness: ground.witness.as_ref().map(|(id, ..)| *id),
            lost: ground.basis.card,
            card: card_entry(&info, attested, patient, recovery)?,
            delay_ms: ground.delay_ms,
            contest: Bytes(seal_to(&ground.basis.card_key, Context::Contest, &network, &reveal.0, &mut rng)?),
        };
        let on = [ground.enrolment, ground.basis.card];
        let mut entry = self.0.place.entry(Kind::Recovery, &on, &payload, Some(ground.key), &mut rng);
        entry.content.lock = Some(Lock::of(&reveal));
        let language = self.ask(move |service| language_of(service, &patient)).await?;
        let witness = ground.witness.as_ref().map(|(_, name, _)| name.clone());
        let organizations: Vec<_> = std::iter::once(own.name.clone()).chain(witness).collect();
        let shown = patient_text::recovery_notice(language, &organizations, ground.delay_ms);
        let (desk, signed, delay_ms) = (self.clone(), shown.clone(), ground.delay_ms);
        self.0.taps.begin("recovery-notice", shown, serial, move |mut tap| async move {
            let signers = std::iter::once(serial).chain(ground.witness.map(|(.., card)| card));
            let entries = sign_in_turn(&mut tap, signers, &network, &signed, vec![entry]).await?;
            let Some(notice) = entries.first().map(Entry::id) else { return Err(DeskError::Stopping) };
            let key = SealedKey::new(CONTESTS, &[], 0, &notice.0);
            let row = SealedRow { key, patient: Some(patient), value: reveal.0.to_vec() };
            desk.0.parts.objects.apply(&[Write::Sealed(row)])?;
            file(&desk.0.parts.service, entries).await?;
            Ok(json!({
                "notice": notice.to_string(),
                "delay_ms": delay_ms,
                "recovery_code": code.to_printed().as_str(),
                "recovery_qr": code.to_qr_text().as_str(),
            }))
        })
    }

    async fn known_notice(&self, notice: ContentId) -> Result<(Recovery, PatientKey), DeskError> {
        self.ask(move |service| {
            let found = service.recovery(&notice)?.ok_or(DeskError::Unknown("this notice"))?;
            let key = service.subject_key(&found.entry.patient)?;
            let none = DeskError::NotHere("this node has no key for this patient's entries");
            Ok((found, key.ok_or(none)?))
        })
        .await
    }

    /// Contests a notice, by the lost card or by the home organization: `{contest}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone else; [`DeskError::Invalid`] where it was contested.
    pub(crate) async fn contest(
        &self,
        session: &Arc<Session>,
        notice: ContentId,
    ) -> Result<TapView, DeskError> {
        let (found, key) = self.known_notice(notice).await?;
        if found.contested {
            return Err(DeskError::Invalid("it was contested"));
        }
        let patient = found.entry.patient;
        let by_patient = matches!(&session.who, Who::Patient { id, .. } if *id == patient);
        let (serial, on, reveal) = if by_patient {
            let (opening, network) = (session.clone(), self.0.parts.network);
            let contest = found.entry.contest.clone();
            let open = move || opening.with(|u| open_contest(u.card.as_mut(), &contest, &network));
            (session.card, vec![found.entry.lost], blocking(open).await?)
        } else {
            self.administers(session).await?;
            let kept = self.0.parts.objects.sealed(&SealedKey::new(CONTESTS, &[], 0, &notice.0))?;
            let kept = kept.and_then(|value| <[u8; 32]>::try_from(value.as_slice()).ok());
            let none = DeskError::NotHere("another node of this organization gave this notice");
            (self.organization_card().await?.0, Vec::new(), Reveal(kept.ok_or(none)?))
        };
        let payload = RevocationEntry { patient, by_proxy: None, revoked: Revoked::Entries(vec![notice]) };
        let mut entry =
            self.0.place.entry(Kind::Revocation, &on, &payload, Some(key), &mut random::generator()?);
        entry.reveal = vec![reveal];
        self.sign_as(
            "recovery-contest",
            patient_text::recovery_contest(session.language),
            (entry, serial),
            "contest",
        )
    }

    /// Asks guardians for the way back, once the notice was heard: `{request}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for who is not of the patient's home; [`DeskError::Invalid`] for a contested notice;
    /// [`DeskError::NotHere`] while it may be contested.
    pub(crate) async fn ask_recovery(
        &self,
        session: &Arc<Session>,
        notice: ContentId,
    ) -> Result<TapView, DeskError> {
        let (requester, organization) = person(session)?;
        let (found, key) = self.known_notice(notice).await?;
        if found.contested {
            return Err(DeskError::Invalid("it was contested"));
        }
        if !found.waited {
            return Err(DeskError::NotHere("it can be contested still: wait until its delay is over"));
        }
        if found.entry.home != organization {
            return Err(DeskError::NotAllowed("only people of the patient's home ask for the way back"));
        }
        let (patient, lost) = (found.entry.patient, found.entry.lost);
        let ground = self
            .ask(move |service| {
                let basis = service.escrow_of(&patient, Tier::Recovery)?.filter(|basis| basis.card == lost);
                let none = DeskError::NotHere("no escrow of the lost card is here");
                ground(service, organization, basis.ok_or(none)?)
            })
            .await?;
        let basis = &ground.basis;
        let payload = RequestEntry {
            patient,
            requester,
            organization,
            tier: Tier::Recovery,
            enrolment: basis.enrolment,
            card: basis.card,
            locker: basis.locker,
            guardians: ground.guardians,
            ledger: ground.ledger,
            label: basis.escrow.label(self.0.parts.network, &basis.card_key, &basis.home),
            reason: Reason::CardUnusable,
            text: String::new(),
            until: clock_ms() + EMERGENCY_MS_MAX,
            after: ground.after,
            opener: found.entry.card.agreement.clone(),
            sealed_opener: Bytes::default(),
            subject_keys: Vec::new(),
            patient_key: None,
        };
        payload.judge()?;
        let on = [basis.enrolment, basis.card, basis.locker, notice];
        let mut rng = random::generator()?;
        let entry = self.0.place.entry(Kind::BreakGlassRequest, &on, &payload, Some(key), &mut rng);
        let shown = patient_text::recovery_request(session.language, &ground.organization, payload.until);
        self.sign_as("recovery-request", shown, (entry, session.card), "request")
    }

    /// Files one entry by one card: `{what: content id}`.
    fn sign_as(
        &self,
        kind: &'static str,
        shown: Shown,
        (entry, serial): (Entry, CardSerial),
        what: &'static str,
    ) -> Result<TapView, DeskError> {
        let (desk, signed) = (self.clone(), shown.clone());
        self.0.taps.begin(kind, shown, serial, move |mut tap| async move {
            let network = desk.0.parts.network;
            let entries = sign_in_turn(&mut tap, [serial], &network, &signed, vec![entry]).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            Ok(json!({ what: filed.first().map(|f| f.content.to_string()) }))
        })
    }

    /// Puts a new card in a lost one's place, once what was asked for is released: `{card_entry, locker_entry}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] without the new card or the organization's;
    /// [`DeskError::NotHere`] while it is not final or shares are missing.
    pub(crate) async fn finish_recovery(
        &self,
        session: &Arc<Session>,
        notice: ContentId,
    ) -> Result<TapView, DeskError> {
        self.administers(session).await?;
        let (organization_card, own) = self.organization_card().await?;
        let (notice, request) = self.ask(move |service| released_for(service, &notice)).await?;
        let serial = self.card_with(&notice.entry.card)?;
        let parts = self.gathered(request).await?;
        let (patient, card, lost) = (notice.entry.patient, notice.entry.card.clone(), notice.entry.lost);
        let (place, home) = (self.0.place, self.0.parts.organization);
        let mut rng = random::generator()?;
        let reader = parts.ready.request.label.escrow;
        let (now, enrolment, key, language) = self
            .ask(move |service| {
                let enrolled = service.view().patient(&patient)?.ok_or(DeskError::Unknown("this patient"))?;
                let none = DeskError::NotHere("this node has no key for this patient's entries");
                let key = service.subject_key(&patient)?.ok_or(none)?;
                let language = language_of(service, &patient)?;
                Ok((
                    standing_of(service, (patient, home), (lost, card), &reader)?,
                    enrolled.id,
                    key,
                    language,
                ))
            })
            .await?;
        let entry = place.entry(Kind::Card, &[enrolment], &now.card, Some(key), &mut rng);
        let shown = patient_text::recovery_finish(language, &own.name);
        let (desk, signed) = (self.clone(), shown.clone());
        self.0.taps.begin("recovery-finish", shown, serial, move |tap| {
            desk.run_finish(tap, (serial, organization_card), Heir { parts, lost, now, entry }, signed)
        })
    }

    async fn run_finish(
        self,
        mut tap: Tap,
        (serial, organization_card): (CardSerial, CardSerial),
        heir: Heir,
        shown: Shown,
    ) -> Result<serde_json::Value, DeskError> {
        let (place, objects) = (self.0.place, self.0.parts.objects.clone());
        let (card, locker) =
            tap.card(serial, move |mut card| take_over(card.as_mut(), heir, &place, &*objects)).await?;
        let network = place.network;
        let mut entries = sign_in_turn(&mut tap, [organization_card], &network, &shown, vec![card]).await?;
        entries.extend(sign_in_turn(&mut tap, [serial], &network, &shown, vec![locker]).await?);
        let filed = file(&self.0.parts.service, entries).await?;
        let ids: Vec<_> = filed.iter().map(|f| f.content.to_string()).collect();
        Ok(json!({ "card_entry": ids.first(), "locker_entry": ids.get(1) }))
    }

    /// The card in a reader of this desk that has the keys of an entry.
    fn card_with(&self, entry: &CardEntry) -> Result<CardSerial, DeskError> {
        let is = |info: &CardInfo| {
            info.signature.as_ref() == Some(&entry.signature)
                && info.authentication.as_ref() == Some(&entry.authentication)
                && info.key_management.as_ref() == Some(&entry.agreement)
        };
        let found = self.0.parts.readers.cards().into_iter().find(|(_, info)| is(info));
        let absent = DeskError::SignerAbsent("the new card that the notice names is not in a reader");
        found.map(|(_, info)| info.serial).ok_or(absent)
    }
}

/// What a new card takes over.
struct Heir {
    parts: Parts,
    lost: ContentId,
    /// What stands for the patient; its card entry is not signed yet.
    now: Lockers,
    /// The entry of the new card.
    entry: Entry,
}

/// A notice, and the request on it that was released and has not ended.
fn released_for(service: &Service, notice: &ContentId) -> Result<(Recovery, ContentId), DeskError> {
    let found = service.recovery(notice)?.ok_or(DeskError::Unknown("this notice"))?;
    for asked in service.emergencies(Some(&found.entry.patient))? {
        let lives = asked.release.is_some() && service.now() < asked.request.until;
        if lives && service.notice_of(&asked.id)?.is_some_and(|known| known.id == *notice) {
            return Ok((found, asked.id));
        }
    }
    Err(DeskError::NotHere("guardians have not released the way back yet"))
}

fn open_contest(card: &mut dyn Card, sealed: &[u8], network: &NetworkId) -> Result<Reveal, DeskError> {
    let opened = Envelope::parse(sealed)?.open(&mut card.agreement()?, Context::Contest, network)?;
    let value = <[u8; 32]>::try_from(opened.as_slice()).map_err(|_| BROKEN)?;
    Ok(Reveal(value))
}

// The card opens the shares, the escrow gives the secret and every locker, and fresh ones are made for the new card, its code
// and those who may read. What closes the lost card's lock goes with the new card's entry.
fn take_over(
    card: &mut dyn Card,
    mut heir: Heir,
    place: &Place,
    objects: &dyn Objects,
) -> Result<(Entry, Entry), DeskError> {
    let (network, patient, mut rng) = (&place.network, heir.now.patient, random::generator()?);
    if read_secret(card, network)?.is_some_and(|held| held.patient != patient) {
        return Err(DeskError::CardInUse);
    }
    let secret = escrow_secret(&heir.parts, &mut card.agreement()?, network)?;
    let mut escrow = SoftwareAgreement::from_secret(&secret);
    let (mut opened, mut held) = (Opened::default(), None);
    for sealed in heir.parts.packets.iter().take(ESCROW_PACKETS) {
        match Envelope::parse(sealed)?.open(&mut escrow, Context::PatientSecret, network) {
            Ok(plain) => held = Some(CardSecret::decode(&plain)?),
            Err(_) => take_packet(&mut opened, &patient, sealed, &mut escrow, network)?,
        }
    }
    let secret = held.filter(|secret| secret.patient == patient).ok_or(BROKEN)?;
    let lock_key = secret.secret.lock_key();
    heir.entry.locked(&lock_key);
    heir.entry.reveal =
        reveals(objects, network, &lock_key, &[heir.lost])?.into_iter().map(|(_, reveal)| reveal).collect();
    heir.now.card_entry = heir.entry.id();
    // Written first: the fresh lockers' escrow of tier 0 is made from what lies on the card.
    let half = Zeroizing::new(random::bytes::<32>()?);
    write_secret(card, (&secret, &half), &heir.now.card.agreement, place, &mut rng)?;
    let locker = renew_with(card, (&secret, opened), &heir.now, &heir.now.live, place, &mut rng)?;
    Ok((heir.entry, locker))
}

const BROKEN: DeskError = DeskError::Invalid("what was released does not open the way back");

fn escrow_secret(
    parts: &Parts,
    opener: &mut dyn KeyAgreement,
    network: &NetworkId,
) -> Result<Zeroizing<[u8; 32]>, DeskError> {
    let label = &parts.ready.request.label;
    let opening = label.opening();
    let guardians = parts.guardians.as_ref().ok_or(BROKEN)?;
    let ledger = parts.ledger.as_ref().ok_or(BROKEN)?;
    let openings = Openings {
        guardians: signature(guardians, &parts.ready.guardians, &opening, (opener, network))?,
        ledger: signature(ledger, &parts.ready.ledger, &opening, (opener, network))?,
    };
    let keys = EscrowKeys { guardians: guardians.public(), ledger: ledger.public() };
    SealedEscrow::decode(&parts.sealed)?.open(label, &keys, &openings).map_err(|_| BROKEN)
}
