//! PIN and PUK: checked when they are typed, wiped when they are dropped, never shown.
//!
//! Where they come from (prompt, PIN pad, portal) is the caller's affair. They go to the card and nowhere else.

use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Wrong tries before a PIN or a PUK is blocked.
pub const TRIES_MAX: u8 = 3;

const PIN_CHARS_MIN: usize = 6;
const PUK_CHARS: usize = 8;

/// Why what was typed cannot be a PIN or PUK. It costs no try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinForm {
    /// The PIN is too short or too long.
    #[error("a PIN has 6 to 8 characters")]
    PinLength,
    /// The PUK is too short or too long.
    #[error("a PUK has 8 characters")]
    PukLength,
    /// A character that a PIN pad or another keyboard could not give.
    #[error("use digits, ASCII letters and signs only, without spaces")]
    Character,
}

fn checked(text: &str, lengths: std::ops::RangeInclusive<usize>, wrong: PinForm) -> Result<Secret, PinForm> {
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(PinForm::Character);
    }
    if !lengths.contains(&text.len()) {
        return Err(wrong);
    }
    Ok(Zeroizing::new(text.as_bytes().into()))
}

type Secret = Zeroizing<Box<[u8]>>;

/// A card's PIN: 6 to 8 printable ASCII characters (PIV pads to 8).
pub struct Pin(Secret);

impl Pin {
    /// What was typed.
    ///
    /// # Errors
    /// [`PinForm`] for another length or character.
    pub fn new(text: &str) -> Result<Self, PinForm> {
        checked(text, PIN_CHARS_MIN..=PUK_CHARS, PinForm::PinLength).map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pin(redacted)")
    }
}

/// The code that unblocks a PIN: 8 printable ASCII characters. It stands on the patient's letter.
pub struct Puk(Secret);

impl Puk {
    /// What was typed.
    ///
    /// # Errors
    /// [`PinForm`] for another length or character.
    pub fn new(text: &str) -> Result<Self, PinForm> {
        checked(text, PUK_CHARS..=PUK_CHARS, PinForm::PukLength).map(Self)
    }

    /// Eight random digits, for a new card.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut digits = Zeroizing::new(vec![0; PUK_CHARS].into_boxed_slice());
        for digit in digits.iter_mut() {
            *digit = random_digit(rng);
        }
        Self(digits)
    }

    /// The text for the letter; the caller prints and drops it.
    #[must_use]
    pub fn to_printed(&self) -> Zeroizing<String> {
        Zeroizing::new(self.0.iter().copied().map(char::from).collect())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Puk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Puk(redacted)")
    }
}

// Bytes from 250 up are drawn again, so every digit is equally likely.
fn random_digit(rng: &mut impl CryptoRng) -> u8 {
    loop {
        let mut byte = [0];
        rng.fill_bytes(&mut byte);
        if byte[0] < 250 {
            return b'0' + byte[0] % 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    #[test]
    fn a_pin_has_six_to_eight_printable_characters() {
        for good in ["123456", "Tr0ub4d!", "1234567"] {
            assert!(Pin::new(good).is_ok(), "{good}");
        }
        assert_eq!(Pin::new("12345").map(drop), Err(PinForm::PinLength), "five");
        assert_eq!(Pin::new("123456789").map(drop), Err(PinForm::PinLength), "nine");
        assert_eq!(Pin::new("12 456").map(drop), Err(PinForm::Character), "a space");
        assert_eq!(Pin::new("１２３").map(drop), Err(PinForm::Character), "digits of another script");
        assert_eq!(Puk::new("1234567").map(drop), Err(PinForm::PukLength), "a PUK of seven");
    }

    #[test]
    fn debug_shows_neither_pin_nor_puk() {
        let pin = Pin::new("271828").unwrap();
        assert_eq!(format!("{pin:?}"), "Pin(redacted)", "no digit of it");
        assert_eq!(format!("{:?}", Puk::new("31415926").unwrap()), "Puk(redacted)", "no digit of it");
    }

    #[test]
    fn a_generated_puk_reads_back_from_its_letter() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let puk = Puk::generate(&mut rng);
        let typed = Puk::new(&puk.to_printed()).unwrap();
        assert_eq!(typed.as_bytes(), puk.as_bytes(), "as printed");
        assert!(puk.as_bytes().iter().all(u8::is_ascii_digit), "digits only, for PIN pads");
    }
}
