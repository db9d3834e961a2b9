//! A handle on one soft card: what each slot and object does, and what a PIN session allows.
//!
//! Every call reads the file anew, so what another process wrote and a pulled card are seen at once. The
//! session, which is the card key in memory, belongs to the handle: another handle needs the PIN again.

use std::path::Path;

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, KeyError};
use hospes_protocol::wire::{Bytes, Wire as _};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::attempt::{Attempt, Code, Refusal, read_locked, write_locked};
use super::damaged;
use super::file::CardFile;
use super::format::{Contents, Image, put};
use super::key::{agree, sign};
use super::seal::{Part, Sealed, bound_to, open, seal};
use super::watch::Watch;
use crate::card::{Card, SlotAgreement, SlotSigner, UnblockError};
use crate::info::{CardInfo, CardKind, CardSerial, HolderKind, HolderLabel};
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::slot::Slot;

/// A verified PIN.
struct Session {
    card_key: Zeroizing<[u8; 32]>,
    /// Whether 9C may still sign once.
    signature_allowed: bool,
    /// How often the card had been pulled when the session began.
    removals: u64,
}

/// A soft card in its reader.
pub struct SoftCard {
    file: CardFile,
    serial: CardSerial,
    watch: Watch,
    session: Option<Session>,
}

impl std::fmt::Debug for SoftCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SoftCard").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl SoftCard {
    /// The card in the file at `path`, outside any reader.
    ///
    /// # Errors
    /// [`KeyError::Absent`] without a file, [`KeyError::Failed`] if it is not a whole card.
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        Self::attach(CardFile::at(path)?, Watch::default())
    }

    pub(super) fn attach(file: CardFile, watch: Watch) -> Result<Self, KeyError> {
        let image = Image::read(&file.read()?.0)?;
        let serial = image.contents.serial;
        watch.saw(serial, image.revision)?;
        Ok(Self { file, serial, watch, session: None })
    }

    /// Its number.
    #[must_use]
    pub fn serial(&self) -> CardSerial {
        self.serial
    }

    /// Reads the card as it is now, and ends a session that it no longer carries.
    fn read(&mut self) -> Result<Image, KeyError> {
        let image = self.read_this();
        let ended = match &image {
            // As on a real card, a PIN blocked by anyone is no longer verified for anyone.
            Ok(image) => image.contents.pin.tries_left == 0 || self.was_pulled(),
            Err(_) => true,
        };
        if ended {
            self.session = None;
        }
        image
    }

    fn read_this(&self) -> Result<Image, KeyError> {
        let image = Image::read(&self.file.read()?.0)?;
        if image.contents.serial != self.serial {
            return Err(KeyError::Absent);
        }
        self.watch.saw(self.serial, image.revision)?;
        Ok(image)
    }

    fn was_pulled(&self) -> bool {
        self.session.as_ref().is_some_and(|s| s.removals != self.watch.removals(self.serial))
    }

    /// Gives out a result only if the card is still in.
    fn finish<T>(&mut self, result: T) -> Result<T, KeyError> {
        if self.file.is_there() {
            return Ok(result);
        }
        self.session = None;
        Err(KeyError::Removed)
    }

    fn card_key(&self) -> Result<&[u8; 32], KeyError> {
        self.session.as_ref().map(|s| &*s.card_key).ok_or(KeyError::PinNeeded)
    }

    /// Takes the session's one signature of 9C.
    fn take_signature(&mut self) -> Result<(), KeyError> {
        let allowed = self.session.as_mut().is_some_and(|s| std::mem::take(&mut s.signature_allowed));
        if allowed { Ok(()) } else { Err(KeyError::PinNeeded) }
    }

    fn signing_secret(&self, slot: Slot, image: &Image) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let key = image.contents.signing_key(slot).ok_or(KeyError::Unsupported("signing in this slot"))?;
        let under = if slot.needs_pin() { self.card_key()? } else { &image.file_key };
        self.unseal(under, Part::SlotKey(slot.code(), key.public.as_bytes()), &key.secret)
    }

    fn unseal(
        &self,
        key: &[u8; 32],
        part: Part<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        open(key, &bound_to(part, Some(&self.serial)), sealed)
            .ok_or_else(|| damaged("a part of it was exchanged"))
    }

    /// Changes the card under the folder's lock.
    fn change(&mut self, change: impl FnOnce(&mut Contents)) -> Result<(), KeyError> {
        let result = self.file.lock().and_then(|mut locked| {
            let mut image = read_locked(&mut locked, self.serial, &self.watch)?;
            change(&mut image.contents);
            write_locked(&mut locked, &mut image, &self.watch)
        });
        if result.is_err() {
            self.session = None;
        }
        result
    }
}

