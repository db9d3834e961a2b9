//! Envelopes: a few bytes sealed to one public key, as COSE_Encrypt (RFC 9052, 5.1), untagged.
//!
//! ```text
//! [ << {1: 24} >>, {5: iv}, ciphertext,                       ChaCha20/Poly1305, 12 random bytes as IV
//!   [[ << {1: -25} >>, {4: kid, -1: ephemeral}, h'' ]] ]      ECDH-ES + HKDF-256
//! ephemeral = {1: 1, -1: 4, -2: x}          X25519
//!           | {1: 2, -1: 1, -2: x, -3: y}   P-256, y in full
//! ```
//!
//! `kid` is [`AgreementKey::id`] of the recipient; external_aad of the content is [context, network]. The
//! content key is HKDF-SHA-256 (no salt) of the shared secret with [`KDF_CONTEXT`] as info (RFC 9053, 5.2 and
//! 6.3.1). One recipient each, as RFC 9052, 8.5.4 demands of direct key agreement: what two may open is two
//! envelopes.
//!
//! Another library (tried with Python's `cwt` 3.3, both curves, both directions): prefix the bytes d8 60 (tag 96),
//! give the key alg -25 and the kid, the context `{"alg": "ChaCha20/Poly1305"}` and the external_aad above; the
//! other way round put alg alone into both protected headers, kid into the recipient's unprotected one, and
//! take the tag off. (`cwt` 3.3.0 doesn't make ephemeral X25519 keys: subclass its `ECDH_DirectHKDF` and give
//! `encode` an `OKPKey` with both halves. P-256 needs nothing.)
//!
//! An envelope hides and protects its plaintext; it says nothing of the sender. The ephemeral key is not part of
//! the key derivation, so who holds an envelope can write another (ephemeral point negated, or with a point of
//! small order added) that opens to the same plaintext: never take an envelope's bytes for the identity of
//! what it holds. Where that matters they stand in a signed body or under an address.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use coset::cbor::value::Value;
use coset::{
    CborSerializable, CoseEncrypt, CoseEncryptBuilder, CoseRecipient, CoseRecipientBuilder,
    EncryptionContext, Header, HeaderBuilder, Label, enc_structure_data, iana,
};
use p256::elliptic_curve::Generate as _;
use rand_core::CryptoRng;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::check::{Check, Rejected, ensure};
use crate::context::{Context, external_aad};
use crate::ids::{KeyId, NetworkId};
use crate::keys::{AgreementKey, Curve, KeyAgreement, KeyError};
use crate::limits::SEGMENT_BYTES;
use crate::seal::layout::TAG_BYTES;

/// An envelope in bytes, at most: as large as a stored segment.
pub const ENVELOPE_BYTES_MAX: usize = SEGMENT_BYTES;
/// Bytes that an envelope adds to its plaintext, at most (P-256).
pub const ENVELOPE_OVERHEAD_MAX: usize = 192;
/// A plaintext in bytes, at most.
pub const ENVELOPE_PLAIN_BYTES_MAX: usize = ENVELOPE_BYTES_MAX - ENVELOPE_OVERHEAD_MAX;

/// COSE_KDF_Context (RFC 9053, 5.2): [24, [nil, nil, nil], [nil, nil, nil], [256, << {1: -25} >>]].
pub const KDF_CONTEXT: [u8; 20] = [
    0x84, 0x18, 24, 0x83, 0xf6, 0xf6, 0xf6, 0x83, 0xf6, 0xf6, 0xf6, 0x82, 0x19, 0x01, 0x00, 0x44, 0xa1, 0x01,
    0x38, 24,
];

/// Why an envelope was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The private key could not be used; the envelope may be good.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The envelope is not for this key, or is not what it should be.
    #[error(transparent)]
    Rejected(#[from] Rejected),
}

impl From<Check> for OpenError {
    fn from(check: Check) -> Self {
        Self::Rejected(check.into())
    }
}

/// Seals `plaintext` for `context` in `network`, so that the holder of `recipient` alone opens it.
///
/// # Errors
/// [`Check::TooLarge`] above [`ENVELOPE_PLAIN_BYTES_MAX`]; [`Check::WeakKey`] for a key without a shared secret, which
/// no [`AgreementKey`] is.
pub fn seal_to(
    recipient: &AgreementKey,
    context: Context,
    network: &NetworkId,
    plaintext: &[u8],
    rng: &mut dyn CryptoRng,
) -> Result<Vec<u8>, Rejected> {
    ensure(plaintext.len() <= ENVELOPE_PLAIN_BYTES_MAX, Check::TooLarge)?;
    let (ephemeral, shared) = agree_freshly(recipient, rng)?;
    let cipher = content_cipher(&shared)?;
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    // Room for the tag, so that no plaintext stays behind in a buffer that was outgrown.
    let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG_BYTES);
    ciphertext.extend_from_slice(plaintext);
    cipher
        .encrypt_in_place(&iv.into(), &content_aad(context, network), &mut ciphertext)
        .map_err(|_| Check::TooLarge)?;
    Envelope { recipient: recipient.id(), ephemeral, iv, ciphertext }.encode()
}

