//! One card in one reader as a [`Transport`]: connected on demand, found again after a reset or a restarted daemon.
//!
//! Knows nothing of what the card can do. A reader and all handles on its card share one link, so they never wait for
//! each other's transaction.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::daemon::{Daemon, Disposition, Handle, PcscError};
use super::message::ReaderState;
use super::pad;
use crate::smart::{LinkError, Transport};

/// How long a card that another program holds is waited for.
const BUSY: Duration = Duration::from_secs(3);
/// Between two tries.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// Programs that are known to hold cards, by the name that Linux gives their processes.
const HOLDERS: [(&str, &str); 4] = [
    ("scdaemon", "GnuPG (scdaemon): end it by gpgconf --kill scdaemon"),
    ("yubikey-agent", "yubikey-agent: stop it while this program uses the card"),
    ("ykman", "YubiKey Manager: close it"),
    ("firefox", "Firefox: close it, or take the card's module out of its security devices"),
];

/// A card in a reader.
pub(super) struct Link {
    socket: PathBuf,
    reader: String,
    daemon: Option<Daemon>,
    card: Option<Handle>,
    in_transaction: bool,
}

impl Link {
    pub(super) fn new(socket: PathBuf, reader: String) -> Self {
        Self { socket, reader, daemon: None, card: None, in_transaction: false }
    }

    /// What the daemon says of this reader; none if it has none of this name.
    pub(super) fn state(&mut self) -> Result<Option<ReaderState>, PcscError> {
        let listed = self.daemon()?.readers();
        let readers = self.noted(listed)?;
        Ok(readers.into_iter().find(|state| state.name == self.reader))
    }

    fn daemon(&mut self) -> Result<&mut Daemon, PcscError> {
        if self.daemon.is_none() {
            self.forget();
            self.daemon = Some(Daemon::connect(&self.socket)?);
        }
        self.daemon.as_mut().ok_or(PcscError::Lost)
    }

    fn forget(&mut self) {
        (self.card, self.in_transaction) = (None, false);
    }

    /// Draws the consequences of an error: a lost connection is closed, a lost card let go.
    fn noted<T>(&mut self, result: Result<T, PcscError>) -> Result<T, PcscError> {
        match &result {
            Ok(_) | Err(PcscError::Busy | PcscError::Reset) => {}
            Err(PcscError::NoCard | PcscError::NoReader) => {
                if let (Some(daemon), Some(card)) = (self.daemon.as_mut(), self.card) {
                    // A card that is gone can't be left in any state.
                    let _gone = daemon.disconnect(card, Disposition::Reset);
                }
                self.forget();
            }
            Err(_) => {
                self.daemon = None;
                self.forget();
            }
        }
        result
    }

    fn try_begin(&mut self) -> Result<(), PcscError> {
        let mut card = match self.card {
            Some(card) => card,
            None => {
                let reader = self.reader.clone();
                self.daemon()?.card(&reader)?
            }
        };
        self.card = Some(card);
        match self.daemon()?.begin(card) {
            Err(PcscError::Reset) => {
                self.daemon()?.reconnect(&mut card)?;
                self.card = Some(card);
                self.daemon()?.begin(card)
            }
            begun => begun,
        }
    }
}

impl Transport for Link {
    fn begin(&mut self) -> Result<(), LinkError> {
        let until = Instant::now() + BUSY;
        let mut found_again = false;
        loop {
            let begun = self.try_begin();
            match self.noted(begun) {
                Ok(()) => {
                    self.in_transaction = true;
                    return Ok(());
                }
                Err(PcscError::Busy) if Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
                // A daemon that was restarted is found once; what was open there is gone.
                Err(PcscError::Lost) if !found_again => found_again = true,
                Err(error) => return Err(told(error)),
            }
        }
    }

    fn end(&mut self, reset: bool) {
        if !std::mem::take(&mut self.in_transaction) {
            return;
        }
        let disposition = if reset { Disposition::Reset } else { Disposition::Leave };
        if let (Some(daemon), Some(card)) = (self.daemon.as_mut(), self.card) {
            let ended = daemon.end(card, disposition);
            if self.noted(ended).is_err() {
                // Whatever is still open there ends with the connection.
                self.daemon = None;
                self.forget();
            }
        }
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        let (daemon, card) = self.held()?;
        let answer = daemon.transmit(card, command);
        self.answered(answer)
    }

    fn has_pad(&mut self) -> Result<bool, LinkError> {
        Ok(self.pad_code()?.is_some())
    }

    fn transmit_by_pad(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        let asked = pad::verify(command);
        let (Some(code), Some(asked)) = (self.pad_code()?, asked) else {
            return Err(LinkError::Failed("the reader has no keypad".to_owned()));
        };
        let (daemon, card) = self.held()?;
        let answer = daemon.control(card, code, &asked);
        self.answered(answer)
    }
}

impl Link {
    /// The card, while a transaction holds it.
    fn held(&mut self) -> Result<(&mut Daemon, Handle), LinkError> {
        match (self.daemon.as_mut(), self.card, self.in_transaction) {
            (Some(daemon), Some(card), true) => Ok((daemon, card)),
            _ => Err(LinkError::Removed),
        }
    }

    /// The control code of the reader's keypad, if it has one. A reader that doesn't know the question has none.
    fn pad_code(&mut self) -> Result<Option<u32>, LinkError> {
        let (daemon, card) = self.held()?;
        match daemon.control(card, pad::GET_FEATURES, &[]) {
            Ok(features) => Ok(pad::verify_code(&features)),
            Err(PcscError::Other(_)) => Ok(None),
            lost => self.answered(lost).map(|_| None),
        }
    }

    fn answered(
        &mut self,
        answer: Result<Zeroizing<Vec<u8>>, PcscError>,
    ) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        match self.noted(answer) {
            // Some readers answer with nothing when the card is pulled under them.
            Ok(answer) if answer.len() < 2 => {
                self.forget();
                Err(LinkError::Removed)
            }
            Ok(answer) => Ok(answer),
            Err(PcscError::NoCard | PcscError::NoReader | PcscError::Reset) => Err(LinkError::Removed),
            Err(error) => Err(told(error)),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.end(true);
    }
}

/// An error for people.
pub(super) fn told(error: PcscError) -> LinkError {
    match error {
        PcscError::NoCard | PcscError::NoReader => LinkError::Absent,
        PcscError::Busy => LinkError::Busy(holder()),
        error => LinkError::Failed(error.to_string()),
    }
}

/// Who probably holds the card: a program that runs and is known to.
fn holder() -> &'static str {
    let running = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = running.filter_map(|process| std::fs::read_to_string(process.path().join("comm")).ok());
    let known = |name: String| HOLDERS.iter().find(|(known, _)| name.trim() == *known);
    let mut found = names.filter_map(known);
    found.next().map_or("close other programs that use the card", |(_, hint)| hint)
}
