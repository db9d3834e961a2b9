//! Files that are written whole or not at all.
//!
//! Bytes go to a file beside the target, are synced, and then take the name. Called by `init` and by
//! commands that write what a node sends.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    /// Its owner: secrets.
    Owner,
    /// Whoever the umask lets.
    Anyone,
}

impl Readers {
    const fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Anyone => 0o666,
        }
    }
}

/// A file on its way. Dropped before [`Draft::keep`], it leaves nothing.
pub(crate) struct Draft {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    kept: bool,
}

impl Draft {
    /// Begins a file that will be `target`.
    ///
    /// # Errors
    /// As the system.
    pub(crate) fn begin(target: &Path, readers: Readers) -> io::Result<Self> {
        let name = target.file_name().ok_or_else(|| io::Error::other("not the name of a file"))?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.writing", std::process::id()));
        let temporary = target.with_file_name(hidden);
        let open = || OpenOptions::new().write(true).create_new(true).mode(readers.mode()).open(&temporary);
        let file = match open() {
            // Of a process with this id that died.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                std::fs::remove_file(&temporary)?;
                open()?
            }
            opened => opened?,
        };
        Ok(Self { file, temporary, target: target.to_owned(), kept: false })
    }

    /// The path that is written to until then.
    pub(crate) fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Makes it the target, replacing a file of that name.
    ///
    /// # Errors
    /// As the system.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.target)?;
        self.kept = true;
        sync_folder(&self.target)
    }

    /// Makes it the target; fails if there is a file of that name.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`]; otherwise as the system.
    pub(crate) fn keep_new(self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::hard_link(&self.temporary, &self.target)?;
        sync_folder(&self.target)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is named as unfinished and is replaced by the next try.
            let _leftover = std::fs::remove_file(&self.temporary);
        }
    }
}

fn sync_folder(target: &Path) -> io::Result<()> {
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes a new file.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`] if there is one; otherwise as the system.
pub(crate) fn write_new(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::begin(path, readers)?;
    draft.write_all(bytes)?;
    draft.keep_new()
}

/// Writes or replaces a file.
///
/// # Errors
/// As the system.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut draft = Draft::begin(path, readers)?;
    draft.write_all(bytes)?;
    draft.keep()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_file_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let mut draft = Draft::begin(&path, Readers::Anyone).unwrap();
        draft.write_all(b"half").unwrap();
        assert!(!path.exists(), "not before it is kept");
        drop(draft);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and nothing is left of it");
        write_new(&path, b"whole", Readers::Owner).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "for its owner only");
        let again = write_new(&path, b"other", Readers::Owner).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists, "a new file replaces none");
        write(&path, b"other", Readers::Owner).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"other", "replaced on demand");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing beside it");
    }
}
