//! `/sessions`: signing in by a tap, and out.
//!
//! Signing in is a tap of the card's 9A; its result holds the session and its token. A browser then posts the
//! token once to get it as a cookie. The session ends when the card leaves, or here.

use axum::Json as Reply;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::caller::{COOKIE_NAME, Caller};
use super::codes::Code;
use super::input::{Json, serial};
use super::problem::{Answer, Problem};
use super::state::Api;
use super::taps::{Tap, begun};
use crate::desk::{Language, Who};

/// Which card signs in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignIn {
    /// Its serial, from `/cards`.
    card: String,
    /// The language of texts (BCP 47), as chosen at the screen; the patient's own where absent.
    #[serde(default)]
    language: Option<String>,
}

/// Begins to sign in.
///
/// The tap's result, once done, is `{session, token, who}`.
#[utoipa::path(post, path = "/sessions", request_body = SignIn, tag = "sessions",
    responses((status = 201, body = Tap), (status = 503, description = "No such card in a reader.", body = Problem)))]
pub(crate) async fn sign_in(State(api): State<Api>, Json(asked): Json<SignIn>) -> Answer<Response> {
    let language = asked.language.as_deref().map(Language::of);
    Ok(begun(api.parts.desk.sign_in(serial(&asked.card)?, language).await?))
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionInfo {
    /// The session.
    id: String,
    /// `person`, `patient` or `organization`.
    kind: &'static str,
    /// The person, the patient's pseudonym, or the organization.
    holder: String,
    /// The person's organization, or the patient's home.
    organization: String,
    /// The person's roles.
    roles: Vec<String>,
    /// Whether they administer the organization.
    administrator: bool,
    /// The language of texts (BCP 47).
    language: String,
}

impl SessionInfo {
    fn of(caller: &Caller) -> Self {
        let (kind, holder, organization) = match &caller.session.who {
            Who::Person { id, organization, .. } => ("person", id.to_string(), organization.to_string()),
            Who::Patient { id, home } => ("patient", id.to_string(), home.to_string()),
            Who::Organization { id } => ("organization", id.to_string(), id.to_string()),
        };
        Self {
            id: caller.session.id.clone(),
            kind,
            holder,
            organization,
            roles: caller.roles().to_vec(),
            administrator: caller.administers(),
            language: caller.session.language.tag().to_owned(),
        }
    }
}

/// Who is signed in with this token.
#[utoipa::path(get, path = "/sessions/current", tag = "sessions",
    responses((status = 200, body = SessionInfo), (status = 401, body = Problem)))]
pub(crate) async fn current(caller: Caller) -> Reply<SessionInfo> {
    Reply(SessionInfo::of(&caller))
}

/// Gives the bearer token back as a cookie, for a browser.
///
/// The cookie is `HttpOnly` and `SameSite=Strict`, and ends with the browser.
#[utoipa::path(post, path = "/sessions/current/cookie", tag = "sessions",
    responses((status = 204, description = "The cookie is set."), (status = 401, body = Problem)))]
pub(crate) async fn cookie(caller: Caller) -> Response {
    let cookie = format!("{COOKIE_NAME}={}; Path=/; HttpOnly; SameSite=Strict", caller.token);
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

/// Signs out.
#[utoipa::path(delete, path = "/sessions/current", tag = "sessions",
    responses((status = 204, description = "Signed out; what it held in memory is wiped."),
        (status = 401, body = Problem)))]
pub(crate) async fn sign_out(State(api): State<Api>, caller: Caller) -> Answer<Response> {
    api.parts.desk.sign_out(&caller.token).await?;
    let gone = format!("{COOKIE_NAME}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, gone)]).into_response())
}

/// Signs out, by the session's name.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "sessions",
    params(("id" = String, Path, description = "The session.")),
    responses((status = 204, description = "Signed out; what it held in memory is wiped."),
        (status = 401, body = Problem), (status = 403, description = "Not this session's token.", body = Problem)))]
pub(crate) async fn end(state: State<Api>, caller: Caller, Path(id): Path<String>) -> Answer<Response> {
    if id != caller.session.id {
        return Err(Code::NotPermitted.into());
    }
    sign_out(state, caller).await
}
