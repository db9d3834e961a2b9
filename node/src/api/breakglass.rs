//! `/breakglass`: requests for escrows, who approved, what was released, opened, closed and reviewed.
//!
//! The patient sees all of the own; a person what concerns them: the own requests, those that wait for the person as a
//! guardian, and, for auditors and people of the patient's home, all of their organization.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::control::CommitteeMember;
use hospes_protocol::emergency::{AUDITOR_ROLE, Tier};
use hospes_protocol::ids::{ContentId, PersonId};
use hospes_protocol::policy::PatientView as _;
use hospes_service::emergency::{Emergency, review_due};
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, Params, id, word};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::shown::{Finality, Party};
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::rfc3339;
use crate::desk::{AskEmergency, Choice, EmergencyNotice, Language, NamedBy, emergency};
use crate::words::{OUTCOMES, REASONS, TIERS, name};

/// A request and what followed.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EmergencyShown {
    /// The request's content id, by which it is addressed.
    pub(crate) request: String,
    /// The patient's pseudonym.
    pub(crate) patient: String,
    /// Who asks.
    pub(crate) requester: Party,
    /// `card` (by the patient's card and the requester alone), `summary`, `full`, `recovery` or `offline` (at one hospital
    /// without a line).
    pub(crate) tier: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
    /// In the requester's words.
    pub(crate) text: String,
    /// Until when.
    pub(crate) until: Option<String>,
    /// `asked`, `released`, `open`, `closed`, `over` or `lapsed` (over, and never released).
    pub(crate) state: &'static str,
    /// Who has approved, as far as this node knows.
    pub(crate) approved: Vec<Party>,
    /// How many guardians must approve.
    pub(crate) needed: u64,
    /// Guardians who have not approved.
    pub(crate) waiting: Vec<Party>,
    /// The release.
    pub(crate) release: Option<String>,
    /// How far the release is, or the request where there is none.
    pub(crate) finality: Finality,
    /// What reviews found: `justified`, `not-justified`, `unclear`.
    pub(crate) reviews: Vec<&'static str>,
    /// Until when a review is due; null where none is.
    pub(crate) review_due: Option<String>,
    /// Whether it was closed because it was the wrong patient.
    pub(crate) wrong_patient: bool,
    /// The search by which the patient was found; null where a card or a pseudonym named him.
    pub(crate) search: Option<String>,
    /// For the patient: all that in sentences, in the language of the session; null for others, and where a lost card
    /// is replaced, which no reading follows from.
    pub(crate) said: Option<String>,
}

impl EmergencyShown {
    fn of(found: &Emergency, service: &Service, caller: &Caller) -> Self {
        let (request, members) = (&found.request, &service.state().membership);
        let committee = service.view().committee(&request.guardians).ok().flatten();
        let party = |id: &PersonId| Party::person(id, members);
        let waits = |member: CommitteeMember| match member {
            CommitteeMember::Guardian(id) => (!found.approved.contains(&id)).then_some(id),
            CommitteeMember::Validator(_) => None,
        };
        let roster = committee.as_ref().map(|c| c.roster.members()).unwrap_or_default();
        let waiting = if found.release.is_some() { Vec::new() } else { roster };
        let state = found.release.as_ref().map_or(found.state, |(_, _, state)| *state);
        Self {
            request: found.id.to_string(),
            patient: request.patient.to_string(),
            requester: party(&request.requester),
            tier: name(&TIERS, &request.tier),
            reason: name(&REASONS, &request.reason),
            text: request.text.clone(),
            until: rfc3339(request.until),
            state: state_name(found, service.now()),
            approved: found.approved.iter().map(party).collect(),
            needed: committee.filter(|_| request.tier != Tier::Card).map_or(0, |c| c.shares_needed),
            waiting: waiting.into_iter().filter_map(waits).map(|id| party(&id)).collect(),
            release: found.release.as_ref().map(|(id, ..)| id.to_string()),
            finality: Finality::of(&state),
            reviews: found.reviews.iter().map(|(_, r)| name(&OUTCOMES, &r.outcome)).collect(),
            review_due: review_due(found).and_then(rfc3339),
            wrong_patient: found.closes.iter().any(|(_, close)| close.wrong_patient),
            search: found.search.map(|id| id.to_string()),
            said: caller
                .patient()
                .filter(|_| found.request.tier != Tier::Recovery)
                .map(|_| told(found, service, caller.session.language)),
        }
    }
}

