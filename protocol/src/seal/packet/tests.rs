//! A packet holds its secrets in one order, once each, for one patient; anything else is refused.
//!
//! Method: plaintexts with one defect each are sealed as packets by hand, past the judgement that
//! `seal_packet` makes, and opened by the reader that they are sealed to.

use proptest::prelude::*;

use super::*;
use crate::keys::SoftwareAgreement;
use crate::seal::fixtures::{NET, P256Key, rng};
use crate::seal::locker::{all_lockers, fresh_epoch};

const ADA: PatientId = PatientId([1; 32]);

fn reader() -> SoftwareAgreement {
    SoftwareAgreement::from_secret(&[5; 32])
}

fn packet(epochs: u64) -> Packet {
    let mut rng = rng(1);
    let secrets = (1..=epochs).flat_map(|e| fresh_epoch(all_lockers(), e, &mut rng).1).collect();
    Packet { patient: ADA, epoch: epochs, secrets }
}

fn seal_raw(plain: &[u8]) -> Vec<u8> {
    seal_to(&reader().agreement_key(), Context::Packet, &NET, plain, &mut rng(2)).expect("a good key")
}

fn open(sealed: &[u8]) -> Result<Packet, OpenError> {
    open_packet(sealed, &ADA, &mut reader(), &NET)
}

#[test]
fn a_packet_comes_back_to_readers_of_both_curves() {
    let packet = packet(2);
    let mut card = P256Key::from_byte(5);
    let mut organization = reader();
    let keys: [&mut dyn KeyAgreement; 2] = [&mut card, &mut organization];
    for key in keys {
        let sealed = seal_packet(&key.agreement_key(), &packet, &NET, &mut rng(2)).expect("a good packet");
        assert_eq!(open_packet(&sealed, &ADA, key, &NET), Ok(packet.clone()), "as sealed");
    }
}

#[test]
fn an_empty_packet_is_lawful() {
    let empty = Packet { patient: ADA, epoch: 1, secrets: Vec::new() };
    let sealed = seal_packet(&reader().agreement_key(), &empty, &NET, &mut rng(2)).expect("lawful");
    assert_eq!(open(&sealed), Ok(empty), "a reader without lockers");
}

#[test]
fn a_packet_of_another_patient_or_network_is_refused() {
    let sealed =
        seal_packet(&reader().agreement_key(), &packet(1), &NET, &mut rng(2)).expect("a good packet");
    let other = open_packet(&sealed, &PatientId([2; 32]), &mut reader(), &NET);
    assert_eq!(other, Err(Check::StandsOnWrong.into()), "another patient");
    let elsewhere = open_packet(&sealed, &ADA, &mut reader(), &NetworkId([4; 32]));
    assert_eq!(elsewhere, Err(Check::SealBroken.into()), "another network");
    assert!(open(&sealed).is_ok(), "hers");
}

#[test]
fn secrets_stand_in_order_and_once_each() {
    let good = packet(1);
    let refused = |change: &dyn Fn(&mut Packet)| {
        let mut packet = good.clone();
        change(&mut packet);
        let sealing = seal_packet(&reader().agreement_key(), &packet, &NET, &mut rng(2)).err();
        (sealing.map(|r| r.check), open(&seal_raw(&packet.encode())).err())
    };
    let form = (Some(Check::ScopeForm), Some(Check::ScopeForm.into()));
    assert_eq!(refused(&|_| {}), (None, None), "in order");
    assert_eq!(refused(&|p| p.secrets.swap(0, 1)), form, "out of order");
    assert_eq!(refused(&|p| p.secrets[1] = p.secrets[0].clone()), form, "one twice");
    assert_eq!(refused(&|p| p.epoch = 0), form, "of a later epoch than the packet");
}

#[test]
fn a_plaintext_of_another_shape_is_refused() {
    let good = packet(1).encode();
    let changed = |at: usize, to: u8| {
        let mut plain = good.to_vec();
        plain[at] = to;
        open(&seal_raw(&plain))
    };
    assert!(changed(1, 1).is_ok(), "format 1, as it was");
    assert_eq!(changed(1, 2), Err(Check::UnknownFormat.into()), "format 2");
    assert_eq!(changed(0, 0x85), Err(Check::Malformed.into()), "five fields");
    // [0x84, format, 0x58, 32, patient…, epoch, 0x98, 24, [0x84, category, label, …]]
    assert_eq!(changed(40, 9), Err(Check::Malformed.into()), "category 9");
    assert_eq!(changed(41, 4), Err(Check::Malformed.into()), "label 4");
    let trailing = [&good[..], &[0]].concat();
    assert_eq!(open(&seal_raw(&trailing)), Err(Check::NonCanonical.into()), "a byte more");
    let wide = [&good[..1], &[0x18, 1], &good[2..]].concat();
    assert_eq!(open(&seal_raw(&wide)), Err(Check::NonCanonical.into()), "a longer integer than needed");
    assert_eq!(open(&seal_raw(&good[..good.len() - 1])), Err(Check::Malformed.into()), "cut off");
}

#[test]
fn a_claimed_count_is_bounded_before_memory_is_reserved() {
    let head = [&[0x84, 1, 0x58, 32][..], &ADA.0, &[1]].concat();
    let claim = [&head[..], &[0x9b, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]].concat();
    assert_eq!(open(&seal_raw(&claim)), Err(Check::TooLarge.into()), "a claim of 2^48");
}

#[test]
fn the_largest_packet_fits_one_envelope() {
    let one = packet(1).secrets;
    let at = |epoch: u64| {
        one.iter()
            .map(move |s| NamedSecret { name: LockerName { epoch, ..s.name }, secret: s.secret.clone() })
    };
    let secrets: Vec<_> = (u64::MAX - 799..=u64::MAX).flat_map(at).collect();
    assert_eq!(secrets.len(), PACKET_SECRETS_MAX, "as many as there may be");
    let mut most = Packet { patient: ADA, epoch: u64::MAX, secrets };
    let sealed = seal_packet(&reader().agreement_key(), &most, &NET, &mut rng(2)).expect("the most");
    assert!(open(&sealed).is_ok_and(|p| p == most), "comes back");
    most.secrets.insert(0, NamedSecret { name: LockerName { epoch: 1, ..one[0].name }, ..one[0].clone() });
    let more = seal_packet(&reader().agreement_key(), &most, &NET, &mut rng(2));
    assert_eq!(more, Err(Check::TooLarge.into()), "one more");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_plaintext_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Packet::decode(&bytes).is_err(), "no random bytes are a packet");
    }

    #[test]
    fn a_packet_has_one_encoding(epochs in 0_u64..4, keep in any::<u128>()) {
        let mut packet = packet(epochs);
        let mut i = 0;
        packet.secrets.retain(|_| { i += 1; keep >> (i % 128) & 1 == 1 });
        prop_assert_eq!(Packet::decode(&packet.encode()), Ok(packet));
    }
}
