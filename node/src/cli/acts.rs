//! Acts of whoever's card is in a reader: sign in, do it, wait until it is final, sign out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Global;
use super::answer::{Done, Exit, Failure, Outcome};
use super::cards::pick;
use super::client::Client;
use super::interrupt;
use super::pins::{PinArgs, Pins};
use super::show::{fields, text};
use super::tap::follow;

/// Between two looks at what is not final yet.
const POLL: Duration = Duration::from_millis(50);

/// Options of every command that needs a card.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CardArgs {
    /// Whose card signs in: serial, the beginning of one, or holder. Needed where several are in the readers.
    #[arg(long, value_name = "CARD")]
    pub(crate) card: Option<String>,
    #[command(flatten)]
    pub(crate) pins: PinArgs,
    /// Seconds to wait until what was signed is final; then the exit code is 5.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) wait: u64,
}

/// Someone who is signed in. Dropped, they are signed out.
pub(crate) struct Seat {
    client: Client,
    pins: Pins,
    wait: Duration,
    _on_interrupt: interrupt::Guard,
}

impl Drop for Seat {
    fn drop(&mut self) {
        // A session whose node is gone is gone too.
        let _gone = self.client.delete("/sessions/current");
    }
}

impl Seat {
    /// Signs in with a card.
    ///
    /// # Errors
    /// No such card, a wrong PIN, no node.
    pub(crate) fn take(global: &Global, args: &CardArgs) -> Outcome<Self> {
        let client = global.client()?;
        let pins = args.pins.open()?;
        let cards = client.list("/cards")?;
        let card = pick(&cards, args.card.as_deref())?;
        let tap = client.post("/sessions", &json!({"card": text(card, "serial")}))?;
        let mut result = follow(&client, &tap, &pins)?;
        let Some(Value::String(token)) = result.get_mut("token").map(Value::take) else {
            let next = "Use the `hospes` of the node's own version.";
            return Err(Failure::new(Exit::Failed, "answer", "the node gave no session", next));
        };
        let client = client.signed_in(&zeroize::Zeroizing::new(token));
        let leave = client.clone();
        let guard = interrupt::on_interrupt(move || drop(leave.delete("/sessions/current")));
        Ok(Self { client, pins, wait: Duration::from_secs(args.wait), _on_interrupt: guard })
    }

    /// The node, as whoever is signed in.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The serial of the one card in the readers that `name` stands for.
    ///
    /// # Errors
    /// None, or several.
    pub(crate) fn serial(&self, name: &str) -> Outcome<String> {
        let cards = self.client.list("/cards")?;
        Ok(text(pick(&cards, Some(name))?, "serial").to_owned())
    }

    /// Follows a tap that was begun, and waits until what it signed is final.
    ///
    /// # Errors
    /// As the tap ends.
    pub(crate) fn finish(&self, tap: &Value) -> Outcome<Done> {
        let mut data = follow(&self.client, tap, &self.pins)?;
        let settled = self.settled()?;
        let state = if settled { "final" } else { "signed" };
        if let Value::Object(fields) = &mut data {
            fields.insert("finality".into(), json!({"state": state}));
        }
        let mut text = fields(&data);
        if !settled {
            text.push_str(
                "\nSigned here and not yet final: too few validators answer. It becomes final by itself.",
            );
        }
        Ok(Done { data, text, exit: (!settled).then_some(Exit::Pending) })
    }

    /// Posts an act and follows its tap.
    ///
    /// # Errors
    /// As the node refuses, or the tap ends.
    pub(crate) fn act(&self, path: &str, body: &Value) -> Outcome<Done> {
        self.finish(&self.client.post(path, body)?)
    }

    /// Whether nothing of this node is waiting for a block any more.
    fn settled(&self) -> Outcome<bool> {
        let begun = Instant::now();
        loop {
            let status = self.client.get("/status")?;
            let pending = status.get("finality").and_then(|f| f.get("pending_own")).and_then(Value::as_u64);
            if pending.unwrap_or(0) == 0 {
                return Ok(true);
            }
            if begun.elapsed() >= self.wait {
                return Ok(false);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A list that whoever is signed in may see.
///
/// # Errors
/// As the node refuses.
pub(crate) fn list(
    global: &Global,
    args: &CardArgs,
    path: &str,
    name: &str,
    columns: &[(&str, &str)],
) -> Outcome<Done> {
    let rows = Seat::take(global, args)?.client().list(path)?;
    let text =
        if rows.is_empty() { format!("There are no {name}.") } else { super::show::table(columns, &rows) };
    Ok(Done::new(json!({name: rows}), text))
}

/// A time: RFC 3339, a date, or a span from now such as `90d`, `12h`, `30m`.
///
/// # Errors
/// Anything else.
pub(crate) fn time(text: &str) -> Result<String, String> {
    let wrong =
        || "use a time such as 2027-01-31T12:00:00Z, a date, or a span such as 90d, 12h or 30m".to_owned();
    let span = |unit: char, ms: u64| {
        let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
        super::found::now_ms().checked_add(n.checked_mul(ms)?)
    };
    let later =
        [('d', 86_400_000), ('h', 3_600_000), ('m', 60_000)].into_iter().find_map(|(u, ms)| span(u, ms));
    if let Some(ms) = later {
        return Some(super::show::time(ms)).filter(|t| !t.is_empty()).ok_or_else(wrong);
    }
    let full = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    full.parse::<jiff::Timestamp>().map(|t| t.to_string()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_points_dates_or_spans() {
        assert_eq!(time("2027-01-31T12:00:00+01:00").unwrap(), "2027-01-31T11:00:00Z", "in UTC");
        assert_eq!(time("2027-01-31").unwrap(), "2027-01-31T00:00:00Z", "a date begins at midnight UTC");
        assert!(time("90d").unwrap() > time("2026-01-01").unwrap(), "from now on");
        for bad in ["", "soon", "90", "-1d", "99999999999999999999d", "18446744073709551615d"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
