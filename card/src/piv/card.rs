//! One handle on a PIV card, with the behaviour that `Card` promises. Asks the card nothing that it can know itself, so that
//! the command after VERIFY is the one that needs it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, KeyError};
use hospes_protocol::wire::Wire as _;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::apdu::{Answer, status};
use super::applet::Applet;
use super::attestation::Attestation;
use super::tlv;
use crate::card::{Card, PadError, SlotAgreement, SlotSigner, UnblockError};
use crate::info::{CardInfo, CardKind, CardSerial, HolderKind, HolderLabel};
use crate::object::Object;
use crate::pin::{Pin, Puk, TRIES_MAX};
use crate::slot::Slot;

/// The cardholder unique identifier (SP 800-73-4, part 1, 3.1.2).
pub(super) const CHUID: [u8; 3] = [0x5F, 0xC1, 0x02];
/// The certificate of the key that attests (Yubico).
const ATTESTING: [u8; 3] = [0x5F, 0xFF, 0x01];
/// Bytes of a PIN or PUK on the wire, filled up with 0xFF.
const CODE_BYTES: usize = 8;

const PIN: u8 = 0x80;
const PUK: u8 = 0x81;

/// A verified PIN, on this handle.
struct Session {
    number: u64,
    /// Whether 9C may still sign once.
    signature_allowed: bool,
}

/// A PIV card in its reader.
pub struct PivCard {
    applet: Arc<Mutex<Applet>>,
    session: Option<Session>,
    /// What it said when it was last asked, for what doesn't change while it is in.
    known: Option<CardInfo>,
}

impl std::fmt::Debug for PivCard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PivCard")
            .field("serial", &self.known.as_ref().map(|i| i.serial))
            .finish_non_exhaustive()
    }
}

impl PivCard {
    /// A handle without PIN session on the card that `applet` reaches.
    #[must_use]
    pub fn new(applet: Arc<Mutex<Applet>>) -> Self {
        Self { applet, session: None, known: None }
    }

    fn applet(&self) -> MutexGuard<'_, Applet> {
        // What another handle left half done ends with the transaction.
        self.applet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The card was seen to leave: every session on it is over.
    pub(crate) fn removed(&self) {
        self.applet().close();
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

    /// Runs on the card without anybody's session; what was known of it may be otherwise then.
    pub(super) fn run_alone<R>(
        &mut self,
        work: impl FnOnce(&mut Applet) -> Result<R, KeyError>,
    ) -> Result<R, KeyError> {
        (self.session, self.known) = (None, None);
        self.applet().run_alone(work)
    }

    /// Runs on the card, and keeps nothing known of one that was pulled.
    fn run<R>(&mut self, work: impl FnOnce(&mut Applet) -> Result<R, KeyError>) -> Result<R, KeyError> {
        let result = self.applet().run(work);
        if matches!(result, Err(KeyError::Removed | KeyError::Absent)) {
            (self.session, self.known) = (None, None);
        }
        result
    }
}

/// PIN or PUK as the card takes it.
pub(super) fn padded(code: &[u8]) -> Zeroizing<[u8; CODE_BYTES]> {
    let mut padded = Zeroizing::new([0xFF; CODE_BYTES]);
    let count = code.len().min(CODE_BYTES);
    padded[..count].copy_from_slice(&code[..count]);
    padded
}

/// The verdict on a PIN.
fn judged(applet: &mut Applet, answer: &Answer) -> Result<(), KeyError> {
    match (answer.status, answer.tries_left()) {
        (status::OK, _) => Ok(()),
        (status::BLOCKED, _) | (_, Some(0)) => {
            let puk = tries(applet, PUK)?.unwrap_or(TRIES_MAX);
            Err(if puk == 0 { KeyError::PukBlocked } else { KeyError::PinBlocked })
        }
        (_, Some(tries_left)) => Err(KeyError::WrongPin { tries_left }),
        (other, None) => Err(super::apdu::unexpected(other)),
    }
}

impl Applet {
    /// VERIFY.
    pub(super) fn verify_code(&mut self, pin: &[u8; CODE_BYTES]) -> Result<(), KeyError> {
        let answer = self.send([0x20, 0x00, PIN], pin)?;
        judged(self, &answer)
    }

