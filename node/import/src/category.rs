//! Which document type belongs into which category, and what a record without a title is called.
//!
//! The categories are the protocol's. This file deliberately knows no file format; the modules of the formats ask it.
//! What it answers is a proposal that a person confirms.

use hospes_protocol::personal::Category;

/// The name in English, for titles of records that have none.
pub(crate) const fn title_of(category: Category) -> &'static str {
    match category {
        Category::HistoryAndPhysical => "History and physical",
        Category::Laboratory => "Laboratory results",
        Category::RadiationDose => "Delivered radiation dose",
        Category::Imaging => "Imaging",
        Category::Medication => "Medication",
        Category::Letters => "Letter",
        Category::EmergencySummary => "Emergency summary",
        Category::PrivateNotes => "Private notes",
    }
}

/// The category of a LOINC document type, or none where the code says too little.
///
/// The codes are the document types of C-CDA R2.1, of IPS and of the commonest LOINC document ontology
/// entries. Discharge, transfer and referral documents travel between organizations, so they are letters.
pub(crate) fn of_loinc(code: &str) -> Option<Category> {
    Some(match code {
        "60591-5" => Category::EmergencySummary,
        // Summary of episode, history and physical, progress, operative, procedure, care plan, immunizations.
        "34133-9" | "34117-2" | "11506-3" | "11504-8" | "28570-0" | "52521-2" | "18776-5" | "82593-5"
        | "11369-6" | "34109-9" | "11348-0" | "28568-4" => Category::HistoryAndPhysical,
        // Laboratory studies, laboratory report, pathology, microbiology.
        "11502-2" | "26436-6" | "11526-1" | "18725-2" | "60567-5" => Category::Laboratory,
        // Radiation exposure and protection information, radiation oncology notes, radiotherapy summary.
        "73569-6" | "34832-6" | "78656-6" | "106887-3" | "21958-4" => Category::RadiationDose,
        // Diagnostic imaging study, radiology studies, CT, MR, ultrasound, nuclear medicine studies.
        "18748-4" | "18726-0" | "18747-6" | "18755-9" | "18760-9" | "18757-5" | "18745-0" => {
            Category::Imaging
        }
        // Medication summary, prescription, dispensed, administered, history of use.
        "56445-0" | "57833-6" | "60593-1" | "29549-3" | "10160-0" | "57828-6" => Category::Medication,
        // Discharge, transfer, consultation, referral, letter.
        "18842-5" | "11490-0" | "28655-9" | "34105-7" | "18761-7" | "28616-3" | "11488-4" | "57133-1"
        | "51852-2" | "34140-4" => Category::Letters,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_document_type_has_no_category() {
        assert_eq!(of_loinc("11502-2"), Some(Category::Laboratory), "laboratory report");
        assert_eq!(of_loinc("00000-0"), None, "an unknown code proposes nothing");
    }
}
