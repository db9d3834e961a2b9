//! What a decision may read: by point lookups, from wherever it is kept.
//!
//! [`View`] is what [`crate::policy::decide`] needs, [`PatientView`] what judging, audience and placement
//! need beside it. The node implements them over storage, [`crate::policy::MemoryView`] over maps. A view
//! holds only what [`crate::policy::judge_body`] verified, and says nothing of when something arrived,
//! because no rule may depend on it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::check::{Check, Rejected};
use crate::control::CommitteeEntry;
use crate::emergency::{RequestEntry, Tier};
use crate::ids::{BlockHash, ContentId, Lock, NetworkId, OrganizationId, PatientId, PersonId, sha256};
use crate::keys::VerifyingKey;
use crate::personal::{
    Author, CardEntry, Category, GrantEntry, Grantee, Label, PatientEntry, ProxyEntry, RevocationEntry,
};
use crate::policy::Personal;
use crate::state::Membership;
use crate::tap::{Body, TapPayload};

/// Something that a decision needs could not be read: then nothing is permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the decision needs could not be read")]
pub struct Unreadable;

impl From<Unreadable> for Rejected {
    // What could not be read is as good as missing: nobody is to blame, and it is judged again.
    fn from(_: Unreadable) -> Self {
        Check::StandsOnMissing.into()
    }
}

/// The card or proxy entry whose key signed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Under {
    /// The card entry or proxy entry.
    pub entry: ContentId,
    /// Its lock.
    pub lock: Lock,
}

/// A verified entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known<T> {
    /// Its content id.
    pub id: ContentId,
    /// Its payload.
    pub entry: T,
    /// Its lock.
    pub lock: Option<Lock>,
    /// The height that made it final; null before.
    pub height: Option<u64>,
    /// Under which card or proxy entry it was signed; null for what organizations and practitioners sign.
    pub under: Option<Under>,
}

impl<T> Known<T> {
    /// The same entry with another payload type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Known<U> {
        let Self { id, entry, lock, height, under } = self;
        Known { id, entry: f(entry), lock, height, under }
    }
}

/// Whether a lock is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockState {
    /// No reveal is known.
    Open,
    /// A reveal was seen; the header that shows it is not final.
    Seen,
    /// Closed by the block of this height.
    Closed(u64),
}

/// The newest certified block here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its height.
    pub height: u64,
    /// Its time, in milliseconds since 1970 UTC.
    pub time: u64,
}

/// What a decision needs of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFacts {
    /// Whose it is.
    pub patient: PatientId,
    /// Who wrote it.
    pub author: Author,
    /// The organization that answers for it.
    pub organization: OrganizationId,
    /// Its category: as filed, or as both, patient and organization, changed it since.
    pub category: Category,
    /// Its label: likewise, and what the patient alone raised it to since.
    pub label: Label,
    /// By what the patient restricts it even for the author's organization.
    pub restricted_by: Option<ContentId>,
    /// The change of title, category and label that stands; null where they are as filed.
    pub described_by: Option<ContentId>,
    /// Category and label as filed and by every change, the one that stands included; empty without changes.
    pub past: Vec<(Category, Label)>,
    /// The height that made it final; null before.
    pub height: Option<u64>,
}

/// What a decision needs of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// The request.
    pub request: ContentId,
    /// For whom.
    pub requester: PersonId,
    /// The requester's organization.
    pub organization: OrganizationId,
    /// What it opens.
    pub tier: Tier,
    /// Until when, exclusive, in milliseconds since 1970 UTC.
    pub until: u64,
    /// Whether it was closed before, final or not.
    pub closed: bool,
}

/// A threshold signature with the shares that it is said to come from.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// What is signed.
    pub statement: &'a [u8],
    /// Each share with its index.
    pub shares: &'a [(u64, &'a [u8; 96])],
    /// The signature.
    pub signature: &'a [u8; 96],
}

impl Signed<'_> {
    /// Names all of it, with the committee.
    #[must_use]
    pub fn id(&self, committee: &ContentId) -> [u8; 32] {
        let indexes: Vec<_> = self.shares.iter().map(|(index, _)| index.to_be_bytes()).collect();
        let shares = self.shares.iter().map(|(_, share)| share.as_slice());
        let mut parts: Vec<&[u8]> = vec![&committee.0, self.statement, self.signature];
        parts.extend(
            indexes.iter().map(<[u8; 8]>::as_slice).zip(shares).flat_map(|(index, share)| [index, share]),
        );
        sha256(&parts)
    }
}

/// Of all patient entries of one patient, each with the entry that it moves home from, the one that counts
/// now: the first founding one by finality, then along the moves, of several from one place again the first.
#[must_use]
pub fn standing_patient<'a>(
    entries: &[(&'a Known<PatientEntry>, Option<ContentId>)],
) -> Option<&'a Known<PatientEntry>> {
    let first = |from: Option<ContentId>| {
        let next = entries.iter().filter(|(_, moves_from)| *moves_from == from);
        next.map(|(known, _)| *known).min_by_key(|k| (k.height.unwrap_or(u64::MAX), k.id))
    };
    let mut standing = first(None)?;
    // Content ids don't form a circle, so every step is to an entry not seen before.
    for _ in 0..entries.len() {
        standing = first(Some(standing.id)).unwrap_or(standing);
    }
    Some(standing)
}

/// Of several uses of one grant, the one that counts: the first by finality, then by id. One that is not
/// final comes after all that are.
#[must_use]
pub fn first_by_finality(uses: impl IntoIterator<Item = (Option<u64>, FirstUse)>) -> Option<FirstUse> {
    let first = uses.into_iter().min_by_key(|(height, used)| (height.unwrap_or(u64::MAX), used.access));
    first.map(|(_, used)| used)
}

