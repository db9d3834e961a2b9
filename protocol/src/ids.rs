//! Identifiers: 32-byte digests by what they name, and 33-byte object addresses.

use sha2::{Digest, Sha256};

use crate::check::{Check, Rejected};
use crate::wire::{Dec, Enc, Wire};

/// SHA-256 (FIPS 180-4) of the concatenation of `parts`.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut h = Sha256::new();
    parts.iter().for_each(|p| h.update(p));
    h.finalize().into()
}

fn hex(bytes: &[u8], f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    bytes.iter().try_for_each(|b| write!(f, "{b:02x}"))
}

fn unhex<const N: usize>(s: &str) -> Result<[u8; N], Rejected> {
    if s.len() != 2 * N || !s.is_ascii() {
        return Err(Check::Malformed.into());
    }
    let mut out = [0; N];
    for (i, o) in out.iter_mut().enumerate() {
        *o = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| Check::Malformed)?;
    }
    Ok(out)
}

macro_rules! id_type {
    ($($(#[$meta:meta])* $name:ident($len:literal);)+) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                hex(&self.0, f)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}(", stringify!($name))?;
                hex(&self.0[..6], f)?;
                f.write_str(")")
            }
        }
        impl std::str::FromStr for $name {
            type Err = Rejected;
            fn from_str(s: &str) -> Result<Self, Rejected> {
                unhex(s).map(Self)
            }
        }
        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        impl Wire for $name {
            fn put(&self, e: &mut Enc) {
                self.0.put(e);
            }
            fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
                Wire::get(d).map(Self)
            }
        }
    )+ };
}

id_type! {
    /// A network: SHA-256 of its genesis file.
    NetworkId(32);
    /// An organization: SHA-256 of the content that admitted it, or of its place in genesis.
    OrganizationId(32);
    /// A node: SHA-256 of its Ed25519 public key.
    NodeId(32);
    /// A public key: SHA-256 of its raw bytes. It is the `kid` of every COSE message.
    KeyId(32);
    /// A practitioner or other enrolled person that is not a patient: the content id of the first
    /// practitioner entry.
    PersonId(32);
    /// A patient's pseudonym inside bodies. It never stands on the ledger.
    PatientId(32);
    /// A content: SHA-256 of its bytes, salt included.
    ContentId(32);
    /// A header: SHA-256 of its payload, without the signature.
    HeaderId(32);
    /// A block: SHA-256 of its bytes.
    BlockHash(32);
    /// The root of the ledger's state after a block.
    StateRoot(32);
    /// SHA-256 of a validator set.
    ValidatorsHash(32);
    /// A per-entry handle that only those who know K can connect to a patient.
    Subject(32);
    /// SHA-256 of a reveal; closed for ever once the reveal has been seen.
    Lock(32);
    /// The value that closes a lock.
    Reveal(32);
    /// A record, random, bound into each of its sealed segments.
    RecordId(32);
    /// A study.
    StudyId(32);
    /// The address of an object: one byte for the hash (1 SHA-256, 2 BLAKE3), then the digest.
    ObjectId(33);
}

/// Object addressed by SHA-256: bodies (by content id), packets, manifests.
pub const OBJECT_SHA256: u8 = 1;
/// Object addressed by BLAKE3: stored segments.
pub const OBJECT_BLAKE3: u8 = 2;

impl ObjectId {
    fn tagged(tag: u8, digest: [u8; 32]) -> Self {
        let mut id = [tag; 33];
        id[1..].copy_from_slice(&digest);
        Self(id)
    }

    /// The address of structured bytes: their SHA-256.
    #[must_use]
    pub fn of_structured(bytes: &[u8]) -> Self {
        Self::tagged(OBJECT_SHA256, sha256(&[bytes]))
    }

    /// The address of a stored segment: its BLAKE3.
    #[must_use]
    pub fn of_segment(bytes: &[u8]) -> Self {
        Self::tagged(OBJECT_BLAKE3, *blake3::hash(bytes).as_bytes())
    }

    /// The address of a body: its content id. The signatures beside the content are not part of it.
    #[must_use]
    pub fn of_body(content: ContentId) -> Self {
        Self::tagged(OBJECT_SHA256, content.0)
    }

    /// Whether `bytes` are what this address names (not for bodies, whose address leaves out signatures).
    #[must_use]
    pub fn names(&self, bytes: &[u8]) -> bool {
        match self.0[0] {
            OBJECT_SHA256 => *self == Self::of_structured(bytes),
            OBJECT_BLAKE3 => *self == Self::of_segment(bytes),
            _ => false,
        }
    }

    /// The digest without its tag, as a content id.
    #[must_use]
    pub fn as_content(&self) -> ContentId {
        let mut id = [0; 32];
        id.copy_from_slice(&self.0[1..]);
        ContentId(id)
    }
}

impl Lock {
    /// The lock that `reveal` closes.
    #[must_use]
    pub fn of(reveal: &Reveal) -> Self {
        Self(sha256(&[&reveal.0]))
    }
}

impl Reveal {
    /// Debug never prints a reveal that has not been published; callers publish by value.
    #[must_use]
    pub fn lock(&self) -> Lock {
        Lock::of(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_from_their_text() {
        let id = ContentId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id), "hex round trip");
        assert!("zz".parse::<ContentId>().is_err(), "not hex");
        assert!("é".repeat(32).parse::<ContentId>().is_err(), "not ASCII and no panic");
    }

    #[test]
    fn an_address_names_its_bytes_only() {
        let id = ObjectId::of_segment(b"segment");
        assert!(id.names(b"segment"), "its own bytes");
        assert!(!id.names(b"segmenT"), "one byte off");
        assert!(!ObjectId([9; 33]).names(b""), "an unknown hash names nothing");
    }
}
