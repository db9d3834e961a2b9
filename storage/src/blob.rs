//! Blobs in and out as streams of segments: memory holds one commit's worth, whatever the blob's length.
//!
//! Segments are opaque, sealed by the caller; which ones make up a blob is his manifest's to say. The node's
//! ingest and its streams call this.

use hospes_protocol::ids::{ObjectId, PatientId};

use crate::error::Result;
use crate::objects::{Objects, Segment, Write};

/// Segments are committed when so many bytes wait: larger commits gain nothing, smaller ones sync more.
const COMMIT_BYTES: usize = 4 * 1024 * 1024;

/// Takes segments and commits them a few at a time.
pub struct BlobWriter<'a> {
    objects: &'a dyn Objects,
    waiting: Vec<Write>,
    bytes: usize,
}

impl<'a> BlobWriter<'a> {
    /// A writer into `objects`.
    #[must_use]
    pub fn new(objects: &'a dyn Objects) -> Self {
        Self { objects, waiting: Vec::new(), bytes: 0 }
    }

    /// Takes a segment; gives its address. It is durable after [`BlobWriter::finish`] at the latest.
    ///
    /// # Errors
    /// As [`Objects::apply`].
    pub fn push(&mut self, segment: Vec<u8>) -> Result<ObjectId> {
        let (length, segment) = (segment.len(), Segment::of(segment));
        let id = segment.id();
        self.take(length, Write::Segment(segment))?;
        Ok(id)
    }

    /// Takes a structured object, such as a manifest page; gives its address.
    ///
    /// # Errors
    /// As [`Objects::apply`].
    pub fn push_structured(&mut self, patient: Option<PatientId>, bytes: Vec<u8>) -> Result<ObjectId> {
        let id = ObjectId::of_structured(&bytes);
        self.take(bytes.len(), Write::Object { id, patient, bytes })?;
        Ok(id)
    }

    fn take(&mut self, length: usize, write: Write) -> Result<()> {
        self.bytes += length;
        self.waiting.push(write);
        if self.bytes >= COMMIT_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        self.objects.apply(&std::mem::take(&mut self.waiting))
    }

    /// Commits what waits. Without this, segments after the last commit are forgotten.
    ///
    /// # Errors
    /// As [`Objects::apply`].
    pub fn finish(mut self) -> Result<()> {
        if self.waiting.is_empty() { Ok(()) } else { self.flush() }
    }
}

/// Reads segments in order, one in memory at a time. Null stands for one that is not here.
pub struct Segments<'a> {
    objects: &'a dyn Objects,
    ids: std::vec::IntoIter<ObjectId>,
}

impl<'a> Segments<'a> {
    /// A reader of these segments.
    #[must_use]
    pub fn new(objects: &'a dyn Objects, ids: Vec<ObjectId>) -> Self {
        Self { objects, ids: ids.into_iter() }
    }
}

impl Iterator for Segments<'_> {
    type Item = Result<(ObjectId, Option<Vec<u8>>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let id = self.ids.next()?;
        Some(self.objects.object(&id).map(|bytes| (id, bytes)))
    }
}
