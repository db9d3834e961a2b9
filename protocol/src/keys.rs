//! Public keys, and the two traits behind which cards and node keys stand.
//!
//! Signing keys are Ed25519, P-256 or P-384; agreement keys X25519 or P-256. A key is checked when it is
//! decoded: small-order and off-curve points never become a value.

use ring::signature as ring_sig;
use zeroize::Zeroizing;

use crate::check::{Check, Rejected, ensure};
use crate::ed25519;
use crate::ids::{KeyId, sha256};
use crate::memo;
use crate::wire::{Bytes, Dec, Enc, Wire};
use crate::wire_enum;

wire_enum! {
    /// Fully specified signature algorithms (RFC 9864), by the COSE number without its sign.
    pub enum Algorithm {
        /// ECDSA on P-256 with SHA-256 (-9).
        Esp256 = 9,
        /// Ed25519 (-19).
        Ed25519 = 19,
        /// ECDSA on P-384 with SHA-384 (-51).
        Esp384 = 51,
    }
}

impl Algorithm {
    /// Bytes of a raw public key: 32, or an uncompressed SEC 1 point.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Ed25519 => 32,
            Self::Esp256 => 65,
            Self::Esp384 => 97,
        }
    }

    /// Bytes of a signature, r || s for ECDSA.
    #[must_use]
    pub const fn signature_bytes(self) -> usize {
        match self {
            Self::Ed25519 | Self::Esp256 => 64,
            Self::Esp384 => 96,
        }
    }
}

/// A public signing key.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    bytes: Bytes,
}

impl VerifyingKey {
    /// A key from its raw bytes (Ed25519: 32; ECDSA: uncompressed point).
    ///
    /// # Errors
    /// [`Check::WeakKey`] unless it is a point of the curve, and not one of small order.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, Rejected> {
        let valid = bytes.len() == algorithm.key_bytes()
            && match algorithm {
                Algorithm::Ed25519 => bytes.try_into().is_ok_and(|key| ed25519::point(key).is_some()),
                Algorithm::Esp256 => p256::PublicKey::from_sec1_bytes(bytes).is_ok(),
                Algorithm::Esp384 => p384::PublicKey::from_sec1_bytes(bytes).is_ok(),
            };
        ensure(valid, Check::WeakKey)?;
        Ok(Self { algorithm, bytes: Bytes(bytes.to_vec()) })
    }

    /// The signature algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the raw key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(sha256(&[&self.bytes]))
    }

    /// Verifies a raw signature over `message`: Ed25519 by the one rule of `ed25519`, ECDSA with low s only.
    ///
    /// # Errors
    /// [`Check::BadSignature`], [`Check::HighS`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Rejected> {
        ensure(signature.len() == self.algorithm.signature_bytes(), Check::BadSignature)?;
        let good = match self.algorithm {
            Algorithm::Ed25519 => verify_ed25519(&self.bytes, message, signature),
            Algorithm::Esp256 => {
                ensure(low_s(&signature[32..], &P256_HALF), Check::HighS)?;
                verify_ring(&ring_sig::ECDSA_P256_SHA256_FIXED, &self.bytes, message, signature)
            }
            Algorithm::Esp384 => {
                ensure(low_s(&signature[48..], &P384_HALF), Check::HighS)?;
                verify_ring(&ring_sig::ECDSA_P384_SHA384_FIXED, &self.bytes, message, signature)
            }
        };
        ensure(good, Check::BadSignature)
    }
}

/// A raw signature over a message, and the key that it is said to be of.
#[derive(Clone, Copy)]
pub(crate) struct Signed<'a> {
    pub(crate) key: &'a VerifyingKey,
    pub(crate) message: &'a [u8],
    pub(crate) signature: &'a [u8],
}

