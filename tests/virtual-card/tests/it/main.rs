//! The virtual card from outside, as a program at the other end of the cable meets it.
//!
//! Method: commands as bytes, answers as bytes; keys checked by libraries that the card doesn't use for that. All seeds
//! are written down, so every run is the same.
#![allow(clippy::unwrap_used, reason = "a test")]

mod application;
mod hostile;
mod openpgp;
mod session;
