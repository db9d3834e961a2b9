//! A card from the factory becomes somebody's card: keys made on it, PW1, PW3 and resetting code replaced, PW3 put behind
//! the PIN.
//!
//! PW1 changes last but for 0101, which says whose card it is: so a card that was pulled before is still one from the factory
//! to this code, and one that says whose it is was finished. Pulled between these two it needs a reset by GnuPG.

use hospes_protocol::keys::KeyError;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::codes::{self, PW1, PW3};
use super::{keys, objects};
use crate::card::UnblockError;
use crate::pin::{Pin, Puk};
use crate::piv::keys::KeyKind;
use crate::slot::Slot;
use crate::smart::apdu::status;
use crate::smart::{Applet, SmartCardSpec};
use crate::soft::Profile;

/// PW1 and PW3 of cards from the factory (4.2.3).
const FIRST_PW1: &[u8] = b"123456";
const FIRST_PW3: &[u8] = b"12345678";
/// Characters of PW3, four bits each.
const PW3_CHARACTERS: usize = 16;

/// The PW status bytes, and the resetting code.
const STATUS: u16 = 0xC4;
const RESETTING_CODE: u16 = 0xD3;

/// Enrols a card from the factory.
pub(super) fn enrol(
    applet: &mut Applet,
    spec: &SmartCardSpec,
    pin: &Pin,
    puk: &Puk,
    rng: &mut dyn CryptoRng,
) -> Result<(), UnblockError> {
    refuse_used(applet)?;
    codes::verify_other(applet, FIRST_PW1)?;
    let administration = verify_any_pw3(applet)?;
    for slot in [Slot::Authentication, Slot::Signature, Slot::KeyManagement] {
        generate(applet, slot, spec.profile)?;
    }
    // One PW1, one signature.
    objects::put(applet, STATUS, &[0])?;
    objects::put(applet, RESETTING_CODE, puk.as_bytes())?;
    replace_pw3(applet, &administration, rng)?;
    codes::change(applet, PW1, FIRST_PW1, pin.as_bytes())?;
    codes::verify_other(applet, pin.as_bytes())?;
    let (label, network) = (spec.holder_label.as_ref(), spec.network.as_ref());
    objects::write_holder(applet, spec.holder_kind, label, network, spec.home_organization.as_ref())?;
    Ok(())
}

/// Refuses a card that says whose it is: trying the first PW1 would cost its holder a try.
fn refuse_used(applet: &mut Applet) -> Result<(), KeyError> {
    if objects::holder(applet)?.kind().is_none() {
        return Ok(());
    }
    Err(KeyError::WrongPin { tries_left: objects::tries(applet)?.pin })
}

/// Shows the PW3 that an enrolment before left behind the PIN, or that of the factory; gives which it was.
fn verify_any_pw3(applet: &mut Applet) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let first = Zeroizing::new(FIRST_PW3.to_vec());
    for code in objects::administration(applet)?.into_iter().chain([first]) {
        if codes::verify_pw3(applet, &code)? {
            return Ok(code);
        }
    }
    Err(KeyError::Failed("its PW3 is another".to_owned()))
}

/// Makes a key in a slot, once the place takes such keys.
fn generate(applet: &mut Applet, slot: Slot, profile: Profile) -> Result<(), KeyError> {
    let kind = KeyKind::of_slot(slot, profile);
    let (tag, Some(place)) = (attributes_of(slot), keys::template(slot)) else { return Ok(()) };
    let wanted = keys::attributes(kind, slot);
    let [high, low] = tag.to_be_bytes();
    let taken = applet.send([0xDA, high, low], &wanted)?;
    if taken.status != status::OK {
        return Err(KeyError::Unsupported(kind.name()));
    }
    applet.send([0x47, 0x80, 0x00], &place)?.done()?;
    let about = objects::about(applet)?;
    let given = keys::public_key(applet, &about, slot)?;
    let usable = given.is_some_and(|key| key.verifying().is_some() || key.agreement().is_some());
    if usable { Ok(()) } else { Err(KeyError::Failed("what it made is no key".to_owned())) }
}

/// The object that says what the place of a slot takes.
fn attributes_of(slot: Slot) -> u16 {
    match slot {
        Slot::Signature => 0xC1,
        Slot::KeyManagement => 0xC2,
        Slot::Authentication | Slot::CardAuthentication => 0xC3,
    }
}

/// Sets a random PW3, and puts it behind the PIN first: whenever the card is pulled, the one in force is that or the one
/// before.
fn replace_pw3(applet: &mut Applet, old: &[u8], rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
    let mut code = Zeroizing::new(vec![0; PW3_CHARACTERS]);
    rng.fill_bytes(&mut code);
    for byte in code.iter_mut() {
        *byte = b"0123456789abcdef"[usize::from(*byte & 0x0F)];
    }
    objects::keep_administration(applet, &code)?;
    codes::change(applet, PW3, old, &code)
}
