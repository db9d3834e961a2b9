//! Attestation: the card's maker says that a key was made on the card and what guards it (Yubico PIV attestation).
//!
//! Statement, certificate of the card's attesting key, pinned root: each signed by the next. Dates are not looked at: a
//! card has no clock, and its maker writes the same dates into all. Certificates are bytes from outside: read strictly,
//! nothing of them believed before its signature is. The caller says which roots it trusts.

use hospes_protocol::keys::{AgreementKey, VerifyingKey};
use ring::signature::{self as ring_sig, UnparsedPublicKey, VerificationAlgorithm};

use super::certificate::public_key_of;
use super::keys::RawKey;
use super::roots::Roots;
use crate::smart::tlv;

/// Why an attestation proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// It is no certificate that can be read.
    #[error("the attestation can't be read")]
    Malformed,
    /// No pinned root signed the card's certificate.
    #[error("the attestation leads to no maker that is trusted here")]
    Untrusted,
    /// The card's certificate did not sign the statement.
    #[error("the attestation is not of this card's certificate")]
    NotSigned,
    /// It speaks of another key.
    #[error("the attestation is of another key")]
    OtherKey,
    /// The root is that of virtual cards, which anyone can sign with.
    #[error("the root of virtual cards is not trusted")]
    TestRoot,
    /// There is none for one of the card's keys.
    #[error("nobody vouches for the card's keys")]
    Absent,
    /// Its keys are of several cards.
    #[error("the card's keys are not of one card")]
    SeveralCards,
    /// A key is guarded by less than what its slot promises here.
    #[error("a key of the card works without the PIN that it should need")]
    PinPolicy,
}

/// A statement and the certificate of the key that signed it, DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// About the key.
    pub statement: Vec<u8>,
    /// About the key that says so.
    pub card_certificate: Vec<u8>,
}

/// What a maker vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attested {
    /// Firmware: major, minor, patch.
    pub firmware: [u8; 3],
    /// The maker's number of the card; none where it doesn't say.
    pub serial: Option<u32>,
    /// When the PIN is needed: 1 never, 2 once, 3 always.
    pub pin_policy: u8,
    /// When a finger is: 1 never, 2 always, 3 cached.
    pub touch_policy: u8,
}

impl Attestation {
    /// What it proves of a signing key.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn of_signing(&self, key: &VerifyingKey, roots: &Roots) -> Result<Attested, AttestationError> {
        self.prove(roots, |raw| raw.verifying().as_ref() == Some(key))
    }

    /// What it proves of an agreement key.
    ///
    /// # Errors
    /// [`AttestationError`].
    pub fn of_agreement(&self, key: &AgreementKey, roots: &Roots) -> Result<Attested, AttestationError> {
        self.prove(roots, |raw| raw.agreement().as_ref() == Some(key))
    }

    fn prove(&self, roots: &Roots, is_it: impl Fn(&RawKey) -> bool) -> Result<Attested, AttestationError> {
        let card = Certificate::read(&self.card_certificate).ok_or(AttestationError::Malformed)?;
        let statement = Certificate::read(&self.statement).ok_or(AttestationError::Malformed)?;
        let by_root = |der: &[u8]| Certificate::read(der).is_some_and(|root| card.is_signed_by(&root));
        if !roots.certificates().any(by_root) {
            return Err(AttestationError::Untrusted);
        }
        if !statement.is_signed_by(&card) {
            return Err(AttestationError::NotSigned);
        }
        if !public_key_of(&self.statement).is_some_and(|raw| is_it(&raw)) {
            return Err(AttestationError::OtherKey);
        }
        statement.said().ok_or(AttestationError::Malformed)
    }
}

/// A public key as a certificate has it.
pub(super) struct KeyInfo<'a> {
    algorithm: &'a [u8],
    pub(super) bits: &'a [u8],
}

