//! The tables: their names, their keys and the payloads of their rows.
//!
//! A version stands in every name; a change of a key or payload makes a new name and a line in the version
//! history of `storage/README.md`. Numbers in keys are big-endian, so that their order is that of bytes.

#![allow(unreachable_pub, reason = "wire_struct! declares what it makes public; the module is private")]

use hospes_protocol::ids::{ContentId, HeaderId, NodeId, ObjectId, OrganizationId, PatientId};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;

use crate::error::{Item, Result, StoreError};

/// The format of both databases that this release writes.
pub(crate) const FORMAT: u64 = 1;

/// A table.
#[derive(Debug)]
pub(crate) struct Name {
    /// The file that it is in.
    pub(crate) file: &'static str,
    /// Its name there.
    pub(crate) table: &'static str,
    /// Whether values stand without a check, because their key is their hash.
    pub(crate) raw: bool,
}

macro_rules! tables {
    ($list:ident, $file:literal: $($(#[$meta:meta])* $name:ident = $table:literal $($raw:ident)?;)+) => {
        $($(#[$meta])* pub(crate) static $name: Name =
            Name { file: $file, table: $table, raw: tables!(@raw $($raw)?) };)+
        /// Every table of the file; the first is its meta table.
        pub(crate) static $list: &[&Name] = &[$(&$name),+];
    };
    (@raw raw) => { true };
    (@raw) => { false };
}

tables! { LEDGER_TABLES, "ledger.redb":
    /// Name -> [`Meta`], counters and properties.
    LEDGER_META = "meta/1";
    /// Height -> [`BlockRow`].
    BLOCKS = "blocks/1";
    /// Block hash -> height.
    BLOCK_HASHES = "block-hashes/1";
    /// Node, sequence -> header id, content id, header.
    HEADERS = "headers/1";
    /// Header id -> node, sequence.
    HEADER_IDS = "header-ids/1";
    /// Content id, header id -> nothing.
    HEADER_CONTENTS = "header-contents/1";
    /// Node -> sequence, header id.
    HEADS = "heads/1";
    /// Node, sequence, header id -> header id, content id, header.
    FORKS = "forks/1";
    /// Content id -> body of a control header.
    CONTROL = "control/1";
    /// Header id -> [`FinalRow`].
    FINALS = "finals/1";
    /// Lock -> height; 0 for one that was only seen.
    LOCKS = "locks/1";
    /// Level, index -> hash.
    RANGE = "range/1";
    /// Height, number -> entry.
    WAL = "wal/1";
    /// Node, sequence -> header id.
    OUTBOX = "outbox/1";
}

tables! { OBJECTS_TABLES, "objects.redb":
    /// Name -> [`Meta`], key check and counters.
    OBJECTS_META = "meta/1";
    /// Object id -> segment, as it is.
    SEGMENTS = "segments/1" raw;
    /// Object id -> sealed object.
    STRUCTURED = "structured/1";
    /// Content id -> sealed body.
    BODIES = "bodies/1";
    /// Patient tag, kind, arrival -> sealed content id.
    BODY_INDEX = "body-index/1";
    /// Space, group tag, order, item tag -> sealed row.
    SEALED = "sealed/1";
    /// Object id, organization tag -> sealed [`OrderRow`].
    ORDERS = "orders/1";
    /// Until, object id, organization tag -> nothing.
    ORDER_ENDS = "order-ends/1";
    /// Organization tag -> sealed [`QuotaRow`].
    QUOTAS = "quotas/1";
    /// Object id, holder tag -> sealed [`ReceiptRow`].
    RECEIPTS = "receipts/1";
    /// Object id -> sealed [`FetchRow`].
    FETCHES = "fetches/1";
    /// Due, object id -> nothing.
    FETCHES_DUE = "fetches-due/1";
    /// Class -> [`TotalRow`].
    TOTALS = "totals/1";
}

wire_struct! {
    /// What a database says of itself; the same shape in every format.
    pub struct Meta {
        /// Its format.
        pub format: u64,
        /// The same in both databases and the key file of a store.
        pub store: [u8; 16],
    }
}

wire_struct! {
    /// A block with its certificate.
    pub struct BlockRow {
        /// SHA-256 of the block.
        pub hash: [u8; 32],
        /// The block.
        pub block: Bytes,
        /// The certificate.
        pub certificate: Bytes,
    }
}

wire_struct! {
    /// That a header is final.
    pub struct FinalRow {
        /// The height.
        pub height: u64,
        /// The leaf in the range.
        pub leaf: u64,
        /// The number of the check that voids it; 0 for none.
        pub void: u64,
    }
}

wire_struct! {
    /// What of a body is known without opening it.
    pub struct BodyMeta {
        /// Its kind.
        pub kind: u64,
        /// Its number in the order of arrival.
        pub arrival: u64,
    }
}

wire_struct! {
    /// The key and value of a sealed row.
    pub struct SealedData {
        /// Its group.
        pub group: Bytes,
        /// Its item.
        pub item: Bytes,
        /// Its value.
        pub value: Bytes,
    }
}

wire_struct! {
    /// An order.
    pub struct OrderRow {
        /// Whose quota it counts against.
        pub organization: OrganizationId,
        /// Its end, in milliseconds since 1970 UTC.
        pub until: u64,
        /// The size it counts for, in bytes.
        pub size: u64,
        /// The signed order.
        pub bytes: Bytes,
    }
}

wire_struct! {
    /// What an organization's orders come to.
    pub struct QuotaRow {
        /// Whose.
        pub organization: OrganizationId,
        /// How many.
        pub orders: u64,
        /// Their sizes together.
        pub bytes: u64,
    }
}

wire_struct! {
    /// A receipt.
    pub struct ReceiptRow {
        /// Of whom.
        pub holder: NodeId,
        /// The signed receipt.
        pub bytes: Bytes,
    }
}

wire_struct! {
    /// A fetch.
    pub struct FetchRow {
        /// When to try next.
        pub due: u64,
        /// How often it was tried.
        pub attempts: u64,
        /// The caller's note.
        pub note: Bytes,
    }
}

wire_struct! {
    /// A total.
    pub struct TotalRow {
        /// How many.
        pub count: u64,
        /// How many bytes.
        pub bytes: u64,
    }
}

/// A key of several parts.
pub(crate) fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The header key of a node's sequence number.
pub(crate) fn node_key(node: &NodeId, sequence: u64) -> Vec<u8> {
    key(&[&node.0, &sequence.to_be_bytes()])
}

/// The 32 bytes at `at` of a key or payload.
pub(crate) fn id_at(bytes: &[u8], at: usize) -> Option<[u8; 32]> {
    bytes.get(at..at.checked_add(32)?)?.try_into().ok()
}

/// The number at `at` of a key or payload.
pub(crate) fn number_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The object id at `at` of a key.
pub(crate) fn object_at(bytes: &[u8], at: usize) -> Option<ObjectId> {
    Some(ObjectId(bytes.get(at..at.checked_add(33)?)?.try_into().ok()?))
}

/// The whole of a key or payload that is one id.
pub(crate) fn whole_id(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

impl Name {
    /// What the row under `key` is called when it is damaged.
    pub(crate) fn item(&self, key: &[u8]) -> Item {
        let named = match self.table {
            t if t == BLOCKS.table => number_at(key, 0).map(Item::Block),
            t if t == HEADERS.table => {
                id_at(key, 0).zip(number_at(key, 32)).map(|(n, s)| Item::Header(NodeId(n), s))
            }
            t if t == SEGMENTS.table || t == STRUCTURED.table => object_at(key, 0).map(Item::Object),
            t if t == BODIES.table => whole_id(key).map(|id| Item::Body(ContentId(id))),
            _ => None,
        };
        named.unwrap_or_else(|| Item::Row(self.table, hex(key)))
    }

    /// Reads a payload that passed its check.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the row, for another shape.
    pub(crate) fn decode<T: Wire>(&self, key: &[u8], payload: &[u8]) -> Result<T> {
        T::decode(payload).map_err(|_| self.corrupt(key))
    }

    /// Takes a part of a row that must be there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming the row, for null.
    pub(crate) fn part<T>(&self, key: &[u8], part: Option<T>) -> Result<T> {
        part.ok_or_else(|| self.corrupt(key))
    }

    pub(crate) fn corrupt(&self, key: &[u8]) -> StoreError {
        StoreError::Corrupt(self.item(key))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A header id read from a payload.
pub(crate) fn header_id(bytes: &[u8]) -> Option<HeaderId> {
    whole_id(bytes).map(HeaderId)
}

/// A patient id read from an opened row.
pub(crate) fn patient_id(bytes: &[u8]) -> Option<PatientId> {
    whole_id(bytes).map(PatientId)
}
