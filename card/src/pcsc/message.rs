//! The messages between a client and `pcscd`: `winscard_msg.h` of pcsc-lite, protocol 4:4 to 4:6.
//!
//! Every number is of the machine's byte order, since both ends are on one machine. Structures come back as they were
//! sent, with what the daemon fills in. Reads bytes of another process: nothing here panics or trusts a length.

/// What a message asks for (`enum pcsc_msg_commands`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    EstablishContext = 0x01,
    Connect = 0x04,
    Reconnect = 0x05,
    Disconnect = 0x06,
    BeginTransaction = 0x07,
    EndTransaction = 0x08,
    Transmit = 0x09,
    Control = 0x0A,
    Version = 0x11,
    ReadersState = 0x12,
}

/// Bytes of a reader's name, with the zero that ends it (MAX_READERNAME).
pub(super) const NAME_BYTES: usize = 128;
/// Readers of one daemon (PCSCLITE_MAX_READERS_CONTEXTS).
pub(super) const READERS_MAX: usize = 16;
/// Bytes of READER_STATE: name, counter, state, sharing, ATR of 33 bytes padded to 36, its length, protocol.
const STATE_BYTES: usize = NAME_BYTES + 4 + 4 + 4 + 36 + 4 + 4;
/// Bytes of the answer to [`Command::ReadersState`].
pub(super) const STATES_BYTES: usize = READERS_MAX * STATE_BYTES;

/// Nothing is known of the reader (SCARD_UNKNOWN).
const UNKNOWN: u32 = 0x0001;
/// A card is in (SCARD_PRESENT).
const PRESENT: u32 = 0x0004;

/// A message: its header, then numbers, then bytes.
pub(super) struct Request(Vec<u8>);

impl Request {
    pub(super) fn new(command: Command) -> Self {
        let mut bytes = vec![0; 4];
        bytes.extend((command as u32).to_ne_bytes());
        Self(bytes)
    }

    pub(super) fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_ne_bytes());
        self
    }

    /// A reader's name; what is too long for the field names no reader.
    pub(super) fn name(mut self, name: &str) -> Self {
        let mut field = [0; NAME_BYTES];
        let fits = name.len() < NAME_BYTES;
        if fits {
            field[..name.len()].copy_from_slice(name.as_bytes());
        }
        self.0.extend(field);
        self
    }

    /// The message with the size of its body in front.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let size = u32::try_from(self.0.len() - 8).expect("a message is below a kilobyte");
        self.0[..4].copy_from_slice(&size.to_ne_bytes());
        self.0
    }
}

/// The number at a place of an answer, counted in numbers; none beyond its end.
pub(super) fn number(answer: &[u8], at: usize) -> Option<u32> {
    let bytes = answer.get(4 * at..4 * at + 4)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

/// A reader, as the daemon sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReaderState {
    pub(super) name: String,
    /// One more with each card that comes or goes.
    pub(super) events: u32,
    pub(super) present: bool,
    /// Its driver answers: it wasn't pulled out.
    pub(super) answers: bool,
}

/// Readers out of the answer to [`Command::ReadersState`].
pub(super) fn readers(answer: &[u8]) -> Vec<ReaderState> {
    let states = answer.chunks_exact(STATE_BYTES);
    states.filter_map(reader).collect()
}

fn reader(state: &[u8]) -> Option<ReaderState> {
    let (name, rest) = state.split_at_checked(NAME_BYTES)?;
    let name = name.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    let state = number(rest, 1)?;
    Some(ReaderState {
        name: String::from_utf8_lossy(name).into_owned(),
        events: number(rest, 0)?,
        present: state & PRESENT != 0,
        answers: state & UNKNOWN == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_of_its_body_in_front() {
        let bytes = Request::new(Command::Connect).number(7).name("A").number(2).finish();
        assert_eq!(number(&bytes, 0), Some(4 + 128 + 4), "header apart");
        assert_eq!((number(&bytes, 1), number(&bytes, 2)), (Some(4), Some(7)), "command and first number");
        assert_eq!(&bytes[12..15], b"A\0\0", "the name with its zero");
    }

    #[test]
    fn readers_are_read_and_empty_places_left_out() {
        let mut answer = vec![0; STATES_BYTES];
        answer[STATE_BYTES..STATE_BYTES + 3].copy_from_slice(b"Two");
        answer[STATE_BYTES + 128..STATE_BYTES + 132].copy_from_slice(&9u32.to_ne_bytes());
        answer[STATE_BYTES + 132..STATE_BYTES + 136].copy_from_slice(&0x34u32.to_ne_bytes());
        let two = ReaderState { name: "Two".into(), events: 9, present: true, answers: true };
        assert_eq!(readers(&answer), [two], "one reader, with a card");
        assert!(readers(&answer[..100]).is_empty(), "too short for one");
        assert_eq!(number(&[1, 2, 3], 0), None, "too short for a number");
    }
}
