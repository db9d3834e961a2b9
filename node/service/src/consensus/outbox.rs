//! The effects of one input, with what must be durable before them.
//!
//! WAL entries wait until something is published, since until then nobody can have seen what rests on them:
//! a vote of another costs no sync of its own. Then all that wait go first, in one commit.

use hospes_protocol::wire::Wire;

use super::Effect;
use super::messages::ConsensusMessage;
use super::wal::WalEntry;

/// Entries that may wait; more are made durable without need, to bound memory.
const WAITING_MAX: usize = 256;

/// Effects under way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    effects: Vec<Effect>,
    waiting: Vec<WalEntry>,
    published: bool,
}

impl Outbox {
    /// An effect that tells nobody what we hold.
    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// A row of the WAL.
    pub(super) fn log(&mut self, entry: WalEntry) {
        self.waiting.push(entry);
    }

    /// To every other validator.
    pub(super) fn publish(&mut self, message: &ConsensusMessage) {
        self.published = true;
        self.effects.push(Effect::Publish(message.encode()));
    }

    /// To one validator.
    pub(super) fn send(&mut self, to: hospes_protocol::ids::NodeId, message: &ConsensusMessage) {
        self.published = true;
        self.effects.push(Effect::Send { to, bytes: message.encode() });
    }

    /// The height is over: its WAL is forgotten with the commit, so rows that nothing rests on are dropped.
    pub(super) fn forget_unpublished(&mut self) {
        if !self.published {
            self.waiting.clear();
        }
    }

    /// Another height begins: nobody can have seen what the waiting rows led to.
    pub(super) fn forget_log(&mut self) {
        self.waiting.clear();
    }

    /// What is to be done, the WAL first.
    pub(super) fn take(&mut self, height: u64) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        if (self.published || self.waiting.len() > WAITING_MAX) && !self.waiting.is_empty() {
            effects.insert(0, Effect::Persist { height, entries: std::mem::take(&mut self.waiting) });
        }
        self.published = false;
        effects
    }

    /// Drops everything: the engine halted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
