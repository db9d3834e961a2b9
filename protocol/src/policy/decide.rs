//! `decide`: one pure function from what is known, what is asked and the time to permit or deny.
//!
//! It reads by point lookups, allocates nothing in its loops, and gives the same answer whatever the order
//! in which a view lists entries. It files nothing: that an access entry is durable before anything is shown
//! is the caller's part.

use std::ops::ControlFlow;

use crate::control::{PractitionerEntry, Standing};
use crate::emergency::Tier;
use crate::ids::{ContentId, OrganizationId, PatientId, PersonId, StudyId};
use crate::personal::{Author, Category, GrantEntry, Grantee, Label, Purpose, Right};
use crate::policy::force::{counts, is_open, is_replaced, is_withdrawn, proxy_in_force};
use crate::policy::view::{Known, RecordFacts, Unreadable, View};
use crate::policy::why::{Decision, Obligations, Rule, Why};

/// Who acts, as the session's card showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The patient, with this card entry.
    Patient(ContentId),
    /// A proxy, by the proxy entry.
    Proxy(ContentId),
    /// A practitioner or other enrolled person.
    Person(PersonId),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A record is to be shown.
    Read(ContentId),
    /// A record is to be filed.
    Write {
        /// Its category.
        category: Category,
        /// Its label.
        label: Label,
        /// The record that it amends.
        amends: Option<ContentId>,
    },
    /// A record is to leave for a study.
    Share {
        /// The record.
        record: ContentId,
        /// The study.
        study: StudyId,
    },
}

impl Act {
    /// The right that it takes.
    #[must_use]
    pub const fn right(&self) -> Right {
        match self {
            Self::Read(_) => Right::Read,
            Self::Write { .. } => Right::Write,
            Self::Share { .. } => Right::Share,
        }
    }

    fn record(&self) -> Option<ContentId> {
        match self {
            Self::Read(record) | Self::Share { record, .. } => Some(*record),
            Self::Write { amends, .. } => *amends,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whose records.
    pub patient: PatientId,
    /// Who acts.
    pub actor: Actor,
    /// What is to be done.
    pub act: Act,
    /// For what. A share is for its study, whatever stands here.
    pub purpose: Purpose,
    /// SHA-256 of a code that was presented.
    pub code: Option<[u8; 32]>,
    /// The access entry under which a record is being served; null before it is filed.
    pub access: Option<ContentId>,
}

/// Decides a request at `now_ms`, in milliseconds since 1970 UTC. The rules are in [`crate::policy`].
#[must_use]
pub fn decide(view: &(impl View + ?Sized), request: &Request, now_ms: u64) -> Decision {
    let unreadable = |_: Unreadable| Why::of(Rule::StateUnreadable, []);
    Decision::of(why(view, request, now_ms).unwrap_or_else(unreadable))
}

/// What the act touches.
struct Matter {
    category: Category,
    label: Label,
    record: Option<(ContentId, RecordFacts)>,
}

fn why<V: View + ?Sized>(view: &V, request: &Request, now_ms: u64) -> Result<Why, Unreadable> {
    let Some(matter) = matter_of(view, request)? else { return Ok(Why::of(Rule::NoRecord, [])) };
    let search =
        |matter| Search { view, request, matter, now_ms, organization: None, best: None, miss: None };
    match request.actor {
        Actor::Patient(card) => own_card(view, request, card),
        _ if matter.category == Category::PrivateNotes => Ok(Why::of(Rule::PrivateNotes, [])),
        Actor::Proxy(id) => search(matter).as_proxy(id),
        Actor::Person(id) => search(matter).as_person(id),
    }
}

fn matter_of(view: &(impl View + ?Sized), request: &Request) -> Result<Option<Matter>, Unreadable> {
    let record = match request.act.record() {
        None => None,
        Some(id) => match view.record(&id)? {
            Some(facts) if facts.patient == request.patient => Some((id, facts)),
            _ => return Ok(None),
        },
    };
    Ok(match (request.act, record) {
        (Act::Write { category, label, .. }, record) => Some(Matter { category, label, record }),
        (_, Some((id, facts))) => {
            Some(Matter { category: facts.category, label: facts.label, record: Some((id, facts)) })
        }
        (_, None) => None,
    })
}

// Rule 2.
fn own_card(view: &(impl View + ?Sized), request: &Request, id: ContentId) -> Result<Why, Unreadable> {
    let Some(card) = view.card(&id)?.filter(|c| c.entry.patient == request.patient) else {
        return Ok(Why::of(Rule::NotEnrolled, []));
    };
    if !is_open(view, &card)? {
        return Ok(Why::of(Rule::CardSuspended, [id]));
    }
    Ok(Why { provisional: card.height.is_none(), ..Why::of(Rule::Patient, [id]) })
}

/// The grant that permits best, and the one that came nearest to.
struct Search<'a, V: ?Sized> {
    view: &'a V,
    request: &'a Request,
    matter: Matter,
    now_ms: u64,
    organization: Option<OrganizationId>,
    best: Option<Candidate>,
    miss: Option<Miss>,
}

/// Ordered so that the best of several permits is the greatest: final, not used up by this, lasting longest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    last: bool,
    reusable: bool,
    until: u64,
    id: ContentId,
    under: Option<ContentId>,
    by_proxy: Option<ContentId>,
    obligations: Obligations,
}

