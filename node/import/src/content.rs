//! Recognises what kind of bytes a file has, from the bytes; the file name only contradicts.
//!
//! It deliberately reads no more than the beginning. It also turns the encodings that XML and JSON come in into
//! text. Called by `inspect` and by the modules of the text formats.

use crate::error::ImportError;
use crate::{dicom, pdf};
use std::borrow::Cow;

/// JSON and XML are parsed whole; an ordinary chart has 0.4 to 3 MB, a long one with documents inside 30.
const STRUCTURED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    Xml,
    Dicom,
    Pdf,
    Other(&'static str),
}

/// Recognises the content and holds the file name against it.
///
/// # Errors
/// `Empty` and `WrongExtension`.
pub(crate) fn recognise(bytes: &[u8], file_name: Option<&str>) -> Result<Content, ImportError> {
    if bytes.is_empty() {
        return Err(ImportError::Empty);
    }
    let content = by_bytes(bytes);
    let promise = |extension, expected| Err(ImportError::WrongExtension { extension, expected });
    match extension(file_name).as_deref() {
        Some("dcm") if content != Content::Dicom => promise("dcm", "DICOM"),
        Some("pdf") if content != Content::Pdf => promise("pdf", "PDF"),
        Some("json") if content != Content::Json => promise("json", "JSON"),
        Some("xml") if content != Content::Xml => promise("xml", "XML"),
        _ => Ok(content),
    }
}

fn by_bytes(bytes: &[u8]) -> Content {
    // DICOM first: its preamble may hold anything, a TIFF header for instance.
    if bytes.get(128..132) == Some(b"DICM") {
        return Content::Dicom;
    }
    match bytes {
        [0xFF, 0xFE, b'<', 0, ..] | [0xFE, 0xFF, 0, b'<', ..] => return Content::Xml,
        [0x89, b'P', b'N', b'G', ..] => return Content::Other("image/png"),
        [0xFF, 0xD8, 0xFF, ..] => return Content::Other("image/jpeg"),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => return Content::Other("image/tiff"),
        [b'P', b'K', 3, 4, ..] => return Content::Other("application/zip"),
        _ => {}
    }
    let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
    match start.first() {
        Some(b'{' | b'[') => Content::Json,
        Some(b'<') => Content::Xml,
        _ if pdf::looks_like_pdf(bytes) => Content::Pdf,
        _ if dicom::looks_like_dicom(bytes) => Content::Dicom,
        _ if std::str::from_utf8(bytes).is_ok() => Content::Other("text/plain"),
        _ => Content::Other("application/octet-stream"),
    }
}

fn extension(file_name: Option<&str>) -> Option<String> {
    let (_, extension) = base(file_name?).rsplit_once('.')?;
    Some(extension.to_ascii_lowercase())
}

/// The file name without folders and extension; none where nothing is left.
pub(crate) fn stem(file_name: Option<&str>) -> Option<&str> {
    let base = base(file_name?);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem).trim();
    (!stem.is_empty()).then_some(stem)
}

fn base(file_name: &str) -> &str {
    file_name.rsplit(['/', '\\']).next().unwrap_or(file_name)
}

/// At most 200 characters, spaces in place of control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().take(200).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// Refuses what is too large to be read whole.
///
/// # Errors
/// `TooLarge`.
pub(crate) fn check_size(bytes: &[u8]) -> Result<(), ImportError> {
    if bytes.len() > STRUCTURED_BYTES_MAX {
        return Err(ImportError::TooLarge { bytes: bytes.len(), limit: STRUCTURED_BYTES_MAX });
    }
    Ok(())
}

/// The text of an XML file: UTF-8, UTF-16 with a byte order mark, or ISO 8859-1 if the declaration says so.
///
/// # Errors
/// `Encoding`.
pub(crate) fn xml_text(bytes: &[u8]) -> Result<Cow<'_, str>, ImportError> {
    match bytes {
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text))),
            Err(_) if declares_latin1(bytes) => Ok(bytes.iter().copied().map(char::from).collect()),
            Err(_) => Err(ImportError::Encoding),
        },
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, ImportError> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(ImportError::Encoding);
    }
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units).collect::<Result<_, _>>().map_err(|_| ImportError::Encoding)
}

fn declares_latin1(bytes: &[u8]) -> bool {
    let declaration = bytes.split(|byte| *byte == b'>').next().unwrap_or_default();
    String::from_utf8_lossy(declaration).to_ascii_lowercase().contains("encoding=\"iso-8859-1\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_content_contradicts_is_refused() {
        let refused = recognise(b"just words", Some("scan.DCM"));
        let expected = ImportError::WrongExtension { extension: "dcm", expected: "DICOM" };
        assert_eq!(refused, Err(expected), "words called .dcm are damaged or mistaken");
        assert_eq!(
            recognise(b"just words", Some("note.txt")),
            Ok(Content::Other("text/plain")),
            "as text they pass"
        );
        assert_eq!(recognise(b"", None), Err(ImportError::Empty), "nothing is nothing");
    }

    #[test]
    fn titles_come_from_the_file_name_alone() {
        assert_eq!(stem(Some("C:\\scans\\Letter of May.pdf")), Some("Letter of May"), "folders stay out");
        assert_eq!(stem(Some(".pdf")), None, "an extension is no title");
    }

    #[test]
    fn titles_are_one_line_of_bounded_length() {
        assert_eq!(one_line("a\nb\u{7f}c"), "a b c", "control characters are spaces");
        assert_eq!(one_line(&"\u{e9}".repeat(5000)).chars().count(), 200, "a title is no place for a novel");
    }

    #[test]
    fn xml_is_read_in_the_encodings_it_comes_in() {
        assert_eq!(xml_text(b"\xEF\xBB\xBF<a/>").as_deref(), Ok("<a/>"), "a byte order mark is dropped");
        assert_eq!(xml_text(b"\xFF\xFE<\0a\0/\0>\0").as_deref(), Ok("<a/>"), "UTF-16");
        let latin1 = b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xE9</a>";
        assert!(xml_text(latin1).unwrap().contains("<a>\u{e9}</a>"), "declared ISO 8859-1");
        assert_eq!(xml_text(b"<a>\xE9</a>"), Err(ImportError::Encoding), "undeclared bytes are refused");
    }
}
