//! Identifying data of the patient that a file names, and whether two such sets name the same person.
//!
//! It compares what one file says with what the desk says; it deliberately doesn't make the pseudonym or the
//! normal form that is hashed, which belongs to the protocol, and doesn't search. Called by the node when a
//! record is filed.

use std::fmt;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// An identifier in its system.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Identifier {
    /// URI of who gives it out, like `http://hl7.org/fhir/sid/us-ssn` or `urn:oid:…`; empty if the file doesn't say.
    pub system: String,
    /// The identifier itself.
    pub value: String,
}

/// Identifying data found in a file. Wiped when dropped; never printed.
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct PatientIdentity {
    /// Given names in order.
    pub given: Vec<String>,
    /// Family name; empty if the file has none.
    pub family: String,
    /// `YYYY-MM-DD`; none if the file gives no full date.
    pub birth_date: Option<String>,
    /// Identifiers in the order of the file.
    pub identifiers: Vec<Identifier>,
    /// Postal code of the first address that has one.
    pub postal_code: Option<String>,
    /// `male`, `female`, `other` or `unknown` (FHIR administrative gender).
    pub gender: Option<String>,
}

impl PatientIdentity {
    /// Whether the file says nothing by which a person could be recognised.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.family.is_empty() && self.given.is_empty() && self.identifiers.is_empty()
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(redacted)")
    }
}

impl fmt::Debug for PatientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientIdentity(redacted)")
    }
}

/// Whether two sets of identifying data name the same person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// The same.
    Yes,
    /// Two persons: the file must not be filed.
    No,
    /// Neither shown nor ruled out: a person looks and decides.
    Unsure,
}

/// How one attribute compares.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Same,
    Differs,
    Unknown,
}

/// Whether `a` and `b` name the same person.
///
/// An identifier equal in the same system says yes, unless the birth dates contradict each other (a wrong label on
/// the right chart happens), which leaves it unsure. Otherwise family name, first word of the given names and birth
/// date must agree, and the gender must not contradict. A different birth date, or no agreement in the name, says
/// no. One differing part of the name with the same birth date (a marriage, a nickname) leaves it unsure.
#[must_use]
pub fn same_person(a: &PatientIdentity, b: &PatientIdentity) -> Match {
    use Attribute::{Differs, Same};
    let birth = compare(a.birth_date.as_deref(), b.birth_date.as_deref());
    if shares_identifier(a, b) {
        return if birth == Differs { Match::Unsure } else { Match::Yes };
    }
    let family = compare(Some(&a.family), Some(&b.family));
    let given = compare(first_given(a), first_given(b));
    let gender = compare(known_gender(a), known_gender(b));
    match (birth, family, given) {
        (Differs, _, _) | (_, Differs, Differs) => Match::No,
        (Same, Same, Same) if gender != Differs => Match::Yes,
        (Same, _, _) => Match::Unsure,
        (_, Differs, _) | (_, _, Differs) => Match::No,
        _ => Match::Unsure,
    }
}

fn shares_identifier(a: &PatientIdentity, b: &PatientIdentity) -> bool {
    a.identifiers.iter().any(|mine| {
        !mine.system.is_empty() && !mine.value.is_empty() && b.identifiers.iter().any(|other| mine == other)
    })
}

/// Systems disagree whether "Luis Miguel" is one name or two, so only the first word is compared.
fn first_given(identity: &PatientIdentity) -> Option<&str> {
    identity.given.first().and_then(|given| given.split_whitespace().next())
}

fn known_gender(identity: &PatientIdentity) -> Option<&str> {
    identity.gender.as_deref().filter(|gender| *gender != "unknown")
}

fn compare(a: Option<&str>, b: Option<&str>) -> Attribute {
    let (Some(a), Some(b)) = (a, b) else { return Attribute::Unknown };
    let (a, b) = (folded(a), folded(b));
    if a.is_empty() || b.is_empty() {
        Attribute::Unknown
    } else if a == b {
        Attribute::Same
    } else {
        Attribute::Differs
    }
}

