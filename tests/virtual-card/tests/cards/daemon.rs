//! Through a real `pcscd` with virtual readers.

use std::time::{Duration, Instant};

use hospes_card::pcsc::{PcscReader, reader_names};
use hospes_card::soft::Profile;
use hospes_card::{Card, CardEvent, CardInfo, CardKind, CardSerial, Reader as _, Slot};
use hospes_protocol::keys::KeyError;
use hospes_virtual_card::pcscd::Pcscd;
use hospes_virtual_card::{Firmware, State};

use crate::wire::{enrolled, enrolled_openpgp, pin};

/// How long `pcscd` may take to notice a card; it looks every 400 ms.
const NOTICED: Duration = Duration::from_secs(20);

/// A daemon, unless these tests are left out.
pub(crate) fn pcscd(readers: usize) -> Option<Pcscd> {
    if std::env::var_os("HOSPES_WITHOUT_CARDS").is_some() {
        println!("SKIPPED: HOSPES_WITHOUT_CARDS is set");
        return None;
    }
    assert!(Pcscd::is_installed(), "pcscd is missing; install it as root: apt-get install -y pcscd");
    Some(Pcscd::start(readers).unwrap())
}

/// Polls until something happened that `wanted` takes.
fn until<R>(reader: &mut PcscReader, mut wanted: impl FnMut(CardEvent) -> Option<R>) -> R {
    let end = Instant::now() + NOTICED;
    loop {
        if let Some(found) = reader.poll().unwrap_or_default().into_iter().find_map(&mut wanted) {
            return found;
        }
        assert!(Instant::now() < end, "pcscd did not notice it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn inserted(reader: &mut PcscReader) -> CardInfo {
    until(reader, |event| match event {
        CardEvent::Inserted(info) => Some(*info),
        _ => None,
    })
}

/// Polls until an answer is as `wanted` says.
pub(crate) fn until_poll(
    reader: &mut PcscReader,
    wanted: impl Fn(&Result<Vec<CardEvent>, KeyError>) -> bool,
) -> Result<Vec<CardEvent>, KeyError> {
    let end = Instant::now() + NOTICED;
    loop {
        let polled = reader.poll();
        if wanted(&polled) {
            return polled;
        }
        assert!(Instant::now() < end, "pcscd did not notice it");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn removed(reader: &mut PcscReader) -> CardSerial {
    until(reader, |event| match event {
        CardEvent::Removed(serial) => Some(serial),
        _ => None,
    })
}

/// Puts an enrolled card into a reader and connects to it.
pub(crate) fn enrolled_in(pcscd: &Pcscd, reader: usize) -> (PcscReader, Box<dyn Card>) {
    let state: State = enrolled(Firmware::NEWEST, Profile::P256).0.desk().card.state().clone();
    let path = pcscd.folder().join(format!("enrolled-{reader}.json"));
    state.save(&path).unwrap();
    pcscd.tell(reader, &format!("insert {}", path.display())).unwrap();
    let mut ours = PcscReader::new(&pcscd.socket(), &pcscd.reader_name(reader));
    let info = inserted(&mut ours);
    let card = ours.connect(&info.serial).unwrap();
    (ours, card)
}

#[test]
fn a_card_comes_signs_and_goes() {
    let Some(pcscd) = pcscd(2) else { return };
    let names = reader_names(&pcscd.socket()).unwrap();
    assert_eq!(names, [pcscd.reader_name(0), pcscd.reader_name(1)], "the daemon names its readers");
    let (mut reader, mut card) = enrolled_in(&pcscd, 1);
    card.verify_pin(&pin()).unwrap();
    let key = card.info().unwrap().signature.unwrap();
    let signature = card.sign(Slot::Signature, b"consent").unwrap();
    assert_eq!(key.verify(b"consent", &signature), Ok(()), "signed through the daemon");
    let serial = card.info().unwrap().serial;
    pcscd.tell(1, "remove").unwrap();
    assert_eq!(removed(&mut reader), serial, "its removal is an event");
    let gone = card.sign(Slot::Authentication, b"x");
    assert!(matches!(gone, Err(KeyError::PinNeeded | KeyError::Absent)), "and its session is over: {gone:?}");
    assert_eq!(card.verify_pin(&pin()), Err(KeyError::Absent), "no card");
}

#[test]
fn a_card_says_how_long_it_took_itself() {
    let Some(pcscd) = pcscd(1) else { return };
    let (_reader, mut card) = enrolled_in(&pcscd, 0);
    let micros = |word: &str| pcscd.tell(0, word).unwrap().parse::<u128>().unwrap();
    pcscd.tell(0, "faults delay=20").unwrap();
    assert_eq!(micros("spent"), 0, "nothing since its delay was set");
    let since = Instant::now();
    card.verify_pin(&pin()).unwrap();
    let (took, own) = (since.elapsed().as_micros(), micros("spent"));
    assert!(own >= micros("commands") * 20_000, "its delay for each command at least: {own}");
    assert!(own < took, "and less than whoever waited for it: {own} of {took}");
}

#[test]
fn a_card_pulled_under_a_command_is_a_removal() {
    let Some(pcscd) = pcscd(1) else { return };
    for fault in ["pull-before=2", "pull-after=2"] {
        let (_reader, mut card) = enrolled_in(&pcscd, 0);
        card.verify_pin(&pin()).unwrap();
        pcscd.tell(0, &format!("faults {fault}")).unwrap();
        assert!(card.sign(Slot::Authentication, b"x").is_ok(), "{fault}: the first command is answered");
        let pulled = card.sign(Slot::Authentication, b"x");
        assert_eq!(pulled, Err(KeyError::Removed), "{fault}: the second is not");
        assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::Absent), "{fault}: no card");
    }
}

#[test]
fn a_verified_pin_serves_nobody_else_and_who_waits_is_told() {
    let Some(pcscd) = pcscd(1) else { return };
    let (_reader, mut ours) = enrolled_in(&pcscd, 0);
    let mut theirs = PcscReader::new(&pcscd.socket(), &pcscd.reader_name(0));
    let serial = ours.info().unwrap().serial;
    let mut other = theirs.connect(&serial).unwrap();
    ours.verify_pin(&pin()).unwrap();
    let busy = other.info();
    assert!(matches!(&busy, Err(KeyError::Busy(_))), "while we hold the card: {busy:?}");
    assert!(ours.sign(Slot::Authentication, b"x").is_ok(), "and we go on");
    ours.logout();
    assert!(other.info().is_ok(), "afterwards it is theirs to read");
    assert_eq!(other.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "without our PIN");
}

#[test]
fn a_restarted_daemon_is_found_again() {
    let Some(mut pcscd) = pcscd(1) else { return };
    let (mut reader, mut card) = enrolled_in(&pcscd, 0);
    card.verify_pin(&pin()).unwrap();
    pcscd.stop();
    let lost = card.sign(Slot::Authentication, b"x");
    assert!(matches!(lost, Err(KeyError::Failed(_))), "while it is away: {lost:?}");
    assert!(matches!(reader.poll(), Err(KeyError::Failed(_))), "and the reader says so");
    pcscd.restart().unwrap();
    pcscd.tell(0, &format!("insert {}", pcscd.folder().join("enrolled-0.json").display())).unwrap();
    let info = inserted(&mut reader);
    let mut again = reader.connect(&info.serial).unwrap();
    assert_eq!(again.verify_pin(&pin()), Ok(()), "the card works there");
    assert!(again.sign(Slot::Signature, b"x").is_ok(), "and signs");
    drop(again);
    assert_eq!(card.verify_pin(&pin()), Ok(()), "the handle from before works again, once it has its PIN");
}

#[test]
fn a_swapped_card_is_another_card() {
    let Some(pcscd) = pcscd(1) else { return };
    let (mut reader, mut card) = enrolled_in(&pcscd, 0);
    let first = card.info().unwrap().serial;
    card.verify_pin(&pin()).unwrap();
    pcscd.tell(0, "remove").unwrap();
    assert_eq!(removed(&mut reader), first, "the first went");
    pcscd.insert_new(0, Firmware::NEWEST, 9).unwrap();
    let second = inserted(&mut reader).serial;
    assert_ne!(second, first, "the second has another number");
    assert_eq!(reader.connect(&first).err(), Some(KeyError::Absent), "the first is not in");
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::PinNeeded), "nor its session");
}

