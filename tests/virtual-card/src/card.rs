//! The card as a reader sees it: power, applications, chained commands, long responses, and what can go wrong.
//!
//! Bytes in, bytes out. A delay is only told, not waited for: that is the reader's.

use std::path::Path;

use crate::apdu::{Command, Outcome, response, sw};
use crate::openpgp::{self, OpenPgp};
use crate::piv::{self, Piv, Session};
use crate::state::{State, StateError};
use crate::tlv;

/// The answer to reset of a YubiKey 5, by which other people's programs know what the card can do.
pub const ATR: [u8; 23] = [
    0x3B, 0xFD, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, 0x59, 0x75,
    0x62, 0x69, 0x4B, 0x65, 0x79, 0x40,
];

/// The answer to reset of an OpenPGP card: the same wire, its own historical bytes and checksum.
const ATR_OPENPGP: [u8; 20] = [
    0x3B, 0xFA, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x00, 0x31, 0xF5, 0x73, 0xC0, 0x01, 0xC0, 0x05,
    0x90, 0x00, 0x91,
];

/// Bytes that a chain of commands may hold: an object with its tag, and a little.
const CHAIN_MAX: usize = 3072;
/// Yubico's management application, which says what the device is.
const MANAGEMENT_AID: &[u8] = &[0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17];

/// When the card is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull {
    /// As this command comes in: it is not carried out.
    Before(u64),
    /// As this command is answered: it was carried out, and nobody hears.
    After(u64),
}

/// What goes wrong. Commands are counted from 1 since the faults were set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Milliseconds that the reader waits before each answer.
    pub delay_ms: u64,
    /// The card is pulled.
    pub pull: Option<Pull>,
    /// This answer has a bit turned.
    pub tamper: Option<u64>,
    /// Nobody touches the card.
    pub touch_refused: bool,
}

/// What a command led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Data and status word.
    Bytes(Vec<u8>),
    /// The card was pulled.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Application {
    None,
    Piv,
    OpenPgp,
    Management,
}

/// A card in a reader.
pub struct VirtualCard {
    state: State,
    saved: State,
    application: Application,
    session: Session,
    openpgp: openpgp::Session,
    chain: Option<([u8; 3], Vec<u8>)>,
    pending: Vec<u8>,
    faults: Faults,
    commands: u64,
}

impl VirtualCard {
    /// The card with this state, without power.
    #[must_use]
    pub fn new(state: State) -> Self {
        Self {
            saved: state.clone(),
            state,
            application: Application::None,
            session: Session::default(),
            openpgp: openpgp::Session::default(),
            chain: None,
            pending: Vec::new(),
            faults: Faults::default(),
            commands: 0,
        }
    }

