//! Decisions: each refusal beside the same act permitted, then random worlds against a second, naive model.

mod emergency;
mod model;
mod offline;
mod reach;
mod recovery;

mod rules;
mod search;
pub(super) mod world;
