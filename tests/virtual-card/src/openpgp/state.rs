//! What the OpenPGP application keeps without power, and what its places for keys take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::keys::{Key, KeyAlgorithm};
use crate::state::Code;

/// Which curves the card has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curves {
    /// P-256 and P-384.
    Nist,
    /// Ed25519 and X25519, too.
    All,
}

/// A place for a key, by the tag of its control reference template (7.2.14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Place {
    Signature = 0xB6,
    Decryption = 0xB8,
    Authentication = 0xA4,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Signature, Self::Decryption, Self::Authentication];

    pub(crate) fn of(tag: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|place| *place as u32 == tag)
    }

    /// The place of which this data object is, counted from that of the signature key.
    pub(crate) fn numbered(tag: u32, first: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(tag.checked_sub(first)?).ok()?).copied()
    }

    /// What it takes, as data objects C1 to C3 say it (4.4.3.9): algorithm, then the curve's identifier.
    pub(crate) fn attributes(self, algorithm: KeyAlgorithm) -> Option<Vec<u8>> {
        const ECDH: u8 = 0x12;
        const ECDSA: u8 = 0x13;
        const EDDSA: u8 = 0x16;
        let agrees = self == Self::Decryption;
        let nist = if agrees { ECDH } else { ECDSA };
        let (number, curve): (u8, &[u8]) = match algorithm {
            KeyAlgorithm::P256 => (nist, &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]),
            KeyAlgorithm::P384 => (nist, &[0x2B, 0x81, 0x04, 0x00, 0x22]),
            KeyAlgorithm::Ed25519 if !agrees => {
                (EDDSA, &[0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01])
            }
            KeyAlgorithm::X25519 if agrees => {
                (ECDH, &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01])
            }
            KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 => return None,
        };
        Some([&[number], curve].concat())
    }
}

/// PW1 and PW3 of a card from the factory (4.2.3).
const PW1_DEFAULT: &[u8] = b"123456";
const PW3_DEFAULT: &[u8] = b"12345678";
const TRIES: u8 = 3;

/// Everything of the application that outlives power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contents {
    pub(crate) curves: Curves,
    pub(crate) terminated: bool,
    pub(crate) pw1: Code,
    /// Empty and without tries until it is set.
    pub(crate) reset_code: Code,
    pub(crate) pw3: Code,
    /// One PW1 as 81 is good for one signature.
    pub(crate) one_signature: bool,
    pub(crate) algorithms: BTreeMap<Place, KeyAlgorithm>,
    pub(crate) keys: BTreeMap<Place, Key>,
    pub(crate) objects: BTreeMap<u32, Vec<u8>>,
    pub(crate) signatures: u32,
}

impl Contents {
    /// As it leaves the factory.
    pub(crate) fn factory(curves: Curves) -> Self {
        Self {
            curves,
            terminated: false,
            pw1: Code::new(PW1_DEFAULT, TRIES),
            reset_code: Code::new(&[], 0),
            pw3: Code::new(PW3_DEFAULT, TRIES),
            one_signature: true,
            algorithms: Place::ALL.into_iter().map(|place| (place, KeyAlgorithm::P256)).collect(),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
            signatures: 0,
        }
    }

    /// What a place can take.
    pub(crate) fn choices(&self, place: Place) -> Vec<(KeyAlgorithm, Vec<u8>)> {
        let all =
            [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519, KeyAlgorithm::X25519].into_iter();
        let known = all.filter(|one| self.curves == Curves::All || !one.is_edwards());
        known.filter_map(|one| Some((one, place.attributes(one)?))).collect()
    }

    pub(crate) fn algorithm(&self, place: Place) -> KeyAlgorithm {
        self.algorithms.get(&place).copied().unwrap_or(KeyAlgorithm::P256)
    }

    /// A reset code, or none.
    pub(crate) fn set_reset_code(&mut self, value: &[u8]) {
        self.reset_code = Code::new(value, if value.is_empty() { 0 } else { TRIES });
    }
}
