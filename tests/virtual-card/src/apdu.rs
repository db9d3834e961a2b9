//! Commands and responses of ISO 7816-4, short and extended. Does no chaining: that is the card's.

/// Status words (ISO 7816-4, 5.6; SP 800-73-4, part 2, 3).
pub mod sw {
    /// Done.
    pub const OK: u16 = 0x9000;
    /// Wrong length.
    pub const WRONG_LENGTH: u16 = 0x6700;
    /// Secure messaging is not supported.
    pub const NO_SECURE_MESSAGING: u16 = 0x6882;
    /// The last command of a chain was expected.
    pub const CHAIN_BROKEN: u16 = 0x6883;
    /// PIN, management key or touch is missing.
    pub const NOT_SATISFIED: u16 = 0x6982;
    /// The PIN, or the PUK, is blocked.
    pub const BLOCKED: u16 = 0x6983;
    /// Not in this state.
    pub const CONDITIONS: u16 = 0x6985;
    /// The data of the command are not of its form.
    pub const WRONG_DATA: u16 = 0x6A80;
    /// The function is not supported.
    pub const NOT_SUPPORTED: u16 = 0x6A81;
    /// There is no such object.
    pub const NOT_FOUND: u16 = 0x6A82;
    /// There is no room for it.
    pub const NO_ROOM: u16 = 0x6A84;
    /// P1 or P2 is wrong.
    pub const WRONG_PARAMETERS: u16 = 0x6A86;
    /// There is no key with this reference.
    pub const NO_KEY: u16 = 0x6A88;
    /// There is no such instruction.
    pub const NO_INSTRUCTION: u16 = 0x6D00;
    /// There is no such class.
    pub const NO_CLASS: u16 = 0x6E00;
    /// Wrong PIN or PUK; the last digit is the tries left.
    pub const WRONG_PIN: u16 = 0x63C0;
    /// More of the response waits; the last byte says how much.
    pub const MORE: u16 = 0x6100;
}

/// Bytes that a short response holds.
pub const SHORT_MAX: usize = 256;

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Class: 0x10 says that more of the same command follows.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// Data.
    pub data: &'a [u8],
    /// Bytes of response that the caller takes; without Le as many as a short response holds.
    pub room: usize,
}

impl<'a> Command<'a> {
    /// Reads one command; none if its lengths don't fit together.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let [cla, ins, p1, p2, rest @ ..] = bytes else { return None };
        let (data, room) = body(rest)?;
        Some(Self { cla: *cla, ins: *ins, p1: *p1, p2: *p2, data, room })
    }
}

/// Data and room of what follows the four bytes of the header.
fn body(rest: &[u8]) -> Option<(&[u8], usize)> {
    let short = |le: u8| if le == 0 { SHORT_MAX } else { usize::from(le) };
    let long = |le: [u8; 2]| if le == [0, 0] { 65_536 } else { usize::from(u16::from_be_bytes(le)) };
    match rest {
        [] => Some((&[], SHORT_MAX)),
        [le] => Some((&[], short(*le))),
        [0, high, low] => Some((&[], long([*high, *low]))),
        [0, _] => None,
        [0, high, low, tail @ ..] => {
            let count = usize::from(u16::from_be_bytes([*high, *low]));
            match tail.split_at_checked(count)? {
                (data, []) => Some((data, SHORT_MAX)),
                (data, [high, low]) => Some((data, long([*high, *low]))),
                _ => None,
            }
        }
        [count, tail @ ..] => match tail.split_at_checked(usize::from(*count))? {
            (data, []) => Some((data, SHORT_MAX)),
            (data, [le]) => Some((data, short(*le))),
            _ => None,
        },
    }
}

/// What an instruction answers: data, or a status word other than 9000.
pub type Outcome = Result<Vec<u8>, u16>;

/// Data followed by a status word.
#[must_use]
pub fn response(mut data: Vec<u8>, status: u16) -> Vec<u8> {
    data.extend_from_slice(&status.to_be_bytes());
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_iso_7816_reads() {
        for (bytes, data, room) in [
            (&[0, 1, 2, 3][..], &[][..], 256),
            (&[0, 1, 2, 3, 0], &[], 256),
            (&[0, 1, 2, 3, 7], &[], 7),
            (&[0, 1, 2, 3, 2, 8, 9], &[8, 9], 256),
            (&[0, 1, 2, 3, 2, 8, 9, 5], &[8, 9], 5),
            (&[0, 1, 2, 3, 0, 1, 0], &[], 256),
            (&[0, 1, 2, 3, 0, 0, 2, 8, 9], &[8, 9], 256),
            (&[0, 1, 2, 3, 0, 0, 2, 8, 9, 0, 0], &[8, 9], 65_536),
        ] {
            let command = Command::parse(bytes).unwrap();
            assert_eq!((command.data, command.room), (data, room), "{bytes:02x?}");
        }
        for bytes in [&[0, 1, 2][..], &[0, 1, 2, 3, 2, 8], &[0, 1, 2, 3, 0, 0], &[0, 1, 2, 3, 1, 8, 9, 9]] {
            assert_eq!(Command::parse(bytes), None, "{bytes:02x?}");
        }
    }
}
