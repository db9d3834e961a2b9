//! What the application does, instruction by instruction, and what it refuses until it is allowed.

use ed25519_dalek::Verifier as _;
use hospes_virtual_card::{Answer, Faults, Firmware, ManagementAlgorithm, Pull, State, VirtualCard, tlv};
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use sha2::Digest as _;

use crate::session::{MANAGEMENT, PIV, card, generate, manage, managed, padded, raw, send, use_key, verify};

const P256: u8 = 0x11;
const P384: u8 = 0x14;
const ED25519: u8 = 0xE0;
const X25519: u8 = 0xE1;

#[test]
fn a_wrong_pin_costs_a_try_and_the_third_blocks_until_the_puk() {
    let mut card = card(Firmware::NEWEST);
    assert_eq!(send(&mut card, [0, 0x20, 0, 0x80], &[]), Err(0x63C3), "three tries");
    assert_eq!(verify(&mut card, "111111"), Err(0x63C2), "two are left");
    assert_eq!(verify(&mut card, "123456"), Ok(vec![]), "the right one fills the counter");
    for expected in [0x63C2, 0x63C1, 0x6983, 0x6983] {
        assert_eq!(verify(&mut card, "111111"), Err(expected), "wrong again");
    }
    assert_eq!(verify(&mut card, "123456"), Err(0x6983), "blocked for the right one too");
    let unblock = |puk: &str| [puk.as_bytes(), &padded("654321")].concat();
    assert_eq!(send(&mut card, [0, 0x2C, 0, 0x80], &unblock("00000000")), Err(0x63C2), "a wrong PUK");
    assert_eq!(send(&mut card, [0, 0x2C, 0, 0x80], &unblock("12345678")), Ok(vec![]), "the right PUK");
    assert_eq!(verify(&mut card, "654321"), Ok(vec![]), "the new PIN");
}

#[test]
fn a_key_is_made_only_by_who_manages_the_card() {
    let mut card = card(Firmware::NEWEST);
    assert_eq!(generate(&mut card, 0x9A, P256), Err(0x6982), "not yet");
    let wrong = manage(&mut card, ManagementAlgorithm::Aes192, &[9; 24]);
    assert_eq!(wrong, Err(0x6982), "another key");
    manage(&mut card, ManagementAlgorithm::Aes192, &MANAGEMENT).unwrap();
    assert_eq!(generate(&mut card, 0x9A, P256).unwrap().len(), 65, "now");
    assert!(send(&mut card, [0, 0xA4, 4, 0], PIV).is_ok(), "selected anew");
    assert_eq!(generate(&mut card, 0x9A, P256), Err(0x6982), "and that is over");
}

#[test]
fn p256_signs_and_agrees_and_the_pin_policy_always_wants_it_each_time() {
    let mut card = managed(Firmware::NEWEST);
    let public = generate(&mut card, 0x9C, P256).unwrap();
    let digest = sha2::Sha256::digest(b"consent");
    assert_eq!(use_key(&mut card, 0x9C, P256, 0x81, &digest), Err(0x6982), "no PIN");
    verify(&mut card, "123456").unwrap();
    let signature = use_key(&mut card, 0x9C, P256, 0x81, &digest).unwrap();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
    let read = p256::ecdsa::Signature::from_der(&signature).unwrap();
    assert!(key.verify_prehash(&digest, &read).is_ok(), "of that key over that digest");
    assert_eq!(use_key(&mut card, 0x9C, P256, 0x81, &digest), Err(0x6982), "once for each PIN");

    let public = generate(&mut card, 0x9D, P256).unwrap();
    let other = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let ours = p256::PublicKey::from_sec1_bytes(&public).unwrap();
    let shared = use_key(&mut card, 0x9D, P256, 0x85, &other.public_key().to_sec1_bytes()).unwrap();
    assert_eq!(shared, other.diffie_hellman(&ours).raw_secret_bytes().to_vec(), "both sides agree");
    assert_eq!(use_key(&mut card, 0x9D, P256, 0x85, &[4; 65]), Err(0x6A80), "a point off the curve");
}

#[test]
fn both_halves_of_s_come_out() {
    let mut card = managed(Firmware::NEWEST);
    generate(&mut card, 0x9E, P256).unwrap();
    let high = (0..16u8).filter(|n| {
        let der = use_key(&mut card, 0x9E, P256, 0x81, &sha2::Sha256::digest([*n])).unwrap();
        let signature = p256::ecdsa::Signature::from_der(&der).unwrap();
        signature.normalize_s() != signature
    });
    let high = high.count();
    assert!((1..16).contains(&high), "some signatures have the high s, as on real cards: {high} of 16");
}

