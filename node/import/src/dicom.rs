//! DICOM files: whose, when, what kind.
//!
//! Values come from `elements`, their text is decoded by its character set here. Pixel data is never looked at.
//! Every radiotherapy object (dose, plan, structure set, treatment record, portal image) is filed as delivered
//! radiation dose: a plan or a structure set is what a dose is read against, and who may see one needs the others.
//! Called by `inspect`.

mod elements;

use self::elements::{Elements, Tag};
use crate::category::title_of;
use crate::date;
use crate::error::ImportError;
use crate::identity::{Identifier, PatientIdentity};
use crate::{Format, Imported};
use dicom_encoding::text::{SpecificCharacterSet, TextCodec};
use hospes_protocol::personal::{Category, Label};

pub(crate) use self::elements::looks_like_dicom;

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const SOP_CLASS: Tag = (0x0008, 0x0016);
const STUDY_DATE: Tag = (0x0008, 0x0020);
const CONTENT_DATE: Tag = (0x0008, 0x0023);
const MODALITY: Tag = (0x0008, 0x0060);
const MANUFACTURER: Tag = (0x0008, 0x0070);
const INSTITUTION: Tag = (0x0008, 0x0080);
const STUDY_DESCRIPTION: Tag = (0x0008, 0x1030);
const SERIES_DESCRIPTION: Tag = (0x0008, 0x103E);
const PATIENT_NAME: Tag = (0x0010, 0x0010);
const PATIENT_ID: Tag = (0x0010, 0x0020);
const ISSUER_OF_PATIENT_ID: Tag = (0x0010, 0x0021);
const BIRTH_DATE: Tag = (0x0010, 0x0030);
const SEX: Tag = (0x0010, 0x0040);

const WANTED: [Tag; 14] = [
    CHARACTER_SET,
    SOP_CLASS,
    STUDY_DATE,
    CONTENT_DATE,
    MODALITY,
    MANUFACTURER,
    INSTITUTION,
    STUDY_DESCRIPTION,
    SERIES_DESCRIPTION,
    PATIENT_NAME,
    PATIENT_ID,
    ISSUER_OF_PATIENT_ID,
    BIRTH_DATE,
    SEX,
];

/// Looks at a DICOM file, with or without its preamble.
///
/// # Errors
/// `NotDicom` without modality and SOP class, else those of the element reader.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Imported, ImportError> {
    let values = Values::new(elements::read(bytes, &WANTED)?);
    let sop_class = values.text(SOP_CLASS).unwrap_or_default();
    let modality = values.text(MODALITY);
    if sop_class.is_empty() && modality.is_none() {
        return Err(ImportError::NotDicom);
    }
    let category = category(&sop_class, modality.as_deref().unwrap_or_default());
    let title = values.text(STUDY_DESCRIPTION).or_else(|| values.text(SERIES_DESCRIPTION));
    let patient = values.patient();
    let mut imported = Imported {
        media_type: "application/dicom".to_owned(),
        format: Format::Dicom,
        patients: Vec::new(),
        category,
        label: Label::Normal,
        title: title.unwrap_or_else(|| {
            modality.as_ref().map_or_else(|| title_of(category).to_owned(), |kind| format!("DICOM {kind}"))
        }),
        date: values.date(STUDY_DATE).or_else(|| values.date(CONTENT_DATE)),
        source_system: values.text(INSTITUTION).or_else(|| values.text(MANUFACTURER)),
        modality,
        warnings: Vec::new(),
    };
    if values.unknown_character_set {
        imported.warn("the character set is unknown, so names may be misread");
    }
    if patient.is_empty() {
        imported.warn("the file names no patient");
    } else {
        imported.patients.push(patient);
    }
    Ok(imported)
}

/// By SOP class (PS3.4 B.5) where it says more than the modality, else by modality (PS3.3 C.7.3.1.1.1).
fn category(sop_class: &str, modality: &str) -> Category {
    const RADIOTHERAPY: &str = "1.2.840.10008.5.1.4.1.1.481.";
    const WAVEFORM: &str = "1.2.840.10008.5.1.4.1.1.9.";
    match sop_class {
        // Dose reports: X-ray, radiopharmaceutical, patient, enhanced X-ray.
        "1.2.840.10008.5.1.4.1.1.88.67"
        | "1.2.840.10008.5.1.4.1.1.88.68"
        | "1.2.840.10008.5.1.4.1.1.88.73"
        | "1.2.840.10008.5.1.4.1.1.88.76" => return Category::RadiationDose,
        // Encapsulated PDF and CDA.
        "1.2.840.10008.5.1.4.1.1.104.1" | "1.2.840.10008.5.1.4.1.1.104.2" => return Category::Letters,
        _ if sop_class.starts_with(RADIOTHERAPY) => return Category::RadiationDose,
        _ if sop_class.starts_with(WAVEFORM) => return Category::HistoryAndPhysical,
        _ => {}
    }
    match modality {
        "RTDOSE" | "RTPLAN" | "RTSTRUCT" | "RTRECORD" | "RTIMAGE" | "RTRAD" | "RTSEGANN" | "RTINTENT"
        | "PLAN" => Category::RadiationDose,
        "ECG" | "EPS" | "HD" | "RESP" => Category::HistoryAndPhysical,
        _ => Category::Imaging,
    }
}

