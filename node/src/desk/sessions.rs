//! Sessions: who is signed in, with which card, and the secrets that live as long as the card is in.
//!
//! Sessions are kept under the hash of their tokens. When the card leaves, its sessions end within a poll and
//! what they held is wiped, also under the hands of whoever still reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use hospes_card::{Card, CardInfo, CardSerial};
use hospes_protocol::ids::{ContentId, KeyId, OrganizationId, PatientId, PersonId, sha256};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::patient::PatientSecret;
use hospes_protocol::seal::blob::DataKey;
use hospes_protocol::seal::locker::Keyring;
use tokio::sync::broadcast::error::RecvError;

use super::error::DeskError;
use super::language::Language;
use super::organization::Secrets;
use super::random;
use super::readers::{Bus, CardChange, Readers, hold};

/// Sessions at one desk.
const SESSIONS_MAX: usize = 1000;

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// A practitioner or other enrolled person.
    Person {
        /// The person.
        id: PersonId,
        /// The organization.
        organization: OrganizationId,
        /// Names of roles.
        roles: Vec<String>,
        /// Whether one of them administers.
        administrator: bool,
    },
    /// A patient.
    Patient {
        /// The pseudonym.
        id: PatientId,
        /// The home organization.
        home: OrganizationId,
    },
    /// An organization's card, which certifies nodes and people.
    Organization {
        /// The organization.
        id: OrganizationId,
    },
}

/// What a session can open, as far as its card was asked.
#[derive(Default)]
pub(super) struct Opened {
    /// Organizations' epoch secrets, by public key.
    pub(super) organization: Secrets,
    /// Whether all packets of organizations' keys for this card were looked at.
    pub(super) organization_looked: bool,
    /// Locker secrets.
    pub(super) lockers: BTreeMap<PatientId, Keyring>,
    /// Data keys of single records.
    pub(super) records: BTreeMap<ContentId, DataKey>,
    /// Packets that were opened, or did not open; by hash.
    pub(super) seen: BTreeSet<[u8; 32]>,
}

/// The unlocked card and what it opened.
pub(super) struct Unlocked {
    /// With its PIN session begun.
    pub(super) card: Box<dyn Card>,
    /// What it opened.
    pub(super) opened: Opened,
    /// Of a patient's session.
    pub(super) secret: Option<PatientSecret>,
}

impl Drop for Unlocked {
    fn drop(&mut self) {
        self.card.logout();
    }
}

/// Someone who is signed in.
pub(crate) struct Session {
    /// A name for lists and logs; not the token.
    pub(crate) id: String,
    /// Who.
    pub(crate) who: Who,
    /// The language of taps.
    pub(crate) language: Language,
    /// The card.
    pub(crate) card: CardSerial,
    /// Its 9A.
    pub(super) authentication: KeyId,
    /// Its 9D.
    pub(super) agreement: AgreementKey,
    bus: Bus,
    unlocked: Mutex<Option<Unlocked>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.id)
    }
}

impl Session {
    /// Uses the unlocked card and what it opened. Blocks.
    ///
    /// # Errors
    /// [`DeskError::SessionOver`] once the card has left; that of `work`.
    pub(super) fn with<R>(
        &self,
        work: impl FnOnce(&mut Unlocked) -> Result<R, DeskError>,
    ) -> Result<R, DeskError> {
        let mut unlocked = hold(&self.unlocked);
        let _working = hold(&self.bus);
        work(unlocked.as_mut().ok_or(DeskError::SessionOver)?)
    }

    /// The patient who is signed in.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone else.
    pub(super) fn patient(&self) -> Result<(PatientId, OrganizationId), DeskError> {
        match &self.who {
            Who::Patient { id, home } => Ok((*id, *home)),
            _ => Err(DeskError::NotAllowed("only the patient can do this")),
        }
    }

    /// The secret of the patient who is signed in. Blocks.
    ///
    /// # Errors
    /// [`DeskError::NotAllowed`] for anyone else; as [`Session::with`].
    pub(super) fn secret(&self) -> Result<PatientSecret, DeskError> {
        let missing = DeskError::NotAllowed("only the patient can do this");
        self.with(|unlocked| unlocked.secret.clone().ok_or(missing))
    }

    /// Whether the card is still in.
    pub(crate) fn is_live(&self) -> bool {
        hold(&self.unlocked).is_some()
    }

    /// Wipes what it held.
    fn end(&self) {
        *hold(&self.unlocked) = None;
    }
}

/// All sessions of the desk.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<BTreeMap<[u8; 32], Arc<Session>>>>);

fn key_of(token: &str) -> [u8; 32] {
    sha256(&[token.as_bytes()])
}

impl Sessions {
    /// Begins a session; gives its token, which is kept nowhere else.
    pub(super) fn begin(
        &self,
        who: Who,
        language: Language,
        card: (&CardInfo, Bus),
        unlocked: Unlocked,
    ) -> Result<(String, Arc<Session>), DeskError> {
        let (info, bus) = card;
        let authentication = info.authentication.as_ref().ok_or(DeskError::UnknownCard)?.id();
        let agreement = info.key_management.clone().ok_or(DeskError::UnknownCard)?;
        let token = data_encoding::BASE64URL_NOPAD.encode(&random::bytes::<32>()?);
        let id = data_encoding::HEXLOWER.encode(&random::bytes::<16>()?);
        let unlocked = Mutex::new(Some(unlocked));
        let session = Arc::new(Session {
            id,
            who,
            language,
            card: info.serial,
            authentication,
            agreement,
            bus,
            unlocked,
        });
        let mut all = hold(&self.0);
        if all.len() >= SESSIONS_MAX {
            return Err(DeskError::NotHere("too many sessions are open at this desk"));
        }
        all.insert(key_of(&token), session.clone());
        Ok((token, session))
    }

    /// The session of a token.
    pub(crate) fn get(&self, token: &str) -> Option<Arc<Session>> {
        hold(&self.0).get(&key_of(token)).cloned()
    }

    /// Ends the session of a token. Blocks while its card works.
    pub(crate) fn end(&self, token: &str) {
        let session = hold(&self.0).remove(&key_of(token));
        if let Some(session) = session {
            session.end();
        }
    }

    fn end_where(&self, ends: impl Fn(&Session) -> bool) {
        let mut ended = Vec::new();
        hold(&self.0).retain(|_, session| {
            let stays = !ends(session);
            if !stays {
                ended.push(session.clone());
            }
            stays
        });
        ended.iter().for_each(|session| session.end());
    }

    /// Ends sessions whose cards leave, until the readers end.
    pub(super) async fn follow(self, readers: Readers) {
        let (mut changes, readers) = (readers.watch(), readers.downgrade());
        loop {
            let left = match changes.recv().await {
                Ok(CardChange::Removed(serial)) => Some(serial),
                // Some were missed: whoever is not in has left.
                Err(RecvError::Lagged(_)) => None,
                Ok(CardChange::Inserted) => continue,
                Err(RecvError::Closed) => return,
            };
            let Some(readers) = readers.upgrade() else { return };
            let sessions = self.clone();
            let swept = tokio::task::spawn_blocking(move || {
                let has_left = |card| left == Some(card) || readers.card(&card).is_none();
                sessions.end_where(|session| has_left(session.card));
            });
            // A task that panicked ended no session; the next change tries again.
            let _swept = swept.await;
        }
    }
}
