//! Holding: which node keeps which blob, and how it gets there.
//!
//! ```text
//! orderer                                  holder
//! placement -> order ---------------------> quota, entitlement -> stored, fetch noted
//!                                           fetch: root, pages, segments  <--- any holder serves
//!           <------------- receipt: held -- every segment checked
//! placement -> order, until 0 ------------> dropped once no order holds it
//!           <---------- receipt: dropped --
//! ```
//!
//! `order` has what is signed, `give` the orderer's side, `take` and `fetch` the holder's, `serve` what a peer
//! is given, `outlive` what becomes of orders whose giver is retired, `guest` what is here for a patient's visit, `heal` what was damaged, `blob` the manifest in the store,
//! `end` what an erasure leaves nothing of. As in `records`, everything is a row before it is sent.

mod blob;
mod end;
mod fetch;
mod give;
mod guest;
mod heal;
pub mod order;
mod outlive;
mod serve;
mod take;

pub use heal::{Damage, Healing};

use hospes_protocol::ids::NodeId;

use crate::service::{Fatal, Service};

impl Service {
    /// Takes up holding where the process before stopped.
    pub(crate) fn open_holding(&mut self) -> Result<(), Fatal> {
        self.forget_running()
    }

    /// Looks at what is due: ends, turns, fetches.
    pub(crate) fn hold_upkeep(&mut self) -> Result<(), Fatal> {
        self.erase_due()?;
        self.end_orders()?;
        self.end_visits()?;
        self.give_up_stalled(None)?;
        self.sweep()?;
        self.take_turns()?;
        self.start_fetches()
    }

    /// A peer is gone: its transfers go on elsewhere, and what is owed to it is due when it comes back.
    pub(crate) fn holder_gone(&mut self, peer: &NodeId) -> Result<(), Fatal> {
        self.give_up_stalled(Some(peer))?;
        let mut writes = give::ORDERS.hasten(&*self.objects, peer, self.now)?;
        writes.extend(take::RECEIPTS.hasten(&*self.objects, peer, self.now)?);
        self.write(&writes)?;
        self.start_fetches()
    }
}
