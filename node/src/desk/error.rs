//! Why the desk did not do something: a code, a sentence, what to do next, and the command line's exit code.
//!
//! Codes are part of the interface. The API turns these into problem details.

use hospes_card::PinForm;
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::ids::ObjectId;
use hospes_protocol::keys::KeyError;
use hospes_protocol::policy::Why;
use hospes_protocol::seal::blob::SealError;
use hospes_protocol::seal::envelope::OpenError;
use hospes_service::filing::FileError;
use hospes_service::service::Fatal;
use hospes_storage::StoreError;

use crate::runtime::actor::Stopped;

/// Why an act was not done. Nothing of it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeskError {
    /// The card said no.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// What was typed cannot be a PIN.
    #[error(transparent)]
    PinForm(#[from] PinForm),
    /// What was made or met is unlawful.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The decision denies it.
    #[error("{}", .0.rule.text())]
    Denied(Why),
    /// The session may not do this.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The tap doesn't exist, or ended some time ago.
    #[error("no such tap")]
    NoTap,
    /// The tap is not waiting for what was given.
    #[error("the tap is not waiting for this")]
    TapState,
    /// Nobody came in time.
    #[error("nobody tapped in time")]
    TapExpired,
    /// Somebody cancelled.
    #[error("the tap was cancelled")]
    TapCancelled,
    /// Too many taps wait.
    #[error("too many taps are waiting")]
    TooManyTaps,
    /// The person has searched as often as may be in an hour.
    #[error("this person has made as many searches as an hour may have; the next may be made {}", in_words(*next))]
    TooOften {
        /// When the next may be made, in milliseconds since 1970 UTC.
        next: u64,
    },
    /// The card that the session stands on has left.
    #[error("the session has ended because its card was removed")]
    SessionOver,
    /// This card is enrolled nowhere that is known here.
    #[error("this card is not enrolled, as far as this node knows")]
    UnknownCard,
    /// The card was withdrawn.
    #[error("this card was suspended")]
    CardSuspended,
    /// The card is in use already.
    #[error("this card belongs to somebody already")]
    CardInUse,
    /// Something that was named is not known here.
    #[error("{0} is not known here")]
    Unknown(&'static str),
    /// Somebody else must sign too, and that card is not in a reader.
    #[error("{0}")]
    SignerAbsent(&'static str),
    /// What this needs is not here, though it may come.
    #[error("{0}")]
    NotHere(&'static str),
    /// A part of a record's file is damaged here, and nobody in reach has another copy.
    #[error("object {0} of this record's file is damaged on this node, and no other holder is in reach")]
    Damaged(ObjectId),
    /// The consent lets the record leave for its study without names only.
    #[error("the patient's consent lets this record leave without names only, and it would leave as it is")]
    MustNotLeaveAsIs,
    /// A value makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// The upload broke off or is too large.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// The upload broke off.
    #[error("the upload broke off")]
    UploadBroken,
    /// The node's clock is behind.
    #[error("this node's clock is {behind_ms} ms behind the ledger")]
    Clock {
        /// By how much.
        behind_ms: u64,
    },
    /// The node's disk is older than what it signed.
    #[error("this node's disk was put back from a copy, and its key signed more since")]
    Outdated,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service stops or has stopped.
    #[error("the node is stopping")]
    Stopping,
    /// No random numbers.
    #[error("the system gives no random numbers")]
    Random,
}

impl DeskError {
    /// The code that interfaces show, in kebab case.
    pub(crate) fn code(&self) -> String {
        match self {
            Self::Key(e) => key_code(e).into(),
            Self::PinForm(_) => "pin-form".into(),
            Self::Rejected(r) => format!("rejected-{}", r.check.code()),
            Self::Denied(why) => why.rule.code().into(),
            Self::NotAllowed(_) => "not-allowed".into(),
            Self::NoTap => "no-tap".into(),
            Self::TapState => "tap-state".into(),
            Self::TapExpired => "tap-expired".into(),
            Self::TapCancelled => "tap-cancelled".into(),
            Self::TooManyTaps => "too-many-taps".into(),
            Self::TooOften { .. } => "too-many-searches".into(),
            Self::SessionOver => "session-over".into(),
            Self::UnknownCard => "unknown-card".into(),
            Self::CardSuspended => "card-suspended".into(),
            Self::CardInUse => "card-in-use".into(),
            Self::Unknown(_) => "unknown".into(),
            Self::SignerAbsent(_) => "signer-absent".into(),
            Self::NotHere(_) => "not-here".into(),
            Self::Damaged(_) => format!("rejected-{}", Check::ObjectHash.code()),
            Self::MustNotLeaveAsIs => "must-not-leave-as-is".into(),
            Self::Invalid(_) => "invalid".into(),
            Self::Seal(_) => "too-large".into(),
            Self::UploadBroken => "upload-broken".into(),
            Self::Clock { .. } => "clock-behind".into(),
            Self::Outdated => "node-outdated".into(),
            Self::Store(e) if is_corrupt(e) => "store-corrupt".into(),
            Self::Store(StoreError::Full) => "storage-full".into(),
            Self::Store(_) => "store-failed".into(),
            Self::Stopping => "stopping".into(),
            Self::Random => "no-randomness".into(),
        }
    }

    /// What happened, in a sentence.
    pub(crate) fn message(&self) -> String {
        self.to_string()
    }

    /// What to do next.
    pub(crate) fn next(&self) -> String {
        match self {
            Self::Denied(why) => why.rule.next(),
            Self::Key(e) => key_next(e),
            Self::PinForm(_) => "Type the PIN as it was set.",
            Self::Rejected(r) if r.check == Check::NodeExpired => "Renew it: hospes node renew NODE.",
            Self::Rejected(_) => "The number stands in protocol/README.md with its reason.",
            Self::NotAllowed(_) => "Sign in with a card that may.",
            Self::NoTap | Self::TapState | Self::TapExpired | Self::TapCancelled => "Begin the act again.",
            Self::TooOften { .. } => "Wait until then, or put the patient's card into a reader.",
            Self::TooManyTaps => "Finish or cancel the taps that wait.",
            Self::SessionOver => "Insert the card and sign in.",
            Self::UnknownCard => "Enrol it, or wait until this node has synchronised.",
            Self::CardSuspended => "Go to a desk for a new card.",
            Self::CardInUse => "Use a new card.",
            Self::Unknown(_) => "Check the name or id, or wait until this node has synchronised.",
            Self::SignerAbsent(_) => "Put that card into a reader of this node and try again.",
            Self::NotHere(_) => "Try again once this node has synchronised.",
            Self::Damaged(_) => {
                "Try again once another holder is in reach; `hospes status` names the damage."
            }
            Self::MustNotLeaveAsIs => {
                "Ask the patient whether it may leave as it is, or leave it out of the study."
            }
            Self::Invalid(_) => "Correct it and try again.",
            Self::Seal(_) => "Split the file: a record has at most 64 GiB.",
            Self::UploadBroken => "Send the file again.",
            Self::Clock { .. } => "Set the clock, then try again.",
            Self::Outdated => "Stop the node and give it a new key: hospes init --new-key.",
            Self::Store(e) if is_corrupt(e) => "Run `hospes doctor` on this node.",
            Self::Store(StoreError::Full) => {
                "Free some space on the node's disk. It goes on by itself within a minute; then try again."
            }
            Self::Store(_) => "Check the disk, then try again.",
            Self::Stopping | Self::Random => "Start the node again.",
        }
        .to_owned()
    }

    /// The command line's exit code: failed 1, unavailable 3, denied 4, corrupt 6.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Key(KeyError::WrongPin { .. } | KeyError::PinBlocked | KeyError::PukBlocked)
            | Self::Denied(_)
            | Self::NotAllowed(_)
            | Self::MustNotLeaveAsIs
            | Self::SessionOver
            | Self::UnknownCard
            | Self::CardSuspended => 4,
            Self::Key(KeyError::Absent | KeyError::Removed | KeyError::Busy(_))
            | Self::NotHere(_)
            | Self::SignerAbsent(_)
            | Self::TooManyTaps
            | Self::TooOften { .. }
            | Self::TapExpired
            | Self::Clock { .. }
            | Self::Stopping
            | Self::Random => 3,
            Self::Damaged(_) => 6,
            Self::Store(e) => {
                if is_corrupt(e) {
                    6
                } else {
                    3
                }
            }
            _ => 1,
        }
    }
}

fn in_words(at_ms: u64) -> String {
    super::text::minute(at_ms)
}

fn key_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Absent => "card-absent",
        KeyError::Removed => "card-removed",
        KeyError::PinNeeded => "pin-needed",
        KeyError::WrongPin { .. } => "wrong-pin",
        KeyError::PinBlocked => "pin-blocked",
        KeyError::PukBlocked => "puk-blocked",
        KeyError::Busy(_) => "card-busy",
        KeyError::Unsupported(_) => "card-unsupported",
        KeyError::Failed(_) => "card-failed",
    }
}

