//! Ed25519 (RFC 8032): one rule of verification, the same alone and in a batch.
//!
//! The rule is [8][S]B = [8]R + [8][k]A (RFC 8032, 5.1.7), with S reduced, R in its one encoding, and neither R
//! nor A of small order (Chalkias, Garillot and Nikolaenko, Taming the many EdDSAs, 2020, algorithm 2). The factor
//! 8 matters: without it, who crafts a key or an R with a part of small order makes a signature that a batch may
//! take and a node that looks at it alone refuses, and the two would no longer agree on what is final.
//! It draws no random number: the weights of a batch follow from everything that is in it. Callers are `keys`
//! and `sign1`.

use std::collections::BTreeMap;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

use crate::ids::sha256;
use crate::memo;
use crate::tally;

/// The bytes of 2^255 - 19, the order of the field, from the lowest on.
const FIELD_LOWEST: u8 = 0xed;

/// A signature over a message under a key, all as they came.
#[derive(Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) key: &'a [u8; 32],
    pub(crate) message: &'a [u8],
    pub(crate) signature: &'a [u8; 64],
}

/// A claim of the right form.
struct Read {
    r: EdwardsPoint,
    s: Scalar,
    /// SHA-512(R || A || M), reduced.
    k: Scalar,
}

/// A key's point; null for what is none, or one of small order.
pub(crate) fn point(key: &[u8; 32]) -> Option<EdwardsPoint> {
    memo::point(key, |key| CompressedEdwardsY(*key).decompress().filter(|a| !a.is_small_order()))
}

// Below the order of the field. The two points that have x = 0, and so two signs, are of small order.
fn is_reduced(y: &[u8; 32]) -> bool {
    let [first, middle @ .., last] = y;
    last & 0x7f < 0x7f || *first < FIELD_LOWEST || middle.iter().any(|b| *b != 0xff)
}

fn read(claim: &Claim<'_>) -> Option<Read> {
    let (r, s) = claim.signature.split_first_chunk::<32>()?;
    let s = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
    let point = Some(CompressedEdwardsY(*r)).filter(|_| is_reduced(r))?.decompress()?;
    let hash = Sha512::new().chain_update(r).chain_update(claim.key).chain_update(claim.message).finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    (!point.is_small_order()).then_some(Read { r: point, s, k })
}

// What a verdict on a claim is remembered by.
fn id(claim: &Claim<'_>) -> [u8; 32] {
    sha256(&[b"ed25519", claim.key, claim.signature, claim.message])
}

/// Whether a signature holds.
pub(crate) fn verify(claim: &Claim<'_>) -> bool {
    tally::count(|t| t.alone += 1);
    memo::verdict(|| id(claim), || verify_now(claim))
}

fn verify_now(claim: &Claim<'_>) -> bool {
    let (Some(a), Some(read)) = (point(claim.key), read(claim)) else { return false };
    let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(&-read.k, &a, &read.s) - read.r;
    sum.mul_by_cofactor().is_identity()
}

