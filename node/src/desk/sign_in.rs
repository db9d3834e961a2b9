//! Signing in: the card signs a fresh challenge behind its PIN, and the ledger or the bodies here say whose it is.
//!
//! A person is known by 9A, an organization's card by 9C, because only that key of it is on the ledger. A patient
//! is known by the card entry; where this node lacks it, the patient's bodies are asked of all peers, against an
//! authorization that the card signs in the same tap. What a card says of its holder is never believed.

use std::sync::Arc;
use std::time::Duration;

use hospes_card::{Card, CardInfo, CardSerial, Object, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::control::Standing;
use hospes_protocol::ids::{ContentId, KeyId, NetworkId, NodeId, OrganizationId, PatientId};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::patient::PatientSecret;
use hospes_protocol::policy::{LockState, Personal, View as _};
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::sign1::{Sign1, sign1};
use hospes_protocol::wire::Wire;
use hospes_protocol::wire_struct;
use hospes_service::records::{Authorization, COLLECT_MAX};
use hospes_service::service::Service;
use serde_json::json;

use super::error::DeskError;
use super::language::Language;
use super::sessions::{Opened, Session, Unlocked, Who};
use super::taps::{Tap, TapView};
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;

/// How long bodies of a patient from elsewhere are waited for.
const COLLECT_WAIT: Duration = Duration::from_secs(15);
/// How long someone who is known here waits for what only others hold.
const CATCH_UP_WAIT: Duration = Duration::from_secs(3);
const COLLECT_LOOK: Duration = Duration::from_millis(200);
/// Format of [`CardSecret`].
pub(super) const CARD_SECRET_FORMAT: u64 = 1;

wire_struct! {
    /// What a patient's card keeps behind its PIN, sealed to its 9D.
    pub(super) struct CardSecret {
        /// [`CARD_SECRET_FORMAT`].
        pub format: u64,
        /// Generation of the secret, from 1.
        pub generation: u64,
        /// The pseudonym.
        pub patient: PatientId,
        /// The secret.
        pub secret: PatientSecret,
    }
}

/// What the card gave in its tap.
struct SignedIn {
    info: CardInfo,
    /// Whether 9C signed the challenge too.
    organization: bool,
    secret: Option<CardSecret>,
    authorization: Vec<u8>,
}

/// What a card signs to sign in: the node, a fresh challenge, when.
type Challenge = (NodeId, ([u8; 32], u64));

impl Desk {
    /// Signs in the holder of a card, in the language that was asked for or else the patient's: `{session, token, who}`.
    ///
    /// # Errors
    /// [`DeskError::TooManyTaps`]; the tap says what else went wrong.
    pub(crate) async fn sign_in(
        &self,
        serial: CardSerial,
        asked: Option<Language>,
    ) -> Result<TapView, DeskError> {
        let name = self.organization_name().await?;
        let (desk, info) = (self.clone(), self.card_info(&serial).ok());
        let language = match (asked, info) {
            (Some(asked), _) => asked,
            (None, Some(info)) => self.ask(move |service| language_of_card(service, &info)).await?,
            (None, None) => Language::English,
        };
        let shown = patient_text::sign_in(language, &name);
        self.0.taps.begin("sign-in", shown, serial, move |tap| desk.run_sign_in(tap, serial, asked))
    }

    /// A patient's own language; staff speaks English.
    async fn language_of(&self, who: &Who) -> Result<Language, DeskError> {
        let Who::Patient { id, .. } = *who else { return Ok(Language::English) };
        self.ask(move |service| patient_text::language_of(service, &id)).await
    }

    /// The name of this node's organization.
    pub(super) async fn organization_name(&self) -> Result<String, DeskError> {
        let organization = self.0.parts.organization;
        self.ask(move |service| Ok(name_of(service, &organization))).await
    }

    async fn run_sign_in(
        self,
        mut tap: Tap,
        serial: CardSerial,
        asked: Option<Language>,
    ) -> Result<serde_json::Value, DeskError> {
        let challenge: Challenge = (self.0.parts.node, (random::bytes()?, clock_ms()));
        let cards = self.ask(|service| Ok(organization_cards(service))).await?;
        let (network, node) = (self.0.parts.network, self.0.parts.node);
        let prove = move |card| prove(card, &network, &node, &challenge, &cards);
        let (signed, card) = tap.card(serial, prove).await?;
        let who = self.who(&signed).await?;
        let secret = match (&who, signed.secret) {
            (Who::Patient { id, .. }, Some(secret)) if secret.patient == *id => Some(secret.secret),
            (Who::Patient { .. }, _) => return Err(DeskError::UnknownCard),
            _ => None,
        };
        let unlocked = Unlocked { card, opened: Opened::default(), secret };
        let shown = describe(&who);
        let bus = self.0.parts.readers.bus(&serial)?;
        let language = match asked {
            Some(asked) => asked,
            None => self.language_of(&who).await?,
        };
        let (token, session) = self.0.sessions.begin(who, language, (&signed.info, bus), unlocked)?;
        // The card may have left while this went on, before the session could be ended for it.
        if self.0.parts.readers.card(&serial).is_none() {
            self.0.sessions.end(&token);
            return Err(hospes_protocol::keys::KeyError::Removed.into());
        }
        Ok(json!({ "session": session.id, "token": token, "who": shown }))
    }

    async fn who(&self, signed: &SignedIn) -> Result<Who, DeskError> {
        let (info, organization) = (signed.info.clone(), signed.organization);
        if let Some(who) = self.ask(move |service| member(service, &info, organization)).await? {
            return Ok(who);
        }
        let info = signed.info.clone();
        if let Some(who) = self.ask(move |service| patient(service, &info)).await? {
            self.catch_up(signed, &who).await?;
            return Ok(who);
        }
        self.collect(signed).await?;
        let deadline = tokio::time::Instant::now() + COLLECT_WAIT;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(COLLECT_LOOK).await;
            let info = signed.info.clone();
            if let Some(who) = self.ask(move |service| patient(service, &info)).await? {
                self.catch_up(signed, &who).await?;
                return Ok(who);
            }
        }
        Err(DeskError::UnknownCard)
    }

    /// Away from home a node holds what concerns it; the patient is to see everything that a peer has. What no
    /// connected peer has is not waited for longer than [`CATCH_UP_WAIT`].
    async fn catch_up(&self, signed: &SignedIn, who: &Who) -> Result<(), DeskError> {
        let away = matches!(who, Who::Patient { home, .. } if *home != self.0.parts.organization);
        if !away || signed.secret.is_none() {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + CATCH_UP_WAIT;
        let lacking = self.collect(signed).await?;
        while tokio::time::Instant::now() < deadline {
            let asked = lacking.clone();
            if self.ask(move |service| Ok(service.lacking(&asked).is_empty())).await? {
                break;
            }
            tokio::time::sleep(COLLECT_LOOK).await;
        }
        Ok(())
    }

    /// Asks all peers for the bodies of a patient that are not here; gives which.
    async fn collect(&self, signed: &SignedIn) -> Result<Vec<ContentId>, DeskError> {
        let secret = signed.secret.as_ref().map(|s| s.secret.clone()).ok_or(DeskError::UnknownCard)?;
        let authorization = signed.authorization.clone();
        self.ask(move |service| {
            let of =
                |o: &hospes_protocol::control::OrganizationEntry| (o.organization, secret.k(&o.organization));
            let keys: Vec<_> = service.state().membership.organizations.values().map(of).collect();
            let found = service.find_by_subjects(&keys)?;
            let contents: Vec<_> = found.into_iter().map(|(_, content)| content).collect();
            let lacking = service.lacking(&contents);
            lacking.chunks(COLLECT_MAX).for_each(|some| service.collect(&authorization, some));
            Ok(lacking)
        })
        .await
    }

    /// The administrator's right to act for this node's organization, as the ledger has it now.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`].
    pub(super) async fn administers(&self, session: &Arc<Session>) -> Result<(), DeskError> {
        let (who, own, key) = (session.who.clone(), self.0.parts.organization, session.authentication);
        let allowed = self
            .ask(move |service| {
                card_stands(service, &who, &key)?;
                Ok(match &who {
                    Who::Organization { id } => *id == own,
                    Who::Person { id, organization, .. } => {
                        let person = service.state().membership.people.get(id);
                        let active = person.is_some_and(|p| p.standing == Standing::Active);
                        *organization == own && active && person.is_some_and(|p| administers(service, p))
                    }
                    Who::Patient { .. } => false,
                })
            })
            .await?;
        if allowed {
            Ok(())
        } else {
            Err(DeskError::NotAllowed("only this organization's administrator can do this"))
        }
    }
}

/// The name of an organization, for people.
pub(super) fn name_of(service: &Service, organization: &OrganizationId) -> String {
    let members = &service.state().membership;
    members.organizations.get(organization).map_or_else(|| organization.to_string(), |o| o.name.clone())
}

fn organization_cards(service: &Service) -> Vec<VerifyingKey> {
    let members = &service.state().membership;
    members.active_organizations().flat_map(|o| o.cards.iter().cloned()).collect()
}

fn prove(
    mut card: Box<dyn Card>,
    network: &NetworkId,
    node: &NodeId,
    challenge: &Challenge,
    organizations: &[VerifyingKey],
) -> Result<(SignedIn, Box<dyn Card>), DeskError> {
    let info = card.info()?;
    let organization = info.signature.as_ref().is_some_and(|key| organizations.contains(key));
    let slot = if organization { Slot::Signature } else { Slot::Authentication };
    let key = info.verifying_key(slot).cloned().ok_or(DeskError::UnknownCard)?;
    let signed = sign1(&mut card.signer(slot)?, Context::Session, network, &challenge.encode())?;
    let message = Sign1::parse(&signed)?;
    message.verify(&key, Context::Session, network)?;
    if message.payload() != challenge.encode() {
        return Err(DeskError::UnknownCard);
    }
    let authorization: Authorization = (*node, clock_ms());
    let authorization =
        sign1(&mut card.signer(Slot::Authentication)?, Context::Session, network, &authorization.encode())?;
    let secret = read_secret(card.as_mut(), network)?;
    Ok((SignedIn { info, organization, secret, authorization }, card))
}

/// The patient secret of an unlocked card; null where it holds none.
pub(super) fn read_secret(card: &mut dyn Card, network: &NetworkId) -> Result<Option<CardSecret>, DeskError> {
    let Some(sealed) = card.read_object(Object::PatientSecret)?.filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    let plain = Envelope::parse(&sealed)?.open(&mut card.agreement()?, Context::PatientSecret, network)?;
    let secret = CardSecret::decode(&plain)?;
    if secret.format != CARD_SECRET_FORMAT {
        return Err(hospes_protocol::check::Check::UnknownFormat.into());
    }
    Ok(Some(secret))
}

/// The language of the patient whose card this is said to be, whether or not the card counts any more.
fn language_of_card(service: &Service, info: &CardInfo) -> Result<Language, DeskError> {
    let Some(key) = &info.authentication else { return Ok(Language::English) };
    match service.card_entry(&key.id())? {
        Some((patient, _)) => patient_text::language_of(service, &patient),
        None => Ok(Language::English),
    }
}

/// Whether a session's card is still its person's: another may have taken its place since it signed in.
///
/// # Errors
/// [`DeskError::CardSuspended`].
pub(super) fn card_stands(service: &Service, who: &Who, key: &KeyId) -> Result<(), DeskError> {
    let Who::Person { id, .. } = who else { return Ok(()) };
    let person = service.state().membership.people.get(id);
    let stands = person.is_some_and(|p| p.authentication.id() == *key);
    if stands { Ok(()) } else { Err(DeskError::CardSuspended) }
}

fn administers(service: &Service, person: &hospes_protocol::control::PractitionerEntry) -> bool {
    let roles = &service.state().membership.roles;
    let administrative = |name: &String| {
        roles.get(&(person.organization, name.clone())).is_some_and(|role| role.administrator)
    };
    person.roles.iter().any(administrative)
}

fn member(service: &Service, info: &CardInfo, organization: bool) -> Result<Option<Who>, DeskError> {
    let members = &service.state().membership;
    if organization {
        let holds = |o: &&hospes_protocol::control::OrganizationEntry| {
            info.signature.as_ref().is_some_and(|key| o.cards.contains(key))
        };
        let found = members.active_organizations().find(holds);
        return Ok(found.map(|o| Who::Organization { id: o.organization }));
    }
    let Some(key) = &info.authentication else { return Ok(None) };
    let Some((id, person)) = members.person_by_key(&key.id()) else { return Ok(None) };
    if person.authentication != *key {
        return Ok(None);
    }
    if person.standing != Standing::Active || members.organization(&person.organization).is_none() {
        return Err(DeskError::CardSuspended);
    }
    Ok(Some(Who::Person {
        id: *id,
        organization: person.organization,
        roles: person.roles.clone(),
        administrator: administers(service, person),
    }))
}

fn patient(service: &Service, info: &CardInfo) -> Result<Option<Who>, DeskError> {
    let Some(key) = &info.authentication else { return Ok(None) };
    let Some((patient, known)) = service.card_entry(&key.id())? else { return Ok(None) };
    let Personal::Card(entry) = &known.entry else { return Ok(None) };
    if entry.authentication != *key {
        return Ok(None);
    }
    if let Some(lock) = &known.lock
        && service.view().lock(lock)? != LockState::Open
    {
        return Err(DeskError::CardSuspended);
    }
    Ok(service.home(&patient)?.map(|home| Who::Patient { id: patient, home: home.organization }))
}

fn describe(who: &Who) -> serde_json::Value {
    match who {
        Who::Person { id, organization, roles, administrator } => json!({
            "kind": "person", "id": id.to_string(), "organization": organization.to_string(), "roles": roles,
            "administrator": administrator,
        }),
        Who::Patient { id, home } => {
            json!({ "kind": "patient", "id": id.to_string(), "home": home.to_string() })
        }
        Who::Organization { id } => json!({ "kind": "organization", "id": id.to_string() }),
    }
}
