//! The forms in which a string can leak, each as the bytes to look for.
//!
//! Deliberately no compressed or encrypted forms, and no salted hash: the first are not reversible by looking, the
//! second is what the ledger is meant to hold. Called by `scan::search`.

use std::collections::BTreeSet;
use std::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::NEEDLE_BYTES_MIN;

/// How the string was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// UTF-8, composed (UAX 15, NFC).
    Nfc,
    /// UTF-8, decomposed (UAX 15, NFD).
    Nfd,
    /// UTF-16, little end first.
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
    /// Base64 (RFC 4648, both alphabets) of UTF-8 that starts at 0, 1 or 2 bytes into a group of three.
    Base64,
    /// Hexadecimal digits, lower or upper case, of UTF-8.
    Hex,
    /// The 32 bytes of the SHA-256 of UTF-8 without a salt.
    Sha256,
    /// The same hash in hexadecimal digits.
    Sha256Hex,
    /// The same hash in base64.
    Sha256Base64,
}

impl Form {
    /// All forms.
    pub const ALL: [Self; 9] = [
        Self::Nfc,
        Self::Nfd,
        Self::Utf16Le,
        Self::Utf16Be,
        Self::Base64,
        Self::Hex,
        Self::Sha256,
        Self::Sha256Hex,
        Self::Sha256Base64,
    ];
}

impl fmt::Display for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Nfc => "nfc",
            Self::Nfd => "nfd",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Base64 => "base64",
            Self::Hex => "hex",
            Self::Sha256 => "sha-256",
            Self::Sha256Hex => "sha-256 hex",
            Self::Sha256Base64 => "sha-256 base64",
        };
        out.write_str(word)
    }
}

/// Every byte sequence that betrays `text`, with the form that it is; none twice, none shorter than six bytes.
#[must_use]
pub fn forms(text: &str) -> Vec<(Form, Vec<u8>)> {
    let composed: String = text.nfc().collect();
    let decomposed: String = text.nfd().collect();
    let mut found = Vec::new();
    found.push((Form::Nfc, composed.clone().into_bytes()));
    found.push((Form::Nfd, decomposed.clone().into_bytes()));
    for spelling in distinct([composed, decomposed]) {
        found.extend(wide(&spelling));
        found.extend(base64(spelling.as_bytes()).into_iter().map(|bytes| (Form::Base64, bytes)));
        found.push((Form::Hex, HEXLOWER.encode(spelling.as_bytes()).into_bytes()));
        found.push((Form::Hex, HEXUPPER.encode(spelling.as_bytes()).into_bytes()));
        found.extend(hashes(&spelling));
    }
    let mut seen = BTreeSet::new();
    found.retain(|(_, bytes)| bytes.len() >= NEEDLE_BYTES_MIN && seen.insert(bytes.clone()));
    found
}

fn distinct(spellings: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    spellings.into_iter().collect()
}

fn wide(text: &str) -> [(Form, Vec<u8>); 2] {
    let units: Vec<u16> = text.encode_utf16().collect();
    let little = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    [(Form::Utf16Le, little), (Form::Utf16Be, big)]
}

/// The characters that stand in a base64 text whatever comes before and after `bytes`, for each of the three
/// positions that `bytes` can have in a group; in the standard and in the URL alphabet.
fn base64(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for shift in 0..3_usize {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(bytes);
        let (first, last) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
        for alphabet in [&BASE64_NOPAD, &BASE64URL_NOPAD] {
            let text = alphabet.encode(&padded).into_bytes();
            found.extend(text.get(first..last).map(<[u8]>::to_vec));
        }
    }
    found
}

/// The hash of the text as it is and in lower case, as whoever normalises a name before hashing it would write it.
fn hashes(text: &str) -> Vec<(Form, Vec<u8>)> {
    let mut found = Vec::new();
    for spelling in distinct([text.to_owned(), text.to_lowercase()]) {
        let digest = Sha256::digest(spelling.as_bytes()).to_vec();
        found.push((Form::Sha256Hex, HEXLOWER.encode(&digest).into_bytes()));
        found.push((Form::Sha256Hex, HEXUPPER.encode(&digest).into_bytes()));
        found.push((Form::Sha256Base64, BASE64_NOPAD.encode(&digest).into_bytes()));
        found.push((Form::Sha256Base64, BASE64URL_NOPAD.encode(&digest).into_bytes()));
        found.push((Form::Sha256, digest));
    }
    found
}
