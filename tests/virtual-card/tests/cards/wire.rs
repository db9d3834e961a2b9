//! A virtual card as a `Transport`, without daemon or delay, and cards that are enrolled.

use std::sync::{Arc, Mutex};

use hospes_card::smart::{Applet, LinkError, SmartCard, SmartCardSpec, Transport};
use hospes_card::soft::Profile;
use hospes_card::{HolderKind, HolderLabel, Pin, Puk};
use hospes_virtual_card::{Answer, Curves, Faults, Firmware, Pull, State, VirtualCard};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

/// What lies in the reader, to be looked at and pulled from outside.
pub(crate) struct Desk {
    pub(crate) card: VirtualCard,
    pub(crate) inserted: bool,
    /// Every command that reached the card.
    pub(crate) sent: Vec<Vec<u8>>,
    resets: u32,
}

#[derive(Clone)]
pub(crate) struct Wire(pub(crate) Arc<Mutex<Desk>>);

impl Wire {
    pub(crate) fn new(state: State) -> Self {
        let desk = Desk { card: VirtualCard::new(state), inserted: true, sent: Vec::new(), resets: 0 };
        Self(Arc::new(Mutex::new(desk)))
    }

    pub(crate) fn desk(&self) -> std::sync::MutexGuard<'_, Desk> {
        self.0.lock().unwrap()
    }

    /// Our layer on this card.
    pub(crate) fn connect(&self) -> SmartCard {
        SmartCard::new(Arc::new(Mutex::new(Applet::new(Box::new(self.clone())))))
    }

    /// Pulls the card at a command from here on.
    pub(crate) fn pull(&self, pull: Pull) {
        self.desk().card.set_faults(Faults { pull: Some(pull), ..Faults::default() });
    }

    /// Puts it back, as it is.
    pub(crate) fn put_back(&self) {
        let mut desk = self.desk();
        desk.card.set_faults(Faults::default());
        desk.card.reset();
        desk.inserted = true;
    }

    /// Commands since the faults were set.
    pub(crate) fn commands(&self) -> u64 {
        self.desk().card.commands()
    }
}

impl Transport for Wire {
    fn begin(&mut self) -> Result<(), LinkError> {
        if self.desk().inserted { Ok(()) } else { Err(LinkError::Absent) }
    }

    fn end(&mut self, reset: bool) {
        if reset {
            let mut desk = self.desk();
            desk.card.reset();
            desk.resets += 1;
        }
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, LinkError> {
        let mut desk = self.desk();
        if !desk.inserted {
            return Err(LinkError::Removed);
        }
        desk.sent.push(command.to_vec());
        match desk.card.transmit(command) {
            Answer::Bytes(answer) => Ok(Zeroizing::new(answer)),
            Answer::Gone => {
                desk.inserted = false;
                Err(LinkError::Removed)
            }
        }
    }
}

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn pin() -> Pin {
    Pin::new("271828").unwrap()
}

pub(crate) fn puk() -> Puk {
    Puk::new("31415926").unwrap()
}

pub(crate) fn spec(profile: Profile) -> SmartCardSpec {
    SmartCardSpec {
        profile,
        holder_kind: HolderKind::Practitioner,
        holder_label: HolderLabel::new("Dr Lima"),
        network: None,
        home_organization: None,
    }
}

/// An enrolled PIV card, and the wire to it.
pub(crate) fn enrolled(firmware: Firmware, profile: Profile) -> (Wire, SmartCard) {
    enrolled_from(State::new(firmware, 1), profile)
}

/// An enrolled OpenPGP card, and the wire to it.
pub(crate) fn enrolled_openpgp(profile: Profile) -> (Wire, SmartCard) {
    enrolled_from(State::openpgp(Curves::All, 1), profile)
}

/// A card of each family as it comes from the factory.
pub(crate) fn factory() -> [State; 2] {
    [State::new(Firmware::NEWEST, 1), State::openpgp(Curves::All, 1)]
}

/// A card that was in this state, enrolled.
pub(crate) fn enrolled_from(state: State, profile: Profile) -> (Wire, SmartCard) {
    let wire = Wire::new(state);
    let mut card = wire.connect();
    card.enrol(&spec(profile), &pin(), &puk(), &mut rng(1)).unwrap();
    (wire, card)
}
