//! What is shown before a tap: short English sentences of who, what, why, how long, how to stop.
//!
//! Deterministic functions of what is signed; the hash of the text is in the signature. A language is one more
//! set of these sentences. Nothing here knows keys or cards.

use hospes_protocol::emergency::{Outcome, Reason, Tier};
use hospes_protocol::ids::{BlockHash, PersonId};
use hospes_protocol::personal::{Category, Label, RecordEntry, Right};

use super::amendments::AmendRecord;
use super::guardians::Owed;
use super::taps::Shown;
use super::vouched::Vouched;
use crate::words;

/// The language that is spoken here.
const LANGUAGE: &str = "en";

/// What a patient reads before a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsentText {
    /// Who may: a name for people.
    pub(super) grantee: String,
    /// Categories; empty where single records are named.
    pub(super) categories: Vec<Category>,
    /// Titles of single records.
    pub(super) titles: Vec<String>,
    /// The highest label.
    pub(super) label: Label,
    /// Sum of rights.
    pub(super) rights: u64,
    /// The first day, `YYYY-MM-DD`.
    pub(super) from: String,
    /// The last day.
    pub(super) until: String,
    /// For what, in a word.
    pub(super) purpose: &'static str,
    /// Whether one use ends it.
    pub(super) one_time: bool,
}

/// The plain name of a category.
pub(super) const fn category_name(category: Category) -> &'static str {
    match category {
        Category::HistoryAndPhysical => "examinations",
        Category::Laboratory => "lab results",
        Category::RadiationDose => "radiation doses",
        Category::Imaging => "images",
        Category::Medication => "medicines",
        Category::Letters => "letters",
        Category::EmergencySummary => "emergency summary",
        Category::PrivateNotes => "private notes",
    }
}

fn rights_name(rights: u64) -> String {
    let named = [(Right::Read, "read"), (Right::Write, "add to"), (Right::Share, "share")];
    let held: Vec<_> =
        named.iter().filter(|(right, _)| rights & right.code() != 0).map(|(_, n)| *n).collect();
    held.join(" and ")
}

fn day(at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at.strftime("%Y-%m-%d").to_string(),
        Err(_) => "further notice".to_owned(),
    }
}

/// The day of a time in milliseconds since 1970 UTC.
pub(super) fn day_of(at_ms: u64) -> String {
    day(at_ms)
}

impl ConsentText {
    /// The text of at most some 60 words.
    pub(super) fn shown(&self) -> Shown {
        let what = if self.categories.is_empty() {
            format!("these papers: {}", self.titles.join(", "))
        } else {
            let names: Vec<_> = self.categories.iter().map(|c| category_name(*c)).collect();
            format!("your {}", names.join(", "))
        };
        let sensitive = match self.label {
            Label::Normal => "",
            Label::Restricted => " Sensitive papers are included.",
            Label::VeryRestricted => " Very sensitive papers are included.",
        };
        let once = if self.one_time { " This works once." } else { "" };
        Shown {
            text: format!(
                "{} may {} {what}. Why: {}. From {} until {}.{sensitive}{once} You can stop this any day, at any \
                 desk. If you say no, your care goes on.",
                self.grantee,
                rights_name(self.rights),
                self.purpose,
                self.from,
                self.until,
            ),
            language: LANGUAGE.into(),
        }
    }
}

/// Signing in.
pub(super) fn sign_in(organization: &str) -> Shown {
    Shown::english(format!("Sign in at {organization}. Nothing is signed but your presence."))
}

/// Enrolling a patient.
pub(super) fn create_patient(organization: &str) -> Shown {
    Shown::english(format!(
        "{organization} makes your health record and becomes your home. Your card is its key. Keep the recovery \
         code that is printed: it opens the record if the card is lost."
    ))
}

/// Enrolling a person.
pub(super) fn enrol_person(
    organization: &str,
    roles: &[String],
    register_number: &str,
    card: &Vouched,
) -> Shown {
    Shown::english(format!(
        "{organization} enrols the holder of this card, register number {register_number}, as: {}. {}",
        roles.join(", "),
        vouched(card)
    ))
}