    /// VERIFY with what somebody types on the reader's keypad.
    fn verify_on_pad(&mut self) -> Result<(), PadError> {
        let command = [[0x00, 0x20, 0x00, PIN, 0x08].as_slice(), &[0xFF; CODE_BYTES]].concat();
        let answer = self.send_by_pad(&command)?;
        match answer.status {
            status::PAD_TIMED_OUT => Err(PadError::TimedOut),
            status::PAD_CANCELLED => Err(PadError::Cancelled),
            _ => Ok(judged(self, &answer)?),
        }
    }

    /// CHANGE REFERENCE DATA of PIN (80) or PUK (81).
    pub(super) fn change_code(&mut self, reference: u8, old: &[u8], new: &[u8]) -> Result<(), KeyError> {
        let both = Zeroizing::new([*padded(old), *padded(new)].concat());
        let answer = self.send([0x24, 0x00, reference], &both)?;
        judged(self, &answer)
    }
}

/// Tries left by Yubico's metadata; none if the card has none.
fn tries(applet: &mut Applet, reference: u8) -> Result<Option<u8>, KeyError> {
    let told = applet.send([0xF7, 0x00, reference], &[])?;
    Ok(tlv::find(&told.data, 0x06)
        .and_then(|counts| counts.get(1))
        .copied()
        .filter(|_| told.status == status::OK))
}

/// Tries left at the PIN: by metadata, or by VERIFY without data, which answers it unless a PIN is verified.
fn pin_tries(applet: &mut Applet) -> Result<u8, KeyError> {
    if let Some(left) = tries(applet, PIN)? {
        return Ok(left);
    }
    let answer = applet.send([0x20, 0x00, PIN], &[])?;
    Ok(match answer.status {
        status::BLOCKED => 0,
        _ => answer.tries_left().unwrap_or(TRIES_MAX),
    })
}

/// The number of the card: the GUID of its CHUID, or of a card that nobody enrolled Yubico's serial.
fn serial(applet: &mut Applet) -> Result<CardSerial, KeyError> {
    let chuid = applet.read(&CHUID)?;
    let guid =
        chuid.as_deref().and_then(|chuid| tlv::find(chuid, 0x34)).and_then(|guid| guid.try_into().ok());
    if let Some(guid) = guid {
        return Ok(CardSerial(guid));
    }
    let told = applet.send([0xF8, 0x00, 0x00], &[])?;
    let mut number = [0; 16];
    match (told.status, told.data.as_slice()) {
        (status::OK, four) if four.len() == 4 => number[12..].copy_from_slice(four),
        _ => return Err(KeyError::Unsupported("it has no number: it must be enrolled first")),
    }
    Ok(CardSerial(number))
}

pub(super) fn tag(object: Object) -> [u8; 3] {
    let [.., a, b, c] = object.code().to_be_bytes();
    [a, b, c]
}

/// What a card says without PIN.
fn read_info(applet: &mut Applet) -> Result<CardInfo, KeyError> {
    let serial = serial(applet)?;
    let mut free = |object| applet.read(&tag(object));
    let (kind, label) = (free(Object::HolderKind)?, free(Object::HolderLabel)?);
    let (network, home) = (free(Object::Network)?, free(Object::HomeOrganization)?);
    let digest = |bytes: Option<Zeroizing<Vec<u8>>>| <[u8; 32]>::try_from(bytes?.as_slice()).ok();
    let label = label.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(HolderLabel::new);
    let mut signing = |slot| applet.public_key(slot).map(|key| key.and_then(|key| key.verifying()));
    let (authentication, signature) = (signing(Slot::Authentication)?, signing(Slot::Signature)?);
    let card_authentication = signing(Slot::CardAuthentication)?;
    Ok(CardInfo {
        serial,
        kind: CardKind::Piv,
        holder_kind: kind.and_then(|bytes| HolderKind::decode(&bytes).ok()),
        holder_label: label,
        network: digest(network).map(NetworkId),
        home_organization: digest(home).map(OrganizationId),
        authentication,
        signature,
        key_management: applet.public_key(Slot::KeyManagement)?.and_then(|key| key.agreement()),
        card_authentication,
        pin_tries_left: pin_tries(applet)?,
        puk_tries_left: tries(applet, PUK)?.unwrap_or(TRIES_MAX),
    })
}

impl Card for PivCard {
    fn info(&mut self) -> Result<CardInfo, KeyError> {
        // Within a session nothing of it changes, and nothing may come between VERIFY and what needs it.
        if let (true, Some(info)) = (self.is_verified(), &self.known) {
            return Ok(info.clone());
        }
        let info = self.run(read_info)?;
        self.known = Some(info.clone());
        Ok(info)
    }

