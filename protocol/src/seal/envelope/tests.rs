//! An envelope opens with its key, context and network, and in its own bytes, and with nothing else.
//!
//! Method: the same plaintext is sealed to an X25519 and to a P-256 key; every bit is flipped, every
//! neighbouring circumstance tried. Two messages that Python's `cwt` 3.3.0 made with these keys are opened.

use coset::{CoseKdfContextBuilder, PartyInfo, ProtectedHeader, SuppPubInfoBuilder};
use proptest::prelude::*;

use super::*;
use crate::keys::SoftwareAgreement;
use crate::seal::fixtures::{Absent, NET, P256Key, rng};

const PLAIN: &[u8] = b"thirty-two bytes of a data key..";

fn x25519() -> SoftwareAgreement {
    SoftwareAgreement::from_secret(&[5; 32])
}

fn p256_key() -> P256Key {
    P256Key::from_byte(5)
}

fn sealed(key: &dyn KeyAgreement) -> Vec<u8> {
    seal_to(&key.agreement_key(), Context::DataKey, &NET, PLAIN, &mut rng(1)).expect("a good key")
}

fn open(bytes: &[u8], key: &mut dyn KeyAgreement) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    Envelope::parse(bytes)?.open(key, Context::DataKey, &NET)
}

fn keys() -> [(&'static str, Box<dyn KeyAgreement>); 2] {
    [("X25519", Box::new(x25519())), ("P-256", Box::new(p256_key()))]
}

const BROKEN: OpenError = OpenError::Rejected(Rejected { check: Check::SealBroken });

#[test]
fn an_envelope_opens_with_its_key_context_and_network_only() {
    for (curve, mut key) in keys() {
        let bytes = sealed(key.as_ref());
        let envelope = Envelope::parse(&bytes).expect("our own encoding");
        assert_eq!(envelope.recipient(), key.agreement_key().id(), "{curve}: it names its key");
        let honest = envelope.open(key.as_mut(), Context::DataKey, &NET).expect("as sealed");
        assert_eq!(honest.as_slice(), PLAIN, "{curve}: the plaintext");
        let context = envelope.open(key.as_mut(), Context::Packet, &NET);
        assert_eq!(context, Err(BROKEN), "{curve}: another context");
        let network = envelope.open(key.as_mut(), Context::DataKey, &NetworkId([4; 32]));
        assert_eq!(network, Err(BROKEN), "{curve}: another network");
        let overhead = bytes.len() - PLAIN.len();
        assert!(overhead <= ENVELOPE_OVERHEAD_MAX, "{curve}: {overhead} bytes are added");
    }
}

#[test]
fn another_key_is_refused_without_being_used() {
    let bytes = sealed(&p256_key());
    let mut stranger = P256Key::from_byte(6);
    assert_eq!(open(&bytes, &mut stranger), Err(BROKEN), "a stranger on the same curve");
    assert_eq!(stranger.uses, 0, "no PIN was spent on it");
    assert_eq!(open(&bytes, &mut x25519()), Err(BROKEN), "a key of the other curve");
    assert!(open(&bytes, &mut p256_key()).is_ok(), "its own key");
}

#[test]
fn an_envelope_renamed_to_another_key_does_not_open() {
    let mut mallory = SoftwareAgreement::from_secret(&[6; 32]);
    let envelope = Envelope::parse(&sealed(&x25519())).expect("our own encoding");
    let renamed = Envelope { recipient: mallory.agreement_key().id(), ..envelope };
    assert_eq!(renamed.open(&mut mallory, Context::DataKey, &NET), Err(BROKEN), "the secret differs");
}

#[test]
fn every_flipped_bit_is_refused() {
    for (curve, mut key) in keys() {
        let bytes = sealed(key.as_ref());
        for i in 0..bytes.len() {
            for bit in 0..8 {
                let mut bad = bytes.clone();
                bad[i] ^= 1 << bit;
                assert!(open(&bad, key.as_mut()).is_err(), "{curve}: byte {i}, bit {bit}");
            }
        }
        assert!(open(&bytes, key.as_mut()).is_ok(), "{curve}: as sealed");
    }
}

#[test]
fn truncated_and_lengthened_envelopes_are_refused() {
    let bytes = sealed(&x25519());
    for end in 0..bytes.len() {
        assert!(Envelope::parse(&bytes[..end]).is_err(), "{end} bytes");
    }
    assert!(Envelope::parse(&[&bytes[..], &[0]].concat()).is_err(), "one byte more");
    let tagged = [&[0xd8, 0x60][..], &bytes].concat();
    assert!(Envelope::parse(&tagged).is_err(), "a tag is not part of our form");
    let huge = vec![0; ENVELOPE_BYTES_MAX + 1];
    assert_eq!(Envelope::parse(&huge), Err(Check::TooLarge.into()), "over the limit");
}

#[test]
fn a_missing_card_says_so_and_not_that_the_envelope_is_bad() {
    let bytes = sealed(&p256_key());
    let mut absent = Absent(p256_key().agreement_key());
    assert_eq!(open(&bytes, &mut absent), Err(OpenError::Key(KeyError::Absent)), "the key's own error");
}

// The envelope with its ephemeral x replaced, re-encoded around AgreementKey's own check.
fn with_ephemeral_x(x: &[u8; 32]) -> Vec<u8> {
    let mut bytes = sealed(&x25519());
    let own = Envelope::parse(&bytes).expect("our own encoding").ephemeral;
    let at = bytes.windows(32).position(|w| w == own.as_bytes()).expect("it stands in the bytes");
    bytes[at..at + 32].copy_from_slice(x);
    bytes
}

#[test]
fn ephemeral_points_of_small_order_are_refused() {
    let mut one = [0; 32];
    one[0] = 1;
    // The two points of order 8 (RFC 7748, 7; https://cr.yp.to/ecdh.html#validate), little-endian.
    let order_8 = [
        [
            0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
            0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
        ],
        [
            0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
            0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
        ],
    ];
    let mut minus_one = [0xff; 32];
    (minus_one[0], minus_one[31]) = (0xec, 0x7f);
    for x in [[0; 32], one, minus_one, order_8[0], order_8[1]] {
        let refused = Envelope::parse(&with_ephemeral_x(&x));
        assert_eq!(refused, Err(Check::WeakKey.into()), "{x:02x?}");
    }
    let mut nine = [0; 32];
    nine[0] = 9;
    assert!(Envelope::parse(&with_ephemeral_x(&nine)).is_ok(), "the base point has the right form");
}

#[test]
fn an_x25519_point_has_one_encoding() {
    let own = Envelope::parse(&sealed(&x25519())).expect("our own encoding").ephemeral;
    let mut high: [u8; 32] = own.as_bytes().try_into().expect("32 bytes");
    high[31] |= 0x80;
    let refused = Envelope::parse(&with_ephemeral_x(&high));
    assert_eq!(refused, Err(Check::WeakKey.into()), "RFC 7748 would ignore the top bit");
}

#[test]
fn a_shared_secret_of_zeros_is_refused() {
    struct Contributes;
    impl KeyAgreement for Contributes {
        fn agreement_key(&self) -> AgreementKey {
            x25519().agreement_key()
        }
        fn agree(&mut self, _: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
            Ok(Zeroizing::new([0; 32]))
        }
    }
    let refused = open(&sealed(&x25519()), &mut Contributes);
    assert_eq!(refused, Err(Check::WeakKey.into()), "no key may depend on nothing");
}

#[test]
fn a_p256_point_off_the_curve_is_refused() {
    let mut bytes = sealed(&p256_key());
    let own = Envelope::parse(&bytes).expect("our own encoding").ephemeral;
    let y = &own.as_bytes()[33..];
    let at = bytes.windows(32).position(|w| w == y).expect("it stands in the bytes");
    bytes[at + 31] ^= 1;
    assert_eq!(Envelope::parse(&bytes), Err(Check::WeakKey.into()), "invalid-curve attack");
}

#[test]
fn two_recipients_in_one_message_are_refused() {
    let envelope = sealed(&x25519());
    let mut message = CoseEncrypt::from_slice(&envelope).expect("COSE");
    message.recipients.push(message.recipients[0].clone());
    let two = message.to_vec().expect("encodes");
    assert_eq!(Envelope::parse(&two), Err(Check::Malformed.into()), "RFC 9052, 8.5.4: one only");
}

#[test]
fn other_algorithms_are_refused_by_name() {
    let bytes = sealed(&x25519());
    let replaced = |from: &[u8], to: &[u8]| {
        let at = bytes.windows(from.len()).position(|w| w == from).expect("it stands in the bytes");
        [&bytes[..at], to, &bytes[at + from.len()..]].concat()
    };
    let content = replaced(&[0xa1, 0x01, 0x18, 24], &[0xa1, 0x01, 0x18, 25]);
    assert_eq!(Envelope::parse(&content), Err(Check::WrongAlgorithm.into()), "content");
    let agreement = replaced(&[0xa1, 0x01, 0x38, 24], &[0xa1, 0x01, 0x38, 25]);
    assert_eq!(Envelope::parse(&agreement), Err(Check::WrongAlgorithm.into()), "agreement");
}

#[test]
fn an_extra_header_parameter_is_refused() {
    let mut message = CoseEncrypt::from_slice(&sealed(&x25519())).expect("COSE");
    message.unprotected.rest.push((Label::Int(-70_000), Value::Null));
    let more = message.to_vec().expect("encodes");
    assert_eq!(Envelope::parse(&more), Err(Check::NonCanonical.into()), "nothing unprotected is ignored");
}

#[test]
fn the_kdf_context_is_what_coset_encodes() {
    let protected = HeaderBuilder::new().algorithm(AGREEMENT).build();
    let public = SuppPubInfoBuilder::new().key_data_length(256).protected(protected).build();
    let context = CoseKdfContextBuilder::new()
        .algorithm(CONTENT)
        .party_u_info(PartyInfo::default())
        .party_v_info(PartyInfo::default())
        .supp_pub_info(public);
    assert_eq!(context.build().to_vec().expect("encodes"), KDF_CONTEXT, "RFC 9053, 5.2");
    let header = ProtectedHeader { original_data: None, header: content_header() };
    let aad = enc_structure_data(EncryptionContext::CoseEncrypt, header, b"");
    let ours = [&[0x83, 0x67][..], b"Encrypt", &[0x44, 0xa1, 0x01, 0x18, 24, 0x40]].concat();
    assert_eq!(aad, ours, "RFC 9052, 5.3");
}

#[test]
fn the_largest_plaintext_fits_and_one_byte_more_does_not() {
    let plain = vec![1; ENVELOPE_PLAIN_BYTES_MAX + 1];
    for (curve, mut key) in keys() {
        let to = key.agreement_key();
        let most = &plain[..ENVELOPE_PLAIN_BYTES_MAX];
        let bytes = seal_to(&to, Context::DataKey, &NET, most, &mut rng(2)).expect("the most");
        assert!(open(&bytes, key.as_mut()).is_ok_and(|p| p.as_slice() == most), "{curve}: comes back");
        let more = seal_to(&to, Context::DataKey, &NET, &plain, &mut rng(2));
        assert_eq!(more, Err(Check::TooLarge.into()), "{curve}: one byte more");
    }
}

/// Made by `cwt` 3.3.0 for [`x25519`].
const FROM_CWT_X25519: &str = "8444a1011818a1054ca6dd1fb7d05df5973fb12e8f583028f9481ef106721897086af8327248941dd6383cb07fb430a4\
    f2038382bce4a73e8e41851df5b62a273a18f0a993ce71818344a1013818a2045820321284bf5f0c1019f64cc3217db7\
    3606fe55faaf4b6cdbdb32a395fdf7dee74d20a301012004215820450ca7fc03b07a871f9e82f520806803a7c05539a8\
    4767a3869b2cb3719be92840";
/// Made by `cwt` 3.3.0 for [`p256_key`].
const FROM_CWT_P256: &str = "8444a1011818a1054cb29e305b5a149241e53044015830d6d785678c919ad9c083b1c488b12745aa26b2a6f884853b7d\
    c1bab06fc2611418456c382aaedcee57ded2708a76b897818344a1013818a204582016ae88b8403de2b42369857421e7\
    ad43491657651fc1af301c8cc9a5b74a27d620a401022001215820cf2adf376d1a02a1ac1bd55ce4ac44a80b8bfab807\
    4ac1607eaffee9c5b0596c2258203fb7dfa2cde93857010ce83677d9182fab8043b4701033dfd583800285b4c46540";

#[test]
fn envelopes_of_another_library_open() {
    let unhex = |hex: &str| -> Vec<u8> {
        let byte = |i: usize| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex");
        (0..hex.len()).step_by(2).map(byte).collect()
    };
    let x25519_message = open(&unhex(FROM_CWT_X25519), &mut x25519()).expect("RFC 9053, 6.3.1");
    assert_eq!(x25519_message.as_slice(), PLAIN, "X25519");
    let p256_message = open(&unhex(FROM_CWT_P256), &mut p256_key()).expect("RFC 9053, 6.3.1");
    assert_eq!(p256_message.as_slice(), PLAIN, "P-256");
}

#[test]
fn an_envelope_is_not_the_identity_of_what_it_holds() {
    let envelope = Envelope::parse(&sealed(&p256_key())).expect("our own encoding");
    let point = envelope.ephemeral.as_bytes();
    let mirrored = [&[2 + (1 - point[64] % 2)], &point[1..33]].concat();
    let mirrored = p256::PublicKey::from_sec1_bytes(&mirrored).expect("the other point over x");
    let mirrored = p256::Sec1Point::from(mirrored);
    let ephemeral = AgreementKey::new(Curve::P256, mirrored.as_bytes()).expect("a point");
    let twin = Envelope { ephemeral, ..envelope.clone() }.encode().expect("encodes");
    assert_ne!(Envelope::parse(&twin), Ok(envelope), "other bytes");
    let opened = open(&twin, &mut p256_key()).expect("ECDH takes x alone");
    assert_eq!(opened.as_slice(), PLAIN, "the same plaintext, as the head of the file says");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_sealed_opens(plain in prop::collection::vec(any::<u8>(), 0..300), seed in any::<u64>()) {
        for (_, mut key) in keys() {
            let bytes = seal_to(&key.agreement_key(), Context::DataKey, &NET, &plain, &mut rng(seed));
            let opened = open(&bytes.expect("a good key"), key.as_mut()).expect("as sealed");
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Envelope::parse(&bytes).is_err());
    }
}
