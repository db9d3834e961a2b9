//! Labels tell escrows apart, and nothing but both signatures over its own label opens one.

use super::*;
use crate::threshold::{Dealing, Index, KeyShare, Purpose, Sum, Threshold, ThresholdKey};
use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::AgreementKey;
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::wire::Wire as _;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

fn key(seed: u8) -> AgreementKey {
    SoftwareAgreement::from_secret(&[seed; 32]).agreement_key()
}

fn label(network: u8, tier: Tier, escrow: u8, patient: u8, salt: u8) -> Vec<u8> {
    let escrow = EscrowPublic { tier, key: key(escrow), staged: false };
    let holder = (&key(patient), &OrganizationId([9; 32]));
    EscrowLabel::new(NetworkId([network; 32]), KeyId([1; 32]), &escrow, &[salt; 32], holder).opening()
}

#[test]
fn an_escrow_under_another_name_has_another_label() {
    let ours = label(1, Tier::Summary, 2, 3, 4);
    assert_eq!(ours, label(1, Tier::Summary, 2, 3, 4), "the same names give the same label");
    for other in [
        label(2, Tier::Summary, 2, 3, 4),
        label(1, Tier::Full, 2, 3, 4),
        label(1, Tier::Summary, 5, 3, 4),
        label(1, Tier::Summary, 2, 5, 4),
        label(1, Tier::Summary, 2, 3, 5),
    ] {
        assert_ne!(ours, other, "network, tier, escrow, patient and salt each count");
    }
}

#[test]
fn labels_read_back() {
    let bytes = label(1, Tier::Offline, 2, 3, 4);
    let label = EscrowLabel::decode(&bytes[4..]).expect("its own encoding");
    assert_eq!(label.opening(), bytes, "nothing is lost");
    assert_eq!(Tier::from_code(9), None, "there is no tier 9");
}

/// One person's threshold key, whole in its one share, as a stand-in for many: who signs is the ceremony's matter.
fn sole_key(seed: u64) -> (ThresholdKey, KeyShare) {
    let threshold = Threshold::new(1, 1).expect("one of one");
    let one = Index::new(1).expect("the first");
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let (dealing, shares) = Dealing::deal(b"tests", one, threshold, None, &mut rng);
    let dealt = [(one, shares[0].clone())];
    let key = ThresholdKey::assemble(threshold, &[(one, &dealing)], Sum::Fresh).expect("a key");
    (key, KeyShare::assemble(one, &dealt, Sum::Fresh).expect("its share"))
}

struct Sealing {
    keys: EscrowKeys,
    shares: [KeyShare; 2],
    label: EscrowLabel,
}

impl Sealing {
    fn new() -> Self {
        let ((guardians, first), (ledger, second)) = (sole_key(1), sole_key(2));
        let keys = EscrowKeys { guardians: guardians.public(), ledger: ledger.public() };
        let escrow = EscrowPublic { tier: Tier::Full, key: key(3), staged: false };
        let holder = (&key(4), &OrganizationId([5; 32]));
        let label = EscrowLabel::new(NetworkId([6; 32]), keys.id(), &escrow, &[7; 32], holder);
        Self { keys, shares: [first, second], label }
    }

    fn openings(&self, label: &EscrowLabel) -> Openings {
        let sign = |share: &KeyShare| share.sign(Purpose::Opening, &label.opening()).signature;
        Openings { guardians: sign(&self.shares[0]), ledger: sign(&self.shares[1]) }
    }
}

/// An attack that must be refused so; printed as a row of the table of attacks (`tests/attacks`).
fn row(attack: &str, found: Result<zeroize::Zeroizing<[u8; 32]>, ThresholdError>, refused: ThresholdError) {
    assert_eq!(found, Err(refused), "{attack}");
    println!("| escrows and labels | {attack} | refused: {refused} |");
}

