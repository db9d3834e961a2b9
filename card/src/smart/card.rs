//! One handle on a smart card, with the behaviour that `Card` promises, whatever family it is of. Asks the card nothing that
//! it can know itself, so that the command after VERIFY is the one that needs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hospes_protocol::keys::{AgreementKey, KeyError};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::applet::Applet;
use super::family::SmartCardSpec;
use crate::card::{Card, PadError, SlotAgreement, SlotSigner, UnblockError};
use crate::info::CardInfo;
use crate::object::Object;
use crate::pin::{Pin, Puk};
use crate::piv::Attestation;
use crate::slot::Slot;

/// A verified PIN, on this handle.
struct Session {
    number: u64,
    /// Whether 9C may still sign once.
    signature_allowed: bool,
}

/// A smart card in its reader.
pub struct SmartCard {
    applet: Arc<Mutex<Applet>>,
    session: Option<Session>,
    /// What it said when it was last asked, for what doesn't change while it is in.
    known: Option<CardInfo>,
    /// The same of keys that were in 9D before, by place.
    older: Option<Vec<(u8, AgreementKey)>>,
}

impl std::fmt::Debug for SmartCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmartCard")
            .field("serial", &self.known.as_ref().map(|i| i.serial))
            .finish_non_exhaustive()
    }
}

impl SmartCard {
    /// A handle without PIN session on the card that `applet` reaches.
    #[must_use]
    pub fn new(applet: Arc<Mutex<Applet>>) -> Self {
        Self { applet, session: None, known: None, older: None }
    }

    fn applet(&self) -> MutexGuard<'_, Applet> {
        // What another handle left half done ends with the transaction.
        self.applet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The card was seen to leave: every session on it is over.
    pub(crate) fn removed(&self) {
        self.applet().removed();
    }

    /// Whether somebody's PIN session holds the card.
    pub(crate) fn is_held(&self) -> bool {
        self.applet().is_held()
    }

    /// What the card in the reader said, so that it need not be asked again.
    pub(crate) fn know(&mut self, info: CardInfo) {
        self.known = Some(info);
    }

    fn is_verified(&self) -> bool {
        self.session.as_ref().is_some_and(|session| self.applet().holds(session.number))
    }

    /// Refuses what needs a PIN without asking the card.
    fn needs_session(&mut self) -> Result<(), KeyError> {
        if self.is_verified() {
            return Ok(());
        }
        self.session = None;
        Err(KeyError::PinNeeded)
    }

    fn info_known(&mut self) -> Result<CardInfo, KeyError> {
        match &self.known {
            Some(info) => Ok(info.clone()),
            None => self.info(),
        }
    }

    fn older(&mut self) -> Result<Vec<(u8, AgreementKey)>, KeyError> {
        if let Some(older) = &self.older {
            return Ok(older.clone());
        }
        let older = self.run(|applet| applet.family().older(applet))?;
        self.older = Some(older.clone());
        Ok(older)
    }

    /// Another card may be in, or this one be otherwise.
    fn forget(&mut self) {
        (self.session, self.known, self.older) = (None, None, None);
    }

    /// Makes a card from the factory what `spec` says. Everything that was in its slots is gone then.
    ///
    /// # Errors
    /// [`KeyError::WrongPin`] if its PIN is no longer the first one; [`KeyError::Unsupported`] for a curve that it doesn't
    /// have; as [`Card`] says. A card that was pulled midway is enrolled again, or reset by its maker's tool.
    pub fn enrol(
        &mut self,
        spec: &SmartCardSpec,
        pin: &Pin,
        puk: &Puk,
        rng: &mut dyn CryptoRng,
    ) -> Result<CardInfo, UnblockError> {
        self.run_alone(|applet| applet.family().enrol(applet, spec, (pin, puk), rng))?;
        Ok(self.info()?)
    }

    /// Runs on the card without anybody's session; what was known of it may be otherwise then.
    fn run_alone<R, E: From<KeyError>>(
        &mut self,
        work: impl FnOnce(&mut Applet) -> Result<R, E>,
    ) -> Result<R, E> {
        self.forget();
        self.applet().run_alone(work)
    }

    /// Runs on the card, and keeps nothing known of one that was pulled.
    fn run<R>(&mut self, work: impl FnOnce(&mut Applet) -> Result<R, KeyError>) -> Result<R, KeyError> {
        let result = self.applet().run(work);
        if matches!(result, Err(KeyError::Removed | KeyError::Absent)) {
            self.forget();
        }
        result
    }
}

impl Card for SmartCard {
    fn info(&mut self) -> Result<CardInfo, KeyError> {
        // Within a session nothing of it changes, and nothing may come between VERIFY and what needs it.
        if let (true, Some(info)) = (self.is_verified(), &self.known) {
            return Ok(info.clone());
        }
        let info = self.run(|applet| applet.family().read_info(applet))?;
        self.known = Some(info.clone());
        Ok(info)
    }

