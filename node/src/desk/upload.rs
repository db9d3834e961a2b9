//! An upload: sealed segment by segment while it arrives, into the store, never on disk in plain.
//!
//! One blocking thread seals for each upload; memory holds a segment and one commit's worth of sealed ones. What
//! was stored of an upload that broke off, or whose tap failed, is dropped again. Which record it becomes is
//! `records`' affair.

use std::sync::Arc;
use std::time::Duration;

use hospes_protocol::ids::{ObjectId, RecordId};
use hospes_protocol::limits::SEGMENT_BYTES;
use hospes_protocol::seal::blob::{DataKey, SealError, Sealer};
use hospes_protocol::seal::layout::SEGMENT_PLAIN_BYTES;
use hospes_protocol::seal::manifest::{ManifestBuilder, ManifestObject};
use hospes_storage::{BlobWriter, Objects, StoreError, Write};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::error::DeskError;
use super::random;

/// Parts of an upload that may wait for the sealing thread.
const PARTS_WAITING: usize = 4;
/// Drops in one transaction.
const DROPS: usize = 1024;
/// Between two attempts to drop what a full disk keeps.
const DROP_PAUSE: Duration = Duration::from_secs(10);
/// A file from which a summary is derived, at most: such bundles are read as a whole.
pub(super) const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

enum Part {
    Bytes(Zeroizing<Vec<u8>>),
    End,
}

/// A file on its way in.
pub(super) struct Incoming {
    parts: mpsc::Sender<Part>,
    sealing: JoinHandle<Result<SealedFile, DeskError>>,
}

/// A file that lies sealed in the store and belongs to no record yet.
pub(super) struct SealedFile {
    /// Bound into every segment.
    pub(super) record: RecordId,
    /// Opens it.
    pub(super) key: DataKey,
    /// The root of its manifest.
    pub(super) root: ObjectId,
    /// Plain bytes.
    pub(super) size: u64,
    /// SHA-256 of record id and plain file.
    pub(super) digest: [u8; 32],
    /// The plain file, where it was to be kept and is small enough.
    pub(super) kept: Option<Zeroizing<Vec<u8>>>,
    written: Vec<ObjectId>,
}

/// An upload with what it is to become.
pub(crate) struct Upload {
    pub(super) request: super::records::AddRecord,
    pub(super) incoming: Incoming,
}

impl Upload {
    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// [`DeskError::UploadBroken`] where sealing failed; [`super::Desk::finish_record`] says why.
    pub(crate) async fn push(&mut self, bytes: Vec<u8>) -> Result<(), DeskError> {
        self.incoming.push(bytes).await
    }
}

impl Incoming {
    /// Begins to seal into `objects`.
    pub(super) fn begin(objects: Arc<dyn Objects>, keep: bool) -> Self {
        let (parts, arriving) = mpsc::channel(PARTS_WAITING);
        let sealing = tokio::task::spawn_blocking(move || {
            let mut arriving = arriving;
            let mut sealing = Sealing::new(keep)?;
            let done = sealing.run(&*objects, &mut arriving);
            if done.is_err() {
                discard(&objects, &sealing.written)?;
            }
            done
        });
        Self { parts, sealing }
    }

    async fn push(&mut self, bytes: Vec<u8>) -> Result<(), DeskError> {
        self.parts.send(Part::Bytes(Zeroizing::new(bytes))).await.map_err(|_| DeskError::UploadBroken)
    }

    /// Ends the file. An upload that is dropped without this leaves nothing behind.
    pub(super) async fn finish(self) -> Result<SealedFile, DeskError> {
        // A sealing thread that has failed takes nothing more, and says why below.
        let _failed = self.parts.send(Part::End).await;
        self.sealing.await.map_err(|_| DeskError::Stopping)?
    }
}

/// Seals a file that is in memory. Blocks.
pub(super) fn seal_bytes(objects: &Arc<dyn Objects>, plain: &[u8]) -> Result<SealedFile, DeskError> {
    let mut sealing = Sealing::new(false)?;
    let mut writer = BlobWriter::new(&**objects);
    let sealed = sealing.take(&mut writer, plain).and_then(|()| sealing.end(writer));
    if sealed.is_err() {
        discard(objects, &sealing.written)?;
    }
    sealed
}

/// Drops what was stored of a file. Where a full disk keeps it from that, it is dropped later. Needs a running
/// Tokio.
pub(super) fn discard(objects: &Arc<dyn Objects>, written: &[ObjectId]) -> Result<(), DeskError> {
    match drop_objects(&**objects, written) {
        Err(StoreError::Full) => {
            tokio::spawn(drop_later(objects.clone(), written.to_vec()));
            Ok(())
        }
        dropped => Ok(dropped?),
    }
}

fn drop_objects(objects: &dyn Objects, ids: &[ObjectId]) -> Result<(), StoreError> {
    let drops: Vec<_> = ids.iter().map(|id| Write::DropObject(*id)).collect();
    drops.chunks(DROPS).try_for_each(|some| objects.apply(some))
}

