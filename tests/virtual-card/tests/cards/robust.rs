//! What happens at desks, through a real `pcscd`: a reader pulled out and plugged in, other programs at the card, PINs typed
//! wrong to the last try. Each ends in a typed answer, and the same act succeeds once what stood in its way is gone.

use std::process::Command;
use std::time::{Duration, Instant};

use hospes_card::pcsc::PcscReader;
use hospes_card::soft::Profile;
use hospes_card::{Card as _, PadError, Pin, Puk, Reader as _, Slot, UnblockError};
use hospes_protocol::keys::KeyError;
use hospes_virtual_card::Firmware;

use crate::daemon::{enrolled_in, inserted, pcscd, until_poll};
use crate::wire::{enrolled, pin, puk, rng};

#[test]
fn a_reader_that_is_unplugged_says_so_and_works_when_it_is_back() {
    let Some(pcscd) = pcscd(2) else { return };
    let (mut reader, mut card) = enrolled_in(&pcscd, 0);
    card.verify_pin(&pin()).unwrap();
    pcscd.tell(0, "unplug").unwrap();
    let gone = card.sign(Slot::Authentication, b"x");
    assert!(matches!(gone, Err(KeyError::Removed | KeyError::PinNeeded)), "its card is gone: {gone:?}");
    let poll = until_poll(&mut reader, Result::is_err);
    let trouble = KeyError::Failed("the reader is not connected".to_owned());
    assert_eq!(poll.unwrap_err(), trouble, "and the reader, too");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::Absent), "no card without a reader");
    let mut other = PcscReader::new(&pcscd.socket(), &pcscd.reader_name(1));
    assert!(other.poll().is_ok(), "the other reader doesn't mind");
    pcscd.tell(0, "plug").unwrap();
    until_poll(&mut reader, Result::is_ok).unwrap();
    pcscd.tell(0, &format!("insert {}", pcscd.folder().join("enrolled-0.json").display())).unwrap();
    let info = inserted(&mut reader);
    let mut again = reader.connect(&info.serial).unwrap();
    assert_eq!(again.verify_pin(&pin()), Ok(()), "plugged in again, its card takes the PIN");
    assert!(again.sign(Slot::Signature, b"x").is_ok(), "and signs");
}

#[test]
fn a_card_that_another_program_reset_is_found_as_it_was() {
    let Some(pcscd) = pcscd(1) else { return };
    let (mut reader, mut ours) = enrolled_in(&pcscd, 0);
    let mut theirs = PcscReader::new(&pcscd.socket(), &pcscd.reader_name(0));
    let serial = ours.info().unwrap().serial;
    let mut other = theirs.connect(&serial).unwrap();
    for round in 1..=5 {
        ours.verify_pin(&pin()).unwrap();
        assert!(ours.sign(Slot::Signature, b"x").is_ok(), "round {round}: ours");
        ours.logout();
        // Their session ends with a reset, which ours is told at its next command.
        other.verify_pin(&pin()).unwrap();
        other.logout();
        assert_eq!(
            ours.sign(Slot::Authentication, b"x"),
            Err(KeyError::PinNeeded),
            "round {round}: no PIN is left"
        );
        assert_eq!(ours.info().unwrap().pin_tries_left, 3, "round {round}: it is read, and no try was spent");
    }
    assert!(reader.poll().unwrap().is_empty(), "a reset is neither a removal nor another card");
    println!("robust: 5 resets by another program");
}

#[test]
fn a_pin_typed_wrong_to_the_last_try_is_counted_and_the_puk_opens_it() {
    for firmware in [Firmware::NEWEST, Firmware(5, 4, 3)] {
        let (_wire, mut card) = enrolled(firmware, Profile::P256);
        let wrong = Pin::new("999999").unwrap();
        for tries_left in [2, 1] {
            assert_eq!(card.verify_pin(&wrong), Err(KeyError::WrongPin { tries_left }), "each is counted");
            assert_eq!(card.info().unwrap().pin_tries_left, tries_left, "and shown");
        }
        assert_eq!(card.verify_pin(&wrong), Err(KeyError::PinBlocked), "the last one blocks");
        assert_eq!(card.verify_pin(&pin()), Err(KeyError::PinBlocked), "the right one, too, comes too late");
        let wrong_puk = Puk::new("99999999").unwrap();
        let new = Pin::new("161803").unwrap();
        for tries_left in [2, 1] {
            let refused = card.unblock(&wrong_puk, &new, &mut rng(1));
            assert_eq!(refused, Err(UnblockError::WrongPuk { tries_left }), "a wrong PUK is no wrong PIN");
        }
        assert_eq!(card.unblock(&puk(), &new, &mut rng(1)), Ok(()), "the right one opens it");
        assert_eq!(card.verify_pin(&pin()), Err(KeyError::WrongPin { tries_left: 2 }), "the old PIN is gone");
        assert_eq!(card.verify_pin(&new), Ok(()), "the new one holds");
        assert!(card.sign(Slot::Signature, b"x").is_ok(), "and nothing on the card was lost");
    }
}

