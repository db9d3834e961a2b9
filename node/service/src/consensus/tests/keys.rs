//! Validators with known keys.

use hospes_protocol::block::{Validator, ValidatorSet};
use hospes_protocol::ids::{NetworkId, NodeId, OrganizationId};
use hospes_protocol::keys::{Signer, SoftwareSigner};

/// The network of all tests.
pub(in crate::consensus) const NET: NetworkId = NetworkId([3; 32]);

/// The key of the validator with this number.
pub(in crate::consensus) fn signer(number: u8) -> SoftwareSigner {
    SoftwareSigner::from_seed(&[number + 1; 32])
}

/// A set of `n`, and the number of the key of each, in the set's order.
pub(in crate::consensus) fn validators(n: u8) -> (ValidatorSet, Vec<u8>) {
    let one = |i: u8| {
        let key = signer(i).verifying_key();
        Validator { node: NodeId(key.id().0), organization: OrganizationId([i; 32]), key }
    };
    let set = ValidatorSet::new((0..n).map(one).collect()).expect("distinct keys");
    let mut order: Vec<_> = (0..n).collect();
    order.sort_by_key(|i| signer(*i).verifying_key().id());
    (set, order)
}