#[test]
fn a_reader_finds_by_itself_which_family_a_card_is_of() {
    let Some(pcscd) = pcscd(1) else { return };
    let (mut reader, card) = enrolled_in(&pcscd, 0);
    let piv = card_of(&mut reader, card);
    assert_eq!(piv, CardKind::Piv, "a PIV card");
    pcscd.tell(0, "remove").unwrap();
    removed(&mut reader);
    let path = pcscd.folder().join("openpgp.json");
    enrolled_openpgp(Profile::P256).0.desk().card.state().save(&path).unwrap();
    pcscd.tell(0, &format!("insert {}", path.display())).unwrap();
    let info = inserted(&mut reader);
    assert_eq!(info.kind, CardKind::OpenPgp, "then an OpenPGP card in its place");
    let mut card = reader.connect(&info.serial).unwrap();
    card.verify_pin(&pin()).unwrap();
    let signature = card.sign(Slot::Signature, b"consent").unwrap();
    assert_eq!(info.signature.unwrap().verify(b"consent", &signature), Ok(()), "signed through the daemon");
    pcscd.tell(0, "faults pull-before=1").unwrap();
    assert_eq!(card.sign(Slot::Authentication, b"x"), Err(KeyError::Removed), "pulled under a command");
    pcscd.insert_new(0, Firmware::NEWEST, 9).unwrap();
    assert_eq!(inserted(&mut reader).kind, CardKind::Piv, "and a PIV card again");
}

fn card_of(reader: &mut PcscReader, mut card: Box<dyn Card>) -> CardKind {
    let info = card.info().unwrap();
    assert_eq!(reader.cards().unwrap(), std::slice::from_ref(&info), "the reader names the same");
    info.kind
}
