//! Objects: what anyone reads, what the PIN guards, and how much fits.

use hospes_card::soft::{PinCost, SoftCard, SoftCardSpec};
use hospes_card::{Card as _, CardKind, HolderKind, HolderLabel, OBJECT_BYTES_MAX, Object};
use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::KeyError;

use crate::{Desk, pin, puk};

#[test]
fn a_card_says_whose_it_is_without_a_pin() {
    let mut desk = Desk::new();
    let spec = SoftCardSpec {
        cost: PinCost::cheap_for_tests(),
        holder_label: HolderLabel::new("Ward 3, card 17"),
        network: Some(NetworkId([3; 32])),
        home_organization: Some(OrganizationId([4; 32])),
        ..SoftCardSpec::new(HolderKind::Practitioner)
    };
    let path = desk.path("ward.card");
    spec.create(&path, &pin("271828"), &puk("31415926"), &mut desk.rng).unwrap();
    let info = SoftCard::open(&path).unwrap().info().unwrap();
    assert_eq!(info.kind, CardKind::Soft, "it doesn't pass for a real one");
    assert_eq!(info.holder_kind, Some(HolderKind::Practitioner), "kind");
    assert_eq!(info.holder_label.unwrap().as_str(), "Ward 3, card 17", "label");
    assert_eq!(info.network, Some(NetworkId([3; 32])), "network");
    assert_eq!(info.home_organization, Some(OrganizationId([4; 32])), "home");
}

#[test]
fn the_patient_secret_is_behind_the_pin_and_the_rest_is_not() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    for object in Object::ALL {
        let refusal = card.write_object(*object, b"x", &mut desk.rng);
        assert!(refusal.is_err(), "{object:?} is not written without PIN");
    }
    card.verify_pin(&pin("271828")).unwrap();
    assert_eq!(card.read_object(Object::PatientSecret), Ok(None), "nothing there yet");
    card.write_object(Object::PatientSecret, b"a sealed secret", &mut desk.rng).unwrap();
    card.write_object(Object::TierZeroHalf, &[5; 32], &mut desk.rng).unwrap();
    assert_eq!(read(&mut card, Object::PatientSecret), b"a sealed secret", "with the PIN");
    card.logout();
    assert_eq!(card.read_object(Object::PatientSecret), Err(KeyError::PinNeeded), "without it");
    assert_eq!(read(&mut card, Object::TierZeroHalf), [5; 32], "a free object");
    let file = std::fs::read(desk.path("ada.card")).unwrap();
    assert!(!file.windows(15).any(|w| w == b"a sealed secret"), "not in the file as it is");
}

#[test]
fn an_object_outlives_a_change_of_pin_and_holds_four_kib() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    card.verify_pin(&pin("271828")).unwrap();
    let full = vec![7; OBJECT_BYTES_MAX];
    card.write_object(Object::PatientSecret, &full, &mut desk.rng).unwrap();
    card.write_object(Object::TierZeroHalf, &full, &mut desk.rng).unwrap();
    let over = vec![8; OBJECT_BYTES_MAX + 1];
    let refusal = card.write_object(Object::PatientSecret, &over, &mut desk.rng);
    assert!(matches!(refusal, Err(KeyError::Unsupported(_))), "a byte more: {refusal:?}");
    card.change_pin(&pin("271828"), &pin("161803"), &mut desk.rng).unwrap();
    card.unblock(&puk("31415926"), &pin("141421"), &mut desk.rng).unwrap();
    card.verify_pin(&pin("141421")).unwrap();
    assert_eq!(read(&mut card, Object::PatientSecret), full, "as it was");
}

#[test]
fn an_object_of_the_wrong_form_is_refused_and_the_old_one_stays() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    card.verify_pin(&pin("271828")).unwrap();
    card.write_object(Object::Network, &[1; 32], &mut desk.rng).unwrap();
    for (object, bytes) in [
        (Object::Network, &[2; 31][..]),
        (Object::HolderLabel, b"\xff"),
        (Object::HolderLabel, b""),
        (Object::HolderKind, &[0x18, 99]),
    ] {
        let refusal = card.write_object(object, bytes, &mut desk.rng);
        assert!(matches!(refusal, Err(KeyError::Unsupported(_))), "{object:?} {bytes:?}");
    }
    assert_eq!(card.info().unwrap().network, Some(NetworkId([1; 32])), "the one before");
}

fn read(card: &mut SoftCard, object: Object) -> Vec<u8> {
    card.read_object(object).unwrap().unwrap().to_vec()
}
