//! Break-glass: the types of the escrow, by which several people open the record of someone who can't consent.
//!
//! An escrow is a reader of lockers like any other; only its secret stands under a threshold key. This crate
//! has no keys, no threshold scheme and no ceremony: it fixes the names that locker entries and sealed
//! escrows must agree on. `node` will call it; it calls `protocol` alone.

pub mod ceremony;
pub mod escrow;
pub mod threshold;

pub use escrow::{EscrowLabel, EscrowPublic, Tier};
