//! The node's secrets on disk, `keys/node.key`: sealed under a passphrase, or open to whoever has the disk.
//!
//! Argon2id (RFC 9106) gives the key of a passphrase, ChaCha20-Poly1305 (RFC 8439) seals. It never prints a
//! secret. `init` writes the file, `run` reads it.

use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hospes_protocol::ids::OrganizationId;
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_protocol::wire_struct;
use thiserror::Error;
use zeroize::{Zeroize as _, Zeroizing};

use crate::durable::{Readers, write, write_new};

/// Begins the file, and is what the seal is bound to.
const FORMAT: &str = "hospes/1/node-key";
/// A key file in bytes, at most.
const FILE_BYTES_MAX: usize = 4096;
/// Memory of a guess in KiB: 64 MiB, the second choice of RFC 9106, 4.
const MEMORY_KIB: u64 = 64 * 1024;
/// Passes of a guess.
const PASSES: u64 = 3;
/// A file may not ask for more memory than this, whoever wrote it.
const MEMORY_KIB_MAX: u64 = 1024 * 1024;
/// Nor for more passes.
const PASSES_MAX: u64 = 64;

/// Where the file is in a data folder.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("keys").join("node.key")
}

wire_struct! {
    /// How the secrets are sealed.
    pub struct Lid {
        /// Argon2id's salt.
        pub salt: [u8; 16],
        /// Its memory in KiB.
        pub memory_kib: u64,
        /// Its passes.
        pub passes: u64,
        /// The cipher's nonce.
        pub nonce: [u8; 12],
    }
}

wire_struct! {
    /// The file.
    pub struct NodeKeyFile {
        /// [`FORMAT`].
        pub format: String,
        /// The node's organization.
        pub organization: OrganizationId,
        /// How it is sealed; null where it isn't.
        pub lid: Option<Lid>,
        /// The three secrets after one another, or their ciphertext and tag.
        pub secrets: Bytes,
    }
}

/// Why a key file doesn't open.
#[derive(Debug, Error)]
pub(crate) enum NodeKeyError {
    /// There is none.
    #[error("{0}: there is no node key here")]
    Absent(PathBuf),
    /// The system.
    #[error("{path}: {cause}")]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not a key file, or a damaged one.
    #[error("{0}: the node key is damaged")]
    Damaged(PathBuf),
    /// It is sealed.
    #[error("the node key is sealed and no passphrase file is configured")]
    PassphraseNeeded,
    /// Not this passphrase.
    #[error("the passphrase does not open the node key, or the file was changed")]
    WrongPassphrase,
}

/// A node's secrets.
pub(crate) struct NodeKey {
    /// Its organization.
    pub(crate) organization: OrganizationId,
    /// Ed25519 seed.
    pub(crate) signing: Zeroizing<[u8; 32]>,
    /// X25519 secret.
    pub(crate) agreement: Zeroizing<[u8; 32]>,
    /// Seals what lies at rest.
    pub(crate) at_rest: Zeroizing<[u8; 32]>,
    /// Whether the file is sealed.
    pub(crate) sealed: bool,
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeKey").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

/// Random bytes of the operating system.
///
/// # Errors
/// Where it has none.
pub(crate) fn random<const N: usize>() -> std::io::Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut bytes[..]).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(bytes)
}

fn sealing_key(passphrase: &[u8], lid: &Lid) -> Option<Zeroizing<[u8; 32]>> {
    let sane = (8..=MEMORY_KIB_MAX).contains(&lid.memory_kib) && (1..=PASSES_MAX).contains(&lid.passes);
    let (memory, passes) = (u32::try_from(lid.memory_kib).ok()?, u32::try_from(lid.passes).ok()?);
    let params = Params::new(memory, passes, 1, Some(32)).ok().filter(|_| sane)?;
    let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, &lid.salt, &mut key[..], &mut memory[..])
        .ok()?;
    Some(key)
}

// The seal binds everything that stands open beside it.
fn bound_to(organization: &OrganizationId, lid: &Lid) -> Vec<u8> {
    (FORMAT.to_owned(), (*organization, lid.clone())).encode()
}

