//! What a command ends with: data or a failure, on a terminal or as one JSON object, and the exit code.
//!
//! The only place that writes to stdout. Exit codes and the envelope are those of `node/README.md`.

use std::process::ExitCode;

use serde_json::{Value, json};

/// Version of the JSON envelope.
const ENVELOPE: u32 = 1;

/// Why a command did not do what it was asked for; the exit code follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Card, node or network is not there: try again.
    Unavailable = 3,
    /// Not allowed.
    Denied = 4,
    /// Signed here, not yet final.
    Pending = 5,
    /// Stored data is damaged.
    Corrupt = 6,
}

impl Exit {
    /// From the `family` of a problem that the API gave.
    pub(crate) fn of_family(family: &str) -> Self {
        match family {
            "unavailable" => Self::Unavailable,
            "denied" => Self::Denied,
            "pending" => Self::Pending,
            "corrupt" => Self::Corrupt,
            _ => Self::Failed,
        }
    }
}

/// A failure as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// The stable code.
    pub(crate) code: String,
    /// What happened.
    pub(crate) message: String,
    /// What to do.
    pub(crate) next: String,
}

impl Failure {
    /// A failure of a family.
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), next: next.into() }
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message, next)
    }

    /// A file could not be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        let next = "Check the path and its permissions.";
        Self::new(Exit::Failed, "file", format!("{}: {error}", path.display()), next)
    }
}

/// What commands return.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// A command's result.
#[derive(Debug)]
pub(crate) struct Done {
    /// For `--json`.
    pub(crate) data: Value,
    /// For people; ends without a newline. Empty for nothing.
    pub(crate) text: String,
    /// 0, or the code of a result that is also a warning (5 pending, 1 for checks that failed).
    pub(crate) exit: Option<Exit>,
}

impl Done {
    /// Data, and the same for people.
    pub(crate) fn new(data: Value, text: impl Into<String>) -> Self {
        Self { data, text: text.into(), exit: None }
    }
}

/// Writes to stdout. A reader that has gone (`| head`) is no failure.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line for people to stderr.
pub(crate) fn note(text: &str) {
    use std::io::Write as _;
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Shows how a command ended, and gives its exit code.
pub(crate) fn conclude(json: bool, outcome: Outcome<Done>) -> ExitCode {
    match outcome {
        Ok(done) => {
            if json {
                print(&json!({"version": ENVELOPE, "ok": true, "data": done.data}).to_string());
            } else if !done.text.is_empty() {
                print(&done.text);
            }
            done.exit.map_or(ExitCode::SUCCESS, |e| ExitCode::from(e as u8))
        }
        Err(failure) => {
            show_failure(json, &failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn show_failure(json: bool, failure: &Failure) {
    if json {
        let error = json!({"code": failure.code, "message": failure.message, "next": failure.next});
        print(&json!({"version": ENVELOPE, "ok": false, "error": error}).to_string());
    } else {
        note(&format!("error: {} ({})", failure.message, failure.code));
        if !failure.next.is_empty() {
            note(&format!("next: {}", failure.next));
        }
    }
}
