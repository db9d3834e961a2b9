//! The command line as a user meets it: the built program, its exit codes and what it says.
//!
//! Method: every test runs the binary in a folder of its own. Where a node is needed it runs as a process on
//! loopback with port 0. Replay: `cargo test -p hospes --test cli NAME`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cards;
mod committees;
mod cut_off;
mod daemon;
mod emergencies;
mod floods;
mod full;
mod heal;
mod members;
mod memory;
mod offline;
mod program;
mod recoveries;
mod restored;
mod searches;
mod siblings;
mod verify;
