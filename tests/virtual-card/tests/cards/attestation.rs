//! Attestation: what a maker vouches for is believed only along the whole chain.

use hospes_card::piv::{Attestation, AttestationError, Roots};
use hospes_card::soft::Profile;
use hospes_card::{Card as _, Slot};
use hospes_virtual_card::{Firmware, State, test_root_certificate};

use crate::wire::{Wire, enrolled};

fn roots() -> Roots {
    Roots::new(vec![test_root_certificate()]).unwrap()
}

#[test]
fn keys_made_on_the_card_are_attested_on_every_curve() {
    for profile in [Profile::P256, Profile::P384, Profile::Edwards] {
        let (wire, mut card) = enrolled(Firmware::NEWEST, profile);
        let info = card.info().unwrap();
        for (slot, pin_policy) in
            [(Slot::Authentication, 2), (Slot::Signature, 3), (Slot::CardAuthentication, 1)]
        {
            let attestation = card.attestation(slot).unwrap().unwrap();
            let said = attestation.of_signing(info.verifying_key(slot).unwrap(), &roots()).unwrap();
            assert_eq!(said.pin_policy, pin_policy, "{slot:?} of {profile:?}");
            assert_eq!(said.firmware, [5, 7, 1], "the firmware");
            assert_eq!(said.serial, Some(wire.desk().card.state().serial()), "the maker's number");
        }
        let agreement = card.attestation(Slot::KeyManagement).unwrap().unwrap();
        assert!(agreement.of_agreement(&info.key_management.unwrap(), &roots()).is_ok(), "9D of {profile:?}");
    }
}

#[test]
fn an_attestation_is_of_one_key_of_one_card_of_a_trusted_maker() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let info = card.info().unwrap();
    let (signs, signs_in) = (info.signature.unwrap(), info.authentication.unwrap());
    let good = card.attestation(Slot::Signature).unwrap().unwrap();
    assert!(good.of_signing(&signs, &roots()).is_ok(), "as the card gave it");
    assert_eq!(good.of_signing(&signs_in, &roots()), Err(AttestationError::OtherKey), "of another slot");
    assert_eq!(
        good.of_signing(&signs, &Roots::default()),
        Err(AttestationError::Untrusted),
        "without a root"
    );
    let other = Wire::new(State::new(Firmware::NEWEST, 2)).connect().attestation(Slot::Signature).unwrap();
    assert_eq!(other, None, "an empty slot has none");
    let (_second, mut stranger) = enrolled(Firmware(5, 4, 3), Profile::P256);
    let stolen = Attestation {
        card_certificate: good.statement.clone(),
        ..stranger.attestation(Slot::Signature).unwrap().unwrap()
    };
    assert_eq!(stolen.of_signing(&signs, &roots()), Err(AttestationError::Untrusted), "a chain put together");
}

#[test]
fn no_flipped_byte_of_a_chain_is_believed_and_none_makes_it_panic() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let key = card.info().unwrap().signature.unwrap();
    let good = card.attestation(Slot::Signature).unwrap().unwrap();
    let roots = roots();
    let tried = good.statement.len() + good.card_certificate.len();
    for at in 0..tried {
        let mut bad = good.clone();
        match bad.statement.len().checked_sub(at + 1) {
            Some(_) => bad.statement[at] ^= 0x20,
            None => bad.card_certificate[at - good.statement.len()] ^= 0x20,
        }
        assert!(bad.of_signing(&key, &roots).is_err(), "byte {at} of {tried}");
    }
    println!("attestation: {tried} flipped bytes");
}
