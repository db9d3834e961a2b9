//! Asking for a patient's escrow, closing what was released, reviewing it: each one tap of the person's card.
//!
//! A hospital that never saw the patient asks the others for what a request stands on, by a key of the card that lies in
//! the reader; the patient's PIN is not needed. Whether a request is lawful is the service's to judge.

use std::sync::Arc;
use std::time::Duration;

use hospes_card::CardSerial;
use hospes_protocol::context::Context;
use hospes_protocol::emergency::{CloseEntry, Outcome, Reason, RequestEntry, ReviewEntry, Tier};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{BlockHash, ContentId, KeyId, OrganizationId, PatientId, PersonId, sha256};
use hospes_protocol::keys::{AgreementKey, KeyAgreement as _, SoftwareAgreement};
use hospes_protocol::limits::EMERGENCY_MS_MAX;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::SubjectKey;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_service::emergency::{Basis, Emergency};
use hospes_service::service::Service;
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::alone::may_alone;
use super::compose::{Entry, file, sign_in_turn};
use super::error::DeskError;
use super::lockers::{Treating, seal_subject_keys};
use super::offline::CUT_OFF_TOO_LONG;
use super::search::{Choice, chosen};
use super::sessions::{Session, Who};
use super::sign_in::name_of;
use super::taps::{Shown, TapView};
use super::{Desk, random, text};
use crate::runtime::actor::clock_ms;

/// How long other nodes are waited for that have what a request stands on.
const FIND: Duration = Duration::from_secs(10);
/// How often it is looked whether something came.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// By what the patient is named.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NamedBy {
    /// The card in a reader of this desk.
    Card(CardSerial),
    /// The pseudonym, where the patient is known.
    Patient(PatientId),
    /// Somebody whom a search of the requester's found.
    Found(Choice),
}

/// What a practitioner asks for.
#[derive(Clone, Debug)]
pub(crate) struct AskEmergency {
    /// Whose.
    pub(crate) of: NamedBy,
    /// What is to be opened.
    pub(crate) tier: Tier,
    /// Why.
    pub(crate) reason: Reason,
    /// In the requester's words.
    pub(crate) text: String,
    /// For how long, in milliseconds; as long as may be where absent.
    pub(crate) lasts_ms: Option<u64>,
}

impl AskEmergency {
    /// Whom the requester chose, where a search found the patient.
    fn choice(&self) -> Option<&Choice> {
        match &self.of {
            NamedBy::Found(choice) => Some(choice),
            NamedBy::Card(_) | NamedBy::Patient(_) => None,
        }
    }
}

/// A key of a patient's card, and SHA-256 of an escrow's label where a search gave it.
type Pointer = (KeyId, Option<[u8; 32]>);

/// What stands on the service's side of a request.
pub(super) struct Ground {
    /// The escrow.
    pub(super) basis: Basis,
    /// Who hold its keys now.
    pub(super) guardians: ContentId,
    /// The validators.
    pub(super) ledger: ContentId,
    /// The newest block.
    pub(super) after: (u64, BlockHash),
    key: Option<PatientKey>,
    nodes: Vec<(hospes_protocol::ids::NodeId, AgreementKey)>,
    /// The asking organization's name.
    pub(super) organization: String,
}

/// What a request stands on.
pub(super) fn ground(service: &Service, own: OrganizationId, basis: Basis) -> Result<Ground, DeskError> {
    let gone = DeskError::NotHere("no committee holds the key of this escrow");
    let Some(guardians) = service.key_since(&basis.escrow.guardians)? else { return Err(gone) };
    let Some(ledger) = service.key_since(&basis.escrow.ledger)? else { return Err(gone) };
    let state = service.state();
    let nodes = state.membership.active_nodes().filter(|(_, n)| n.organization == own);
    Ok(Ground {
        guardians: guardians.committee,
        ledger: ledger.committee,
        after: (state.height, if state.height == 0 { BlockHash(state.network.0) } else { state.block }),
        key: service.subject_key(&basis.patient)?,
        nodes: nodes.map(|(id, n)| (*id, n.agreement.clone())).collect(),
        organization: name_of(service, &own),
        basis,
    })
}

