//! Nodes are killed and fail while people work, and nothing that was answered is lost.
//!
//! Method: four real processes on loopback, a validator and a desk each, under load by their APIs. Whoever files keeps
//! what the API answered; afterwards every promise is looked up by its id, every node's ledger is exported,
//! verified and compared. What is chosen comes from a seed; when it strikes is up to the machine.
//!
//! ```text
//! cargo test -p hospes --test crash -- --nocapture                            twelve rounds
//! HOSPES_CRASH_ROUNDS=200 HOSPES_CRASH_SEED=7 cargo test -p hospes --test crash killed -- --nocapture
//! ```
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "the table of what was survived is what is asked for")]

mod api;
mod dice;
#[cfg(feature = "failpoints")]
mod failing;
mod federation;
mod killed;
mod ledgers;
mod people;
mod promises;
mod table;
mod work;
