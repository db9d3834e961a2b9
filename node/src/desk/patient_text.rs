//! What a patient reads before a tap, in the patient's language: short sentences of who, what, why, how long, how to
//! stop.
//!
//! Deterministic functions of what is signed; the hash of the text and the language it is in are in the signature.
//! The sentences stand in `assets/texts`. What only staff reads is in `text`, in English. Nothing here knows keys
//! or cards.

use hospes_protocol::emergency::{Outcome, Reason, Tier};
use hospes_protocol::ids::{OrganizationId, PatientId, PersonId, StudyId};
use hospes_protocol::keys::KeyError;
use hospes_protocol::personal::{Anonymity, Category, Grantee, Label, Purpose};
use hospes_protocol::policy::View as _;
use hospes_service::service::Service;

use super::amendments::AmendRecord;
use super::error::DeskError;
use super::language::{Language, Value};
use super::sign_in::name_of;
use super::taps::Shown;
use super::text;
use crate::words::{self, ANONYMITY, CATEGORIES, LABELS, OUTCOMES, PURPOSES, REASONS};

/// Digits of a study's id that are shown.
const STUDY_DIGITS: usize = 16;

/// The language of a patient, as far as the patient's entry is here.
///
/// # Errors
/// Of the store.
pub(super) fn language_of(service: &Service, patient: &PatientId) -> Result<Language, DeskError> {
    let entry = service.view().patient(patient)?;
    Ok(entry.map_or(Language::English, |known| Language::of(&known.entry.language)))
}

/// What a patient reads before a consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConsentText {
    /// The patient's.
    pub(super) language: Language,
    /// Who may: [`grantee_name`].
    pub(super) grantee: String,
    /// Categories; empty where single records are named.
    pub(super) categories: Vec<Category>,
    /// Titles of single records; null for one that is not here.
    pub(super) titles: Vec<Option<String>>,
    /// The highest label.
    pub(super) label: Label,
    /// Sum of rights.
    pub(super) rights: u64,
    /// From, in milliseconds since 1970 UTC.
    pub(super) from: u64,
    /// Until, exclusive.
    pub(super) until: u64,
    /// For what.
    pub(super) purpose: Purpose,
    /// The study, and how data leave for it.
    pub(super) study: Option<(StudyId, Anonymity)>,
    /// Whether one use ends it.
    pub(super) one_time: bool,
    /// Whether changes need two signatures.
    pub(super) two_signatures: bool,
}

impl ConsentText {
    /// The text, of some 60 words.
    pub(super) fn shown(&self) -> Shown {
        let language = self.language;
        let mut sentences = vec![self.may(), self.why()];
        sentences.extend(self.study.map(|(study, anonymity)| study_text(language, study, anonymity)));
        sentences.push(self.when());
        if self.label != Label::Normal {
            let label = Value::Form(words::name(&LABELS, &self.label));
            sentences.push(language.say("consent-label", &[("label", label)]));
        }
        let conditions = [(self.one_time, "consent-once"), (self.two_signatures, "consent-two-signatures")];
        sentences.extend(conditions.iter().filter(|(set, _)| *set).map(|(_, key)| language.say(key, &[])));
        sentences.push(language.say("consent-stop", &[]));
        shown(language, &sentences)
    }

    fn may(&self) -> String {
        let (grantee, what) = (Value::Words(&self.grantee), self.what());
        let rights = Value::Form(rights_form(self.rights));
        let values = [("rights", rights), ("grantee", grantee), ("what", Value::Words(&what))];
        self.language.say("consent-may", &values)
    }

    fn why(&self) -> String {
        let purpose = purpose(self.language, self.purpose);
        self.language.say("consent-why", &[("purpose", Value::Words(&purpose))])
    }

    fn when(&self) -> String {
        // The period ends before this instant, so the day before it is the last.
        let (from, until) = (self.language.day(self.from), self.language.day(self.until.saturating_sub(1)));
        let values = [("from", Value::Words(&from)), ("until", Value::Words(&until))];
        self.language.say("consent-when", &values)
    }

    fn what(&self) -> String {
        let Self { language, categories, titles, .. } = self;
        let everything = |c: &Category| categories.contains(c) != (*c == Category::PrivateNotes);
        if Category::ALL.iter().all(everything) {
            return language.say("what-everything", &[]);
        }
        let title = |title: &Option<String>| match title {
            Some(title) => language.name(title),
            None => language.say("paper-elsewhere", &[]),
        };
        let (key, list): (_, Vec<_>) = if categories.is_empty() {
            ("what-papers", titles.iter().map(title).collect())
        } else {
            ("what-categories", categories.iter().map(|c| category(*language, *c)).collect())
        };
        language.say(key, &[("list", Value::Words(&language.list(&list)))])
    }
}

