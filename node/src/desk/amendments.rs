//! Changing what is said of a record: title, category, label. The file stays as it is.
//!
//! Both cards sign one text in one tap, the patient's and that of a practitioner of the organization that answers
//! for the record, whichever of them is signed in. The patient alone raises the label, and changes what the patient
//! wrote. The data key is sealed again, to the locker of the new category and label, so that whoever reads those
//! opens it. Whether the change is lawful is judged by the service.

use std::sync::Arc;

use hospes_card::CardSerial;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, PatientId, PersonId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::patient::PatientKey;
use hospes_protocol::personal::{Author, Category, Label, Purpose, RecordEntry};
use hospes_protocol::policy::{Act, Actor, Decision, Request};
use hospes_protocol::seal::locker::seal_data_key;
use hospes_service::service::Service;
use hospes_storage::Objects;
use serde_json::json;

use super::compose::{Entry, file, sign_in_turn};
use super::error::DeskError;
use super::reading::closed_of;
use super::records::agreement_keys;
use super::sessions::{Session, Who};
use super::sign_in::name_of;
use super::taps::{Shown, TapView, blocking};
use super::unseal::{Closed, data_key};
use super::{Desk, patient_text, random};
use crate::runtime::actor::clock_ms;

/// What of a record is to change; null stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AmendRecord {
    /// A short title.
    pub(crate) title: Option<String>,
    /// Category.
    pub(crate) category: Option<Category>,
    /// Label.
    pub(crate) label: Option<Label>,
}

/// A change that is ready to be signed.
struct Change {
    /// What is to be filed, without the new seals.
    entry: RecordEntry,
    /// What it stands on.
    stands_on: Vec<ContentId>,
    /// The card that signs beside the session's.
    beside: Option<CardSerial>,
    /// K, where it doesn't come from the patient's card.
    key: Option<PatientKey>,
    /// The keys to seal to; none where the title alone changes.
    recipients: Vec<AgreementKey>,
    /// The data key as it lies sealed.
    closed: Closed,
    shown: Shown,
}

/// A card in a reader, with its 9A.
type InReader = (CardSerial, KeyId);

impl Desk {
    /// Changes what is said of a record: `{record, amendment}`.
    ///
    /// # Errors
    /// [`DeskError::Denied`], [`DeskError::NotAllowed`]; [`DeskError::SignerAbsent`] where the other card that must sign is
    /// not in a reader, or no key of the record is here; [`DeskError::Invalid`] where nothing would change.
    pub(crate) async fn amend_record(
        &self,
        session: &Arc<Session>,
        record: ContentId,
        request: AmendRecord,
    ) -> Result<TapView, DeskError> {
        let actor = self.actor(session).await?;
        let (asking, objects) = (session.clone(), self.0.parts.objects.clone());
        let cards = self.cards_in_readers();
        let change = self
            .ask(move |service| prepare(service, &*objects, (&asking, actor), record, &request, &cards))
            .await?;
        let (record, shown) = (change.closed.content, change.shown.clone());
        let beside = change.beside;
        let entry = self.seal_change(session, change).await?;
        let (desk, place, serial, signed) = (self.clone(), self.0.place, session.card, shown.clone());
        self.0.taps.begin("amend-record", shown, serial, move |mut tap| async move {
            let cards = [Some(serial), beside].into_iter().flatten();
            let entries = sign_in_turn(&mut tap, cards, &place.network, &signed, vec![entry]).await?;
            let filed = file(&desk.0.parts.service, entries).await?;
            let amendment = filed.first().map(|f| f.content.to_string());
            Ok(json!({ "record": record.to_string(), "amendment": amendment }))
        })
    }

    fn cards_in_readers(&self) -> Vec<InReader> {
        let cards = self.0.parts.readers.cards().into_iter();
        cards.filter_map(|(_, info)| Some((info.serial, info.authentication.as_ref()?.id()))).collect()
    }

