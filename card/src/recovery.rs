//! The printed recovery code: 128 random bits as 28 characters that notice their own typos.
//!
//! Seven groups of four in Crockford's base 32 (no I, L, O, U). The 26 data characters carry two zero bits
//! and the 128; two more are Reed-Solomon check characters over GF(32) (Reed and Solomon, 1960): the code
//! has distance 3, so any one or two wrong characters are caught, swapped ones included. Nothing is
//! corrected silently. The key derived from the code is the protocol's affair.

use rand_core::CryptoRng;
use zeroize::{Zeroize as _, Zeroizing};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const DATA_CHARS: usize = 26;
const CODE_CHARS: usize = 28;
const GROUP_CHARS: usize = 4;

type Symbols = Zeroizing<[u8; CODE_CHARS]>;

/// Why a typed recovery code is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryCodeForm {
    /// Characters are missing or too many.
    #[error("a recovery code has 28 characters, this has {found}")]
    Length {
        /// Characters found, hyphens and spaces left out; counted to 29.
        found: usize,
    },
    /// A character that no code has.
    #[error("character {position} of the recovery code is not one of its letters and digits")]
    Character {
        /// Counted from 1, hyphens and spaces left out.
        position: usize,
    },
    /// The check characters don't fit: a typo.
    #[error("the recovery code has a typing error: compare it with the letter")]
    CheckCharacters,
}

/// A patient's recovery code: the second reader of secret and lockers.
#[derive(Clone)]
pub struct RecoveryCode(Zeroizing<[u8; 16]>);

impl RecoveryCode {
    /// A fresh code.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 16]);
        rng.fill_bytes(&mut bytes[..]);
        Self(bytes)
    }

    /// The code of 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        Self(Zeroizing::new(*bytes))
    }

    /// The 16 bytes, for the derivation of the reading key.
    #[must_use]
    pub fn expose(&self) -> &[u8; 16] {
        &self.0
    }

    /// The printed form, `XXXX-XXXX-XXXX-XXXX-XXXX-XXXX-XXXX`.
    #[must_use]
    pub fn to_printed(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(CODE_CHARS + CODE_CHARS / GROUP_CHARS));
        for (i, symbol) in self.symbols().iter().enumerate() {
            if i > 0 && i % GROUP_CHARS == 0 {
                text.push('-');
            }
            text.push(char::from(ALPHABET[usize::from(*symbol)]));
        }
        text
    }

    /// The text for a QR code, in its alphanumeric mode (ISO/IEC 18004, 7.3.4): the same without hyphens.
    #[must_use]
    pub fn to_qr_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(CODE_CHARS));
        text.extend(self.symbols().iter().map(|s| char::from(ALPHABET[usize::from(*s)])));
        text
    }

    /// Reads what was typed or scanned: any case, hyphens and spaces anywhere, I and L as 1, O as 0.
    ///
    /// # Errors
    /// [`RecoveryCodeForm`].
    pub fn parse(text: &str) -> Result<Self, RecoveryCodeForm> {
        let symbols = symbols_of(text)?;
        // The top two bits of the first character are the zero bits.
        if syndromes(&symbols) != (0, 0) || symbols[0] >= 8 {
            return Err(RecoveryCodeForm::CheckCharacters);
        }
        Ok(Self(pack(&symbols)))
    }

    fn symbols(&self) -> Symbols {
        let mut symbols = Zeroizing::new([0; CODE_CHARS]);
        let mut number = u128::from_be_bytes(*self.0);
        for symbol in symbols[..DATA_CHARS].iter_mut().rev() {
            *symbol = five_bits(number);
            number >>= 5;
        }
        number.zeroize();
        let (first, second) = check_characters(&symbols);
        symbols[DATA_CHARS] = first;
        symbols[DATA_CHARS + 1] = second;
        symbols
    }
}

impl std::fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryCode(redacted)")
    }
}

fn five_bits(number: u128) -> u8 {
    number.to_be_bytes()[15] & 31
}

fn pack(symbols: &Symbols) -> Zeroizing<[u8; 16]> {
    let mut number = symbols[..DATA_CHARS].iter().fold(0_u128, |n, s| n << 5 | u128::from(*s));
    let bytes = Zeroizing::new(number.to_be_bytes());
    number.zeroize();
    bytes
}

fn symbols_of(text: &str) -> Result<Symbols, RecoveryCodeForm> {
    let mut symbols = Zeroizing::new([0; CODE_CHARS]);
    let mut found = 0;
    for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let symbol = symbol_of(c).ok_or(RecoveryCodeForm::Character { position: found + 1 })?;
        let place = symbols.get_mut(found).ok_or(RecoveryCodeForm::Length { found: CODE_CHARS + 1 })?;
        *place = symbol;
        found += 1;
    }
    if found == CODE_CHARS { Ok(symbols) } else { Err(RecoveryCodeForm::Length { found }) }
}

fn symbol_of(c: char) -> Option<u8> {
    let upper = match c.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        other => other,
    };
    let place = ALPHABET.iter().position(|a| char::from(*a) == upper)?;
    u8::try_from(place).ok()
}

// GF(32) by x^5 + x^2 + 1, which is primitive: 2 generates all 31 units.
fn times(a: u8, b: u8) -> u8 {
    let mut product = 0;
    for bit in (0..5).rev() {
        product <<= 1;
        product ^= (product >> 5) * 0b10_0101;
        product ^= a * (b >> bit & 1);
    }
    product
}

fn inverse(a: u8) -> u8 {
    // a^30, as the group has 31 elements.
    (0..30).fold(1, |p, _| times(p, a))
}

