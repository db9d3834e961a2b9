//! Problem details (RFC 9457): the one form in which the API refuses.
//!
//! `code` is stable, `detail` is for people, `next` says what to do, `family` gives the command line its exit
//! code. A problem carries no health data and no path of this machine.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hospes_protocol::check::Rejected;
use hospes_protocol::policy::{Rule, Unreadable, Why};
use hospes_service::service::Fatal;
use hospes_storage::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::{Code, Family, status_of_desk};
use crate::desk::DeskError;
use crate::runtime::actor::Stopped;

/// The media type of problem details.
pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";

/// A refusal. The details are apart so that what is passed on in each result stays small.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct Problem(#[schema(inline)] Box<Details>);

/// Problem details (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Details {
    /// A relative reference that names the code.
    #[serde(rename = "type")]
    kind: String,
    /// What happened in general, English.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here, English.
    detail: String,
    /// The stable code.
    code: String,
    /// What to do.
    next: String,
    /// `failed`, `unavailable`, `denied`, `pending` or `corrupt`.
    family: &'static str,
}

impl Problem {
    /// A problem of the table.
    pub(crate) fn of(code: Code) -> Self {
        Self(Box::new(Details {
            kind: format!("/problems/{}", code.code()),
            title: code.title().into(),
            status: code.status().as_u16(),
            detail: code.title().into(),
            code: code.code().into(),
            next: code.next().into(),
            family: code.family().name(),
        }))
    }

    /// The same with a sentence that says more.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// The status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// A refusal under a code that isn't in the table: of a check, a rule or the desk.
    pub(crate) fn foreign(status: StatusCode, family: Family, code: &str, detail: &str, next: &str) -> Self {
        Self(Box::new(Details {
            kind: format!("/problems/{code}"),
            title: status.canonical_reason().unwrap_or("Refused").into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            next: next.into(),
            family: family.name(),
        }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_TYPE));
        response
    }
}

impl From<Code> for Problem {
    fn from(code: Code) -> Self {
        Self::of(code)
    }
}

impl From<Stopped> for Problem {
    fn from(_: Stopped) -> Self {
        Self::of(Code::Stopping)
    }
}

impl From<Unreadable> for Problem {
    fn from(_: Unreadable) -> Self {
        Self::of(Code::Unreadable)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Full) {
            return Self::of(Code::StorageFull);
        }
        tracing::error!(%error, "a read for the API failed");
        Self::of(Code::Unreadable)
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let code = format!("rejected-{}", rejected.check.code());
        let next = "The number stands in protocol/README.md with its reason.";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::foreign(status, Family::Failed, &code, rejected.check.text(), next)
    }
}

/// A denial of a decision. Whether a record exists is not told to those who hold nothing from its patient.
pub(crate) fn denied(why: &Why) -> Problem {
    match why.rule {
        Rule::NoRecord | Rule::NoGrant | Rule::NotEnrolled | Rule::PrivateNotes => Code::NotPermitted.into(),
        rule => {
            Problem::foreign(StatusCode::FORBIDDEN, Family::Denied, rule.code(), rule.text(), rule.next())
        }
    }
}

impl From<Fatal> for Problem {
    fn from(error: Fatal) -> Self {
        if error.is_full() {
            return Self::of(Code::StorageFull);
        }
        tracing::error!(%error, "a question of the API failed");
        Self::of(Code::Unreadable)
    }
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Self {
        if let DeskError::Denied(why) = &error {
            return denied(why);
        }
        let family = match error.exit() {
            3 => Family::Unavailable,
            4 => Family::Denied,
            5 => Family::Pending,
            6 => Family::Corrupt,
            _ => Family::Failed,
        };
        let code = error.code();
        Self::foreign(status_of_desk(&code, family), family, &code, &error.message(), &error.next())
    }
}

/// What handlers return.
pub(crate) type Answer<T> = Result<T, Problem>;
