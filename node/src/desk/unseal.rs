//! From sealed keys to a record's data key, with the session's card: own envelopes, the organization's secret,
//! packets of locker secrets, bundles.
//!
//! What the card opened stays in the session until the card leaves, so a card opens each packet once. Whether the
//! reader may is decided before, by the service. Everything here blocks.

use hospes_protocol::check::Check;
use hospes_protocol::context::Context;
use hospes_protocol::ids::{ContentId, KeyId, NetworkId, PatientId, sha256};
use hospes_protocol::keys::{KeyAgreement, SoftwareAgreement};
use hospes_protocol::seal::blob::DataKey;
use hospes_protocol::seal::envelope::{Envelope, OpenError};
use hospes_protocol::seal::locker::open_data_key;
use hospes_protocol::seal::packet::open_packet;
use hospes_protocol::wire::Bytes;
use hospes_storage::Objects;

use super::error::DeskError;
use super::lockers::read_bundle;
use super::organization::{Secrets, open_secret, open_secrets};
use super::sessions::{Opened, Unlocked};

/// A record's key as it lies sealed, with what may open it.
pub(super) struct Closed {
    /// The record.
    pub(super) content: ContentId,
    /// Whose.
    pub(super) patient: PatientId,
    /// Its data key, sealed to several.
    pub(super) keys: Vec<Bytes>,
    /// Packets for the session's card, those of the newest epoch first.
    pub(super) own: Vec<Vec<u8>>,
    /// Packets for keys of organizations.
    pub(super) organizations: Vec<(KeyId, Vec<Vec<u8>>)>,
}

/// Opens a packet or bundle and takes in what it holds; one that was looked at before is passed over.
///
/// # Errors
/// As the key says. A packet that does not open opens nothing.
pub(super) fn take_packet(
    opened: &mut Opened,
    patient: &PatientId,
    sealed: &[u8],
    key: &mut dyn KeyAgreement,
    network: &NetworkId,
) -> Result<(), DeskError> {
    if !opened.seen.insert(sha256(&[sealed])) {
        return Ok(());
    }
    match open_packet(sealed, patient, key, network) {
        Ok(packet) => opened.lockers.entry(*patient).or_default().add(packet),
        Err(OpenError::Key(error)) => return Err(error.into()),
        Err(OpenError::Rejected(_)) => {
            let bundle = Envelope::parse(sealed)?.open(key, Context::DataKey, network);
            match bundle {
                Ok(plain) => opened.records.extend(read_bundle(&plain).unwrap_or_default()),
                Err(OpenError::Key(error)) => return Err(error.into()),
                Err(OpenError::Rejected(_)) => {}
            }
        }
    }
    Ok(())
}

impl Opened {
    /// The data key, if what is open already holds it.
    fn data_key(&self, closed: &Closed, network: &NetworkId) -> Option<DataKey> {
        if let Some(key) = self.records.get(&closed.content) {
            return Some(key.clone());
        }
        for sealed in &closed.keys {
            let Ok(envelope) = Envelope::parse(sealed) else { continue };
            if let Some(secret) = self.organization.get(&envelope.recipient())
                && let Ok(key) = open_data_key(sealed, &mut SoftwareAgreement::from_secret(secret), network)
            {
                return Some(key);
            }
        }
        self.lockers.get(&closed.patient).and_then(|ring| ring.open_any(&closed.keys, network).ok())
    }
}

/// Opens a record's data key.
///
/// # Errors
/// [`DeskError::NotHere`] where nothing here opens it; as the card says.
pub(super) fn data_key(
    unlocked: &mut Unlocked,
    closed: &Closed,
    objects: &dyn Objects,
    network: &NetworkId,
) -> Result<DataKey, DeskError> {
    if let Some(key) = unlocked.opened.data_key(closed, network) {
        return Ok(key);
    }
    for sealed in &closed.own {
        take_packet(&mut unlocked.opened, &closed.patient, sealed, &mut unlocked.card.agreement()?, network)?;
        if let Some(key) = unlocked.opened.data_key(closed, network) {
            return Ok(key);
        }
    }
    if let Some(key) = sealed_to_card(unlocked, closed, network)? {
        return Ok(key);
    }
    for sealed in &closed.keys {
        let recipient = Envelope::parse(sealed)?.recipient();
        take_secret(unlocked, &recipient, objects, network)?;
    }
    for (public, packets) in &closed.organizations {
        take_secret(unlocked, public, objects, network)?;
        let Some(secret) = unlocked.opened.organization.get(public).cloned() else { continue };
        let mut key = SoftwareAgreement::from_secret(&secret);
        for sealed in packets {
            take_packet(&mut unlocked.opened, &closed.patient, sealed, &mut key, network)?;
        }
    }
    let missing = DeskError::NotHere("no key for this record is here");
    unlocked.opened.data_key(closed, network).ok_or(missing)
}

fn take_secret(
    unlocked: &mut Unlocked,
    public: &KeyId,
    objects: &dyn Objects,
    network: &NetworkId,
) -> Result<(), DeskError> {
    if unlocked.opened.organization.contains_key(public) {
        return Ok(());
    }
    let (card, opened) = (unlocked.card.as_mut(), &mut unlocked.opened);
    open_secret(objects, public, card, network, &mut opened.organization)?;
    if !opened.organization.contains_key(public) {
        // A packet for this card may be of a later epoch, and hold this one's secret too.
        look_at_all(unlocked, objects, network)?;
    }
    Ok(())
}

/// Looks once at every packet of an organization's key that is for the card.
fn look_at_all(unlocked: &mut Unlocked, objects: &dyn Objects, network: &NetworkId) -> Result<(), DeskError> {
    let opened = &mut unlocked.opened;
    if std::mem::replace(&mut opened.organization_looked, true) {
        return Ok(());
    }
    open_secrets(objects, unlocked.card.as_mut(), network, &mut opened.organization)
}

/// An organization's epoch secret, if the card opens it, with those of its other epochs.
///
/// # Errors
/// As the card says.
pub(super) fn take_secrets(
    unlocked: &mut Unlocked,
    public: &KeyId,
    objects: &dyn Objects,
    network: &NetworkId,
) -> Result<Secrets, DeskError> {
    take_secret(unlocked, public, objects, network)?;
    look_at_all(unlocked, objects, network)?;
    Ok(unlocked.opened.organization.clone())
}

fn sealed_to_card(
    unlocked: &mut Unlocked,
    closed: &Closed,
    network: &NetworkId,
) -> Result<Option<DataKey>, DeskError> {
    let mut key = unlocked.card.agreement()?;
    let own = key.agreement_key().id();
    for sealed in &closed.keys {
        if Envelope::parse(sealed)?.recipient() != own {
            continue;
        }
        match open_data_key(sealed, &mut key, network) {
            Ok(opened) => return Ok(Some(opened)),
            Err(OpenError::Rejected(hospes_protocol::check::Rejected { check: Check::SealBroken })) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}
