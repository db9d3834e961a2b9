//! How API, desk and demo write the protocol's numbered words (categories, labels, rights, purposes) and its times.
//!
//! The FHIR codes beside them are the portal's and the FHIR module's business.

use hospes_card::piv::Attested;
use hospes_protocol::control::Standing;
use hospes_protocol::emergency::{Outcome, Reason, Tier};
use hospes_protocol::personal::{Anonymity, Category, Label, Purpose, Right};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::desk::Vouched;

/// Categories.
pub(crate) const CATEGORIES: [(&str, Category); 8] = [
    ("history-and-physical", Category::HistoryAndPhysical),
    ("laboratory", Category::Laboratory),
    ("radiation-dose", Category::RadiationDose),
    ("imaging", Category::Imaging),
    ("medication", Category::Medication),
    ("letters", Category::Letters),
    ("emergency-summary", Category::EmergencySummary),
    ("private-notes", Category::PrivateNotes),
];

/// Labels.
pub(crate) const LABELS: [(&str, Label); 3] = [
    ("normal", Label::Normal),
    ("restricted", Label::Restricted),
    ("very-restricted", Label::VeryRestricted),
];

/// Rights.
pub(crate) const RIGHTS: [(&str, Right); 3] =
    [("read", Right::Read), ("write", Right::Write), ("share", Right::Share)];

/// Purposes.
pub(crate) const PURPOSES: [(&str, Purpose); 5] = [
    ("treatment", Purpose::Treatment),
    ("emergency-treatment", Purpose::EmergencyTreatment),
    ("research", Purpose::Research),
    ("operations", Purpose::Operations),
    ("patient-request", Purpose::PatientRequest),
];

/// How data leave for a study.
pub(crate) const ANONYMITY: [(&str, Anonymity); 3] = [
    ("as-is", Anonymity::AsIs),
    ("pseudonymised", Anonymity::Pseudonymised),
    ("anonymised", Anonymity::Anonymised),
];

/// Standing of members.
pub(crate) const STANDING: [(&str, Standing); 3] =
    [("active", Standing::Active), ("suspended", Standing::Suspended), ("removed", Standing::Removed)];

/// What of break-glass is asked for.
pub(crate) const TIERS: [(&str, Tier); 5] = [
    ("card", Tier::Card),
    ("summary", Tier::Summary),
    ("full", Tier::Full),
    ("recovery", Tier::Recovery),
    ("offline", Tier::Offline),
];

/// Why the glass is broken.
pub(crate) const REASONS: [(&str, Reason); 6] = [
    ("unconscious", Reason::Unconscious),
    ("allergy-or-medicine", Reason::AllergyOrMedicine),
    ("urgent-surgery", Reason::UrgentSurgery),
    ("lack-of-capacity", Reason::LackOfCapacity),
    ("card-unusable", Reason::CardUnusable),
    ("other", Reason::Other),
];

/// What a review finds.
pub(crate) const OUTCOMES: [(&str, Outcome); 3] = [
    ("justified", Outcome::Justified),
    ("not-justified", Outcome::NotJustified),
    ("unclear", Outcome::Unclear),
];

/// As RFC 3339, such as `2026-03-01T10:00:00.25Z`; null for a time that has no such form.
pub(crate) fn rfc3339(ms: u64) -> Option<String> {
    let ms = i64::try_from(ms).ok()?;
    Timestamp::from_millisecond(ms).ok().map(|t| t.to_string())
}

/// The name of a word.
pub(crate) fn name<T: PartialEq>(list: &[(&'static str, T)], value: &T) -> &'static str {
    list.iter().find(|(_, v)| v == value).map_or("unknown", |(name, _)| name)
}

/// The names of a sum of rights.
pub(crate) fn rights(sum: u64) -> Vec<&'static str> {
    RIGHTS.iter().filter(|(_, r)| sum & r.code() != 0).map(|(name, _)| *name).collect()
}

/// Which card a maker means.
pub(crate) fn card_number(said: &Attested) -> String {
    let [major, minor, patch] = said.firmware;
    let number = said.serial.map_or_else(|| "no number".to_owned(), |number| format!("number {number}"));
    format!("{number}, firmware {major}.{minor}.{patch}")
}

/// What a card's maker says of it, or why the card is unattested.
pub(crate) fn vouched(vouched: &Vouched) -> Value {
    // Yubico's numbers; 4 and 5 are 2 and 3 by finger.
    let pin = |policy| match policy {
        1 => "never",
        2 | 4 => "once",
        _ => "always",
    };
    let touch = |policy| match policy {
        1 => "never",
        3 => "cached",
        _ => "always",
    };
    match vouched {
        Ok(said) => {
            let [major, minor, patch] = said.firmware;
            json!({
                "attested": true,
                "number": said.serial,
                "firmware": format!("{major}.{minor}.{patch}"),
                "signing_pin": pin(said.pin_policy),
                "signing_touch": touch(said.touch_policy),
            })
        }
        Err(why) => json!({ "attested": false, "why": why.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_named_one_by_one() {
        assert_eq!(rights(5), ["read", "share"], "1 and 4");
        assert_eq!(rights(0), Vec::<&str>::new(), "none");
    }

    #[test]
    fn every_word_has_a_name() {
        let named = |code| Category::from_code(code).map(|c| name(&CATEGORIES, &c));
        assert!((1..=8).all(|c| named(c).is_some_and(|n| n != "unknown")), "all categories");
    }
}
