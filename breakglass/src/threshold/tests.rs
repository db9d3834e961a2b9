//! The arithmetic by its laws, and what is refused.

use super::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const CEREMONY: &[u8] = b"ceremony 1";

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn at(n: u16) -> Index {
    Index::new(n).expect("a place of a roster")
}

fn of(needed: u16, members: u16) -> Threshold {
    Threshold::new(needed, members).expect("a threshold")
}

/// What the dealers of a ceremony dealt.
type Dealt = Vec<(Index, Dealing, Vec<DealtShare>)>;

fn add_up(threshold: Threshold, dealt: &Dealt, sum: Sum) -> (ThresholdKey, Vec<KeyShare>) {
    let dealings: Vec<(Index, &Dealing)> = dealt.iter().map(|(from, dealing, _)| (*from, dealing)).collect();
    let key = ThresholdKey::assemble(threshold, &dealings, sum).expect("honest dealings make a key");
    let share = |to: Index| {
        let mine: Vec<(Index, DealtShare)> = dealt
            .iter()
            .map(|(from, _, shares)| (*from, shares[usize::from(to.get()) - 1].clone()))
            .collect();
        KeyShare::assemble(to, &mine, sum).expect("honest shares make a share")
    };
    let shares = threshold.indexes().map(share).collect();
    (key, shares)
}

fn fresh(threshold: Threshold, seed: u64) -> (ThresholdKey, Vec<KeyShare>) {
    let mut rng = rng(seed);
    let dealt = threshold
        .indexes()
        .map(|from| {
            let (dealing, shares) = Dealing::deal(CEREMONY, from, threshold, None, &mut rng);
            dealing.check(CEREMONY, from, threshold, None).expect("an honest dealing");
            assert!(shares.iter().all(|s| dealing.holds(s)), "every share is as committed");
            (from, dealing, shares)
        })
        .collect();
    add_up(threshold, &dealt, Sum::Fresh)
}

fn reshared(
    old: &ThresholdKey,
    shares: &[&KeyShare],
    threshold: Threshold,
    seed: u64,
) -> (ThresholdKey, Vec<KeyShare>) {
    let mut rng = rng(seed);
    let dealt = shares
        .iter()
        .map(|share| {
            let (dealing, dealt) = Dealing::deal(CEREMONY, share.index(), threshold, Some(share), &mut rng);
            dealing.check(CEREMONY, share.index(), threshold, Some(old)).expect("deals its share");
            (share.index(), dealing, dealt)
        })
        .collect();
    add_up(threshold, &dealt, Sum::Reshared)
}

fn signed(shares: &[KeyShare], who: &[u16], purpose: Purpose, message: &[u8]) -> Vec<SignatureShare> {
    who.iter().map(|n| shares[usize::from(*n) - 1].sign(purpose, message)).collect()
}

/// An attack that must be refused so; printed as a row of the table of attacks (`tests/attacks`).
fn row<T: std::fmt::Debug + PartialEq, E: std::fmt::Debug + std::fmt::Display + PartialEq>(
    attack: &str,
    found: Result<T, E>,
    refused: E,
) {
    let said = refused.to_string();
    assert_eq!(found, Err(refused), "{attack}");
    println!("| shares | {attack} | refused: {said} |");
}

#[test]
fn any_three_of_five_make_the_same_signature_and_two_make_none() {
    let (key, shares) = fresh(of(3, 5), 1);
    let sign = |who: &[u16]| {
        key.combine(Purpose::Release, b"open", &signed(&shares, who, Purpose::Release, b"open"))
    };
    let one = sign(&[1, 2, 3]).expect("three are enough");
    key.public().verify(Purpose::Release, b"open", &one).expect("it is the key's");
    for who in [&[5, 3, 1][..], &[2, 4, 5], &[4, 3, 2, 1], &[1, 2, 3, 4, 5]] {
        assert_eq!(sign(who), Ok(one), "{who:?} make the same");
    }
    row("one share too few", sign(&[4, 5]), ThresholdError::TooFew { have: 2, needed: 3 });
    row("no share at all", sign(&[]), ThresholdError::TooFew { have: 0, needed: 3 });
}

