//! Keys of an OpenPGP card: their public halves, signatures and shared secrets as our protocol has them.
//!
//! What a key is, the algorithm attributes say (4.4.3.9). ECDSA comes as r || s with either s; it leaves with the low one, and
//! verified. Points are checked by whoever makes a key of them.

use hospes_protocol::keys::{AgreementKey, Algorithm, Curve, KeyError, VerifyingKey};
use zeroize::Zeroizing;

use super::objects::About;
use crate::piv::keys::{KeyKind, RawKey, digest, not_a_signature, shared_secret};
use crate::slot::Slot;
use crate::smart::apdu::status;
use crate::smart::{Applet, tlv};

/// What a place takes: algorithm, then the identifier of the curve.
pub(super) fn attributes(kind: KeyKind, slot: Slot) -> Vec<u8> {
    const ECDH: u8 = 0x12;
    const ECDSA: u8 = 0x13;
    const EDDSA: u8 = 0x16;
    let nist = if slot.signs() { ECDSA } else { ECDH };
    let (number, curve): (u8, &[u8]) = match kind {
        KeyKind::P256 => (nist, &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]),
        KeyKind::P384 => (nist, &[0x2B, 0x81, 0x04, 0x00, 0x22]),
        KeyKind::Ed25519 => (EDDSA, &[0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01]),
        KeyKind::X25519 => (ECDH, &[0x2B, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01]),
    };
    [&[number], curve].concat()
}

/// What is in a place by its attributes, which may end with how keys are imported.
fn kind(attributes_of_place: &[u8], slot: Slot) -> Option<KeyKind> {
    let is_it = |kind: &KeyKind| {
        let rest = attributes_of_place.strip_prefix(&attributes(*kind, slot)[..]);
        matches!(rest, Some([] | [0x00 | 0xFF]))
    };
    [KeyKind::P256, KeyKind::P384, KeyKind::Ed25519, KeyKind::X25519].into_iter().find(is_it)
}

/// The control reference template that names a place (7.2.14).
pub(super) fn template(slot: Slot) -> Option<[u8; 2]> {
    match slot {
        Slot::Signature => Some([0xB6, 0x00]),
        Slot::KeyManagement => Some([0xB8, 0x00]),
        Slot::Authentication => Some([0xA4, 0x00]),
        Slot::CardAuthentication => None,
    }
}

/// The public key in the template that GENERATE ASYMMETRIC KEY PAIR answers with.
fn point(answer: &[u8]) -> Option<&[u8]> {
    tlv::find(tlv::find(answer, 0x7F49)?, 0x86)
}

/// The public key in a slot; none if it is empty or of a kind that is not used here. How cards say "empty" differs.
pub(super) fn public_key(applet: &mut Applet, about: &About, slot: Slot) -> Result<Option<RawKey>, KeyError> {
    let (Some(place), Some(attributes)) = (template(slot), about.attributes(slot)) else { return Ok(None) };
    let Some(kind) = kind(attributes, slot) else { return Ok(None) };
    let answer = applet.send([0x47, 0x81, 0x00], &place)?;
    Ok(point(&answer.data).filter(|_| answer.status == status::OK).map(|point| RawKey::new(kind, point)))
}

/// COMPUTE DIGITAL SIGNATURE in SIG, INTERNAL AUTHENTICATE in AUT; checked with the public key.
pub(super) fn sign(
    applet: &mut Applet,
    slot: Slot,
    key: &VerifyingKey,
    message: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let head = match slot {
        Slot::Signature => [0x2A, 0x9E, 0x9A],
        Slot::Authentication => [0x88, 0x00, 0x00],
        Slot::KeyManagement | Slot::CardAuthentication => {
            return Err(KeyError::Unsupported("signing in this slot"));
        }
    };
    let answer = applet.send(head, &digest(key.algorithm(), message))?.done()?;
    let signature = raw_signature(key.algorithm(), &answer).ok_or_else(not_a_signature)?;
    key.verify(message, &signature).map_err(|_| not_a_signature())?;
    Ok(signature)
}

/// r || s with low s.
fn raw_signature(algorithm: Algorithm, answer: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Esp256 => Some(p256::ecdsa::Signature::from_slice(answer).ok()?.normalize_s().to_vec()),
        Algorithm::Esp384 => Some(p384::ecdsa::Signature::from_slice(answer).ok()?.normalize_s().to_vec()),
        Algorithm::Ed25519 => Some(answer.to_vec()),
    }
}

/// DECIPHER: the shared secret of DEC with a public key on its curve.
pub(super) fn agree(applet: &mut Applet, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let public = tlv::object(0x7F49, &tlv::object(0x86, peer.as_bytes()));
    let answer = applet.send([0x2A, 0x80, 0x86], &tlv::object(0xA6, &public))?.done()?;
    match (peer.curve(), &answer[..]) {
        // Some cards give the whole point, where x is the secret.
        (Curve::P256, [0x04, point @ ..]) if point.len() == 64 => shared_secret(&point[..32]),
        (_, shared) => shared_secret(shared),
    }
}