/// Whether all of them verify: those by Ed25519 as a batch, the others one by one.
pub(crate) fn verify_all(signed: &[Signed<'_>]) -> bool {
    let mut claims = Vec::new();
    for one in signed {
        let parts = (one.key.as_bytes().try_into(), one.signature.try_into());
        match (one.key.algorithm, parts) {
            (Algorithm::Ed25519, (Ok(key), Ok(signature))) => {
                claims.push(ed25519::Claim { key, message: one.message, signature });
            }
            _ if one.key.verify(one.message, one.signature).is_ok() => {}
            _ => return false,
        }
    }
    ed25519::verify_batch(&claims)
}

impl Wire for VerifyingKey {
    fn put(&self, e: &mut Enc) {
        e.array(2);
        self.algorithm.put(e);
        self.bytes.put(e);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        Self::new(Algorithm::get(d)?, d.bytes()?)
    }
}

fn verify_ed25519(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    ed25519::verify(&ed25519::Claim { key, message, signature })
}

fn verify_ring(
    alg: &'static dyn ring_sig::VerificationAlgorithm,
    key: &[u8],
    msg: &[u8],
    sig: &[u8],
) -> bool {
    ring_sig::UnparsedPublicKey::new(alg, key).verify(msg, sig).is_ok()
}

// Big-endian numbers of equal length compare as byte strings.
fn low_s(s: &[u8], half: &[u8]) -> bool {
    s <= half
}

/// Half the order of P-256, rounded down (SP 800-186, 3.2.1.3).
const P256_HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// Half the order of P-384, rounded down (SP 800-186, 3.2.1.4).
const P384_HALF: [u8; 48] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xe3, 0xb1, 0xa6, 0xc0, 0xfa, 0x1b, 0x96, 0xef, 0xac, 0x0d,
    0x06, 0xd9, 0x24, 0x58, 0x53, 0xbd, 0x76, 0x76, 0x0c, 0xb5, 0x66, 0x62, 0x94, 0xb9,
];

wire_enum! {
    /// Key agreement curves, by their COSE elliptic curve number (RFC 9053, 7.1).
    pub enum Curve {
        /// NIST P-256.
        P256 = 1,
        /// X25519 (RFC 7748).
        X25519 = 4,
    }
}

/// A public key-agreement key: X25519 (32 bytes) or an uncompressed P-256 point (65 bytes).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AgreementKey {
    curve: Curve,
    bytes: Bytes,
}

impl AgreementKey {
    /// A key from its raw bytes.
    ///
    /// # Errors
    /// [`Check::WeakKey`] for a wrong length, an off-curve point, and an X25519 point of small order or not in
    /// its one reduced encoding.
    pub fn new(curve: Curve, bytes: &[u8]) -> Result<Self, Rejected> {
        let valid = match curve {
            Curve::X25519 => <[u8; 32]>::try_from(bytes).is_ok_and(|u| is_reduced(&u) && contributes(u)),
            Curve::P256 => bytes.len() == 65 && p256::PublicKey::from_sec1_bytes(bytes).is_ok(),
        };
        ensure(valid, Check::WeakKey)?;
        Ok(Self { curve, bytes: Bytes(bytes.to_vec()) })
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// The raw key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// SHA-256 of the raw key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(sha256(&[&self.bytes]))
    }
}

// A small-order point gives an all-zero result with every scalar, this one included (RFC 7748, 6.1).
fn contributes(point: [u8; 32]) -> bool {
    memo::verdict(|| sha256(&[b"x25519", &point]), || x25519_dalek::x25519([0x42; 32], point) != [0; 32])
}

// Below 2^255 - 19: RFC 7748 reads larger numbers too, and so gives one point several encodings.
fn is_reduced(u: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = u;
    *last < 0x7f || (*last == 0x7f && (*first < 0xed || middle.iter().any(|b| *b != 0xff)))
}

impl Wire for AgreementKey {
    fn put(&self, e: &mut Enc) {
        e.array(2);
        self.curve.put(e);
        self.bytes.put(e);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        Self::new(Curve::get(d)?, d.bytes()?)
    }
}

/// Why a private key could not be used. Each says what the person at the reader can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No card in the reader.
    #[error("no card is in the reader: insert it and try again")]
    Absent,
    /// The card was pulled while it worked; nothing was signed.
    #[error("the card was removed while it worked: insert it and try again")]
    Removed,
    /// The PIN must be entered first.
    #[error("the card needs its PIN")]
    PinNeeded,
    /// The PIN was wrong.
    #[error("wrong PIN: {tries_left} tries left")]
    WrongPin {
        /// Tries before the PIN is blocked.
        tries_left: u8,
    },
    /// The PIN is blocked.
    #[error("the PIN is blocked: unblock it with the PUK")]
    PinBlocked,
    /// The PUK is blocked, so the card is dead.
    #[error("the PUK is blocked: the card must be replaced")]
    PukBlocked,
    /// Another program holds the card; what can be done.
    #[error("another program holds the card; {0}")]
    Busy(&'static str),
    /// The card does not do this.
    #[error("the card cannot do this: {0}")]
    Unsupported(&'static str),
    /// The medium failed.
    #[error("the card failed: {0}")]
    Failed(String),
}

/// Holds a private signing key: a card slot or a node's key.
pub trait Signer {
    /// The public half.
    fn verifying_key(&self) -> VerifyingKey;

    /// Signs `message`; raw signature, r || s with low s for ECDSA.
    ///
    /// # Errors
    /// [`KeyError`]; nothing is half done after it.
    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError>;
}

/// Holds a private key-agreement key: a card slot, a node's or a locker's key.
pub trait KeyAgreement {
    /// The public half.
    fn agreement_key(&self) -> AgreementKey;

    /// The shared secret with `peer`: 32 bytes, the x coordinate on P-256 (SP 800-56A, 5.7.1.2).
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] where `peer` is on another curve; otherwise as the card says.
    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError>;

    /// Turns to the key with this id, if the holder of several has it; the public half says which one it is.
    ///
    /// # Errors
    /// As the card says.
    fn turn_to(&mut self, _id: &KeyId) -> Result<(), KeyError> {
        Ok(())
    }
}

