//! Card readers: one thread for each polls it five times a second, and events say what came and went.
//!
//! A call to a card blocks, so callers run it on a blocking thread. Nothing here knows what cards are for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hospes_card::pcsc::PcscReader;
use hospes_card::soft::SoftReader;
use hospes_card::{Card, CardEvent, CardInfo, CardSerial, Reader};
use hospes_protocol::keys::KeyError;
use tokio::sync::broadcast;

use crate::config::place::ReaderPlace;

/// How often a reader is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Events that a slow watcher may be behind before it misses some; it then looks at what is in.
const WATCHED_MAX: usize = 256;

/// What a reader saw. A card may leave and come back between two polls; then it says both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CardChange {
    /// A card is in.
    Inserted,
    /// This card has left.
    Removed(CardSerial),
}

/// A reader, for people.
#[derive(Clone, Debug)]
pub(crate) struct ReaderInfo {
    /// Its name.
    pub(crate) name: String,
    /// Cards that are in.
    pub(crate) cards: usize,
    /// Whether a PIN can be typed on it.
    pub(crate) keypad: bool,
    /// What is wrong with it, or with something in it.
    pub(crate) trouble: Option<String>,
}

#[derive(Default)]
struct Seen {
    cards: BTreeMap<CardSerial, CardInfo>,
    keypad: bool,
    trouble: Option<String>,
}

struct Place {
    name: String,
    reader: Mutex<Box<dyn Reader>>,
    seen: Mutex<Seen>,
    bus: Bus,
}

/// Held while a card works or its reader is polled, as a real reader serves one command at a time. A poll that read
/// a card's file just before another handle wrote it would take the bytes for an old copy, and the card for gone.
pub(super) type Bus = Arc<Mutex<()>>;

struct Inner {
    places: Vec<Place>,
    changes: broadcast::Sender<CardChange>,
}

/// All readers of this node.
#[derive(Clone)]
pub(crate) struct Readers(Arc<Inner>);

/// Readers that somebody else keeps.
pub(super) struct WeakReaders(Weak<Inner>);

impl WeakReaders {
    /// The readers, while somebody keeps them.
    pub(super) fn upgrade(&self) -> Option<Readers> {
        self.0.upgrade().map(Readers)
    }
}

/// A lock that a panicking thread left is taken all the same: what is behind it is replaced as a whole.
pub(super) fn hold<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Readers {
    /// The readers of the configuration. A PC/SC reader need not be there yet, nor the service at `pcscd`.
    ///
    /// # Errors
    /// [`KeyError::Failed`] for a folder that is not there.
    pub(crate) fn open(places: &[ReaderPlace], pcscd: &Path) -> Result<Self, KeyError> {
        let open = |place: &ReaderPlace| -> Result<Box<dyn Reader>, KeyError> {
            Ok(match place {
                ReaderPlace::Folder(folder) => Box::new(SoftReader::open(folder)?),
                ReaderPlace::Pcsc(name) => Box::new(PcscReader::new(pcscd, name)),
            })
        };
        Self::start(places.iter().map(open).collect::<Result<_, _>>()?)
    }

    /// Folders of soft cards as readers.
    ///
    /// # Errors
    /// [`KeyError::Failed`] for a folder that is not there.
    #[cfg(test)]
    pub(crate) fn of_folders<P: AsRef<Path>>(folders: &[P]) -> Result<Self, KeyError> {
        let open = |folder: &P| {
            SoftReader::open(folder.as_ref()).map(|reader| -> Box<dyn Reader> { Box::new(reader) })
        };
        Self::start(folders.iter().map(open).collect::<Result<_, _>>()?)
    }

    /// Polls each of these readers once, then each on its own thread until nobody holds this value.
    fn start(readers: Vec<Box<dyn Reader>>) -> Result<Self, KeyError> {
        let place = |reader: Box<dyn Reader>| Place {
            name: reader.name().to_owned(),
            reader: Mutex::new(reader),
            seen: Mutex::default(),
            bus: Bus::default(),
        };
        let places = readers.into_iter().map(place).collect();
        let inner = Arc::new(Inner { places, changes: broadcast::channel(WATCHED_MAX).0 });
        for (at, place) in inner.places.iter().enumerate() {
            place.poll(&inner.changes);
            let weak = Arc::downgrade(&inner);
            let spawned = std::thread::Builder::new().name("reader".into()).spawn(move || watch(&weak, at));
            spawned.map_err(|e| KeyError::Failed(format!("no thread for the reader: {e}")))?;
        }
        Ok(Self(inner))
    }

    /// The same readers, without keeping them.
    pub(super) fn downgrade(&self) -> WeakReaders {
        WeakReaders(Arc::downgrade(&self.0))
    }

    /// What comes and goes from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<CardChange> {
        self.0.changes.subscribe()
    }

    /// The readers.
    pub(crate) fn list(&self) -> Vec<ReaderInfo> {
        let one = |place: &Place| {
            let seen = hold(&place.seen);
            ReaderInfo {
                name: place.name.clone(),
                cards: seen.cards.len(),
                keypad: seen.keypad,
                trouble: seen.trouble.clone(),
            }
        };
        self.0.places.iter().map(one).collect()
    }

    /// The cards that are in, each with its reader's name.
    pub(crate) fn cards(&self) -> Vec<(String, CardInfo)> {
        let of = |place: &Place| {
            let seen = hold(&place.seen);
            seen.cards.values().map(|card| (place.name.clone(), card.clone())).collect::<Vec<_>>()
        };
        self.0.places.iter().flat_map(of).collect()
    }

    /// A card that is in, with its reader's name, as of the last poll.
    pub(crate) fn card(&self, serial: &CardSerial) -> Option<(String, CardInfo)> {
        self.cards().into_iter().find(|(_, card)| card.serial == *serial)
    }

    /// Whether the reader that a card is in has a keypad.
    pub(super) fn has_keypad(&self, serial: &CardSerial) -> bool {
        let here = |place: &Place| {
            let seen = hold(&place.seen);
            seen.keypad && seen.cards.contains_key(serial)
        };
        self.0.places.iter().any(here)
    }

    /// What is held while a card works.
    ///
    /// # Errors
    /// [`KeyError::Absent`] if no reader has it, as of the last poll.
    pub(super) fn bus(&self, serial: &CardSerial) -> Result<Bus, KeyError> {
        let mut places = self.0.places.iter();
        let place = places.find(|place| hold(&place.seen).cards.contains_key(serial));
        place.map(|place| place.bus.clone()).ok_or(KeyError::Absent)
    }

    /// A handle on a card, without PIN. Blocks.
    ///
    /// # Errors
    /// [`KeyError::Absent`] if no reader has it.
    pub(crate) fn connect(&self, serial: &CardSerial) -> Result<Box<dyn Card>, KeyError> {
        for place in &self.0.places {
            match hold(&place.reader).connect(serial) {
                Err(KeyError::Absent) => {}
                connected => return connected,
            }
        }
        Err(KeyError::Absent)
    }

    /// Reads again what a card says of itself, such as its tries left after a wrong PIN. Blocks.
    pub(crate) fn look_again(&self, serial: &CardSerial) -> Option<CardInfo> {
        let info = self.connect(serial).and_then(|mut card| card.info()).ok()?;
        for place in &self.0.places {
            if let Some(known) = hold(&place.seen).cards.get_mut(serial) {
                known.clone_from(&info);
            }
        }
        Some(info)
    }

    /// Reads the cards in all readers anew. Blocks.
    pub(super) fn look_anew(&self) {
        for place in &self.0.places {
            hold(&place.reader).look_again();
            place.poll(&self.0.changes);
        }
    }

    /// Looks at every reader now. Blocks.
    #[cfg(test)]
    pub(crate) fn poll(&self) {
        self.0.places.iter().for_each(|place| place.poll(&self.0.changes));
    }
}

