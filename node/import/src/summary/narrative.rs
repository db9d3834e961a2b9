//! The human-readable part of each section: XHTML within what FHIR narratives allow.
//!
//! All text from the source is escaped; nothing of its own markup comes along. Says in words whether a section is
//! filled, known to be empty, withheld or unknown, and what was left out. English only: the document says so, and the
//! portal translates codes, not narratives. Called by the parent module.

use super::sections::{Section, Selection, Subject};
use crate::date;
use crate::fhir::bundle::Bundle;
use crate::fhir::resource::{brief, codes, concept_text, date as date_of, items, kind, text, title};
use serde_json::Value;

/// The narrative of a section.
pub(super) fn section(bundle: &Bundle<'_>, section: &Section, found: &Selection) -> String {
    let positions = found.entries.iter().chain(&found.implants);
    let resources = positions.filter_map(|position| bundle.resources.get(*position).copied());
    let lines: Vec<String> = resources
        .map(|resource| format!("<li>{}</li>", escape(&line(bundle, section.subject, resource))))
        .collect();
    let list = if lines.is_empty() { String::new() } else { format!("<ul>{}</ul>", lines.concat()) };
    let notes: Vec<String> = notes(found).iter().map(|note| format!("<p>{}</p>", escape(note))).collect();
    format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{list}{}</div>", notes.concat())
}

/// What the reader must know beyond the list.
fn notes(found: &Selection) -> Vec<String> {
    let mut notes = Vec::new();
    if found.is_empty() {
        let said = match found.empty_code().as_str() {
            "nilknown" => "None known, as the source states.",
            "withheld" if found.withheld == 0 => "Withheld, as the source states.",
            "withheld" => "Entries exist and are withheld.",
            "notasked" => "Not asked, as the source states.",
            _ if found.past > 0 => {
                "No current entries in the source. This is not a statement that there are none."
            }
            _ => "No information. This is not a statement that there are none.",
        };
        notes.push(said.to_owned());
    }
    let counted = [
        (found.withheld, "withheld because of their sensitivity; ask for the full record"),
        (found.foreign, "left out because they name another patient or none"),
        (found.past, "no longer current and not listed"),
        (found.older, "older or repeated and not listed"),
    ];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    notes.extend(counted.map(|(count, what)| format!("Entries {what}: {count}.")));
    notes
}

/// One entry as a line of plain text.
fn line(bundle: &Bundle<'_>, of: Subject, resource: &Value) -> String {
    // One long name that many entries refer to must not multiply.
    let name = brief(name(bundle, resource).unwrap_or("Unnamed entry"));
    let day = date_of(resource).and_then(date::day);
    let details: Vec<String> = match of {
        Subject::Allergies => allergy(resource),
        Subject::Medications => medication(resource),
        Subject::AdvanceDirectives => consent(resource),
        _ => vec![],
    };
    let value = value(resource).map(|value| format!(": {value}")).unwrap_or_default();
    let dated = day.map(|day| if of == Subject::Problems { format!("since {day}") } else { day.to_owned() });
    let details: Vec<String> = details.into_iter().chain(dated).collect();
    if details.is_empty() {
        format!("{name}{value}")
    } else {
        format!("{name}{value} ({})", details.join("; "))
    }
}

/// What the entry is called, looked up in the medication or device that it refers to where it has no name itself.
fn name<'a>(bundle: &Bundle<'a>, resource: &'a Value) -> Option<&'a str> {
    let referred = || ["medicationReference", "device"].iter().find_map(|key| bundle.follow(resource, key));
    match kind(resource) {
        "MedicationRequest" | "MedicationStatement" | "DeviceUseStatement" => resource
            .get("medicationCodeableConcept")
            .and_then(concept_text)
            .or_else(|| device_name(referred()?)),
        "Device" => device_name(resource),
        _ => title(resource),
    }
}

fn device_name(device: &Value) -> Option<&str> {
    let named = items(device, "deviceName").map(|name| text(name, "name")).find(|name| !name.is_empty());
    named.or_else(|| title(device))
}

