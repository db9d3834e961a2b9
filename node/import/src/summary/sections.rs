//! The sections of the summary and which entries of a chart belong in each.
//!
//! Current matters are listed: active problems, current medication, every allergy, the newest of each vaccination,
//! procedure and laboratory test. An entry must name the patient of the summary; what names another is left out and
//! counted. Nothing here writes text or JSON of the document. Called by the parent module.

use super::Chart;
use crate::fhir::bundle::{Bundle, subject};
use crate::fhir::resource::{LOINC, code, codes, has_code, items, kind, latest, text};
use crate::sensitivity::is_void;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a section is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Allergies,
    Medications,
    Problems,
    Immunizations,
    Procedures,
    Devices,
    Results,
    Pregnancy,
    AdvanceDirectives,
}

/// A section of the IPS.
pub(super) struct Section {
    pub(super) subject: Subject,
    pub(super) title: &'static str,
    pub(super) loinc: &'static str,
    pub(super) display: &'static str,
    /// The guide demands the section even when it is empty.
    pub(super) required: bool,
}

const fn section(
    subject: Subject,
    title: &'static str,
    loinc: &'static str,
    display: &'static str,
    required: bool,
) -> Section {
    Section { subject, title, loinc, display, required }
}

/// The sections in the order in which somebody in a hurry reads them; codes from the IPS guide's Composition.
pub(super) const SECTIONS: [Section; 9] = [
    section(
        Subject::Allergies,
        "Allergies and Intolerances",
        "48765-2",
        "Allergies and adverse reactions Document",
        true,
    ),
    section(
        Subject::Medications,
        "Medication Summary",
        "10160-0",
        "History of Medication use Narrative",
        true,
    ),
    section(Subject::Problems, "Active Problems", "11450-4", "Problem list - Reported", true),
    section(
        Subject::AdvanceDirectives,
        "Advance Directives",
        "42348-3",
        "Advance healthcare directives",
        false,
    ),
    section(
        Subject::Devices,
        "Implants and Medical Devices",
        "46264-8",
        "History of medical device use",
        false,
    ),
    section(Subject::Pregnancy, "Pregnancy", "10162-6", "History of pregnancies Narrative", false),
    section(Subject::Procedures, "History of Procedures", "47519-4", "History of Procedures Document", false),
    section(Subject::Immunizations, "Immunizations", "11369-6", "History of Immunization note", false),
    section(Subject::Results, "Results", "30954-2", "Relevant diagnostic tests/laboratory data note", false),
];

/// A summary is read in a minute: at most this many procedures, vaccinations or results each, the newest first.
const NEWEST_MAX: usize = 40;

/// Pregnancy status, due dates and outcomes (IPS).
const PREGNANCY: [&str; 9] =
    ["82810-3", "11778-8", "11779-6", "11780-4", "11636-8", "11637-6", "11638-4", "11639-2", "11640-0"];

/// Categories and scopes of a Consent that make it an advance directive (R4 consentcategorycodes, consentscope, LOINC).
const DIRECTIVE_CATEGORIES: [&str; 8] =
    ["acd", "dnr", "hcd", "polst", "emrgonly", "59284-0", "42348-3", "64298-3"];

/// What a section will list.
#[derive(Default)]
pub(super) struct Selection {
    /// Positions in the source bundle, in the order of the section.
    pub(super) entries: Vec<usize>,
    /// Device resources that lack the statement of use by which the IPS lists them.
    pub(super) implants: Vec<usize>,
    /// Left out because restricted.
    pub(super) withheld: usize,
    /// Left out because they name another patient or none.
    pub(super) foreign: usize,
    /// Left out because no longer current.
    pub(super) past: usize,
    /// Left out because there is a newer one of the same kind, or too many.
    pub(super) older: usize,
    /// The reason that the source itself gives for an empty list.
    declared: Option<Value>,
}

impl Selection {
    /// Whether there is nothing to tell of this section, not even that something is absent or withheld.
    pub(super) fn is_silent(&self) -> bool {
        self.is_empty() && self.withheld + self.foreign + self.past == 0 && self.declared.is_none()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.implants.is_empty()
    }

    /// Why the section is empty (R4 list-empty-reason). `nilknown` is somebody's judgement, so it is only passed on.
    pub(super) fn empty_reason(&self) -> Value {
        match &self.declared {
            _ if self.withheld > 0 => {
                reason("withheld", "Information Withheld", "Entries exist and are withheld.")
            }
            Some(declared) => declared.clone(),
            None if self.past > 0 => {
                reason("unavailable", "Unavailable", "The source lists entries, none of them current.")
            }
            None => reason("unavailable", "Unavailable", "The source says nothing about this."),
        }
    }

    /// The code of the reason, for the narrative.
    pub(super) fn empty_code(&self) -> String {
        let reason = self.empty_reason();
        code(&json!({ "reason": reason }), "reason").to_owned()
    }
}

fn reason(code: &str, display: &str, words: &str) -> Value {
    let system = "http://terminology.hl7.org/CodeSystem/list-empty-reason";
    json!({"coding": [{"system": system, "code": code, "display": display}], "text": words})
}

/// Whether an entry counts for a section.
enum Standing {
    Current,
    Past,
    Not,
}

/// Selects the entries of one section for the patient at `patient`.
pub(super) fn select(chart: &Chart<'_>, patient: usize, section: &Section) -> Selection {
    let bundle = &chart.bundle;
    let mut found = Selection { declared: declared_empty(bundle, section), ..Selection::default() };
    for (position, resource) in bundle.resources.iter().copied().enumerate() {
        match standing(section.subject, resource) {
            Standing::Not => {}
            _ if subject(resource).and_then(|of| bundle.resolve(of)) != Some(patient) => found.foreign += 1,
            _ if section.subject != Subject::Allergies && chart.is_withheld(position) => found.withheld += 1,
            Standing::Past => found.past += 1,
            Standing::Current if kind(resource) == "Device" => found.implants.push(position),
            Standing::Current => found.entries.push(position),
        }
    }
    arrange(bundle, section.subject, &mut found);
    found
}

