//! Data objects: GET DATA and PUT DATA (4.4, 7.2.6 to 7.2.8).

use super::pins::{CODE_MAX, PW3_MIN};
use super::{OpenPgp, Place};
use crate::apdu::{Command, Outcome, sw};
use crate::tlv;

/// What the card can do (4.4.3.7): challenges, key import, changeable PW1 status and attributes, private objects. Then what
/// its objects hold: challenges of 255 bytes, certificates of 2,048, private objects of 1,023.
const CAPABILITIES: [u8; 10] = [0x7C, 0, 0x00, 0xFF, 0x08, 0x00, 0x03, 0xFF, 0, 0];
const PRIVATE_MAX: usize = 1023;
const CERTIFICATE_MAX: usize = 2048;
/// A name, a language, an address.
const TEXT_MAX: usize = 255;
/// Selection by name, and what the card does: chains, extended lengths; operational (ISO 7816-4, 8.1.1).
pub(crate) const HISTORICAL: [u8; 10] = [0, 0x31, 0xF5, 0x73, 0xC0, 0x01, 0xC0, 0x05, 0x90, 0];
/// Of a range that anybody may use for cards with random numbers.
const MANUFACTURER: [u8; 2] = [0xFF, 0x01];

const FINGERPRINT: usize = 20;
const ATTRIBUTES_FIRST: u32 = 0xC1;
const STATUS: u32 = 0xC4;
const RESET_CODE: u32 = 0xD3;

