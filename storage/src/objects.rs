//! The objects' side of storage: the trait that the node keeps bodies and ciphertext through.
//!
//! It decides nothing: who may hold or read an object is `protocol`'s, and what is dropped the caller's.
//! The node's service and its streams are the callers; [`crate::Store`] implements it.

use hospes_protocol::ids::{ContentId, NodeId, ObjectId, OrganizationId, PatientId};

use crate::error::Result;

/// The key of a sealed row: a space, a group in it, an order in the group and an item.
///
/// On disk the space and the order stand in clear; group and item are keyed hashes, so that a stolen disk
/// shows neither. Rows of one group are ascending by order, then in an order of no meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealedKey {
    /// 1 to 32 lower-case letters, digits and dashes, such as `grants`.
    pub space: String,
    /// Whose rows these are: a patient, or a patient and a grantee.
    pub group: Vec<u8>,
    /// A number to sort by, readable on disk; 0 where none is needed.
    pub order: u64,
    /// Which row.
    pub item: Vec<u8>,
}

impl SealedKey {
    /// The key of an item.
    #[must_use]
    pub fn new(space: &str, group: &[u8], order: u64, item: &[u8]) -> Self {
        Self { space: space.to_owned(), group: group.to_vec(), order, item: item.to_vec() }
    }
}

/// A sealed row, opened.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Its key.
    pub key: SealedKey,
    /// The patient under whose erasable key it stands.
    pub patient: Option<PatientId>,
    /// Its value.
    pub value: Vec<u8>,
}

/// A body as it is held.
#[derive(Clone, PartialEq, Eq)]
pub struct HeldBody {
    /// Its content.
    pub content: ContentId,
    /// Its kind.
    pub kind: u64,
    /// The patient under whose erasable key it stands.
    pub patient: Option<PatientId>,
    /// The body.
    pub bytes: Vec<u8>,
}

/// An order to hold an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What to hold.
    pub object: ObjectId,
    /// Against whose quota.
    pub organization: OrganizationId,
    /// Until when, in milliseconds since 1970 UTC; `u64::MAX` for no end.
    pub until: u64,
    /// How much it counts, in bytes.
    pub size: u64,
    /// The signed order.
    pub bytes: Vec<u8>,
}

/// What an organization's orders come to here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Orders that stand.
    pub orders: u64,
    /// Their sizes together, in bytes.
    pub bytes: u64,
}

/// A holder's receipt for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What is held.
    pub object: ObjectId,
    /// By whom.
    pub holder: NodeId,
    /// The signed receipt.
    pub bytes: Vec<u8>,
}

/// An object that should be here and is not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// What.
    pub object: ObjectId,
    /// When to try next, in milliseconds since 1970 UTC.
    pub due: u64,
    /// How often it was tried.
    pub attempts: u64,
    /// What the caller wants to know then.
    pub note: Vec<u8>,
}

/// A segment with its address, which was computed from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Segment {
    id: ObjectId,
    bytes: Vec<u8>,
}

impl Segment {
    /// Hashes a segment.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self { id: ObjectId::of_segment(&bytes), bytes }
    }

    /// Its address.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        self.id
    }

    /// The segment.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// One change; a batch of them is one transaction.
#[derive(Clone, PartialEq, Eq)]
pub enum Write {
    /// Stores a segment as it is, or a structured object sealed: under the patient's key where one is named.
    Object {
        /// Its address.
        id: ObjectId,
        /// Whose packets these are.
        patient: Option<PatientId>,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Stores a segment that was hashed here, without hashing it again.
    Segment(Segment),
    /// Drops an object.
    DropObject(ObjectId),
    /// Stores a body, in place of one with the same content: signatures may have joined it.
    Body(HeldBody),
    /// Drops a body.
    DropBody(ContentId),
    /// Stores a sealed row. One under a patient's key is erased with him.
    Sealed(SealedRow),
    /// Drops a sealed row.
    DropSealed(SealedKey),
    /// Stores an order, in place of the same organization's for the same object.
    Order(Order),
    /// Drops an order.
    DropOrder(ObjectId, OrganizationId),
    /// Stores a receipt, in place of the same holder's for the same object.
    Receipt(Receipt),
    /// Drops every receipt for an object.
    DropReceipts(ObjectId),
    /// Notes that an object is to be fetched, and when.
    Fetch(Fetch),
    /// Forgets a fetch.
    DropFetch(ObjectId),
}

/// Names what is written, never its bytes.
impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object { id, bytes, .. } => write!(f, "Object({id:?}, {} bytes)", bytes.len()),
            Self::Segment(segment) => write!(f, "Segment({:?})", segment.id),
            Self::DropObject(id) => write!(f, "DropObject({id:?})"),
            Self::Body(body) => write!(f, "Body({:?}, {} bytes)", body.content, body.bytes.len()),
            Self::DropBody(id) => write!(f, "DropBody({id:?})"),
            Self::Sealed(row) => write!(f, "Sealed({}, {} bytes)", row.key.space, row.value.len()),
            Self::DropSealed(key) => write!(f, "DropSealed({})", key.space),
            Self::Order(order) => write!(f, "Order({:?})", order.object),
            Self::DropOrder(id, _) => write!(f, "DropOrder({id:?})"),
            Self::Receipt(receipt) => write!(f, "Receipt({:?})", receipt.object),
            Self::DropReceipts(id) => write!(f, "DropReceipts({id:?})"),
            Self::Fetch(fetch) => write!(f, "Fetch({:?})", fetch.object),
            Self::DropFetch(id) => write!(f, "DropFetch({id:?})"),
        }
    }
}

