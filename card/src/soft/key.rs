//! The private keys of a soft card: made, used, wiped. The only file here that names a curve.

use ed25519_dalek::Signer as _;
use hospes_protocol::keys::{AgreementKey, Algorithm, Curve, KeyError, VerifyingKey};
use p256::elliptic_curve::Generate as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::damaged;

/// The algorithms of a card's slots, chosen when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// P-256 in every slot, as on every PIV card.
    #[default]
    P256,
    /// P-384 signs; 9D is P-256.
    P384,
    /// Ed25519 signs; 9D is X25519.
    Edwards,
}

impl Profile {
    /// What 9A, 9C and 9E sign with.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::P256 => Algorithm::Esp256,
            Self::P384 => Algorithm::Esp384,
            Self::Edwards => Algorithm::Ed25519,
        }
    }

    /// The curve of 9D.
    #[must_use]
    pub const fn curve(self) -> Curve {
        match self {
            Self::P256 | Self::P384 => Curve::P256,
            Self::Edwards => Curve::X25519,
        }
    }
}

/// A private key as stored: a scalar, or an Ed25519 seed.
pub(super) type Secret = Zeroizing<Vec<u8>>;

const HONEST: &str = "a key just made is a point of its group";

/// A fresh signing key.
pub(super) fn new_signing_key(algorithm: Algorithm, rng: &mut dyn CryptoRng) -> (VerifyingKey, Secret) {
    let (secret, public) = match algorithm {
        Algorithm::Esp256 => {
            let key = p256::SecretKey::generate_from_rng(rng);
            (key.to_bytes().to_vec(), key.public_key().to_sec1_bytes().to_vec())
        }
        Algorithm::Esp384 => {
            let key = p384::SecretKey::generate_from_rng(rng);
            (key.to_bytes().to_vec(), key.public_key().to_sec1_bytes().to_vec())
        }
        Algorithm::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            rng.fill_bytes(&mut seed[..]);
            let key = ed25519_dalek::SigningKey::from_bytes(&seed);
            (seed.to_vec(), key.verifying_key().to_bytes().to_vec())
        }
    };
    (VerifyingKey::new(algorithm, &public).expect(HONEST), Zeroizing::new(secret))
}

/// A fresh agreement key.
pub(super) fn new_agreement_key(curve: Curve, rng: &mut dyn CryptoRng) -> (AgreementKey, Secret) {
    let (secret, public) = match curve {
        Curve::P256 => {
            let key = p256::SecretKey::generate_from_rng(rng);
            (key.to_bytes().to_vec(), key.public_key().to_sec1_bytes().to_vec())
        }
        Curve::X25519 => {
            let key = x25519_dalek::StaticSecret::random_from_rng(rng);
            (key.as_bytes().to_vec(), x25519_dalek::PublicKey::from(&key).to_bytes().to_vec())
        }
    };
    (AgreementKey::new(curve, &public).expect(HONEST), Zeroizing::new(secret))
}

fn unusable<E>(_: E) -> KeyError {
    damaged("a private key is not of its algorithm")
}

/// Signs; ECDSA with the nonce of RFC 6979 and low s, so no signature hangs on a random source.
pub(super) fn sign(algorithm: Algorithm, secret: &[u8], message: &[u8]) -> Result<Vec<u8>, KeyError> {
    Ok(match algorithm {
        Algorithm::Esp256 => {
            let key = p256::ecdsa::SigningKey::from_slice(secret).map_err(unusable)?;
            let signature: p256::ecdsa::Signature = key.sign(message);
            signature.normalize_s().to_vec()
        }
        Algorithm::Esp384 => {
            let key = p384::ecdsa::SigningKey::from_slice(secret).map_err(unusable)?;
            let signature: p384::ecdsa::Signature = key.sign(message);
            signature.normalize_s().to_vec()
        }
        Algorithm::Ed25519 => {
            let seed = secret.try_into().map_err(unusable)?;
            ed25519_dalek::SigningKey::from_bytes(seed).sign(message).to_vec()
        }
    })
}

/// The shared secret with `peer`, who must be on the same curve.
pub(super) fn agree(own: Curve, secret: &[u8], peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    if peer.curve() != own {
        return Err(KeyError::Unsupported("key agreement with a key of another curve"));
    }
    match own {
        Curve::P256 => {
            let key = p256::SecretKey::from_slice(secret).map_err(unusable)?;
            let point = p256::PublicKey::from_sec1_bytes(peer.as_bytes()).map_err(unusable)?;
            Ok(Zeroizing::new((*key.diffie_hellman(&point).raw_secret_bytes()).into()))
        }
        Curve::X25519 => {
            let raw: Zeroizing<[u8; 32]> = Zeroizing::new(secret.try_into().map_err(unusable)?);
            let point: [u8; 32] = peer.as_bytes().try_into().map_err(unusable)?;
            let shared = x25519_dalek::StaticSecret::from(*raw).diffie_hellman(&point.into());
            Ok(Zeroizing::new(shared.to_bytes()))
        }
    }
}
