//! What is done with messages of other heights: the next one's wait here, a past one's are answered, and
//! someone who is far ahead is reported. Everything is bounded per peer.

use std::collections::{BTreeMap, VecDeque};

use hospes_protocol::block::ValidatorSet;
use hospes_protocol::ids::NodeId;

use super::Effect;
use super::config::ConsensusConfig;
use super::messages::ConsensusMessage;
use super::outbox::Outbox;

/// Messages of the next height that wait, per peer: five rounds of it. The oldest goes first, because its
/// sender is past it.
pub(super) const WAITING_PER_PEER: usize = 16;

/// Messages of other heights, and when their senders were last answered.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waiting: BTreeMap<NodeId, VecDeque<ConsensusMessage>>,
    answered: BTreeMap<NodeId, u64>,
    reported: BTreeMap<NodeId, u64>,
}

impl Gate {
    /// Keeps a verified vote or proposal of the next height. Certificates aren't kept: they are large, and
    /// come again.
    pub(super) fn keep(&mut self, from: NodeId, message: ConsensusMessage) {
        if matches!(message, ConsensusMessage::Polka(_) | ConsensusMessage::Round(_)) {
            return;
        }
        let waiting = self.waiting.entry(from).or_default();
        if waiting.contains(&message) {
            return;
        }
        if waiting.len() >= WAITING_PER_PEER {
            waiting.pop_front();
        }
        waiting.push_back(message);
    }

    /// A message of the height that was decided last, or of an older one: its sender lacks what was decided.
    pub(super) fn stale(
        &mut self,
        (from, height): (NodeId, u64),
        (now, last_entered): (u64, u64),
        current: u64,
        config: &ConsensusConfig,
        out: &mut Outbox,
    ) {
        let merely_late = height + 1 == current && now < last_entered.saturating_add(config.stale_grace_ms);
        if height > 0 && !merely_late && due(&mut self.answered, from, now, config.answer_ms) {
            out.push(Effect::SendDecided { to: from, height });
        }
    }

    /// A verified message of a later height: this node is behind.
    pub(super) fn ahead(
        &mut self,
        (peer, height): (NodeId, u64),
        now: u64,
        config: &ConsensusConfig,
        out: &mut Outbox,
    ) {
        if due(&mut self.reported, peer, now, config.answer_ms) {
            out.push(Effect::Behind { peer, height });
        }
    }

    /// Enters a height: takes what waited for it and forgets whoever is no validator any more.
    pub(super) fn enter(&mut self, height: u64, set: &ValidatorSet) -> Vec<(NodeId, ConsensusMessage)> {
        let stays = |node: &NodeId| set.get(node).is_some();
        self.answered.retain(|n, _| stays(n));
        self.reported.retain(|n, _| stays(n));
        let waiting = std::mem::take(&mut self.waiting);
        let all = waiting.into_iter().flat_map(|(n, q)| q.into_iter().map(move |m| (n, m)));
        all.filter(|(n, m)| stays(n) && m.place().0 == height).collect()
    }

    /// How many messages wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }
}

fn due(last: &mut BTreeMap<NodeId, u64>, peer: NodeId, now: u64, every_ms: u64) -> bool {
    let due = last.get(&peer).is_none_or(|at| now >= at.saturating_add(every_ms));
    if due {
        last.insert(peer, now);
    }
    due
}
