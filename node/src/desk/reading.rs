//! Reading: decide, file the access, open the key, and only then give plaintext, a range at a time.
//!
//! The access entry is durable before a key is opened. Each range is decided again, so a withdrawal stops a
//! reading that has begun. Plaintext is in memory only and wiped when it is dropped.

use std::ops::Range;
use std::sync::Arc;

use hospes_card::Slot;
use hospes_protocol::check::Check;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, OrganizationId, StudyId};
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{AccessEntry, Anonymity, Purpose, RecordEntry};
use hospes_protocol::policy::{Act, Actor, Decision, Request, Rule, Why};
use hospes_protocol::seal::blob::DataKey;
use hospes_protocol::seal::envelope::Envelope;
use hospes_service::records::Listed;
use hospes_service::service::Service;
use hospes_storage::Objects;
use zeroize::Zeroizing;

use super::compose::{file, sign_entries};
use super::error::DeskError;
use super::opening::{HEALINGS_MAX, MISSING, Unread, open_range};
use super::organization::newest_key;
use super::records::has_room;
use super::sessions::{Session, Who};
use super::sign_in::card_stands;
use super::taps::blocking;
use super::unseal::{Closed, data_key};
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;

/// Plain bytes in one range, at most.
pub(crate) const RANGE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A record that is open for this session.
pub(crate) struct RecordReader {
    /// Its media type.
    pub(crate) media_type: String,
    /// Plain bytes.
    pub(crate) size: u64,
    /// The access entry.
    pub(crate) access: ContentId,
    desk: Desk,
    session: Arc<Session>,
    request: Request,
    content: ContentId,
    entry: Arc<RecordEntry>,
    key: DataKey,
}

/// What a record is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Errand {
    /// For what. Research where it leaves for a study.
    pub(crate) purpose: Purpose,
    /// The study that it leaves for: this takes the right to share; null to read it.
    pub(crate) study: Option<StudyId>,
}

impl From<Purpose> for Errand {
    fn from(purpose: Purpose) -> Self {
        Self { purpose, study: None }
    }
}

impl From<StudyId> for Errand {
    fn from(study: StudyId) -> Self {
        Self { purpose: Purpose::Research, study: Some(study) }
    }
}

impl Errand {
    const fn act(self, record: ContentId) -> Act {
        match self.study {
            Some(study) => Act::Share { record, study },
            None => Act::Read(record),
        }
    }
}

/// What an access needs from the service.
struct Found {
    entry: RecordEntry,
    why: Why,
    key: Option<PatientKey>,
    closed: Closed,
}

impl Desk {
    /// Opens a record: decides, files the access under 9A of the session's card, opens the data key under 9D.
    ///
    /// # Errors
    /// [`DeskError::Denied`] with the rule, [`DeskError::Unknown`], [`DeskError::SessionOver`],
    /// [`DeskError::NotHere`] where no key or no file is here, [`DeskError::MustNotLeaveAsIs`] for a study under a
    /// consent that asks for names to be taken out first.
    pub(crate) async fn read_record(
        &self,
        session: &Arc<Session>,
        content: ContentId,
        errand: impl Into<Errand>,
    ) -> Result<RecordReader, DeskError> {
        let errand = errand.into();
        let purpose = errand.purpose;
        let actor = self.actor(session).await?;
        let found = self.find(session, actor, content, errand).await?;
        let (patient, content) = (found.entry.patient, found.closed.content);
        let act = errand.act(content);
        let access = self.file_access(session, actor, content, errand, &found).await?;
        hospes_protocol::fail_point!(AccessUnshown, return Err(DeskError::Stopping));
        if let (Rule::Emergency, Some(request)) = (found.why.rule, found.why.entries.get(1)) {
            self.open_emergency(session, *request).await?;
        }
        let (objects, network, unlocked) =
            (self.0.parts.objects.clone(), self.0.parts.network, session.clone());
        let closed = found.closed;
        let key =
            blocking(move || unlocked.with(|unlocked| data_key(unlocked, &closed, &*objects, &network)))
                .await?;
        Ok(RecordReader {
            media_type: found.entry.media_type.clone(),
            size: found.entry.size,
            access,
            desk: self.clone(),
            session: session.clone(),
            request: Request { patient, actor, act, purpose, code: None, access: Some(access) },
            content,
            entry: Arc::new(found.entry),
            key,
        })
    }

    async fn find(
        &self,
        session: &Arc<Session>,
        actor: Actor,
        content: ContentId,
        errand: Errand,
    ) -> Result<Found, DeskError> {
        let own = session.agreement.id();
        let organization = match &session.who {
            Who::Person { organization, .. } => Some(*organization),
            _ => None,
        };
        let objects = self.0.parts.objects.clone();
        self.ask(move |service| {
            let listed = service.record(&content)?.ok_or(DeskError::Unknown("this record"))?;
            let (content, patient) = (listed.content, listed.entry.patient);
            let (act, purpose) = (errand.act(content), errand.purpose);
            let request = Request { patient, actor, act, purpose, code: None, access: None };
            has_room(service)?;
            let why = match service.decide(&request) {
                Decision::Permit(why) => why,
                Decision::Deny(why) => return Err(DeskError::Denied(why)),
            };
            // The bytes are given out as they were filed.
            if why.obligations.anonymity.is_some_and(|a| a != Anonymity::AsIs) {
                return Err(DeskError::MustNotLeaveAsIs);
            }
            let closed = closed_of(service, &*objects, (own, organization), &listed)?;
            Ok(Found { key: service.subject_key(&patient)?, entry: listed.entry, why, closed })
        })
        .await
    }

