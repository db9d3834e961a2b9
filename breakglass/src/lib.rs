//! Break-glass: the types of the escrow.
