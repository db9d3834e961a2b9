//! The types of an application that has nothing to say: a value is a number, four validators of equal power.
//!
//! Signatures are Ed25519 as the engine's own crate makes them, over the borsh bytes of what is signed.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use borsh::{BorshDeserialize, BorshSerialize};
use malachite_core_types::{
    self as core, LinearTimeouts, NilOrVal, Round, SignedExtension, SignedMessage, ValidatorProof,
    VoteExtensionScope, VoteType,
};
use malachite_signing::{Error, Signer, VerificationResult, Verifier};
use malachite_signing_ed25519::{PrivateKey, PublicKey, Signature};

/// The instantiation.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

macro_rules! number {
    ($(#[$doc:meta] $name:ident($inner:ty)),+) => { $(
        #[$doc]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+ };
}
number!(
    /// A height.
    Height(u64),
    /// A validator, by its place.
    Address(u8),
    /// What is decided; its own id.
    Value(u64)
);

impl core::Height for Height {
    const ZERO: Self = Self(0);
    const INITIAL: Self = Self(1);

    fn increment_by(&self, n: u64) -> Self {
        Self(self.0 + n)
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

/// One validator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator(Address, PublicKey);

impl core::Validator<Empty> for Validator {
    fn address(&self) -> &Address {
        &self.0
    }
    fn public_key(&self) -> &PublicKey {
        &self.1
    }
    fn voting_power(&self) -> u64 {
        1
    }
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators(Arc<Vec<Validator>>);

impl Validators {
    /// By their keys.
    pub fn of(keys: &[PrivateKey]) -> Self {
        let one = |(place, key): (u8, &PrivateKey)| Validator(Address(place), key.public_key());
        Self(Arc::new((0..).zip(keys).map(one).collect()))
    }
}

impl core::ValidatorSet<Empty> for Validators {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn total_voting_power(&self) -> u64 {
        self.0.len() as u64
    }
    fn get_by_address(&self, address: &Address) -> Option<&Validator> {
        self.0.get(usize::from(address.0))
    }
    fn get_by_index(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }
}

/// A vote.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    kind: VoteType,
    height: Height,
    round: Round,
    value: NilOrVal<Value>,
    validator: Address,
}

impl core::Vote<Empty> for Vote {
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
    fn extension(&self) -> Option<&SignedExtension<Empty>> {
        None
    }
    fn take_extension(&mut self) -> Option<SignedExtension<Empty>> {
        None
    }
    fn extend(self, _: SignedExtension<Empty>) -> Self {
        self
    }
}

/// A proposal.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Proposal {
    height: Height,
    round: Round,
    value: Value,
    pol_round: Round,
    proposer: Address,
}

impl core::Proposal<Empty> for Proposal {
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

/// Values travel in the proposal, so there are no parts.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Part;

impl core::ProposalPart<Empty> for Part {
    fn is_first(&self) -> bool {
        true
    }
    fn is_last(&self) -> bool {
        true
    }
}

/// Ed25519 with signatures in bytes, which borsh can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519;

impl core::SigningScheme for Ed25519 {
    type DecodingError = String;
    type Signature = [u8; 64];
    type PublicKey = PublicKey;
    type PrivateKey = PrivateKey;

    fn decode_signature(bytes: &[u8]) -> Result<[u8; 64], String> {
        bytes.try_into().map_err(|_| "a signature has 64 bytes".into())
    }
    fn encode_signature(signature: &[u8; 64]) -> Vec<u8> {
        signature.to_vec()
    }
    fn decode_public_key(bytes: &[u8]) -> Result<PublicKey, String> {
        let bytes = bytes.try_into().map_err(|_| "a key has 32 bytes".to_owned())?;
        PublicKey::from_bytes(bytes).map_err(|e| e.to_string())
    }
    fn encode_public_key(key: &PublicKey) -> Vec<u8> {
        key.as_bytes().to_vec()
    }
}

impl core::Context for Empty {
    type Address = Address;
    type Height = Height;
    type ProposalPart = Part;
    type Proposal = Proposal;
    type Validator = Validator;
    type ValidatorSet = Validators;
    type Timeouts = LinearTimeouts;
    type Value = Value;
    type Vote = Vote;
    type Extension = ();
    type SigningScheme = Ed25519;

    fn select_proposer<'a>(&self, set: &'a Validators, height: Height, round: Round) -> &'a Validator {
        let turn = height.0 + u64::from(round.as_u32().unwrap_or(0));
        &set.0[(turn % set.0.len() as u64) as usize]
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

/// A validator's key.
#[derive(Clone)]
pub struct Key(pub PrivateKey);

fn bytes_of(what: &impl BorshSerialize) -> Result<Vec<u8>, Error> {
    borsh::to_vec(what).map_err(Error::from_source)
}

fn verify(bytes: &[u8], signature: &[u8; 64], key: &PublicKey) -> VerificationResult {
    VerificationResult::from_bool(key.verify(bytes, &Signature::from_bytes(*signature)).is_ok())
}

#[async_trait]
impl Signer<Empty> for Key {
    async fn sign_vote(&self, vote: Vote) -> Result<SignedMessage<Empty, Vote>, Error> {
        let signature = self.0.sign(&bytes_of(&vote)?).to_bytes();
        Ok(SignedMessage::new(vote, signature))
    }

    async fn sign_proposal(&self, proposal: Proposal) -> Result<SignedMessage<Empty, Proposal>, Error> {
        let signature = self.0.sign(&bytes_of(&proposal)?).to_bytes();
        Ok(SignedMessage::new(proposal, signature))
    }

    async fn sign_vote_extension(
        &self,
        _: VoteExtensionScope<Empty>,
        _: (),
    ) -> Result<SignedMessage<Empty, ()>, Error> {
        Ok(SignedMessage::new((), self.0.sign(&[]).to_bytes()))
    }

    async fn sign_validator_proof(
        &self,
        key: Vec<u8>,
        peer: Vec<u8>,
    ) -> Result<ValidatorProof<Empty>, Error> {
        let signature = self.0.sign(&ValidatorProof::<Empty>::signing_bytes(&key, &peer)).to_bytes();
        Ok(ValidatorProof::new(key, peer, signature))
    }
}

/// Whoever verifies needs no key of its own.
#[derive(Clone, Copy)]
pub struct AnyKey;

#[async_trait]
impl Verifier<Empty> for AnyKey {
    async fn verify_signed_vote(
        &self,
        vote: &Vote,
        signature: &[u8; 64],
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(verify(&bytes_of(vote)?, signature, key))
    }

    async fn verify_signed_proposal(
        &self,
        proposal: &Proposal,
        signature: &[u8; 64],
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(verify(&bytes_of(proposal)?, signature, key))
    }

    async fn verify_signed_vote_extension(
        &self,
        _: &VoteExtensionScope<Empty>,
        (): &(),
        signature: &[u8; 64],
        key: &PublicKey,
    ) -> Result<VerificationResult, Error> {
        Ok(verify(&[], signature, key))
    }

    async fn verify_validator_proof(
        &self,
        proof: &ValidatorProof<Empty>,
    ) -> Result<VerificationResult, Error> {
        let key = proof.decoded_public_key().map_err(|e| Error::from_source(e))?;
        Ok(verify(&proof.preimage(), &proof.signature, &key))
    }
}
