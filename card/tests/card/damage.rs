//! A damaged card file is named as damaged, whichever byte it was; a whole one works again.

use std::fs;

use hospes_card::soft::SoftCard;
use hospes_card::{Card as _, Slot};
use hospes_protocol::keys::KeyError;

use crate::{Desk, pin};

fn is_damaged<T>(result: &Result<T, KeyError>) -> bool {
    matches!(result, Err(KeyError::Failed(text)) if text.contains("damaged"))
}

#[test]
fn any_flipped_byte_and_any_cut_is_found() {
    let mut desk = Desk::new();
    desk.ada();
    let path = desk.path("ada.card");
    let good = fs::read(&path).unwrap();
    for place in 0..good.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[place] ^= flip;
            fs::write(&path, &bad).unwrap();
            assert!(is_damaged(&SoftCard::open(&path)), "byte {place} ^ {flip:#x}");
        }
        fs::write(&path, &good[..place]).unwrap();
        assert!(is_damaged(&SoftCard::open(&path)), "cut at {place}");
    }
    fs::write(&path, [&good[..], &[0]].concat()).unwrap();
    assert!(is_damaged(&SoftCard::open(&path)), "a byte more");
    fs::write(&path, &good).unwrap();
    assert!(SoftCard::open(&path).is_ok(), "the whole file");
}

#[test]
fn damage_during_a_session_ends_it() {
    let mut desk = Desk::new();
    let mut card = desk.ada();
    let path = desk.path("ada.card");
    card.verify_pin(&pin("271828")).unwrap();
    let good = fs::read(&path).unwrap();
    fs::write(&path, &good[1..]).unwrap();
    assert!(is_damaged(&card.sign(Slot::Signature, b"x")), "said");
    assert!(is_damaged(&card.verify_pin(&pin("271828"))), "by every call");
    fs::write(&path, &good).unwrap();
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "the session is gone");
    assert_eq!(card.verify_pin(&pin("271828")), Ok(()), "the card isn't");
}
