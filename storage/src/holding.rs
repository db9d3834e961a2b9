//! Holding for others: orders with their quotas, receipts, and fetches that are still owed.
//!
//! Rows are sealed under the node key; who ordered what is nobody else's business. Whether an order is
//! lawful, a quota used up or a fetch worth trying is the caller's. All functions work inside a transaction
//! that `objects_store` opens.

use hospes_protocol::ids::{NodeId, ObjectId, OrganizationId};
use hospes_protocol::wire::{Bytes, Wire};
use redb::ReadTransaction;

use crate::error::{Result, StoreError};
use crate::held::Batch;
use crate::layout::{
    FETCHES, FETCHES_DUE, FetchRow, Name, ORDER_ENDS, ORDERS, OrderRow, QUOTAS, QuotaRow, RECEIPTS,
    ReceiptRow, key, number_at, object_at,
};
use crate::objects::{Fetch, Order, Quota, Receipt};
use crate::store::Store;

fn order_of(object: ObjectId, row: OrderRow) -> Order {
    Order { object, organization: row.organization, until: row.until, size: row.size, bytes: row.bytes.0 }
}

impl Store {
    fn order_key(&self, object: &ObjectId, organization: &OrganizationId) -> Vec<u8> {
        key(&[&object.0, &self.sealer.tag("orders", &[&organization.0])])
    }

    fn quota_key(&self, organization: &OrganizationId) -> Vec<u8> {
        self.sealer.tag("quotas", &[&organization.0]).to_vec()
    }

    fn seal_own<T: Wire>(&self, name: &Name, at: &[u8], row: &T) -> Vec<u8> {
        self.sealer.seal_row(name, at, None, &[], &row.encode())
    }

    /// Opens a row that is under the node key.
    pub(crate) fn open_own<T: Wire>(&self, name: &Name, at: &[u8], row: &[u8]) -> Result<T> {
        let data = self.open_row(name, at, row)?.data;
        name.decode(at, &name.part(at, data)?)
    }

    pub(crate) fn put_order(&self, batch: &mut Batch<'_>, order: &Order) -> Result<()> {
        self.drop_order(batch, &order.object, &order.organization)?;
        let at = self.order_key(&order.object, &order.organization);
        let row = OrderRow {
            organization: order.organization,
            until: order.until,
            size: order.size,
            bytes: Bytes(order.bytes.clone()),
        };
        let sealed = self.seal_own(&ORDERS, &at, &row);
        batch.table(&ORDERS)?.put(&at, &sealed)?;
        batch.table(&ORDER_ENDS)?.put(&key(&[&order.until.to_be_bytes(), &at]), &[])?;
        self.count_order(batch, &order.organization, |q| {
            q.orders = q.orders.saturating_add(1);
            q.bytes = q.bytes.saturating_add(order.size);
        })
    }

    pub(crate) fn drop_order(
        &self,
        batch: &mut Batch<'_>,
        object: &ObjectId,
        organization: &OrganizationId,
    ) -> Result<()> {
        let at = self.order_key(object, organization);
        let Some(row) = batch.table(&ORDERS)?.get(&at)? else { return Ok(()) };
        let row: OrderRow = self.open_own(&ORDERS, &at, &row)?;
        batch.table(&ORDERS)?.delete(&at)?;
        batch.table(&ORDER_ENDS)?.delete(&key(&[&row.until.to_be_bytes(), &at]))?;
        self.count_order(batch, organization, |q| {
            q.orders = q.orders.saturating_sub(1);
            q.bytes = q.bytes.saturating_sub(row.size);
        })
    }

    fn count_order(
        &self,
        batch: &mut Batch<'_>,
        organization: &OrganizationId,
        change: impl FnOnce(&mut QuotaRow),
    ) -> Result<()> {
        let at = self.quota_key(organization);
        let table = batch.table(&QUOTAS)?;
        let mut quota = match table.get(&at)? {
            Some(row) => self.open_own(&QUOTAS, &at, &row)?,
            None => QuotaRow { organization: *organization, orders: 0, bytes: 0 },
        };
        change(&mut quota);
        let sealed = self.seal_own(&QUOTAS, &at, &quota);
        batch.table(&QUOTAS)?.put(&at, &sealed).map(drop)
    }

    pub(crate) fn read_quota(&self, txn: &ReadTransaction, organization: &OrganizationId) -> Result<Quota> {
        let at = self.quota_key(organization);
        let Some(row) = QUOTAS.read(txn)?.get(&at)? else { return Ok(Quota::default()) };
        let row: QuotaRow = self.open_own(&QUOTAS, &at, &row)?;
        Ok(Quota { orders: row.orders, bytes: row.bytes })
    }