/// An envelope that has the right shape; nobody has opened it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    recipient: KeyId,
    ephemeral: AgreementKey,
    iv: [u8; 12],
    ciphertext: Vec<u8>,
}

impl Envelope {
    /// Reads an envelope that must be its own deterministic encoding.
    ///
    /// # Errors
    /// [`Check::TooLarge`], [`Check::Malformed`], [`Check::NonCanonical`], [`Check::WrongAlgorithm`], [`Check::WeakKey`]
    /// for an ephemeral key that is no point or of small order.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejected> {
        ensure(bytes.len() <= ENVELOPE_BYTES_MAX, Check::TooLarge)?;
        let message = CoseEncrypt::from_slice(bytes).map_err(|_| Check::Malformed)?;
        let [recipient] = message.recipients.as_slice() else { return Err(Check::Malformed.into()) };
        let algorithms = has_algorithm(&message.protected.header, CONTENT)
            && has_algorithm(&recipient.protected.header, AGREEMENT);
        ensure(algorithms, Check::WrongAlgorithm)?;
        let envelope = Self {
            recipient: KeyId(exactly(&recipient.unprotected.key_id)?),
            ephemeral: read_key(ephemeral_of(recipient)?)?,
            iv: exactly(&message.unprotected.iv)?,
            ciphertext: message.ciphertext.ok_or(Check::Malformed)?,
        };
        ensure(envelope.ciphertext.len() >= TAG_BYTES, Check::Malformed)?;
        ensure(envelope.encode()? == bytes, Check::NonCanonical)?;
        Ok(envelope)
    }

    /// The key that it is sealed to.
    #[must_use]
    pub fn recipient(&self) -> KeyId {
        self.recipient
    }

    /// The curve of that key.
    #[must_use]
    pub fn curve(&self) -> Curve {
        self.ephemeral.curve()
    }

    /// Opens it with the recipient's key, in one operation of that key.
    ///
    /// # Errors
    /// [`OpenError::Key`] as the key says; [`Check::SealBroken`] for another key, context or network, or
    /// altered bytes. A key that it is not sealed to is not asked.
    pub fn open(
        &self,
        key: &mut dyn KeyAgreement,
        context: Context,
        network: &NetworkId,
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if key.agreement_key().id() != self.recipient {
            key.turn_to(&self.recipient)?;
        }
        let own = key.agreement_key();
        ensure(own.id() == self.recipient && own.curve() == self.curve(), Check::SealBroken)?;
        let shared = key.agree(&self.ephemeral)?;
        let cipher = content_cipher(&shared)?;
        let mut plaintext = Zeroizing::new(self.ciphertext.clone());
        cipher
            .decrypt_in_place(&self.iv.into(), &content_aad(context, network), &mut *plaintext)
            .map_err(|_| Check::SealBroken)?;
        Ok(plaintext)
    }

    fn encode(&self) -> Result<Vec<u8>, Rejected> {
        let to = HeaderBuilder::new()
            .key_id(self.recipient.0.to_vec())
            .value(EPHEMERAL_KEY, write_key(&self.ephemeral));
        let recipient = CoseRecipientBuilder::new()
            .protected(HeaderBuilder::new().algorithm(AGREEMENT).build())
            .unprotected(to.build())
            .ciphertext(Vec::new());
        CoseEncryptBuilder::new()
            .protected(content_header())
            .unprotected(HeaderBuilder::new().iv(self.iv.to_vec()).build())
            .ciphertext(self.ciphertext.clone())
            .add_recipient(recipient.build())
            .build()
            .to_vec()
            .map_err(|_| Check::Malformed.into())
    }
}

const CONTENT: iana::Algorithm = iana::Algorithm::ChaCha20Poly1305;
const AGREEMENT: iana::Algorithm = iana::Algorithm::ECDH_ES_HKDF_256;
/// Header parameter "ephemeral key" (RFC 9053, table 16).
const EPHEMERAL_KEY: i64 = iana::HeaderAlgorithmParameter::EphemeralKey as i64;

