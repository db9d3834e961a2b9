//! Threshold keys on BLS12-381: keys that nobody holds whole, signatures by some of many, and boxes that only such a
//! signature opens.
//!
//! A key of `shares_needed` of n is dealt by its members to one another (Feldman 1987, with a proof of possession for
//! each dealer; Gennaro, Jarecki, Krawczyk and Rabin 2007 on what the bias of such a key costs) and dealt on to another
//! roster with the same public key (Desmedt and Jajodia 1997). Signatures are BLS with keys in G1, of the suite
//! `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_` (draft-irtf-cfrg-bls-signature, RFC 9380), so that any BLS library
//! verifies a release. A box is identity-based encryption (Boneh and Franklin 2001, made chosen-ciphertext secure by
//! Fujisaki and Okamoto 1999): its identity is a label, and the key of that identity is the threshold signature
//! over the label.
//!
//! This file alone names the library. It knows no persons, cards, blocks or clocks: `ceremony` says when whose dealing
//! counts, `escrow` what is in a box. Points are checked when they are read: never the identity, always of the
//! subgroup; an index is one of the roster; every share is verified before it is combined. `breakglass/README.md` has
//! the argument, and what this doesn't give.

use blstrs::{Compress as _, G1Affine, G1Projective, G2Affine, G2Projective, Gt, Scalar, pairing};
use group::ff::Field as _;
use group::prime::PrimeCurveAffine as _;
use group::{Curve as _, Group as _};
use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::ids::sha256;
use hospes_protocol::wire::{Dec, Enc, Wire};
use hospes_protocol::wire_struct;
use rand_core::CryptoRng;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Members of a roster, at most: as many as consensus admits to a committee.
pub const ROSTER_MAX: u16 = hospes_protocol::limits::COMMITTEE_MEMBERS_MAX;

/// Why something was not done with a threshold key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// A threshold is 1 of n at least and n of n at most, n up to [`ROSTER_MAX`].
    #[error("{needed} of {of} is no threshold")]
    NoThreshold {
        /// Shares needed.
        needed: u16,
        /// Members.
        of: u16,
    },
    /// The index belongs to nobody.
    #[error("index {0} is not in the roster")]
    OutOfRoster(u16),
    /// One member counts once.
    #[error("two shares carry index {0}")]
    Repeated(u16),
    /// The share was not made with the key share of its index over this message.
    #[error("the share of index {0} does not verify")]
    BadShare(u16),
    /// Fewer shares than the threshold.
    #[error("{have} shares of {needed}")]
    TooFew {
        /// Distinct shares that were given.
        have: u16,
        /// Shares needed.
        needed: u16,
    },
    /// The dealing is of another degree, lacks its proof, or deals another secret than it must.
    #[error("the dealing of index {0} is not valid")]
    BadDealing(u16),
    /// The shares add up to the key of nobody.
    #[error("the dealings cancel each other out")]
    NoKey,
    /// The signature is not this key's over this message.
    #[error("the signature does not verify")]
    BadSignature,
    /// The box was made for another label or key, or was altered.
    #[error("the box does not open")]
    Broken,
}

/// What a signature of a threshold key is for. A signature under one of them is none under another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Public: a release, verified by any BLS library.
    Release,
    /// Secret until handed over: opens the boxes of a label.
    Opening,
    /// A dealer knows what it deals; a member holds its key share.
    Possession,
}

impl Purpose {
    /// The domain separation tag (RFC 9380, 3.1).
    #[must_use]
    pub const fn tag(self) -> &'static [u8] {
        match self {
            Self::Release => b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_",
            Self::Opening => b"HOSPES-V01-OPENING-with-BLS12381G2_XMD:SHA-256_SSWU_RO_",
            Self::Possession => b"HOSPES-V01-POSSESSION-with-BLS12381G2_XMD:SHA-256_SSWU_RO_",
        }
    }

    fn hash(self, message: &[u8]) -> G2Projective {
        G2Projective::hash_to_curve(message, self.tag(), &[])
    }
}

/// A member's place in its roster, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(u16);