fn watch(inner: &Weak<Inner>, at: usize) {
    loop {
        std::thread::sleep(POLL);
        let Some(inner) = inner.upgrade() else { return };
        inner.places[at].poll(&inner.changes);
    }
}

impl Place {
    fn poll(&self, changes: &broadcast::Sender<CardChange>) {
        let free = hold(&self.bus);
        let mut reader = hold(&self.reader);
        let polled = reader.poll();
        let mut seen = hold(&self.seen);
        seen.keypad = reader.has_keypad();
        let mut happened = Vec::new();
        match polled {
            Ok(events) => {
                if !events.is_empty() {
                    seen.trouble = None;
                }
                events.into_iter().for_each(|event| seen.take(event, &mut happened));
            }
            Err(error) => {
                // A reader that is gone has no cards in it.
                happened.extend(std::mem::take(&mut seen.cards).into_keys().map(CardChange::Removed));
                seen.trouble = Some(error.to_string());
            }
        }
        drop(seen);
        drop(reader);
        drop(free);
        for change in happened {
            // Nobody may be watching.
            let _unwatched = changes.send(change);
        }
    }
}

impl Seen {
    fn take(&mut self, event: CardEvent, happened: &mut Vec<CardChange>) {
        match event {
            CardEvent::Inserted(info) => {
                happened.push(CardChange::Inserted);
                self.cards.insert(info.serial, *info);
            }
            CardEvent::Removed(serial) => {
                self.cards.remove(&serial);
                happened.push(CardChange::Removed(serial));
            }
            CardEvent::Unreadable { place, error } => self.trouble = Some(format!("{place}: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hospes_card::soft::{PinCost, SoftCardSpec};
    use hospes_card::{HolderKind, Pin, Puk};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn a_card_that_comes_and_goes_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::of_folders(&[folder.path()]).unwrap();
        let spec =
            SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(HolderKind::Patient) };
        let (pin, puk) = (Pin::new("271828").unwrap(), Puk::new("31415926").unwrap());
        let path = folder.path().join("ada.card");
        let card = spec.create(&path, &pin, &puk, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        readers.poll();
        assert!(readers.card(&card.serial()).is_some(), "after it was put in");
        assert!(readers.connect(&card.serial()).is_ok(), "and it can be used");
        std::fs::remove_file(&path).unwrap();
        readers.poll();
        assert!(readers.card(&card.serial()).is_none(), "after it was pulled");
        let gone = readers.connect(&card.serial()).err();
        assert_eq!(gone, Some(KeyError::Absent), "and it is absent");
    }
}
