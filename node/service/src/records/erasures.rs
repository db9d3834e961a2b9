//! How far erasures are, as desk and API show them.

use std::collections::BTreeMap;

use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NodeId, PatientId};
use hospes_protocol::personal::ErasureEntry;
use hospes_protocol::policy::{LockState, Personal, View as _};

use super::erasing::{HOLDERS, Holder, WAITING};
use super::index;
use super::query::{EntryState, Finality};
use crate::service::{Fatal, Service};

/// Where an erasure stands at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasurePhase {
    /// Until its time it can be taken back.
    Ordered,
    /// It was taken back, or has no effect.
    Withdrawn,
    /// Its time has come, and this node destroys.
    Erasing,
    /// This node has destroyed what it had.
    Erased,
}

/// An erasure, as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its content.
    pub content: ContentId,
    /// What it says.
    pub entry: ErasureEntry,
    /// How far the entry is.
    pub state: EntryState,
    /// Where it stands here.
    pub phase: ErasurePhase,
    /// Nodes known here that have, or had, something of it.
    pub holders: usize,
    /// Those of them that destroyed it, with when, in milliseconds since 1970 UTC.
    pub done: BTreeMap<NodeId, u64>,
    /// Objects and bodies that this node destroyed.
    pub objects: u64,
}

impl Service {
    /// Erasures that are known here, in the order of arrival.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn erasures(&self) -> Result<Vec<Erasure>, Fatal> {
        let mut list = Vec::new();
        loop {
            let page = self.objects.bodies(None, Some(Kind::Erasure.code()), list.len(), index::PAGE)?;
            let full = page.len() == index::PAGE;
            for content in page {
                list.extend(self.erasure(&content)?);
            }
            if !full {
                return Ok(list);
            }
        }
    }

    /// One erasure, if it is known here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn erasure(&self, content: &ContentId) -> Result<Option<Erasure>, Fatal> {
        let (Some((_, Personal::Erasure(entry))), Some(state)) =
            (self.entry(content)?, self.entry_state(content)?)
        else {
            return Ok(None);
        };
        let carried_out = self.carried_out(content)?;
        let phase = match carried_out {
            Some((true, _)) => ErasurePhase::Erased,
            Some((false, _)) => ErasurePhase::Erasing,
            None if self.is_taken_back(content, &state)? => ErasurePhase::Withdrawn,
            None => ErasurePhase::Ordered,
        };
        let mut holders = match carried_out {
            Some(_) => BTreeMap::new(),
            None => self.holders_before(&entry)?,
        };
        index::each(&*self.objects, HOLDERS, Some(&content.0), |row| {
            holders.insert(NodeId(index::id32(&row.key.item)?), index::value::<Holder>(row)?);
            Ok(true)
        })?;
        let done = holders.iter().filter(|(_, h)| h.at != 0).map(|(node, h)| (*node, h.at)).collect();
        let objects = carried_out.map_or(0, |(_, ended)| ended.objects);
        Ok(Some(Erasure { content: *content, entry, state, phase, holders: holders.len(), done, objects }))
    }

    fn is_taken_back(&self, content: &ContentId, state: &EntryState) -> Result<bool, Fatal> {
        if matches!(state.finality, Finality::Void(_)) {
            return Ok(true);
        }
        let lock = index::facts(&*self.objects, content)?.and_then(|facts| facts.lock);
        Ok(lock.is_some_and(|lock| self.view().lock(&lock) != Ok(LockState::Open)))
    }

    /// Erasures of a patient that were not carried out here.
    pub(super) fn waiting_erasures(&self, patient: &PatientId) -> Result<Vec<ContentId>, Fatal> {
        let mut found = Vec::new();
        index::each(&*self.objects, WAITING, None, |row| {
            if index::value::<PatientId>(row)? == *patient {
                found.push(index::content_of(row)?);
            }
            Ok(true)
        })?;
        Ok(found)
    }
}
