//! Keys: GENERATE ASYMMETRIC KEY PAIR, import, and their use (7.2.8 to 7.2.14, 4.4.3.12).

use super::{OpenPgp, Place};
use crate::apdu::{Command, Outcome, sw};
use crate::keys::{Key, KeyAlgorithm};
use crate::tlv;

impl OpenPgp<'_> {
    /// Makes a key (P1 is 80), or reads the public half of the one that there is (81).
    pub(super) fn generate(&mut self, command: &Command<'_>) -> Outcome {
        let place = tlv::take(command.data).and_then(|((tag, _), _)| Place::of(tag)).ok_or(sw::WRONG_DATA)?;
        match (command.p1, command.p2) {
            (0x80, 0) => {
                self.needs(self.session.admin)?;
                let key = Key::generate(self.own.algorithm(place), &mut self.state.rng());
                self.put_in(place, key);
            }
            (0x81, 0) => {}
            _ => return Err(sw::WRONG_PARAMETERS),
        }
        let key = self.own.keys.get(&place).ok_or(sw::NO_KEY)?;
        Ok(tlv::put(0x7F49, &tlv::put(0x86, &key.public)))
    }

    /// PUT DATA of an extended header list: the place, the lengths of the parts, the parts.
    pub(super) fn import(&mut self, command: &Command<'_>) -> Outcome {
        self.needs(self.session.admin)?;
        if (command.p1, command.p2) != (0x3F, 0xFF) {
            return Err(sw::WRONG_PARAMETERS);
        }
        let list = tlv::find(command.data, 0x4D).ok_or(sw::WRONG_DATA)?;
        let ((tag, _), _) = tlv::take(list).ok_or(sw::WRONG_DATA)?;
        let place = Place::of(tag).ok_or(sw::WRONG_DATA)?;
        let secret = secret_in(list).ok_or(sw::WRONG_DATA)?;
        let key = Key::import(self.own.algorithm(place), secret).ok_or(sw::WRONG_DATA)?;
        self.put_in(place, key);
        Ok(Vec::new())
    }

    fn put_in(&mut self, place: Place, key: Key) {
        self.own.keys.insert(place, key);
        if place == Place::Signature {
            self.own.signatures = 0;
        }
    }

    /// PERFORM SECURITY OPERATION: COMPUTE DIGITAL SIGNATURE, DECIPHER.
    pub(super) fn perform(&mut self, command: &Command<'_>) -> Outcome {
        match (command.p1, command.p2) {
            (0x9E, 0x9A) => self.sign(command.data),
            (0x80, 0x86) => self.decipher(command.data),
            _ => Err(sw::WRONG_PARAMETERS),
        }
    }

    fn sign(&mut self, input: &[u8]) -> Outcome {
        self.needs(self.session.sign)?;
        let signature = signature(self.own.keys.get(&Place::Signature).ok_or(sw::NO_KEY)?, input)?;
        self.session.sign = !self.own.one_signature;
        self.own.signatures = (self.own.signatures + 1).min(0x00FF_FFFF);
        Ok(signature)
    }

    pub(super) fn internal_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        self.needs(self.session.user)?;
        if (command.p1, command.p2) != (0, 0) {
            return Err(sw::WRONG_PARAMETERS);
        }
        signature(self.own.keys.get(&Place::Authentication).ok_or(sw::NO_KEY)?, command.data)
    }

    /// The shared secret with the public key in the cipher object.
    fn decipher(&self, data: &[u8]) -> Outcome {
        self.needs(self.session.user)?;
        let key = self.own.keys.get(&Place::Decryption).ok_or(sw::NO_KEY)?;
        let public = tlv::find(data, 0xA6).and_then(|cipher| tlv::find(cipher, 0x7F49));
        let point = public.and_then(|public| tlv::find(public, 0x86)).ok_or(sw::WRONG_DATA)?;
        key.agree(point).ok_or(sw::WRONG_DATA)
    }
}

/// The private part: 7F48 names parts and lengths, 5F48 holds them one after another; 92 is the private key, and the first.
fn secret_in(list: &[u8]) -> Option<&[u8]> {
    let lengths = tlv::find(list, 0x7F48)?;
    let parts = tlv::find(list, 0x5F48)?;
    let (0x92, count) = (*lengths.first()?, *lengths.get(1)?) else { return None };
    parts.get(..usize::from(count))
}

/// r || s, with whichever s, or Ed25519's.
fn signature(key: &Key, input: &[u8]) -> Outcome {
    let digest = match key.algorithm {
        KeyAlgorithm::P256 => 32,
        KeyAlgorithm::P384 => 48,
        KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 => usize::MAX,
    };
    if input.is_empty() || input.len() > digest {
        return Err(sw::WRONG_DATA);
    }
    let made = key.sign(input).ok_or(sw::CONDITIONS)?;
    let raw = match key.algorithm {
        KeyAlgorithm::P256 => p256::ecdsa::Signature::from_der(&made).map(|s| s.to_bytes().to_vec()),
        KeyAlgorithm::P384 => p384::ecdsa::Signature::from_der(&made).map(|s| s.to_bytes().to_vec()),
        KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 => Ok(made),
    };
    raw.map_err(|_| sw::CONDITIONS)
}
