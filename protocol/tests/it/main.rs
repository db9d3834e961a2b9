//! Tests of the protocol from outside: golden vectors of every type.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod samples;
mod vectors;
