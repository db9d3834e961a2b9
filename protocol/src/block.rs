//! Blocks, votes, validator sets and the certificates that make a block final.
//!
//! A block orders headers by cuts: for each node, from which sequence number to which. The headers
//! themselves travel apart. A [`CommitCertificate`] binds the validator set through its hash and the
//! block through its hash; who was to sign follows from the state, never from the certificate.

use std::collections::BTreeSet;

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::entry::FORMAT;
use crate::ids::{BlockHash, HeaderId, NetworkId, NodeId, OrganizationId, StateRoot, ValidatorsHash, sha256};
use crate::keys::{Algorithm, KeyError, Signed, Signer, VerifyingKey, verify_all};
use crate::limits::{BLOCK_BYTES_MAX, VALIDATORS_MAX};
use crate::sign1::to_be_signed;
use crate::wire::{Bytes, Wire};
use crate::{wire_enum, wire_struct};

wire_struct! {
    /// One validator.
    pub struct Validator {
        /// The node.
        pub node: NodeId,
        /// Its organization.
        pub organization: OrganizationId,
        /// Its Ed25519 key; the node id is its hash.
        pub key: VerifyingKey,
    }
}

wire_struct! {
    /// The validators of a height, ascending by node id, each with equal power.
    pub struct ValidatorSet {
        /// The validators.
        pub validators: Vec<Validator>,
    }
}

impl ValidatorSet {
    /// A set in its one order.
    ///
    /// # Errors
    /// [`Check::ScopeForm`] for none, too many or a repeated node, [`Check::WeakKey`] for a key that isn't
    /// Ed25519 or not the node's.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, Rejected> {
        validators.sort_by_key(|v| v.node);
        let set = Self { validators };
        set.judge()?;
        Ok(set)
    }

    /// Judges a decoded set.
    ///
    /// # Errors
    /// As [`ValidatorSet::new`].
    pub fn judge(&self) -> Result<(), Rejected> {
        let n = self.validators.len();
        ensure(n > 0 && n <= VALIDATORS_MAX, Check::ScopeForm)?;
        ensure(self.validators.windows(2).all(|w| w[0].node < w[1].node), Check::ScopeForm)?;
        let own = |v: &Validator| v.key.algorithm() == Algorithm::Ed25519 && v.key.id().0 == v.node.0;
        ensure(self.validators.iter().all(own), Check::WeakKey)
    }

    /// The validator of a node.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&Validator> {
        self.validators.binary_search_by_key(node, |v| v.node).ok().map(|i| &self.validators[i])
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.validators.len()
    }

    /// Whether there is none; a judged set is never empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.validators.is_empty()
    }

    /// The smallest number that is more than two thirds.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.validators.len() * 2 / 3 + 1
    }

    /// How many may fail: f of 3f + 1.
    #[must_use]
    pub fn faults_tolerated(&self) -> usize {
        self.validators.len().saturating_sub(1) / 3
    }

    /// SHA-256 of the set.
    #[must_use]
    pub fn hash(&self) -> ValidatorsHash {
        ValidatorsHash(sha256(&[&self.encode()]))
    }
}

wire_struct! {
    /// The headers of one node that a block makes final: a run of sequence numbers.
    pub struct Cut {
        /// The node.
        pub node: NodeId,
        /// The first sequence number.
        pub from: u64,
        /// The last.
        pub to: u64,
        /// The id of the header with number `to`; those before it follow by their `previous`.
        pub last: HeaderId,
    }
}

wire_struct! {
    /// Two headers of one node with one sequence number, as received.
    pub struct Fork {
        /// One.
        pub one: Bytes,
        /// The other.
        pub other: Bytes,
    }
}

wire_struct! {
    /// A block. Its hash is SHA-256 of these bytes.
    pub struct Block {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// 1 for the first block.
        pub height: u64,
        /// The previous block; the network id, as a hash, for the first.
        pub previous: BlockHash,
        /// The proposer's clock, in milliseconds since 1970 UTC, never running backwards.
        pub time: u64,
        /// Who built it.
        pub proposer: NodeId,
        /// The headers that become final, ascending by node.
        pub cuts: Vec<Cut>,
        /// The bodies of the control headers in the cuts, in the order of cuts and sequence.
        pub control: Vec<Bytes>,
        /// The state after this block.
        pub state_root: StateRoot,
        /// The validators that decide this height.
        pub validators: ValidatorsHash,
        /// The validators that decide the next.
        pub next_validators: ValidatorsHash,
        /// The certificate of the previous block; null for the first.
        pub last_commit: Option<CommitCertificate>,
        /// Forked sequences.
        pub forks: Vec<Fork>,
        /// Two different votes of one validator for one height and round, each a [`SignedVote`].
        pub equivocations: Vec<(SignedVote, SignedVote)>,
    }
}

