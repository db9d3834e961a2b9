//! The API's contract, role by role, against a real node: its own validator, real stores, soft cards in a
//! folder, no socket between test and router.
//!
//! Each refusal stands beside the same request succeeding for whoever may.

mod contract;
mod hostile;
mod nodes;
mod people;
mod roles;
mod streams;
mod world;