#[test]
fn a_share_that_is_repeated_out_of_the_roster_or_false_is_named() {
    let (key, shares) = fresh(of(2, 3), 2);
    let (_, strangers) = fresh(of(2, 4), 3);
    let combine = |parts: &[SignatureShare]| key.combine(Purpose::Release, b"m", parts);
    let good = signed(&shares, &[1, 2, 3], Purpose::Release, b"m");
    assert!(combine(&good).is_ok(), "the three are good");
    let repeated = [good[0].clone(), good[0].clone(), good[1].clone()];
    row("a share twice", combine(&repeated), ThresholdError::Repeated(1));
    let stranger = strangers[3].sign(Purpose::Release, b"m");
    let found = combine(&[good[0].clone(), stranger]);
    row("an index out of the roster", found, ThresholdError::OutOfRoster(4));
    let taken = SignatureShare { index: at(3), ..good[1].clone() };
    row("another's index", combine(&[good[0].clone(), taken]), ThresholdError::BadShare(3));
    let foreign = strangers[1].sign(Purpose::Release, b"m");
    row("a share of another key", combine(&[good[0].clone(), foreign]), ThresholdError::BadShare(2));
    let other = shares[1].sign(Purpose::Release, b"n");
    let mixed = combine(&[good[0].clone(), other]);
    row("shares gathered over two requests that failed", mixed, ThresholdError::BadShare(2));
    let fourth = [good[0].clone(), good[1].clone(), SignatureShare { index: at(3), ..good[0].clone() }];
    assert_eq!(combine(&fourth), Err(ThresholdError::BadShare(3)), "beyond the threshold too");
}

#[test]
fn a_signature_for_one_purpose_is_none_for_another() {
    let (key, shares) = fresh(of(2, 3), 4);
    for purpose in [Purpose::Release, Purpose::Opening, Purpose::Possession] {
        let signature =
            key.combine(purpose, b"m", &signed(&shares, &[1, 3], purpose, b"m")).expect("two are enough");
        for other in [Purpose::Release, Purpose::Opening, Purpose::Possession] {
            let verified = key.public().verify(other, b"m", &signature).is_ok();
            assert_eq!(verified, other == purpose, "{purpose:?} as {other:?}");
        }
    }
}

#[test]
fn a_box_opens_by_its_own_label_and_key_alone() {
    let (key, shares) = fresh(of(2, 3), 5);
    let (other_key, _) = fresh(of(2, 3), 6);
    let open = |label: &[u8]| {
        key.combine(Purpose::Opening, label, &signed(&shares, &[2, 3], Purpose::Opening, label)).expect("two")
    };
    let sealed = LabelBox::seal(&key.public(), b"ada", &[7; 32], &mut rng(7));
    let signature = open(b"ada");
    assert_eq!(
        **sealed.open(&key.public(), b"ada", &signature).as_ref().expect("opens"),
        [7; 32],
        "what was sealed"
    );
    let bob = open(b"bob");
    assert_eq!(
        sealed.open(&key.public(), b"bob", &bob),
        Err(ThresholdError::Broken),
        "copied under another label"
    );
    assert_eq!(
        sealed.open(&key.public(), b"ada", &bob),
        Err(ThresholdError::BadSignature),
        "another's signature"
    );
    let foreign = LabelBox::seal(&other_key.public(), b"ada", &[7; 32], &mut rng(7));
    assert_eq!(
        foreign.open(&key.public(), b"ada", &signature),
        Err(ThresholdError::Broken),
        "of another key"
    );
    let release = key
        .combine(Purpose::Release, b"ada", &signed(&shares, &[1, 2], Purpose::Release, b"ada"))
        .expect("two");
    assert_eq!(
        sealed.open(&key.public(), b"ada", &release),
        Err(ThresholdError::BadSignature),
        "a release opens nothing"
    );
}

#[test]
fn every_flipped_bit_of_a_box_is_refused() {
    let (key, shares) = fresh(of(1, 1), 8);
    let signature = key
        .combine(Purpose::Opening, b"l", &signed(&shares, &[1], Purpose::Opening, b"l"))
        .expect("one of one");
    let bytes = LabelBox::seal(&key.public(), b"l", &[1; 32], &mut rng(8)).encode();
    let opens = |bytes: &[u8]| {
        LabelBox::decode(bytes).ok().and_then(|b| b.open(&key.public(), b"l", &signature).ok())
    };
    assert!(opens(&bytes).is_some(), "as it was sealed");
    for bit in (0..bytes.len() * 8).step_by(5) {
        let mut spoilt = bytes.clone();
        spoilt[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opens(&spoilt), None, "bit {bit}");
    }
}

