//! What validators say to each other about a height, on the wire: votes, proposals, and the two certificates
//! that carry others' votes. Deterministic CBOR; nothing here is verified (`verify` does that).

use hospes_protocol::block::{CommitSignature, SignedVote, Vote, VoteKind};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::context::Context;
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{BlockHash, NetworkId, NodeId};
use hospes_protocol::keys::{KeyError, Signer, VerifyingKey};
use hospes_protocol::limits::VALIDATORS_MAX;
use hospes_protocol::sign1::to_be_signed;
use hospes_protocol::wire::Wire;
use hospes_protocol::{wire_enum, wire_struct, wire_union};

/// A message in bytes: a certificate of [`VALIDATORS_MAX`] votes of about 140 bytes comes to 9 KiB.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// The last round that is accepted. Honest validators reach it after months without a quorum; a number
/// beyond it comes from someone who wants counters to overflow.
pub const ROUND_MAX: u64 = 1 << 20;

wire_struct! {
    /// What a proposer says; signed under [`Context::Proposal`]. The block itself travels apart.
    pub struct Proposal {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// The height.
        pub height: u64,
        /// The round, from 0.
        pub round: u64,
        /// The block.
        pub block: BlockHash,
        /// The round in which the block had a quorum of prevotes; null for a fresh block.
        pub valid_round: Option<u64>,
        /// Who proposes.
        pub proposer: NodeId,
    }
}

wire_struct! {
    /// A proposal with its raw Ed25519 signature over the Sig_structure (RFC 9052, 4.4).
    pub struct SignedProposal {
        /// The proposal.
        pub proposal: Proposal,
        /// The signature.
        pub signature: [u8; 64],
    }
}

impl SignedProposal {
    /// Signs a proposal.
    ///
    /// # Errors
    /// As the signer; [`KeyError::Unsupported`] where it isn't an Ed25519 key.
    pub fn sign(proposal: Proposal, signer: &mut dyn Signer) -> Result<Self, KeyError> {
        let key = signer.verifying_key();
        let message = to_be_signed(&key, Context::Proposal, &proposal.network, &proposal.encode());
        let signature = signer.sign(&message)?;
        let signature =
            signature.try_into().map_err(|_| KeyError::Unsupported("proposals are signed with Ed25519"))?;
        Ok(Self { proposal, signature })
    }

    /// Verifies under the proposer's key.
    ///
    /// # Errors
    /// [`Check::UnknownSigner`], [`Check::BadSignature`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Rejected> {
        let proposal = &self.proposal;
        ensure(key.id().0 == proposal.proposer.0, Check::UnknownSigner)?;
        let message = to_be_signed(key, Context::Proposal, &proposal.network, &proposal.encode());
        key.verify(&message, &self.signature)
    }
}

wire_struct! {
    /// More than two thirds of the validators prevoted one block in one round.
    pub struct PolkaCertificate {
        /// The height.
        pub height: u64,
        /// The round.
        pub round: u64,
        /// The block.
        pub block: BlockHash,
        /// Signatures over those prevotes, ascending by validator.
        pub signatures: Vec<CommitSignature>,
    }
}

impl PolkaCertificate {
    /// The prevotes that it consists of.
    pub fn votes(&self, network: &NetworkId) -> Vec<SignedVote> {
        let one = |s: &CommitSignature| {
            let vote = (VoteKind::Prevote, self.height, self.round, Some(self.block), s.validator);
            SignedVote { vote: vote_of(network, vote), signature: s.signature }
        };
        self.signatures.iter().map(one).collect()
    }
}

wire_enum! {
    /// Why a round may be entered.
    pub enum RoundCertificateKind {
        /// More than one third voted in it already.
        Skip = 1,
        /// More than two thirds precommitted in the round before it, for whatever.
        Precommit = 2,
    }
}

wire_struct! {
    /// One vote of a round certificate.
    pub struct RoundVote {
        /// Prevote or precommit.
        pub kind: VoteKind,
        /// The block, or null for nil.
        pub block: Option<BlockHash>,
        /// Who voted.
        pub validator: NodeId,
        /// Its signature.
        pub signature: [u8; 64],
    }
}

wire_struct! {
    /// Votes that justify entering a round.
    pub struct RoundCertificate {
        /// The height.
        pub height: u64,
        /// The round of the votes.
        pub round: u64,
        /// What they justify.
        pub kind: RoundCertificateKind,
        /// One vote of each of these validators, ascending by validator.
        pub votes: Vec<RoundVote>,
    }
}

impl RoundCertificate {
    /// The votes that it consists of.
    pub fn votes(&self, network: &NetworkId) -> Vec<SignedVote> {
        let one = |v: &RoundVote| SignedVote {
            vote: vote_of(network, (v.kind, self.height, self.round, v.block, v.validator)),
            signature: v.signature,
        };
        self.votes.iter().map(one).collect()
    }
}

fn vote_of(
    network: &NetworkId,
    (kind, height, round, block, validator): (VoteKind, u64, u64, Option<BlockHash>, NodeId),
) -> Vote {
    Vote { format: FORMAT, network: *network, kind, height, round, block, validator }
}