/// NFC, lower case, single spaces (UAX 15; lower-casing may denormalise, so it comes first).
fn folded(text: &str) -> String {
    let lower = text.nfc().collect::<String>().to_lowercase();
    lower.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(given: &str, family: &str, birth_date: &str) -> PatientIdentity {
        let mut person = PatientIdentity::default();
        person.given.push(given.to_owned());
        person.family.push_str(family);
        person.birth_date = (!birth_date.is_empty()).then(|| birth_date.to_owned());
        person
    }

    fn numbered(mut person: PatientIdentity, system: &str, value: &str) -> PatientIdentity {
        person.identifiers.push(Identifier { system: system.to_owned(), value: value.to_owned() });
        person
    }

    #[test]
    fn the_same_name_in_two_unicode_forms_is_the_same_person() {
        let composed = person("Jos\u{e9}", "Casares", "1990-01-02");
        let decomposed = person("JOSE\u{301}", "casares ", "1990-01-02");
        assert_eq!(same_person(&composed, &decomposed), Match::Yes, "NFC and case don't tell people apart");
        let both = person("Jos\u{e9} Mar\u{ed}a", "Casares", "1990-01-02");
        assert_eq!(same_person(&composed, &both), Match::Yes, "a second given name may be missing");
        let other = person("Mar\u{ed}a", "Casares", "1991-01-02");
        assert_eq!(same_person(&composed, &other), Match::No, "another birth date is another person");
    }

    #[test]
    fn an_equal_identifier_decides_unless_the_birth_dates_contradict() {
        let ada = numbered(person("Ada", "Byron", "1815-12-10"), "urn:oid:1.2", "42");
        let married = numbered(person("Ada", "Lovelace", "1815-12-10"), "urn:oid:1.2", "42");
        assert_eq!(same_person(&ada, &married), Match::Yes, "the number is the same");
        let twin = numbered(person("Ada", "Byron", "1816-12-10"), "urn:oid:1.2", "42");
        assert_eq!(same_person(&ada, &twin), Match::Unsure, "same number, other birth date: a person looks");
        let elsewhere = numbered(person("Eve", "Moore", "1901-01-01"), "urn:oid:9.9", "42");
        assert_eq!(
            same_person(&ada, &elsewhere),
            Match::No,
            "the same number of another system means nothing"
        );
        let a = numbered(person("Eve", "Moore", ""), "", "42");
        let b = numbered(person("Ada", "Byron", ""), "", "42");
        assert_eq!(same_person(&a, &b), Match::No, "a number without a system is no evidence");
    }

    #[test]
    fn a_changed_or_missing_part_leaves_it_to_a_person() {
        let ada = person("Ada", "Byron", "1815-12-10");
        assert_eq!(same_person(&ada, &person("Ada", "Lovelace", "1815-12-10")), Match::Unsure, "marriage");
        assert_eq!(
            same_person(&ada, &person("Ada", "Byron", "")),
            Match::Unsure,
            "no birth date in the file"
        );
        assert_eq!(
            same_person(&ada, &person("Ada", "Lovelace", "")),
            Match::No,
            "nothing confirms the change"
        );
        assert_eq!(
            same_person(&ada, &PatientIdentity::default()),
            Match::Unsure,
            "an anonymous file shows nothing"
        );
        let mut man = ada.clone();
        man.gender = Some("male".to_owned());
        let mut woman = ada.clone();
        woman.gender = Some("female".to_owned());
        assert_eq!(same_person(&man, &woman), Match::Unsure, "a contradicting gender is looked at");
        woman.gender = Some("unknown".to_owned());
        assert_eq!(same_person(&man, &woman), Match::Yes, "an unknown gender contradicts nothing");
    }

    #[test]
    fn identifying_data_is_never_printed() {
        let printed = format!("{:?}", numbered(person("Ada", "Byron", "1815-12-10"), "urn:oid:1.2", "4711"));
        assert_eq!(printed, "PatientIdentity(redacted)", "debug output holds nothing of the person");
    }
}