fn key_next(error: &KeyError) -> &'static str {
    match error {
        KeyError::Absent | KeyError::Removed => "Insert the card and begin again.",
        KeyError::PinNeeded | KeyError::WrongPin { .. } => "Enter the PIN.",
        KeyError::PinBlocked => "Unblock the PIN with the PUK on the letter.",
        KeyError::PukBlocked | KeyError::Failed(_) => "Replace the card at a desk.",
        KeyError::Busy(_) => "Close the other program, or wait until it is done, and try again.",
        KeyError::Unsupported(_) => "Use another card.",
    }
}

fn is_corrupt(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt(_))
}

impl From<OpenError> for DeskError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Key(e) => Self::Key(e),
            OpenError::Rejected(e) => Self::Rejected(e),
        }
    }
}

impl From<Fatal> for DeskError {
    fn from(error: Fatal) -> Self {
        match error {
            Fatal::Store(e) => Self::Store(e),
            Fatal::Engine(_) => Self::Stopping,
            Fatal::Contradiction(r) => Self::Rejected(r),
        }
    }
}

impl From<FileError> for DeskError {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Rejected(r) => Self::Rejected(r),
            FileError::Clock { behind_ms } => Self::Clock { behind_ms },
            FileError::DiskFull => Self::Store(StoreError::Full),
            FileError::Outdated => Self::Outdated,
            FileError::Fatal(e) => e.into(),
        }
    }
}

