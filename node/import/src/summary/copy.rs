//! Copies resources of the source into the summary, with references that stay inside it.
//!
//! A copy gets an id of its own, keeps what is clinical, and loses what the summary has no use for: narratives of the
//! source, tags, encounters, and of the patient the extensions and civil identifiers. Persons, organizations and
//! medications that an entry refers to come along; a reference to anything else becomes words. Called by the parent
//! module.

use super::{Chart, Ids, urn};
use crate::fhir::resource::{brief, has_code, items, kind, text, title};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Kinds that come along when an entry refers to them.
const CARRIED: [&str; 5] = ["Medication", "Practitioner", "PractitionerRole", "Organization", "Device"];

/// Fields that are dropped from every copy: `id` is replaced, `meta` reduced to its security labels.
const DROPPED: [&str; 7] = ["id", "meta", "text", "encounter", "context", "implicitRules", "resourceType"];

pub(super) struct Copier<'a> {
    pub(super) chart: &'a Chart<'a>,
    pub(super) ids: &'a Ids,
    order: Vec<usize>,
    included: BTreeSet<usize>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(chart: &'a Chart<'a>, ids: &'a Ids) -> Self {
        Self { chart, ids, order: Vec::new(), included: BTreeSet::new() }
    }

    /// Takes a resource into the document, with what it refers to.
    pub(super) fn include(&mut self, position: usize) {
        let mut waiting = vec![position];
        while let Some(position) = waiting.pop() {
            let Some(resource) = self.chart.bundle.resources.get(position).copied() else { continue };
            if self.included.insert(position) {
                self.order.push(position);
                self.carried(resource, &mut waiting);
            }
        }
    }

    fn comes_along(&self, position: usize) -> bool {
        let target = self.chart.bundle.resources.get(position);
        target.is_some_and(|target| CARRIED.contains(&kind(target))) && !self.chart.is_restricted(position)
    }

    /// The positions of resources that come along with this one.
    fn carried(&self, value: &Value, found: &mut Vec<usize>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.carried(item, found)),
            Value::Object(fields) => {
                if let Some(position) = self.chart.bundle.resolve(value)
                    && self.comes_along(position)
                {
                    found.push(position);
                }
                let kept = fields.iter().filter(|(key, _)| !DROPPED.contains(&key.as_str()));
                kept.for_each(|(_, field)| self.carried(field, found));
            }
            _ => {}
        }
    }

    /// The full URL of an included resource.
    pub(super) fn url(&self, position: usize) -> String {
        urn(&self.id(position))
    }

    fn id(&self, position: usize) -> String {
        self.ids.of(&format!("entry {position}"))
    }

    /// The id of the statement of use that wraps a device.
    pub(super) fn device_use_id(&self, device: usize) -> String {
        self.ids.of(&format!("use of {device}"))
    }

    /// The statement by which the IPS lists a device that the source merely assigns to the patient.
    pub(super) fn device_use(&mut self, device: usize, patient: usize) -> Value {
        self.include(device);
        const UNKNOWN: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
        json!({
            "resourceType": "DeviceUseStatement",
            "id": self.device_use_id(device),
            "status": "active",
            "subject": {"reference": self.url(patient)},
            "_timingDateTime": {"extension": [{"url": UNKNOWN, "valueCode": "unknown"}]},
            "device": {"reference": self.url(device)},
        })
    }

    /// The copies, in the order in which they were included.
    pub(super) fn finish(&self) -> Vec<Value> {
        self.order
            .iter()
            .filter_map(|position| Some(self.copy(*position, self.chart.bundle.resources.get(*position)?)))
            .collect()
    }

    fn copy(&self, position: usize, resource: &Value) -> Value {
        let mut copy = Map::new();
        copy.insert("resourceType".to_owned(), Value::from(kind(resource)));
        copy.insert("id".to_owned(), Value::from(self.id(position)));
        if let Some(security) = resource.pointer("/meta/security") {
            copy.insert("meta".to_owned(), json!({ "security": security }));
        }
        for (key, field) in resource.as_object().into_iter().flatten() {
            if !DROPPED.contains(&key.as_str())
                && let Some(field) = self.field(field)
            {
                copy.insert(key.clone(), field);
            }
        }
        if kind(resource) == "Patient" {
            reduce_patient(&mut copy);
        }
        Value::Object(copy)
    }

    /// A field with its references rewritten; none if nothing of it is left, which FHIR forbids to be written.
    fn field(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => {
                let items: Vec<Value> = items.iter().filter_map(|item| self.field(item)).collect();
                (!items.is_empty()).then_some(Value::Array(items))
            }
            Value::Object(fields) => {
                let mut copy: Map<String, Value> = fields
                    .iter()
                    .filter(|(key, _)| *key != "reference")
                    .filter_map(|(key, field)| Some((key.clone(), self.field(field)?)))
                    .collect();
                match fields.get("reference") {
                    Some(Value::String(reference)) => self.refer(value, reference, &mut copy),
                    Some(other) => drop(copy.insert("reference".to_owned(), other.clone())),
                    None => {}
                }
                (!copy.is_empty()).then_some(Value::Object(copy))
            }
            other => Some(other.clone()),
        }
    }

    /// Rewrites one Reference: into the document, or to words and identifier where its target stays behind. Of a
    /// restricted target that stays behind, nothing is said at all.
    fn refer(&self, reference: &Value, target: &str, copy: &mut Map<String, Value>) {
        let outside = target.starts_with("http://") || target.starts_with("https://");
        match self.chart.bundle.resolve(reference) {
            Some(position) if self.included.contains(&position) => {
                copy.insert("reference".to_owned(), Value::from(self.url(position)));
            }
            Some(position) if self.chart.is_restricted(position) => copy.clear(),
            Some(position) => {
                if let Some(words) =
                    self.chart.bundle.resources.get(position).and_then(|target| title(target))
                {
                    copy.entry("display").or_insert_with(|| Value::from(brief(words)));
                }
            }
            None if outside || target.starts_with('#') => {
                copy.insert("reference".to_owned(), Value::from(target));
            }
            None => {}
        }
    }
}

/// A patient in an emergency is known by name, birth date and record number; other numbers and extensions stay behind.
fn reduce_patient(patient: &mut Map<String, Value>) {
    const CIVIL: [&str; 5] = ["SS", "DL", "PPN", "TAX", "NI"];
    const NUMBERING: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
    patient.retain(|key, _| {
        !matches!(key.as_str(), "extension" | "modifierExtension" | "photo" | "contained" | "link")
    });
    let source = Value::Object(patient.clone());
    let kept: Vec<Value> =
        items(&source, "identifier").filter(|id| !has_code(id, "type", NUMBERING, &CIVIL)).cloned().collect();
    if kept.is_empty() {
        patient.remove("identifier");
    } else {
        patient.insert("identifier".to_owned(), Value::Array(kept));
    }
    for part in ["name", "address", "telecom", "maritalStatus"] {
        if let Some(Value::Array(parts)) = patient.get_mut(part) {
            parts.iter_mut().filter_map(Value::as_object_mut).for_each(|part| drop(part.remove("extension")));
            parts.retain(|part| !text(part, "use").eq("old"));
        }
    }
}
