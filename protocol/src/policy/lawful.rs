//! Whether a body of a personal kind is lawful: judged by everyone who holds it and what it stands on.
//!
//! | kind | signed by | stands on |
//! |---|---|---|
//! | patient | a card of the home organization; a move: the patient's card and the new home's | a move: patient, card |
//! | card | a card of the home organization | patient |
//! | locker | the patient's card | card |
//! | record | the author's card | the patient's: card; a practitioner's: a grant, but at home |
//! | amendment | as a record; see [`judge_body`] | as a record, and what it amends |
//! | grant, revocation | the patient's card, or the proxy's | card, or proxy |
//! | proxy | the patient's card and the proxy's | card |
//! | access | slot 9A of the reader's card; slot 9C of a proxy's | the patient's: card; a proxy's: proxy |
//! | erasure | the patient's card, and a card of each author's organization (of home, for everything) | card |
//! | receipt | nobody: the header's node says it | erasure |
//! | recovery | a card of the home organization, and one of another where there is one | patient, card |
//! | search | the card of the person who looks | nothing |
//! | request | the requester's card | patient, card, locker; a new card's: recovery; somebody's without card: the search |
//! | release | cards of as many guardians as are needed, and their threshold signature, inside; or the patient's card, by 9E | request; the latter: card |
//! | close | the requester's card, or one of home's people | release |
//! | review | an auditor's card of the requester's organization or home | release |
//!
//! Everything that it stands on must be here and the same patient's. The same body is judged when it arrives
//! and again at the height that makes its header final. Nothing is kept here; the node's service calls it.

mod emergency;
mod recovery;
mod rules;
mod signers;

use crate::check::{Check, Rejected, ensure};
use crate::entry::{Content, Header, Kind, KindCode};
use crate::ids::{ContentId, Lock, NodeId, OrganizationId, PatientId};
use crate::policy::Personal;
use crate::policy::force::counts;
use crate::policy::view::{Known, LockState, PatientView, Under};
use crate::tap::{Body, TapPayload};

/// What judging a body needs of the header that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderFacts {
    /// The node that files it.
    pub node: NodeId,
    /// Its organization.
    pub organization: OrganizationId,
    /// The kind.
    pub kind: KindCode,
    /// The content.
    pub content: ContentId,
    /// The lock.
    pub lock: Option<Lock>,
    /// When the node signed, in milliseconds since 1970 UTC.
    pub signed_at: u64,
    /// The height that made it final; null before.
    pub height: Option<u64>,
    /// Why consensus gave it no effect, if it has none.
    pub void: Option<Check>,
}

impl HeaderFacts {
    /// The facts of a header, with its finality.
    #[must_use]
    pub fn of(header: &Header, height: Option<u64>, void: Option<Check>) -> Self {
        let f = header.fields();
        Self {
            node: f.node,
            organization: f.organization,
            kind: f.kind,
            content: f.content,
            lock: f.lock,
            signed_at: f.signed_at,
            height,
            void,
        }
    }

    /// The facts of the header that `node` is about to sign for `content`.
    #[must_use]
    pub fn about_to_sign(content: &Content, node: NodeId, now_ms: u64) -> Self {
        Self {
            node,
            organization: content.organization,
            kind: content.kind,
            content: content.id(),
            lock: content.lock,
            signed_at: now_ms,
            height: None,
            void: None,
        }
    }

    fn judge(&self, content: &Content) -> Result<(), Rejected> {
        let same = self.content == content.id()
            && self.kind == content.kind
            && self.organization == content.organization
            && self.lock == content.lock;
        ensure(same, Check::ContentMismatch)?;
        self.void.map_or(Ok(()), |check| Err(check.into()))
    }
}

/// A lawful body, as a view takes it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The entry.
    pub known: Known<Personal>,
    /// What it stands on.
    pub stands_on: Vec<ContentId>,
    /// Whose it is; a receipt's patient is its erasure's.
    pub patient: PatientId,
    /// What was shown to those who signed, in the order of the table above.
    pub shown: Vec<TapPayload>,
}

/// Judges a body against what it stands on, by the table above.
///
/// - A practitioner's record stands on a grant of this patient that lets the author write it; the home
///   organization's practitioners need none, nor those of the home in a patient entry that it stands on.
///   Whether the grant is in force is the filing node's decision, not judged here: what was done at a desk
///   without a line stays on record.
/// - An amendment by the organization of what it amends needs no grant; by the patient, it needs a practitioner
///   of that organization beside the patient, unless it is the patient's own record.
///   Under a grant with two signatures it needs the patient beside the author.
/// - An amendment of the same sealed file changes what is said of it (see [`super::described`]). It names the
///   record itself, and needs both, the patient and a practitioner of the record's organization; the patient
///   alone changes the label, which then only raises it, and the patient's own records.
/// - What a proxy signs is within the proxy's period; a proxy names no proxy.
/// - A grant's `after` is a block of this chain.
/// - An erasure waits for the federation's cooling-off, counted from when it was made: at most
///   [`SIGNED_AHEAD_MS_MAX`](crate::limits::SIGNED_AHEAD_MS_MAX) before it is filed.
///
/// # Errors
/// [`Check::ContentMismatch`], what voided the header, those of [`Personal::read`]; [`Check::LockClosed`] for what was
/// withdrawn before it was final; [`Check::StandsOnMissing`] for what is not here (to be judged again),
/// [`Check::StandsOnWrong`]; [`Check::UnknownSigner`], [`Check::WrongSigner`], [`Check::MissingSignature`],
/// [`Check::CardSuspended`], [`Check::NotAuthorized`], those of [`Body::signed_by`]; [`Check::AlreadyExists`],
/// [`Check::UnknownOrganization`], [`Check::PeriodForm`].
pub fn judge_body(
    view: &(impl PatientView + ?Sized),
    body: &Body,
    content: &Content,
    facts: &HeaderFacts,
) -> Result<Verified, Rejected> {
    facts.judge(content)?;
    ensure(body.id() == facts.content, Check::ContentMismatch)?;
    let personal = Personal::read(content)?;
    let stands_on = resolve(view, content, &personal)?;
    let judge = Judge { view, body, content, facts, stands_on };
    judge.lock_stands()?;
    let wanted = judge.rules(&personal)?;
    let shown = judge.signed(&wanted.groups)?;
    let known = Known {
        id: facts.content,
        entry: personal,
        lock: content.lock,
        height: facts.height,
        under: wanted.under,
    };
    ensure(counts(view, &known)?, Check::CardSuspended)?;
    let patient = judge.patient(&known.entry)?;
    Ok(Verified { known, stands_on: content.stands_on.clone(), patient, shown })
}

