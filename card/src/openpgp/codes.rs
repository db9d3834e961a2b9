//! PW1, PW3 and the resetting code (7.2.2 to 7.2.4), each sent as it was typed, without filling.
//!
//! Cards answer a wrong code with 6982, as the specification says, with 63Cx, as many do, or with 6300. So what is left is asked of
//! the PW status bytes after either.

use hospes_protocol::keys::KeyError;
use zeroize::Zeroizing;

use super::objects;
use crate::card::UnblockError;
use crate::pin::{Pin, Puk};
use crate::smart::Applet;
use crate::smart::apdu::{Answer, status, unexpected};

/// PW1 for signatures.
pub(super) const PW1: u8 = 0x81;
/// PW1 for everything else of the holder.
const PW1_OTHER: u8 = 0x82;
pub(super) const PW3: u8 = 0x83;

/// Tries left (4.4.3.10).
#[derive(Clone, Copy)]
pub(super) struct Tries {
    pub(super) pin: u8,
    /// Of the resetting code; none before it is set.
    pub(super) puk: u8,
}

impl Tries {
    /// Of the PW status bytes.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let [_, _, _, _, pin, puk, _pw3] = *bytes else { return None };
        Some(Self { pin, puk })
    }
}

/// Whether a code was right; none if it was wrong.
fn right(answer: &Answer) -> Result<Option<()>, KeyError> {
    match answer.status {
        status::OK => Ok(Some(())),
        status::NOT_SATISFIED | status::BLOCKED | status::WRONG_CODE => Ok(None),
        _ if answer.tries_left().is_some() => Ok(None),
        other => Err(unexpected(other)),
    }
}

/// The verdict on PW1.
fn judged(applet: &mut Applet, answer: &Answer) -> Result<(), KeyError> {
    if right(answer)?.is_some() {
        return Ok(());
    }
    let tries = objects::tries(applet)?;
    Err(match (tries.pin, tries.puk) {
        (0, 0) => KeyError::PukBlocked,
        (0, _) => KeyError::PinBlocked,
        (tries_left, _) => KeyError::WrongPin { tries_left },
    })
}

fn verify(applet: &mut Applet, reference: u8, code: &[u8]) -> Result<Answer, KeyError> {
    applet.send([0x20, 0x00, reference], code)
}

/// VERIFY for everything but signatures.
pub(super) fn verify_other(applet: &mut Applet, pin: &[u8]) -> Result<(), KeyError> {
    let answer = verify(applet, PW1_OTHER, pin)?;
    judged(applet, &answer)
}

/// VERIFY for both. The card keeps them apart, so a right PIN goes to it twice; a wrong one once, and costs one try.
pub(super) fn verify_pin(applet: &mut Applet, pin: &Pin) -> Result<(), KeyError> {
    verify_other(applet, pin.as_bytes())?;
    let answer = verify(applet, PW1, pin.as_bytes())?;
    judged(applet, &answer)
}

/// VERIFY of PW3; false for a wrong one.
pub(super) fn verify_pw3(applet: &mut Applet, code: &[u8]) -> Result<bool, KeyError> {
    let answer = verify(applet, PW3, code)?;
    Ok(right(&answer)?.is_some())
}

/// CHANGE REFERENCE DATA of PW1 or PW3.
pub(super) fn change(applet: &mut Applet, reference: u8, old: &[u8], new: &[u8]) -> Result<(), KeyError> {
    let both = Zeroizing::new([old, new].concat());
    let answer = applet.send([0x24, 0x00, reference], &both)?;
    judged(applet, &answer)
}

/// RESET RETRY COUNTER by the resetting code.
pub(super) fn unblock(applet: &mut Applet, puk: &Puk, new: &Pin) -> Result<(), UnblockError> {
    let both = Zeroizing::new([puk.as_bytes(), new.as_bytes()].concat());
    let answer = applet.send([0x2C, 0x00, PW1], &both)?;
    if right(&answer)?.is_some() {
        return Ok(());
    }
    Err(match objects::tries(applet)?.puk {
        0 => KeyError::PukBlocked.into(),
        tries_left => UnblockError::WrongPuk { tries_left },
    })
}
