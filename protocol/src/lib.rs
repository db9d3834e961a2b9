//! The wire format of Hospes and every rule that judges it, without IO.
//!
//! Nothing here opens a file or a socket, reads a clock or draws a random number: bytes, times and
//! generators are arguments. Every other crate calls this one; it calls none of them.
//! `protocol/README.md` draws each format byte by byte.

pub mod accumulator;
pub mod block;
pub mod check;
pub mod context;
pub mod control;
mod ed25519;
pub mod emergency;
pub mod entry;
pub mod failpoints;
pub mod genesis;
pub mod ids;
pub mod keys;
pub mod limits;
mod memo;
pub mod mutants;
pub mod patient;
pub mod personal;
pub mod policy;
pub mod recovery;
pub mod seal;
pub mod search;
mod secret;
pub mod sign1;
pub mod state;
pub mod tally;
pub mod tap;
pub mod wire;
