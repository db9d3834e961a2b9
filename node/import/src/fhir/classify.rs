//! Which category a set of FHIR resources belongs to.
//!
//! Each resource votes for a group or abstains; a file of one group is filed there, a mixture is a chart. The
//! resources that only carry context (who, where, what it cost) abstain. Called by the FHIR module.

use crate::category::of_loinc;
use crate::fhir::bundle::Bundle;
use crate::fhir::resource::{LOINC, SNOMED, codes, has_code, items, kind, text};
use hospes_protocol::personal::Category;
use serde_json::Value;
use std::collections::BTreeSet;

/// Radiotherapy procedures: radiotherapy, teleradiotherapy, brachytherapy, with chemotherapy, course and phase of
/// treatment (CodeX).
const RADIOTHERAPY: [&str; 6] =
    ["108290001", "33195004", "152198000", "703423002", "1217123003", "1222565005"];
/// Procedures and observations of delivered dose in LOINC: regional dose, exposure information, summary.
const DOSE: [&str; 3] = ["21958-4", "73569-6", "106887-3"];
/// DICOM modalities of radiotherapy in an ImagingStudy.
const RADIOTHERAPY_MODALITIES: [&str; 5] = ["RTDOSE", "RTPLAN", "RTSTRUCT", "RTRECORD", "RTIMAGE"];
/// HL7 v2 table 0074: radiology and its kin.
const IMAGING_SERVICES: [&str; 12] =
    ["RAD", "RUS", "CT", "CUS", "NMR", "NMS", "OUS", "RX", "VUS", "XRC", "IMG", "LP29684-5"];

/// The category of the file, and whether anything clinical was found in it at all.
pub(crate) fn category(bundle: &Bundle<'_>) -> (Category, bool) {
    if let Some(composition) = bundle.composition()
        && let Some(category) = by_type(composition)
    {
        return (category, true);
    }
    let votes: BTreeSet<Category> = bundle.resources.iter().filter_map(|resource| vote(resource)).collect();
    let context = ["Observation", "Encounter"];
    let observed = || bundle.resources.iter().any(|resource| context.contains(&kind(resource)));
    match (votes.first(), votes.len()) {
        (Some(only), 1) => (*only, true),
        (None, _) => (Category::HistoryAndPhysical, observed()),
        _ => (Category::HistoryAndPhysical, true),
    }
}

/// The category of a document by its type.
fn by_type(resource: &Value) -> Option<Category> {
    items(resource, "type")
        .flat_map(|concept| items(concept, "coding"))
        .filter(|coding| text(coding, "system") == LOINC)
        .find_map(|coding| of_loinc(text(coding, "code")))
}

/// The group that a resource speaks for; none for context, for bills and for what says too little.
fn vote(resource: &Value) -> Option<Category> {
    if has_code(resource, "code", LOINC, &DOSE) {
        return Some(Category::RadiationDose);
    }
    match kind(resource) {
        "Patient"
        | "RelatedPerson"
        | "Practitioner"
        | "PractitionerRole"
        | "Organization"
        | "Location"
        | "Encounter"
        | "EpisodeOfCare"
        | "Device"
        | "Medication"
        | "Provenance"
        | "ServiceRequest"
        | "Claim"
        | "ClaimResponse"
        | "ExplanationOfBenefit"
        | "Coverage"
        | "Account"
        | "Group"
        | "List"
        | "OperationOutcome"
        | "Binary"
        | "AuditEvent"
        | "Endpoint"
        | "HealthcareService"
        | "CareTeam"
        | "Task" => None,
        "Observation" => observation(resource),
        "DiagnosticReport" => Some(report(resource)),
        "Specimen" => Some(Category::Laboratory),
        "ImagingStudy" => Some(study(resource)),
        "Media" => Some(Category::Imaging),
        "MedicationRequest" | "MedicationStatement" | "MedicationDispense" | "MedicationAdministration" => {
            Some(Category::Medication)
        }
        "DocumentReference" | "Composition" => Some(by_type(resource).unwrap_or(Category::Letters)),
        "Communication" => Some(Category::Letters),
        "Procedure" if has_code(resource, "code", SNOMED, &RADIOTHERAPY) => Some(Category::RadiationDose),
        _ => Some(Category::HistoryAndPhysical),
    }
}

