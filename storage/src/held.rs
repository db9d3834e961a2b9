//! Objects, bodies and sealed rows: what is held of patients, sealed where it says something of them.
//!
//! Segments stand as they are, under their hash; everything else is sealed, under the patient's erasable key
//! where the caller names one. All functions work inside a transaction that `objects_store` opens.

use std::collections::BTreeMap;

use hospes_protocol::ids::{ContentId, OBJECT_BLAKE3, OBJECT_SHA256, ObjectId, PatientId};
use hospes_protocol::limits::{ANSWER_BYTES_MAX, SEGMENT_BYTES};
use hospes_protocol::wire::{Bytes, Wire};
use redb::{ReadOnlyTable, ReadTransaction, WriteTransaction};

use crate::error::{Contradiction, Result, StoreError};
use crate::layout::{
    BODIES, BODY_INDEX, BodyMeta, Name, OBJECTS_META, SEALED, SEGMENTS, STRUCTURED, SealedData, TOTALS,
    TotalRow, key, number_at, object_at, whole_id,
};
use crate::objects::{HeldBody, SealedKey, SealedRow, Total, Totals, Write};
use crate::rows::{Open, Rows, after};
use crate::seal::{Opened, Sealer};
use crate::store::Store;

const ARRIVALS: &[u8] = b"arrivals";
const GROUP: &str = "sealed-group";
const ITEM: &str = "sealed-item";
/// Classes of the totals.
const CLASSES: [&Name; 4] = [&SEGMENTS, &STRUCTURED, &BODIES, &SEALED];

/// A write transaction on the objects: tables are opened when first used, totals written at its end.
pub(crate) struct Batch<'t> {
    txn: &'t WriteTransaction,
    open: BTreeMap<&'static str, Open<'t>>,
    grown: BTreeMap<&'static str, (i64, i64)>,
}

fn signed(n: Option<u64>) -> i64 {
    n.and_then(|n| i64::try_from(n).ok()).unwrap_or(0)
}

impl<'t> Batch<'t> {
    pub(crate) fn new(txn: &'t WriteTransaction) -> Self {
        Self { txn, open: BTreeMap::new(), grown: BTreeMap::new() }
    }

    pub(crate) fn table(&mut self, name: &'static Name) -> Result<&mut Open<'t>> {
        if !self.open.contains_key(name.table) {
            self.open.insert(name.table, name.write(self.txn)?);
        }
        Ok(self.open.get_mut(name.table).expect("it was just put there"))
    }

    /// Stores a row of a class that totals count.
    fn put_counted(&mut self, name: &'static Name, at: &[u8], payload: &[u8]) -> Result<()> {
        let old = self.table(name)?.put(at, payload)?;
        let new = name.value_len(payload.len());
        let grown = self.grown.entry(name.table).or_default();
        grown.0 += i64::from(old.is_none());
        grown.1 += signed(Some(new)) - signed(old);
        Ok(())
    }

    pub(crate) fn delete_counted(&mut self, name: &'static Name, at: &[u8]) -> Result<()> {
        if let Some(old) = self.table(name)?.delete(at)? {
            let grown = self.grown.entry(name.table).or_default();
            grown.0 -= 1;
            grown.1 -= signed(Some(old));
        }
        Ok(())
    }

    /// Writes the totals.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (class, (count, bytes)) in std::mem::take(&mut self.grown) {
            let totals = self.table(&TOTALS)?;
            let old = read_total(totals.get(class.as_bytes())?.as_deref(), class)?;
            let row = TotalRow {
                count: old.count.saturating_add_signed(count),
                bytes: old.bytes.saturating_add_signed(bytes),
            };
            totals.put(class.as_bytes(), &row.encode())?;
        }
        Ok(())
    }

    fn next_arrival(&mut self) -> Result<u64> {
        let meta = self.table(&OBJECTS_META)?;
        let last = meta.get(ARRIVALS)?.as_deref().and_then(|p| number_at(p, 0)).unwrap_or(0);
        meta.put(ARRIVALS, &(last + 1).to_be_bytes())?;
        Ok(last + 1)
    }
}

fn read_total(payload: Option<&[u8]>, class: &str) -> Result<TotalRow> {
    payload.map_or(Ok(TotalRow { count: 0, bytes: 0 }), |p| TOTALS.decode(class.as_bytes(), p))
}

/// What is held, by class.
pub(crate) fn totals(txn: &ReadTransaction) -> Result<Totals> {
    let table = TOTALS.read(txn)?;
    let mut found = [Total::default(); 4];
    for (total, class) in found.iter_mut().zip(CLASSES) {
        let row = read_total(table.get(class.table.as_bytes())?.as_deref(), class.table)?;
        *total = Total { count: row.count, bytes: row.bytes };
    }
    let [segments, structured, bodies, sealed] = found;
    Ok(Totals { segments, structured, bodies, sealed })
}

