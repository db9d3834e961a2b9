//! Signatures verify as the protocol verifies them; key agreement reaches the same secret on both sides.

use hospes_card::soft::Profile;
use hospes_card::{Card as _, Slot};
use hospes_protocol::check::Check;
use hospes_protocol::keys::{AgreementKey, Curve, KeyAgreement, KeyError, Signer, SoftwareAgreement};

use crate::{Desk, pin};

const PROFILES: [Profile; 3] = [Profile::P256, Profile::P384, Profile::Edwards];

#[test]
fn every_slot_signs_what_the_protocol_accepts() {
    let mut desk = Desk::new();
    for profile in PROFILES {
        let mut card = desk.card(&format!("{profile:?}.card"), profile);
        for slot in [Slot::Authentication, Slot::Signature, Slot::CardAuthentication] {
            // Half of all ECDSA signatures have high s before they are made low.
            for round in 0..8_u8 {
                card.verify_pin(&pin("271828")).unwrap();
                let mut signer = card.signer(slot).unwrap();
                let signature = signer.sign(&[round]).unwrap();
                let key = signer.verifying_key();
                assert_eq!(key.algorithm(), profile.algorithm(), "{profile:?} {slot:?}");
                assert_eq!(key.verify(&[round], &signature), Ok(()), "{profile:?} {slot:?} {round}");
                let other = key.verify(&[round, 0], &signature);
                assert_eq!(other, Err(Check::BadSignature.into()), "not another message");
            }
        }
    }
}

#[test]
fn each_slot_has_a_key_of_its_own() {
    let info = Desk::new().ada().info().unwrap();
    let keys =
        [Slot::Authentication, Slot::Signature, Slot::CardAuthentication].map(|s| info.verifying_key(s));
    assert!(keys.iter().all(Option::is_some), "three signing slots");
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "three keys");
    assert_eq!(info.verifying_key(Slot::KeyManagement), None, "9D doesn't sign");
}

#[test]
fn the_key_management_slot_agrees_and_does_not_sign() {
    let mut desk = Desk::new();
    let (mut ada, mut bob) = (desk.card("ada.card", Profile::P256), desk.card("bob.card", Profile::P384));
    assert!(matches!(ada.signer(Slot::KeyManagement), Err(KeyError::Unsupported(_))), "9D signs nothing");
    let bobs = bob.agreement().unwrap().agreement_key();
    assert_eq!(ada.agree(&bobs), Err(KeyError::PinNeeded), "not before the PIN");
    for card in [&mut ada, &mut bob] {
        card.verify_pin(&pin("271828")).unwrap();
    }
    let adas = ada.agreement().unwrap().agreement_key();
    assert_eq!(adas.curve(), Curve::P256, "on the curve of every PIV card");
    let (here, there) = (ada.agree(&bobs).unwrap(), bob.agree(&adas).unwrap());
    assert_eq!(*here, *there, "one secret");
    assert_ne!(*here, [0; 32], "which is one");
    assert_eq!(*ada.agreement().unwrap().agree(&bobs).unwrap(), *here, "9D any number of times");
}

#[test]
fn a_p256_agreement_is_the_x_coordinate_that_others_compute() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    card.verify_pin(&pin("271828")).unwrap();
    let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let peer = AgreementKey::new(Curve::P256, &secret.public_key().to_sec1_bytes()).unwrap();
    let adas = card.info().unwrap().key_management.unwrap();
    let point = p256::PublicKey::from_sec1_bytes(adas.as_bytes()).unwrap();
    let theirs = secret.diffie_hellman(&point);
    assert_eq!(card.agree(&peer).unwrap()[..], theirs.raw_secret_bytes()[..], "SP 800-56A, 5.7.1.2");
}

#[test]
fn an_x25519_card_agrees_with_a_node_key_and_no_other_curve() {
    let mut desk = Desk::new();
    let mut card = desk.card("ada.card", Profile::Edwards);
    card.verify_pin(&pin("271828")).unwrap();
    let mut node = SoftwareAgreement::from_secret(&[9; 32]);
    let adas = card.agreement().unwrap().agreement_key();
    let here = card.agree(&node.agreement_key()).unwrap();
    assert_eq!(*here, *node.agree(&adas).unwrap(), "one secret");
    let p256 = desk.card("bob.card", Profile::P256).info().unwrap().key_management.unwrap();
    assert!(matches!(card.agree(&p256), Err(KeyError::Unsupported(_))), "another curve is said");
}
