//! ChaCha20-Poly1305 (RFC 8439) around each part of a card file, with what it is bound to.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use hospes_protocol::wire::{Bytes, Enc, Wire as _};
use hospes_protocol::wire_struct;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::info::CardSerial;

wire_struct! {
    /// Sealed bytes with their nonce.
    pub struct Sealed {
        /// Random; a card seals a few thousand times in its life at most.
        pub nonce: [u8; 12],
        /// Ciphertext and tag.
        pub bytes: Bytes,
    }
}

/// What a seal is for, bound into it: a part moved to another place or card doesn't open.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// The whole file, of a revision.
    File(u64),
    /// The card key under the PIN.
    Pin,
    /// The card key under the PUK.
    Puk,
    /// A private key, with its slot's number and its public half.
    SlotKey(u64, &'a [u8]),
    /// A protected object, by its tag.
    Object(u64),
}

/// The associated data of a part: [context, serial or null, number or null, public key or null].
pub(super) fn bound_to(part: Part<'_>, serial: Option<&CardSerial>) -> Vec<u8> {
    let (context, number, key) = match part {
        Part::File(revision) => ("hospes/1/soft-card/file", Some(revision), None),
        Part::Pin => ("hospes/1/soft-card/pin", None, None),
        Part::Puk => ("hospes/1/soft-card/puk", None, None),
        Part::SlotKey(slot, key) => ("hospes/1/soft-card/slot-key", Some(slot), Some(Bytes(key.to_vec()))),
        Part::Object(tag) => ("hospes/1/soft-card/object", Some(tag), None),
    };
    let mut e = Enc::default();
    e.array(4).text(context);
    serial.copied().put(&mut e);
    number.put(&mut e);
    key.put(&mut e);
    e.into_bytes()
}

/// Seals under a random nonce.
pub(super) fn seal(key: &[u8; 32], aad: &[u8], plain: &[u8], rng: &mut dyn CryptoRng) -> Sealed {
    let mut nonce = [0; 12];
    rng.fill_bytes(&mut nonce);
    Sealed { nonce, bytes: Bytes(seal_with(key, &nonce, aad, plain)) }
}

/// Seals under a nonce that the caller never uses twice with this key.
pub(super) fn seal_with(key: &[u8; 32], nonce: &[u8; 12], aad: &[u8], plain: &[u8]) -> Vec<u8> {
    ChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&Nonce::from(*nonce), Payload { msg: plain, aad })
        .expect("a card file is far below the 256 GiB that the cipher seals")
}

/// Opens; none for a wrong key, another binding or a changed byte.
pub(super) fn open(key: &[u8; 32], aad: &[u8], sealed: &Sealed) -> Option<Zeroizing<Vec<u8>>> {
    ChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&Nonce::from(sealed.nonce), Payload { msg: &sealed.bytes, aad })
        .ok()
        .map(Zeroizing::new)
}
