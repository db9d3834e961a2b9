//! What a process remembers of the cards it has seen, so that an older copy of a file wins no tries.
//!
//! In memory only: a copy that is put back while no process looks is not noticed, and nothing can notice it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hospes_protocol::keys::KeyError;

use crate::info::CardSerial;

/// Cards remembered by one reader; beyond it the first by number is forgotten.
const REMEMBERED_MAX: usize = 65_536;

#[derive(Clone, Copy, Default)]
struct Seen {
    revision: u64,
    removals: u64,
}

/// Shared by a reader and the handles it gave out.
#[derive(Clone, Default)]
pub(super) struct Watch(Arc<Mutex<BTreeMap<CardSerial, Seen>>>);

impl Watch {
    // Each change is one assignment, so a panic elsewhere leaves the map whole.
    fn map(&self) -> MutexGuard<'_, BTreeMap<CardSerial, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the revision of a card that was read.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if a newer one was seen before.
    pub(super) fn saw(&self, serial: CardSerial, revision: u64) -> Result<(), KeyError> {
        let mut map = self.map();
        if map.len() >= REMEMBERED_MAX && !map.contains_key(&serial) {
            map.pop_first();
        }
        let seen = map.entry(serial).or_default();
        if revision < seen.revision {
            return Err(KeyError::Failed("an older copy of this card file is in its place".to_owned()));
        }
        seen.revision = revision;
        Ok(())
    }

    /// Notes that a card was pulled: PIN sessions begun before are over.
    pub(super) fn removed(&self, serial: CardSerial) {
        if let Some(seen) = self.map().get_mut(&serial) {
            seen.removals = seen.removals.wrapping_add(1);
        }
    }

    /// How often it was pulled.
    pub(super) fn removals(&self, serial: CardSerial) -> u64 {
        self.map().get(&serial).map_or(0, |s| s.removals)
    }
}
