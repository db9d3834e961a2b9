//! A card file in its folder: read whole, replaced whole, never brought back once it was pulled.
//!
//! The folder is the lock (flock), so all processes that use its cards take turns to write. A write goes to
//! a second file that is synced and then *exchanged* with the card: if the card went meanwhile the exchange
//! fails, where a plain rename would have made a card out of nothing. Knows nothing of what the bytes mean.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hospes_protocol::keys::KeyError;
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;

use super::format::FILE_BYTES_MAX;

/// Tries for the folder's lock, [`LOCK_RETRY_MS`] apart: ten seconds, many times what a PIN check takes.
const LOCK_TRIES_MAX: u32 = 1000;
const LOCK_RETRY_MS: u64 = 10;
/// Ends the name of a file that is being written; what a crash leaves of it is no card.
const TEMPORARY: &str = ".writing";

/// Where a card is.
#[derive(Clone)]
pub(super) struct CardFile {
    folder: PathBuf,
    name: OsString,
}

/// What changes when a file is another or has been written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: (u64, u64),
    changed: (i64, i64),
    bytes: u64,
}

impl Stamp {
    pub(super) fn of(meta: &fs::Metadata) -> Self {
        Self {
            inode: (meta.dev(), meta.ino()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            bytes: meta.size(),
        }
    }
}

/// A folder that only this call writes in.
pub(super) struct Locked {
    file: CardFile,
    // Dropping it releases the lock, as the death of the process does.
    folder: File,
    seen: Option<Stamp>,
}

pub(super) fn failed(what: &str, error: &io::Error) -> KeyError {
    KeyError::Failed(format!("{what}: {error}"))
}

/// Locks a folder of cards.
pub(super) fn lock_folder(folder: &Path) -> Result<File, KeyError> {
    let handle = File::open(folder).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => KeyError::Absent,
        _ => failed("the reader's folder cannot be opened", &e),
    })?;
    for _ in 0..LOCK_TRIES_MAX {
        match flock(&handle, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(handle),
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(Duration::from_millis(LOCK_RETRY_MS)),
            Err(e) => return Err(failed("the reader's folder cannot be locked", &e.into())),
        }
    }
    Err(KeyError::Busy("try again"))
}

/// Removes what writers that died have left. The folder must be locked.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let text = name.as_encoded_bytes();
        if text.starts_with(b".") && text.ends_with(TEMPORARY.as_bytes()) {
            fs::remove_file(folder.join(&name))?;
        }
    }
    Ok(())
}

impl CardFile {
    /// The card `name` in `folder`; it need not be there.
    pub(super) fn new(folder: &Path, name: &OsStr) -> Self {
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    /// The card at `path`.
    pub(super) fn at(path: &Path) -> Result<Self, KeyError> {
        let name =
            path.file_name().ok_or_else(|| KeyError::Failed("this path names no card file".to_owned()))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self::new(folder, name))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    fn temporary(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(&self.name);
        name.push(TEMPORARY);
        self.folder.join(name)
    }

    /// The bytes, as some writer left them; no lock is needed, as files are replaced whole.
    pub(super) fn read(&self) -> Result<(Vec<u8>, Stamp), KeyError> {
        // Neither a link, which a write would turn into a file, nor a pipe, on which opening would wait.
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
        let file = OpenOptions::new().read(true).custom_flags(flags).open(self.path());
        let file = file.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => KeyError::Absent,
            _ => failed("the card file cannot be opened", &e),
        })?;
        read_whole(&file).map_err(|e| failed("the card file cannot be read", &e))
    }

    /// Whether the card is still where it was.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(self.path()).is_ok()
    }

    /// Takes the folder's lock.
    pub(super) fn lock(&self) -> Result<Locked, KeyError> {
        let folder = lock_folder(&self.folder)?;
        Ok(Locked { file: self.clone(), folder, seen: None })
    }
}

fn read_whole(file: &File) -> io::Result<(Vec<u8>, Stamp)> {
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    // One byte more than a card has, so that the decoder sees what is too long.
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes, Stamp::of(&meta)))
}

impl Locked {
    /// Reads the card.
    pub(super) fn read(&mut self) -> Result<Vec<u8>, KeyError> {
        let (bytes, stamp) = self.file.read()?;
        self.seen = Some(stamp);
        Ok(bytes)
    }

    /// Replaces what [`Locked::read`] read, durably; [`KeyError::Removed`] if that card is gone.
    pub(super) fn replace(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let temporary = self.file.temporary();
        let result = self.write(&temporary, bytes).and_then(|()| self.exchange(&temporary));
        // The exchange left the old card here, a failure the new one. Should it stay, it is swept later.
        let _leftover = fs::remove_file(&temporary);
        result
    }

    /// Puts a new card there; refused if there is one.
    pub(super) fn create(&mut self, bytes: &[u8]) -> Result<(), KeyError> {
        let temporary = self.file.temporary();
        let result = self.write(&temporary, bytes).and_then(|()| {
            fs::hard_link(&temporary, self.file.path())
                .map_err(|e| failed("the card file cannot be made", &e))
        });
        let _leftover = fs::remove_file(&temporary);
        result.and_then(|()| self.sync())
    }

