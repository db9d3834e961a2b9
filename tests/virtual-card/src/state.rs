//! What a virtual card keeps when it is not in a reader: counters, keys, objects. A JSON file; nothing in it is secret.

use std::collections::BTreeMap;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::keys::{Key, KeyAlgorithm, ManagementAlgorithm};
use crate::openpgp::{Contents, Curves};

/// The firmware that the card plays, which decides what it can do: 4.0.0 to 5.7.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Firmware(pub u8, pub u8, pub u8);

impl Firmware {
    /// The newest that is played: Ed25519, X25519, moving of keys, an AES management key.
    pub const NEWEST: Self = Self(5, 7, 1);

    /// Whether it is at least this version.
    #[must_use]
    pub fn since(self, major: u8, minor: u8) -> bool {
        self >= Self(major, minor, 0)
    }
}

impl std::str::FromStr for Firmware {
    type Err = StateError;
    fn from_str(text: &str) -> Result<Self, StateError> {
        let numbers: Option<Vec<u8>> = text.split('.').map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some([major @ 4..=5, minor, patch]) => Ok(Self(*major, *minor, *patch)),
            _ => Err(StateError::Firmware),
        }
    }
}

/// Why a card could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file.
    #[error("the card's file: {0}")]
    File(#[from] std::io::Error),
    /// Its form.
    #[error("the card's file is not a card: {0}")]
    Form(#[from] serde_json::Error),
    /// A firmware that is not played.
    #[error("a firmware is like 5.7.1, from 4 on")]
    Firmware,
}

/// PIN or PUK with its counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Code {
    pub(crate) value: Vec<u8>,
    pub(crate) tries: u8,
    pub(crate) left: u8,
}

impl Code {
    pub(crate) fn new(value: &[u8], tries: u8) -> Self {
        Self { value: value.to_vec(), tries, left: tries }
    }
}

/// The management key, 9B.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManagementKey {
    pub(crate) algorithm: ManagementAlgorithm,
    pub(crate) bytes: Vec<u8>,
    pub(crate) touch: bool,
}

/// PIN and PUK of a card that nobody has enrolled (SP 800-73-4 leaves them to the issuer; these are Yubico's).
pub(crate) const PIN_DEFAULT: &[u8] = b"123456\xFF\xFF";
pub(crate) const PUK_DEFAULT: &[u8] = b"12345678";
/// The management key of such a card.
pub(crate) const MANAGEMENT_DEFAULT: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// Everything that outlives power.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub(crate) firmware: Firmware,
    pub(crate) serial: u32,
    pub(crate) pin: Code,
    pub(crate) puk: Code,
    pub(crate) management: ManagementKey,
    /// By key reference: 9A, 9C, 9D, 9E, 82 to 95, F9.
    pub(crate) keys: BTreeMap<u8, Key>,
    pub(crate) objects: BTreeMap<u32, Vec<u8>>,
    /// What an OpenPGP card holds, which has no PIV application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) openpgp: Option<Contents>,
    seed: [u8; 32],
    drawn: u64,
}

impl State {
    /// A card as it leaves the factory. Everything that it ever draws follows from `seed`.
    #[must_use]
    pub fn new(firmware: Firmware, seed: u64) -> Self {
        let digest = Sha256::digest(seed.to_be_bytes());
        let mut state = Self {
            firmware,
            serial: 10_000_000
                + u32::from(digest[0]) * 65_536
                + u32::from(digest[1]) * 256
                + u32::from(digest[2]),
            pin: Code::new(PIN_DEFAULT, 3),
            puk: Code::new(PUK_DEFAULT, 3),
            management: ManagementKey::factory(firmware),
            keys: BTreeMap::new(),
            objects: BTreeMap::new(),
            openpgp: None,
            seed: digest.into(),
            drawn: 0,
        };
        let attestation = Key::generate(KeyAlgorithm::P256, &mut state.rng());
        state.keys.insert(crate::attest::SLOT, attestation);
        state
    }

    /// The same with the OpenPGP application in the place of PIV.
    #[must_use]
    pub fn openpgp(curves: Curves, seed: u64) -> Self {
        Self { openpgp: Some(Contents::factory(curves)), ..Self::new(Firmware::NEWEST, seed) }
    }

    /// Its number.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// The next generator; never the same twice.
    pub(crate) fn rng(&mut self) -> ChaCha20Rng {
        self.drawn += 1;
        let seed = Sha256::new_with_prefix(self.seed).chain_update(self.drawn.to_be_bytes()).finalize();
        ChaCha20Rng::from_seed(seed.into())
    }

    /// Random bytes.
    pub(crate) fn random(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.rng().fill_bytes(&mut bytes);
        bytes
    }

    /// As from the factory, but for the attestation key and number.
    pub(crate) fn reset(&mut self) {
        self.keys.retain(|slot, _| *slot == crate::attest::SLOT);
        self.objects.clear();
        self.pin = Code::new(PIN_DEFAULT, 3);
        self.puk = Code::new(PUK_DEFAULT, 3);
        self.management = ManagementKey::factory(self.firmware);
    }

    /// New counters, and with them the first PIN and PUK.
    pub(crate) fn set_retries(&mut self, pin: u8, puk: u8) {
        self.pin = Code::new(PIN_DEFAULT, pin);
        self.puk = Code::new(PUK_DEFAULT, puk);
    }

    /// From a file.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn load(path: &Path) -> Result<Self, StateError> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// To a file, replaced as a whole.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&self, path: &Path) -> Result<(), StateError> {
        let writing = path.with_extension("writing");
        std::fs::write(&writing, serde_json::to_vec(self)?)?;
        Ok(std::fs::rename(writing, path)?)
    }
}

impl ManagementKey {
    fn factory(firmware: Firmware) -> Self {
        let aes = firmware.since(5, 7);
        let algorithm = if aes { ManagementAlgorithm::Aes192 } else { ManagementAlgorithm::TripleDes };
        Self { algorithm, bytes: MANAGEMENT_DEFAULT.to_vec(), touch: false }
    }
}
