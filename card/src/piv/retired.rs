//! Keys that were in 9D before, in the places for retired keys, 82 to 95 (SP 800-73-4, part 1, 3.1): moved there by MOVE KEY
//! (Yubico, firmware 5.7) when another is made, oldest in the first place, so that what was sealed to them still opens.
//!
//! Without that instruction a key never leaves its slot, and making another destroys it: such a card is refused, and its holder
//! gets another card.

use hospes_protocol::keys::{AgreementKey, Curve, KeyError};
use rand_core::CryptoRng;

use super::enrol::PIN_ONCE;
use super::keys::{KeyKind, reference};
use crate::slot::Slot;
use crate::smart::Applet;
use crate::smart::apdu::status;

const FIRST: u8 = 0x82;
const LAST: u8 = 0x95;
/// The firmware that moves keys.
const MOVES_SINCE: [u8; 2] = [5, 7];

impl Applet {
    /// Keys that were in 9D before, newest first. They fill the places from the first one on, so the first empty one ends them.
    pub(super) fn retired_keys(&mut self) -> Result<Vec<(u8, AgreementKey)>, KeyError> {
        let mut found = Vec::new();
        for place in FIRST..=LAST {
            let Some(key) = self.told_key(place)? else { break };
            found.extend(key.agreement().map(|key| (place, key)));
        }
        found.reverse();
        Ok(found)
    }

    /// Moves the key of 9D to the next place, and makes another, within a PIN session. Once it was moved, nothing is lost whenever
    /// the card is pulled.
    pub(super) fn renew_agreement(&mut self, curve: Curve, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        if !self.moves_keys()? {
            return Err(KeyError::Unsupported("moving keys, which YubiKeys do from firmware 5.7 on"));
        }
        self.show_protected(rng)?;
        let own = reference(Slot::KeyManagement);
        // However the card tells it: a key that is there must move first.
        if self.public_key(Slot::KeyManagement)?.is_some() {
            let place = self.next_place()?;
            self.send([0xF6, place, own], &[])?.done()?;
        }
        self.generate_in(Slot::KeyManagement, KeyKind::of_curve(curve), PIN_ONCE).map(drop)
    }

    /// The first place without a key.
    fn next_place(&mut self) -> Result<u8, KeyError> {
        for place in FIRST..=LAST {
            if self.send([0xF7, 0x00, place], &[])?.status == status::NO_KEY {
                return Ok(place);
            }
        }
        Err(KeyError::Unsupported("one more key: its twenty places for older ones are taken"))
    }

    /// By GET VERSION, which is Yubico's.
    fn moves_keys(&mut self) -> Result<bool, KeyError> {
        let told = self.send([0xFD, 0x00, 0x00], &[])?;
        Ok(told.status == status::OK && told.data.get(..2).is_some_and(|version| *version >= MOVES_SINCE[..]))
    }
}
