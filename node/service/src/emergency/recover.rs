//! Notices that lost cards are replaced: how far each is, and whether it was contested.
//!
//! A contest acts on sight: nothing is handed over once the value that closes the notice's lock was seen, final or not.

use hospes_protocol::block::Block;
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::policy::{Known, LockState, Personal, View as _};
use hospes_protocol::recovery::RecoveryEntry;

use crate::service::{Fatal, Service};

/// A notice, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The notice.
    pub id: ContentId,
    /// What it says.
    pub entry: RecoveryEntry,
    /// From when on it may be released, in milliseconds since 1970 UTC by certified time; null until it is final.
    pub due: Option<u64>,
    /// Whether somebody contested it.
    pub contested: bool,
    /// Whether the newest certified block is beyond its delay.
    pub waited: bool,
}

impl Service {
    /// The certified time of the block at a height, as far as that block is here.
    pub(crate) fn block_time(&self, height: u64) -> Result<Option<u64>, Fatal> {
        if height == self.state.height {
            return Ok(Some(self.state.time));
        }
        let Some((bytes, _)) = self.ledger.block(height)? else { return Ok(None) };
        Ok(Some(Block::read(&bytes, &self.network).map_err(Fatal::Contradiction)?.time))
    }

    /// A notice that has effect.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn recovery(&self, id: &ContentId) -> Result<Option<Recovery>, Fatal> {
        let Some(known) = self.known_entry(id)? else { return Ok(None) };
        let Personal::Recovery(entry) = &known.entry else { return Ok(None) };
        let entry = (**entry).clone();
        let noticed = known.height.map(|height| self.block_time(height)).transpose()?.flatten();
        let due = noticed.map(|at| at.saturating_add(entry.delay_ms));
        let waited = due.is_some_and(|due| due <= self.state.time);
        Ok(Some(Recovery { id: *id, entry, due, contested: self.is_closed(&known), waited }))
    }

    /// Every notice of a patient that has effect.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn recoveries(&self, patient: &PatientId) -> Result<Vec<Recovery>, Fatal> {
        let mut found = Vec::new();
        for id in self.contents_of(patient, Kind::Recovery.code())? {
            found.extend(self.recovery(&id)?);
        }
        Ok(found)
    }

    /// The notice that a request for the way back stands on; null for a request of another tier.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn notice_of(&self, request: &ContentId) -> Result<Option<Known<Personal>>, Fatal> {
        let Some((content, _)) = self.entry(request)? else { return Ok(None) };
        for on in content.stands_on {
            if let Some(known) = self.known_entry(&on)?.filter(|known| known.entry.kind() == Kind::Recovery) {
                return Ok(Some(known));
            }
        }
        Ok(None)
    }

    /// What the release of a request stands on: the request, and the notice where it is for a lost card.
    pub(super) fn release_stands_on(&self, request: &ContentId) -> Result<Vec<ContentId>, Fatal> {
        let mut on = vec![*request];
        on.extend(self.notice_of(request)?.map(|known| known.id));
        on.sort_unstable();
        Ok(on)
    }

    /// Whether the notice that a request stands on was contested.
    pub(super) fn is_contested(&self, request: &ContentId) -> Result<bool, Fatal> {
        Ok(self.notice_of(request)?.is_some_and(|known| self.is_closed(&known)))
    }

    // What can't be read counts as contested: nothing is given on a doubt.
    fn is_closed(&self, known: &Known<Personal>) -> bool {
        known.lock.is_none_or(|lock| self.view().lock(&lock) != Ok(LockState::Open))
    }
}
