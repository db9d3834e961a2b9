//! Walks the data elements of a DICOM data set (PS3.5 chapter 7) without leaving the bytes it was given.
//!
//! It returns slices of the input for the few top-level elements that are asked for, steps over everything else,
//! sequences and pixel data included, and checks on the way that nothing claims more bytes than there are. It
//! decodes no value and allocates nothing that an element's length could steer. The reader of `dicom-object`
//! allocates what a length field says and recurses into nested sequences, so bytes from outside don't go there.
//! Called by the parent module.

use crate::error::ImportError;

/// Group and element number.
pub(super) type Tag = (u16, u16);

const ITEM: Tag = (0xFFFE, 0xE000);
const ITEM_END: Tag = (0xFFFE, 0xE00D);
const SEQUENCE_END: Tag = (0xFFFE, 0xE0DD);
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);
const UNDEFINED: u32 = 0xFFFF_FFFF;
/// Real objects nest sequences less than ten deep.
const DEPTH_MAX: usize = 64;
/// Longest value that is handed out; names, dates and codes have at most 10,240 bytes (PS3.5 6.2).
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// The top-level elements that were asked for, in file order.
pub(super) struct Elements<'a> {
    found: Vec<(Tag, &'a [u8])>,
}

impl<'a> Elements<'a> {
    /// The value of a tag, without padding being removed.
    pub(super) fn get(&self, tag: Tag) -> Option<&'a [u8]> {
        self.found.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value)
    }
}

/// Whether the bytes begin as a DICOM file (PS3.10) or as a bare data set of the identifying group.
pub(crate) fn looks_like_dicom(bytes: &[u8]) -> bool {
    if bytes.get(128..132) == Some(b"DICM") {
        return true;
    }
    let mut reader = Reader::without_preamble(bytes);
    // A data set begins with group 8, or with file meta information, and its first value fits.
    reader.header().is_ok_and(|header| {
        matches!(header.tag.0, 0x0002 | 0x0008)
            && header.tag.1 < 0x0100
            && header.length as usize <= reader.rest()
    })
}

/// Reads the elements `wanted` of the top level, up to and including the check of the pixel data.
///
/// # Errors
/// `NotDicom` if the bytes don't begin as DICOM, `DicomDeflated`, and `Dicom` with the offset where they are damaged.
pub(super) fn read<'a>(bytes: &'a [u8], wanted: &[Tag]) -> Result<Elements<'a>, ImportError> {
    if !looks_like_dicom(bytes) {
        return Err(ImportError::NotDicom);
    }
    let mut reader = if bytes.get(128..132) == Some(b"DICM") {
        Reader { bytes, position: 132, explicit: true, big_endian: false }
    } else {
        Reader::without_preamble(bytes)
    };
    let mut found = Vec::new();
    reader.file_meta(&mut found)?;
    while reader.rest() > 0 {
        let header = reader.header()?;
        if header.tag.0 >= 0x7FE0 {
            reader.skip(&header)?;
            break;
        }
        let start = reader.position;
        reader.skip(&header)?;
        if header.length != UNDEFINED
            && wanted.contains(&header.tag)
            && let Some(value) = bytes.get(start..reader.position)
            && value.len() <= VALUE_BYTES_MAX
        {
            found.push((header.tag, value));
        }
    }
    Ok(Elements { found })
}

struct Header {
    offset: usize,
    tag: Tag,
    vr: [u8; 2],
    length: u32,
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    explicit: bool,
    big_endian: bool,
}

impl<'a> Reader<'a> {
    /// A data set without the preamble of PS3.10: the encoding shows in its first eight bytes.
    fn without_preamble(bytes: &'a [u8]) -> Self {
        let explicit = bytes.get(4..6).is_some_and(|vr| vr.iter().all(u8::is_ascii_uppercase));
        let big_endian = explicit && bytes.first() == Some(&0);
        Self { bytes, position: 0, explicit, big_endian }
    }

