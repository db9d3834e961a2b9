//! PIV cards: NIST SP 800-73-4 with Yubico's instructions where the card has them.
//!
//! How each act goes over the wire; sessions are `smart`'s.

mod attestation;
mod certificate;
mod codes;
mod enrol;
mod info;
pub(crate) mod keys;
mod management;
mod retired;
mod roots;

use hospes_protocol::keys::{AgreementKey, Curve, KeyError, VerifyingKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

pub use attestation::{Attestation, AttestationError, Attested};
pub use roots::Roots;

use crate::card::{PadError, UnblockError};
use crate::info::CardInfo;
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::slot::Slot;
use crate::smart::{Applet, Family, SmartCardSpec};

/// The PIV family.
pub(crate) struct Piv;

impl Family for Piv {
    fn application(&self) -> &'static [u8] {
        // All but the version (SP 800-73-4, part 1, 2.2): cards other than YubiKeys take nothing shorter.
        &[0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00]
    }

    fn read_info(&self, applet: &mut Applet) -> Result<CardInfo, KeyError> {
        info::read_info(applet)
    }

    fn verify(&self, applet: &mut Applet, pin: &Pin) -> Result<(), KeyError> {
        applet.verify_code(&codes::padded(pin.as_bytes()))
    }

    fn has_pad(&self, applet: &mut Applet) -> Result<bool, KeyError> {
        applet.has_pad()
    }

    fn verify_on_pad(&self, applet: &mut Applet) -> Result<(), PadError> {
        applet.verify_on_pad()
    }

    fn sign(
        &self,
        applet: &mut Applet,
        slot: Slot,
        key: &VerifyingKey,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        applet.sign(slot, key, message)
    }

    fn agree(&self, applet: &mut Applet, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        applet.agree_in(keys::reference(Slot::KeyManagement), peer)
    }

    fn older(&self, applet: &mut Applet) -> Result<Vec<(u8, AgreementKey)>, KeyError> {
        applet.retired_keys()
    }

    fn agree_in(
        &self,
        applet: &mut Applet,
        place: u8,
        peer: &AgreementKey,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        applet.agree_in(place, peer)
    }

    fn renew_agreement(
        &self,
        applet: &mut Applet,
        curve: Curve,
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        applet.renew_agreement(curve, rng)
    }

    fn read(&self, applet: &mut Applet, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        applet.read(&info::tag(object))
    }

    fn write(
        &self,
        applet: &mut Applet,
        object: Object,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        applet.write(&info::tag(object), bytes, rng)
    }

    fn change_pin(&self, applet: &mut Applet, old: &Pin, new: &Pin) -> Result<(), KeyError> {
        applet.change_code(codes::PIN, old.as_bytes(), new.as_bytes())
    }

    fn unblock(&self, applet: &mut Applet, puk: &Puk, new: &Pin) -> Result<(), UnblockError> {
        applet.unblock(puk, new)
    }

    fn attestation(&self, applet: &mut Applet, slot: Slot) -> Result<Option<Attestation>, KeyError> {
        applet.attestation(slot)
    }

    fn enrol(
        &self,
        applet: &mut Applet,
        spec: &SmartCardSpec,
        (pin, puk): (&Pin, &Puk),
        rng: &mut dyn CryptoRng,
    ) -> Result<(), UnblockError> {
        enrol::enrol(applet, spec, pin, puk, rng)
    }
}
