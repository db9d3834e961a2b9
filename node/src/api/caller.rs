//! Who calls: the session of the request, by bearer token or cookie.
//!
//! The desk owns sessions; a session whose card has left is gone there, and here at the next request.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use axum::http::request::Parts;
use hospes_protocol::ids::{OrganizationId, PatientId, PersonId};
use hospes_protocol::policy::Actor;

use super::codes::Code;
use super::problem::Problem;
use super::state::Api;
use crate::desk::{Session, Who};

/// The cookie that a browser holds the token in.
pub(crate) const COOKIE_NAME: &str = "hospes-session";

/// The session of a request. Handlers that take it answer 401 without one.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The session.
    pub(crate) session: Arc<Session>,
    /// Its token.
    pub(crate) token: String,
}

/// The token of a request, from `Authorization: Bearer` or, failing that, the cookie.
pub(crate) fn token_of(headers: &HeaderMap) -> Option<&str> {
    let bearer =
        headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| v.strip_prefix("Bearer "));
    let cookie = || {
        let all = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(';'));
        let ours = |pair: &str| pair.trim().split_once('=').is_some_and(|(name, _)| name == COOKIE_NAME);
        all.filter(|p| ours(p)).find_map(|pair| pair.split_once('=').map(|(_, value)| value.trim()))
    };
    bearer.map(str::trim).or_else(cookie).filter(|t| !t.is_empty())
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = token_of(&parts.headers).ok_or(Code::NoSession)?.to_owned();
        let session = api.parts.desk.session(&token).ok_or(Code::NoSession)?;
        Ok(Self { session, token })
    }
}

impl Caller {
    /// The patient who is signed in.
    pub(crate) fn patient(&self) -> Option<PatientId> {
        match &self.session.who {
            Who::Patient { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The person who is signed in.
    pub(crate) fn person(&self) -> Option<PersonId> {
        match &self.session.who {
            Who::Person { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The organization for which the caller acts; null for a patient.
    pub(crate) fn organization(&self) -> Option<OrganizationId> {
        match &self.session.who {
            Who::Person { organization, .. } => Some(*organization),
            Who::Organization { id } => Some(*id),
            Who::Patient { .. } => None,
        }
    }

    /// Roles of the person.
    pub(crate) fn roles(&self) -> &[String] {
        match &self.session.who {
            Who::Person { roles, .. } => roles,
            _ => &[],
        }
    }

    /// Whether the caller administers an organization, by its card or by role.
    pub(crate) fn administers(&self) -> bool {
        match &self.session.who {
            Who::Person { administrator, .. } => *administrator,
            Who::Organization { .. } => true,
            Who::Patient { .. } => false,
        }
    }

    /// The caller as a decision knows people; null for a patient and an organization's card.
    pub(crate) fn actor(&self) -> Option<Actor> {
        self.person().map(Actor::Person)
    }

    /// Whether these are the caller's own records.
    pub(crate) fn is_patient(&self, patient: &PatientId) -> bool {
        self.patient().as_ref() == Some(patient)
    }

    /// Refuses whoever doesn't administer an organization.
    ///
    /// # Errors
    /// `not-permitted`.
    pub(crate) fn must_administer(&self) -> Result<(), Problem> {
        if self.administers() { Ok(()) } else { Err(Code::NotPermitted.into()) }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_token_comes_by_bearer_or_by_cookie() {
        assert_eq!(token_of(&headers(AUTHORIZATION, "Bearer abc")), Some("abc"), "bearer");
        assert_eq!(token_of(&headers(COOKIE, "a=b; hospes-session=abc")), Some("abc"), "cookie");
    }

    #[test]
    fn other_headers_carry_no_token() {
        assert_eq!(token_of(&headers(AUTHORIZATION, "Basic abc")), None, "another scheme");
        assert_eq!(token_of(&headers(COOKIE, "xhospes-session=abc")), None, "another cookie");
        assert_eq!(token_of(&headers(AUTHORIZATION, "Bearer ")), None, "an empty token");
    }
}
