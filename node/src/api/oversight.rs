//! Who looks after break-glass: how often people and organizations broke the glass, an auditor's four questions, and what
//! `/status` counts.
//!
//! The four: who may start it, who did, what limits held, how things returned to normal. The answers are of the requests that
//! concern the caller, as lists of them are.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::Json as Reply;
use axum::extract::State;
use hospes_protocol::control::CommitteeMember;
use hospes_protocol::emergency::Tier;
use hospes_protocol::ids::{OrganizationId, PersonId};
use hospes_protocol::limits::EMERGENCY_MS_MAX;
use hospes_service::committees::StandingKey;
use hospes_service::emergency::{Emergency, EscrowCount, REVIEW_MS, ReviewCount, count_escrows, review_due};
use hospes_service::service::{Fatal, Service};
use serde::Serialize;
use utoipa::ToSchema;

use super::breakglass::{concerning, state_name};
use super::caller::Caller;
use super::codes::Code;
use super::offline::{LogAlarm, log_alarms};
use super::page::Page;
use super::problem::{Answer, Problem};
use super::shown::Party;
use super::state::Api;
use super::times::rfc3339;
use crate::words::{OUTCOMES, TIERS, name};

/// The part of its time that counting escrows may take: one in so many.
const COUNT_SHARE: u32 = 20;

/// What was asked for, and what came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Outcomes {
    /// Requests.
    pub(crate) asked: usize,
    /// Of these, released.
    pub(crate) released: usize,
    /// Found to be justified.
    pub(crate) justified: usize,
    /// Found not to be.
    pub(crate) not_justified: usize,
    /// Not told.
    pub(crate) unclear: usize,
    /// Without review, and due.
    pub(crate) overdue: usize,
}

impl Outcomes {
    fn of(list: &[Emergency], now: u64) -> Self {
        let found = |wanted: &str| {
            let reviews = list.iter().flat_map(|found| &found.reviews);
            reviews.filter(|(_, review)| name(&OUTCOMES, &review.outcome) == wanted).count()
        };
        Self {
            asked: list.len(),
            released: list.iter().filter(|found| found.release.is_some()).count(),
            justified: found("justified"),
            not_justified: found("not-justified"),
            unclear: found("unclear"),
            overdue: list.iter().filter(|found| review_due(found).is_some_and(|due| due <= now)).count(),
        }
    }
}

/// How often a person broke the glass, and what reviews found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReportRow {
    /// Who.
    pub(crate) person: Party,
    /// How often, and what came of it.
    #[serde(flatten)]
    pub(crate) outcomes: Outcomes,
}

/// How often the people of an organization broke the glass, and what reviews found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct OrganizationRow {
    /// Which.
    pub(crate) organization: String,
    /// Its public name.
    pub(crate) organization_name: Option<String>,
    /// People of it who asked.
    pub(crate) people: usize,
    /// How often, and what came of it.
    #[serde(flatten)]
    pub(crate) outcomes: Outcomes,
}

fn by<K: Ord>(list: &[Emergency], key: impl Fn(&Emergency) -> K) -> Vec<(K, Vec<Emergency>)> {
    let mut groups: BTreeMap<K, Vec<Emergency>> = BTreeMap::new();
    list.iter().for_each(|found| groups.entry(key(found)).or_default().push(found.clone()));
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, list)| std::cmp::Reverse(list.len()));
    groups
}

/// Who broke the glass, by person, of the requests that concern the caller: those with most first.
#[utoipa::path(get, path = "/breakglass/report", tag = "breakglass",
    responses((status = 200, body = Page<ReportRow>), (status = 401, body = Problem)))]
pub(crate) async fn report(State(api): State<Api>, caller: Caller) -> Answer<Reply<Page<ReportRow>>> {
    api.ask(move |service| {
        let row = |(id, list): &(PersonId, Vec<Emergency>)| ReportRow {
            person: Party::person(id, &service.state().membership),
            outcomes: Outcomes::of(list, service.now()),
        };
        let people = by(&concerning(service, &caller)?, |found| found.request.requester);
        Ok(Reply(Page { items: people.iter().map(row).collect(), next_cursor: None }))
    })
    .await
}

