//! COSE_Sign1 (RFC 9052, 4.2), untagged, with algorithm and `kid` in the protected header and
//! [context, network] as external_aad.

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, HeaderBuilder, iana};

use crate::check::{Check, Rejected, ensure};
use crate::context::{Context, external_aad};
use crate::ids::{KeyId, NetworkId};
use crate::keys::{Algorithm, KeyError, Signer, VerifyingKey};

const fn iana_algorithm(algorithm: Algorithm) -> iana::Algorithm {
    match algorithm {
        Algorithm::Ed25519 => iana::Algorithm::Ed25519,
        Algorithm::Esp256 => iana::Algorithm::ESP256,
        Algorithm::Esp384 => iana::Algorithm::ESP384,
    }
}

fn unsigned(key: &VerifyingKey, payload: &[u8]) -> CoseSign1Builder {
    let protected =
        HeaderBuilder::new().algorithm(iana_algorithm(key.algorithm())).key_id(key.id().0.to_vec()).build();
    CoseSign1Builder::new().protected(protected).payload(payload.to_vec())
}

/// Signs `payload` for `context` in `network`.
///
/// # Errors
/// [`KeyError`] of the signer; its own signature is verified before it is returned.
pub fn sign1(
    signer: &mut dyn Signer,
    context: Context,
    network: &NetworkId,
    payload: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let key = signer.verifying_key();
    let aad = external_aad(context, network);
    let message = unsigned(&key, payload).build();
    let signature = signer.sign(&message.tbs_data(&aad))?;
    key.verify(&message.tbs_data(&aad), &signature)
        .map_err(|_| KeyError::Failed("the signature it returned does not verify".into()))?;
    let signed = CoseSign1 { signature, ..message };
    signed.to_vec().map_err(|_| KeyError::Failed("encoding the signature".into()))
}

/// The bytes under a signature by `key`: the Sig_structure (RFC 9052, 4.4).
#[must_use]
pub fn to_be_signed(key: &VerifyingKey, context: Context, network: &NetworkId, payload: &[u8]) -> Vec<u8> {
    unsigned(key, payload).build().tbs_data(&external_aad(context, network))
}

/// A COSE_Sign1 that has the right shape; its signature has not been verified.
#[derive(Clone, Debug)]
pub struct Sign1 {
    message: CoseSign1,
    algorithm: Algorithm,
    kid: KeyId,
}

impl Sign1 {
    /// Reads a message that must be its own deterministic encoding.
    ///
    /// # Errors
    /// [`Check::Malformed`], [`Check::NonCanonical`], [`Check::WrongAlgorithm`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        let message = CoseSign1::from_slice(bytes).map_err(|_| Check::Malformed)?;
        let header = &message.protected.header;
        let algorithm = match &header.alg {
            Some(coset::Algorithm::Assigned(iana::Algorithm::Ed25519)) => Algorithm::Ed25519,
            Some(coset::Algorithm::Assigned(iana::Algorithm::ESP256)) => Algorithm::Esp256,
            Some(coset::Algorithm::Assigned(iana::Algorithm::ESP384)) => Algorithm::Esp384,
            _ => return Err(Check::WrongAlgorithm.into()),
        };
        let kid = KeyId(header.key_id.as_slice().try_into().map_err(|_| Check::Malformed)?);
        let payload = message.payload.clone().ok_or(Check::Malformed)?;
        let plain = HeaderBuilder::new().algorithm(iana_algorithm(algorithm)).key_id(kid.0.to_vec()).build();
        let ours = CoseSign1Builder::new().protected(plain).payload(payload);
        let ours =
            ours.signature(message.signature.clone()).build().to_vec().map_err(|_| Check::Malformed)?;
        ensure(ours == bytes, Check::NonCanonical)?;
        Ok(Self { message, algorithm, kid })
    }

    /// The key that is said to have signed.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// What was signed.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.payload.as_deref().unwrap_or_default()
    }

    /// The raw signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.message.signature
    }

    /// Verifies under `key`.
    ///
    /// # Errors
    /// [`Check::UnknownSigner`] where `key` is not the `kid`, [`Check::WrongAlgorithm`],
    /// [`Check::BadSignature`], [`Check::HighS`].
    pub fn verify(&self, key: &VerifyingKey, context: Context, network: &NetworkId) -> Result<(), Rejected> {
        ensure(self.kid == key.id(), Check::UnknownSigner)?;
        ensure(self.algorithm == key.algorithm(), Check::WrongAlgorithm)?;
        key.verify(&self.message.tbs_data(&external_aad(context, network)), &self.message.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SoftwareSigner;

    const NET: NetworkId = NetworkId([3; 32]);

    #[test]
    fn a_signature_holds_for_its_context_network_and_bytes_only() {
        let mut signer = SoftwareSigner::from_seed(&[1; 32]);
        let key = signer.verifying_key();
        let bytes = sign1(&mut signer, Context::Header, &NET, b"payload").expect("software signs");
        let parsed = Sign1::parse(&bytes).expect("its own encoding");
        assert_eq!(parsed.payload(), b"payload", "payload comes back");
        assert_eq!(parsed.verify(&key, Context::Header, &NET), Ok(()), "as signed");
        assert!(parsed.verify(&key, Context::Tap, &NET).is_err(), "another context");
        assert!(parsed.verify(&key, Context::Header, &NetworkId([4; 32])).is_err(), "another network");
        let other = SoftwareSigner::from_seed(&[2; 32]).verifying_key();
        let wrong = parsed.verify(&other, Context::Header, &NET);
        assert_eq!(wrong, Err(Check::UnknownSigner.into()), "another key");
    }

    #[test]
    fn every_flipped_byte_is_refused() {
        let mut signer = SoftwareSigner::from_seed(&[1; 32]);
        let key = signer.verifying_key();
        let bytes = sign1(&mut signer, Context::Header, &NET, b"payload").expect("software signs");
        for i in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[i] ^= 1;
            let verdict = Sign1::parse(&bad).and_then(|m| m.verify(&key, Context::Header, &NET));
            assert!(verdict.is_err(), "byte {i}");
        }
    }
}
