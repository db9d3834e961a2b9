//! `founding.cbor`: what an organization and its first node bring into a genesis, or to those who admit them.
//!
//! Signed by the organization's card and by the node, so that nobody founds in another's name. It holds no
//! secret and may travel by mail.

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::control::{NodeEntry, OrganizationEntry};
use hospes_protocol::genesis::organization_id;
use hospes_protocol::keys::{KeyError, Signer};
use hospes_protocol::wire::{Bytes, Enc, Wire};
use hospes_protocol::wire_struct;

/// Begins the file and what is signed. No COSE structure begins with it.
const FORMAT: &str = "hospes/1/founding";
/// A founding file in bytes, at most.
const FILE_BYTES_MAX: usize = 64 * 1024;

wire_struct! {
    /// The file.
    pub struct Founding {
        /// [`FORMAT`].
        pub format: String,
        /// The organization.
        pub organization: OrganizationEntry,
        /// Its node.
        pub node: NodeEntry,
        /// Raw signature of slot 9C of the organization's first card.
        pub card_signature: Bytes,
        /// Raw signature of the node's key.
        pub node_signature: Bytes,
    }
}

fn to_be_signed(organization: &OrganizationEntry, node: &NodeEntry) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(3).text(FORMAT);
    organization.put(&mut e);
    node.put(&mut e);
    e.into_bytes()
}

impl Founding {
    /// Signs with the organization's card, which must be the first of the entry, and with the node's key.
    ///
    /// # Errors
    /// As the card.
    pub(crate) fn sign(
        organization: OrganizationEntry,
        node: NodeEntry,
        card: &mut dyn Signer,
        key: &mut dyn Signer,
    ) -> Result<Self, KeyError> {
        let message = to_be_signed(&organization, &node);
        let (card_signature, node_signature) = (card.sign(&message)?.into(), key.sign(&message)?.into());
        Ok(Self { format: FORMAT.into(), organization, node, card_signature, node_signature })
    }

    /// Reads and judges a file.
    ///
    /// # Errors
    /// Checks 101 to 105; [`Check::UnknownFormat`] for another file, [`Check::NotAuthorized`] for an id that is
    /// not of the first card, [`Check::WrongOrganization`] for a node of another one, [`Check::BadSignature`].
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Rejected> {
        let founding = Self::decode_within(bytes, FILE_BYTES_MAX)?;
        ensure(founding.format == FORMAT, Check::UnknownFormat)?;
        let card = founding.organization.cards.first().ok_or(Check::NotAuthorized)?;
        ensure(organization_id(card.as_bytes()) == founding.organization.organization, Check::NotAuthorized)?;
        ensure(founding.node.organization == founding.organization.organization, Check::WrongOrganization)?;
        let message = to_be_signed(&founding.organization, &founding.node);
        card.verify(&message, &founding.card_signature)?;
        founding.node.key.verify(&message, &founding.node_signature)?;
        Ok(founding)
    }
}