    async fn file_access(
        &self,
        session: &Arc<Session>,
        actor: Actor,
        content: ContentId,
        errand: Errand,
        found: &Found,
    ) -> Result<ContentId, DeskError> {
        let (reader, organization, stands_on) = match (&session.who, actor) {
            (Who::Person { id, organization, .. }, _) => (Some(*id), Some(*organization), Vec::new()),
            (_, Actor::Patient(card)) => (None, None, vec![card]),
            _ => return Err(DeskError::NotAllowed("only people and patients read records")),
        };
        let payload = AccessEntry {
            patient: found.entry.patient,
            reader,
            organization,
            record: content,
            category: found.entry.category,
            right: errand.act(content).right(),
            purpose: errand.purpose,
            study: errand.study,
            why: found.why.entries.clone(),
            at: clock_ms(),
        };
        let (own, held, signing) = (self.0.parts.organization, found.key.clone(), session.clone());
        let (place, network) = (self.0.place, self.0.parts.network);
        let entries = blocking(move || {
            let key = match &signing.who {
                Who::Patient { .. } => Some(signing.secret()?.k(&own)),
                _ => held,
            };
            let key = key.ok_or(DeskError::NotHere("this node has no key for this patient's entries yet"))?;
            let mut rng = random::generator()?;
            let mut entries = vec![place.entry(Kind::Access, &stands_on, &payload, Some(key), &mut rng)];
            let shown = patient_text::access(signing.language, errand.purpose);
            signing.with(|unlocked| {
                let mut signer = unlocked.card.signer(Slot::Authentication)?;
                sign_entries(&mut signer, &network, &shown, &mut entries)
            })?;
            Ok(entries)
        })
        .await?;
        let filed = file(&self.0.parts.service, entries).await?;
        filed.first().map(|f| f.content).ok_or(DeskError::Stopping)
    }
}

/// A record's sealed data key with what may open it for a card's agreement key and the organization of its holder.
///
/// # Errors
/// Of the store.
pub(super) fn closed_of(
    service: &Service,
    objects: &dyn Objects,
    (own, organization): (KeyId, Option<OrganizationId>),
    listed: &Listed<RecordEntry>,
) -> Result<Closed, DeskError> {
    let (patient, keys) = (listed.entry.patient, listed.entry.keys.clone());
    let mut readers: Vec<KeyId> = Vec::new();
    if let Some(organization) = organization {
        let certified = service.state().membership.keys.get(&organization).cloned();
        readers.extend(newest_key(objects, &organization, certified)?.map(|k| k.key.id()));
    }
    let sealed = keys.iter().filter_map(|k| Envelope::parse(k).ok());
    readers.extend(sealed.map(|envelope| envelope.recipient()));
    let mut organizations = Vec::new();
    for reader in readers {
        organizations.push((reader, service.packets_for(&reader, &patient)?));
    }
    let own = service.packets_for(&own, &patient)?;
    Ok(Closed { content: listed.content, patient, keys, own, organizations })
}

impl RecordReader {
    /// Plain bytes of a range, which must lie in the file and be at most [`RANGE_BYTES_MAX`] long. An empty
    /// file has the one range 0..0.
    ///
    /// # Errors
    /// [`DeskError::Denied`] once it may not be read any more, [`DeskError::SessionOver`] once the card has left,
    /// [`DeskError::NotHere`] while parts of the file are missing, [`DeskError::Damaged`], [`Check::RangeForm`], [`Check::SealBroken`].
    pub(crate) async fn read_range(&self, range: Range<u64>) -> Result<Zeroizing<Vec<u8>>, DeskError> {
        if !self.session.is_live() {
            return Err(DeskError::SessionOver);
        }
        let (request, session) = (self.request, self.session.clone());
        let decide = move |service: &mut Service| {
            card_stands(service, &session.who, &session.authentication)?;
            Ok(service.decide(&request))
        };
        let decision = self.desk.ask(decide).await?;
        if let Decision::Deny(why) = decision {
            return Err(DeskError::Denied(why));
        }
        if range.end.saturating_sub(range.start) > RANGE_BYTES_MAX {
            return Err(Check::RangeForm.into());
        }
        if self.size == 0 && range == (0..0) {
            return Ok(Zeroizing::default());
        }
        for _ in 0..HEALINGS_MAX {
            let objects = self.desk.0.parts.objects.clone();
            let (entry, key, range) = (self.entry.clone(), self.key.clone(), range.clone());
            match blocking(move || Ok(open_range(&*objects, &entry, &key, range))).await? {
                Ok(plain) => return Ok(plain),
                Err(Unread::Failed(error)) => return Err(error),
                Err(Unread::Part(part)) => {
                    self.desk.heal(&self.session, self.content, &self.entry, part).await?
                }
            }
        }
        Err(MISSING)
    }
}
