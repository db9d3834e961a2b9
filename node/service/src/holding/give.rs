//! The orderer's side: which nodes are to hold a record's blob, the orders that say so, and their receipts.
//!
//! Every node that has the record's body and whose organization answers for it (author's, home, a backup
//! partner of either) orders what placement says, so no single node's absence leaves a blob unordered. An
//! order is repeated until its receipt is here. Where the node that ordered is retired, `outlive` says who goes on.

use std::collections::BTreeMap;

use hospes_protocol::entry::FORMAT;
use hospes_protocol::ids::{ContentId, NodeId, ObjectId, OrganizationId, sha256};
use hospes_protocol::personal::RecordEntry;
use hospes_protocol::seal::layout::Layout;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::blob;
use super::order::{HoldState, Order, SignedOrder, read_receipt};
use super::take::{ORDERS_PAGE, RECEIPTS, stored};
use crate::follow::Asked;
use crate::messages::Request;
use crate::records::queue::{Due, Owed, Queue};
use crate::service::{Fatal, Service};

/// Orders on their way.
pub(super) const ORDERS: Queue = Queue::new("orders-owed", "orders-owed-at");
/// Orders given, by root and node.
const GIVEN: &str = "given";
/// Holders of one blob, at most.
const HOLDERS_MAX: usize = 4096;

wire_struct! {
    /// An order that was given to a node.
    pub struct Given {
        /// The signed order.
        pub order: Bytes,
        /// Until when; 0 for one that drops.
        pub until: u64,
        /// What its last receipt says; null before the first.
        pub state: Option<HoldState>,
    }
}

impl Given {
    /// Whether the blob was taken back and the holder dropped it. That is kept, because an older order may still reach
    /// the holder.
    fn is_over(&self) -> bool {
        self.until == 0 && self.state == Some(HoldState::Dropped)
    }
}

fn given_key(root: &ObjectId, node: &NodeId) -> SealedKey {
    SealedKey::new(GIVEN, &root.0, 0, &node.0)
}

fn given_row(root: &ObjectId, node: &NodeId, given: &Given) -> Write {
    Write::Sealed(SealedRow { key: given_key(root, node), patient: None, value: given.encode() })
}

impl Service {
    fn orders_given(&self, root: &ObjectId) -> Result<BTreeMap<NodeId, Given>, Fatal> {
        let mut all = BTreeMap::new();
        for row in self.objects.sealed_rows(GIVEN, Some(&root.0), None, HOLDERS_MAX)? {
            let read = || {
                let node: [u8; 32] = row
                    .key
                    .item
                    .as_slice()
                    .try_into()
                    .map_err(|_| hospes_protocol::check::Check::Malformed)?;
                Ok((NodeId(node), Given::decode(&row.value)?))
            };
            let (node, given) = read().map_err(Fatal::Contradiction)?;
            all.insert(node, given);
        }
        Ok(all)
    }

    /// Nodes that were given an order for a blob and are not known to have dropped it, with whether it is to be held.
    pub(super) fn given(&self, root: &ObjectId) -> Result<Vec<(NodeId, bool)>, Fatal> {
        let given = self.orders_given(root)?.into_iter();
        let standing = given.filter(|(_, given)| !given.is_over());
        Ok(standing.map(|(node, given)| (node, given.until != 0)).collect())
    }

    /// Forgets a blob's orders that are over.
    pub(super) fn forget_given(&self, root: &ObjectId) -> Result<Vec<Write>, Fatal> {
        let over = self.orders_given(root)?.into_iter().filter(|(_, given)| given.is_over());
        Ok(over.map(|(node, _)| Write::DropSealed(given_key(root, &node))).collect())
    }

    /// How many nodes hold a blob whole by their receipts, this one included.
    pub(crate) fn holders_of(&self, root: &ObjectId) -> Result<usize, Fatal> {
        let held = |g: &&Given| g.state == Some(HoldState::Held);
        let others = self.orders_given(root)?.values().filter(held).count();
        Ok(others + usize::from(blob::held(&*self.objects, root)?.is_some()))
    }