/// Decoded values.
struct Values<'a> {
    elements: Elements<'a>,
    character_set: SpecificCharacterSet,
    unknown_character_set: bool,
}

impl<'a> Values<'a> {
    fn new(elements: Elements<'a>) -> Self {
        let declared = elements.get(CHARACTER_SET).map(elements::trimmed).unwrap_or_default();
        let declared = String::from_utf8_lossy(declared);
        // With code extensions the first value may be empty and the later ones name what escapes switch to.
        let name = declared.split('\\').map(str::trim).rfind(|name| !name.is_empty());
        let known = name.map_or(Some(SpecificCharacterSet::ISO_IR_6), SpecificCharacterSet::from_code);
        let unknown_character_set = known.is_none();
        Self {
            elements,
            character_set: known.unwrap_or(SpecificCharacterSet::ISO_IR_192),
            unknown_character_set,
        }
    }

    /// Text without padding and control characters; none where it is empty or can't be decoded.
    fn text(&self, tag: Tag) -> Option<String> {
        let value = elements::trimmed(self.elements.get(tag)?);
        let text = self.character_set.decode(value).ok()?;
        let text: String = text.chars().filter(|char| !char.is_control()).collect();
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn date(&self, tag: Tag) -> Option<String> {
        date::from_compact(&self.text(tag)?)
    }

    fn patient(&self) -> PatientIdentity {
        let name = self.text(PATIENT_NAME).unwrap_or_default();
        // The alphabetic group comes first; components: family, given, middle, prefix, suffix (PS3.5 6.2.1).
        let mut components = name.split('=').next().unwrap_or_default().split('^').map(str::trim);
        let family = components.next().unwrap_or_default().to_owned();
        let given = components.take(2).flat_map(str::split_whitespace).map(str::to_owned).collect();
        PatientIdentity {
            given,
            family,
            birth_date: self.date(BIRTH_DATE).filter(|date| date.len() == 10),
            identifiers: self.identifier().into_iter().collect(),
            postal_code: None,
            gender: self.text(SEX).and_then(|sex| gender(&sex)),
        }
    }

    fn identifier(&self) -> Option<Identifier> {
        let value = self.text(PATIENT_ID)?;
        Some(Identifier { system: self.text(ISSUER_OF_PATIENT_ID).unwrap_or_default(), value })
    }
}

/// Patient's Sex (0010,0040) in FHIR's terms.
fn gender(sex: &str) -> Option<String> {
    let gender = match sex {
        "M" => "male",
        "F" => "female",
        "O" => "other",
        _ => return None,
    };
    Some(gender.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn radiotherapy_objects_and_dose_reports_are_delivered_dose() {
        for modality in ["RTDOSE", "RTPLAN", "RTSTRUCT", "RTRECORD"] {
            assert_eq!(category("", modality), Category::RadiationDose, "{modality}");
        }
        assert_eq!(
            category("1.2.840.10008.5.1.4.1.1.481.2", ""),
            Category::RadiationDose,
            "RT dose by SOP class"
        );
        assert_eq!(
            category("1.2.840.10008.5.1.4.1.1.88.67", "SR"),
            Category::RadiationDose,
            "dose report of a CT"
        );
        assert_eq!(
            category("1.2.840.10008.5.1.4.1.1.2", "CT"),
            Category::Imaging,
            "the CT itself is an image"
        );
    }

    #[test]
    fn names_are_decoded_by_their_character_set() {
        let element = |tag: Tag, vr: &[u8; 2], value: &[u8]| {
            let mut bytes = Vec::new();
            bytes.extend(tag.0.to_le_bytes());
            bytes.extend(tag.1.to_le_bytes());
            bytes.extend(vr);
            bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
            bytes.extend(value);
            bytes
        };
        let file = |charset: &[u8], name: &[u8]| {
            let mut bytes = element(CHARACTER_SET, b"CS", charset);
            bytes.extend(element(MODALITY, b"CS", b"CT"));
            bytes.extend(element(PATIENT_NAME, b"PN", name));
            inspect(&bytes).unwrap()
        };
        let latin = file(b"ISO_IR 100", b"M\xFCller^J\xF6rg");
        assert_eq!(latin.patients[0].family, "M\u{fc}ller", "ISO 8859-1");
        let utf8 = file(b"ISO_IR 192", "M\u{fc}ller^J\u{f6}rg Maria^Karl".as_bytes());
        assert_eq!(utf8.patients[0].given, ["J\u{f6}rg", "Maria", "Karl"], "given and middle names in UTF-8");
        let unknown = file(b"ISO_IR 9999 ", b"Smith^Ann ");
        assert!(!unknown.warnings.is_empty(), "an unknown character set is said");
        assert_eq!(unknown.patients[0].family, "Smith", "what is plain is still read");
    }
}
