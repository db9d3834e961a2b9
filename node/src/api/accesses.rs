//! `/accesses`: who opened what, for the patient. `/why`: what permits or denies.
//!
//! The list is the patient's own. Why is told to the patient, to the person whom it is about, and to who
//! administers that person's organization.

use axum::Json;
use axum::extract::State;
use hospes_protocol::ids::{ContentId, PatientId, PersonId, StudyId};
use hospes_protocol::personal::Right;
use hospes_protocol::policy::{Act, Actor, Request};
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Params, id, word};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::shown::Access;
use super::state::Api;
use super::times::{milliseconds, rfc3339};
use crate::words::{ANONYMITY, PURPOSES, RIGHTS, name};

/// Whose accesses.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AccessesQuery {
    /// The patient's pseudonym; the caller's where absent.
    patient: Option<String>,
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// Accesses to the patient's records.
#[utoipa::path(get, path = "/accesses", params(AccessesQuery), tag = "accesses",
    responses((status = 200, body = Page<Access>), (status = 401, body = Problem),
        (status = 403, description = "Not this patient.", body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<AccessesQuery>,
) -> Answer<Json<Page<Access>>> {
    let own = caller.patient().ok_or(Code::NotPermitted)?;
    let asked = query.patient.as_deref().map(|p| id("patient", p)).transpose()?;
    if asked.is_some_and(|asked: PatientId| asked != own) {
        return Err(Code::NotPermitted.into());
    }
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let page = move |service: &Service| {
        let page = paging.of(service.accesses_of(&own)?)?;
        let items = page.items.iter().map(|a| Access::of(a, service)).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    };
    api.ask(page).await.map(Json)
}

/// What to explain.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhyQuery {
    /// Who would act; the caller where absent.
    person: Option<String>,
    /// The record.
    record: String,
    /// `read`, `write` (amending it) or `share` (which needs `study`); `read` where absent.
    right: Option<String>,
    /// The study that it would leave for, 64 hexadecimal digits.
    study: Option<String>,
    /// For what; treatment where absent.
    purpose: Option<String>,
    /// At which time; now where absent. Entries are those known now.
    at: Option<String>,
}

/// Why something is permitted or denied.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Why {
    /// Whether it is permitted.
    permitted: bool,
    /// The rule's stable code.
    rule: &'static str,
    /// The rule's number in the documentation.
    number: u8,
    /// In a few English sentences.
    text: String,
    /// What to do about a denial.
    next: &'static str,
    /// The entries that it rests on, from the root of trust to the last; for a denial what came nearest.
    entries: Vec<String>,
    /// Whether something in it is not final.
    provisional: bool,
    /// What comes with a permit.
    obligations: Obligations,
    /// At which time.
    at: Option<String>,
    /// The newest certified block that it was judged on.
    height: u64,
}

/// What comes with a permit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Obligations {
    /// How data must leave for a study.
    anonymity: Option<&'static str>,
    /// The access ends the consent.
    one_time: bool,
    /// The access binds the code to the reader's organization.
    binds_code: bool,
    /// A change needs the author's and the patient's signature.
    two_signatures: bool,
}

impl Why {
    fn of(why: &hospes_protocol::policy::Why, at: u64, height: u64) -> Self {
        let duties = &why.obligations;
        Self {
            permitted: why.rule.permits(),
            rule: why.rule.code(),
            number: why.rule.number(),
            text: why.explain(),
            next: why.rule.next(),
            entries: why.entries.iter().map(ContentId::to_string).collect(),
            provisional: why.provisional,
            obligations: Obligations {
                anonymity: duties.anonymity.map(|a| name(&ANONYMITY, &a)),
                one_time: duties.one_time,
                binds_code: duties.binds_code,
                two_signatures: duties.two_signatures,
            },
            at: rfc3339(at),
            height,
        }
    }
}

struct Asked {
    person: PersonId,
    record: ContentId,
    right: Right,
    study: Option<StudyId>,
    purpose: hospes_protocol::personal::Purpose,
    at: Option<u64>,
}

/// Why a person may, or may not, read or amend a record.
#[utoipa::path(get, path = "/why", params(WhyQuery), tag = "accesses",
    responses((status = 200, body = Why), (status = 401, body = Problem),
        (status = 403, description = "Neither one's own affair nor one's own organization's.", body = Problem)))]
pub(crate) async fn why(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<WhyQuery>,
) -> Answer<Json<Why>> {
    let named = query.person.as_deref().map(|p| id("person", p)).transpose()?;
    let right = query.right.as_deref().unwrap_or("read");
    let asked = Asked {
        person: named
            .or(caller.person())
            .ok_or_else(|| Problem::of(Code::BadRequest).detail("Name the person: ?person=."))?,
        record: id("record", &query.record)?,
        right: word("right", &RIGHTS, right)?,
        study: query.study.as_deref().map(|s| id("study", s)).transpose()?,
        purpose: word("purpose", &PURPOSES, query.purpose.as_deref().unwrap_or("treatment"))?,
        at: query.at.as_deref().map(milliseconds).transpose()?,
    };
    if (asked.right == Right::Share) != asked.study.is_some() {
        return Err(
            Problem::of(Code::BadRequest).detail("A right to share is for a study: ?right=share&study=.")
        );
    }
    api.ask(move |service| explain(service, &caller, &asked)).await.map(Json)
}

fn explain(service: &Service, caller: &Caller, asked: &Asked) -> Answer<Why> {
    use hospes_protocol::policy::{View as _, decide};
    let facts = service.view().record(&asked.record)?;
    let own = facts.as_ref().is_some_and(|f| caller.is_patient(&f.patient));
    let theirs = service.state().membership.people.get(&asked.person).map(|p| p.organization);
    let governs = caller.administers() && theirs.is_some() && caller.organization() == theirs;
    if !own && caller.person() != Some(asked.person) && !governs {
        return Err(Code::NotPermitted.into());
    }
    // A record that is not known here is of nobody: the decision says so.
    let patient = facts.as_ref().map_or(PatientId([0; 32]), |f| f.patient);
    let record = asked.record;
    let act = match (asked.right, &facts, asked.study) {
        (Right::Write, Some(f), _) => {
            Act::Write { category: f.category, label: f.label, amends: Some(record) }
        }
        (_, _, Some(study)) => Act::Share { record, study },
        _ => Act::Read(record),
    };
    let actor = Actor::Person(asked.person);
    let request = Request { patient, actor, act, purpose: asked.purpose, code: None, access: None };
    let at = asked.at.unwrap_or_else(|| service.now());
    let decision = decide(&service.view(), &request, at);
    Ok(Why::of(decision.why(), at, service.state().height))
}
