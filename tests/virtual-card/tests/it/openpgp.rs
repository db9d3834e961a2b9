//! What the OpenPGP application does, instruction by instruction, and what it refuses until it is allowed.

use ed25519_dalek::Verifier as _;
use hospes_virtual_card::{Curves, State, VirtualCard, tlv};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use sha2::Digest as _;

use crate::session::send;

const NAME: &[u8] = &[0xD2, 0x76, 0, 1, 0x24, 1];
const PW1: &[u8] = b"123456";
const PW3: &[u8] = b"12345678";
const SIGNATURE: &[u8] = &[0xB6, 0];
const DECRYPTION: &[u8] = &[0xB8, 0];
const AUTHENTICATION: &[u8] = &[0xA4, 0];
const ED25519: &[u8] = &[0x16, 0x2B, 0x06, 0x01, 0x04, 0x01, 0xDA, 0x47, 0x0F, 0x01];
const X25519: &[u8] = &[0x12, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01];
const P384: &[u8] = &[0x13, 0x2B, 0x81, 0x04, 0x00, 0x22];

fn card(curves: Curves) -> VirtualCard {
    let mut card = VirtualCard::new(State::openpgp(curves, 1));
    assert_eq!(send(&mut card, [0, 0xA4, 4, 0], NAME), Ok(vec![]), "the application is there");
    card
}

/// The same with PW1 as 82 and PW3 verified.
fn opened(curves: Curves) -> VirtualCard {
    let mut card = card(curves);
    verify(&mut card, 0x82, PW1).unwrap();
    verify(&mut card, 0x83, PW3).unwrap();
    card
}

fn verify(card: &mut VirtualCard, reference: u8, code: &[u8]) -> Result<Vec<u8>, u16> {
    send(card, [0, 0x20, 0, reference], code)
}

fn get(card: &mut VirtualCard, tag: u16) -> Result<Vec<u8>, u16> {
    let [p1, p2] = tag.to_be_bytes();
    send(card, [0, 0xCA, p1, p2], &[])
}

fn put(card: &mut VirtualCard, tag: u16, value: &[u8]) -> Result<Vec<u8>, u16> {
    let [p1, p2] = tag.to_be_bytes();
    send(card, [0, 0xDA, p1, p2], value)
}

/// Makes a key and gives its public half.
fn generate(card: &mut VirtualCard, place: &[u8]) -> Result<Vec<u8>, u16> {
    let made = send(card, [0, 0x47, 0x80, 0], place)?;
    Ok(tlv::find(tlv::find(&made, 0x7F49).unwrap(), 0x86).unwrap().to_vec())
}

fn cipher(point: &[u8]) -> Vec<u8> {
    tlv::put(0xA6, &tlv::put(0x7F49, &tlv::put(0x86, point)))
}

/// Tries left: PW1, resetting code, PW3.
fn tries(card: &mut VirtualCard) -> [u8; 3] {
    get(card, 0xC4).unwrap()[4..].try_into().unwrap()
}

#[test]
fn an_openpgp_card_has_no_piv_and_says_what_it_can() {
    let mut card = card(Curves::All);
    assert_eq!(send(&mut card, [0, 0xA4, 4, 0], crate::session::PIV), Err(0x6A82), "no PIV");
    assert_eq!(send(&mut card, [0, 0xA4, 4, 0], NAME), Ok(vec![]), "OpenPGP");
    let told = get(&mut card, 0x6E).unwrap();
    let inner = tlv::find(&told, 0x6E).unwrap();
    let name = tlv::find(inner, 0x4F).unwrap();
    assert_eq!((&name[..6], name.len()), (NAME, 16), "its name, with a number");
    assert_eq!(name[6..8], [3, 4], "version 3.4");
    let discretionary = tlv::find(inner, 0x73).unwrap();
    assert_eq!(tlv::find(discretionary, 0xC5).unwrap(), [0; 60], "no fingerprints");
    assert_eq!(tlv::find(discretionary, 0xC4).unwrap()[4..], [3, 0, 3], "no resetting code");
    assert!(get(&mut card, 0x7A).is_ok() && get(&mut card, 0x65).is_ok(), "counter and cardholder");
    assert_eq!(get(&mut card, 0xDEAD), Err(0x6A88), "and nothing else");
}

