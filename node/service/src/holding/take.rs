//! The holder's side of orders: taking them within their organization's quota, dropping what no order holds
//! any more, and receipts for both.
//!
//! A blob stays while one order for it stands, whoever gave it. Fetching is [`super::fetch`]'s.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::ids::{NodeId, ObjectId};
use hospes_protocol::mutant;
use hospes_protocol::sign1::Sign1;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_storage::{Fetch, Write};

use super::blob::{self, Extent, HeldBlob};
use super::fetch::FetchNote;
use super::order::{HoldState, Order, SignedOrder, read_order};
use crate::effects::Event;
use crate::records::queue::{Owed, Queue};
use crate::service::{Fatal, Service};

/// Receipts on their way to those who ordered.
pub(super) const RECEIPTS: Queue = Queue::new("receipts-owed", "receipts-owed-at");
/// Orders in one request, at most.
pub(super) const ORDERS_PAGE: usize = 64;
/// Orders that end in one upkeep, at most.
const ENDING_MAX: usize = 256;

/// The order in bytes that storage keeps; it was verified when it was taken, or given by this node.
pub(super) fn stored(bytes: &[u8]) -> Result<SignedOrder, Fatal> {
    let read = || {
        let message = Sign1::parse(bytes)?;
        let order = Order::decode(message.payload())?;
        Ok(SignedOrder { order, issuer: NodeId(message.kid().0), bytes: bytes.to_vec() })
    };
    read().map_err(Fatal::Contradiction)
}

impl Service {
    /// Takes orders; one number for each, 0 for accepted, else the check.
    pub(crate) fn on_orders(&mut self, _from: NodeId, orders: &[Bytes]) -> Result<Vec<u64>, Fatal> {
        let mut verdicts = Vec::new();
        for bytes in orders.iter().take(ORDERS_PAGE) {
            let verdict = match read_order(bytes, &self.state) {
                Ok(order) => self.take_order(&order)?,
                Err(rejected) => Err(rejected),
            };
            verdicts.push(verdict.map_or_else(|r| u64::from(r.check.code()), |()| 0));
        }
        self.start_fetches()?;
        Ok(verdicts)
    }

    /// Takes one verified order, of another node or of this one.
    pub(super) fn take_order(&mut self, signed: &SignedOrder) -> Result<Result<(), Rejected>, Fatal> {
        let order = &signed.order;
        if order.holder != self.me.organization {
            return Ok(Err(Check::NotEntitled.into()));
        }
        let orders = self.objects.orders(&order.root)?;
        let before = orders.iter().find(|o| o.organization == order.organization);
        if let Some(row) = before
            && stored(&row.bytes)?.order.issued > order.issued
            && !self.is_orphan(&stored(&row.bytes)?)
        {
            return Ok(Ok(()));
        }
        if order.until <= self.now {
            return self.drop_order(signed).map(Ok);
        }
        if self.is_gone(&order.root.0)? {
            return Ok(Err(Check::Erased.into()));
        }
        if let Err(rejected) = self.judge_orderer(order)? {
            return Ok(Err(rejected));
        }
        if !self.has_room(order, before.map_or(0, |row| row.size))? {
            self.give_receipt(signed, HoldState::Refused)?;
            return Ok(Err(Check::QuotaExceeded.into()));
        }
        self.write(&[Write::Order(hospes_storage::Order {
            object: order.root,
            organization: order.organization,
            until: order.until,
            size: order.bytes,
            bytes: signed.bytes.clone(),
        })])?;
        self.hold(signed).map(Ok)
    }

    /// Who sees the record knows who may order its blob; who doesn't, holds ciphertext within a quota.
    fn judge_orderer(&self, order: &Order) -> Result<Result<(), Rejected>, Fatal> {
        let Some(record) = order.record else { return Ok(Ok(())) };
        let Some(facts) = self.record_entry(&record)? else { return Ok(Ok(())) };
        let orders = self.orderers(&facts)?.contains(&order.organization);
        Ok(ensure(facts.manifest == order.root && orders, Check::NotEntitled))
    }

