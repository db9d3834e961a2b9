//! The payloads of the personal kinds as one type, and the form that each must have.
//!
//! Form is what shows from the payload alone; who must have signed is [`crate::policy::lawful`]'s.

use crate::check::{Check, Rejected, ensure};
use crate::emergency::{CloseEntry, ReleaseEntry, RequestEntry, ReviewEntry, TEXT_BYTES_MAX, judge_escrows};
use crate::entry::{Content, Kind};
use crate::ids::PatientId;
use crate::limits::RECORD_BYTES_MAX;
use crate::personal::{
    AccessEntry, Author, CardEntry, Category, ErasureEntry, ErasureReceipt, GrantEntry, LockerEntry,
    PatientEntry, ProxyEntry, RecordEntry, RevocationEntry, Revoked, Right,
};
use crate::recovery::RecoveryEntry;
use crate::search::SearchEntry;
use crate::wire::Wire;

/// A language tag in bytes, at most (BCP 47, 4.4.1).
pub const LANGUAGE_BYTES_MAX: usize = 35;
/// A title, media type, source or basis in bytes, at most.
pub const LABEL_TEXT_BYTES_MAX: usize = 512;
/// Entries in the `why` of an access.
pub const WHY_MAX: usize = 64;

/// What a body of a personal kind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Personal {
    /// Kind 16.
    Patient(PatientEntry),
    /// Kind 17.
    Card(Box<CardEntry>),
    /// Kind 18.
    Locker(LockerEntry),
    /// Kind 19.
    Record(Box<RecordEntry>),
    /// Kind 20.
    Amendment(Box<RecordEntry>),
    /// Kind 21.
    Grant(GrantEntry),
    /// Kind 22.
    Revocation(RevocationEntry),
    /// Kind 23.
    Proxy(ProxyEntry),
    /// Kind 24.
    Access(AccessEntry),
    /// Kind 25.
    Erasure(ErasureEntry),
    /// Kind 26.
    Receipt(ErasureReceipt),
    /// Kind 32.
    Request(Box<RequestEntry>),
    /// Kind 33.
    Release(ReleaseEntry),
    /// Kind 34.
    Close(CloseEntry),
    /// Kind 35.
    Review(ReviewEntry),
    /// Kind 36.
    Search(SearchEntry),
    /// Kind 37.
    Recovery(Box<RecoveryEntry>),
}

/// Whether entries of a kind carry a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Locked {
    Always,
    Never,
    Perhaps,
}

impl Personal {
    /// Reads the payload of a content and judges its form, its lock's presence included.
    ///
    /// # Errors
    /// [`Check::UnknownKind`] for a control kind or one that this build does not apply; checks 101 to 104;
    /// [`Check::ScopeForm`], [`Check::PeriodForm`].
    pub fn read(content: &Content) -> Result<Self, Rejected> {
        let personal = Self::decode(content)?;
        personal.judge()?;
        let lawful = match personal.locked() {
            Locked::Always => content.lock.is_some(),
            Locked::Never => content.lock.is_none(),
            Locked::Perhaps => true,
        };
        ensure(lawful, Check::ScopeForm)?;
        Ok(personal)
    }

    fn decode(content: &Content) -> Result<Self, Rejected> {
        let bytes = &content.payload;
        match Kind::from_code(content.kind).ok_or(Check::UnknownKind)? {
            Kind::Patient => Wire::decode(bytes).map(Self::Patient),
            Kind::Card => Wire::decode(bytes).map(Box::new).map(Self::Card),
            Kind::Locker => Wire::decode(bytes).map(Self::Locker),
            Kind::Record => Wire::decode(bytes).map(Box::new).map(Self::Record),
            Kind::Amendment => Wire::decode(bytes).map(Box::new).map(Self::Amendment),
            Kind::Grant => Wire::decode(bytes).map(Self::Grant),
            Kind::Revocation => Wire::decode(bytes).map(Self::Revocation),
            Kind::Proxy => Wire::decode(bytes).map(Self::Proxy),
            Kind::Access => Wire::decode(bytes).map(Self::Access),
            Kind::Erasure => Wire::decode(bytes).map(Self::Erasure),
            Kind::Receipt => Wire::decode(bytes).map(Self::Receipt),
            Kind::BreakGlassRequest => Wire::decode(bytes).map(Box::new).map(Self::Request),
            Kind::Release => Wire::decode(bytes).map(Self::Release),
            Kind::Close => Wire::decode(bytes).map(Self::Close),
            Kind::Review => Wire::decode(bytes).map(Self::Review),
            Kind::Search => Wire::decode(bytes).map(Self::Search),
            Kind::Recovery => Wire::decode(bytes).map(Box::new).map(Self::Recovery),
            _ => Err(Check::UnknownKind.into()),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Patient(_) => Kind::Patient,
            Self::Card(_) => Kind::Card,
            Self::Locker(_) => Kind::Locker,
            Self::Record(_) => Kind::Record,
            Self::Amendment(_) => Kind::Amendment,
            Self::Grant(_) => Kind::Grant,
            Self::Revocation(_) => Kind::Revocation,
            Self::Proxy(_) => Kind::Proxy,
            Self::Access(_) => Kind::Access,
            Self::Erasure(_) => Kind::Erasure,
            Self::Receipt(_) => Kind::Receipt,
            Self::Request(_) => Kind::BreakGlassRequest,
            Self::Release(_) => Kind::Release,
            Self::Close(_) => Kind::Close,
            Self::Review(_) => Kind::Review,
            Self::Search(_) => Kind::Search,
            Self::Recovery(_) => Kind::Recovery,
        }
    }

