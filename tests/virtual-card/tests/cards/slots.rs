//! What a PIV card does behind the interface of every card: slots, PIN, PUK, objects.

use hospes_card::soft::Profile;
use hospes_card::{Card as _, CardKind, Object, Pin, Puk, Slot, UnblockError};
use hospes_protocol::keys::{Algorithm, Curve, KeyAgreement as _, KeyError, Signer as _, SoftwareAgreement};
use hospes_virtual_card::{Faults, Firmware, State};

use crate::wire::{Wire, enrolled, pin, puk, rng, spec};

const OLD: Firmware = Firmware(5, 4, 3);

#[test]
fn an_enrolled_card_signs_in_three_slots_and_agrees_in_one_on_every_profile() {
    for (profile, algorithm) in [
        (Profile::P256, Algorithm::Esp256),
        (Profile::P384, Algorithm::Esp384),
        (Profile::Edwards, Algorithm::Ed25519),
    ] {
        let (_wire, mut card) = enrolled(Firmware::NEWEST, profile);
        let info = card.info().unwrap();
        assert_eq!(info.kind, CardKind::Piv, "it says what it is");
        assert_eq!(info.holder_label.unwrap().as_str(), "Dr Lima", "and whose");
        card.verify_pin(&pin()).unwrap();
        for slot in [Slot::Signature, Slot::Authentication, Slot::CardAuthentication] {
            let mut signer = card.signer(slot).unwrap();
            let key = signer.verifying_key();
            assert_eq!(key.algorithm(), algorithm, "{slot:?}");
            // Sixteen messages: about half of P-256's signatures come from the card with the high s.
            for number in 0..if slot == Slot::Signature { 1 } else { 16u8 } {
                let signature = signer.sign(&[number]).unwrap();
                assert_eq!(key.verify(&[number], &signature), Ok(()), "{slot:?}, message {number}");
            }
        }
        let mut agreement = card.agreement().unwrap();
        let own = agreement.agreement_key();
        if own.curve() == Curve::X25519 {
            let mut other = SoftwareAgreement::from_secret(&[5; 32]);
            let shared = agreement.agree(&other.agreement_key()).unwrap();
            assert_eq!(shared, other.agree(&own).unwrap(), "both sides agree");
        }
    }
}

#[test]
fn a_card_that_tells_no_keys_is_enrolled_with_certificates_that_do() {
    for (firmware, profile) in [
        (Firmware(4, 3, 0), Profile::P256),
        (Firmware(5, 2, 4), Profile::P256),
        (Firmware(5, 2, 4), Profile::P384),
    ] {
        let (wire, mut card) = enrolled(firmware, profile);
        assert_eq!(certificates_written(&wire), 4, "{firmware:?}: one for each key");
        // As a reader meets it: nothing is known of it.
        let mut card_again = wire.connect();
        let info = card_again.info().unwrap();
        assert_eq!(info, card.info().unwrap(), "{firmware:?}: what it says is what was made");
        card_again.verify_pin(&pin()).unwrap();
        for slot in [Slot::Signature, Slot::Authentication, Slot::CardAuthentication] {
            let signature = card_again.sign(slot, b"x").unwrap();
            assert_eq!(info.verifying_key(slot).unwrap().verify(b"x", &signature), Ok(()), "{slot:?}");
        }
        assert!(card_again.agree(&info.key_management.clone().unwrap()).is_ok(), "{firmware:?} agrees");
    }
    let (wire, _card) = enrolled(OLD, Profile::P256);
    assert_eq!(certificates_written(&wire), 0, "metadata make certificates needless");
}

/// How often PUT DATA named the certificate of one of our slots.
fn certificates_written(wire: &Wire) -> usize {
    let names_one = |command: &&Vec<u8>| {
        command[1] == 0xDB
            && matches!(command.get(5..10), Some([0x5C, 3, 0x5F, 0xC1, 0x01 | 0x05 | 0x0A | 0x0B]))
    };
    wire.desk().sent.iter().filter(names_one).count()
}

#[test]
fn what_needs_the_pin_is_refused_before_it_and_after_logout() {
    let (wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let peer = card.info().unwrap().key_management.unwrap();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "9A before");
    assert_eq!(card.agree(&peer), Err(KeyError::PinNeeded), "9D before");
    assert!(card.sign(Slot::CardAuthentication, b"x").is_ok(), "9E needs none");
    card.verify_pin(&pin()).unwrap();
    assert!(card.sign(Slot::Signature, b"x").is_ok(), "9C once");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "not twice");
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "9A still");
    assert!(card.agree(&peer).is_ok(), "9D still");
    card.logout();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "9A after logout");
    let answer = wire.desk().card.transmit(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8]);
    assert!(matches!(answer, hospes_virtual_card::Answer::Bytes(_)), "another program comes");
    let verified = wire.desk().card.transmit(&[0, 0x20, 0, 0x80]);
    assert_eq!(verified, hospes_virtual_card::Answer::Bytes(vec![0x63, 0xC3]), "and finds no verified PIN");
}

