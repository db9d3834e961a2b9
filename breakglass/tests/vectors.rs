//! The bytes of every type are those that were frozen, and the signatures are such as other BLS libraries verify.
//!
//! Method: samples made from constants are compared with `breakglass/vectors/format-1.json`, which
//! `tests/python/interop.py` verifies with py_ecc. To approve a change of the format:
//! HOSPES_BLESS=1 cargo test -p hospes-breakglass --test vectors, then review the diff.

use std::fmt::Write as _;

use hospes_breakglass::ceremony::{Answer, Deal, Said};
use hospes_breakglass::escrow::{
    CardSealedEscrow, EscrowKeys, EscrowLabel, EscrowPublic, SealedEscrow, Tier, WitnessKeys,
    WitnessSealedEscrow,
};
use hospes_breakglass::threshold::{
    Dealing, DealtShare, Index, KeyShare, PublicKey, Purpose, Signature, Sum, Threshold, ThresholdKey,
};
use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::{KeyAgreement as _, SoftwareAgreement};
use hospes_protocol::wire::{Bytes, Wire};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/format-1.json");
const RELEASE: &[u8] = b"a release";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hexadecimal"))
}

/// A key that every member has a share of.
struct Made {
    key: ThresholdKey,
    shares: Vec<KeyShare>,
    first: Dealing,
}

fn make(needed: u16, members: u16, old: Option<&Made>) -> Made {
    let threshold = Threshold::new(needed, members).expect("a threshold");
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(members));
    let dealers: Vec<(Index, Option<&KeyShare>)> = match old {
        Some(old) => old.shares.iter().map(|s| (s.index(), Some(s))).collect(),
        None => threshold.indexes().map(|index| (index, None)).collect(),
    };
    let dealt: Vec<(Index, Dealing, Vec<DealtShare>)> = dealers
        .into_iter()
        .map(|(index, share)| {
            let (dealing, shares) = Dealing::deal(b"vectors", index, threshold, share, &mut rng);
            (index, dealing, shares)
        })
        .collect();
    let sum = if old.is_some() { Sum::Reshared } else { Sum::Fresh };
    let dealings: Vec<_> = dealt.iter().map(|(index, dealing, _)| (*index, dealing)).collect();
    let mine = |to: Index| {
        let parts: Vec<_> =
            dealt.iter().map(|(d, _, s)| (*d, s[usize::from(to.get()) - 1].clone())).collect();
        KeyShare::assemble(to, &parts, sum).expect("honest shares")
    };
    Made {
        key: ThresholdKey::assemble(threshold, &dealings, sum).expect("honest dealings"),
        shares: threshold.indexes().map(mine).collect(),
        first: dealt[0].1.clone(),
    }
}

fn signed(made: &Made) -> Signature {
    let parts: Vec<_> = made.shares.iter().map(|s| s.sign(Purpose::Release, RELEASE)).collect();
    made.key.combine(Purpose::Release, RELEASE, &parts).expect("all of them are enough")
}

fn bls_rows() -> Vec<String> {
    let two = make(2, 3, None);
    let three = make(3, 5, Some(&two));
    let share = &two.shares[1];
    let rows = [
        ("release of 2 of 3", two.key.public(), signed(&two)),
        ("release of the same key after resharing to 3 of 5", three.key.public(), signed(&three)),
        (
            "a share, as a signature of its own key",
            two.key.share_key(share.index()).expect("of the roster"),
            share.sign(Purpose::Release, RELEASE).signature,
        ),
    ];
    assert_eq!(rows[0].1, rows[1].1, "resharing keeps the key");
    assert_eq!(rows[0].2, rows[1].2, "and so the signature");
    let row = |(name, key, signature): &(&str, PublicKey, Signature)| {
        let (key, message, bytes) = (hex(&key.to_bytes()), hex(RELEASE), hex(&signature.to_bytes()));
        format!(
            "    {{\"name\": \"{name}\", \"kind\": \"bls\", \"public_key\": \"{key}\", \"message\": \"{message}\", \"bytes\": \"{bytes}\"}}"
        )
    };
    rows.iter().map(row).collect()
}