#[test]
fn resharing_keeps_the_public_key_and_old_shares_don_t_mix_with_new() {
    let (old, old_shares) = fresh(of(2, 3), 9);
    let dealers = [&old_shares[0], &old_shares[2]];
    let (new, new_shares) = reshared(&old, &dealers, of(3, 5), 10);
    assert_eq!(new.public(), old.public(), "boxes sealed before open after");
    let new_parts = signed(&new_shares, &[2, 4, 5], Purpose::Opening, b"l");
    let by_new = new.combine(Purpose::Opening, b"l", &new_parts).expect("three of the new roster");
    let by_old = old.combine(Purpose::Opening, b"l", &signed(&old_shares, &[1, 2], Purpose::Opening, b"l"));
    assert_eq!(Ok(by_new), by_old, "one key");
    let mixed = [old_shares[0].sign(Purpose::Opening, b"l"), new_parts[1].clone(), new_parts[2].clone()];
    assert_eq!(new.combine(Purpose::Opening, b"l", &mixed), Err(ThresholdError::BadShare(1)), "an old share");
    let (_, again) = reshared(&old, &[&old_shares[1], &old_shares[2]], of(3, 5), 11);
    assert_ne!(again[0].to_bytes(), new_shares[0].to_bytes(), "other dealers, other shares");
}

#[test]
fn a_dealing_of_another_ceremony_dealer_degree_or_secret_is_refused() {
    let threshold = of(3, 5);
    let mut rng = rng(12);
    let (dealing, _) = Dealing::deal(CEREMONY, at(1), threshold, None, &mut rng);
    let bad = |n| Err(ThresholdError::BadDealing(n));
    assert_eq!(dealing.check(CEREMONY, at(1), threshold, None), Ok(()), "as dealt");
    assert_eq!(dealing.check(b"another", at(1), threshold, None), bad(1), "replayed in another ceremony");
    assert_eq!(dealing.check(CEREMONY, at(2), threshold, None), bad(2), "copied by another dealer");
    assert_eq!(dealing.check(CEREMONY, at(1), of(2, 5), None), bad(1), "of a higher degree");
    assert_eq!(dealing.check(CEREMONY, at(1), of(4, 5), None), bad(1), "of a lower degree");
    let (old, shares) = fresh(of(2, 3), 13);
    let (proper, _) = Dealing::deal(CEREMONY, at(2), threshold, Some(&shares[1]), &mut rng);
    assert_eq!(proper.check(CEREMONY, at(2), threshold, Some(&old)), Ok(()), "deals its share");
    let (chosen, _) = Dealing::deal(CEREMONY, at(2), threshold, None, &mut rng);
    assert_eq!(chosen.check(CEREMONY, at(2), threshold, Some(&old)), bad(2), "deals what it likes");
    let (stranger, _) = Dealing::deal(CEREMONY, at(4), threshold, None, &mut rng);
    assert_eq!(stranger.check(CEREMONY, at(4), threshold, Some(&old)), bad(4), "had no share");
    let stolen = Dealing { proof: proper.proof, ..dealing };
    assert_eq!(stolen.check(CEREMONY, at(1), threshold, None), bad(1), "without its own proof");
}

#[test]
fn a_share_that_differs_from_the_commitments_is_seen() {
    let threshold = of(2, 3);
    let (dealing, shares) = Dealing::deal(CEREMONY, at(1), threshold, None, &mut rng(14));
    assert!(dealing.holds(&shares[1]), "as dealt");
    let elsewhere = DealtShare { to: at(3), ..shares[1].clone() };
    assert!(!dealing.holds(&elsewhere), "another member's");
    let mut bytes = **shares[1].to_bytes();
    bytes[31] ^= 1;
    let spoilt = DealtShare::from_bytes(at(2), &bytes).expect("a scalar");
    assert!(!dealing.holds(&spoilt), "altered by one bit");
    let mine = [(at(1), shares[1].clone()), (at(1), shares[1].clone())];
    let assembled = KeyShare::assemble(at(2), &mine, Sum::Fresh).map(|_| ());
    assert_eq!(assembled, Err(ThresholdError::Repeated(1)), "one dealer twice");
    let others = KeyShare::assemble(at(3), &mine[..1], Sum::Fresh).map(|_| ());
    assert_eq!(others, Err(ThresholdError::OutOfRoster(2)), "dealt to somebody else");
}