fn content_header() -> Header {
    HeaderBuilder::new().algorithm(CONTENT).build()
}

fn has_algorithm(header: &Header, algorithm: iana::Algorithm) -> bool {
    header.alg == Some(coset::Algorithm::Assigned(algorithm))
}

// The Enc_structure (RFC 9052, 5.3).
fn content_aad(context: Context, network: &NetworkId) -> Vec<u8> {
    let protected = coset::ProtectedHeader { original_data: None, header: content_header() };
    enc_structure_data(EncryptionContext::CoseEncrypt, protected, &external_aad(context, network))
}

fn content_cipher(shared: &[u8; 32]) -> Result<ChaCha20Poly1305, Rejected> {
    ensure(!bool::from(shared.ct_eq(&[0; 32])), Check::WeakKey)?;
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Hkdf::<Sha256>::new(None, shared)
        .expand(&KDF_CONTEXT, &mut *key)
        .expect("32 bytes are within HKDF's limit of 8160");
    Ok(ChaCha20Poly1305::new((&*key).into()))
}

type Shared = Zeroizing<[u8; 32]>;

fn agree_freshly(
    recipient: &AgreementKey,
    rng: &mut dyn CryptoRng,
) -> Result<(AgreementKey, Shared), Rejected> {
    match recipient.curve() {
        Curve::X25519 => agree_x25519(recipient.as_bytes(), rng),
        Curve::P256 => agree_p256(recipient.as_bytes(), rng),
    }
}

fn agree_x25519(recipient: &[u8], rng: &mut dyn CryptoRng) -> Result<(AgreementKey, Shared), Rejected> {
    let recipient = x25519_dalek::PublicKey::from(exactly::<32>(recipient)?);
    let secret = x25519_dalek::EphemeralSecret::random_from_rng(rng);
    let public = x25519_dalek::PublicKey::from(&secret);
    let shared = Zeroizing::new(secret.diffie_hellman(&recipient).to_bytes());
    Ok((AgreementKey::new(Curve::X25519, public.as_bytes())?, shared))
}

fn agree_p256(recipient: &[u8], rng: &mut dyn CryptoRng) -> Result<(AgreementKey, Shared), Rejected> {
    let recipient = p256::PublicKey::from_sec1_bytes(recipient).map_err(|_| Check::WeakKey)?;
    let secret = p256::ecdh::EphemeralSecret::generate_from_rng(rng);
    let point = p256::Sec1Point::from(secret.public_key());
    let mut shared = Zeroizing::new([0; 32]);
    shared.copy_from_slice(secret.diffie_hellman(&recipient).raw_secret_bytes());
    Ok((AgreementKey::new(Curve::P256, point.as_bytes())?, shared))
}

// COSE_Key (RFC 9053, 7.1 and 7.2) with its labels in deterministic order.
fn write_key(key: &AgreementKey) -> Value {
    let entry = |label: i64, value: Value| (Value::from(label), value);
    let bytes = |b: &[u8]| Value::Bytes(b.to_vec());
    let raw = key.as_bytes();
    let crv = entry(-1, Value::from(key.curve().code()));
    Value::Map(match key.curve() {
        Curve::X25519 => vec![entry(1, Value::from(1)), crv, entry(-2, bytes(raw))],
        Curve::P256 => {
            let (x, y) = raw[1..].split_at(32);
            vec![entry(1, Value::from(2)), crv, entry(-2, bytes(x)), entry(-3, bytes(y))]
        }
    })
}

fn ephemeral_of(recipient: &CoseRecipient) -> Result<&[(Value, Value)], Rejected> {
    match recipient.unprotected.rest.as_slice() {
        [(Label::Int(EPHEMERAL_KEY), Value::Map(entries))] => Ok(entries),
        _ => Err(Check::Malformed.into()),
    }
}

// Labels, order, key type and curve are judged by the comparison with our own encoding.
fn read_key(entries: &[(Value, Value)]) -> Result<AgreementKey, Rejected> {
    match entries {
        [_, _, (_, Value::Bytes(x))] => AgreementKey::new(Curve::X25519, x),
        [_, _, (_, Value::Bytes(x)), (_, Value::Bytes(y))] => {
            AgreementKey::new(Curve::P256, &[&[4], x.as_slice(), y].concat())
        }
        _ => Err(Check::Malformed.into()),
    }
}

fn exactly<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Rejected> {
    bytes.try_into().map_err(|_| Check::Malformed.into())
}

#[cfg(test)]
mod tests;