impl Card for SoftCard {
    fn info(&mut self) -> Result<CardInfo, KeyError> {
        let image = self.read()?;
        info_of(&image.contents)
    }

    fn verify_pin(&mut self, pin: &Pin) -> Result<(), KeyError> {
        self.session = None;
        let removals = self.watch.removals(self.serial);
        let unlocked = Attempt::begin(&self.file, self.serial, &self.watch, Code::Pin)
            .and_then(|attempt| attempt.check(pin.as_bytes()))
            .map_err(Refusal::of_pin)?;
        let card_key = unlocked.commit(&self.watch)?;
        self.session = Some(Session { card_key, signature_allowed: true, removals });
        Ok(())
    }

    fn logout(&mut self) {
        self.session = None;
    }

    fn sign(&mut self, slot: Slot, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let image = self.read()?;
        if slot.needs_pin_always() {
            self.take_signature()?;
        }
        let secret = self.signing_secret(slot, &image)?;
        let key = image.contents.signing_key(slot).ok_or(KeyError::Unsupported("signing in this slot"))?;
        let signature = sign(key.public.algorithm(), &secret, message)?;
        self.finish(signature)
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let image = self.read()?;
        let key = &image.contents.key_management;
        let part = Part::SlotKey(Slot::KeyManagement.code(), key.public.as_bytes());
        let secret = self.unseal(self.card_key()?, part, &key.secret)?;
        let shared = agree(key.public.curve(), &secret, peer)?;
        self.finish(shared)
    }

    fn read_object(&mut self, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        let image = self.read()?;
        let bytes = if object.needs_pin() {
            let key = self.card_key()?;
            let sealed = image.contents.protected(object);
            sealed.map(|s| self.unseal(key, Part::Object(object.code()), s)).transpose()?
        } else {
            image.contents.free(object).map(|bytes| Zeroizing::new(bytes.to_vec()))
        };
        self.finish(bytes)
    }

    fn write_object(
        &mut self,
        object: Object,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        object.check(bytes).map_err(|r| KeyError::Unsupported(r.check.text()))?;
        self.read()?;
        let key = self.card_key()?;
        if object.needs_pin() {
            let aad = bound_to(Part::Object(object.code()), Some(&self.serial));
            let sealed = seal(key, &aad, bytes, rng);
            self.change(|contents| put(&mut contents.protected, object, sealed))
        } else {
            let bytes = Bytes(bytes.to_vec());
            self.change(|contents| put(&mut contents.free, object, bytes))
        }
    }

    fn change_pin(&mut self, old: &Pin, new: &Pin, rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        self.session = None;
        let mut unlocked = Attempt::begin(&self.file, self.serial, &self.watch, Code::Pin)
            .and_then(|attempt| attempt.check(old.as_bytes()))
            .map_err(Refusal::of_pin)?;
        unlocked.set_pin(new, rng)?;
        unlocked.commit(&self.watch).map(drop)
    }

    fn unblock(&mut self, puk: &Puk, new: &Pin, rng: &mut dyn CryptoRng) -> Result<(), UnblockError> {
        self.session = None;
        let mut unlocked = Attempt::begin(&self.file, self.serial, &self.watch, Code::Puk)
            .and_then(|attempt| attempt.check(puk.as_bytes()))
            .map_err(Refusal::of_puk)?;
        unlocked.set_pin(new, rng)?;
        unlocked.commit(&self.watch)?;
        Ok(())
    }