fn study_text(language: Language, study: StudyId, anonymity: Anonymity) -> String {
    let (mut study, anonymity) = (study.to_string(), Value::Form(words::name(&ANONYMITY, &anonymity)));
    study.truncate(STUDY_DIGITS);
    language.say("consent-study", &[("anonymity", anonymity), ("study", Value::Name(&study))])
}

/// What a patient reads who names hospitals for emergencies without a line, or takes that back by naming none.
pub(super) fn named_hospitals(language: Language, names: &[String]) -> Shown {
    if names.is_empty() {
        return shown(language, &[language.say("emergency-at-none", &[])]);
    }
    let names: Vec<_> = names.iter().map(|name| language.name(name)).collect();
    let list = language.list(&names);
    let sentences = ["emergency-at", "emergency-at-how", "emergency-at-seen"]
        .map(|key| language.say(key, &[("hospitals", Value::Words(&list))]));
    shown(language, &sentences)
}

fn shown(language: Language, sentences: &[String]) -> Shown {
    Shown { text: language.sentences(sentences), language }
}

const fn rights_form(rights: u64) -> &'static str {
    match rights {
        1 => "read",
        2 => "write",
        3 => "read-write",
        4 => "share",
        5 => "read-share",
        6 => "write-share",
        // The widest: a text never says less than what is signed.
        _ => "read-write-share",
    }
}

fn category(language: Language, category: Category) -> String {
    language.say("category", &[("category", Value::Form(words::name(&CATEGORIES, &category)))])
}

fn purpose(language: Language, purpose: Purpose) -> String {
    language.say("purpose", &[("purpose", Value::Form(words::name(&PURPOSES, &purpose)))])
}

fn record(language: Language, title: &str, of: Category) -> String {
    let category = category(language, of);
    language.say("record-named", &[("title", Value::Name(title)), ("category", Value::Words(&category))])
}

/// A grantee, for people.
pub(super) fn grantee_name(service: &Service, grantee: &Grantee, language: Language) -> String {
    let name = |organization: &OrganizationId| name_of(service, organization);
    match grantee {
        Grantee::Person(id) => match service.state().membership.people.get(id) {
            Some(person) => language.say(
                "grantee-person",
                &[
                    ("number", Value::Name(&person.register_number)),
                    ("organization", Value::Name(&name(&person.organization))),
                ],
            ),
            None => language.say("grantee-unknown", &[]),
        },
        Grantee::Organization(id) => language.name(&name(id)),
        Grantee::Role(id, role) => {
            let values = [("role", Value::Name(role)), ("organization", Value::Name(&name(id)))];
            language.say("grantee-role", &values)
        }
        Grantee::Code(_) => language.say("grantee-code", &[]),
        Grantee::Proxy(_) => language.say("grantee-proxy", &[]),
    }
}

fn about(language: Language, key: &str, name: &'static str, value: Value<'_>) -> Shown {
    shown(language, &[language.say(key, &[(name, value)])])
}

/// Signing in.
pub(super) fn sign_in(language: Language, organization: &str) -> Shown {
    about(language, "sign-in", "organization", Value::Name(organization))
}

/// Enrolling a patient.
pub(super) fn create_patient(language: Language, organization: &str) -> Shown {
    about(language, "create-patient", "organization", Value::Name(organization))
}

/// Filing records.
pub(super) fn add_records(language: Language, organization: &str, filed: &[(Category, String)]) -> Shown {
    let named: Vec<_> = filed.iter().map(|(category, title)| record(language, title, *category)).collect();
    let list = language.list(&named);
    let values = [("organization", Value::Name(organization)), ("list", Value::Words(&list))];
    shown(language, &[language.say("add-records", &values)])
}

/// What of a record, by its title and category, changes, and who signs it.
pub(super) fn amend_record(
    language: Language,
    organization: &str,
    (title, of): (&str, Category),
    asked: &AmendRecord,
    patient_alone: bool,
) -> Shown {
    let say = |key: &str, name, value: Value<'_>| language.say(key, &[(name, value)]);
    let mut sentences = vec![say("amend-what", "record", Value::Words(&record(language, title, of)))];
    sentences.extend(asked.title.as_ref().map(|title| say("amend-title", "title", Value::Name(title))));
    sentences.extend(asked.category.map(|new| {
        let new = category(language, new);
        say("amend-category", "category", Value::Words(&new))
    }));
    let label = |label: Label| Value::Form(words::name(&LABELS, &label));
    sentences.extend(asked.label.map(|new| say("amend-label", "label", label(new))));
    sentences.push(language.say("amend-rest", &[]));
    sentences.push(if patient_alone {
        language.say("amend-alone", &[])
    } else {
        say("amend-both", "organization", Value::Name(organization))
    });
    shown(language, &sentences)
}

/// An access, which the session's card signs without a question.
pub(super) fn access(language: Language, why: Purpose) -> Shown {
    about(language, "access", "purpose", Value::Words(&purpose(language, why)))
}

/// A revocation; of everything without grantees.
pub(super) fn revoke(language: Language, grantees: &[String]) -> Shown {
    let list = match grantees {
        [] => language.say("revoke-everyone", &[]),
        some => language.list(some),
    };
    about(language, "revoke", "list", Value::Words(&list))
}

