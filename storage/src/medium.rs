//! Where the bytes are: a folder, memory, or a medium that fails on purpose.
//!
//! A medium gives redb its two files and replaces the key file whole. It knows nothing of tables. redb's
//! own file locks are not used: the folder's lock covers all three files.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use redb::StorageBackend;

/// The two databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DbFile {
    Ledger,
    Objects,
}

impl DbFile {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger.redb",
            Self::Objects => "objects.redb",
        }
    }
}

/// The key file's name.
pub(crate) const KEY_FILE: &str = "erasable.keys";
const KEY_FILE_NEW: &str = "erasable.keys.new";

/// Where a store lives.
#[derive(Clone, Debug)]
pub enum Medium {
    /// Files in a folder.
    Folder(PathBuf),
    /// Memory, shared by clones: a store opened again over a clone finds what was written.
    Memory(Memory),
    /// Memory that tears, loses, fills and flips as told.
    #[cfg(any(test, feature = "faults"))]
    Faulty(crate::fault::FaultyMedium),
}

/// Three files in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    ledger: Shared,
    objects: Shared,
    keys: Arc<Mutex<Option<Vec<u8>>>>,
}

type Shared = Arc<RwLock<Vec<u8>>>;

impl Medium {
    /// Memory, empty.
    #[must_use]
    pub fn memory() -> Self {
        Self::Memory(Memory::default())
    }

    pub(crate) fn open(&self, file: DbFile) -> io::Result<Backend> {
        let bytes = match self {
            Self::Folder(folder) => Under::Disk(open_private(&folder.join(file.name()))?),
            Self::Memory(memory) => Under::Memory(match file {
                DbFile::Ledger => memory.ledger.clone(),
                DbFile::Objects => memory.objects.clone(),
            }),
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => Under::Faulty(faulty.backend(file)),
        };
        Ok(Backend { bytes, retired: Retired::default() })
    }

    /// Whether a database was ever finished in this file: redb writes its first bytes last.
    pub(crate) fn has(&self, file: DbFile) -> io::Result<bool> {
        if let Self::Folder(folder) = self {
            // Looking at a file that is not there must not make it.
            if !folder.join(file.name()).try_exists()? {
                return Ok(false);
            }
        }
        let backend = self.open(file)?;
        let mut start = [0; 8];
        if backend.len()? < start.len() as u64 {
            return Ok(false);
        }
        backend.read(0, &mut start)?;
        Ok(start != [0; 8])
    }

    /// Empties a file in which no database was ever finished.
    pub(crate) fn clear(&self, file: DbFile) -> io::Result<()> {
        let backend = self.open(file)?;
        if backend.len()? == 0 {
            return Ok(());
        }
        backend.set_len(0)?;
        backend.sync_data()
    }

    /// Free bytes, where the medium knows.
    pub(crate) fn free_bytes(&self) -> Option<u64> {
        match self {
            Self::Folder(folder) => {
                let stat = rustix::fs::statvfs(folder).ok()?;
                Some(stat.f_bavail.saturating_mul(stat.f_frsize))
            }
            Self::Memory(_) => None,
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.free_bytes(),
        }
    }

    pub(crate) fn read_keys(&self) -> io::Result<Option<Vec<u8>>> {
        match self {
            Self::Folder(folder) => read_optional(&folder.join(KEY_FILE)),
            Self::Memory(memory) => Ok(memory.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()),
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.read_keys(),
        }
    }

    /// Replaces the key file whole: after any crash it is the old one or the new one.
    pub(crate) fn replace_keys(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Folder(folder) => replace_file(folder, bytes),
            Self::Memory(memory) => {
                *memory.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some(bytes.to_vec());
                Ok(())
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.replace_keys(bytes),
        }
    }

    /// Makes the names of new files durable.
    pub(crate) fn sync_names(&self) -> io::Result<()> {
        match self {
            Self::Folder(folder) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

fn open_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map(|_| Some(bytes)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn replace_file(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    let (path, new) = (folder.join(KEY_FILE), folder.join(KEY_FILE_NEW));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    let old = OpenOptions::new().write(true).open(&path).ok();
    std::fs::rename(&new, &path)?;
    File::open(folder)?.sync_all()?;
    // The new file is durable, so a failure to wipe what the old one leaves behind undoes nothing.
    if let Some(old) = old {
        let _best_effort = wipe(&old);
    }
    Ok(())
}

/// Overwrites a file that no name leads to any more. A medium that writes elsewhere keeps the old bytes.
fn wipe(file: &File) -> io::Result<()> {
    let zeros = vec![0; 64 * 1024];
    let (mut at, len) = (0, file.metadata()?.len());
    while at < len {
        let n = usize::try_from(len - at).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(&zeros[..n], at)?;
        at += n as u64;
    }
    file.sync_data()
}

/// Ends all access to a file, however many hold it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retired(Arc<AtomicBool>);

impl Retired {
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What redb reads and writes.
#[derive(Debug)]
pub(crate) struct Backend {
    bytes: Under,
    retired: Retired,
}

impl Backend {
    /// What ends access to it.
    pub(crate) fn retired(&self) -> Retired {
        self.retired.clone()
    }

    fn in_use(&self) -> io::Result<&Under> {
        if self.retired.0.load(Ordering::Acquire) {
            return Err(io::Error::other("the file was let go"));
        }
        Ok(&self.bytes)
    }
}

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.in_use()?.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.in_use()?.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.in_use()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.in_use()?.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.in_use()?.write(offset, data)
    }
}

#[derive(Debug)]
enum Under {
    Disk(File),
    Memory(Shared),
    #[cfg(any(test, feature = "faults"))]
    Faulty(crate::fault::FaultyBackend),
}

fn span(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let from = usize::try_from(offset).map_err(|_| io::Error::from(ErrorKind::InvalidInput))?;
    Ok(from..from.checked_add(len).ok_or(ErrorKind::InvalidInput)?)
}

impl Under {
    fn len(&self) -> io::Result<u64> {
        match self {
            Self::Disk(file) => file.metadata().map(|m| m.len()),
            Self::Memory(bytes) => Ok(bytes.read().unwrap_or_else(PoisonError::into_inner).len() as u64),
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.len(),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.read_exact_at(out, offset),
            Self::Memory(bytes) => {
                let bytes = bytes.read().unwrap_or_else(PoisonError::into_inner);
                let from = bytes.get(span(offset, out.len())?).ok_or(ErrorKind::UnexpectedEof)?;
                out.copy_from_slice(from);
                Ok(())
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.read(offset, out),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.set_len(len),
            Self::Memory(bytes) => {
                let len = span(len, 0)?.start;
                bytes.write().unwrap_or_else(PoisonError::into_inner).resize(len, 0);
                Ok(())
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.set_len(len),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.sync_data(),
            Self::Memory(_) => Ok(()),
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.sync_data(),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Disk(file) => file.write_all_at(data, offset),
            Self::Memory(bytes) => {
                let span = span(offset, data.len())?;
                let mut bytes = bytes.write().unwrap_or_else(PoisonError::into_inner);
                let len = bytes.len().max(span.end);
                bytes.resize(len, 0);
                bytes[span].copy_from_slice(data);
                Ok(())
            }
            #[cfg(any(test, feature = "faults"))]
            Self::Faulty(faulty) => faulty.write(offset, data),
        }
    }
}
