//! The table of steps.
use super::play::Step;
/// Every step, in order.
pub(super) const TABLE: &[Step] = &[];