/// Orders the entries and drops what a newer one replaces.
fn arrange(bundle: &Bundle<'_>, of: Subject, found: &mut Selection) {
    let resource = |position: usize| bundle.resources.get(position).copied().unwrap_or(&Value::Null);
    match of {
        Subject::Allergies => {
            found
                .entries
                .sort_by_key(|position| (text(resource(*position), "criticality") != "high", *position));
        }
        Subject::Devices => {
            // A device that a statement of use lists already isn't listed twice.
            let used: Vec<usize> = found
                .entries
                .iter()
                .filter_map(|entry| bundle.resolve(resource(*entry).get("device")?))
                .collect();
            found.implants.retain(|device| !used.contains(device));
        }
        Subject::Problems | Subject::Medications | Subject::AdvanceDirectives => {
            newest_first(bundle, &mut found.entries)
        }
        Subject::Immunizations | Subject::Procedures | Subject::Results | Subject::Pregnancy => {
            let all = found.entries.len();
            newest_first(bundle, &mut found.entries);
            let mut seen = BTreeMap::new();
            found
                .entries
                .retain(|position| seen.insert(sort_of(resource(*position), *position), ()).is_none());
            found.entries.truncate(NEWEST_MAX);
            found.older = all - found.entries.len();
        }
    }
}

fn newest_first(bundle: &Bundle<'_>, entries: &mut [usize]) {
    let date = |position: usize| bundle.resources.get(position).and_then(|resource| latest(resource));
    entries.sort_by_cached_key(|position| std::cmp::Reverse((date(*position), *position)));
}

/// What makes two entries of the same sort: the first code, else the words, else nothing at all.
fn sort_of(resource: &Value, position: usize) -> String {
    let concept = resource.get("vaccineCode").or_else(|| resource.get("code"));
    let coding = concept.and_then(|concept| items(concept, "coding").next());
    match (coding, concept) {
        (Some(coding), _) => format!("{}|{}", text(coding, "system"), text(coding, "code")),
        (None, Some(concept)) if !text(concept, "text").is_empty() => text(concept, "text").to_owned(),
        _ => position.to_string(),
    }
}

fn standing(of: Subject, resource: &Value) -> Standing {
    if is_void(resource) {
        return Standing::Not;
    }
    let status = text(resource, "status");
    let current = |current: bool| if current { Standing::Current } else { Standing::Past };
    match (of, kind(resource)) {
        (Subject::Allergies, "AllergyIntolerance") => Standing::Current,
        (Subject::Problems, "Condition") => current(is_active(resource)),
        (Subject::Medications, "MedicationRequest")
            if !matches!(text(resource, "intent"), "proposal" | "option") =>
        {
            current(matches!(status, "active" | "on-hold" | "unknown" | ""))
        }
        (Subject::Medications, "MedicationStatement") => {
            current(matches!(status, "active" | "intended" | "on-hold" | "unknown" | ""))
        }
        (Subject::Immunizations, "Immunization") if status == "completed" => Standing::Current,
        (Subject::Procedures, "Procedure") if matches!(status, "completed" | "in-progress") => {
            Standing::Current
        }
        (Subject::Devices, "DeviceUseStatement") => current(matches!(status, "active" | "on-hold" | "")),
        (Subject::Devices, "Device") if resource.get("patient").is_some() => {
            current(matches!(status, "active" | "unknown" | ""))
        }
        (Subject::Pregnancy, "Observation")
            if is_final(status) && has_code(resource, "code", LOINC, &PREGNANCY) =>
        {
            Standing::Current
        }
        (Subject::Results, "Observation") if is_final(status) && is_result(resource) => Standing::Current,
        (Subject::AdvanceDirectives, "Consent") if is_directive(resource) => current(status == "active"),
        _ => Standing::Not,
    }
}

/// A condition without a status counts as active unless it has an end.
fn is_active(condition: &Value) -> bool {
    match code(condition, "clinicalStatus") {
        "" => {
            !condition.as_object().is_some_and(|fields| fields.keys().any(|key| key.starts_with("abatement")))
        }
        status => matches!(status, "active" | "recurrence" | "relapse"),
    }
}

fn is_final(status: &str) -> bool {
    matches!(status, "final" | "amended" | "corrected")
}

fn is_result(observation: &Value) -> bool {
    let has_value = observation
        .as_object()
        .is_some_and(|fields| fields.keys().any(|key| key.starts_with("value") || key == "component"));
    has_value
        && codes(observation, "category").any(|category| category == "laboratory")
        && !has_code(observation, "code", LOINC, &PREGNANCY)
}

fn is_directive(consent: &Value) -> bool {
    code(consent, "scope") == "adr"
        || codes(consent, "category").any(|code| DIRECTIVE_CATEGORIES.contains(&code))
}

/// The reason for emptiness that a List or a document section of the same code in the source gives.
fn declared_empty(bundle: &Bundle<'_>, section: &Section) -> Option<Value> {
    let lists =
        bundle.resources.iter().copied().filter(|resource| kind(resource) == "List" && !is_void(resource));
    let parts = bundle.composition().into_iter().flat_map(|composition| items(composition, "section"));
    let declared = lists.chain(parts).filter(|part| has_code(part, "code", LOINC, &[section.loinc]));
    declared.filter_map(|part| part.get("emptyReason")).find(|reason| reason.is_object()).cloned()
}
