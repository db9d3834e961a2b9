//! A virtual card, PIV with the Yubico extensions or OpenPGP, and the reader that `pcscd` loads it into. For tests only.
//!
//! The card (`card`, `piv`, `openpgp`) is bytes in, bytes out, without IO, clock or randomness: what it draws comes from its seed.
//! The reader (`slot`, `ifd`) is an IFD handler; `pcscd` starts a private daemon around it. Nothing here is in a release,
//! and nothing keeps a secret: keys lie in a JSON file. Called by tests and by `tests/cards/run`.

pub mod apdu;
mod attached;
mod attest;
mod card;
mod der;
#[allow(unsafe_code, reason = "the C interface of an IFD handler")]
mod ifd;
mod keys;
mod openpgp;
pub mod pcscd;
mod piv;
mod slot;
mod state;
pub mod tlv;

pub use attest::test_root_certificate;
pub use card::{ATR, Answer, Faults, Pull, VirtualCard};
pub use keys::{KeyAlgorithm, ManagementAlgorithm};
pub use openpgp::Curves;
pub use slot::{Pad, ask};
pub use state::{Firmware, State, StateError};
