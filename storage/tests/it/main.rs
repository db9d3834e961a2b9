//! What storage promises, tested from outside the crate: one binary, a module for each promise.
//!
//! Everything is deterministic; where a seed or a place in a file matters, a failing assertion prints it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on stops there")]

mod blobs;
mod crash;
mod damage;
mod erasing;
mod folder;
mod full;
mod holding;
mod ledger;
mod secrecy;
mod world;
