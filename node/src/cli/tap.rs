//! A tap, from its beginning to its result: shows the text, asks for the card and the PIN, waits.
//!
//! What is signed is shown before the PIN is asked for. A tap that this process leaves is cancelled, so
//! nothing waits for a PIN that nobody will give.

use std::io::IsTerminal as _;
use std::time::Duration;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::answer::{Exit, Failure, Outcome, note};
use super::client::Client;
use super::interrupt;
use super::pins::Pins;

/// Between two looks at a tap: a person does not notice it, a node neither.
const POLL: Duration = Duration::from_millis(50);
/// Longer than any tap lives; the node ends it before.
const WAIT_MAX: Duration = Duration::from_secs(30 * 60);

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// What a person was told already.
#[derive(Default)]
struct Told {
    text: String,
    waiting: String,
}

/// Follows a tap to its end and gives its result.
///
/// # Errors
/// As the tap ends: failed, expired, cancelled; a wrong PIN from a file.
pub(crate) fn follow(client: &Client, tap: &Value, pins: &Pins) -> Outcome<Value> {
    let id = text(tap, "id").to_owned();
    if id.is_empty() {
        // An act that needed no card.
        return Ok(tap.clone());
    }
    let cancel = client.clone();
    let path = format!("/taps/{id}");
    let guard = interrupt::on_interrupt({
        let path = path.clone();
        // Whatever hinders it, the tap expires by itself.
        move || drop(cancel.delete(&path))
    });
    let followed = watch(client, &path, tap.clone(), pins);
    // One that waits is cancelled, and what came of one that is over is kept no longer; otherwise it goes by itself.
    let _gone = client.delete(&path);
    drop(guard);
    followed
}

fn watch(client: &Client, path: &str, tap: Value, pins: &Pins) -> Outcome<Value> {
    let (mut tap, mut told) = (tap, Told::default());
    let begun = std::time::Instant::now();
    while begun.elapsed() < WAIT_MAX {
        match text(&tap, "state") {
            "done" => return Ok(tap.get("result").cloned().unwrap_or(Value::Null)),
            "failed" | "expired" | "cancelled" => return Err(ended(&tap)),
            "waiting-pin" => {
                show(&tap, &mut told);
                tap = give_pin(client, path, &tap, pins)?;
                continue;
            }
            "waiting-card" => {
                show(&tap, &mut told);
                ask_for_card(&tap, &mut told);
            }
            _ => {}
        }
        std::thread::sleep(POLL);
        tap = client.get(path)?;
    }
    Err(Failure::new(Exit::Unavailable, "tap-expired", "the tap came to no end", "Begin it again."))
}

fn show(tap: &Value, told: &mut Told) {
    let signed = text(tap, "text");
    if !signed.is_empty() && signed != told.text && std::io::stderr().is_terminal() {
        note(&format!("\n{}\n", printable(signed)));
        signed.clone_into(&mut told.text);
    }
}

/// Without control characters, by which a text could write something else on the screen than what is signed.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn ask_for_card(tap: &Value, told: &mut Told) {
    let holder = tap.get("card").map(|c| text(c, "holder")).filter(|h| !h.is_empty());
    let line = format!("Put the card of {} into the reader.", holder.unwrap_or("the person concerned"));
    if line != told.waiting && std::io::stderr().is_terminal() {
        note(&printable(&line));
        told.waiting = line;
    }
}

/// The names by which the PIN of the tap's card may be listed.
fn names(client: &Client, tap: &Value) -> Vec<String> {
    let card = tap.get("card").unwrap_or(&Value::Null);
    let mut names: Vec<String> =
        ["holder", "serial"].iter().map(|k| text(card, k).to_owned()).filter(|n| !n.is_empty()).collect();
    let all = client.list("/cards").unwrap_or_default();
    let same =
        |c: &&Value| text(c, "holder") == text(card, "holder") && text(c, "reader") == text(card, "reader");
    names.extend(all.iter().filter(same).map(|c| text(c, "serial").to_owned()));
    names
}

