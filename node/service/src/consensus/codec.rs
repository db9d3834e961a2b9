//! Between what travels and is kept (`messages`, `protocol`) and what the library computes with (`context`).
//!
//! Total in both directions for what `messages` has read and the library has made; verifies nothing.

use hospes_protocol::block::{CommitCertificate, CommitSignature, SignedVote, Vote, VoteKind};
use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{BlockHash, NetworkId, ValidatorsHash};
use malachite_core_types as core;
use malachite_core_types::{NilOrVal, Round, RoundCertificateType, VoteType};

use super::context::{self, Address, Height, Hospes, Value};
use super::messages::{
    PolkaCertificate, Proposal, RoundCertificate, RoundCertificateKind, RoundVote, SignedProposal,
};

/// A round that was read from outside, where it is at most [`super::messages::ROUND_MAX`].
pub(super) fn round_in(round: u64) -> Round {
    Round::new(u32::try_from(round).unwrap_or(u32::MAX - 1))
}

/// A round of the library that is not nil.
pub(super) fn round_out(round: Round) -> u64 {
    u64::from(round.as_u32().unwrap_or(0))
}

fn kind_in(kind: VoteKind) -> VoteType {
    match kind {
        VoteKind::Prevote => VoteType::Prevote,
        VoteKind::Precommit => VoteType::Precommit,
    }
}

fn kind_out(kind: VoteType) -> VoteKind {
    match kind {
        VoteType::Prevote => VoteKind::Prevote,
        VoteType::Precommit => VoteKind::Precommit,
    }
}

fn value_in(block: Option<BlockHash>) -> NilOrVal<Value> {
    block.map_or(NilOrVal::Nil, |b| NilOrVal::Val(Value(b)))
}

fn value_out(value: NilOrVal<Value>) -> Option<BlockHash> {
    match value {
        NilOrVal::Nil => None,
        NilOrVal::Val(value) => Some(value.0),
    }
}

pub(super) fn vote_in(signed: &SignedVote) -> context::SignedVote {
    let vote = context::Vote {
        kind: kind_in(signed.vote.kind),
        height: Height(signed.vote.height),
        round: round_in(signed.vote.round),
        value: value_in(signed.vote.block),
        validator: Address(signed.vote.validator),
    };
    context::SignedVote::new(vote, signed.signature)
}

pub(super) fn bare_vote_out(network: &NetworkId, vote: &context::Vote) -> Vote {
    Vote {
        format: FORMAT,
        network: *network,
        kind: kind_out(vote.kind),
        height: vote.height.0,
        round: round_out(vote.round),
        block: value_out(vote.value),
        validator: vote.validator.0,
    }
}

pub(super) fn vote_out(network: &NetworkId, signed: &context::SignedVote) -> SignedVote {
    SignedVote { vote: bare_vote_out(network, &signed.message), signature: signed.signature }
}

pub(super) fn proposal_in(signed: &SignedProposal) -> context::SignedProposal {
    let proposal = context::Proposal {
        height: Height(signed.proposal.height),
        round: round_in(signed.proposal.round),
        value: Value(signed.proposal.block),
        pol_round: signed.proposal.valid_round.map_or(Round::Nil, round_in),
        proposer: Address(signed.proposal.proposer),
    };
    context::SignedProposal::new(proposal, signed.signature)
}

pub(super) fn bare_proposal_out(network: &NetworkId, proposal: &context::Proposal) -> Proposal {
    Proposal {
        format: FORMAT,
        network: *network,
        height: proposal.height.0,
        round: round_out(proposal.round),
        block: proposal.value.0,
        valid_round: proposal.pol_round.as_u32().map(u64::from),
        proposer: proposal.proposer.0,
    }
}

pub(super) fn proposal_out(network: &NetworkId, signed: &context::SignedProposal) -> SignedProposal {
    SignedProposal { proposal: bare_proposal_out(network, &signed.message), signature: signed.signature }
}

pub(super) fn polka_in(certificate: &PolkaCertificate) -> core::PolkaCertificate<Hospes> {
    let one = |s: &CommitSignature| core::PolkaSignature::new(Address(s.validator), s.signature);
    core::PolkaCertificate {
        height: Height(certificate.height),
        round: round_in(certificate.round),
        value_id: Value(certificate.block),
        polka_signatures: certificate.signatures.iter().map(one).collect(),
    }
}

pub(super) fn polka_out(certificate: &core::PolkaCertificate<Hospes>) -> PolkaCertificate {
    let one =
        |s: &core::PolkaSignature<Hospes>| CommitSignature { validator: s.address.0, signature: s.signature };
    PolkaCertificate {
        height: certificate.height.0,
        round: round_out(certificate.round),
        block: certificate.value_id.0,
        signatures: sorted(certificate.polka_signatures.iter().map(one).collect(), |s| s.validator),
    }
}

pub(super) fn round_certificate_in(certificate: &RoundCertificate) -> core::RoundCertificate<Hospes> {
    let one = |v: &RoundVote| {
        core::RoundSignature::new(kind_in(v.kind), value_in(v.block), Address(v.validator), v.signature)
    };
    core::RoundCertificate {
        height: Height(certificate.height),
        round: round_in(certificate.round),
        cert_type: match certificate.kind {
            RoundCertificateKind::Skip => RoundCertificateType::Skip,
            RoundCertificateKind::Precommit => RoundCertificateType::Precommit,
        },
        round_signatures: certificate.votes.iter().map(one).collect(),
    }
}

pub(super) fn round_certificate_out(certificate: &core::RoundCertificate<Hospes>) -> RoundCertificate {
    let one = |s: &core::RoundSignature<Hospes>| RoundVote {
        kind: kind_out(s.vote_type),
        block: value_out(s.value_id),
        validator: s.address.0,
        signature: s.signature,
    };
    RoundCertificate {
        height: certificate.height.0,
        round: round_out(certificate.round),
        kind: match certificate.cert_type {
            RoundCertificateType::Skip => RoundCertificateKind::Skip,
            RoundCertificateType::Precommit => RoundCertificateKind::Precommit,
        },
        votes: sorted(certificate.round_signatures.iter().map(one).collect(), |v| v.validator),
    }
}

pub(super) fn commit_out(
    certificate: &core::CommitCertificate<Hospes>,
    validators: ValidatorsHash,
) -> CommitCertificate {
    let one = |s: &core::CommitSignature<Hospes>| CommitSignature {
        validator: s.address.0,
        signature: s.signature,
    };
    CommitCertificate {
        height: certificate.height.0,
        round: round_out(certificate.round),
        block: certificate.value_id.0,
        validators,
        signatures: sorted(certificate.commit_signatures.iter().map(one).collect(), |s| s.validator),
    }
}

fn sorted<T, K: Ord>(mut items: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    items.sort_by_key(key);
    items
}