impl Index {
    /// The place `n`, from 1.
    ///
    /// # Errors
    /// [`ThresholdError::OutOfRoster`] for 0 and above [`ROSTER_MAX`].
    pub const fn new(n: u16) -> Result<Self, ThresholdError> {
        if n == 0 || n > ROSTER_MAX { Err(ThresholdError::OutOfRoster(n)) } else { Ok(Self(n)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    fn scalar(self) -> Scalar {
        Scalar::from(u64::from(self.0))
    }
}

impl Wire for Index {
    fn put(&self, e: &mut Enc) {
        e.u64(u64::from(self.0));
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        let n = u16::try_from(d.u64()?).map_err(|_| Check::Malformed)?;
        Self::new(n).map_err(|_| Check::Malformed.into())
    }
}

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    shares_needed: u16,
    members: u16,
}

impl Threshold {
    /// `shares_needed` of `members`.
    ///
    /// # Errors
    /// [`ThresholdError::NoThreshold`].
    pub const fn new(shares_needed: u16, members: u16) -> Result<Self, ThresholdError> {
        if shares_needed == 0 || shares_needed > members || members > ROSTER_MAX {
            return Err(ThresholdError::NoThreshold { needed: shares_needed, of: members });
        }
        Ok(Self { shares_needed, members })
    }

    /// Shares needed.
    #[must_use]
    pub const fn shares_needed(self) -> u16 {
        self.shares_needed
    }

    /// Members of the roster.
    #[must_use]
    pub const fn members(self) -> u16 {
        self.members
    }

    /// Every index of the roster, in order.
    pub fn indexes(self) -> impl Iterator<Item = Index> {
        (1..=self.members).map(Index)
    }

    fn ensure_member(self, index: Index) -> Result<(), ThresholdError> {
        if index.0 <= self.members { Ok(()) } else { Err(ThresholdError::OutOfRoster(index.0)) }
    }
}

/// A public key: a point of G1, never the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(G1Affine);

/// A signature, whole or of one share: a point of G2, never the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(G2Affine);

macro_rules! point {
    ($name:ident, $affine:ty, $projective:ty, $bytes:literal, $what:literal) => {
        impl $name {
            #[doc = concat!("Bytes of ", $what, ", compressed.")]
            pub const BYTES: usize = $bytes;

            /// Reads the compressed point.
            ///
            /// # Errors
            /// [`Check::WeakKey`] unless it is a point of the subgroup and not the identity.
            pub fn from_bytes(bytes: &[u8; $bytes]) -> Result<Self, Rejected> {
                let point: Option<$affine> = <$affine>::from_compressed(bytes).into();
                point.filter(|p| !bool::from(p.is_identity())).map(Self).ok_or_else(|| Check::WeakKey.into())
            }

            /// The compressed point.
            #[must_use]
            pub fn to_bytes(&self) -> [u8; $bytes] {
                self.0.to_compressed()
            }

            fn of(point: $projective) -> Option<Self> {
                (!bool::from(point.is_identity())).then(|| Self(point.to_affine()))
            }
        }

        impl Wire for $name {
            fn put(&self, e: &mut Enc) {
                e.bytes(&self.to_bytes());
            }
            fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
                Self::from_bytes(&<[u8; $bytes]>::get(d)?)
            }
        }
    };
}

point!(PublicKey, G1Affine, G1Projective, 48, "a public key");
point!(Signature, G2Affine, G2Projective, 96, "a signature");

impl PublicKey {
    /// Verifies a signature of this key.
    ///
    /// # Errors
    /// [`ThresholdError::BadSignature`].
    pub fn verify(
        &self,
        purpose: Purpose,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), ThresholdError> {
        let hashed = purpose.hash(message).to_affine();
        let good = pairing(&G1Affine::generator(), &signature.0) == pairing(&self.0, &hashed);
        if good { Ok(()) } else { Err(ThresholdError::BadSignature) }
    }
}

/// A scalar that is nobody's business: wiped when dropped.
///
/// Kept as bytes, since the library's scalars are plain copies; those that a calculation makes live on its stack.
#[derive(Clone)]
struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    fn random(rng: &mut dyn CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        loop {
            rng.fill_bytes(&mut *bytes);
            if let Some(scalar) = scalar_within(&bytes) {
                return Self::of(scalar);
            }
        }
    }

