//! What a guess of the PIN costs: Argon2id (RFC 9106) with bounded parameters.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::keys::KeyError;
use hospes_protocol::wire::{Dec, Enc, Wire};
use zeroize::Zeroizing;

/// Parameters of Argon2id, stored with the card.
///
/// A file may not ask for more than 256 MiB, 16 passes and 4 lanes, whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

const STANDARD: PinCost = PinCost { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
const MAX: PinCost = PinCost { memory_kib: 256 * 1024, passes: 16, lanes: 4 };

impl PinCost {
    /// 19 MiB and 2 passes: the OWASP minimum, some 50 ms. A six-digit PIN still falls in a day to a thief
    /// of the file.
    #[must_use]
    pub const fn standard() -> Self {
        STANDARD
    }

    /// A cost of at least the standard's memory (in KiB) and passes; none outside the bounds.
    #[must_use]
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let cost = Self { memory_kib, passes, lanes };
        let enough = memory_kib >= STANDARD.memory_kib && passes >= STANDARD.passes;
        (enough && cost.is_sane()).then_some(cost)
    }

    /// Next to nothing: for tests only, a card made with it protects nothing.
    #[must_use]
    pub const fn cheap_for_tests() -> Self {
        Self { memory_kib: 32, passes: 1, lanes: 1 }
    }

    fn is_sane(self) -> bool {
        (1..=MAX.lanes).contains(&self.lanes)
            && (1..=MAX.passes).contains(&self.passes)
            && (8 * self.lanes..=MAX.memory_kib).contains(&self.memory_kib)
    }

    /// The key of a PIN or PUK.
    pub(super) fn derive(self, secret: &[u8], salt: &[u8; 16]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let refused = |_| KeyError::Unsupported("this card's PIN parameters");
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).map_err(refused)?;
        let mut memory = Zeroizing::new(vec![Block::default(); params.block_count()]);
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(secret, salt, &mut key[..], &mut memory[..])
            .map_err(refused)?;
        Ok(key)
    }
}

impl Wire for PinCost {
    fn put(&self, e: &mut Enc) {
        e.array(3).u64(self.memory_kib.into()).u64(self.passes.into()).u64(self.lanes.into());
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(3)?;
        let mut next = || u32::try_from(d.u64()?).map_err(|_| Rejected::from(Check::Malformed));
        let cost = Self { memory_kib: next()?, passes: next()?, lanes: next()? };
        ensure(cost.is_sane(), Check::Malformed)?;
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_card_costs_at_least_the_standard() {
        assert_eq!(PinCost::new(19 * 1024, 2, 1), Some(PinCost::standard()), "the standard itself");
        assert_eq!(PinCost::new(19 * 1024 - 1, 2, 1), None, "too little memory");
        assert_eq!(PinCost::new(19 * 1024, 1, 1), None, "too few passes");
        assert_eq!(PinCost::new(u32::MAX, 2, 1), None, "more memory than a node gives");
    }

    #[test]
    fn a_file_cannot_ask_for_unbounded_work() {
        let good = PinCost::cheap_for_tests().encode();
        assert_eq!(PinCost::decode(&good), Ok(PinCost::cheap_for_tests()), "reads back");
        for (memory_kib, passes, lanes) in [(u32::MAX, 1, 1), (32, 17, 1), (64, 1, 5), (32, 0, 1), (7, 1, 1)]
        {
            let bad = PinCost { memory_kib, passes, lanes }.encode();
            assert!(PinCost::decode(&bad).is_err(), "{memory_kib} KiB, {passes} passes, {lanes} lanes");
        }
    }

    #[test]
    fn argon2id_agrees_with_the_reference_implementation() {
        // argon2-cffi over the reference C: hash_secret_raw(b"271828", b"somesaltsomesalt", 1, 32, 1, 32, Type.ID).
        let key = PinCost::cheap_for_tests().derive(b"271828", b"somesaltsomesalt").unwrap();
        let hex: String = key.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "db8e491c1e6f5d13bae17f8aceaac82e0cc27a250ceef3c0570b0f2817d0a3db", "the same key");
    }
}
