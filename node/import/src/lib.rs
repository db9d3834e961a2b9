//! Import of clinical files: FHIR bundles, IPS documents, DICOM, C-CDA and PDF.
//!
//! Pure functions over bytes. [`inspect`] says what a file is, whom it names and how to file it;
//! [`emergency_summary`] derives an International Patient Summary; [`embedded_documents`] takes out what a C-CDA
//! document carries inside; [`same_person`] compares whom a file names with whom it is filed under. What they
//! propose, a person confirms. There is no file, socket, clock or randomness here, the input is never changed, and
//! what is stored is always the original. The node calls this when a record is added.

mod category;
mod ccda;
mod content;
mod date;
mod dicom;
mod error;
mod fhir;
mod identity;
mod pdf;
mod sensitivity;
mod summary;

pub use ccda::{EmbeddedDocument, embedded_documents};
pub use error::ImportError;
pub use hospes_protocol::personal::{Category, Label};
pub use identity::{Identifier, Match, PatientIdentity, same_person};
pub use summary::emergency_summary;

use content::Content;
use std::fmt;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// A FHIR R4 Bundle in JSON.
    FhirBundle {
        /// Whether it is an International Patient Summary document (LOINC 60591-5).
        ips: bool,
    },
    /// A single FHIR R4 resource in JSON.
    FhirResource,
    /// A DICOM file, or a data set without the preamble.
    Dicom,
    /// A CDA release 2 document, C-CDA or another profile.
    Ccda,
    /// A PDF.
    Pdf,
    /// Anything else: kept as it is, proposed as a letter.
    Other,
}

/// What was found out about a file, and how it could be filed.
///
/// Title, date and names come from the file and are health data: `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct Imported {
    /// Media type under which it is stored and served.
    pub media_type: String,
    /// What it is.
    pub format: Format,
    /// Whom the file names; empty if nobody, several if it must be split before filing.
    pub patients: Vec<PatientIdentity>,
    /// Proposed category.
    pub category: Category,
    /// Proposed label.
    pub label: Label,
    /// Title to show in a list: one line of at most 200 characters.
    pub title: String,
    /// Date of care: `YYYY`, `YYYY-MM` or `YYYY-MM-DD`.
    pub date: Option<String>,
    /// DICOM modality.
    pub modality: Option<String>,
    /// Name of the system or organization that it comes from.
    pub source_system: Option<String>,
    /// What a person should look at before filing: fixed English sentences without health data.
    pub warnings: Vec<String>,
}

impl Imported {
    /// The one patient whom the file names.
    ///
    /// # Errors
    /// `NoPatient` if it names nobody, `SeveralPatients` if it names more than one.
    pub fn patient(&self) -> Result<&PatientIdentity, ImportError> {
        match self.patients.as_slice() {
            [] => Err(ImportError::NoPatient),
            [patient] => Ok(patient),
            several => Err(ImportError::SeveralPatients { count: several.len() }),
        }
    }

    fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.to_owned());
    }
}

impl fmt::Debug for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imported")
            .field("media_type", &self.media_type)
            .field("format", &self.format)
            .field("patients", &self.patients.len())
            .field("category", &self.category)
            .field("label", &self.label)
            .field("warnings", &self.warnings)
            .finish_non_exhaustive()
    }
}

/// Looks at a file and proposes how to file it.
///
/// The content decides what it is. `file_name` lends a PDF its title and is held against the content: a damaged file
/// called `.dcm` is refused as such, not kept as something unknown.
///
/// # Errors
/// `Empty`, `WrongExtension`, or what is wrong with a file of that format.
pub fn inspect(bytes: &[u8], file_name: Option<&str>) -> Result<Imported, ImportError> {
    let mut imported = match content::recognise(bytes, file_name)? {
        Content::Json => match fhir::parse(bytes)? {
            Some(root) => fhir::inspect(&root)?,
            None => other("application/json", file_name),
        },
        Content::Xml => ccda::inspect(bytes)?.unwrap_or_else(|| other("application/xml", file_name)),
        Content::Dicom => dicom::inspect(bytes)?,
        Content::Pdf => pdf::inspect(bytes, content::stem(file_name))?,
        Content::Other(media_type) => other(media_type, file_name),
    };
    imported.title = content::one_line(&imported.title);
    imported.source_system = imported.source_system.as_deref().map(content::one_line);
    Ok(imported)
}

/// A file that is kept without being understood.
fn other(media_type: &str, file_name: Option<&str>) -> Imported {
    let mut imported = Imported {
        media_type: media_type.to_owned(),
        format: Format::Other,
        patients: Vec::new(),
        category: Category::Letters,
        label: Label::Normal,
        title: content::stem(file_name).unwrap_or("Document").to_owned(),
        date: None,
        modality: None,
        source_system: None,
        warnings: Vec::new(),
    };
    imported.warn("the content isn't understood: choose category, label and patient yourself");
    imported
}
