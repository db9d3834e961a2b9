//! The card is pulled at every command of enrolling, signing and opening, before and after the card carried it out: each
//! time the answer is typed, nothing is half signed, and the card works again once it is back.

use hospes_card::smart::SmartCard;
use hospes_card::soft::Profile;
use hospes_card::{Card as _, Object, Slot, UnblockError};
use hospes_protocol::keys::KeyError;
use hospes_virtual_card::{Faults, Pull, State};

use crate::wire::{Wire, enrolled_from, factory, pin, puk, rng, spec};

/// Runs an act, each time on a handle of its own, with the card pulled at each of its commands in turn; gives how often.
fn at_every_command<R>(
    wire: &Wire,
    act: impl Fn(&mut SmartCard) -> Result<R, KeyError>,
    then: impl Fn(&mut SmartCard, &str),
) -> u64 {
    wire.desk().card.set_faults(Faults::default());
    assert!(act(&mut wire.connect()).is_ok(), "with the card in all the time");
    let count = wire.commands();
    for at in 1..=count {
        for pull in [Pull::Before(at), Pull::After(at)] {
            let mut card = wire.connect();
            wire.pull(pull);
            let answer = act(&mut card);
            assert_eq!(answer.err(), Some(KeyError::Removed), "{pull:?} of {count}");
            assert_eq!(act(&mut card).err(), Some(KeyError::Absent), "{pull:?}: then there is none");
            wire.put_back();
            assert!(act(&mut card).is_ok(), "{pull:?}: and it works when it is back");
            then(&mut card, &format!("{pull:?}"));
        }
    }
    2 * count
}

#[test]
fn a_card_pulled_at_any_command_of_signing_signs_nothing() {
    factory().into_iter().for_each(signing_is_pulled);
}

fn signing_is_pulled(state: State) {
    let (wire, card) = enrolled_from(state, Profile::P256);
    drop(card);
    let act = |card: &mut SmartCard| {
        card.verify_pin(&pin())?;
        let signature = card.sign(Slot::Signature, b"consent");
        card.logout();
        signature
    };
    let tried = at_every_command(&wire, act, |card, at| {
        assert_eq!(card.info().unwrap().pin_tries_left, 3, "{at}: no try was lost for good");
        assert_eq!(
            card.sign(Slot::Authentication, b"x"),
            Err(KeyError::PinNeeded),
            "{at}: no session is left"
        );
    });
    println!("signing: pulled {tried} times");
    assert!(tried >= 6, "at SELECT, VERIFY and the signature at least: {tried}");
}

#[test]
fn a_card_pulled_at_any_command_of_opening_opens_nothing() {
    factory().into_iter().for_each(opening_is_pulled);
}

fn opening_is_pulled(state: State) {
    let (wire, mut card) = enrolled_from(state, Profile::Edwards);
    let own = card.info().unwrap().key_management.unwrap();
    card.verify_pin(&pin()).unwrap();
    card.write_object(Object::PatientSecret, &[7; 400], &mut rng(2)).unwrap();
    drop(card);
    let act = |card: &mut SmartCard| {
        card.verify_pin(&pin())?;
        let opened = card.read_object(Object::PatientSecret).and_then(|secret| {
            assert_eq!(secret.unwrap()[..], [7; 400], "whole or not at all");
            card.agree(&own)
        });
        card.logout();
        opened
    };
    let tried = at_every_command(&wire, act, |_, _| {});
    println!("opening: pulled {tried} times");
}

#[test]
fn a_card_pulled_at_any_command_of_writing_keeps_the_old_object_or_the_new_one() {
    factory().into_iter().for_each(writing_is_pulled);
}

fn writing_is_pulled(state: State) {
    let (wire, card) = enrolled_from(state, Profile::P256);
    drop(card);
    let act = |card: &mut SmartCard| {
        card.verify_pin(&pin())?;
        let written = card.write_object(Object::TierZeroHalf, &[7; 600], &mut rng(2));
        card.logout();
        written
    };
    let tried = at_every_command(&wire, act, |card, at| {
        let half = card.read_object(Object::TierZeroHalf).unwrap().unwrap();
        assert_eq!(half[..], [7; 600], "{at}: it is whole");
    });
    println!("writing: pulled {tried} times");
}

#[test]
fn a_card_pulled_at_any_command_of_enrolling_is_enrolled_again() {
    factory().into_iter().for_each(enrolling_is_pulled);
}

fn enrolling_is_pulled(state: State) {
    let fresh = || Wire::new(state.clone());
    let enrol = |card: &mut SmartCard| card.enrol(&spec(Profile::P256), &pin(), &puk(), &mut rng(1));
    let whole = fresh();
    whole.desk().card.set_faults(Faults::default());
    enrol(&mut whole.connect()).unwrap();
    let count = whole.commands();
    let mut refused = 0u32;
    for at in 1..=count {
        for pull in [Pull::Before(at), Pull::After(at)] {
            let wire = fresh();
            let mut card = wire.connect();
            wire.pull(pull);
            let answer = enrol(&mut card).map(drop);
            assert_eq!(answer, Err(UnblockError::Key(KeyError::Removed)), "{pull:?} of {count}");
            wire.put_back();
            match enrol(&mut card) {
                Ok(_) => assert_eq!(card.verify_pin(&pin()), Ok(()), "{pull:?}: enrolled the second time"),
                // Its codes were changed already: the PIN works, or the PUK is no longer the first one.
                Err(UnblockError::Key(KeyError::WrongPin { .. })) => {
                    assert_eq!(card.verify_pin(&pin()), Ok(()), "{pull:?}: it was enrolled the first time");
                    refused += u32::from(card.info().unwrap().holder_kind.is_none());
                }
                Err(UnblockError::WrongPuk { .. }) => refused += 1,
                Err(other) => panic!("{pull:?}: {other}"),
            }
        }
    }
    println!("enrolling: pulled {} times; a reset was needed {refused} times", 2 * count);
    assert!(refused <= 8, "only around the last changes of code: {refused}");
}