wire_union! {
    /// A message of the consensus engine.
    pub enum ConsensusMessage {
        /// A vote.
        Vote(SignedVote) = 1,
        /// A proposal.
        Proposal(SignedProposal) = 2,
        /// A quorum of prevotes.
        Polka(PolkaCertificate) = 3,
        /// A reason to enter a round.
        Round(RoundCertificate) = 4,
    }
}

impl ConsensusMessage {
    /// Reads a message and judges its form: network, format, round numbers, order of signers.
    ///
    /// # Errors
    /// Checks 101 to 106, [`Check::DuplicateSigner`].
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<Self, Rejected> {
        let message = Self::decode_within(bytes, MESSAGE_BYTES_MAX)?;
        let (_, round) = message.place();
        ensure(round <= ROUND_MAX, Check::Malformed)?;
        match &message {
            Self::Vote(v) => of_network(v.vote.format, &v.vote.network, network)?,
            Self::Proposal(p) => {
                of_network(p.proposal.format, &p.proposal.network, network)?;
                ensure(p.proposal.valid_round.is_none_or(|valid| valid < round), Check::Malformed)?;
            }
            Self::Polka(c) => ascending(c.signatures.iter().map(|s| s.validator))?,
            Self::Round(c) => ascending(c.votes.iter().map(|v| v.validator))?,
        }
        Ok(message)
    }

    /// Its height and round.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        match self {
            Self::Vote(v) => (v.vote.height, v.vote.round),
            Self::Proposal(p) => (p.proposal.height, p.proposal.round),
            Self::Polka(c) => (c.height, c.round),
            Self::Round(c) => (c.height, c.round),
        }
    }
}

fn of_network(format: u64, theirs: &NetworkId, ours: &NetworkId) -> Result<(), Rejected> {
    ensure(format == FORMAT, Check::UnknownFormat)?;
    ensure(theirs == ours, Check::WrongNetwork)
}

fn ascending(signers: impl Iterator<Item = NodeId>) -> Result<(), Rejected> {
    let signers: Vec<_> = signers.collect();
    ensure(signers.len() <= VALIDATORS_MAX, Check::TooLarge)?;
    ensure(signers.windows(2).all(|w| w[0] < w[1]), Check::DuplicateSigner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consensus::tests::keys::{NET, signer};

    fn proposal() -> SignedProposal {
        let mut signer = signer(0);
        let proposer = NodeId(signer.verifying_key().id().0);
        let (height, round, block) = (7, 3, BlockHash([9; 32]));
        let valid_round = Some(1);
        let proposal = Proposal { format: FORMAT, network: NET, height, round, block, valid_round, proposer };
        SignedProposal::sign(proposal, &mut signer).expect("software signs")
    }

    #[test]
    fn the_encoding_is_the_one_that_is_spoken() {
        let signed = proposal();
        let bytes = ConsensusMessage::Proposal(signed.clone()).encode();
        // [2, [[1, network, 7, 3, block, 1, proposer], signature]]
        let mut expected = vec![0x82, 0x02, 0x82, 0x87, 0x01, 0x58, 0x20];
        expected.extend([3; 32]);
        expected.extend([0x07, 0x03, 0x58, 0x20]);
        expected.extend([9; 32]);
        expected.extend([0x01, 0x58, 0x20]);
        expected.extend(signed.proposal.proposer.0);
        expected.extend([0x58, 0x40]);
        expected.extend(signed.signature);
        assert_eq!(bytes, expected, "byte by byte");
        let read = ConsensusMessage::read(&bytes, &NET);
        assert_eq!(read, Ok(ConsensusMessage::Proposal(signed)), "and back");
        assert!(ConsensusMessage::decode(&[0x82, 0x05, 0x80]).is_err(), "there is no fifth message");
    }

    #[test]
    fn a_proposal_is_bound_to_every_field_and_its_context() {
        let signed = proposal();
        let key = signer(0).verifying_key();
        assert_eq!(signed.verify(&key), Ok(()), "as signed");
        let p = &signed.proposal;
        for other in [
            Proposal { height: 8, ..p.clone() },
            Proposal { round: 2, ..p.clone() },
            Proposal { block: BlockHash([8; 32]), ..p.clone() },
            Proposal { valid_round: None, ..p.clone() },
            Proposal { network: NetworkId([4; 32]), ..p.clone() },
        ] {
            let moved = SignedProposal { proposal: other, ..signed.clone() };
            assert_eq!(moved.verify(&key), Err(Check::BadSignature.into()), "{:?}", moved.proposal);
        }
        let stolen = signed.verify(&signer(1).verifying_key());
        assert_eq!(stolen, Err(Check::UnknownSigner.into()), "another's key");
    }

    #[test]
    fn a_valid_round_lies_before_the_round() {
        let mut signer = signer(0);
        for (valid_round, read) in [(Some(2), true), (None, true), (Some(3), false), (Some(4), false)] {
            let proposal = Proposal { valid_round, ..proposal().proposal };
            let signed = SignedProposal::sign(proposal, &mut signer).expect("software signs");
            let bytes = ConsensusMessage::Proposal(signed).encode();
            assert_eq!(ConsensusMessage::read(&bytes, &NET).is_ok(), read, "{valid_round:?} of round 3");
        }
    }
}