#[test]
fn a_card_whose_puk_is_blocked_too_says_that_it_is_dead() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let (wrong, wrong_puk) = (Pin::new("999999").unwrap(), Puk::new("99999999").unwrap());
    while card.verify_pin(&wrong) != Err(KeyError::PinBlocked) {}
    let tried: Vec<_> = (0..3).map(|_| card.unblock(&wrong_puk, &pin(), &mut rng(1))).collect();
    assert_eq!(tried[2], Err(UnblockError::Key(KeyError::PukBlocked)), "at the last try");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::PukBlocked), "and from then on");
    assert_eq!(
        card.unblock(&puk(), &pin(), &mut rng(1)),
        Err(UnblockError::Key(KeyError::PukBlocked)),
        "also for the right PUK"
    );
}

#[test]
fn a_pin_typed_on_the_readers_keypad_opens_the_card() {
    let Some(pcscd) = pcscd(1) else { return };
    let (_reader, mut card) = enrolled_in(&pcscd, 0);
    assert_eq!(card.has_pad(), Ok(false), "this reader has none");
    let none = card.verify_on_pad();
    assert!(matches!(none, Err(PadError::Key(KeyError::Unsupported(_)))), "and says so: {none:?}");
    pcscd.tell(0, "pad cancelled").unwrap();
    assert_eq!(card.has_pad(), Ok(true), "now it has one");
    assert_eq!(card.verify_on_pad(), Err(PadError::Cancelled), "somebody cancels");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "which opens nothing");
    pcscd.tell(0, "pad timed-out").unwrap();
    assert_eq!(card.verify_on_pad(), Err(PadError::TimedOut), "nobody comes");
    pcscd.tell(0, "pad 999999").unwrap();
    assert_eq!(
        card.verify_on_pad(),
        Err(PadError::Key(KeyError::WrongPin { tries_left: 2 })),
        "a wrong one is counted by the card"
    );
    pcscd.tell(0, "pad 271828").unwrap();
    assert_eq!(card.verify_on_pad(), Ok(()), "the right one");
    let key = card.info().unwrap().signature.unwrap();
    let signature = card.sign(Slot::Signature, b"consent").unwrap();
    assert_eq!(key.verify(b"consent", &signature), Ok(()), "9C signs right after it");
    assert_eq!(card.sign(Slot::Signature, b"x"), Err(KeyError::PinNeeded), "once");
    card.logout();
    pcscd.tell(0, "remove").unwrap();
    let gone = card.verify_on_pad();
    let absent = matches!(gone, Err(PadError::Key(KeyError::Absent | KeyError::Removed)));
    assert!(absent, "without a card nothing is asked: {gone:?}");
}

#[test]
fn who_waits_for_a_card_is_told_who_probably_holds_it() {
    let Some(pcscd) = pcscd(1) else { return };
    let (_reader, mut holder) = enrolled_in(&pcscd, 0);
    let serial = holder.info().unwrap().serial;
    let mut waiting = PcscReader::new(&pcscd.socket(), &pcscd.reader_name(0)).connect(&serial).unwrap();
    holder.verify_pin(&pin()).unwrap();
    // A process that is called as the daemon of GnuPG is.
    let program = pcscd.folder().join("scdaemon");
    std::os::unix::fs::symlink("/bin/sleep", &program).unwrap();
    let mut process = Command::new(&program).arg("60").spawn().unwrap();
    let begun = Instant::now();
    let busy = waiting.verify_pin(&pin());
    let waited = begun.elapsed();
    process.kill().unwrap();
    process.wait().unwrap();
    let named = matches!(&busy, Err(KeyError::Busy(next)) if next.contains("gpgconf --kill scdaemon"));
    assert!(named, "the program and what to do: {busy:?}");
    assert!(
        (Duration::from_secs(3)..Duration::from_secs(10)).contains(&waited),
        "after some time: {waited:?}"
    );
    holder.logout();
    assert_eq!(waiting.verify_pin(&pin()), Ok(()), "once it lets go, the same PIN is taken");
    assert_eq!(waiting.info().unwrap().pin_tries_left, 3, "and no try was spent meanwhile");
}
