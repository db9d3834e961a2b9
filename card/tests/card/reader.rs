//! A folder is a reader: files put in and taken out are cards inserted and pulled.

use std::fs;

use hospes_card::soft::{Profile, SoftReader};
use hospes_card::{Card as _, CardEvent, CardSerial, Reader as _, Slot};
use hospes_protocol::keys::KeyError;

use crate::{Desk, pin};

/// Events in short: `+` and a serial, `-` and a serial, `?` and a place.
fn poll(reader: &mut SoftReader) -> Vec<String> {
    let short = |event| match event {
        CardEvent::Inserted(info) => format!("+{}", info.serial),
        CardEvent::Removed(serial) => format!("-{serial}"),
        CardEvent::Unreadable { place, .. } => format!("?{place}"),
    };
    reader.poll().unwrap().into_iter().map(short).collect()
}

#[test]
fn cards_come_and_go_as_events() {
    let mut desk = Desk::new();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    assert_eq!(poll(&mut reader), [""; 0], "an empty reader");
    let mut ada = desk.ada();
    assert_eq!(poll(&mut reader), [format!("+{}", ada.serial())], "inserted");
    ada.verify_pin(&pin("271828")).unwrap();
    assert_eq!(poll(&mut reader), [""; 0], "a card that was only used is still in");
    let bob = desk.card("bob.card", Profile::Edwards);
    fs::rename(desk.path("ada.card"), desk.path("pocket")).unwrap();
    assert_eq!(
        poll(&mut reader),
        [format!("-{}", ada.serial()), format!("+{}", bob.serial())],
        "one for another"
    );
    fs::rename(desk.path("pocket"), desk.path("renamed.card")).unwrap();
    assert_eq!(poll(&mut reader), [format!("+{}", ada.serial())], "back under another name");
    let serials: Vec<CardSerial> = reader.cards().unwrap().into_iter().map(|c| c.serial).collect();
    assert_eq!(serials.len(), 2, "both are in");
}

#[test]
fn a_pulled_card_is_absent_and_its_session_is_over() {
    let mut desk = Desk::new();
    let serial = desk.ada().serial();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    poll(&mut reader);
    let mut card = reader.connect(&serial).unwrap();
    card.verify_pin(&pin("271828")).unwrap();
    fs::rename(desk.path("ada.card"), desk.path("pocket")).unwrap();
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::Absent), "9C");
    assert_eq!(card.sign(Slot::CardAuthentication, b"x"), Err(KeyError::Absent), "9E");
    assert_eq!(card.verify_pin(&pin("271828")), Err(KeyError::Absent), "PIN");
    assert_eq!(card.info().map(drop), Err(KeyError::Absent), "info");
    assert_eq!(reader.connect(&serial).map(drop), Err(KeyError::Absent), "another handle");
    fs::rename(desk.path("pocket"), desk.path("ada.card")).unwrap();
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "back, without the session");
    assert_eq!(card.info().unwrap().pin_tries_left, 3, "and without a lost try");
}

#[test]
fn a_card_pulled_and_put_back_between_two_calls_needs_its_pin_again() {
    let mut desk = Desk::new();
    let serial = desk.ada().serial();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    poll(&mut reader);
    let mut card = reader.connect(&serial).unwrap();
    card.verify_pin(&pin("271828")).unwrap();
    fs::rename(desk.path("ada.card"), desk.path("pocket")).unwrap();
    assert_eq!(poll(&mut reader), [format!("-{serial}")], "the reader saw it go");
    fs::rename(desk.path("pocket"), desk.path("ada.card")).unwrap();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "the handle learned it");
}

#[test]
fn another_card_under_the_same_name_is_not_this_one() {
    let mut desk = Desk::new();
    let mut ada = desk.ada();
    ada.verify_pin(&pin("271828")).unwrap();
    desk.card("bob", Profile::P256);
    fs::rename(desk.path("bob"), desk.path("ada.card")).unwrap();
    assert_eq!(ada.sign(Slot::Signature, b"x"), Err(KeyError::Absent), "the session is not bob's");
    assert_eq!(ada.verify_pin(&pin("271828")), Err(KeyError::Absent), "nor the PIN");
}

#[test]
fn an_older_copy_put_back_wins_no_tries() {
    let mut desk = Desk::new();
    let serial = desk.ada().serial();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    fs::copy(desk.path("ada.card"), desk.path("copy")).unwrap();
    let mut card = reader.connect(&serial).unwrap();
    for _ in 0..2 {
        card.verify_pin(&pin("000000")).unwrap_err();
    }
    fs::rename(desk.path("ada.card"), desk.path("worn")).unwrap();
    fs::copy(desk.path("copy"), desk.path("ada.card")).unwrap();
    let refusal = card.verify_pin(&pin("271828"));
    assert!(matches!(refusal, Err(KeyError::Failed(_))), "by this handle: {refusal:?}");
    assert_eq!(reader.connect(&serial).map(drop), Err(KeyError::Absent), "nor by another one of this reader");
    fs::rename(desk.path("worn"), desk.path("ada.card")).unwrap();
    assert_eq!(card.verify_pin(&pin("000000")), Err(KeyError::PinBlocked), "the true card remembers");
}

#[test]
fn copies_and_what_is_no_card_are_named_once() {
    let mut desk = Desk::new();
    let serial = desk.ada().serial();
    fs::copy(desk.path("ada.card"), desk.path("ada2.card")).unwrap();
    fs::write(desk.path("broken.card"), b"not a card").unwrap();
    fs::write(desk.path("notes.txt"), b"not meant as one").unwrap();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    let expected = [format!("+{serial}"), "?ada2.card".to_owned(), "?broken.card".to_owned()];
    assert_eq!(poll(&mut reader), expected, "the card, its copy, the broken one");
    assert_eq!(poll(&mut reader), [""; 0], "once");
    fs::remove_file(desk.path("ada.card")).unwrap();
    assert_eq!(poll(&mut reader), [format!("-{serial}"), format!("+{serial}")], "the copy takes its place");
}

#[test]
fn a_reader_that_is_gone_says_so() {
    let mut desk = Desk::new();
    desk.ada();
    let mut reader = SoftReader::open(desk.folder.path()).unwrap();
    assert!(reader.poll().is_ok(), "while it is there");
    assert!(SoftReader::open(&desk.path("ada.card")).is_err(), "a file is no reader");
    fs::remove_dir_all(desk.folder.path()).unwrap();
    assert!(matches!(reader.poll(), Err(KeyError::Failed(_))), "unplugged");
}
