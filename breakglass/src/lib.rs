//! Break-glass: threshold keys that nobody holds whole, the ceremonies that make them, and the escrows that they open.
//!
//! Several people together open the record of someone who can't consent. An escrow is a reader of lockers like any
//! other; only its secret stands under threshold keys. This crate has no IO, no clock and no persons; requests,
//! releases and recovery stand on it and are not built. It calls `protocol` alone.

pub mod ceremony;
pub mod escrow;
pub mod threshold;

pub use escrow::{EscrowLabel, EscrowPublic, Tier};
