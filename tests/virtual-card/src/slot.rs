//! One reader: at most one card in it, a PIN pad if wanted, and a control socket by which tests put cards in and pull them.
//!
//! The socket takes one line and gives one back, `ok …` or `error …`. It lies as `control` in the reader's folder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::apdu::response;
use crate::attached::Attached;
use crate::card::{Answer, Faults, Pull, VirtualCard};
use crate::state::State;

/// How long a reader is empty between two cards.
const HAND: Duration = Duration::from_millis(900);

/// What the keypad of the reader does when it is asked for a PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pad {
    /// There is none.
    None,
    /// Somebody types this.
    Typed(String),
    /// Somebody cancels.
    Cancelled,
    /// Nobody comes.
    TimedOut,
}

/// What is in the reader.
enum Body {
    /// A card of ours, and where it is kept.
    Own(Box<VirtualCard>, PathBuf),
    /// Another program's.
    Attached(Attached),
}

impl Body {
    fn atr(&self) -> Vec<u8> {
        match self {
            Self::Own(card, _) => card.atr().to_vec(),
            Self::Attached(card) => card.atr().to_vec(),
        }
    }

    /// False if it is gone.
    fn power(&mut self, on: bool) -> bool {
        match self {
            Self::Own(card, _) => {
                card.reset();
                true
            }
            Self::Attached(card) => card.power(on).is_ok(),
        }
    }

    /// None if it is gone. What a card keeps outlives a pull.
    fn transmit(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Own(card, path) => match (card.transmit(bytes), card.save(path)) {
                (Answer::Bytes(answer), Ok(())) => Some(answer),
                _ => None,
            },
            Self::Attached(card) => card.transmit(bytes).ok(),
        }
    }

    fn delay(&self) -> Duration {
        match self {
            Self::Own(card, _) => Duration::from_millis(card.faults().delay_ms),
            Self::Attached(_) => Duration::ZERO,
        }
    }

    /// Where faults and counts are, which another program's card has not.
    fn own(&mut self) -> Result<&mut VirtualCard, &'static str> {
        match self {
            Self::Own(card, _) => Ok(card),
            Self::Attached(_) => Err("not with a card of another program"),
        }
    }
}

/// A card in the reader.
struct Inserted {
    body: Body,
    powered: bool,
    /// How long it took over commands since the faults were set, its delay included.
    spent: Duration,
}

struct Inside {
    inserted: Option<Inserted>,
    /// When a card last left. `pcscd` looks every 400 ms, and hears that none is in even if one is again: hands are slower.
    left: Option<Instant>,
    /// Set once the reader itself is pulled out.
    unplugged: bool,
    pad: Pad,
}

impl Inside {
    fn put_in(&mut self, body: Body) {
        self.take();
        self.inserted = Some(Inserted { body, powered: false, spent: Duration::ZERO });
    }

    /// The card, if there is one, leaves.
    fn take(&mut self) {
        if self.inserted.take().is_some() {
            self.left = Some(Instant::now());
        }
    }
}

/// A reader.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Inside>>);

/// What the reader says of the card.
pub(crate) enum Exchange {
    /// The answer.
    Answered(Vec<u8>),
    /// No card with power.
    NoCard,
}

