//! A medium that fails on purpose: power cuts between any two operations, torn and lost writes, syncs that
//! lie, a full disk and flipped bits.
//!
//! Everything is in memory and follows from the seed that is given. Tests and the simulator open stores over
//! it; a release has neither.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::medium::DbFile;

/// The unit in which a disk tears a write.
const SECTOR: usize = 512;
/// The unit in which a file system gives space to a file.
const PAGE: u64 = 4096;

/// The three files of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultFile {
    /// `ledger.redb`.
    Ledger,
    /// `objects.redb`.
    Objects,
    /// `erasable.keys`.
    Keys,
}

/// What a power cut does to writes that no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All are lost.
    LoseAll,
    /// All arrived.
    KeepAll,
    /// Each is lost, arrived or torn, as the seed says, in no order.
    Tear(u64),
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct FileState {
    live: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Pending>,
    pages: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default)]
struct World {
    ledger: FileState,
    objects: FileState,
    keys: Option<Vec<u8>>,
    durable_keys: Option<Vec<u8>>,
    operations: u64,
    cut_after: Option<u64>,
    syncs_lie: bool,
    free_pages: Option<u64>,
    hides_free: bool,
}

/// The medium. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct FaultyMedium(Arc<Mutex<World>>);

/// One database file of it.
#[derive(Debug)]
pub struct FaultyBackend {
    medium: FaultyMedium,
    file: DbFile,
}

/// `SplitMix64` (Steele et al., 2014): enough to choose faults by.
struct Choices(u64);

impl Choices {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| ErrorKind::InvalidInput.into())
}

fn write_at(bytes: &mut Vec<u8>, at: usize, data: &[u8]) {
    let end = at + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(data);
}

impl World {
    fn file(&mut self, file: DbFile) -> &mut FileState {
        match file {
            DbFile::Ledger => &mut self.ledger,
            DbFile::Objects => &mut self.objects,
        }
    }

    /// Counts an operation that changes something; fails from the cut on.
    fn tick(&mut self) -> io::Result<()> {
        self.operations += 1;
        self.alive()
    }

    fn alive(&self) -> io::Result<()> {
        match self.cut_after {
            Some(cut) if self.operations > cut => Err(io::Error::other("the power is off")),
            _ => Ok(()),
        }
    }

    fn take_pages(&mut self, wanted: u64) -> io::Result<()> {
        if let Some(free) = &mut self.free_pages {
            *free = free.checked_sub(wanted).ok_or(ErrorKind::StorageFull)?;
        }
        Ok(())
    }
}

impl FileState {
    fn apply(bytes: &mut Vec<u8>, pending: &Pending) {
        match pending {
            Pending::Write(at, data) => write_at(bytes, *at, data),
            Pending::Length(length) => bytes.resize(*length, 0),
        }
    }

    fn sync(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            Self::apply(&mut self.durable, &pending);
        }
    }

    fn both(&mut self) -> [&mut Vec<u8>; 2] {
        [&mut self.live, &mut self.durable]
    }

    fn after_cut(&self, choices: &mut Option<Choices>, keep: bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for pending in &self.pending {
            match choices {
                None if keep => Self::apply(&mut bytes, pending),
                None => {}
                Some(choices) => tear(&mut bytes, pending, choices),
            }
        }
        bytes
    }
}

fn tear(bytes: &mut Vec<u8>, pending: &Pending, choices: &mut Choices) {
    match (choices.next(3), pending) {
        (0, _) => {}
        (1, _) | (_, Pending::Length(_)) => FileState::apply(bytes, pending),
        (_, Pending::Write(at, data)) => {
            for (n, sector) in data.chunks(SECTOR).enumerate() {
                if choices.next(2) == 0 {
                    write_at(bytes, at + n * SECTOR, sector);
                }
            }
        }
    }
}

impl FaultyMedium {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations changed something so far: the instants at which power can fail.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Cuts the power once so many operations have been done: everything fails from then on.
    pub fn cut_after(&self, operations: u64) {
        self.world().cut_after = Some(operations);
    }

    /// Whether the power is off by now.
    #[must_use]
    pub fn is_dark(&self) -> bool {
        self.world().alive().is_err()
    }

    /// Lets syncs report success and do nothing.
    pub fn lie_about_syncs(&self, lie: bool) {
        self.world().syncs_lie = lie;
    }

    /// Leaves so many free pages of 4,096 bytes; null for no end of them. A medium that hides its free space
    /// is found full only by failing.
    pub fn set_free_pages(&self, pages: Option<u64>, hidden: bool) {
        let mut world = self.world();
        world.free_pages = pages;
        world.hides_free = hidden;
    }

