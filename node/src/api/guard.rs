//! What every request passes first: the Host header, the origin, and the headers of every answer.
//!
//! The API listens on loopback. A page of the Internet can still reach it through the user's browser, by a
//! name that it makes resolve to 127.0.0.1 (DNS rebinding) or by a form; so only names of loopback pass, and
//! only requests without an origin or of this node's own. There is no CORS.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::codes::Code;
use super::problem::{PROBLEM_TYPE, Problem};
use super::state::Api;

/// On every answer.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::X_FRAME_OPTIONS, "DENY"),
];

/// Whether a Host header names this machine itself.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses what comes by another name or from a page of another origin.
pub(crate) fn judge(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok());
    let host = text(header::HOST).ok_or(Code::BadHost)?;
    if !is_loopback_host(host) {
        return Err(Code::BadHost.into());
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let origin = origin.to_str().ok().and_then(|o| o.strip_prefix("http://"));
    if origin == Some(host) { Ok(()) } else { Err(Code::ForeignOrigin.into()) }
}

/// What the framework itself refuses in words of its own, such as a path that is not UTF-8, as a problem.
fn as_problem(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_problem = kind.is_some_and(|kind| kind.as_bytes() == PROBLEM_TYPE.as_bytes());
    let code = match response.status() {
        status if !status.is_client_error() || is_problem => return response,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::WrongMethod,
        StatusCode::PAYLOAD_TOO_LARGE => Code::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::WrongMediaType,
        _ => Code::BadRequest,
    };
    Problem::of(code).into_response()
}

/// The middleware.
pub(crate) async fn pass(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = match judge(request.headers()) {
        Ok(()) => as_problem(next.run(request).await),
        Err(problem) => problem.into_response(),
    };
    hospes_protocol::fail_point!(AnswerUnsent, return Problem::of(Code::Stopping).into_response());
    api.counters.answered(response.status());
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &'static str, origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        headers
    }

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in ["127.0.0.1:7171", "localhost:7171", "[::1]:7171", "127.0.0.1"] {
            assert!(judge(&request(host, None)).is_ok(), "{host} is loopback");
        }
        for host in ["evil.example:7171", "127.0.0.1.evil.example", "10.0.0.1", ""] {
            assert!(judge(&request(host, None)).is_err(), "{host} is not");
        }
        assert!(judge(&HeaderMap::new()).is_err(), "no Host at all");
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = "127.0.0.1:7171";
        assert!(judge(&request(host, Some("http://127.0.0.1:7171"))).is_ok(), "this node's own page");
        assert!(judge(&request(host, Some("http://127.0.0.1:8080"))).is_err(), "another port");
        assert!(judge(&request(host, Some("https://evil.example"))).is_err(), "another site");
        assert!(judge(&request(host, Some("null"))).is_err(), "a page without an origin");
    }
}