    fn verify_pin(&mut self, pin: &Pin) -> Result<(), KeyError> {
        self.logout();
        // What signs next is known now, so that nothing comes between VERIFY and the signature.
        self.info_known()?;
        let begun = self.applet().begin(|applet| applet.family().verify(applet, pin));
        if matches!(begun, Err(KeyError::Removed | KeyError::Absent)) {
            self.forget();
        }
        self.session = Some(Session { number: begun?, signature_allowed: true });
        Ok(())
    }

    fn has_pad(&mut self) -> Result<bool, KeyError> {
        self.run(|applet| applet.family().has_pad(applet))
    }

    fn verify_on_pad(&mut self) -> Result<(), PadError> {
        self.logout();
        self.info_known()?;
        if !self.has_pad()? {
            return Err(KeyError::Unsupported("a PIN by keypad").into());
        }
        let begun = self.applet().begin(|applet| applet.family().verify_on_pad(applet));
        if matches!(begun, Err(PadError::Key(KeyError::Removed | KeyError::Absent))) {
            self.forget();
        }
        self.session = Some(Session { number: begun?, signature_allowed: true });
        Ok(())
    }

    fn logout(&mut self) {
        if let Some(session) = self.session.take() {
            self.applet().leave(session.number);
        }
    }

    fn sign(&mut self, slot: Slot, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let info = self.info_known()?;
        let key = info.verifying_key(slot).ok_or(KeyError::Unsupported("signing in this slot"))?;
        if slot.needs_pin() {
            self.needs_session()?;
        }
        if slot.needs_pin_always() {
            let allowed = self.session.as_mut().is_some_and(|s| std::mem::take(&mut s.signature_allowed));
            if !allowed {
                return Err(KeyError::PinNeeded);
            }
        }
        self.run(|applet| applet.family().sign(applet, slot, key, message))
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let info = self.info_known()?;
        let own = info.key_management.ok_or(KeyError::Unsupported("key agreement"))?;
        if own.curve() != peer.curve() {
            return Err(KeyError::Unsupported("key agreement with a key of another curve"));
        }
        self.needs_session()?;
        self.run(|applet| applet.family().agree(applet, peer))
    }

    fn older_agreement_keys(&mut self) -> Result<Vec<AgreementKey>, KeyError> {
        Ok(self.older()?.into_iter().map(|(_, key)| key).collect())
    }

    fn agree_by_older(
        &mut self,
        own: &AgreementKey,
        peer: &AgreementKey,
    ) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        if own.curve() != peer.curve() {
            return Err(KeyError::Unsupported("key agreement with a key of another curve"));
        }
        self.needs_session()?;
        let older = self.older()?.into_iter().find(|(_, key)| key == own);
        let (place, _) = older.ok_or(KeyError::Unsupported("agreement by a key that it has not"))?;
        self.run(|applet| applet.family().agree_in(applet, place, peer))
    }

    fn renew_agreement(&mut self, rng: &mut dyn CryptoRng) -> Result<AgreementKey, KeyError> {
        self.needs_session()?;
        // Of a card that was pulled midway the newest of the older ones tells the curve.
        let before = match self.info_known()?.key_management {
            Some(key) => Some(key),
            None => self.older_agreement_keys()?.into_iter().next(),
        };
        let curve = before.ok_or(KeyError::Unsupported("key agreement"))?.curve();
        let renewed = self.run(|applet| applet.family().renew_agreement(applet, curve, rng));
        // Whatever became of it, what is known may be otherwise.
        (self.known, self.older) = (None, None);
        renewed?;
        let info = self.run(|applet| applet.family().read_info(applet))?;
        self.known = Some(info.clone());
        info.key_management.ok_or_else(|| KeyError::Failed("what it made is no key".to_owned()))
    }

    fn read_object(&mut self, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        if object.needs_pin() {
            self.needs_session()?;
        }
        self.run(|applet| applet.family().read(applet, object))
    }

    fn write_object(
        &mut self,
        object: Object,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        object.check(bytes).map_err(|r| KeyError::Unsupported(r.check.text()))?;
        self.needs_session()?;
        self.run(|applet| applet.family().write(applet, object, bytes, rng))?;
        self.known = None;
        Ok(())
    }

    fn change_pin(&mut self, old: &Pin, new: &Pin, _rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        self.run_alone(|applet| applet.family().change_pin(applet, old, new))
    }

    fn unblock(&mut self, puk: &Puk, new: &Pin, _rng: &mut dyn CryptoRng) -> Result<(), UnblockError> {
        self.run_alone(|applet| applet.family().unblock(applet, puk, new))
    }

    fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, KeyError> {
        self.run(|applet| applet.family().attestation(applet, slot))
    }

    fn signer(&mut self, slot: Slot) -> Result<SlotSigner<'_>, KeyError> {
        let info = self.info_known()?;
        SlotSigner::of(self, slot, &info)
    }

    fn agreement(&mut self) -> Result<SlotAgreement<'_>, KeyError> {
        let info = self.info_known()?;
        SlotAgreement::of(self, info)
    }
}

impl Drop for SmartCard {
    fn drop(&mut self) {
        self.logout();
    }
}
