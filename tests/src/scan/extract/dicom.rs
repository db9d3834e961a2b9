//! Identifying strings of DICOM files (PS3.10), little end first, explicit and implicit VR, with or without preamble.
//!
//! Not a parser: it steps from element header to element header and into sequences, and stops at the pixels. Deflated
//! and big-endian files are deliberately not read. Called by `scan::extract`.

use super::{Kind, Taken};

/// Length that stands for "until the delimiter" (PS3.5, 7.5).
const UNDEFINED: u32 = 0xffff_ffff;
const PIXEL_DATA: (u16, u16) = (0x7fe0, 0x0010);
const ITEM_GROUP: u16 = 0xfffe;

struct Element<'a> {
    tag: (u16, u16),
    value: &'a [u8],
    /// Bytes of header and value; only of the header where the value is a sequence, which is stepped into.
    advance: usize,
}

pub(super) fn take(bytes: &[u8], taken: &mut Taken) -> Option<()> {
    let with_preamble = bytes.get(128..132) == Some(b"DICM".as_slice());
    let mut rest = if with_preamble { bytes.get(132..)? } else { bytes };
    let mut elements = 0_u32;
    while let Some(element) = read(rest).filter(|element| element.tag != PIXEL_DATA) {
        if elements == 0 && !matches!(element.tag.0, 0x0002 | 0x0008) {
            return None;
        }
        elements += 1;
        identify(element.tag, element.value, taken);
        rest = rest.get(element.advance..)?;
    }
    (elements > 0).then_some(())
}

fn read(bytes: &[u8]) -> Option<Element<'_>> {
    let tag = (u16_at(bytes, 0)?, u16_at(bytes, 2)?);
    let (header, length, sequence) = header(bytes, tag)?;
    let into = sequence || length == UNDEFINED || tag.0 == ITEM_GROUP;
    let end = header.checked_add(usize::try_from(length).ok()?)?;
    let value = if into { &[] } else { bytes.get(header..end)? };
    // An implicit VR does not say that it is a sequence; the tag of an item at its start does.
    let into = into || (u16_at(value, 0) == Some(ITEM_GROUP) && u16_at(value, 2) == Some(0xe000));
    Some(Element { tag, value: if into { &[] } else { value }, advance: if into { header } else { end } })
}

/// Bytes of the header, the length of the value, and whether the VR says sequence.
fn header(bytes: &[u8], tag: (u16, u16)) -> Option<(usize, u32, bool)> {
    let vr = bytes.get(4..6)?;
    let explicit = tag.0 != ITEM_GROUP && vr.iter().all(u8::is_ascii_uppercase);
    if !explicit {
        return Some((8, u32_at(bytes, 4)?, false));
    }
    let long = [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"];
    if long.iter().any(|name| name.as_slice() == vr) {
        return Some((12, u32_at(bytes, 8)?, vr == b"SQ"));
    }
    Some((8, u32::from(u16_at(bytes, 6)?), false))
}

fn identify(tag: (u16, u16), value: &[u8], taken: &mut Taken) {
    let text = String::from_utf8_lossy(value);
    for value in
        text.split('\\').map(|value| value.trim_matches(|end: char| end == '\0' || end.is_whitespace()))
    {
        match tag {
            (0x0010, 0x0010 | 0x1001 | 0x1005 | 0x1060)
            | (0x0008, 0x0090 | 0x1048 | 0x1050 | 0x1060 | 0x1070)
            | (0x0040, 0xa123) => person(value, taken),
            (0x0010, 0x0030) => taken.birth_date(value),
            (0x0010, 0x1040) | (0x0008, 0x0081) => taken.add(Kind::Address, value),
            (0x0010, 0x2154) => taken.add(Kind::Telecom, value),
            (0x0010, 0x0020 | 0x1000)
            | (0x0008, 0x0018 | 0x0050)
            | (0x0020, 0x000d | 0x000e | 0x0010 | 0x0052) => taken.add(Kind::Identifier, value),
            (0x0008, 0x0080) => taken.add(Kind::Name, value),
            (0x0008, 0x0100) => taken.code(value),
            _ => {}
        }
    }
}

/// Family^given^middle^prefix^suffix, in up to three writing systems divided by `=` (PS3.5, 6.2.1).
fn person(value: &str, taken: &mut Taken) {
    for spelling in value.split('=') {
        taken.add(Kind::Name, spelling);
        let mut parts = spelling.split('^');
        let family = parts.next().unwrap_or_default();
        let given: Vec<&str> = parts.take(2).filter(|part| !part.is_empty()).collect();
        taken.person(&given, family);
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
