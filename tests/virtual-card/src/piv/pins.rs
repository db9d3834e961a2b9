//! PIN and PUK: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER, and Yubico's setting of the counters.

use super::Piv;
use crate::apdu::{Command, Outcome, sw};
use crate::state::Code;

const PIN: u8 = 0x80;
const PUK: u8 = 0x81;
const BYTES: usize = 8;

/// One try: counted before it is compared.
fn attempt(code: &mut Code, given: &[u8]) -> Result<(), u16> {
    if code.left == 0 {
        return Err(sw::BLOCKED);
    }
    code.left -= 1;
    if code.value != given {
        return Err(if code.left == 0 { sw::BLOCKED } else { sw::WRONG_PIN | u16::from(code.left.min(15)) });
    }
    code.left = code.tries;
    Ok(())
}

/// Six to eight bytes, then 0xFF (SP 800-73-4, part 2, 2.4.3).
fn well_formed(code: &[u8]) -> bool {
    let used = code.iter().position(|byte| *byte == 0xFF).unwrap_or(code.len());
    code.len() == BYTES && used >= 6 && code[used..].iter().all(|byte| *byte == 0xFF)
}

impl Piv<'_> {
    pub(super) fn verify(&mut self, command: &Command<'_>) -> Outcome {
        match (command.p1, command.p2, command.data) {
            (0xFF, PIN, []) => {
                self.session.pin = false;
                Ok(Vec::new())
            }
            (0, PIN, []) => match (self.session.pin, self.state.pin.left) {
                (true, _) => Ok(Vec::new()),
                (false, 0) => Err(sw::BLOCKED),
                (false, left) => Err(sw::WRONG_PIN | u16::from(left.min(15))),
            },
            (0, PIN, given) if given.len() == BYTES => {
                self.session.pin = false;
                attempt(&mut self.state.pin, given)?;
                (self.session.pin, self.session.pin_fresh) = (true, true);
                Ok(Vec::new())
            }
            (0, PIN, _) => Err(sw::WRONG_DATA),
            (0, _, _) => Err(sw::NO_KEY),
            _ => Err(sw::WRONG_PARAMETERS),
        }
    }

    pub(super) fn change_reference(&mut self, command: &Command<'_>) -> Outcome {
        let Some((old, new)) = command.data.split_at_checked(BYTES) else { return Err(sw::WRONG_DATA) };
        if command.p1 != 0 {
            return Err(sw::WRONG_PARAMETERS);
        }
        let code = match command.p2 {
            PIN => &mut self.state.pin,
            PUK => &mut self.state.puk,
            _ => return Err(sw::NO_KEY),
        };
        // The try comes first, as on a YubiKey: programs that want a card blocked send no new code at all.
        attempt(code, old)?;
        if !well_formed(new) {
            return Err(sw::WRONG_DATA);
        }
        code.value = new.to_vec();
        Ok(Vec::new())
    }

    pub(super) fn reset_retry_counter(&mut self, command: &Command<'_>) -> Outcome {
        if (command.p1, command.p2) != (0, PIN) {
            return Err(sw::WRONG_PARAMETERS);
        }
        let Some((puk, pin)) = command.data.split_at_checked(BYTES) else { return Err(sw::WRONG_DATA) };
        attempt(&mut self.state.puk, puk)?;
        if !well_formed(pin) {
            return Err(sw::WRONG_DATA);
        }
        self.state.pin.value = pin.to_vec();
        self.state.pin.left = self.state.pin.tries;
        self.session.pin = false;
        Ok(Vec::new())
    }

    pub(super) fn set_retries(&mut self, command: &Command<'_>) -> Outcome {
        self.needs_management()?;
        if !self.session.pin {
            return Err(sw::NOT_SATISFIED);
        }
        if command.p1 == 0 || command.p2 == 0 {
            return Err(sw::WRONG_PARAMETERS);
        }
        self.state.set_retries(command.p1, command.p2);
        self.session.pin = false;
        Ok(Vec::new())
    }

    /// As from the factory; only once nobody can use the card any more.
    pub(super) fn reset(&mut self, command: &Command<'_>) -> Outcome {
        if (command.p1, command.p2) != (0, 0) {
            return Err(sw::WRONG_PARAMETERS);
        }
        if self.state.pin.left > 0 || self.state.puk.left > 0 {
            return Err(sw::CONDITIONS);
        }
        self.state.reset();
        *self.session = super::Session::default();
        Ok(Vec::new())
    }
}
