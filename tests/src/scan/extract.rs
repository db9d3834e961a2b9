//! The identifying strings of clinical files: names, dates of birth, addresses, telecoms, identifiers and codes.
//!
//! Written apart from `hospes-import` on purpose: what one of the two overlooks, the other may not. Ordinary words of a
//! record are deliberately not taken, since their occurrence elsewhere shows nothing. PDF and other formats give no
//! strings; the caller is told. Called by `hospes-scan` and by the tests.

mod dicom;
mod fhir;
mod xml;

use super::{Kind, Needle, Needles};

/// Codes shorter than this, and codes without a digit, are ordinary words.
const CODE_BYTES_MIN: usize = 6;

/// The strings of one file by its content, or nothing where the format is not one that is read here or is damaged.
#[must_use]
pub fn needles_of(bytes: &[u8]) -> Option<Needles> {
    let mut taken = Taken::default();
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(byte));
    let read = match first {
        Some(b'{' | b'[') => fhir::take(bytes, &mut taken),
        Some(b'<') => xml::take(bytes, &mut taken),
        _ => dicom::take(bytes, &mut taken),
    };
    read.map(|()| taken.needles)
}

/// Needles from a list, one in each line; empty lines and lines that begin with `#` are skipped.
#[must_use]
pub fn needles_of_list(text: &str) -> Needles {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| Needle::new(Kind::Given, line)).collect()
}

/// Collects needles, with the spellings that a date or a name can have.
#[derive(Default)]
struct Taken {
    needles: Needles,
}

impl Taken {
    fn add(&mut self, kind: Kind, text: &str) {
        self.needles.extend(Needle::new(kind, text));
    }

    fn code(&mut self, text: &str) {
        if text.len() >= CODE_BYTES_MIN && text.bytes().any(|byte| byte.is_ascii_digit()) {
            self.add(Kind::Code, text);
        }
    }

    /// A date in either spelling, `2001-02-03` or `20010203`, is looked for in both.
    fn birth_date(&mut self, text: &str) {
        let digits: String = text.chars().filter(char::is_ascii_digit).take(8).collect();
        let (Some(year), Some(month), Some(day)) = (digits.get(..4), digits.get(4..6), digits.get(6..8))
        else {
            return;
        };
        self.add(Kind::BirthDate, &format!("{year}-{month}-{day}"));
        self.add(Kind::BirthDate, &digits);
    }

    /// The parts of a person's name, and the orders in which they are written together: short parts count only so.
    fn person(&mut self, given: &[&str], family: &str) {
        for part in given.iter().chain([&family]) {
            self.add(Kind::Name, part);
        }
        let (Some(first), false) = (given.first(), family.is_empty()) else { return };
        let all = given.join(" ");
        for together in [
            format!("{first} {family}"),
            format!("{all} {family}"),
            format!("{family} {first}"),
            format!("{family}, {first}"),
            format!("{family}^{first}"),
        ] {
            self.add(Kind::Name, &together);
        }
    }
}
