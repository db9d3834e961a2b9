//! HTTP to the running node: JSON, uploads, downloads, problems into failures.
//!
//! It knows no command. Every request has a bound on silence, none on length: a record may be 64 GiB.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, Request, Response};
use ureq::{Agent, AsSendBody, Body, SendBody};
use zeroize::Zeroizing;

use super::answer::{Exit, Failure, Outcome};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long a node may be silent: it may wait for a full disk's fsync.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// JSON in bytes, at most.
const JSON_BYTES_MAX: u64 = 64 << 20;

/// Speaks to one node, as one person or as nobody.
#[derive(Clone)]
pub(crate) struct Client {
    agent: Agent,
    address: String,
    token: Option<Zeroizing<String>>,
}

/// An answer with a body that is still to come.
pub(crate) struct Download {
    /// The size, where the node says it.
    pub(crate) bytes: Option<u64>,
    /// The media type.
    pub(crate) media_type: String,
    response: Response<Body>,
}

impl Download {
    /// Copies the body; `progress` hears how much came.
    ///
    /// # Errors
    /// A broken connection, or a file that can't be written.
    pub(crate) fn copy(mut self, out: &mut dyn Write, mut progress: impl FnMut(u64)) -> Outcome<u64> {
        let mut reader = self.response.body_mut().as_reader();
        let (mut buffer, mut total) = (Zeroizing::new(vec![0; 256 * 1024]), 0);
        loop {
            let n = reader.read(&mut buffer).map_err(|e| broken(&e))?;
            if n == 0 {
                break;
            }
            let full = |e: std::io::Error| {
                Failure::new(
                    Exit::Failed,
                    "write",
                    format!("cannot write: {e}"),
                    "Free some space and try again.",
                )
            };
            out.write_all(&buffer[..n]).map_err(full)?;
            total += n as u64;
            progress(total);
        }
        if self.bytes.is_some_and(|b| b != total) {
            return Err(broken(&"the answer ended early"));
        }
        Ok(total)
    }
}

fn broken(error: &dyn std::fmt::Display) -> Failure {
    let message = format!("the connection to the node broke: {error}");
    Failure::new(Exit::Unavailable, "connection", message, "Try again; `hospes status` says how the node is.")
}

impl Client {
    /// Of the node whose API listens at `address`, as nobody.
    pub(crate) fn new(address: &str) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_per_read(Some(SILENCE_MAX))
            .timeout_per_write(Some(SILENCE_MAX))
            .build();
        let address = address.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { agent: config.into(), address, token: None }
    }

    /// The same node, as whoever holds `token`.
    pub(crate) fn signed_in(&self, token: &str) -> Self {
        Self { token: Some(Zeroizing::new(token.to_owned())), ..self.clone() }
    }

    /// GET of JSON.
    pub(crate) fn get(&self, path: &str) -> Outcome<Value> {
        json(self.send(&Method::GET, path, &[], ())?)
    }

    /// Every entry of a list, page after page.
    pub(crate) fn list(&self, path: &str) -> Outcome<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let with = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                None => self.get(path)?,
                Some(cursor) => self.get(&format!("{path}{with}cursor={}", quoted(cursor)))?,
            };
            let next = page.get("next_cursor").and_then(Value::as_str).map(str::to_owned);
            match page {
                Value::Array(items) => all.extend(items),
                Value::Object(mut fields) => match fields.remove("items") {
                    Some(Value::Array(items)) => all.extend(items),
                    _ => return Err(strange("a list was expected")),
                },
                _ => return Err(strange("a list was expected")),
            }
            if next.is_none() || next == cursor {
                return Ok(all);
            }
            cursor = next;
        }
    }

    /// POST of JSON.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        let bytes = Zeroizing::new(body.to_string());
        json(self.send(&Method::POST, path, &[("Content-Type", "application/json")], bytes.as_bytes())?)
    }

    /// POST of a stream as it is; of `length` bytes, where that is known.
    pub(crate) fn upload(
        &self,
        path: &str,
        media_type: &str,
        length: Option<u64>,
        body: &mut dyn Read,
    ) -> Outcome<Value> {
        let length = length.map(|l| l.to_string());
        // A refusal comes before the body is sent (RFC 9110, 10.1.1).
        let mut headers = vec![("Content-Type", media_type), ("Expect", "100-continue")];
        headers.extend(length.as_deref().map(|l| ("Content-Length", l)));
        json(self.send(&Method::POST, path, &headers, SendBody::from_reader(body))?)
    }

    /// DELETE.
    pub(crate) fn delete(&self, path: &str) -> Outcome<()> {
        self.send(&Method::DELETE, path, &[], ()).map(drop)
    }

    /// GET of a stream.
    pub(crate) fn download(&self, path: &str) -> Outcome<Download> {
        let response = self.send(&Method::GET, path, &[], ())?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        let bytes = header("content-length").and_then(|v| v.parse().ok());
        let media_type = header("content-type").unwrap_or_default();
        Ok(Download { bytes, media_type, response })
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl AsSendBody,
    ) -> Outcome<Response<Body>> {
        let uri = format!("http://{}/api/v1{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {}", token.as_str()));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(body).map_err(|e| Failure::usage(e.to_string(), "Check the arguments."))?;
        let response = self.agent.run(request).map_err(|e| self.unreachable(&e))?;
        if response.status().is_success() { Ok(response) } else { Err(problem(response)) }
    }

    fn unreachable(&self, error: &ureq::Error) -> Failure {
        let connecting = matches!(error, ureq::Error::ConnectionFailed | ureq::Error::HostNotFound)
            || matches!(error, ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused);
        if !connecting {
            return broken(error);
        }
        let message = format!("no node answers at {}", self.address);
        let next = "Start it with `hospes run`, or name another one with --api or --data-dir.";
        Failure::new(Exit::Unavailable, "node-unreachable", message, next)
    }
}

