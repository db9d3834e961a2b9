//! DER, as much as an X.509 certificate needs (ITU-T X.690). Writes only.

/// An object with its tag.
pub(crate) fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    crate::tlv::put(u32::from(tag), value)
}

/// A SEQUENCE of these.
pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    tagged(0x30, &parts.concat())
}

/// An INTEGER from a big-endian magnitude.
pub(crate) fn integer(magnitude: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = magnitude.iter().copied().skip_while(|byte| *byte == 0).collect();
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        bytes.insert(0, 0);
    }
    tagged(0x02, &bytes)
}

/// An OBJECT IDENTIFIER from its encoded arcs.
pub(crate) fn oid(encoded: &[u8]) -> Vec<u8> {
    tagged(0x06, encoded)
}

/// A BIT STRING of whole bytes.
pub(crate) fn bits(bytes: &[u8]) -> Vec<u8> {
    tagged(0x03, &[&[0], bytes].concat())
}

/// An OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tagged(0x04, bytes)
}

/// A Name with one common name.
pub(crate) fn common_name(text: &str) -> Vec<u8> {
    let attribute = sequence(&[oid(&[0x55, 4, 3]), tagged(0x0C, text.as_bytes())]);
    sequence(&[tagged(0x31, &attribute)])
}

/// A validity from 2016 to 2052, as Yubico's own attestation certificates have it.
pub(crate) fn validity() -> Vec<u8> {
    sequence(&[tagged(0x17, b"160314000000Z"), tagged(0x18, b"20520417000000Z")])
}
