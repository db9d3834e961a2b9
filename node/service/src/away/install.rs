//! From parts to a state: assembled, compared with the block that names it, and installed in one transaction.
//!
//! Afterwards memory is read again from the stores, as after a start: what the node had under way at its old height
//! is over.

use hospes_protocol::accumulator::LockTree;
use hospes_protocol::block::Block;
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::entry::Kind;
use hospes_protocol::limits::STATE_BYTES_MAX;
use hospes_protocol::state::{LedgerState, StateSnapshot};
use hospes_protocol::wire::{Wire, items_within};
use hospes_storage::{Head, Installation, RecentBlock};

use super::approach::{Plan, part_key};
use super::serve::state_parts;
use crate::effects::Event;
use crate::messages::Part;
use crate::service::{Fatal, Service};

/// Data items of a state: some 15 for each of 100,000 people.
const STATE_ITEMS_MAX: usize = 2 * 1024 * 1024;

impl Service {
    /// The state of an offer without its locks, out of the parts that are here.
    pub(super) fn assemble(&self, plan: &Plan) -> Result<Result<LedgerState, Rejected>, Fatal> {
        let mut bytes = Vec::new();
        for part in 0..state_parts(plan.offer.state_bytes) {
            match self.part(part)? {
                Some(Part::State(more)) => bytes.extend_from_slice(&more),
                _ => return Ok(Err(Check::ObjectMissing.into())),
            }
        }
        // Before it is verified it takes a few times its bytes in memory, and not a hundred times.
        if !items_within(&bytes, STATE_ITEMS_MAX) {
            return Ok(Err(Check::TooLarge.into()));
        }
        let read = StateSnapshot::decode_within(&bytes, STATE_BYTES_MAX);
        Ok(read.and_then(|state| state.stands_on(&plan.block, &plan.set, &plan.offer.locks)))
    }

    fn part(&self, part: u64) -> Result<Option<Part>, Fatal> {
        let bytes = self.objects.sealed(&part_key(part))?;
        bytes.map(|b| Part::decode(&b)).transpose().map_err(Fatal::Contradiction)
    }

    /// Goes on from a verified state.
    pub(super) fn install(&mut self, plan: &Plan, mut state: LedgerState) -> Result<(), Fatal> {
        let (locks, tree) = self.locks_of(plan)?;
        state.locks = tree;
        let whole = ensure(state.root() == plan.block.state_root, Check::StateRoot);
        whole.map_err(Fatal::Contradiction)?;
        let head =
            |(node, (sequence, id)): (&_, &(u64, _))| Head { node: *node, sequence: *sequence, id: *id };
        let before = self.standing_nodes();
        self.look_for_own_sequence(&state)?;
        self.ledger.install(&Installation {
            height: state.height,
            hash: state.block,
            block: plan.offer.item.block.0.clone(),
            certificate: plan.offer.item.certificate.clone(),
            state: state.encode_snapshot(),
            locks,
            range: state.range.places(),
            heads: state.frontiers.iter().map(head).collect(),
            recent: self.recent_of(plan)?,
        })?;
        self.forget_parts()?;
        self.settled_at(state.height)?;
        self.begin_anew()?;
        self.event(Event::BlockCommitted { height: state.height, headers: 0 });
        let left = before.difference(&self.standing_nodes()).copied().collect();
        self.event(Event::MembershipChanged { left });
        Ok(())
    }

    fn locks_of(&self, plan: &Plan) -> Result<(Vec<hospes_protocol::ids::Lock>, LockTree), Fatal> {
        let (mut locks, mut tree) = (Vec::new(), LockTree::default());
        let states = state_parts(plan.offer.state_bytes);
        for part in states..states + (1 << plan.offer.lock_bits) {
            let Some(Part::Locks(part)) = self.part(part)? else { continue };
            part.locks.iter().for_each(|lock| tree.close(lock));
            locks.extend(part.locks);
        }
        Ok((locks, tree))
    }

    fn recent_of(&self, plan: &Plan) -> Result<Vec<RecentBlock>, Fatal> {
        let (mut above, mut recent) = (plan.block.clone(), Vec::new());
        for bytes in &plan.offer.recent {
            let block = Block::read(bytes, &self.network).map_err(Fatal::Contradiction)?;
            let Some(certificate) = above.last_commit.clone() else { break };
            let (height, hash) = (block.height, certificate.block);
            recent.push(RecentBlock { height, hash, block: bytes.0.clone(), certificate });
            above = block;
        }
        Ok(recent)
    }

    /// Forgets what was under way at the old height, and goes on as after a start.
    fn begin_anew(&mut self) -> Result<(), Fatal> {
        self.cancel_running()?;
        self.engine = None;
        self.steps.clear();
        self.candidates.clear();
        self.early.clear();
        self.equivocations.clear();
        self.read_again()?;
        self.on_control_final(Kind::Organization.code())?;
        self.take_up()?;
        let peers: Vec<_> = self.peers.keys().copied().collect();
        peers.into_iter().try_for_each(|peer| self.greet(peer))
    }
}