    fn of(scalar: Scalar) -> Self {
        Self(Zeroizing::new(scalar.to_bytes_be()))
    }

    fn scalar(&self) -> Scalar {
        Option::from(Scalar::from_bytes_be(&self.0)).expect("was written by a scalar")
    }

    fn public(&self) -> G1Projective {
        G1Projective::generator() * self.scalar()
    }

    fn sign(&self, purpose: Purpose, message: &[u8]) -> Option<Signature> {
        Signature::of(purpose.hash(message) * self.scalar())
    }
}

// The number of these 255 bits, if it is one of the field and not zero: equally likely to be any of them.
fn scalar_within(bytes: &[u8; 32]) -> Option<Scalar> {
    let mut bytes = Zeroizing::new(*bytes);
    bytes[0] &= 0x7f;
    Option::from(Scalar::from_bytes_be(&bytes)).filter(|s| !bool::from(Scalar::is_zero(s)))
}

fn scalar_of_hash(parts: &[&[u8]]) -> Scalar {
    let mut seed = Zeroizing::new(sha256(parts));
    loop {
        if let Some(scalar) = scalar_within(&seed) {
            return scalar;
        }
        *seed = sha256(&[&*seed]);
    }
}

/// What a dealer says to everyone: commitments to its polynomial, the constant first, and that it knows the constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dealing {
    commitments: Vec<PublicKey>,
    proof: Signature,
}

impl Wire for Dealing {
    fn put(&self, e: &mut Enc) {
        e.array(2);
        self.commitments.put(e);
        self.proof.put(e);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        let n = d.array()?;
        if n == 0 || n > u64::from(ROSTER_MAX) {
            return Err(Check::Malformed.into());
        }
        let commitments = (0..n).map(|_| PublicKey::get(d)).collect::<Result<_, _>>()?;
        Ok(Self { commitments, proof: Signature::get(d)? })
    }
}

/// What a dealer says to one member alone: its polynomial at that member's index.
#[derive(Clone)]
pub struct DealtShare {
    to: Index,
    secret: Secret,
}

/// A member's share of a key.
#[derive(Clone)]
pub struct KeyShare {
    index: Index,
    secret: Secret,
}

impl std::fmt::Debug for DealtShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DealtShare(to {}, ..)", self.to.0)
    }
}

impl std::fmt::Debug for KeyShare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyShare({}, ..)", self.index.0)
    }
}

/// Reads a secret scalar of the one to whom it was sealed or shown.
fn read_secret(bytes: &[u8; 32]) -> Result<Secret, Rejected> {
    let scalar: Option<Scalar> = Scalar::from_bytes_be(bytes).into();
    scalar.filter(|s| !bool::from(Scalar::is_zero(s))).map(Secret::of).ok_or_else(|| Check::WeakKey.into())
}

impl DealtShare {
    /// Reads the share that was sealed to the member `to`, or shown in answer to its complaint.
    ///
    /// # Errors
    /// [`Check::WeakKey`] for zero and for what is no scalar.
    pub fn from_bytes(to: Index, bytes: &[u8; 32]) -> Result<Self, Rejected> {
        Ok(Self { to, secret: read_secret(bytes)? })
    }

    /// The bytes, to be sealed to the member.
    #[must_use]
    pub fn to_bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.secret.0
    }

    /// Whose it is.
    #[must_use]
    pub fn to(&self) -> Index {
        self.to
    }
}

impl KeyShare {
    /// Reads a share that was sealed to its member's card.
    ///
    /// # Errors
    /// [`Check::WeakKey`] for zero and for what is no scalar.
    pub fn from_bytes(index: Index, bytes: &[u8; 32]) -> Result<Self, Rejected> {
        Ok(Self { index, secret: read_secret(bytes)? })
    }

