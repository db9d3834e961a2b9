//! The readers of a demo's node, and the hand that puts cards into them.
//!
//! A folder is a reader for any number of soft cards: putting one in moves its file, so it is in one place. A PC/SC reader
//! takes one card, so a node has two of them, and the first node three; the card that was used longest ago makes room. The hand is a program, called
//! as `HAND insert READER HOLDER` and `HAND remove READER HOLDER`: a person who is asked to, or a reader that is told.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use super::failed::Failed;

/// PC/SC readers of a node: for two people at one desk.
pub(crate) const READERS_PER_NODE: usize = 2;
/// PC/SC readers of the first node: where a lost card is replaced, two organizations' cards and the new one are in.
pub(crate) const READERS_AT_HOME: usize = 3;

/// Where a node of the demo has its cards.
#[derive(Clone)]
pub(crate) enum Desk {
    /// A folder of soft cards.
    Folder(PathBuf),
    /// Readers of the smart card service.
    Pcsc {
        /// Their names.
        readers: Vec<String>,
        /// Who puts cards into them.
        hand: Rc<Hand>,
    },
}

impl Desk {
    /// Who puts cards in, where it isn't this program.
    pub(crate) fn hand(&self) -> Option<&Hand> {
        match self {
            Self::Folder(_) => None,
            Self::Pcsc { hand, .. } => Some(hand),
        }
    }

    /// Tells a command of this node where its cards are.
    pub(crate) fn configure(&self, command: &mut Command) {
        match self {
            Self::Folder(folder) => command.env("HOSPES_CARD_READERS", folder),
            Self::Pcsc { readers, hand } => {
                let places: Vec<String> = readers.iter().map(|name| format!("pcsc:{name}")).collect();
                command.env("HOSPES_CARD_READERS", places.join(",")).env("HOSPES_CARD_PCSCD", &hand.pcscd)
            }
        };
    }
}

/// What the hand does: `insert` or `remove`, a reader, whose card.
type Move = (&'static str, String, String);

/// Which card is in which reader.
#[derive(Default)]
struct Held(Vec<(String, String)>);

impl Held {
    /// Has the card of `holder` in one of these readers, wherever it was: in which, and what is to be done for it.
    fn put(&mut self, readers: &[String], holder: &str) -> Option<(String, Vec<Move>)> {
        let mut moves = Vec::new();
        let mut taken_out = |(reader, who): (String, String)| moves.push(("remove", reader, who));
        // The one that was used longest ago stands first.
        if let Some(at) = self.0.iter().position(|(_, who)| who == holder) {
            let place = self.0.remove(at);
            if readers.contains(&place.0) {
                self.0.push(place.clone());
                return Some((place.0, moves));
            }
            taken_out(place);
        }
        let is_free = |reader: &&String| !self.0.iter().any(|(taken, _)| taken == *reader);
        let reader = match readers.iter().find(is_free) {
            Some(reader) => reader.clone(),
            None => {
                let at = self.0.iter().position(|(reader, _)| readers.contains(reader))?;
                let place = self.0.remove(at);
                taken_out(place.clone());
                place.0
            }
        };
        moves.push(("insert", reader.clone(), holder.to_owned()));
        self.0.push((reader.clone(), holder.to_owned()));
        Some((reader, moves))
    }
}

/// Puts cards into PC/SC readers, and knows which is where.
pub(crate) struct Hand {
    program: PathBuf,
    pcscd: PathBuf,
    held: RefCell<Held>,
    spent: Cell<Duration>,
}

impl Hand {
    /// A hand that does as `program` does; `pcscd` is the socket of the smart card service.
    pub(crate) fn new(program: PathBuf, pcscd: PathBuf) -> Self {
        Self { program, pcscd, held: RefCell::default(), spent: Cell::default() }
    }

    /// The socket of the smart card service.
    pub(crate) fn pcscd(&self) -> &Path {
        &self.pcscd
    }

    /// How long cards were on their way until now, from the first move until the node had noticed.
    pub(crate) fn spent(&self) -> Duration {
        self.spent.get()
    }

    /// Counts a way.
    pub(crate) fn spend(&self, way: Duration) {
        self.spent.set(self.spent.get() + way);
    }

    /// Has the card of `holder` in one of these readers, wherever it was; says in which, and whether it moved.
    ///
    /// # Errors
    /// [`Failed::Wrong`] with what the program says.
    pub(crate) fn put(&self, readers: &[String], holder: &str) -> Result<(String, bool), Failed> {
        let put = self.held.borrow_mut().put(readers, holder);
        let (reader, moves) = put.ok_or_else(|| Failed::wrong("a node without a reader"))?;
        moves.iter().try_for_each(|made| self.act(made))?;
        Ok((reader, !moves.is_empty()))
    }

    fn act(&self, (act, reader, holder): &Move) -> Result<(), Failed> {
        let mut command = Command::new(&self.program);
        let output = command.args([act, reader.as_str(), holder.as_str()]).stdin(Stdio::inherit()).output();
        let output = output.map_err(|e| Failed::Wrong(format!("{}: {e}", self.program.display())))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failed::Wrong(format!("{} {act} {reader} {holder}: {}", self.program.display(), said.trim())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_in_one_reader_and_the_one_used_longest_ago_makes_room() {
        let mut held = Held::default();
        let (north, south) = (["n1", "n2"].map(str::to_owned), ["s1", "s2"].map(str::to_owned));
        for (readers, holder, reader, moves) in [
            (&north, "ada", "n1", &["insert n1 ada"][..]),
            (&north, "ben", "n2", &["insert n2 ben"]),
            (&north, "ada", "n1", &[]),
            (&north, "cleo", "n2", &["remove n2 ben", "insert n2 cleo"]),
            (&south, "ada", "s1", &["remove n1 ada", "insert s1 ada"]),
        ] {
            let (put, made) = held.put(readers, holder).unwrap();
            let made: Vec<_> =
                made.into_iter().map(|(act, reader, who)| format!("{act} {reader} {who}")).collect();
            assert_eq!(
                (put.as_str(), made),
                (reader, moves.iter().map(|m| (*m).to_owned()).collect()),
                "{holder}'s card"
            );
        }
        assert!(held.put(&[], "ada").is_none(), "a node without a reader takes none");
    }

    #[test]
    fn what_the_hand_could_not_do_is_said() {
        let put =
            |program: &str| Hand::new(PathBuf::from(program), PathBuf::new()).put(&["r".to_owned()], "ada");
        assert!(matches!(put("/bin/false"), Err(Failed::Wrong(_))), "it refused");
        assert_eq!(put("/bin/true"), Ok(("r".to_owned(), true)), "it did it");
    }
}