/// Whose approval a tier takes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct MayRelease {
    /// `card` (the patient's card in the reader, by itself), `summary`, `full` or `recovery`.
    pub(crate) tier: &'static str,
    /// How many guardians must approve; null while the committee holds no key or policy is against it, and nothing is
    /// released.
    pub(crate) needed: Option<u64>,
    /// The guardians.
    pub(crate) guardians: Vec<Party>,
}

/// What bounds every request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Bounds {
    /// For how long a release opens at most, in minutes.
    pub(crate) minutes_max: u64,
    /// Within how many hours after its end it is reviewed.
    pub(crate) review_hours: u64,
    /// What no tier opens.
    pub(crate) never: Vec<&'static str>,
}

/// How one request was bounded, and how it ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Returned {
    /// The request's content id.
    pub(crate) request: String,
    /// Who asked.
    pub(crate) requester: Party,
    /// What it opens at most.
    pub(crate) tier: &'static str,
    /// How many approved.
    pub(crate) approved: usize,
    /// Until when.
    pub(crate) until: Option<String>,
    /// `asked`, `released`, `open`, `closed`, `over` or `lapsed`.
    pub(crate) state: &'static str,
    /// What reviews found.
    pub(crate) reviews: Vec<&'static str>,
    /// Until when a review is due; null where none is.
    pub(crate) review_due: Option<String>,
    /// Whether the patient's lockers were made anew since, so that what was opened opens nothing newer; null where this node
    /// doesn't know.
    pub(crate) sealed_anew: Option<bool>,
}

/// An auditor's four questions.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Audit {
    /// Who may start it: any practitioner whose card stands may ask; these release.
    pub(crate) may_release: Vec<MayRelease>,
    /// Who did, by organization.
    pub(crate) organizations: Vec<OrganizationRow>,
    /// Who did, by person.
    pub(crate) people: Vec<ReportRow>,
    /// What limits hold for each.
    pub(crate) bounds: Bounds,
    /// How each was bounded, and how things returned to normal.
    pub(crate) requests: Vec<Returned>,
    /// What copies of hospitals' logs of openings without a line say that they shouldn't.
    pub(crate) alarms: Vec<LogAlarm>,
}

/// An auditor's four questions about break-glass: who may start it, who did, what limits held, how things returned to normal.
#[utoipa::path(get, path = "/breakglass/audit", tag = "breakglass",
    responses((status = 200, body = Audit), (status = 401, body = Problem)))]
pub(crate) async fn audit(State(api): State<Api>, caller: Caller) -> Answer<Reply<Audit>> {
    api.ask(move |service| {
        let list = concerning(service, &caller)?;
        let (members, now) = (&service.state().membership, service.now());
        let organization = |(id, list): &(OrganizationId, Vec<Emergency>)| OrganizationRow {
            organization: id.to_string(),
            organization_name: members.organizations.get(id).map(|o| o.name.clone()),
            people: by(list, |found| found.request.requester).len(),
            outcomes: Outcomes::of(list, now),
        };
        let person = |(id, list): &(PersonId, Vec<Emergency>)| ReportRow {
            person: Party::person(id, members),
            outcomes: Outcomes::of(list, now),
        };
        Ok(Reply(Audit {
            may_release: may_release(service)?,
            organizations: by(&list, |f| f.request.organization).iter().map(organization).collect(),
            people: by(&list, |f| f.request.requester).iter().map(person).collect(),
            bounds: Bounds {
                minutes_max: EMERGENCY_MS_MAX / 60_000,
                review_hours: REVIEW_MS / 3_600_000,
                never: vec!["private-notes"],
            },
            requests: list.iter().map(|found| returned(service, found)).collect::<Answer<_>>()?,
            alarms: log_alarms(service)?,
        }))
    })
    .await
}

fn may_release(service: &Service) -> Answer<Vec<MayRelease>> {
    let mut tiers = Vec::new();
    for (tier, of) in TIERS {
        let Some((committee, people)) = of.committee() else { continue };
        let standing = service.committee_key(committee)?;
        let guardian = |member: CommitteeMember| match member {
            CommitteeMember::Guardian(id) => Some(Party::person(&id, &service.state().membership)),
            CommitteeMember::Validator(_) => None,
        };
        let roster = standing.as_ref().map(|s| s.entry.roster.members()).unwrap_or_default();
        let needed = |s: StandingKey| match of {
            Tier::Card => service.state().membership.policy.tier_zero.then_some(0),
            _ => Some(s.entry.shares_needed.max(u64::try_from(people).unwrap_or(u64::MAX))),
        };
        tiers.push(MayRelease {
            tier,
            needed: standing.and_then(needed),
            guardians: roster.into_iter().filter_map(guardian).collect(),
        });
    }
    Ok(tiers)
}