    /// The bytes, to be sealed to the member's card.
    #[must_use]
    pub fn to_bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.secret.0
    }

    /// Whose it is.
    #[must_use]
    pub fn index(&self) -> Index {
        self.index
    }

    /// This member's part of a signature.
    #[must_use]
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> SignatureShare {
        let signature =
            self.secret.sign(purpose, message).expect("neither factor is zero in a group of prime order");
        SignatureShare { index: self.index, signature }
    }

    /// The share that the qualified dealings make for `index`. Each must have been checked against its dealing.
    ///
    /// # Errors
    /// [`ThresholdError::OutOfRoster`] if one was dealt to somebody else, [`ThresholdError::Repeated`],
    /// [`ThresholdError::NoKey`].
    pub fn assemble(index: Index, dealt: &[(Index, DealtShare)], sum: Sum) -> Result<Self, ThresholdError> {
        let dealers: Vec<Index> = dealt.iter().map(|(dealer, _)| *dealer).collect();
        ensure_distinct(&dealers)?;
        let mut total = Scalar::ZERO;
        for (dealer, share) in dealt {
            if share.to != index {
                return Err(ThresholdError::OutOfRoster(share.to.0));
            }
            total += share.secret.scalar() * sum.weight(*dealer, &dealers);
        }
        if bool::from(total.is_zero()) {
            return Err(ThresholdError::NoKey);
        }
        Ok(Self { index, secret: Secret::of(total) })
    }
}

/// How dealings add up to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    /// A key that nobody has dealt before: the sum of what each dealer chose.
    Fresh,
    /// The old key: what its old shares interpolate to.
    Reshared,
}

impl Sum {
    fn weight(self, dealer: Index, dealers: &[Index]) -> Scalar {
        match self {
            Self::Fresh => Scalar::ONE,
            Self::Reshared => lagrange_at_zero(dealer, dealers),
        }
    }
}

// Indexes are distinct and not zero, and far below the order of the field: no denominator is zero.
fn lagrange_at_zero(index: Index, among: &[Index]) -> Scalar {
    let x = index.scalar();
    let (mut above, mut below) = (Scalar::ONE, Scalar::ONE);
    for other in among.iter().filter(|o| **o != index) {
        above *= other.scalar();
        below *= other.scalar() - x;
    }
    above * Option::<Scalar>::from(below.invert()).expect("indexes are distinct")
}

fn ensure_distinct(indexes: &[Index]) -> Result<(), ThresholdError> {
    let mut sorted = indexes.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ThresholdError::Repeated(pair[0].0)),
        None => Ok(()),
    }
}

impl Dealing {
    /// Deals a fresh secret, or the dealer's share of an old key, to a roster; the shares in the order of its indexes.
    ///
    /// `context` names the ceremony: a dealing is valid in no other.
    ///
    /// # Panics
    /// Never: the proof is over a secret that is not zero.
    pub fn deal(
        context: &[u8],
        dealer: Index,
        threshold: Threshold,
        old: Option<&KeyShare>,
        rng: &mut dyn CryptoRng,
    ) -> (Self, Vec<DealtShare>) {
        let constant = old.map_or_else(|| Secret::random(rng), |share| share.secret.clone());
        let rest = (1..threshold.shares_needed).map(|_| Secret::random(rng));
        let polynomial: Vec<Secret> = std::iter::once(constant).chain(rest).collect();
        let commitments: Vec<PublicKey> = polynomial
            .iter()
            .map(|c| PublicKey::of(c.public()).expect("a coefficient is not zero"))
            .collect();
        let message = proof_message(context, dealer, &commitments);
        let proof = polynomial[0].sign(Purpose::Possession, &message).expect("the constant is not zero");
        let shares = threshold
            .indexes()
            .map(|to| DealtShare { to, secret: Secret::of(evaluate(&polynomial, to)) })
            .collect();
        (Self { commitments, proof }, shares)
    }

