//! Data objects: what the card says of itself, and ours in its private ones.
//!
//! ```text
//! 0101  read by anyone, written with the PIN   80 kind  81 label  82 network  83 home organization
//! 0102  read by anyone, written with PW3       the half of tier 0
//! 0103  read and written with the PIN          80 patient secret  81 PW3
//! ```

use hospes_protocol::ids::{NetworkId, OrganizationId};
use hospes_protocol::keys::KeyError;
use hospes_protocol::wire::Wire as _;
use zeroize::Zeroizing;

use super::codes::{self, Tries};
use crate::info::{HolderKind, HolderLabel};
use crate::object::Object;
use crate::slot::Slot;
use crate::smart::apdu::status;
use crate::smart::{Applet, tlv};

const HOLDER: u16 = 0x0101;
const HALF: u16 = 0x0102;
const SECRETS: u16 = 0x0103;

/// Parts of 0101 and 0103.
const KIND: u16 = 0x80;
const LABEL: u16 = 0x81;
const NETWORK: u16 = 0x82;
const HOME: u16 = 0x83;
const SECRET: u16 = 0x80;
const ADMINISTRATION: u16 = 0x81;

/// Application related data, as far as they matter here (4.4.3.1).
pub(super) struct About {
    /// The full name of the application, which holds the card's number.
    pub(super) name: [u8; 16],
    /// C1 to C3: what the places for keys take.
    attributes: [Vec<u8>; 3],
    pub(super) tries: Tries,
}

impl About {
    fn read(data: &[u8]) -> Option<Self> {
        // Some cards answer with the object, some with what is in it.
        let all = tlv::find(data, 0x6E).unwrap_or(data);
        let discretionary = tlv::find(all, 0x73)?;
        let of = |tag| tlv::find(discretionary, tag).map(<[u8]>::to_vec);
        Some(Self {
            name: tlv::find(all, 0x4F)?.try_into().ok()?,
            attributes: [of(0xC1)?, of(0xC2)?, of(0xC3)?],
            tries: Tries::of(tlv::find(discretionary, 0xC4)?)?,
        })
    }

    /// What the place of a slot takes.
    pub(super) fn attributes(&self, slot: Slot) -> Option<&[u8]> {
        let [signature, decryption, authentication] = &self.attributes;
        match slot {
            Slot::Signature => Some(signature),
            Slot::KeyManagement => Some(decryption),
            Slot::Authentication => Some(authentication),
            Slot::CardAuthentication => None,
        }
    }
}

/// What the card says of itself.
pub(super) fn about(applet: &mut Applet) -> Result<About, KeyError> {
    let data = get(applet, 0x6E)?;
    About::read(&data).ok_or_else(|| KeyError::Failed("what it says of itself can't be read".to_owned()))
}

/// Tries left.
pub(super) fn tries(applet: &mut Applet) -> Result<Tries, KeyError> {
    let bytes = get(applet, 0xC4)?;
    Tries::of(&bytes).ok_or_else(|| KeyError::Failed("its PW status bytes can't be read".to_owned()))
}

/// GET DATA; an object that was never written is empty, or not there at all.
fn get(applet: &mut Applet, tag: u16) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let [high, low] = tag.to_be_bytes();
    let answer = applet.send([0xCA, high, low], &[])?;
    match answer.status {
        status::NO_KEY | status::NOT_FOUND => Ok(Zeroizing::default()),
        _ => answer.done(),
    }
}

/// PUT DATA.
pub(super) fn put(applet: &mut Applet, tag: u16, value: &[u8]) -> Result<(), KeyError> {
    let [high, low] = tag.to_be_bytes();
    applet.send([0xDA, high, low], value)?.done().map(drop)
}

/// Whose card it is: 0101.
pub(super) struct Holder(Zeroizing<Vec<u8>>);

impl Holder {
    fn part(&self, tag: u16) -> Option<&[u8]> {
        tlv::find(&self.0, tag)
    }

    fn digest(&self, tag: u16) -> Option<[u8; 32]> {
        self.part(tag)?.try_into().ok()
    }

    pub(super) fn kind(&self) -> Option<HolderKind> {
        HolderKind::decode(self.part(KIND)?).ok()
    }

