//! One try at a PIN or PUK: counted on the medium before it is checked.
//!
//! ```text
//! begin --(tries left)--> Attempt: one try less, durable --(right)--> Unlocked --commit--> counter full, durable
//!   \--(none left)--> Blocked        \--(wrong, crash, pulled card)--> the try stays counted
//! ```
//! The folder is locked throughout, so two processes cannot share one try.

use hospes_protocol::keys::KeyError;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::cost::PinCost;
use super::damaged;
use super::file::{CardFile, Locked};
use super::format::{Contents, Gate, Image};
use super::seal::{Part, bound_to, open, seal};
use super::watch::Watch;
use crate::card::UnblockError;
use crate::info::CardSerial;
use crate::pin::{Pin, TRIES_MAX};

/// Which code is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    Pin,
    Puk,
}

impl Code {
    fn part(self) -> Part<'static> {
        match self {
            Self::Pin => Part::Pin,
            Self::Puk => Part::Puk,
        }
    }

    fn gate(self, contents: &mut Contents) -> &mut Gate {
        match self {
            Self::Pin => &mut contents.pin,
            Self::Puk => &mut contents.puk,
        }
    }
}

/// How a try ended badly.
pub(super) enum Refusal {
    /// The code was wrong; at least one try is left.
    Wrong(u8),
    /// No try is left. Says whether the PUK has one.
    Blocked { puk_works: bool },
    /// The card failed.
    Key(KeyError),
}

impl From<KeyError> for Refusal {
    fn from(e: KeyError) -> Self {
        Self::Key(e)
    }
}

impl Refusal {
    /// As the answer to a PIN.
    pub(super) fn of_pin(self) -> KeyError {
        match self {
            Self::Wrong(tries_left) => KeyError::WrongPin { tries_left },
            Self::Blocked { puk_works: true } => KeyError::PinBlocked,
            Self::Blocked { puk_works: false } => KeyError::PukBlocked,
            Self::Key(e) => e,
        }
    }

    /// As the answer to a PUK.
    pub(super) fn of_puk(self) -> UnblockError {
        match self {
            Self::Wrong(tries_left) => UnblockError::WrongPuk { tries_left },
            other => UnblockError::Key(other.of_pin()),
        }
    }
}

/// A try that has been counted and not yet checked.
pub(super) struct Attempt {
    locked: Locked,
    image: Image,
    code: Code,
}

/// A card opened by the right code, still locked and its counter not yet full.
pub(super) struct Unlocked {
    locked: Locked,
    image: Image,
    code: Code,
    card_key: Zeroizing<[u8; 32]>,
}

/// Reads the card `serial` under the folder's lock.
pub(super) fn read_locked(locked: &mut Locked, serial: CardSerial, watch: &Watch) -> Result<Image, KeyError> {
    let image = Image::read(&locked.read()?)?;
    if image.contents.serial != serial {
        return Err(KeyError::Absent);
    }
    watch.saw(serial, image.revision)?;
    Ok(image)
}

/// Writes the card as its next revision, durably.
pub(super) fn write_locked(locked: &mut Locked, image: &mut Image, watch: &Watch) -> Result<(), KeyError> {
    image.revision = image.revision.checked_add(1).ok_or_else(|| damaged("it has no revision left"))?;
    locked.replace(&image.to_bytes())?;
    watch.saw(image.contents.serial, image.revision)
}

impl Attempt {
    /// Counts a try.
    pub(super) fn begin(
        file: &CardFile,
        serial: CardSerial,
        watch: &Watch,
        code: Code,
    ) -> Result<Self, Refusal> {
        let mut locked = file.lock()?;
        let mut image = read_locked(&mut locked, serial, watch)?;
        let puk_works = image.contents.puk.tries_left > 0;
        let gate = code.gate(&mut image.contents);
        gate.tries_left = gate.tries_left.checked_sub(1).ok_or(Refusal::Blocked { puk_works })?;
        write_locked(&mut locked, &mut image, watch)?;
        Ok(Self { locked, image, code })
    }