/// Takes what a lookup finds, until it breaks.
pub type Visit<'v, T> = &'v mut dyn FnMut(&Known<T>) -> ControlFlow<()>;

/// What a decision may read. Every method is a point lookup whose cost is independent of how many patients
/// and grants there are.
pub trait View {
    /// Who takes part, after the newest certified block.
    fn membership(&self) -> &Membership;

    /// The newest certified block.
    fn newest(&self) -> Newest;

    /// Whether a lock is closed.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn lock(&self, lock: &Lock) -> Result<LockState, Unreadable>;

    /// The grants of a patient to exactly this grantee, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn grants(
        &self,
        patient: &PatientId,
        grantee: &Grantee,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable>;

    /// The grants to codes of a patient that are bound to this organization, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn bound_grants(
        &self,
        patient: &PatientId,
        organization: &OrganizationId,
        visit: Visit<'_, GrantEntry>,
    ) -> Result<(), Unreadable>;

    /// The revocations of a patient, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn revocations(&self, patient: &PatientId, visit: Visit<'_, RevocationEntry>) -> Result<(), Unreadable>;

    /// A card of a patient.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn card(&self, id: &ContentId) -> Result<Option<Known<CardEntry>>, Unreadable>;

    /// A proxy.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn proxy(&self, id: &ContentId) -> Result<Option<Known<ProxyEntry>>, Unreadable>;

    /// A record or amendment (see [`super::described`]).
    ///
    /// # Errors
    /// [`Unreadable`].
    fn record(&self, id: &ContentId) -> Result<Option<RecordFacts>, Unreadable>;

    /// The patient entry that counts now (see [`standing_patient`]).
    ///
    /// # Errors
    /// [`Unreadable`].
    fn patient(&self, patient: &PatientId) -> Result<Option<Known<PatientEntry>>, Unreadable>;

    /// The first access entry, by finality, that names this grant in its `why`, with its reader's
    /// organization (see [`first_by_finality`]).
    ///
    /// # Errors
    /// [`Unreadable`].
    fn first_use(&self, grant: &ContentId) -> Result<Option<FirstUse>, Unreadable>;

    /// The releases of a patient's escrows, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn releases(&self, patient: &PatientId, visit: Visit<'_, ReleaseFacts>) -> Result<(), Unreadable>;
}

/// The access that used a one-time grant up, or bound a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstUse {
    /// The access entry.
    pub access: ContentId,
    /// The reader's organization; null for a proxy.
    pub organization: Option<OrganizationId>,
}

/// A practitioner's card that was replaced or suspended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerCard {
    /// Slot 9C.
    pub signature: VerifyingKey,
    /// Slot 9A.
    pub authentication: VerifyingKey,
    /// The height at which it ended: what it signed counts only if it was final at a lower one.
    pub until: u64,
}

/// What judging a body, its audience and its placement need beside a [`View`].
pub trait PatientView: View {
    /// A verified personal entry.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn entry(&self, id: &ContentId) -> Result<Option<Known<Personal>>, Unreadable>;

    /// The hash of the block at a height, as far as it is here.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn block(&self, height: u64) -> Result<Option<BlockHash>, Unreadable>;

    /// The certified time of the block at a height, in milliseconds since 1970 UTC, as far as it is here.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn block_time(&self, height: u64) -> Result<Option<u64>, Unreadable>;

    /// Organizations that hold K of a patient.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn key_holders(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable>;

    /// Organizations that authored records of a patient in one of these categories.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn authors(
        &self,
        patient: &PatientId,
        categories: &[Category],
    ) -> Result<BTreeSet<OrganizationId>, Unreadable>;

    /// All grants of a patient, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn all_grants(&self, patient: &PatientId, visit: Visit<'_, GrantEntry>) -> Result<(), Unreadable>;

    /// The requests for a patient's escrows, in any order.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn requests(&self, patient: &PatientId, visit: Visit<'_, RequestEntry>) -> Result<(), Unreadable>;

    /// Hospitals that the patient's newest lockers have an offline escrow for.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn offline_at(&self, _patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Unreadable> {
        Ok(BTreeSet::new())
    }

    /// A committee, by its entry.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn committee(&self, id: &ContentId) -> Result<Option<CommitteeEntry>, Unreadable> {
        Ok(self.membership().committees.get(id).map(|standing| standing.entry.clone()))
    }

    /// Whether a release is signed under a committee's key, each share by its member.
    ///
    /// # Errors
    /// [`Unreadable`], where the key is not known here.
    fn threshold_signed(&self, committee: &ContentId, signed: Signed<'_>) -> Result<bool, Unreadable>;

    /// Whether the holder of a key signed a body. A view may remember what it verified.
    ///
    /// # Errors
    /// As [`Body::signed_by`].
    fn signed_by(
        &self,
        body: &Body,
        key: &VerifyingKey,
        network: &NetworkId,
    ) -> Result<TapPayload, Rejected> {
        body.signed_by(key, network)
    }

    /// Cards that a practitioner had, suspended ones included. Where none is known, only what is judged
    /// while the card stands counts.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn former_cards(&self, _person: &PersonId) -> Result<Vec<FormerCard>, Unreadable> {
        Ok(Vec::new())
    }

    /// Signature keys of cards that an organization had, those of a removed one included, each with the height
    /// at which it ended. Where none is known, only what is judged while the card stands counts.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn former_organization_cards(
        &self,
        _organization: &OrganizationId,
    ) -> Result<Vec<(VerifyingKey, u64)>, Unreadable> {
        Ok(Vec::new())
    }
}
