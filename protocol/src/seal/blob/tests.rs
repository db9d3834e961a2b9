//! A sealed blob opens byte for byte, anywhere, and in no other order, length, record or key.
//!
//! Method: files around the borders of a segment are sealed, and every way of tampering that keeps the
//! lengths plausible is tried beside the honest opening. Everything is seeded.

use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::seal::fixtures::rng;
use crate::seal::layout::Layout;

const RECORD: RecordId = RecordId([7; 32]);

fn key() -> DataKey {
    DataKey::random(&mut rng(1))
}

fn file(size: usize) -> Vec<u8> {
    (0..size).map(|i| u8::try_from(i % 251).expect("below 251")).collect()
}

fn seal(key: &DataKey, record: RecordId, plain: &[u8]) -> Vec<Vec<u8>> {
    let layout = Layout::of_size(plain.len() as u64).expect("a small file");
    let mut sealer = Sealer::new(key, record);
    let mut rest = plain;
    let one = |index| {
        let (now, after) = rest.split_at(layout.plain_bytes(index));
        rest = after;
        let mut buf = now.to_vec();
        sealer.seal_segment(&mut buf, layout.is_last(index)).expect("as the layout says");
        assert_eq!(buf.len(), layout.sealed_bytes(index), "the tag is all that is added");
        buf
    };
    (0..layout.segments()).map(one).collect()
}

fn open(key: &DataKey, record: RecordId, sealed: &[Vec<u8>]) -> Result<Vec<u8>, Rejected> {
    let mut plain = Vec::new();
    for (i, segment) in sealed.iter().enumerate() {
        let mut buf = segment.clone();
        open_segment(key, record, i as u64, i + 1 == sealed.len(), &mut buf)?;
        plain.extend(buf);
    }
    Ok(plain)
}

const BROKEN: Result<(), Rejected> = Err(Rejected { check: Check::SealBroken });

#[test]
fn files_around_the_borders_of_a_segment_come_back() {
    let full = SEGMENT_PLAIN_BYTES;
    for size in [0, 1, full - 1, full, full + 1, 2 * full, 2 * full + 1] {
        let plain = file(size);
        let sealed = seal(&key(), RECORD, &plain);
        assert!(open(&key(), RECORD, &sealed) == Ok(plain), "{size} bytes");
    }
}

#[test]
fn any_segment_opens_by_itself() {
    let plain = file(2 * SEGMENT_PLAIN_BYTES + 9);
    let mut sealed = seal(&key(), RECORD, &plain);
    open_segment(&key(), RECORD, 2, true, &mut sealed[2]).expect("the last one first");
    assert_eq!(sealed[2], plain[2 * SEGMENT_PLAIN_BYTES..], "its bytes");
    open_segment(&key(), RECORD, 1, false, &mut sealed[1]).expect("then one in the middle");
    assert!(sealed[1] == plain[SEGMENT_PLAIN_BYTES..2 * SEGMENT_PLAIN_BYTES], "its bytes");
}

#[test]
fn every_flipped_byte_is_refused_and_leaves_the_buffer_as_it_was() {
    let sealed = seal(&key(), RECORD, b"delivered dose 2.0 Gy").remove(0);
    for i in 0..sealed.len() {
        let mut bad = sealed.clone();
        bad[i] ^= 1;
        let before = bad.clone();
        assert_eq!(open_segment(&key(), RECORD, 0, true, &mut bad), BROKEN, "byte {i}");
        assert_eq!(bad, before, "byte {i}: no unverified plaintext");
    }
    let mut good = sealed;
    assert_eq!(open_segment(&key(), RECORD, 0, true, &mut good), Ok(()), "as sealed");
}

#[test]
fn a_segment_opens_in_its_record_under_its_key_only() {
    let sealed = seal(&key(), RECORD, b"letter");
    let other_key = DataKey::random(&mut rng(2));
    assert!(open(&key(), RecordId([8; 32]), &sealed).is_err(), "another record");
    assert!(open(&other_key, RECORD, &sealed).is_err(), "another key");
    assert!(open(&key(), RECORD, &sealed).is_ok(), "its own");
}

#[test]
fn swapped_dropped_repeated_and_appended_segments_are_refused() {
    let sealed = seal(&key(), RECORD, &file(3 * SEGMENT_PLAIN_BYTES));
    let pick = |places: &[usize]| -> Vec<Vec<u8>> { places.iter().map(|i| sealed[*i].clone()).collect() };
    assert!(open(&key(), RECORD, &pick(&[0, 1, 2])).is_ok(), "in order");
    for (places, what) in [
        (&[1, 0, 2][..], "swapped"),
        (&[0, 2][..], "the middle dropped"),
        (&[1, 2][..], "the first dropped"),
        (&[0, 1][..], "the last dropped"),
        (&[0, 1, 1, 2][..], "one repeated"),
        (&[0, 1, 2, 2][..], "the last repeated"),
    ] {
        assert_eq!(open(&key(), RECORD, &pick(places)), Err(Check::SealBroken.into()), "{what}");
    }
}

#[test]
fn a_truncated_or_lengthened_segment_is_refused() {
    let sealed = seal(&key(), RECORD, &file(SEGMENT_PLAIN_BYTES + 40));
    for (index, last) in [(0, false), (1, true)] {
        let whole = &sealed[usize::from(last)];
        for cut in [0, 1, TAG_BYTES - 1, TAG_BYTES, whole.len() - 1] {
            let mut short = whole[..cut].to_vec();
            assert_eq!(open_segment(&key(), RECORD, index, last, &mut short), BROKEN, "{cut} bytes left");
        }
        let mut long = [whole.as_slice(), &[0]].concat();
        assert_eq!(open_segment(&key(), RECORD, index, last, &mut long), BROKEN, "one byte more");
        let mut whole = whole.clone();
        assert_eq!(open_segment(&key(), RECORD, index, last, &mut whole), Ok(()), "as sealed");
    }
}