    fn has_room(&self, order: &Order, replaced: u64) -> Result<bool, Fatal> {
        if order.organization == self.me.organization {
            return Ok(true);
        }
        let used = self.objects.quota(&order.organization)?.bytes.saturating_sub(replaced);
        Ok(used.saturating_add(order.bytes) <= self.state.membership.policy.quota_bytes)
    }

    fn hold(&mut self, signed: &SignedOrder) -> Result<(), Fatal> {
        let (root, record) = (signed.order.root, signed.order.record);
        if blob::held(&*self.objects, &root)?.is_some() {
            return self.give_receipt(signed, HoldState::Held);
        }
        if let Extent::Whole(manifest) = blob::extent(&*self.objects, &root)? {
            let held = HeldBlob { record, bytes: manifest.sealed_size };
            self.write(&[blob::note_held(&root, &held)])?;
            return self.give_receipt(signed, HoldState::Held);
        }
        if self.objects.fetch(&root)?.is_none() {
            let note = FetchNote { rank: self.rank(record.as_ref())?, record };
            let fetch = Fetch { object: root, due: self.now, attempts: 0, note: note.encode() };
            self.write(&[Write::Fetch(fetch)])?;
        }
        Ok(())
    }

    // The row goes last: where power fails before, the order is found again, and what is left of the blob.
    pub(super) fn drop_order(&mut self, signed: &SignedOrder) -> Result<(), Fatal> {
        let (root, by) = (signed.order.root, signed.order.organization);
        let others = self.objects.orders(&root)?.iter().any(|o| o.organization != by);
        if !others && self.guest(&root)?.is_none() {
            self.let_go(&root)?;
        }
        self.write(&[Write::DropOrder(root, by)])?;
        self.give_receipt(signed, HoldState::Dropped)
    }

    /// Drops what nothing holds here any more.
    pub(super) fn let_go(&mut self, root: &ObjectId) -> Result<(), Fatal> {
        if mutant!(NeverDropped) {
            return Ok(());
        }
        self.stop_fetch(root)?;
        blob::destroy(&*self.objects, root)?;
        self.event(Event::Object { root: *root, held: false });
        Ok(())
    }

    /// Drops what orders hold no longer because their time is over.
    pub(super) fn end_orders(&mut self) -> Result<(), Fatal> {
        for row in self.objects.orders_ending(self.now, ENDING_MAX)? {
            let signed = stored(&row.bytes)?;
            self.drop_order(&signed)?;
        }
        Ok(())
    }

    /// All of a blob is here: everyone who ordered it is told.
    pub(super) fn on_whole(&mut self, root: &ObjectId) -> Result<(), Fatal> {
        for row in self.objects.orders(root)? {
            let signed = stored(&row.bytes)?;
            self.give_receipt(&signed, HoldState::Held)?;
        }
        self.healed(root);
        self.event(Event::Object { root: *root, held: true });
        Ok(())
    }

    fn give_receipt(&mut self, signed: &SignedOrder, state: HoldState) -> Result<(), Fatal> {
        let to = self.answerable(signed);
        if to.is_empty() {
            return Ok(());
        }
        let receipt = self.sign_receipt(signed, state)?;
        let owed = Owed { item: Bytes(signed.order.root.0.to_vec()), attempts: 0, payload: Bytes(receipt) };
        let mut writes = Vec::new();
        for node in to {
            let at = (self.now, self.fresh_id());
            writes.extend(RECEIPTS.put(&*self.objects, &node, &owed, at)?);
        }
        self.write(&writes)
    }

    /// The orders that hold a blob here, verified when they were taken.
    pub(super) fn orders_for(&self, root: &ObjectId) -> Result<Vec<SignedOrder>, Fatal> {
        self.objects.orders(root)?.iter().map(|row| stored(&row.bytes)).collect()
    }
}
