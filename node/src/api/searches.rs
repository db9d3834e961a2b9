//! `/breakglass/searches`: a patient who has no card with him is looked for by name.
//!
//! Whom a search found is shown to who made it; who found a patient, to the patient.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::ContentId;
use hospes_protocol::personal::Grantee;
use hospes_protocol::search::SearchTerms;
use hospes_service::emergency::{Candidate, Search};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, id};
use super::page::Page;
use super::problem::{Answer, Problem};
use super::shown::{Finality, Party};
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::rfc3339;

/// Whom to look for.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SearchAsked {
    /// Given and family name, in either order.
    name: String,
    /// `YYYY-MM-DD`.
    birth_date: String,
    /// A national number, where it is known; spaces, dashes and case don't matter.
    national_id: Option<String>,
}

/// Looks for a patient at every node, by the card of a practitioner; ten times an hour. The result holds `{search}`. Nodes answer
/// once it is final.
#[utoipa::path(post, path = "/breakglass/searches", request_body = SearchAsked, tag = "breakglass",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 429, description = "Too many in an hour; says when the next may be made.", body = Problem)))]
pub(crate) async fn find(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<SearchAsked>,
) -> Answer<Response> {
    let SearchAsked { name, birth_date, national_id } = asked;
    let terms = SearchTerms { name, birth_date, national_id };
    Ok(begun(api.parts.desk.find_patient(&caller.session, terms).await?))
}

/// Somebody whom a search found, as little as tells him from others.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct CandidateShown {
    /// The place in the list, from 1, by which he is chosen.
    place: usize,
    /// The name.
    name: String,
    /// The year of birth.
    birth_year: String,
    /// The home organization.
    home: Party,
    /// SHA-256 of the label of the escrow that a request is for; null where there is none to ask for.
    label: Option<String>,
}

/// A search, and whom it found so far.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct SearchShown {
    /// Its content id, by which it is addressed.
    search: String,
    /// How far it is; nobody answers before it is final.
    finality: Finality,
    /// Nodes that were asked.
    asked: usize,
    /// Nodes that answered.
    answered: usize,
    /// Whether more people were found than are shown: then nobody is, until the number is added.
    too_many: bool,
    /// Who was found, in the order of the answers.
    people: Vec<CandidateShown>,
}

/// Whom a search of the caller's found.
#[utoipa::path(get, path = "/breakglass/searches/{id}", tag = "breakglass",
    params(("id" = String, Path, description = "The search's content id.")),
    responses((status = 200, body = SearchShown), (status = 401, body = Problem),
        (status = 403, description = "Somebody else's.", body = Problem)))]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(search): Path<String>,
) -> Answer<Reply<SearchShown>> {
    let search = id::<ContentId>("search", &search)?;
    let Search { entry, state, answered, people, too_many } =
        api.parts.desk.searched(&caller.session, search).await?;
    api.ask(move |service| {
        let members = &service.state().membership;
        let one = |(at, of): (usize, &Candidate)| CandidateShown {
            place: at + 1,
            name: of.name.clone(),
            birth_year: of.year.clone(),
            home: Party::grantee(&Grantee::Organization(of.home), members),
            label: of.escrow.map(|(_, label)| data_encoding::HEXLOWER.encode(&label)),
        };
        Ok(Reply(SearchShown {
            search: search.to_string(),
            finality: Finality::of(&state),
            asked: entry.terms.len(),
            answered,
            too_many,
            people: people.iter().enumerate().map(one).collect(),
        }))
    })
    .await
}

/// That somebody found the patient.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct FoundShown {
    /// When.
    at: Option<String>,
    /// Who.
    person: Party,
    /// `name`, or `card` for who asked for the patient's entries with the card in a reader.
    by: &'static str,
    /// The search; null for who had the card.
    search: Option<String>,
}

/// Who found the patient who is signed in, the newest first, as far as this node answered.
#[utoipa::path(get, path = "/breakglass/searches", tag = "breakglass",
    responses((status = 200, body = Page<FoundShown>), (status = 401, body = Problem),
        (status = 403, description = "No patient.", body = Problem)))]
pub(crate) async fn found(State(api): State<Api>, caller: Caller) -> Answer<Reply<Page<FoundShown>>> {
    let patient = caller.patient().ok_or(Code::NotPermitted)?;
    api.ask(move |service| {
        let found = service.found_of(&patient)?;
        let members = &service.state().membership;
        let items = found.iter().map(|one| FoundShown {
            at: rfc3339(one.at),
            person: Party::person(&one.person, members),
            by: if one.search.is_some() { "name" } else { "card" },
            search: one.search.map(|id| id.to_string()),
        });
        Ok(Reply(Page { items: items.collect(), next_cursor: None }))
    })
    .await
}
