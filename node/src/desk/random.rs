//! Randomness of the operating system, for keys, salts, ids and challenges.

use rand::rngs::SysRng;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::error::DeskError;

/// A generator for one act, seeded by the operating system.
pub(super) fn generator() -> Result<ChaCha20Rng, DeskError> {
    ChaCha20Rng::try_from_rng(&mut SysRng).map_err(|_| DeskError::Random)
}

/// Random bytes.
pub(super) fn bytes<const N: usize>() -> Result<[u8; N], DeskError> {
    let mut bytes = [0; N];
    generator()?.fill_bytes(&mut bytes);
    Ok(bytes)
}