/// Whether all signatures hold; a false one passes with a probability of 2^-126.
pub(crate) fn verify_batch(claims: &[Claim<'_>]) -> bool {
    match claims {
        [] => true,
        [one] => verify(one),
        _ => {
            tally::count(|t| t.in_batches += claims.len() as u64);
            holds_all(claims)
        }
    }
}

#[cfg(not(feature = "memo"))]
fn holds_all(claims: &[Claim<'_>]) -> bool {
    holds(claims).unwrap_or(false)
}

// Those that are not remembered to hold.
#[cfg(feature = "memo")]
fn holds_all(claims: &[Claim<'_>]) -> bool {
    let fresh: Vec<Claim<'_>> =
        claims.iter().filter(|claim| memo::known(&id(claim)) != Some(true)).copied().collect();
    let hold = fresh.is_empty() || holds(&fresh).unwrap_or(false);
    if hold {
        fresh.iter().for_each(|claim| memo::remember(id(claim), true));
    }
    hold
}

// The sum over all claims of z(R + kA - SB) is of small order. Claims under one key share its term.
fn holds(claims: &[Claim<'_>]) -> Option<bool> {
    let read: Vec<_> = claims.iter().map(read).collect::<Option<_>>()?;
    let weights = weights(claims, &read);
    let mut base = Scalar::ZERO;
    let mut keys: BTreeMap<&[u8; 32], Scalar> = BTreeMap::new();
    for ((claim, read), z) in claims.iter().zip(&read).zip(&weights) {
        base -= z * read.s;
        *keys.entry(claim.key).or_insert(Scalar::ZERO) += z * read.k;
    }
    let points = keys.keys().map(|key| point(key)).collect::<Option<Vec<_>>>()?;
    let scalars = std::iter::once(&base).chain(keys.values()).chain(&weights);
    let all = std::iter::once(&ED25519_BASEPOINT_POINT).chain(&points).chain(read.iter().map(|one| &one.r));
    Some(EdwardsPoint::vartime_multiscalar_mul(scalars, all).mul_by_cofactor().is_identity())
}

// 128 bits each, from a hash over all claims: whoever changes any of them changes every weight.
fn weights(claims: &[Claim<'_>], read: &[Read]) -> Vec<Scalar> {
    let mut hasher = blake3::Hasher::new_derive_key("hospes/1/ed25519/batch");
    for (claim, read) in claims.iter().zip(read) {
        hasher.update(claim.key).update(claim.signature).update(read.k.as_bytes());
    }
    let mut stream = hasher.finalize_xof();
    let mut weight = || {
        let mut bytes = [0; 16];
        stream.fill(&mut bytes);
        Scalar::from(u128::from_le_bytes(bytes))
    };
    claims.iter().map(|_| weight()).collect()
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    struct Signed {
        key: [u8; 32],
        message: Vec<u8>,
        signature: [u8; 64],
    }

    impl Signed {
        fn claim(&self) -> Claim<'_> {
            Claim { key: &self.key, message: &self.message, signature: &self.signature }
        }
    }

    fn signed(signer: u8, n: u8) -> Signed {
        let key = SigningKey::from_bytes(&[signer; 32]);
        let message = vec![n; 40];
        let signature = key.sign(&message).to_bytes();
        Signed { key: key.verifying_key().to_bytes(), message, signature }
    }

    /// A signature by one who adds a point of small order to R, and signs for that R.
    fn with_torsion(n: u8) -> Signed {
        let (a, r) = (Scalar::from(7_u64), Scalar::from(1_000 + u64::from(n)));
        let key = (a * ED25519_BASEPOINT_POINT).compress().0;
        let point = (r * ED25519_BASEPOINT_POINT + EIGHT_TORSION[1]).compress().0;
        let message = vec![n; 40];
        let hash = Sha512::new().chain_update(point).chain_update(key).chain_update(&message).finalize();
        let s = r + Scalar::from_bytes_mod_order_wide(&hash.into()) * a;
        let signature = [point, s.to_bytes()].concat().try_into().expect("twice 32 bytes");
        Signed { key, message, signature }
    }

    fn holds_both_ways(all: &[Signed]) -> (bool, bool) {
        let claims: Vec<_> = all.iter().map(Signed::claim).collect();
        (claims.iter().all(verify), verify_batch(&claims))
    }

    #[test]
    fn a_batch_holds_exactly_when_each_of_it_does() {
        for size in [0_u8, 1, 2, 30, 250] {
            let mut all: Vec<_> = (0..size).map(|n| signed(1 + n % 3, n)).collect();
            assert_eq!(holds_both_ways(&all), (true, true), "{size} good ones");
            for (at, byte) in [(0, 0), (usize::from(size / 2), 33), (usize::from(size.max(1) - 1), 63)] {
                let Some(one) = all.get_mut(at) else { continue };
                one.signature[byte] ^= 1;
                assert_eq!(holds_both_ways(&all), (false, false), "byte {byte} of number {at} of {size}");
                all[at].signature[byte] ^= 1;
            }
        }
        let (one, other) = (signed(1, 1), signed(1, 2));
        let swapped = [
            Signed { signature: other.signature, ..signed(1, 1) },
            Signed { signature: one.signature, ..signed(1, 2) },
        ];
        assert_eq!(holds_both_ways(&swapped), (false, false), "two signatures swapped");
    }

    #[test]
    fn a_part_of_small_order_parts_no_batch_from_its_members() {
        for n in 0..24 {
            let alone = [with_torsion(n)];
            assert_eq!(holds_both_ways(&alone), (true, true), "alone");
            let among = [with_torsion(n), signed(1, n), with_torsion(n + 1)];
            assert_eq!(holds_both_ways(&among), (true, true), "among others, whatever its weight");
        }
        let strict = ed25519_dalek::VerifyingKey::from_bytes(&with_torsion(0).key).expect("a point");
        let signature = ed25519_dalek::Signature::from_bytes(&with_torsion(0).signature);
        assert!(strict.verify_strict(&with_torsion(0).message, &signature).is_err(), "which others refuse");
    }

    #[test]
    fn other_forms_of_a_good_signature_are_refused() {
        let good = signed(1, 1);
        assert!(verify(&good.claim()), "as it was made");
        let order: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let (mut carry, mut larger) = (0_u16, good.signature);
        for (byte, add) in larger[32..].iter_mut().zip(order) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
        let s_plus_order = Signed { signature: larger, ..signed(1, 1) };
        assert_eq!(holds_both_ways(&[s_plus_order, signed(1, 2)]), (false, false), "S beyond the order");
        for small in EIGHT_TORSION {
            let small = small.compress().0;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(&small);
            let forged = Signed { key: small, message: vec![1], signature };
            assert_eq!(holds_both_ways(&[forged, signed(1, 2)]), (false, false), "a key that signs anything");
        }
        for first in 0xed..=0xff {
            let mut y = [0xff; 32];
            (y[0], y[31]) = (first, 0x7f);
            assert!(!is_reduced(&y), "a second form of the number {}", first - 0xed);
        }
        let mut greatest = [0xff; 32];
        (greatest[0], greatest[31]) = (0xec, 0x7f);
        assert!(is_reduced(&greatest), "the greatest reduced number");
    }
}