fn cbor_rows() -> Vec<String> {
    let made = make(2, 3, None);
    let keys = EscrowKeys { guardians: made.key.public(), ledger: make(1, 1, None).key.public() };
    let agreement = SoftwareAgreement::from_secret(&[1; 32]).agreement_key();
    let escrow = EscrowPublic { tier: Tier::Summary, key: agreement.clone(), staged: true };
    let holder = (&agreement, &OrganizationId([2; 32]));
    let label = EscrowLabel::new(NetworkId([3; 32]), keys.id(), &escrow, &[4; 32], holder);
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let index = Index::new(2).expect("the second");
    let deal = Deal { dealing: made.first.clone(), sealed: vec![Bytes(vec![6; 3]); 3] };
    let own =
        WitnessKeys { organization: OrganizationId([2; 32]), guardians: keys.guardians, witness: agreement };
    let at_hospital = EscrowLabel { key: own.id(), tier: Tier::Offline, ..label };
    let mut witness_rng = ChaCha20Rng::seed_from_u64(6);
    let offline = WitnessSealedEscrow::seal(&[7; 32], &at_hospital, &own, &mut witness_rng).expect("a key");
    let row = |name: &str, bytes: Vec<u8>| {
        format!("    {{\"name\": \"{name}\", \"kind\": \"cbor\", \"bytes\": \"{}\"}}", hex(&bytes))
    };
    vec![
        row("EscrowPublic", escrow.encode()),
        row("EscrowLabel", label.encode()),
        row("SealedEscrow", SealedEscrow::seal(&[7; 32], &label, &keys, &mut rng).encode()),
        row(
            "CardSealedEscrow",
            CardSealedEscrow::seal(&[7; 32], &label, (&[8; 32], &keys.ledger), &mut rng).encode(),
        ),
        row("WitnessSealedEscrow", offline.encode()),
        row("Said::Deal", Said::Deal(deal).encode()),
        row("Said::Complain", Said::Complain(index).encode()),
        row("Said::Answer", Said::Answer(Answer { to: index, share: [9; 32] }).encode()),
        row("Said::Prove", Said::Prove(made.shares[1].sign(Purpose::Possession, b"vectors")).encode()),
    ]
}

#[test]
fn every_type_has_the_bytes_that_were_frozen() {
    let rows = [bls_rows(), cbor_rows()].concat();
    let mut now = String::new();
    write!(now, "{{\n  \"vectors\": [\n{}\n  ]\n}}\n", rows.join(",\n")).expect("memory takes it");
    if std::env::var_os("HOSPES_BLESS").is_some() {
        std::fs::write(FILE, &now).expect("the folder is there");
    }
    let frozen = std::fs::read_to_string(FILE).expect("the file is there");
    for (now, frozen) in now.lines().zip(frozen.lines()) {
        assert_eq!(now, frozen, "the format changed: review, then run with HOSPES_BLESS=1");
    }
    assert_eq!(now, frozen, "a type was added or removed");
}

// Made by py_ecc 8.0.0: G2ProofOfPossession, KeyGen of the bytes 0 to 31.
#[test]
fn a_signature_of_another_library_verifies() {
    let key =
        "9112a0386a2340714ba0c6d2df235377a8679c3899d03e6ef04dba7a50ef49e5a1dc93105e9374e93ed301b63487e17c";
    let signature = "a32eccc639a66c6b03a79a15ea1e6e3b0b15771b9b7808df32a0da8d5134475f1802cf1be1cb6a2465889ea1a8d7a1e7\
                     0e173af0d9d3539471a3a2d97e0c0e26c5c782534183697dfde8f1d9f929b45612520912a8ff4adf63dce0e257c1ade6";
    let key = PublicKey::from_bytes(&unhex(key)).expect("a key");
    let signature = Signature::from_bytes(&unhex(signature)).expect("a signature");
    assert_eq!(
        key.verify(Purpose::Release, b"written by another library", &signature),
        Ok(()),
        "it is the key's"
    );
    assert!(
        key.verify(Purpose::Release, b"written by another", &signature).is_err(),
        "over that message alone"
    );
    assert!(
        key.verify(Purpose::Opening, b"written by another library", &signature).is_err(),
        "and opens nothing"
    );
}