    /// Orders a record's blob to where placement wants it, and takes back what it wants no longer.
    pub(crate) fn place_record(&mut self, content: &ContentId, record: &RecordEntry) -> Result<(), Fatal> {
        let relabels = match &record.amends {
            Some(amended) => self.record_entry(amended)?.is_some_and(|r| r.manifest == record.manifest),
            None => false,
        };
        if relabels {
            return Ok(());
        }
        // What was not final when its node was retired may be filed anew: its blob waits with those who answer for it.
        let wanted = match self.is_stranded(content)? {
            true => self.orderers_nodes(record)?,
            false => self.placed_nodes(content)?,
        };
        if !self.orderers(record)?.contains(&self.me.organization) {
            return self.cease_ordering(content, record, wanted.contains(&self.me.node));
        }
        let given = self.orders_given(&record.manifest)?;
        let mut writes = Vec::new();
        for node in &wanted {
            let stands = given.get(node).is_some_and(|g| g.until != 0);
            if !stands && *node != self.me.node {
                writes.extend(self.give(content, record, node, u64::MAX)?);
            }
        }
        for (node, _) in given.iter().filter(|(n, g)| g.until != 0 && !wanted.contains(*n)) {
            writes.extend(self.give(content, record, node, 0)?);
        }
        self.write(&writes)?;
        self.order_own(content, record, wanted.contains(&self.me.node))?;
        self.outlive_orders(&record.manifest, wanted.contains(&self.me.node))
    }

