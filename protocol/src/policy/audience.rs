//! Who may hold a body: the table of the personal kinds, as a set of organizations.
//!
//! | kind | organizations |
//! |---|---|
//! | patient, card, locker, proxy | the circle: home, those that hold K, those of current grantees, authors |
//! | record, amendment | author, home, those of current readers of this record, of summaries hospitals that the patient named to open without a line; of a change, also those of its readers before |
//! | grant | home, the grantee's, authors in scope |
//! | revocation | home, the grantees' of what it takes back, authors |
//! | access | home, the reader's; under a one-time grant or a code, whoever holds that grant |
//! | erasure | of records: author, home, grantees live or not whose grant reaches one, backup partners, of summaries those with emergency nodes; of everything: the circle, former grantees, backup partners, those with emergency nodes |
//! | receipt | home, authors |
//! | recovery | the circle, the other organization that signed it; once it is asked for, whoever judges the request |
//! | search | every organization that takes part: any may know the patient |
//! | request, release, close, review | home, the requester's, the guardians', those of the ledger committee's nodes, without a line too |
//!
//! Who may hold a request may also hold the patient entry, the card and the locker entry on which it stands: who lacks
//! them judges nothing. While a release is in force, the requester's organization is among the readers of what it opens.
//!
//! Cards and proxies go to the whole circle because grants stand on them, and who lacks what an entry stands on
//! denies. One-time uses and bindings go to whoever serves under the grant, or it could be used twice.
//! Consensus knows nothing of this; the node's service asks before it sends or serves a body.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::control::{CommitteeMember, LEDGER_COMMITTEE};
use crate::emergency::{CloseEntry, RequestEntry, ReviewEntry, Tier};
use crate::entry::{KindCode, is_control};
use crate::ids::{ContentId, OrganizationId, PatientId};
use crate::personal::{
    Category, ErasureEntry, GrantEntry, Grantee, Label, RecordEntry, RevocationEntry, Revoked, Right,
};
use crate::policy::Personal;
use crate::policy::described::is_of_same_file;
use crate::policy::force::is_live;
use crate::policy::placement::{backup_partners, emergency_nodes};
use crate::policy::view::{Known, PatientView, RecordFacts, Unreadable};

/// Organizations.
pub type Organizations = BTreeSet<OrganizationId>;

/// Who may hold a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Every member: it travels in the block.
    Everyone,
    /// The nodes of these organizations.
    Organizations(Organizations),
}

impl Audience {
    /// The audience of every body of a control kind; null for other kinds.
    #[must_use]
    pub fn of_kind(kind: KindCode) -> Option<Self> {
        is_control(kind).then_some(Self::Everyone)
    }

    /// Whether the nodes of an organization are in it.
    #[must_use]
    pub fn includes(&self, organization: &OrganizationId) -> bool {
        match self {
            Self::Everyone => true,
            Self::Organizations(set) => set.contains(organization),
        }
    }
}