    fn rest(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// File meta information, always explicit little endian; afterwards the reader is set to the data set's encoding.
    fn file_meta(&mut self, found: &mut Vec<(Tag, &'a [u8])>) -> Result<(), ImportError> {
        let mut transfer_syntax = None;
        while self.bytes.get(self.position..self.position + 2) == Some(&[2, 0]) {
            let header = self.header()?;
            let start = self.position;
            self.skip(&header)?;
            if header.tag == TRANSFER_SYNTAX {
                transfer_syntax = self.bytes.get(start..self.position);
            }
        }
        let Some(value) = transfer_syntax else { return Ok(()) };
        found.push((TRANSFER_SYNTAX, value));
        match trimmed(value) {
            b"1.2.840.10008.1.2" => self.explicit = false,
            b"1.2.840.10008.1.2.2" => self.big_endian = true,
            b"1.2.840.10008.1.2.1.99" => return Err(ImportError::DicomDeflated),
            _ => {}
        }
        Ok(())
    }

    fn header(&mut self) -> Result<Header, ImportError> {
        let offset = self.position;
        let tag = (self.u16()?, self.u16()?);
        // Items and delimiters never have a value representation (PS3.5 7.5).
        if !self.explicit || tag.0 == 0xFFFE {
            return Ok(Header { offset, tag, vr: *b"UN", length: self.u32()? });
        }
        let vr: [u8; 2] = self.take()?;
        let length = match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN" | b"UR" | b"UT"
            | b"UV" => {
                self.u16()?;
                self.u32()?
            }
            _ if vr.iter().all(u8::is_ascii_uppercase) => u32::from(self.u16()?),
            _ => return Err(ImportError::Dicom { offset, what: "no value representation" }),
        };
        Ok(Header { offset, tag, vr, length })
    }

    fn skip(&mut self, header: &Header) -> Result<(), ImportError> {
        if header.length == UNDEFINED { self.skip_undefined(header) } else { self.skip_known(header) }
    }

    fn skip_known(&mut self, header: &Header) -> Result<(), ImportError> {
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if length > self.rest() {
            return Err(ImportError::Dicom { offset: header.offset, what: "a value reaches beyond the end" });
        }
        self.position += length;
        Ok(())
    }

    /// Steps over a sequence or encapsulated pixel data that ends by a delimiter, nested ones included.
    ///
    /// Only a count of what is open is kept. A sequence of unknown representation is encoded implicitly, whatever
    /// surrounds it (PS3.5 6.2.2, note).
    fn skip_undefined(&mut self, opening: &Header) -> Result<(), ImportError> {
        let surrounding = self.explicit;
        let mut open = vec![surrounding];
        self.explicit = surrounding && &opening.vr != b"UN";
        while !open.is_empty() {
            let header = self.header()?;
            match header.tag {
                ITEM_END | SEQUENCE_END => self.explicit = open.pop().unwrap_or(surrounding),
                _ if header.length == UNDEFINED => {
                    if open.len() >= DEPTH_MAX {
                        return Err(ImportError::Dicom {
                            offset: header.offset,
                            what: "sequences nested too deeply",
                        });
                    }
                    open.push(self.explicit);
                    self.explicit = self.explicit && (header.tag == ITEM || &header.vr != b"UN");
                }
                _ => self.skip_known(&header)?,
            }
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], ImportError> {
        let cut = ImportError::Dicom { offset: self.position, what: "it ends inside an element" };
        let bytes = self.bytes.get(self.position..).and_then(|rest| rest.first_chunk::<N>()).ok_or(cut)?;
        self.position += N;
        Ok(*bytes)
    }

    fn u16(&mut self) -> Result<u16, ImportError> {
        let bytes = self.take()?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&mut self) -> Result<u32, ImportError> {
        let bytes = self.take()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }
}

/// Without the padding of either end: spaces, and the zero byte of UI.
pub(super) fn trimmed(value: &[u8]) -> &[u8] {
    let padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = value.iter().position(|byte| !padding(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !padding(byte)).map_or(start, |last| last + 1);
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODALITY: Tag = (0x0008, 0x0060);
    const PATIENT_NAME: Tag = (0x0010, 0x0010);

    fn short(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(tag.0.to_le_bytes());
        bytes.extend(tag.1.to_le_bytes());
        bytes.extend(vr);
        bytes.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        bytes.extend(value);
        bytes
    }

    fn delimiter(tag: Tag, length: u32) -> Vec<u8> {
        [&tag.0.to_le_bytes()[..], &tag.1.to_le_bytes(), &length.to_le_bytes()].concat()
    }

    fn open_sequence(tag: Tag, vr: &[u8; 2]) -> Vec<u8> {
        [&tag.0.to_le_bytes()[..], &tag.1.to_le_bytes(), vr, &[0, 0], &UNDEFINED.to_le_bytes()].concat()
    }

    #[test]
    fn values_after_a_nested_sequence_are_found() {
        let bytes = [
            short(MODALITY, b"CS", b"CT"),
            open_sequence((0x0008, 0x1140), b"SQ"),
            delimiter(ITEM, UNDEFINED),
            short(PATIENT_NAME, b"PN", b"Inner^X "),
            open_sequence((0x0009, 0x1001), b"UN"),
            delimiter(ITEM, UNDEFINED),
            // Inside UN the elements are implicit: tag and a length of four bytes.
            [&[0x08, 0, 0x60, 0][..], &2u32.to_le_bytes(), b"MR"].concat(),
            delimiter(ITEM_END, 0),
            delimiter(SEQUENCE_END, 0),
            delimiter(ITEM_END, 0),
            delimiter(SEQUENCE_END, 0),
            short(PATIENT_NAME, b"PN", b"Outer^Y "),
        ]
        .concat();
        let elements = read(&bytes, &[MODALITY, PATIENT_NAME]).unwrap();
        assert_eq!(elements.get(MODALITY), Some(&b"CT"[..]), "the element before the sequence");
        assert_eq!(
            elements.get(PATIENT_NAME),
            Some(&b"Outer^Y "[..]),
            "the nested name is not the patient's"
        );
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_where_it_stands() {
        let mut bytes = short(MODALITY, b"CS", b"CT");
        assert!(read(&bytes, &[MODALITY]).is_ok(), "the whole element is read");
        let offset = bytes.len();
        bytes.extend([0x10, 0, 0x10, 0]);
        bytes.extend(b"UT\0\0");
        bytes.extend(0xFFFF_FFF0_u32.to_le_bytes());
        let refused = read(&bytes, &[MODALITY]).err();
        let expected = ImportError::Dicom { offset, what: "a value reaches beyond the end" };
        assert_eq!(refused, Some(expected), "four gigabytes are claimed and none allocated");
    }

    #[test]
    fn sequences_that_never_close_are_refused() {
        let mut bytes = short(MODALITY, b"CS", b"CT");
        for _ in 0..100_000 {
            bytes.extend(open_sequence((0x0008, 0x1140), b"SQ"));
            bytes.extend(delimiter(ITEM, UNDEFINED));
        }
        let refused = read(&bytes, &[MODALITY]).err();
        assert!(
            matches!(refused, Some(ImportError::Dicom { what: "sequences nested too deeply", .. })),
            "depth is bounded without recursion: {refused:?}"
        );
    }
}