    /// What it keeps.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its answer to reset.
    #[must_use]
    pub fn atr(&self) -> &'static [u8] {
        if self.state.openpgp.is_some() { &ATR_OPENPGP } else { &ATR }
    }

    /// Writes what it keeps to a file, if anything changed since the last time.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn save(&mut self, path: &Path) -> Result<(), StateError> {
        if self.saved != self.state {
            self.state.save(path)?;
            self.saved = self.state.clone();
        }
        Ok(())
    }

    /// Sets what goes wrong, and counts commands from here.
    pub fn set_faults(&mut self, faults: Faults) {
        (self.faults, self.commands) = (faults, 0);
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Commands since the faults were set.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.commands
    }

    /// Power on, or a reset: sessions end.
    pub fn reset(&mut self) {
        self.application = Application::None;
        self.session = Session::default();
        self.openpgp = openpgp::Session::default();
        self.chain = None;
        self.pending.clear();
    }

    /// One command.
    pub fn transmit(&mut self, bytes: &[u8]) -> Answer {
        self.commands += 1;
        if self.faults.pull == Some(Pull::Before(self.commands)) {
            self.reset();
            return Answer::Gone;
        }
        let mut answer = self.answer(bytes);
        if self.faults.pull == Some(Pull::After(self.commands)) {
            self.reset();
            return Answer::Gone;
        }
        if self.faults.tamper == Some(self.commands) {
            // In the middle of the data, or in the status word where there are none.
            let at = answer.len().saturating_sub(2) / 2;
            answer[at] ^= 0x01;
        }
        Answer::Bytes(answer)
    }

    fn answer(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(command) = Command::parse(bytes) else { return response(Vec::new(), sw::WRONG_LENGTH) };
        match self.outcome(&command) {
            Ok(data) => {
                self.pending = data;
                self.cut(command.room)
            }
            Err(status) => response(Vec::new(), status),
        }
    }

    /// The next piece of what waits to be fetched.
    fn cut(&mut self, room: usize) -> Vec<u8> {
        let rest = self.pending.split_off(self.pending.len().min(room));
        let piece = std::mem::replace(&mut self.pending, rest);
        match u8::try_from(self.pending.len()) {
            Ok(0) => response(piece, sw::OK),
            Ok(more) => response(piece, sw::MORE | u16::from(more)),
            Err(_) => response(piece, sw::MORE),
        }
    }

    fn outcome(&mut self, command: &Command<'_>) -> Outcome {
        match command.cla {
            0x00 | 0x10 => {}
            0x0C | 0x1C => return Err(sw::NO_SECURE_MESSAGING),
            _ => return Err(sw::NO_CLASS),
        }
        if command.ins == 0xC0 {
            return if self.pending.is_empty() {
                Err(sw::CONDITIONS)
            } else {
                Ok(std::mem::take(&mut self.pending))
            };
        }
        self.pending.clear();
        let head = [command.ins, command.p1, command.p2];
        let mut data = match self.chain.take() {
            Some((begun, data)) if begun == head => data,
            Some(_) => return Err(sw::CHAIN_BROKEN),
            None => Vec::new(),
        };
        data.extend_from_slice(command.data);
        if data.len() > CHAIN_MAX {
            return Err(sw::WRONG_LENGTH);
        }
        if command.cla == 0x10 {
            self.chain = Some((head, data));
            return Ok(Vec::new());
        }
        self.whole(&Command { data: &data, ..*command })
    }

    /// A command with all its data.
    fn whole(&mut self, command: &Command<'_>) -> Outcome {
        match (command.ins, self.application) {
            (0xA4, _) => self.select(command),
            (_, Application::Piv) => {
                let (state, session, faults) = (&mut self.state, &mut self.session, &self.faults);
                Piv { state, session, faults }.serve(command)
            }
            (_, Application::OpenPgp) => self.by_openpgp(command),
            // READ CONFIG of the management application.
            (0x1D, Application::Management) => Ok(self.device()),
            _ => Err(sw::NO_INSTRUCTION),
        }
    }

    fn by_openpgp(&mut self, command: &Command<'_>) -> Outcome {
        let Some(mut own) = self.state.openpgp.take() else { return Err(sw::NO_INSTRUCTION) };
        let outcome =
            OpenPgp { own: &mut own, state: &mut self.state, session: &mut self.openpgp }.serve(command);
        self.state.openpgp = Some(own);
        outcome
    }

    fn select(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 4 {
            return Err(sw::WRONG_PARAMETERS);
        }
        if let Some(contents) = &self.state.openpgp {
            if !command.data.starts_with(openpgp::AID) {
                return Err(sw::NOT_FOUND);
            }
            (self.application, self.openpgp) = (Application::OpenPgp, openpgp::Session::default());
            return openpgp::selected(contents);
        }
        let long = [piv::AID, &[0, 0, 0x10, 0, 1, 0]].concat();
        let (application, answer) = if command.data.starts_with(piv::AID) && long.starts_with(command.data) {
            (Application::Piv, piv::application())
        } else if command.data == MANAGEMENT_AID {
            let crate::state::Firmware(major, minor, patch) = self.state.firmware;
            (
                Application::Management,
                format!("Virtual mgr - FW version {major}.{minor}.{patch}").into_bytes(),
            )
        } else {
            return Err(sw::NOT_FOUND);
        };
        (self.application, self.session) = (application, Session::default());
        Ok(answer)
    }

    /// The configuration of the device: PIV alone, over contacts and over the air.
    fn device(&self) -> Vec<u8> {
        const PIV_ONLY: &[u8] = &[0x00, 0x10];
        let firmware = self.state.firmware;
        let fields = [
            tlv::put(0x01, PIV_ONLY),
            tlv::put(0x02, &self.state.serial().to_be_bytes()),
            tlv::put(0x03, PIV_ONLY),
            tlv::put(0x04, &[1]),
            tlv::put(0x05, &[firmware.0, firmware.1, firmware.2]),
            tlv::put(0x0D, PIV_ONLY),
            tlv::put(0x0E, PIV_ONLY),
        ]
        .concat();
        let count = u8::try_from(fields.len()).expect("a few dozen bytes");
        [&[count], &fields[..]].concat()
    }
}
