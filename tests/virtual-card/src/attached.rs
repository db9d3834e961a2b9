//! A card that another program is: what the reader is told goes to it over a Unix socket, in the messages of vsmartcard.
//!
//! Each message is two bytes of length and that many bytes. One byte is no command: 0 power off, 1 power on, 2 reset, which
//! nothing answers, 4 the answer to reset. Everything else is a command, and is answered. Faults are not played here.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

const POWER_OFF: u8 = 0;
const POWER_ON: u8 = 1;
const RESET: u8 = 2;
const ANSWER_TO_RESET: u8 = 4;

/// How long the program may think: making keys in software without optimisation takes seconds.
const ANSWER: Duration = Duration::from_secs(30);
/// Bytes of an answer to reset (ISO 7816-3).
const ATR_MAX: usize = 33;

/// The reader's end.
pub(crate) struct Attached {
    stream: UnixStream,
    atr: Vec<u8>,
}

impl Attached {
    /// The card of the program that listens there.
    ///
    /// # Errors
    /// If nobody listens, or doesn't answer as a card.
    pub(crate) fn connect(socket: &Path) -> std::io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let mut attached = Self { stream, atr: Vec::new() };
        attached.say(&[ANSWER_TO_RESET])?;
        attached.atr = attached.hear()?;
        if attached.atr.is_empty() || attached.atr.len() > ATR_MAX {
            return Err(std::io::Error::other("it has no answer to reset"));
        }
        Ok(attached)
    }

    pub(crate) fn atr(&self) -> &[u8] {
        &self.atr
    }

    /// Power on or off.
    pub(crate) fn power(&mut self, on: bool) -> std::io::Result<()> {
        if on {
            self.say(&[POWER_ON])?;
            return self.say(&[RESET]);
        }
        self.say(&[POWER_OFF])
    }

    /// One command, which has at least four bytes, and its answer.
    pub(crate) fn transmit(&mut self, command: &[u8]) -> std::io::Result<Vec<u8>> {
        if command.len() < 4 {
            return Ok(crate::apdu::response(Vec::new(), crate::apdu::sw::WRONG_LENGTH));
        }
        self.say(command)?;
        self.hear()
    }

    fn say(&mut self, message: &[u8]) -> std::io::Result<()> {
        let count = u16::try_from(message.len()).map_err(std::io::Error::other)?;
        self.stream.write_all(&[&count.to_be_bytes(), message].concat())
    }

    fn hear(&mut self) -> std::io::Result<Vec<u8>> {
        let mut count = [0; 2];
        self.stream.read_exact(&mut count)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(count))];
        self.stream.read_exact(&mut message)?;
        Ok(message)
    }
}