    pub(super) fn label(&self) -> Option<HolderLabel> {
        HolderLabel::new(std::str::from_utf8(self.part(LABEL)?).ok()?)
    }

    pub(super) fn network(&self) -> Option<NetworkId> {
        self.digest(NETWORK).map(NetworkId)
    }

    pub(super) fn home_organization(&self) -> Option<OrganizationId> {
        self.digest(HOME).map(OrganizationId)
    }
}

/// Whose card it is, as anyone can read it.
pub(super) fn holder(applet: &mut Applet) -> Result<Holder, KeyError> {
    get(applet, HOLDER).map(Holder)
}

/// The private object that an object is in, and which part of it; all of it where it is the only one.
fn place(object: Object) -> (u16, Option<u16>) {
    match object {
        Object::HolderKind => (HOLDER, Some(KIND)),
        Object::HolderLabel => (HOLDER, Some(LABEL)),
        Object::Network => (HOLDER, Some(NETWORK)),
        Object::HomeOrganization => (HOLDER, Some(HOME)),
        Object::TierZeroHalf => (HALF, None),
        Object::PatientSecret => (SECRETS, Some(SECRET)),
    }
}

/// An object; none if it is empty.
pub(super) fn read(applet: &mut Applet, object: Object) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let (tag, part) = place(object);
    let whole = get(applet, tag)?;
    let value = match part {
        Some(part) => tlv::find(&whole, part).unwrap_or_default(),
        None => &whole,
    };
    Ok(if value.is_empty() { None } else { Some(Zeroizing::new(value.to_vec())) })
}

/// Writes an object. The half of tier 0 wants PW3, which is read from behind the PIN.
pub(super) fn write(applet: &mut Applet, object: Object, bytes: &[u8]) -> Result<(), KeyError> {
    match place(object) {
        (tag, Some(part)) => write_part(applet, tag, part, bytes),
        (tag, None) => {
            let unprotected = KeyError::Unsupported("writing to a card whose PW3 is not behind its PIN");
            let code = administration(applet)?.ok_or(unprotected)?;
            if !codes::verify_pw3(applet, &code)? {
                return Err(KeyError::Failed("its PW3 is another".to_owned()));
            }
            put(applet, tag, bytes)
        }
    }
}

/// Replaces one part of a private object, in one command with the others.
fn write_part(applet: &mut Applet, tag: u16, part: u16, bytes: &[u8]) -> Result<(), KeyError> {
    let before = get(applet, tag)?;
    let mut after = Zeroizing::new(Vec::with_capacity(before.len() + bytes.len() + 5));
    let mut rest = &before[..];
    while let Some((found, value, behind)) = tlv::take(rest) {
        if found != part {
            tlv::put(&mut after, found, value);
        }
        rest = behind;
    }
    tlv::put(&mut after, part, bytes);
    put(applet, tag, &after)
}

/// PW3, from behind the PIN, if it is there.
pub(super) fn administration(applet: &mut Applet) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let secrets = get(applet, SECRETS)?;
    Ok(tlv::find(&secrets, ADMINISTRATION).map(|code| Zeroizing::new(code.to_vec())))
}

/// Puts PW3 behind the PIN.
pub(super) fn keep_administration(applet: &mut Applet, code: &[u8]) -> Result<(), KeyError> {
    write_part(applet, SECRETS, ADMINISTRATION, code)
}

/// Writes all of 0101 at once.
pub(super) fn write_holder(
    applet: &mut Applet,
    kind: HolderKind,
    label: Option<&HolderLabel>,
    network: Option<&NetworkId>,
    home: Option<&OrganizationId>,
) -> Result<(), KeyError> {
    let mut holder = tlv::object(KIND, &kind.encode());
    if let Some(label) = label {
        tlv::put(&mut holder, LABEL, label.as_str().as_bytes());
    }
    if let Some(network) = network {
        tlv::put(&mut holder, NETWORK, &network.0);
    }
    if let Some(home) = home {
        tlv::put(&mut holder, HOME, &home.0);
    }
    put(applet, HOLDER, &holder)
}
