//! Categories and sensitivity labels, with their codes, and which document type belongs where.
//!
//! The codes are those of locker and grant on the wire, in the order of the design. This file deliberately knows
//! no file format; the modules of the formats ask it. What it answers is a proposal that a person confirms.

/// What a record is about. A grant names categories, so this decides who may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Category {
    /// History and physical examination; whole charts too.
    HistoryAndPhysical = 1,
    /// Laboratory results.
    Laboratory = 2,
    /// Delivered radiation dose: every radiotherapy object and every dose report of imaging.
    RadiationDose = 3,
    /// Images and their reports.
    Imaging = 4,
    /// Prescriptions, dispensings, medication lists.
    Medication = 5,
    /// Letters between those who treat: discharge, referral, consultation.
    Letters = 6,
    /// The emergency summary, an International Patient Summary.
    EmergencySummary = 7,
    /// A practitioner's or patient's private notes; never proposed, only chosen.
    PrivateNotes = 8,
}

impl Category {
    /// All, in the order of their codes.
    pub const ALL: [Self; 8] = [
        Self::HistoryAndPhysical,
        Self::Laboratory,
        Self::RadiationDose,
        Self::Imaging,
        Self::Medication,
        Self::Letters,
        Self::EmergencySummary,
        Self::PrivateNotes,
    ];

    /// The code on the wire, 1 to 8.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }

    /// The name in English, for titles of records that have none.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HistoryAndPhysical => "History and physical",
            Self::Laboratory => "Laboratory results",
            Self::RadiationDose => "Delivered radiation dose",
            Self::Imaging => "Imaging",
            Self::Medication => "Medication",
            Self::Letters => "Letter",
            Self::EmergencySummary => "Emergency summary",
            Self::PrivateNotes => "Private notes",
        }
    }

    /// The category of a LOINC document type, or none where the code says too little.
    ///
    /// The codes are the document types of C-CDA R2.1, of IPS and of the commonest LOINC document ontology
    /// entries. Discharge, transfer and referral documents travel between organizations, so they are letters.
    #[must_use]
    pub fn of_loinc(code: &str) -> Option<Self> {
        Some(match code {
            "60591-5" => Self::EmergencySummary,
            // Summary of episode, history and physical, progress, operative, procedure, care plan, immunizations.
            "34133-9" | "34117-2" | "11506-3" | "11504-8" | "28570-0" | "52521-2" | "18776-5" | "82593-5"
            | "11369-6" | "34109-9" | "11348-0" | "28568-4" => Self::HistoryAndPhysical,
            // Laboratory studies, laboratory report, pathology, microbiology.
            "11502-2" | "26436-6" | "11526-1" | "18725-2" | "60567-5" => Self::Laboratory,
            // Radiation exposure and protection information, radiation oncology notes, radiotherapy summary.
            "73569-6" | "34832-6" | "78656-6" | "106887-3" | "21958-4" => Self::RadiationDose,
            // Diagnostic imaging study, radiology studies, CT, MR, ultrasound, nuclear medicine studies.
            "18748-4" | "18726-0" | "18747-6" | "18755-9" | "18760-9" | "18757-5" | "18745-0" => {
                Self::Imaging
            }
            // Medication summary, prescription, dispensed, administered, history of use.
            "56445-0" | "57833-6" | "60593-1" | "29549-3" | "10160-0" | "57828-6" => Self::Medication,
            // Discharge, transfer, consultation, referral, letter.
            "18842-5" | "11490-0" | "28655-9" | "34105-7" | "18761-7" | "28616-3" | "11488-4" | "57133-1"
            | "51852-2" | "34140-4" => Self::Letters,
            _ => return None,
        })
    }
}

/// How sensitive a record is, in the manner of HL7 Data Segmentation for Privacy (DS4P).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u64)]
pub enum Label {
    /// As any health record.
    Normal = 1,
    /// Psychiatry, HIV, sexual health, substance use.
    Restricted = 2,
    /// What its author marked so, psychotherapy notes, violence.
    VeryRestricted = 3,
}

impl Label {
    /// The code on the wire, 1 to 3.
    #[must_use]
    pub const fn code(self) -> u64 {
        self as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_wire_in_order() {
        let codes: Vec<u64> = Category::ALL.iter().map(|category| category.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8], "lockers and grants depend on these numbers");
        let labels = [Label::Normal, Label::Restricted, Label::VeryRestricted].map(Label::code);
        assert_eq!(labels, [1, 2, 3], "labels are ordered by sensitivity");
        assert!(Label::Normal < Label::Restricted, "the greater label is the narrower one");
    }

    #[test]
    fn an_unknown_document_type_has_no_category() {
        assert_eq!(Category::of_loinc("11502-2"), Some(Category::Laboratory), "laboratory report");
        assert_eq!(Category::of_loinc("00000-0"), None, "an unknown code proposes nothing");
    }
}
