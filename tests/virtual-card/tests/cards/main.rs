//! Our layer for PIV and OpenPGP cards (`hospes-card`) against the virtual card: in one process, where a card is pulled at every
//! command, and through a real `pcscd`, where readers, daemons and other programs come and go.
//!
//! Method: cards by seed, generators by seed. What depends on `pcscd` noticing something waits for the event itself, with a
//! limit. Without `pcscd` the tests of `daemon` fail and say what installs it; HOSPES_WITHOUT_CARDS=1 leaves them out.
//! Replay: cargo test -p hospes-virtual-card --test cards
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test, which says how much it tried")]

mod attestation;
mod daemon;
mod openpgp;
mod pulled;
mod retired;
mod robust;
mod slots;
mod wire;
