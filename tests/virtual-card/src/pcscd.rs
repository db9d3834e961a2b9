//! A private `pcscd` with virtual readers, in a temporary folder, on a socket of its own.
//!
//! The socket is handed over as systemd does (`sd_listen_fds`), because `pcscd` has no option for it: so it takes
//! nothing from, and leaves nothing to, a daemon of the machine. It ends when this value is dropped.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::slot::ask;
use crate::state::{Firmware, State};

/// Readers of one daemon (PCSCLITE_MAX_READERS_CONTEXTS).
pub const READERS_MAX: usize = 16;
/// How long a daemon may take until its readers answer.
const START: Duration = Duration::from_secs(20);

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program, or a folder.
    #[error("{0}: {1}")]
    Cannot(&'static str, std::io::Error),
    /// The shared library of this package is not beside the program that runs.
    #[error("libhospes_virtual_card.so is not built: cargo build -p hospes-virtual-card")]
    NoLibrary,
    /// It ended, or its readers never answered.
    #[error("pcscd did not start its readers: {0}")]
    NotReady(String),
}

/// A running daemon.
pub struct Pcscd {
    folder: tempfile::TempDir,
    library: PathBuf,
    name: String,
    readers: usize,
    child: Option<Child>,
}

impl Pcscd {
    /// Whether the program is on this machine.
    #[must_use]
    pub fn is_installed() -> bool {
        program().is_some()
    }

    /// Starts one with so many readers, called [`Pcscd::reader_name`].
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(readers: usize) -> Result<Self, StartError> {
        Self::start_called("Hospes Virtual Reader", readers)
    }

    /// The same with another name for the readers: programs of makers know their own by it.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start_called(name: &str, readers: usize) -> Result<Self, StartError> {
        let library = library().ok_or(StartError::NoLibrary)?;
        let folder = tempfile::tempdir().map_err(|e| StartError::Cannot("a temporary folder", e))?;
        let name = name.to_owned();
        let mut pcscd = Self { folder, library, name, readers: readers.min(READERS_MAX), child: None };
        pcscd.configure().map_err(|e| StartError::Cannot("the configuration", e))?;
        pcscd.run()?;
        Ok(pcscd)
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("pcscd.comm")
    }

    /// Its folder, for files of a test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What `pcscd` calls a reader: the name in its configuration, then its number and slot.
    #[must_use]
    pub fn reader_name(&self, reader: usize) -> String {
        format!("{} {reader} {reader:02X} 00", self.name)
    }

    /// The folder of a reader, with its control socket.
    #[must_use]
    pub fn reader_folder(&self, reader: usize) -> PathBuf {
        self.folder.path().join(format!("reader{reader}"))
    }

    /// Says one line to a reader; see `slot`.
    ///
    /// # Errors
    /// If it refuses.
    pub fn tell(&self, reader: usize, line: &str) -> std::io::Result<String> {
        ask(&self.reader_folder(reader), line)
    }

    /// Makes a card from a seed and puts it into a reader.
    ///
    /// # Errors
    /// If the file can't be written or the reader refuses.
    pub fn insert_new(&self, reader: usize, firmware: Firmware, seed: u64) -> std::io::Result<PathBuf> {
        let path = self.folder.path().join(format!("card-{seed}.json"));
        State::new(firmware, seed).save(&path).map_err(std::io::Error::other)?;
        self.tell(reader, &format!("insert {}", path.display()))?;
        Ok(path)
    }

    /// Ends the daemon and starts it anew on the same socket; cards are out then.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop();
        self.run()
    }

    /// Ends the daemon.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
        let _none = std::fs::remove_file(self.socket());
    }

    fn configure(&self) -> std::io::Result<()> {
        let conf = self.folder.path().join("conf");
        std::fs::create_dir(&conf)?;
        let mut text = String::new();
        for reader in 0..self.readers {
            let folder = self.reader_folder(reader);
            std::fs::create_dir(&folder)?;
            text += &format!(
                "FRIENDLYNAME \"{} {reader}\"\nDEVICENAME {}\nLIBPATH {}\n\n",
                self.name,
                folder.display(),
                self.library.display()
            );
        }
        std::fs::File::create(conf.join("readers"))?.write_all(text.as_bytes())
    }

    fn run(&mut self) -> Result<(), StartError> {
        let cannot = |what| move |e| StartError::Cannot(what, e);
        let program = program().ok_or_else(|| {
            StartError::Cannot("pcscd", std::io::Error::other("install it: apt-get install pcscd"))
        })?;
        for reader in 0..self.readers {
            let _none = std::fs::remove_file(self.reader_folder(reader).join("control"));
        }
        let listener = UnixListener::bind(self.socket()).map_err(cannot("the socket"))?;
        let log = std::fs::File::create(self.folder.path().join("pcscd.log")).map_err(cannot("the log"))?;
        let errors = log.try_clone().map_err(cannot("the log"))?;
        // Descriptor 3 is the first that `sd_listen_fds` gives, and its process must be named.
        let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" --foreground -c \"$1\"";
        let spawned = Command::new("sh")
            .args(["-c", script])
            .arg(program)
            .arg(self.folder.path().join("conf"))
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(log)
            .stderr(errors)
            .spawn();
        self.child = Some(spawned.map_err(cannot("pcscd"))?);
        self.wait()
    }

    /// Waits until every reader listens.
    fn wait(&mut self) -> Result<(), StartError> {
        let end = Instant::now() + START;
        let ready = |reader: usize| UnixStream::connect(self.reader_folder(reader).join("control")).is_ok();
        while !(0..self.readers).all(ready) {
            if Instant::now() > end {
                let mut log = String::new();
                let read = std::fs::File::open(self.folder.path().join("pcscd.log"));
                let _unread = read.and_then(|mut file| file.read_to_string(&mut log));
                return Err(StartError::NotReady(log));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> Option<PathBuf> {
    ["/usr/sbin/pcscd", "/usr/bin/pcscd", "/usr/local/sbin/pcscd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|p| p.exists())
}

/// The shared library: beside the running program, or in the folder above, where Cargo puts it.
fn library() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let folders = program.ancestors().skip(1).take(2).map(Path::to_owned).collect::<Vec<_>>();
    let names = folders.iter().flat_map(|f| [f.join(LIBRARY), f.join("deps").join(LIBRARY)]);
    names.filter(|path| path.exists()).max_by_key(|path| path.metadata().and_then(|m| m.modified()).ok())
}

const LIBRARY: &str = "libhospes_virtual_card.so";
