//! A tap signs once, for everything done in it; a body carries that signature and its own path.
//!
//! The Merkle tree is that of RFC 9162, 2.1 (leaf prefix 0, node prefix 1), over content ids.

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::entry::Content;
use crate::ids::{ContentId, KeyId, NetworkId, sha256};
use crate::keys::{KeyError, Signer, VerifyingKey};
use crate::limits::{BODY_BYTES_MAX, TAP_CONTENTS_MAX};
use crate::sign1::{Sign1, sign1};
use crate::wire::{Bytes, Wire};
use crate::wire_struct;

wire_struct! {
    /// What a card signs in a tap.
    pub struct TapPayload {
        /// SHA-256 of the UTF-8 text that was shown.
        pub text_hash: [u8; 32],
        /// Its language, a BCP 47 tag.
        pub language: String,
        /// The Merkle root over the content ids of the tap.
        pub root: [u8; 32],
    }
}

wire_struct! {
    /// A card's signature over a tap, and the path of one content under its root.
    pub struct CardSignature {
        /// The place of the content among the leaves, from 0.
        pub index: u64,
        /// How many contents the tap holds.
        pub leaves: u64,
        /// The sibling hashes from leaf to root.
        pub path: Vec<[u8; 32]>,
        /// COSE_Sign1 over a [`TapPayload`].
        pub sign1: Bytes,
    }
}

wire_struct! {
    /// A content with the card signatures that will it.
    pub struct Body {
        /// The encoding of a [`Content`].
        pub content: Bytes,
        /// The signatures, at most 64; they are not part of the body's id.
        pub signatures: Vec<CardSignature>,
    }
}

fn leaf(id: &ContentId) -> [u8; 32] {
    sha256(&[&[0], &id.0])
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1], left, right])
}

/// The largest power of two below `n`, for n of 2 and more.
fn split(n: usize) -> usize {
    n.next_power_of_two() / 2
}

/// The Merkle root over `ids`; the hash of nothing for none.
#[must_use]
pub fn merkle_root(ids: &[ContentId]) -> [u8; 32] {
    match ids {
        [] => sha256(&[]),
        [one] => leaf(one),
        _ => {
            let (left, right) = ids.split_at(split(ids.len()));
            node(&merkle_root(left), &merkle_root(right))
        }
    }
}

/// The path from the leaf at `index` to the root; empty where there is no such leaf.
#[must_use]
pub fn merkle_path(ids: &[ContentId], index: usize) -> Vec<[u8; 32]> {
    if ids.len() < 2 || index >= ids.len() {
        return Vec::new();
    }
    let (left, right) = ids.split_at(split(ids.len()));
    let (mut path, sibling) = if index < left.len() {
        (merkle_path(left, index), merkle_root(right))
    } else {
        (merkle_path(right, index - left.len()), merkle_root(left))
    };
    path.push(sibling);
    path
}

/// The Merkle root over `ids`, and the path of each onto the end of its place in `paths`; hashes each node once.
fn merkle_paths(ids: &[ContentId], paths: &mut [Vec<[u8; 32]>]) -> [u8; 32] {
    if ids.len() < 2 {
        return merkle_root(ids);
    }
    let middle = split(ids.len());
    let ((left, right), (of_left, of_right)) = (ids.split_at(middle), paths.split_at_mut(middle));
    let (one, other) = (merkle_paths(left, of_left), merkle_paths(right, of_right));
    of_left.iter_mut().for_each(|path| path.push(other));
    of_right.iter_mut().for_each(|path| path.push(one));
    node(&one, &other)
}

