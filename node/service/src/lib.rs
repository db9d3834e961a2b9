//! What a node decides: consensus, sync, placement and policy. No sockets, files, clocks or threads:
//! time and randomness are arguments, stores are behind traits, and effects leave through an outbox.
//!
//! [`service::Service`] is the one type that the runtime, and the simulator, drive.

pub mod away;
mod branches;
mod chain;
pub mod committees;
pub mod consensus;
pub mod effects;
pub mod emergency;
mod engine;
pub mod filing;
mod follow;
pub mod holding;
pub mod messages;
mod open;
mod outdated;
mod pages;
pub mod pool;
mod recall;
pub mod records;
mod room;
pub mod service;
