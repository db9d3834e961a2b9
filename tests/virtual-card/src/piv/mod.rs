//! The PIV application: SP 800-73-4, part 2, with Yubico's instructions beside it.
//!
//! One instruction in, one outcome out; chaining and long responses are the card's. Session state is volatile.

mod authenticate;
mod management;
mod objects;
mod pins;

use crate::apdu::{Command, Outcome, sw};
use crate::card::Faults;
use crate::state::State;
use crate::tlv;

/// The application's name, as far as SELECT must give it.
pub(crate) const AID: &[u8] = &[0xA0, 0, 0, 3, 8];

/// What an application knows until power or another SELECT ends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// The PIN was verified.
    pub(crate) pin: bool,
    /// It was verified by the command before this one (PIN policy "always").
    pub(crate) pin_fresh: bool,
    /// The management key was shown.
    pub(crate) managed: bool,
    /// A witness or challenge that waits for its answer.
    pub(crate) waiting: Option<authenticate::Waiting>,
}

/// The application at work on one command.
pub(crate) struct Piv<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) session: &'a mut Session,
    pub(crate) faults: &'a Faults,
}

/// What SELECT answers: the application and the standard that allocated its name.
pub(crate) fn application() -> Vec<u8> {
    let version = tlv::put(0x4F, &[0, 0, 0x10, 0, 1, 0]);
    let authority = tlv::put(0x79, &tlv::put(0x4F, AID));
    tlv::put(0x61, &[version, authority].concat())
}

impl Piv<'_> {
    /// Carries out one command.
    pub(crate) fn serve(&mut self, command: &Command<'_>) -> Outcome {
        let was_fresh = std::mem::take(&mut self.session.pin_fresh);
        let waiting = self.session.waiting.take();
        match command.ins {
            0x20 => self.verify(command),
            0x24 => self.change_reference(command),
            0x2C => self.reset_retry_counter(command),
            0x47 => self.generate(command),
            0x87 => self.general_authenticate(command, waiting, was_fresh),
            0xCB => self.get_data(command),
            0xDB => self.put_data(command),
            0xF6 => self.move_key(command),
            0xF7 => self.metadata(command),
            0xF8 => self.serial(),
            0xF9 => self.attest(command),
            0xFA => self.set_retries(command),
            0xFB => self.reset(command),
            0xFD => Ok(vec![self.state.firmware.0, self.state.firmware.1, self.state.firmware.2]),
            0xFE => self.import(command),
            0xFF => self.set_management_key(command),
            _ => Err(sw::NO_INSTRUCTION),
        }
    }

    fn needs_management(&self) -> Result<(), u16> {
        if self.session.managed { Ok(()) } else { Err(sw::NOT_SATISFIED) }
    }

    fn since(&self, major: u8, minor: u8) -> Result<(), u16> {
        if self.state.firmware.since(major, minor) { Ok(()) } else { Err(sw::NO_INSTRUCTION) }
    }
}

/// Slots that hold a key: 9A, 9C, 9D, 9E, the retired 82 to 95, and F9, which attests.
pub(crate) fn is_slot(reference: u8) -> bool {
    matches!(reference, 0x9A | 0x9C | 0x9D | 0x9E | 0x82..=0x95 | 0xF9)
}
