//! A folder as a card reader: each `*.card` file in it is a card that is in.
//!
//! Putting a file there inserts the card, taking it away pulls it. Only polling notices; the caller says
//! when. Nothing is watched and no thread runs.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use hospes_protocol::keys::KeyError;

use super::card::{SoftCard, info_of};
use super::file::{CardFile, Stamp, failed, lock_folder, sweep};
use super::format::Image;
use super::watch::Watch;
use crate::card::{Card, CardEvent, Reader};
use crate::info::{CardInfo, CardSerial};

/// Files that one folder may hold as cards: a demo enrols some hundred.
pub const CARDS_PER_READER_MAX: usize = 4096;

const EXTENSION: &str = "card";

/// What the last poll found under a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Card(CardSerial),
    /// The same card as another file that is in.
    Copy(CardSerial),
    Unreadable,
}

struct Known {
    stamp: Option<Stamp>,
    found: Found,
}

/// A folder of soft cards.
pub struct SoftReader {
    folder: PathBuf,
    name: String,
    watch: Watch,
    known: BTreeMap<OsString, Known>,
}

impl SoftReader {
    /// The folder at `path`, which must exist.
    ///
    /// # Errors
    /// [`KeyError::Failed`] if it is no folder that this process may lock and read.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        if !path.is_dir() {
            return Err(KeyError::Failed("the reader's folder is not there".to_owned()));
        }
        let locked = lock_folder(path)?;
        sweep(path).map_err(|e| failed("the reader's folder cannot be read", &e))?;
        drop(locked);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        Ok(Self { folder: path.to_owned(), name, watch: Watch::default(), known: BTreeMap::new() })
    }

    /// The files that are cards by their names, with what tells a change.
    fn list(&self) -> Result<BTreeMap<OsString, Option<Stamp>>, KeyError> {
        let cannot = |e| failed("the reader's folder cannot be read", &e);
        let mut found = BTreeMap::new();
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name();
            if !is_card(&name) {
                continue;
            }
            if found.len() == CARDS_PER_READER_MAX {
                return Err(KeyError::Failed(format!(
                    "more than {CARDS_PER_READER_MAX} cards are in the reader"
                )));
            }
            found.insert(name, entry.metadata().ok().map(|m| Stamp::of(&m)));
        }
        Ok(found)
    }

    fn read(&self, name: &OsStr) -> Result<CardInfo, KeyError> {
        let image = Image::read(&CardFile::new(&self.folder, name).read()?.0)?;
        self.watch.saw(image.contents.serial, image.revision)?;
        info_of(&image.contents)
    }

    fn is_in(&self, serial: CardSerial) -> bool {
        self.known.values().any(|k| k.found == Found::Card(serial))
    }

    /// Forgets a name. If it was a card, says so and has its copies looked at again.
    fn forget(&mut self, name: &OsStr, events: &mut Vec<CardEvent>) {
        if let Some(Known { found: Found::Card(serial), .. }) = self.known.remove(name) {
            self.watch.removed(serial);
            events.push(CardEvent::Removed(serial));
            self.known.retain(|_, k| k.found != Found::Copy(serial));
        }
    }

    /// Looks at a file that is new or has changed.
    fn look(&mut self, name: OsString, stamp: Option<Stamp>, events: &mut Vec<CardEvent>) {
        let before = self.known.get(&name).map(|k| k.found);
        let read = self.read(&name);
        let same = read.as_ref().is_ok_and(|info| before == Some(Found::Card(info.serial)));
        if same {
            // Only written to: the card is still in.
            self.known.entry(name).and_modify(|k| k.stamp = stamp);
            return;
        }
        self.forget(&name, events);
        let (found, event) = match read {
            // Gone since it was listed.
            Err(KeyError::Absent) => return,
            Ok(info) if self.is_in(info.serial) => {
                let twice = KeyError::Failed("this card is in the reader twice".to_owned());
                (Found::Copy(info.serial), unreadable(&name, twice))
            }
            Ok(info) => (Found::Card(info.serial), CardEvent::Inserted(Box::new(info))),
            Err(error) => (Found::Unreadable, unreadable(&name, error)),
        };
        events.push(event);
        self.known.insert(name, Known { stamp, found });
    }
}

fn is_card(name: &OsStr) -> bool {
    Path::new(name).extension() == Some(OsStr::new(EXTENSION))
}

fn unreadable(name: &OsStr, error: KeyError) -> CardEvent {
    CardEvent::Unreadable { place: name.to_string_lossy().into_owned(), error }
}

impl Reader for SoftReader {
    fn name(&self) -> &str {
        &self.name
    }

    fn poll(&mut self) -> Result<Vec<CardEvent>, KeyError> {
        let found = self.list()?;
        let mut events = Vec::new();
        let gone: Vec<_> = self.known.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        gone.iter().for_each(|name| self.forget(name, &mut events));
        for (name, stamp) in found {
            let same = self.known.get(&name).is_some_and(|k| k.stamp.is_some() && k.stamp == stamp);
            if !same {
                self.look(name, stamp, &mut events);
            }
        }
        Ok(events)
    }

    fn cards(&mut self) -> Result<Vec<CardInfo>, KeyError> {
        let mut cards: BTreeMap<CardSerial, CardInfo> = BTreeMap::new();
        for name in self.list()?.into_keys() {
            if let Ok(info) = self.read(&name) {
                cards.entry(info.serial).or_insert(info);
            }
        }
        Ok(cards.into_values().collect())
    }

    fn connect(&mut self, serial: &CardSerial) -> Result<Box<dyn Card>, KeyError> {
        for name in self.list()?.into_keys() {
            let file = CardFile::new(&self.folder, &name);
            match SoftCard::attach(file, self.watch.clone()) {
                Ok(card) if card.serial() == *serial => return Ok(Box::new(card)),
                _ => {}
            }
        }
        Err(KeyError::Absent)
    }
}
