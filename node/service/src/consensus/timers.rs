//! The library's timeouts as numbered timers, each number used once.
//!
//! The library names a timeout by kind and round only, so one that fires late could be taken for one of the
//! next height; a number can't.

use malachite_core_types::{Timeout, TimeoutKind};

use super::config::ConsensusConfig;
use super::outbox::Outbox;
use super::{Effect, TimerId};

/// Timers under way; a handful.
#[derive(Debug, Default)]
pub(super) struct Timers {
    last: u64,
    live: Vec<(TimerId, Timeout)>,
    repeats: u32,
}

impl Timers {
    /// Sets a timer; one of the same kind and round is replaced.
    pub(super) fn set(&mut self, timeout: Timeout, config: &ConsensusConfig, out: &mut Outbox) {
        self.clear(timeout, out);
        self.last += 1;
        let timer = TimerId(self.last);
        let round = timeout.round.as_u32().unwrap_or(0);
        let after_ms = config.duration_ms(timeout.kind, round, self.repeats);
        self.live.push((timer, timeout));
        out.push(Effect::SetTimer { timer, after_ms });
    }

    /// Clears a timer, if it is set.
    pub(super) fn clear(&mut self, timeout: Timeout, out: &mut Outbox) {
        self.live.retain(|(timer, of)| {
            let keep = *of != timeout;
            if !keep {
                out.push(Effect::ClearTimer(*timer));
            }
            keep
        });
    }

    /// Clears all.
    pub(super) fn clear_all(&mut self, out: &mut Outbox) {
        for (timer, _) in self.live.drain(..) {
            out.push(Effect::ClearTimer(timer));
        }
    }

    /// The timeout of a timer that fired, if it is still set. A repetition makes the next one wait longer.
    pub(super) fn fired(&mut self, timer: TimerId) -> Option<Timeout> {
        let at = self.live.iter().position(|(id, _)| *id == timer)?;
        let (_, timeout) = self.live.remove(at);
        if timeout.kind == TimeoutKind::Rebroadcast {
            self.repeats = self.repeats.saturating_add(1);
        }
        Some(timeout)
    }

    /// A round began or we voted: the next repetition comes soon again.
    pub(super) fn progressed(&mut self) {
        self.repeats = 0;
    }

    /// Repetitions without progress.
    pub(super) fn repeats(&self) -> u32 {
        self.repeats
    }
}