/// The person who is signed in, and the organization.
pub(super) fn person(session: &Session) -> Result<(PersonId, OrganizationId), DeskError> {
    match &session.who {
        Who::Person { id, organization, administrator: false, .. } => Ok((*id, *organization)),
        _ => Err(DeskError::NotAllowed("only people who treat patients can do this")),
    }
}

impl Desk {
    /// Asks for a patient's escrow: `{request}`, and where the patient's card releases it at once `{request, release}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::Invalid`] for the card's tier without the card; [`DeskError::NotHere`] where
    /// nobody in reach has an escrow of this patient, or no committee its key; the tap says what else went wrong.
    pub(crate) async fn ask_emergency(
        &self,
        session: &Arc<Session>,
        asked: AskEmergency,
    ) -> Result<TapView, DeskError> {
        let (requester, organization) = person(session)?;
        let present = match (asked.tier, asked.of) {
            (Tier::Card, NamedBy::Card(serial)) => Some(serial),
            (Tier::Card, NamedBy::Patient(_) | NamedBy::Found(_)) => {
                return Err(DeskError::Invalid(
                    "one person alone opens only by the patient's card in a reader",
                ));
            }
            _ => None,
        };
        let basis = self.basis(session, requester, &asked).await?;
        let tier = asked.tier;
        let ground = self
            .ask(move |service| {
                if tier == Tier::Card {
                    may_alone(service, &requester, &organization)?;
                }
                if tier == Tier::Offline && service.is_cut_off_too_long() {
                    return Err(CUT_OFF_TOO_LONG);
                }
                if tier == Tier::Full && service.owes_reviews(&requester)? {
                    return Err(DeskError::NotAllowed("a review of an earlier emergency access is overdue"));
                }
                ground(service, organization, basis)
            })
            .await?;
        let until = clock_ms() + asked.lasts_ms.unwrap_or(EMERGENCY_MS_MAX).min(EMERGENCY_MS_MAX);
        let why = (asked.reason, asked.text.as_str());
        let shown = text::ask_emergency(&ground.organization, asked.tier, why, until, asked.choice());
        let made = self.compose_request(session, (requester, organization), &asked, (ground, until))?;
        match present {
            Some(serial) => self.sign_present(session, shown, made, serial),
            None => self.sign_one(session, "break-glass", shown, made.0, "request"),
        }
    }

    /// A key of the patient's card, where he is named by it or was found, and then the label of the escrow that was found.
    async fn card_key(&self, requester: PersonId, of: NamedBy) -> Result<Option<Pointer>, DeskError> {
        match of {
            NamedBy::Card(serial) => {
                let info = self.card_info(&serial)?;
                let key = info.card_authentication.or(info.authentication);
                Ok(Some((key.ok_or(DeskError::UnknownCard)?.id(), None)))
            }
            NamedBy::Patient(_) => Ok(None),
            NamedBy::Found(choice) => {
                let found = self.ask(move |service| chosen(service, &requester, &choice)).await?;
                let none = DeskError::NotHere("whom the search found has no escrow");
                let (key, label) = found.escrow.ok_or(none)?;
                Ok(Some((key, Some(label))))
            }
        }
    }

    /// What the request stands on: known here, or asked of the others by a key of the patient's card.
    async fn basis(
        &self,
        session: &Arc<Session>,
        requester: PersonId,
        asked: &AskEmergency,
    ) -> Result<Basis, DeskError> {
        let pointer = self.card_key(requester, asked.of).await?;
        let basis = self.basis_by(session, asked, pointer.map(|(key, _)| key)).await?;
        let label = basis.escrow.label(self.0.parts.network, &basis.card_key, &basis.home);
        let found = pointer.and_then(|(_, label)| label).filter(|_| asked.tier == Tier::Summary);
        if found.is_some_and(|found| found != sha256(&[&label.encode()])) {
            return Err(DeskError::NotHere("the escrow that was found is replaced: search again"));
        }
        Ok(basis)
    }

