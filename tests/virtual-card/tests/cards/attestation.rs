//! Attestation: what a maker vouches for is believed only along the whole chain.

use std::sync::{Arc, Mutex};

use hospes_card::piv::{Attestation, AttestationError, Roots};
use hospes_card::smart::{Applet, LinkError, SmartCard, Transport};
use hospes_card::soft::Profile;
use hospes_card::{Card as _, Slot};
use hospes_virtual_card::{Firmware, State, test_root_certificate};
use zeroize::Zeroizing;

use crate::wire::{Wire, enrolled, pin, puk, rng, spec};

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

#[test]
fn a_card_is_attested_as_a_whole_by_a_maker_that_is_trusted() {
    for (firmware, profile) in [(Firmware::NEWEST, Profile::Edwards), (Firmware(5, 4, 3), Profile::P384)] {
        let (wire, mut card) = enrolled(firmware, profile);
        let said = roots().judge(&mut card).unwrap().unwrap();
        assert_eq!(said.serial, Some(wire.desk().card.state().serial()), "the maker's number");
        assert_eq!((said.pin_policy, said.touch_policy), (3, 1), "what guards 9C");
        let untrusted = Roots::of_makers(Vec::new()).unwrap().judge(&mut card).unwrap();
        assert_eq!(untrusted, Err(AttestationError::Untrusted), "no YubiKey");
        wire.desk().inserted = false;
        assert!(roots().judge(&mut card).is_err(), "a card that was pulled says nothing");
    }
}

/// Passes one card off with the key in 9A of another.
struct Mixed {
    one: Wire,
    two: Wire,
    asks_two: bool,
}

impl Transport for Mixed {
    fn begin(&mut self) -> Result<(), LinkError> {
        self.one.begin()
    }

    fn end(&mut self, reset: bool) {
        self.one.end(reset);
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        match command {
            [_, 0xA4, ..] => drop(self.two.transmit(command)?),
            // Metadata and attestation name the slot; then comes the certificate of whoever attested.
            [_, 0xF7, _, slot, ..] | [_, 0xF9, slot, ..] => self.asks_two = *slot == 0x9A,
            [_, 0xC0, ..] | [_, 0xCB, _, _, _, 0x5C, 3, 0x5F, 0xFF, 1, ..] => {}
            _ => self.asks_two = false,
        }
        if self.asks_two { self.two.transmit(command) } else { self.one.transmit(command) }
    }
}

#[test]
fn keys_of_two_cards_make_no_attested_card() {
    let (one, card) = enrolled(Firmware::NEWEST, Profile::P256);
    drop(card);
    let two = Wire::new(State::new(Firmware::NEWEST, 2));
    two.connect().enrol(&spec(Profile::P256), &pin(), &puk(), &mut rng(2)).unwrap();
    for wire in [&one, &two] {
        assert!(roots().judge(&mut wire.connect()).unwrap().is_ok(), "each by itself");
    }
    let mixed = Mixed { one, two, asks_two: false };
    let mut card = SmartCard::new(Arc::new(Mutex::new(Applet::new(Box::new(mixed)))));
    assert_eq!(roots().judge(&mut card).unwrap(), Err(AttestationError::SeveralCards), "put together");
}
