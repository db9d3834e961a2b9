//! A token bucket: so many acts a second on average, so many at once.
//!
//! Time is an argument. Used by `session` for each peer's messages and by `swarm` for reported refusals.

use std::time::Instant;

const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Counts in nano-tokens, so that a short interval is not rounded away.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    per_second: u32,
    burst: u32,
    nano_tokens: u128,
    filled_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, burst: u32, now: Instant) -> Self {
        Self { per_second, burst, nano_tokens: u128::from(burst) * NANOS_PER_SECOND, filled_at: now }
    }

    /// Takes one token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled_at).as_nanos();
        let full = u128::from(self.burst) * NANOS_PER_SECOND;
        self.nano_tokens = (self.nano_tokens + passed * u128::from(self.per_second)).min(full);
        self.filled_at = now;
        let left = self.nano_tokens.checked_sub(NANOS_PER_SECOND);
        self.nano_tokens = left.unwrap_or(self.nano_tokens);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(10, 3, start);
        assert_eq!((0..5).filter(|_| bucket.take(start)).count(), 3, "the burst");
        let soon = start + Duration::from_millis(250);
        assert_eq!((0..5).filter(|_| bucket.take(soon)).count(), 2, "a quarter of a second at ten a second");
        let late = start + Duration::from_secs(3600);
        assert_eq!((0..5).filter(|_| bucket.take(late)).count(), 3, "never more than the burst");
    }
}
