//! Sealing at rest: rows under the node key or a patient's key, and keyed tags in place of identifiers.
//!
//! XChaCha20-Poly1305 with a random 192-bit nonce for each seal; what a row is bound to is its table, its
//! key and which of its parts it is. The generator of nonces is the caller's: it must never repeat itself,
//! across restarts included.

use std::sync::{Mutex, PoisonError};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hospes_protocol::ids::PatientId;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::layout::{Name, patient_id};

/// A tag in a key: 16 bytes of keyed BLAKE3.
pub(crate) type Tag = [u8; 16];

const NONCE_BYTES: usize = 24;
const BY_NODE: u8 = 1;
const BY_PATIENT: u8 = 2;

/// The subkeys of the node key, and the source of nonces.
pub(crate) struct Sealer {
    node: XChaCha20Poly1305,
    tags: Zeroizing<[u8; 32]>,
    rng: Mutex<Box<dyn CryptoRng + Send>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

/// An opened row.
pub(crate) struct Opened {
    /// The patient under whose key it is.
    pub(crate) patient: Option<PatientId>,
    /// What is known without the patient's key.
    pub(crate) meta: Vec<u8>,
    /// What was sealed; null where the patient's key is gone.
    pub(crate) data: Option<Vec<u8>>,
}

fn subkey(node_key: &[u8; 32], info: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, node_key)
        .expand(info.as_bytes(), out.as_mut())
        .expect("32 bytes are within what HKDF-SHA256 gives");
    out
}

pub(crate) fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&Key::from(*key))
}

fn aad(name: &Name, key: &[u8], part: u8) -> Vec<u8> {
    [name.table.as_bytes(), &[0, part], key].concat()
}

pub(crate) fn open_with(cipher: &XChaCha20Poly1305, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad }).ok()
}

impl Sealer {
    pub(crate) fn new(node_key: &[u8; 32], rng: Box<dyn CryptoRng + Send>) -> Self {
        Self {
            node: cipher(&subkey(node_key, "hospes/1/at-rest/rows")),
            tags: subkey(node_key, "hospes/1/at-rest/tags"),
            rng: Mutex::new(rng),
        }
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(&mut bytes);
        bytes
    }

    /// The tag of an identifier, for one use of it.
    pub(crate) fn tag(&self, purpose: &str, parts: &[&[u8]]) -> Tag {
        let mut hasher = blake3::Hasher::new_keyed(&self.tags);
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let mut tag = Tag::default();
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        tag
    }

    pub(crate) fn seal_with(&self, cipher: &XChaCha20Poly1305, aad: &[u8], msg: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = self.random();
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg, aad })
            .expect("rows are far below what the cipher takes");
        [&nonce[..], &sealed].concat()
    }

    pub(crate) fn seal_node(&self, aad: &[u8], msg: &[u8]) -> Vec<u8> {
        self.seal_with(&self.node, aad, msg)
    }

    pub(crate) fn open_node(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        open_with(&self.node, aad, sealed)
    }

    /// Seals a row: `meta` under the node key, `data` under the patient's, or both under the node key.
    pub(crate) fn seal_row(
        &self,
        name: &Name,
        key: &[u8],
        patient: Option<(&PatientId, &[u8; 32])>,
        meta: &[u8],
        data: &[u8],
    ) -> Vec<u8> {
        let length = u16::try_from(meta.len()).expect("metadata is a few numbers").to_be_bytes();
        match patient {
            None => {
                let msg = Zeroizing::new([&length[..], meta, data].concat());
                [&[BY_NODE], &self.seal_node(&aad(name, key, BY_NODE), &msg)[..]].concat()
            }
            Some((patient, own)) => {
                let head = [&patient.0[..], meta].concat();
                let head = self.seal_node(&aad(name, key, BY_PATIENT), &head);
                let length = u16::try_from(head.len()).expect("metadata is a few numbers").to_be_bytes();
                let body = self.seal_with(&cipher(own), &aad(name, key, BY_PATIENT), data);
                [&[BY_PATIENT], &length[..], &head, &body].concat()
            }
        }
    }

    /// Opens a row; `own` gives a patient's key.
    pub(crate) fn open_row(
        &self,
        name: &Name,
        key: &[u8],
        row: &[u8],
        own: impl Fn(&PatientId) -> Result<Option<Zeroizing<[u8; 32]>>>,
    ) -> Result<Opened> {
        let corrupt = || name.corrupt(key);
        let (form, rest) = row.split_first().ok_or_else(corrupt)?;
        match *form {
            BY_NODE => {
                let msg = self.open_node(&aad(name, key, BY_NODE), rest).ok_or_else(corrupt)?;
                let (meta, data) = split(&msg).ok_or_else(corrupt)?;
                Ok(Opened { patient: None, meta: meta.to_vec(), data: Some(data.to_vec()) })
            }
            BY_PATIENT => {
                let (head, body) = split(rest).ok_or_else(corrupt)?;
                let head = self.open_node(&aad(name, key, BY_PATIENT), head).ok_or_else(corrupt)?;
                let patient = head.get(..32).and_then(patient_id).ok_or_else(corrupt)?;
                let open = |k: Zeroizing<[u8; 32]>| {
                    open_with(&cipher(&k), &aad(name, key, BY_PATIENT), body).ok_or_else(corrupt)
                };
                let data = own(&patient)?.map(open).transpose()?;
                Ok(Opened { patient: Some(patient), meta: head[32..].to_vec(), data })
            }
            _ => Err(corrupt()),
        }
    }
}

/// Splits what follows a 16-bit length.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