    fn write(&self, temporary: &Path, bytes: &[u8]) -> Result<(), KeyError> {
        let cannot = |e| failed("the card file cannot be written", &e);
        match fs::remove_file(temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(cannot(e)),
            _ => {}
        }
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(temporary);
        let mut new = new.map_err(cannot)?;
        new.write_all(bytes).and_then(|()| new.sync_all()).map_err(cannot)
    }

    fn exchange(&mut self, temporary: &Path) -> Result<(), KeyError> {
        let path = self.file.path();
        let swap = || renameat_with(CWD, temporary, CWD, &path, RenameFlags::EXCHANGE);
        match swap() {
            Ok(()) if self.is_what_was_read(temporary) => {}
            Ok(()) => {
                // Another file had come in the card's place: it goes back there.
                swap().map_err(|e| failed("the card file cannot be written", &e.into()))?;
                return Err(KeyError::Removed);
            }
            Err(Errno::NOENT) => return Err(KeyError::Removed),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => self.rename(temporary)?,
            Err(e) => return Err(failed("the card file cannot be written", &e.into())),
        }
        self.sync()?;
        self.seen = fs::symlink_metadata(&path).ok().map(|m| Stamp::of(&m));
        Ok(())
    }

    // For file systems that cannot exchange: a card pulled between the two calls comes back.
    fn rename(&self, temporary: &Path) -> Result<(), KeyError> {
        if !self.is_what_was_read(&self.file.path()) {
            return Err(KeyError::Removed);
        }
        fs::rename(temporary, self.file.path()).map_err(|e| failed("the card file cannot be written", &e))
    }

    fn is_what_was_read(&self, path: &Path) -> bool {
        let now = fs::symlink_metadata(path).ok().map(|m| Stamp::of(&m).inode);
        now.is_some() && now == self.seen.map(|s| s.inode)
    }

    fn sync(&self) -> Result<(), KeyError> {
        self.folder.sync_all().map_err(|e| failed("the card file cannot be written", &e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn card(folder: &Path) -> CardFile {
        let card = CardFile::new(folder, OsStr::new("ada.card"));
        card.lock().unwrap().create(b"first").unwrap();
        card
    }

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_card_is_replaced_whole_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(folder.path());
        let mut locked = card.lock().unwrap();
        locked.read().unwrap();
        locked.replace(b"second").unwrap();
        locked.replace(b"third").unwrap();
        assert_eq!(card.read().unwrap().0, b"third", "the last write");
        assert_eq!(names(folder.path()), ["ada.card"], "nothing beside it");
        let mode = fs::metadata(card.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "nobody else");
        assert!(locked.create(b"again").is_err(), "a card is never made over another");
        assert_eq!(card.read().unwrap().0, b"third", "which is untouched");
    }

    #[test]
    fn a_card_pulled_before_the_write_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(folder.path());
        let mut locked = card.lock().unwrap();
        locked.read().unwrap();
        let elsewhere = tempfile::tempdir_in(folder.path()).unwrap();
        fs::rename(card.path(), elsewhere.path().join("ada.card")).unwrap();
        assert_eq!(locked.replace(b"second"), Err(KeyError::Removed), "said");
        assert!(!card.is_there(), "not made again");
        assert_eq!(fs::read(elsewhere.path().join("ada.card")).unwrap(), b"first", "the card is as it was");
        assert_eq!(names(folder.path()).len(), 1, "only the other folder is left here");
    }

    #[test]
    fn a_card_put_in_the_place_of_another_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(folder.path());
        let mut locked = card.lock().unwrap();
        locked.read().unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"another card").unwrap();
        fs::rename(&other, card.path()).unwrap();
        assert_eq!(locked.replace(b"second"), Err(KeyError::Removed), "the card that was read is gone");
        assert_eq!(card.read().unwrap().0, b"another card", "the other is whole");
        assert_eq!(names(folder.path()), ["ada.card"], "nothing beside it");
    }

    #[test]
    fn what_a_dead_writer_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(folder.path());
        fs::write(card.temporary(), b"half").unwrap();
        let mut locked = card.lock().unwrap();
        locked.read().unwrap();
        locked.replace(b"second").unwrap();
        assert_eq!(card.read().unwrap().0, b"second", "it doesn't hinder a write");
        fs::write(card.temporary(), b"half").unwrap();
        sweep(folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["ada.card"], "the card stays, the leftover goes");
    }

    #[test]
    fn links_pipes_and_folders_are_no_cards() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(folder.path());
        std::os::unix::fs::symlink(card.path(), folder.path().join("link.card")).unwrap();
        fs::create_dir(folder.path().join("folder.card")).unwrap();
        let pipe = folder.path().join("pipe.card");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success(), "coreutils");
        for name in ["link.card", "folder.card", "pipe.card"] {
            let refusal = CardFile::new(folder.path(), OsStr::new(name)).read();
            assert!(matches!(refusal, Err(KeyError::Failed(_))), "{name}, without waiting");
        }
        assert!(card.read().is_ok(), "a plain file is one");
    }
}