/// Who may hold the body of an entry at `now_ms`, by the table above.
///
/// # Errors
/// As the view; then nobody but who has it gets it.
pub fn audience(
    view: &(impl PatientView + ?Sized),
    id: &ContentId,
    entry: &Personal,
    now_ms: u64,
) -> Result<Audience, Unreadable> {
    let organizations = match entry {
        Personal::Patient(e) => {
            let set = with(circle(view, &e.patient, now_ms)?, Some(e.home));
            with(set, who_judge_by(view, &e.patient, id)?)
        }
        Personal::Card(e) => with(circle(view, &e.patient, now_ms)?, who_judge_by(view, &e.patient, id)?),
        Personal::Locker(e) => with(circle(view, &e.patient, now_ms)?, who_judge_by(view, &e.patient, id)?),
        Personal::Proxy(e) => circle(view, &e.patient, now_ms)?,
        Personal::Record(e) | Personal::Amendment(e) => {
            let mut set = with(Organizations::from([e.organization]), home(view, &e.patient)?);
            for reach in Reach::of_entry(view, *id, e)? {
                set.extend(readers(view, &e.patient, &reach, now_ms)?);
            }
            set
        }
        Personal::Grant(e) => of_grant(view, e, id)?,
        Personal::Revocation(e) => of_revocation(view, e)?,
        Personal::Access(e) => {
            let base =
                with(Organizations::new(), home(view, &e.patient)?.filter(|_| !crate::mutant!(AccessUnsent)));
            of_access(view, with(base, e.organization), &e.why)?
        }
        Personal::Erasure(e) if e.records.is_empty() => of_erasure(view, &e.patient, now_ms)?,
        Personal::Erasure(e) => of_records_erasure(view, e)?,
        Personal::Receipt(e) => match view.entry(&e.erasure)? {
            Some(Known { entry: Personal::Erasure(e), .. }) => {
                with(view.authors(&e.patient, Category::ALL)?, home(view, &e.patient)?)
            }
            _ => Organizations::new(),
        },
        Personal::Recovery(e) => {
            let set = with(circle(view, &e.patient, now_ms)?, e.witness);
            with(set, who_judge(view, &e.patient, |request| request.tier == Tier::Recovery)?)
        }
        Personal::Search(_) => view.membership().active_organizations().map(|o| o.organization).collect(),
        Personal::Request(e) => of_request(view, e)?,
        Personal::Release(e) => of_released(view, &e.request)?,
        Personal::Close(CloseEntry { release, .. }) | Personal::Review(ReviewEntry { release, .. }) => {
            match view.entry(release)? {
                Some(Known { entry: Personal::Release(e), .. }) => of_released(view, &e.request)?,
                _ => Organizations::new(),
            }
        }
    };
    Ok(Audience::Organizations(organizations))
}

fn of_released(view: &(impl PatientView + ?Sized), request: &ContentId) -> Result<Organizations, Unreadable> {
    match view.entry(request)? {
        Some(Known { entry: Personal::Request(e), .. }) => of_request(view, &e),
        _ => Ok(Organizations::new()),
    }
}

fn of_request(view: &(impl PatientView + ?Sized), e: &RequestEntry) -> Result<Organizations, Unreadable> {
    let members = view.membership();
    let of = |member: &CommitteeMember| match member {
        CommitteeMember::Guardian(id) => members.people.get(id).map(|p| p.organization),
        CommitteeMember::Validator(id) => members.nodes.get(id).map(|n| n.organization),
    };
    let told = home(view, &e.patient)?.filter(|_| !crate::mutant!(NoticeUnsent));
    let mut set = with(Organizations::from([e.organization]), told);
    for id in [&e.guardians, &e.ledger] {
        let committee = view.committee(id)?;
        set.extend(committee.iter().flat_map(|c| c.roster.members()).filter_map(|member| of(&member)));
    }
    // Validators give no share there, but are told: who knows all links sees which one is missing.
    let watch = members.committee(LEDGER_COMMITTEE).filter(|_| e.tier == Tier::Offline);
    set.extend(watch.iter().flat_map(|c| c.entry.roster.members()).filter_map(|member| of(&member)));
    Ok(set)
}

