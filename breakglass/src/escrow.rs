//! How the secret of an escrow pair is sealed under its label. Pairs and labels are `protocol`'s.
//!
//! A secret is sealed with a key of two halves, so that whoever has one of them has nothing: one half stands under the
//! guardians' threshold key (or, where the patient's card is in the reader, on that card), the other under the
//! validators', who give theirs only for a release that is final; at a hospital without a line, under its witness card, which
//! signs first what it lets be opened. The label is the identity of the sealing (DESIGN 9): an escrow copied under another name, network, tier or
//! key opens nothing, because the threshold signature that opens it is over this label.

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit};
use hospes_protocol::check::Rejected;
use hospes_protocol::context::Context;
pub use hospes_protocol::emergency::{EscrowLabel, EscrowPublic, Tier};
use hospes_protocol::ids::{KeyId, OrganizationId, sha256};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::seal::envelope::seal_to;
use hospes_protocol::wire::Bytes;
use hospes_protocol::wire_struct;
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::threshold::{LabelBox, PublicKey, Signature, ThresholdError};

/// The two threshold keys of an escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EscrowKeys {
    /// The guardians'.
    pub guardians: PublicKey,
    /// The validators'.
    pub ledger: PublicKey,
}

impl EscrowKeys {
    /// The name of both together, as labels have it.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(sha256(&[&self.guardians.to_bytes(), &self.ledger.to_bytes()]))
    }
}

/// The threshold signatures over [`EscrowLabel::opening`].
#[derive(Clone, Copy, Debug)]
pub struct Openings {
    /// The guardians'.
    pub guardians: Signature,
    /// The validators'.
    pub ledger: Signature,
}

wire_struct! {
    /// An escrow's secret under two threshold keys.
    pub struct SealedEscrow {
        /// The guardians' half of the key.
        pub guardians: LabelBox,
        /// The validators' half.
        pub ledger: LabelBox,
        /// ChaCha20-Poly1305 (RFC 8439) of the 32 bytes, the label as associated data.
        pub ciphertext: [u8; 48],
    }
}

wire_struct! {
    /// An escrow's secret under a value on the patient's card and the validators' key.
    pub struct CardSealedEscrow {
        /// The validators' half of the key.
        pub ledger: LabelBox,
        /// As in [`SealedEscrow`].
        pub ciphertext: [u8; 48],
    }
}

wire_struct! {
    /// An escrow's secret under the key of one hospital's guardians and its witness card.
    pub struct WitnessSealedEscrow {
        /// The guardians' half of the key.
        pub guardians: LabelBox,
        /// The other half: COSE_Encrypt to the witness card, context `witness-half`.
        pub witness: Bytes,
        /// As in [`SealedEscrow`].
        pub ciphertext: [u8; 48],
    }
}

/// What an offline escrow is sealed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKeys {
    /// The hospital.
    pub organization: OrganizationId,
    /// Its guardians' key.
    pub guardians: PublicKey,
    /// Its witness card's 9D.
    pub witness: AgreementKey,
}

impl WitnessKeys {
    /// The name of all of it, as labels have it: an escrow of one hospital is none of another's.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(sha256(&[&self.organization.0, &self.guardians.to_bytes(), self.witness.as_bytes()]))
    }
}

impl WitnessSealedEscrow {
    /// Seals the secret of an escrow pair.
    ///
    /// # Errors
    /// As sealing to the witness card's key.
    pub fn seal(
        secret: &[u8; 32],
        label: &EscrowLabel,
        keys: &WitnessKeys,
        rng: &mut dyn CryptoRng,
    ) -> Result<Self, Rejected> {
        let halves = [fresh_half(rng), fresh_half(rng)];
        let opening = label.opening();
        let witness = seal_to(&keys.witness, Context::WitnessHalf, &label.network, &*halves[1], rng)?;
        Ok(Self {
            guardians: LabelBox::seal(&keys.guardians, &opening, &halves[0], rng),
            witness: Bytes(witness),
            ciphertext: seal_under([&halves[0], &halves[1]], &opening, secret),
        })
    }

