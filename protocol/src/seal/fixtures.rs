//! What the tests of sealing share: a seeded generator, a P-256 key such as a card holds, a network.
//!
//! Tests alone call it; nothing here is part of the library.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

use crate::ids::NetworkId;
use crate::keys::{AgreementKey, Curve, KeyAgreement, KeyError};

/// The network of the tests.
pub(super) const NET: NetworkId = NetworkId([3; 32]);

/// A generator that gives the same numbers in every run.
pub(super) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A P-256 agreement key in memory that counts how often it was used.
pub(super) struct P256Key {
    secret: p256::SecretKey,
    pub(super) uses: usize,
}

impl P256Key {
    pub(super) fn from_byte(byte: u8) -> Self {
        Self { secret: p256::SecretKey::from_slice(&[byte; 32]).expect("below the order"), uses: 0 }
    }
}

impl KeyAgreement for P256Key {
    fn agreement_key(&self) -> AgreementKey {
        let point = p256::Sec1Point::from(self.secret.public_key());
        AgreementKey::new(Curve::P256, point.as_bytes()).expect("a point")
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes())
            .map_err(|_| KeyError::Unsupported("a key of another curve"))?;
        self.uses += 1;
        let shared = p256::ecdh::diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        let mut out = Zeroizing::new([0; 32]);
        out.copy_from_slice(shared.raw_secret_bytes());
        Ok(out)
    }
}

/// A card that was pulled.
pub(super) struct Absent(pub(super) AgreementKey);

impl KeyAgreement for Absent {
    fn agreement_key(&self) -> AgreementKey {
        self.0.clone()
    }

    fn agree(&mut self, _: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Err(KeyError::Absent)
    }
}
