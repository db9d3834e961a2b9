//! A tap from the user's side: a PIN is given when the node asks for it, until the tap has ended.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::failed::Failed;
use super::http::{Client, Problem, Refused};

/// A tap that takes longer has hung.
const TAP_MAX: Duration = Duration::from_secs(60);
/// How often a tap is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Follows the tap that `begun` describes and gives its result.
///
/// # Errors
/// [`Refused::Problem`] with the tap's own code if it ended otherwise than done.
pub(crate) fn follow(client: &Client, begun: Value, pin: &str) -> Result<Value, Refused> {
    let mut tap = begun;
    let started = Instant::now();
    let id = text(&tap, "id").to_owned();
    while started.elapsed() < TAP_MAX {
        match text(&tap, "state") {
            "done" => return Ok(tap.get("result").cloned().unwrap_or_default()),
            "failed" | "expired" | "cancelled" => return Err(ended(&tap)),
            "waiting-pin" => {
                tap = client.post(&format!("/taps/{id}/pin"), &json!({ "pin": pin }))?;
                continue;
            }
            _ => std::thread::sleep(LOOK_EVERY),
        }
        tap = client.get(&format!("/taps/{id}"))?;
    }
    Err(Refused::Unreachable(format!("the tap stayed in {}", text(&tap, "state"))))
}

fn ended(tap: &Value) -> Refused {
    let error = tap.get("error").cloned().unwrap_or_default();
    let detail = format!("{} {}", text(&error, "message"), text(&error, "next")).trim().to_owned();
    let code = match text(&error, "code") {
        "" => text(tap, "state").to_owned(),
        code => code.to_owned(),
    };
    // The tap's request was accepted; what it was for was not.
    Refused::Problem(Problem { status: 422, code, detail })
}

/// A text field, or nothing.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A text field that must be there.
///
/// # Errors
/// [`Failed::Wrong`] naming the field.
pub(crate) fn needed(value: &Value, key: &str) -> Result<String, Failed> {
    match text(value, key) {
        "" => Err(Failed::Wrong(format!("the answer has no {key}"))),
        found => Ok(found.to_owned()),
    }
}

/// The entries of a list, whether the answer is a list or a page of one.
pub(crate) fn list(value: &Value) -> Vec<Value> {
    let inside = || ["items", "data", "entries"].iter().find_map(|key| value.get(key)?.as_array());
    value.as_array().or_else(inside).cloned().unwrap_or_default()
}

/// Looks with `look` until it gives something, and says how long that took.
///
/// # Errors
/// [`Failed::Wrong`] naming `what`, after `at_most`.
pub(crate) fn until<T>(
    at_most: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<Option<T>, Failed>,
) -> Result<(T, Duration), Failed> {
    let started = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok((found, started.elapsed()));
        }
        if started.elapsed() > at_most {
            return Err(Failed::Wrong(format!("{what}: not within {} s", at_most.as_secs())));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
