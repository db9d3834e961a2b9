//! GENERAL AUTHENTICATE: signing, key agreement, and showing the management key (SP 800-73-4, part 2, 3.2.4).

use super::Piv;
use crate::apdu::{Command, Outcome, sw};
use crate::keys::{Key, KeyAlgorithm, PinPolicy, TouchPolicy};
use crate::tlv;

const MANAGEMENT: u8 = 0x9B;
const WITNESS: u32 = 0x80;
const CHALLENGE: u32 = 0x81;
const RESPONSE: u32 = 0x82;
const EXPONENTIATION: u32 = 0x85;
const TEMPLATE: u32 = 0x7C;

/// What the card sent and waits to see again, used.
#[derive(Clone, Debug)]
pub(crate) enum Waiting {
    /// Mutual authentication: this, deciphered.
    Witness(Vec<u8>),
    /// Authentication of the host alone: this, enciphered.
    Challenge(Vec<u8>),
}

impl Piv<'_> {
    pub(super) fn general_authenticate(
        &mut self,
        command: &Command<'_>,
        waiting: Option<Waiting>,
        pin_fresh: bool,
    ) -> Outcome {
        let inner = match tlv::take(command.data) {
            Some(((TEMPLATE, inner), [])) => tlv::all(inner).ok_or(sw::WRONG_DATA)?,
            _ => return Err(sw::WRONG_DATA),
        };
        let of = |tag| inner.iter().find(|(found, _)| *found == tag).map(|(_, value)| *value);
        if command.p2 == MANAGEMENT {
            return self.show_management(command.p1, waiting, [of(WITNESS), of(CHALLENGE), of(RESPONSE)]);
        }
        let key = self.usable(command, pin_fresh)?;
        let answer = match (of(CHALLENGE), of(EXPONENTIATION)) {
            (Some(input), None) => key.sign(self.digest(key, input)?),
            (None, Some(point)) => key.agree(point),
            _ => return Err(sw::WRONG_DATA),
        };
        Ok(tlv::put(TEMPLATE, &tlv::put(RESPONSE, &answer.ok_or(sw::WRONG_DATA)?)))
    }

    /// A digest has the length of the curve; a message for Ed25519 any.
    fn digest<'b>(&self, key: &Key, input: &'b [u8]) -> Result<&'b [u8], u16> {
        let longest = match key.algorithm {
            KeyAlgorithm::P256 => 32,
            KeyAlgorithm::P384 => 48,
            KeyAlgorithm::Ed25519 | KeyAlgorithm::X25519 => usize::MAX,
        };
        if input.is_empty() || input.len() > longest { Err(sw::WRONG_DATA) } else { Ok(input) }
    }

    /// The key of the slot, once PIN and touch allow it.
    fn usable(&self, command: &Command<'_>, pin_fresh: bool) -> Result<&Key, u16> {
        let key = self.state.keys.get(&command.p2).filter(|_| command.p2 != crate::attest::SLOT);
        let key = key.ok_or(sw::NO_KEY)?;
        if key.algorithm as u8 != command.p1 {
            return Err(sw::WRONG_PARAMETERS);
        }
        let pin = match key.pin {
            PinPolicy::Never => true,
            PinPolicy::Once => self.session.pin,
            PinPolicy::Always => self.session.pin && pin_fresh,
        };
        let touch = key.touch == TouchPolicy::Never || !self.faults.touch_refused;
        if pin && touch { Ok(key) } else { Err(sw::NOT_SATISFIED) }
    }

    fn show_management(
        &mut self,
        algorithm: u8,
        waiting: Option<Waiting>,
        given: [Option<&[u8]>; 3],
    ) -> Outcome {
        let key = self.state.management.clone();
        if key.algorithm as u8 != algorithm {
            return Err(sw::WRONG_PARAMETERS);
        }
        let cipher = key.algorithm;
        let block = |value: Option<Vec<u8>>| value.ok_or(sw::WRONG_DATA);
        match (given, waiting) {
            ([Some([]), None, None], _) => {
                let witness = self.state.random(cipher.block_bytes());
                let sent = block(cipher.encrypt(&key.bytes, &witness))?;
                self.session.waiting = Some(Waiting::Witness(witness));
                Ok(tlv::put(TEMPLATE, &tlv::put(WITNESS, &sent)))
            }
            ([None, Some([]), None], _) => {
                let challenge = self.state.random(cipher.block_bytes());
                self.session.waiting = Some(Waiting::Challenge(challenge.clone()));
                Ok(tlv::put(TEMPLATE, &tlv::put(CHALLENGE, &challenge)))
            }
            ([Some(shown), Some(challenge), _], Some(Waiting::Witness(witness))) => {
                let answer = block(cipher.encrypt(&key.bytes, challenge))?;
                self.managed(shown == witness)?;
                Ok(tlv::put(TEMPLATE, &tlv::put(RESPONSE, &answer)))
            }
            ([None, _, Some(shown)], Some(Waiting::Challenge(challenge))) => {
                let expected = block(cipher.encrypt(&key.bytes, &challenge))?;
                self.managed(shown == expected)?;
                Ok(Vec::new())
            }
            _ => Err(sw::WRONG_DATA),
        }
    }

    fn managed(&mut self, shown: bool) -> Result<(), u16> {
        let touched = !self.state.management.touch || !self.faults.touch_refused;
        self.session.managed = shown && touched;
        if self.session.managed { Ok(()) } else { Err(sw::NOT_SATISFIED) }
    }
}
