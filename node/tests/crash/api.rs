//! The API of one node, as a program would use it while the node dies under it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::http::{Method, Request};

/// One request at most.
const REQUEST_MAX: Duration = Duration::from_secs(15);
/// One answer at most, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// A tap at most.
const TAP_MAX: Duration = Duration::from_secs(20);
/// The PIN of every card.
pub(crate) const PIN: &str = "271828";

/// Why there is no answer of the kind that was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Refused {
    /// The node answered by a problem: its status, code, text.
    Problem(u16, String, String),
    /// No answer came.
    Unreachable(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Problem(status, code, text) => write!(f, "{status} {code} {text}"),
            Self::Unreachable(why) => write!(f, "no answer: {why}"),
        }
    }
}

impl Refused {
    /// Whether the session is over, as after a restart.
    pub(crate) fn is_signed_out(&self) -> bool {
        matches!(self, Self::Problem(401, ..))
    }
}

/// Speaks to one node.
#[derive(Clone)]
pub(crate) struct Api {
    agent: ureq::Agent,
    base: String,
    token: Option<String>,
}

impl Api {
    pub(crate) fn new(api: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(REQUEST_MAX))
            .build();
        Self { agent: config.into(), base: format!("{api}/api/v1"), token: None }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Refused> {
        json(&self.send(&Method::GET, path, None)?.0)
    }

    /// A record's plain bytes, and the access entry that was filed for reading it.
    pub(crate) fn read(&self, content: &str) -> Result<(Vec<u8>, Option<String>), Refused> {
        self.send(&Method::GET, &format!("/records/{content}/content"), None)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        json(&self.send(&Method::POST, path, Some(("application/json", body.to_string().into_bytes())))?.0)
    }

    pub(crate) fn upload(&self, path: &str, bytes: &[u8]) -> Result<Value, Refused> {
        json(&self.send(&Method::POST, path, Some(("application/octet-stream", bytes.to_vec())))?.0)
    }

    /// A whole list.
    pub(crate) fn all(&self, path: &str) -> Result<Vec<Value>, Refused> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{joint}limit=500{cursor}"))?;
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(items),
            }
        }
    }

    /// Signs in with a card that is in a reader.
    pub(crate) fn sign_in(&self, serial: &str) -> Result<Self, Refused> {
        let result = self.follow(self.post("/sessions", &json!({ "card": serial }))?)?;
        Ok(Self { token: Some(text(&result, "token").to_owned()), ..self.clone() })
    }

    /// An act that ends in a tap.
    pub(crate) fn tap(&self, path: &str, body: &Value) -> Result<Value, Refused> {
        self.follow(self.post(path, body)?)
    }

    /// Gives the PIN where it is asked for; the result of the tap once it is done.
    pub(crate) fn follow(&self, mut tap: Value) -> Result<Value, Refused> {
        let (begun, id) = (Instant::now(), text(&tap, "id").to_owned());
        while begun.elapsed() < TAP_MAX {
            match text(&tap, "state") {
                "done" => return Ok(tap["result"].clone()),
                "failed" | "expired" | "cancelled" => {
                    let error = &tap["error"];
                    let (code, message) = (text(error, "code").to_owned(), text(error, "message").to_owned());
                    return Err(Refused::Problem(422, code, message));
                }
                "waiting-pin" => tap = self.post(&format!("/taps/{id}/pin"), &json!({ "pin": PIN }))?,
                _ => {
                    std::thread::sleep(Duration::from_millis(10));
                    tap = self.get(&format!("/taps/{id}"))?;
                }
            }
        }
        Err(Refused::Unreachable(format!("the tap stayed in {}", text(&tap, "state"))))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<(Vec<u8>, Option<String>), Refused> {
        let broken = |e: ureq::Error| Refused::Unreachable(e.to_string());
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let answered = match body {
            Some((kind, bytes)) => self.agent.run(request.header("Content-Type", kind).body(bytes).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answered.map_err(broken)?;
        let status = answer.status().as_u16();
        let header = answer.headers().get("hospes-access");
        let access = header.and_then(|h| h.to_str().ok()).map(ToOwned::to_owned);
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(broken)?;
        if (200..300).contains(&status) {
            return Ok((bytes, access));
        }
        let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Err(Refused::Problem(status, text(&problem, "code").to_owned(), text(&problem, "detail").to_owned()))
    }
}

fn json(bytes: &[u8]) -> Result<Value, Refused> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|e| Refused::Unreachable(format!("no JSON: {e}")))
}

/// A text field, or nothing.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
