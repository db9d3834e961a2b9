//! OpenPGP cards: "Functional Specification of the OpenPGP application on ISO Smart Card Operating Systems", 3.4.
//!
//! How each act goes over the wire; sessions are `smart`'s. SIG is 9C, AUT is 9A, DEC is 9D; there is no 9E, since every key
//! of such a card wants PW1. The PIN is PW1, the PUK the resetting code; PW3 is random and lies behind the PIN.

mod codes;
mod enrol;
mod keys;
mod objects;

use hospes_protocol::keys::{AgreementKey, KeyError, VerifyingKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::card::{PadError, UnblockError};
use crate::info::{CardInfo, CardKind, CardSerial};
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::piv::Attestation;
use crate::slot::Slot;
use crate::smart::{Applet, Family, SmartCardSpec};

/// The OpenPGP family.
pub(crate) struct OpenPgp;

impl Family for OpenPgp {
    fn application(&self) -> &'static [u8] {
        &[0xD2, 0x76, 0x00, 0x01, 0x24, 0x01]
    }

    fn read_info(&self, applet: &mut Applet) -> Result<CardInfo, KeyError> {
        let about = objects::about(applet)?;
        let holder = objects::holder(applet)?;
        let authentication = keys::public_key(applet, &about, Slot::Authentication)?;
        let signature = keys::public_key(applet, &about, Slot::Signature)?;
        let key_management = keys::public_key(applet, &about, Slot::KeyManagement)?;
        Ok(CardInfo {
            serial: CardSerial(about.name),
            kind: CardKind::OpenPgp,
            holder_kind: holder.kind(),
            holder_label: holder.label(),
            network: holder.network(),
            home_organization: holder.home_organization(),
            authentication: authentication.and_then(|key| key.verifying()),
            signature: signature.and_then(|key| key.verifying()),
            key_management: key_management.and_then(|key| key.agreement()),
            card_authentication: None,
            pin_tries_left: about.tries.pin,
            puk_tries_left: about.tries.puk,
        })
    }

    fn verify(&self, applet: &mut Applet, pin: &Pin) -> Result<(), KeyError> {
        codes::verify_pin(applet, pin)
    }

    fn has_pad(&self, _applet: &mut Applet) -> Result<bool, KeyError> {
        // It would have to be typed twice there, for 81 and for 82.
        Ok(false)
    }

    fn verify_on_pad(&self, _applet: &mut Applet) -> Result<(), PadError> {
        Err(KeyError::Unsupported("a PIN by keypad").into())
    }

    fn sign(
        &self,
        applet: &mut Applet,
        slot: Slot,
        key: &VerifyingKey,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        keys::sign(applet, slot, key, message)
    }

    fn agree(&self, applet: &mut Applet, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        keys::agree(applet, peer)
    }

    fn read(&self, applet: &mut Applet, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        objects::read(applet, object)
    }

    fn write(
        &self,
        applet: &mut Applet,
        object: Object,
        bytes: &[u8],
        _rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        objects::write(applet, object, bytes)
    }

    fn change_pin(&self, applet: &mut Applet, old: &Pin, new: &Pin) -> Result<(), KeyError> {
        codes::change(applet, codes::PW1, old.as_bytes(), new.as_bytes())
    }

    fn unblock(&self, applet: &mut Applet, puk: &Puk, new: &Pin) -> Result<(), UnblockError> {
        codes::unblock(applet, puk, new)
    }

    fn attestation(&self, _applet: &mut Applet, _slot: Slot) -> Result<Option<Attestation>, KeyError> {
        Ok(None)
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