impl From<Stopped> for DeskError {
    fn from(_: Stopped) -> Self {
        Self::Stopping
    }
}

impl From<hospes_protocol::check::Check> for DeskError {
    fn from(check: hospes_protocol::check::Check) -> Self {
        Self::Rejected(check.into())
    }
}

impl From<hospes_protocol::policy::Unreadable> for DeskError {
    fn from(_: hospes_protocol::policy::Unreadable) -> Self {
        Self::NotHere("what this needs could not be read on this node")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hospes_protocol::policy::Rule;

    #[test]
    fn each_refusal_says_what_happened_and_what_to_do() {
        let wrong = DeskError::from(KeyError::WrongPin { tries_left: 2 });
        assert_eq!((wrong.code().as_str(), wrong.exit()), ("wrong-pin", 4), "a wrong PIN is a denial");
        assert!(wrong.message().contains('2'), "it says how many tries are left");
        let denied = DeskError::Denied(Why::of(Rule::ConsentExpired, []));
        assert_eq!(
            (denied.code().as_str(), denied.exit()),
            ("consent-expired", 4),
            "a decision keeps its code"
        );
        let absent = DeskError::from(KeyError::Absent);
        assert_eq!(
            (absent.code().as_str(), absent.exit()),
            ("card-absent", 3),
            "an absent card is waited for"
        );
        assert!(!absent.next().is_empty(), "and what to do is said");
        let full = DeskError::from(FileError::DiskFull);
        assert_eq!((full.code().as_str(), full.exit()), ("storage-full", 3), "space is waited for too");
    }
}