fn allergy(resource: &Value) -> Vec<String> {
    let criticality = match text(resource, "criticality") {
        "high" => Some("high risk".to_owned()),
        "low" => Some("low risk".to_owned()),
        _ => None,
    };
    let status = codes(resource, "clinicalStatus").find(|status| *status != "active").map(str::to_owned);
    let unconfirmed = codes(resource, "verificationStatus")
        .find(|status| *status == "unconfirmed" || *status == "presumed");
    let reactions: Vec<&str> = items(resource, "reaction")
        .flat_map(|reaction| items(reaction, "manifestation"))
        .filter_map(concept_text)
        .collect();
    let reactions = (!reactions.is_empty()).then(|| format!("reactions: {}", reactions.join(", ")));
    [criticality, status, unconfirmed.map(str::to_owned), reactions].into_iter().flatten().collect()
}

fn medication(resource: &Value) -> Vec<String> {
    let instructions = items(resource, "dosageInstruction").chain(items(resource, "dosage"));
    let dosage =
        instructions.map(|dosage| text(dosage, "text")).filter(|text| !text.is_empty()).map(str::to_owned);
    let held = (text(resource, "status") == "on-hold").then(|| "on hold".to_owned());
    dosage.chain(held).collect()
}

fn consent(resource: &Value) -> Vec<String> {
    let provisions = items(resource, "provision").flat_map(|provision| items(provision, "code"));
    provisions.filter_map(concept_text).map(str::to_owned).collect()
}

/// The value of an observation and of its components.
fn value(resource: &Value) -> Option<String> {
    let own = measured(resource);
    let parts: Vec<String> = items(resource, "component")
        .filter_map(|part| Some(format!("{} {}", concept_text(part.get("code")?)?, measured(part)?)))
        .collect();
    let parts = (!parts.is_empty()).then(|| parts.join(", "));
    own.or(parts)
}

fn measured(observation: &Value) -> Option<String> {
    if let Some(quantity) = observation.get("valueQuantity") {
        let unit =
            Some(text(quantity, "unit")).filter(|unit| !unit.is_empty()).unwrap_or(text(quantity, "code"));
        return Some(
            format!("{}{} {unit}", text(quantity, "comparator"), readable(quantity.get("value")?))
                .trim()
                .to_owned(),
        );
    }
    let concept = observation.get("valueCodeableConcept").and_then(concept_text);
    let plain = ["valueString", "valueDateTime"]
        .iter()
        .map(|key| text(observation, key))
        .find(|text| !text.is_empty());
    let other = || match observation.get("valueInteger").or_else(|| observation.get("valueBoolean"))? {
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        number => Some(number.to_string()),
    };
    concept.or(plain).map(str::to_owned).or_else(other)
}

/// A number as a person reads it: two decimals, or three digits below one, where the source gives more. The exact
/// value is in the entry.
fn readable(number: &Value) -> String {
    let exact = number.to_string();
    let decimals = exact.split_once('.').map_or("", |(_, decimals)| decimals);
    match number.as_f64() {
        Some(value) if !exact.contains('e') && decimals.len() > 2 => {
            let zeros = decimals.bytes().take_while(|digit| *digit == b'0').count();
            let shown = if value.abs() >= 1.0 { 2 } else { (zeros + 3).min(decimals.len()) };
            format!("{value:.shown$}")
        }
        _ => exact,
    }
}

/// Escapes text for XHTML and drops the control characters that XML 1.0 forbids.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => {}
            char if char.is_control() => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn text_of_the_source_can_not_become_markup() {
        assert_eq!(
            escape("<b a='x'>&\u{0}"),
            "&lt;b a=&#39;x&#39;&gt;&amp; ",
            "every special character is escaped"
        );
    }

    #[test]
    fn values_are_shown_readably() {
        let height = json!({"valueQuantity": {"value": 181.937_599_948_740_63, "unit": "cm"}});
        assert_eq!(measured(&height).as_deref(), Some("181.94 cm"), "many decimals are rounded for the eye");
        let trace = json!({"valueQuantity": {"value": 0.0004, "unit": "g", "comparator": "<"}});
        assert_eq!(measured(&trace).as_deref(), Some("<0.0004 g"), "small values keep what they have");
        let bilirubin = json!({"valueQuantity": {"value": 0.085_785_591_975, "unit": "mg/dL"}});
        assert_eq!(measured(&bilirubin).as_deref(), Some("0.0858 mg/dL"), "three digits below one");
        assert_eq!(
            measured(&json!({"valueBoolean": true})).as_deref(),
            Some("yes"),
            "a truth value is a word"
        );
    }
}
