//! Signatures and certificates are checked here before the library sees them: it panics on a certificate
//! that does not hold, and asks for each signature again and again.
//!
//! What was verified once at a height is remembered by digest, so a repetition costs a hash. A wrong one is
//! refused by number and nothing of it is kept.

use std::collections::BTreeSet;

use hospes_protocol::block::{CommitCertificate, SignedVote, ValidatorSet};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{NetworkId, sha256};
use hospes_protocol::wire::Wire;

use super::messages::{
    ConsensusMessage, PolkaCertificate, RoundCertificate, RoundCertificateKind, SignedProposal,
};

/// Votes that are remembered: 64 validators with two votes in each of 64 rounds. Beyond it verification goes
/// on, without memory.
const REMEMBERED_MAX: usize = 8192;

/// Checks of one height.
#[derive(Debug)]
pub(super) struct Verifier {
    network: NetworkId,
    set: ValidatorSet,
    seen: BTreeSet<[u8; 32]>,
}

impl Verifier {
    pub(super) fn new(network: NetworkId, set: ValidatorSet) -> Self {
        Self { network, set, seen: BTreeSet::new() }
    }

    /// Verifies whatever a message carries.
    pub(super) fn message(&mut self, message: &ConsensusMessage) -> Result<(), Rejected> {
        match message {
            ConsensusMessage::Vote(vote) => self.vote(vote),
            ConsensusMessage::Proposal(proposal) => self.proposal(proposal),
            ConsensusMessage::Polka(certificate) => self.polka(certificate),
            ConsensusMessage::Round(certificate) => self.round(certificate),
        }
    }

    /// A vote of a validator.
    pub(super) fn vote(&mut self, vote: &SignedVote) -> Result<(), Rejected> {
        let validator = self.set.get(&vote.vote.validator).ok_or(Check::UnknownSigner)?;
        let digest = sha256(&[&vote.encode()]);
        if self.seen.contains(&digest) {
            return Ok(());
        }
        vote.verify(&validator.key)?;
        self.remember(digest);
        Ok(())
    }

    /// A proposal of a validator; whether it was its turn is another question.
    pub(super) fn proposal(&mut self, proposal: &SignedProposal) -> Result<(), Rejected> {
        let validator = self.set.get(&proposal.proposal.proposer).ok_or(Check::UnknownSigner)?;
        let digest = sha256(&[&proposal.encode()]);
        if self.seen.contains(&digest) {
            return Ok(());
        }
        proposal.verify(&validator.key)?;
        self.remember(digest);
        Ok(())
    }

    /// A vote that we signed just now.
    pub(super) fn trust_vote(&mut self, vote: &SignedVote) {
        self.remember(sha256(&[&vote.encode()]));
    }

    /// A proposal that we signed just now.
    pub(super) fn trust_proposal(&mut self, proposal: &SignedProposal) {
        self.remember(sha256(&[&proposal.encode()]));
    }

    fn remember(&mut self, digest: [u8; 32]) {
        if self.seen.len() < REMEMBERED_MAX {
            self.seen.insert(digest);
        }
    }

    /// More than two thirds of the prevotes.
    pub(super) fn polka(&mut self, certificate: &PolkaCertificate) -> Result<(), Rejected> {
        ensure(certificate.signatures.len() >= self.set.quorum(), Check::QuorumMissing)?;
        self.votes(&certificate.votes(&self.network))
    }

    /// More than one third, or more than two thirds of the precommits.
    pub(super) fn round(&mut self, certificate: &RoundCertificate) -> Result<(), Rejected> {
        let count = certificate.votes.len();
        let votes = certificate.votes(&self.network);
        match certificate.kind {
            RoundCertificateKind::Skip => ensure(count * 3 > self.set.len(), Check::QuorumMissing)?,
            RoundCertificateKind::Precommit => {
                let precommit = |v: &SignedVote| v.vote.kind == hospes_protocol::block::VoteKind::Precommit;
                ensure(votes.iter().all(precommit), Check::Malformed)?;
                ensure(count >= self.set.quorum(), Check::QuorumMissing)?;
            }
        }
        self.votes(&votes)
    }

    /// The certificate of a decision: as [`CommitCertificate::verify`], with what is known already.
    pub(super) fn commit(&mut self, certificate: &CommitCertificate) -> Result<(), Rejected> {
        ensure(certificate.validators == self.set.hash(), Check::ForeignValidators)?;
        let ascending = certificate.signatures.windows(2).all(|w| w[0].validator < w[1].validator);
        ensure(ascending, Check::DuplicateSigner)?;
        ensure(certificate.signatures.len() >= self.set.quorum(), Check::QuorumMissing)?;
        let one = |s: &hospes_protocol::block::CommitSignature| SignedVote {
            vote: certificate.precommit(&self.network, s.validator),
            signature: s.signature,
        };
        let votes: Vec<_> = certificate.signatures.iter().map(one).collect();
        self.votes(&votes)
    }

    // A stranger in a certificate is worse than a vote by one: whoever made the certificate knew the set.
    fn votes(&mut self, votes: &[SignedVote]) -> Result<(), Rejected> {
        for vote in votes {
            ensure(self.set.get(&vote.vote.validator).is_some(), Check::ForeignValidators)?;
            self.vote(vote)?;
        }
        Ok(())
    }
}
