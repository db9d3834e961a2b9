//! COSE_Sign1 (RFC 9052, 4.2), untagged, with algorithm and `kid` in the protected header and
//! [context, network] as external_aad.
//!
//! One form is ours, and it is read and written directly; `coset` says what is wrong with any other, and is
//! the tests' oracle.

use coset::{CborSerializable, CoseSign1, iana};

use crate::check::{Check, Rejected, ensure};
use crate::context::{Context, external_aad};
use crate::ids::{KeyId, NetworkId};
use crate::keys::{Algorithm, KeyError, Signed, Signer, VerifyingKey, verify_all};
use crate::wire::{Dec, Enc};

/// What precedes the `kid` in the protected header {1: algorithm, 4: kid}.
const fn before_kid(algorithm: Algorithm) -> &'static [u8] {
    match algorithm {
        Algorithm::Esp256 => &[0xa2, 0x01, 0x28, 0x04, 0x58, 0x20],
        Algorithm::Ed25519 => &[0xa2, 0x01, 0x32, 0x04, 0x58, 0x20],
        Algorithm::Esp384 => &[0xa2, 0x01, 0x38, 0x32, 0x04, 0x58, 0x20],
    }
}

fn protected(algorithm: Algorithm, kid: &KeyId) -> Vec<u8> {
    [before_kid(algorithm), &kid.0].concat()
}

/// The Sig_structure (RFC 9052, 4.4).
fn sig_structure(protected: &[u8], context: Context, network: &NetworkId, payload: &[u8]) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(4).text("Signature1").bytes(protected).bytes(&external_aad(context, network)).bytes(payload);
    e.into_bytes()
}

fn message(protected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(4).bytes(protected).empty_map().bytes(payload).bytes(signature);
    e.into_bytes()
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
    let bytes = sign1_unverified(signer, context, network, payload)?;
    let sound = Sign1::parse(&bytes).and_then(|m| m.verify(&signer.verifying_key(), context, network));
    sound.map(|()| bytes).map_err(|_| unsound())
}

/// As [`sign1`], for a caller that verifies before anything leaves it: a signer that errs gives its key away.
pub(crate) fn sign1_unverified(
    signer: &mut dyn Signer,
    context: Context,
    network: &NetworkId,
    payload: &[u8],
) -> Result<Vec<u8>, KeyError> {
    let key = signer.verifying_key();
    let protected = protected(key.algorithm(), &key.id());
    let signature = signer.sign(&sig_structure(&protected, context, network, payload))?;
    Ok(message(&protected, payload, &signature))
}

/// What a signer is told whose signature does not verify.
pub(crate) fn unsound() -> KeyError {
    KeyError::Failed("the signature it returned does not verify".into())
}

/// The bytes under a signature by `key`: the Sig_structure (RFC 9052, 4.4).
#[must_use]
pub fn to_be_signed(key: &VerifyingKey, context: Context, network: &NetworkId, payload: &[u8]) -> Vec<u8> {
    sig_structure(&protected(key.algorithm(), &key.id()), context, network, payload)
}

/// A COSE_Sign1 that has the right shape; its signature has not been verified.
#[derive(Clone, Copy, Debug)]
pub struct Sign1<'b> {
    algorithm: Algorithm,
    kid: KeyId,
    protected: &'b [u8],
    payload: &'b [u8],
    signature: &'b [u8],
}

impl<'b> Sign1<'b> {
    /// Reads a message that must be its own deterministic encoding.
    ///
    /// # Errors
    /// [`Check::Malformed`], [`Check::NonCanonical`], [`Check::WrongAlgorithm`].
    pub fn parse(bytes: &'b [u8]) -> Result<Self, Rejected> {
        Self::read(bytes).ok_or_else(|| why_not(bytes).into())
    }

    fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut d = Dec::new(bytes);
        d.array_of(4).ok()?;
        let protected = d.bytes().ok()?;
        d.empty_map().ok()?;
        let (payload, signature) = (d.bytes().ok()?, d.bytes().ok()?);
        let of = |algorithm: &Algorithm| {
            let kid = protected.strip_prefix(before_kid(*algorithm))?;
            Some((*algorithm, KeyId(kid.try_into().ok()?)))
        };
        let (algorithm, kid) = Algorithm::ALL.iter().find_map(of)?;
        // One value has one encoding: longer heads and what follows it show here.
        let ours = message(protected, payload, signature) == bytes;
        ours.then_some(Self { algorithm, kid, protected, payload, signature })
    }

    /// The key that is said to have signed.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// What was signed.
    #[must_use]
    pub fn payload(&self) -> &'b [u8] {
        self.payload
    }

    /// The raw signature.
    #[must_use]
    pub fn signature(&self) -> &'b [u8] {
        self.signature
    }

    /// Verifies under `key`.
    ///
    /// # Errors
    /// [`Check::UnknownSigner`] where `key` is not the `kid`, [`Check::WrongAlgorithm`],
    /// [`Check::BadSignature`], [`Check::HighS`].
    pub fn verify(&self, key: &VerifyingKey, context: Context, network: &NetworkId) -> Result<(), Rejected> {
        self.claims(key)?;
        key.verify(&sig_structure(self.protected, context, network, self.payload), self.signature)
    }

    fn claims(&self, key: &VerifyingKey) -> Result<(), Rejected> {
        ensure(self.kid == key.id(), Check::UnknownSigner)?;
        ensure(self.algorithm == key.algorithm(), Check::WrongAlgorithm)
    }
}

