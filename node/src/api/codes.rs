//! Every refusal of the API: its code, the HTTP status and what to do next, in one table.
//!
//! Codes are part of the interface and are never reused. The command line derives its exit code from
//! [`Family`]. Refusals that a decision, a numbered check or the desk gives bring their own code and text;
//! [`status_of_desk`] gives those their status.

use axum::http::StatusCode;

/// What kind of refusal it is; the command line's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Try something else: exit 1.
    Failed,
    /// Try again: exit 3.
    Unavailable,
    /// Not allowed: exit 4.
    Denied,
    /// Signed here, not yet final: exit 5.
    Pending,
    /// Stored data is damaged: exit 6.
    Corrupt,
}

impl Family {
    /// The name in a problem's `family`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Denied => "denied",
            Self::Pending => "pending",
            Self::Corrupt => "corrupt",
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $status:ident, $family:ident, $title:literal, $next:literal;)+) => {
        /// A refusal that the API itself gives.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $(#[doc = $title] $name),+ }

        impl Code {
            /// Every code.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As interfaces show it.
            pub(crate) const fn code(self) -> &'static str {
                match self { $(Self::$name => $code),+ }
            }

            /// The status that carries it.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// Its family.
            pub(crate) const fn family(self) -> Family {
                match self { $(Self::$name => Family::$family),+ }
            }

            /// What happened, as a sentence.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }

            /// What to do.
            pub(crate) const fn next(self) -> &'static str {
                match self { $(Self::$name => $next),+ }
            }
        }
    };
}

codes! {
    BadRequest = "bad-request", BAD_REQUEST, Failed,
        "The request is not of the expected form.", "Compare it with the API document, /api/v1/openapi.json.";
    BadCursor = "bad-cursor", BAD_REQUEST, Failed,
        "The cursor is not one that this list gave.", "Begin the list again without a cursor.";
    BadHost = "bad-host", MISDIRECTED_REQUEST, Denied,
        "The Host header names something else than this node.", "Use the address that the node printed when it started.";
    ForeignOrigin = "foreign-origin", FORBIDDEN, Denied,
        "The request comes from a page of another origin.", "Use the portal of this node.";
    NoSession = "no-session", UNAUTHORIZED, Denied,
        "Nobody is signed in.", "Put a card into a reader and sign in: POST /api/v1/sessions.";
    NotPermitted = "not-permitted", FORBIDDEN, Denied,
        "Whoever is signed in may not do this, or there is nothing of the kind.",
        "`hospes why PERSON RECORD` prints the rule; ask the patient to consent, or sign in with another card.";
    NotFound = "not-found", NOT_FOUND, Failed,
        "There is nothing under this address.", "Check the address; lists show what there is.";
    WrongMethod = "wrong-method", METHOD_NOT_ALLOWED, Failed,
        "The address does not know this method.", "Compare it with the API document, /api/v1/openapi.json.";
    NoSuchTap = "no-such-tap", NOT_FOUND, Failed,
        "No such tap is under way.", "Begin what it was for again.";
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, Failed,
        "The request is larger than allowed.", "Send at most 256 KiB of JSON; a record at most 64 GiB.";
    Stalled = "stalled", REQUEST_TIMEOUT, Unavailable,
        "Nothing came of the request's body for too long.", "Send it again.";
    WrongMediaType = "wrong-media-type", UNSUPPORTED_MEDIA_TYPE, Failed,
        "The body must be application/json.", "Set Content-Type: application/json.";
    RangeNotSatisfiable = "range-not-satisfiable", RANGE_NOT_SATISFIABLE, Failed,
        "The record has no such range.", "Ask for bytes below its size.";
    KeyReused = "idempotency-key-reused", UNPROCESSABLE_ENTITY, Failed,
        "This Idempotency-Key came with another request.", "Use a fresh key for a new request.";
    KeyForm = "idempotency-key-form", BAD_REQUEST, Failed,
        "An Idempotency-Key has 1 to 128 visible characters.", "Use a UUID.";
    KeyInFlight = "idempotency-key-in-flight", CONFLICT, Unavailable,
        "The first request with this Idempotency-Key is still under way.", "Wait, then send it again.";
    TooMany = "too-many-requests", TOO_MANY_REQUESTS, Unavailable,
        "Too many requests are under way.", "Wait, then send it again.";
    StorageFull = "storage-full", INSUFFICIENT_STORAGE, Unavailable,
        "The disk of this node is full: it is read-only.",
        "Free some space on the node's disk. It goes on by itself within a minute; then try again.";
    Stopping = "stopping", SERVICE_UNAVAILABLE, Unavailable,
        "The node is stopping.", "Start it, then try again.";
    Unreadable = "state-unreadable", INTERNAL_SERVER_ERROR, Corrupt,
        "What this needs could not be read on this node.", "Run `hospes doctor` on this node.";
}

/// The status of a refusal that the desk gives, by its code and family.
pub(crate) fn status_of_desk(code: &str, family: Family) -> StatusCode {
    match (code, family) {
        ("no-session" | "session-over", _) => StatusCode::UNAUTHORIZED,
        ("no-tap" | "unknown", _) => StatusCode::NOT_FOUND,
        ("tap-state" | "card-in-use", _) => StatusCode::CONFLICT,
        ("too-many-taps" | "too-many-searches", _) => StatusCode::TOO_MANY_REQUESTS,
        ("storage-full", _) => StatusCode::INSUFFICIENT_STORAGE,
        ("upload-broken", _) => StatusCode::BAD_REQUEST,
        ("too-large", _) => StatusCode::PAYLOAD_TOO_LARGE,
        (_, Family::Failed) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Family::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Family::Denied) => StatusCode::FORBIDDEN,
        (_, Family::Pending) => StatusCode::CONFLICT,
        (_, Family::Corrupt) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_unique_and_says_what_to_do() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|c| c.code()).collect();
        assert_eq!(codes.len(), Code::ALL.len(), "no code stands for two things");
        for code in Code::ALL {
            assert!(!code.next().is_empty(), "{} says what to do", code.code());
            assert!(code.status().is_client_error() || code.status().is_server_error(), "it is a refusal");
            let kebab = code.code().chars().all(|c| c.is_ascii_lowercase() || c == '-');
            assert!(kebab, "{} is lower case with dashes", code.code());
        }
    }

    #[test]
    fn a_denial_of_the_desk_is_forbidden_and_an_absent_card_unavailable() {
        assert_eq!(status_of_desk("consent-missing", Family::Denied), StatusCode::FORBIDDEN, "denied");
        assert_eq!(
            status_of_desk("card-absent", Family::Unavailable),
            StatusCode::SERVICE_UNAVAILABLE,
            "try again with the card"
        );
    }
}
