//! Durable queues of what is owed to one peer: bodies, orders, receipts.
//!
//! Each item has its own time and back-off, so one that fails holds up nothing behind it. Asking moves an
//! item to a later time before the request leaves; an answer takes it out; silence leaves it for that time.
//! Retries have no end. Reads and writes rows only; what is asked is the callers' business.

use hospes_protocol::ids::NodeId;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{Objects, SealedKey, SealedRow, Write};

use crate::service::Fatal;

/// The first pause after an attempt, in milliseconds.
pub(crate) const PAUSE_MS: u64 = 1_000;
/// The longest, in milliseconds.
pub(crate) const PAUSE_MS_MAX: u64 = 60_000;
/// Items that a lost connection makes due again at once.
const HASTEN_MAX: usize = 4096;
/// Bits below the time in a row's order: they keep the order of arrival within a millisecond.
const ARRIVAL_BITS: u32 = 16;

wire_struct! {
    /// What a row says of its item.
    pub struct Owed {
        /// The item.
        pub item: Bytes,
        /// How often it was sent.
        pub attempts: u64,
        /// What goes with it.
        pub payload: Bytes,
    }
}

/// How long to wait after `attempts` attempts, in milliseconds.
pub(crate) fn pause_ms(attempts: u64) -> u64 {
    PAUSE_MS.saturating_mul(1 << attempts.min(16)).min(PAUSE_MS_MAX)
}

/// One kind of queue, by the space of its rows.
#[derive(Clone, Copy)]
pub(crate) struct Queue {
    space: &'static str,
    places: &'static str,
}

/// An item that is due.
pub(crate) struct Due {
    key: SealedKey,
    /// What the row says.
    pub(crate) owed: Owed,
}

impl Queue {
    /// Queues in `space`, with the place of each item in `places`.
    pub(crate) const fn new(space: &'static str, places: &'static str) -> Self {
        Self { space, places }
    }

    fn place(self, peer: &NodeId, item: &[u8]) -> SealedKey {
        SealedKey::new(self.places, &peer.0, 0, item)
    }

    fn row(self, peer: &NodeId, order: u64, owed: &Owed) -> [Write; 2] {
        let key = SealedKey::new(self.space, &peer.0, order, &owed.item);
        let row = SealedRow { key, patient: None, value: owed.encode() };
        let place = SealedRow { key: self.place(peer, &owed.item), patient: None, value: order.encode() };
        [Write::Sealed(row), Write::Sealed(place)]
    }

    fn order_of(self, objects: &dyn Objects, peer: &NodeId, item: &[u8]) -> Result<Option<u64>, Fatal> {
        let place = objects.sealed(&self.place(peer, item))?;
        place.map(|bytes| u64::decode(&bytes)).transpose().map_err(Fatal::Contradiction)
    }

    /// Whether an item waits.
    pub(crate) fn waits(self, objects: &dyn Objects, peer: &NodeId, item: &[u8]) -> Result<bool, Fatal> {
        Ok(self.order_of(objects, peer, item)?.is_some())
    }

    /// What waits under an item.
    pub(crate) fn owed(
        self,
        objects: &dyn Objects,
        peer: &NodeId,
        item: &[u8],
    ) -> Result<Option<Owed>, Fatal> {
        let Some(order) = self.order_of(objects, peer, item)? else { return Ok(None) };
        let row = objects.sealed(&SealedKey::new(self.space, &peer.0, order, item))?;
        row.map(|bytes| Owed::decode(&bytes)).transpose().map_err(Fatal::Contradiction)
    }

    /// Puts an item in, due at `due`; one that waits already is replaced. `arrival` orders items of one
    /// millisecond.
    pub(crate) fn put(
        self,
        objects: &dyn Objects,
        peer: &NodeId,
        owed: &Owed,
        (due, arrival): (u64, u64),
    ) -> Result<Vec<Write>, Fatal> {
        let mut writes = self.take(objects, peer, &owed.item)?;
        let order = (due << ARRIVAL_BITS) | (arrival & ((1 << ARRIVAL_BITS) - 1));
        writes.extend(self.row(peer, order, owed));
        Ok(writes)
    }

    /// Takes an item out.
    pub(crate) fn take(self, objects: &dyn Objects, peer: &NodeId, item: &[u8]) -> Result<Vec<Write>, Fatal> {
        let Some(order) = self.order_of(objects, peer, item)? else { return Ok(Vec::new()) };
        Ok(vec![
            Write::DropSealed(SealedKey::new(self.space, &peer.0, order, item)),
            Write::DropSealed(self.place(peer, item)),
        ])
    }

    /// Items due at `now`, the earliest first, at most `limit`.
    pub(crate) fn due(
        self,
        objects: &dyn Objects,
        peer: &NodeId,
        now: u64,
        limit: usize,
    ) -> Result<Vec<Due>, Fatal> {
        let mut due = Vec::new();
        for row in objects.sealed_rows(self.space, Some(&peer.0), None, limit)? {
            if row.key.order >> ARRIVAL_BITS > now {
                break;
            }
            let owed = Owed::decode(&row.value).map_err(Fatal::Contradiction)?;
            due.push(Due { key: row.key, owed });
        }
        Ok(due)
    }

    /// Moves an item that is being sent to the time of its next attempt.
    pub(crate) fn sent(self, peer: &NodeId, due: &Due, now: u64) -> Vec<Write> {
        let next = now + pause_ms(due.owed.attempts);
        let order = (next << ARRIVAL_BITS) | (due.key.order & ((1 << ARRIVAL_BITS) - 1));
        let owed = Owed { attempts: due.owed.attempts + 1, ..due.owed.clone() };
        let mut writes = vec![Write::DropSealed(due.key.clone())];
        writes.extend(self.row(peer, order, &owed));
        writes
    }

    /// Makes waiting items due at once, as after a lost connection.
    pub(crate) fn hasten(self, objects: &dyn Objects, peer: &NodeId, now: u64) -> Result<Vec<Write>, Fatal> {
        let mut writes = Vec::new();
        for row in objects.sealed_rows(self.space, Some(&peer.0), None, HASTEN_MAX)? {
            if row.key.order >> ARRIVAL_BITS <= now {
                continue;
            }
            let owed = Owed::decode(&row.value).map_err(Fatal::Contradiction)?;
            let order = (now << ARRIVAL_BITS) | (row.key.order & ((1 << ARRIVAL_BITS) - 1));
            writes.push(Write::DropSealed(row.key));
            writes.extend(self.row(peer, order, &Owed { attempts: 0, ..owed }));
        }
        Ok(writes)
    }
}