/// Organizations that judge a request which stands on an entry; all of the patient's requests, where none is named.
fn who_judge(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    chosen: impl Fn(&RequestEntry) -> bool,
) -> Result<Organizations, Unreadable> {
    let (mut found, mut failed) = (Organizations::new(), Ok(()));
    view.requests(patient, &mut |request| {
        if chosen(&request.entry) {
            match of_request(view, &request.entry) {
                Ok(set) => found.extend(set),
                Err(unreadable) => failed = Err(unreadable),
            }
        }
        if failed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    failed.map(|()| found)
}

fn who_judge_by(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    id: &ContentId,
) -> Result<Organizations, Unreadable> {
    who_judge(view, patient, |e| [e.enrolment, e.card, e.locker].contains(id))
}

fn with(mut set: Organizations, more: impl IntoIterator<Item = OrganizationId>) -> Organizations {
    set.extend(more);
    set
}

/// The home organization, if the patient entry is here.
pub(super) fn home(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
) -> Result<Option<OrganizationId>, Unreadable> {
    Ok(view.patient(patient)?.map(|known| known.entry.home))
}

/// The organization whose people a grantee stands for; null for a proxy, and for a code that nobody used.
pub(super) fn organization_of(
    view: &(impl PatientView + ?Sized),
    grantee: &Grantee,
    grant: Option<&ContentId>,
) -> Result<Option<OrganizationId>, Unreadable> {
    Ok(match grantee {
        Grantee::Person(id) => view.membership().people.get(id).map(|p| p.organization),
        Grantee::Organization(id) | Grantee::Role(id, _) => Some(*id),
        Grantee::Code(_) => match grant {
            Some(id) => view.first_use(id)?.and_then(|f| f.organization),
            None => None,
        },
        Grantee::Proxy(_) => None,
    })
}

/// What of a record matters for who may read it.
pub(super) struct Reach {
    category: Category,
    label: Label,
    id: ContentId,
    amends: Option<ContentId>,
}

impl Reach {
    pub(super) fn of_facts(id: ContentId, facts: &RecordFacts) -> Self {
        Self { category: facts.category, label: facts.label, id, amends: None }
    }

    // An amendment goes to those who may read what it amends, so that they see the correction. A change of what
    // is said of a record goes also to those who could read it before: they must learn that they may no more.
    fn of_entry(
        view: &(impl PatientView + ?Sized),
        id: ContentId,
        e: &RecordEntry,
    ) -> Result<Vec<Self>, Unreadable> {
        let amended = e.amends.map(|of| view.entry(&of)).transpose()?.flatten();
        let changes = amended.is_some_and(|known| match &known.entry {
            Personal::Record(of) | Personal::Amendment(of) => is_of_same_file(e, of),
            _ => false,
        });
        let facts = view.record(&id)?;
        let now = facts.as_ref().map_or((e.category, e.label), |f| (f.category, f.label));
        let before = facts.into_iter().filter(|_| changes).flat_map(|f| f.past);
        let one = |(category, label)| Self { category, label, id, amends: e.amends };
        Ok(before.chain([now]).map(one).collect())
    }

    fn is_in(&self, grant: &GrantEntry) -> bool {
        let of = |id: &ContentId| grant.scope.records.contains(id);
        let named = of(&self.id) || self.amends.as_ref().is_some_and(of);
        let reads = grant.allows(Right::Read) || grant.allows(Right::Share);
        let private = self.category == Category::PrivateNotes;
        let within = named || grant.scope.categories.contains(&self.category);
        reads && within && !private && self.label <= grant.scope.label
    }
}

/// Organizations of the grantees of live grants that `choose` takes.
fn grantees(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    choose: impl Fn(&GrantEntry) -> bool,
    now_ms: Option<u64>,
) -> Result<Organizations, Unreadable> {
    let (mut found, mut failed) = (Organizations::new(), Ok(()));
    let mut take = |grant: &Known<GrantEntry>| -> Result<(), Unreadable> {
        if !choose(&grant.entry) {
            return Ok(());
        }
        let organization = organization_of(view, &grant.entry.grantee, Some(&grant.id))?;
        if now_ms.map_or(Ok(true), |now| is_live(view, grant, organization.as_ref(), now))? {
            found.extend(organization);
        }
        Ok(())
    };
    view.all_grants(patient, &mut |grant| match take(grant) {
        Ok(()) => ControlFlow::Continue(()),
        Err(unreadable) => {
            failed = Err(unreadable);
            ControlFlow::Break(())
        }
    })?;
    failed.map(|()| found)
}

/// Organizations of the current readers of a record.
pub(super) fn readers(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    reach: &Reach,
    now_ms: u64,
) -> Result<Organizations, Unreadable> {
    let mut set = grantees(view, patient, |grant| reach.is_in(grant), Some(now_ms))?;
    // What is to be opened without a line must be there before.
    if Tier::Offline.opens(reach.category) {
        set.extend(view.offline_at(patient)?);
    }
    view.releases(patient, &mut |release| {
        let of = &release.entry;
        let stands = release.height.is_some() || of.tier == Tier::Offline;
        let in_force = stands && !of.closed && now_ms < of.until;
        if in_force && of.tier.opens(reach.category) {
            set.insert(of.organization);
        }
        ControlFlow::Continue(())
    })?;
    Ok(set)
}

fn circle(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    now_ms: u64,
) -> Result<Organizations, Unreadable> {
    let mut set = grantees(view, patient, |_| true, Some(now_ms))?;
    set.extend(view.key_holders(patient)?);
    set.extend(view.authors(patient, Category::ALL)?);
    Ok(with(set, home(view, patient)?))
}

fn of_grant(
    view: &(impl PatientView + ?Sized),
    grant: &GrantEntry,
    id: &ContentId,
) -> Result<Organizations, Unreadable> {
    let mut set = view.authors(&grant.patient, &grant.scope.categories)?;
    for record in &grant.scope.records {
        set.extend(view.record(record)?.map(|facts| facts.organization));
    }
    set.extend(organization_of(view, &grant.grantee, Some(id))?);
    Ok(with(set, home(view, &grant.patient)?))
}

fn of_revocation(
    view: &(impl PatientView + ?Sized),
    revocation: &RevocationEntry,
) -> Result<Organizations, Unreadable> {
    let patient = &revocation.patient;
    let mut set = with(view.authors(patient, Category::ALL)?, home(view, patient)?);
    match &revocation.revoked {
        Revoked::Entries(ids) => {
            for id in ids {
                if let Some(Known { entry: Personal::Grant(grant), .. }) = view.entry(id)? {
                    set.extend(organization_of(view, &grant.grantee, Some(id))?);
                }
            }
        }
        // Grants to people of an organization that is named fall with it, and those are of the same one.
        Revoked::Grantee(grantee) => set.extend(organization_of(view, grantee, None)?),
        Revoked::Everything => set.extend(grantees(view, patient, |_| true, None)?),
    }
    Ok(set)
}

fn of_access(
    view: &(impl PatientView + ?Sized),
    mut set: Organizations,
    why: &[ContentId],
) -> Result<Organizations, Unreadable> {
    for id in why {
        if let Some(Known { entry: Personal::Grant(grant), .. }) = view.entry(id)?
            && (grant.one_time || matches!(grant.grantee, Grantee::Code(_)))
        {
            set.extend(of_grant(view, &grant, id)?);
        }
    }
    Ok(set)
}

fn of_records_erasure(
    view: &(impl PatientView + ?Sized),
    e: &ErasureEntry,
) -> Result<Organizations, Unreadable> {
    let mut set = with(Organizations::new(), home(view, &e.patient)?);
    for id in &e.records {
        let Some(facts) = view.record(id)? else { continue };
        let summary = facts.has_had(Category::EmergencySummary);
        let now = (facts.category, facts.label);
        let one = |(category, label)| Reach { category, label, id: *id, amends: None };
        let reaches: Vec<_> = facts.past.into_iter().chain([now]).map(one).collect();
        set.extend(grantees(view, &e.patient, |grant| reaches.iter().any(|r| r.is_in(grant)), None)?);
        set.insert(facts.organization);
        if summary {
            set.extend(emergency_nodes(view.membership()).map(|(_, organization)| organization));
            // Hospitals that the patient named for emergencies without a line, or did once, hold K.
            set.extend(view.key_holders(&e.patient)?);
        }
    }
    let backups: Vec<_> = set.iter().flat_map(|o| backup_partners(view.membership(), o)).collect();
    Ok(with(set, backups))
}

fn of_erasure(
    view: &(impl PatientView + ?Sized),
    patient: &PatientId,
    now_ms: u64,
) -> Result<Organizations, Unreadable> {
    let mut set = circle(view, patient, now_ms)?;
    set.extend(grantees(view, patient, |_| true, None)?);
    set.extend(who_judge(view, patient, |_| true)?);
    for author in view.authors(patient, Category::ALL)? {
        set.extend(backup_partners(view.membership(), &author));
    }
    set.extend(emergency_nodes(view.membership()).map(|(_, organization)| organization));
    Ok(set)
}
