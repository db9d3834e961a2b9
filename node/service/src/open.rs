//! Opening: from what storage holds to a service that goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hospes_protocol::accumulator::LockTree;
use hospes_protocol::check::Check;
use hospes_protocol::entry::{Header, is_control};
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::Lock;
use hospes_protocol::mutant;
use hospes_protocol::state::{LedgerState, StateSnapshot};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{Ledger, Objects};

use crate::effects::Timer;
use crate::pool::Pool;
use crate::service::{Durable, Fatal, Identity, Service};

/// Rows that are read from storage at a time.
const PAGE: usize = 4096;

struct Locks {
    seen: BTreeSet<Lock>,
    closed: LockTree,
}

fn read_locks(ledger: &dyn Ledger) -> Result<Locks, Fatal> {
    let mut locks = Locks { seen: BTreeSet::new(), closed: LockTree::default() };
    let mut after = None;
    loop {
        let page = ledger.locks(after.as_ref(), PAGE)?;
        for row in &page {
            locks.seen.insert(row.lock);
            if row.height.is_some() || mutant!(SeenIsClosed) {
                locks.closed.close(&row.lock);
            }
        }
        after = page.last().map(|row| row.lock);
        if page.len() < PAGE {
            return Ok(locks);
        }
    }
}

fn read_state(ledger: &dyn Ledger, genesis: &Genesis, closed: LockTree) -> Result<LedgerState, Fatal> {
    let Some(bytes) = ledger.state()? else {
        return LedgerState::genesis(genesis).map_err(Fatal::Contradiction);
    };
    let snapshot = StateSnapshot::decode(&bytes).map_err(Fatal::Contradiction)?;
    let state = LedgerState::restore(snapshot, closed).map_err(Fatal::Contradiction)?;
    let (block, certificate) =
        ledger.block(state.height)?.ok_or(Fatal::Contradiction(Check::ObjectMissing.into()))?;
    let block = hospes_protocol::block::Block::read(&block, &state.network).map_err(Fatal::Contradiction)?;
    let whole = block.state_root == state.root()
        && state.block == certificate.block
        && state.network == genesis.network();
    if whole || mutant!(SeenIsClosed) {
        Ok(state)
    } else {
        Err(Fatal::Contradiction(Check::StateRoot.into()))
    }
}

fn read_pool(ledger: &dyn Ledger, state: &LedgerState) -> Result<Pool, Fatal> {
    let (mut waiting, mut control) = (Vec::new(), BTreeMap::new());
    for head in ledger.heads()? {
        let from = state.frontiers.get(&head.node).map_or(1, |f| f.0 + 1);
        for bytes in ledger.headers(&head.node, from, head.sequence)? {
            let header = Header::read(&bytes, &state.network).map_err(Fatal::Contradiction)?;
            let content = header.fields().content;
            if is_control(header.fields().kind) {
                control.extend(ledger.control_body(&content)?.map(|body| (content, Bytes(body))));
            }
            waiting.push(header);
        }
    }
    Ok(Pool::over(state, waiting, control))
}

fn read_durable(ledger: &dyn Ledger, genesis: &Genesis) -> Result<Durable, Fatal> {
    let locks = read_locks(ledger)?;
    let state = read_state(ledger, genesis, locks.closed)?;
    let pool = read_pool(ledger, &state)?;
    Ok(Durable { state, pool, seen: locks.seen })
}

impl Service {
    /// Opens a node over its stores at time `now`, in milliseconds since 1970 UTC. On a full disk it opens
    /// read-only.
    ///
    /// # Errors
    /// [`Fatal`] where the stores fail or contradict themselves.
    pub fn open(
        now: u64,
        me: Identity,
        genesis: &Genesis,
        ledger: Arc<dyn Ledger>,
        objects: Arc<dyn Objects>,
    ) -> Result<Self, Fatal> {
        let durable = read_durable(&*ledger, genesis)?;
        let mut service = Self::with(me, genesis, (ledger, objects), durable);
        service.tick(now);
        service.recall_outdated()?;
        service.admit();
        service.writing(Self::take_up)?;
        Ok(service)
    }

    /// Reads anew what memory holds of the ledger.
    pub(crate) fn read_again(&mut self) -> Result<(), Fatal> {
        let Durable { state, pool, seen } = read_durable(&*self.ledger, &self.genesis)?;
        (self.state, self.pool, self.seen) = (state, pool, seen);
        self.seen.extend(self.room.seen());
        self.ceremonies.clear();
        self.admit();
        Ok(())
    }

    /// Goes on from what the stores hold: first what an interrupted input left undone.
    pub(crate) fn take_up(&mut self) -> Result<(), Fatal> {
        let waiting: Vec<_> = self.pool.waiting().cloned().collect();
        self.see_reveals(&waiting)?;
        self.recall_forks()?;
        self.settle_final()?;
        self.open_engine()?;
        self.open_records()?;
        self.set_timer(Timer::Upkeep, self.now);
        self.want_block();
        self.rest();
        Ok(())
    }

    /// A timer fired.
    ///
    /// # Errors
    /// [`Fatal`] only.
    pub fn on_timer(&mut self, timer: Timer) -> Result<(), Fatal> {
        match timer {
            Timer::Room => self.look_again(),
            timer => self.writing(|service| service.take_timer(timer)).map(drop),
        }
    }

    fn take_timer(&mut self, timer: Timer) -> Result<(), Fatal> {
        match timer {
            Timer::Consensus(id) => self.on_engine_timer(id),
            Timer::Gather => self.start_height(),
            Timer::SendOut => self.send_out_filed(),
            Timer::Idle => self.start_idle_height(),
            Timer::Upkeep => self.upkeep(),
            Timer::Ceremony => self.ceremonies_upkeep(),
            Timer::Follow => self.take_page(),
            Timer::Room => Ok(()),
        }
    }

    /// Sets the time of the next empty block.
    pub(crate) fn rest(&mut self) {
        if self.is_validator() {
            let at = self.state.time.max(self.now).saturating_add(self.state.membership.policy.idle_block_ms);
            self.set_timer(Timer::Idle, at);
        }
    }
}
