//! The desk: everything that needs a card. Readers, taps and sessions, and the acts that people do with them.
//!
//! | file | what |
//! |---|---|
//! | `readers` | cards that come and go |
//! | `taps` | what waits for a card and its PIN |
//! | `sessions` | who is signed in, and what lives as long as the card is in |
//! | `sign_in` | a card signs a challenge |
//! | `people`, `organization` | members, roles, the organization's agreement key |
//! | `patients` | enrolling a patient |
//! | `lockers`, `renewal` | a fresh epoch of lockers with its packets, and what the card gives for it |
//! | `upload`, `records` | sealing a file while it arrives, and filing it |
//! | `amendments` | changing what is said of a record |
//! | `erasures` | ordering an erasure, and taking it back |
//! | `unseal`, `reading`, `opening` | from a decision to plaintext in memory; damaged parts come from elsewhere |
//! | `grants`, `revocations` | consent and its end |
//! | `break_glass`, `approving`, `glass` | asking for a patient's escrow, a guardian's approval, opening it |
//! | `alone`, `offline` | by the patient's card alone; in a hospital without a line, by its witness card |
//! | `search` | looking for a patient who has no card with him |
//! | `committees`, `guardians` | who guards emergency access, and each guardian's part in making its key |
//! | `proposals` | what several organizations must sign |
//! | `vouched` | what a card's maker says of its keys |
//! | `patient_text`, `language` | what a patient reads before a tap, and in which language |
//! | `text` | what staff reads before a tap |
//!
//! It speaks no HTTP; the API calls it. It decides nothing that the service or `policy` decides. Every act is one
//! tap; on any failure nothing of it is filed.

mod alone;
mod amendments;
mod approving;
mod break_glass;
mod checkpoints;
mod committees;
mod compose;
mod erasures;
mod error;
mod glass;
mod grants;
mod guardians;
mod language;
mod lockers;
mod offline;
mod opening;
mod organization;
mod patient_text;
mod patients;
mod people;
mod proposals;
mod random;
mod readers;
mod reading;
mod records;
mod recovery;
mod renewal;
mod revocations;
mod search;
mod sessions;
mod sign_in;
mod taps;
#[cfg(test)]
mod tests;
mod text;
mod unseal;
mod upload;
mod vouched;

use std::sync::Arc;

use hospes_card::piv::Roots;
use hospes_card::{CardInfo, CardKind, CardSerial, HolderKind};
use hospes_protocol::control::OrganizationEntry;
use hospes_protocol::ids::{NetworkId, NodeId, OrganizationId};
use hospes_service::service::Service;
use hospes_storage::Objects;
use tokio::sync::broadcast;

pub(crate) use amendments::AmendRecord;
pub(crate) use break_glass::{AskEmergency, NamedBy};
pub(crate) use committees::{CommitteeRequest, CommitteeShown, MemberShown, stage_name};
pub(crate) use erasures::Erase;
pub(crate) use error::DeskError;
pub(crate) use grants::GrantRequest;
pub(crate) use language::Language;
pub(crate) use offline::LocalRequest;
pub(crate) use organization::{PolicyChoice, RoleRequest};
pub(crate) use patient_text::{EmergencyNotice, emergency};
pub(crate) use patients::{CreatePatient, FoundPatient};
pub(crate) use people::EnrolPerson;
pub(crate) use proposals::{Proposal, ProposalState};
pub(crate) use readers::{ReaderInfo, Readers};
pub(crate) use reading::{Errand, RecordReader};
pub(crate) use records::AddRecord;
pub(crate) use recovery::GiveNotice;
pub(crate) use revocations::Revoke;
pub(crate) use search::Choice;
pub(crate) use sessions::{Session, Who};
pub(crate) use taps::{PinFrom, TapCard, TapError, TapView};
pub(crate) use vouched::Vouched;

use crate::runtime::actor::Handle;
use compose::Place;
use sessions::Sessions;
use taps::Taps;

/// What the desk stands on.
pub(crate) struct DeskParts {
    /// What the node decides.
    pub(crate) service: Handle,
    /// Blobs and small sealed rows.
    pub(crate) objects: Arc<dyn Objects>,
    /// Where cards are.
    pub(crate) readers: Readers,
    /// Makers whose word for a card counts.
    pub(crate) makers: Roots,
    /// The network.
    pub(crate) network: NetworkId,
    /// The node.
    pub(crate) node: NodeId,
    /// Its organization.
    pub(crate) organization: OrganizationId,
}

struct Inner {
    parts: DeskParts,
    place: Place,
    taps: Taps,
    sessions: Sessions,
}

/// The desk of a node.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

/// A card, for lists.
#[derive(Clone, Debug)]
pub(crate) struct CardView {
    /// Its serial.
    pub(crate) serial: CardSerial,
    /// The reader that it is in.
    pub(crate) reader: String,
    /// What it is made of.
    pub(crate) kind: &'static str,
    /// Whose it is.
    pub(crate) holder_kind: Option<HolderKind>,
    /// What the screen calls its holder.
    pub(crate) holder: Option<String>,
    /// PIN tries left.
    pub(crate) tries_left: u8,
    /// Roles of an enrolled person.
    pub(crate) roles: Vec<String>,
}