    /// Seals the data key anew, as far as the change needs it.
    async fn seal_change(&self, session: &Arc<Session>, change: Change) -> Result<Entry, DeskError> {
        let (session, objects, place) = (session.clone(), self.0.parts.objects.clone(), self.0.place);
        blocking(move || {
            let mut rng = random::generator()?;
            let mut payload = change.entry;
            if !change.recipients.is_empty() {
                let open = |unlocked: &mut _| data_key(unlocked, &change.closed, &*objects, &place.network);
                let key = session.with(open)?;
                let recipients: Vec<_> = change.recipients.iter().collect();
                payload.keys = seal_data_key(&key, &recipients, &place.network, &mut rng)?;
            }
            let held = match &session.who {
                Who::Patient { .. } => Some(session.secret()?.k(&place.organization)),
                _ => change.key,
            };
            let key =
                held.ok_or(DeskError::NotHere("this node has no key for this patient's entries yet"))?;
            Ok(place.entry(Kind::Amendment, &change.stands_on, &payload, Some(key), &mut rng))
        })
        .await
    }
}

fn prepare(
    service: &Service,
    objects: &dyn Objects,
    (session, actor): (&Session, Actor),
    record: ContentId,
    request: &AmendRecord,
    cards: &[InReader],
) -> Result<Change, DeskError> {
    let unknown = DeskError::Unknown("this record");
    let now = service.record(&record)?.ok_or(unknown)?;
    let filed = service.filed(&now.content)?.ok_or(DeskError::Unknown("this record"))?;
    let mut entry = changed(&now.entry, request)?;
    may_change(service, actor, (now.content, &entry))?;
    let alone = is_alone(&session.who, &filed, (&now.entry, &entry))?;
    let (author, patients_card, beside) = signers(service, session, (&filed, alone), cards)?;
    if author == Author::Patient && filed.author != Author::Patient {
        // The label alone: the rest is said as it was filed, and stands as both changed it since.
        (entry.title, entry.category) = (filed.title.clone(), filed.category);
    }
    let newest = service.changes_of(&now.content)?.last().map_or(0, |change| change.entry.created);
    let moved = (entry.category, entry.label) != (now.entry.category, now.entry.label);
    let recipients = if moved { recipients(service, objects, &now.entry, request)? } else { Vec::new() };
    let organization = match &session.who {
        Who::Person { organization, .. } => Some(*organization),
        _ => None,
    };
    let closed = closed_of(service, objects, (session.agreement.id(), organization), &now)?;
    // Whoever signs beside the patient reads the same text.
    let language = match &session.who {
        Who::Patient { .. } => session.language,
        _ => patient_text::language_of(service, &filed.patient)?,
    };
    let author_name = name_of(service, &filed.organization);
    let named = (now.entry.title.as_str(), now.entry.category);
    let shown = patient_text::amend_record(language, &author_name, named, request, alone);
    let stands_on = vec![now.content, patients_card];
    entry.author = author;
    entry.created = clock_ms().max(newest + 1);
    entry.amends = Some(now.content);
    entry.keys = Vec::new();
    let key = service.subject_key(&filed.patient)?;
    Ok(Change { entry, stands_on, beside, key, recipients, closed, shown })
}

fn changed(now: &RecordEntry, request: &AmendRecord) -> Result<RecordEntry, DeskError> {
    let mut entry = now.clone();
    if let Some(title) = &request.title {
        entry.title.clone_from(title);
    }
    entry.category = request.category.unwrap_or(now.category);
    entry.label = request.label.unwrap_or(now.label);
    if entry == *now {
        return Err(DeskError::Invalid("nothing would change"));
    }
    if entry.category == Category::PrivateNotes && now.author != Author::Patient {
        return Err(DeskError::Invalid("private notes are the patient's own"));
    }
    Ok(entry)
}

