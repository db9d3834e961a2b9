//! What one node's network side promises another's, over real loopback TCP.
//!
//! Method: each test starts its own nodes on ports that the system chooses and waits for events, never for time;
//! a wait that takes half a minute has failed. Where something must not happen, the test makes a later event
//! prove that it would have been seen. Replay: cargo test -p hospes-net --test net NAME
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod admission;
mod faults;
mod floods;
mod gossip;
mod hostile;
mod objects;
mod proxy;
mod requests;
mod world;
