//! What an OpenPGP card does behind the interface of every card: slots, PIN, resetting code, objects.

use hospes_card::soft::Profile;
use hospes_card::{Card as _, CardKind, Object, Pin, Puk, Slot, UnblockError};
use hospes_protocol::keys::{Algorithm, Curve, KeyAgreement as _, KeyError, Signer as _, SoftwareAgreement};
use hospes_virtual_card::{Answer, Curves, Faults, State};

use crate::wire::{Wire, enrolled_openpgp, pin, puk, rng, spec};

#[test]
fn an_openpgp_card_signs_in_two_slots_and_agrees_in_one_on_every_profile() {
    for (profile, algorithm) in [
        (Profile::P256, Algorithm::Esp256),
        (Profile::P384, Algorithm::Esp384),
        (Profile::Edwards, Algorithm::Ed25519),
    ] {
        let (_wire, mut card) = enrolled_openpgp(profile);
        let info = card.info().unwrap();
        assert_eq!(info.kind, CardKind::OpenPgp, "it says what it is");
        assert_eq!(info.holder_label.unwrap().as_str(), "Dr Lima", "and whose");
        assert_eq!((info.pin_tries_left, info.puk_tries_left), (3, 3), "and how often it can be tried");
        card.verify_pin(&pin()).unwrap();
        for slot in [Slot::Signature, Slot::Authentication] {
            let mut signer = card.signer(slot).unwrap();
            let key = signer.verifying_key();
            assert_eq!(key.algorithm(), algorithm, "{slot:?}");
            // Sixteen messages: about half of P-256's signatures come from the card with the high s.
            for number in 0..if slot == Slot::Signature { 1 } else { 16u8 } {
                let message = [number; 700];
                let signature = signer.sign(&message).unwrap();
                assert_eq!(key.verify(&message, &signature), Ok(()), "{slot:?}, message {number}");
            }
        }
        let none = card.sign(Slot::CardAuthentication, b"x");
        assert!(matches!(none, Err(KeyError::Unsupported(_))), "it has no key without PIN: {none:?}");
        let mut agreement = card.agreement().unwrap();
        let own = agreement.agreement_key();
        if own.curve() == Curve::X25519 {
            let mut other = SoftwareAgreement::from_secret(&[5; 32]);
            let shared = agreement.agree(&other.agreement_key()).unwrap();
            assert_eq!(shared, other.agree(&own).unwrap(), "both sides agree");
        } else {
            assert_eq!(agreement.agree(&own).unwrap().len(), 32, "a secret on P-256");
        }
    }
}

#[test]
fn an_openpgp_card_signs_once_for_each_pin_and_forgets_it_at_logout() {
    let (wire, mut card) = enrolled_openpgp(Profile::P256);
    let peer = card.info().unwrap().key_management.unwrap();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "9A before");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "9C before");
    assert_eq!(card.agree(&peer), Err(KeyError::PinNeeded), "9D before");
    card.verify_pin(&pin()).unwrap();
    assert!(card.sign(Slot::Signature, b"x").is_ok(), "9C once");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "not twice");
    let again = wire.desk().card.transmit(&[0, 0x2A, 0x9E, 0x9A, 1, 7]);
    assert_eq!(again, Answer::Bytes(vec![0x69, 0x82]), "nor by the card itself");
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "9A still");
    assert!(card.agree(&peer).is_ok(), "9D still");
    card.logout();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "9A after logout");
    let selected = wire.desk().card.transmit(&[0, 0xA4, 4, 0, 6, 0xD2, 0x76, 0, 1, 0x24, 1]);
    assert_eq!(selected, Answer::Bytes(vec![0x90, 0]), "another program comes");
    for reference in [0x81, 0x82, 0x83] {
        let verified = wire.desk().card.transmit(&[0, 0x20, 0, reference]);
        assert_eq!(verified, Answer::Bytes(vec![0x63, 0xC3]), "{reference:x}: nothing is verified");
    }
}

