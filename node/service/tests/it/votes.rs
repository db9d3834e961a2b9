//! What validators sign, watched on the wire: nobody signs two things for one height, round and kind.

use std::collections::BTreeMap;

use hospes_protocol::ids::{BlockHash, NodeId};
use hospes_protocol::wire::Wire;
use hospes_service::consensus::ConsensusMessage;
use hospes_service::messages::Channel;

/// Kind (1 prevote, 2 precommit, 3 proposal), who, height, round.
type Key = (u64, NodeId, u64, u64);

/// Everything that was signed, and what was signed twice.
#[derive(Default)]
pub(crate) struct Votes {
    signed: BTreeMap<Key, Option<BlockHash>>,
    pub(crate) violations: Vec<String>,
}

impl Votes {
    /// A message on the validators' channel.
    pub(crate) fn says(&mut self, bytes: &[u8]) {
        let Ok(Channel::Engine(message)) = Channel::decode(bytes) else { return };
        let (key, block) = match ConsensusMessage::decode(&message).unwrap() {
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
        let before = *self.signed.entry(key).or_insert(block);
        if before != block {
            self.violations.push(format!("{key:?}: {before:?} and {block:?}"));
        }
    }

    /// How much was signed.
    pub(crate) fn len(&self) -> usize {
        self.signed.len()
    }
}