    /// Whose entry it is; null for a receipt, whose erasure says it. A search is about a pseudonym of its own.
    #[must_use]
    pub fn patient(&self) -> Option<&PatientId> {
        match self {
            Self::Patient(e) => Some(&e.patient),
            Self::Card(e) => Some(&e.patient),
            Self::Locker(e) => Some(&e.patient),
            Self::Record(e) | Self::Amendment(e) => Some(&e.patient),
            Self::Grant(e) => Some(&e.patient),
            Self::Revocation(e) => Some(&e.patient),
            Self::Proxy(e) => Some(&e.patient),
            Self::Access(e) => Some(&e.patient),
            Self::Erasure(e) => Some(&e.patient),
            Self::Receipt(_) => None,
            Self::Request(e) => Some(&e.patient),
            Self::Release(e) => Some(&e.patient),
            Self::Close(e) => Some(&e.patient),
            Self::Review(e) => Some(&e.patient),
            Self::Search(e) => Some(&e.search),
            Self::Recovery(e) => Some(&e.patient),
        }
    }

    // A record, an access or a revocation that someone could void by a reveal would be no record of anything.
    fn locked(&self) -> Locked {
        match self {
            Self::Card(_) | Self::Grant(_) | Self::Proxy(_) | Self::Recovery(_) => Locked::Always,
            Self::Locker(_) | Self::Erasure(_) => Locked::Perhaps,
            _ => Locked::Never,
        }
    }

    fn judge(&self) -> Result<(), Rejected> {
        match self {
            Self::Patient(e) => ensure(e.language.len() <= LANGUAGE_BYTES_MAX, Check::TooLarge),
            Self::Card(e) => ensure(e.generation > 0, Check::ScopeForm),
            Self::Locker(e) => judge_locker(e),
            Self::Record(e) => judge_record(e).and(ensure(e.amends.is_none(), Check::ScopeForm)),
            Self::Amendment(e) => judge_record(e).and(ensure(e.amends.is_some(), Check::ScopeForm)),
            Self::Grant(e) => e.judge(),
            Self::Revocation(e) => judge_revocation(e),
            Self::Proxy(e) => judge_proxy(e),
            Self::Access(e) => judge_access(e),
            Self::Erasure(e) => ensure(ascending(&e.records), Check::ScopeForm),
            Self::Receipt(_) | Self::Close(_) => Ok(()),
            Self::Request(e) => e.judge(),
            Self::Release(e) => e.judge(),
            Self::Review(e) => ensure(e.text.len() <= TEXT_BYTES_MAX, Check::TooLarge),
            Self::Search(e) => e.judge(),
            Self::Recovery(e) => e.judge(),
        }
    }
}

fn ascending<T: Ord>(list: &[T]) -> bool {
    list.windows(2).all(|w| w[0] < w[1])
}

fn judge_locker(e: &LockerEntry) -> Result<(), Rejected> {
    let names: Vec<_> = e.lockers.iter().map(|l| (l.category, l.label)).collect();
    let form = e.epoch > 0 && !names.is_empty() && ascending(&names) && ascending(&e.rests_on);
    ensure(form, Check::ScopeForm)?;
    judge_escrows(&e.escrows)
}

fn judge_record(e: &RecordEntry) -> Result<(), Rejected> {
    let texts = [&e.media_type, &e.title, &e.source];
    ensure(texts.iter().all(|t| t.len() <= LABEL_TEXT_BYTES_MAX), Check::TooLarge)?;
    ensure(e.size <= RECORD_BYTES_MAX, Check::TooLarge)?;
    let notes = e.category == Category::PrivateNotes;
    ensure(!notes || e.author == Author::Patient, Check::ScopeForm)
}

fn judge_revocation(e: &RevocationEntry) -> Result<(), Rejected> {
    match &e.revoked {
        Revoked::Entries(ids) => ensure(!ids.is_empty() && ascending(ids), Check::ScopeForm),
        Revoked::Grantee(_) | Revoked::Everything => Ok(()),
    }
}

fn judge_proxy(e: &ProxyEntry) -> Result<(), Rejected> {
    ensure(e.from < e.until, Check::PeriodForm)?;
    ensure(e.basis.len() <= LABEL_TEXT_BYTES_MAX, Check::TooLarge)
}

fn judge_access(e: &AccessEntry) -> Result<(), Rejected> {
    ensure(e.why.len() <= WHY_MAX, Check::TooLarge)?;
    ensure(e.reader.is_some() == e.organization.is_some(), Check::ScopeForm)?;
    let right = e.right != Right::Write && (e.right == Right::Share) == e.study.is_some();
    ensure(right, Check::ScopeForm)
}

#[cfg(test)]
mod tests;
