//! Why a step did not hold.

use thiserror::Error;

/// Why a step did not hold, or the demo did not begin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum Failed {
    /// Something else happened than what was claimed.
    #[error("{0}")]
    Wrong(String),
    /// The program has no such command or address.
    #[error("not built: {0}")]
    NotBuilt(String),
    /// A step that this one stands on has failed.
    #[error("not reached: {0}")]
    NotReached(String),
    /// The demo was asked for something that it cannot do.
    #[error("{0}")]
    Usage(String),
}

impl Failed {
    /// From anything that says what happened.
    pub(crate) fn wrong(what: impl std::fmt::Display) -> Self {
        Self::Wrong(what.to_string())
    }

    /// The same, with what was being done before it.
    pub(crate) fn doing(self, what: &str) -> Self {
        match self {
            Self::Wrong(text) => Self::Wrong(format!("{what}: {text}")),
            Self::NotBuilt(text) => Self::NotBuilt(format!("{what}: {text}")),
            other => other,
        }
    }
}

/// What a step showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What was seen.
    pub(crate) evidence: String,
    /// What the deadline is about, if that is only a part of the step.
    pub(crate) took: Option<std::time::Duration>,
}

impl Shown {
    /// A step whose deadline is about all of it.
    pub(crate) fn that(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), took: None }
    }

    /// A step whose deadline is about `took`.
    pub(crate) fn within(took: std::time::Duration, evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), took: Some(took) }
    }
}

/// What a step gives.
pub(crate) type Outcome = Result<Shown, Failed>;

/// Refuses with `what` unless `held`.
pub(crate) fn expect(held: bool, what: impl FnOnce() -> String) -> Result<(), Failed> {
    if held { Ok(()) } else { Err(Failed::Wrong(what())) }
}