#[test]
fn p384_and_the_edwards_curves_work_where_the_firmware_has_them() {
    let mut old = managed(Firmware(5, 4, 3));
    assert_eq!(generate(&mut old, 0x9A, ED25519), Err(0x6A80), "5.4 has no Ed25519");
    let mut card = managed(Firmware::NEWEST);
    verify(&mut card, "123456").unwrap();
    let public = generate(&mut card, 0x9A, ED25519).unwrap();
    let message = vec![7; 1000];
    let signature = use_key(&mut card, 0x9A, ED25519, 0x81, &message).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(public.as_slice().try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&signature).unwrap();
    assert!(key.verify(&message, &signature).is_ok(), "a long message, chained");

    let public: [u8; 32] = generate(&mut card, 0x9D, X25519).unwrap().try_into().unwrap();
    let peer = x25519_dalek::x25519([5; 32], x25519_dalek::X25519_BASEPOINT_BYTES);
    let shared = use_key(&mut card, 0x9D, X25519, 0x85, &peer).unwrap();
    assert_eq!(shared, x25519_dalek::x25519([5; 32], public), "both sides agree");

    let public = generate(&mut card, 0x82, P384).unwrap();
    let digest = sha2::Sha384::digest(b"consent");
    let der = use_key(&mut card, 0x82, P384, 0x81, &digest).unwrap();
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&public).unwrap();
    assert!(key.verify_prehash(&digest, &p384::ecdsa::Signature::from_der(&der).unwrap()).is_ok(), "P-384");
}

#[test]
fn an_object_is_written_by_who_manages_and_iris_images_are_read_behind_the_pin() {
    let mut card = managed(Firmware::NEWEST);
    let put = |tag: &[u8], value: &[u8]| [tlv::put(0x5C, tag), tlv::put(0x53, value)].concat();
    let (iris, chuid) = ([0x5F, 0xC1, 0x21], [0x5F, 0xC1, 0x02]);
    let long = vec![3; 2000];
    send(&mut card, [0, 0xDB, 0x3F, 0xFF], &put(&iris, &long)).unwrap();
    send(&mut card, [0, 0xDB, 0x3F, 0xFF], &put(&chuid, b"chuid")).unwrap();
    let get = |tag: &[u8]| tlv::put(0x5C, tag);
    assert_eq!(send(&mut card, [0, 0xCB, 0x3F, 0xFF], &get(&chuid)), Ok(tlv::put(0x53, b"chuid")), "free");
    assert_eq!(send(&mut card, [0, 0xCB, 0x3F, 0xFF], &get(&iris)), Err(0x6982), "behind the PIN");
    verify(&mut card, "123456").unwrap();
    assert_eq!(send(&mut card, [0, 0xCB, 0x3F, 0xFF], &get(&iris)), Ok(tlv::put(0x53, &long)), "in pieces");
    let extended = [&[0, 0xCB, 0x3F, 0xFF, 0, 0, 5][..], &get(&iris), &[0, 0]].concat();
    assert_eq!(raw(&mut card, &extended).len(), 2000 + 4 + 2, "and in one by an extended command");
    send(&mut card, [0, 0xDB, 0x3F, 0xFF], &put(&chuid, &[])).unwrap();
    assert_eq!(send(&mut card, [0, 0xCB, 0x3F, 0xFF], &get(&chuid)), Err(0x6A82), "deleted by nothing");
}

#[test]
fn yubico_instructions_answer_from_the_firmware_that_has_them() {
    let mut old = managed(Firmware(4, 2, 0));
    for (instruction, since) in [(0xF7, "5.3"), (0xF8, "5.0"), (0xF9, "4.3"), (0xF6, "5.7")] {
        assert_eq!(send(&mut old, [0, instruction, 0x9A, 0x80], &[]), Err(0x6D00), "since {since}");
    }
    let mut card = managed(Firmware::NEWEST);
    assert_eq!(send(&mut card, [0, 0xFD, 0, 0], &[]), Ok(vec![5, 7, 1]), "version");
    let serial = card.state().serial().to_be_bytes().to_vec();
    assert_eq!(send(&mut card, [0, 0xF8, 0, 0], &[]), Ok(serial), "serial");
    assert_eq!(
        send(&mut card, [0, 0xF7, 0, 0x80], &[]),
        Ok(vec![5, 1, 1, 6, 2, 3, 3]),
        "PIN: default, 3 of 3"
    );
    let public = generate(&mut card, 0x9A, P256).unwrap();
    let told = send(&mut card, [0, 0xF7, 0, 0x9A], &[]).unwrap();
    assert_eq!(tlv::find(tlv::find(&told, 4).unwrap(), 0x86), Some(&public[..]), "the key's metadata");
    assert_eq!(send(&mut card, [0, 0xF6, 0x82, 0x9A], &[]), Ok(vec![]), "moved to a retired slot");
    assert_eq!(send(&mut card, [0, 0xF7, 0, 0x9A], &[]), Err(0x6A88), "and gone from where it was");
    assert_eq!(send(&mut card, [0, 0xF6, 0xFF, 0x82], &[]), Ok(vec![]), "deleted");
    assert_eq!(send(&mut card, [0, 0xF7, 0, 0x82], &[]), Err(0x6A88), "for good");
}