/// An Ed25519 key in memory: a node's, or a test's.
pub struct SoftwareSigner(ed25519_dalek::SigningKey);

impl SoftwareSigner {
    /// From a 32-byte seed (RFC 8032, 5.1.5).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }
}

impl Signer for SoftwareSigner {
    fn verifying_key(&self) -> VerifyingKey {
        let raw = self.0.verifying_key().to_bytes();
        VerifyingKey { algorithm: Algorithm::Ed25519, bytes: Bytes(raw.to_vec()) }
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        use ed25519_dalek::Signer as _;
        crate::tally::count(|t| t.made += 1);
        Ok(self.0.sign(message).to_bytes().to_vec())
    }
}

/// An X25519 key in memory: a node's, a locker's, an organization's for one epoch.
pub struct SoftwareAgreement(x25519_dalek::StaticSecret);

impl SoftwareAgreement {
    /// From 32 bytes; clamped by the curve (RFC 7748, 5).
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(x25519_dalek::StaticSecret::from(*secret))
    }
}

impl KeyAgreement for SoftwareAgreement {
    fn agreement_key(&self) -> AgreementKey {
        let raw = x25519_dalek::PublicKey::from(&self.0).to_bytes();
        AgreementKey { curve: Curve::X25519, bytes: Bytes(raw.to_vec()) }
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let raw: [u8; 32] =
            peer.as_bytes().try_into().map_err(|_| KeyError::Unsupported("a key of another curve"))?;
        let shared = self.0.diffie_hellman(&x25519_dalek::PublicKey::from(raw));
        Ok(Zeroizing::new(*shared.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_keys_never_become_a_value() {
        assert!(VerifyingKey::new(Algorithm::Ed25519, &[0; 32]).is_err(), "small order");
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(VerifyingKey::new(Algorithm::Ed25519, &identity).is_err(), "the identity verifies anything");
        assert!(AgreementKey::new(Curve::X25519, &[0; 32]).is_err(), "small order");
        assert!(AgreementKey::new(Curve::P256, &[4; 65]).is_err(), "off the curve");
        let good = SoftwareSigner::from_seed(&[1; 32]).verifying_key();
        assert!(VerifyingKey::new(Algorithm::Ed25519, good.as_bytes()).is_ok(), "an honest key");
    }

    #[test]
    fn an_x25519_point_has_one_encoding() {
        for (low, reduced) in [(0xeb, true), (0xed, false), (0xee, false), (0xff, false)] {
            let mut x = [0xff; 32];
            (x[0], x[31]) = (low, 0x7f);
            assert_eq!(is_reduced(&x), reduced, "2^255 - 19 and its neighbours: {low:02x}");
        }
        let mut high: [u8; 32] =
            SoftwareAgreement::from_secret(&[5; 32]).agreement_key().as_bytes().try_into().expect("32 bytes");
        assert!(AgreementKey::new(Curve::X25519, &high).is_ok(), "as it was made");
        high[31] |= 0x80;
        assert!(AgreementKey::new(Curve::X25519, &high).is_err(), "RFC 7748 would ignore the top bit");
    }

    #[test]
    fn ecdsa_accepts_low_s_only() {
        use p256::ecdsa::signature::Signer as _;
        let secret = p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a scalar below the order");
        let point = secret.verifying_key().to_sec1_point(false);
        let key = VerifyingKey::new(Algorithm::Esp256, point.as_bytes()).expect("a point");
        let sig: p256::ecdsa::Signature = secret.sign(b"consent");
        let low = sig.normalize_s();
        assert_eq!(key.verify(b"consent", &low.to_bytes()), Ok(()), "low s");
        assert_eq!(
            key.verify(b"consenT", &low.to_bytes()),
            Err(Check::BadSignature.into()),
            "another message"
        );
        let (r, s) = (low.r(), -*low.s());
        let high = p256::ecdsa::Signature::from_scalars(r.to_bytes(), s.to_bytes()).expect("not zero");
        assert_eq!(key.verify(b"consent", &high.to_bytes()), Err(Check::HighS.into()), "its mirror");
    }
}
