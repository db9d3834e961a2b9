//! FHIR R4 in JSON: bundles, IPS documents, single resources.
//!
//! Resources stay JSON values; there are no typed resources, and nothing is validated beyond what filing needs.
//! FHIR in XML is not read. Called by `inspect`; the submodules also serve the emergency summary.

pub(crate) mod bundle;
mod classify;
pub(crate) mod resource;

use self::bundle::Bundle;
use self::resource::{LOINC, concept_text, has_code, identity, items, kind, latest, text};
use crate::category::title_of;
use crate::content::check_size;
use crate::date;
use crate::error::ImportError;
use crate::identity::PatientIdentity;
use crate::sensitivity;
use crate::{Format, Imported};
use hospes_protocol::personal::Category;
use serde_json::Value;
use serde_json::error::Category as Failure;

/// LOINC code of a patient summary document.
pub(crate) const PATIENT_SUMMARY: &str = "60591-5";

/// Reads JSON; none if it is not FHIR.
///
/// Nesting stops at 127 levels (`serde_json`), numbers at what a double holds.
///
/// # Errors
/// `TooLarge` and the errors of JSON, with their place.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<Value>, ImportError> {
    check_size(bytes)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(bytes).map_err(|error| refusal(&error))?;
    Ok(Some(value).filter(|value| !kind(value).is_empty()))
}

fn refusal(error: &serde_json::Error) -> ImportError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Failure::Eof => ImportError::JsonTruncated { line },
        // The depth limit is a syntax error of a kind that the library names in words only.
        _ if error.to_string().starts_with("recursion limit exceeded") => ImportError::JsonTooDeep { line },
        _ => ImportError::Json { line, column },
    }
}

/// Whether a bundle is an International Patient Summary.
pub(crate) fn is_ips(bundle: &Bundle<'_>) -> bool {
    bundle.composition().is_some_and(|composition| has_code(composition, "type", LOINC, &[PATIENT_SUMMARY]))
}

/// Proposes how to file a FHIR resource.
///
/// # Errors
/// `Fhir` if a bundle's entries are malformed.
pub(crate) fn inspect(root: &Value) -> Result<Imported, ImportError> {
    let bundle = Bundle::new(root)?;
    let (category, clinical) = classify::category(&bundle);
    let is_bundle = kind(root) == "Bundle";
    let mut imported = Imported {
        media_type: "application/fhir+json".to_owned(),
        format: if is_bundle { Format::FhirBundle { ips: is_ips(&bundle) } } else { Format::FhirResource },
        patients: patients(&bundle),
        category,
        label: sensitivity::of_resource(root),
        title: title(&bundle, category),
        date: newest_day(&bundle),
        modality: None,
        source_system: source_system(&bundle),
        warnings: Vec::new(),
    };
    match imported.patients.len() {
        0 => imported.warn("the file names no patient"),
        1 => {}
        _ => imported.warn("the file names several patients: split it before filing"),
    }
    if !clinical {
        imported.warn("the file holds no clinical data, only persons and organizations");
    }
    if names_a_stranger(&bundle) {
        imported.warn("some entries refer to a patient whom the file doesn't describe");
    }
    Ok(imported)
}

/// More different patients than this are not told apart: the file is refused anyway.
const PATIENTS_MAX: usize = 64;

/// The different patients of a file, contained ones included.
fn patients(bundle: &Bundle<'_>) -> Vec<PatientIdentity> {
    let contained = bundle.resources.iter().flat_map(|resource| items(resource, "contained"));
    let all =
        bundle.resources.iter().copied().chain(contained).filter(|resource| kind(resource) == "Patient");
    let mut different: Vec<PatientIdentity> = Vec::new();
    for patient in all.map(identity).filter(|patient| !patient.is_empty()) {
        if different.len() < PATIENTS_MAX && !different.contains(&patient) {
            different.push(patient);
        }
    }
    different
}

/// Whether an entry's subject is a patient who isn't in the bundle.
fn names_a_stranger(bundle: &Bundle<'_>) -> bool {
    bundle.resources.iter().filter_map(|resource| bundle::subject(resource)).any(|subject| {
        let reference = text(subject, "reference");
        !reference.is_empty() && !reference.starts_with('#') && bundle.resolve(subject).is_none()
    })
}

fn title(bundle: &Bundle<'_>, category: Category) -> String {
    if let Some(title) =
        bundle.composition().map(|composition| text(composition, "title")).filter(|t| !t.is_empty())
    {
        return title.to_owned();
    }
    let of_kind =
        |wanted: &'static str| bundle.resources.iter().filter(move |resource| kind(resource) == wanted);
    let mut reports = of_kind("DiagnosticReport");
    let main = match (bundle.resources.as_slice(), reports.next(), reports.next()) {
        ([single], _, _) => Some(*single),
        (_, Some(report), None) if category != Category::HistoryAndPhysical => Some(*report),
        _ => None,
    };
    let named = main.filter(|main| kind(main) != "Patient").and_then(|main| {
        ["code", "type", "medicationCodeableConcept", "vaccineCode"]
            .iter()
            .find_map(|key| concept_text(main.get(*key)?))
    });
    match (named, of_kind("Encounter").count()) {
        (Some(named), _) => named.to_owned(),
        (None, 0) => title_of(category).to_owned(),
        (None, 1) => "Patient chart, 1 encounter".to_owned(),
        (None, encounters) => format!("Patient chart, {encounters} encounters"),
    }
}

/// The date of a document, else the newest date of care in the file.
fn newest_day(bundle: &Bundle<'_>) -> Option<String> {
    if let Some(day) = bundle.composition().and_then(|composition| date::day(text(composition, "date"))) {
        return Some(day.to_owned());
    }
    newest(bundle).map(|instant| instant.strftime("%Y-%m-%d").to_string())
}

/// Plans reach into the future and bills lag behind: their dates are none of care.
const NOT_CARE: [&str; 7] =
    ["CarePlan", "Goal", "Claim", "ExplanationOfBenefit", "Appointment", "Coverage", "ServiceRequest"];

/// The newest date of care in the file.
pub(crate) fn newest(bundle: &Bundle<'_>) -> Option<jiff::Timestamp> {
    let care = bundle.resources.iter().filter(|resource| !NOT_CARE.contains(&kind(resource)));
    care.filter_map(|resource| latest(resource))
        .max()
        .or_else(|| date::instant(text(bundle.root, "timestamp")))
}

/// The custodian of a document, else the source that the metadata names, else the only organization.
fn source_system(bundle: &Bundle<'_>) -> Option<String> {
    let custodian = || {
        let composition = bundle.composition()?;
        Some(text(bundle.follow(composition, "custodian")?, "name"))
    };
    let metadata = || bundle.root.get("meta").map(|meta| text(meta, "source"));
    let only = || {
        let mut organizations = bundle.resources.iter().filter(|resource| kind(resource) == "Organization");
        let first = organizations.next().map(|organization| text(organization, "name"));
        first.filter(|_| organizations.next().is_none())
    };
    let named = |name: &&str| !name.is_empty();
    custodian()
        .filter(named)
        .or_else(|| metadata().filter(named))
        .or_else(|| only().filter(named))
        .map(str::to_owned)
}