#[test]
fn a_wrong_pin_goes_to_an_openpgp_card_once() {
    let (wire, mut card) = enrolled_openpgp(Profile::P256);
    wire.desk().sent.clear();
    let wrong = Pin::new("000000").unwrap();
    assert_eq!(card.verify_pin(&wrong), Err(KeyError::WrongPin { tries_left: 2 }), "one try");
    let verify = |command: &&Vec<u8>| command[1] == 0x20 && command.len() > 5;
    assert_eq!(wire.desk().sent.iter().filter(verify).count(), 1, "for one VERIFY");
    wire.desk().sent.clear();
    card.verify_pin(&pin()).unwrap();
    card.sign(Slot::Signature, b"x").unwrap();
    card.sign(Slot::Authentication, b"x").unwrap();
    assert_eq!(wire.desk().sent.iter().filter(verify).count(), 2, "a right one for 82 and for 81");
}

#[test]
fn wrong_pins_count_down_and_the_resetting_code_opens_an_openpgp_card_until_it_is_blocked_too() {
    let (_wire, mut card) = enrolled_openpgp(Profile::P256);
    let wrong = Pin::new("000000").unwrap();
    for expected in [
        KeyError::WrongPin { tries_left: 2 },
        KeyError::WrongPin { tries_left: 1 },
        KeyError::PinBlocked,
        KeyError::PinBlocked,
    ] {
        assert_eq!(card.verify_pin(&wrong), Err(expected), "wrong");
    }
    assert_eq!(card.info().unwrap().pin_tries_left, 0, "and it is shown");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::PinBlocked), "the right one too");
    let new = Pin::new("161803").unwrap();
    let bad = Puk::new("00000000").unwrap();
    let left = |tries_left| Err(UnblockError::WrongPuk { tries_left });
    assert_eq!(card.unblock(&bad, &new, &mut rng(2)), left(2), "a wrong PUK");
    assert_eq!(card.unblock(&puk(), &new, &mut rng(2)), Ok(()), "the right one");
    assert_eq!(card.verify_pin(&new), Ok(()), "the new PIN");
    card.logout();
    for expected in [left(2), left(1), Err(KeyError::PukBlocked.into()), Err(KeyError::PukBlocked.into())] {
        assert_eq!(card.unblock(&bad, &new, &mut rng(2)), expected, "to the last try");
    }
    for _ in 0..3 {
        let _wrong = card.verify_pin(&wrong);
    }
    assert_eq!(card.verify_pin(&new), Err(KeyError::PukBlocked), "nothing opens it any more");
}

#[test]
fn the_pin_of_an_openpgp_card_is_changed_by_who_knows_it() {
    let (_wire, mut card) = enrolled_openpgp(Profile::P256);
    let new = Pin::new("16180339").unwrap();
    let wrong = card.change_pin(&new, &new, &mut rng(2));
    assert_eq!(wrong, Err(KeyError::WrongPin { tries_left: 2 }), "the old one is wrong");
    assert_eq!(card.change_pin(&pin(), &new, &mut rng(2)), Ok(()), "right");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::WrongPin { tries_left: 2 }), "the old PIN");
    assert_eq!(card.verify_pin(&new), Ok(()), "the new one");
}