/// What the patient reads of it.
fn told(found: &Emergency, service: &Service, language: Language) -> String {
    let request = &found.request;
    let notice = EmergencyNotice {
        requester: &request.requester,
        state: match state_name(found, service.now()) {
            "released" | "open" => "open",
            "closed" | "over" => "over",
            before => before,
        },
        tier: request.tier,
        reason: request.reason,
        text: &request.text,
        review: found.reviews.last().map(|(_, review)| review.outcome),
    };
    emergency(service, &notice, language)
}

/// How far it is, in a word.
pub(super) fn state_name(found: &Emergency, now: u64) -> &'static str {
    let over = now >= found.request.until;
    match &found.release {
        None if over => "lapsed",
        None => "asked",
        Some(_) if !found.closes.is_empty() => "closed",
        Some(_) if over => "over",
        Some((_, _, state)) if matches!(state.finality, hospes_service::records::Finality::Final(_)) => {
            "open"
        }
        Some(_) => "released",
    }
}

/// Whether a request is any of the caller's business.
fn concerns(service: &Service, caller: &Caller, found: &Emergency) -> Answer<bool> {
    let request = &found.request;
    if let Some(patient) = caller.patient() {
        return Ok(request.patient == patient);
    }
    let (Some(person), Some(organization)) = (caller.person(), caller.organization()) else {
        return Ok(false);
    };
    let committee = service.view().committee(&request.guardians).ok().flatten();
    let guards = committee.is_some_and(|c| c.roster.index_of(&CommitteeMember::Guardian(person)).is_some());
    let home = service.is_home(&request.patient, &organization)?;
    let audits =
        caller.roles().iter().any(|role| role == AUDITOR_ROLE) && request.organization == organization;
    Ok(request.requester == person || guards || home || audits)
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EmergenciesQuery {
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// The requests that concern a caller, the newest first.
pub(super) fn concerning(service: &Service, caller: &Caller) -> Answer<Vec<Emergency>> {
    let mut all = Vec::new();
    for found in service.emergencies(caller.patient().as_ref())? {
        if concerns(service, caller, &found)? {
            all.push(found);
        }
    }
    all.sort_by_key(|found| (std::cmp::Reverse(found.request.until), found.id));
    Ok(all)
}

/// Requests that concern the caller, the newest first.
#[utoipa::path(get, path = "/breakglass", params(EmergenciesQuery), tag = "breakglass",
    responses((status = 200, body = Page<EmergencyShown>), (status = 401, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<EmergenciesQuery>,
) -> Answer<Reply<Page<EmergencyShown>>> {
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    api.ask(move |service| {
        let page = paging.of(concerning(service, &caller)?)?;
        let items = page.items.iter().map(|found| EmergencyShown::of(found, service, &caller)).collect();
        Ok(Reply(Page { items, next_cursor: page.next_cursor }))
    })
    .await
}

/// One request.
#[utoipa::path(get, path = "/breakglass/{id}", tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 200, body = EmergencyShown), (status = 401, body = Problem),
        (status = 403, description = "No such request, or not the caller's business.", body = Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer<Reply<EmergencyShown>> {
    let request = id::<ContentId>("request", &request)?;
    api.ask(move |service| {
        let found = service.emergency(&request)?.ok_or(Code::NotPermitted)?;
        if !concerns(service, &caller, &found)? {
            return Err(Code::NotPermitted.into());
        }
        Ok(Reply(EmergencyShown::of(&found, service, &caller)))
    })
    .await
}

/// A request to make. The patient is named by the card in a reader, or where the record is known by the pseudonym.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EmergencyAsked {
    /// The serial of the patient's card, which is in a reader; no PIN is needed.
    card: Option<String>,
    /// The patient's pseudonym.
    patient: Option<String>,
    /// Whom a search of the caller's found: its content id, a colon, and the place in its list.
    found: Option<String>,
    /// `card` (the summary, by the patient's card in the reader and the requester alone), `summary` (two guardians) or
    /// `full` (three), or `offline` (guardians of this hospital and its witness card, without a line); `summary` where absent.
    tier: Option<String>,
    /// `unconscious`, `allergy-or-medicine`, `urgent-surgery`, `lack-of-capacity`, `card-unusable`, `other`.
    reason: String,
    /// In the requester's words; needed for `other`.
    #[serde(default)]
    text: String,
    /// For how many minutes; 240 where absent, which is the most.
    minutes: Option<u64>,
}

/// A tier that is asked for by itself: the way back of a lost card rests on a notice.
fn tier(named: &str) -> Answer<Tier> {
    match word("tier", &TIERS, named)? {
        Tier::Recovery => {
            Err(Problem::of(Code::BadRequest).detail("A lost card is replaced by /recoveries."))
        }
        tier => Ok(tier),
    }
}

fn choice(named: &str) -> Answer<Choice> {
    let form = || Problem::of(Code::BadRequest).detail("found is SEARCH:PLACE, such as 1f…:1.");
    let (search, place) = named.split_once(':').ok_or_else(form)?;
    Ok(Choice { search: id("search", search)?, place: place.parse().map_err(|_| form())? })
}

impl EmergencyAsked {
    fn read(self) -> Answer<AskEmergency> {
        let of = match (self.card, self.patient, self.found) {
            (Some(card), None, None) => NamedBy::Card(super::input::serial(&card)?),
            (None, Some(patient), None) => NamedBy::Patient(id("patient", &patient)?),
            (None, None, Some(found)) => NamedBy::Found(choice(&found)?),
            _ => {
                let one = "Name the patient by card, by pseudonym or by a place in a search.";
                return Err(Problem::of(Code::BadRequest).detail(one));
            }
        };
        Ok(AskEmergency {
            of,
            tier: tier(self.tier.as_deref().unwrap_or("summary"))?,
            reason: word("reason", &REASONS, &self.reason)?,
            text: self.text,
            lasts_ms: self.minutes.map(|minutes| minutes.saturating_mul(60_000)),
        })
    }
}

/// Asks for an escrow, by the card of a practitioner. The result holds `{request}`; for the tier `card`, which the patient's
/// card releases at once, `{request, release}`.
#[utoipa::path(post, path = "/breakglass", request_body = EmergencyAsked, tag = "breakglass",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn ask(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<EmergencyAsked>,
) -> Answer<Response> {
    Ok(begun(api.parts.desk.ask_emergency(&caller.session, asked.read()?).await?))
}

/// Approves a request, by a guardian's card.
#[utoipa::path(post, path = "/breakglass/{id}/approve", tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn approve(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer<Response> {
    Ok(begun(api.parts.desk.approve(&caller.session, id("request", &request)?).await?))
}

/// Opens what was released, with the requester's card: from then on records are read with the purpose
/// `emergency-treatment`. Waits some seconds for shares that are on their way.
#[utoipa::path(post, path = "/breakglass/{id}/open", tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 200, description = "`{request, release, patient, until}`", body = Object),
        (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn open(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
) -> Answer<Reply<serde_json::Value>> {
    Ok(Reply(api.parts.desk.open_emergency(&caller.session, id("request", &request)?).await?))
}

/// How it is closed.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CloseAsked {
    /// Whether it was the wrong patient.
    #[serde(default)]
    wrong_patient: bool,
}

/// Closes what was released before its time, by the requester's card or one of the patient's home.
#[utoipa::path(post, path = "/breakglass/{id}/close", request_body = CloseAsked, tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn close(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
    Json(asked): Json<CloseAsked>,
) -> Answer<Response> {
    let request = id("request", &request)?;
    Ok(begun(api.parts.desk.close_emergency(&caller.session, request, asked.wrong_patient).await?))
}

/// What a review found.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ReviewAsked {
    /// `justified`, `not-justified` or `unclear`.
    outcome: String,
    /// In a few words.
    #[serde(default)]
    text: String,
}

/// Reviews a release, by the card of an auditor of the requester's organization or the patient's home.
#[utoipa::path(post, path = "/breakglass/{id}/review", request_body = ReviewAsked, tag = "breakglass",
    params(("id" = String, Path, description = "The request's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn review(
    State(api): State<Api>,
    caller: Caller,
    Path(request): Path<String>,
    Json(asked): Json<ReviewAsked>,
) -> Answer<Response> {
    let found = (word("outcome", &OUTCOMES, &asked.outcome)?, asked.text);
    Ok(begun(api.parts.desk.review_emergency(&caller.session, id("request", &request)?, found).await?))
}
