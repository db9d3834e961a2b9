//! Identifying strings of FHIR R4 in JSON, found by element name at any depth.
//!
//! Deliberately without a model of the resources: an extension or a contained resource is walked like everything
//! else. Called by `scan::extract`.

use serde_json::{Map, Value};

use super::{Kind, Taken};

/// Elements that point to a person, with a name in `display`.
const PERSON_REFERENCES: [&str; 9] = [
    "subject",
    "patient",
    "performer",
    "individual",
    "provider",
    "author",
    "actor",
    "practitioner",
    "generalPractitioner",
];
/// Resources whose `name` is a plain string and names an institution or a place of care.
const NAMED_RESOURCES: [&str; 3] = ["Organization", "Location", "HealthcareService"];

pub(super) fn take(bytes: &[u8], taken: &mut Taken) -> Option<()> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(text).ok()?;
    walk("", &value, taken);
    Some(())
}

/// Bounded by serde_json, which refuses what is nested deeper than 128 levels.
fn walk(element: &str, value: &Value, taken: &mut Taken) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(element, item, taken)),
        Value::Object(fields) => {
            object(element, fields, taken);
            fields.iter().for_each(|(name, field)| walk(name, field, taken));
        }
        Value::String(text) if element == "birthDate" => taken.birth_date(text),
        _ => {}
    }
}

fn object(element: &str, fields: &Map<String, Value>, taken: &mut Taken) {
    match element {
        "name" | "valueHumanName" => human_name(fields, taken),
        "address" | "valueAddress" => address(fields, taken),
        "telecom" | "valueContactPoint" => taken.add(Kind::Telecom, text(fields, "value")),
        "identifier" | "valueIdentifier" => taken.add(Kind::Identifier, text(fields, "value")),
        "coding" | "valueCoding" => taken.code(text(fields, "code")),
        _ if PERSON_REFERENCES.contains(&element) => taken.add(Kind::Name, text(fields, "display")),
        _ => {}
    }
    if NAMED_RESOURCES.contains(&text(fields, "resourceType")) {
        taken.add(Kind::Name, text(fields, "name"));
    }
    if text(fields, "url").ends_with("mothersMaidenName") {
        taken.add(Kind::Name, text(fields, "valueString"));
    }
}

fn human_name(fields: &Map<String, Value>, taken: &mut Taken) {
    taken.add(Kind::Name, text(fields, "text"));
    taken.person(&texts(fields, "given"), text(fields, "family"));
}

fn address(fields: &Map<String, Value>, taken: &mut Taken) {
    for line in texts(fields, "line") {
        taken.add(Kind::Address, line);
    }
    for part in ["text", "city", "district", "state", "postalCode", "country"] {
        taken.add(Kind::Address, text(fields, part));
    }
}

fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn texts<'a>(fields: &'a Map<String, Value>, name: &str) -> Vec<&'a str> {
    let items = fields.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).collect()
}
