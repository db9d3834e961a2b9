//! How a file of a given size lies in segments and manifest pages. Every number follows from the size.
//!
//! No keys and no bytes here. The blob, the manifest and whoever serves a range of a record call it.

use std::ops::Range;

use crate::check::{Check, Rejected, ensure};
use crate::limits::{MANIFEST_PAGE_IDS, RECORD_BYTES_MAX, SEGMENT_BYTES};

/// Bytes of a ChaCha20-Poly1305 tag (RFC 8439, 2.8).
pub const TAG_BYTES: usize = 16;
/// Plain bytes of a full segment.
pub const SEGMENT_PLAIN_BYTES: usize = SEGMENT_BYTES - TAG_BYTES;
const SEGMENT_PLAIN: u64 = SEGMENT_PLAIN_BYTES as u64;
const PAGE_IDS: u64 = MANIFEST_PAGE_IDS as u64;

/// The layout of one file. An empty file has one empty segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u64,
}

/// A place in the plain file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment, from 0.
    pub segment: u64,
    /// The byte in its plaintext, from 0.
    pub offset: usize,
}

impl Layout {
    /// The layout of a plain file of `size` bytes.
    ///
    /// # Errors
    /// [`Check::TooLarge`] above 64 GiB.
    pub fn of_size(size: u64) -> Result<Self, Rejected> {
        ensure(size <= RECORD_BYTES_MAX, Check::TooLarge)?;
        Ok(Self { size })
    }

    /// Bytes of the plain file.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// How many segments there are, at least 1.
    #[must_use]
    pub fn segments(self) -> u64 {
        self.size.div_ceil(SEGMENT_PLAIN).max(1)
    }

    /// Bytes of all sealed segments together.
    #[must_use]
    pub fn sealed_size(self) -> u64 {
        self.size + self.segments() * TAG_BYTES as u64
    }

    /// Whether the segment at `index` is the last.
    #[must_use]
    pub fn is_last(self, index: u64) -> bool {
        index + 1 == self.segments()
    }

    /// Plain bytes of the segment at `index`; 0 beyond the last.
    #[must_use]
    pub fn plain_bytes(self, index: u64) -> usize {
        let left = self.size.saturating_sub(index.saturating_mul(SEGMENT_PLAIN));
        usize::try_from(left.min(SEGMENT_PLAIN)).expect("a segment is smaller than any address space")
    }

    /// Sealed bytes of the segment at `index`, its tag included.
    #[must_use]
    pub fn sealed_bytes(self, index: u64) -> usize {
        self.plain_bytes(index) + TAG_BYTES
    }

    /// How many manifest pages there are, at least 1.
    #[must_use]
    pub fn pages(self) -> u64 {
        self.segments().div_ceil(PAGE_IDS)
    }

    /// The segments that the manifest page `number` lists; empty beyond the last.
    #[must_use]
    pub fn page(self, number: u64) -> Range<u64> {
        let end = self.segments();
        let first = number.saturating_mul(PAGE_IDS).min(end);
        first..first.saturating_add(PAGE_IDS).min(end)
    }

    /// The manifest page that lists the segment at `index`.
    #[must_use]
    pub fn page_of(self, index: u64) -> u64 {
        index / PAGE_IDS
    }

    /// Where the byte at `offset` of the plain file lies.
    ///
    /// # Errors
    /// [`Check::RangeForm`] at the end of the file and beyond.
    pub fn locate(self, offset: u64) -> Result<Place, Rejected> {
        ensure(offset < self.size, Check::RangeForm)?;
        let within = usize::try_from(offset % SEGMENT_PLAIN).map_err(|_| Check::RangeForm)?;
        Ok(Place { segment: offset / SEGMENT_PLAIN, offset: within })
    }

    /// The segments that hold the plain bytes of `range`.
    ///
    /// # Errors
    /// [`Check::RangeForm`] for a range that is empty or not inside the file.
    pub fn segments_of(self, range: Range<u64>) -> Result<Range<u64>, Rejected> {
        ensure(range.start < range.end && range.end <= self.size, Check::RangeForm)?;
        Ok(range.start / SEGMENT_PLAIN..(range.end - 1) / SEGMENT_PLAIN + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: u64) -> Layout {
        Layout::of_size(size).expect("within the limit")
    }

    #[test]
    fn every_byte_lies_in_exactly_one_segment() {
        let full = SEGMENT_PLAIN;
        for (size, segments) in [(0, 1), (1, 1), (full - 1, 1), (full, 1), (full + 1, 2), (3 * full, 3)] {
            let layout = layout(size);
            assert_eq!(layout.segments(), segments, "segments of {size}");
            let plain: u64 = (0..segments).map(|i| layout.plain_bytes(i) as u64).sum();
            assert_eq!(plain, size, "the plain bytes add up");
            let sealed: u64 = (0..segments).map(|i| layout.sealed_bytes(i) as u64).sum();
            assert_eq!(sealed, layout.sealed_size(), "the sealed bytes add up");
            assert!(layout.is_last(segments - 1) && !layout.is_last(segments), "one segment is the last");
            assert_eq!(layout.plain_bytes(segments), 0, "nothing beyond it");
        }
    }

    #[test]
    fn the_largest_record_fits_one_root_page_of_ids() {
        let largest = layout(RECORD_BYTES_MAX);
        assert_eq!(largest.pages(), 65, "pages of 64 GiB");
        assert_eq!(largest.page(64).end, largest.segments(), "the last page ends with the last segment");
        assert!(largest.page(65).is_empty(), "no page after it");
        assert_eq!(
            Layout::of_size(RECORD_BYTES_MAX + 1),
            Err(Check::TooLarge.into()),
            "one byte more is refused"
        );
    }

    #[test]
    fn a_range_names_its_segments_and_no_others() {
        let layout = layout(2 * SEGMENT_PLAIN + 5);
        assert_eq!(layout.segments_of(0..1), Ok(0..1), "the first byte");
        assert_eq!(layout.segments_of(SEGMENT_PLAIN - 1..SEGMENT_PLAIN + 1), Ok(0..2), "across a border");
        assert_eq!(layout.segments_of(2 * SEGMENT_PLAIN..2 * SEGMENT_PLAIN + 5), Ok(2..3), "the tail");
        assert_eq!(layout.locate(SEGMENT_PLAIN + 7), Ok(Place { segment: 1, offset: 7 }), "a byte");
        let beyond = 2 * SEGMENT_PLAIN + 5;
        assert_eq!(layout.locate(beyond), Err(Check::RangeForm.into()), "the end is not a byte");
        assert_eq!(layout.segments_of(3..3), Err(Check::RangeForm.into()), "an empty range");
        assert_eq!(layout.segments_of(0..beyond + 1), Err(Check::RangeForm.into()), "beyond the end");
    }
}
