//! The import on the sample files, on charts made for one rule each, and on damaged input.
//!
//! Samples are those that ship under `node/assets/samples`; with `HOSPES_DATA` set to a folder of the same layout,
//! all files of it as well. Nothing here is random but `hostile`, whose failures print their seed.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may fail")]

mod hostile;
mod samples;
mod summaries;

use std::fs;
use std::path::PathBuf;

/// A file that ships with the repository.
pub(crate) fn sample(path: &str) -> Vec<u8> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../assets/samples").join(path);
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

pub(crate) const SYNTHEA: &str = "synthea-r4/Lupe_Little_f8a42e66-8c03-4ee6-85e3-3817c2942de1.json";
pub(crate) const IPS: &str = "ips/IPS_IG-bundle-01.json";
pub(crate) const CT: &str = "dicom/CT_small.dcm";
pub(crate) const RT_DOSE: &str = "dicom/rtdose.dcm";
pub(crate) const RT_STRUCT: &str = "dicom/rtstruct.dcm";
pub(crate) const CCD: &str = "ccda/CCD.xml";
pub(crate) const UNSTRUCTURED: &str = "ccda/Unstructured_Document_embed.xml";
pub(crate) const PDF: &str = "pdf/C-CDA_R2_UD_sample.pdf";
