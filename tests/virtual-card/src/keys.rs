//! The keys in a card's slots: made, imported, used. Deterministic but for what its generator gives.

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::elliptic_curve::Generate as _;
use rand_chacha::ChaCha20Rng;
use rand_core::Rng as _;
use serde::{Deserialize, Serialize};

/// What a slot's key can be, by Yubico's and NIST's number (SP 800-78-4, table 6-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyAlgorithm {
    /// ECDSA and ECDH on P-256.
    P256 = 0x11,
    /// ECDSA and ECDH on P-384.
    P384 = 0x14,
    /// Ed25519, firmware 5.7.
    Ed25519 = 0xE0,
    /// X25519, firmware 5.7.
    X25519 = 0xE1,
}

impl KeyAlgorithm {
    /// By its number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::P256, Self::P384, Self::Ed25519, Self::X25519].into_iter().find(|one| *one as u8 == number)
    }

    /// Whether it needs firmware 5.7.
    #[must_use]
    pub fn is_edwards(self) -> bool {
        matches!(self, Self::Ed25519 | Self::X25519)
    }
}

/// What authenticates whoever manages the card (SP 800-78-4, table 6-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagementAlgorithm {
    /// Three-key Triple DES.
    TripleDes = 0x03,
    /// AES with 16 bytes of key.
    Aes128 = 0x08,
    /// AES with 24 bytes of key.
    Aes192 = 0x0A,
    /// AES with 32 bytes of key.
    Aes256 = 0x0C,
}

impl ManagementAlgorithm {
    /// By its number.
    #[must_use]
    pub fn of(number: u8) -> Option<Self> {
        [Self::TripleDes, Self::Aes128, Self::Aes192, Self::Aes256]
            .into_iter()
            .find(|one| *one as u8 == number)
    }

    /// Bytes of its key.
    #[must_use]
    pub fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    /// Bytes of a block, and so of a challenge.
    #[must_use]
    pub fn block_bytes(self) -> usize {
        if self == Self::TripleDes { 8 } else { 16 }
    }

    /// One block enciphered; none if key or block has another length.
    #[must_use]
    pub fn encrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::TripleDes => encrypt::<des::TdesEde3>(key, block),
            Self::Aes128 => encrypt::<aes::Aes128>(key, block),
            Self::Aes192 => encrypt::<aes::Aes192>(key, block),
            Self::Aes256 => encrypt::<aes::Aes256>(key, block),
        }
    }

    /// One block deciphered; none if key or block has another length.
    #[must_use]
    pub fn decrypt(self, key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::TripleDes => decrypt::<des::TdesEde3>(key, block),
            Self::Aes128 => decrypt::<aes::Aes128>(key, block),
            Self::Aes192 => decrypt::<aes::Aes192>(key, block),
            Self::Aes256 => decrypt::<aes::Aes256>(key, block),
        }
    }
}

fn encrypt<C: KeyInit + BlockCipherEncrypt>(key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let mut block = Block::<C>::try_from(block).ok()?;
    C::new_from_slice(key).ok()?.encrypt_block(&mut block);
    Some(block.to_vec())
}

fn decrypt<C: KeyInit + BlockCipherDecrypt>(key: &[u8], block: &[u8]) -> Option<Vec<u8>> {
    let mut block = Block::<C>::try_from(block).ok()?;
    C::new_from_slice(key).ok()?.decrypt_block(&mut block);
    Some(block.to_vec())
}

/// When a slot wants the PIN (Yubico PIV extensions, "PIN policy").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PinPolicy {
    Never = 1,
    Once = 2,
    Always = 3,
}

impl PinPolicy {
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Never, Self::Once, Self::Always].into_iter().find(|one| *one as u8 == number)
    }

    /// What a slot has unless told otherwise.
    pub(crate) fn of_slot(slot: u8) -> Self {
        match slot {
            0x9C => Self::Always,
            0x9E => Self::Never,
            _ => Self::Once,
        }
    }
}

/// When a slot wants a finger: never, at each use, at most every fifteen seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum TouchPolicy {
    Never = 1,
    Always = 2,
    Cached = 3,
}

impl TouchPolicy {
    pub(crate) fn of(number: u8) -> Option<Self> {
        [Self::Never, Self::Always, Self::Cached].into_iter().find(|one| *one as u8 == number)
    }
}