#[test]
fn wrong_codes_wear_the_counters_and_outlive_power() {
    let mut card = card(Curves::All);
    assert_eq!(verify(&mut card, 0x81, &[]), Err(0x63C3), "three tries");
    assert_eq!(verify(&mut card, 0x81, b"111111"), Err(0x6982), "wrong");
    card.reset();
    send(&mut card, [0, 0xA4, 4, 0], NAME).unwrap();
    assert_eq!(tries(&mut card), [2, 0, 3], "two are left after power went");
    assert_eq!(verify(&mut card, 0x82, PW1), Ok(vec![]), "the right one");
    assert_eq!(tries(&mut card), [3, 0, 3], "fills the counter that 81 and 82 share");
    for expected in [0x6982, 0x6982, 0x6983, 0x6983] {
        assert_eq!(verify(&mut card, 0x82, b"111111"), Err(expected), "wrong again");
    }
    assert_eq!(verify(&mut card, 0x81, PW1), Err(0x6983), "blocked for the right one too");
    let unblock = [PW3, b"654321"].concat();
    assert_eq!(send(&mut card, [0, 0x2C, 0, 0x81], &unblock), Err(0x6983), "there is no resetting code");
    verify(&mut card, 0x83, PW3).unwrap();
    put(&mut card, 0xD3, b"87654321").unwrap();
    assert_eq!(send(&mut card, [0, 0x2C, 0, 0x81], &unblock), Err(0x6982), "another code");
    let unblock = b"87654321654321";
    assert_eq!(send(&mut card, [0, 0x2C, 0, 0x81], unblock), Ok(vec![]), "the right one");
    assert_eq!(verify(&mut card, 0x81, b"654321"), Ok(vec![]), "the new PW1");
    assert_eq!(tries(&mut card), [3, 3, 3], "all full");
    let change = |old: &[u8], new: &[u8]| [old, new].concat();
    assert_eq!(send(&mut card, [0, 0x24, 0, 0x83], &change(b"00000000", PW3)), Err(0x6982), "a wrong PW3");
    assert_eq!(send(&mut card, [0, 0x24, 0, 0x83], &change(PW3, b"abcdefgh")), Ok(vec![]), "changed");
    assert_eq!(verify(&mut card, 0x83, b"abcdefgh"), Ok(vec![]), "and valid");
}

#[test]
fn one_pw1_signs_once_until_the_card_is_told_otherwise() {
    let mut card = card(Curves::All);
    assert_eq!(generate(&mut card, SIGNATURE), Err(0x6982), "not without PW3");
    verify(&mut card, 0x83, PW3).unwrap();
    let public = generate(&mut card, SIGNATURE).unwrap();
    let read = send(&mut card, [0, 0x47, 0x81, 0], SIGNATURE).unwrap();
    assert!(read.ends_with(&public), "the public half is read without any code");
    let digest = sha2::Sha256::digest(b"consent");
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
    let sign = |card: &mut VirtualCard| send(card, [0, 0x2A, 0x9E, 0x9A], &digest);
    verify(&mut card, 0x82, PW1).unwrap();
    assert_eq!(sign(&mut card), Err(0x6982), "82 is not for signatures");
    verify(&mut card, 0x81, PW1).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&sign(&mut card).unwrap()).unwrap();
    assert!(key.verify_prehash(&digest, &signature).is_ok(), "of that key over that digest");
    assert_eq!(sign(&mut card), Err(0x6982), "once for each PW1");
    put(&mut card, 0xC4, &[1]).unwrap();
    verify(&mut card, 0x81, PW1).unwrap();
    assert!(sign(&mut card).is_ok() && sign(&mut card).is_ok(), "as often as wanted then");
    let counter = get(&mut card, 0x7A).unwrap();
    assert!(counter.ends_with(&[0, 0, 3]), "three signatures are counted");
}

#[test]
fn every_curve_signs_in_and_agrees() {
    let mut card = opened(Curves::All);
    let public = generate(&mut card, DECRYPTION).unwrap();
    let other = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let shared =
        send(&mut card, [0, 0x2A, 0x80, 0x86], &cipher(&other.public_key().to_sec1_bytes())).unwrap();
    let ours = p256::PublicKey::from_sec1_bytes(&public).unwrap();
    assert_eq!(shared, other.diffie_hellman(&ours).raw_secret_bytes().to_vec(), "P-256");
    let off = send(&mut card, [0, 0x2A, 0x80, 0x86], &cipher(&[4; 65]));
    assert_eq!(off, Err(0x6A80), "no point of the curve");

    put(&mut card, 0xC2, X25519).unwrap();
    assert_eq!(send(&mut card, [0, 0x47, 0x81, 0], DECRYPTION), Err(0x6A88), "another algorithm, no key");
    let public: [u8; 32] = generate(&mut card, DECRYPTION).unwrap().try_into().unwrap();
    let other = x25519_dalek::StaticSecret::from([7; 32]);
    let point = x25519_dalek::PublicKey::from(&other);
    let shared = send(&mut card, [0, 0x2A, 0x80, 0x86], &cipher(point.as_bytes())).unwrap();
    assert_eq!(shared, other.diffie_hellman(&public.into()).to_bytes(), "X25519");

    put(&mut card, 0xC3, ED25519).unwrap();
    let public = generate(&mut card, AUTHENTICATION).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&public.try_into().unwrap()).unwrap();
    let message = [9; 700];
    let signature = send(&mut card, [0, 0x88, 0, 0], &message).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(key.verify(&message, &signature).is_ok(), "Ed25519, in a chain of commands");

    put(&mut card, 0xC3, P384).unwrap();
    let public = generate(&mut card, AUTHENTICATION).unwrap();
    let digest = sha2::Sha384::digest(b"sign in");
    let signature = send(&mut card, [0, 0x88, 0, 0], &digest).unwrap();
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
    let signature = p384::ecdsa::Signature::from_slice(&signature).unwrap();
    assert!(key.verify_prehash(&digest, &signature).is_ok(), "P-384");
    send(&mut card, [0, 0x20, 0xFF, 0x82], &[]).unwrap();
    assert_eq!(send(&mut card, [0, 0x88, 0, 0], &digest), Err(0x6982), "not once PW1 is given up");
    let mut older = opened(Curves::Nist);
    assert_eq!(put(&mut older, 0xC3, ED25519), Err(0x6A80), "an older card has no such curve");
    assert_eq!(put(&mut older, 0xC3, P384), Ok(vec![]), "but that one");
}

