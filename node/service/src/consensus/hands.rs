//! Carries out what the library asks for while it handles one input: signing, verifying, timers, WAL,
//! messages. Everything is answered on the spot; what touches the world goes to the outbox.
//!
//! The library logs an error of its handler and goes on. Here the first error ends the run, and the driver
//! halts. The library also panics where it finds itself contradicted; that ends in the same way.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use hospes_protocol::block::{CommitCertificate, VoteKind};
use hospes_protocol::ids::{BlockHash, NetworkId};
use hospes_protocol::keys::Signer;
use hospes_protocol::wire::Wire;
use malachite_core_consensus::{
    ConsensusMsg, Effect as Ask, Error, Input as EngineInput, LivenessMsg, MisbehaviorEvidence, Resumable,
    Resume, SignedConsensusMsg, State, process,
};
use malachite_core_types::{CertificateError, SignedMessage, TimeoutKind};

use super::codec;
use super::config::ConsensusConfig;
use super::context::{self, Hospes, Validators};
use super::messages::{ConsensusMessage, SignedProposal};
use super::outbox::Outbox;
use super::timers::Timers;
use super::verify::Verifier;
use super::wal::{Elapsed, Judged, StepTimeout, WalEntry};
use super::{Decision, Effect, Evidence, Halted};

/// What we signed at this height: prevotes, precommits, proposals, by round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Signed {
    Prevote,
    Precommit,
    Proposal,
}

impl Signed {
    pub(super) fn of(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Prevote => Self::Prevote,
            VoteKind::Precommit => Self::Precommit,
        }
    }
}

/// What is remembered between the runs of one height.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What we signed, the log's included. The last guard: another value for the same key halts.
    pub(super) signed: BTreeMap<(Signed, u64), Option<BlockHash>>,
    /// Rows that are in the log already, while it is replayed and after.
    pub(super) logged: BTreeSet<Vec<u8>>,
    /// The round for which the library asked for a block.
    pub(super) wanted: Option<u64>,
    /// Set when the height is decided.
    pub(super) decided: bool,
    /// Until it is given out.
    pub(super) decision: Option<Decision>,
}

/// Hands for one run.
pub(super) struct Hands<'a> {
    pub(super) network: NetworkId,
    pub(super) config: &'a ConsensusConfig,
    pub(super) signer: &'a mut (dyn Signer + Send),
    pub(super) validators: &'a Validators,
    pub(super) verifier: &'a mut Verifier,
    pub(super) timers: &'a mut Timers,
    pub(super) memory: &'a mut Memory,
    pub(super) out: &'a mut Outbox,
}

type Answer = Result<Resume<Hospes>, Halted>;

