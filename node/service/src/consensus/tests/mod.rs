//! Tests of consensus.

pub(super) mod keys;
