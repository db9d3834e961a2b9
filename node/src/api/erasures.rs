//! `/erasures`: what is ordered to be destroyed, until when it can be taken back, and who has done it.
//!
//! The patient orders, sees and takes back the own ones; those who administer this node's organization see all that are
//! known here. Who else must sign, the desk says.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::ContentId;
use hospes_service::records::{Erasure, ErasurePhase};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, Params, id};
use super::page::{Page, Paging};
use super::problem::{Answer, Problem};
use super::shown::Finality;
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::rfc3339;
use crate::desk::Erase;

/// An erasure.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErasureShown {
    /// Its content id, by which it is addressed.
    pub(crate) content: String,
    /// The patient's pseudonym.
    pub(crate) patient: String,
    /// The records; empty for everything of the patient.
    pub(crate) records: Vec<String>,
    /// Until when it can be taken back; then it is carried out.
    pub(crate) not_before: Option<String>,
    /// `ordered`, `withdrawn`, `erasing` or `erased`, at this node.
    pub(crate) state: &'static str,
    /// Nodes known here that have, or had, something of it.
    pub(crate) holders: usize,
    /// How many nodes have destroyed it.
    pub(crate) done_by: usize,
    /// Which, and when.
    pub(crate) done: Vec<ErasureDone>,
    /// Objects and bodies that this node destroyed.
    pub(crate) objects: u64,
    /// How far the order is.
    pub(crate) finality: Finality,
}

/// A node that has destroyed what it had.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ErasureDone {
    /// The node.
    pub(crate) node: String,
    /// When.
    pub(crate) at: Option<String>,
}

/// The name of where an erasure stands.
pub(crate) const fn phase_name(phase: ErasurePhase) -> &'static str {
    match phase {
        ErasurePhase::Ordered => "ordered",
        ErasurePhase::Withdrawn => "withdrawn",
        ErasurePhase::Erasing => "erasing",
        ErasurePhase::Erased => "erased",
    }
}

impl ErasureShown {
    fn of(erasure: &Erasure) -> Self {
        let done = erasure.done.iter();
        Self {
            content: erasure.content.to_string(),
            patient: erasure.entry.patient.to_string(),
            records: erasure.entry.records.iter().map(ContentId::to_string).collect(),
            not_before: rfc3339(erasure.entry.not_before),
            state: phase_name(erasure.phase),
            holders: erasure.holders,
            done_by: erasure.done.len(),
            done: done.map(|(node, at)| ErasureDone { node: node.to_string(), at: rfc3339(*at) }).collect(),
            objects: erasure.objects,
            finality: Finality::of(&erasure.state),
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ErasuresQuery {
    /// Entries, at most; 1 to 1000, 100 where absent.
    limit: Option<usize>,
    /// Where the page before ended; opaque.
    cursor: Option<String>,
}

/// Erasures: the patient's own, or all that are known here for those who administer this organization.
#[utoipa::path(get, path = "/erasures", params(ErasuresQuery), tag = "erasures",
    responses((status = 200, body = Page<ErasureShown>), (status = 401, body = Problem),
        (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<ErasuresQuery>,
) -> Answer<Reply<Page<ErasureShown>>> {
    let own = caller.patient();
    let here = caller.organization() == Some(api.parts.node.organization) && caller.administers();
    if own.is_none() && !here {
        return Err(Code::NotPermitted.into());
    }
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let mut all = api.ask(move |service| Ok(service.erasures()?)).await?;
    all.retain(|erasure| own.is_none_or(|patient| erasure.entry.patient == patient));
    let page = paging.of(all)?;
    let items = page.items.iter().map(ErasureShown::of).collect();
    Ok(Reply(Page { items, next_cursor: page.next_cursor }))
}

/// What is to be erased; exactly one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EraseAsked {
    /// These records, by content id, with what was derived from them and what amends them.
    Records(Vec<String>),
    /// Everything of the patient. The value is `true`.
    Everything(bool),
}

impl EraseAsked {
    fn read(&self) -> Answer<Erase> {
        match self {
            Self::Records(list) => {
                let ids = list.iter().map(|text| id("record", text)).collect::<Answer<Vec<_>>>()?;
                Ok(Erase::Records(ids))
            }
            Self::Everything(true) => Ok(Erase::Everything),
            Self::Everything(false) => {
                Err(Problem::of(Code::BadRequest).detail("Name what is to be erased."))
            }
        }
    }
}

/// Orders an erasure, by the patient's card and those of the organizations that answer for it.
///
/// All cards are in readers of this desk. The tap's result is `{erasure, not_before}`.
#[utoipa::path(post, path = "/erasures", request_body = EraseAsked, tag = "erasures",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<EraseAsked>,
) -> Answer<Response> {
    caller.patient().ok_or(Code::NotPermitted)?;
    Ok(begun(api.parts.desk.erase(&caller.session, asked.read()?).await?))
}

/// Takes an erasure back, by the patient's card, until its time has come.
#[utoipa::path(post, path = "/erasures/{id}/withdraw", tag = "erasures",
    params(("id" = String, Path, description = "The erasure's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn withdraw(
    State(api): State<Api>,
    caller: Caller,
    Path(erasure): Path<String>,
) -> Answer<Response> {
    caller.patient().ok_or(Code::NotPermitted)?;
    Ok(begun(api.parts.desk.take_back(&caller.session, id("erasure", &erasure)?).await?))
}