impl Hands<'_> {
    /// Lets the library handle one input.
    pub(super) fn run(
        &mut self,
        state: &mut State<Hospes>,
        input: EngineInput<Hospes>,
    ) -> Result<(), Halted> {
        let mut failed = None;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            let done: Result<(), Error<Hospes>> = process!(input: input, state: state, metrics: &(), with: ask => {
                if failed.is_some() {
                    Err("halted")
                } else {
                    self.answer(ask).map_err(|halted| { failed = Some(halted); "halting" })
                }
            });
            done.map_err(|error| Halted(error.to_string()))
        }));
        match (failed, ran) {
            (Some(halted), _) => Err(halted),
            (None, Ok(done)) => done,
            (None, Err(panic)) => Err(Halted(format!("the library panicked: {}", panic_text(&*panic)))),
        }
    }

    fn answer(&mut self, ask: Ask<Hospes>) -> Answer {
        match ask {
            Ask::CancelAllTimeouts(r) => {
                self.timers.clear_all(self.out);
                Ok(r.resume_with(()))
            }
            Ask::CancelTimeout(timeout, r) => {
                self.timers.clear(timeout, self.out);
                Ok(r.resume_with(()))
            }
            Ask::ScheduleTimeout(timeout, r) => {
                self.timers.set(timeout, self.config, self.out);
                Ok(r.resume_with(()))
            }
            Ask::StartRound(_, _, _, _, r) => {
                self.timers.progressed();
                self.memory.wanted = None;
                Ok(r.resume_with(()))
            }
            Ask::GetValue(_, round, _, r) => {
                self.memory.wanted = Some(codec::round_out(round));
                Ok(r.resume_with(()))
            }
            // The commit follows with Finalize, at once because heights have no target time.
            Ask::Decide(_, _, r) => Ok(r.resume_with(())),
            Ask::Finalize(certificate, _, evidence, r) => {
                self.decided(codec::commit_out(&certificate, self.validators.set().hash()), &evidence)?;
                Ok(r.resume_with(()))
            }
            Ask::WalAppend(_, input, r) => {
                self.log(input)?;
                Ok(r.resume_with(()))
            }
            ask => self.answer_crypto(ask),
        }
    }

    fn answer_crypto(&mut self, ask: Ask<Hospes>) -> Answer {
        match ask {
            Ask::SignVote(vote, r) => Ok(r.resume_with(self.sign_vote(vote)?)),
            Ask::SignProposal(proposal, r) => Ok(r.resume_with(self.sign_proposal(proposal)?)),
            Ask::VerifySignature(message, _, r) => Ok(r.resume_with(self.verify(message))),
            Ask::VerifyCommitCertificate(certificate, _, _, r) => {
                let certificate = codec::commit_out(&certificate, self.validators.set().hash());
                // The library would panic; an error halts with a reason.
                self.verifier.commit(&certificate).map_err(|r| Halted(format!("own certificate: {r}")))?;
                Ok(r.resume_with(Ok(())))
            }
            Ask::VerifyPolkaCertificate(certificate, _, _, r) => {
                let holds = self.verifier.polka(&codec::polka_out(&certificate));
                Ok(r.resume_with(holds.map_err(|_| no_quorum())))
            }
            Ask::VerifyRoundCertificate(certificate, _, _, r) => {
                let holds = self.verifier.round(&codec::round_certificate_out(&certificate));
                Ok(r.resume_with(holds.map_err(|_| no_quorum())))
            }
            ask => self.answer_messages(ask),
        }
    }

    fn answer_messages(&mut self, ask: Ask<Hospes>) -> Answer {
        match ask {
            Ask::PublishConsensusMsg(SignedConsensusMsg::Vote(vote), r) | Ask::RepublishVote(vote, r) => {
                self.publish_vote(&vote);
                Ok(r.resume_with(()))
            }
            Ask::PublishConsensusMsg(SignedConsensusMsg::Proposal(proposal), r) => {
                let proposal = codec::proposal_out(&self.network, &proposal);
                self.out.publish(&ConsensusMessage::Proposal(proposal));
                Ok(r.resume_with(()))
            }
            Ask::PublishLivenessMsg(message, r) => {
                match message {
                    LivenessMsg::Vote(vote) => self.publish_vote(&vote),
                    LivenessMsg::PolkaCertificate(c) => {
                        self.out.publish(&ConsensusMessage::Polka(codec::polka_out(&c)));
                    }
                    LivenessMsg::SkipRoundCertificate(c) => {
                        self.out.publish(&ConsensusMessage::Round(codec::round_certificate_out(&c)));
                    }
                }
                Ok(r.resume_with(()))
            }
            Ask::RepublishRoundCertificate(certificate, r) => {
                self.out.publish(&ConsensusMessage::Round(codec::round_certificate_out(&certificate)));
                Ok(r.resume_with(()))
            }
            Ask::RestreamProposal(_, _, _, _, block, r) => {
                let to = self.validators.set().validators.iter().map(|v| v.node);
                let me = self.signer.verifying_key().id().0;
                let to = to.filter(|n| n.0 != me).collect();
                self.out.push(Effect::ResendBlock { to, block: block.0 });
                Ok(r.resume_with(()))
            }
            // Vote extensions are disabled, and decided blocks come by our own sync, past the library.
            ask => Err(Halted(format!("the library asked for what it was told not to use: {ask:?}"))),
        }
    }

    fn publish_vote(&mut self, vote: &context::SignedVote) {
        self.out.publish(&ConsensusMessage::Vote(codec::vote_out(&self.network, vote)));
    }

    fn sign_vote(&mut self, vote: context::Vote) -> Result<context::SignedVote, Halted> {
        let bare = codec::bare_vote_out(&self.network, &vote);
        self.guard((Signed::of(bare.kind), bare.round), bare.block)?;
        self.timers.progressed();
        let signed = hospes_protocol::block::SignedVote::sign(bare, self.signer)
            .map_err(|e| Halted(format!("the node key: {e}")))?;
        self.verifier.trust_vote(&signed);
        Ok(SignedMessage::new(vote, signed.signature))
    }

    fn sign_proposal(&mut self, proposal: context::Proposal) -> Result<context::SignedProposal, Halted> {
        let bare = codec::bare_proposal_out(&self.network, &proposal);
        self.guard((Signed::Proposal, bare.round), Some(bare.block))?;
        let signed =
            SignedProposal::sign(bare, self.signer).map_err(|e| Halted(format!("the node key: {e}")))?;
        self.verifier.trust_proposal(&signed);
        Ok(SignedMessage::new(proposal, signed.signature))
    }

    /// Holds what our key signs against what it signed before.
    pub(super) fn guard(
        &mut self,
        (kind, round): (Signed, u64),
        block: Option<BlockHash>,
    ) -> Result<(), Halted> {
        let before = *self.memory.signed.entry((kind, round)).or_insert(block);
        if before == block {
            return Ok(());
        }
        Err(Halted(format!(
            "a second {kind:?} of round {round} by this node's key: {before:?}, now {block:?}"
        )))
    }

    fn verify(&mut self, message: SignedMessage<Hospes, ConsensusMsg<Hospes>>) -> bool {
        match message.message {
            ConsensusMsg::Vote(vote) => {
                let vote = codec::vote_out(&self.network, &SignedMessage::new(vote, message.signature));
                self.verifier.vote(&vote).is_ok()
            }
            ConsensusMsg::Proposal(proposal) => {
                let signed = SignedMessage::new(proposal, message.signature);
                self.verifier.proposal(&codec::proposal_out(&self.network, &signed)).is_ok()
            }
        }
    }

    fn log(&mut self, input: EngineInput<Hospes>) -> Result<(), Halted> {
        let entry = match input {
            EngineInput::Vote(vote) => WalEntry::Vote(codec::vote_out(&self.network, &vote)),
            EngineInput::Proposal(p) => WalEntry::Proposal(codec::proposal_out(&self.network, &p)),
            EngineInput::PolkaCertificate(c) => WalEntry::Polka(codec::polka_out(&c)),
            EngineInput::TimeoutElapsed(timeout) => {
                let step = match timeout.kind {
                    TimeoutKind::Propose => StepTimeout::Propose,
                    TimeoutKind::Prevote => StepTimeout::Prevote,
                    TimeoutKind::Precommit => StepTimeout::Precommit,
                    TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => return Ok(()),
                };
                WalEntry::Elapsed(Elapsed { step, round: codec::round_out(timeout.round) })
            }
            EngineInput::ProposedValue(value, _) => WalEntry::Judged(Judged {
                round: codec::round_out(value.round),
                block: value.value.0,
                valid: value.validity.is_valid(),
            }),
            other => return Err(Halted(format!("the library logs what cannot be replayed: {other:?}"))),
        };
        if self.memory.logged.is_empty() || !self.memory.logged.contains(&entry.encode()) {
            self.out.log(entry);
        }
        Ok(())
    }

    fn decided(
        &mut self,
        certificate: CommitCertificate,
        evidence: &MisbehaviorEvidence<Hospes>,
    ) -> Result<(), Halted> {
        // Whatever the library concluded, what leaves here holds by our own rule.
        self.verifier.commit(&certificate).map_err(|r| Halted(format!("own certificate: {r}")))?;
        self.memory.decided = true;
        let evidence = evidence_out(&self.network, evidence);
        self.memory.decision = Some(Decision { certificate, evidence });
        Ok(())
    }
}

