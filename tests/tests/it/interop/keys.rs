//! Card keys in memory for the exchange with another library: ECDSA on two curves, agreement on P-256.
//!
//! Deliberately not the soft card: its file, PIN and counters are tested where it lives. Called by `interop`.

use hospes_protocol::keys::{
    AgreementKey, Algorithm, Curve, KeyAgreement, KeyError, Signer, SoftwareAgreement, VerifyingKey,
};
use hospes_protocol::seal::envelope::Envelope;
use p256::ecdsa::signature::Signer as _;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::interop::{Verdict, bytes, context, demand, network};

/// A P-256 signing key.
pub(crate) struct CardP256(pub(crate) p256::ecdsa::SigningKey);

impl Signer for CardP256 {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(Algorithm::Esp256, self.0.verifying_key().to_sec1_point(false).as_bytes()).unwrap()
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: p256::ecdsa::Signature = self.0.sign(message);
        Ok(signature.normalize_s().to_bytes().to_vec())
    }
}

/// A P-384 signing key.
pub(crate) struct CardP384(pub(crate) p384::ecdsa::SigningKey);

impl Signer for CardP384 {
    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey::new(Algorithm::Esp384, self.0.verifying_key().to_sec1_point(false).as_bytes()).unwrap()
    }

    fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let signature: p384::ecdsa::Signature = self.0.sign(message);
        Ok(signature.normalize_s().to_bytes().to_vec())
    }
}

/// A P-256 agreement key.
pub(crate) struct AgreementP256(pub(crate) p256::SecretKey);

impl KeyAgreement for AgreementP256 {
    fn agreement_key(&self) -> AgreementKey {
        AgreementKey::new(Curve::P256, p256::Sec1Point::from(self.0.public_key()).as_bytes()).unwrap()
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let peer = p256::PublicKey::from_sec1_bytes(peer.as_bytes())
            .map_err(|_| KeyError::Unsupported("a key of another curve"))?;
        let shared = p256::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), peer.as_affine());
        Ok(Zeroizing::new(shared.raw_secret_bytes().as_slice().try_into().unwrap()))
    }
}

/// A key-agreement key of 32 secret bytes.
pub(crate) fn agreement(curve: Curve, secret: &[u8]) -> Box<dyn KeyAgreement> {
    match curve {
        Curve::X25519 => Box::new(SoftwareAgreement::from_secret(secret.try_into().unwrap())),
        Curve::P256 => Box::new(AgreementP256(p256::SecretKey::from_slice(secret).unwrap())),
    }
}

/// Opens a sealed message with the vector's secret key.
pub(crate) fn open(vector: &Value, data: &[u8]) -> Verdict {
    let curve = Curve::from_code(vector["curve"].as_u64().unwrap()).unwrap();
    let mut key = agreement(curve, &bytes(vector, "secret_key"));
    let envelope = Envelope::parse(data).map_err(|rejected| format!("{rejected:?}"))?;
    let plain =
        envelope.open(key.as_mut(), context(vector), &network(vector)).map_err(|error| error.to_string())?;
    demand(*plain == bytes(vector, "plaintext"), "the plaintext")
}
