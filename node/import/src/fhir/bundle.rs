//! A FHIR Bundle as a set of resources that refer to each other.
//!
//! References are resolved inside the bundle only, by full URL, by type and id, or by the identifier of a
//! conditional reference; nothing is ever fetched. Called by the modules for FHIR and summaries.

use crate::error::ImportError;
use crate::fhir::resource::{items, kind, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// The resources of a bundle in their order, or a single resource as a bundle of one.
pub(crate) struct Bundle<'a> {
    /// The whole file.
    pub(crate) root: &'a Value,
    /// The resources; deleted ones are left out.
    pub(crate) resources: Vec<&'a Value>,
    index: BTreeMap<String, usize>,
}

impl<'a> Bundle<'a> {
    /// Indexes a bundle, or a single resource.
    ///
    /// # Errors
    /// `Fhir` if entries aren't objects with resources.
    pub(crate) fn new(root: &'a Value) -> Result<Self, ImportError> {
        let mut bundle = Self { root, resources: Vec::new(), index: BTreeMap::new() };
        if kind(root) != "Bundle" {
            bundle.add(text(root, "url"), root);
            return Ok(bundle);
        }
        if !matches!(root.get("entry"), None | Some(Value::Array(_))) {
            return Err(ImportError::Fhir { what: "the entries of the bundle are not a list" });
        }
        for entry in items(root, "entry") {
            match entry.get("resource") {
                Some(resource) if !kind(resource).is_empty() => bundle.add(text(entry, "fullUrl"), resource),
                Some(_) => return Err(ImportError::Fhir { what: "an entry's resource has no type" }),
                // A deletion, or a search entry without content.
                None if entry.is_object() => {}
                None => return Err(ImportError::Fhir { what: "an entry of the bundle is not an object" }),
            }
        }
        Ok(bundle)
    }

    /// Adds a resource; where two claim one address, the first keeps it.
    fn add(&mut self, full_url: &str, resource: &'a Value) {
        let position = self.resources.len();
        self.resources.push(resource);
        if !full_url.is_empty() {
            self.index.entry(full_url.to_owned()).or_insert(position);
        }
        let id = text(resource, "id");
        if !id.is_empty() {
            self.index.entry(format!("{}/{id}", kind(resource))).or_insert(position);
        }
        // `Type?identifier=system|value` is the form of conditional references in transactions.
        for identifier in items(resource, "identifier") {
            let (system, value) = (text(identifier, "system"), text(identifier, "value"));
            self.index.entry(format!("{}?identifier={system}|{value}", kind(resource))).or_insert(position);
        }
    }

    /// The position of the resource that a Reference element points to; none outside the bundle.
    pub(crate) fn resolve(&self, reference: &Value) -> Option<usize> {
        let target = text(reference, "reference");
        let unversioned = target.split("/_history/").next().unwrap_or(target);
        if unversioned.is_empty() || unversioned.starts_with('#') {
            return None;
        }
        self.index.get(unversioned).copied()
    }

    /// The resource that a Reference element points to.
    pub(crate) fn target(&self, reference: &Value) -> Option<&'a Value> {
        self.resolve(reference).and_then(|position| self.resources.get(position)).copied()
    }

    /// The resource that the reference in a field points to.
    pub(crate) fn follow(&self, resource: &Value, key: &str) -> Option<&'a Value> {
        items(resource, key).find_map(|reference| self.target(reference))
    }

    /// The Composition that a document begins with.
    pub(crate) fn composition(&self) -> Option<&'a Value> {
        let first = self.resources.first().copied()?;
        let document = text(self.root, "type") == "document" || kind(self.root) == "Composition";
        (document && kind(first) == "Composition").then_some(first)
    }

    /// Positions of the Patient resources.
    pub(crate) fn patients(&self) -> Vec<usize> {
        let patients = self.resources.iter().enumerate().filter(|(_, resource)| kind(resource) == "Patient");
        patients.map(|(position, _)| position).collect()
    }
}

/// The Reference by which a resource says whose it is.
pub(crate) fn subject(resource: &Value) -> Option<&Value> {
    resource.get("subject").or_else(|| resource.get("patient")).filter(|reference| reference.is_object())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_resolve_by_url_by_id_and_by_identifier() {
        let root = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p",
             "identifier": [{"system": "urn:x", "value": "7"}]}},
            {"request": {"method": "DELETE", "url": "Patient/9"}}]});
        let bundle = Bundle::new(&root).unwrap();
        let resolve = |reference: &str| bundle.resolve(&json!({ "reference": reference }));
        for known in ["urn:uuid:1", "Patient/p", "Patient/p/_history/3", "Patient?identifier=urn:x|7"] {
            assert_eq!(resolve(known), Some(0), "{known}");
        }
        for unknown in ["urn:uuid:2", "Patient/9", "#p", "", "Patient?identifier=urn:x|8", "Practitioner/p"] {
            assert_eq!(resolve(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn entries_of_another_form_are_refused() {
        for (entry, what) in [
            (json!({"resource": {}}), "an entry's resource has no type"),
            (json!(7), "an entry of the bundle is not an object"),
        ] {
            let root = json!({"resourceType": "Bundle", "entry": [entry]});
            assert_eq!(Bundle::new(&root).err(), Some(ImportError::Fhir { what }), "it is named");
        }
        let root = json!({"resourceType": "Bundle", "entry": 7});
        assert!(Bundle::new(&root).is_err(), "entries must be a list");
        assert!(Bundle::new(&json!({"resourceType": "Bundle"})).is_ok(), "an empty bundle is a bundle");
    }
}
