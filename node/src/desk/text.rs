//! What staff and organizations read before a tap: short English sentences.
//!
//! Deterministic functions of what is signed; the hash of the text is in the signature. What patients read is in
//! `patient_text`, in their languages. Nothing here knows keys or cards.

use hospes_protocol::emergency::{Outcome, Reason, Tier};
use hospes_protocol::ids::{BlockHash, PersonId};
use hospes_service::emergency::Witnessing;

use super::guardians::Owed;
use super::search::Choice;
use super::taps::Shown;
use super::vouched::Vouched;
use crate::words;

/// The day of a time in milliseconds since 1970 UTC, `YYYY-MM-DD`; null for one beyond the calendar.
pub(super) fn day(at_ms: u64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(at_ms).ok()?).ok()?;
    Some(at.strftime("%Y-%m-%d").to_string())
}

/// As [`day`], in a sentence.
pub(super) fn day_of(at_ms: u64) -> String {
    day(at_ms).unwrap_or_else(|| "further notice".to_owned())
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
pub(super) fn minute(at_ms: u64) -> String {
    let millis = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_millisecond(millis);
    at.map_or_else(|_| "further notice".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// Asking for break-glass.
pub(super) fn ask_emergency(
    organization: &str,
    tier: Tier,
    (reason, said): (Reason, &str),
    until: u64,
    choice: Option<&Choice>,
) -> Shown {
    let approve = match tier.committee() {
        Some((_, 0)) => {
            "Nobody else is asked: you open it alone, by the patient's card in the reader".to_owned()
        }
        Some((_, people)) => format!("{people} guardians must approve"),
        None => {
            "People of this hospital's own committee must approve, and its witness card must sign".to_owned()
        }
    };
    Shown::english(format!(
        "{organization} asks to open {} of a patient who can't consent. Why: {}. Until {}. {approve}. {}\
         The patient will see this, who approved, and everything that you read; it will be reviewed.",
        tier_name(tier),
        why(reason, said),
        minute(until),
        choice.map(chosen).unwrap_or_default(),
    ))
}

fn chosen(choice: &Choice) -> String {
    format!("You chose place {} of what search {} found, and nobody's card. ", choice.place, choice.search)
}

/// Looking for somebody without a card.
pub(super) fn find_patient(organization: &str) -> Shown {
    Shown::english(format!(
        "{organization} looks for a patient who has no card with him, by name and date of birth, at every hospital that \
         takes part. Whoever is found will see who looked, and when."
    ))
}

/// A hospital's own committee, for its card and the witness card.
pub(super) fn local_committee(organization: &str, said: &str) -> Shown {
    Shown::english(format!(
        "{organization} sets its own committee for emergencies without a line: {said}. With the witness card they open the \
         emergency summaries of patients who named {organization}."
    ))
}

/// The witness card's link.
pub(super) fn witness_emergency(organization: &str, asked: &Witnessing) -> Shown {
    let mut requester = asked.request.requester.to_string();
    requester.truncate(16);
    let number = asked.link.as_ref().map_or_else(|_| "as before".to_owned(), |link| link.counter.to_string());
    Shown::english(format!(
        "Emergency opening without a line at {organization}, number {number} in the log of this witness card: {} of a patient, \
         for person {requester}, until {}. It stays in the log, and the patient will see it once the line is back.",
        tier_name(Tier::Offline),
        minute(asked.request.until),
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
    if tier == Tier::Recovery {
        return Shown::english(format!(
            "Person {person} of {organization} asks to open the way back of a lost card to the new card that two \
             organizations gave notice of. Until {}. You approve this as a guardian. The patient will see your name with it.",
            minute(until),
        ));
    }
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
