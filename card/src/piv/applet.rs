//! The card behind a link, and the one PIN session that it can have: one transaction from VERIFY to the reset.
//!
//! ```text
//!  free --- a call without PIN: begin, SELECT, …, end ---> free
//!  free --- VERIFY: begin, SELECT, VERIFY ok -----------> held      no other program reaches the card
//!  free --- VERIFY wrong: begin, SELECT, VERIFY, reset --> free
//!  held --- calls of every handle ----------------------> held
//!  held --- the last holder logs out: reset, end -------> free      the card has forgotten the PIN
//!  held --- pulled, reset, deadline, restarted daemon --> free      the session's number is void
//! ```
//!
//! So a verified PIN never serves another program. A program that wants the card meanwhile waits, and is told who has it.

use hospes_protocol::keys::KeyError;

use super::apdu::{Answer, send, send_by_pad};
use super::{LinkError, Transport};

/// The PIV application, as far as SELECT must name it (SP 800-73-4, part 1, 2.2).
const AID: [u8; 5] = [0xA0, 0x00, 0x00, 0x03, 0x08];

/// One card, shared by the handles on it.
pub struct Applet {
    link: Box<dyn Transport>,
    /// The number of the session that holds the card, and how many handles share it.
    session: Option<(u64, usize)>,
    sessions: u64,
}

impl Applet {
    /// The card behind a link; nothing is sent yet.
    #[must_use]
    pub fn new(link: Box<dyn Transport>) -> Self {
        Self { link, session: None, sessions: 0 }
    }

    /// Whether this session still holds the card.
    pub(super) fn holds(&self, session: u64) -> bool {
        self.session.is_some_and(|(number, _)| number == session)
    }

    /// Whether a session holds the card.
    pub(crate) fn is_held(&self) -> bool {
        self.session.is_some()
    }

    /// Carries out `work` within the session's transaction, or within one of its own.
    pub(super) fn run<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, KeyError>,
    ) -> Result<R, KeyError> {
        if self.session.is_some() {
            return work(self);
        }
        self.open()?;
        let result = work(self);
        self.link.end(false);
        result
    }

    /// The same with a card that has forgotten the PIN before and after; ends every session.
    pub(super) fn run_alone<R>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, KeyError>,
    ) -> Result<R, KeyError> {
        self.close();
        self.open()?;
        let result = work(self);
        self.link.end(true);
        result
    }

    /// Begins a session if `verify` says so, or joins the one that there is.
    pub(super) fn begin<E: From<KeyError>>(
        &mut self,
        verify: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<u64, E> {
        if self.session.is_none() {
            self.open()?;
        }
        if let Err(error) = verify(self) {
            // After a wrong PIN the card holds nobody verified; after anything else nothing is sure.
            self.close();
            self.link.end(true);
            return Err(error);
        }
        if let Some((number, holders)) = &mut self.session {
            *holders += 1;
            return Ok(*number);
        }
        self.sessions += 1;
        self.session = Some((self.sessions, 1));
        Ok(self.sessions)
    }

    /// A handle leaves its session; with the last one the card forgets the PIN.
    pub(super) fn leave(&mut self, session: u64) {
        match &mut self.session {
            Some((number, holders)) if *number == session && *holders > 1 => *holders -= 1,
            Some((number, _)) if *number == session => self.close(),
            _ => {}
        }
    }

    /// Ends the session for all its holders.
    pub(super) fn close(&mut self) {
        if self.session.take().is_some() {
            self.link.end(true);
        }
    }

    /// A transaction with the application selected.
    fn open(&mut self) -> Result<(), KeyError> {
        self.link.begin()?;
        let selected = self.send([0xA4, 0x04, 0x00], &AID).and_then(|answer| {
            let known = answer.status == 0x9000;
            if known { Ok(()) } else { Err(KeyError::Unsupported("it is no PIV card")) }
        });
        if selected.is_err() {
            self.link.end(false);
        }
        selected
    }

    /// One instruction. What the link loses, the session loses.
    pub(super) fn send(&mut self, head: [u8; 3], data: &[u8]) -> Result<Answer, KeyError> {
        let sent = send(&mut *self.link, head, data);
        self.noted(sent)
    }

    /// One command that the reader's keypad completes.
    pub(super) fn send_by_pad(&mut self, command: &[u8]) -> Result<Answer, KeyError> {
        let sent = send_by_pad(&mut *self.link, command);
        self.noted(sent)
    }

    /// Whether the reader has a keypad.
    pub(super) fn has_pad(&mut self) -> Result<bool, KeyError> {
        let has = self.link.has_pad();
        self.noted(has)
    }

    fn noted<T>(&mut self, result: Result<T, LinkError>) -> Result<T, KeyError> {
        result.map_err(|error| {
            let held = self.session.take().is_some();
            if held {
                self.link.end(true);
            }
            // A card that answered before and doesn't now was pulled.
            if error == LinkError::Absent { KeyError::Removed } else { error.into() }
        })
    }
}

impl Drop for Applet {
    fn drop(&mut self) {
        self.close();
    }
}
