//! Ctrl-C: what is under way is undone, then the process ends as the signal would have ended it.
//!
//! A thread waits for SIGINT while at least one cleanup stands; outside of that the system's default holds.

use std::sync::{Mutex, OnceLock, PoisonError};

/// The exit code of a process that SIGINT ended, as shells count.
const INTERRUPTED: i32 = 130;

type Cleanup = Box<dyn FnOnce() + Send>;

static CLEANUPS: Mutex<Vec<(u64, Cleanup)>> = Mutex::new(Vec::new());
static WATCHING: OnceLock<()> = OnceLock::new();

/// Keeps a cleanup until it is dropped.
pub(crate) struct Guard(u64);

impl Drop for Guard {
    fn drop(&mut self) {
        CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.0);
    }
}

/// Runs `cleanup` if Ctrl-C comes while the guard lives.
pub(crate) fn on_interrupt(cleanup: impl FnOnce() + Send + 'static) -> Guard {
    WATCHING.get_or_init(|| {
        // Without this thread Ctrl-C ends the process at once; taps then expire by themselves.
        let terminal = Terminal::now();
        let _unwatched = std::thread::Builder::new().name("interrupt".into()).spawn(|| watch(terminal));
    });
    let mut cleanups = CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner);
    let id = cleanups.last().map_or(0, |(id, _)| id + 1);
    cleanups.push((id, Box::new(cleanup)));
    Guard(id)
}

fn watch(terminal: Terminal) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    if runtime.block_on(tokio::signal::ctrl_c()).is_err() {
        return;
    }
    // A prompt had switched the echo off.
    terminal.restore();
    let mut cleanups = std::mem::take(&mut *CLEANUPS.lock().unwrap_or_else(PoisonError::into_inner));
    while let Some((_, cleanup)) = cleanups.pop() {
        cleanup();
    }
    std::process::exit(INTERRUPTED);
}

/// The terminal as it was when the process began to ask.
struct Terminal(Option<(std::fs::File, rustix::termios::Termios)>);

impl Terminal {
    fn now() -> Self {
        let tty = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").ok();
        Self(tty.and_then(|tty| rustix::termios::tcgetattr(&tty).ok().map(|state| (tty, state))))
    }

    fn restore(&self) {
        if let Some((tty, state)) = &self.0 {
            // Nothing better can be done for a terminal that refuses.
            let _refused = rustix::termios::tcsetattr(tty, rustix::termios::OptionalActions::Now, state);
        }
    }
}
