//! Healing: a blob of which a part is damaged or missing here is fetched again, from any holder but this node.
//!
//! A damaged part is dropped first, so that it counts as missing; a transfer goes on from the first part that is
//! missing, and every part is judged by its hash as in any transfer. Reading and serving call this when they meet
//! damage, and whoever reads waits for it. What is damaged, and how often it was, is kept for `status`.

use std::collections::BTreeSet;

use hospes_protocol::ids::{ContentId, ObjectId};
use hospes_protocol::wire::Wire;
use hospes_storage::{Fetch, Write};

use super::blob;
use super::fetch::FetchNote;
use crate::service::{Fatal, Service};

/// Blobs whose damage is remembered; beyond it damage is healed and counted all the same.
const NAMED_MAX: usize = 100;

/// How far a blob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Healing {
    /// All of it is here.
    Whole,
    /// It is on its way; so many parts have come so far.
    Coming(u64),
    /// No other holder is in reach now.
    Nobody,
}

/// What was found damaged since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Parts of blobs that were found damaged.
    pub found: u64,
    /// Blobs that were made whole again by another holder's copy.
    pub repaired: u64,
    /// Blobs that are not whole yet, by root.
    pub open: BTreeSet<ObjectId>,
}

impl Service {
    /// What was found damaged.
    #[must_use]
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// A part of a blob is damaged, or, where none is named, missing: fetches it from another holder.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn heal(
        &mut self,
        root: &ObjectId,
        record: Option<ContentId>,
        damaged: Option<ObjectId>,
    ) -> Result<Healing, Fatal> {
        let begun = self.writing(|service| service.begin_healing(root, record, damaged))?;
        begun.map_or(Ok(Healing::Nobody), |()| self.healing(root))
    }

    fn begin_healing(
        &mut self,
        root: &ObjectId,
        record: Option<ContentId>,
        damaged: Option<ObjectId>,
    ) -> Result<(), Fatal> {
        let mut writes = vec![blob::not_held(root)];
        if let Some(part) = damaged {
            self.damage.found += 1;
            if self.damage.open.len() < NAMED_MAX {
                self.damage.open.insert(*root);
            }
            writes.push(Write::DropObject(part));
        }
        let entitled = !self.objects.orders(root)?.is_empty() || self.guest(root)?.is_some();
        if entitled && self.running_of(root)?.is_none() {
            // Somebody waits at the screen.
            let note = FetchNote { rank: 0, record };
            writes.push(Write::Fetch(Fetch {
                object: *root,
                due: self.now,
                attempts: 0,
                note: note.encode(),
            }));
        }
        self.write(&writes)?;
        self.start_fetches()
    }

    /// How far a blob is that is being healed.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn healing(&self, root: &ObjectId) -> Result<Healing, Fatal> {
        if blob::held(&*self.objects, root)?.is_some() {
            return Ok(Healing::Whole);
        }
        if let Some(running) = self.running_of(root)? {
            return Ok(Healing::Coming(running.have + running.frames));
        }
        let Some(fetch) = self.objects.fetch(root)? else { return Ok(Healing::Nobody) };
        let note = FetchNote::decode(&fetch.note).map_err(Fatal::Contradiction)?;
        let source = self.source(root, note.record.as_ref(), fetch.attempts)?;
        Ok(source.map_or(Healing::Nobody, |_| Healing::Coming(0)))
    }

    /// A blob is whole here.
    pub(super) fn healed(&mut self, root: &ObjectId) {
        if self.damage.open.remove(root) {
            self.damage.repaired += 1;
        }
    }
}
