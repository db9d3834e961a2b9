//! Manifests: which segments a record has, in pages of up to 1,024 segment ids under one root page.
//!
//! Root and pages are objects addressed by SHA-256, segments by BLAKE3. All numbers of a root follow from the
//! size of the plain file and are refused where they don't, so a reader knows from the root alone how many
//! bytes each segment must have. Building and reading hold one page at a time.
//! The manifest is not sealed: it shows record id, sizes and addresses, and nothing else.
//! `storage` writes and reads it with the blob; holders read it to know what to fetch.

use crate::check::{Check, Rejected, ensure};
use crate::entry::FORMAT;
use crate::ids::{OBJECT_BLAKE3, OBJECT_SHA256, ObjectId, RecordId};
use crate::limits::MANIFEST_PAGE_IDS;
use crate::seal::blob::{Progress, SealError};
use crate::seal::layout::{Layout, TAG_BYTES};
use crate::wire::Wire;
use crate::wire_struct;

/// A root page in bytes, at most: 65 page ids and the fixed fields come to about 2,400.
pub const ROOT_BYTES_MAX: usize = 4096;
/// A page in bytes, at most: 1,024 ids of 35 encoded bytes, and the format.
pub const PAGE_BYTES_MAX: usize = MANIFEST_PAGE_IDS * 35 + 16;

wire_struct! {
    /// The root of a manifest, which names its pages.
    pub struct RootPage {
        /// [`FORMAT`].
        pub format: u64,
        /// The record whose id is bound into every segment.
        pub record: RecordId,
        /// Bytes of the plain file.
        pub size: u64,
        /// Bytes of all sealed segments.
        pub sealed_size: u64,
        /// How many segments there are.
        pub segments: u64,
        /// The pages in order.
        pub pages: Vec<ObjectId>,
    }
}

wire_struct! {
    /// The wire form of a page.
    pub struct PageFields {
        /// [`FORMAT`].
        pub format: u64,
        /// The segments in order; 1,024 in all pages but the last.
        pub segments: Vec<ObjectId>,
    }
}

/// One segment as the manifest describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its place in the file, from 0.
    pub index: u64,
    /// Its address.
    pub id: ObjectId,
    /// Whether it is the last.
    pub last: bool,
    /// Its sealed bytes, tag included.
    pub sealed_bytes: usize,
}

impl Segment {
    /// Whether `sealed` are this segment's bytes.
    ///
    /// # Errors
    /// [`Check::ObjectHash`] for other bytes than the address names: the sender's fault.
    /// [`Check::ManifestForm`] for the bytes that it names but of a length that doesn't fit the place: the
    /// author's.
    pub fn judge(&self, sealed: &[u8]) -> Result<(), Rejected> {
        ensure(self.id.names(sealed), Check::ObjectHash)?;
        ensure(sealed.len() == self.sealed_bytes, Check::ManifestForm)
    }
}

/// A page that was found consistent with its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    layout: Layout,
    first: u64,
    ids: Vec<ObjectId>,
}

impl RootPage {
    /// Reads a root page and judges its form.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::Malformed`], [`Check::NonCanonical`], [`Check::UnknownFormat`], and
    /// [`Check::ManifestForm`] where the numbers don't fit each other or an address occurs twice.
    pub fn read(bytes: &[u8]) -> Result<Self, Rejected> {
        let root = Self::decode_within(bytes, ROOT_BYTES_MAX)?;
        ensure(root.format == FORMAT, Check::UnknownFormat)?;
        let layout = root.layout()?;
        let counts = root.sealed_size == layout.sealed_size()
            && root.segments == layout.segments()
            && root.pages.len() as u64 == layout.pages();
        ensure(counts, Check::ManifestForm)?;
        judge_ids(&root.pages, OBJECT_SHA256)?;
        Ok(root)
    }

    /// Whether this is the manifest of `record`, a plain file of `size` bytes, as its signed entry says.
    ///
    /// # Errors
    /// [`Check::ManifestForm`] where it is another's.
    pub fn belongs_to(&self, record: &RecordId, size: u64) -> Result<(), Rejected> {
        ensure(self.record == *record && self.size == size, Check::ManifestForm)
    }

    /// The layout that follows from the size.
    ///
    /// # Errors
    /// [`Check::ManifestForm`] above 64 GiB.
    pub fn layout(&self) -> Result<Layout, Rejected> {
        Layout::of_size(self.size).map_err(|_| Check::ManifestForm.into())
    }