    fn signer(&mut self, slot: Slot) -> Result<SlotSigner<'_>, KeyError> {
        SlotSigner::new(self, slot)
    }

    fn agreement(&mut self) -> Result<SlotAgreement<'_>, KeyError> {
        SlotAgreement::new(self)
    }
}

/// What contents say without PIN.
pub(super) fn info_of(contents: &Contents) -> Result<CardInfo, KeyError> {
    let tries = |n: u64| u8::try_from(n).map_err(|_| damaged("its counters are out of range"));
    let digest = |object| contents.free(object).and_then(|b| <[u8; 32]>::try_from(b).ok());
    let text = contents.free(Object::HolderLabel).and_then(|b| std::str::from_utf8(b).ok());
    Ok(CardInfo {
        serial: contents.serial,
        kind: CardKind::Soft,
        holder_kind: contents.free(Object::HolderKind).and_then(|b| HolderKind::decode(b).ok()),
        holder_label: text.and_then(HolderLabel::new),
        network: digest(Object::Network).map(NetworkId),
        home_organization: digest(Object::HomeOrganization).map(OrganizationId),
        authentication: Some(contents.authentication.public.clone()),
        signature: Some(contents.signature.public.clone()),
        key_management: Some(contents.key_management.public.clone()),
        card_authentication: Some(contents.card_authentication.public.clone()),
        pin_tries_left: tries(contents.pin.tries_left)?,
        puk_tries_left: tries(contents.puk.tries_left)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soft::{PinCost, SoftCardSpec};
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    fn card(folder: &Path) -> SoftCard {
        let spec =
            SoftCardSpec { cost: PinCost::cheap_for_tests(), ..SoftCardSpec::new(HolderKind::Patient) };
        let (pin, puk) = (Pin::new("271828").unwrap(), Puk::new("31415926").unwrap());
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut card = spec.create(&folder.join("ada.card"), &pin, &puk, &mut rng).unwrap();
        card.verify_pin(&pin).unwrap();
        card
    }

    #[test]
    fn a_result_of_a_card_pulled_while_it_worked_is_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card(folder.path());
        assert_eq!(card.finish("signature"), Ok("signature"), "while the card is in");
        std::fs::rename(folder.path().join("ada.card"), folder.path().join("pocket")).unwrap();
        assert_eq!(card.finish("signature"), Err(KeyError::Removed), "once it is pulled");
        std::fs::rename(folder.path().join("pocket"), folder.path().join("ada.card")).unwrap();
        assert_eq!(
            card.sign(Slot::Authentication, b"x"),
            Err(KeyError::PinNeeded),
            "and the session is over"
        );
    }

    #[test]
    fn a_part_moved_to_another_place_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card(folder.path());
        assert!(card.sign(Slot::Authentication, b"x").is_ok(), "as it was made");
        card.change(|c| std::mem::swap(&mut c.authentication.secret, &mut c.signature.secret)).unwrap();
        let refusal = card.sign(Slot::Authentication, b"x");
        assert!(
            matches!(refusal, Err(KeyError::Failed(_))),
            "9A doesn't sign with the key of 9C: {refusal:?}"
        );
        card.change(|c| c.authentication.public = c.card_authentication.public.clone()).unwrap();
        assert!(card.sign(Slot::Authentication, b"x").is_err(), "nor under another public key");
    }

    #[test]
    fn a_whole_key_moved_to_another_slot_does_not_open() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card(folder.path());
        card.change(|c| std::mem::swap(&mut c.authentication, &mut c.signature)).unwrap();
        assert!(
            card.sign(Slot::Authentication, b"x").is_err(),
            "a signature key doesn't become a sign-in key"
        );
        card.change(|c| std::mem::swap(&mut c.authentication, &mut c.signature)).unwrap();
        assert!(card.sign(Slot::Authentication, b"x").is_ok(), "in its own slot it works");
    }
}
