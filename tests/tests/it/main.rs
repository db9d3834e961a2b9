//! The tests over the whole workspace, one binary: what the sources may say, what the requirements are met by, whether
//! the leak scanner sees, and whether messages made by a COSE library of another language verify.
//!
//! Deliberately starts no node; `hospes demo` does. Run with `cargo test -p hospes-tests`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod interop;
mod scan;
mod tidy;
mod trace;
mod tree;
