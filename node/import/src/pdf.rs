//! PDF files: whether it is one and whether it is whole.
//!
//! There is deliberately no PDF parser here: a PDF is a program for a reader that we don't write. Its title is that
//! of the file, its patient is unknown and a person says so. Called by `inspect`.

use crate::error::ImportError;
use crate::{Format, Imported};
use hospes_protocol::personal::{Category, Label};

/// Readers accept the header within the first and the end mark within the last kilobyte (PDF 1.7, appendix H).
const MARGIN_BYTES: usize = 1024;

/// Whether the header stands where readers look for it.
pub(crate) fn looks_like_pdf(bytes: &[u8]) -> bool {
    let head = bytes.get(..bytes.len().min(MARGIN_BYTES)).unwrap_or_default();
    contains(head, b"%PDF-")
}

/// Looks at a PDF.
///
/// # Errors
/// `PdfTruncated` if the end mark is missing.
pub(crate) fn inspect(bytes: &[u8], title: Option<&str>) -> Result<Imported, ImportError> {
    let tail = bytes.get(bytes.len().saturating_sub(MARGIN_BYTES)..).unwrap_or_default();
    if !contains(tail, b"%%EOF") {
        return Err(ImportError::PdfTruncated);
    }
    let mut imported = Imported {
        media_type: "application/pdf".to_owned(),
        format: Format::Pdf,
        patients: Vec::new(),
        category: Category::Letters,
        label: Label::Normal,
        title: title.unwrap_or("PDF document").to_owned(),
        date: None,
        modality: None,
        source_system: None,
        warnings: Vec::new(),
    };
    imported.warn("a PDF doesn't say whose it is: compare it with the patient before filing");
    Ok(imported)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
