//! Keypads of readers: PC/SC part 10, the feature VERIFY_PIN_DIRECT alone.
//!
//! What is typed goes from the keypad into the card and never comes here.

/// Control code that asks for a reader's features: SCARD_CTL_CODE(3400) of pcsc-lite.
pub(super) const GET_FEATURES: u32 = 0x4200_0000 + 3400;
/// The feature.
const VERIFY_PIN_DIRECT: u8 = 0x06;
/// How long a person may take, in seconds; below the deadline of a card at work.
const TYPING_SECONDS: u8 = 30;

/// The control code of VERIFY_PIN_DIRECT in a list of features: tag, four, code with its highest byte first.
pub(super) fn verify_code(features: &[u8]) -> Option<u32> {
    let feature = features.chunks_exact(6).find(|feature| feature.starts_with(&[VERIFY_PIN_DIRECT, 4]))?;
    Some(u32::from_be_bytes(feature.get(2..6)?.try_into().ok()?))
}

/// PIN_VERIFY_STRUCTURE around a VERIFY of PIV: ASCII from the left, 6 to 8 characters in a block of eight, ended by the
/// validation key. Numbers are of the machine's byte order.
pub(super) fn verify(command: &[u8]) -> Option<Vec<u8>> {
    const ASCII_FROM_THE_LEFT: u8 = 0x82;
    const BLOCK_OF_EIGHT: u8 = 0x08;
    const SIX_TO_EIGHT: u16 = 0x0608;
    const VALIDATION_KEY: u8 = 0x02;
    const ENGLISH: u16 = 0x0409;
    let mut asked = vec![TYPING_SECONDS, TYPING_SECONDS, ASCII_FROM_THE_LEFT, BLOCK_OF_EIGHT, 0];
    asked.extend(SIX_TO_EIGHT.to_ne_bytes());
    // One message, the first.
    asked.extend([VALIDATION_KEY, 1]);
    asked.extend(ENGLISH.to_ne_bytes());
    asked.extend([0; 4]);
    asked.extend(u32::try_from(command.len()).ok()?.to_ne_bytes());
    asked.extend_from_slice(command);
    Some(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keypad_is_found_among_features_and_nothing_else_is_taken_for_one() {
        let features =
            [&[0x01, 4, 0, 0, 0, 1][..], &[0x06, 4, 0x42, 0, 0x0D, 0xAC], &[0x07, 4, 0, 0, 0, 3]].concat();
        assert_eq!(verify_code(&features), Some(0x4200_0DAC), "its code");
        for without in [&[][..], &features[..6], &[0x06, 4, 0, 0], &[0x06, 3, 0, 0, 0, 0]] {
            assert_eq!(verify_code(without), None, "{without:02x?}");
        }
    }

    #[test]
    fn the_command_stands_after_nineteen_bytes() {
        let asked = verify(&[0x00, 0x20, 0x00, 0x80, 8]).unwrap();
        assert_eq!(asked[19..], [0x00, 0x20, 0x00, 0x80, 8], "as part 10 lays it out");
        assert_eq!(asked[15..19], 5_u32.to_ne_bytes(), "with its length before it");
    }
}
