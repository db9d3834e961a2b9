//! Room on the disk: without it the service is read-only, says so, and comes back by itself.
//!
//! ```text
//!           a write finds no room                   a timer fires, and all that is owed
//!                                                   to the store finds room
//! writing -------------------------> read-only --------------------------------------> writing
//!                                     ^     | a timer fires, and there is still none:
//!                                     +-----+ it fires again later
//! ```
//!
//! - **Writing**: everything else in this crate.
//! - **Read-only**: files nothing, votes nothing, takes nothing from peers. What peers ask and people look up is
//!   answered from what is stored. A reveal that comes by still closes its lock, in memory, so that a reading
//!   that has begun ends. The timer bounds the wait between two attempts.
//!
//! A full disk is a crash that the process survives: whatever the input at hand had in memory is forgotten and
//! read again from the store, as after losing power, and what it wrote that is not durable is taken back. So memory is never ahead of what is durable, whichever of
//! an input's writes failed, and one way of recovering serves both.

use std::collections::BTreeSet;

use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::entry::Header;
use hospes_protocol::ids::{Lock, NodeId, Reveal};
use hospes_protocol::mutant;
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow, Write};

use crate::effects::{Event, Timer};
use crate::messages::{Answer, Gossip, Request};
use crate::records::queue::pause_ms;
use crate::service::{Fatal, Service};

/// Bytes that must fit into each database before it counts as writable again: leaving on the first free page
/// would only mean to come back.
const PROBE_BYTES: usize = 128 * 1024;
/// Who was read-only so short a time ago goes on with the pauses of that time, in milliseconds.
const CALM_MS: u64 = 60_000;
/// Locks that are closed in memory alone; the headers that close them come again from any peer.
const LOCKS_MAX: usize = 65_536;
/// Where the attempt writes.
const PROBE: &str = "room";

/// Whether there is room, and what is remembered while there is none.
#[derive(Default)]
pub(crate) struct Room {
    /// Since when there is none, in milliseconds since 1970 UTC; null while there is.
    full_since: Option<u64>,
    /// Attempts to write again.
    attempts: u64,
    /// When there was room again, last.
    left: u64,
    /// Locks whose reveal was seen meanwhile.
    seen: BTreeSet<Lock>,
}

impl Room {
    /// Locks that were closed in memory alone.
    pub(crate) fn seen(&self) -> impl Iterator<Item = Lock> {
        self.seen.iter().copied()
    }
}

impl Fatal {
    /// Whether nothing failed but that the disk is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store(hospes_storage::StoreError::Full))
    }
}

impl Service {
    /// Since when the disk is full and the node read-only, in milliseconds since 1970 UTC; null while it writes.
    #[must_use]
    pub fn full_since(&self) -> Option<u64> {
        self.room.full_since
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.room.full_since.is_some()
    }

