//! How long the engine waits. Nothing here is waited for while all goes well: a round ends by its votes, and
//! these times only bound a silent proposer, a split vote or a lost message.

use malachite_core_types::TimeoutKind;

/// Timeouts and limits of consensus. All validators should have the same, but safety does not hang on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsensusConfig {
    /// Wait for a proposal and its block in round 0, in milliseconds.
    pub propose_ms: u64,
    /// Wait for more prevotes once a quorum is split, in milliseconds.
    pub prevote_ms: u64,
    /// Wait for more precommits once a quorum is split, in milliseconds.
    pub precommit_ms: u64,
    /// What each further round adds to the three above, in milliseconds.
    pub round_delta_ms: u64,
    /// None of the three grows beyond this, in milliseconds.
    pub timeout_ms_max: u64,
    /// The first repetition of our last messages, in milliseconds; each further one takes twice as long.
    pub rebroadcast_ms: u64,
    /// Repetitions come at least this often, in milliseconds.
    pub rebroadcast_ms_max: u64,
    /// A vote that arrives so soon after its height was decided, in milliseconds, was merely late: its sender
    /// is about to decide too and needs no answer.
    pub stale_grace_ms: u64,
    /// A peer is sent the same decided height, or is reported to be ahead, at most this often, in milliseconds.
    pub answer_ms: u64,
}

impl Default for ConsensusConfig {
    /// For validators on the Internet: a round trip of 200 ms leaves room for fetching headers.
    fn default() -> Self {
        Self {
            propose_ms: 1_000,
            prevote_ms: 500,
            precommit_ms: 500,
            round_delta_ms: 250,
            timeout_ms_max: 10_000,
            rebroadcast_ms: 500,
            rebroadcast_ms_max: 5_000,
            stale_grace_ms: 300,
            answer_ms: 400,
        }
    }
}

impl ConsensusConfig {
    /// How long a timeout of this kind and round lasts, after `repeats` repetitions without progress.
    pub(super) fn duration_ms(&self, kind: TimeoutKind, round: u32, repeats: u32) -> u64 {
        let grown = |base: u64| {
            base.saturating_add(self.round_delta_ms.saturating_mul(u64::from(round))).min(self.timeout_ms_max)
        };
        match kind {
            TimeoutKind::Propose => grown(self.propose_ms),
            TimeoutKind::Prevote => grown(self.prevote_ms),
            TimeoutKind::Precommit => grown(self.precommit_ms),
            TimeoutKind::Rebroadcast => {
                let factor = 1u64 << repeats.min(16);
                self.rebroadcast_ms.saturating_mul(factor).min(self.rebroadcast_ms_max)
            }
            // Only with a target time for heights, which the driver never sets.
            TimeoutKind::FinalizeHeight(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_double_up_to_their_cap_and_timeouts_grow_by_round() {
        let config = ConsensusConfig::default();
        let repeats: Vec<_> = (0..6).map(|n| config.duration_ms(TimeoutKind::Rebroadcast, 9, n)).collect();
        assert_eq!(repeats, [500, 1_000, 2_000, 4_000, 5_000, 5_000], "exponential, capped");
        assert_eq!(config.duration_ms(TimeoutKind::Propose, 0, 3), 1_000, "round 0");
        assert_eq!(config.duration_ms(TimeoutKind::Propose, 2, 0), 1_500, "round 2");
        assert_eq!(config.duration_ms(TimeoutKind::Precommit, u32::MAX, 0), 10_000, "capped");
        assert_eq!(config.duration_ms(TimeoutKind::Rebroadcast, 0, u32::MAX), 5_000, "no overflow");
    }
}
