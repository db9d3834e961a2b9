//! Chance from a seed: the one generator that plans and faults are drawn with.
//!
//! `SplitMix64` (Steele et al., 2014), written out so that a seed means the same run whatever a library does.
//! No keys come from it; stores get a `ChaCha20` of their own.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The stream of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of what several numbers name together: the fate of one message on one link, say. It does not
    /// move when something else is drawn more or less often, so a shortened story stays close to the whole one.
    #[must_use]
    pub fn of(parts: &[u64]) -> Self {
        let mut dice = Self(0x5eed);
        for part in parts {
            dice.0 ^= *part;
            dice.0 = dice.draw();
        }
        dice
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 for none.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n.max(1)
    }

    /// A number from `from` to, not including, `to`.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from))
    }

    /// A place below `n`.
    pub fn place(&mut self, n: usize) -> usize {
        usize::try_from(self.below(n as u64)).unwrap_or(0)
    }

    /// True in so many of a thousand.
    pub fn permille(&mut self, of: u64) -> bool {
        self.below(1000) < of
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.place(of.len())]
    }

    /// 32 bytes.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&self.draw().to_be_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_stream_and_a_fate_hangs_on_every_part() {
        let mut one = Dice::new(7);
        let mut other = Dice::new(7);
        assert!((0..100).all(|_| one.draw() == other.draw()), "the same seed");
        assert_ne!(Dice::of(&[1, 2, 3]).draw(), Dice::of(&[1, 2, 4]).draw(), "the last part");
        assert_ne!(Dice::of(&[1, 2, 3]).draw(), Dice::of(&[2, 1, 3]).draw(), "and the order");
    }
}
