//! The bytes of a card file: an envelope that notices every flipped bit, and what is inside.
//!
//! `card/README.md` draws it. The file key lies in the envelope, so the outer seal is a checksum and keeps
//! nothing secret; what the PIN protects is sealed once more inside. A decoder of bytes that anyone may
//! have written: it checks every bound and never panics.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::keys::{AgreementKey, Algorithm, KeyError, VerifyingKey};
use hospes_protocol::wire::{Bytes, Wire};
use hospes_protocol::wire_struct;
use zeroize::Zeroizing;

use super::cost::PinCost;
use super::damaged;
use super::seal::{Part, Sealed, bound_to, open, seal_with};
use crate::info::CardSerial;
use crate::object::{OBJECT_BYTES_MAX, Object};
use crate::pin::TRIES_MAX;
use crate::slot::Slot;

/// What the file begins with.
const MAGIC: &str = "hospes-soft-card";
/// The format that is written and read.
const FORMAT: u64 = 1;
/// Bytes of a card file: all objects at their largest, keys, and the envelope.
pub(super) const FILE_BYTES_MAX: usize = 32 * 1024;
/// An AEAD tag.
const TAG_BYTES: usize = 16;

wire_struct! {
    /// The file.
    pub struct Envelope {
        /// [`MAGIC`].
        pub magic: String,
        /// [`FORMAT`].
        pub format: u64,
        /// One more with every write; the nonce of the seal.
        pub revision: u64,
        /// Seals the contents and the 9E key. In the clear.
        pub file_key: Bytes,
        /// [`Contents`], sealed.
        pub sealed: Bytes,
    }
}

wire_struct! {
    /// A way to the card key: a PIN or a PUK.
    pub struct Gate {
        /// Wrong tries before it is blocked.
        pub tries_left: u64,
        /// What a guess costs.
        pub cost: PinCost,
        /// Of the derivation.
        pub salt: [u8; 16],
        /// The card key.
        pub wrapped: Sealed,
    }
}

wire_struct! {
    /// A signing slot.
    pub struct SigningKey {
        /// The public half.
        pub public: VerifyingKey,
        /// The private half, sealed.
        pub secret: Sealed,
    }
}

wire_struct! {
    /// The key-agreement slot.
    pub struct ManagementKey {
        /// The public half.
        pub public: AgreementKey,
        /// The private half, sealed.
        pub secret: Sealed,
    }
}

wire_struct! {
    /// What is inside the envelope.
    pub struct Contents {
        /// The card's number.
        pub serial: CardSerial,
        /// By the PIN to the card key.
        pub pin: Gate,
        /// By the PUK to the card key.
        pub puk: Gate,
        /// 9A, under the card key.
        pub authentication: SigningKey,
        /// 9C, under the card key.
        pub signature: SigningKey,
        /// 9D, under the card key.
        pub key_management: ManagementKey,
        /// 9E, under the file key.
        pub card_authentication: SigningKey,
        /// Objects that anyone reads, ascending.
        pub free: Vec<(Object, Bytes)>,
        /// Objects under the card key, ascending.
        pub protected: Vec<(Object, Sealed)>,
    }
}

/// A card file, read or about to be written.
pub(super) struct Image {
    pub(super) revision: u64,
    pub(super) file_key: Zeroizing<[u8; 32]>,
    pub(super) contents: Contents,
}

impl Image {
    /// Reads a card file.
    ///
    /// # Errors
    /// [`KeyError::Failed`] for anything but the bytes that a soft card wrote.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, KeyError> {
        let envelope = Envelope::decode_within(bytes, FILE_BYTES_MAX).map_err(refused)?;
        if envelope.magic != MAGIC {
            return Err(damaged("it does not begin as a soft card"));
        }
        if envelope.format != FORMAT {
            return Err(damaged("its format is not 1, which is all that this version reads"));
        }
        let raw: [u8; 32] = envelope.file_key[..].try_into().map_err(|_| damaged("its key is cut"))?;
        let file_key = Zeroizing::new(raw);
        let sealed = Sealed { nonce: nonce(envelope.revision), bytes: envelope.sealed };
        let plain = open(&file_key, &bound_to(Part::File(envelope.revision), None), &sealed)
            .ok_or_else(|| damaged("its checksum is wrong"))?;
        let contents = Contents::decode(&plain).map_err(refused)?;
        contents.check().map_err(refused)?;
        Ok(Self { revision: envelope.revision, file_key, contents })
    }

    /// The bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let aad = bound_to(Part::File(self.revision), None);
        let sealed = seal_with(&self.file_key, &nonce(self.revision), &aad, &self.contents.encode());
        Envelope {
            magic: MAGIC.to_owned(),
            format: FORMAT,
            revision: self.revision,
            file_key: Bytes(self.file_key.to_vec()),
            sealed: Bytes(sealed),
        }
        .encode()
    }
}

fn refused(rejected: Rejected) -> KeyError {
    damaged(rejected.check.text())
}

// Two copies of a card may write one revision twice. The key is in the clear, so nothing is lost by it.
fn nonce(revision: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&revision.to_be_bytes());
    nonce
}

