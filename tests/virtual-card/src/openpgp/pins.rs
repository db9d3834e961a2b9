//! PW1, PW3 and the resetting code: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (7.2.2 to 7.2.4).

use super::OpenPgp;
use crate::apdu::{Command, Outcome, sw};
use crate::state::Code;

const SIGN: u8 = 0x81;
const USER: u8 = 0x82;
const ADMIN: u8 = 0x83;

/// Bytes of each code: at least so many, at most so many.
const PW1_MIN: usize = 6;
pub(super) const PW3_MIN: usize = 8;
pub(super) const CODE_MAX: usize = 32;

/// One try: counted before it is compared. A wrong code is 6982, as the specification has it; the counter says the rest.
fn attempt(code: &mut Code, given: &[u8]) -> Result<(), u16> {
    if code.left == 0 {
        return Err(sw::BLOCKED);
    }
    code.left -= 1;
    if code.value != given {
        return Err(if code.left == 0 { sw::BLOCKED } else { sw::NOT_SATISFIED });
    }
    code.left = code.tries;
    Ok(())
}

impl OpenPgp<'_> {
    fn verified(&mut self, reference: u8) -> Result<(&mut bool, &mut Code), u16> {
        match reference {
            SIGN => Ok((&mut self.session.sign, &mut self.own.pw1)),
            USER => Ok((&mut self.session.user, &mut self.own.pw1)),
            ADMIN => Ok((&mut self.session.admin, &mut self.own.pw3)),
            _ => Err(sw::NO_KEY),
        }
    }

    pub(super) fn verify(&mut self, command: &Command<'_>) -> Outcome {
        let (verified, code) = self.verified(command.p2)?;
        match (command.p1, command.data) {
            (0xFF, []) => *verified = false,
            (0, []) if *verified => {}
            (0, []) if code.left == 0 => return Err(sw::BLOCKED),
            (0, []) => return Err(sw::WRONG_PIN | u16::from(code.left.min(15))),
            (0, given) => {
                *verified = false;
                attempt(code, given)?;
                *verified = true;
            }
            _ => return Err(sw::WRONG_PARAMETERS),
        }
        Ok(Vec::new())
    }

    pub(super) fn change_reference(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0 || command.p2 == USER {
            return Err(sw::WRONG_PARAMETERS);
        }
        let (_, code) = self.verified(command.p2)?;
        let shortest = if command.p2 == SIGN { PW1_MIN } else { PW3_MIN };
        // Where the old one ends is known to the card alone.
        let (old, new) = command.data.split_at(code.value.len().min(command.data.len()));
        attempt(code, old)?;
        if !(shortest..=CODE_MAX).contains(&new.len()) {
            return Err(sw::WRONG_DATA);
        }
        code.value = new.to_vec();
        self.forget(command.p2);
        Ok(Vec::new())
    }

    /// By the resetting code (P1 is 00), or by PW3 (02).
    pub(super) fn reset_retry_counter(&mut self, command: &Command<'_>) -> Outcome {
        if command.p2 != SIGN {
            return Err(sw::WRONG_PARAMETERS);
        }
        let new = match command.p1 {
            0 => {
                let code = &mut self.own.reset_code;
                let (given, new) = command.data.split_at(code.value.len().min(command.data.len()));
                attempt(code, given)?;
                new
            }
            2 => {
                self.needs(self.session.admin)?;
                command.data
            }
            _ => return Err(sw::WRONG_PARAMETERS),
        };
        if !(PW1_MIN..=CODE_MAX).contains(&new.len()) {
            return Err(sw::WRONG_DATA);
        }
        self.own.pw1.value = new.to_vec();
        self.own.pw1.left = self.own.pw1.tries;
        self.forget(SIGN);
        Ok(Vec::new())
    }

    fn forget(&mut self, reference: u8) {
        if reference == ADMIN {
            self.session.admin = false;
        } else {
            (self.session.sign, self.session.user) = (false, false);
        }
    }
}