    /// Whether it is a dealing of this dealer in this ceremony, of the threshold's degree, and where a share of an old
    /// key is dealt, of that share.
    ///
    /// # Errors
    /// [`ThresholdError::BadDealing`].
    pub fn check(
        &self,
        context: &[u8],
        dealer: Index,
        threshold: Threshold,
        old: Option<&ThresholdKey>,
    ) -> Result<(), ThresholdError> {
        let bad = ThresholdError::BadDealing(dealer.0);
        let expected = old.map(|key| key.share_key(dealer)).transpose().map_err(|_| bad)?;
        let fits = self.commitments.len() == usize::from(threshold.shares_needed)
            && expected.is_none_or(|key| key == self.commitments[0]);
        if !fits {
            return Err(bad);
        }
        let message = proof_message(context, dealer, &self.commitments);
        self.commitments[0].verify(Purpose::Possession, &message, &self.proof).map_err(|_| bad)
    }

    /// Whether this is the share that the commitments say.
    #[must_use]
    pub fn holds(&self, share: &DealtShare) -> bool {
        share.secret.public() == evaluate_commitments(&self.commitments, share.to)
    }
}

fn proof_message(context: &[u8], dealer: Index, commitments: &[PublicKey]) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(3).bytes(context);
    dealer.put(&mut e);
    e.array(commitments.len());
    commitments.iter().for_each(|c| c.put(&mut e));
    e.into_bytes()
}

// Horner's rule, from the highest coefficient.
fn evaluate(polynomial: &[Secret], at: Index) -> Scalar {
    polynomial.iter().rev().fold(Scalar::ZERO, |sum, c| sum * at.scalar() + c.scalar())
}

fn evaluate_commitments(commitments: &[PublicKey], at: Index) -> G1Projective {
    commitments.iter().rev().fold(G1Projective::identity(), |sum, c| sum * at.scalar() + c.0)
}

/// A threshold key as everyone knows it: the public key, and with what each member's share verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdKey {
    threshold: Threshold,
    public: PublicKey,
    shares: Vec<PublicKey>,
}

impl ThresholdKey {
    /// The key that the qualified dealings make for a roster. Each must have been checked.
    ///
    /// # Errors
    /// [`ThresholdError::Repeated`], [`ThresholdError::BadDealing`] for another degree, [`ThresholdError::NoKey`].
    pub fn assemble(
        threshold: Threshold,
        dealings: &[(Index, &Dealing)],
        sum: Sum,
    ) -> Result<Self, ThresholdError> {
        let dealers: Vec<Index> = dealings.iter().map(|(dealer, _)| *dealer).collect();
        ensure_distinct(&dealers)?;
        let mut total = vec![G1Projective::identity(); usize::from(threshold.shares_needed)];
        for (dealer, dealing) in dealings {
            if dealing.commitments.len() != total.len() {
                return Err(ThresholdError::BadDealing(dealer.0));
            }
            let weight = sum.weight(*dealer, &dealers);
            for (sum, commitment) in total.iter_mut().zip(&dealing.commitments) {
                *sum += commitment.0 * weight;
            }
        }
        let of = |point| PublicKey::of(point).ok_or(ThresholdError::NoKey);
        let commitments = total.into_iter().map(of).collect::<Result<Vec<_>, _>>()?;
        let shares = threshold
            .indexes()
            .map(|index| of(evaluate_commitments(&commitments, index)))
            .collect::<Result<_, _>>()?;
        Ok(Self { threshold, public: commitments[0], shares })
    }

    /// How many of how many.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// The key with which signatures verify and to which boxes are sealed.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The public key of one share.
    ///
    /// # Errors
    /// [`ThresholdError::OutOfRoster`].
    pub fn share_key(&self, index: Index) -> Result<PublicKey, ThresholdError> {
        self.threshold.ensure_member(index)?;
        Ok(self.shares[usize::from(index.0) - 1])
    }

    /// Verifies one member's share of a signature.
    ///
    /// # Errors
    /// [`ThresholdError::OutOfRoster`], [`ThresholdError::BadShare`].
    pub fn verify_share(
        &self,
        purpose: Purpose,
        message: &[u8],
        share: &SignatureShare,
    ) -> Result<(), ThresholdError> {
        let bad = ThresholdError::BadShare(share.index.0);
        self.share_key(share.index)?.verify(purpose, message, &share.signature).map_err(|_| bad)
    }

