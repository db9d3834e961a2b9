//! Cards: what signs, agrees keys and keeps small objects behind a PIN.
//!
//! [`Card`] and [`Reader`] are the interface; [`soft`] implements them on a file in a folder, [`smart`] on PIV and OpenPGP
//! cards, which [`pcsc`] reaches through `pcscd`. No thread,
//! timer or random source starts here: the node gives each reader a thread, decides when to poll and passes
//! its generator. `card/README.md` has the format, the object table and what a soft card cannot give.

mod card;
mod info;
mod object;
mod openpgp;
pub mod pcsc;
mod pin;
pub mod piv;
mod recovery;
mod slot;
pub mod smart;
pub mod soft;

pub use card::{Card, CardEvent, PadError, Reader, SlotAgreement, SlotSigner, UnblockError};
pub use info::{CardInfo, CardKind, CardSerial, HolderKind, HolderLabel, SerialForm};
pub use object::{OBJECT_BYTES_MAX, Object};
pub use pin::{Pin, PinForm, Puk, TRIES_MAX};
pub use recovery::{RecoveryCode, RecoveryCodeForm};
pub use slot::Slot;
