//! Keys, shares and signatures of `breakglass::threshold`, each computed once more by `threshold_crypto`, and the time
//! that both take for them.
//!
//! Run by hand: cargo run --release --manifest-path tests/peers/threshold/Cargo.toml
//! With --json it prints the times only, as one object, for `hospes bench --peers`.
//! Hashing to the curve is not compared (theirs is of no standard): both sign the same point. Exit 1 if anything differs, or
//! if a share that was spoilt on purpose does not.

use std::time::Instant;

use blstrs::G2Projective;
use group::Curve as _;
use hospes_breakglass::threshold::{
    Dealing, DealtShare, Index, KeyShare, Purpose, SignatureShare, Sum, Threshold, ThresholdKey,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use threshold_crypto::ff::PrimeField as _;
use threshold_crypto::group::EncodedPoint as _;
use threshold_crypto::pairing::bls12_381::G2Uncompressed;
use threshold_crypto::poly::Poly;
use threshold_crypto::{Fr, FrRepr, G2Affine, PublicKeySet, SecretKeyShare};

type Ours = (ThresholdKey, Vec<KeyShare>);

fn deal(threshold: Threshold, old: Option<&[KeyShare]>, rng: &mut ChaCha20Rng) -> Ours {
    let dealers: Vec<(Index, Option<&KeyShare>)> = match old {
        Some(shares) => shares.iter().map(|share| (share.index(), Some(share))).collect(),
        None => threshold.indexes().map(|index| (index, None)).collect(),
    };
    let dealt: Vec<(Index, Dealing, Vec<DealtShare>)> = dealers
        .into_iter()
        .map(|(index, share)| {
            let (dealing, shares) = Dealing::deal(b"peers", index, threshold, share, rng);
            (index, dealing, shares)
        })
        .collect();
    let sum = if old.is_some() { Sum::Reshared } else { Sum::Fresh };
    let dealings: Vec<_> = dealt.iter().map(|(index, dealing, _)| (*index, dealing)).collect();
    let share = |to: Index| {
        let parts: Vec<_> =
            dealt.iter().map(|(d, _, s)| (*d, s[usize::from(to.get()) - 1].clone())).collect();
        KeyShare::assemble(to, &parts, sum).expect("honest shares")
    };
    let key = ThresholdKey::assemble(threshold, &dealings, sum).expect("honest dealings");
    (key, threshold.indexes().map(share).collect())
}

/// A scalar of ours as one of theirs.
fn scalar(bytes: &[u8; 32]) -> Fr {
    let limb = |i: usize| u64::from_be_bytes(bytes[8 * i..8 * i + 8].try_into().expect("eight bytes"));
    Fr::from_repr(FrRepr([limb(3), limb(2), limb(1), limb(0)])).expect("a scalar of the same field")
}

/// The point that `message` hashes to with us, as one of theirs.
fn hashed(message: &[u8]) -> G2Affine {
    let point = G2Projective::hash_to_curve(message, Purpose::Release.tag(), &[]).to_affine();
    let mut raw = G2Uncompressed::empty();
    raw.as_mut().copy_from_slice(&point.to_uncompressed());
    raw.into_affine().expect("a point of the same group")
}

/// How many values were compared, and which differ.
#[derive(Default)]
struct Tally {
    compared: u64,
    differ: Vec<String>,
}

impl Tally {
    fn compare(&mut self, what: &str, ours: &[u8], theirs: &[u8]) {
        self.compared += 1;
        if ours != theirs {
            self.differ.push(what.to_owned());
        }
    }
}

/// Both sides of one key: its public key, every member's public share, shares of a signature, and what they combine to.
fn compare(tally: &mut Tally, (key, shares): &Ours, rng: &mut ChaCha20Rng) {
    let threshold = key.threshold();
    let needed = usize::from(threshold.shares_needed());
    let points = shares[..needed].iter().map(|s| (u64::from(s.index().get()), scalar(s.to_bytes())));
    let theirs = PublicKeySet::from(Poly::interpolate(points).commitment());
    tally.compare("the public key", &key.public().to_bytes(), &theirs.public_key().to_bytes());
    let message = rng.next_u64().to_be_bytes();
    let point = hashed(&message);
    let mut signed: Vec<(SignatureShare, threshold_crypto::SignatureShare)> = Vec::new();
    for share in shares {
        let secret = SecretKeyShare::from_mut(&mut scalar(share.to_bytes()));
        let public = key.share_key(share.index()).expect("of the roster");
        // Their index 0 is the first share: the key itself is at none of theirs but -1.
        let at = usize::from(share.index().get()) - 1;
        tally.compare("a share's key", &public.to_bytes(), &secret.public_key_share().to_bytes());
        tally.compare(
            "a share's key by commitment",
            &public.to_bytes(),
            &theirs.public_key_share(at).to_bytes(),
        );
        let (ours, their) = (share.sign(Purpose::Release, &message), secret.sign_g2(point));
        tally.compare("a share of a signature", &ours.signature.to_bytes(), &their.to_bytes());
        signed.push((ours, their));
    }
    for _ in 0..3 {
        let mut who: Vec<usize> = (0..signed.len()).collect();
        for at in 0..needed {
            let other = at + usize::try_from(rng.next_u64()).expect("64 bits") % (who.len() - at);
            who.swap(at, other);
        }
        who.truncate(needed);
        let ours: Vec<SignatureShare> = who.iter().map(|at| signed[*at].0.clone()).collect();
        let ours = key.combine(Purpose::Release, &message, &ours).expect("enough shares");
        let theirs =
            theirs.combine_signatures(who.iter().map(|at| (*at, &signed[*at].1))).expect("enough shares");
        tally.compare("a signature", &ours.to_bytes(), &theirs.to_bytes());
    }
}

/// Median microseconds of `runs` calls.
fn median_us(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            run();
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[runs / 2]
}

/// One operation: its name, what it is, and the microseconds of both.
type Timed = (&'static str, &'static str, f64, f64);

/// Ours hashes to the curve within each operation, theirs is given the point; ours proves that a dealer knows what was dealt.
fn times((key, shares): &Ours, rng: &mut ChaCha20Rng) -> [Timed; 4] {
    let (message, point) = (b"a release", hashed(b"a release"));
    let threshold = key.threshold();
    let secrets: Vec<_> =
        shares.iter().map(|s| SecretKeyShare::from_mut(&mut scalar(s.to_bytes()))).collect();
    let publics: Vec<_> = secrets.iter().map(SecretKeyShare::public_key_share).collect();
    let needed = usize::from(threshold.shares_needed());
    let parts: Vec<_> = shares.iter().take(needed).map(|s| s.sign(Purpose::Release, message)).collect();
    let theirs: Vec<_> = secrets.iter().take(needed).map(|s| s.sign_g2(point)).collect();
    let points = shares[..needed].iter().map(|s| (u64::from(s.index().get()), scalar(s.to_bytes())));
    let polynomial = Poly::interpolate(points);
    let set = PublicKeySet::from(polynomial.commitment());
    let verified = |at: usize| assert!(publics[at].verify_g2(&theirs[at], point), "its own");
    [
        (
            "deal",
            "deal to all (ours with a proof)",
            median_us(51, || _ = Dealing::deal(b"peers", shares[0].index(), threshold, None, rng)),
            median_us(51, || {
                let dealt = threshold.indexes().map(|to| polynomial.evaluate(u64::from(to.get())));
                _ = (polynomial.commitment(), dealt.collect::<Vec<_>>());
            }),
        ),
        (
            "sign",
            "sign a share (ours hashes too)",
            median_us(51, || _ = shares[0].sign(Purpose::Release, message)),
            median_us(51, || _ = secrets[0].sign_g2(point)),
        ),
        (
            "verify",
            "verify a share (ours hashes too)",
            median_us(51, || key.verify_share(Purpose::Release, message, &parts[0]).expect("its own")),
            median_us(51, || verified(0)),
        ),
        (
            "combine",
            "combine, each share verified before",
            median_us(51, || assert!(key.combine(Purpose::Release, message, &parts).is_ok(), "its own")),
            median_us(51, || {
                (0..needed).for_each(verified);
                assert!(set.combine_signatures(theirs.iter().enumerate()).is_ok(), "its own");
            }),
        ),
    ]
}

fn line((_, what, ours, theirs): &Timed) -> String {
    format!("{what:36} ours {ours:8.0} us  threshold_crypto {theirs:8.0} us  ratio {:5.2}", theirs / ours)
}

fn object((name, _, ours, theirs): &Timed) -> String {
    format!("\"{name}\":{{\"ours\":{ours:.1},\"theirs\":{theirs:.1}}}")
}

fn main() -> std::process::ExitCode {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    if std::env::args().any(|argument| argument == "--json") {
        let made = deal(Threshold::new(3, 5).expect("a threshold"), None, &mut rng);
        println!("{{{}}}", times(&made, &mut rng).iter().map(object).collect::<Vec<_>>().join(","));
        return 0.into();
    }
    let mut tally = Tally::default();
    for (needed, members) in [(1, 1), (1, 4), (2, 3), (3, 5), (5, 7), (7, 15)] {
        let made = deal(Threshold::new(needed, members).expect("a threshold"), None, &mut rng);
        compare(&mut tally, &made, &mut rng);
        let wider = Threshold::new(needed + 1, members + 2).expect("a threshold");
        let reshared = deal(wider, Some(&made.1[..usize::from(needed)]), &mut rng);
        tally.compare(
            "the key after resharing",
            &reshared.0.public().to_bytes(),
            &made.0.public().to_bytes(),
        );
        compare(&mut tally, &reshared, &mut rng);
    }
    println!(
        "{} values compared with threshold_crypto 0.4.0, {} differ {:?}",
        tally.compared,
        tally.differ.len(),
        tally.differ
    );
    // One share exchanged for another must show.
    let (key, mut shares) = deal(Threshold::new(2, 3).expect("a threshold"), None, &mut rng);
    let spoilt = KeyShare::from_bytes(shares[0].index(), shares[1].to_bytes()).expect("a scalar");
    shares[0] = spoilt;
    let mut control = Tally::default();
    let theirs = SecretKeyShare::from_mut(&mut scalar(shares[0].to_bytes())).public_key_share();
    let ours = key.share_key(shares[0].index()).expect("of the roster");
    control.compare("a spoilt share", &ours.to_bytes(), &theirs.to_bytes());
    println!("spoilt on purpose: {} of {} seen", control.differ.len(), control.compared);
    let made = deal(Threshold::new(3, 5).expect("a threshold"), None, &mut rng);
    times(&made, &mut rng).iter().for_each(|timed| println!("{}", line(timed)));
    if tally.differ.is_empty() && control.differ.len() == 1 { 0.into() } else { 1.into() }
}