#[test]
fn an_escrow_opens_by_both_signatures_over_its_own_label() {
    let s = Sealing::new();
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let sealed = SealedEscrow::seal(&[8; 32], &s.label, &s.keys, &mut rng);
    let good = s.openings(&s.label);
    assert_eq!(sealed.open(&s.label, &s.keys, &good).as_deref(), Ok(&[8; 32]), "what was sealed");
    let other = EscrowLabel { holder: [0; 32], ..s.label.clone() };
    let theirs = s.openings(&other);
    let copied = sealed.open(&other, &s.keys, &theirs);
    row("an escrow copied to another patient", copied, ThresholdError::Broken);
    let tier = EscrowLabel { tier: Tier::Summary, ..s.label.clone() };
    let summary = s.openings(&tier);
    let opened = sealed.open(&tier, &s.keys, &summary);
    row("another tier's label", opened, ThresholdError::Broken);
    for (attack, openings) in [
        ("guardians' signature for another label", Openings { guardians: theirs.guardians, ..good }),
        ("validators' signature for another label", Openings { ledger: theirs.ledger, ..good }),
        ("both signatures exchanged", Openings { guardians: good.ledger, ledger: good.guardians }),
        ("guardians without the ledger's key", Openings { ledger: good.guardians, ..good }),
        ("the ledger's key without guardians", Openings { guardians: good.ledger, ..good }),
    ] {
        row(attack, sealed.open(&s.label, &s.keys, &openings), ThresholdError::BadSignature);
    }
    let mut altered = sealed.clone();
    altered.ciphertext[40] ^= 1;
    assert_eq!(altered.open(&s.label, &s.keys, &good), Err(ThresholdError::Broken), "an altered tag");
    let swapped =
        SealedEscrow { guardians: sealed.ledger.clone(), ledger: sealed.guardians.clone(), ..sealed.clone() };
    assert_eq!(
        swapped.open(&s.label, &s.keys, &good),
        Err(ThresholdError::Broken),
        "halves in each other's place"
    );
    assert_eq!(SealedEscrow::decode(&sealed.encode()), Ok(sealed), "reads back");
}

#[test]
fn a_card_s_half_opens_nothing_without_the_validators() {
    let s = Sealing::new();
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let sealed = CardSealedEscrow::seal(&[8; 32], &s.label, (&[9; 32], &s.keys.ledger), &mut rng);
    let good = s.openings(&s.label);
    let open = |on_card: [u8; 32], signature| sealed.open(&s.label, (&on_card, &s.keys.ledger), signature);
    assert_eq!(open([9; 32], &good.ledger).as_deref(), Ok(&[8; 32]), "card and validators");
    assert_eq!(open([1; 32], &good.ledger), Err(ThresholdError::Broken), "another card");
    assert_eq!(
        open([9; 32], &good.guardians),
        Err(ThresholdError::BadSignature),
        "guardians are not asked here"
    );
    assert_eq!(CardSealedEscrow::decode(&sealed.encode()), Ok(sealed.clone()), "reads back");
}

#[test]
fn an_offline_escrow_opens_by_its_guardians_and_its_witness_card_and_at_no_other_hospital() {
    let (key, share) = sole_key(21);
    let mut card = SoftwareAgreement::from_secret(&[22; 32]);
    let keys = |hospital: u8, witness: AgreementKey| WitnessKeys {
        organization: OrganizationId([hospital; 32]),
        guardians: key.public(),
        witness,
    };
    let ours = keys(1, card.agreement_key());
    let label = |keys: &WitnessKeys| {
        let escrow = EscrowPublic { tier: Tier::Offline, key: self::key(5), staged: false };
        let holder = (&self::key(6), &OrganizationId([9; 32]));
        EscrowLabel::new(NetworkId([3; 32]), keys.id(), &escrow, &[4; 32], holder)
    };
    let sealed =
        WitnessSealedEscrow::seal(&[7; 32], &label(&ours), &ours, &mut ChaCha20Rng::seed_from_u64(23))
            .expect("a key that agrees");
    let envelope = Envelope::parse(&sealed.witness).expect("an envelope");
    let opened = envelope.open(&mut card, Context::WitnessHalf, &NetworkId([3; 32])).expect("to this card");
    let half: [u8; 32] = opened.as_slice().try_into().expect("32 bytes");
    let open = |keys: &WitnessKeys, half: &[u8; 32]| {
        let label = label(keys);
        let signature = share.sign(Purpose::Opening, &label.opening()).signature;
        sealed.open(&label, (&key.public(), &signature), half)
    };
    assert_eq!(open(&ours, &half).as_deref(), Ok(&[7; 32]), "both halves open it");
    assert_eq!(
        open(&ours, &[8; 32]),
        Err(ThresholdError::Broken),
        "without the witness card's half it stays shut"
    );
    println!("| offline | the guardians without their witness card | the half that stands under it |");
    for other in [keys(2, card.agreement_key()), keys(1, self::key(24))] {
        assert_ne!(other.id(), ours.id(), "another hospital or witness card is another name");
        assert_eq!(open(&other, &half), Err(ThresholdError::Broken), "under another name it opens nothing");
    }
    println!(
        "| offline | the label of another hospital's escrow, or of another witness card | the sealing, whose identity it is |"
    );
    let mut stranger = SoftwareAgreement::from_secret(&[25; 32]);
    let refused = Envelope::parse(&sealed.witness).expect("an envelope").open(
        &mut stranger,
        Context::WitnessHalf,
        &NetworkId([3; 32]),
    );
    assert!(refused.is_err(), "another card opens no half");
}
