//! The background scrub: reads everything that is stored, a little at a time, and names what is damaged.
//!
//! It repairs nothing and stops nothing; `status` and the log show what it found. Damage that a later pass no
//! longer finds, because a peer's copy took its place, is no longer shown.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hospes_storage::{Budget, Cursor, Store};

/// What one step reads; at a step a second, a gigabyte takes about four minutes.
const STEP: Budget = Budget { rows: 2_000, bytes: 4 * 1024 * 1024 };
/// Between two steps.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two passes.
const REST: Duration = Duration::from_secs(10 * 60);
/// Damages that are named; more are counted by the log.
const NAMED_MAX: usize = 100;

/// What was found damaged, by name; shared with whoever shows it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Damages(Arc<Mutex<BTreeSet<String>>>);

impl Damages {
    /// The names, as they are now.
    pub(crate) fn names(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn set(&self, names: BTreeSet<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    fn add(&self, name: String) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMED_MAX {
            names.insert(name);
        }
    }
}

/// The scrub's thread. Dropping it ends the scrub after the step at hand.
pub(super) struct Scrub {
    pub(super) damages: Damages,
    _stop: Sender<()>,
}

/// Starts the scrub of `store`.
pub(super) fn start(store: Arc<Store>) -> std::io::Result<Scrub> {
    let (stop, stopped) = channel();
    let damages = Damages::default();
    let found = damages.clone();
    std::thread::Builder::new().name("scrub".into()).spawn(move || run(&store, &found, &stopped))?;
    Ok(Scrub { damages, _stop: stop })
}

fn run(store: &Store, damages: &Damages, stopped: &Receiver<()>) {
    let (mut cursor, mut pass) = (Cursor::default(), BTreeSet::new());
    let mut pause = PAUSE;
    while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        pause = match store.scrub_step(&cursor, &STEP) {
            Ok(report) => {
                for damage in report.damaged {
                    tracing::error!(what = %damage.what, "the scrub found damage");
                    damages.add(damage.what.to_string());
                    pass.insert(damage.what.to_string());
                }
                cursor = report.next;
                if report.pass_done {
                    damages.set(std::mem::take(&mut pass).into_iter().take(NAMED_MAX).collect());
                }
                if report.pass_done { REST } else { PAUSE }
            }
            Err(error) => {
                tracing::error!(%error, "the scrub could not read");
                REST
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_pass_no_longer_finds_is_no_longer_shown() {
        let damages = Damages::default();
        damages.add("block 7".into());
        assert_eq!(damages.names(), ["block 7"], "shown at once");
        damages.set(BTreeSet::new());
        assert!(damages.names().is_empty(), "a whole pass found nothing");
        (0..2 * NAMED_MAX).for_each(|n| damages.add(format!("block {n}")));
        assert_eq!(damages.names().len(), NAMED_MAX, "bounded");
    }
}
