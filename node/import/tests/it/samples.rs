//! Every sample file is recognised, filed where a person would file it, and names its patient.

use crate::{CCD, CT, IPS, PDF, RT_DOSE, RT_STRUCT, SYNTHEA, UNSTRUCTURED, sample, summaries};
use hospes_import::{
    Category, Format, ImportError, Imported, Label, Match, embedded_documents, emergency_summary, inspect,
    same_person,
};
use std::path::{Path, PathBuf};

fn look(path: &str) -> Imported {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    inspect(&sample(path), name).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn shipped_samples_are_filed_where_a_person_would_file_them() {
    let expected = [
        (SYNTHEA, Format::FhirBundle { ips: false }, Category::HistoryAndPhysical, "application/fhir+json"),
        (IPS, Format::FhirBundle { ips: true }, Category::EmergencySummary, "application/fhir+json"),
        (
            "ips/IPS_IG_bundle-minimal.json",
            Format::FhirBundle { ips: true },
            Category::EmergencySummary,
            "application/fhir+json",
        ),
        (
            "ips/DE_no_info_with_Advance_Directive.json",
            Format::FhirBundle { ips: true },
            Category::EmergencySummary,
            "application/fhir+json",
        ),
        (CT, Format::Dicom, Category::Imaging, "application/dicom"),
        (RT_DOSE, Format::Dicom, Category::RadiationDose, "application/dicom"),
        (RT_STRUCT, Format::Dicom, Category::RadiationDose, "application/dicom"),
        (CCD, Format::Ccda, Category::HistoryAndPhysical, "text/xml"),
        (UNSTRUCTURED, Format::Ccda, Category::Letters, "text/xml"),
        (PDF, Format::Pdf, Category::Letters, "application/pdf"),
    ];
    for (path, format, category, media_type) in expected {
        let found = look(path);
        assert_eq!(found.format, format, "format of {path}");
        assert_eq!(found.category, category, "category of {path}");
        assert_eq!(found.media_type, media_type, "media type of {path}");
        assert_eq!(found.label, Label::Normal, "label of {path}");
    }
}

#[test]
fn shipped_samples_name_their_patients() {
    let expected = [
        (SYNTHEA, "Lupe", "Little", Some("1982-04-07"), Some("male"), Some("02540")),
        (IPS, "Martha", "DeLarosa", Some("1972-05-01"), Some("female"), Some("3317 DB")),
        (CT, "CT1", "CompressedSamples", None, Some("other"), None),
        (RT_DOSE, "Firstname", "Lastname", None, Some("other"), None),
        (RT_STRUCT, "Phantom30sep", "Test", Some("1969-12-31"), Some("male"), None),
        (CCD, "Isabella", "Jones", Some("1950-12-19"), Some("female"), Some("97867")),
        (UNSTRUCTURED, "Henry", "Levin", Some("1953-03-02"), Some("male"), Some("97867")),
    ];
    for (path, given, family, birth_date, gender, postal_code) in expected {
        let found = look(path);
        let patient = found.patient().unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(patient.given.first().map(String::as_str), Some(given), "given name in {path}");
        assert_eq!(patient.family, family, "family name in {path}");
        assert_eq!(patient.birth_date.as_deref(), birth_date, "birth date in {path}");
        assert_eq!(patient.gender.as_deref(), gender, "gender in {path}");
        assert_eq!(patient.postal_code.as_deref(), postal_code, "postal code in {path}");
        assert!(!format!("{found:?}").contains(family), "debug output of {path} names nobody");
    }
    assert_eq!(look(PDF).patient().err(), Some(ImportError::NoPatient), "a PDF names nobody");
}

#[test]
fn titles_dates_and_sources_are_taken_from_the_files() {
    let synthea = look(SYNTHEA);
    assert_eq!(synthea.title, "Patient chart, 8 encounters", "a chart has no title of its own");
    assert_eq!(synthea.date.as_deref(), Some("2020-09-01"), "the newest date of care, not of a bill or plan");
    let ct = look(CT);
    assert_eq!(ct.modality.as_deref(), Some("CT"), "modality");
    assert_eq!(ct.date.as_deref(), Some("2004-01-19"), "study date");
    assert_eq!(ct.source_system.as_deref(), Some("JFK IMAGING CENTER"), "institution");
    let ccd = look(CCD);
    assert_eq!(ccd.title, "Summary of Patient Chart", "title of the document");
    assert_eq!(ccd.date.as_deref(), Some("2014-10-15"), "effective time");
    assert_eq!(ccd.source_system.as_deref(), Some("Good Health HIE"), "custodian");
    assert_eq!(look(PDF).title, "C-CDA_R2_UD_sample", "a PDF is called as its file");
}

#[test]
fn patients_of_different_files_are_told_apart() {
    let little = look(SYNTHEA);
    let martha = look(IPS);
    let minimal = look("ips/IPS_IG_bundle-minimal.json");
    let verdict = |a: &Imported, b: &Imported| same_person(a.patient().unwrap(), b.patient().unwrap());
    assert_eq!(verdict(&martha, &minimal), Match::Yes, "the guide's two examples are of one patient");
    assert_eq!(verdict(&martha, &little), Match::No, "these two are two");
}

#[test]
fn the_embedded_pdf_is_the_sample_pdf() {
    let embedded = embedded_documents(&sample(UNSTRUCTURED)).unwrap();
    assert_eq!(embedded.len(), 1, "one document inside");
    assert_eq!(embedded[0].media_type, "application/pdf", "declared as PDF");
    assert_eq!(embedded[0].bytes, sample(PDF), "byte for byte the file that it was made from");
    assert_eq!(embedded_documents(&sample(CCD)), Ok(vec![]), "a structured document has none");
}

/// All files below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn all_sample_data_is_imported_and_summarised() {
    let Some(folder) = std::env::var_os("HOSPES_DATA") else {
        println!("SKIPPED all_sample_data_is_imported_and_summarised: HOSPES_DATA names no folder");
        return;
    };
    let is_sample = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["json", "dcm", "xml", "pdf"].iter().any(|known| extension == *known))
    };
    let samples: Vec<PathBuf> = files(Path::new(&folder)).into_iter().filter(is_sample).collect();
    assert!(!samples.is_empty(), "the folder of HOSPES_DATA holds samples");
    for path in samples {
        check(&path);
    }
}