/// The parts of an X.509 certificate that are looked at (RFC 5280, 4.1).
pub(super) struct Certificate<'a> {
    /// What is signed, with its header.
    body: &'a [u8],
    /// By which algorithm.
    algorithm: &'a [u8],
    signature: &'a [u8],
    pub(super) key: Option<KeyInfo<'a>>,
    extensions: &'a [u8],
}

/// 1.3.6.1.4.1.41482.3, and one more arc.
const YUBICO: [u8; 9] = [0x2B, 0x06, 0x01, 0x04, 0x01, 0x82, 0xC4, 0x0A, 0x03];

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Option<Self> {
        let (0x30, whole, []) = tlv::take(der)? else { return None };
        let (0x30, fields, after) = tlv::take(whole)? else { return None };
        let body = whole.get(..whole.len() - after.len())?;
        let (0x30, algorithm, after) = tlv::take(after)? else { return None };
        let (0x03, [0, signature @ ..], []) = tlv::take(after)? else { return None };
        let (mut key, mut extensions, mut place, mut rest) = (None, &[][..], 0, fields);
        while let Some((tag, value, after)) = tlv::take(rest) {
            match tag {
                0xA0 => {}
                0xA3 => extensions = tlv::find(value, 0x30)?,
                _ => {
                    if place == 5 {
                        key = key_info(value);
                    }
                    place += 1;
                }
            }
            rest = after;
        }
        Some(Self { body, algorithm: tlv::find(algorithm, 0x06)?, signature, key, extensions })
    }

    pub(super) fn is_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        let Some(key) = &issuer.key else { return false };
        let Some(algorithm) = verification(self.algorithm, key.algorithm) else { return false };
        UnparsedPublicKey::new(algorithm, key.bits).verify(self.body, self.signature).is_ok()
    }

    /// The value of one of Yubico's extensions.
    fn extension(&self, number: u8) -> Option<&'a [u8]> {
        let mut rest = self.extensions;
        while let Some((0x30, extension, after)) = tlv::take(rest) {
            let name = tlv::find(extension, 0x06)?;
            if name.split_last() == Some((&number, &YUBICO[..])) {
                return tlv::find(extension, 0x04);
            }
            rest = after;
        }
        None
    }

    fn said(&self) -> Option<Attested> {
        let [pin_policy, touch_policy] = *self.extension(8)? else { return None };
        let number = self.extension(7).and_then(|value| tlv::find(value, 0x02));
        let serial = number.and_then(|bytes| {
            let bytes = bytes.strip_prefix(&[0]).unwrap_or(bytes);
            let fits = bytes.len() <= 4;
            fits.then(|| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
        });
        Some(Attested { firmware: self.extension(3)?.try_into().ok()?, serial, pin_policy, touch_policy })
    }
}

fn key_info(info: &[u8]) -> Option<KeyInfo<'_>> {
    let (0x30, algorithm, after) = tlv::take(info)? else { return None };
    let (0x03, [0, bits @ ..], []) = tlv::take(after)? else { return None };
    Some(KeyInfo { algorithm, bits })
}

/// How a signature is checked: by its algorithm and what the signer's key is (RFC 5758, RFC 8017).
fn verification(signature: &[u8], key: &[u8]) -> Option<&'static dyn VerificationAlgorithm> {
    const P256: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
    const P384: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
    let (_, _, parameters) = tlv::take(key)?;
    let curve = tlv::find(parameters, 0x06);
    match (signature, curve) {
        // ecdsa-with-SHA256, ecdsa-with-SHA384.
        ([0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2], Some(P256)) => Some(&ring_sig::ECDSA_P256_SHA256_ASN1),
        ([0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2], Some(P384)) => Some(&ring_sig::ECDSA_P384_SHA256_ASN1),
        ([0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3], Some(P384)) => Some(&ring_sig::ECDSA_P384_SHA384_ASN1),
        // sha256WithRSAEncryption, which Yubico's first root signs with.
        ([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 11], None) => Some(&ring_sig::RSA_PKCS1_2048_8192_SHA256),
        _ => None,
    }
}
