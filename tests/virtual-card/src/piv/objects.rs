//! Data objects: GET DATA and PUT DATA (SP 800-73-4, part 2, 3.1.2 and 3.3.2).

use super::Piv;
use crate::apdu::{Command, Outcome, sw};
use crate::{attest, tlv};

/// Bytes of one object, as YubiKey 5 has it.
const BYTES_MAX: usize = 3052;
/// Objects that anyone who manages the card may write: all that begin so.
const NIST: u32 = 0x5F_C100;
const YUBICO: u32 = 0x5F_FF00;
const DISCOVERY: u32 = 0x7E;

/// Printed information, fingerprints, facial image, iris images: read behind the PIN.
fn needs_pin(tag: u32) -> bool {
    matches!(tag, 0x5F_C103 | 0x5F_C108 | 0x5F_C109 | 0x5F_C121)
}

/// The tag in the list `5C`, and what follows it.
fn named(command: &Command<'_>) -> Result<(u32, Vec<u8>), u16> {
    if (command.p1, command.p2) != (0x3F, 0xFF) {
        return Err(sw::WRONG_PARAMETERS);
    }
    match tlv::take(command.data) {
        Some(((0x5C, tag), rest)) if (1..=3).contains(&tag.len()) => {
            Ok((tag.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)), rest.to_vec()))
        }
        _ => Err(sw::WRONG_DATA),
    }
}

impl Piv<'_> {
    pub(super) fn get_data(&mut self, command: &Command<'_>) -> Outcome {
        let (tag, _) = named(command)?;
        if needs_pin(tag) && !self.session.pin {
            return Err(sw::NOT_SATISFIED);
        }
        if tag == DISCOVERY {
            let aid = tlv::put(0x4F, &[0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0]);
            return Ok(tlv::put(DISCOVERY, &[aid, tlv::put(0x5F2F, &[0x40, 0])].concat()));
        }
        if tag == attest::CERTIFICATE && !self.state.objects.contains_key(&tag) {
            let certificate = attest::card_certificate(self.state).ok_or(sw::NOT_FOUND)?;
            return Ok(tlv::put(0x53, &attest::as_object(&certificate)));
        }
        let value = self.state.objects.get(&tag).ok_or(sw::NOT_FOUND)?;
        Ok(tlv::put(0x53, value))
    }

    pub(super) fn put_data(&mut self, command: &Command<'_>) -> Outcome {
        self.needs_management()?;
        let (tag, rest) = named(command)?;
        let Some(((0x53, value), [])) = tlv::take(&rest) else { return Err(sw::WRONG_DATA) };
        if ![NIST, YUBICO].contains(&(tag & 0xFF_FF00)) {
            return Err(sw::NOT_FOUND);
        }
        match value.len() {
            0 => drop(self.state.objects.remove(&tag)),
            1..=BYTES_MAX => drop(self.state.objects.insert(tag, value.to_vec())),
            _ => return Err(sw::NO_ROOM),
        }
        Ok(Vec::new())
    }
}
