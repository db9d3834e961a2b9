//! `/recoveries`: a lost card without its printed code, from the notice to the new card.
//!
//! Notices are shown to the patient, and to people of the patient's home.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::response::Response;
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_service::emergency::Recovery;
use hospes_service::service::Service;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::codes::Code;
use super::input::{Json, Params, id, serial};
use super::page::Page;
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use super::times::rfc3339;
use crate::desk::GiveNotice;

/// Notice that a lost card is to be replaced.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Notice {
    /// Its content id, by which it is addressed.
    notice: String,
    /// The patient's pseudonym.
    patient: String,
    /// The home organization.
    home: String,
    /// The other organization that signed it.
    witness: Option<String>,
    /// The entry of the lost card.
    lost: String,
    /// `signed`, `waiting`, `ready` or `contested`.
    state: &'static str,
    /// From when on guardians may be asked; null until it is final.
    due: Option<String>,
}

impl Notice {
    fn of(found: &Recovery) -> Self {
        let state = match (found.contested, found.waited, found.due) {
            (true, ..) => "contested",
            (_, true, _) => "ready",
            (_, _, Some(_)) => "waiting",
            _ => "signed",
        };
        Self {
            notice: found.id.to_string(),
            patient: found.entry.patient.to_string(),
            home: found.entry.home.to_string(),
            witness: found.entry.witness.map(|id| id.to_string()),
            lost: found.entry.lost.to_string(),
            state,
            due: found.due.and_then(rfc3339),
        }
    }
}

/// Whose notices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct NoticesQuery {
    /// The pseudonym; a patient's own where absent.
    patient: Option<String>,
}

fn notices(service: &Service, caller: &Caller, patient: PatientId) -> Answer<Vec<Notice>> {
    let home = match caller.organization() {
        Some(organization) => service.is_home(&patient, &organization)?,
        None => false,
    };
    if !home && !caller.is_patient(&patient) {
        return Err(Code::NotPermitted.into());
    }
    Ok(service.recoveries(&patient)?.iter().map(Notice::of).collect())
}

/// Notices about a patient's cards.
#[utoipa::path(get, path = "/recoveries", params(NoticesQuery), tag = "patients",
    responses((status = 200, body = Page<Notice>), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Params(query): Params<NoticesQuery>,
) -> Answer<Reply<Page<Notice>>> {
    let named = query.patient.map(|text| id("patient", &text)).transpose()?;
    let patient = named.or(caller.patient()).ok_or(Code::BadRequest)?;
    api.ask(move |service| Ok(Reply(Page { items: notices(service, &caller, patient)?, next_cursor: None })))
        .await
}

/// A card to put in a lost one's place.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NoticeAsked {
    /// The patient's pseudonym.
    patient: String,
    /// The serial of the new card, which is in a reader.
    card: String,
}

/// Gives notice, by the card of the patient's home and that of another organization. The result holds `{notice, delay_ms}`
/// and, once, the new recovery code to print.
#[utoipa::path(post, path = "/recoveries", request_body = NoticeAsked, tag = "patients",
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn give(
    State(api): State<Api>,
    caller: Caller,
    Json(asked): Json<NoticeAsked>,
) -> Answer<Response> {
    caller.must_administer()?;
    let asked = GiveNotice { patient: id("patient", &asked.patient)?, card: serial(&asked.card)? };
    Ok(begun(api.parts.desk.give_notice(&caller.session, asked).await?))
}

/// Contests a notice, by the lost card or the card of the patient's home.
#[utoipa::path(post, path = "/recoveries/{id}/contest", tag = "patients",
    params(("id" = String, Path, description = "The notice's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn contest(
    State(api): State<Api>,
    caller: Caller,
    Path(notice): Path<String>,
) -> Answer<Response> {
    Ok(begun(api.parts.desk.contest(&caller.session, id::<ContentId>("notice", &notice)?).await?))
}

/// Asks three guardians for the way back, by the card of a person of the patient's home, once the delay is over. They approve
/// it as any request under `/breakglass`. The result holds `{request}`.
#[utoipa::path(post, path = "/recoveries/{id}/request", tag = "patients",
    params(("id" = String, Path, description = "The notice's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn ask(
    State(api): State<Api>,
    caller: Caller,
    Path(notice): Path<String>,
) -> Answer<Response> {
    Ok(begun(api.parts.desk.ask_recovery(&caller.session, id("notice", &notice)?).await?))
}

/// Puts the new card in the lost one's place, once it is released: the new card and that of the patient's home tap. Waits some
/// seconds for shares that are on their way.
#[utoipa::path(post, path = "/recoveries/{id}/finish", tag = "patients",
    params(("id" = String, Path, description = "The notice's content id.")),
    responses((status = 201, body = Tap), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(crate) async fn finish(
    State(api): State<Api>,
    caller: Caller,
    Path(notice): Path<String>,
) -> Answer<Response> {
    caller.must_administer()?;
    Ok(begun(api.parts.desk.finish_recovery(&caller.session, id("notice", &notice)?).await?))
}
