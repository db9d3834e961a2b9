//! The emergency summary: an International Patient Summary document derived from a patient's FHIR data.
//!
//! The result is an R4 document Bundle whose Composition has LOINC type 60591-5 and the sections of the IPS guide
//! (HL7 FHIR IPS 2.0). It is a function of the input's bytes alone: ids come from their hash, the date is the newest
//! date of care, so the same chart gives the same summary on every node. It selects and copies; it judges nothing
//! medically. Whoever reads it sees in each section whether something is listed, known to be absent, withheld, or
//! simply not known. The node seals it as a record of its own.

mod copy;
mod narrative;
mod sections;

use self::copy::Copier;
use self::sections::{SECTIONS, Selection, select};
use crate::error::ImportError;
use crate::fhir::bundle::Bundle;
use crate::fhir::resource::{LOINC, items, kind, text};
use crate::fhir::{PATIENT_SUMMARY, is_ips, newest, parse};
use crate::sensitivity;
use hospes_protocol::personal::Label;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Derives the emergency summary of a FHIR bundle as JSON.
///
/// An IPS document comes back byte for byte. None if the bytes aren't FHIR, aren't a bundle, describe no patient, or
/// hold nothing that a summary lists. Entries that are restricted are withheld, allergies never are. Numbers keep
/// their value but may lose trailing zeros; the original record keeps them.
///
/// # Errors
/// Those of JSON for bytes that begin as JSON, `SeveralPatients`, `Undated`.
pub fn emergency_summary(fhir_bundle: &[u8]) -> Result<Option<Vec<u8>>, ImportError> {
    let start = fhir_bundle.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(fhir_bundle).trim_ascii_start();
    if start.first() != Some(&b'{') {
        return Ok(None);
    }
    let Some(root) = parse(fhir_bundle)?.filter(|root| kind(root) == "Bundle") else { return Ok(None) };
    let bundle = Bundle::new(&root)?;
    if is_ips(&bundle) {
        return Ok(Some(fhir_bundle.to_vec()));
    }
    let patient = match bundle.patients().as_slice() {
        [] => return Ok(None),
        [patient] => *patient,
        several => return Err(ImportError::SeveralPatients { count: several.len() }),
    };
    let chart = Chart::new(bundle);
    let selections: Vec<Selection> =
        SECTIONS.iter().map(|section| select(&chart, patient, section)).collect();
    if selections.iter().all(Selection::is_silent) {
        return Ok(None);
    }
    let date = newest(&chart.bundle).ok_or(ImportError::Undated)?.to_string();
    let ids = Ids::new(fhir_bundle);
    let document = document(&chart, patient, &selections, &date, &ids);
    Ok(Some(document.to_string().into_bytes()))
}

/// The source, with the label that each of its resources proposes.
struct Chart<'a> {
    bundle: Bundle<'a>,
    labels: Vec<Label>,
}

impl<'a> Chart<'a> {
    fn new(bundle: Bundle<'a>) -> Self {
        let labels = bundle.resources.iter().map(|resource| sensitivity::of_resource(resource)).collect();
        Self { bundle, labels }
    }

    fn is_restricted(&self, position: usize) -> bool {
        self.labels.get(position).is_some_and(|label| *label > Label::Normal)
    }

    /// Whether a resource, what it consists of or what it treats is too sensitive for a summary that any two
    /// guardians may open.
    fn is_withheld(&self, position: usize) -> bool {
        let resource = self.bundle.resources.get(position).copied().unwrap_or(&Value::Null);
        let naming = ["reasonReference", "medicationReference", "device"];
        let named =
            naming.iter().flat_map(|key| items(resource, key)).filter_map(|named| self.bundle.resolve(named));
        std::iter::once(position).chain(named).any(|position| self.is_restricted(position))
    }
}

/// Assembles the document: Composition first, then patient, author, entries and what they refer to.
fn document(chart: &Chart<'_>, patient: usize, selections: &[Selection], date: &str, ids: &Ids) -> Value {
    let mut copier = Copier::new(chart, ids);
    copier.include(patient);
    for selection in selections {
        selection.entries.iter().for_each(|entry| copier.include(*entry));
    }
    let wrapped: Vec<Value> = selections
        .iter()
        .flat_map(|selection| &selection.implants)
        .map(|device| copier.device_use(*device, patient))
        .collect();
    let author = ids.of("author");
    let composition = composition(&copier, patient, selections, date, &author);
    let author_device = json!({
        "resourceType": "Device",
        "id": author,
        "deviceName": [{"name": "Hospes emergency summary", "type": "user-friendly-name"}],
    });
    let resources = [composition, author_device].into_iter().chain(copier.finish()).chain(wrapped);
    let entries: Vec<Value> = resources
        .map(|resource| json!({"fullUrl": urn(text(&resource, "id")), "resource": resource}))
        .collect();
    json!({
        "resourceType": "Bundle",
        "id": ids.of("bundle"),
        "identifier": {"system": "urn:ietf:rfc:3986", "value": urn(&ids.of("document"))},
        "type": "document",
        "timestamp": date,
        "entry": entries,
    })
}

fn composition(
    copier: &Copier<'_>,
    patient: usize,
    selections: &[Selection],
    date: &str,
    author: &str,
) -> Value {
    let listed =
        SECTIONS.iter().zip(selections).filter(|(section, found)| section.required || !found.is_silent());
    let sections: Vec<Value> = listed.map(|(section, found)| section_json(copier, section, found)).collect();
    json!({
        "resourceType": "Composition",
        "id": copier.ids.of("composition"),
        "language": "en",
        "status": "final",
        "type": {"coding": [{"system": LOINC, "code": PATIENT_SUMMARY, "display": "Patient summary Document"}]},
        "subject": {"reference": copier.url(patient)},
        "date": date,
        "author": [{"reference": urn(author)}],
        "title": "Emergency summary, assembled by software",
        "confidentiality": "N",
        "section": sections,
    })
}

fn section_json(copier: &Copier<'_>, section: &sections::Section, found: &Selection) -> Value {
    let mut json = json!({
        "title": section.title,
        "code": {"coding": [{"system": LOINC, "code": section.loinc, "display": section.display}]},
        "text": {"status": "generated", "div": narrative::section(&copier.chart.bundle, section, found)},
    });
    let entries = found.entries.iter().map(|entry| copier.url(*entry));
    let entries = entries.chain(found.implants.iter().map(|device| urn(&copier.device_use_id(*device))));
    let references: Vec<Value> = entries.map(|url| json!({ "reference": url })).collect();
    if references.is_empty() {
        json["emptyReason"] = found.empty_reason();
    } else {
        json["entry"] = Value::Array(references);
    }
    json
}

/// Ids that follow from the input.
struct Ids {
    input: [u8; 32],
}

impl Ids {
    fn new(input: &[u8]) -> Self {
        Self { input: Sha256::digest(input).into() }
    }

    /// A UUID of version 8 (RFC 9562) for one part of the document.
    fn of(&self, part: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(b"hospes/1/emergency-summary");
        hash.update(self.input);
        hash.update(part.as_bytes());
        let mut bytes: [u8; 32] = hash.finalize().into();
        bytes[6] = (bytes[6] & 0x0F) | 0x80;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        let hex = data_encoding::HEXLOWER.encode(&bytes[..16]);
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }
}

fn urn(id: &str) -> String {
    format!("urn:uuid:{id}")
}
