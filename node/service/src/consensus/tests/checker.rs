//! What must hold in every run: one block per height, certificates that verify, and no validator whose key
//! signs two different things for one height, round and kind. Violations are collected, so that a run that
//! is built to violate can show that they are seen.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::block::{CommitCertificate, ValidatorSet};
use hospes_protocol::ids::{BlockHash, NodeId};
use hospes_protocol::wire::Wire;

use super::keys::NET;
use crate::consensus::ConsensusMessage;

/// Kind (1 prevote, 2 precommit, 3 proposal), validator, height, round.
type Key = (u64, NodeId, u64, u64);

/// Watches everything that is said and decided.
#[derive(Default)]
pub(super) struct Checker {
    decided: BTreeMap<u64, BlockHash>,
    signed: BTreeMap<Key, Option<BlockHash>>,
    /// Keys that are meant to equivocate.
    pub(super) excused: BTreeSet<NodeId>,
    pub(super) violations: Vec<String>,
}

impl Checker {
    /// A validator decided or followed a height.
    pub(super) fn decides(&mut self, set: &ValidatorSet, certificate: &CommitCertificate) {
        if let Err(rejected) = certificate.verify(&NET, set) {
            self.violations.push(format!("certificate of {}: {rejected}", certificate.height));
        }
        let before = *self.decided.entry(certificate.height).or_insert(certificate.block);
        if before != certificate.block {
            self.violations.push(format!("two blocks at height {}", certificate.height));
        }
    }

    /// A validator says something.
    pub(super) fn says(&mut self, from: NodeId, bytes: &[u8]) {
        let message = ConsensusMessage::decode(bytes).expect("what a driver says is well formed");
        let (key, block) = match message {
            ConsensusMessage::Vote(v) => {
                let vote = v.vote;
                ((vote.kind.code(), vote.validator, vote.height, vote.round), vote.block)
            }
            ConsensusMessage::Proposal(p) => {
                let p = p.proposal;
                ((3, p.proposer, p.height, p.round), Some(p.block))
            }
            ConsensusMessage::Polka(_) | ConsensusMessage::Round(_) => return,
        };
        if key.1 != from || self.excused.contains(&from) {
            return;
        }
        let before = *self.signed.entry(key).or_insert(block);
        if before != block {
            self.violations.push(format!("{from} equivocates: {key:?} {before:?} {block:?}"));
        }
    }
}
