//! Orders that outlive the node that gave them.
//!
//! A node that is retired takes nothing back. What it ordered passes to those who are left: another node of its
//! organization replaces the order by its own, whatever the dates; and a holder that has the record's body judges
//! for itself, by the same placement, and lets go of what no grant, backup or order of a node that takes part
//! explains. Where a holder lacks the body it can't judge, and keeps the blob.
//!
//! `give` calls this whenever something about the record's patient or the membership changed; those turns are rows,
//! so what a crash interrupts is done at the next start.

use hospes_protocol::ids::{NodeId, ObjectId};
use hospes_protocol::mutant;

use super::order::SignedOrder;
use crate::service::{Fatal, Service};

impl Service {
    /// Whether the node that gave an order takes part no more.
    pub(super) fn is_orphan(&self, signed: &SignedOrder) -> bool {
        self.state.membership.node(&signed.issuer).is_none()
    }

    /// Who is told what became of an order: who gave it or, once that node is retired, the rest of its organization.
    pub(super) fn answerable(&self, signed: &SignedOrder) -> Vec<NodeId> {
        let members = &self.state.membership;
        let left = || members.active_nodes().filter(|(_, n)| n.organization == signed.order.organization);
        let nodes: Vec<NodeId> = match self.is_orphan(signed) {
            true => left().map(|(id, _)| *id).collect(),
            false => vec![signed.issuer],
        };
        nodes.into_iter().filter(|node| *node != self.me.node).collect()
    }

    /// Drops orders of retired nodes for a blob that placement, as seen here, does not want here.
    pub(super) fn outlive_orders(&mut self, root: &ObjectId, wanted: bool) -> Result<(), Fatal> {
        // Who lacks the past can't judge by it.
        if wanted || self.missing_history()?.is_some() || mutant!(OrphansStay) {
            return Ok(());
        }
        for signed in self.orders_for(root)? {
            if self.is_orphan(&signed) {
                self.drop_order(&signed)?;
            }
        }
        Ok(())
    }
}