    fn verify_pin(&mut self, pin: &Pin) -> Result<(), KeyError> {
        self.logout();
        // What signs next is known now, so that nothing comes between VERIFY and the signature.
        self.info_known()?;
        let code = padded(pin.as_bytes());
        let begun = self.applet().begin(|applet| applet.verify_code(&code));
        if matches!(begun, Err(KeyError::Removed | KeyError::Absent)) {
            self.known = None;
        }
        self.session = Some(Session { number: begun?, signature_allowed: true });
        Ok(())
    }

    fn has_pad(&mut self) -> Result<bool, KeyError> {
        self.run(Applet::has_pad)
    }

    fn verify_on_pad(&mut self) -> Result<(), PadError> {
        self.logout();
        self.info_known()?;
        if !self.has_pad()? {
            return Err(KeyError::Unsupported("a PIN by keypad").into());
        }
        let begun = self.applet().begin(Applet::verify_on_pad);
        if matches!(begun, Err(PadError::Key(KeyError::Removed | KeyError::Absent))) {
            self.known = None;
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
        self.run(|applet| applet.sign(slot, key, message))
    }

    fn agree(&mut self, peer: &AgreementKey) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let info = self.info_known()?;
        let own = info.key_management.ok_or(KeyError::Unsupported("key agreement"))?;
        if own.curve() != peer.curve() {
            return Err(KeyError::Unsupported("key agreement with a key of another curve"));
        }
        self.needs_session()?;
        self.run(|applet| applet.agree(peer))
    }

    fn read_object(&mut self, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
        if object.needs_pin() {
            self.needs_session()?;
        }
        self.run(|applet| applet.read(&tag(object)))
    }

    fn write_object(
        &mut self,
        object: Object,
        bytes: &[u8],
        rng: &mut dyn CryptoRng,
    ) -> Result<(), KeyError> {
        object.check(bytes).map_err(|r| KeyError::Unsupported(r.check.text()))?;
        self.needs_session()?;
        self.run(|applet| applet.write(&tag(object), bytes, rng))?;
        self.known = None;
        Ok(())
    }

    fn change_pin(&mut self, old: &Pin, new: &Pin, _rng: &mut dyn CryptoRng) -> Result<(), KeyError> {
        self.run_alone(|applet| applet.change_code(PIN, old.as_bytes(), new.as_bytes()))
    }

    fn unblock(&mut self, puk: &Puk, new: &Pin, _rng: &mut dyn CryptoRng) -> Result<(), UnblockError> {
        let both = Zeroizing::new([*padded(puk.as_bytes()), *padded(new.as_bytes())].concat());
        let answer = self.run_alone(|applet| applet.send([0x2C, 0x00, PIN], &both))?;
        match (answer.status, answer.tries_left()) {
            (status::OK, _) => Ok(()),
            (status::BLOCKED, _) | (_, Some(0)) => Err(KeyError::PukBlocked.into()),
            (_, Some(tries_left)) => Err(UnblockError::WrongPuk { tries_left }),
            (other, None) => Err(super::apdu::unexpected(other).into()),
        }
    }

    fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, KeyError> {
        let reference = u8::try_from(slot.code()).unwrap_or_default();
        self.run(|applet| {
            let told = applet.send([0xF9, reference, 0x00], &[])?;
            let object = applet.read(&ATTESTING)?;
            let certificate = object.as_deref().and_then(|object| tlv::find(object, 0x70));
            Ok(match (told.status, certificate) {
                (status::OK, Some(certificate)) => Some(Attestation {
                    statement: told.data.to_vec(),
                    card_certificate: certificate.to_vec(),
                }),
                _ => None,
            })
        })
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

impl Drop for PivCard {
    fn drop(&mut self) {
        self.logout();
    }
}