impl NodeKey {
    /// Fresh secrets.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub(crate) fn generate(organization: OrganizationId) -> std::io::Result<Self> {
        let (signing, agreement, at_rest) = (random()?, random()?, random()?);
        Ok(Self { organization, signing, agreement, at_rest, sealed: false })
    }

    /// Writes the file; there must be none. Only its owner may read it.
    ///
    /// # Errors
    /// [`NodeKeyError::System`].
    pub(crate) fn write(&self, data_dir: &Path, passphrase: Option<&[u8]>) -> Result<(), NodeKeyError> {
        self.put(data_dir, passphrase, write_new)
    }

    /// Writes the file in place of the one that is there, whole or not at all.
    ///
    /// # Errors
    /// [`NodeKeyError::System`].
    pub(crate) fn replace(&self, data_dir: &Path, passphrase: Option<&[u8]>) -> Result<(), NodeKeyError> {
        self.put(data_dir, passphrase, write)
    }

    fn put(
        &self,
        data_dir: &Path,
        passphrase: Option<&[u8]>,
        write: fn(&Path, &[u8], Readers) -> std::io::Result<()>,
    ) -> Result<(), NodeKeyError> {
        let path = path(data_dir);
        let system = |cause| NodeKeyError::System { path: path.clone(), cause };
        let secrets = Zeroizing::new([&self.signing[..], &self.agreement[..], &self.at_rest[..]].concat());
        let (lid, secrets) = match passphrase {
            None => (None, secrets.to_vec()),
            Some(passphrase) => {
                let lid = Lid {
                    salt: *random().map_err(system)?,
                    memory_kib: MEMORY_KIB,
                    passes: PASSES,
                    nonce: *random().map_err(system)?,
                };
                let unusable = || system(std::io::Error::other("the passphrase cannot be used"));
                let key = sealing_key(passphrase, &lid).ok_or_else(unusable)?;
                let aad = bound_to(&self.organization, &lid);
                let sealed = ChaCha20Poly1305::new(&Key::from(*key))
                    .encrypt(&Nonce::from(lid.nonce), Payload { msg: &secrets, aad: &aad })
                    .expect("96 bytes are far below what the cipher seals");
                (Some(lid), sealed)
            }
        };
        let file = NodeKeyFile {
            format: FORMAT.into(),
            organization: self.organization,
            lid,
            secrets: secrets.into(),
        };
        let mut bytes = file.encode();
        let written = write(&path, &bytes, Readers::Owner).map_err(system);
        bytes.zeroize();
        wipe(file);
        written
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`NodeKeyError`].
    pub(crate) fn read(data_dir: &Path, passphrase: Option<&[u8]>) -> Result<Self, NodeKeyError> {
        let path = path(data_dir);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(NodeKeyError::Absent(path)),
            Err(cause) => return Err(NodeKeyError::System { path, cause }),
            Ok(bytes) => Zeroizing::new(bytes),
        };
        let damaged = || NodeKeyError::Damaged(path.clone());
        let file = NodeKeyFile::decode_within(&bytes, FILE_BYTES_MAX).map_err(|_| damaged())?;
        if file.format != FORMAT {
            return Err(damaged());
        }
        let secrets = match (&file.lid, passphrase) {
            (None, _) => Zeroizing::new(file.secrets.to_vec()),
            (Some(_), None) => return Err(NodeKeyError::PassphraseNeeded),
            (Some(lid), Some(passphrase)) => {
                let key = sealing_key(passphrase, lid).ok_or_else(damaged)?;
                let payload = Payload { msg: &file.secrets, aad: &bound_to(&file.organization, lid) };
                let opened =
                    ChaCha20Poly1305::new(&Key::from(*key)).decrypt(&Nonce::from(lid.nonce), payload);
                Zeroizing::new(opened.map_err(|_| NodeKeyError::WrongPassphrase)?)
            }
        };
        let one = |i: usize| -> Option<Zeroizing<[u8; 32]>> {
            let part = secrets.get(32 * i..32 * i + 32)?;
            Some(Zeroizing::new(part.try_into().ok()?))
        };
        let parts = (secrets.len() == 96).then(|| Some((one(0)?, one(1)?, one(2)?))).flatten();
        let (signing, agreement, at_rest) = parts.ok_or_else(damaged)?;
        let (organization, sealed) = (file.organization, file.lid.is_some());
        wipe(file);
        Ok(Self { organization, signing, agreement, at_rest, sealed })
    }
}

fn wipe(mut file: NodeKeyFile) {
    file.secrets.0.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("keys")).unwrap();
        folder
    }

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_only() {
        let folder = folder();
        let key = NodeKey::generate(OrganizationId([1; 32])).unwrap();
        key.write(folder.path(), Some(b"correct horse")).unwrap();
        let refused = |passphrase| NodeKey::read(folder.path(), passphrase).unwrap_err();
        assert!(matches!(refused(None), NodeKeyError::PassphraseNeeded), "without one");
        assert!(matches!(refused(Some(b"battery")), NodeKeyError::WrongPassphrase), "with another");
        let read = NodeKey::read(folder.path(), Some(b"correct horse")).unwrap();
        assert_eq!(read.signing, key.signing, "the same secret");
        assert!(read.sealed, "it says that it is sealed");
        let bytes = std::fs::read(path(folder.path())).unwrap();
        assert!(!bytes.windows(32).any(|w| w == &key.signing[..]), "no secret in plain");
    }

    #[test]
    fn an_open_key_reads_back_and_is_never_overwritten() {
        let folder = folder();
        let key = NodeKey::generate(OrganizationId([1; 32])).unwrap();
        key.write(folder.path(), None).unwrap();
        let read = NodeKey::read(folder.path(), None).unwrap();
        assert_eq!((read.agreement, read.at_rest), (key.agreement.clone(), key.at_rest.clone()), "as made");
        assert!(!read.sealed, "it says that it is open");
        assert!(key.write(folder.path(), None).is_err(), "a key is not replaced");
    }

    #[test]
    fn a_changed_byte_of_a_sealed_key_is_found() {
        let folder = folder();
        let lid = Lid { salt: [1; 16], memory_kib: 8, passes: 1, nonce: [2; 12] };
        let organization = OrganizationId([1; 32]);
        let key = sealing_key(b"x", &lid).unwrap();
        let payload = Payload { msg: &[7; 96], aad: &bound_to(&organization, &lid) };
        let sealed =
            ChaCha20Poly1305::new(&Key::from(*key)).encrypt(&Nonce::from(lid.nonce), payload).unwrap();
        let file =
            NodeKeyFile { format: FORMAT.into(), organization, lid: Some(lid), secrets: sealed.into() };
        let bytes = file.encode();
        let place = path(folder.path());
        std::fs::write(&place, &bytes).unwrap();
        assert!(NodeKey::read(folder.path(), Some(b"x")).is_ok(), "unchanged it opens");
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            std::fs::write(&place, &bad).unwrap();
            assert!(NodeKey::read(folder.path(), Some(b"x")).is_err(), "byte {i}");
        }
    }
}