/// An erasure, of papers by their titles or, without any, of everything.
pub(super) fn erase(
    language: Language,
    titles: &[String],
    not_before: u64,
    organizations: &[String],
) -> Shown {
    let names = |names: &[String]| {
        let names: Vec<_> = names.iter().map(|name| language.name(name)).collect();
        language.list(&names)
    };
    let say = |key: &str, name, value: &str| language.say(key, &[(name, Value::Words(value))]);
    let what = match titles {
        [] => language.say("erase-everything", &[]),
        titles => say("erase-papers", "list", &names(titles)),
    };
    let mut sentences = vec![what, say("erase-until", "day", &language.day(not_before))];
    if !organizations.is_empty() {
        sentences.push(say("erase-agree", "list", &names(organizations)));
    }
    sentences.push(language.say("erase-stays", &[]));
    shown(language, &sentences)
}

/// An erasure that is taken back.
pub(super) fn take_back(language: Language) -> Shown {
    shown(language, &[language.say("take-back", &[])])
}

/// An emergency, as its patient reads it.
#[derive(Clone, Debug)]
pub(crate) struct EmergencyNotice<'a> {
    /// Who asked.
    pub(crate) requester: &'a PersonId,
    /// `asked`, `lapsed`, `open` or `over`.
    pub(crate) state: &'static str,
    /// What was asked for.
    pub(crate) tier: Tier,
    /// Why.
    pub(crate) reason: Reason,
    /// In the requester's words; may be empty.
    pub(crate) text: &'a str,
    /// What the newest review found.
    pub(crate) review: Option<Outcome>,
}

/// What a patient's list says of an emergency.
pub(crate) fn emergency(service: &Service, notice: &EmergencyNotice<'_>, language: Language) -> String {
    let grantee = grantee_name(service, &Grantee::Person(*notice.requester), language);
    emergency_of(&grantee, notice, language)
}

fn emergency_of(grantee: &str, notice: &EmergencyNotice<'_>, language: Language) -> String {
    let choose = |key: &str, name, form: &'static str| language.say(key, &[(name, Value::Form(form))]);
    let tier = if notice.tier == Tier::Full { "full" } else { "summary" };
    let what = choose("emergency-what", "tier", tier);
    let (state, grantee) = (Value::Form(notice.state), Value::Words(grantee));
    let values = [("state", state), ("grantee", grantee), ("what", Value::Words(&what))];
    let mut sentences = vec![language.say("emergency", &values)];
    sentences.push(choose("emergency-why", "reason", words::name(&REASONS, &notice.reason)));
    let text = notice.text.trim().trim_end_matches('.');
    if !text.is_empty() {
        sentences.push(language.say("emergency-text", &[("text", Value::Name(text))]));
    }
    let outcome = notice.review.map_or("none", |found| words::name(&OUTCOMES, &found));
    sentences.push(choose("emergency-review", "outcome", outcome));
    language.sentences(&sentences)
}

/// Notice of these organizations that a new card is to take the place of a lost one.
pub(super) fn recovery_notice(language: Language, organizations: &[String], delay_ms: u64) -> Shown {
    let names: Vec<_> = organizations.iter().map(|name| language.name(name)).collect();
    let (list, hours) = (language.list(&names), delay_ms.div_ceil(3_600_000).to_string());
    let sentences = [
        language.say("recovery-notice", &[("list", Value::Words(&list))]),
        language.say("recovery-wait", &[("hours", Value::Words(&hours))]),
    ];
    shown(language, &sentences)
}

/// A contest of a notice.
pub(super) fn recovery_contest(language: Language) -> Shown {
    shown(language, &[language.say("recovery-contest", &[])])
}

/// Asking guardians for the way back.
pub(super) fn recovery_request(language: Language, organization: &str, until: u64) -> Shown {
    let until = language.name(&text::minute(until));
    let values = [("organization", Value::Name(organization)), ("until", Value::Words(&until))];
    shown(language, &[language.say("recovery-request", &values)])
}

/// A new card in the place of a lost one.
pub(super) fn recovery_finish(language: Language, organization: &str) -> Shown {
    about(language, "recovery-finish", "organization", Value::Name(organization))
}

/// What the screen says when an act was not done, by its code; what concerns no patient is told at the desk.
pub(super) fn not_done(language: Language, error: &DeskError) -> String {
    if let DeskError::Key(KeyError::WrongPin { tries_left }) = error
        && *tries_left > 0
    {
        return language.say("wrong-pin", &[("tries", Value::Count(*tries_left))]);
    }
    let code = match error {
        DeskError::Key(KeyError::WrongPin { .. }) => "pin-blocked".to_owned(),
        other => other.code(),
    };
    language.say(if language.has(&code) { &code } else { "not-done" }, &[])
}

#[cfg(test)]
mod tests;