#[test]
fn dealings_that_cancel_each_other_out_make_no_key() {
    let threshold = of(1, 2);
    let (dealing, shares) = Dealing::deal(CEREMONY, at(1), threshold, None, &mut rng(15));
    let negative = PublicKey::of(-G1Projective::from(dealing.commitments[0].0)).expect("not the identity");
    let mirrored = Dealing { commitments: vec![negative], ..dealing.clone() };
    let both = [(at(1), &dealing), (at(2), &mirrored)];
    assert_eq!(
        ThresholdKey::assemble(threshold, &both, Sum::Fresh),
        Err(ThresholdError::NoKey),
        "they add up to zero"
    );
    let minus = DealtShare { to: at(1), secret: Secret::of(-shares[0].secret.scalar()) };
    let parts = [(at(1), shares[0].clone()), (at(2), minus)];
    assert_eq!(
        KeyShare::assemble(at(1), &parts, Sum::Fresh).map(|_| ()),
        Err(ThresholdError::NoKey),
        "nor a share"
    );
}

#[test]
fn points_that_are_no_keys_are_never_values() {
    let mut identity = [0; 48];
    identity[0] = 0xc0;
    row("the identity as a key", PublicKey::from_bytes(&identity), Check::WeakKey.into());
    let mut identity = [0; 96];
    identity[0] = 0xc0;
    row("the identity as a share", Signature::from_bytes(&identity), Check::WeakKey.into());
    // Points of the curve with small x are not of the subgroup: one in 2^125 is.
    let on_curve = |x: u8| {
        let mut bytes = [0; 48];
        bytes[0] = 0x80;
        bytes[47] = x;
        bytes
    };
    let off = (0..=255).map(on_curve).find(|b| bool::from(G1Affine::from_compressed_unchecked(b).is_some()));
    let off = off.expect("half of all x are on the curve");
    row("a point out of the subgroup", PublicKey::from_bytes(&off), Check::WeakKey.into());
    row("no point at all", PublicKey::from_bytes(&[0xff; 48]), Check::WeakKey.into());
}

#[test]
fn indexes_and_thresholds_are_of_a_roster() {
    // Where the key itself is.
    row("index zero", Index::new(0), ThresholdError::OutOfRoster(0));
    let far = ROSTER_MAX + 1;
    row("an index beyond any roster", Index::new(far), ThresholdError::OutOfRoster(far));
    assert!(Index::new(ROSTER_MAX).is_ok(), "the last");
    row("index minus one", Index::decode(&[0x20]), Check::Malformed.into());
    row("index zero from a peer", Index::decode(&[0]), Check::Malformed.into());
    assert_eq!(Index::decode(&at(7).encode()), Ok(at(7)), "its own encoding");
    for (needed, of) in [(0, 3), (4, 3), (1, ROSTER_MAX + 1)] {
        assert_eq!(
            Threshold::new(needed, of),
            Err(ThresholdError::NoThreshold { needed, of }),
            "{needed} of {of}"
        );
    }
    assert!(Threshold::new(ROSTER_MAX, ROSTER_MAX).is_ok(), "all of the largest");
}

#[test]
fn what_is_secret_is_zero_never_and_shown_never() {
    let order = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
    let order: [u8; 32] =
        std::array::from_fn(|i| u8::from_str_radix(&order[2 * i..2 * i + 2], 16).expect("hex"));
    for bytes in [[0; 32], order, [0xff; 32]] {
        assert_eq!(
            KeyShare::from_bytes(at(1), &bytes).map(|_| ()),
            Err(Check::WeakKey.into()),
            "{bytes:02x?}"
        );
    }
    let share = KeyShare::from_bytes(at(3), &[1; 32]).expect("a scalar");
    assert_eq!(format!("{share:?}"), "KeyShare(3, ..)", "no secret in a log");
    assert_eq!(
        KeyShare::from_bytes(at(3), share.to_bytes()).expect("its own").to_bytes(),
        share.to_bytes(),
        "reads back"
    );
}

#[test]
fn dealings_read_back_and_are_bounded() {
    let (dealing, _) = Dealing::deal(CEREMONY, at(1), of(3, 5), None, &mut rng(16));
    let bytes = dealing.encode();
    assert_eq!(Dealing::decode(&bytes), Ok(dealing), "nothing is lost");
    for cut in 0..bytes.len() {
        assert!(Dealing::decode(&bytes[..cut]).is_err(), "cut after {cut}");
    }
    let mut e = Enc::default();
    e.array(2).array(usize::from(ROSTER_MAX) + 1);
    assert_eq!(
        Dealing::decode(&e.into_bytes()),
        Err(Check::Malformed.into()),
        "more commitments than a roster"
    );
}