    async fn basis_by(
        &self,
        session: &Arc<Session>,
        asked: &AskEmergency,
        key: Option<KeyId>,
    ) -> Result<Basis, DeskError> {
        let (of, tier) = (asked.of, asked.tier);
        let look = move |service: &mut Service| basis_of(service, of, key, tier);
        if let Some(basis) = self.ask(look).await? {
            return Ok(basis);
        }
        if tier == Tier::Offline {
            return Err(DeskError::NotHere(
                "this patient did not name this hospital for emergencies without a line",
            ));
        }
        let missing = DeskError::NotHere("no escrow of this patient is in reach");
        let Some(key) = key else { return Err(missing) };
        let authorization = self.authorize(session).await?;
        self.ask(move |service| {
            service.find_by_card(key, &authorization);
            Ok(())
        })
        .await?;
        let began = Instant::now();
        while began.elapsed() < FIND {
            tokio::time::sleep(LOOK).await;
            if let Some(basis) = self.ask(look).await? {
                return Ok(basis);
            }
        }
        Err(missing)
    }

    fn compose_request(
        &self,
        session: &Session,
        (requester, organization): (PersonId, OrganizationId),
        asked: &AskEmergency,
        (ground, until): (Ground, u64),
    ) -> Result<(Entry, RequestEntry), DeskError> {
        let (mut rng, network) = (random::generator()?, self.0.parts.network);
        let basis = &ground.basis;
        // A key of this request alone, so that the requester's card is asked once and not for every share.
        let opener = Zeroizing::new(random::bytes::<32>()?);
        let given = RequestKey::of(&ground, &network, &mut rng)?;
        let payload = RequestEntry {
            patient: basis.patient,
            requester,
            organization,
            tier: asked.tier,
            enrolment: basis.enrolment,
            card: basis.card,
            locker: basis.locker,
            guardians: ground.guardians,
            ledger: ground.ledger,
            label: basis.escrow.label(network, &basis.card_key, &basis.home),
            reason: asked.reason,
            text: asked.text.clone(),
            until,
            after: ground.after,
            opener: SoftwareAgreement::from_secret(&opener).agreement_key(),
            sealed_opener: Bytes(seal_to(
                &session.agreement,
                Context::Opener,
                &network,
                opener.as_slice(),
                &mut rng,
            )?),
            subject_keys: given.nodes,
            patient_key: given.patient,
        };
        payload.judge()?;
        let mut on = vec![basis.enrolment, basis.card, basis.locker];
        on.extend(asked.choice().map(|choice| choice.search));
        let entry = self.0.place.entry(Kind::BreakGlassRequest, &on, &payload, Some(given.key), &mut rng);
        Ok((entry, payload))
    }

    /// Files one entry by the session's card: `{what: content id}`.
    pub(super) fn sign_one(
        &self,
        session: &Session,
        kind: &'static str,
        shown: Shown,
        entry: Entry,
        what: &'static str,
    ) -> Result<TapView, DeskError> {
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        self.0.taps.begin(kind, shown, serial, move |mut tap| async move {
            let network = desk.0.parts.network;
            let entries = sign_in_turn(&mut tap, [serial], &network, &signed, vec![entry]).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let id = filed.first().map(|f| f.content.to_string());
            Ok(json!({ what: id }))
        })
    }

    /// A request that is known here, with K of this node's organization for its patient.
    async fn known_emergency(&self, request: ContentId) -> Result<(Emergency, PatientKey), DeskError> {
        self.ask(move |service| {
            let found = service.emergency(&request)?.ok_or(DeskError::Unknown("this request"))?;
            let key = service.subject_key(&found.request.patient)?;
            let none = DeskError::NotHere("this node has no key for this patient's entries");
            Ok((found, key.ok_or(none)?))
        })
        .await
    }

