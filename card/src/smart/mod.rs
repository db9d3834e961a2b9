//! Smart cards behind a [`Transport`], of either family: one application selected, one PIN session.
//!
//! `applet` is the card and its session, shared by all handles; `card` one of these, with the behaviour that `Card` promises;
//! `piv` and `openpgp` say how each act goes over the wire; `pcsc` brings the bytes. What is here starts no thread and keeps
//! no PIN: one goes to the card in the call that brings it.

pub(crate) mod apdu;
mod applet;
mod card;
mod family;
pub(crate) mod tlv;

use hospes_protocol::keys::KeyError;
use zeroize::Zeroizing;

pub use applet::Applet;
pub use card::SmartCard;
pub(crate) use family::Family;
pub use family::SmartCardSpec;

/// Brings commands to one card and answers back.
pub trait Transport: Send {
    /// Keeps other programs from the card until [`Transport::end`]. What they had selected may still be.
    ///
    /// # Errors
    /// [`LinkError`].
    fn begin(&mut self) -> Result<(), LinkError>;

    /// Lets others at the card; `reset` makes it forget a PIN first. Never fails: a card that is gone has forgotten.
    fn end(&mut self, reset: bool);

    /// One command, one answer of at least two bytes. Only between begin and end.
    ///
    /// # Errors
    /// [`LinkError`]; [`LinkError::Removed`] for a shorter answer.
    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError>;

    /// Whether the reader has a keypad. Only between begin and end.
    ///
    /// # Errors
    /// [`LinkError`].
    fn has_pad(&mut self) -> Result<bool, LinkError> {
        Ok(false)
    }

    /// Has the reader send this command with the PIN that somebody types on its keypad in the place of the filling; the
    /// card's answer, or the reader's own 6400 (nobody typed) or 6401 (cancelled). Only where there is a keypad.
    ///
    /// # Errors
    /// [`LinkError`].
    fn transmit_by_pad(&mut self, _command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        Err(LinkError::Failed("the reader has no keypad".to_owned()))
    }
}

/// Why a command did not reach the card, or its answer not us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// There is no card.
    #[error("no card is in the reader")]
    Absent,
    /// It was pulled since the transaction began.
    #[error("the card was removed")]
    Removed,
    /// Another program holds it; what can be done.
    #[error("another program holds the card; {0}")]
    Busy(&'static str),
    /// Reader or service failed.
    #[error("{0}")]
    Failed(String),
}

impl From<LinkError> for KeyError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Absent => Self::Absent,
            LinkError::Removed => Self::Removed,
            LinkError::Busy(next) => Self::Busy(next),
            LinkError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}