impl Block {
    /// Reads a block of `network` and judges its form.
    ///
    /// # Errors
    /// Checks 101 to 106, [`Check::CutForm`].
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<Self, Rejected> {
        let block = Self::decode_within(bytes, BLOCK_BYTES_MAX)?;
        ensure(block.format == FORMAT, Check::UnknownFormat)?;
        ensure(block.network == *network, Check::WrongNetwork)?;
        ensure(block.height > 0, Check::BlockHeight)?;
        ensure(block.cuts.windows(2).all(|w| w[0].node < w[1].node), Check::CutForm)?;
        ensure(block.cuts.iter().all(|c| c.from > 0 && c.from <= c.to), Check::CutForm)?;
        Ok(block)
    }

    /// SHA-256 of the block's bytes.
    #[must_use]
    pub fn hash(&self) -> BlockHash {
        BlockHash(sha256(&[&self.encode()]))
    }
}

wire_enum! {
    /// The two votes of Tendermint.
    pub enum VoteKind {
        /// A prevote.
        Prevote = 1,
        /// A precommit.
        Precommit = 2,
    }
}

wire_struct! {
    /// What a validator's vote says; signed under [`Context::Vote`].
    pub struct Vote {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// Prevote or precommit.
        pub kind: VoteKind,
        /// The height.
        pub height: u64,
        /// The round, from 0.
        pub round: u64,
        /// The block, or null for nil.
        pub block: Option<BlockHash>,
        /// Who votes.
        pub validator: NodeId,
    }
}

wire_struct! {
    /// A vote with its raw Ed25519 signature over the Sig_structure (RFC 9052, 4.4).
    pub struct SignedVote {
        /// The vote.
        pub vote: Vote,
        /// The signature.
        pub signature: [u8; 64],
    }
}

impl SignedVote {
    /// Signs a vote.
    ///
    /// # Errors
    /// As the signer; [`KeyError::Unsupported`] where it isn't an Ed25519 key.
    pub fn sign(vote: Vote, signer: &mut dyn Signer) -> Result<Self, KeyError> {
        let message = to_be_signed(&signer.verifying_key(), Context::Vote, &vote.network, &vote.encode());
        let signature = signer.sign(&message)?;
        let signature =
            signature.try_into().map_err(|_| KeyError::Unsupported("votes are signed with Ed25519"))?;
        Ok(Self { vote, signature })
    }

    /// Verifies under the validator's key.
    ///
    /// # Errors
    /// [`Check::UnknownSigner`], [`Check::BadSignature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Rejected> {
        ensure(key.id().0 == self.vote.validator.0, Check::UnknownSigner)?;
        key.verify(
            &to_be_signed(key, Context::Vote, &self.vote.network, &self.vote.encode()),
            &self.signature,
        )
    }
}

wire_struct! {
    /// One signature of a certificate.
    pub struct CommitSignature {
        /// The validator.
        pub validator: NodeId,
        /// Its signature over the precommit that the certificate's fields give.
        pub signature: [u8; 64],
    }
}

wire_struct! {
    /// More than two thirds of a validator set signed precommits for one block.
    pub struct CommitCertificate {
        /// The height.
        pub height: u64,
        /// The round in which it was decided.
        pub round: u64,
        /// The block.
        pub block: BlockHash,
        /// The set that decided.
        pub validators: ValidatorsHash,
        /// The signatures, ascending by validator.
        pub signatures: Vec<CommitSignature>,
    }
}

impl CommitCertificate {
    /// The precommit that `validator` signed.
    #[must_use]
    pub fn precommit(&self, network: &NetworkId, validator: NodeId) -> Vote {
        Vote {
            format: FORMAT,
            network: *network,
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
            validator,
        }
    }

    /// Verifies against the set that the reader knows from its own state.
    ///
    /// # Errors
    /// [`Check::ForeignValidators`] for another set or a stranger, [`Check::DuplicateSigner`] for an order
    /// that is not ascending, [`Check::QuorumMissing`], [`Check::BadSignature`].
    pub fn verify(&self, network: &NetworkId, set: &ValidatorSet) -> Result<(), Rejected> {
        ensure(self.validators == set.hash(), Check::ForeignValidators)?;
        ensure(self.signatures.windows(2).all(|w| w[0].validator < w[1].validator), Check::DuplicateSigner)?;
        ensure(self.signatures.len() >= set.quorum() || crate::mutant!(QuorumOfOne), Check::QuorumMissing)?;
        let mut votes = Vec::new();
        for signed in &self.signatures {
            let validator = set.get(&signed.validator).ok_or(Check::ForeignValidators)?;
            let vote = self.precommit(network, signed.validator);
            ensure(validator.key.id().0 == signed.validator.0, Check::UnknownSigner)?;
            let message = to_be_signed(&validator.key, Context::Vote, network, &vote.encode());
            votes.push((&validator.key, message, &signed.signature[..]));
        }
        let all = votes.iter().map(|(key, message, signature)| Signed { key, message, signature });
        ensure(verify_all(&all.collect::<Vec<_>>()), Check::BadSignature)
    }

    /// Validators of `set` whose signature is not here.
    #[must_use]
    pub fn absent(&self, set: &ValidatorSet) -> BTreeSet<NodeId> {
        let here: BTreeSet<NodeId> = self.signatures.iter().map(|s| s.validator).collect();
        set.validators.iter().map(|v| v.node).filter(|n| !here.contains(n)).collect()
    }
}

#[cfg(test)]
mod tests;
