//! What desk and API ask of break-glass: what a request would stand on, how far each is, what its release opened.

use std::collections::BTreeSet;

use hospes_protocol::emergency::{CloseEntry, EscrowRef, ReleaseEntry, RequestEntry, ReviewEntry};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, KeyId, OrganizationId, PatientId, PersonId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::policy::Personal;

use super::share::{Half, OPENINGS};
use crate::records::{EntryState, index as rows};
use crate::service::{Fatal, Service};

/// An escrow with what a request for it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Whose.
    pub patient: PatientId,
    /// The patient entry.
    pub enrolment: ContentId,
    /// The home organization that it names.
    pub home: OrganizationId,
    /// The card entry.
    pub card: ContentId,
    /// The card's 9D.
    pub card_key: AgreementKey,
    /// The locker entry.
    pub locker: ContentId,
    /// The escrow.
    pub escrow: EscrowRef,
}

/// Who has approved a request; known at the requester's node, and of a release everywhere.
pub type Approvals = BTreeSet<PersonId>;

/// A request and what followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emergency {
    /// The request.
    pub id: ContentId,
    /// What it says.
    pub request: RequestEntry,
    /// The search by which the patient was found, where no card and no pseudonym named him.
    pub search: Option<ContentId>,
    /// How far it is.
    pub state: EntryState,
    /// Who has approved, as far as this node knows.
    pub approved: Approvals,
    /// Its release.
    pub release: Option<(ContentId, ReleaseEntry, EntryState)>,
    /// What closed it before its time.
    pub closes: Vec<(ContentId, CloseEntry)>,
    /// Its reviews.
    pub reviews: Vec<(ContentId, ReviewEntry)>,
}

/// How long after its end a release is to be reviewed, in milliseconds.
pub const REVIEW_MS: u64 = 72 * 60 * 60 * 1000;

/// Until when a release is to be reviewed, in milliseconds since 1970 UTC; null where nothing was released or a review
/// is here.
#[must_use]
pub fn review_due(found: &Emergency) -> Option<u64> {
    let due = found.request.until.saturating_add(REVIEW_MS);
    (found.release.is_some() && found.reviews.is_empty()).then_some(due)
}

/// Shares of one key that are here, sealed, with their places.
pub type Gathered = Vec<(u64, Vec<u8>)>;

/// What the requester's card opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The request.
    pub request: RequestEntry,
    /// The release.
    pub release: ContentId,
    /// Guardians' opening shares.
    pub guardians: Gathered,
    /// Validators' opening shares.
    pub ledger: Gathered,
}

impl Service {
    /// Every request of which the body is here, of one patient or of all.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn emergencies(&self, patient: Option<&PatientId>) -> Result<Vec<Emergency>, Fatal> {
        let mut list = Vec::new();
        if let Some(patient) = patient {
            for id in self.contents_of(patient, Kind::BreakGlassRequest.code())? {
                list.extend(self.emergency(&id)?);
            }
            return Ok(list);
        }
        rows::each(&*self.objects, rows::EMERGENCIES, None, |row| {
            list.extend(self.emergency(&rows::content_of(row)?)?);
            Ok(true)
        })?;
        Ok(list)
    }

    /// A request and what followed, if it has effect.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn emergency(&self, id: &ContentId) -> Result<Option<Emergency>, Fatal> {
        let Some((_, request)) = self.request(id)? else { return Ok(None) };
        let Some(state) = self.entry_state(id)? else { return Ok(None) };
        let mut emergency = Emergency {
            id: *id,
            request,
            search: self.search_of(id)?,
            state,
            approved: self.approvals(id)?.into_iter().map(|a| a.person).collect(),
            release: None,
            closes: Vec::new(),
            reviews: Vec::new(),
        };
        let Some(release) = self.follow_ups(rows::RELEASES, id)?.first().copied() else {
            return Ok(Some(emergency));
        };
        if let (Some((_, entry)), Some(state)) = (self.release(&release)?, self.entry_state(&release)?) {
            emergency.approved = entry.approvals.iter().map(|a| a.person).collect();
            emergency.release = Some((release, entry, state));
        }
        for close in self.follow_ups(rows::CLOSES, &release)? {
            if let Some((_, Personal::Close(entry))) = self.entry(&close)? {
                emergency.closes.push((close, entry));
            }
        }
        for review in self.follow_ups(rows::REVIEWS, &release)? {
            if let Some((_, Personal::Review(entry))) = self.entry(&review)? {
                emergency.reviews.push((review, entry));
            }
        }
        Ok(Some(emergency))
    }

    /// Whether a person has releases here whose review is overdue.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn owes_reviews(&self, person: &PersonId) -> Result<bool, Fatal> {
        let overdue = |found: &Emergency| review_due(found).is_some_and(|due| due <= self.now);
        Ok(self.emergencies(None)?.iter().any(|found| found.request.requester == *person && overdue(found)))
    }

    /// The escrow of a locker entry that has a key.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn escrow_in(&self, locker: &ContentId, key: &KeyId) -> Result<Option<EscrowRef>, Fatal> {
        let Some((_, Personal::Locker(entry))) = self.entry(locker)? else { return Ok(None) };
        Ok(entry.escrows.into_iter().find(|escrow| escrow.public.key.id() == *key))
    }

    /// The shares that came for a request's release, while it is in force.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn opening_shares(&self, id: &ContentId) -> Result<Option<Ready>, Fatal> {
        let Some((_, request)) = self.request(id)? else { return Ok(None) };
        let Some(release) = self.in_force(id, &request)? else { return Ok(None) };
        let (mut guardians, mut ledger) = (Vec::new(), Vec::new());
        rows::each(&*self.objects, OPENINGS, Some(&release.0), |row| {
            let (half, index) = row.key.item.split_at_checked(8).unwrap_or_default();
            let Ok(index) = <[u8; 8]>::try_from(index).map(u64::from_be_bytes) else { return Ok(true) };
            if half == Half::Guardians.code().to_be_bytes() {
                guardians.push((index, row.value.clone()));
            } else {
                ledger.push((index, row.value.clone()));
            }
            Ok(true)
        })?;
        Ok(Some(Ready { request, release, guardians, ledger }))
    }
}
