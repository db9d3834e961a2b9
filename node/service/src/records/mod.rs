//! The record side of the service: bodies, what they permit, and their way to those who may hold them.
//!
//! | file | what |
//! |---|---|
//! | `keep` | judges bodies and stores them with their index rows |
//! | `index` | the rows, and how they are read |
//! | `finality` | what a block makes final, and where a patient is at home |
//! | `anew` | what a node of this organization filed in vain, filed once more |
//! | `again` | what is judged again because something came that bears on it |
//! | `view` | what decisions read: the rows as `policy::View` |
//! | `query` | what desk and API ask |
//! | `exchange` | bodies that are owed to peers: offer, deliver, acknowledge |
//! | `erasing`, `erasures` | carrying out an erasure, and how far it is |
//! | `collect` | bodies of a patient who is signed in elsewhere |
//! | `siblings` | keys that the nodes of one organization give each other |
//! | `audience` | to whom a body is owed, and when that is looked at again |
//! | `queue` | durable queues per peer |
//! | `taps` | which signatures of cards were verified already |
//!
//! Architecture invariant: nothing but that memo is kept in memory between inputs. What was promised to a peer,
//! what is on its way and what is due are rows, written before the effect leaves; so a crash loses no more than a
//! request.

mod again;
mod anew;
mod audience;
mod collect;
mod erasing;
mod erasures;
mod exchange;
mod finality;
pub(crate) mod index;
mod keep;
mod query;
pub(crate) mod queue;
mod siblings;
mod taps;
mod view;

pub use collect::{AUTHORIZATION_MS, Authorization, COLLECT_MAX};
pub use erasures::{Erasure, ErasurePhase};
pub use exchange::OFFER_MAX;
pub use index::{Home, verified_rows};
pub use query::{EntryState, Finality, Listed};
pub use siblings::{PacketPlace, organization_packet, organization_packet_writes, organization_packets};
pub(crate) use taps::Taps;
pub use view::ServiceView;

use hospes_protocol::ids::NodeId;
use hospes_protocol::policy::LockState;
use hospes_storage::Write;

use crate::service::{Fatal, Service};

/// No reveal of the lock is known.
const OPEN: LockState = LockState::Open;

impl Service {
    /// Makes changes in one durable transaction; none, where there are none.
    pub(crate) fn write(&self, writes: &[Write]) -> Result<(), Fatal> {
        if !writes.is_empty() {
            self.stirred.set(true);
            self.objects.apply(writes)?;
        }
        Ok(())
    }

    /// Takes up the record side where the process before stopped.
    pub(crate) fn open_records(&mut self) -> Result<(), Fatal> {
        self.forget_offers()?;
        self.settle_unfiled()?;
        self.open_erasing()?;
        self.open_siblings()?;
        self.open_holding()
    }

    /// A peer is gone: what was on its way to or from it is due again.
    pub(crate) fn peer_gone(&mut self, peer: NodeId) {
        // A store that fails here fails the next input too, which can say so.
        let _reported_by_the_next = self.hasten(&peer).and_then(|()| self.holder_gone(&peer));
    }
}