    /// Does what may write; null where there is no room for it, and then memory is as the store is.
    ///
    /// What it writes waits, and is durable before anything that it says leaves; of an input that fails for lack of
    /// room nothing is said.
    pub(crate) fn writing<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, Fatal>,
    ) -> Result<Option<T>, Fatal> {
        if self.is_read_only() {
            return Ok(None);
        }
        match self.gathered(run) {
            Err(fatal) if fatal.is_full() => self.enter_read_only().map(|()| None),
            done => {
                self.stir();
                done.map(Some)
            }
        }
    }

    /// Runs an input whose writes wait for one another. Those of one that says nothing wait for the next that does.
    pub(crate) fn gathered<T, E: From<Fatal>>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let said = self.said();
        self.ledger.gather(true);
        self.recall.turn(true);
        let done = run(self);
        self.recall.turn(false);
        self.ledger.gather(false);
        let settled = match &done {
            Ok(_) if !self.speaks_since(said) => Ok(()),
            _ => self.settle(),
        };
        match settled {
            Err(fatal) => {
                self.unsay(said);
                Err(fatal.into())
            }
            Ok(()) => done,
        }
    }

    /// Makes durable what waits.
    pub(crate) fn settle(&self) -> Result<(), Fatal> {
        if mutant!(SaidUnsettled) { Ok(()) } else { Ok(self.ledger.settle()?) }
    }

    /// Looks whether the disk is full, as when an upload found it so.
    ///
    /// # Errors
    /// [`Fatal`] for anything but a full disk.
    pub fn look_for_room(&mut self) -> Result<(), Fatal> {
        self.writing(|service| service.probe()).map(drop)
    }

    /// Forgets what is in memory alone.
    pub(crate) fn enter_read_only(&mut self) -> Result<(), Fatal> {
        if self.now.saturating_sub(self.room.left) > CALM_MS {
            self.room.attempts = 0;
        }
        self.room.full_since = Some(self.now);
        self.ledger.give_up();
        self.event(Event::DiskFull(true));
        self.engine = None;
        self.outgoing.clear();
        self.decided_by = None;
        self.steps.clear();
        self.candidates.clear();
        self.early.clear();
        self.recorded.clear();
        self.asked.clear();
        self.away.stop();
        self.try_again_later();
        // What can't even be read now is read before anything is written again.
        let forgotten = self.cancel_running().and_then(|()| self.read_again());
        forgotten.or_else(|e| if e.is_full() { Ok(()) } else { Err(e) })
    }

    fn try_again_later(&mut self) {
        let pause = pause_ms(self.room.attempts);
        self.room.attempts += 1;
        if !mutant!(RoomUnsought) {
            self.set_timer(Timer::Room, self.now + pause);
        }
    }

    /// The timer fired: writes again, if there is room.
    pub(crate) fn look_again(&mut self) -> Result<(), Fatal> {
        if !self.is_read_only() {
            return Ok(());
        }
        match self.leave_read_only() {
            Err(fatal) if fatal.is_full() => {
                self.try_again_later();
                Ok(())
            }
            done => done,
        }
    }

    fn leave_read_only(&mut self) -> Result<(), Fatal> {
        self.probe()?;
        let seen: Vec<_> = self.room.seen.iter().copied().collect();
        if !seen.is_empty() {
            self.ledger.see_locks(&seen)?;
        }
        self.read_again()?;
        let before = std::mem::take(&mut self.room);
        self.room = Room { attempts: before.attempts, left: self.now, ..Room::default() };
        let taken_up = self.writing(|service| {
            service.take_up()?;
            let peers: Vec<_> = service.peers.keys().copied().collect();
            peers.into_iter().try_for_each(|peer| service.greet(peer))
        })?;
        match taken_up {
            Some(()) => self.event(Event::DiskFull(false)),
            None => self.room.full_since = before.full_since,
        }
        Ok(())
    }

    fn probe(&self) -> Result<(), Fatal> {
        self.ledger.put_property(PROBE, &vec![0; PROBE_BYTES])?;
        self.ledger.settle()?;
        self.ledger.put_property(PROBE, &[])?;
        let key = SealedKey::new(PROBE, &[], 0, &[]);
        let row = SealedRow { key: key.clone(), patient: None, value: vec![0; PROBE_BYTES] };
        self.write(&[Write::Sealed(row)])?;
        self.ledger.settle()?;
        self.write(&[Write::DropSealed(key)])
    }

    /// What is still taken from gossip: reveals, in memory.
    pub(crate) fn note_reveals(&mut self, bytes: &[u8]) {
        let Ok(Gossip::Headers(items)) = Gossip::decode(bytes) else { return };
        for item in items {
            let Ok(header) = Header::read(&item.header, &self.network) else { continue };
            if header.fields().reveal.is_empty() || self.verify_header(&header).is_err() {
                continue;
            }
            for lock in header.fields().reveal.iter().map(Reveal::lock) {
                if self.room.seen.len() < LOCKS_MAX && self.seen.insert(lock) {
                    self.room.seen.insert(lock);
                    self.event(Event::LockClosed(lock));
                }
            }
        }
    }

    /// Answers what needs no write.
    pub(crate) fn answer_read_only(
        &mut self,
        from: NodeId,
        request: Request,
    ) -> Result<Result<Answer, Rejected>, Fatal> {
        match request {
            Request::Position(_) => Ok(Ok(Answer::Position(self.position()))),
            Request::Offer(_)
            | Request::Deliver(_)
            | Request::Orders(_)
            | Request::Receipts(_)
            | Request::Find(_)
            | Request::Shares(_) => Ok(Err(Check::DiskFull.into())),
            reading => self.answer(from, reading),
        }
    }
}
