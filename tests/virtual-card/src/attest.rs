//! Attestation: certificates that say a key was made on the card, as Yubico's PIV attestation writes them.
//!
//! The root is a test root whose key anyone can compute: no release may trust it.

use p256::ecdsa::signature::Signer as _;
use sha2::{Digest as _, Sha256};

use crate::der::{bits, common_name, integer, octets, oid, sequence, tagged, validity};
use crate::keys::KeyAlgorithm;
use crate::state::State;
use crate::tlv;

/// The slot of the key that attests.
pub(crate) const SLOT: u8 = 0xF9;
/// The object that holds the certificate of that key.
pub(crate) const CERTIFICATE: u32 = 0x5F_FF01;

const ROOT_NAME: &str = "Hospes virtual card test root";
const CARD_NAME: &str = "Hospes virtual card attestation";
const ECDSA_SHA256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
/// 1.3.6.1.4.1.41482.3, Yubico's extensions of attestation certificates.
const YUBICO: &[u8] = &[0x2B, 6, 1, 4, 1, 0x82, 0xC4, 0x0A, 3];
/// "USB-A keychain" among Yubico's form factors.
const FORM_FACTOR: u8 = 1;

fn root_key() -> p256::ecdsa::SigningKey {
    let scalar = Sha256::digest(ROOT_NAME);
    p256::ecdsa::SigningKey::from_slice(&scalar).expect("this digest is below the order of P-256")
}

/// The certificate of the test root, DER.
#[must_use]
pub fn test_root_certificate() -> Vec<u8> {
    let key = root_key();
    let point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let ca = extension(&[0x55, 0x1D, 0x13], &sequence(&[tagged(0x01, &[0xFF])]));
    certificate(&key, &[1], ROOT_NAME, ROOT_NAME, &public_key(KeyAlgorithm::P256, &point), &[ca])
}

/// The certificate of the card's own attestation key, signed by the test root.
pub(crate) fn card_certificate(state: &State) -> Option<Vec<u8>> {
    let key = state.keys.get(&SLOT)?;
    let ca = extension(&[0x55, 0x1D, 0x13], &sequence(&[tagged(0x01, &[0xFF]), integer(&[0])]));
    let number = state.serial().to_be_bytes();
    Some(certificate(
        &root_key(),
        &number,
        ROOT_NAME,
        CARD_NAME,
        &public_key(key.algorithm, &key.public),
        &[ca],
    ))
}

/// The statement about the key in `slot`; none if it was not made on the card.
pub(crate) fn attest(state: &mut State, slot: u8) -> Option<Vec<u8>> {
    let number = state.random(16);
    let key = state.keys.get(&slot).filter(|key| key.generated)?;
    let firmware = state.firmware;
    let of_yubico = |number: u8, value: &[u8]| extension(&[YUBICO, &[number]].concat(), value);
    let extensions = [
        of_yubico(3, &[firmware.0, firmware.1, firmware.2]),
        of_yubico(7, &integer(&state.serial().to_be_bytes())),
        of_yubico(8, &[key.pin as u8, key.touch as u8]),
        of_yubico(9, &[FORM_FACTOR]),
    ];
    let subject = format!("YubiKey PIV Attestation {slot:02x}");
    let signer = &state.keys.get(&SLOT)?;
    let spki = public_key(key.algorithm, &key.public);
    let body = to_be_signed(&number, CARD_NAME, &subject, &spki, &extensions);
    let signature = signer.sign(&Sha256::digest(&body))?;
    Some(signed(body, &signature))
}

/// The certificate as PIV keeps one in an object (SP 800-73-4, part 1, table 10).
pub(crate) fn as_object(certificate: &[u8]) -> Vec<u8> {
    [tlv::put(0x70, certificate), tlv::put(0x71, &[0]), tlv::put(0xFE, &[])].concat()
}

fn certificate(
    by: &p256::ecdsa::SigningKey,
    number: &[u8],
    issuer: &str,
    subject: &str,
    spki: &[u8],
    extensions: &[Vec<u8>],
) -> Vec<u8> {
    let body = to_be_signed(number, issuer, subject, spki, extensions);
    let signature: p256::ecdsa::Signature = by.sign(&body);
    signed(body, signature.to_der().as_bytes())
}

fn to_be_signed(number: &[u8], issuer: &str, subject: &str, spki: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[
        tagged(0xA0, &integer(&[2])),
        integer(number),
        algorithm(),
        common_name(issuer),
        validity(),
        common_name(subject),
        spki.to_vec(),
        tagged(0xA3, &sequence(extensions)),
    ])
}

fn signed(body: Vec<u8>, signature: &[u8]) -> Vec<u8> {
    sequence(&[body, algorithm(), bits(signature)])
}

fn algorithm() -> Vec<u8> {
    sequence(&[oid(ECDSA_SHA256)])
}

fn extension(name: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[oid(name), octets(value)])
}

/// SubjectPublicKeyInfo (RFC 5480, RFC 8410).
fn public_key(algorithm: KeyAlgorithm, public: &[u8]) -> Vec<u8> {
    const EC: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];
    let named = match algorithm {
        KeyAlgorithm::P256 => vec![oid(EC), oid(&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7])],
        KeyAlgorithm::P384 => vec![oid(EC), oid(&[0x2B, 0x81, 4, 0, 0x22])],
        KeyAlgorithm::X25519 => vec![oid(&[0x2B, 0x65, 0x6E])],
        KeyAlgorithm::Ed25519 => vec![oid(&[0x2B, 0x65, 0x70])],
    };
    sequence(&[sequence(&named), bits(public)])
}