/// An observation without a category belongs to whatever surrounds it.
fn observation(resource: &Value) -> Option<Category> {
    let mut categories = codes(resource, "category").filter(|code| !code.is_empty()).peekable();
    categories.peek()?;
    Some(match categories.find(|code| matches!(*code, "laboratory" | "imaging")) {
        Some("laboratory") => Category::Laboratory,
        Some(_) => Category::Imaging,
        None => Category::HistoryAndPhysical,
    })
}

/// A report is one of the laboratory unless its service says otherwise.
fn report(resource: &Value) -> Category {
    let services = || codes(resource, "category");
    if services().any(|code| code == "RT") {
        Category::RadiationDose
    } else if services().any(|code| IMAGING_SERVICES.contains(&code)) {
        Category::Imaging
    } else {
        codes(resource, "code").find_map(of_loinc).unwrap_or(Category::Laboratory)
    }
}

fn study(resource: &Value) -> Category {
    let series = items(resource, "series").flat_map(|series| items(series, "modality"));
    let mut modalities =
        items(resource, "modality").chain(series).map(|coding| text(coding, "code")).peekable();
    let radiotherapy =
        modalities.peek().is_some() && modalities.all(|code| RADIOTHERAPY_MODALITIES.contains(&code));
    if radiotherapy { Category::RadiationDose } else { Category::Imaging }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filed(resources: &[Value]) -> Category {
        let entries: Vec<Value> = resources.iter().map(|resource| json!({ "resource": resource })).collect();
        let root = json!({"resourceType": "Bundle", "type": "collection", "entry": entries});
        category(&Bundle::new(&root).unwrap()).0
    }

    #[test]
    fn files_of_one_group_are_filed_there_and_mixtures_are_charts() {
        let patient = json!({"resourceType": "Patient"});
        let laboratory =
            json!({"resourceType": "Observation", "category": [{"coding": [{"code": "laboratory"}]}]});
        let report = json!({"resourceType": "DiagnosticReport", "category": [{"coding": [{"code": "LAB"}]}]});
        let bare = json!({"resourceType": "Observation"});
        let medication = json!({"resourceType": "MedicationRequest"});
        let results = [patient.clone(), report, laboratory.clone(), bare];
        assert_eq!(filed(&results), Category::Laboratory, "context and bare results go with their report");
        assert_eq!(filed(&[patient.clone(), medication.clone()]), Category::Medication, "a prescription");
        assert_eq!(
            filed(&[patient, laboratory, medication]),
            Category::HistoryAndPhysical,
            "a mixture is a chart"
        );
    }

    #[test]
    fn radiation_is_told_from_imaging() {
        let study =
            |modality: &str| json!({"resourceType": "ImagingStudy", "modality": [{"code": modality}]});
        assert_eq!(filed(&[study("CT")]), Category::Imaging, "a CT");
        assert_eq!(filed(&[study("RTDOSE")]), Category::RadiationDose, "a dose");
        let course = json!({"resourceType": "Procedure",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "1217123003"}]}});
        assert_eq!(filed(&[course]), Category::RadiationDose, "a course of radiotherapy");
    }

    #[test]
    fn documents_are_filed_by_their_type() {
        let document = |code: &str| {
            json!({"resourceType": "Bundle", "type": "document", "entry": [{"resource":
                {"resourceType": "Composition", "type": {"coding": [{"system": LOINC, "code": code}]}}}]})
        };
        let filed = |root: Value| category(&Bundle::new(&root).unwrap()).0;
        assert_eq!(filed(document("60591-5")), Category::EmergencySummary, "a patient summary");
        assert_eq!(filed(document("18842-5")), Category::Letters, "a discharge summary");
        assert_eq!(
            filed(document("99999-9")),
            Category::Letters,
            "a document of unknown type is read as a letter"
        );
    }
}