/// The table of an object, if its address is of a known form.
fn table_of(id: &ObjectId) -> Option<&'static Name> {
    match id.0[0] {
        OBJECT_BLAKE3 => Some(&SEGMENTS),
        OBJECT_SHA256 => Some(&STRUCTURED),
        _ => None,
    }
}

/// Judges what a batch wants to store before anything is written.
pub(crate) fn judge(write: &Write) -> Result<()> {
    match write {
        Write::Object { id, bytes, .. } => {
            let most = if id.0[0] == OBJECT_BLAKE3 { SEGMENT_BYTES } else { ANSWER_BYTES_MAX };
            let fits = bytes.len() <= most && id.names(bytes);
            if fits { Ok(()) } else { Err(Contradiction::NotItsBytes(*id).into()) }
        }
        Write::Segment(segment) if segment.bytes().len() > SEGMENT_BYTES => {
            Err(Contradiction::NotItsBytes(segment.id()).into())
        }
        Write::Sealed(SealedRow { key, .. }) | Write::DropSealed(key) => judge_space(&key.space),
        _ => Ok(()),
    }
}

fn judge_space(space: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=32).contains(&space.len()) && space.bytes().all(plain);
    if good { Ok(()) } else { Err(Contradiction::SpaceName.into()) }
}

fn space_prefix(space: &str) -> Vec<u8> {
    let length = u8::try_from(space.len()).unwrap_or(u8::MAX);
    key(&[&[length], space.as_bytes()])
}

impl Sealer {
    fn group_prefix(&self, space: &str, group: &[u8]) -> Vec<u8> {
        key(&[&space_prefix(space), &self.tag(GROUP, &[space.as_bytes(), group])])
    }

    /// The stored form of a sealed row's key.
    pub(crate) fn sealed_key(&self, k: &SealedKey) -> Vec<u8> {
        let item = self.tag(ITEM, &[k.space.as_bytes(), &k.group, &k.item]);
        key(&[&self.group_prefix(&k.space, &k.group), &k.order.to_be_bytes(), &item])
    }

    fn body_prefix(&self, patient: Option<&PatientId>) -> Vec<u8> {
        self.tag("bodies", &[patient.map_or(&[][..], |p| &p.0)]).to_vec()
    }

    fn body_index_key(&self, patient: Option<&PatientId>, meta: &BodyMeta) -> Vec<u8> {
        key(&[&self.body_prefix(patient), &meta.kind.to_be_bytes(), &meta.arrival.to_be_bytes()])
    }
}

