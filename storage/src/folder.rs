//! The lock of a data folder: one process at a time, released by the system when that process dies.
//!
//! The lock is flock(2) on the file `lock`, never the file's existence. Its content, a process id, only
//! makes the refusal say who it is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::error::{Result, StoreError};

const LOCK_FILE: &str = "lock";

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub(crate) struct FolderLock(#[allow(dead_code, reason = "held open for its lock")] File);

fn io(source: std::io::Error) -> StoreError {
    StoreError::Io { file: LOCK_FILE, source }
}

impl FolderLock {
    /// Makes the folder where it is missing and takes its lock.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process holds it.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        let path = folder.join(LOCK_FILE);
        let open =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let mut file = open.map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Locked { pid: holder(&mut file) }),
            Err(errno) => return Err(io(errno.into())),
        }
        file.set_len(0).map_err(io)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(io)?;
        Ok(Self(file))
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