    pub(crate) fn list_orders(&self, txn: &ReadTransaction, object: &ObjectId) -> Result<Vec<Order>> {
        let mut found = Vec::new();
        ORDERS.read(txn)?.scan(&object.0, &[], |at, row| {
            found.push(order_of(*object, self.open_own(&ORDERS, at, row)?));
            Ok(true)
        })?;
        Ok(found)
    }

    pub(crate) fn list_ending(&self, txn: &ReadTransaction, time: u64, limit: usize) -> Result<Vec<Order>> {
        let orders = ORDERS.read(txn)?;
        let mut found = Vec::new();
        ORDER_ENDS.read(txn)?.scan(&[], &[], |end, _| {
            let until = ORDER_ENDS.part(end, number_at(end, 0))?;
            if until >= time || found.len() >= limit {
                return Ok(false);
            }
            let (at, object) = (&end[8..], ORDER_ENDS.part(end, object_at(end, 8))?);
            let row = orders.get(at)?.ok_or_else(|| ORDERS.corrupt(at))?;
            found.push(order_of(object, self.open_own(&ORDERS, at, &row)?));
            Ok(true)
        })?;
        Ok(found)
    }

    pub(crate) fn put_receipt(&self, batch: &mut Batch<'_>, receipt: &Receipt) -> Result<()> {
        let at = key(&[&receipt.object.0, &self.sealer.tag("receipts", &[&receipt.holder.0])]);
        let row = ReceiptRow { holder: receipt.holder, bytes: Bytes(receipt.bytes.clone()) };
        let sealed = self.seal_own(&RECEIPTS, &at, &row);
        batch.table(&RECEIPTS)?.put(&at, &sealed).map(drop)
    }

    pub(crate) fn list_receipts(&self, txn: &ReadTransaction, object: &ObjectId) -> Result<Vec<Receipt>> {
        let mut found = Vec::new();
        RECEIPTS.read(txn)?.scan(&object.0, &[], |at, row| {
            let row: ReceiptRow = self.open_own(&RECEIPTS, at, row)?;
            let holder: NodeId = row.holder;
            found.push(Receipt { object: *object, holder, bytes: row.bytes.0 });
            Ok(true)
        })?;
        Ok(found)
    }

    pub(crate) fn put_fetch(&self, batch: &mut Batch<'_>, fetch: &Fetch) -> Result<()> {
        self.drop_fetch(batch, &fetch.object)?;
        let row = FetchRow { due: fetch.due, attempts: fetch.attempts, note: Bytes(fetch.note.clone()) };
        let sealed = self.seal_own(&FETCHES, &fetch.object.0, &row);
        batch.table(&FETCHES)?.put(&fetch.object.0, &sealed)?;
        batch.table(&FETCHES_DUE)?.put(&key(&[&fetch.due.to_be_bytes(), &fetch.object.0]), &[]).map(drop)
    }

    pub(crate) fn drop_fetch(&self, batch: &mut Batch<'_>, object: &ObjectId) -> Result<()> {
        let Some(row) = batch.table(&FETCHES)?.get(&object.0)? else { return Ok(()) };
        let row: FetchRow = self.open_own(&FETCHES, &object.0, &row)?;
        batch.table(&FETCHES)?.delete(&object.0)?;
        batch.table(&FETCHES_DUE)?.delete(&key(&[&row.due.to_be_bytes(), &object.0])).map(drop)
    }

    pub(crate) fn read_fetch(&self, txn: &ReadTransaction, object: &ObjectId) -> Result<Option<Fetch>> {
        let Some(row) = FETCHES.read(txn)?.get(&object.0)? else { return Ok(None) };
        let row: FetchRow = self.open_own(&FETCHES, &object.0, &row)?;
        Ok(Some(Fetch { object: *object, due: row.due, attempts: row.attempts, note: row.note.0 }))
    }

    pub(crate) fn list_due(&self, txn: &ReadTransaction, time: u64, limit: usize) -> Result<Vec<Fetch>> {
        let mut found = Vec::new();
        FETCHES_DUE.read(txn)?.scan(&[], &[], |at, _| {
            let due = FETCHES_DUE.part(at, number_at(at, 0))?;
            if due > time || found.len() >= limit {
                return Ok(false);
            }
            let object = FETCHES_DUE.part(at, object_at(at, 8))?;
            let fetch = self.read_fetch(txn, &object)?;
            found.push(fetch.ok_or_else(|| -> StoreError { FETCHES.corrupt(&object.0) })?);
            Ok(true)
        })?;
        Ok(found)
    }
}

/// Drops every receipt for an object.
pub(crate) fn drop_receipts(batch: &mut Batch<'_>, object: &ObjectId) -> Result<()> {
    let table = batch.table(&RECEIPTS)?;
    let mut old = Vec::new();
    table.scan(&object.0, &[], |at, _| {
        old.push(at.to_vec());
        Ok(true)
    })?;
    old.iter().try_for_each(|at| table.delete(at).map(drop))
}