impl Slot {
    /// A reader whose folder is `folder`; its control socket listens until the process ends.
    ///
    /// # Errors
    /// If the socket can't be made.
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        let socket = folder.join("control");
        let _first = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let inside = Inside { inserted: None, left: None, unplugged: false, pad: Pad::None };
        let slot = Self(Arc::new(Mutex::new(inside)));
        let served = slot.clone();
        std::thread::Builder::new().name("control".into()).spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever asked and went has nothing to hear.
                let _gone = served.serve(stream);
            }
        })?;
        Ok(slot)
    }

    fn hold(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to reset of the card that is in; nothing without one.
    pub(crate) fn atr(&self) -> Vec<u8> {
        self.hold().inserted.as_ref().map(|inserted| inserted.body.atr()).unwrap_or_default()
    }

    /// Whether a card is in, for whoever looks again and again.
    pub(crate) fn presence(&self) -> bool {
        let inside = self.hold();
        inside.inserted.is_some() && inside.left.is_none_or(|left| left.elapsed() > HAND)
    }

    pub(crate) fn is_unplugged(&self) -> bool {
        self.hold().unplugged
    }

    pub(crate) fn has_pad(&self) -> bool {
        self.hold().pad != Pad::None
    }

    /// Power or a reset; false without a card.
    pub(crate) fn power(&self, on: bool) -> bool {
        let mut inside = self.hold();
        let Some(inserted) = &mut inside.inserted else { return false };
        inserted.powered = on;
        if inserted.body.power(on) {
            return true;
        }
        inside.take();
        false
    }

    /// One command to the card, with the card's delay.
    pub(crate) fn transmit(&self, bytes: &[u8]) -> Exchange {
        let mut inside = self.hold();
        let Some(inserted) = inside.inserted.as_mut().filter(|one| one.powered) else {
            return Exchange::NoCard;
        };
        let begun = Instant::now();
        let delay = inserted.body.delay();
        let Some(answer) = inserted.body.transmit(bytes) else {
            inside.take();
            return Exchange::NoCard;
        };
        drop(inside);
        std::thread::sleep(delay);
        if let Some(inserted) = &mut self.hold().inserted {
            inserted.spent += begun.elapsed();
        }
        Exchange::Answered(answer)
    }

    /// VERIFY with what somebody types; `template` is the command with a place of eight bytes for the PIN.
    pub(crate) fn verify_by_pad(&self, template: &[u8]) -> Exchange {
        let pad = self.hold().pad.clone();
        match pad {
            Pad::Typed(pin) if template.len() == 13 && pin.len() <= 8 => {
                let mut command = template.to_vec();
                command[5..].fill(0xFF);
                command[5..5 + pin.len()].copy_from_slice(pin.as_bytes());
                self.transmit(&command)
            }
            Pad::Cancelled => Exchange::Answered(response(Vec::new(), 0x6401)),
            Pad::TimedOut => Exchange::Answered(response(Vec::new(), 0x6400)),
            Pad::Typed(_) | Pad::None => Exchange::Answered(response(Vec::new(), 0x6B80)),
        }
    }

    fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        let answer = match self.obey(line.trim()) {
            Ok(said) => format!("ok {said}\n"),
            Err(why) => format!("error {why}\n"),
        };
        (&stream).write_all(answer.as_bytes())
    }

    fn obey(&self, line: &str) -> Result<String, String> {
        let mut words = line.split_whitespace();
        let (verb, word) = (words.next().unwrap_or_default(), words.next());
        let mut inside = self.hold();
        match (verb, word) {
            ("insert", Some(path)) => {
                let path = PathBuf::from(path);
                let state = State::load(&path).map_err(|e| e.to_string())?;
                inside.put_in(Body::Own(Box::new(VirtualCard::new(state)), path));
            }
            ("attach", Some(socket)) => {
                let attached = Attached::connect(Path::new(socket)).map_err(|e| e.to_string())?;
                inside.put_in(Body::Attached(attached));
            }
            ("remove", None) => inside.take(),
            ("unplug", None) => {
                inside.take();
                inside.unplugged = true;
            }
            ("plug", None) => inside.unplugged = false,
            ("commands", None) => {
                let inserted = inside.inserted.as_mut().ok_or("no card")?;
                return Ok(inserted.body.own()?.commands().to_string());
            }
            ("spent", None) => {
                let inserted = inside.inserted.as_ref().ok_or("no card")?;
                return Ok(inserted.spent.as_micros().to_string());
            }
            ("pad", Some(what)) => {
                inside.pad = match what {
                    "none" => Pad::None,
                    "cancelled" => Pad::Cancelled,
                    "timed-out" => Pad::TimedOut,
                    pin => Pad::Typed(pin.to_owned()),
                }
            }
            ("faults", _) => {
                let faults = faults(word.into_iter().chain(words))?;
                let inserted = inside.inserted.as_mut().ok_or("no card")?;
                inserted.body.own()?.set_faults(faults);
                inserted.spent = Duration::ZERO;
            }
            _ => return Err(format!("unknown: {line}")),
        }
        Ok(String::new())
    }
}

/// Faults from words such as `delay=100 pull-before=3 pull-after=3 tamper=2 touch=no`.
fn faults<'a>(words: impl Iterator<Item = &'a str>) -> Result<Faults, String> {
    let mut faults = Faults::default();
    for word in words {
        let number = |text: &str| text.parse::<u64>().map_err(|e| format!("{word}: {e}"));
        match word.split_once('=') {
            Some(("delay", ms)) => faults.delay_ms = number(ms)?,
            Some(("pull-before", at)) => faults.pull = Some(Pull::Before(number(at)?)),
            Some(("pull-after", at)) => faults.pull = Some(Pull::After(number(at)?)),
            Some(("tamper", at)) => faults.tamper = Some(number(at)?),
            Some(("touch", "no")) => faults.touch_refused = true,
            _ => return Err(format!("no fault: {word}")),
        }
    }
    Ok(faults)
}

/// Says one line to the reader whose folder this is, and hears what it says.
///
/// # Errors
/// If there is no reader, or it refuses.
pub fn ask(folder: &Path, line: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(folder.join("control"))?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    match answer.trim().split_once(' ').unwrap_or((answer.trim(), "")) {
        ("ok", said) => Ok(said.to_owned()),
        (_, why) => Err(std::io::Error::other(why.to_owned())),
    }
}
