//! The open requests and transfers of the caller: each ends exactly once.
//!
//! A result that comes after the end (of a task that was cancelled, of a connection that was cut) finds nothing
//! here and is dropped. Kept by `swarm`, once for requests and once for transfers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use libp2p::PeerId;
use tokio::task::AbortHandle;

use crate::api::CallError;

/// Open calls by the id that the caller chose.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<u64, Call>);

#[derive(Debug)]
struct Call {
    peer: PeerId,
    task: AbortHandle,
}

impl Calls {
    /// Opens a call with the task that `start` starts.
    ///
    /// # Errors
    /// [`CallError::IdInUse`], or what `start` says.
    pub(crate) fn open(
        &mut self,
        id: u64,
        peer: PeerId,
        start: impl FnOnce() -> Result<AbortHandle, CallError>,
    ) -> Result<(), CallError> {
        match self.0.entry(id) {
            Entry::Occupied(_) => Err(CallError::IdInUse),
            Entry::Vacant(entry) => {
                entry.insert(Call { peer, task: start()? });
                Ok(())
            }
        }
    }

    /// Whether the call with `peer` is open.
    pub(crate) fn is_open(&self, id: u64, peer: &PeerId) -> bool {
        self.0.get(&id).is_some_and(|call| call.peer == *peer)
    }

    /// Ends a call; false if it wasn't open.
    pub(crate) fn close(&mut self, id: u64) -> bool {
        self.0.remove(&id).inspect(|call| call.task.abort()).is_some()
    }

    /// Ends all calls with `peer`; returns their ids.
    pub(crate) fn close_all(&mut self, peer: &PeerId) -> Vec<u64> {
        let ended = self.0.extract_if(.., |_, call| call.peer == *peer);
        ended
            .map(|(id, call)| {
                call.task.abort();
                id
            })
            .collect()
    }
}
