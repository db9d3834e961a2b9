//! Spoils good inputs, the same way every time: flipped bits, cuts, lengths that promise too much, nesting without
//! end, pieces of other inputs.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

/// Inputs up to this many bytes are cut at every place and flipped at every bit.
const WHOLE_BYTES: usize = 300;
/// Places that are tried in longer ones, for each kind of change.
const SAMPLED: usize = 160;
/// Levels of a nesting bomb: far more than any reader follows.
const LEVELS: usize = 50_000;

/// Heads of CBOR that announce more than follows: array, byte string, text and map, of 2^64 - 1, 2^32 - 1, 2^31 and
/// 65,535; indefinite ones too.
const PROMISES: [&[u8]; 14] = [
    &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9a, 0xff, 0xff, 0xff, 0xff],
    &[0x5a, 0xff, 0xff, 0xff, 0xff],
    &[0x9a, 0x80, 0x00, 0x00, 0x00],
    &[0x5a, 0x7f, 0xff, 0xff, 0xff],
    &[0x99, 0xff, 0xff],
    &[0x59, 0xff, 0xff],
    &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x9f],
    &[0x5f],
];

/// What opens a level: of CBOR (array, indefinite array, map, tag), JSON and XML, and of DICOM sequences (item and
/// sequence of undefined length, explicit VR little endian).
const OPENINGS: [&[u8]; 8] = [
    &[0x81],
    &[0x9f],
    &[0xa1, 0x00],
    &[0xc1],
    b"[",
    b"{\"a\":",
    b"<a>",
    &[
        0x08, 0, 0x40, 0x11, b'S', b'Q', 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0, 0xe0, 0xff, 0xff, 0xff,
        0xff,
    ],
];

/// Spoilt forms of `good`, one after the other, from a seed.
pub(crate) fn each(good: &[u8], others: &[Vec<u8>], seed: u64, mut act: impl FnMut(&[u8])) {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let places = places(good.len(), &mut rng);
    for at in &places {
        act(&good[..*at]);
        flips(good, *at, &mut act);
    }
    for at in places.iter().step_by(1 + places.len() / 64) {
        PROMISES.iter().for_each(|promise| act(&spliced(good, *at, promise)));
    }
    for at in [0, 1, good.len() / 2, good.len()] {
        OPENINGS.iter().for_each(|opening| act(&spliced(good, at.min(good.len()), &opening.repeat(LEVELS))));
    }
    for _ in 0..64 {
        act(&crossed(good, others, &mut rng));
        act(&scattered(good, &mut rng));
    }
}

fn below(rng: &mut ChaCha20Rng, end: usize) -> usize {
    usize::try_from(rng.next_u64() % (end.max(1) as u64)).expect("less than a length")
}

fn places(length: usize, rng: &mut ChaCha20Rng) -> Vec<usize> {
    match length {
        0..=WHOLE_BYTES => (0..length).collect(),
        _ => (0..SAMPLED).map(|_| below(rng, length)).collect(),
    }
}

fn flips(good: &[u8], at: usize, act: &mut impl FnMut(&[u8])) {
    let mut spoilt = good.to_vec();
    for bit in 0..8 {
        spoilt[at] ^= 1 << bit;
        act(&spoilt);
        spoilt[at] ^= 1 << bit;
    }
    for value in [0x00, 0x7f, 0xff] {
        spoilt[at] = value;
        act(&spoilt);
    }
}

/// `piece` in place of as many bytes, or beyond the end.
fn spliced(good: &[u8], at: usize, piece: &[u8]) -> Vec<u8> {
    [&good[..at], piece, good.get(at + piece.len()..).unwrap_or_default()].concat()
}

/// The start of one input and the end of another.
fn crossed(good: &[u8], others: &[Vec<u8>], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let other = others.get(below(rng, others.len())).map_or(&[][..], Vec::as_slice);
    let (at, from) = (below(rng, good.len() + 1), below(rng, other.len() + 1));
    [&good[..at], &other[from..]].concat()
}

/// Up to sixteen bytes changed, anywhere.
fn scattered(good: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut spoilt = good.to_vec();
    for _ in 0..=below(rng, 16) {
        let at = below(rng, spoilt.len());
        if let Some(byte) = spoilt.get_mut(at) {
            *byte = rng.next_u64().to_le_bytes()[0];
        }
    }
    spoilt
}