// The word as a polynomial, its last character the constant term, at 2 and at 4: zero for a code word.
fn syndromes(symbols: &[u8; CODE_CHARS]) -> (u8, u8) {
    let at = |x| symbols.iter().fold(0, |sum, s| times(sum, x) ^ s);
    (at(2), at(4))
}

// c1 * 2 + c0 = s1 and c1 * 4 + c0 = s2, solved in GF(32), where 2 + 4 = 6.
fn check_characters(data: &[u8; CODE_CHARS]) -> (u8, u8) {
    let (s1, s2) = syndromes(data);
    let first = times(s1 ^ s2, inverse(2 ^ 4));
    (first, s1 ^ times(first, 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;

    fn code(seed: u64) -> RecoveryCode {
        RecoveryCode::generate(&mut rand_chacha::ChaCha20Rng::seed_from_u64(seed))
    }

    fn is_typo(chars: &[u8]) -> bool {
        let text = std::str::from_utf8(chars).unwrap();
        matches!(RecoveryCode::parse(text), Err(RecoveryCodeForm::CheckCharacters))
    }

    #[test]
    fn a_code_reads_back_from_print_and_from_qr() {
        for seed in 0..64 {
            let code = code(seed);
            for text in [code.to_printed(), code.to_qr_text()] {
                assert_eq!(RecoveryCode::parse(&text).unwrap().expose(), code.expose(), "seed {seed}");
            }
        }
        for bytes in [[0; 16], [0xff; 16]] {
            let code = RecoveryCode::from_bytes(&bytes);
            assert_eq!(RecoveryCode::parse(&code.to_printed()).unwrap().expose(), &bytes, "the ends");
        }
    }

    #[test]
    fn the_printed_form_is_fixed() {
        let mut bytes = [0; 16];
        bytes.iter_mut().zip(0x10..).for_each(|(b, v)| *b = v);
        let code = RecoveryCode::from_bytes(&bytes);
        // Recomputed in Python, the check characters by brute force.
        assert_eq!(*code.to_printed(), "0G24-9165-0N2R-BHG6-8T3C-E1T7-GZ43", "format 1, on letters for ever");
        assert!(code.to_qr_text().bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()), "QR mode");
    }

    #[test]
    fn what_a_hand_writes_differently_reads_the_same() {
        let code = RecoveryCode::from_bytes(&[0; 16]);
        let typed = code.to_printed().to_lowercase().replace('-', " ").replacen('0', "o", 3);
        assert_eq!(
            RecoveryCode::parse(&typed).unwrap().expose(),
            code.expose(),
            "lower case, spaces, o for 0"
        );
    }

    // The code is linear, so whether an error is caught depends on the error alone: all of them on one
    // code word would do; a few words guard the reading itself.
    #[test]
    fn every_wrong_character_is_caught() {
        for seed in 0..8 {
            let good = code(seed).to_qr_text();
            for place in 0..CODE_CHARS {
                for wrong in ALPHABET.iter().filter(|a| **a != good.as_bytes()[place]) {
                    let mut chars = good.as_bytes().to_vec();
                    chars[place] = *wrong;
                    assert!(is_typo(&chars), "seed {seed}, {} at {place}", char::from(*wrong));
                }
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_caught() {
        // Every neighbouring pair of unequal characters at every place, as an error pattern (e, e).
        for place in 0..CODE_CHARS - 1 {
            for error in 1..32 {
                let mut symbols = code(1).symbols();
                symbols[place] ^= error;
                symbols[place + 1] ^= error;
                assert_ne!(syndromes(&symbols), (0, 0), "difference {error} at {place}");
            }
        }
        for seed in 0..64 {
            let good = code(seed).to_qr_text();
            for place in (0..CODE_CHARS - 1).filter(|p| good.as_bytes()[*p] != good.as_bytes()[p + 1]) {
                let mut chars = good.as_bytes().to_vec();
                chars.swap(place, place + 1);
                assert!(is_typo(&chars), "seed {seed}, swap at {place}");
            }
        }
    }

    #[test]
    fn any_two_wrong_characters_are_caught() {
        let good = code(7).symbols();
        for (a, b) in (0..CODE_CHARS).flat_map(|a| (a + 1..CODE_CHARS).map(move |b| (a, b))) {
            for (ea, eb) in (1..32).flat_map(|ea| (1..32).map(move |eb| (ea, eb))) {
                let mut symbols = good.clone();
                symbols[a] ^= ea;
                symbols[b] ^= eb;
                assert_ne!(syndromes(&symbols), (0, 0), "{ea} at {a}, {eb} at {b}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_refused_with_its_reason() {
        let refusal = |text: &str| RecoveryCode::parse(text).map(drop);
        assert_eq!(refusal(""), Err(RecoveryCodeForm::Length { found: 0 }), "nothing");
        assert_eq!(refusal(&"0".repeat(27)), Err(RecoveryCodeForm::Length { found: 27 }), "one missing");
        assert_eq!(refusal(&"0".repeat(9999)), Err(RecoveryCodeForm::Length { found: 29 }), "far too long");
        assert_eq!(refusal("00U0"), Err(RecoveryCodeForm::Character { position: 3 }), "U is in no code");
        assert_eq!(refusal("é"), Err(RecoveryCodeForm::Character { position: 1 }), "not ASCII");
        assert_eq!(refusal(&"0".repeat(28)).map(drop), Ok(()), "zero is a code as any");
    }

    #[test]
    fn debug_shows_nothing_of_a_code() {
        assert_eq!(format!("{:?}", code(3)), "RecoveryCode(redacted)", "silent");
    }
}
