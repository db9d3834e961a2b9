//! The HTTP API of one node, as any program would use it.
//!
//! It knows problem details and bearer tokens; what the answers mean is the steps' affair.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request};

use super::failed::Failed;

/// One request at most; uploads of samples and records on their way included.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// An answer at most: a sample and then some.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// How a file is sent, whatever it is.
const FILE: &str = "application/octet-stream";

/// A refusal, as RFC 9457 says it.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable code.
    pub(crate) code: String,
    /// What happened, and what to do.
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({})", self.status, self.code, self.detail)
    }
}

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The node refused.
    Problem(Problem),
    /// No answer came.
    Unreachable(String),
}

impl Refused {
    /// The code of a problem; `unreachable` without an answer.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// Whether the node answered and refused because of who asks.
    pub(crate) fn is_denial(&self) -> bool {
        matches!(self, Self::Problem(p) if p.status == 401 || p.status == 403)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(problem) => problem.fmt(f),
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
        }
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            // The API's own words for an address and a method that it doesn't have.
            Refused::Problem(p) if p.code == "not-found" || p.code == "wrong-method" => {
                Self::NotBuilt(p.detail)
            }
            other => Self::wrong(other),
        }
    }
}

/// Speaks to one node, as one person or as nobody.
#[derive(Clone)]
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Client {
    /// Of the node whose API listens at `api` (`http://…` or host and port), signed in as nobody.
    pub(crate) fn new(api: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .build();
        let host = api.trim_end_matches('/');
        let base =
            if host.starts_with("http") { format!("{host}/api/v1") } else { format!("http://{host}/api/v1") };
        Self { agent: config.into(), base, token: None }
    }

    /// The same node, as whoever holds `token`.
    pub(crate) fn signed_in(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// GET of JSON.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Refused> {
        json(&self.send(&Method::GET, path, None)?)
    }

    /// GET of bytes.
    pub(crate) fn bytes(&self, path: &str) -> Result<Vec<u8>, Refused> {
        self.send(&Method::GET, path, None)
    }

    /// POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        let bytes = body.to_string().into_bytes();
        json(&self.send(&Method::POST, path, Some(("application/json", bytes)))?)
    }

    /// POST of a file as it is.
    pub(crate) fn upload(&self, path: &str, bytes: &[u8]) -> Result<Value, Refused> {
        json(&self.send(&Method::POST, path, Some((FILE, bytes.to_vec())))?)
    }

    fn send(&self, method: &Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Vec<u8>, Refused> {
        let broken = |e: ureq::Error| Refused::Unreachable(e.to_string());
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let unbuilt = |e: ureq::http::Error| Refused::Unreachable(e.to_string());
        let answered = match body {
            Some((kind, bytes)) => {
                // A file that is refused need not travel (RFC 9110, 10.1.1), and the refusal is heard.
                if kind == FILE {
                    request = request.header("Expect", "100-continue");
                }
                self.agent.run(request.header("Content-Type", kind).body(bytes).map_err(unbuilt)?)
            }
            None => self.agent.run(request.body(()).map_err(unbuilt)?),
        };
        let mut answer = answered.map_err(broken)?;
        let status = answer.status().as_u16();
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(broken)?;
        if (200..300).contains(&status) { Ok(bytes) } else { Err(problem(status, &bytes)) }
    }
}

fn problem(status: u16, bytes: &[u8]) -> Refused {
    let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let detail = format!("{} {}", text("detail"), text("next")).trim().to_owned();
    Refused::Problem(Problem { status, code: text("code"), detail })
}

fn json(bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|e| Refused::Unreachable(format!("the answer is not JSON: {e}")))
}

/// A value as part of a query or path (RFC 3986, unreserved characters stay).
pub(crate) fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_in_a_query_keeps_its_bytes() {
        assert_eq!(quoted("a b&c=ü"), "a%20b%26c%3D%C3%BC", "reserved and foreign bytes are escaped");
        assert_eq!(quoted("A-z_0.9~"), "A-z_0.9~", "unreserved ones stay");
    }

    #[test]
    fn an_address_that_is_not_there_counts_as_not_built() {
        let missing = problem(404, br#"{"code":"not-found","detail":"x","next":"y"}"#);
        assert!(matches!(Failed::from(missing), Failed::NotBuilt(_)), "no such address");
        let denied = problem(403, br#"{"code":"consent-missing"}"#);
        assert!(denied.is_denial(), "a denial");
        assert!(matches!(Failed::from(denied), Failed::Wrong(_)), "which is an outcome");
    }
}