    /// Closes what was released before it ends: `{close}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::NotHere`] where nothing was released; the tap says what else went wrong.
    pub(crate) async fn close_emergency(
        &self,
        session: &Arc<Session>,
        request: ContentId,
        wrong_patient: bool,
    ) -> Result<TapView, DeskError> {
        let (person, organization) = person(session)?;
        let (found, key) = self.known_emergency(request).await?;
        let release = found.release.ok_or(NOT_RELEASED)?.0;
        let payload =
            CloseEntry { patient: found.request.patient, release, person, organization, wrong_patient };
        let mut rng = random::generator()?;
        let entry = self.0.place.entry(Kind::Close, &[release], &payload, Some(key), &mut rng);
        self.sign_one(session, "break-glass-close", text::close_emergency(wrong_patient), entry, "close")
    }

    /// Reviews a release: `{review}`.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`]; [`DeskError::NotHere`] where nothing was released; the tap says what else went wrong.
    pub(crate) async fn review_emergency(
        &self,
        session: &Arc<Session>,
        request: ContentId,
        (outcome, said): (Outcome, String),
    ) -> Result<TapView, DeskError> {
        let (reviewer, organization) = match &session.who {
            Who::Person { id, organization, .. } => (*id, *organization),
            _ => return Err(DeskError::NotAllowed("only an auditor can do this")),
        };
        let (found, key) = self.known_emergency(request).await?;
        let release = found.release.ok_or(NOT_RELEASED)?.0;
        let shown = text::review_emergency(outcome, &said);
        let patient = found.request.patient;
        let payload = ReviewEntry { patient, release, reviewer, organization, outcome, text: said };
        let mut rng = random::generator()?;
        let entry = self.0.place.entry(Kind::Review, &[release], &payload, Some(key), &mut rng);
        self.sign_one(session, "break-glass-review", shown, entry, "review")
    }
}

/// Nothing was released for a request.
pub(super) const NOT_RELEASED: DeskError = DeskError::NotHere("this request was not released");

fn basis_of(
    service: &Service,
    of: NamedBy,
    key: Option<KeyId>,
    tier: Tier,
) -> Result<Option<Basis>, DeskError> {
    let patient = match (of, key) {
        (NamedBy::Patient(patient), _) => Some(patient),
        (NamedBy::Card(_) | NamedBy::Found(_), Some(key)) => service.patient_by_card(&key)?,
        (NamedBy::Card(_) | NamedBy::Found(_), None) => None,
    };
    Ok(patient.map(|patient| service.escrow_of(&patient, tier)).transpose()?.flatten())
}

/// K under which the requester's organization files what follows: its own where it treats the patient, or a fresh one.
struct RequestKey {
    key: PatientKey,
    nodes: Vec<SubjectKey>,
    patient: Option<Bytes>,
}

impl RequestKey {
    fn of(
        ground: &Ground,
        network: &hospes_protocol::ids::NetworkId,
        rng: &mut ChaCha20Rng,
    ) -> Result<Self, DeskError> {
        if let Some(key) = ground.key.clone() {
            return Ok(Self { key, nodes: Vec::new(), patient: None });
        }
        let key = PatientKey::from_bytes(Zeroizing::new(random::bytes::<32>()?));
        let to = |(node, agreement): &(hospes_protocol::ids::NodeId, AgreementKey)| Treating {
            node: *node,
            agreement: agreement.clone(),
            key: key.clone(),
        };
        let nodes: Vec<_> = ground.nodes.iter().map(to).collect();
        let patient = seal_to(&ground.basis.card_key, Context::PatientKey, network, key.as_bytes(), rng)?;
        Ok(Self { nodes: seal_subject_keys(&nodes, network, rng)?, patient: Some(Bytes(patient)), key })
    }
}