    /// The signature that enough shares make. Every share given is verified, those beyond the threshold too; the
    /// signature is the same whichever are given.
    ///
    /// # Errors
    /// [`ThresholdError::Repeated`], [`ThresholdError::OutOfRoster`], [`ThresholdError::BadShare`],
    /// [`ThresholdError::TooFew`].
    pub fn combine(
        &self,
        purpose: Purpose,
        message: &[u8],
        shares: &[SignatureShare],
    ) -> Result<Signature, ThresholdError> {
        let given: Vec<Index> = shares.iter().map(|s| s.index).collect();
        ensure_distinct(&given)?;
        for share in shares {
            self.verify_share(purpose, message, share)?;
        }
        let needed = self.threshold.shares_needed;
        let used = shares.get(..usize::from(needed)).ok_or(ThresholdError::TooFew {
            have: u16::try_from(shares.len()).expect("distinct indexes of a roster"),
            needed,
        })?;
        let indexes = &given[..used.len()];
        let point = used.iter().fold(G2Projective::identity(), |sum, share| {
            sum + share.signature.0 * lagrange_at_zero(share.index, indexes)
        });
        Signature::of(point).ok_or(ThresholdError::NoKey)
    }
}

wire_struct! {
    /// One member's part of a signature.
    pub struct SignatureShare {
        /// Whose.
        pub index: Index,
        /// The point.
        pub signature: Signature,
    }
}

wire_struct! {
    /// 32 secret bytes that the threshold signature over a label opens, and nothing else.
    pub struct LabelBox {
        /// The ephemeral key.
        pub ephemeral: PublicKey,
        /// The random seed, masked by what pairing gives.
        pub masked_seed: [u8; 32],
        /// The secret, masked by the seed.
        pub masked_secret: [u8; 32],
    }
}

impl LabelBox {
    /// Seals `secret` under `label` for the holders of `key`.
    ///
    /// # Panics
    /// Never: an exponent that a hash gives is not zero.
    #[must_use]
    pub fn seal(key: &PublicKey, label: &[u8], secret: &[u8; 32], rng: &mut dyn CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        let exponent = box_exponent(&seed, secret);
        let ephemeral = PublicKey::of(G1Projective::generator() * exponent);
        let shared = (key.0 * exponent).to_affine();
        let mask = box_mask(&pairing(&shared, &Purpose::Opening.hash(label).to_affine()));
        Self {
            ephemeral: ephemeral.expect("the exponent is not zero"),
            masked_seed: xor(&mask, &seed),
            masked_secret: xor(&seed_mask(&seed), secret),
        }
    }

    /// Opens it with the opening signature of `key` over `label`, which is verified first.
    ///
    /// # Errors
    /// [`ThresholdError::BadSignature`]; [`ThresholdError::Broken`] for a box of another label or key, or an altered one.
    pub fn open(
        &self,
        key: &PublicKey,
        label: &[u8],
        signature: &Signature,
    ) -> Result<Zeroizing<[u8; 32]>, ThresholdError> {
        key.verify(Purpose::Opening, label, signature)?;
        let mask = box_mask(&pairing(&self.ephemeral.0, &signature.0));
        let seed = Zeroizing::new(xor(&mask, &self.masked_seed));
        let secret = Zeroizing::new(xor(&seed_mask(&seed), &self.masked_secret));
        let again = (G1Projective::generator() * box_exponent(&seed, &secret)).to_affine().to_compressed();
        if bool::from(again.ct_eq(&self.ephemeral.to_bytes())) {
            Ok(secret)
        } else {
            Err(ThresholdError::Broken)
        }
    }
}

fn box_exponent(seed: &[u8; 32], secret: &[u8; 32]) -> Scalar {
    scalar_of_hash(&[b"hospes/1/box/exponent", seed, secret])
}

fn seed_mask(seed: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(sha256(&[b"hospes/1/box/secret", seed]))
}

// Neither argument of the pairing was the identity, so its value is of the group's order and has a compressed form.
fn box_mask(shared: &Gt) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(288));
    shared.write_compressed(&mut *bytes).expect("memory takes all bytes");
    Zeroizing::new(sha256(&[b"hospes/1/box/seed", &bytes]))
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> [u8; 32] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests;