/// What an entry may stand on.
const fn may_stand_on(kind: Kind) -> &'static [Kind] {
    match kind {
        Kind::Patient | Kind::Card | Kind::Proxy => &[Kind::Patient, Kind::Card],
        Kind::Locker => &[Kind::Patient, Kind::Card, Kind::Locker, Kind::Grant, Kind::Proxy],
        Kind::Record | Kind::Amendment => &[
            Kind::Patient,
            Kind::Card,
            Kind::Locker,
            Kind::Record,
            Kind::Amendment,
            Kind::Grant,
            Kind::Proxy,
        ],
        Kind::Grant | Kind::Revocation | Kind::Access => &[
            Kind::Patient,
            Kind::Card,
            Kind::Record,
            Kind::Amendment,
            Kind::Grant,
            Kind::Revocation,
            Kind::Proxy,
        ],
        Kind::Erasure => &[Kind::Patient, Kind::Card, Kind::Record, Kind::Amendment],
        Kind::Receipt => &[Kind::Erasure],
        Kind::Recovery => &[Kind::Patient, Kind::Card],
        Kind::BreakGlassRequest => &[Kind::Patient, Kind::Card, Kind::Locker, Kind::Recovery, Kind::Search],
        Kind::Release => &[Kind::BreakGlassRequest, Kind::Card, Kind::Recovery],
        Kind::Close | Kind::Review => &[Kind::Release],
        _ => &[],
    }
}

// Everything that it stands on, here, of a fitting kind and of the same patient; a search is made before he is known.
fn resolve(
    view: &(impl PatientView + ?Sized),
    content: &Content,
    personal: &Personal,
) -> Result<Vec<Known<Personal>>, Rejected> {
    let kinds = may_stand_on(personal.kind());
    let one = |id: &ContentId| {
        let known = view.entry(id)?.ok_or(Check::StandsOnMissing)?;
        let kind = known.entry.kind();
        let of_him = personal.patient().is_none() || known.entry.patient() == personal.patient();
        let fits = kinds.contains(&kind) && (of_him || kind == Kind::Search);
        ensure(fits, Check::StandsOnWrong)?;
        Ok(known)
    };
    content.stands_on.iter().map(one).collect()
}

/// Cards one of which must have signed.
struct Group {
    accepted: Vec<crate::keys::VerifyingKey>,
    /// Cards of the same holder that ended: a signature of theirs is named as such.
    ended: Vec<crate::keys::VerifyingKey>,
}

/// Who must have signed, and the entry of the card under which the entry stands or falls.
struct Wanted {
    groups: Vec<Group>,
    under: Option<Under>,
}

struct Judge<'a, V: ?Sized> {
    view: &'a V,
    body: &'a Body,
    content: &'a Content,
    facts: &'a HeaderFacts,
    stands_on: Vec<Known<Personal>>,
}

impl<V: PatientView + ?Sized> Judge<'_, V> {
    // Withdrawn before it was final, it never had force; withdrawn after, it is history.
    fn lock_stands(&self) -> Result<(), Rejected> {
        self.content.lock.as_ref().map_or(Ok(()), |lock| self.stands_open(lock))
    }

    /// Whether a lock was open until this was final; while it is not, until now.
    fn stands_open(&self, lock: &Lock) -> Result<(), Rejected> {
        let stands = match (self.view.lock(lock)?, self.facts.height) {
            (LockState::Open, _) | (LockState::Seen, Some(_)) => true,
            (LockState::Closed(at), Some(height)) => height <= at,
            (_, None) => false,
        };
        ensure(stands, Check::LockClosed)
    }

    fn patient(&self, personal: &Personal) -> Result<PatientId, Rejected> {
        let of = personal.patient().or_else(|| self.stands_on.first().and_then(|k| k.entry.patient()));
        of.copied().ok_or_else(|| Check::StandsOnMissing.into())
    }

    /// What it stands on of one kind, which must be there exactly once.
    fn the<'s, T: 's>(
        &'s self,
        pick: impl Fn(&'s Personal) -> Option<&'s T>,
    ) -> Result<(&'s Known<Personal>, &'s T), Rejected> {
        let mut found = self.stands_on.iter().filter_map(|k| Some((k, pick(&k.entry)?)));
        let first = found.next().ok_or(Check::StandsOnMissing)?;
        ensure(found.next().is_none(), Check::StandsOnWrong)?;
        Ok(first)
    }

    /// Whether the header is final below a height.
    fn final_before(&self, height: u64) -> bool {
        self.facts.height.is_some_and(|h| h < height)
    }
}

#[cfg(test)]
mod tests;
