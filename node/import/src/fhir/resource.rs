//! Reading single elements of FHIR resources kept as JSON values.
//!
//! Everything is optional here, since files come from many systems: what is missing or of another type reads as
//! absent. Nothing is interpreted beyond the data types of FHIR R4. Called by the modules for FHIR and summaries.

use crate::date;
use crate::identity::{Identifier, PatientIdentity};
use jiff::Timestamp;
use serde_json::Value;

pub(crate) const LOINC: &str = "http://loinc.org";
pub(crate) const SNOMED: &str = "http://snomed.info/sct";

/// The text of a field, empty if absent.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The type of a resource, empty if it has none.
pub(crate) fn kind(resource: &Value) -> &str {
    text(resource, "resourceType")
}

/// The elements of a field: those of an array, or the one object.
pub(crate) fn items<'a>(value: &'a Value, key: &str) -> std::slice::Iter<'a, Value> {
    match value.get(key) {
        Some(Value::Array(items)) => items.iter(),
        Some(Value::Null) | None => [].iter(),
        Some(single) => std::slice::from_ref(single).iter(),
    }
}

/// Whether a CodeableConcept, or one of an array of them, has a code of the system among `codes`.
pub(crate) fn has_code(value: &Value, key: &str, system: &str, codes: &[&str]) -> bool {
    items(value, key)
        .flat_map(|concept| items(concept, "coding"))
        .any(|coding| text(coding, "system") == system && codes.contains(&text(coding, "code")))
}

/// All codes of a CodeableConcept or an array of them, of whatever system.
pub(crate) fn codes<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    items(value, key).flat_map(|concept| items(concept, "coding")).map(|coding| text(coding, "code"))
}

/// The first code of a CodeableConcept, empty if it has none.
pub(crate) fn code<'a>(value: &'a Value, key: &str) -> &'a str {
    codes(value, key).next().unwrap_or_default()
}

/// What a CodeableConcept says to a reader: its text, else the first display, else the first code.
pub(crate) fn concept_text(concept: &Value) -> Option<&str> {
    let coded =
        |key| items(concept, "coding").map(move |coding| text(coding, key)).find(|found| !found.is_empty());
    Some(text(concept, "text"))
        .filter(|found| !found.is_empty())
        .or_else(|| coded("display"))
        .or_else(|| coded("code"))
}

/// What a resource is called: its code, vaccine, medication, type or name.
pub(crate) fn title(resource: &Value) -> Option<&str> {
    const CONCEPTS: [&str; 5] = ["code", "vaccineCode", "medicationCodeableConcept", "type", "category"];
    let plain = text(resource, "name");
    let named = CONCEPTS.into_iter().flat_map(|key| items(resource, key)).find_map(concept_text);
    Some(plain).filter(|name| !name.is_empty()).or(named)
}

/// At most 200 characters of a text, which is more than any name has.
pub(crate) fn brief(text: &str) -> &str {
    text.char_indices().nth(200).map_or(text, |(end, _)| &text[..end])
}

/// Where clinical resources keep the date that orders them, the most telling first.
const DATES: [&str; 14] = [
    "effectiveDateTime",
    "effectiveInstant",
    "occurrenceDateTime",
    "performedDateTime",
    "authoredOn",
    "onsetDateTime",
    "recordedDate",
    "dateTime",
    "started",
    "timingDateTime",
    "dateAsserted",
    "date",
    "issued",
    "recordedOn",
];
const PERIODS: [&str; 5] = ["performedPeriod", "effectivePeriod", "period", "timingPeriod", "onsetPeriod"];

/// The date of care that a resource documents, as written.
pub(crate) fn date(resource: &Value) -> Option<&str> {
    let direct = DATES.into_iter().map(|key| text(resource, key));
    let ranged = PERIODS.into_iter().filter_map(|key| resource.get(key)).map(|period| text(period, "start"));
    direct.chain(ranged).find(|found| date::day(found).is_some())
}

/// The latest date of care that a resource documents: beginning, end or recording.
pub(crate) fn latest(resource: &Value) -> Option<Timestamp> {
    let ends = PERIODS
        .into_iter()
        .filter_map(|key| resource.get(key))
        .flat_map(|period| [text(period, "start"), text(period, "end")]);
    let all = DATES.into_iter().map(|key| text(resource, key)).chain(ends);
    all.filter_map(date::instant).max()
}

/// Identifying data of a Patient resource.
pub(crate) fn identity(patient: &Value) -> PatientIdentity {
    let name = name(patient);
    let given = name.into_iter().flat_map(|name| items(name, "given")).filter_map(Value::as_str);
    let postal =
        items(patient, "address").map(|address| text(address, "postalCode")).find(|code| !code.is_empty());
    PatientIdentity {
        given: given.map(str::to_owned).collect(),
        family: name.map(|name| text(name, "family")).unwrap_or_default().to_owned(),
        birth_date: date::full_day(text(patient, "birthDate")).map(str::to_owned),
        identifiers: items(patient, "identifier").filter_map(identifier).collect(),
        postal_code: postal.map(str::to_owned),
        gender: Some(text(patient, "gender")).filter(|gender| !gender.is_empty()).map(str::to_owned),
    }
}

/// The official name, else the usual one, else the first that is neither old nor of maidenhood.
fn name(patient: &Value) -> Option<&Value> {
    let with_use =
        |wanted: &'static str| items(patient, "name").find(move |name| text(name, "use") == wanted);
    let current = || items(patient, "name").find(|name| !matches!(text(name, "use"), "old" | "maiden"));
    with_use("official").or_else(|| with_use("usual")).or_else(current)
}

fn identifier(identifier: &Value) -> Option<Identifier> {
    let value = text(identifier, "value");
    let system = text(identifier, "system").to_owned();
    (!value.is_empty()).then(|| Identifier { system, value: value.to_owned() })
}