/// Ordered so that the best explanation is the greatest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Miss {
    rule: Rule,
    until: u64,
    id: ContentId,
}

impl<V: View + ?Sized> Search<'_, V> {
    // Rule 11: the proxy's own reading is under grants, like anyone's.
    fn as_proxy(&mut self, id: ContentId) -> Result<Why, Unreadable> {
        if proxy_in_force(self.view, &id, &self.request.patient, self.now_ms)?.is_none() {
            return Ok(Why::of(Rule::ProxyOver, [id]));
        }
        self.weigh_all(&Grantee::Proxy(id))?;
        Ok(self.conclude(id))
    }

    // Rules 3, 4 and 5, then grants.
    fn as_person(&mut self, id: PersonId) -> Result<Why, Unreadable> {
        let root = ContentId(id.0);
        let Some(person) = self.view.membership().people.get(&id) else {
            return Ok(Why::of(Rule::NotEnrolled, []));
        };
        if let Some(rule) = self.person_is_barred(person) {
            return Ok(Why::of(rule, [root]));
        }
        self.organization = Some(person.organization);
        if let Some(why) = self.without_grant(root, &person.organization)? {
            return Ok(why);
        }
        self.weigh_all(&Grantee::Person(id))?;
        self.weigh_all(&Grantee::Organization(person.organization))?;
        for role in &person.roles {
            self.weigh_all(&Grantee::Role(person.organization, role.clone()))?;
        }
        self.weigh_codes(&person.organization)?;
        if self.best.is_none()
            && let Some(why) = self.under_release(root, &id)?
        {
            return Ok(why);
        }
        Ok(self.conclude(root))
    }

    // Rule 15: the release that lasts longest, or else why none of them permits.
    fn under_release(&self, root: ContentId, reader: &PersonId) -> Result<Option<Why>, Unreadable> {
        let request = self.request;
        if request.purpose != Purpose::EmergencyTreatment || request.act.right() != Right::Read {
            return Ok(None);
        }
        let mut found: Option<(Rule, u64, ContentId, ContentId)> = None;
        self.view.releases(&request.patient, &mut |release| {
            let of = &release.entry;
            if of.requester == *reader {
                let rule = if of.closed || self.now_ms >= of.until && !crate::mutant!(ReleaseEndless) {
                    Rule::EmergencyOver
                } else if !of.tier.opens(self.matter.category) && !crate::mutant!(ScopeUnread) {
                    Rule::EmergencyScope
                } else if release.height.is_none()
                    && of.tier != Tier::Offline
                    && !crate::mutant!(ReleasePending)
                {
                    Rule::EmergencyPending
                } else {
                    Rule::Emergency
                };
                // A permit before every denial, of those the nearest miss.
                let rank = |rule: Rule| (rule.permits(), rule);
                let this = (rule, of.until, of.request, release.id);
                let better = |f: &(Rule, u64, ContentId, ContentId)| {
                    (rank(this.0), this.1, this.3) > (rank(f.0), f.1, f.3)
                };
                found = found.filter(|f| !better(f)).or(Some(this));
            }
            ControlFlow::Continue(())
        })?;
        let why = |(rule, _, request, release): (Rule, u64, ContentId, ContentId)| match rule {
            Rule::Emergency => Why::of(rule, [root, request, release]),
            denied => Why::of(denied, [release]),
        };
        Ok(found.map(why))
    }

    // Rule 3.
    fn person_is_barred(&self, person: &PractitionerEntry) -> Option<Rule> {
        let members = self.view.membership();
        let stands =
            person.standing == Standing::Active && members.organization(&person.organization).is_some();
        if !stands {
            return Some(Rule::Suspended);
        }
        let (category, right) = (self.matter.category.code(), self.request.act.right().code());
        // Who has no role is limited by none; a role that is not defined allows nothing.
        let mut allowed = person.roles.is_empty();
        for name in &person.roles {
            let Some(role) = members.roles.get(&(person.organization, name.clone())) else { continue };
            if role.administrator {
                return Some(Rule::Administrator);
            }
            let covered = role.categories.is_empty() || role.categories.contains(&category);
            allowed |= covered && role.rights & right != 0;
        }
        (!allowed).then_some(Rule::RoleLimits)
    }

    // Rules 4 and 5.
    fn without_grant(
        &mut self,
        root: ContentId,
        organization: &OrganizationId,
    ) -> Result<Option<Why>, Unreadable> {
        let right = self.request.act.right();
        if let Some((id, facts)) = &self.matter.record
            && facts.organization == *organization
            && facts.author != Author::Patient
            && right != Right::Share
        {
            match facts.restricted_by {
                None => {
                    let why = Why::of(Rule::AuthorOrganization, [root, *id]);
                    return Ok(Some(Why { provisional: facts.height.is_none(), ..why }));
                }
                Some(by) => self.miss = Some(Miss { rule: Rule::AuthorRestricted, until: 0, id: by }),
            }
        }
        if right == Right::Write
            && let Some(patient) = self.view.patient(&self.request.patient)?
            && patient.entry.home == *organization
        {
            let why = Why::of(Rule::HomeOrganization, [root, patient.id]);
            return Ok(Some(Why { provisional: patient.height.is_none(), ..why }));
        }
        Ok(None)
    }

    fn weigh_all(&mut self, grantee: &Grantee) -> Result<(), Unreadable> {
        let mut failed = Ok(());
        let (view, patient) = (self.view, self.request.patient);
        view.grants(&patient, grantee, &mut |grant| self.weigh(grant, false, &mut failed))?;
        failed
    }

    // Rule 12.
    fn weigh_codes(&mut self, organization: &OrganizationId) -> Result<(), Unreadable> {
        let mut failed = Ok(());
        let (view, patient) = (self.view, self.request.patient);
        view.bound_grants(&patient, organization, &mut |grant| self.weigh(grant, true, &mut failed))?;
        failed?;
        self.request.code.map_or(Ok(()), |code| self.weigh_all(&Grantee::Code(code)))
    }

    fn weigh(
        &mut self,
        grant: &Known<GrantEntry>,
        bound: bool,
        failed: &mut Result<(), Unreadable>,
    ) -> ControlFlow<()> {
        match self.missing(grant) {
            Ok(None) => {
                let candidate = self.candidate(grant, bound);
                self.best = self.best.max(Some(candidate));
            }
            Ok(Some(rule)) => {
                let miss = Miss { rule, until: grant.entry.until, id: grant.id };
                self.miss = self.miss.max(Some(miss));
            }
            Err(unreadable) => {
                *failed = Err(unreadable);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    // The first check that fails, cheap ones first; the order is that of `Rule`.
    fn missing(&self, grant: &Known<GrantEntry>) -> Result<Option<Rule>, Unreadable> {
        if let Some(rule) = self.out_of_scope(&grant.entry) {
            return Ok(Some(rule));
        }
        if is_replaced(self.view, grant)? {
            return Ok(Some(Rule::ConsentReplaced));
        }
        if is_withdrawn(self.view, grant, self.organization.as_ref())? {
            return Ok(Some(Rule::ConsentWithdrawn));
        }
        if !counts(self.view, grant)? {
            return Ok(Some(Rule::CardSuspended));
        }
        if let Some(proxy) = &grant.entry.by_proxy
            && proxy_in_force(self.view, proxy, &grant.entry.patient, self.now_ms)?.is_none()
        {
            return Ok(Some(Rule::ProxyOver));
        }
        if self.now_ms < grant.entry.from {
            return Ok(Some(Rule::ConsentNotYet));
        }
        self.used_up(grant)
    }

    // Rule 6, but for the beginning of the period.
    fn out_of_scope(&self, grant: &GrantEntry) -> Option<Rule> {
        let (scope, request) = (&grant.scope, self.request);
        let named = |id: &ContentId| scope.records.contains(id);
        let right = request.act.right();
        let checks = [
            (
                !scope.records.is_empty() || scope.categories.contains(&self.matter.category),
                Rule::WrongCategory,
            ),
            (scope.records.is_empty() || request.act.record().as_ref().is_some_and(named), Rule::WrongRecord),
            (self.matter.label <= scope.label, Rule::WrongLabel),
            (grant.allows(right), Rule::WrongRight),
            (right == Right::Share || serves(grant.purpose, request.purpose), Rule::WrongPurpose),
            (study_of(&request.act).is_none_or(|s| grant.study == Some(s)), Rule::WrongStudy),
            (self.now_ms < grant.until || crate::mutant!(PeriodUnread), Rule::ConsentExpired),
        ];
        checks.into_iter().find_map(|(holds, rule)| (!holds).then_some(rule))
    }

    // Rules 12, 13 and 14.
    fn used_up(&self, grant: &Known<GrantEntry>) -> Result<Option<Rule>, Unreadable> {
        let code = matches!(grant.entry.grantee, Grantee::Code(_));
        if code || grant.entry.one_time {
            let first = self.view.first_use(&grant.id)?;
            if code && first.is_some_and(|f| f.organization != self.organization) {
                return Ok(Some(Rule::CodeBound));
            }
            if grant.entry.one_time && first.is_some_and(|f| Some(f.access) != self.request.access) {
                return Ok(Some(Rule::ConsentUsed));
            }
        }
        let age = self.now_ms.saturating_sub(self.view.newest().time);
        let fresh = age <= self.view.membership().policy.lease_ms || crate::mutant!(LeaseUnread);
        Ok((!fresh).then_some(Rule::LeaseOver))
    }

    fn candidate(&self, grant: &Known<GrantEntry>, bound: bool) -> Candidate {
        let entry = &grant.entry;
        let shares = self.request.act.right() == Right::Share;
        let writes = self.request.act.right() == Right::Write;
        let obligations = Obligations {
            anonymity: shares.then_some(entry.anonymity),
            one_time: entry.one_time,
            binds_code: matches!(entry.grantee, Grantee::Code(_)) && !bound,
            two_signatures: writes && entry.two_signatures,
        };
        Candidate {
            last: grant.height.is_some(),
            reusable: !entry.one_time,
            until: entry.until,
            id: grant.id,
            under: grant.under.map(|u| u.entry),
            by_proxy: entry.by_proxy,
            obligations,
        }
    }

    fn conclude(&self, root: ContentId) -> Why {
        match (self.best, self.miss) {
            (Some(best), _) => {
                let under = best.under.filter(|u| Some(*u) != best.by_proxy);
                let chain = [Some(root), under, best.by_proxy, Some(best.id)];
                let why = Why::of(Rule::Grant, chain.into_iter().flatten());
                Why { provisional: !best.last, obligations: best.obligations, ..why }
            }
            (None, Some(miss)) => Why::of(miss.rule, [miss.id]),
            (None, None) => Why::of(Rule::NoGrant, []),
        }
    }
}

fn study_of(act: &Act) -> Option<StudyId> {
    match act {
        Act::Share { study, .. } => Some(*study),
        _ => None,
    }
}

/// Whether a consent for `granted` serves `asked`: itself, and emergency treatment is treatment (HL7 v3
/// ActReason: ETREAT is a kind of TREAT).
fn serves(granted: Purpose, asked: Purpose) -> bool {
    granted == asked || (granted, asked) == (Purpose::Treatment, Purpose::EmergencyTreatment)
}
