//! Filing records: the decision first, then the file is sealed while it arrives, then one tap signs the batch.
//!
//! The data key goes to the live locker of its category and label and to the author's organization; while no
//! epoch is live, to the patient's cards instead of a locker. What a patient writes is never sealed to an
//! organization. A summary that was derived from the file is a record of its own in the same tap.

use std::sync::Arc;

use hospes_card::Slot;
use hospes_protocol::control::OrganizationKeyEntry;
use hospes_protocol::entry::Kind;
use hospes_protocol::fail_point;
use hospes_protocol::ids::{ContentId, OrganizationId, PatientId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{Author, Category, Label, LockerEntry, Purpose, RecordEntry};
use hospes_protocol::policy::{Act, Actor, Decision, LockState, Personal, Request, Rule, View as _, Why};
use hospes_protocol::seal::locker::seal_data_key;
use hospes_protocol::tap::Body;
use hospes_service::service::Service;
use hospes_storage::{Objects, StoreError};
use rand_chacha::ChaCha20Rng;
use serde_json::json;
use zeroize::Zeroizing;

use super::compose::{Entry, file, sign_entries};
use super::error::DeskError;
use super::organization::newest_key;
use super::sessions::{Session, Who};
use super::sign_in::card_stands;
use super::taps::{Tap, TapView, blocking};
use super::upload::{Incoming, SealedFile, Upload, seal_bytes};
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;
use crate::words;

/// Records that one tap signs.
const BATCH_MAX: usize = 50;
/// Cards of a patient that are looked at.
const CARDS_MAX: usize = 64;

/// A record to file.
#[derive(Clone, Debug)]
pub(crate) struct AddRecord {
    /// Whose.
    pub(crate) patient: PatientId,
    /// Category.
    pub(crate) category: Category,
    /// Label.
    pub(crate) label: Label,
    /// A short title.
    pub(crate) title: String,
    /// The media type.
    pub(crate) media_type: String,
    /// The system that it comes from.
    pub(crate) source: String,
    /// Whether an emergency summary is to be derived and filed beside it.
    pub(crate) derive_summary: bool,
}

/// A sealed file with what it is to become.
struct Piece {
    file: SealedFile,
    request: AddRecord,
    derived: bool,
    /// Why no summary was derived from it although one was asked for.
    note: Option<String>,
}

/// Who writes, and what the entries stand on.
struct Writing {
    author: Author,
    organization: OrganizationId,
    stands_on: Vec<ContentId>,
    key: PatientKey,
    epoch: Option<LockerEntry>,
    organization_key: Option<AgreementKey>,
    cards: Vec<AgreementKey>,
}

impl Desk {
    /// Who acts in a session, for `decide`.
    pub(super) async fn actor(&self, session: &Arc<Session>) -> Result<Actor, DeskError> {
        match &session.who {
            Who::Person { id, .. } => {
                let (actor, who, key) = (Actor::Person(*id), session.who.clone(), session.authentication);
                self.ask(move |service| card_stands(service, &who, &key)).await?;
                Ok(actor)
            }
            Who::Organization { .. } => {
                Err(DeskError::NotAllowed("an organization's card reads and files no records"))
            }
            Who::Patient { .. } => {
                let key = session.authentication;
                let entry = self.ask(move |service| Ok(service.card_entry(&key)?)).await?;
                Ok(Actor::Patient(entry.ok_or(DeskError::UnknownCard)?.1.id))
            }
        }
    }

    /// Begins an upload, if the session may file it.
    ///
    /// # Errors
    /// [`DeskError::Denied`], [`DeskError::NotAllowed`].
    pub(crate) async fn begin_record(
        &self,
        session: &Arc<Session>,
        request: AddRecord,
    ) -> Result<Upload, DeskError> {
        self.may_write(session, &request).await?;
        let incoming = Incoming::begin(self.0.parts.objects.clone(), request.derive_summary);
        Ok(Upload { request, incoming })
    }

    /// Ends an upload and begins the tap that files it: `{records: [{content, record, category, label, size,
    /// derived, note}]}`, a derived summary directly after its source.
    ///
    /// # Errors
    /// [`DeskError::UploadBroken`], [`DeskError::Seal`] of the upload; of the store.
    pub(crate) async fn finish_record(
        &self,
        session: &Arc<Session>,
        upload: Upload,
    ) -> Result<TapView, DeskError> {
        self.finish_records(session, vec![upload]).await
    }

    /// As [`Desk::finish_record`], for a batch of up to 50 files of one patient.
    ///
    /// # Errors
    /// As [`Desk::finish_record`]; [`DeskError::Invalid`] for files of several patients or too many.
    pub(crate) async fn finish_records(
        &self,
        session: &Arc<Session>,
        uploads: Vec<Upload>,
    ) -> Result<TapView, DeskError> {
        let patient = uploads.first().ok_or(DeskError::Invalid("there is no file"))?.request.patient;
        let mut pieces = Vec::new();
        let gathered = self.gather(session, uploads, &patient, &mut pieces).await;
        let begun = match gathered {
            Ok(writing) => self.tap_records(session, writing, pieces).await,
            Err(error) => Err((error, pieces)),
        };
        match begun {
            Ok(view) => Ok(view),
            Err((error, pieces)) => {
                self.drop_pieces(pieces).await?;
                if matches!(error, DeskError::Store(StoreError::Full)) {
                    self.ask(|service| Ok(service.look_for_room()?)).await?;
                }
                Err(error)
            }
        }
    }

    async fn gather(
        &self,
        session: &Arc<Session>,
        uploads: Vec<Upload>,
        patient: &PatientId,
        pieces: &mut Vec<Piece>,
    ) -> Result<Writing, DeskError> {
        if uploads.len() > BATCH_MAX || uploads.iter().any(|u| u.request.patient != *patient) {
            return Err(DeskError::Invalid("one tap files up to 50 files of one patient"));
        }
        let mut whys = Vec::new();
        for upload in uploads {
            let why = self.may_write(session, &upload.request).await?;
            let request = upload.request;
            let file = upload.incoming.finish().await?;
            pieces.push(Piece { file, request, derived: false, note: None });
            whys.push(why);
            self.derive(pieces).await?;
        }
        self.writing(session, patient, &whys).await
    }

    async fn may_write(&self, session: &Arc<Session>, request: &AddRecord) -> Result<Why, DeskError> {
        let actor = self.actor(session).await?;
        let act = Act::Write { category: request.category, label: request.label, amends: None };
        let patient = request.patient;
        let purpose = Purpose::Treatment;
        let request = Request { patient, actor, act, purpose, code: None, access: None };
        let decide = move |service: &mut Service| {
            has_room(service)?;
            Ok(service.decide(&request))
        };
        match self.ask(decide).await? {
            Decision::Permit(why) => Ok(why),
            Decision::Deny(why) => Err(DeskError::Denied(why)),
        }
    }

    /// Derives a summary from the last piece, if that was asked for and it is a chart.
    async fn derive(&self, pieces: &mut Vec<Piece>) -> Result<(), DeskError> {
        let Some(last) = pieces.last_mut().filter(|p| p.request.derive_summary) else { return Ok(()) };
        let Some(kept) = last.file.kept.take() else { return Ok(()) };
        let (objects, label) = (self.0.parts.objects.clone(), last.request.label);
        let request = AddRecord {
            category: Category::EmergencySummary,
            label,
            title: "Emergency summary".into(),
            media_type: "application/fhir+json".into(),
            derive_summary: false,
            ..last.request.clone()
        };
        let derived = blocking(move || match hospes_import::emergency_summary(&kept) {
            Ok(Some(summary)) => seal_bytes(&objects, &Zeroizing::new(summary)).map(Ok),
            Ok(None) => Ok(Err("the file is no chart that a summary can be made of".to_owned())),
            Err(error) => Ok(Err(error.to_string())),
        })
        .await?;
        match derived {
            Ok(file) => pieces.push(Piece { file, request, derived: true, note: None }),
            // The file itself is filed all the same: what a hospital sends is kept as it is.
            Err(note) => last.note = Some(note),
        }
        Ok(())
    }

    async fn writing(
        &self,
        session: &Arc<Session>,
        patient: &PatientId,
        whys: &[Why],
    ) -> Result<Writing, DeskError> {
        let (patient, who, objects) = (*patient, session.who.clone(), self.0.parts.objects.clone());
        let own = self.0.parts.organization;
        let grants = whys.iter().filter(|w| w.rule == Rule::Grant).filter_map(|w| w.entries.last().copied());
        let mut stands_on: Vec<_> = grants.collect();
        let (author, organization, key) = match &session.who {
            Who::Person { id, organization, .. } => (Author::Practitioner(*id), *organization, None),
            Who::Patient { home, .. } => {
                stands_on = whys.iter().flat_map(|w| w.entries.first().copied()).collect();
                let session = session.clone();
                let key = blocking(move || Ok(session.secret()?.k(&own))).await?;
                (Author::Patient, *home, Some(key))
            }
            Who::Organization { .. } => {
                return Err(DeskError::NotAllowed("an organization's card files no records"));
            }
        };
        self.ask(move |service| {
            let held = match key {
                Some(key) => Some(key),
                None => service.subject_key(&patient)?,
            };
            let key =
                held.ok_or(DeskError::NotHere("this node has no key for this patient's entries yet"))?;
            let certified = service.state().membership.keys.get(&organization).cloned();
            let newest = match who {
                Who::Person { .. } if organization == own => newest_key(&*objects, &organization, certified)?,
                Who::Person { .. } => certified,
                _ => None,
            };
            let missing = DeskError::NotHere("the author's organization has no agreement key yet");
            let organization_key = newest.map(|k: OrganizationKeyEntry| k.key);
            if author != Author::Patient && organization_key.is_none() {
                return Err(missing);
            }
            let epoch = service.locker_epoch(&patient)?.map(|(_, entry)| entry);
            let cards = agreement_keys(service, &*objects, &patient)?;
            Ok(Writing { author, organization, stands_on, key, epoch, organization_key, cards })
        })
        .await
    }

    async fn tap_records(
        &self,
        session: &Arc<Session>,
        writing: Writing,
        pieces: Vec<Piece>,
    ) -> Result<TapView, (DeskError, Vec<Piece>)> {
        let entries = random::generator().and_then(|mut rng| self.entries(&writing, &pieces, &mut rng));
        let (entries, name) = match (entries, self.organization_name().await) {
            (Ok(entries), Ok(name)) => (entries, name),
            (Err(error), _) | (_, Err(error)) => return Err((error, pieces)),
        };
        let named: Vec<_> = pieces.iter().map(|p| (p.request.category, p.request.title.clone())).collect();
        let shown = patient_text::add_records(session.language, &name, &named);
        let (desk, serial, signed) = (self.clone(), session.card, shown.clone());
        // A tap that cannot begin leaves the pieces for the caller to drop.
        let pieces = Arc::new(pieces);
        let held = pieces.clone();
        let begun = self.0.taps.begin("add-record", shown, serial, move |tap| async move {
            let done = desk.run_records(tap, serial, signed, entries, &held).await;
            match &done {
                // The service stopped before it answered: what names the file may be durable, so the file stays.
                Ok(_) | Err(DeskError::Stopping) => {}
                Err(_) => desk.drop_shared(held).await?,
            }
            done
        });
        match begun {
            Ok(view) => Ok(view),
            Err(error) => Err((error, Arc::into_inner(pieces).unwrap_or_default())),
        }
    }

    async fn run_records(
        &self,
        mut tap: Tap,
        serial: hospes_card::CardSerial,
        shown: super::taps::Shown,
        mut entries: Vec<Entry>,
        pieces: &[Piece],
    ) -> Result<serde_json::Value, DeskError> {
        let network = self.0.parts.network;
        let entries = tap
            .card(serial, move |mut card| {
                sign_entries(&mut card.signer(Slot::Signature)?, &network, &shown, &mut entries)?;
                Ok(entries)
            })
            .await?;
        fail_point!(BlobUnfiled, return Err(DeskError::UploadBroken));
        let filed = file(&self.0.parts.service, entries).await?;
        let one = |(filed, piece): (&hospes_service::filing::Filed, &Piece)| {
            json!({
                "content": filed.content.to_string(),
                "record": piece.file.record.to_string(),
                "category": words::name(&words::CATEGORIES, &piece.request.category),
                "label": words::name(&words::LABELS, &piece.request.label),
                "size": piece.file.size,
                "derived": piece.derived,
                "note": piece.note,
            })
        };
        let list: Vec<_> = filed.iter().zip(pieces).map(one).collect();
        Ok(json!({ "records": list }))
    }

    fn entries(
        &self,
        writing: &Writing,
        pieces: &[Piece],
        rng: &mut ChaCha20Rng,
    ) -> Result<Vec<Entry>, DeskError> {
        let mut entries: Vec<Entry> = Vec::new();
        for piece in pieces {
            let derived_from = if piece.derived { entries.last().map(Entry::id) } else { None };
            let payload = self.record(writing, piece, derived_from, rng)?;
            let key = Some(writing.key.clone());
            // It doesn't stand on what it was derived from: who holds a summary need not hold the chart.
            entries.push(self.0.place.entry(Kind::Record, &writing.stands_on, &payload, key, rng));
        }
        Ok(entries)
    }

    fn record(
        &self,
        writing: &Writing,
        piece: &Piece,
        derived_from: Option<ContentId>,
        rng: &mut ChaCha20Rng,
    ) -> Result<RecordEntry, DeskError> {
        let (request, sealed) = (&piece.request, &piece.file);
        let locker = writing.epoch.as_ref().and_then(|epoch| {
            let fits = |l: &&hospes_protocol::personal::LockerPublic| {
                l.category == request.category && l.label == request.label
            };
            epoch.lockers.iter().find(fits).map(|l| &l.key)
        });
        let mut recipients: Vec<&AgreementKey> = match locker {
            Some(key) => vec![key],
            None => writing.cards.iter().collect(),
        };
        recipients.extend(&writing.organization_key);
        if recipients.is_empty() {
            return Err(DeskError::NotHere("no key of this patient is here"));
        }
        Ok(RecordEntry {
            patient: request.patient,
            author: writing.author.clone(),
            organization: writing.organization,
            category: request.category,
            label: request.label,
            record: sealed.record,
            manifest: sealed.root,
            size: sealed.size,
            digest: sealed.digest,
            media_type: request.media_type.clone(),
            title: request.title.clone(),
            source: request.source.clone(),
            created: clock_ms(),
            keys: seal_data_key(&sealed.key, &recipients, &self.0.parts.network, rng)?,
            amends: None,
            derived_from,
        })
    }

    async fn drop_pieces(&self, pieces: Vec<Piece>) -> Result<(), DeskError> {
        self.drop_shared(Arc::new(pieces)).await
    }

    async fn drop_shared(&self, pieces: Arc<Vec<Piece>>) -> Result<(), DeskError> {
        let objects = self.0.parts.objects.clone();
        blocking(move || pieces.iter().try_for_each(|piece| piece.file.discard(&objects))).await
    }
}

/// What must end in an entry isn't begun while the node is read-only.
pub(super) fn has_room(service: &Service) -> Result<(), DeskError> {
    if service.full_since().is_some() { Err(StoreError::Full.into()) } else { Ok(()) }
}

/// 9D of a patient's cards that were not withdrawn.
pub(super) fn agreement_keys(
    service: &Service,
    objects: &dyn Objects,
    patient: &PatientId,
) -> Result<Vec<AgreementKey>, DeskError> {
    let mut keys = Vec::new();
    for id in objects.bodies(Some(patient), Some(Kind::Card.code()), 0, CARDS_MAX)? {
        let Some(held) = objects.body(&id)? else { continue };
        let (_, content) = Body::read(&held.bytes, &service.state().network)?;
        let Personal::Card(card) = Personal::read(&content)? else { continue };
        let open = match &content.lock {
            Some(lock) => service.view().lock(lock)? == LockState::Open,
            None => false,
        };
        if open {
            keys.push(card.agreement);
        }
    }
    Ok(keys)
}
