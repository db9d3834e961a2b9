//! Certificates in a card's slots (SP 800-73-4, part 1, table 10): read for the public key in them, and written where the card
//! tells its keys in no other way.
//!
//! Nobody trusts one: which key is whose, the ledger says. So they name nobody and end never; 9A signs them, being the key on
//! the card that signs more than once for one PIN.

use hospes_protocol::keys::{Algorithm, KeyError, VerifyingKey};
use zeroize::Zeroizing;

use super::keys::{KeyKind, RawKey, not_a_signature, reference};
use crate::slot::Slot;
use crate::smart::{Applet, tlv};

/// id-ecPublicKey, secp256r1, secp384r1 (RFC 5480); X25519, Ed25519 (RFC 8410); ecdsa-with-SHA256 and SHA384 (RFC 5758).
const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const X25519: &[u8] = &[0x2B, 0x65, 0x6E];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const ECDSA_SHA384: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x03];

/// Tags of DER.
const INTEGER: u16 = 0x02;
const BITS: u16 = 0x03;
const OID: u16 = 0x06;
const SEQUENCE: u16 = 0x30;

/// The object that holds the certificate of a slot (SP 800-73-4, part 1, table 3).
pub(super) fn object(slot: Slot) -> [u8; 3] {
    let last = match slot {
        Slot::Authentication => 0x05,
        Slot::Signature => 0x0A,
        Slot::KeyManagement => 0x0B,
        Slot::CardAuthentication => 0x01,
    };
    [0x5F, 0xC1, last]
}

/// The key in a certificate object: 70 holds X.509, if 71 says that it isn't compressed.
pub(super) fn of_object(object: &[u8]) -> Option<RawKey> {
    if tlv::find(object, 0x71).is_some_and(|info| info != [0]) {
        return None;
    }
    public_key_of(tlv::find(object, 0x70)?)
}

/// SubjectPublicKeyInfo of a certificate (RFC 5280, 4.1): the seventh field after the version, or the sixth without one.
pub(super) fn public_key_of(certificate: &[u8]) -> Option<RawKey> {
    let (_, body, _) = tlv::take(tlv::find(certificate, SEQUENCE)?)?;
    let mut rest = body;
    let mut fields = Vec::new();
    while let Some((tag, value, after)) = tlv::take(rest) {
        // The version, if there is one, stands first.
        if tag != 0xA0 {
            fields.push(value);
        }
        rest = after;
    }
    of_key_info(fields.get(5)?)
}

/// The key in a SubjectPublicKeyInfo (RFC 5480, RFC 8410).
fn of_key_info(info: &[u8]) -> Option<RawKey> {
    let (_, algorithm, rest) = tlv::take(info)?;
    let (BITS, [0, bytes @ ..], _) = tlv::take(rest)? else { return None };
    let (_, name, parameters) = tlv::take(algorithm)?;
    let curve = || tlv::take(parameters).map(|(_, curve, _)| curve);
    let kind = match name {
        EC if curve() == Some(P256) => KeyKind::P256,
        EC if curve() == Some(P384) => KeyKind::P384,
        X25519 => KeyKind::X25519,
        ED25519 => KeyKind::Ed25519,
        _ => return None,
    };
    Some(RawKey::new(kind, bytes))
}

impl Applet {
    /// Writes a certificate for the key in a slot, and reads it back. Needs the PIN, and the management key to have been shown.
    pub(super) fn write_certificate(
        &mut self,
        slot: Slot,
        key: &RawKey,
        by: &VerifyingKey,
    ) -> Result<(), KeyError> {
        let body = to_be_signed(slot, key, by.algorithm());
        let signature = self.sign(Slot::Authentication, by, &body)?;
        let certificate = signed(&body, by.algorithm(), &signature).ok_or_else(not_a_signature)?;
        let mut value = tlv::object(0x70, &certificate);
        tlv::put(&mut value, 0x71, &[0]);
        tlv::put(&mut value, 0xFE, &[]);
        self.put_data(&object(slot), &value)?;
        if self.public_key(slot)?.as_ref() == Some(key) {
            return Ok(());
        }
        Err(KeyError::Failed("it does not give back the certificate of its key".to_owned()))
    }
}

/// Certificate (RFC 5280, 4.1), by a signature as our protocol has it.
pub(super) fn signed(body: &[u8], by: Algorithm, signature: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    Some(sequence(&[body, &algorithm(by), &bits(&as_x509(by, signature)?)]))
}

/// TBSCertificate. Its number is the slot.
pub(super) fn to_be_signed(slot: Slot, key: &RawKey, by: Algorithm) -> Zeroizing<Vec<u8>> {
    let version = tlv::object(0xA0, &tlv::object(INTEGER, &[2]));
    let number = tlv::object(INTEGER, &[0, reference(slot)]);
    let attribute = sequence(&[&tlv::object(OID, &[0x55, 0x04, 0x03]), &tlv::object(0x0C, b"Hospes card")]);
    let name = sequence(&[&tlv::object(0x31, &attribute)]);
    // "No well-defined expiration date" (RFC 5280, 4.1.2.5).
    let validity = sequence(&[&tlv::object(0x17, b"000101000000Z"), &tlv::object(0x18, b"99991231235959Z")]);
    sequence(&[&version, &number, &algorithm(by), &name, &validity, &name, &key_info(key)])
}

fn sequence(parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    tlv::object(SEQUENCE, &parts.concat())
}

fn bits(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    tlv::object(BITS, &[&[0], bytes].concat())
}

fn algorithm(of: Algorithm) -> Zeroizing<Vec<u8>> {
    let name = match of {
        Algorithm::Esp256 => ECDSA_SHA256,
        Algorithm::Esp384 => ECDSA_SHA384,
        Algorithm::Ed25519 => ED25519,
    };
    sequence(&[&tlv::object(OID, name)])
}

fn key_info(key: &RawKey) -> Zeroizing<Vec<u8>> {
    let names: &[&[u8]] = match key.kind {
        KeyKind::P256 => &[EC, P256],
        KeyKind::P384 => &[EC, P384],
        KeyKind::Ed25519 => &[ED25519],
        KeyKind::X25519 => &[X25519],
    };
    let names: Vec<u8> = names.iter().flat_map(|name| tlv::object(OID, name).to_vec()).collect();
    sequence(&[&tlv::object(SEQUENCE, &names), &bits(&key.bytes)])
}

/// r || s as X.509 has it (RFC 3279, 2.2.3).
fn as_x509(algorithm: Algorithm, signature: &[u8]) -> Option<Vec<u8>> {
    match algorithm {
        Algorithm::Esp256 => {
            Some(p256::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec())
        }
        Algorithm::Esp384 => {
            Some(p384::ecdsa::Signature::from_slice(signature).ok()?.to_der().as_bytes().to_vec())
        }
        Algorithm::Ed25519 => Some(signature.to_vec()),
    }
}