fn give_pin(client: &Client, path: &str, tap: &Value, pins: &Pins) -> Outcome<Value> {
    if tap.get("keypad").and_then(Value::as_bool) == Some(true) && pins.can_ask_again() {
        note("Type the PIN on the reader's keypad.");
        return judged(client, path, pins, &json!({"keypad": true}));
    }
    let names = names(client, tap);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pin = match pins.of(&names) {
        Err(failure) if failure.code == "pin-form" && pins.can_ask_again() => {
            note(&format!("{}.", failure.message));
            return Ok(tap.clone());
        }
        pin => pin?,
    };
    let mut body = json!({"pin": pin.as_str()});
    let after = judged(client, path, pins, &body);
    wipe(&mut body);
    after
}

/// Posts a PIN, or that it is typed on the keypad; the tap after the card's verdict.
fn judged(client: &Client, path: &str, pins: &Pins, body: &Value) -> Outcome<Value> {
    let after = match client.post(&format!("{path}/pin"), body) {
        Err(failure) if failure.code == "wrong-pin" => client.get(path)?,
        posted => posted?,
    };
    let error = after.get("error").filter(|e| !e.is_null());
    let wrong =
        text(&after, "state") == "waiting-pin" && error.is_some_and(|e| text(e, "code") == "wrong-pin");
    if wrong { refused(after, pins) } else { Ok(after) }
}

fn wipe(body: &mut Value) {
    if let Some(Value::String(pin)) = body.get_mut("pin") {
        drop(Zeroizing::new(std::mem::take(pin)));
    }
}

fn refused(tap: Value, pins: &Pins) -> Outcome<Value> {
    let left = tap.get("tries_left").and_then(Value::as_u64);
    let left = left.map_or_else(String::new, |n| format!("; {n} tries are left"));
    if pins.can_ask_again() {
        note(&format!("That PIN is wrong{left}."));
        return Ok(tap);
    }
    let next = "Correct the file before the card blocks, then run the command again.";
    Err(Failure::new(Exit::Denied, "wrong-pin", format!("the PIN is wrong{left}"), next))
}

fn ended(tap: &Value) -> Failure {
    let error = tap.get("error").unwrap_or(&Value::Null);
    let or =
        |given: &str, otherwise: &str| if given.is_empty() { otherwise.to_owned() } else { given.to_owned() };
    let (exit, code, message) = match text(tap, "state") {
        "expired" => (Exit::Unavailable, "tap-expired", "nobody answered in time; nothing was done"),
        "cancelled" => (Exit::Failed, "tap-cancelled", "it was cancelled; nothing was done"),
        _ => (Exit::Failed, "tap-failed", "the tap failed; nothing was done"),
    };
    let exit = match (text(error, "family"), text(error, "code")) {
        ("", "wrong-pin" | "pin-blocked" | "consent-missing" | "not-permitted") => Exit::Denied,
        ("", "card-absent" | "card-removed" | "card-gone") => Exit::Unavailable,
        ("", _) => exit,
        (family, _) => Exit::of_family(family),
    };
    let message = or(text(error, "message"), message);
    Failure::new(exit, &or(text(error, "code"), code), message, or(text(error, "next"), "Begin it again."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tap_that_ended_says_why_and_what_to_do() {
        let tap =
            json!({"state": "failed", "error": {"code": "pin-blocked", "message": "blocked", "next": "PUK"}});
        let failure = ended(&tap);
        assert_eq!((failure.exit, failure.next.as_str()), (Exit::Denied, "PUK"), "the node's words");
        let failure = ended(&json!({"state": "expired"}));
        assert_eq!((failure.exit, failure.code.as_str()), (Exit::Unavailable, "tap-expired"), "try again");
    }

    #[test]
    fn a_text_cannot_move_the_cursor() {
        assert_eq!(printable("yes\u{1b}[2K\nno"), "yes\u{fffd}[2K\nno", "escapes are shown, lines stay");
    }
}
