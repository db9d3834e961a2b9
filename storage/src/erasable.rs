//! The erasable keys: one random key for each patient, in a small file that is rewritten whole.
//!
//! Erasing a patient drops his key from the file; what was sealed under it opens nowhere again, whatever
//! pages or free space still hold of it. Keys stand sealed under the node key and are opened when used; a few that
//! were used last stay open in memory. Who is erased, and when, is the caller's decision.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};

use hospes_protocol::ids::PatientId;
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use zeroize::Zeroizing;

use crate::db::is_full;
use crate::error::{Item, Result, StoreError};
use crate::layout::FORMAT;
use crate::medium::{KEY_FILE, Medium};
use crate::seal::{Sealer, Tag};

const CHECK_BYTES: usize = 32;
/// Keys that stay open, at most: those of the patients whose rows are read together.
const OPEN_MAX: usize = 64;

mod file {
    #![allow(unreachable_pub, reason = "wire_struct! declares what it makes public; the module is private")]
    use super::{Bytes, wire_struct};

    wire_struct! {
        /// The key file.
        pub struct KeyFile {
            /// Its format.
            pub format: u64,
            /// The same as in the databases.
            pub store: [u8; 16],
            /// Patient tag, and the key sealed under the node key; ascending.
            pub keys: Vec<([u8; 16], Bytes)>,
        }
    }
}
use file::KeyFile;

/// The key file, in memory as sealed as on disk.
pub(crate) struct ErasableKeys {
    medium: Medium,
    store: [u8; 16],
    keys: RwLock<BTreeMap<Tag, Vec<u8>>>,
    /// Filled while `keys` is read and emptied while it is written, so that no key outlives its patient's erasure.
    open: Mutex<BTreeMap<PatientId, Zeroizing<[u8; 32]>>>,
    /// Held while the file is rewritten, so that no change is lost between two writers.
    writing: Mutex<()>,
}

fn aad(tag: &Tag) -> Vec<u8> {
    [b"erasable-keys/1\0", &tag[..]].concat()
}

fn patient_tag(sealer: &Sealer, patient: &PatientId) -> Tag {
    sealer.tag("erasable-key", &[&patient.0])
}

fn medium_failed(source: std::io::Error) -> StoreError {
    if is_full(source.kind()) { StoreError::Full } else { StoreError::Io { file: KEY_FILE, source } }
}

impl ErasableKeys {
    fn over(medium: &Medium, store: [u8; 16], keys: BTreeMap<Tag, Vec<u8>>) -> Self {
        let (open, writing) = (Mutex::default(), Mutex::default());
        Self { medium: medium.clone(), store, keys: RwLock::new(keys), open, writing }
    }

    /// Writes an empty file.
    pub(crate) fn create(medium: &Medium, store: [u8; 16]) -> Result<()> {
        Self::over(medium, store, BTreeMap::new()).rewrite(&BTreeMap::new())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where it is missing or damaged: never taken for a file of no keys.
    pub(crate) fn open(medium: &Medium, store: [u8; 16]) -> Result<Self> {
        let corrupt = || StoreError::Corrupt(Item::File(KEY_FILE));
        let bytes = medium.read_keys().map_err(medium_failed)?.ok_or_else(corrupt)?;
        let (body, check) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or_else(corrupt)?;
        if blake3::hash(body) != *check {
            return Err(corrupt());
        }
        let file = KeyFile::decode(body).map_err(|_| corrupt())?;
        if file.format > FORMAT {
            return Err(StoreError::Newer { file: KEY_FILE, found: file.format, known: FORMAT });
        }
        if file.store != store {
            return Err(StoreError::Mixed(KEY_FILE));
        }
        Ok(Self::over(medium, store, file.keys.into_iter().map(|(tag, sealed)| (tag, sealed.0)).collect()))
    }

    fn rewrite(&self, keys: &BTreeMap<Tag, Vec<u8>>) -> Result<()> {
        let keys = keys.iter().map(|(tag, sealed)| (*tag, Bytes(sealed.clone()))).collect();
        let mut bytes = KeyFile { format: FORMAT, store: self.store, keys }.encode();
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        self.medium.replace_keys(&bytes).map_err(medium_failed)
    }

    /// A patient's key; null for one that was erased or never had one.
    pub(crate) fn key(&self, sealer: &Sealer, patient: &PatientId) -> Result<Option<Zeroizing<[u8; 32]>>> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = open.get(patient) {
            return Ok(Some(key.clone()));
        }
        let tag = patient_tag(sealer, patient);
        let Some(sealed) = keys.get(&tag) else { return Ok(None) };
        let opened = sealer.open_node(&aad(&tag), sealed).map(Zeroizing::new);
        let key = opened.and_then(|k| k.as_slice().try_into().ok()).map(Zeroizing::new);
        let key: Zeroizing<[u8; 32]> = key.ok_or(StoreError::Corrupt(Item::File(KEY_FILE)))?;
        if open.len() >= OPEN_MAX {
            open.clear();
        }
        open.insert(*patient, key.clone());
        Ok(Some(key))
    }

    /// Makes keys for those patients that have none, durably, in one rewriting.
    pub(crate) fn make(&self, sealer: &Sealer, patients: &[PatientId]) -> Result<()> {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        let before = keys.len();
        for patient in patients {
            let tag = patient_tag(sealer, patient);
            keys.entry(tag).or_insert_with(|| {
                let key: Zeroizing<[u8; 32]> = Zeroizing::new(sealer.random());
                sealer.seal_node(&aad(&tag), key.as_slice())
            });
        }
        if keys.len() == before { Ok(()) } else { self.replace(keys) }
    }

    /// Whether every one of these patients has a key.
    pub(crate) fn have(&self, sealer: &Sealer, patients: &[PatientId]) -> bool {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        patients.iter().all(|p| open.contains_key(p) || keys.contains_key(&patient_tag(sealer, p)))
    }

    /// Drops a patient's key, durably.
    pub(crate) fn erase(&self, sealer: &Sealer, patient: &PatientId) -> Result<()> {
        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys = self.keys.read().unwrap_or_else(PoisonError::into_inner).clone();
        match keys.remove(&patient_tag(sealer, patient)) {
            Some(_) => self.replace(keys),
            None => Ok(()),
        }
    }

    fn replace(&self, keys: BTreeMap<Tag, Vec<u8>>) -> Result<()> {
        self.rewrite(&keys)?;
        let mut standing = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        self.open.lock().unwrap_or_else(PoisonError::into_inner).clear();
        *standing = keys;
        Ok(())
    }
}