fn may_change(
    service: &Service,
    actor: Actor,
    (record, entry): (ContentId, &RecordEntry),
) -> Result<(), DeskError> {
    let act = Act::Write { category: entry.category, label: entry.label, amends: Some(record) };
    let purpose = Purpose::Treatment;
    let asked = Request { patient: entry.patient, actor, act, purpose, code: None, access: None };
    match service.decide(&asked) {
        Decision::Permit(_) => Ok(()),
        Decision::Deny(why) => Err(DeskError::Denied(why)),
    }
}

/// Whether the patient who is signed in changes it alone.
fn is_alone(
    who: &Who,
    filed: &RecordEntry,
    (now, entry): (&RecordEntry, &RecordEntry),
) -> Result<bool, DeskError> {
    match who {
        Who::Patient { .. } => {
            let raises =
                entry.label > now.label && (&entry.title, entry.category) == (&now.title, now.category);
            Ok(filed.author == Author::Patient || raises)
        }
        Who::Person { organization, .. } if *organization == filed.organization => {
            let own = DeskError::NotAllowed("what the patient wrote only the patient changes");
            if filed.author == Author::Patient { Err(own) } else { Ok(false) }
        }
        _ => Err(DeskError::NotAllowed(
            "only the patient and the organization that answers for a record change it",
        )),
    }
}

/// Whose change it is, the patient's card entry, and the card that signs beside the session's.
fn signers(
    service: &Service,
    session: &Session,
    (filed, alone): (&RecordEntry, bool),
    cards: &[InReader],
) -> Result<(Author, ContentId, Option<CardSerial>), DeskError> {
    if let Who::Person { id, .. } = &session.who {
        let missing =
            DeskError::SignerAbsent("the patient must sign too, and the patient's card is not in a reader");
        let (card, entry) = patients_card(service, &filed.patient, cards)?.ok_or(missing)?;
        return Ok((Author::Practitioner(*id), entry, Some(card)));
    }
    let (_, own) = service.card_entry(&session.authentication)?.ok_or(DeskError::UnknownCard)?;
    if alone {
        return Ok((Author::Patient, own.id, None));
    }
    let missing = DeskError::SignerAbsent(
        "the organization that answers for the record must sign too, and no card of its practitioners is in a reader",
    );
    let (card, person) = practitioners_card(service, filed, cards).ok_or(missing)?;
    Ok((Author::Practitioner(person), own.id, Some(card)))
}

fn patients_card(
    service: &Service,
    patient: &PatientId,
    cards: &[InReader],
) -> Result<Option<(CardSerial, ContentId)>, DeskError> {
    for (serial, key) in cards {
        if let Some((of, known)) = service.card_entry(key)?
            && of == *patient
        {
            return Ok(Some((*serial, known.id)));
        }
    }
    Ok(None)
}

fn practitioners_card(
    service: &Service,
    filed: &RecordEntry,
    cards: &[InReader],
) -> Option<(CardSerial, PersonId)> {
    use hospes_protocol::control::Standing;
    cards.iter().find_map(|(serial, key)| {
        let (id, person) = service.state().membership.person_by_key(key)?;
        let answers = person.organization == filed.organization && person.standing == Standing::Active;
        answers.then_some((*serial, *id))
    })
}

/// The locker of the new category and label; while no epoch is live, the patient's cards.
fn recipients(
    service: &Service,
    objects: &dyn Objects,
    now: &RecordEntry,
    request: &AmendRecord,
) -> Result<Vec<AgreementKey>, DeskError> {
    let wanted = (request.category.unwrap_or(now.category), request.label.unwrap_or(now.label));
    let epoch = service.locker_epoch(&now.patient)?.map(|(_, epoch)| epoch);
    let lockers = epoch.into_iter().flat_map(|epoch| epoch.lockers);
    let fitting = lockers.filter(|l| (l.category, l.label) == wanted).map(|l| l.key).next();
    let keys = match fitting {
        Some(locker) => vec![locker],
        None => agreement_keys(service, objects, &now.patient)?,
    };
    if keys.is_empty() { Err(DeskError::NotHere("no key of this patient is here")) } else { Ok(keys) }
}