#[test]
fn objects_of_an_openpgp_card_are_written_within_a_session_and_keep_each_other() {
    let (_wire, mut card) = enrolled_openpgp(Profile::P256);
    let secret = vec![9; 700];
    let refused = card.write_object(Object::PatientSecret, &secret, &mut rng(3));
    assert_eq!(refused, Err(KeyError::PinNeeded), "before the PIN");
    card.verify_pin(&pin()).unwrap();
    card.write_object(Object::PatientSecret, &secret, &mut rng(3)).unwrap();
    card.write_object(Object::TierZeroHalf, &[4; 32], &mut rng(4)).unwrap();
    card.write_object(Object::Network, &[5; 32], &mut rng(4)).unwrap();
    assert_eq!(card.read_object(Object::PatientSecret).unwrap().unwrap()[..], secret[..], "read in it");
    let long = card.write_object(Object::PatientSecret, &[9; 1200], &mut rng(3));
    assert_eq!(long, Err(KeyError::Failed("there is no room left on the card".to_owned())), "too long");
    assert_eq!(card.read_object(Object::PatientSecret).unwrap().unwrap()[..], secret[..], "nothing is lost");
    card.logout();
    assert_eq!(card.read_object(Object::PatientSecret), Err(KeyError::PinNeeded), "not after it");
    assert_eq!(card.read_object(Object::TierZeroHalf).unwrap().unwrap()[..], [4; 32], "that one is free");
    let info = card.info().unwrap();
    assert_eq!(info.network.unwrap().0, [5; 32], "the network is told to anyone");
    assert_eq!(info.holder_label.unwrap().as_str(), "Dr Lima", "beside the label");
    card.verify_pin(&pin()).unwrap();
    card.write_object(Object::PatientSecret, &[], &mut rng(3)).unwrap();
    assert_eq!(card.read_object(Object::PatientSecret), Ok(None), "blanked");
    let half = card.write_object(Object::TierZeroHalf, &[6; 32], &mut rng(4));
    assert_eq!(half, Ok(()), "and what stands beside it is still there");
}

#[test]
fn an_openpgp_card_that_lies_is_found_out() {
    let (wire, mut card) = enrolled_openpgp(Profile::P256);
    card.verify_pin(&pin()).unwrap();
    wire.desk().card.set_faults(Faults { tamper: Some(1), ..Faults::default() });
    let signed = card.sign(Slot::Authentication, b"x");
    assert!(matches!(signed, Err(KeyError::Failed(_))), "a signature with one bit turned: {signed:?}");
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "an honest one");
}

#[test]
fn an_openpgp_card_that_is_somebodys_is_not_enrolled_over() {
    let (_wire, mut card) = enrolled_openpgp(Profile::P256);
    let before = card.info().unwrap();
    let again = card.enrol(&spec(Profile::P256), &pin(), &puk(), &mut rng(7));
    let refused = UnblockError::Key(KeyError::WrongPin { tries_left: 3 });
    assert_eq!(again.map(drop), Err(refused), "it says whose it is, and no try was spent on it");
    assert_eq!(card.info().unwrap().signature, before.signature, "its keys are as before");
}

#[test]
fn an_openpgp_card_leaves_the_factory_codes_behind() {
    let (wire, card) = enrolled_openpgp(Profile::P256);
    drop(card);
    let mut desk = wire.desk();
    desk.card.transmit(&[0, 0xA4, 4, 0, 6, 0xD2, 0x76, 0, 1, 0x24, 1]);
    for (reference, first) in [(0x81, &b"123456"[..]), (0x83, b"12345678")] {
        let command = [&[0, 0x20, 0, reference, u8::try_from(first.len()).unwrap()], first].concat();
        assert_eq!(desk.card.transmit(&command), Answer::Bytes(vec![0x69, 0x82]), "{reference:x} is another");
    }
    let status = desk.card.transmit(&[0, 0xCA, 0, 0xC4, 0]);
    let Answer::Bytes(status) = status else { panic!("nobody pulled it") };
    assert_eq!((status[0], &status[4..7]), (0, &[2, 3, 2][..]), "one PIN, one signature; a resetting code");
}

#[test]
fn a_curve_that_an_openpgp_card_does_not_have_is_named() {
    let wire = Wire::new(State::openpgp(Curves::Nist, 1));
    let refused = wire.connect().enrol(&spec(Profile::Edwards), &pin(), &puk(), &mut rng(1));
    assert_eq!(refused.map(drop), Err(KeyError::Unsupported("Ed25519").into()), "NIST's curves only");
    let taken = wire.connect().enrol(&spec(Profile::P384), &pin(), &puk(), &mut rng(1));
    assert!(taken.is_ok(), "P-384 it has: {taken:?}");
}