    /// Who answers for a record no longer, as a backup partner that was named and is not any more, takes back what it
    /// ordered of others and of itself.
    fn cease_ordering(
        &mut self,
        content: &ContentId,
        record: &RecordEntry,
        wanted: bool,
    ) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for (node, given) in self.orders_given(&record.manifest)? {
            if given.until != 0 {
                writes.extend(self.give(content, record, &node, 0)?);
            }
        }
        self.write(&writes)?;
        if !wanted {
            self.order_own(content, record, false)?;
        }
        self.outlive_orders(&record.manifest, wanted)
    }

    fn order(
        &self,
        content: &ContentId,
        record: &RecordEntry,
        (holder, until): (OrganizationId, u64),
        before: Option<u64>,
    ) -> Order {
        let bytes = Layout::of_size(record.size).map_or(record.size, Layout::sealed_size);
        Order {
            format: FORMAT,
            network: self.network,
            root: record.manifest,
            record: Some(*content),
            holder,
            until,
            // A clock that was set back must not make an order older than the one that it replaces.
            issued: before.map_or(self.now, |before| self.now.max(before.saturating_add(1))),
            organization: self.me.organization,
            bytes,
        }
    }

    pub(super) fn give(
        &mut self,
        content: &ContentId,
        record: &RecordEntry,
        node: &NodeId,
        until: u64,
    ) -> Result<Vec<Write>, Fatal> {
        let Some(holder) = self.state.membership.node(node).map(|n| n.organization) else {
            return Ok(Vec::new());
        };
        let root = record.manifest;
        let before = match self.objects.sealed(&given_key(&root, node))? {
            Some(row) => {
                let given = Given::decode(&row).map_err(Fatal::Contradiction)?;
                Some(stored(&given.order.0)?.order.issued)
            }
            None => None,
        };
        let order = self.order(content, record, (holder, until), before);
        let signed = self.sign_order(&order)?;
        let owed = Owed { item: Bytes(root.0.to_vec()), attempts: 0, payload: Bytes::default() };
        let at = (self.now, self.fresh_id());
        let mut writes = ORDERS.put(&*self.objects, node, &owed, at)?;
        writes.push(given_row(&root, node, &Given { order: Bytes(signed), until, state: None }));
        Ok(writes)
    }

    /// The node orders of itself what it is to hold, so that one rule drops what no order holds.
    fn order_own(&mut self, content: &ContentId, record: &RecordEntry, wanted: bool) -> Result<(), Fatal> {
        let orders = self.orders_for(&record.manifest)?;
        let own = |o: &&SignedOrder| o.order.organization == self.me.organization;
        // An order of a node that is retired opens no other holder's door: this node's own replaces it.
        let ordered = orders.iter().filter(own).any(|o| !wanted || !self.is_orphan(o));
        if wanted == ordered {
            return Ok(());
        }
        let until = if wanted { u64::MAX } else { 0 };
        let before = orders.iter().filter(own).map(|o| o.order.issued).max();
        let order = self.order(content, record, (self.me.organization, until), before);
        let bytes = self.sign_order(&order)?;
        let signed = SignedOrder { order, issuer: self.me.node, bytes };
        // Its own organization's order is never refused: it has no quota here, and is entitled.
        let _taken = self.take_order(&signed)?;
        Ok(())
    }

    /// Sends a peer the orders that wait for its receipt.
    pub(crate) fn owe_orders(&mut self, peer: NodeId) -> Result<(), Fatal> {
        let due = ORDERS.due(&*self.objects, &peer, self.now, ORDERS_PAGE)?;
        let (mut orders, mut writes) = (Vec::new(), Vec::new());
        for item in &due {
            let root = root_of(item)?;
            let row = self.objects.sealed(&given_key(&root, &peer))?;
            let Some(row) = row else {
                writes.extend(ORDERS.take(&*self.objects, &peer, &root.0)?);
                continue;
            };
            writes.extend(ORDERS.sent(&peer, item, self.now));
            orders.push(Given::decode(&row).map_err(Fatal::Contradiction)?.order);
        }
        self.write(&writes)?;
        if !orders.is_empty() {
            let sent = Asked::Orders(orders.len());
            self.ask(peer, &Request::Orders(orders), sent);
        }
        Ok(())
    }

    /// A peer has these orders. An accepted one waits for its receipt, a refused one for its next turn; both are rows
    /// already. More may wait behind a full page.
    pub(crate) fn on_orders_taken(&mut self, from: NodeId, sent: usize) -> Result<(), Fatal> {
        if sent < ORDERS_PAGE { Ok(()) } else { self.owe_orders(from) }
    }

    /// Sends a peer the receipts that it has not acknowledged.
    pub(crate) fn owe_receipts(&mut self, peer: NodeId) -> Result<(), Fatal> {
        let due = RECEIPTS.due(&*self.objects, &peer, self.now, ORDERS_PAGE)?;
        let (mut receipts, mut roots, mut writes) = (Vec::new(), Vec::new(), Vec::new());
        for item in &due {
            roots.push((root_of(item)?, sha256(&[&item.owed.payload])));
            receipts.push(item.owed.payload.clone());
            writes.extend(RECEIPTS.sent(&peer, item, self.now));
        }
        self.write(&writes)?;
        if !receipts.is_empty() {
            self.ask(peer, &Request::Receipts(receipts), Asked::Receipts(roots));
        }
        Ok(())
    }

    /// A peer has these receipts, whatever it thinks of them. One that took their place meanwhile waits on. More may wait
    /// behind a full page.
    pub(crate) fn on_receipts_taken(
        &mut self,
        from: NodeId,
        sent: &[(ObjectId, [u8; 32])],
    ) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for (root, hash) in sent {
            let waiting = RECEIPTS.owed(&*self.objects, &from, &root.0)?;
            if waiting.is_some_and(|owed| sha256(&[&owed.payload]) == *hash) {
                writes.extend(RECEIPTS.take(&*self.objects, &from, &root.0)?);
            }
        }
        self.write(&writes)?;
        if sent.len() < ORDERS_PAGE { Ok(()) } else { self.owe_receipts(from) }
    }

    /// Takes receipts; one number for each, 0 for accepted, else the check.
    pub(crate) fn on_receipts(&mut self, _from: NodeId, receipts: &[Bytes]) -> Result<Vec<u64>, Fatal> {
        let mut verdicts = Vec::new();
        for bytes in receipts.iter().take(ORDERS_PAGE) {
            match read_receipt(bytes, &self.state) {
                Ok(receipt) => {
                    self.take_receipt(&receipt, bytes)?;
                    verdicts.push(0);
                }
                Err(rejected) => verdicts.push(u64::from(rejected.check.code())),
            }
        }
        Ok(verdicts)
    }

    fn take_receipt(&mut self, receipt: &super::order::Receipt, bytes: &[u8]) -> Result<(), Fatal> {
        let (root, holder) = (receipt.root, receipt.holder);
        let Some(row) = self.objects.sealed(&given_key(&root, &holder))? else { return Ok(()) };
        let given = Given::decode(&row).map_err(Fatal::Contradiction)?;
        if sha256(&[&given.order]) != receipt.order {
            return self.on_foreign_receipt(receipt, &given);
        }
        let settled =
            matches!((given.until, receipt.state), (0, HoldState::Dropped) | (1.., HoldState::Held));
        // Which came first, this or an older order that came late, can't be told: the drop goes out once more.
        let unsure = given.until == 0 && given.state == Some(HoldState::Held) && !self.is_gone(&root.0)?;
        let mut writes =
            vec![given_row(&root, &holder, &Given { state: Some(receipt.state), ..given.clone() })];
        if settled && !unsure {
            writes.extend(ORDERS.take(&*self.objects, &holder, &root.0)?);
        } else {
            writes.extend(self.owe_again(&root, &holder)?);
        }
        if receipt.state == HoldState::Held {
            let bytes = bytes.to_vec();
            writes.push(Write::Receipt(hospes_storage::Receipt { object: root, holder, bytes }));
        }
        if given.until == 0 && settled {
            // What was erased can't come back; of the rest it is remembered that nobody is to have it there.
            if self.is_gone(&root.0)? {
                writes.push(Write::DropSealed(given_key(&root, &holder)));
            }
            writes.extend(self.blob_dropped(&root, &holder)?);
        }
        self.write(&writes)?;
        Ok(())
    }
}

