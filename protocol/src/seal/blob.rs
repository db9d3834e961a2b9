//! Blobs: a file sealed in segments by the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015,
//! section 7) over ChaCha20-Poly1305 (RFC 8439), as age does.
//!
//! The nonce of a segment is its index as 11 bytes, big-endian, and a last flag; the additional data are the
//! deterministic encoding of [`Context::Segment`], the format and the record id. So a segment opens only at its
//! place, in its record, and the end of the file is where the sealer put it. Each opens by itself, which
//! makes a blob seekable and resumable.
//!
//! A data key seals one record, once: the same key with another file would repeat nonces. The cipher does not
//! commit to its key; that a file is the author's is shown by the digest in the signed record entry.
//! Sealing and opening work in place. Who reads and writes files is `storage`'s affair.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce};

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::entry::FORMAT;
use crate::ids::RecordId;
use crate::limits::{RECORD_BYTES_MAX, SEGMENT_BYTES};
use crate::seal::layout::{SEGMENT_PLAIN_BYTES, TAG_BYTES};
use crate::secret::secret_type;
use crate::wire::{Enc, Wire};

secret_type! {
    /// The key of one record's segments: 32 random bytes.
    DataKey;
}

impl DataKey {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}

/// Why a segment was not sealed. Each is a fault of the caller, or a file beyond the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The last segment was sealed already.
    #[error("the last segment was sealed already")]
    Finished,
    /// A segment before the last has another length than [`SEGMENT_PLAIN_BYTES`].
    #[error("a segment before the last is not full")]
    NotFull,
    /// The last segment is longer than [`SEGMENT_PLAIN_BYTES`].
    #[error("the last segment is too long")]
    TooLong,
    /// The last segment is empty although others stand before it.
    #[error("only an empty file has an empty segment")]
    Empty,
    /// The file is larger than 64 GiB.
    #[error("the file is larger than a record may be")]
    RecordTooLarge,
}

/// Counts the segments of a file and judges their lengths, the same for sealing and for the manifest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// The index of the next segment.
    pub(super) next: u64,
    /// Plain bytes so far.
    pub(super) size: u64,
    /// Whether the last segment has passed.
    pub(super) finished: bool,
}

impl Progress {
    /// Counts a segment of `plain` bytes; gives its index.
    pub(super) fn advance(&mut self, plain: usize, last: bool) -> Result<u64, SealError> {
        let size = self.size + plain as u64;
        match (last, plain) {
            _ if self.finished => return Err(SealError::Finished),
            (false, n) if n != SEGMENT_PLAIN_BYTES => return Err(SealError::NotFull),
            (true, n) if n > SEGMENT_PLAIN_BYTES => return Err(SealError::TooLong),
            (true, 0) if self.next > 0 => return Err(SealError::Empty),
            _ if size > RECORD_BYTES_MAX => return Err(SealError::RecordTooLarge),
            _ => {}
        }
        let index = self.next;
        *self = Self { next: index + 1, size, finished: last };
        Ok(index)
    }
}

/// Seals one file, segment after segment.
pub struct Sealer {
    cipher: ChaCha20Poly1305,
    additional: Vec<u8>,
    progress: Progress,
}

impl Sealer {
    /// Begins a file under a key that has sealed nothing yet.
    #[must_use]
    pub fn new(key: &DataKey, record: RecordId) -> Self {
        Self { cipher: key.cipher(), additional: additional_data(&record), progress: Progress::default() }
    }

    /// Seals the next segment in place: `buf` holds [`SEGMENT_PLAIN_BYTES`] plain bytes (fewer in the last, none
    /// in an empty file) and then the sealed ones. With a capacity of [`SEGMENT_BYTES`] nothing is copied.
    /// Gives the segment's index.
    ///
    /// # Errors
    /// [`SealError`]; nothing was sealed, and `buf` is as it was.
    pub fn seal_segment(&mut self, buf: &mut Vec<u8>, last: bool) -> Result<u64, SealError> {
        let index = self.progress.advance(buf.len(), last)?;
        self.cipher
            .encrypt_in_place(&nonce(index, last), &self.additional, buf)
            .expect("a segment is far below the cipher's limit of 256 GiB");
        Ok(index)
    }

    /// Plain bytes sealed so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.progress.size
    }
}

/// Opens the segment at `index` in place: `buf` holds the sealed bytes and then the plain ones. After a
/// refusal `buf` still holds the sealed bytes.
///
/// # Errors
/// [`Check::SealBroken`] for another key, record, place or length, or altered bytes.
pub fn open_segment(
    key: &DataKey,
    record: RecordId,
    index: u64,
    last: bool,
    buf: &mut Vec<u8>,
) -> Result<(), Rejected> {
    ensure(length_is_lawful(buf.len(), index, last), Check::SealBroken)?;
    key.cipher()
        .decrypt_in_place(&nonce(index, last), &additional_data(&record), buf)
        .map_err(|_| Check::SealBroken.into())
}

// Even the holder of the key cannot make a file whose segments lie elsewhere than its size says.
fn length_is_lawful(sealed: usize, index: u64, last: bool) -> bool {
    match (last, index) {
        (false, _) => sealed == SEGMENT_BYTES,
        (true, 0) => (TAG_BYTES..=SEGMENT_BYTES).contains(&sealed),
        (true, _) => (TAG_BYTES + 1..=SEGMENT_BYTES).contains(&sealed),
    }
}

fn nonce(index: u64, last: bool) -> Nonce {
    let mut nonce = [0; 12];
    nonce[3..11].copy_from_slice(&index.to_be_bytes());
    nonce[11] = u8::from(last);
    nonce.into()
}

fn additional_data(record: &RecordId) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(3).text(Context::Segment.text()).u64(FORMAT);
    record.put(&mut e);
    e.into_bytes()
}

#[cfg(test)]
mod tests;