#[test]
fn no_pin_is_sent_twice_by_itself() {
    let (wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    wire.desk().sent.clear();
    let wrong = Pin::new("000000").unwrap();
    assert_eq!(card.verify_pin(&wrong), Err(KeyError::WrongPin { tries_left: 2 }), "wrong");
    card.verify_pin(&pin()).unwrap();
    card.sign(Slot::Signature, b"x").unwrap();
    card.sign(Slot::Authentication, b"x").unwrap();
    card.logout();
    let verify = |command: &&Vec<u8>| command[1] == 0x20 && command.len() > 5;
    assert_eq!(wire.desk().sent.iter().filter(verify).count(), 2, "one VERIFY for each PIN that was typed");
}

#[test]
fn wrong_pins_count_down_and_the_puk_opens_again_until_it_is_blocked_too() {
    for firmware in [Firmware::NEWEST, OLD] {
        let (_wire, mut card) = enrolled(firmware, Profile::P256);
        let wrong = Pin::new("000000").unwrap();
        for expected in [
            KeyError::WrongPin { tries_left: 2 },
            KeyError::WrongPin { tries_left: 1 },
            KeyError::PinBlocked,
            KeyError::PinBlocked,
        ] {
            assert_eq!(card.verify_pin(&wrong), Err(expected), "{firmware:?}");
        }
        assert_eq!(card.info().unwrap().pin_tries_left, 0, "and it is shown");
        assert_eq!(card.verify_pin(&pin()), Err(KeyError::PinBlocked), "the right one too");
        let new = Pin::new("161803").unwrap();
        let bad = Puk::new("00000000").unwrap();
        let left = |tries_left| Err(UnblockError::WrongPuk { tries_left });
        assert_eq!(card.unblock(&bad, &new, &mut rng(2)), left(2), "a wrong PUK");
        assert_eq!(card.unblock(&puk(), &new, &mut rng(2)), Ok(()), "the right one");
        assert_eq!(card.verify_pin(&new), Ok(()), "the new PIN");
        for expected in [left(2), left(1), Err(KeyError::PukBlocked.into()), Err(KeyError::PukBlocked.into())]
        {
            assert_eq!(card.unblock(&bad, &new, &mut rng(2)), expected, "to the last try");
        }
        for _ in 0..3 {
            let _wrong = card.verify_pin(&wrong);
        }
        assert_eq!(card.verify_pin(&new), Err(KeyError::PukBlocked), "nothing opens it any more");
    }
}

#[test]
fn a_pin_is_changed_by_who_knows_it() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let new = Pin::new("161803").unwrap();
    let wrong = card.change_pin(&new, &new, &mut rng(2));
    assert_eq!(wrong, Err(KeyError::WrongPin { tries_left: 2 }), "the old one is wrong");
    assert_eq!(card.change_pin(&pin(), &new, &mut rng(2)), Ok(()), "right");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::WrongPin { tries_left: 2 }), "the old PIN");
    assert_eq!(card.verify_pin(&new), Ok(()), "the new one");
}

#[test]
fn objects_are_written_within_a_session_and_the_secret_is_read_within_one() {
    for firmware in [Firmware::NEWEST, OLD] {
        let (_wire, mut card) = enrolled(firmware, Profile::P256);
        let secret = vec![9; 700];
        let refused = card.write_object(Object::PatientSecret, &secret, &mut rng(3));
        assert_eq!(refused, Err(KeyError::PinNeeded), "before the PIN");
        card.verify_pin(&pin()).unwrap();
        card.write_object(Object::PatientSecret, &secret, &mut rng(3)).unwrap();
        card.write_object(Object::TierZeroHalf, &[4; 32], &mut rng(4)).unwrap();
        assert_eq!(card.read_object(Object::PatientSecret).unwrap().unwrap()[..], secret[..], "read in it");
        card.logout();
        assert_eq!(card.read_object(Object::PatientSecret), Err(KeyError::PinNeeded), "not after it");
        assert_eq!(card.read_object(Object::TierZeroHalf).unwrap().unwrap()[..], [4; 32], "that one is free");
    }
}

#[test]
fn two_handles_share_the_card_and_one_wrong_pin_ends_both() {
    let (wire, first) = enrolled(Firmware::NEWEST, Profile::P256);
    drop(first);
    let applet = std::sync::Arc::new(std::sync::Mutex::new(hospes_card::smart::Applet::new(Box::new(wire))));
    let mut first = hospes_card::smart::SmartCard::new(applet.clone());
    let mut second = hospes_card::smart::SmartCard::new(applet);
    first.verify_pin(&pin()).unwrap();
    assert!(second.info().is_ok(), "another handle reads while the first holds the card");
    assert_eq!(second.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "but has no session");
    second.verify_pin(&pin()).unwrap();
    second.sign(Slot::Signature, b"x").unwrap();
    second.logout();
    assert!(first.sign(Slot::Authentication, b"x").is_ok(), "the first goes on when the second leaves");
    assert!(second.verify_pin(&Pin::new("000000").unwrap()).is_err(), "a wrong PIN");
    assert_eq!(first.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "ends the first");
}

#[test]
fn a_card_that_lies_is_found_out() {
    let (wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    card.verify_pin(&pin()).unwrap();
    wire.desk().card.set_faults(Faults { tamper: Some(1), ..Faults::default() });
    let signed = card.sign(Slot::Authentication, b"x");
    assert!(matches!(signed, Err(KeyError::Failed(_))), "a signature with one bit turned: {signed:?}");
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "an honest one");
}

#[test]
fn a_card_that_is_not_from_the_factory_is_not_enrolled_over() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let before = card.info().unwrap();
    let again = card.enrol(&spec(Profile::P256), &pin(), &puk(), &mut rng(7));
    let refused = UnblockError::Key(KeyError::WrongPin { tries_left: 3 });
    assert_eq!(again.map(drop), Err(refused), "its PIN is no longer the first, and no try was spent on it");
    assert_eq!(card.info().unwrap().signature, before.signature, "its keys are as before");
}

#[test]
fn a_curve_that_the_card_does_not_have_is_named() {
    let wire = Wire::new(State::new(OLD, 1));
    let enrolled = wire.connect().enrol(&spec(Profile::Edwards), &pin(), &puk(), &mut rng(1));
    assert_eq!(enrolled.map(drop), Err(KeyError::Unsupported("Ed25519").into()), "firmware 5.4");
}
