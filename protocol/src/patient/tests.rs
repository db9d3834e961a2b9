//! One person, however typed, is one pseudonym; a subject is found by those who know K and by nobody else.

use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

use super::*;
use crate::entry::{FORMAT, Kind};
use crate::ids::{ContentId, HeaderId, NetworkId};
use crate::keys::KeyAgreement;

fn secret(seed: u64) -> PatientSecret {
    PatientSecret::random(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn identity(family: &str, given: &[&str]) -> Identity {
    Identity {
        family: family.to_owned(),
        given: given.iter().map(|g| (*g).to_owned()).collect(),
        birth_date: "1950-02-28".to_owned(),
        postal_code: "SW1A 1AA".to_owned(),
        national_id: None,
    }
}

fn changed(identity: &Identity, change: impl FnOnce(&mut Identity)) -> Identity {
    let mut identity = identity.clone();
    change(&mut identity);
    identity
}

fn header(organization: u8, node: u8, sequence: u64, subject: Option<Subject>) -> HeaderFields {
    HeaderFields {
        format: FORMAT,
        network: NetworkId([3; 32]),
        organization: OrganizationId([organization; 32]),
        node: NodeId([node; 32]),
        sequence,
        previous: (sequence > 1).then_some(HeaderId([0; 32])),
        kind: Kind::Grant.code(),
        subject,
        content: ContentId([7; 32]),
        lock: None,
        reveal: Vec::new(),
        signed_at: 0,
    }
}

#[test]
fn one_name_typed_in_many_ways_is_one_pseudonym() {
    let secret = secret(1);
    let id = |family: &str, given: &[&str]| secret.patient_id(&identity(family, given));
    let one = id("García", &["José", "María"]);
    for (family, given) in [
        ("GARCIA ", vec!["JOSE ", "MARIA"]),
        ("Garci\u{301}a", vec!["Jose\u{301}", "Mari\u{301}a"]),
        ("garcía", vec!["José María"]),
        ("Ｇａｒｃｉａ", vec!["José-María"]),
    ] {
        assert_eq!(id(family, &given), one, "{family} {given:?}");
    }
    assert_ne!(id("García", &["José"]), one, "another person");
    assert_ne!(id("GarcíaJ", &["osé", "María"]), one, "a letter doesn't move between fields");
    assert_eq!(id("Weiß", &[]), id("WEISS", &[]), "case folding of the sharp s");
    assert_eq!(id("Παπαδόπουλος", &[]), id("ΠΑΠΑΔΟΠΟΥΛΟΣ", &[]), "case folding of the final sigma");
    assert_ne!(id("王", &["大明"]), id("王", &["大文"]), "names in any script stay apart");
}

#[test]
fn the_pseudonym_needs_the_secret_and_every_field() {
    let ada = identity("Lovelace", &["Ada"]);
    assert_ne!(secret(1).patient_id(&ada), secret(2).patient_id(&ada), "the identity alone tells nothing");
    let moved = changed(&ada, |i| i.postal_code = "SW1A 1AB".into());
    let other = changed(&ada, |i| i.birth_date = "1950-02-27".into());
    let numbered = changed(&ada, |i| i.national_id = Some("12".into()));
    let ids = [&ada, &moved, &other, &numbered].map(|i| secret(1).patient_id(i));
    assert!((0..4).all(|a| (0..a).all(|b| ids[a] != ids[b])), "each field counts");
}

#[test]
fn the_patient_finds_every_header_and_strangers_none() {
    let ours = secret(1);
    let k = ours.k(&OrganizationId([1; 32]));
    let mine = header(1, 5, 9, Some(k.subject(&NodeId([5; 32]), 9)));
    let moved = header(1, 5, 10, mine.subject);
    let mut test = SubjectTest::new(vec![secret(9), secret(1)]);
    assert!(test.belongs(&mine), "found by an older generation's secret too");
    assert!(!test.belongs(&moved), "a subject copied to another number");
    assert!(!test.belongs(&header(2, 5, 9, mine.subject)), "another organization's K");
    assert!(!test.belongs(&header(1, 5, 9, None)), "a control header");
    assert!(!SubjectTest::new(vec![secret(2)]).belongs(&mine), "another patient");
    let mut organization = SubjectTest::default();
    assert!(!organization.belongs(&mine), "nothing known, nothing found");
    organization.add(OrganizationId([1; 32]), k);
    assert!(organization.belongs(&mine), "the organization that holds K");
}

#[test]
fn keys_of_different_purposes_differ() {
    let (ours, a, b) = (secret(1), OrganizationId([1; 32]), OrganizationId([2; 32]));
    assert_ne!(ours.k(&a), ours.k(&b), "one K for each organization");
    assert_ne!(ours.k(&a).as_bytes(), ours.lock_key().as_bytes(), "contexts part them");
    let lock_key = ours.lock_key();
    assert_ne!(lock_key.reveal(&[1; 32]), lock_key.reveal(&[2; 32]), "one reveal for each salt");
    assert_eq!(lock_key.reveal(&[1; 32]), secret(1).lock_key().reveal(&[1; 32]), "made again from the card");
}

#[test]
fn secrets_read_back_from_their_encoding_and_never_print() {
    let ours = secret(1);
    assert_eq!(PatientSecret::decode(&ours.encode()), Ok(ours.clone()), "as sealed to the card");
    assert_eq!(PatientSecret::decode(&[0x41, 0]), Err(Check::Malformed.into()), "too short");
    assert_eq!(format!("{ours:?}"), "PatientSecret(..)", "no bytes in Debug");
    let ada = identity("Lovelace", &["Ada"]);
    assert_eq!(Identity::decode(&ada.encode()), Ok(ada.clone()), "as sealed to the home organization");
    assert_eq!(format!("{ada:?}"), "Identity(..)", "no name in Debug");
}

#[test]
fn an_identity_needs_a_name_and_a_date() {
    let ada = identity("Lovelace", &["Ada"]);
    assert_eq!(ada.judge(), Ok(()), "as it should be");
    for date in ["1950-13-01", "1950-00-10", "1950-1-1", "28.02.1950", "1950-02-3a", ""] {
        let wrong = changed(&ada, |i| i.birth_date = date.into());
        assert_eq!(wrong.judge(), Err(Check::Malformed.into()), "{date}");
    }
    assert_eq!(identity(" ", &["-"]).judge(), Err(Check::Malformed.into()), "no letter in any name");
    assert_eq!(identity(&"a".repeat(300), &[]).judge(), Err(Check::TooLarge.into()), "longer than a name");
}

#[test]
fn a_recovery_code_gives_one_key() {
    let key = |code: u8| recovery_key(&[code; 16]).agreement_key();
    assert_eq!(key(1), key(1), "the same from the same print");
    assert_ne!(key(1), key(2), "another code");
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(text in "\\PC{0,24}") {
        let once = fold(&text);
        prop_assert_eq!(fold(&once), once, "a folded text stays as it is");
    }

    #[test]
    fn composed_and_decomposed_fold_alike(text in "[\\p{Latin}\\p{Greek}\\p{Cyrillic}\\p{Hangul}\\p{Arabic} ]{0,16}") {
        let (composed, decomposed): (String, String) = (text.nfc().collect(), text.nfd().collect());
        prop_assert_eq!(fold(&composed), fold(&decomposed));
    }
}