impl Store {
    fn seal(
        &self,
        name: &Name,
        at: &[u8],
        patient: Option<&PatientId>,
        meta: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>> {
        let Some(patient) = patient else { return Ok(self.sealer.seal_row(name, at, None, meta, data)) };
        let own = match self.keys.key(&self.sealer, patient)? {
            Some(own) => own,
            // Erased between the making of keys and now: what is written stays unreadable.
            None => zeroize::Zeroizing::new(self.sealer.random()),
        };
        Ok(self.sealer.seal_row(name, at, Some((patient, &own)), meta, data))
    }

    pub(crate) fn open_row(&self, name: &Name, at: &[u8], row: &[u8]) -> Result<Opened> {
        self.sealer.open_row(name, at, row, |patient| self.keys.key(&self.sealer, patient))
    }

    pub(crate) fn put_object(
        &self,
        batch: &mut Batch<'_>,
        id: &ObjectId,
        patient: Option<&PatientId>,
        bytes: &[u8],
    ) -> Result<()> {
        if id.0[0] == OBJECT_BLAKE3 {
            let standing = batch.table(&SEGMENTS)?.get(&id.0)?;
            // A damaged copy is replaced, a good one left where it is.
            return match standing {
                Some(old) if id.names(&old) => Ok(()),
                _ => batch.put_counted(&SEGMENTS, &id.0, bytes),
            };
        }
        let row = self.seal(&STRUCTURED, &id.0, patient, &[], bytes)?;
        batch.put_counted(&STRUCTURED, &id.0, &row)
    }

    pub(crate) fn read_object(&self, txn: &ReadTransaction, id: &ObjectId) -> Result<Option<Vec<u8>>> {
        let Some(name) = table_of(id) else { return Ok(None) };
        let Some(row) = name.read(txn)?.get(&id.0)? else { return Ok(None) };
        let bytes = if name.raw { Some(row) } else { self.open_row(name, &id.0, &row)?.data };
        match bytes {
            Some(bytes) if !id.names(&bytes) => Err(name.corrupt(&id.0)),
            other => Ok(other),
        }
    }

    pub(crate) fn put_body(&self, batch: &mut Batch<'_>, body: &HeldBody) -> Result<()> {
        let at = body.content.0;
        let meta = self.body_meta(batch, body)?;
        let row = self.seal(&BODIES, &at, body.patient.as_ref(), &meta.encode(), &body.bytes)?;
        batch.put_counted(&BODIES, &at, &row)?;
        let index = self.sealer.body_index_key(body.patient.as_ref(), &meta);
        let row = self.seal(&BODY_INDEX, &index, None, &[], &at)?;
        batch.table(&BODY_INDEX)?.put(&index, &row).map(drop)
    }

    /// Kind and arrival of a body: as before where it is here for the same patient, else the next.
    fn body_meta(&self, batch: &mut Batch<'_>, body: &HeldBody) -> Result<BodyMeta> {
        match self.standing_body(batch, &body.content) {
            Ok(Some((patient, meta))) => {
                if patient == body.patient && meta.kind == body.kind {
                    return Ok(meta);
                }
                let index = self.sealer.body_index_key(patient.as_ref(), &meta);
                batch.table(&BODY_INDEX)?.delete(&index)?;
            }
            Ok(None) => {}
            // The damaged row is replaced; its place in the index, if it is this one, is found and kept.
            Err(StoreError::Corrupt(_)) => {
                if let Some(meta) = self.indexed(batch, body)? {
                    return Ok(meta);
                }
            }
            Err(other) => return Err(other),
        }
        Ok(BodyMeta { kind: body.kind, arrival: batch.next_arrival()? })
    }

    fn standing_body(
        &self,
        batch: &mut Batch<'_>,
        content: &ContentId,
    ) -> Result<Option<(Option<PatientId>, BodyMeta)>> {
        let Some(row) = batch.table(&BODIES)?.get(&content.0)? else { return Ok(None) };
        let opened = self.open_row(&BODIES, &content.0, &row)?;
        Ok(Some((opened.patient, BODIES.decode(&content.0, &opened.meta)?)))
    }

    fn indexed(&self, batch: &mut Batch<'_>, body: &HeldBody) -> Result<Option<BodyMeta>> {
        let prefix = key(&[&self.sealer.body_prefix(body.patient.as_ref()), &body.kind.to_be_bytes()]);
        let mut found = None;
        batch.table(&BODY_INDEX)?.scan(&prefix, &[], |at, row| {
            if self.indexed_content(at, row)? == body.content {
                let arrival = BODY_INDEX.part(at, number_at(at, 24))?;
                found = Some(BodyMeta { kind: body.kind, arrival });
            }
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    pub(crate) fn indexed_content(&self, at: &[u8], row: &[u8]) -> Result<ContentId> {
        let opened = self.open_row(&BODY_INDEX, at, row)?;
        BODY_INDEX.part(at, opened.data.as_deref().and_then(whole_id).map(ContentId))
    }

    pub(crate) fn drop_body(&self, batch: &mut Batch<'_>, content: &ContentId) -> Result<()> {
        match self.standing_body(batch, content) {
            Ok(Some((patient, meta))) => {
                let index = self.sealer.body_index_key(patient.as_ref(), &meta);
                batch.table(&BODY_INDEX)?.delete(&index)?;
            }
            Ok(None) => {}
            Err(StoreError::Corrupt(_)) => self.unindex(batch, content)?,
            Err(other) => return Err(other),
        }
        batch.delete_counted(&BODIES, &content.0)
    }

    /// Drops the index row of a body whose own row no longer says where it is.
    fn unindex(&self, batch: &mut Batch<'_>, content: &ContentId) -> Result<()> {
        let table = batch.table(&BODY_INDEX)?;
        let mut old = None;
        table.walk(&[], |at, row, _| {
            let named = row.and_then(|row| self.indexed_content(at, row).ok());
            if named.as_ref() == Some(content) {
                old = Some(at.to_vec());
            }
            Ok(old.is_none())
        })?;
        old.map_or(Ok(()), |at| table.delete(&at).map(drop))
    }

    pub(crate) fn read_body(&self, txn: &ReadTransaction, content: &ContentId) -> Result<Option<HeldBody>> {
        let at = content.0;
        let Some(row) = BODIES.read(txn)?.get(&at)? else { return Ok(None) };
        let opened = self.open_row(&BODIES, &at, &row)?;
        let meta: BodyMeta = BODIES.decode(&at, &opened.meta)?;
        let body = |bytes| HeldBody { content: *content, kind: meta.kind, patient: opened.patient, bytes };
        Ok(opened.data.map(body))
    }

    pub(crate) fn list_bodies(
        &self,
        txn: &ReadTransaction,
        patient: Option<&PatientId>,
        kind: Option<u64>,
        (mut skip, limit): (usize, usize),
    ) -> Result<Vec<ContentId>> {
        let mut prefix = self.sealer.body_prefix(patient);
        prefix.extend(kind.into_iter().flat_map(u64::to_be_bytes));
        let mut found = Vec::new();
        BODY_INDEX.read(txn)?.scan(&prefix, &[], |at, row| {
            if skip > 0 {
                skip -= 1;
            } else if found.len() < limit {
                found.push(self.indexed_content(at, row)?);
            }
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    pub(crate) fn put_sealed(&self, batch: &mut Batch<'_>, row: &SealedRow) -> Result<()> {
        let at = self.sealer.sealed_key(&row.key);
        let data = SealedData {
            group: Bytes(row.key.group.clone()),
            item: Bytes(row.key.item.clone()),
            value: Bytes(row.value.clone()),
        };
        let sealed = self.seal(&SEALED, &at, row.patient.as_ref(), &[], &data.encode())?;
        batch.put_counted(&SEALED, &at, &sealed)
    }

    pub(crate) fn read_sealed(&self, txn: &ReadTransaction, k: &SealedKey) -> Result<Option<Vec<u8>>> {
        let at = self.sealer.sealed_key(k);
        let Some(row) = SEALED.read(txn)?.get(&at)? else { return Ok(None) };
        let Some(data) = self.open_row(&SEALED, &at, &row)?.data else { return Ok(None) };
        let data: SealedData = SEALED.decode(&at, &data)?;
        Ok(Some(data.value.0))
    }

    pub(crate) fn list_sealed(
        &self,
        rows: &Rows<ReadOnlyTable<&'static [u8], &'static [u8]>>,
        space: &str,
        group: Option<&[u8]>,
        (from, limit): (Option<&SealedKey>, usize),
    ) -> Result<Vec<SealedRow>> {
        judge_space(space)?;
        let prefix = group.map_or_else(|| space_prefix(space), |g| self.sealer.group_prefix(space, g));
        let from = from.map_or_else(Vec::new, |k| after(&self.sealer.sealed_key(k)));
        let mut found = Vec::new();
        rows.scan(&prefix, &from, |at, row| {
            if found.len() < limit {
                found.extend(self.opened_sealed(space, at, row)?);
            }
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    fn opened_sealed(&self, space: &str, at: &[u8], row: &[u8]) -> Result<Option<SealedRow>> {
        let opened = self.open_row(&SEALED, at, row)?;
        let Some(data) = opened.data else { return Ok(None) };
        let data: SealedData = SEALED.decode(at, &data)?;
        let order = SEALED.part(at, number_at(at, 1 + space.len() + 16))?;
        let key = SealedKey { space: space.to_owned(), group: data.group.0, order, item: data.item.0 };
        Ok(Some(SealedRow { key, patient: opened.patient, value: data.value.0 }))
    }
}

/// Addresses of objects, structured ones first.
pub(crate) fn list_objects(
    txn: &ReadTransaction,
    from: Option<&ObjectId>,
    limit: usize,
) -> Result<Vec<ObjectId>> {
    let from = from.map_or_else(Vec::new, |id| after(&id.0));
    let mut found = Vec::new();
    for name in [&STRUCTURED, &SEGMENTS] {
        name.read(txn)?.walk(&from, |at, _, _| {
            if found.len() < limit {
                found.push(name.part(at, object_at(at, 0))?);
            }
            Ok(found.len() < limit)
        })?;
    }
    Ok(found)
}

/// Which of these objects are here.
pub(crate) fn has_objects(txn: &ReadTransaction, ids: &[ObjectId]) -> Result<Vec<bool>> {
    let (segments, structured) = (SEGMENTS.read(txn)?, STRUCTURED.read(txn)?);
    let has = |id: &ObjectId| {
        let table = if id.0[0] == OBJECT_BLAKE3 { &segments } else { &structured };
        Ok(table.len_of(&id.0)?.is_some())
    };
    ids.iter().map(has).collect()
}

/// Drops an object.
pub(crate) fn drop_object(batch: &mut Batch<'_>, id: &ObjectId) -> Result<()> {
    table_of(id).map_or(Ok(()), |name| batch.delete_counted(name, &id.0))
}
