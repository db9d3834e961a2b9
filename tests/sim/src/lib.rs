//! The simulator: a whole federation in one thread, from one seed, with the real protocol, storage and
//! service code over memory and virtual time.
//!
//! It does no networking and reads no clock. `hospes-sim` and the tests of this package call it; the package's
//! README says what it simulates, and what it doesn't.

mod acts;
mod book;
mod byzantine;
pub mod coverage;
pub mod day;
pub mod dice;
mod erase;
mod glass;
pub mod growth;
pub mod history;
mod lies;
mod model;
mod morning;
mod mutants;
mod people;
pub mod plan;
pub mod report;
pub mod run;
pub mod shrink;
mod stories;
mod verdicts;
mod watch;
mod world;

pub use watch::Violation;