fn returned(service: &Service, found: &Emergency) -> Answer<Returned> {
    let request = &found.request;
    let anew = match &found.release {
        Some(_) => service.sealed_anew(&request.patient, &request.locker)?,
        None => None,
    };
    Ok(Returned {
        request: found.id.to_string(),
        requester: Party::person(&request.requester, &service.state().membership),
        tier: name(&TIERS, &request.tier),
        approved: found.approved.len(),
        until: rfc3339(request.until),
        state: state_name(found, service.now()),
        reviews: found.reviews.iter().map(|(_, r)| name(&OUTCOMES, &r.outcome)).collect(),
        review_due: review_due(found).and_then(rfc3339),
        sealed_anew: anew,
    })
}

/// What of break-glass an administrator looks after; counts alone.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct EmergencyStatus {
    /// Whether committees hold the keys that escrows of every tier need.
    pub(crate) keys: bool,
    /// Patients at home here.
    pub(crate) patients: usize,
    /// Of these, without an escrow of each tier that opens: they can't be helped by break-glass.
    pub(crate) without_escrow: usize,
    /// Releases that are not reviewed: of what people here asked for, or of patients at home here.
    pub(crate) reviews_due: usize,
    /// Of these, beyond their time.
    pub(crate) reviews_overdue: usize,
}

impl EmergencyStatus {
    /// What to do, for an administrator.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.keys && self.without_escrow > 0 {
            warnings.push(format!(
                "{} of {} patients have no working escrow: break-glass can't open their records until their card is used \
                 again.",
                self.without_escrow, self.patients
            ));
        }
        if self.reviews_overdue > 0 {
            warnings.push(format!(
                "{} reviews of emergency accesses are overdue: hospes breakglass list, then review, by an auditor's card.",
                self.reviews_overdue
            ));
        }
        warnings
    }
}

/// The newest count of escrows: looking through all patients takes its time, and `/status` is asked often.
#[derive(Default)]
pub(crate) struct Counted(Mutex<Option<(Instant, Duration, EscrowCount)>>);

impl Counted {
    fn fresh(&self) -> Option<EscrowCount> {
        let counted = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        counted.and_then(|(at, took, count)| (at.elapsed() < took * COUNT_SHARE).then_some(count))
    }

    fn keep(&self, began: Instant, count: EscrowCount) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
            Some((Instant::now(), began.elapsed(), count));
    }
}

/// What `/status` says of break-glass.
pub(crate) async fn emergency_status(api: &Api) -> Answer<EmergencyStatus> {
    let own = api.parts.node.organization;
    let ask = move |service: &Service| -> Answer<_> { Ok(asked(service, &own)?) };
    let (held, keys, reviews) = api.ask(ask).await?;
    let count = match api.counted.fresh() {
        Some(count) => count,
        None => {
            let (objects, network) = (api.parts.objects.clone(), api.parts.node.network);
            let began = Instant::now();
            let counting =
                tokio::task::spawn_blocking(move || count_escrows(&*objects, (&network, &own), &held));
            let count = counting.await.map_err(|_| Problem::of(Code::Stopping))??;
            api.counted.keep(began, count);
            count
        }
    };
    Ok(EmergencyStatus {
        keys,
        patients: count.patients,
        without_escrow: count.without,
        reviews_due: reviews.due,
        reviews_overdue: reviews.overdue,
    })
}

type Asked = (hospes_service::emergency::HeldKeys, bool, ReviewCount);

fn asked(service: &Service, own: &OrganizationId) -> Result<Asked, Fatal> {
    let guardians = TIERS.iter().filter_map(|(_, tier)| tier.committee()).map(|(name, _)| name);
    let mut keys = true;
    for name in guardians.chain([hospes_protocol::control::LEDGER_COMMITTEE]) {
        keys &= service.committee_key(name)?.is_some();
    }
    Ok((service.held_keys()?, keys, service.reviews_due(own)?))
}