impl Contents {
    fn check(&self) -> Result<(), Rejected> {
        for gate in [&self.pin, &self.puk] {
            ensure(gate.tries_left <= TRIES_MAX.into(), Check::Malformed)?;
            ensure(gate.wrapped.bytes.len() == 32 + TAG_BYTES, Check::Malformed)?;
        }
        for slot in [Slot::Authentication, Slot::Signature, Slot::CardAuthentication] {
            let key = self.signing_key(slot).ok_or(Check::Malformed)?;
            let scalar = if key.public.algorithm() == Algorithm::Esp384 { 48 } else { 32 };
            ensure(key.secret.bytes.len() == scalar + TAG_BYTES, Check::Malformed)?;
        }
        ensure(self.key_management.secret.bytes.len() == 32 + TAG_BYTES, Check::Malformed)?;
        self.check_objects()
    }

    fn check_objects(&self) -> Result<(), Rejected> {
        ensure(self.free.windows(2).all(|w| w[0].0 < w[1].0), Check::Malformed)?;
        ensure(self.protected.windows(2).all(|w| w[0].0 < w[1].0), Check::Malformed)?;
        for (object, bytes) in &self.free {
            ensure(!object.needs_pin(), Check::Malformed)?;
            object.check(bytes)?;
        }
        for (object, sealed) in &self.protected {
            ensure(object.needs_pin(), Check::Malformed)?;
            ensure(sealed.bytes.len() <= OBJECT_BYTES_MAX + TAG_BYTES, Check::TooLarge)?;
        }
        Ok(())
    }

    /// The key of a signing slot.
    pub(super) fn signing_key(&self, slot: Slot) -> Option<&SigningKey> {
        match slot {
            Slot::Authentication => Some(&self.authentication),
            Slot::Signature => Some(&self.signature),
            Slot::CardAuthentication => Some(&self.card_authentication),
            Slot::KeyManagement => None,
        }
    }

    /// A free object's bytes.
    pub(super) fn free(&self, object: Object) -> Option<&[u8]> {
        self.free.iter().find(|(o, _)| *o == object).map(|(_, bytes)| &bytes[..])
    }

    /// A protected object, sealed.
    pub(super) fn protected(&self, object: Object) -> Option<&Sealed> {
        self.protected.iter().find(|(o, _)| *o == object).map(|(_, sealed)| sealed)
    }
}

/// Puts a value at its place in an ascending list, in the place of an older one.
pub(super) fn put<T>(list: &mut Vec<(Object, T)>, object: Object, value: T) {
    match list.binary_search_by_key(&object, |(o, _)| *o) {
        Ok(at) => list[at].1 = value,
        Err(at) => list.insert(at, (object, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::HolderKind;
    use crate::pin::{Pin, Puk};
    use crate::soft::card::info_of;
    use crate::soft::{PinCost, SoftCardSpec};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    fn image() -> Image {
        let spec =
            SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(HolderKind::Patient) };
        let (pin, puk) = (Pin::new("271828").unwrap(), Puk::new("31415926").unwrap());
        spec.image(&pin, &puk, &mut ChaCha20Rng::seed_from_u64(1)).unwrap()
    }

    fn reseal(image: &Image, plain: &[u8]) -> Vec<u8> {
        let aad = bound_to(Part::File(image.revision), None);
        let mut envelope = Envelope::decode(&image.to_bytes()).unwrap();
        envelope.sealed = Bytes(seal_with(&image.file_key, &nonce(image.revision), &aad, plain));
        envelope.encode()
    }

    #[test]
    fn a_card_reads_back_and_encodes_the_same() {
        let image = image();
        let bytes = image.to_bytes();
        let again = Image::read(&bytes).unwrap();
        assert_eq!(again.contents, image.contents, "every field");
        assert_eq!(again.to_bytes(), bytes, "every byte");
        assert_eq!(reseal(&image, &image.contents.encode()), bytes, "the test's own seal is the format's");
    }

    #[test]
    fn contents_out_of_bounds_are_refused_though_their_checksum_is_right() {
        let changes: [fn(&mut Contents); 7] = [
            |c| c.pin.tries_left = 4,
            |c| c.puk.tries_left = u64::MAX,
            |c| c.pin.wrapped.bytes.0.truncate(47),
            |c| c.signature.secret.bytes.0.push(0),
            |c| c.free.push((Object::HolderKind, Bytes(vec![1]))),
            |c| c.free.push((Object::PatientSecret, Bytes(vec![1]))),
            |c| c.free.push((Object::Network, Bytes(vec![0; 31]))),
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut bad = image();
            change(&mut bad.contents);
            let refusal = Image::read(&bad.to_bytes()).map(drop);
            assert!(matches!(refusal, Err(KeyError::Failed(_))), "change {i}: {refusal:?}");
        }
        let mut good = image();
        good.contents.pin.tries_left = 0;
        assert!(Image::read(&good.to_bytes()).is_ok(), "within bounds it reads");
    }

    // The envelope's key is in the clear, so anyone can write contents with a right checksum.
    #[test]
    fn no_forged_contents_make_the_reader_panic() {
        let image = image();
        let plain = image.contents.encode();
        for place in 0..plain.len() {
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut forged = plain.clone();
                forged[place] ^= flip;
                if let Ok(read) = Image::read(&reseal(&image, &forged)) {
                    assert!(info_of(&read.contents).is_ok(), "what reads can be shown, byte {place}");
                }
            }
            assert!(Image::read(&reseal(&image, &plain[..place])).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn other_formats_and_endless_files_are_refused() {
        let mut envelope = Envelope::decode(&image().to_bytes()).unwrap();
        envelope.format = 2;
        let newer = Image::read(&envelope.encode()).map(drop).unwrap_err().to_string();
        assert!(newer.contains("format"), "says which part it cannot read: {newer}");
        assert!(Image::read(&vec![0; FILE_BYTES_MAX + 1]).is_err(), "too long");
    }
}
