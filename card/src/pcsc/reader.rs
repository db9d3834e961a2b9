//! A PC/SC reader as the node polls it: at most one card, read when it comes in.
//!
//! A poll is one small message to the daemon and touches no card unless one came. The counter of the daemon tells a card
//! that left and came back between two polls.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hospes_protocol::keys::KeyError;

use super::daemon::{Daemon, PcscError};
use super::link::{Link, told};
use super::message::ReaderState;
use crate::card::{Card, CardEvent, Reader};
use crate::info::{CardInfo, CardSerial};
use crate::smart::{Applet, SmartCard, Transport};

/// Where `pcscd` listens, as pcsc-lite is built on Debian.
pub const SOCKET: &str = "/run/pcscd/pcscd.comm";

/// The names of all readers that the daemon has.
///
/// # Errors
/// [`KeyError::Failed`] if there is no daemon.
pub fn reader_names(socket: &Path) -> Result<Vec<String>, KeyError> {
    let listed = Daemon::connect(socket).and_then(|mut daemon| daemon.readers());
    let states = listed.map_err(|error| KeyError::from(told(error)))?;
    Ok(states.into_iter().map(|state| state.name).collect())
}

/// What the last poll found.
#[derive(Clone, PartialEq, Eq)]
enum Known {
    Empty,
    Card(Box<CardInfo>),
    /// Something that could not be read; it is tried again while it stays.
    Unreadable(KeyError),
}

/// One reader.
pub struct PcscReader {
    name: String,
    applet: Arc<Mutex<Applet>>,
    known: Known,
    events: u32,
    /// Whether the card that is known is to be read once more.
    stale: bool,
    keypad: bool,
    probe: Link,
}

impl PcscReader {
    /// The reader of this name behind the daemon at `socket`. Neither must be there yet.
    #[must_use]
    pub fn new(socket: &Path, name: &str) -> Self {
        let link = |socket: &Path| Link::new(PathBuf::from(socket), name.to_owned());
        let transport: Box<dyn Transport> = Box::new(link(socket));
        Self {
            name: name.to_owned(),
            applet: Arc::new(Mutex::new(Applet::new(transport))),
            known: Known::Empty,
            events: 0,
            stale: false,
            keypad: false,
            probe: link(socket),
        }
    }

    fn state(&mut self) -> Result<ReaderState, KeyError> {
        // The daemon may have been restarted since the last time; once more finds it.
        let state = match self.probe.state() {
            Err(PcscError::Lost) => self.probe.state(),
            state => state,
        };
        match state {
            Ok(Some(state)) if state.answers => Ok(state),
            Ok(_) => Err(KeyError::Failed(PcscError::NoReader.to_string())),
            Err(error) => Err(told(error).into()),
        }
    }

    /// A handle on whatever card is in, for making it somebody's.
    #[must_use]
    pub fn handle(&self) -> SmartCard {
        SmartCard::new(self.applet.clone())
    }

    fn read(&self) -> Result<CardInfo, KeyError> {
        self.handle().info()
    }

    /// Forgets the card that was in.
    fn forget(&mut self, events: &mut Vec<CardEvent>) {
        if let Known::Card(info) = std::mem::replace(&mut self.known, Known::Empty) {
            events.push(CardEvent::Removed(info.serial));
        }
        self.handle().removed();
    }

    /// Reads what is in, and says so unless it was said before.
    fn look(&mut self, events: &mut Vec<CardEvent>) {
        let known = match self.read() {
            Ok(info) => {
                // A reader that fails to say so is asked for no PIN.
                self.keypad = self.handle().has_pad().unwrap_or(false);
                events.push(CardEvent::Inserted(Box::new(info.clone())));
                Known::Card(Box::new(info))
            }
            Err(KeyError::Absent | KeyError::Removed) => Known::Empty,
            Err(error) => Known::Unreadable(error),
        };
        if let (Known::Unreadable(error), true) = (&known, known != self.known) {
            events.push(CardEvent::Unreadable { place: self.name.clone(), error: error.clone() });
        }
        self.known = known;
    }

    /// Reads a card anew that stayed in. Never within a session, where nothing may come between PIN and signature.
    fn refresh(&mut self, events: &mut Vec<CardEvent>) {
        if self.handle().is_held() {
            return;
        }
        self.stale = false;
        let (Known::Card(before), Ok(now)) = (&self.known, self.read()) else { return };
        if before.serial != now.serial {
            events.push(CardEvent::Removed(before.serial));
        }
        events.push(CardEvent::Inserted(Box::new(now.clone())));
        self.known = Known::Card(Box::new(now));
    }
}

impl Reader for PcscReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(&mut self) -> Result<Vec<CardEvent>, KeyError> {
        let mut events = Vec::new();
        let state = match self.state() {
            Ok(state) => state,
            Err(error) => {
                self.known = Known::Empty;
                self.handle().removed();
                return Err(error);
            }
        };
        if state.events != self.events || !state.present {
            self.events = state.events;
            self.forget(&mut events);
        }
        match (state.present, &self.known) {
            (true, Known::Card(_)) if self.stale => self.refresh(&mut events),
            (false, _) | (true, Known::Card(_)) => {}
            (true, _) => self.look(&mut events),
        }
        Ok(events)
    }

    fn has_keypad(&self) -> bool {
        self.keypad
    }

    fn look_again(&mut self) {
        self.stale = true;
    }

    fn cards(&mut self) -> Result<Vec<CardInfo>, KeyError> {
        if !self.state()?.present {
            return Ok(Vec::new());
        }
        Ok(self.read().into_iter().collect())
    }

    fn connect(&mut self, serial: &CardSerial) -> Result<Box<dyn Card>, KeyError> {
        let state = self.state()?;
        let mut card = self.handle();
        let found = match &self.known {
            // The card that was read is still in: it needs no reading again, which takes a second on real ones.
            Known::Card(info) if state.present && state.events == self.events => {
                card.know((**info).clone());
                info.serial
            }
            _ if state.present => card.info()?.serial,
            _ => return Err(KeyError::Absent),
        };
        if found == *serial { Ok(Box::new(card)) } else { Err(KeyError::Absent) }
    }
}