async fn drop_later(objects: Arc<dyn Objects>, ids: Vec<ObjectId>) {
    let ids = Arc::new(ids);
    loop {
        tokio::time::sleep(DROP_PAUSE).await;
        let (objects, ids) = (objects.clone(), ids.clone());
        let dropped = tokio::task::spawn_blocking(move || drop_objects(&*objects, &ids)).await;
        if !matches!(dropped, Ok(Err(StoreError::Full))) {
            return;
        }
    }
}

impl SealedFile {
    /// Drops it. Blocks.
    pub(super) fn discard(&self, objects: &Arc<dyn Objects>) -> Result<(), DeskError> {
        discard(objects, &self.written)
    }
}

struct Sealing {
    record: RecordId,
    key: DataKey,
    sealer: Sealer,
    manifest: Option<ManifestBuilder>,
    digest: Sha256,
    /// Plain bytes of the segment that is filling; sealed in place.
    buffer: Zeroizing<Vec<u8>>,
    kept: Option<Zeroizing<Vec<u8>>>,
    written: Vec<ObjectId>,
}

impl Sealing {
    fn new(keep: bool) -> Result<Self, DeskError> {
        let (record, key) = (RecordId(random::bytes()?), DataKey::random(&mut random::generator()?));
        let mut digest = Sha256::new();
        digest.update(record.0);
        Ok(Self {
            record,
            sealer: Sealer::new(&key, record),
            key,
            manifest: Some(ManifestBuilder::new(record)),
            digest,
            buffer: Zeroizing::new(Vec::with_capacity(SEGMENT_BYTES)),
            kept: keep.then(Zeroizing::default),
            written: Vec::new(),
        })
    }

    fn run(
        &mut self,
        objects: &dyn Objects,
        arriving: &mut mpsc::Receiver<Part>,
    ) -> Result<SealedFile, DeskError> {
        let mut writer = BlobWriter::new(objects);
        loop {
            match arriving.blocking_recv() {
                Some(Part::Bytes(bytes)) => self.take(&mut writer, &bytes)?,
                Some(Part::End) => return self.end(writer),
                None => return Err(DeskError::UploadBroken),
            }
        }
    }

    fn take(&mut self, writer: &mut BlobWriter<'_>, mut bytes: &[u8]) -> Result<(), DeskError> {
        self.digest.update(bytes);
        self.keep(bytes);
        while !bytes.is_empty() {
            // A full segment is sealed once more bytes follow: only then is it known not to be the last.
            if self.buffer.len() == SEGMENT_PLAIN_BYTES {
                self.seal(writer, false)?;
            }
            let room = SEGMENT_PLAIN_BYTES - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    // A plain copy grows by hand, so that no buffer that was outgrown stays behind unwiped.
    fn keep(&mut self, bytes: &[u8]) {
        let Some(kept) = &mut self.kept else { return };
        let length = kept.len() + bytes.len();
        if length > KEPT_BYTES_MAX {
            self.kept = None;
            return;
        }
        if length > kept.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity((2 * length).min(KEPT_BYTES_MAX)));
            larger.extend_from_slice(kept);
            *kept = larger;
        }
        kept.extend_from_slice(bytes);
    }

    fn seal(&mut self, writer: &mut BlobWriter<'_>, last: bool) -> Result<(), DeskError> {
        self.sealer.seal_segment(&mut self.buffer, last)?;
        // What is in the buffer now is ciphertext; the next segment fills a fresh one.
        let sealed = std::mem::replace(&mut *self.buffer, Vec::with_capacity(SEGMENT_BYTES));
        let length = sealed.len();
        hospes_protocol::fail_point!(
            SegmentUnwritten,
            return Err(hospes_storage::StoreError::wanted().into())
        );
        let id = writer.push(sealed)?;
        self.written.push(id);
        let manifest = self.manifest.as_mut().ok_or(SealError::Finished)?;
        if let Some(page) = manifest.push(id, length, last)? {
            self.write(writer, page)?;
        }
        Ok(())
    }

    fn write(&mut self, writer: &mut BlobWriter<'_>, object: ManifestObject) -> Result<(), DeskError> {
        self.written.push(object.id);
        writer.push_structured(None, object.bytes)?;
        Ok(())
    }

    fn end(&mut self, mut writer: BlobWriter<'_>) -> Result<SealedFile, DeskError> {
        self.seal(&mut writer, true)?;
        let end = self.manifest.take().ok_or(SealError::Finished)?.finish()?;
        if let Some(page) = end.page {
            self.write(&mut writer, page)?;
        }
        let root = end.root.id;
        self.write(&mut writer, end.root)?;
        writer.finish()?;
        Ok(SealedFile {
            record: self.record,
            key: self.key.clone(),
            root,
            size: self.sealer.size(),
            digest: std::mem::take(&mut self.digest).finalize().into(),
            kept: self.kept.take(),
            written: std::mem::take(&mut self.written),
        })
    }
}