    /// What is found when power comes back, as a medium of its own without faults.
    #[must_use]
    pub fn after(&self, cut: Cut) -> Self {
        let world = self.world();
        let mut choices = match cut {
            Cut::Tear(seed) => Some(Choices(seed)),
            _ => None,
        };
        let keep = cut == Cut::KeepAll;
        let file = |bytes: Vec<u8>| FileState { live: bytes.clone(), durable: bytes, ..FileState::default() };
        let ledger = file(world.ledger.after_cut(&mut choices, keep));
        let objects = file(world.objects.after_cut(&mut choices, keep));
        let keys = if keep { world.keys.clone() } else { world.durable_keys.clone() };
        let found = World { ledger, objects, durable_keys: keys.clone(), keys, ..World::default() };
        Self(Arc::new(Mutex::new(found)))
    }

    /// Takes the key file as it is on another medium.
    pub fn take_keys_of(&self, other: &Self) {
        let keys = other.world().keys.clone();
        let mut world = self.world();
        world.keys.clone_from(&keys);
        world.durable_keys = keys;
    }

    /// The length of a file, in bytes.
    #[must_use]
    pub fn length(&self, file: FaultFile) -> usize {
        self.with(file, |bytes| bytes.len())
    }

    /// Where `needle` begins in a file.
    #[must_use]
    pub fn find(&self, file: FaultFile, needle: &[u8]) -> Vec<usize> {
        self.with(file, |bytes| {
            let at = bytes.windows(needle.len().max(1)).enumerate();
            at.filter(|(_, window)| *window == needle).map(|(at, _)| at).collect()
        })
    }

    /// Flips bits of one byte, on the medium and behind every sync.
    pub fn flip(&self, file: FaultFile, at: usize, bits: u8) {
        let mut world = self.world();
        let flip = |bytes: &mut Vec<u8>| {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bits;
            }
        };
        match file {
            FaultFile::Ledger => world.ledger.both().into_iter().for_each(flip),
            FaultFile::Objects => world.objects.both().into_iter().for_each(flip),
            FaultFile::Keys => {
                world.keys.iter_mut().for_each(flip);
                world.durable_keys.iter_mut().for_each(flip);
            }
        }
    }

    fn with<T>(&self, file: FaultFile, f: impl FnOnce(&[u8]) -> T) -> T {
        let world = self.world();
        match file {
            FaultFile::Ledger => f(&world.ledger.live),
            FaultFile::Objects => f(&world.objects.live),
            FaultFile::Keys => f(world.keys.as_deref().unwrap_or_default()),
        }
    }

    pub(crate) fn backend(&self, file: DbFile) -> FaultyBackend {
        FaultyBackend { medium: self.clone(), file }
    }

    pub(crate) fn free_bytes(&self) -> Option<u64> {
        let world = self.world();
        world.free_pages.filter(|_| !world.hides_free).map(|pages| pages * PAGE)
    }

    pub(crate) fn read_keys(&self) -> io::Result<Option<Vec<u8>>> {
        let world = self.world();
        world.alive()?;
        Ok(world.keys.clone())
    }

    /// One operation: renaming is atomic. A cut at it leaves the old file or the new one.
    pub(crate) fn replace_keys(&self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.world();
        let ticked = world.tick();
        let renamed_at_the_cut = world.cut_after.is_some_and(|c| world.operations == c + 1 && c % 2 == 0);
        if ticked.is_err() && !renamed_at_the_cut {
            return ticked;
        }
        world.take_pages((bytes.len() as u64).div_ceil(PAGE))?;
        world.keys = Some(bytes.to_vec());
        if !world.syncs_lie {
            world.durable_keys = Some(bytes.to_vec());
        }
        ticked
    }
}

impl FaultyBackend {
    pub(crate) fn len(&self) -> io::Result<u64> {
        let mut world = self.medium.world();
        world.alive()?;
        Ok(world.file(self.file).live.len() as u64)
    }

    pub(crate) fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut world = self.medium.world();
        world.alive()?;
        let from = place(offset)?;
        let bytes = world.file(self.file).live.get(from..from + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        let mut world = self.medium.world();
        world.tick()?;
        let length = place(length)?;
        let file = world.file(self.file);
        file.live.resize(length, 0);
        file.pending.push(Pending::Length(length));
        Ok(())
    }

    pub(crate) fn sync_data(&self) -> io::Result<()> {
        let mut world = self.medium.world();
        world.tick()?;
        if !world.syncs_lie {
            world.file(self.file).sync();
        }
        Ok(())
    }

    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut world = self.medium.world();
        world.tick()?;
        let at = place(offset)?;
        let last = offset + (data.len() as u64).saturating_sub(1);
        let pages: Vec<u64> = (offset / PAGE..=last / PAGE).collect();
        let new = pages.iter().filter(|p| !world.file(self.file).pages.contains(p)).count();
        world.take_pages(new as u64)?;
        let file = world.file(self.file);
        file.pages.extend(pages);
        write_at(&mut file.live, at, data);
        file.pending.push(Pending::Write(at, data.to_vec()));
        Ok(())
    }
}
