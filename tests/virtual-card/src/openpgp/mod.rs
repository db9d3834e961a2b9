//! The OpenPGP application: "Functional Specification of the OpenPGP application on ISO Smart Card Operating Systems", 3.4.
//!
//! One instruction in, one outcome out; chaining and long responses are the card's. No RSA, no secure messaging, no key
//! derivation of PINs, no touch.

mod keys;
mod objects;
mod pins;
mod state;

pub use state::Curves;
pub(crate) use state::{Contents, Place};

use crate::apdu::{Command, Outcome, sw};
use crate::state::State;

/// The application's name, as far as SELECT must give it (4.2.1).
pub(crate) const AID: &[u8] = &[0xD2, 0x76, 0, 1, 0x24, 1];
/// SELECT of an application that was terminated (7.2.1).
const TERMINATED: u16 = 0x6285;

/// What the application knows until power or another SELECT ends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    /// PW1 was verified as 81: for signatures.
    sign: bool,
    /// PW1 was verified as 82: for everything else of the holder.
    user: bool,
    /// PW3 was verified.
    admin: bool,
}

/// The application at work on one command.
pub(crate) struct OpenPgp<'a> {
    pub(crate) own: &'a mut Contents,
    /// The rest of the card: its generator and number.
    pub(crate) state: &'a mut State,
    pub(crate) session: &'a mut Session,
}

/// What SELECT answers: nothing, or that the application was terminated.
pub(crate) fn selected(contents: &Contents) -> Outcome {
    if contents.terminated { Err(TERMINATED) } else { Ok(Vec::new()) }
}

impl OpenPgp<'_> {
    /// Carries out one command.
    pub(crate) fn serve(&mut self, command: &Command<'_>) -> Outcome {
        if self.own.terminated && command.ins != 0x44 {
            return Err(sw::CONDITIONS);
        }
        match command.ins {
            0x20 => self.verify(command),
            0x24 => self.change_reference(command),
            0x2A => self.perform(command),
            0x2C => self.reset_retry_counter(command),
            0x44 => self.activate(),
            0x47 => self.generate(command),
            0x84 => Ok(self.state.random(command.room.min(255))),
            0x88 => self.internal_authenticate(command),
            0xCA => self.get_data(command),
            0xDA => self.put_data(command),
            0xDB => self.import(command),
            0xE6 => self.terminate(),
            _ => Err(sw::NO_INSTRUCTION),
        }
    }

    fn needs(&self, verified: bool) -> Result<(), u16> {
        if verified { Ok(()) } else { Err(sw::NOT_SATISFIED) }
    }

    /// For whoever has PW3, or once nobody can use the card any more (7.2.16).
    fn terminate(&mut self) -> Outcome {
        let blocked = self.own.pw1.left == 0 && self.own.pw3.left == 0;
        self.needs(self.session.admin || blocked)?;
        self.own.terminated = true;
        *self.session = Session::default();
        Ok(Vec::new())
    }

    /// As from the factory, if it was terminated (7.2.17).
    fn activate(&mut self) -> Outcome {
        if self.own.terminated {
            *self.own = Contents::factory(self.own.curves);
            *self.session = Session::default();
        }
        Ok(Vec::new())
    }
}
