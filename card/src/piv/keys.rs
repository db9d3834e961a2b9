//! The public keys in a card's slots, and its signatures as our protocol has them.
//!
//! A key is read from the card's metadata (Yubico, firmware 5.3) or from the certificate in the slot's object, and checked
//! as a point. ECDSA comes as DER with either s; it leaves here as r || s with the low one, and verified.

use hospes_protocol::keys::{AgreementKey, Algorithm, Curve, KeyError, VerifyingKey};
use sha2::{Digest as _, Sha256, Sha384};

use super::certificate;
use crate::slot::Slot;
use crate::smart::Applet;
use crate::smart::apdu::{status, unexpected};
use crate::smart::tlv;
use crate::soft::Profile;

/// What a key is, by its PIV number (SP 800-78-4, table 6-2; Yubico for the last two).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    P256 = 0x11,
    P384 = 0x14,
    Ed25519 = 0xE0,
    X25519 = 0xE1,
}

impl KeyKind {
    fn of(number: u8) -> Option<Self> {
        [Self::P256, Self::P384, Self::Ed25519, Self::X25519].into_iter().find(|kind| *kind as u8 == number)
    }

    /// What a slot gets on a card of this profile.
    pub(crate) fn of_slot(slot: Slot, profile: Profile) -> Self {
        if slot.signs() { Self::of_algorithm(profile.algorithm()) } else { Self::of_curve(profile.curve()) }
    }

    fn of_algorithm(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Esp256 => Self::P256,
            Algorithm::Esp384 => Self::P384,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }

    /// What agrees on this curve.
    pub(super) fn of_curve(curve: Curve) -> Self {
        match curve {
            Curve::P256 => Self::P256,
            Curve::X25519 => Self::X25519,
        }
    }

    /// For who is told that a card doesn't have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Ed25519 => "Ed25519",
            Self::X25519 => "X25519",
        }
    }

    fn algorithm(self) -> Option<Algorithm> {
        match self {
            Self::P256 => Some(Algorithm::Esp256),
            Self::P384 => Some(Algorithm::Esp384),
            Self::Ed25519 => Some(Algorithm::Ed25519),
            Self::X25519 => None,
        }
    }

    fn curve(self) -> Option<Curve> {
        match self {
            Self::P256 => Some(Curve::P256),
            Self::X25519 => Some(Curve::X25519),
            Self::P384 | Self::Ed25519 => None,
        }
    }
}

/// A public key as the card gave it.
#[derive(PartialEq, Eq)]
pub(crate) struct RawKey {
    pub(super) kind: KeyKind,
    pub(super) bytes: Vec<u8>,
}

impl RawKey {
    /// Reads the raw key that GENERATE answered with, or that metadata hold.
    pub(crate) fn new(kind: KeyKind, bytes: &[u8]) -> Self {
        Self { kind, bytes: bytes.to_vec() }
    }

    /// As a signing key; none if it can't be one.
    pub(crate) fn verifying(&self) -> Option<VerifyingKey> {
        VerifyingKey::new(self.kind.algorithm()?, &self.bytes).ok()
    }

    /// As an agreement key; none if it can't be one.
    pub(crate) fn agreement(&self) -> Option<AgreementKey> {
        AgreementKey::new(self.kind.curve()?, &self.bytes).ok()
    }
}

/// The key reference of a slot.
pub(super) fn reference(slot: Slot) -> u8 {
    u8::try_from(slot.code()).unwrap_or_default()
}

impl Applet {
    /// The public key in a slot; none if it is empty or of a kind that is not used here.
    pub(super) fn public_key(&mut self, slot: Slot) -> Result<Option<RawKey>, KeyError> {
        let told = self.send([0xF7, 0x00, reference(slot)], &[])?;
        match (told.status, of_metadata(&told.data)) {
            (status::OK, Some(key)) => Ok(Some(key)),
            (status::NO_KEY, _) => Ok(None),
            // No such instruction, or metadata that leave the key out: the certificate says it.
            _ => {
                Ok(self.read(&certificate::object(slot))?.and_then(|object| certificate::of_object(&object)))
            }
        }
    }