#[test]
fn a_management_key_is_changed_and_the_old_one_is_no_longer_good() {
    for (firmware, cipher, bytes) in [
        (Firmware(4, 3, 0), ManagementAlgorithm::TripleDes, 24),
        (Firmware(5, 4, 3), ManagementAlgorithm::Aes128, 16),
        (Firmware(5, 7, 1), ManagementAlgorithm::Aes256, 32),
    ] {
        let mut card = managed(firmware);
        let key: Vec<u8> = (0..bytes).collect();
        let data = [&[cipher as u8, 0x9B, bytes], &key[..]].concat();
        assert_eq!(send(&mut card, [0, 0xFF, 0xFF, 0xFF], &data), Ok(vec![]), "{cipher:?} set");
        card.reset();
        send(&mut card, [0, 0xA4, 4, 0], PIV).unwrap();
        assert_eq!(send(&mut card, [0, 0xFF, 0xFF, 0xFF], &data), Err(0x6982), "not without showing it");
        assert_eq!(manage(&mut card, cipher, &key), Ok(()), "{cipher:?} shown");
    }
}

#[test]
fn attestation_leads_to_the_test_root_and_imported_keys_have_none() {
    let mut card = managed(Firmware::NEWEST);
    let public = generate(&mut card, 0x9C, P256).unwrap();
    let statement = send(&mut card, [0, 0xF9, 0x9C, 0], &[]).unwrap();
    assert!(statement.windows(65).any(|window| window == public), "it names the key");
    let import = tlv::put(6, &[7; 32]);
    send(&mut card, [0, 0xFE, P256, 0x9A], &import).unwrap();
    assert_eq!(send(&mut card, [0, 0xF9, 0x9A, 0], &[]), Err(0x6A80), "an imported key");
}

#[test]
fn a_reset_needs_both_codes_blocked() {
    let mut card = managed(Firmware::NEWEST);
    generate(&mut card, 0x9A, P256).unwrap();
    assert_eq!(send(&mut card, [0, 0xFB, 0, 0], &[]), Err(0x6985), "not while a PIN works");
    for _ in 0..3 {
        let _wrong = verify(&mut card, "111111");
        let _wrong = send(&mut card, [0, 0x2C, 0, 0x80], &[&b"00000000"[..], &padded("111111")].concat());
    }
    assert_eq!(send(&mut card, [0, 0xFB, 0, 0], &[]), Ok(vec![]), "now");
    assert_eq!(send(&mut card, [0, 0xF7, 0, 0x9A], &[]), Err(0x6A88), "keys are gone");
    assert_eq!(verify(&mut card, "123456"), Ok(vec![]), "and the first PIN is back");
}

#[test]
fn faults_come_when_they_are_due() {
    let mut card = card(Firmware::NEWEST);
    let version = [0, 0xFD, 0, 0];
    card.set_faults(Faults { pull: Some(Pull::Before(2)), ..Faults::default() });
    assert_eq!(raw(&mut card, &version), [5, 7, 1, 0x90, 0], "the first command");
    assert_eq!(card.transmit(&version), Answer::Gone, "pulled at the second");
    send(&mut card, [0, 0xA4, 4, 0], PIV).unwrap();
    card.set_faults(Faults { tamper: Some(1), ..Faults::default() });
    assert_ne!(raw(&mut card, &version), [5, 7, 1, 0x90, 0], "one bit is another");
    assert_eq!(raw(&mut card, &version), [5, 7, 1, 0x90, 0], "only there");
}

#[test]
fn a_card_is_the_same_after_it_was_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.json");
    let mut card = managed(Firmware::NEWEST);
    generate(&mut card, 0x9A, P256).unwrap();
    assert_eq!(verify(&mut card, "111111"), Err(0x63C2), "a wrong try");
    card.save(&path).unwrap();
    let mut again = VirtualCard::new(State::load(&path).unwrap());
    assert_eq!(again.state(), card.state(), "all of it");
    send(&mut again, [0, 0xA4, 4, 0], PIV).unwrap();
    assert_eq!(send(&mut again, [0, 0x20, 0, 0x80], &[]), Err(0x63C2), "the try included");
}
