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

use super::apdu::{Answer, send, send_by_pad, status};
use super::{Family, LinkError, Transport};
use crate::openpgp::OpenPgp;
use crate::piv::Piv;

/// One card, shared by the handles on it.
pub struct Applet {
    link: Box<dyn Transport>,
    /// What the card that is in was found to be. Where it is both, it is a PIV card.
    family: &'static dyn Family,
    /// The number of the session that holds the card, and how many handles share it.
    session: Option<(u64, usize)>,
    sessions: u64,
}

impl Applet {
    /// The card behind a link; nothing is sent yet.
    #[must_use]
    pub fn new(link: Box<dyn Transport>) -> Self {
        Self { link, family: &Piv, session: None, sessions: 0 }
    }

    /// How the card that was selected is spoken to.
    pub(crate) fn family(&self) -> &'static dyn Family {
        self.family
    }

    /// Whether this session still holds the card.
    pub(crate) fn holds(&self, session: u64) -> bool {
        self.session.is_some_and(|(number, _)| number == session)
    }

    /// Whether a session holds the card.
    pub(crate) fn is_held(&self) -> bool {
        self.session.is_some()
    }

    /// Carries out `work` within the session's transaction, or within one of its own.
    pub(crate) fn run<R>(
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
    pub(crate) fn run_alone<R, E: From<KeyError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<R, E>,
    ) -> Result<R, E> {
        self.close();
        self.open()?;
        let result = work(self);
        self.link.end(true);
        result
    }

    /// Begins a session if `verify` says so, or joins the one that there is.
    pub(crate) fn begin<E: From<KeyError>>(
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
    pub(crate) fn leave(&mut self, session: u64) {
        match &mut self.session {
            Some((number, holders)) if *number == session && *holders > 1 => *holders -= 1,
            Some((number, _)) if *number == session => self.close(),
            _ => {}
        }
    }

    /// Ends the session for all its holders.
    pub(crate) fn close(&mut self) {
        if self.session.take().is_some() {
            self.link.end(true);
        }
    }

    /// A transaction with the card's application selected.
    fn open(&mut self) -> Result<(), KeyError> {
        self.link.begin()?;
        let selected = self.select();
        if selected.is_err() {
            self.link.end(false);
        }
        selected
    }

    /// SELECT of what the card was found to be, or of whatever it is.
    fn select(&mut self) -> Result<(), KeyError> {
        let other: &'static dyn Family =
            if self.family.application() == Piv.application() { &OpenPgp } else { &Piv };
        for family in [self.family, other] {
            if self.send([0xA4, 0x04, 0x00], family.application())?.status == status::OK {
                self.family = family;
                return Ok(());
            }
        }
        Err(KeyError::Unsupported("it is neither a PIV card nor an OpenPGP card"))
    }

    /// The card left: the next one may be another.
    pub(crate) fn removed(&mut self) {
        self.close();
        self.family = &Piv;
    }

    /// One instruction. What the link loses, the session loses.
    pub(crate) fn send(&mut self, head: [u8; 3], data: &[u8]) -> Result<Answer, KeyError> {
        let sent = send(&mut *self.link, head, data);
        self.noted(sent)
    }

    /// One command that the reader's keypad completes.
    pub(crate) fn send_by_pad(&mut self, command: &[u8]) -> Result<Answer, KeyError> {
        let sent = send_by_pad(&mut *self.link, command);
        self.noted(sent)
    }

    /// Whether the reader has a keypad.
    pub(crate) fn has_pad(&mut self) -> Result<bool, KeyError> {
        let has = self.link.has_pad();
        self.noted(has)
    }

    fn noted<T>(&mut self, result: Result<T, LinkError>) -> Result<T, KeyError> {
        result.map_err(|error| {
            let held = self.session.take().is_some();
            if held {
                self.link.end(true);
            }
            self.family = &Piv;
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
