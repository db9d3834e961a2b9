//! Making a node and a network, off line: node key, organization card, founding file, genesis.
//!
//! It talks to no node. The command line calls it; `run` and `doctor` read what it left.

pub(crate) mod founding;
pub(crate) mod network;
pub(crate) mod node_key;

use std::net::IpAddr;
use std::path::Path;

use hospes_card::soft::{SoftCard, SoftCardSpec};
use hospes_card::{Card, HolderKind, HolderLabel, Object, Pin, Puk, Slot};
use hospes_net::Multiaddr;
use hospes_protocol::control::{NodeEntry, OrganizationEntry, Standing};
use hospes_protocol::genesis::organization_id;
use hospes_protocol::ids::sha256;
use hospes_protocol::keys::{KeyAgreement as _, KeyError, Signer as _, SoftwareAgreement, SoftwareSigner};
use rand_core::CryptoRng;
use thiserror::Error;
use zeroize::Zeroizing;

use founding::Founding;
use node_key::{NodeKey, NodeKeyError};

/// How long a node entry holds: two years.
pub(crate) const NODE_VALID_MS: u64 = 2 * 365 * 24 * 60 * 60 * 1000;

/// Why there is no node.
#[derive(Debug, Error)]
pub(crate) enum InitError {
    /// The card.
    #[error("the organization's card: {0}")]
    Card(#[from] KeyError),
    /// The card lacks a key.
    #[error("the card has no signature key or no agreement key")]
    CardKeys,
    /// The name is none.
    #[error("an organization's name has 1 to 64 bytes without control characters")]
    Name,
    /// The node key.
    #[error(transparent)]
    Key(#[from] NodeKeyError),
    /// The system.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// What a founder says of itself.
pub(crate) struct Founder<'a> {
    /// The organization's public name.
    pub(crate) name: &'a str,
    /// SHA-256 of the signed accreditation; of nothing, where there is none.
    pub(crate) accreditation: Option<[u8; 32]>,
    /// Where peers may dial its node.
    pub(crate) addresses: &'a [Multiaddr],
    /// Whether the node may hold emergency summaries for all.
    pub(crate) emergency: bool,
    /// The time, in milliseconds since 1970 UTC.
    pub(crate) now: u64,
}

/// Makes an organization's soft card, which holds the organization's id; gives its PUK, to be kept on paper.
///
/// # Errors
/// [`InitError`]; no card is left then.
pub(crate) fn new_organization_card(
    path: &Path,
    name: &str,
    pin: &Pin,
    rng: &mut impl CryptoRng,
) -> Result<(SoftCard, Puk), InitError> {
    let mut spec = SoftCardSpec::new(HolderKind::Organization);
    spec.holder_label = Some(HolderLabel::new(name).ok_or(InitError::Name)?);
    let puk = Puk::generate(rng);
    let mut card = spec.create(path, pin, &puk, rng)?;
    name_organization(&mut card, pin, rng)?;
    Ok((card, puk))
}

/// Writes on an organization's card the id that its signature key gives the organization.
///
/// # Errors
/// [`InitError`].
pub(crate) fn name_organization(
    card: &mut dyn Card,
    pin: &Pin,
    rng: &mut dyn CryptoRng,
) -> Result<(), InitError> {
    let signature = card.info()?.signature.ok_or(InitError::CardKeys)?;
    card.verify_pin(pin)?;
    card.write_object(Object::HomeOrganization, &organization_id(signature.as_bytes()).0, rng)?;
    card.logout();
    Ok(())
}

/// Whether a peer elsewhere can dial the address: a port, and no address that stands for all.
pub(crate) fn is_dialable(address: &Multiaddr) -> bool {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    let mut dialable = !text.ends_with("/tcp/0") && !text.contains("/tcp/0/");
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        if matches!(name, "ip4" | "ip6") {
            dialable &= value.parse::<IpAddr>().is_ok_and(|ip| !ip.is_unspecified());
        }
    }
    dialable
}

/// Signs the founding of a new node with the organization's card.
///
/// # Errors
/// [`InitError`].
pub(crate) fn found(
    founder: &Founder<'_>,
    card: &mut dyn Card,
    pin: &Pin,
) -> Result<(Founding, NodeKey), InitError> {
    found_under(founder, card, pin, None)
}

/// As [`found()`], for a node over a store that another secret seals already.
///
/// # Errors
/// [`InitError`].
pub(crate) fn found_under(
    founder: &Founder<'_>,
    card: &mut dyn Card,
    pin: &Pin,
    at_rest: Option<Zeroizing<[u8; 32]>>,
) -> Result<(Founding, NodeKey), InitError> {
    if HolderLabel::new(founder.name).is_none() {
        return Err(InitError::Name);
    }
    let info = card.info()?;
    let (Some(signature), Some(management)) = (info.signature, info.key_management) else {
        return Err(InitError::CardKeys);
    };
    let organization = OrganizationEntry {
        organization: organization_id(signature.as_bytes()),
        name: founder.name.to_owned(),
        cards: vec![signature],
        agreement: vec![management],
        accreditation: founder.accreditation.unwrap_or_else(|| sha256(&[])),
        standing: Standing::Active,
    };
    let fresh = NodeKey::generate(organization.organization)?;
    let key = NodeKey { at_rest: at_rest.unwrap_or_else(|| fresh.at_rest.clone()), ..fresh };
    let mut signer = SoftwareSigner::from_seed(&key.signing);
    let node = NodeEntry {
        key: signer.verifying_key(),
        agreement: SoftwareAgreement::from_secret(&key.agreement).agreement_key(),
        organization: organization.organization,
        emergency: founder.emergency,
        addresses: founder.addresses.iter().filter(|a| is_dialable(a)).map(ToString::to_string).collect(),
        expires: founder.now + NODE_VALID_MS,
        standing: Standing::Active,
    };
    card.verify_pin(pin)?;
    let founding = Founding::sign(organization, node, &mut card.signer(Slot::Signature)?, &mut signer)?;
    card.logout();
    Ok((founding, key))
}

#[cfg(test)]
mod tests;