impl Desk {
    /// A desk over these parts. Needs a running Tokio.
    pub(crate) fn new(parts: DeskParts) -> Self {
        let place = Place { network: parts.network, organization: parts.organization };
        let (taps, sessions) = (Taps::new(parts.readers.clone()), Sessions::default());
        tokio::spawn(sessions.clone().follow(parts.readers.clone()));
        Self(Arc::new(Inner { parts, place, taps, sessions }))
    }

    /// The readers.
    pub(crate) fn readers(&self) -> Vec<ReaderInfo> {
        self.0.parts.readers.list()
    }

    /// The cards that are in.
    ///
    /// # Errors
    /// [`DeskError::Stopping`].
    pub(crate) async fn cards(&self) -> Result<Vec<CardView>, DeskError> {
        let cards = self.0.parts.readers.cards();
        self.ask(move |service| {
            Ok(cards.into_iter().map(|(reader, card)| seen(service, reader, &card)).collect())
        })
        .await
    }

    /// The cards that are in, each read anew: another program may have enrolled one, or changed its PIN.
    ///
    /// # Errors
    /// [`DeskError::Stopping`].
    pub(crate) async fn cards_anew(&self) -> Result<Vec<CardView>, DeskError> {
        let readers = self.0.parts.readers.clone();
        taps::blocking(move || {
            readers.look_anew();
            Ok(())
        })
        .await?;
        self.cards().await
    }

    /// A tap, for two minutes after its end too.
    pub(crate) fn tap(&self, id: &str) -> Option<TapView> {
        self.0.taps.get(id)
    }

    /// Hands a PIN to the card that a tap waits for, or has it typed on the reader's keypad; gives the tap once the card has judged it.
    ///
    /// # Errors
    /// [`DeskError::Key`] as the card says; [`DeskError::TapState`] where no PIN is awaited.
    pub(crate) async fn give_pin(&self, id: &str, pin: impl Into<PinFrom>) -> Result<TapView, DeskError> {
        self.0.taps.give_pin(id, pin.into()).await
    }

    /// What the screen of a tap says of an error, in the language of the tap; none where that is English, which the error's own
    /// words are in, and where there is no such tap.
    pub(crate) fn says(&self, tap: &str, error: &DeskError) -> Option<String> {
        let language = self.0.taps.get(tap)?.language;
        (language != Language::English).then(|| patient_text::not_done(language, error))
    }

    /// Cancels a tap that waits.
    ///
    /// # Errors
    /// [`DeskError::NoTap`], [`DeskError::TapState`].
    pub(crate) fn cancel(&self, id: &str) -> Result<(), DeskError> {
        self.0.taps.cancel(id)
    }

    /// Every change of every tap from now on, without results.
    pub(crate) fn watch_taps(&self) -> broadcast::Receiver<TapView> {
        self.0.taps.watch()
    }

    /// The session of a token.
    pub(crate) fn session(&self, token: &str) -> Option<Arc<Session>> {
        self.0.sessions.get(token).filter(|session| session.is_live())
    }

    /// Ends a session and wipes what it held.
    ///
    /// # Errors
    /// [`DeskError::Stopping`].
    pub(crate) async fn sign_out(&self, token: &str) -> Result<(), DeskError> {
        let (sessions, token) = (self.0.sessions.clone(), token.to_owned());
        taps::blocking(move || {
            sessions.end(&token);
            Ok(())
        })
        .await
    }

    /// Runs `act` on the service's thread.
    async fn ask<R: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Service) -> Result<R, DeskError> + Send + 'static,
    ) -> Result<R, DeskError> {
        self.0.parts.service.call(act).await?
    }

    /// What a card that is in says of itself.
    fn card_info(&self, serial: &CardSerial) -> Result<CardInfo, DeskError> {
        let found = self.0.parts.readers.card(serial);
        Ok(found.map(|(_, info)| info).ok_or(hospes_protocol::keys::KeyError::Absent)?)
    }

    /// The card of this node's organization, which must be in.
    async fn organization_card(&self) -> Result<(CardSerial, OrganizationEntry), DeskError> {
        let organization = self.0.parts.organization;
        let entry = self
            .ask(move |service| {
                let members = &service.state().membership;
                members.organization(&organization).cloned().ok_or(DeskError::Unknown("this organization"))
            })
            .await?;
        let cards = self.0.parts.readers.cards();
        let is_ours = |info: &CardInfo| info.signature.as_ref().is_some_and(|key| entry.cards.contains(key));
        let found = cards.into_iter().find(|(_, info)| is_ours(info)).map(|(_, info)| info.serial);
        let absent = DeskError::SignerAbsent("the organization's card must sign, and is not in a reader");
        Ok((found.ok_or(absent)?, entry))
    }
}

/// What a card is made of, in the API's words.
fn kind_of(card: &CardInfo) -> &'static str {
    match card.kind {
        CardKind::Soft => "soft",
        CardKind::Piv => "piv",
        CardKind::OpenPgp => "openpgp",
    }
}

fn seen(service: &Service, reader: String, card: &CardInfo) -> CardView {
    let key = card.authentication.as_ref().map(hospes_protocol::keys::VerifyingKey::id);
    let person =
        key.and_then(|key| service.state().membership.person_by_key(&key).map(|(_, p)| p.roles.clone()));
    CardView {
        serial: card.serial,
        reader,
        kind: kind_of(card),
        holder_kind: card.holder_kind,
        holder: card.holder_label.as_ref().map(|label| label.as_str().to_owned()),
        tries_left: card.pin_tries_left,
        roles: person.unwrap_or_default(),
    }
}