impl Service {
    /// An order goes out once more, after a while, unless it waits for its turn already.
    fn owe_again(&mut self, root: &ObjectId, holder: &NodeId) -> Result<Vec<Write>, Fatal> {
        if ORDERS.waits(&*self.objects, holder, &root.0)? {
            return Ok(Vec::new());
        }
        let owed = Owed { item: Bytes(root.0.to_vec()), attempts: 4, payload: Bytes::default() };
        let at = (self.now + crate::records::queue::PAUSE_MS_MAX, self.fresh_id());
        ORDERS.put(&*self.objects, holder, &owed, at)
    }

    /// A receipt for another order than the one that stands says nothing, but for two. The holder judged that a
    /// retired node's order is over and dropped the blob: who still wants it there orders again. Or an order came
    /// after the one that took it back, late or by somebody who kept it: it is taken back again.
    fn on_foreign_receipt(&mut self, receipt: &super::order::Receipt, given: &Given) -> Result<(), Fatal> {
        let stands = given.until != 0;
        let bears = matches!((receipt.state, stands), (HoldState::Dropped, true) | (HoldState::Held, false));
        if !bears {
            return Ok(());
        }
        let mut writes = self.owe_again(&receipt.root, &receipt.holder)?;
        let state = Some(receipt.state).filter(|_| !stands);
        writes.push(given_row(&receipt.root, &receipt.holder, &Given { state, ..given.clone() }));
        self.write(&writes)
    }
}

fn root_of(due: &Due) -> Result<ObjectId, Fatal> {
    let malformed = |_| Fatal::Contradiction(hospes_protocol::check::Check::Malformed.into());
    due.owed.item.0.as_slice().try_into().map(ObjectId).map_err(malformed)
}