    /// The public key in a place as the card tells it without a certificate; none if it doesn't, or there is none.
    pub(super) fn told_key(&mut self, place: u8) -> Result<Option<RawKey>, KeyError> {
        let told = self.send([0xF7, 0x00, place], &[])?;
        Ok(if told.status == status::OK { of_metadata(&told.data) } else { None })
    }

    /// An object's value; none if it isn't there.
    pub(super) fn read(&mut self, tag: &[u8]) -> Result<Option<zeroize::Zeroizing<Vec<u8>>>, KeyError> {
        let answer = self.send([0xCB, 0x3F, 0xFF], &tlv::object(0x5C, tag))?;
        if answer.status == status::NOT_FOUND {
            return Ok(None);
        }
        let data = answer.done()?;
        let value = tlv::find(&data, 0x53).filter(|value| !value.is_empty());
        Ok(value.map(|value| zeroize::Zeroizing::new(value.to_vec())))
    }

    /// Signs with the key of a slot: GENERAL AUTHENTICATE, checked with the public key.
    pub(super) fn sign(
        &mut self,
        slot: Slot,
        key: &VerifyingKey,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let input = digest(key.algorithm(), message);
        let kind = KeyKind::of_algorithm(key.algorithm());
        let answer = self.authenticate(kind, reference(slot), 0x81, &input)?;
        let signature = raw_signature(key.algorithm(), &answer).ok_or_else(not_a_signature)?;
        key.verify(message, &signature).map_err(|_| not_a_signature())?;
        Ok(signature)
    }

    /// The shared secret of the key in a place, 9D or a retired one, with a public key on its curve.
    pub(super) fn agree_in(
        &mut self,
        place: u8,
        peer: &AgreementKey,
    ) -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
        let answer = self.authenticate(KeyKind::of_curve(peer.curve()), place, 0x85, peer.as_bytes())?;
        shared_secret(&answer)
    }

    fn authenticate(
        &mut self,
        kind: KeyKind,
        key: u8,
        tag: u16,
        input: &[u8],
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
        let mut inner = tlv::object(0x82, &[]);
        tlv::put(&mut inner, tag, input);
        let answer = self.send([0x87, kind as u8, key], &tlv::object(0x7C, &inner))?.done()?;
        let response = tlv::find(&answer, 0x7C).and_then(|template| tlv::find(template, 0x82));
        response.map(|r| zeroize::Zeroizing::new(r.to_vec())).ok_or_else(|| unexpected(status::OK))
    }
}

/// What a card signs of a message: its digest, or with Ed25519 all of it.
pub(crate) fn digest(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::Esp256 => Sha256::digest(message).to_vec(),
        Algorithm::Esp384 => Sha384::digest(message).to_vec(),
        Algorithm::Ed25519 => message.to_vec(),
    }
}

/// A shared secret as a card answered it.
pub(crate) fn shared_secret(answer: &[u8]) -> Result<zeroize::Zeroizing<[u8; 32]>, KeyError> {
    let shared = <[u8; 32]>::try_from(answer).map(zeroize::Zeroizing::new).ok();
    // RFC 7748, 6.1: all zero comes of a point of small order.
    let shared = shared.filter(|bytes| bytes.iter().any(|byte| *byte != 0));
    shared.ok_or_else(|| KeyError::Failed("what it answered is no shared secret".to_owned()))
}

pub(crate) fn not_a_signature() -> KeyError {
    KeyError::Failed("what it answered is no signature of its key".to_owned())
}

/// r || s with low s.
fn raw_signature(algorithm: Algorithm, answer: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Esp256 => Some(p256::ecdsa::Signature::from_der(answer).ok()?.normalize_s().to_vec()),
        Algorithm::Esp384 => Some(p384::ecdsa::Signature::from_der(answer).ok()?.normalize_s().to_vec()),
        Algorithm::Ed25519 => Some(answer.to_vec()),
    }
}

/// The key in Yubico's metadata: algorithm under 01, public key under 04.
fn of_metadata(data: &[u8]) -> Option<RawKey> {
    let [number] = tlv::find(data, 0x01)? else { return None };
    let public = tlv::find(tlv::find(data, 0x04)?, 0x86)?;
    Some(RawKey::new(KeyKind::of(*number)?, public))
}