    /// The secret, by the guardians' signature over its label and the half that the witness card opened.
    ///
    /// # Errors
    /// As [`SealedEscrow::open`]; another half is [`ThresholdError::Broken`].
    pub fn open(
        &self,
        label: &EscrowLabel,
        (guardians, signature): (&PublicKey, &Signature),
        witness: &[u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>, ThresholdError> {
        let opening = label.opening();
        let half = self.guardians.open(guardians, &opening, signature)?;
        open_under([&half, witness], &opening, &self.ciphertext)
    }
}

impl SealedEscrow {
    /// Seals the secret of an escrow pair.
    #[must_use]
    pub fn seal(secret: &[u8; 32], label: &EscrowLabel, keys: &EscrowKeys, rng: &mut dyn CryptoRng) -> Self {
        let halves = [fresh_half(rng), fresh_half(rng)];
        let opening = label.opening();
        Self {
            guardians: LabelBox::seal(&keys.guardians, &opening, &halves[0], rng),
            ledger: LabelBox::seal(&keys.ledger, &opening, &halves[1], rng),
            ciphertext: seal_under([&halves[0], &halves[1]], &opening, secret),
        }
    }

    /// The secret, by both threshold signatures over its label.
    ///
    /// # Errors
    /// [`ThresholdError::BadSignature`] if one of them is not the key's over this label, [`ThresholdError::Broken`] if
    /// the escrow was sealed under another label or altered.
    pub fn open(
        &self,
        label: &EscrowLabel,
        keys: &EscrowKeys,
        openings: &Openings,
    ) -> Result<Zeroizing<[u8; 32]>, ThresholdError> {
        let opening = label.opening();
        let guardians = self.guardians.open(&keys.guardians, &opening, &openings.guardians)?;
        let ledger = self.ledger.open(&keys.ledger, &opening, &openings.ledger)?;
        open_under([&guardians, &ledger], &opening, &self.ciphertext)
    }
}

impl CardSealedEscrow {
    /// The name of the one threshold key, as labels have it.
    #[must_use]
    pub fn keys(ledger: &PublicKey) -> KeyId {
        KeyId(sha256(&[&ledger.to_bytes()]))
    }

    /// Seals the secret of an escrow pair under the value that lies on the patient's card.
    #[must_use]
    pub fn seal(
        secret: &[u8; 32],
        label: &EscrowLabel,
        (on_card, ledger): (&[u8; 32], &PublicKey),
        rng: &mut dyn CryptoRng,
    ) -> Self {
        let half = fresh_half(rng);
        let opening = label.opening();
        Self {
            ledger: LabelBox::seal(ledger, &opening, &half, rng),
            ciphertext: seal_under([on_card, &half], &opening, secret),
        }
    }

    /// The secret, by the card's value and the validators' signature over its label.
    ///
    /// # Errors
    /// As [`SealedEscrow::open`]; another card's value is [`ThresholdError::Broken`].
    pub fn open(
        &self,
        label: &EscrowLabel,
        (on_card, ledger): (&[u8; 32], &PublicKey),
        signature: &Signature,
    ) -> Result<Zeroizing<[u8; 32]>, ThresholdError> {
        let opening = label.opening();
        let half = self.ledger.open(ledger, &opening, signature)?;
        open_under([on_card, &half], &opening, &self.ciphertext)
    }
}

fn fresh_half(rng: &mut dyn CryptoRng) -> Zeroizing<[u8; 32]> {
    let mut half = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *half);
    half
}

// HKDF-SHA-256 (RFC 5869) of both halves, with the label as info. One half is fresh for every sealing, so a key seals once
// and its nonce may be zero.
fn cipher(halves: [&[u8; 32]; 2], opening: &[u8]) -> ChaCha20Poly1305 {
    let both = Zeroizing::new(halves.map(<[u8; 32]>::as_slice).concat());
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Hkdf::<Sha256>::new(None, &both)
        .expand_multi_info(&[b"hospes/1/escrow", opening], &mut *key)
        .expect("32 bytes are within HKDF's limit of 8160");
    ChaCha20Poly1305::new((&*key).into())
}

fn seal_under(halves: [&[u8; 32]; 2], opening: &[u8], secret: &[u8; 32]) -> [u8; 48] {
    let mut sealed = [0; 48];
    sealed[..32].copy_from_slice(secret);
    let tag = cipher(halves, opening)
        .encrypt_inout_detached(&[0; 12].into(), opening, (&mut sealed[..32]).into())
        .expect("32 bytes are within the cipher's limit");
    sealed[32..].copy_from_slice(&tag);
    sealed
}

fn open_under(
    halves: [&[u8; 32]; 2],
    opening: &[u8],
    sealed: &[u8; 48],
) -> Result<Zeroizing<[u8; 32]>, ThresholdError> {
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&sealed[..32]);
    let tag: [u8; 16] = sealed[32..].try_into().expect("48 less 32");
    cipher(halves, opening)
        .decrypt_inout_detached(&[0; 12].into(), opening, (&mut secret[..]).into(), &tag.into())
        .map_err(|_| ThresholdError::Broken)?;
    Ok(secret)
}

#[cfg(test)]
mod tests;
