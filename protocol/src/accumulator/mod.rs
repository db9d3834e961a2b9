//! The two growing parts of the state root: the range of header ids and the tree of closed locks.
//!
//! Both are cheap to extend and give proofs of about a kilobyte; neither keeps what storage can keep.

mod locks;
mod range;

pub use locks::{LockPart, LockProof, LockTree};
pub use range::{Range, RangeNode, RangeProof};
