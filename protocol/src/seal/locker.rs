//! Lockers: an X25519 pair for each category, label and epoch of a patient. Data keys are sealed to the
//! public half, so whoever may write needs no right to read; the secret half travels in packets.
//!
//! Which epoch is live, and who gets a packet, is decided elsewhere: see [`crate::personal::LockerEntry`].

use std::collections::BTreeMap;

use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::check::{Check, Rejected};
use crate::context::Context;
use crate::ids::{KeyId, NetworkId};
use crate::keys::{AgreementKey, KeyAgreement, SoftwareAgreement};
use crate::personal::{Category, Label, LockerPublic};
use crate::seal::blob::DataKey;
use crate::seal::envelope::{Envelope, OpenError, seal_to};
use crate::seal::packet::Packet;
use crate::secret::secret_type;
use crate::wire::Bytes;

/// Which locker of a patient. Ordered by epoch first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockerName {
    /// From 1.
    pub epoch: u64,
    /// The category of the records in it.
    pub category: Category,
    /// Their label.
    pub label: Label,
}

secret_type! {
    /// The secret half of a locker: 32 random bytes.
    LockerSecret;
}

impl LockerSecret {
    /// The public half.
    #[must_use]
    pub fn public(&self) -> AgreementKey {
        self.agreement().agreement_key()
    }

    /// The key as one that opens envelopes.
    #[must_use]
    pub fn agreement(&self) -> SoftwareAgreement {
        SoftwareAgreement::from_secret(&self.0)
    }
}

/// A locker's secret with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSecret {
    /// The locker.
    pub name: LockerName,
    /// Its secret.
    pub secret: LockerSecret,
}

/// Every category with every label, in order.
pub fn all_lockers() -> impl Iterator<Item = (Category, Label)> {
    Category::ALL.iter().flat_map(|c| Label::ALL.iter().map(|l| (*c, *l)))
}

/// Makes the lockers of a fresh epoch: what goes into the locker entry, and the secrets for its packets.
#[must_use]
pub fn fresh_epoch(
    lockers: impl IntoIterator<Item = (Category, Label)>,
    epoch: u64,
    rng: &mut dyn CryptoRng,
) -> (Vec<LockerPublic>, Vec<NamedSecret>) {
    let one = |(category, label)| {
        let secret = LockerSecret::random(rng);
        let public = LockerPublic { category, label, key: secret.public() };
        (public, NamedSecret { name: LockerName { epoch, category, label }, secret })
    };
    lockers.into_iter().map(one).unzip()
}

/// Seals a data key to each of `recipients`: the locker, the author's organization.
///
/// # Errors
/// As [`seal_to`].
pub fn seal_data_key(
    data_key: &DataKey,
    recipients: &[&AgreementKey],
    network: &NetworkId,
    rng: &mut dyn CryptoRng,
) -> Result<Vec<Bytes>, Rejected> {
    let seal =
        |to: &&AgreementKey| seal_to(to, Context::DataKey, network, data_key.as_bytes(), rng).map(Bytes);
    recipients.iter().map(seal).collect()
}

/// Opens a data key that was sealed to `key`.
///
/// # Errors
/// As [`Envelope::parse`] and [`Envelope::open`]; [`Check::Malformed`] for a plaintext that is no key.
pub fn open_data_key(
    sealed: &[u8],
    key: &mut dyn KeyAgreement,
    network: &NetworkId,
) -> Result<DataKey, OpenError> {
    let plain = Envelope::parse(sealed)?.open(key, Context::DataKey, network)?;
    let mut raw = Zeroizing::new([0; 32]);
    if plain.len() != raw.len() {
        return Err(Check::Malformed.into());
    }
    raw.copy_from_slice(&plain);
    Ok(DataKey::from_bytes(raw))
}

/// The locker secrets that a reader has after a tap, by public key. Dropping it wipes them.
#[derive(Debug, Default)]
pub struct Keyring(BTreeMap<KeyId, NamedSecret>);

impl Keyring {
    /// Takes in the secrets of a packet.
    pub fn add(&mut self, packet: Packet) {
        self.extend(packet.secrets);
    }

    /// The locker whose public key this is, if its secret is here.
    #[must_use]
    pub fn name_of(&self, locker: &KeyId) -> Option<LockerName> {
        self.0.get(locker).map(|s| s.name)
    }

    /// The secrets in here, in the order of their names.
    #[must_use]
    pub fn secrets(&self) -> Vec<&NamedSecret> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by_key(|s| s.name);
        all
    }

    /// Opens a data key that was sealed to one of the lockers.
    ///
    /// # Errors
    /// [`Check::SealBroken`] where it is sealed to another key; otherwise as [`open_data_key`].
    pub fn open_data_key(&self, sealed: &[u8], network: &NetworkId) -> Result<DataKey, OpenError> {
        let locker = Envelope::parse(sealed)?.recipient();
        let held = self.0.get(&locker).ok_or(Check::SealBroken)?;
        open_data_key(sealed, &mut held.secret.agreement(), network)
    }

    /// Opens the first of a record's sealed data keys that is sealed to one of the lockers. What is sealed to
    /// other keys, or is no envelope, is passed over.
    ///
    /// # Errors
    /// [`Check::SealBroken`] where none opens.
    pub fn open_any(&self, sealed: &[Bytes], network: &NetworkId) -> Result<DataKey, OpenError> {
        let opened = sealed.iter().find_map(|s| self.open_data_key(s, network).ok());
        opened.ok_or_else(|| Check::SealBroken.into())
    }
}

impl Extend<NamedSecret> for Keyring {
    fn extend<T: IntoIterator<Item = NamedSecret>>(&mut self, secrets: T) {
        self.0.extend(secrets.into_iter().map(|s| (s.secret.public().id(), s)));
    }
}

#[cfg(test)]
mod tests;
