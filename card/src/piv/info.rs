//! What a PIV card says of itself without PIN: its number, its holder, its keys.

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::KeyError;
use hospes_protocol::wire::Wire as _;
use zeroize::Zeroizing;

use super::attestation::Attestation;
use super::codes::{PUK, pin_tries, tries};
use crate::info::{CardInfo, CardKind, CardSerial, HolderKind, HolderLabel};
use crate::object::Object;
use crate::pin::TRIES_MAX;
use crate::slot::Slot;
use crate::smart::Applet;
use crate::smart::apdu::status;
use crate::smart::tlv;

/// The cardholder unique identifier (SP 800-73-4, part 1, 3.1.2).
pub(super) const CHUID: [u8; 3] = [0x5F, 0xC1, 0x02];
/// The certificate of the key that attests (Yubico).
const ATTESTING: [u8; 3] = [0x5F, 0xFF, 0x01];

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
pub(super) fn read_info(applet: &mut Applet) -> Result<CardInfo, KeyError> {
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

impl Applet {
    /// What the card's maker says of the key in a slot (Yubico, firmware 4.3).
    pub(super) fn attestation(&mut self, slot: Slot) -> Result<Option<Attestation>, KeyError> {
        let reference = u8::try_from(slot.code()).unwrap_or_default();
        let told = self.send([0xF9, reference, 0x00], &[])?;
        if told.status != status::OK {
            return Ok(None);
        }
        let object = self.read(&ATTESTING)?;
        let certificate = object.as_deref().and_then(|object| tlv::find(object, 0x70));
        Ok(certificate.map(|certificate| Attestation {
            statement: told.data.to_vec(),
            card_certificate: certificate.to_vec(),
        }))
    }
}