/// How many, and how many bytes, for `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// How many.
    pub count: u64,
    /// Their stored size, in bytes.
    pub bytes: u64,
}

/// What is held, by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Segments of blobs.
    pub segments: Total,
    /// Packets, manifests and other structured objects.
    pub structured: Total,
    /// Bodies.
    pub bodies: Total,
    /// Sealed rows of the node's indexes.
    pub sealed: Total,
}

/// Segments, structured objects, bodies, sealed indexes and what concerns holding them.
///
/// [`Objects::apply`] is one durable transaction. What stands under the key of an erased patient reads as
/// absent. Nothing that fails its check is served.
pub trait Objects: Send + Sync {
    /// Makes the changes in order, all or none.
    ///
    /// # Errors
    /// [`crate::Contradiction::NotItsBytes`] for an object under another address or above its limit,
    /// [`crate::Contradiction::SpaceName`], and [`crate::StoreError`] of the medium.
    fn apply(&self, writes: &[Write]) -> Result<()>;

    /// The bytes of a segment or structured object.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] naming the object, where it fails its check.
    fn object(&self, id: &ObjectId) -> Result<Option<Vec<u8>>>;

    /// Which of these objects are here; what is under an erased key counts until it is swept.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn has_objects(&self, ids: &[ObjectId]) -> Result<Vec<bool>>;

    /// Addresses of objects after `after`, ascending, at most `limit`: segments follow structured ones.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn list_objects(&self, after: Option<&ObjectId>, limit: usize) -> Result<Vec<ObjectId>>;

    /// A body.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] naming the body, where it fails its check.
    fn body(&self, content: &ContentId) -> Result<Option<HeldBody>>;

    /// Contents of bodies of a patient, or of none, in the order of arrival within each kind; of one kind
    /// or of all; skipping `skip`, at most `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn bodies(
        &self,
        patient: Option<&PatientId>,
        kind: Option<u64>,
        skip: usize,
        limit: usize,
    ) -> Result<Vec<ContentId>>;

    /// The value of a sealed row: one read.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn sealed(&self, key: &SealedKey) -> Result<Option<Vec<u8>>>;

    /// Rows of a space, or of one group of it, after `after`, at most `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn sealed_rows(
        &self,
        space: &str,
        group: Option<&[u8]>,
        after: Option<&SealedKey>,
        limit: usize,
    ) -> Result<Vec<SealedRow>>;

    /// Rows of several groups, each with its space, at most `limit` of each: one look at the store.
    ///
    /// # Errors
    /// As [`Objects::sealed_rows`].
    fn sealed_groups(&self, groups: &[(&str, &[u8])], limit: usize) -> Result<Vec<Vec<SealedRow>>> {
        groups.iter().map(|(space, group)| self.sealed_rows(space, Some(group), None, limit)).collect()
    }

    /// Orders that hold an object here.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn orders(&self, object: &ObjectId) -> Result<Vec<Order>>;

    /// Orders that end before `time`, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn orders_ending(&self, time: u64, limit: usize) -> Result<Vec<Order>>;

    /// What an organization's orders come to.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn quota(&self, organization: &OrganizationId) -> Result<Quota>;

    /// Receipts for an object.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn receipts(&self, object: &ObjectId) -> Result<Vec<Receipt>>;

    /// Fetches due at `time`, the earliest first, at most `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn fetches_due(&self, time: u64, limit: usize) -> Result<Vec<Fetch>>;

    /// The state of one fetch.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn fetch(&self, object: &ObjectId) -> Result<Option<Fetch>>;

    /// Makes erasable keys for patients in one rewriting of the key file; those that have one keep it.
    /// Writing under a patient's key makes it where it is missing; this saves a rewriting for each.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn make_keys(&self, patients: &[PatientId]) -> Result<()>;

    /// Destroys a patient's key, then sweeps what stood under it. When it returns `Ok`, nothing that was
    /// sealed under the key opens again; after an error it is repeated.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn erase(&self, patient: &PatientId) -> Result<()>;

    /// What is held.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn totals(&self) -> Result<Totals>;
}
