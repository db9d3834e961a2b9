//! Wrong PINs to the last try, the way back by the PUK, and the end of it.

use hospes_card::soft::SoftCard;
use hospes_card::{Card as _, Slot, UnblockError};
use hospes_protocol::keys::KeyError;

use crate::{Desk, pin, puk};

const RIGHT: &str = "271828";
const WRONG: &str = "000000";

#[test]
fn a_wrong_pin_counts_down_and_a_right_one_counts_up_again() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    assert_eq!(card.verify_pin(&pin(WRONG)), Err(KeyError::WrongPin { tries_left: 2 }), "first");
    assert_eq!(card.verify_pin(&pin(WRONG)), Err(KeyError::WrongPin { tries_left: 1 }), "second");
    assert_eq!(card.info().unwrap().pin_tries_left, 1, "the card says so to anyone");
    assert_eq!(card.verify_pin(&pin(RIGHT)), Ok(()), "right at the last try");
    assert_eq!(card.info().unwrap().pin_tries_left, 3, "all tries again");
}

#[test]
fn the_third_wrong_pin_blocks_it_and_the_right_one_comes_too_late() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    for _ in 0..2 {
        card.verify_pin(&pin(WRONG)).unwrap_err();
    }
    assert_eq!(card.verify_pin(&pin(WRONG)), Err(KeyError::PinBlocked), "the last try");
    assert_eq!(card.verify_pin(&pin(RIGHT)), Err(KeyError::PinBlocked), "even the right one");
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "nothing works behind it");
    assert!(card.sign(Slot::CardAuthentication, b"x").is_ok(), "presence needs no PIN");
}

#[test]
fn the_puk_gives_a_new_pin() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    for _ in 0..3 {
        card.verify_pin(&pin(WRONG)).unwrap_err();
    }
    let refusal = card.unblock(&puk("00000000"), &pin("161803"), &mut desk.rng);
    assert_eq!(refusal, Err(UnblockError::WrongPuk { tries_left: 2 }), "a wrong PUK is counted");
    assert_eq!(card.verify_pin(&pin("161803")), Err(KeyError::PinBlocked), "and changed nothing");
    card.unblock(&puk("31415926"), &pin("161803"), &mut desk.rng).unwrap();
    let info = card.info().unwrap();
    assert_eq!((info.pin_tries_left, info.puk_tries_left), (3, 3), "both counters are full");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "the PUK opens no session");
    assert_eq!(
        card.verify_pin(&pin(RIGHT)),
        Err(KeyError::WrongPin { tries_left: 2 }),
        "the old PIN is gone"
    );
    assert_eq!(card.verify_pin(&pin("161803")), Ok(()), "the new one works");
}

#[test]
fn a_blocked_puk_is_the_end_of_the_card() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let mut unblock = |text: &str| {
        let result = card.unblock(&puk(text), &pin("161803"), &mut desk.rng);
        result.map_err(|e| (e, card.info().unwrap().puk_tries_left))
    };
    assert_eq!(unblock("00000000"), Err((UnblockError::WrongPuk { tries_left: 2 }, 2)), "first");
    assert_eq!(unblock("00000000"), Err((UnblockError::WrongPuk { tries_left: 1 }, 1)), "second");
    assert_eq!(unblock("00000000"), Err((KeyError::PukBlocked.into(), 0)), "the last");
    assert_eq!(unblock("31415926"), Err((KeyError::PukBlocked.into(), 0)), "even the right one");
    assert_eq!(card.verify_pin(&pin(RIGHT)), Ok(()), "the PIN still works while it isn't blocked");
    for _ in 0..2 {
        card.verify_pin(&pin(WRONG)).unwrap_err();
    }
    assert_eq!(card.verify_pin(&pin(WRONG)), Err(KeyError::PukBlocked), "blocked with no way back says so");
}

#[test]
fn a_pin_is_changed_by_who_knows_the_old_one() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let refusal = card.change_pin(&pin(WRONG), &pin("161803"), &mut desk.rng);
    assert_eq!(refusal, Err(KeyError::WrongPin { tries_left: 2 }), "a wrong old PIN costs a try");
    assert_eq!(card.verify_pin(&pin(RIGHT)), Ok(()), "and changed nothing");
    card.change_pin(&pin(RIGHT), &pin("161803"), &mut desk.rng).unwrap();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "the session is over");
    assert_eq!(
        card.verify_pin(&pin(RIGHT)),
        Err(KeyError::WrongPin { tries_left: 2 }),
        "the old one is wrong"
    );
    assert_eq!(card.verify_pin(&pin("161803")), Ok(()), "the new one is right");
}

#[test]
fn one_pin_allows_one_signature_and_any_number_of_sign_ins() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "not before the PIN");
    card.verify_pin(&pin(RIGHT)).unwrap();
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "9A");
    assert!(card.sign(Slot::Signature, b"x").is_ok(), "9C once");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "9C not twice");
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "9A again");
    card.verify_pin(&pin(RIGHT)).unwrap();
    assert!(card.sign(Slot::Signature, b"y").is_ok(), "9C after another PIN");
    card.logout();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "9A not after logout");
}

#[test]
fn a_wrong_pin_ends_the_session_that_a_right_one_began() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    card.verify_pin(&pin(RIGHT)).unwrap();
    card.verify_pin(&pin(WRONG)).unwrap_err();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "as on a real card");
}

#[test]
fn a_pin_blocked_by_another_program_is_verified_for_nobody() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let mut other = SoftCard::open(&desk.path("ada.card")).unwrap();
    card.verify_pin(&pin(RIGHT)).unwrap();
    assert_eq!(other.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "a session is one handle's");
    for _ in 0..2 {
        other.verify_pin(&pin(WRONG)).unwrap_err();
    }
    assert!(card.sign(Slot::Authentication, b"x").is_ok(), "while a try is left");
    assert_eq!(other.verify_pin(&pin(WRONG)), Err(KeyError::PinBlocked), "the last one");
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "over for everyone");
}