/// Whether every message verifies under the key beside it; much cheaper than one at a time.
#[must_use]
pub fn all_verify(messages: &[(Sign1<'_>, &VerifyingKey)], context: Context, network: &NetworkId) -> bool {
    if messages.iter().any(|(message, key)| message.claims(key).is_err()) {
        return false;
    }
    let text = |m: &Sign1<'_>| sig_structure(m.protected, context, network, m.payload);
    let texts: Vec<_> = messages.iter().map(|(message, _)| text(message)).collect();
    let signed: Vec<_> = messages
        .iter()
        .zip(&texts)
        .map(|((message, key), text)| Signed { key, message: text, signature: message.signature })
        .collect();
    verify_all(&signed)
}

/// What is wrong with bytes that are not of our form.
fn why_not(bytes: &[u8]) -> Check {
    let Ok(message) = CoseSign1::from_slice(bytes) else { return Check::Malformed };
    let header = &message.protected.header;
    let known = [iana::Algorithm::Ed25519, iana::Algorithm::ESP256, iana::Algorithm::ESP384];
    if !known.iter().any(|a| header.alg == Some(coset::Algorithm::Assigned(*a))) {
        Check::WrongAlgorithm
    } else if header.key_id.len() != 32 || message.payload.is_none() {
        Check::Malformed
    } else {
        Check::NonCanonical
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
    fn what_is_written_is_what_another_library_writes() {
        use coset::{CoseSign1Builder, HeaderBuilder};
        let key = SoftwareSigner::from_seed(&[1; 32]).verifying_key();
        let numbers = [
            (Algorithm::Ed25519, iana::Algorithm::Ed25519),
            (Algorithm::Esp256, iana::Algorithm::ESP256),
            (Algorithm::Esp384, iana::Algorithm::ESP384),
        ];
        for (ours, theirs) in numbers {
            for payload in [vec![], vec![7; 23], vec![7; 24], vec![7; 700]] {
                let header = HeaderBuilder::new().algorithm(theirs).key_id(key.id().0.to_vec()).build();
                let other = CoseSign1Builder::new().protected(header).payload(payload.clone());
                let other = other.signature(vec![9; 64]).build();
                let protected = protected(ours, &key.id());
                let signed = sig_structure(&protected, Context::Tap, &NET, &payload);
                assert_eq!(signed, other.tbs_data(&external_aad(Context::Tap, &NET)), "what is signed");
                let bytes = message(&protected, &payload, &[9; 64]);
                assert_eq!(Ok(bytes.clone()), other.to_vec().map_err(|_| ()), "the message");
                let read = Sign1::parse(&bytes).expect("our form");
                assert_eq!((read.algorithm, read.payload()), (ours, &payload[..]), "and back");
            }
        }
    }

    #[test]
    fn one_false_signature_spoils_a_batch() {
        let mut signers = [1, 2].map(|seed| SoftwareSigner::from_seed(&[seed; 32]));
        let keys = signers.each_ref().map(Signer::verifying_key);
        let mut sign =
            |n: usize| sign1(&mut signers[n % 2], Context::Header, &NET, &n.to_be_bytes()).expect("signs");
        let mut bytes: Vec<_> = (0..9).map(&mut sign).collect();
        let holds = |bytes: &[Vec<u8>], context| {
            let read = bytes.iter().map(|b| Sign1::parse(b).expect("our form"));
            all_verify(&read.zip(keys.iter().cycle()).collect::<Vec<_>>(), context, &NET)
        };
        assert!(holds(&bytes, Context::Header), "nine good ones of two keys");
        assert!(!holds(&bytes, Context::Tap), "for another context");
        bytes.swap(0, 1);
        assert!(!holds(&bytes, Context::Header), "under each other's keys");
        bytes.swap(0, 1);
        *bytes[4].last_mut().expect("not empty") ^= 1;
        assert!(!holds(&bytes, Context::Header), "one of them damaged");
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

    #[test]
    fn what_is_not_of_our_form_is_refused_with_what_is_wrong() {
        use coset::{CoseSign1Builder, HeaderBuilder};
        let message = |algorithm, kid: usize, payload: bool| {
            let header = HeaderBuilder::new().algorithm(algorithm).key_id(vec![7; kid]).build();
            let message = CoseSign1Builder::new().protected(header).signature(vec![9; 64]);
            let message = if payload { message.payload(vec![1]) } else { message };
            message.build().to_vec().expect("coset writes")
        };
        let refused = |bytes: &[u8]| Sign1::parse(bytes).map(|_| ()).map_err(|r| r.check);
        let eddsa = iana::Algorithm::Ed25519;
        assert_eq!(refused(&message(eddsa, 32, true)), Ok(()), "our form");
        assert_eq!(
            refused(&message(iana::Algorithm::ES512, 32, true)),
            Err(Check::WrongAlgorithm),
            "not ours"
        );
        assert_eq!(refused(&message(eddsa, 31, true)), Err(Check::Malformed), "a kid that is no hash");
        assert_eq!(refused(&message(eddsa, 32, false)), Err(Check::Malformed), "a payload that is elsewhere");
        assert_eq!(refused(&[0x84]), Err(Check::Malformed), "cut off");
        let good = message(eddsa, 32, true);
        assert_eq!(refused(&[&good[..], &[0]].concat()), Err(Check::Malformed), "followed by a byte");
        let longer = [&[0x98, 0x04], &good[1..]].concat();
        assert_eq!(refused(&longer), Err(Check::NonCanonical), "a longer head than needed");
        let read = Sign1::parse(&good).expect("our form");
        assert_eq!(
            (read.kid(), read.payload(), read.signature()),
            (KeyId([7; 32]), &[1][..], &[9; 64][..]),
            "its parts"
        );
    }

    #[test]
    fn a_message_of_another_algorithm_than_its_keys_is_refused() {
        let mut signer = SoftwareSigner::from_seed(&[1; 32]);
        let key = signer.verifying_key();
        let bytes = sign1(&mut signer, Context::Header, &NET, b"payload").expect("software signs");
        let good = Sign1::parse(&bytes).expect("our form");
        let forged = message(&protected(Algorithm::Esp256, &key.id()), good.payload(), good.signature());
        let forged = Sign1::parse(&forged).expect("our form");
        let alone = forged.verify(&key, Context::Header, &NET);
        assert_eq!(alone, Err(Check::WrongAlgorithm.into()), "the algorithm is the key's");
        assert!(!all_verify(&[(good, &key), (forged, &key)], Context::Header, &NET), "nor in a batch");
        assert!(all_verify(&[(good, &key), (good, &key)], Context::Header, &NET), "sound ones are");
    }

    #[test]
    fn what_a_signer_returns_is_verified_before_it_leaves() {
        struct Confused(SoftwareSigner, SoftwareSigner);
        impl Signer for Confused {
            fn verifying_key(&self) -> VerifyingKey {
                self.0.verifying_key()
            }
            fn sign(&mut self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
                self.1.sign(message)
            }
        }
        let [one, other, same] = [1, 2, 1].map(|seed| SoftwareSigner::from_seed(&[seed; 32]));
        let [also, sound] = [1, 1].map(|seed| SoftwareSigner::from_seed(&[seed; 32]));
        let wrong = sign1(&mut Confused(one, other), Context::Header, &NET, b"payload");
        assert!(matches!(wrong, Err(KeyError::Failed(_))), "another key's signature");
        assert!(sign1(&mut Confused(also, same), Context::Header, &NET, b"payload").is_ok(), "its own");
        let key = sound.verifying_key();
        let text = to_be_signed(&key, Context::Vote, &NET, b"payload");
        let expected =
            sig_structure(&protected(Algorithm::Ed25519, &key.id()), Context::Vote, &NET, b"payload");
        assert_eq!(text, expected, "the Sig_structure under the key's own header");
    }
}
