//! Why a file can't be imported.
//!
//! One closed enum for the whole package. No variant carries text from the file: a message may be logged or
//! shown to somebody who may not read the record. Every function of this package that can refuse returns it.

use thiserror::Error;

/// Why a file was refused. Every refusal is about the bytes; none is about the machine.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// JSON and XML are read whole into memory, so their size is bounded. Sizes in bytes.
    #[error("the file has {bytes} bytes; a structured document may have {limit}")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// The largest size that is read.
        limit: usize,
    },
    /// The content isn't what the file name promises.
    #[error("the file is called .{extension} but its content is not {expected}")]
    WrongExtension {
        /// Extension in lower case, from a fixed list.
        extension: &'static str,
        /// What the extension stands for.
        expected: &'static str,
    },
    /// JSON that ends in the middle.
    #[error("the JSON ends in the middle, at line {line}")]
    JsonTruncated {
        /// Line, from 1.
        line: usize,
    },
    /// JSON nested deeper than 127 levels; no FHIR resource comes near.
    #[error("the JSON is nested too deeply, at line {line}")]
    JsonTooDeep {
        /// Line, from 1.
        line: usize,
    },
    /// A number beyond what a double can hold, or bytes that aren't JSON.
    #[error("the JSON is malformed at line {line}, column {column}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A FHIR Bundle whose entries aren't of the form that the standard demands.
    #[error("the FHIR resource is malformed: {what}")]
    Fhir {
        /// What is wrong, from a fixed list.
        what: &'static str,
    },
    /// XML that ends in the middle.
    #[error("the XML ends in the middle")]
    XmlTruncated,
    /// XML that isn't well formed.
    #[error("the XML is malformed at line {line}, column {column}")]
    Xml {
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// A document type declaration, the door of entity bombs and external entities. CDA has no use for one.
    #[error("the XML has a document type declaration, which is never read")]
    XmlDoctype,
    /// More XML nodes than are read.
    #[error("the XML has more than {limit} nodes")]
    XmlTooManyNodes {
        /// The largest number of nodes that is read.
        limit: u32,
    },
    /// Text in an encoding that isn't UTF-8, UTF-16 with a byte order mark, or a declared ISO 8859-1.
    #[error("the text is in an encoding that is not read")]
    Encoding,
    /// Neither a DICOM file nor a bare data set.
    #[error("the file is not DICOM")]
    NotDicom,
    /// A DICOM element that claims more bytes than there are, or sequences that don't close.
    #[error("the DICOM file is damaged or cut short at byte {offset}: {what}")]
    Dicom {
        /// Where the element begins, in bytes from the start of the file.
        offset: usize,
        /// What is wrong, from a fixed list.
        what: &'static str,
    },
    /// A deflated data set is not inflated here: its size would not be bounded by that of the input.
    #[error("the DICOM file is in the deflated transfer syntax, which is not read")]
    DicomDeflated,
    /// The end-of-file mark of a PDF is missing.
    #[error("the PDF is cut short: its end mark is missing")]
    PdfTruncated,
    /// An embedded document that isn't valid base64, or is compressed.
    #[error("the embedded document can't be decoded: {what}")]
    Embedded {
        /// What is wrong, from a fixed list.
        what: &'static str,
    },
    /// No patient named, where one is needed.
    #[error("the file names no patient")]
    NoPatient,
    /// More than one patient named: a file is filed under one patient only.
    #[error("the file names {count} patients; split it, one file for each")]
    SeveralPatients {
        /// How many different patients; looking at a file stops counting at 64.
        count: usize,
    },
    /// A summary must carry a date, and no date of care was found to derive it from.
    #[error("no date of care was found, so a summary would be undated")]
    Undated,
}
