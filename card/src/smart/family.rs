//! What the families of cards differ in: how each act goes over the wire. Sessions and what may be done in one are `card`'s.

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, Curve, KeyError, VerifyingKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::applet::Applet;
use crate::card::{PadError, UnblockError};
use crate::info::{CardInfo, HolderKind, HolderLabel};
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::piv::Attestation;
use crate::slot::Slot;
use crate::soft::Profile;

/// What a card from the factory is to be.
#[derive(Clone, Debug)]
pub struct SmartCardSpec {
    /// Algorithms of its slots.
    pub profile: Profile,
    /// Whose card it is.
    pub holder_kind: HolderKind,
    /// What screens call it, for anyone to read.
    pub holder_label: Option<HolderLabel>,
    /// Its network.
    pub network: Option<NetworkId>,
    /// The organization that enrols.
    pub home_organization: Option<OrganizationId>,
}

/// A family. Each act runs within a transaction, with the application selected; errors are as [`Card`](crate::Card) says.
pub(crate) trait Family: Sync {
    /// What SELECT names.
    fn application(&self) -> &'static [u8];

    /// What the card says without PIN.
    fn read_info(&self, applet: &mut Applet) -> Result<CardInfo, KeyError>;

    /// Shows the card a PIN.
    fn verify(&self, applet: &mut Applet, pin: &Pin) -> Result<(), KeyError>;

    /// Whether the PIN can be typed on the reader's keypad.
    fn has_pad(&self, applet: &mut Applet) -> Result<bool, KeyError>;

    /// Has it typed there.
    fn verify_on_pad(&self, applet: &mut Applet) -> Result<(), PadError>;

    /// Signs, and verifies with the public key of the slot.
    fn sign(
        &self,
        applet: &mut Applet,
        slot: Slot,
        key: &VerifyingKey,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError>;

    /// The shared secret of 9D with a public key on its curve.
    fn agree(&self, applet: &mut Applet, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError>;

    /// Keys that were in 9D before, with the places that they are in now, newest first.
    fn older(&self, _applet: &mut Applet) -> Result<Vec<(u8, AgreementKey)>, KeyError> {
        Ok(Vec::new())
    }

    /// The shared secret of the key in one of these places.
    fn agree_in(
        &self,
        _applet: &mut Applet,
        _place: u8,
        _peer: &AgreementKey,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        Err(KeyError::Unsupported("agreement by an older key"))
    }

    /// Moves the key of 9D there, if there is one, and makes another of this curve.
    fn renew_agreement(
        &self,
        _applet: &mut Applet,
        _curve: Curve,
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        Err(KeyError::Unsupported("another agreement key beside the one before"))
    }

    /// An object; none if it was never written, or is empty.
    fn read(&self, applet: &mut Applet, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError>;

    /// Writes an object whose form was checked.
    fn write(
        &self,
        applet: &mut Applet,
        object: Object,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError>;

    /// Replaces the PIN.
    fn change_pin(&self, applet: &mut Applet, old: &Pin, new: &Pin) -> Result<(), KeyError>;

    /// Sets a PIN by the PUK.
    fn unblock(&self, applet: &mut Applet, puk: &Puk, new: &Pin) -> Result<(), UnblockError>;

    /// What the maker says of a key.
    fn attestation(&self, applet: &mut Applet, slot: Slot) -> Result<Option<Attestation>, KeyError>;

    /// Makes a card from the factory somebody's.
    fn enrol(
        &self,
        applet: &mut Applet,
        spec: &SmartCardSpec,
        codes: (&Pin, &Puk),
        rng: &mut dyn CryptoRng,
    ) -> Result<(), UnblockError>;
}