fn strange(what: &str) -> Failure {
    let next = "Use the `hospes` of the node's own version.";
    Failure::new(Exit::Failed, "answer", format!("the node's answer was not understood: {what}"), next)
}

fn json(mut response: Response<Body>) -> Outcome<Value> {
    let bytes = response.body_mut().with_config().limit(JSON_BYTES_MAX).read_to_vec();
    let bytes = Zeroizing::new(bytes.map_err(|e| broken(&e))?);
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| strange("it is not JSON"))
}

/// The failure that a problem (RFC 9457) of the API is.
fn problem(response: Response<Body>) -> Failure {
    let status = response.status();
    let value = json(response).unwrap_or_default();
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let exit = match (text("family"), status.as_u16()) {
        ("", 401 | 403) => Exit::Denied,
        ("", 429 | 502..=504) => Exit::Unavailable,
        (family, _) => Exit::of_family(family),
    };
    let code = Some(text("code")).filter(|c| !c.is_empty()).unwrap_or("http");
    let detail = [text("detail"), text("title")].into_iter().find(|t| !t.is_empty());
    let message = detail.map_or_else(|| format!("the node answered {status}"), str::to_owned);
    Failure::new(exit, code, message, text("next"))
}

/// A value as part of a query or path (RFC 3986: unreserved characters stay).
pub(crate) fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let one = |b: u8| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(one).collect()
}

/// A query of what there is among the pairs; begins with `?` unless empty.
pub(crate) fn query(pairs: &[(&str, Option<String>)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs.iter().filter_map(|(n, v)| v.as_ref().map(|v| (n, v))) {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(&format!("{name}={}", quoted(value)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_escapes_its_values_and_leaves_out_what_is_not_there() {
        let pairs = [("a", Some("x y&z".to_owned())), ("b", None), ("c", Some("ü".to_owned()))];
        assert_eq!(query(&pairs), "?a=x%20y%26z&c=%C3%BC", "by RFC 3986");
        assert_eq!(query(&[("a", None)]), "", "nothing");
    }

    #[test]
    fn nobody_at_the_address_is_unavailable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let failure = Client::new(&free.to_string()).get("/status").unwrap_err();
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unavailable, "node-unreachable"), "exit 3");
        assert!(failure.next.contains("hospes run"), "it says what to do");
    }
}