/// The root that `path` leads to from `id` at `index` of `leaves` (RFC 9162, 2.1.3.2).
///
/// # Errors
/// [`Check::TapPath`] where index, number and path don't fit together.
pub fn merkle_climb(
    id: &ContentId,
    index: u64,
    leaves: u64,
    path: &[[u8; 32]],
) -> Result<[u8; 32], Rejected> {
    ensure(index < leaves && leaves <= TAP_CONTENTS_MAX as u64, Check::TapPath)?;
    let (mut at, mut last, mut hash) = (index, leaves - 1, leaf(id));
    for sibling in path {
        ensure(last > 0, Check::TapPath)?;
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            // An even one is the last here, which is above 0: it has a bit that ends this.
            while at & 1 == 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    ensure(last == 0, Check::TapPath)?;
    Ok(hash)
}

/// Signs `contents` in one tap: one signature of the card, one [`CardSignature`] for each content.
///
/// # Errors
/// As the card; [`KeyError::Unsupported`] for none or more than 4096 contents.
pub fn sign_tap(
    signer: &mut dyn Signer,
    network: &NetworkId,
    shown: (&str, &str),
    contents: &[ContentId],
) -> Result<Vec<CardSignature>, KeyError> {
    if contents.is_empty() || contents.len() > TAP_CONTENTS_MAX {
        return Err(KeyError::Unsupported("a tap of no or of too many contents"));
    }
    let (text, language) = shown;
    let mut paths = vec![Vec::new(); contents.len()];
    let root = merkle_paths(contents, &mut paths);
    let payload = TapPayload { text_hash: sha256(&[text.as_bytes()]), language: language.to_owned(), root };
    let sign1 = Bytes(sign1(signer, Context::Tap, network, &payload.encode())?);
    let leaves = contents.len() as u64;
    let one = |(index, path)| CardSignature { index, leaves, path, sign1: sign1.clone() };
    Ok((0..).zip(paths).map(one).collect())
}

impl CardSignature {
    /// The key that is said to have signed.
    ///
    /// # Errors
    /// As [`Sign1::parse`].
    pub fn kid(&self) -> Result<KeyId, Rejected> {
        Ok(Sign1::parse(&self.sign1)?.kid())
    }

    /// Verifies that the holder of `key` signed a tap that contains `content`; gives what was shown.
    ///
    /// # Errors
    /// As [`Sign1::verify`]; [`Check::TapPath`] where the content is not under the root.
    pub fn verify(
        &self,
        content: &ContentId,
        key: &VerifyingKey,
        network: &NetworkId,
    ) -> Result<TapPayload, Rejected> {
        self.verify_once(content, key, network, &mut Every)
    }

    fn verify_once(
        &self,
        content: &ContentId,
        key: &VerifyingKey,
        network: &NetworkId,
        known: &mut dyn KnownTaps,
    ) -> Result<TapPayload, Rejected> {
        let message = Sign1::parse(&self.sign1)?;
        let id = sha256(&[&key.id().0, &network.0, &self.sign1]);
        if !known.has(&id) {
            message.verify(key, Context::Tap, network)?;
            known.put(id);
        }
        let payload = TapPayload::decode(message.payload())?;
        let root = merkle_climb(content, self.index, self.leaves, &self.path)?;
        ensure(root == payload.root, Check::TapPath)?;
        Ok(payload)
    }
}

/// Signatures of taps that were seen to verify. A tap signs once for everything done in it, so each of its
/// bodies carries the same one. Forgetting any of them costs time and changes no answer.
pub trait KnownTaps {
    /// Whether this one was put.
    fn has(&mut self, id: &[u8; 32]) -> bool;
    /// It verifies: its id names key, network, message and signature.
    fn put(&mut self, id: [u8; 32]);
}

/// Knows none: each is verified.
struct Every;

impl KnownTaps for Every {
    fn has(&mut self, _: &[u8; 32]) -> bool {
        false
    }
    fn put(&mut self, _: [u8; 32]) {}
}

/// A body's signatures, at most.
pub const SIGNATURES_MAX: usize = 64;

impl Body {
    /// Reads a body and its content within the limits; signatures are left to [`Body::signed_by`].
    ///
    /// # Errors
    /// Checks 101 to 106, and those of [`Content::read`].
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<(Self, Content), Rejected> {
        let body = Self::decode_within(bytes, BODY_BYTES_MAX)?;
        ensure(body.signatures.len() <= SIGNATURES_MAX, Check::TooLarge)?;
        let content = Content::read(&body.content, network)?;
        Ok((body, content))
    }

    /// The content id.
    #[must_use]
    pub fn id(&self) -> ContentId {
        ContentId(sha256(&[&self.content]))
    }

    /// Whether the holder of `key` signed this body; gives what was shown.
    ///
    /// # Errors
    /// [`Check::MissingSignature`] where no signature names the key; otherwise the first that failed.
    pub fn signed_by(&self, key: &VerifyingKey, network: &NetworkId) -> Result<TapPayload, Rejected> {
        self.signed_by_known(key, network, &mut Every)
    }

    /// As [`Body::signed_by`], but what is known already is not verified again.
    ///
    /// # Errors
    /// As [`Body::signed_by`].
    pub fn signed_by_known(
        &self,
        key: &VerifyingKey,
        network: &NetworkId,
        known: &mut dyn KnownTaps,
    ) -> Result<TapPayload, Rejected> {
        let id = self.id();
        let mut why = Check::MissingSignature.into();
        for signature in &self.signatures {
            if signature.kid() != Ok(key.id()) {
                continue;
            }
            match signature.verify_once(&id, key, network, known) {
                Ok(payload) => return Ok(payload),
                Err(e) => why = e,
            }
        }
        Err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SoftwareSigner;

    const NET: NetworkId = NetworkId([3; 32]);

    fn ids(n: usize) -> Vec<ContentId> {
        (0..n).map(|i| ContentId(sha256(&[&i.to_be_bytes()]))).collect()
    }

    #[test]
    fn every_leaf_climbs_to_the_root_and_no_other_does() {
        for n in 1..40 {
            let ids = ids(n);
            let root = merkle_root(&ids);
            let mut paths = vec![Vec::new(); n];
            assert_eq!(merkle_paths(&ids, &mut paths), root, "the same root with all paths");
            for (i, id) in ids.iter().enumerate() {
                let path = merkle_path(&ids, i);
                assert_eq!(path, paths[i], "the same path, alone and with all");
                assert_eq!(merkle_climb(id, i as u64, n as u64, &path), Ok(root), "leaf {i} of {n}");
                let other = ContentId([0xee; 32]);
                assert_ne!(merkle_climb(&other, i as u64, n as u64, &path), Ok(root), "a stranger");
                let longer = [path.clone(), vec![[0; 32]]].concat();
                assert!(merkle_climb(id, i as u64, n as u64, &longer).is_err(), "a longer path");
            }
        }
    }

    #[test]
    fn a_known_tap_holds_for_its_key_network_and_contents_only() {
        #[derive(Default)]
        struct All(Vec<[u8; 32]>, usize);
        impl KnownTaps for All {
            fn has(&mut self, id: &[u8; 32]) -> bool {
                let known = self.0.contains(id);
                self.1 += usize::from(known);
                known
            }
            fn put(&mut self, id: [u8; 32]) {
                self.0.push(id);
            }
        }
        let mut card = SoftwareSigner::from_seed(&[1; 32]);
        let (key, ids) = (card.verifying_key(), ids(3));
        let signed = sign_tap(&mut card, &NET, ("May read.", "en"), &ids).expect("software signs");
        let mut known = All::default();
        for (id, signature) in ids.iter().zip(&signed) {
            assert!(signature.verify_once(id, &key, &NET, &mut known).is_ok(), "each of the tap");
        }
        assert_eq!((known.0.len(), known.1), (1, 2), "verified once, known twice");
        let stranger = signed[0].verify_once(&ContentId([9; 32]), &key, &NET, &mut known);
        assert_eq!(stranger, Err(Check::TapPath.into()), "a content that is not under its root");
        let abroad = signed[0].verify_once(&ids[0], &key, &NetworkId([4; 32]), &mut known);
        assert_eq!(abroad, Err(Check::BadSignature.into()), "another network");
        let other = SoftwareSigner::from_seed(&[2; 32]).verifying_key();
        let other = signed[0].verify_once(&ids[0], &other, &NET, &mut known);
        assert_eq!(other, Err(Check::UnknownSigner.into()), "another key");
        let mut flipped = signed[0].clone();
        *flipped.sign1.0.last_mut().expect("not empty") ^= 1;
        let flipped = flipped.verify_once(&ids[0], &key, &NET, &mut known);
        assert_eq!(flipped, Err(Check::BadSignature.into()), "another signature");
        assert_eq!(known.0.len(), 1, "and none of these is known now");
    }

    #[test]
    fn one_tap_signs_a_batch_and_says_what_was_shown() {
        let mut card = SoftwareSigner::from_seed(&[1; 32]);
        let key = card.verifying_key();
        let ids = ids(50);
        let signed = sign_tap(&mut card, &NET, ("May read.", "en"), &ids).expect("software signs");
        for (id, signature) in ids.iter().zip(&signed) {
            let shown = signature.verify(id, &key, &NET).expect("each content is under the root");
            assert_eq!(shown.text_hash, sha256(&[b"May read."]), "the text is bound");
        }
        let swapped = signed[0].verify(&ids[1], &key, &NET);
        assert_eq!(swapped, Err(Check::TapPath.into()), "another content's path");
    }

    #[test]
    fn a_tree_is_that_of_the_rfc() {
        let ids = ids(7);
        let l: Vec<_> = ids.iter().map(|id| sha256(&[&[0], &id.0])).collect();
        let pair = |a: &[u8; 32], b: &[u8; 32]| sha256(&[&[1], a, b]);
        let four = pair(&pair(&l[0], &l[1]), &pair(&l[2], &l[3]));
        assert_eq!(merkle_root(&[]), sha256(&[]), "of nothing");
        assert_eq!(merkle_root(&ids[..1]), l[0], "of one leaf");
        assert_eq!(merkle_root(&ids[..4]), four, "of four");
        assert_eq!(merkle_root(&ids), pair(&four, &pair(&pair(&l[4], &l[5]), &l[6])), "of seven");
        assert_eq!(merkle_path(&ids, 6), [pair(&l[4], &l[5]), four], "the last leaf's path");
        assert_eq!(merkle_path(&ids, 7), Vec::<[u8; 32]>::new(), "of no leaf, none");
        assert_eq!(merkle_path(&ids[..1], 0), Vec::<[u8; 32]>::new(), "of the only one, none");
    }

    #[test]
    fn index_number_and_path_must_fit_together() {
        let ids = ids(6);
        let path = merkle_path(&ids, 5);
        let climb = |index, leaves, path: &[_]| merkle_climb(&ids[5], index, leaves, path);
        assert_eq!(climb(5, 6, &path), Ok(merkle_root(&ids)), "as it was made");
        for (index, leaves) in [(6, 6), (7, 6), (0, 0), (5, 5)] {
            assert_eq!(
                climb(index, leaves, &path),
                Err(Check::TapPath.into()),
                "no leaf {index} of {leaves}"
            );
        }
        assert_eq!(climb(5, 6, &path[..1]), Err(Check::TapPath.into()), "a path cut short");
        assert_eq!(climb(0, 1, &[]), Ok(sha256(&[&[0], &ids[5].0])), "the only leaf is the root");
        let deep = vec![[0; 32]; 12];
        let most = TAP_CONTENTS_MAX as u64;
        assert!(climb(0, most, &deep).is_ok(), "as many as a tap may hold");
        assert_eq!(
            climb(0, most + 1, &[deep, vec![[0; 32]]].concat()),
            Err(Check::TapPath.into()),
            "one more"
        );
    }

    #[test]
    fn a_tap_is_of_1_to_4096_contents() {
        let mut card = SoftwareSigner::from_seed(&[1; 32]);
        let mut sign = |n: usize| sign_tap(&mut card, &NET, ("t", "en"), &vec![ContentId([1; 32]); n]);
        let refused = Err(KeyError::Unsupported("a tap of no or of too many contents"));
        assert_eq!(sign(0), refused, "nothing to sign");
        assert_eq!(sign(1).map(|s| s.len()), Ok(1), "one");
        assert_eq!(sign(TAP_CONTENTS_MAX).map(|s| s.len()), Ok(4096), "as many as there may be");
        assert_eq!(sign(TAP_CONTENTS_MAX + 1), refused, "one more");
    }

    fn body(card: &mut SoftwareSigner, payload: usize, signatures: usize) -> Body {
        let content = Content {
            format: crate::entry::FORMAT,
            network: NET,
            kind: 21,
            organization: crate::ids::OrganizationId([2; 32]),
            salt: [4; 32],
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(vec![0; payload]),
        };
        let signed = sign_tap(card, &NET, ("t", "en"), &[content.id()]).expect("software signs");
        Body { content: Bytes(content.encode()), signatures: vec![signed[0].clone(); signatures] }
    }

    #[test]
    fn a_body_is_read_within_its_limits() {
        let mut card = SoftwareSigner::from_seed(&[1; 32]);
        let mut read = |payload, signatures| {
            let body = body(&mut card, payload, signatures);
            Body::read(&body.encode(), &NET).map(|(read, content)| (read == body, content.id() == body.id()))
        };
        assert_eq!(read(1, SIGNATURES_MAX), Ok((true, true)), "as many signatures as there may be");
        assert_eq!(read(1, SIGNATURES_MAX + 1), Err(Check::TooLarge.into()), "one more");
        assert_eq!(read(1, 0), Ok((true, true)), "without any it is read all the same");
        assert_eq!(read(70_000, 1), Err(Check::TooLarge.into()), "a content beyond its limit");
        let abroad = Body::read(&body(&mut card, 1, 1).encode(), &NetworkId([4; 32])).map(|_| ());
        assert_eq!(abroad, Err(Check::WrongNetwork.into()), "another network's");
    }

    #[test]
    fn a_body_says_who_signed_it_and_why_a_signature_fails() {
        let mut card = SoftwareSigner::from_seed(&[1; 32]);
        let (key, other) = (card.verifying_key(), SoftwareSigner::from_seed(&[2; 32]).verifying_key());
        let good = body(&mut card, 1, 1);
        assert_eq!(good.signatures[0].kid(), Ok(key.id()), "the key that is named");
        let shown = good.signed_by(&key, &NET).map(|payload| payload.language);
        assert_eq!(shown, Ok("en".into()), "its card, and what it showed");
        assert_eq!(good.signed_by(&other, &NET), Err(Check::MissingSignature.into()), "nobody else's");
        let mut forged = good.clone();
        *forged.signatures[0].sign1.0.last_mut().expect("not empty") ^= 1;
        assert_eq!(forged.signed_by(&key, &NET), Err(Check::BadSignature.into()), "a forged one");
        let alone = forged.signatures[0].verify(&good.id(), &key, &NET);
        assert_eq!(alone, Err(Check::BadSignature.into()), "nor by itself");
        let mut torn = good.clone();
        torn.signatures[0].leaves = 2;
        assert_eq!(torn.signed_by(&key, &NET), Err(Check::TapPath.into()), "why it fails");
        torn.signatures.push(good.signatures[0].clone());
        assert!(torn.signed_by(&key, &NET).is_ok(), "a good one beside a torn one");
        assert_eq!(good.id(), ContentId(sha256(&[&good.content])), "a body's id is its content's");
    }
}
