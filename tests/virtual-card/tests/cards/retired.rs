//! Another key in 9D: the one before goes to a place for retired keys, and what was sealed to it still opens.

use hospes_card::smart::SmartCard;
use hospes_card::soft::Profile;
use hospes_card::{Card as _, CardEvent, Reader as _, Slot};
use hospes_protocol::context::Context;
use hospes_protocol::ids::NetworkId;
use hospes_protocol::keys::{AgreementKey, KeyError};
use hospes_protocol::seal::envelope::{Envelope, seal_to};
use hospes_virtual_card::{Firmware, Pull};

use crate::daemon::{enrolled_in, inserted, pcscd, until_poll};
use crate::wire::{Wire, enrolled, enrolled_openpgp, pin, rng};

const NETWORK: NetworkId = NetworkId([9; 32]);

fn sealed_to(key: &AgreementKey, text: &[u8]) -> Envelope {
    Envelope::parse(&seal_to(key, Context::PatientSecret, &NETWORK, text, &mut rng(8)).unwrap()).unwrap()
}

fn opened(card: &mut SmartCard, envelope: &Envelope) -> Vec<u8> {
    envelope.open(&mut card.agreement().unwrap(), Context::PatientSecret, &NETWORK).unwrap().to_vec()
}

fn current(card: &mut SmartCard) -> AgreementKey {
    card.info().unwrap().key_management.unwrap()
}

#[test]
fn what_was_sealed_to_a_key_opens_after_another_took_its_place() {
    for profile in [Profile::P256, Profile::Edwards] {
        let (wire, mut card) = enrolled(Firmware::NEWEST, profile);
        let before = card.info().unwrap();
        let mut sealed = vec![sealed_to(&current(&mut card), b"first")];
        assert_eq!(card.renew_agreement(&mut rng(3)), Err(KeyError::PinNeeded), "the PIN guards it");
        for text in ["second", "third"] {
            card.verify_pin(&pin()).unwrap();
            let made = card.renew_agreement(&mut rng(3)).unwrap();
            sealed.push(sealed_to(&made, text.as_bytes()));
            card.logout();
        }
        let after = card.info().unwrap();
        assert_ne!(after.key_management, before.key_management, "9D has another");
        assert_eq!(after.signature, before.signature, "9C has its own");
        assert_eq!(card.older_agreement_keys().unwrap().len(), 2, "both that were before are kept");
        // As a reader meets it: nothing is known of it.
        let mut card = wire.connect();
        card.verify_pin(&pin()).unwrap();
        for (envelope, text) in sealed.iter().zip(["first", "second", "third"]) {
            assert_eq!(opened(&mut card, envelope), text.as_bytes(), "{profile:?}: the {text} still opens");
        }
        let newest = card.older_agreement_keys().unwrap().remove(0);
        assert_eq!(newest.id(), sealed[1].recipient(), "newest first");
        assert!(card.attestation(Slot::KeyManagement).unwrap().is_some(), "the new key was made on the card");
        card.logout();
        let locked = sealed[0].open(&mut card.agreement().unwrap(), Context::PatientSecret, &NETWORK);
        assert!(locked.is_err(), "an older key needs the PIN, too");
    }
}

#[test]
fn an_older_key_opens_through_the_daemon_when_the_card_was_out_in_between() {
    let Some(pcscd) = pcscd(1) else { return };
    let (mut reader, mut card) = enrolled_in(&pcscd, 0);
    let before = card.info().unwrap().key_management.unwrap();
    let sealed = sealed_to(&before, b"first");
    card.verify_pin(&pin()).unwrap();
    let made = card.renew_agreement(&mut rng(3)).unwrap();
    drop(card);
    pcscd.tell(0, "remove").unwrap();
    let removed = until_poll(&mut reader, |polled| {
        polled.as_ref().is_ok_and(|events| events.iter().any(|event| matches!(event, CardEvent::Removed(_))))
    });
    assert!(removed.is_ok(), "it went");
    let path = pcscd.folder().join("enrolled-0.json");
    pcscd.tell(0, &format!("insert {}", path.display())).unwrap();
    let info = inserted(&mut reader);
    assert_eq!(info.key_management, Some(made), "it comes back with the new key in 9D");
    let mut card = reader.connect(&info.serial).unwrap();
    card.verify_pin(&pin()).unwrap();
    let plain = sealed.open(&mut card.agreement().unwrap(), Context::PatientSecret, &NETWORK).unwrap();
    assert_eq!(plain[..], *b"first", "and opens what was sealed to the one before");
}

#[test]
fn a_card_that_moves_no_keys_keeps_the_one_that_it_has() {
    let older = [(5, 4, 3), (5, 2, 4)].map(|(a, b, c)| enrolled(Firmware(a, b, c), Profile::P256));
    for (_wire, mut card) in older.into_iter().chain([enrolled_openpgp(Profile::P256)]) {
        let before = current(&mut card);
        card.verify_pin(&pin()).unwrap();
        assert!(matches!(card.renew_agreement(&mut rng(3)), Err(KeyError::Unsupported(_))), "it says so");
        card.logout();
        assert_eq!(current(&mut card), before, "and nothing happened");
        card.verify_pin(&pin()).unwrap();
        assert_eq!(opened(&mut card, &sealed_to(&before, b"x")), b"x", "it still opens");
    }
}

#[test]
fn the_twentieth_older_key_is_the_last() {
    let (_wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
    let first = sealed_to(&current(&mut card), b"first");
    card.verify_pin(&pin()).unwrap();
    for number in 1..=20 {
        assert!(card.renew_agreement(&mut rng(number)).is_ok(), "key {number}");
    }
    let last = current(&mut card);
    assert!(matches!(card.renew_agreement(&mut rng(21)), Err(KeyError::Unsupported(_))), "no place is left");
    assert_eq!(current(&mut card), last, "and none was overwritten");
    assert_eq!(opened(&mut card, &first), b"first", "not the first one either");
}

#[test]
fn a_card_pulled_at_any_command_of_renewing_loses_no_key() {
    let renew = |card: &mut SmartCard| {
        card.verify_pin(&pin())?;
        let made = card.renew_agreement(&mut rng(3));
        card.logout();
        made
    };
    let fresh = || -> (Wire, SmartCard, Envelope) {
        let (wire, mut card) = enrolled(Firmware::NEWEST, Profile::P256);
        let sealed = sealed_to(&current(&mut card), b"first");
        (wire, card, sealed)
    };
    let (wire, mut card, _) = fresh();
    wire.put_back();
    renew(&mut card).unwrap();
    let count = wire.commands();
    for at in 1..=count {
        for pull in [Pull::Before(at), Pull::After(at)] {
            let (wire, mut card, sealed) = fresh();
            wire.pull(pull);
            assert_eq!(renew(&mut card), Err(KeyError::Removed), "{pull:?} of {count}");
            wire.put_back();
            assert!(renew(&mut card).is_ok(), "{pull:?}: it is done when it is back");
            card.verify_pin(&pin()).unwrap();
            assert_eq!(opened(&mut card, &sealed), b"first", "{pull:?}: the first key still opens");
        }
    }
    println!("renewing: pulled {} times", 2 * count);
}
