//! One connection to `pcscd`. Every answer has a deadline; a connection that missed one is over.
//!
//! Closing it makes the daemon end what this client had open, a transaction included: so a call that hangs in a driver
//! costs a connection, not the card. Called by `link` and `reader`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::message::{Command, ReaderState, Request, STATES_BYTES, number, readers};

/// Answers that need no card.
const SOON: Duration = Duration::from_secs(5);
/// A card at work: YubiKeys wait fifteen seconds for a finger, RSA keys take ten to make.
const CARD: Duration = Duration::from_secs(40);
/// Bytes of a card's longest answer (MAX_BUFFER_SIZE_EXTENDED of pcsc-lite).
const ANSWER_MAX: u32 = 4 + 3 + (1 << 16) + 3 + 2;
/// Bytes of a reader's longest answer about itself.
const CONTROL_MAX: u32 = 264;

const MAJOR: u32 = 4;
/// Versions whose messages are as `message` writes them: pcsc-lite 1.9.1 to 2.2, to 2.3, and newer, which serves 4:4.
const MINORS: [u32; 3] = [4, 5, 6];

const SHARED: u32 = 2;
const ANY_PROTOCOL: u32 = 3;
const SCOPE_SYSTEM: u32 = 2;

/// What becomes of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It stays as it is.
    Leave = 0,
    /// It is reset, and forgets that a PIN was verified.
    Reset = 1,
}

/// What the daemon or the connection to it answered instead (`pcsclite.h`, SCARD_*).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PcscError {
    /// The daemon can't be reached.
    #[error("the smart card service does not answer ({0}): is pcscd installed and running?")]
    NoService(String),
    /// It speaks another version.
    #[error(
        "the smart card service speaks version {0}:{1} of its protocol, which this program does not know"
    )]
    Version(u32, u32),
    /// It did not answer in time.
    #[error("the reader did not answer within {0} s: pull the card or the reader out and put it in again")]
    Deadline(u64),
    /// The connection ended.
    #[error("the smart card service was restarted: try again")]
    Lost,
    /// The reader is not there.
    #[error("the reader is not connected")]
    NoReader,
    /// No card is in, or it was pulled, or it no longer answers.
    #[error("no card is in the reader")]
    NoCard,
    /// Another program holds the card.
    #[error("another program uses the card")]
    Busy,
    /// Another program reset the card since.
    #[error("another program reset the card")]
    Reset,
    /// Anything else.
    #[error("the smart card service answered {0:#010x}")]
    Other(u32),
}

fn checked(code: u32) -> Result<(), PcscError> {
    match code {
        0 => Ok(()),
        // E_NO_SMARTCARD, W_UNRESPONSIVE, W_UNPOWERED, W_REMOVED, E_NOT_TRANSACTED, F_COMM_ERROR, E_PROTO_MISMATCH.
        0x8010_000C | 0x8010_0066 | 0x8010_0067 | 0x8010_0069 | 0x8010_0016 | 0x8010_0013 | 0x8010_000F => {
            Err(PcscError::NoCard)
        }
        // E_UNKNOWN_READER, E_READER_UNAVAILABLE, E_NO_READERS_AVAILABLE.
        0x8010_0009 | 0x8010_0017 | 0x8010_002E => Err(PcscError::NoReader),
        // E_SHARING_VIOLATION.
        0x8010_000B => Err(PcscError::Busy),
        // W_RESET_CARD.
        0x8010_0068 => Err(PcscError::Reset),
        // E_INVALID_HANDLE, E_NO_SERVICE, E_SERVICE_STOPPED.
        0x8010_0003 | 0x8010_001D | 0x8010_001E => Err(PcscError::Lost),
        code => Err(PcscError::Other(code)),
    }
}

/// A card that was connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    card: u32,
    protocol: u32,
}

/// A connection.
pub(super) struct Daemon {
    stream: UnixStream,
    context: u32,
}

impl Daemon {
    /// Connects and agrees on a version.
    pub(super) fn connect(socket: &Path) -> Result<Self, PcscError> {
        let mut daemon = Self::open(socket)?;
        let said = daemon.version(MINORS[0])?;
        if let Some((major, minor)) = said {
            // It says what it speaks; ask again as one who speaks that.
            if major != MAJOR || !MINORS.contains(&minor) {
                return Err(PcscError::Version(major, minor));
            }
            daemon = Self::open(socket)?;
            if daemon.version(minor)?.is_some() {
                return Err(PcscError::Version(major, minor));
            }
        }
        let request = Request::new(Command::EstablishContext).number(SCOPE_SYSTEM).number(0).number(0);
        let answer = daemon.ask(&request.finish(), 12, SOON)?;
        checked(number_of(&answer, 2)?)?;
        daemon.context = number_of(&answer, 1)?;
        Ok(daemon)
    }

    fn open(socket: &Path) -> Result<Self, PcscError> {
        let stream = UnixStream::connect(socket).map_err(|e| PcscError::NoService(e.kind().to_string()))?;
        stream.set_write_timeout(Some(SOON)).map_err(|_| PcscError::Lost)?;
        Ok(Self { stream, context: 0 })
    }

    /// None if the daemon takes this version, otherwise its own.
    fn version(&mut self, minor: u32) -> Result<Option<(u32, u32)>, PcscError> {
        let request = Request::new(Command::Version).number(MAJOR).number(minor).number(0);
        let answer = self.ask(&request.finish(), 12, SOON)?;
        let taken = number_of(&answer, 2)? == 0;
        Ok(if taken { None } else { Some((number_of(&answer, 0)?, number_of(&answer, 1)?)) })
    }