/// What is said of a card's keys.
fn vouched(card: &Vouched) -> String {
    match card {
        Ok(said) => format!("Its maker vouches for the card's keys: {}.", words::card_number(said)),
        Err(why) => format!("The card is unattested: {why}."),
    }
}

/// Another card for a person.
pub(super) fn replace_card(organization: &str, register_number: &str, card: &Vouched) -> Shown {
    Shown::english(format!(
        "{organization} gives the person with register number {register_number} this card. The one before opens \
         and signs nothing more. {}",
        vouched(card)
    ))
}

/// What a guardian does for committees.
pub(super) fn committee_tap(owed: &[Owed]) -> Shown {
    let names: Vec<_> = owed.iter().map(|o| o.name.as_str()).collect();
    Shown::english(format!(
        "You guard emergency access with others (committee {}). This tap does your part in making the key, which nobody \
         ever holds whole. It opens nothing.",
        names.join(", ")
    ))
}

/// Suspending a person.
pub(super) fn suspend_person(organization: &str, register_number: &str) -> Shown {
    Shown::english(format!(
        "{organization} suspends the person with register number {register_number}. The card opens nothing more."
    ))
}

/// Anything that an organization decides for itself.
pub(super) fn organization_act(organization: &str, what: &str) -> Shown {
    Shown::english(format!("{organization} decides: {what}."))
}

/// Filing records.
pub(super) fn add_records(organization: &str, filed: &[(Category, String)]) -> Shown {
    let names: Vec<_> =
        filed.iter().map(|(category, title)| format!("{title} ({})", category_name(*category))).collect();
    Shown::english(format!("{organization} files for this patient: {}.", names.join("; ")))
}

/// What of a record changes, and who signs it.
pub(super) fn amend_record(
    organization: &str,
    now: &RecordEntry,
    asked: &AmendRecord,
    patient_alone: bool,
) -> Shown {
    let mut parts = Vec::new();
    parts.extend(asked.title.as_ref().map(|title| format!("its title: {title}")));
    parts.extend(asked.category.map(|category| format!("it belongs to your {}", category_name(category))));
    parts.extend(asked.label.map(|label| format!("it is {}", label_name(label))));
    let signed = if patient_alone {
        "You sign this alone.".to_owned()
    } else {
        format!("The patient and {organization} sign this together.")
    };
    Shown::english(format!(
        "This paper is changed: {} ({}). From now on, {}. Who may read it follows from that. The file itself stays as \
         it is. {signed}",
        now.title,
        category_name(now.category),
        parts.join("; "),
    ))
}

const fn label_name(label: Label) -> &'static str {
    match label {
        Label::Normal => "of normal sensitivity",
        Label::Restricted => "sensitive",
        Label::VeryRestricted => "very sensitive",
    }
}

/// An access, which the session's card signs without a question.
pub(super) fn access(purpose: &str) -> Shown {
    Shown::english(format!("A record is opened. Why: {purpose}."))
}

/// A revocation.
pub(super) fn revoke(what: &str) -> Shown {
    Shown::english(format!(
        "You stop this: {what}. It stops at once where there is a line, and elsewhere when the line is back. New \
         papers are locked away from them."
    ))
}

/// An erasure, of papers by their titles or, without any, of everything.
pub(super) fn erase(titles: &[String], not_before: u64, organizations: &[String]) -> Shown {
    let what = if titles.is_empty() {
        "everything that is kept of you is destroyed".to_owned()
    } else {
        format!("these papers are destroyed: {}", titles.join(", "))
    };
    let agrees = match organizations {
        [] => String::new(),
        names => format!(" {} must agree.", names.join(" and ")),
    };
    Shown::english(format!(
        "You order that {what}, wherever it lies. Nobody can bring it back. Until {} you can take this order back at any \
         desk.{agrees} By law it stays on record that this was done, and for three years who had read your papers, \
         without their names.",
        day(not_before),
    ))
}

/// An erasure that is taken back.
pub(super) fn take_back() -> Shown {
    Shown::english("You take your order back: nothing of yours is destroyed.".to_owned())
}