/// The library's evidence as what travels in blocks.
pub(super) fn evidence_out(network: &NetworkId, evidence: &MisbehaviorEvidence<Hospes>) -> Evidence {
    let votes = evidence.votes.iter().flat_map(|(_, pairs)| pairs);
    let proposals = evidence.proposals.iter().flat_map(|(_, pairs)| pairs);
    Evidence {
        votes: votes.map(|(a, b)| (codec::vote_out(network, a), codec::vote_out(network, b))).collect(),
        proposals: proposals
            .map(|(a, b)| (codec::proposal_out(network, a), codec::proposal_out(network, b)))
            .collect(),
    }
}

/// A timeout as it is replayed.
pub(super) fn elapsed_in(elapsed: &Elapsed) -> malachite_core_types::Timeout {
    let kind = match elapsed.step {
        StepTimeout::Propose => TimeoutKind::Propose,
        StepTimeout::Prevote => TimeoutKind::Prevote,
        StepTimeout::Precommit => TimeoutKind::Precommit,
    };
    malachite_core_types::Timeout::new(codec::round_in(elapsed.round), kind)
}

// `verify` said why; the library only wants to hear that it does not hold.
fn no_quorum() -> CertificateError<Hospes> {
    CertificateError::NotEnoughVotingPower { signed: 0, total: 0, expected: 0 }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}
