//! One instruction to the card: chained where it is long, its answer put together from pieces.
//!
//! Short commands only (ISO 7816-4): every card and reader takes them.

use hospes_protocol::keys::KeyError;
use zeroize::Zeroizing;

use super::{LinkError, Transport};

/// Data bytes of one short command.
const SHORT_MAX: usize = 255;
/// Bytes of an answer in all: an object of 4,096 bytes with its tags, and a certificate.
const ANSWER_MAX: usize = 8 * 1024;

/// Status words that mean something here (ISO 7816-4, 5.6; SP 800-73-4, part 2, 3; OpenPGP card 3.4, 7.1).
pub(crate) mod status {
    pub(crate) const OK: u16 = 0x9000;
    /// A wrong PIN or PUK, of a card that doesn't say in the same word how many tries are left.
    pub(crate) const WRONG_CODE: u16 = 0x6300;
    /// Of a reader, not of a card (PC/SC part 10, 2.5.2): nobody typed, somebody cancelled.
    pub(crate) const PAD_TIMED_OUT: u16 = 0x6400;
    pub(crate) const PAD_CANCELLED: u16 = 0x6401;
    pub(crate) const WRONG_LENGTH: u16 = 0x6700;
    pub(crate) const NOT_SATISFIED: u16 = 0x6982;
    pub(crate) const BLOCKED: u16 = 0x6983;
    pub(crate) const NOT_FOUND: u16 = 0x6A82;
    pub(crate) const NO_ROOM: u16 = 0x6A84;
    pub(crate) const NO_KEY: u16 = 0x6A88;
}

/// What a card answered: data and a status word.
pub(crate) struct Answer {
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) status: u16,
}

impl Answer {
    /// The data, if the card did what it was told.
    pub(crate) fn done(self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self.status {
            status::OK => Ok(self.data),
            status::NOT_SATISFIED => Err(KeyError::PinNeeded),
            status::BLOCKED => Err(KeyError::PinBlocked),
            status::NO_ROOM | status::WRONG_LENGTH => {
                Err(KeyError::Failed("there is no room left on the card".to_owned()))
            }
            status => Err(unexpected(status)),
        }
    }

    /// Tries left, of an answer to a wrong PIN or PUK.
    pub(crate) fn tries_left(&self) -> Option<u8> {
        let [high, low] = self.status.to_be_bytes();
        (high == 0x63 && low & 0xF0 == 0xC0).then_some(low & 0x0F)
    }
}

/// A status word that nothing explains.
pub(crate) fn unexpected(status: u16) -> KeyError {
    KeyError::Failed(format!("it answered {status:04x}"))
}

/// Sends an instruction with its data, and fetches all of the answer.
pub(crate) fn send(link: &mut dyn Transport, head: [u8; 3], data: &[u8]) -> Result<Answer, LinkError> {
    let pieces = data.chunks(SHORT_MAX).count();
    let mut chunks = data.chunks(SHORT_MAX);
    for chunk in chunks.by_ref().take(pieces.saturating_sub(1)) {
        let answer = one(link, 0x10, head, chunk)?;
        if answer.status != status::OK {
            return Ok(answer);
        }
    }
    let mut answer = one(link, 0x00, head, chunks.next().unwrap_or_default())?;
    while answer.status.to_be_bytes()[0] == 0x61 {
        let more = exchange(link, &[0x00, 0xC0, 0x00, 0x00, 0x00])?;
        if answer.data.len() + more.data.len() > ANSWER_MAX || more.data.is_empty() {
            return Err(LinkError::Failed("its answer has no end".to_owned()));
        }
        answer.data.extend_from_slice(&more.data);
        answer.status = more.status;
    }
    Ok(answer)
}

/// Sends one command whose data the reader's keypad completes.
pub(crate) fn send_by_pad(link: &mut dyn Transport, command: &[u8]) -> Result<Answer, LinkError> {
    let data = link.transmit_by_pad(command)?;
    answer(data)
}

fn one(link: &mut dyn Transport, class: u8, head: [u8; 3], data: &[u8]) -> Result<Answer, LinkError> {
    let mut command = Zeroizing::new(Vec::with_capacity(data.len() + 6));
    command.extend([class, head[0], head[1], head[2]]);
    if let Some(count) = u8::try_from(data.len()).ok().filter(|count| *count > 0) {
        command.push(count);
        command.extend_from_slice(data);
    }
    // Le: as much as there is. VERIFY takes none (ISO 7816-4, 11.5.6), nor does a piece of a chain.
    if class == 0 && head[0] != 0x20 {
        command.push(0);
    }
    exchange(link, &command)
}

fn exchange(link: &mut dyn Transport, command: &[u8]) -> Result<Answer, LinkError> {
    answer(link.transmit(command)?)
}

fn answer(mut data: Zeroizing<Vec<u8>>) -> Result<Answer, LinkError> {
    let (Some(low), Some(high)) = (data.pop(), data.pop()) else { return Err(LinkError::Removed) };
    Ok(Answer { data, status: u16::from_be_bytes([high, low]) })
}
