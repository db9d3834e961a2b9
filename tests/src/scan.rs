//! The leak scanner: identifying strings of the input, searched for in everything that a run left behind.
//!
//! [`extract`] takes the strings out of clinical files, [`encode`] writes each in the forms in which it could leak,
//! [`search`] looks for all forms at once in any number of files, [`capture`] takes the payload out of recorded
//! packets. Deliberately no decryption and no CBOR or JSON decoding of what is searched: a leak is a byte sequence.
//! Called by `hospes-scan` and by the tests.

pub mod capture;
pub mod encode;
pub mod extract;
pub mod search;

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// What a needle is; printed instead of the needle itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A person's or institution's name, or a part of it.
    Name,
    /// A date of birth.
    BirthDate,
    /// A line, city, district, state or postal code of an address.
    Address,
    /// A telephone number, mail address or web address.
    Telecom,
    /// An identifier: insurance number, record number, accession number, instance UID.
    Identifier,
    /// A clinical code of six characters or more that contains a digit.
    Code,
    /// A string given by the caller.
    Given,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Name => "name",
            Self::BirthDate => "birth-date",
            Self::Address => "address",
            Self::Telecom => "telecom",
            Self::Identifier => "identifier",
            Self::Code => "code",
            Self::Given => "given",
        };
        out.write_str(word)
    }
}

/// An identifying string that must not occur anywhere. Its text is shown neither by `Debug` nor by any output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needle {
    /// What it is.
    pub kind: Kind,
    text: String,
}

/// Shorter strings are dropped: they occur by chance.
pub const NEEDLE_BYTES_MIN: usize = 6;

/// What sample documents write where a name is missing: words that identify nobody and stand in any text.
const BLANKS: [&str; 10] = [
    "unknown",
    "assigned",
    "primary",
    "mother",
    "father",
    "patient",
    "person",
    "anonymous",
    "withheld",
    "operator",
];

impl Needle {
    /// The trimmed text, or nothing where its occurrence would mean nothing: shorter than six bytes, a word that stands
    /// for a missing name, or digits that count up from one or are all the same.
    ///
    /// Counted in bytes of UTF-8, so that two Chinese characters, a full name, still count.
    #[must_use]
    pub fn new(kind: Kind, text: &str) -> Option<Self> {
        let text = text.trim();
        let blank =
            kind != Kind::Given && (BLANKS.contains(&text.to_lowercase().as_str()) || counts_up(text));
        (text.len() >= NEEDLE_BYTES_MIN && !blank).then(|| Self { kind, text: text.to_owned() })
    }

    /// The text, for those who encode it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first eight hexadecimal digits of the text's SHA-256: enough to find it again, too little to show it.
    #[must_use]
    pub fn tag(&self) -> String {
        let digest = Sha256::digest(self.text.as_bytes());
        data_encoding::HEXLOWER.encode(digest.get(..4).unwrap_or_default())
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Needle({}, {})", self.kind, self.tag())
    }
}

fn counts_up(text: &str) -> bool {
    let steps = |by: u8| {
        text.as_bytes().windows(2).all(|two| two[1].wrapping_sub(two[0]).wrapping_add(10) % 10 == by)
    };
    text.bytes().all(|byte| byte.is_ascii_digit()) && (steps(0) || (text.starts_with('1') && steps(1)))
}

/// The needles of a run, each once.
pub type Needles = BTreeSet<Needle>;

/// Why a scan could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A file or folder could not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No identifying string was found in the input: a scan that searches for nothing shows nothing.
    #[error("the input holds no identifying string, so there is nothing to search for")]
    Nothing,
    /// A capture that is not one of libpcap's classic format.
    #[error("not a capture that can be read: {0}")]
    Capture(&'static str),
    /// The automaton over all forms could not be built.
    #[error("the forms searched for are too many or too long: {0}")]
    Automaton(String),
    /// The scanner missed a string planted by itself.
    #[error("the scanner missed its own planted {kind} as {form}")]
    Blind {
        /// What was planted.
        kind: Kind,
        /// The form it was planted in.
        form: encode::Form,
    },
}

impl ScanError {
    /// What the system said about a file.
    #[must_use]
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// All files at and below the paths, in a fixed order. Symbolic links are not followed.
///
/// # Errors
/// A path that does not exist or a folder that cannot be read.
pub fn files_below(paths: &[PathBuf]) -> Result<Vec<PathBuf>, ScanError> {
    let mut waiting: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        let meta = std::fs::symlink_metadata(&path).map_err(|source| ScanError::io(&path, source))?;
        if meta.is_dir() {
            waiting.extend(children(&path)?.into_iter().rev());
        } else if meta.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

fn children(folder: &Path) -> Result<Vec<PathBuf>, ScanError> {
    let mut names = std::fs::read_dir(folder)
        .and_then(|entries| {
            entries.map(|entry| entry.map(|found| found.path())).collect::<io::Result<Vec<_>>>()
        })
        .map_err(|source| ScanError::io(folder, source))?;
    names.sort();
    Ok(names)
}
