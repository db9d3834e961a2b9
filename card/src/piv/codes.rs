//! PIN and PUK of a PIV card: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, and the tries that are left.

use hospes_protocol::keys::KeyError;
use zeroize::Zeroizing;

use crate::card::{PadError, UnblockError};
use crate::pin::{Pin, Puk, TRIES_MAX};
use crate::smart::Applet;
use crate::smart::apdu::{Answer, status, unexpected};
use crate::smart::tlv;

/// Bytes of a PIN or PUK on the wire, filled up with 0xFF.
const CODE_BYTES: usize = 8;

/// Key references (SP 800-73-4, part 1, table 4b).
pub(super) const PIN: u8 = 0x80;
pub(super) const PUK: u8 = 0x81;

/// PIN or PUK as the card takes it.
pub(super) fn padded(code: &[u8]) -> Zeroizing<[u8; CODE_BYTES]> {
    let mut padded = Zeroizing::new([0xFF; CODE_BYTES]);
    let count = code.len().min(CODE_BYTES);
    padded[..count].copy_from_slice(&code[..count]);
    padded
}

/// The verdict on the code with this reference.
fn judged(applet: &mut Applet, reference: u8, answer: &Answer) -> Result<(), KeyError> {
    let left = match (answer.status, answer.tries_left()) {
        (status::OK, _) => return Ok(()),
        (status::BLOCKED, _) => 0,
        (_, Some(left)) => left,
        (status::WRONG_CODE, None) if reference == PIN => pin_tries(applet)?,
        (status::WRONG_CODE, None) => tries(applet, reference)?.unwrap_or(TRIES_MAX),
        (other, None) => return Err(unexpected(other)),
    };
    if left > 0 {
        return Err(KeyError::WrongPin { tries_left: left });
    }
    let puk = tries(applet, PUK)?.unwrap_or(TRIES_MAX);
    Err(if puk == 0 { KeyError::PukBlocked } else { KeyError::PinBlocked })
}

impl Applet {
    /// VERIFY.
    pub(super) fn verify_code(&mut self, pin: &[u8; CODE_BYTES]) -> Result<(), KeyError> {
        let answer = self.send([0x20, 0x00, PIN], pin)?;
        judged(self, PIN, &answer)
    }

    /// VERIFY with what somebody types on the reader's keypad.
    pub(super) fn verify_on_pad(&mut self) -> Result<(), PadError> {
        let command = [[0x00, 0x20, 0x00, PIN, 0x08].as_slice(), &[0xFF; CODE_BYTES]].concat();
        let answer = self.send_by_pad(&command)?;
        match answer.status {
            status::PAD_TIMED_OUT => Err(PadError::TimedOut),
            status::PAD_CANCELLED => Err(PadError::Cancelled),
            _ => Ok(judged(self, PIN, &answer)?),
        }
    }

    /// CHANGE REFERENCE DATA of PIN (80) or PUK (81).
    pub(super) fn change_code(&mut self, reference: u8, old: &[u8], new: &[u8]) -> Result<(), KeyError> {
        let both = Zeroizing::new([*padded(old), *padded(new)].concat());
        let answer = self.send([0x24, 0x00, reference], &both)?;
        judged(self, reference, &answer)
    }

    /// RESET RETRY COUNTER: a new PIN by the PUK.
    pub(super) fn unblock(&mut self, puk: &Puk, new: &Pin) -> Result<(), UnblockError> {
        let both = Zeroizing::new([*padded(puk.as_bytes()), *padded(new.as_bytes())].concat());
        let answer = self.send([0x2C, 0x00, PIN], &both)?;
        match (answer.status, answer.tries_left()) {
            (status::OK, _) => Ok(()),
            (status::BLOCKED, _) | (_, Some(0)) => Err(KeyError::PukBlocked.into()),
            (_, Some(tries_left)) => Err(UnblockError::WrongPuk { tries_left }),
            (other, None) => Err(unexpected(other).into()),
        }
    }
}

/// Tries left by Yubico's metadata; none if the card has none.
pub(super) fn tries(applet: &mut Applet, reference: u8) -> Result<Option<u8>, KeyError> {
    let told = applet.send([0xF7, 0x00, reference], &[])?;
    Ok(tlv::find(&told.data, 0x06)
        .and_then(|counts| counts.get(1))
        .copied()
        .filter(|_| told.status == status::OK))
}

/// Tries left at the PIN: by metadata, or by VERIFY without data, which answers it unless a PIN is verified.
pub(super) fn pin_tries(applet: &mut Applet) -> Result<u8, KeyError> {
    if let Some(left) = tries(applet, PIN)? {
        return Ok(left);
    }
    let answer = applet.send([0x20, 0x00, PIN], &[])?;
    Ok(match answer.status {
        status::BLOCKED => 0,
        _ => answer.tries_left().unwrap_or(TRIES_MAX),
    })
}