impl OpenPgp<'_> {
    pub(super) fn get_data(&self, command: &Command<'_>) -> Outcome {
        let tag = u32::from(u16::from_be_bytes([command.p1, command.p2]));
        match tag {
            0x0103 => self.needs(self.session.user)?,
            0x0104 => self.needs(self.session.admin)?,
            _ => {}
        }
        match tag {
            0x65 => Ok(tlv::put(0x65, &self.each(&[0x5B, 0x5F2D, 0x5F35]))),
            0x6E => Ok(tlv::put(0x6E, &self.application())),
            0x7A => Ok(tlv::put(0x7A, &tlv::put(0x93, &self.counter()))),
            0xFA => Ok(tlv::put(0xFA, &self.choices())),
            0x73 => Ok(tlv::put(0x73, &self.discretionary())),
            _ => self.simple(tag).ok_or(sw::NO_KEY),
        }
    }

    /// The value of an object that holds no others.
    fn simple(&self, tag: u32) -> Option<Vec<u8>> {
        if let Some(place) = Place::numbered(tag, ATTRIBUTES_FIRST) {
            return place.attributes(self.own.algorithm(place));
        }
        Some(match tag {
            0x4F => self.name(),
            0x5F52 => HISTORICAL.to_vec(),
            0x7F66 => [tlv::put(2, &[0x0C, 0x00]), tlv::put(2, &[0x0C, 0x00])].concat(),
            0xC0 => CAPABILITIES.to_vec(),
            STATUS => self.status(),
            0xC5 => self.of_places(0xC7, FINGERPRINT),
            0xC6 => self.of_places(0xCA, FINGERPRINT),
            0xCD => self.of_places(0xCE, 4),
            0x93 => self.counter(),
            _ if self.longest(tag).is_some() => self.own.objects.get(&tag).cloned().unwrap_or_default(),
            _ => return None,
        })
    }

    /// The full name: application, version 3.4, manufacturer, number (4.2.1).
    fn name(&self) -> Vec<u8> {
        [super::AID, &[3, 4], &MANUFACTURER, &self.state.serial().to_be_bytes(), &[0, 0]].concat()
    }

    fn application(&self) -> Vec<u8> {
        let outer = self.each(&[0x4F, 0x5F52, 0x7F66]);
        [outer, tlv::put(0x73, &self.discretionary())].concat()
    }

    fn discretionary(&self) -> Vec<u8> {
        self.each(&[0xC0, 0xC1, 0xC2, 0xC3, STATUS, 0xC5, 0xC6, 0xCD])
    }

    fn each(&self, tags: &[u32]) -> Vec<u8> {
        tags.iter().flat_map(|tag| tlv::put(*tag, &self.simple(*tag).unwrap_or_default())).collect()
    }

    /// The signature counter, in three bytes.
    fn counter(&self) -> Vec<u8> {
        self.own.signatures.to_be_bytes()[1..].to_vec()
    }

    /// PW1 for one signature or more, longest codes, tries left (4.4.3.10).
    fn status(&self) -> Vec<u8> {
        let longest = u8::try_from(CODE_MAX).expect("32");
        let own = &self.own;
        let one = u8::from(!own.one_signature);
        vec![one, longest, longest, longest, own.pw1.left, own.reset_code.left, own.pw3.left]
    }

    fn of_places(&self, first: u32, count: usize) -> Vec<u8> {
        let one = |place: u32| self.own.objects.get(&(first + place)).cloned().unwrap_or(vec![0; count]);
        (0..3).flat_map(one).collect()
    }

    /// What each place can take (4.4.3.11).
    fn choices(&self) -> Vec<u8> {
        let of = |(place, tag)| {
            let choices = self.own.choices(place).into_iter();
            choices.flat_map(move |(_, attributes)| tlv::put(tag, &attributes))
        };
        Place::ALL.into_iter().zip(ATTRIBUTES_FIRST..).flat_map(of).collect()
    }

    /// Bytes of an object that is stored as it comes; none if there is no such object.
    fn longest(&self, tag: u32) -> Option<usize> {
        match tag {
            0x5B | 0x5F2D | 0x5F35 | 0x5E | 0x5F50 => Some(TEXT_MAX),
            0x0101..=0x0104 => Some(PRIVATE_MAX),
            0x7F21 => Some(CERTIFICATE_MAX),
            0xC7..=0xCC => Some(FINGERPRINT),
            0xCE..=0xD0 => Some(4),
            _ => None,
        }
    }

    pub(super) fn put_data(&mut self, command: &Command<'_>) -> Outcome {
        let tag = u32::from(u16::from_be_bytes([command.p1, command.p2]));
        self.needs(match tag {
            0x0101 | 0x0103 => self.session.user,
            _ => self.session.admin,
        })?;
        if let Some(place) = Place::numbered(tag, ATTRIBUTES_FIRST) {
            return self.set_attributes(place, command.data);
        }
        match (tag, command.data) {
            (STATUS, [byte @ 0..=1]) => self.own.one_signature = *byte == 0,
            (RESET_CODE, code) if code.is_empty() || (PW3_MIN..=CODE_MAX).contains(&code.len()) => {
                self.own.set_reset_code(code);
            }
            (STATUS | RESET_CODE, _) => return Err(sw::WRONG_DATA),
            (tag, value) => self.store(tag, value)?,
        }
        Ok(Vec::new())
    }

    fn store(&mut self, tag: u32, value: &[u8]) -> Result<(), u16> {
        let longest = self.longest(tag).ok_or(sw::NO_KEY)?;
        let fixed = (0xC7..=0xD0).contains(&tag);
        if value.len() > longest || (fixed && value.len() != longest) {
            return Err(sw::WRONG_LENGTH);
        }
        self.own.objects.insert(tag, value.to_vec());
        Ok(())
    }

    /// Another algorithm for a place; its key is gone then.
    fn set_attributes(&mut self, place: Place, wanted: &[u8]) -> Outcome {
        let mut choices = self.own.choices(place).into_iter();
        let (algorithm, _) = choices.find(|(_, attributes)| attributes == wanted).ok_or(sw::WRONG_DATA)?;
        if self.own.algorithms.insert(place, algorithm) != Some(algorithm) {
            self.own.keys.remove(&place);
        }
        Ok(Vec::new())
    }
}
