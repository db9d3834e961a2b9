//! The soft card: an encrypted file that behaves as a smart card, and the folder that is its reader.
//!
//! It has the slots, PIN, PUK, counters, objects and errors of a real card. It cannot have the one thing
//! that makes a card: a copy of the file is a second card with its own counters (`card/README.md`).

mod attempt;
mod card;
mod cost;
mod file;
mod format;
mod key;
mod reader;
mod seal;
mod spec;
mod watch;

pub use card::SoftCard;
pub use cost::PinCost;
pub use key::Profile;
pub use reader::{CARDS_PER_READER_MAX, SoftReader};
pub use spec::SoftCardSpec;

use hospes_protocol::keys::KeyError;

fn damaged(what: &str) -> KeyError {
    KeyError::Failed(format!("the card file is damaged: {what}"))
}
