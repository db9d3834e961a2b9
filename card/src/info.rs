//! What a card says about itself to anyone who holds it, before any PIN.
//!
//! None of it proves presence: presence is a fresh challenge signed by slot 9E.

use hospes_protocol::check::Rejected;
use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::{AgreementKey, VerifyingKey};
use hospes_protocol::wire::{Dec, Enc, Wire};
use hospes_protocol::wire_enum;

use crate::slot::Slot;

/// A card's own number, random (the GUID of a PIV card).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardSerial(pub [u8; 16]);

impl std::fmt::Display for CardSerial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::fmt::Debug for CardSerial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CardSerial({self})")
    }
}

impl std::str::FromStr for CardSerial {
    type Err = SerialForm;
    fn from_str(s: &str) -> Result<Self, SerialForm> {
        if s.len() != 32 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(SerialForm);
        }
        let mut out = [0; 16];
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| SerialForm)?;
        }
        Ok(Self(out))
    }
}

/// A text that is no card serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a card serial is 32 hexadecimal digits")]
pub struct SerialForm;

impl Wire for CardSerial {
    fn put(&self, e: &mut Enc) {
        self.0.put(e);
    }
    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        Wire::get(d).map(Self)
    }
}

/// What a card is made of; a federation may forbid soft cards by policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardKind {
    /// A file. Screens say so.
    Soft,
    /// A PIV card in a PC/SC reader. It says so itself, which is no proof: only attestation is.
    Piv,
    /// An OpenPGP card in a PC/SC reader.
    OpenPgp,
}

wire_enum! {
    /// Whose card it is.
    pub enum HolderKind {
        /// A patient.
        Patient = 1,
        /// A practitioner.
        Practitioner = 2,
        /// Someone who acts for a patient.
        Proxy = 3,
        /// A guardian of the break-glass keys.
        Guardian = 4,
        /// An auditor.
        Auditor = 5,
        /// An administrator.
        Administrator = 6,
        /// A researcher.
        Researcher = 7,
        /// An organization.
        Organization = 8,
        /// The witness of an offline committee.
        Witness = 9,
    }
}

const LABEL_BYTES_MAX: usize = 64;

/// A text for the screen at the desk. Anyone may read it off the card, so a patient's says no name.
#[derive(Clone, PartialEq, Eq)]
pub struct HolderLabel(String);

impl HolderLabel {
    /// A label of 1 to 64 bytes without control characters; otherwise none.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let good = (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        good.then(|| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for HolderLabel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HolderLabel(redacted)")
    }
}

/// A card, as it shows itself without PIN. A slot without a key is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardInfo {
    /// Its number.
    pub serial: CardSerial,
    /// What it is made of.
    pub kind: CardKind,
    /// Whose it is.
    pub holder_kind: Option<HolderKind>,
    /// What the screen calls it.
    pub holder_label: Option<HolderLabel>,
    /// The network it belongs to.
    pub network: Option<NetworkId>,
    /// The organization that enrolled its holder.
    pub home_organization: Option<OrganizationId>,
    /// 9A.
    pub authentication: Option<VerifyingKey>,
    /// 9C.
    pub signature: Option<VerifyingKey>,
    /// 9D.
    pub key_management: Option<AgreementKey>,
    /// 9E.
    pub card_authentication: Option<VerifyingKey>,
    /// PIN tries before it is blocked.
    pub pin_tries_left: u8,
    /// PUK tries before the card is dead.
    pub puk_tries_left: u8,
}

impl CardInfo {
    /// The signing key of a slot; none for 9D and for an empty slot. Its `algorithm()` is the slot's.
    #[must_use]
    pub fn verifying_key(&self, slot: Slot) -> Option<&VerifyingKey> {
        match slot {
            Slot::Authentication => self.authentication.as_ref(),
            Slot::Signature => self.signature.as_ref(),
            Slot::CardAuthentication => self.card_authentication.as_ref(),
            Slot::KeyManagement => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_reads_back_from_its_text() {
        let serial = CardSerial([0xa5; 16]);
        assert_eq!(serial.to_string().parse(), Ok(serial), "hex round trip");
        assert_eq!("é".repeat(16).parse::<CardSerial>(), Err(SerialForm), "not ASCII and no panic");
    }

    #[test]
    fn a_label_is_short_printable_and_not_in_logs() {
        assert!(HolderLabel::new(&"x".repeat(65)).is_none(), "too long");
        assert!(HolderLabel::new("bell\u{7}").is_none(), "a control character");
        let label = HolderLabel::new("王大明").unwrap();
        assert_eq!(format!("{label:?}"), "HolderLabel(redacted)", "Debug is silent");
    }
}
