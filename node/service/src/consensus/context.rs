//! The types with which the Malachite library is instantiated.
//!
//! A value is the hash of a block and its own id: the block travels apart (`ProposalAndParts`), and our
//! verdict on it is the value's validity. Nothing here is encoded or signed; `codec` does that.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use hospes_protocol::block::ValidatorSet;
use hospes_protocol::check::Rejected;
use hospes_protocol::ids::{BlockHash, NodeId};
use hospes_protocol::keys::{Algorithm, VerifyingKey};
use malachite_core_types as core;
use malachite_core_types::{NilOrVal, Round, SignedExtension, VoteType};

use super::proposer::turn;

/// The instantiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hospes;

pub(super) type SignedVote = core::SignedVote<Hospes>;
pub(super) type SignedProposal = core::SignedProposal<Hospes>;

/// A height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Height(pub(super) u64);

/// A validator, by node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address(pub(super) NodeId);

/// A block, by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Value(pub(super) BlockHash);

macro_rules! displayed {
    ($($name:ident),+) => { $(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+ };
}
displayed!(Height, Address, Value);

impl core::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0.saturating_add(n))
    }
    fn decrement_by(&self, n: u64) -> Option<Self> {
        self.0.checked_sub(n).map(Self)
    }
    fn as_u64(&self) -> u64 {
        self.0
    }
}

impl core::Address for Address {}

impl core::Value for Value {
    type Id = Self;

    fn id(&self) -> Self {
        *self
    }
}

/// One validator. All have the same power.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validator {
    address: Address,
    key: VerifyingKey,
}

impl core::Validator<Hospes> for Validator {
    fn address(&self) -> &Address {
        &self.address
    }
    fn public_key(&self) -> &VerifyingKey {
        &self.key
    }
    fn voting_power(&self) -> u64 {
        1
    }
}

/// The validators of a height, with those that are to propose last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Validators(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    set: ValidatorSet,
    absent: BTreeSet<NodeId>,
    list: Vec<Validator>,
}

impl Validators {
    pub(super) fn new(set: ValidatorSet, absent: BTreeSet<NodeId>) -> Self {
        let one = |v: &hospes_protocol::block::Validator| Validator {
            address: Address(v.node),
            key: v.key.clone(),
        };
        let list = set.validators.iter().map(one).collect();
        Self(Arc::new(Inner { set, absent, list }))
    }

    pub(super) fn set(&self) -> &ValidatorSet {
        &self.0.set
    }

    /// Who proposes in a round. The set must not be empty.
    pub(super) fn proposer(&self, height: u64, round: u64) -> &Validator {
        &self.0.list[turn(&self.0.set, &self.0.absent, height, round)]
    }

    pub(super) fn proposer_node(&self, height: u64, round: u64) -> NodeId {
        self.proposer(height, round).address.0
    }
}

impl core::ValidatorSet<Hospes> for Validators {
    fn count(&self) -> usize {
        self.0.list.len()
    }
    fn total_voting_power(&self) -> u64 {
        self.0.list.len() as u64
    }
    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.list.binary_search_by_key(address, |v| v.address).ok().map(|i| &self.0.list[i])
    }
    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.list.get(index)
    }
}

/// A vote as the library sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vote {
    pub(super) kind: VoteType,
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) value: NilOrVal<Value>,
    pub(super) validator: Address,
}

impl core::Vote<Hospes> for Vote {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &NilOrVal<Value> {
        &self.value
    }
    fn take_value(self) -> NilOrVal<Value> {
        self.value
    }
    fn vote_type(&self) -> VoteType {
        self.kind
    }
    fn validator_address(&self) -> &Address {
        &self.validator
    }
    // Extensions are disabled at every height: the driver starts heights with that policy.
    fn extension(&self) -> Option<&SignedExtension<Hospes>> {
        None
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Hospes>> {
        None
    }
    fn extend(self, _: SignedExtension<Hospes>) -> Self {
        self
    }
}

/// A proposal as the library sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub(super) height: Height,
    pub(super) round: Round,
    pub(super) value: Value,
    pub(super) pol_round: Round,
    pub(super) proposer: Address,
}

impl core::Proposal<Hospes> for Proposal {
    fn height(&self) -> Height {
        self.height
    }
    fn round(&self) -> Round {
        self.round
    }
    fn value(&self) -> &Value {
        &self.value
    }
    fn take_value(self) -> Value {
        self.value
    }
    fn pol_round(&self) -> Round {
        self.pol_round
    }
    fn validator_address(&self) -> &Address {
        &self.proposer
    }
}

/// Blocks travel outside the library, so it never sees a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoPart {}

impl core::ProposalPart<Hospes> for NoPart {
    fn is_first(&self) -> bool {
        match *self {}
    }
    fn is_last(&self) -> bool {
        match *self {}
    }
}

/// Timeouts are ours (`config`); the library asks this type for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct NoTimeouts;

impl core::Timeouts<Hospes> for NoTimeouts {
    fn duration_for(&self, _: core::Timeout) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// Ed25519, one rule of verification everywhere: that of [`VerifyingKey`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ed25519;

impl core::SigningScheme for Ed25519 {
    type DecodingError = Rejected;
    type Signature = [u8; 64];
    type PublicKey = VerifyingKey;
    /// The library signs through an effect and never holds a key.
    type PrivateKey = ();

    fn decode_signature(bytes: &[u8]) -> Result<[u8; 64], Rejected> {
        bytes.try_into().map_err(|_| hospes_protocol::check::Check::BadSignature.into())
    }
    fn encode_signature(signature: &[u8; 64]) -> Vec<u8> {
        signature.to_vec()
    }
    fn decode_public_key(bytes: &[u8]) -> Result<VerifyingKey, Rejected> {
        VerifyingKey::new(Algorithm::Ed25519, bytes)
    }
    fn encode_public_key(key: &VerifyingKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl core::Context for Hospes {
    type Address = Address;
    type Height = Height;
    type ProposalPart = NoPart;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Timeouts = NoTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, set: &'a Validators, height: Height, round: Round) -> &'a Validator {
        set.proposer(height.0, u64::from(round.as_u32().unwrap_or(0)))
    }

    fn new_proposal(
        &self,
        height: Height,
        round: Round,
        value: Value,
        pol_round: Round,
        proposer: Address,
    ) -> Proposal {
        Proposal { height, round, value, pol_round, proposer }
    }

    fn new_prevote(&self, height: Height, round: Round, value: NilOrVal<Value>, validator: Address) -> Vote {
        Vote { kind: VoteType::Prevote, height, round, value, validator }
    }

    fn new_precommit(
        &self,
        height: Height,
        round: Round,
        value: NilOrVal<Value>,
        validator: Address,
    ) -> Vote {
        Vote { kind: VoteType::Precommit, height, round, value, validator }
    }
}
