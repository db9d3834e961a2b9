//! Whatever bytes come in, the card answers with a status word, keeps its bounds and does not panic.

use hospes_virtual_card::{Curves, Firmware, State, VirtualCard};
use proptest::prelude::*;

use crate::session::{managed, raw, send, verify};

/// Commands that reach an instruction, with any data.
fn command() -> impl Strategy<Value = Vec<u8>> {
    let instruction = prop::sample::select(vec![
        0x20, 0x24, 0x2C, 0x47, 0x87, 0xA4, 0xC0, 0xCB, 0xDB, 0xF6, 0xF7, 0xF8, 0xF9, 0xFA, 0xFB, 0xFD, 0xFE,
        0xFF, 0x2A, 0x44, 0x84, 0x88, 0xCA, 0xDA, 0xE6,
    ]);
    let class = prop::sample::select(vec![0x00u8, 0x10]);
    let reference =
        prop::sample::select(vec![0x80, 0x81, 0x9A, 0x9B, 0x9C, 0x9D, 0x9E, 0x82, 0xF9, 0xFF, 0x11, 4]);
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..255),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|inner| hospes_virtual_card::tlv::put(0x7C, &inner)),
        prop::collection::vec(any::<u8>(), 0..60)
            .prop_map(|inner| hospes_virtual_card::tlv::put(0xAC, &inner)),
    ];
    (class, instruction, any::<u8>(), reference, data).prop_map(|(class, instruction, p1, p2, data)| {
        let count = u8::try_from(data.len()).unwrap();
        [&[class, instruction, p1, p2, count], &data[..]].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_a_status_word(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut card = managed(Firmware::NEWEST);
        prop_assert!(raw(&mut card, &bytes).len() >= 2, "a status word");
    }

    #[test]
    fn any_commands_in_a_row_get_a_status_word(commands in prop::collection::vec(command(), 1..40)) {
        let mut card = managed(Firmware::NEWEST);
        let _verified = verify(&mut card, "123456");
        for bytes in commands {
            let answer = raw(&mut card, &bytes);
            prop_assert!((2..=258).contains(&answer.len()), "a short answer to a short command");
        }
    }
    #[test]
    fn any_commands_to_an_openpgp_card_get_a_status_word(commands in prop::collection::vec(command(), 1..40)) {
        let mut card = VirtualCard::new(State::openpgp(Curves::All, 1));
        let _selected = send(&mut card, [0, 0xA4, 4, 0], &[0xD2, 0x76, 0, 1, 0x24, 1]);
        for (reference, code) in [(0x82, &b"123456"[..]), (0x83, b"12345678")] {
            let _verified = send(&mut card, [0, 0x20, 0, reference], code);
        }
        for bytes in commands {
            let answer = raw(&mut card, &bytes);
            prop_assert!((2..=258).contains(&answer.len()), "a short answer to a short command");
        }
    }
}