/// A key with what it may be used for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) algorithm: KeyAlgorithm,
    secret: Vec<u8>,
    pub(crate) public: Vec<u8>,
    pub(crate) pin: PinPolicy,
    pub(crate) touch: TouchPolicy,
    pub(crate) generated: bool,
}

impl Key {
    pub(crate) fn generate(algorithm: KeyAlgorithm, rng: &mut ChaCha20Rng) -> Self {
        let secret = match algorithm {
            KeyAlgorithm::P256 => p256::SecretKey::generate_from_rng(rng).to_bytes().to_vec(),
            KeyAlgorithm::P384 => p384::SecretKey::generate_from_rng(rng).to_bytes().to_vec(),
            KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 => {
                let mut secret = vec![0; 32];
                rng.fill_bytes(&mut secret);
                secret
            }
        };
        let made = Self::import(algorithm, &secret).expect("a scalar just drawn is in range");
        Self { generated: true, ..made }
    }

    /// From a scalar or seed that was made elsewhere; none if it is no key of the algorithm.
    pub(crate) fn import(algorithm: KeyAlgorithm, secret: &[u8]) -> Option<Self> {
        let public = match algorithm {
            KeyAlgorithm::P256 => {
                p256::SecretKey::from_slice(secret).ok()?.public_key().to_sec1_bytes().to_vec()
            }
            KeyAlgorithm::P384 => {
                p384::SecretKey::from_slice(secret).ok()?.public_key().to_sec1_bytes().to_vec()
            }
            KeyAlgorithm::Ed25519 => ed25519_dalek::SigningKey::from_bytes(secret.try_into().ok()?)
                .verifying_key()
                .to_bytes()
                .to_vec(),
            KeyAlgorithm::X25519 => {
                let secret = x25519_dalek::StaticSecret::from(<[u8; 32]>::try_from(secret).ok()?);
                x25519_dalek::PublicKey::from(&secret).to_bytes().to_vec()
            }
        };
        let (pin, touch) = (PinPolicy::Once, TouchPolicy::Never);
        Some(Self { algorithm, secret: secret.to_vec(), public, pin, touch, generated: false })
    }

    /// Signs a digest (ECDSA, DER) or a message (Ed25519). As on real cards, s is whatever comes out: the high half in
    /// one of two signatures, so that whoever wants the low one has to see to it.
    pub(crate) fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match self.algorithm {
            KeyAlgorithm::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&self.secret).ok()?;
                let low: p256::ecdsa::Signature = key.sign_prehash(input).ok()?;
                let (r, s) = (low.r(), low.s());
                let s = if input.first()? & 1 == 0 { *s } else { -*s };
                let shown = p256::ecdsa::Signature::from_scalars(r.to_bytes(), s.to_bytes()).ok()?;
                Some(shown.to_der().as_bytes().to_vec())
            }
            KeyAlgorithm::P384 => {
                let key = p384::ecdsa::SigningKey::from_slice(&self.secret).ok()?;
                let signature: p384::ecdsa::Signature = key.sign_prehash(input).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            KeyAlgorithm::Ed25519 => {
                let seed = self.secret.as_slice().try_into().ok()?;
                Some(ed25519_dalek::SigningKey::from_bytes(seed).sign(input).to_bytes().to_vec())
            }
            KeyAlgorithm::X25519 => None,
        }
    }

    /// The shared secret with a public key; none if it is no point of the curve.
    pub(crate) fn agree(&self, peer: &[u8]) -> Option<Vec<u8>> {
        match self.algorithm {
            KeyAlgorithm::P256 => {
                let peer = p256::PublicKey::from_sec1_bytes(peer).ok()?;
                let key = p256::SecretKey::from_slice(&self.secret).ok()?;
                Some(key.diffie_hellman(&peer).raw_secret_bytes().to_vec())
            }
            KeyAlgorithm::P384 => {
                let peer = p384::PublicKey::from_sec1_bytes(peer).ok()?;
                let key = p384::SecretKey::from_slice(&self.secret).ok()?;
                Some(key.diffie_hellman(&peer).raw_secret_bytes().to_vec())
            }
            KeyAlgorithm::X25519 => {
                let secret = <[u8; 32]>::try_from(self.secret.as_slice()).ok()?;
                Some(x25519_dalek::x25519(secret, peer.try_into().ok()?).to_vec())
            }
            KeyAlgorithm::Ed25519 => None,
        }
    }
}
