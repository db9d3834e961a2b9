//! What a reader sends and hears: two bytes of length, then one byte that is no command (0 power off, 1 on, 2 reset, which
//! nothing answers, 4 the answer to reset, which is answered), or a command, which is answered. As vsmartcard has it, on a Unix
//! socket. Puts chained commands together and cuts long answers, which is a card's part and no application's.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use heapless::{Vec, VecView};
use iso7816::command::CommandView;
use iso7816::{Command, Instruction, Status};

/// Bytes of a chained command, and of an answer: what both applications are made for.
const ROOM: usize = 7_609;
/// The answer to reset of a Nitrokey 3, without which PC/SC takes no card.
const ATR: &[u8] = &[
    0x3B, 0x8F, 0x01, 0x80, 0x5D, 0x4E, 0x69, 0x74, 0x72, 0x6F, 0x6B, 0x65, 0x79, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x6A,
];

/// The application on a card.
pub trait Application {
    /// Serves a whole command.
    fn respond(&mut self, command: CommandView<'_>, reply: &mut VecView<u8>) -> Result<(), Status>;
    /// Power went, or the reader reset the card: nobody is verified.
    fn reset(&mut self);
}

/// Serves one reader after the other, for ever.
pub fn serve(listener: &UnixListener, application: &mut dyn Application) -> std::io::Result<()> {
    for stream in listener.incoming() {
        let mut card = Card { application, chain: None, pending: Vec::new(), given: 0 };
        match card.inserted(stream?) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => card.application.reset(),
            ended => ended?,
        }
    }
    Ok(())
}

struct Card<'a> {
    application: &'a mut dyn Application,
    chain: Option<Command<ROOM>>,
    pending: Vec<u8, ROOM>,
    /// How much of it was fetched.
    given: usize,
}

impl Card<'_> {
    /// Until the reader lets go.
    fn inserted(&mut self, mut stream: UnixStream) -> std::io::Result<()> {
        loop {
            let mut count = [0; 2];
            stream.read_exact(&mut count)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(count))];
            stream.read_exact(&mut message)?;
            let answer = match message[..] {
                [0..=2] => {
                    self.reset();
                    continue;
                }
                [4] => ATR.to_vec(),
                _ => self.transmit(&message),
            };
            let count = u16::try_from(answer.len()).map_err(std::io::Error::other)?;
            stream.write_all(&[&count.to_be_bytes(), &answer[..]].concat())?;
        }
    }

    fn reset(&mut self) {
        (self.chain, self.given) = (None, 0);
        self.pending.clear();
        self.application.reset();
    }

    fn transmit(&mut self, message: &[u8]) -> std::vec::Vec<u8> {
        let (data, status) = match self.command(message) {
            Ok(room) => self.cut(room),
            Err(status) => (std::vec::Vec::new(), status),
        };
        [&data[..], &<[u8; 2]>::from(status)].concat()
    }

    /// Takes a command in; how much of the answer the reader takes.
    fn command(&mut self, message: &[u8]) -> Result<usize, Status> {
        let command = Command::<ROOM>::try_from(message).map_err(|_| Status::WrongLength)?;
        if command.instruction() == Instruction::GetResponse {
            return Ok(command.expected());
        }
        self.pending.clear();
        self.given = 0;
        let whole = match self.chain.take() {
            Some(mut begun) => {
                begun.extend_from_command(&command).map_err(|_| Status::WrongLength)?;
                begun
            }
            None => command,
        };
        if !whole.class().chain().last_or_only() {
            self.chain = Some(whole);
            return Ok(0);
        }
        self.application.respond(whole.as_view(), self.pending.as_mut_view())?;
        Ok(whole.expected())
    }

    /// The next piece of what waits.
    fn cut(&mut self, room: usize) -> (std::vec::Vec<u8>, Status) {
        let rest = &self.pending[self.given..];
        let piece = &rest[..room.min(rest.len())];
        self.given += piece.len();
        match rest.len() - piece.len() {
            0 => (piece.to_vec(), Status::Success),
            more => (piece.to_vec(), Status::MoreAvailable(u8::try_from(more).unwrap_or(0))),
        }
    }
}
