//! The search itself: one automaton over all forms of all needles, run over files as streams.
//!
//! Memory is the automaton and one chunk, whatever the size of the file. Deliberately reports no text that it found,
//! only the kind, a hash prefix and the place. Called by `hospes-scan` and by the tests.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::encode::{Form, forms};
use super::{Kind, Needle, Needles, ScanError};

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes read at a time by the positive control, which needs many borders rather than much data.
const CHUNK_BYTES_CONTROL: usize = 1 << 12;
/// Hits listed per stream; further ones are only counted, so that a plain dump doesn't fill the memory.
const HITS_LISTED_MAX: usize = 100;
/// Bytes on each side of a match that are looked at to tell a number from a piece of a hash.
const NEIGHBOURS: usize = 24;

/// A place where a needle occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What was found.
    pub kind: Kind,
    /// In which form.
    pub form: Form,
    /// Prefix of the needle's hash.
    pub tag: String,
    /// Bytes from the start of the stream.
    pub offset: u64,
}

/// What a stream held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The first hits, in order of their ends.
    pub hits: Vec<Hit>,
    /// All hits, the unlisted ones included.
    pub count: u64,
    /// Bytes searched.
    pub bytes: u64,
}

/// All forms of a set of needles, ready to search.
pub struct Scanner {
    automaton: AhoCorasick,
    patterns: Vec<Pattern>,
    needles: Vec<Needle>,
    longest: usize,
}

struct Pattern {
    needle: usize,
    form: Form,
    bytes: Vec<u8>,
}

impl Scanner {
    /// Builds the automaton and lets it find strings planted for that purpose.
    ///
    /// # Errors
    /// [`ScanError::Automaton`] when there are too many needles, [`ScanError::Blind`] when a planted one is missed.
    pub fn new(needles: &Needles) -> Result<Self, ScanError> {
        let needles: Vec<Needle> = needles.iter().cloned().collect();
        let patterns: Vec<Pattern> = needles
            .iter()
            .enumerate()
            .flat_map(|(needle, found)| {
                forms(found.text()).into_iter().map(move |(form, bytes)| Pattern { needle, form, bytes })
            })
            .collect();
        let automaton = AhoCorasickBuilder::new()
            .match_kind(MatchKind::Standard)
            .build(patterns.iter().map(|pattern| &pattern.bytes))
            .map_err(|error| ScanError::Automaton(error.to_string()))?;
        let longest = patterns.iter().map(|pattern| pattern.bytes.len()).max().unwrap_or(0);
        let scanner = Self { automaton, patterns, needles, longest };
        scanner.find_planted()?;
        Ok(scanner)
    }

    /// The number of byte sequences that are searched for.
    #[must_use]
    pub fn patterns(&self) -> usize {
        self.patterns.len()
    }

    /// Searches a file.
    ///
    /// # Errors
    /// [`ScanError::Io`] when it cannot be read.
    pub fn search_file(&self, path: &Path) -> Result<Found, ScanError> {
        let file = File::open(path).map_err(|source| ScanError::io(path, source))?;
        self.search(file).map_err(|source| ScanError::io(path, source))
    }

    /// Searches a stream. The end of each chunk is searched again together with the next one, so that a needle across
    /// two chunks is found, and found once.
    ///
    /// # Errors
    /// What reading the stream returns.
    pub fn search(&self, from: impl Read) -> io::Result<Found> {
        self.search_by(CHUNK_BYTES, from)
    }

    fn search_by(&self, chunk: usize, mut from: impl Read) -> io::Result<Found> {
        let overlap = self.longest + 2 * NEIGHBOURS;
        let mut found = Found::default();
        let mut buffer: Vec<u8> = Vec::with_capacity(chunk + overlap);
        let (mut start, mut searched) = (0_u64, 0_usize);
        loop {
            let read = (&mut from).take(chunk as u64).read_to_end(&mut buffer)?;
            found.bytes += read as u64;
            // Matches that end among the last bytes wait until their neighbours are known.
            let settled = if read == 0 { buffer.len() } else { buffer.len().saturating_sub(NEIGHBOURS) };
            self.search_buffer(&buffer, searched..settled, start, &mut found);
            if read == 0 {
                return Ok(found);
            }
            let keep = buffer.len().min(overlap);
            let dropped = buffer.len() - keep;
            buffer.drain(..dropped);
            start += dropped as u64;
            searched = settled.saturating_sub(dropped);
        }
    }

    /// Reports what ends behind `ends.start` and not behind `ends.end`.
    fn search_buffer(&self, buffer: &[u8], ends: std::ops::Range<usize>, start: u64, found: &mut Found) {
        for place in self.automaton.find_overlapping_iter(buffer) {
            if place.end() <= ends.start || place.end() > ends.end {
                continue;
            }
            let Some(pattern) = self.patterns.get(place.pattern().as_usize()) else { continue };
            if pattern.by_chance(buffer, place.start(), place.end()) {
                continue;
            }
            found.count += 1;
            if found.hits.len() < HITS_LISTED_MAX {
                found.hits.extend(self.hit(pattern, start + place.start() as u64));
            }
        }
    }

    fn hit(&self, pattern: &Pattern, offset: u64) -> Option<Hit> {
        let needle = self.needles.get(pattern.needle)?;
        Some(Hit { kind: needle.kind, form: pattern.form, tag: needle.tag(), offset })
    }

    /// The positive control of every run: the first and the last needle in each of their forms, across the border of
    /// two chunks.
    fn find_planted(&self) -> Result<(), ScanError> {
        let ends = [0, self.needles.len().saturating_sub(1)];
        for pattern in self.patterns.iter().filter(|pattern| ends.contains(&pattern.needle)) {
            let mut planted = vec![0xf6; CHUNK_BYTES_CONTROL.saturating_sub(pattern.bytes.len() / 2)];
            planted.extend_from_slice(&pattern.bytes);
            planted.extend_from_slice(&[0xf6; NEIGHBOURS]);
            let needle = self.needles.get(pattern.needle);
            let kind = needle.map_or(Kind::Given, |found| found.kind);
            let seen =
                self.search_by(CHUNK_BYTES_CONTROL, planted.as_slice()).is_ok_and(|found| found.count > 0);
            if !seen {
                return Err(ScanError::Blind { kind, form: pattern.form });
            }
        }
        Ok(())
    }
}

impl Pattern {
    /// Six digits occur by chance inside longer numbers and in the hexadecimal text of hashes. So a needle of digits
    /// alone counts as text only where it is not part of a longer number or of a long run of hexadecimal digits. The
    /// run must be clearly longer than the needle: in CBOR the bytes around a text may look like such digits too.
    fn by_chance(&self, buffer: &[u8], start: usize, end: usize) -> bool {
        if self.form != Form::Nfc || !self.bytes.iter().all(u8::is_ascii_digit) {
            return false;
        }
        let before = buffer.get(..start).unwrap_or_default().iter().rev().take(NEIGHBOURS);
        let after = buffer.get(end..).unwrap_or_default().iter().take(NEIGHBOURS);
        let run = |of: fn(&u8) -> bool| {
            before.clone().take_while(|byte| of(byte)).count()
                + after.clone().take_while(|byte| of(byte)).count()
        };
        run(u8::is_ascii_digit) > 0
            || run(u8::is_ascii_hexdigit) + self.bytes.len() >= 12.max(self.bytes.len() + 4)
    }
}