    /// All readers, as they are now.
    pub(super) fn readers(&mut self) -> Result<Vec<ReaderState>, PcscError> {
        let answer = self.ask(&Request::new(Command::ReadersState).finish(), STATES_BYTES, SOON)?;
        Ok(readers(&answer))
    }

    /// Connects to the card in a reader, which other programs may use too.
    pub(super) fn card(&mut self, reader: &str) -> Result<Handle, PcscError> {
        let request = Request::new(Command::Connect).number(self.context).name(reader);
        let request = request.number(SHARED).number(ANY_PROTOCOL).number(0).number(0).number(0);
        let answer = self.ask(&request.finish(), 4 + 128 + 20, CARD)?;
        let at = |place: usize| number_of(&answer, 33 + place);
        checked(at(4)?)?;
        Ok(Handle { card: at(2)?, protocol: at(3)? })
    }

    /// Connects again after another program reset the card.
    pub(super) fn reconnect(&mut self, handle: &mut Handle) -> Result<(), PcscError> {
        let request =
            Request::new(Command::Reconnect).number(handle.card).number(SHARED).number(ANY_PROTOCOL);
        let request = request.number(Disposition::Leave as u32).number(0).number(0);
        let answer = self.ask(&request.finish(), 24, CARD)?;
        checked(number_of(&answer, 5)?)?;
        handle.protocol = number_of(&answer, 4)?;
        Ok(())
    }

    /// Begins a transaction: no other program reaches the card until its end. Says Busy at once, not after waiting.
    pub(super) fn begin(&mut self, handle: Handle) -> Result<(), PcscError> {
        let request = Request::new(Command::BeginTransaction).number(handle.card).number(0);
        self.done(request, 1, 2, SOON)
    }

    /// Ends it.
    pub(super) fn end(&mut self, handle: Handle, disposition: Disposition) -> Result<(), PcscError> {
        let request =
            Request::new(Command::EndTransaction).number(handle.card).number(disposition as u32).number(0);
        self.done(request, 2, 3, CARD)
    }

    /// Lets go of the card.
    pub(super) fn disconnect(&mut self, handle: Handle, disposition: Disposition) -> Result<(), PcscError> {
        let request =
            Request::new(Command::Disconnect).number(handle.card).number(disposition as u32).number(0);
        self.done(request, 2, 3, CARD)
    }

    /// One command to the card, and what it answers.
    pub(super) fn transmit(&mut self, handle: Handle, bytes: &[u8]) -> Result<Zeroizing<Vec<u8>>, PcscError> {
        const PCI_BYTES: u32 = 16;
        let count = u32::try_from(bytes.len()).map_err(|_| PcscError::Other(0x8010_0008))?;
        let request =
            Request::new(Command::Transmit).number(handle.card).number(handle.protocol).number(PCI_BYTES);
        let request =
            request.number(count).number(handle.protocol).number(PCI_BYTES).number(ANSWER_MAX).number(0);
        let message = Zeroizing::new([request.finish(), bytes.to_vec()].concat());
        let answer = self.ask(&message, 32, CARD)?;
        checked(number_of(&answer, 7)?)?;
        let count = number_of(&answer, 6)?;
        if count > ANSWER_MAX {
            return Err(PcscError::Lost);
        }
        self.receive(usize::try_from(count).map_err(|_| PcscError::Lost)?, Instant::now() + SOON, SOON)
    }

    /// What is asked of the reader itself, and what it answers.
    pub(super) fn control(
        &mut self,
        handle: Handle,
        code: u32,
        bytes: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PcscError> {
        let count = u32::try_from(bytes.len()).map_err(|_| PcscError::Other(0x8010_0008))?;
        let request = Request::new(Command::Control).number(handle.card).number(code).number(count);
        let request = request.number(CONTROL_MAX).number(0).number(0);
        let message = Zeroizing::new([request.finish(), bytes.to_vec()].concat());
        let answer = self.ask(&message, 24, CARD)?;
        checked(number_of(&answer, 5)?)?;
        let count = number_of(&answer, 4)?;
        if count > CONTROL_MAX {
            return Err(PcscError::Lost);
        }
        self.receive(usize::try_from(count).map_err(|_| PcscError::Lost)?, Instant::now() + SOON, SOON)
    }

    /// Sends what is answered by itself with a code at the place `at` of so many numbers.
    fn done(
        &mut self,
        request: Request,
        at: usize,
        numbers: usize,
        within: Duration,
    ) -> Result<(), PcscError> {
        let answer = self.ask(&request.finish(), 4 * numbers, within)?;
        checked(number_of(&answer, at)?)
    }

    fn ask(
        &mut self,
        request: &[u8],
        answer: usize,
        within: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, PcscError> {
        self.stream.write_all(request).map_err(|_| PcscError::Lost)?;
        self.receive(answer, Instant::now() + within, within)
    }

    fn receive(
        &mut self,
        count: usize,
        until: Instant,
        within: Duration,
    ) -> Result<Zeroizing<Vec<u8>>, PcscError> {
        let mut bytes = Zeroizing::new(vec![0; count]);
        let mut have = 0;
        while have < count {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(PcscError::Deadline(within.as_secs()));
            }
            self.stream.set_read_timeout(Some(left)).map_err(|_| PcscError::Lost)?;
            match self.stream.read(&mut bytes[have..]) {
                Ok(0) => return Err(PcscError::Lost),
                Ok(more) => have += more,
                Err(e)
                    if matches!(
                        e.kind(),
                        std::io::ErrorKind::Interrupted | std::io::ErrorKind::WouldBlock
                    ) => {}
                Err(_) => return Err(PcscError::Lost),
            }
        }
        Ok(bytes)
    }
}

fn number_of(answer: &[u8], at: usize) -> Result<u32, PcscError> {
    number(answer, at).ok_or(PcscError::Lost)
}