    /// Checks the code.
    pub(super) fn check(mut self, secret: &[u8]) -> Result<Unlocked, Refusal> {
        let serial = self.image.contents.serial;
        let gate = self.code.gate(&mut self.image.contents);
        let key = gate.cost.derive(secret, &gate.salt)?;
        let aad = bound_to(self.code.part(), Some(&serial));
        let Some(plain) = open(&key, &aad, &gate.wrapped) else { return Err(self.wrong()) };
        let mut card_key = Zeroizing::new([0; 32]);
        if plain.len() != card_key.len() {
            return Err(damaged("its card key is cut").into());
        }
        card_key.copy_from_slice(&plain);
        Ok(Unlocked { locked: self.locked, image: self.image, code: self.code, card_key })
    }

    fn wrong(mut self) -> Refusal {
        let puk_works = self.image.contents.puk.tries_left > 0;
        let tries_left = self.code.gate(&mut self.image.contents).tries_left;
        match u8::try_from(tries_left) {
            Ok(n @ 1..=TRIES_MAX) => Refusal::Wrong(n),
            _ => Refusal::Blocked { puk_works },
        }
    }
}

impl Unlocked {
    /// Gives the card another PIN, with all tries.
    pub(super) fn set_pin(&mut self, pin: &Pin, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        let contents = &mut self.image.contents;
        let cost = contents.pin.cost;
        contents.pin = new_gate(Code::Pin, &contents.serial, pin.as_bytes(), cost, &self.card_key, rng)?;
        Ok(())
    }

    /// Fills the counter of the code that was right, writes, and gives the card key out.
    pub(super) fn commit(mut self, watch: &Watch) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        self.code.gate(&mut self.image.contents).tries_left = TRIES_MAX.into();
        write_locked(&mut self.locked, &mut self.image, watch)?;
        Ok(self.card_key)
    }
}

/// A gate that opens to `card_key` by `secret`, with all tries.
pub(super) fn new_gate(
    code: Code,
    serial: &CardSerial,
    secret: &[u8],
    cost: PinCost,
    card_key: &[u8; 32],
    rng: &mut dyn CryptoRng,
) -> Result<Gate, KeyError> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let key = cost.derive(secret, &salt)?;
    let wrapped = seal(&key, &bound_to(code.part(), Some(serial)), card_key, rng);
    Ok(Gate { tries_left: TRIES_MAX.into(), cost, salt, wrapped })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::HolderKind;
    use crate::pin::Puk;
    use crate::soft::SoftCardSpec;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;
    use std::path::Path;

    const PIN: &str = "271828";

    fn card(folder: &Path) -> (CardFile, CardSerial) {
        let spec =
            SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(HolderKind::Patient) };
        let (pin, puk) = (Pin::new(PIN).unwrap(), Puk::new("31415926").unwrap());
        let path = folder.join("ada.card");
        let card = spec.create(&path, &pin, &puk, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
        (CardFile::at(&path).unwrap(), card.serial())
    }

    fn tries_left(file: &CardFile) -> u64 {
        Image::read(&file.read().unwrap().0).unwrap().contents.pin.tries_left
    }

    fn begin(file: &CardFile, serial: CardSerial) -> Result<Attempt, Refusal> {
        Attempt::begin(file, serial, &Watch::default(), Code::Pin)
    }

    #[test]
    fn a_try_is_on_the_disk_before_the_pin_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (file, serial) = card(folder.path());
        // Each attempt dies here as a killed process would: begun, not checked.
        for expected in [2, 1, 0] {
            let attempt = begin(&file, serial);
            assert_eq!(tries_left(&file), expected, "counted while the check is still to come");
            drop(attempt);
            assert_eq!(tries_left(&file), expected, "and not given back");
        }
        assert!(
            matches!(begin(&file, serial), Err(Refusal::Blocked { puk_works: true })),
            "the PIN is blocked"
        );
    }

    #[test]
    fn a_right_pin_on_a_card_pulled_during_the_check_opens_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, serial) = card(folder.path());
        let attempt = begin(&file, serial).ok().expect("three tries are left");
        let pocket = folder.path().join("pocket");
        std::fs::rename(folder.path().join("ada.card"), &pocket).unwrap();
        let unlocked = attempt.check(PIN.as_bytes()).ok().expect("the PIN is right");
        assert_eq!(unlocked.commit(&Watch::default()).map(drop), Err(KeyError::Removed), "pulled meanwhile");
        assert_eq!(tries_left(&CardFile::at(&pocket).unwrap()), 2, "the pulled card keeps the try it lost");
        assert!(!file.is_there(), "and no second card was made");
    }
}