fn check(path: &Path) {
    let shown = path.display();
    let bytes = std::fs::read(path).unwrap();
    let found = inspect(&bytes, path.to_str()).unwrap_or_else(|error| panic!("{shown}: {error}"));
    assert!(found.patients.len() <= 1, "{shown} is about one patient");
    assert_ne!(found.format, Format::Other, "{shown} is understood");
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    match folder {
        "dicom" => assert!(found.modality.is_some(), "{shown} has a modality"),
        "ccda" => assert_eq!(found.format, Format::Ccda, "{shown} is CDA"),
        "pdf" => assert_eq!(found.format, Format::Pdf, "{shown} is a PDF"),
        _ => {}
    }
    let summary = emergency_summary(&bytes).unwrap_or_else(|error| panic!("{shown}: {error}"));
    match (&found.format, summary) {
        (Format::FhirBundle { ips: true }, summary) => {
            assert_eq!(summary, Some(bytes), "{shown} is a summary already")
        }
        (Format::FhirBundle { .. }, Some(summary)) => {
            summaries::check_document(&summary);
            assert_eq!(
                emergency_summary(&bytes),
                Ok(Some(summary.clone())),
                "{shown} gives the same summary again"
            );
            let filed = inspect(&summary, None).unwrap();
            assert_eq!(filed.category, Category::EmergencySummary, "the summary of {shown} is filed as one");
            assert_eq!(filed.label, Label::Normal, "the summary of {shown} holds nothing restricted");
            let same = same_person(filed.patient().unwrap(), found.patient().unwrap());
            assert_eq!(same, Match::Yes, "the summary of {shown} names the same patient");
        }
        (_, None) => assert!(found.patients.is_empty() || folder != "synthea-r4", "{shown} gives a summary"),
        (_, Some(_)) => panic!("{shown} is no FHIR and gives no summary"),
    }
}