#[test]
fn lengths_that_no_sealer_makes_are_refused_even_from_the_key_holder() {
    let open_forged = |index, last, plain: usize| {
        let mut buf = file(plain);
        key()
            .cipher()
            .encrypt_in_place(&nonce(index, last), &additional_data(&RECORD), &mut buf)
            .expect("seals");
        open_segment(&key(), RECORD, index, last, &mut buf)
    };
    assert_eq!(open_forged(0, false, SEGMENT_PLAIN_BYTES), Ok(()), "a full middle");
    assert_eq!(open_forged(0, false, SEGMENT_PLAIN_BYTES - 1), BROKEN, "a middle that is not full");
    assert_eq!(open_forged(0, true, SEGMENT_PLAIN_BYTES + 1), BROKEN, "an end that is too long");
    assert_eq!(open_forged(0, true, 0), Ok(()), "an empty file");
    assert_eq!(open_forged(1, true, 1), Ok(()), "a short end");
    assert_eq!(open_forged(1, true, 0), BROKEN, "an empty end after others");
}

#[test]
fn the_last_flag_is_bound() {
    let mut full = seal(&key(), RECORD, &file(SEGMENT_PLAIN_BYTES)).remove(0);
    assert_eq!(open_segment(&key(), RECORD, 0, false, &mut full), BROKEN, "the end is not a middle");
    assert_eq!(open_segment(&key(), RECORD, 0, true, &mut full), Ok(()), "the end");
}

#[test]
fn the_sealer_refuses_a_file_of_another_shape() {
    let mut sealer = Sealer::new(&key(), RECORD);
    let short = sealer.seal_segment(&mut file(5), false);
    assert_eq!(short, Err(SealError::NotFull), "a middle that is not full");
    let long = sealer.seal_segment(&mut file(SEGMENT_PLAIN_BYTES + 1), true);
    assert_eq!(long, Err(SealError::TooLong), "longer than a segment");
    assert_eq!(sealer.seal_segment(&mut file(SEGMENT_PLAIN_BYTES), false), Ok(0), "a full one");
    assert_eq!(sealer.seal_segment(&mut Vec::new(), true), Err(SealError::Empty), "an empty end");
    assert_eq!(sealer.seal_segment(&mut file(1), true), Ok(1), "the end");
    assert_eq!(sealer.seal_segment(&mut file(1), true), Err(SealError::Finished), "after the end");
    assert_eq!(sealer.size(), SEGMENT_PLAIN_BYTES as u64 + 1, "what was sealed");
}

#[test]
fn a_file_beyond_64_gib_is_refused() {
    let full = SEGMENT_PLAIN_BYTES as u64;
    let next = RECORD_BYTES_MAX / full;
    let mut progress = Progress { next, size: next * full, finished: false };
    let left = usize::try_from(RECORD_BYTES_MAX % full).expect("less than a segment");
    assert_eq!(progress.advance(left + 1, true), Err(SealError::RecordTooLarge), "one byte too many");
    assert_eq!(progress.advance(left, true), Ok(next), "exactly 64 GiB");
}

#[test]
fn sealing_copies_nothing_when_there_is_room_for_the_tag() {
    let mut buf = Vec::with_capacity(SEGMENT_BYTES);
    buf.resize(SEGMENT_PLAIN_BYTES, 1);
    let place = buf.as_ptr();
    Sealer::new(&key(), RECORD).seal_segment(&mut buf, true).expect("a full last segment");
    assert_eq!(buf.as_ptr(), place, "the same memory");
    open_segment(&key(), RECORD, 0, true, &mut buf).expect("as sealed");
    assert_eq!(buf.as_ptr(), place, "and after opening");
}

#[test]
fn keys_are_not_printed() {
    let key = DataKey::from_bytes(Zeroizing::new([0xab; 32]));
    assert_eq!(format!("{key:?}"), "DataKey(..)", "redacted");
}

#[test]
fn nonce_and_additional_data_are_as_the_format_says() {
    assert_eq!(nonce(0x0102, true)[..], [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 1], "11 bytes and the flag");
    assert_eq!(nonce(u64::MAX, false)[..], [0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0], "wide");
    let head = [&[0x83, 0x70][..], Context::Segment.text().as_bytes(), &[1, 0x58, 32], &[7; 32]].concat();
    assert_eq!(additional_data(&RECORD), head, "context, format, record");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sealed_opens_and_one_flipped_bit_closes_it(
        plain in prop::collection::vec(any::<u8>(), 0..3000),
        seed in any::<u64>(),
        place in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let key = DataKey::random(&mut rng(seed));
        let mut sealed = seal(&key, RECORD, &plain);
        prop_assert_eq!(open(&key, RECORD, &sealed), Ok(plain), "honest");
        let at = place.index(sealed[0].len());
        sealed[0][at] ^= 1 << bit;
        prop_assert_eq!(open(&key, RECORD, &sealed), Err(Check::SealBroken.into()), "flipped");
    }

    #[test]
    fn no_bytes_open_by_chance_or_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        index in any::<u64>(),
        last in any::<bool>(),
    ) {
        let mut buf = bytes;
        prop_assert_eq!(open_segment(&key(), RECORD, index, last, &mut buf), BROKEN);
    }
}
