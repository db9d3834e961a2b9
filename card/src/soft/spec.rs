//! Making a soft card: keys, codes and first objects in one file, written at once.
//!
//! Enrolment decides what the card is for; this makes it and forgets the keys.

use std::path::Path;

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::KeyError;
use hospes_protocol::wire::{Bytes, Wire as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::attempt::{Code, new_gate};
use super::card::SoftCard;
use super::cost::PinCost;
use super::file::CardFile;
use super::format::{Contents, Image, ManagementKey, SigningKey, put};
use super::key::{Profile, new_agreement_key, new_signing_key};
use super::seal::{Part, bound_to, seal};
use super::watch::Watch;
use crate::info::{CardSerial, HolderKind, HolderLabel};
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::slot::Slot;

/// What a new soft card is to be.
#[derive(Clone, Debug)]
pub struct SoftCardSpec {
    /// Algorithms of its slots.
    pub profile: Profile,
    /// What a guess of its PIN or PUK costs.
    pub cost: PinCost,
    /// Whose card it is.
    pub holder_kind: HolderKind,
    /// What screens call it, for anyone to read.
    pub holder_label: Option<HolderLabel>,
    /// Its network.
    pub network: Option<NetworkId>,
    /// The organization that enrols.
    pub home_organization: Option<OrganizationId>,
}

impl SoftCardSpec {
    /// A P-256 card at the standard cost, bound to nothing yet.
    #[must_use]
    pub fn new(holder_kind: HolderKind) -> Self {
        Self {
            profile: Profile::default(),
            cost: PinCost::standard(),
            holder_kind,
            holder_label: None,
            network: None,
            home_organization: None,
        }
    }

    /// Makes the card at `path`, which should end in `.card`, and returns a handle on it.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if there is a file of that name or the disk fails; nothing is left then.
    pub fn create(
        &self,
        path: &Path,
        pin: &Pin,
        puk: &Puk,
        rng: &mut impl CryptoRng,
    ) -> Result<SoftCard, KeyError> {
        let rng: &mut dyn CryptoRng = rng;
        let file = CardFile::at(path)?;
        let image = self.image(pin, puk, rng)?;
        let made = file.lock().and_then(|mut locked| locked.create(&image.to_bytes()));
        match made {
            Ok(()) => SoftCard::attach(file, Watch::default()),
            Err(KeyError::Absent) => Err(KeyError::Failed("the folder for the card is not there".to_owned())),
            Err(e) => Err(e),
        }
    }

    pub(super) fn image(&self, pin: &Pin, puk: &Puk, rng: &mut dyn CryptoRng) -> Result<Image, KeyError> {
        let mut serial = CardSerial([0; 16]);
        rng.fill_bytes(&mut serial.0);
        let (file_key, card_key) = (random_key(rng), random_key(rng));
        let contents = Contents {
            serial,
            pin: new_gate(Code::Pin, &serial, pin.as_bytes(), self.cost, &card_key, rng)?,
            puk: new_gate(Code::Puk, &serial, puk.as_bytes(), self.cost, &card_key, rng)?,
            authentication: self.signing_key(Slot::Authentication, &serial, &card_key, rng),
            signature: self.signing_key(Slot::Signature, &serial, &card_key, rng),
            key_management: self.management_key(&serial, &card_key, rng),
            card_authentication: self.signing_key(Slot::CardAuthentication, &serial, &file_key, rng),
            free: self.free_objects(),
            protected: Vec::new(),
        };
        Ok(Image { revision: 1, file_key, contents })
    }

    fn signing_key(
        &self,
        slot: Slot,
        serial: &CardSerial,
        key: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> SigningKey {
        let (public, secret) = new_signing_key(self.profile.algorithm(), rng);
        let aad = bound_to(Part::SlotKey(slot.code(), public.as_bytes()), Some(serial));
        SigningKey { public, secret: seal(key, &aad, &secret, rng) }
    }

    fn management_key(&self, serial: &CardSerial, key: &[u8; 32], rng: &mut dyn CryptoRng) -> ManagementKey {
        let (public, secret) = new_agreement_key(self.profile.curve(), rng);
        let aad = bound_to(Part::SlotKey(Slot::KeyManagement.code(), public.as_bytes()), Some(serial));
        ManagementKey { public, secret: seal(key, &aad, &secret, rng) }
    }

    fn free_objects(&self) -> Vec<(Object, Bytes)> {
        let mut free = vec![(Object::HolderKind, Bytes(self.holder_kind.encode()))];
        if let Some(label) = &self.holder_label {
            put(&mut free, Object::HolderLabel, Bytes(label.as_str().as_bytes().to_vec()));
        }
        if let Some(network) = &self.network {
            put(&mut free, Object::Network, Bytes(network.0.to_vec()));
        }
        if let Some(home) = &self.home_organization {
            put(&mut free, Object::HomeOrganization, Bytes(home.0.to_vec()));
        }
        free
    }
}

fn random_key(rng: &mut dyn CryptoRng) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut key[..]);
    key
}