/// A block from which a node goes on.
pub(super) fn checkpoint(organization: &str, height: u64, block: &BlockHash) -> Shown {
    Shown::english(format!(
        "{organization}'s node goes on from block {height}, {block}. Compare this with a node that you trust: whoever \
         gives you another block gives you another history."
    ))
}

/// What of a tier is opened, in a few words.
const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Full => "the whole record, but for private notes",
        Tier::Card | Tier::Summary | Tier::Offline => "the emergency summary",
        Tier::Recovery => "the way back to a lost card",
    }
}

/// Why the glass is broken, in words.
const fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::Unconscious => "the patient is unconscious",
        Reason::AllergyOrMedicine => "allergies or medicines must be known at once",
        Reason::UrgentSurgery => "an operation can't wait",
        Reason::LackOfCapacity => "the patient can't decide now",
        Reason::CardUnusable => "the card can't be used and care can't wait",
        Reason::Other => "another reason",
    }
}

fn why(reason: Reason, said: &str) -> String {
    let said = said.trim();
    if said.is_empty() { reason_name(reason).into() } else { format!("{}: {said}", reason_name(reason)) }
}

/// The minute of a time, in UTC.
fn minute(at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis);
    at.map_or_else(|_| "further notice".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Asking for break-glass.
pub(super) fn ask_emergency(organization: &str, tier: Tier, reason: Reason, said: &str, until: u64) -> Shown {
    let (_, people) = tier.committee().unwrap_or(("", 0));
    Shown::english(format!(
        "{organization} asks to open {} of a patient who can't consent. Why: {}. Until {}. {people} guardians must \
         approve. The patient will see this, who approved, and everything that you read; it will be reviewed.",
        tier_name(tier),
        why(reason, said),
        minute(until),
    ))
}

/// A guardian's approval.
pub(super) fn approve_emergency(
    organization: &str,
    requester: &PersonId,
    tier: Tier,
    (reason, said): (Reason, &str),
    until: u64,
) -> Shown {
    let mut person = requester.to_string();
    person.truncate(16);
    Shown::english(format!(
        "Person {person} of {organization} asks to open {} of a patient who can't consent. Why: {}. Until {}. You approve \
         this as a guardian. The patient will see your name with it.",
        tier_name(tier),
        why(reason, said),
        minute(until),
    ))
}

/// Closing what was released.
pub(super) fn close_emergency(wrong_patient: bool) -> Shown {
    let why = if wrong_patient { "It was the wrong patient." } else { "The emergency is over." };
    Shown::english(format!("The emergency access is closed at once. {why}"))
}

/// A review.
pub(super) fn review_emergency(outcome: Outcome, said: &str) -> Shown {
    let found = match outcome {
        Outcome::Justified => "there was an emergency",
        Outcome::NotJustified => "there was no emergency",
        Outcome::Unclear => "it can't be told whether there was an emergency",
    };
    Shown::english(format!("You reviewed an emergency access and found: {found}. {}", said.trim()))
}

/// A vote.
pub(super) fn vote(organization: &str, what: &str) -> Shown {
    Shown::english(format!("{organization} agrees for the federation: {what}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> ConsentText {
        ConsentText {
            grantee: "Green Hill Clinic".into(),
            categories: vec![Category::Laboratory, Category::Letters],
            titles: Vec::new(),
            label: Label::Normal,
            rights: 1,
            from: "2026-02-03".into(),
            until: "2026-02-20".into(),
            purpose: "treatment",
            one_time: false,
        }
    }

    #[test]
    fn a_consent_says_who_what_why_how_long_and_how_to_stop() {
        let shown = text().shown();
        assert_eq!(
            shown.text,
            "Green Hill Clinic may read your lab results, letters. Why: treatment. From 2026-02-03 until 2026-02-20. \
             You can stop this any day, at any desk. If you say no, your care goes on.",
            "the whole text"
        );
        assert!(shown.text.split_whitespace().count() <= 60, "within 60 words");
        let wider = ConsentText { label: Label::Restricted, ..text() }.shown();
        assert_ne!(wider.text, shown.text, "a wider consent reads differently");
    }
}