    /// Reads the page with this number, from 0.
    ///
    /// # Errors
    /// [`Check::RangeForm`] for a number beyond the last, [`Check::ObjectHash`] for other bytes than those that the
    /// root names, [`Check::UnknownFormat`], and [`Check::ManifestForm`] for a wrong count, an address that
    /// is no segment's, or one that occurs twice.
    pub fn page(&self, number: u64, bytes: &[u8]) -> Result<Page, Rejected> {
        let place = usize::try_from(number).map_err(|_| Check::RangeForm)?;
        let id = self.pages.get(place).ok_or(Check::RangeForm)?;
        ensure(bytes.len() <= PAGE_BYTES_MAX, Check::TooLarge)?;
        ensure(id.names(bytes), Check::ObjectHash)?;
        let fields = PageFields::decode(bytes)?;
        ensure(fields.format == FORMAT, Check::UnknownFormat)?;
        let layout = self.layout()?;
        let range = layout.page(number);
        ensure(fields.segments.len() as u64 == range.end - range.start, Check::ManifestForm)?;
        judge_ids(&fields.segments, OBJECT_BLAKE3)?;
        Ok(Page { layout, first: range.start, ids: fields.segments })
    }
}

// No two segments are equal, since each has its own nonce; so no two pages are.
fn judge_ids(ids: &[ObjectId], tag: u8) -> Result<(), Rejected> {
    ensure(ids.iter().all(|id| id.0[0] == tag), Check::ManifestForm)?;
    let mut sorted: Vec<&ObjectId> = ids.iter().collect();
    sorted.sort_unstable();
    ensure(sorted.windows(2).all(|w| w[0] < w[1]), Check::ManifestForm)
}

impl Page {
    /// The segments of this page, in order.
    pub fn segments(&self) -> impl Iterator<Item = Segment> + '_ {
        (self.first..).zip(&self.ids).map(|(index, id)| self.describe(index, *id))
    }

    /// The segment at `index` of the whole file, if this page lists it.
    #[must_use]
    pub fn segment(&self, index: u64) -> Option<Segment> {
        let place = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.ids.get(place).map(|id| self.describe(index, *id))
    }

    fn describe(&self, index: u64, id: ObjectId) -> Segment {
        let (last, sealed_bytes) = (self.layout.is_last(index), self.layout.sealed_bytes(index));
        Segment { index, id, last, sealed_bytes }
    }
}

/// A finished page or root: an object to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestObject {
    /// Its address.
    pub id: ObjectId,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl ManifestObject {
    fn of(bytes: Vec<u8>) -> Self {
        Self { id: ObjectId::of_structured(&bytes), bytes }
    }
}

/// The end of a manifest: both are to be stored, the root's address goes into the record entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEnd {
    /// The last page; none where the segments fill the pages before it.
    pub page: Option<ManifestObject>,
    /// The root page.
    pub root: ManifestObject,
}

/// Builds a manifest while the file is sealed.
#[derive(Debug)]
pub struct ManifestBuilder {
    record: RecordId,
    progress: Progress,
    sealed_size: u64,
    ids: Vec<ObjectId>,
    pages: Vec<ObjectId>,
}

impl ManifestBuilder {
    /// Begins the manifest of `record`.
    #[must_use]
    pub fn new(record: RecordId) -> Self {
        Self { record, progress: Progress::default(), sealed_size: 0, ids: Vec::new(), pages: Vec::new() }
    }

    /// Adds the next sealed segment; gives a page to store whenever one is full.
    ///
    /// # Errors
    /// [`SealError`] for a length that no sealer makes there.
    pub fn push(
        &mut self,
        id: ObjectId,
        sealed_bytes: usize,
        last: bool,
    ) -> Result<Option<ManifestObject>, SealError> {
        let plain = sealed_bytes.checked_sub(TAG_BYTES).ok_or(SealError::NotFull)?;
        self.progress.advance(plain, last)?;
        self.sealed_size += sealed_bytes as u64;
        self.ids.push(id);
        Ok((self.ids.len() == MANIFEST_PAGE_IDS).then(|| self.close_page()))
    }

    fn close_page(&mut self) -> ManifestObject {
        let fields = PageFields { format: FORMAT, segments: std::mem::take(&mut self.ids) };
        let page = ManifestObject::of(fields.encode());
        self.pages.push(page.id);
        page
    }

    /// Ends the manifest after its last segment.
    ///
    /// # Errors
    /// [`SealError::NotFull`] where the last segment is still missing.
    pub fn finish(mut self) -> Result<ManifestEnd, SealError> {
        if !self.progress.finished {
            return Err(SealError::NotFull);
        }
        let page = (!self.ids.is_empty()).then(|| self.close_page());
        let root = RootPage {
            format: FORMAT,
            record: self.record,
            size: self.progress.size,
            sealed_size: self.sealed_size,
            segments: self.progress.next,
            pages: self.pages,
        };
        Ok(ManifestEnd { page, root: ManifestObject::of(root.encode()) })
    }
}

#[cfg(test)]
mod tests;