#[test]
fn private_objects_are_read_and_written_by_whom_they_are_for() {
    let mut card = card(Curves::All);
    let codes: [(u16, u8, bool); 4] =
        [(0x0101, 0x82, true), (0x0102, 0x83, true), (0x0103, 0x82, false), (0x0104, 0x83, false)];
    for (tag, reference, anyone_reads) in codes {
        assert_eq!(put(&mut card, tag, &[7; 600]), Err(0x6982), "{tag:x} without code");
        assert_eq!(get(&mut card, tag).is_ok(), anyone_reads, "{tag:x}");
        let code = if reference == 0x83 { PW3 } else { PW1 };
        verify(&mut card, reference, code).unwrap();
        assert_eq!(put(&mut card, tag, &[7; 600]), Ok(vec![]), "{tag:x}");
        assert_eq!(get(&mut card, tag), Ok(vec![7; 600]), "{tag:x}");
        assert_eq!(put(&mut card, tag, &[7; 1024]), Err(0x6700), "{tag:x} holds no more than the card says");
        send(&mut card, [0, 0x20, 0xFF, reference], &[]).unwrap();
    }
}

#[test]
fn a_terminated_card_is_as_from_the_factory_once_it_is_activated() {
    let mut card = opened(Curves::All);
    generate(&mut card, SIGNATURE).unwrap();
    assert_eq!(send(&mut card, [0, 0x44, 0, 0], &[]), Ok(vec![]), "active already");
    assert!(send(&mut card, [0, 0x47, 0x81, 0], SIGNATURE).is_ok(), "and nothing is lost");
    send(&mut card, [0, 0x20, 0xFF, 0x83], &[]).unwrap();
    assert_eq!(send(&mut card, [0, 0xE6, 0, 0], &[]), Err(0x6982), "not by anyone");
    verify(&mut card, 0x83, PW3).unwrap();
    send(&mut card, [0, 0xE6, 0, 0], &[]).unwrap();
    assert_eq!(send(&mut card, [0, 0xA4, 4, 0], NAME), Err(0x6285), "it says so");
    assert_eq!(get(&mut card, 0x6E), Err(0x6985), "and does nothing else");
    send(&mut card, [0, 0x44, 0, 0], &[]).unwrap();
    assert_eq!(send(&mut card, [0, 0xA4, 4, 0], NAME), Ok(vec![]), "active again");
    assert_eq!(send(&mut card, [0, 0x47, 0x81, 0], SIGNATURE), Err(0x6A88), "without its key");
}

#[test]
fn an_imported_key_is_the_key() {
    let mut card = opened(Curves::All);
    let secret = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let parts = [tlv::put(0x7F48, &[0x92, 32]), tlv::put(0x5F48, &[7; 32])].concat();
    let list = tlv::put(0x4D, &[SIGNATURE, &parts[..]].concat());
    send(&mut card, [0, 0xDB, 0x3F, 0xFF], &list).unwrap();
    let read = send(&mut card, [0, 0x47, 0x81, 0], SIGNATURE).unwrap();
    assert!(read.ends_with(&secret.public_key().to_sec1_bytes()), "its public half");
    let short = tlv::put(0x4D, &[SIGNATURE, &tlv::put(0x7F48, &[0x92, 32])].concat());
    assert_eq!(send(&mut card, [0, 0xDB, 0x3F, 0xFF], &short), Err(0x6A80), "without its bytes");
}
