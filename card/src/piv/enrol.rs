//! A card from the factory becomes somebody's card: keys made on it, first codes replaced, its management key put behind
//! the PIN.
//!
//! The PIN changes last, so a card that was pulled before is still one from the factory to this code, and is enrolled again
//! from the start. Whether its keys are what they say is `attestation`'s; who may enrol whom is the node's.

use hospes_protocol::keys::KeyError;
use hospes_protocol::wire::Wire as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::codes::{PIN, PUK, padded};
use super::info::{CHUID, tag};
use super::keys::{KeyKind, RawKey, reference};
use crate::card::UnblockError;
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::slot::Slot;
use crate::smart::{Applet, SmartCardSpec, tlv};
use crate::soft::Profile;

/// PIN, PUK and management key of cards from the factory (Yubico; SP 800-73-4 leaves them to whoever issues).
const FIRST_PIN: &[u8] = b"123456";
const FIRST_PUK: &[u8] = b"12345678";
const FIRST_MANAGEMENT: [u8; 24] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// PIN policy of keys that a verified PIN opens until the card forgets it (Yubico).
pub(super) const PIN_ONCE: u8 = 2;

/// In the order in which they get their keys.
const SLOTS: [Slot; 4] =
    [Slot::Authentication, Slot::Signature, Slot::KeyManagement, Slot::CardAuthentication];

/// Enrols a card from the factory.
pub(super) fn enrol(
    applet: &mut Applet,
    spec: &SmartCardSpec,
    pin: &Pin,
    puk: &Puk,
    rng: &mut dyn CryptoRng,
) -> Result<(), UnblockError> {
    applet.refuse_used()?;
    applet.verify_code(&padded(FIRST_PIN))?;
    applet.show_any_management(rng)?;
    let mut made = Vec::new();
    for slot in SLOTS {
        made.push((slot, applet.generate(slot, spec.profile)?));
    }
    applet.write_certificates(&made)?;
    applet.write_objects(spec, rng)?;
    applet.protect_management(rng)?;
    // The codes, each wrong one counted by the card.
    applet.change_puk(FIRST_PUK, puk)?;
    Ok(applet.change_code(PIN, FIRST_PIN, pin.as_bytes())?)
}

impl Applet {
    fn change_puk(&mut self, old: &[u8], new: &Puk) -> Result<(), UnblockError> {
        match self.change_code(PUK, old, new.as_bytes()) {
            Err(KeyError::WrongPin { tries_left }) => Err(UnblockError::WrongPuk { tries_left }),
            Err(KeyError::PinBlocked) => Err(KeyError::PukBlocked.into()),
            changed => Ok(changed?),
        }
    }

    /// Refuses a card whose metadata say that its PIN is no longer the first one: trying that would cost its holder a try.
    fn refuse_used(&mut self) -> Result<(), KeyError> {
        let told = self.send([0xF7, 0x00, 0x80], &[])?;
        match (tlv::find(&told.data, 0x05), tlv::find(&told.data, 0x06)) {
            (Some([0]), Some([_, tries_left])) => Err(KeyError::WrongPin { tries_left: *tries_left }),
            _ => Ok(()),
        }
    }

    /// Shows the management key of the factory, or that which an enrolment before left behind the PIN.
    fn show_any_management(&mut self, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        match self.protected_key()? {
            Some(key) if self.show_management(&key, rng).is_ok() => Ok(()),
            _ => self.show_management(&FIRST_MANAGEMENT, rng),
        }
    }

    /// Makes a key in a slot, with the PIN policy that the slot has here.
    fn generate(&mut self, slot: Slot, profile: Profile) -> Result<RawKey, KeyError> {
        let kind = KeyKind::of_slot(slot, profile);
        let pin_policy = match (slot.needs_pin(), slot.needs_pin_always()) {
            (false, _) => 1,
            (true, false) => PIN_ONCE,
            (true, true) => 3,
        };
        self.generate_in(slot, kind, pin_policy)
    }

    /// Makes a key of a kind in a slot, which the PIN guards so (Yubico: 1 never, 2 once, 3 always).
    pub(super) fn generate_in(
        &mut self,
        slot: Slot,
        kind: KeyKind,
        pin_policy: u8,
    ) -> Result<RawKey, KeyError> {
        let mut inner = tlv::object(0x80, &[kind as u8]);
        tlv::put(&mut inner, 0xAA, &[pin_policy]);
        let made = self.send([0x47, 0x00, reference(slot)], &tlv::object(0xAC, &inner))?;
        // The numbers of the Edwards curves mean nothing to an older card.
        if matches!(made.status, 0x6A80 | 0x6A86) {
            return Err(KeyError::Unsupported(kind.name()));
        }
        let made = made.done()?;
        let given = tlv::find(&made, 0x7F49).and_then(|template| tlv::find(template, 0x86));
        let given = given.map(|bytes| RawKey::new(kind, bytes));
        given
            .filter(|key| key.verifying().is_some() || key.agreement().is_some())
            .ok_or_else(|| KeyError::Failed("what it made is no key".to_owned()))
    }

    /// A certificate for each key that the card doesn't tell otherwise.
    fn write_certificates(&mut self, made: &[(Slot, RawKey)]) -> Result<(), KeyError> {
        let signing = made.iter().find(|(slot, _)| *slot == Slot::Authentication);
        let Some(by) = signing.and_then(|(_, key)| key.verifying()) else { return Ok(()) };
        for (slot, key) in made {
            if self.told_key(reference(*slot))?.is_none() {
                self.write_certificate(*slot, key, &by)?;
            }
        }
        Ok(())
    }

    fn write_objects(&mut self, spec: &SmartCardSpec, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        self.put_data(&CHUID, &chuid(rng))?;
        self.put_data(&tag(Object::HolderKind), &spec.holder_kind.encode())?;
        if let Some(label) = &spec.holder_label {
            self.put_data(&tag(Object::HolderLabel), label.as_str().as_bytes())?;
        }
        if let Some(network) = &spec.network {
            self.put_data(&tag(Object::Network), &network.0)?;
        }
        if let Some(home) = &spec.home_organization {
            self.put_data(&tag(Object::HomeOrganization), &home.0)?;
        }
        Ok(())
    }
}

/// A cardholder unique identifier with a random GUID, the number of the card (SP 800-73-4, part 1, table 9). The FASC-N is
/// that of a card that no federal agency issued.
fn chuid(rng: &mut dyn CryptoRng) -> Zeroizing<Vec<u8>> {
    const FASC_N: [u8; 25] = [
        0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42,
        0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
    ];
    let mut guid = [0; 16];
    rng.fill_bytes(&mut guid);
    let mut chuid = tlv::object(0x30, &FASC_N);
    tlv::put(&mut chuid, 0x34, &guid);
    tlv::put(&mut chuid, 0x35, b"20501231");
    tlv::put(&mut chuid, 0x3E, &[]);
    tlv::put(&mut chuid, 0xFE, &[]);
    chuid
}
