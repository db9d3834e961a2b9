//! Making, importing, moving, describing and attesting keys: GENERATE ASYMMETRIC KEY PAIR and Yubico's instructions.

use super::{Piv, is_slot};
use crate::apdu::{Command, Outcome, sw};
use crate::keys::{Key, KeyAlgorithm, ManagementAlgorithm, PinPolicy, TouchPolicy};
use crate::state::{MANAGEMENT_DEFAULT, ManagementKey, PIN_DEFAULT, PUK_DEFAULT};
use crate::{attest, tlv};

const PIN_POLICY: u32 = 0xAA;
const TOUCH_POLICY: u32 = 0xAB;

impl Piv<'_> {
    pub(super) fn generate(&mut self, command: &Command<'_>) -> Outcome {
        self.needs_management()?;
        let slot = slot(command.p2)?;
        let Some(((0xAC, inner), [])) = tlv::take(command.data) else { return Err(sw::WRONG_DATA) };
        let Some([number]) = tlv::find(inner, 0x80) else { return Err(sw::WRONG_DATA) };
        let algorithm = self.algorithm(*number)?;
        let mut key = Key::generate(algorithm, &mut self.state.rng());
        set_policies(&mut key, slot, inner)?;
        let answer = tlv::put(0x7F49, &tlv::put(0x86, &key.public));
        self.state.keys.insert(slot, key);
        Ok(answer)
    }

    pub(super) fn import(&mut self, command: &Command<'_>) -> Outcome {
        self.needs_management()?;
        let slot = slot(command.p2)?;
        let algorithm = self.algorithm(command.p1)?;
        let tag = match algorithm {
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => 0x06,
            KeyAlgorithm::Ed25519 => 0x07,
            KeyAlgorithm::X25519 => 0x08,
        };
        let secret = tlv::find(command.data, tag).ok_or(sw::WRONG_DATA)?;
        let mut key = Key::import(algorithm, secret).ok_or(sw::WRONG_DATA)?;
        set_policies(&mut key, slot, command.data)?;
        self.state.keys.insert(slot, key);
        Ok(Vec::new())
    }

    fn algorithm(&self, number: u8) -> Result<KeyAlgorithm, u16> {
        let known =
            KeyAlgorithm::of(number).filter(|one| !one.is_edwards() || self.state.firmware.since(5, 7));
        known.ok_or(sw::WRONG_DATA)
    }

    /// P2 is where the key is, P1 where it goes; FF throws it away.
    pub(super) fn move_key(&mut self, command: &Command<'_>) -> Outcome {
        self.since(5, 7)?;
        self.needs_management()?;
        let from = slot(command.p2)?;
        if command.p1 != 0xFF && (slot(command.p1)? == from || self.state.keys.contains_key(&command.p1)) {
            return Err(sw::WRONG_PARAMETERS);
        }
        let key = self.state.keys.remove(&from).ok_or(sw::NO_KEY)?;
        if command.p1 != 0xFF {
            self.state.keys.insert(command.p1, key);
        }
        Ok(Vec::new())
    }

    pub(super) fn metadata(&mut self, command: &Command<'_>) -> Outcome {
        self.since(5, 3)?;
        let state = &self.state;
        Ok(match command.p2 {
            0x80 => code(state.pin.value == PIN_DEFAULT, state.pin.tries, state.pin.left),
            0x81 => code(state.puk.value == PUK_DEFAULT, state.puk.tries, state.puk.left),
            0x9B => {
                let key = &state.management;
                let touch = if key.touch { TouchPolicy::Always } else { TouchPolicy::Never };
                let default = u8::from(key.bytes == MANAGEMENT_DEFAULT);
                [tlv::put(1, &[key.algorithm as u8]), tlv::put(2, &[0, touch as u8]), tlv::put(5, &[default])]
                    .concat()
            }
            slot => {
                let key = state.keys.get(&slot).ok_or(sw::NO_KEY)?;
                let public = tlv::put(0x86, &key.public);
                let origin = if key.generated { 1 } else { 2 };
                [
                    tlv::put(1, &[key.algorithm as u8]),
                    tlv::put(2, &[key.pin as u8, key.touch as u8]),
                    tlv::put(3, &[origin]),
                    tlv::put(4, &public),
                ]
                .concat()
            }
        })
    }

    pub(super) fn serial(&self) -> Outcome {
        self.since(5, 0)?;
        Ok(self.state.serial.to_be_bytes().to_vec())
    }

    pub(super) fn attest(&mut self, command: &Command<'_>) -> Outcome {
        self.since(4, 3)?;
        let slot = slot(command.p1)?;
        if !self.state.keys.contains_key(&slot) {
            return Err(sw::NO_KEY);
        }
        attest::attest(self.state, slot).ok_or(sw::WRONG_DATA)
    }

    pub(super) fn set_management_key(&mut self, command: &Command<'_>) -> Outcome {
        self.needs_management()?;
        let touch = match (command.p1, command.p2) {
            (0xFF, 0xFF) => false,
            (0xFF, 0xFE) => true,
            _ => return Err(sw::WRONG_PARAMETERS),
        };
        let [number, 0x9B, count, bytes @ ..] = command.data else { return Err(sw::WRONG_DATA) };
        let algorithm = ManagementAlgorithm::of(*number).ok_or(sw::WRONG_DATA)?;
        let early = algorithm != ManagementAlgorithm::TripleDes && !self.state.firmware.since(5, 4);
        if early || usize::from(*count) != bytes.len() || bytes.len() != algorithm.key_bytes() {
            return Err(sw::WRONG_DATA);
        }
        self.state.management = ManagementKey { algorithm, bytes: bytes.to_vec(), touch };
        Ok(Vec::new())
    }
}

fn slot(reference: u8) -> Result<u8, u16> {
    if is_slot(reference) && reference != attest::SLOT { Ok(reference) } else { Err(sw::WRONG_PARAMETERS) }
}

fn code(default: bool, tries: u8, left: u8) -> Vec<u8> {
    [tlv::put(5, &[u8::from(default)]), tlv::put(6, &[tries, left])].concat()
}

/// The policies in a template, or those of the slot. Zero stands for the slot's own, too.
fn set_policies(key: &mut Key, slot: u8, template: &[u8]) -> Result<(), u16> {
    let of = |tag| match tlv::find(template, tag) {
        None | Some([0]) => Ok(None),
        Some([number]) => Ok(Some(*number)),
        Some(_) => Err(sw::WRONG_DATA),
    };
    key.pin = match of(PIN_POLICY)? {
        None => PinPolicy::of_slot(slot),
        Some(number) => PinPolicy::of(number).ok_or(sw::WRONG_DATA)?,
    };
    key.touch = match of(TOUCH_POLICY)? {
        None => TouchPolicy::Never,
        Some(number) => TouchPolicy::of(number).ok_or(sw::WRONG_DATA)?,
    };
    Ok(())
}
