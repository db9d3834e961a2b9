//! Entries: a content that says what is willed, and the header by which a node puts it on the ledger.

use crate::check::{Check, Rejected, ensure};
use crate::context::Context;
use crate::ids::{
    ContentId, HeaderId, KeyId, Lock, NetworkId, NodeId, OrganizationId, Reveal, Subject, sha256,
};
use crate::keys::{KeyError, Signer, VerifyingKey};
use crate::limits::{CONTENT_BYTES_MAX, HEADER_BYTES_MAX, REVEALS_MAX, STANDS_ON_MAX};
use crate::sign1::{Sign1, all_verify, sign1_unverified, unsound};
use crate::wire::{Bytes, Wire};
use crate::{wire_enum, wire_struct};

/// The format number inside everything that is signed.
pub const FORMAT: u64 = 1;

/// Kinds of entries as they stand on the wire: any number, so that an unknown kind is kept and relayed.
pub type KindCode = u64;

wire_enum! {
    /// The kinds of entries that this build applies.
    pub enum Kind {
        /// An organization is admitted, changed or removed.
        Organization = 1,
        /// A node is certified or retired by its organization.
        Node = 2,
        /// The validator set changes.
        ValidatorSet = 3,
        /// A practitioner is enrolled, changed or suspended.
        Practitioner = 4,
        /// A role is defined.
        Role = 5,
        /// The policy of the federation or of one organization.
        Policy = 6,
        /// A committee of guardians.
        Committee = 7,
        /// A checkpoint beyond the trust period.
        Checkpoint = 8,
        /// A message of a distributed key generation.
        Dkg = 9,
        /// An organization's agreement key for an epoch.
        OrganizationKey = 10,
        /// A patient is enrolled, or moves home.
        Patient = 16,
        /// A card of a patient.
        Card = 17,
        /// A locker epoch.
        Locker = 18,
        /// A record.
        Record = 19,
        /// A correction of a record.
        Amendment = 20,
        /// A grant.
        Grant = 21,
        /// A revocation.
        Revocation = 22,
        /// A proxy.
        Proxy = 23,
        /// An access to a record.
        Access = 24,
        /// An erasure.
        Erasure = 25,
        /// A receipt of an erasure.
        Receipt = 26,
        /// A request to break the glass.
        BreakGlassRequest = 32,
        /// Its release.
        Release = 33,
        /// Its close.
        Close = 34,
        /// Its review.
        Review = 35,
        /// A search for a patient without card.
        Search = 36,
        /// Notice that a lost card is to be replaced.
        Recovery = 37,
        /// A study.
        Study = 48,
        /// A case.
        Case = 49,
    }
}

/// Whether bodies of this kind travel in the block and are judged by consensus (kinds 1 to 15).
#[must_use]
pub const fn is_control(kind: KindCode) -> bool {
    kind >= 1 && kind <= 15
}

wire_struct! {
    /// What is willed. Its SHA-256 is the content id; the salt inside makes the id say nothing.
    pub struct Content {
        /// [`FORMAT`].
        pub format: u64,
        /// The network that it is for.
        pub network: NetworkId,
        /// The kind.
        pub kind: KindCode,
        /// The organization whose node files it.
        pub organization: OrganizationId,
        /// 32 random bytes.
        pub salt: [u8; 32],
        /// The lock whose reveal withdraws it.
        pub lock: Option<Lock>,
        /// The entries it stands on, ascending.
        pub stands_on: Vec<ContentId>,
        /// The encoding of the kind's payload.
        pub payload: Bytes,
    }
}

impl Content {
    /// Reads a content of `network` within its limits.
    ///
    /// # Errors
    /// Checks 101 to 106, [`Check::ScopeForm`] for a list that is not ascending or too long.
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<Self, Rejected> {
        let content = Self::decode_within(bytes, CONTENT_BYTES_MAX)?;
        ensure(content.format == FORMAT, Check::UnknownFormat)?;
        ensure(content.network == *network, Check::WrongNetwork)?;
        ensure(content.stands_on.len() <= STANDS_ON_MAX, Check::ScopeForm)?;
        ensure(content.stands_on.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        Ok(content)
    }

    /// The content id.
    #[must_use]
    pub fn id(&self) -> ContentId {
        ContentId(sha256(&[&self.encode()]))
    }
}

wire_struct! {
    /// What stands on the ledger of an entry.
    pub struct HeaderFields {
        /// [`FORMAT`].
        pub format: u64,
        /// The network.
        pub network: NetworkId,
        /// The organization of the node.
        pub organization: OrganizationId,
        /// The node that files the entry.
        pub node: NodeId,
        /// 1 for the node's first header, then one more each.
        pub sequence: u64,
        /// The node's previous header; null for its first.
        pub previous: Option<HeaderId>,
        /// The kind, as in the content.
        pub kind: KindCode,
        /// A handle for those who know K; null for control kinds.
        pub subject: Option<Subject>,
        /// The content id.
        pub content: ContentId,
        /// The lock, as in the content.
        pub lock: Option<Lock>,
        /// Values that close locks, at most 8, ascending.
        pub reveal: Vec<Reveal>,
        /// When the node signed, in milliseconds since 1970 UTC.
        pub signed_at: u64,
    }
}

impl HeaderFields {
    /// The id of the header that says this.
    #[must_use]
    pub fn id(&self) -> HeaderId {
        HeaderId(sha256(&[&self.encode()]))
    }
}

/// A header with its node's signature, in the bytes that were received.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    fields: HeaderFields,
    id: HeaderId,
    kid: KeyId,
    bytes: Bytes,
}

impl Header {
    /// Signs `fields` with the node's key.
    ///
    /// # Errors
    /// As the signer.
    pub fn sign(fields: HeaderFields, signer: &mut dyn Signer) -> Result<Self, KeyError> {
        Self::sign_all(vec![fields], signer)?.pop().ok_or_else(unsound)
    }

    /// Signs headers with the node's key, as many as are filed at once.
    ///
    /// # Errors
    /// As the signer; its signatures are verified, all together, before they are returned.
    pub fn sign_all(all: Vec<HeaderFields>, signer: &mut dyn Signer) -> Result<Vec<Self>, KeyError> {
        let key = signer.verifying_key();
        let mut headers = Vec::new();
        for fields in all {
            let payload = fields.encode();
            let bytes = sign1_unverified(signer, Context::Header, &fields.network, &payload)?;
            headers.push(Self {
                id: HeaderId(sha256(&[&payload])),
                fields,
                kid: key.id(),
                bytes: Bytes(bytes),
            });
        }
        let sound = Self::all_verify(&headers.iter().map(|header| (header, &key)).collect::<Vec<_>>());
        if sound { Ok(headers) } else { Err(unsound()) }
    }

    /// Reads a header and judges its form; the signature is left to [`Header::verify`].
    ///
    /// # Errors
    /// Checks 101 to 106 and 313; [`Check::UnknownSigner`] where the `kid` is not the node.
    pub fn read(bytes: &[u8], network: &NetworkId) -> Result<Self, Rejected> {
        ensure(bytes.len() <= HEADER_BYTES_MAX, Check::TooLarge)?;
        let message = Sign1::parse(bytes)?;
        let fields = HeaderFields::decode(message.payload())?;
        ensure(fields.format == FORMAT, Check::UnknownFormat)?;
        ensure(fields.network == *network, Check::WrongNetwork)?;
        ensure(message.kid().0 == fields.node.0, Check::UnknownSigner)?;
        ensure(is_control(fields.kind) == fields.subject.is_none(), Check::SubjectForm)?;
        ensure(fields.reveal.len() <= REVEALS_MAX, Check::WrongReveal)?;
        ensure(fields.reveal.windows(2).all(|w| w[0] < w[1]), Check::WrongReveal)?;
        ensure(
            fields.sequence > 0 && (fields.sequence == 1) == fields.previous.is_none(),
            Check::PrevMismatch,
        )?;
        let id = HeaderId(sha256(&[message.payload()]));
        Ok(Self { fields, id, kid: message.kid(), bytes: Bytes(bytes.to_vec()) })
    }

    /// Verifies the node's signature.
    ///
    /// # Errors
    /// As [`Sign1::verify`].
    pub fn verify(&self, key: &VerifyingKey) -> Result<(), Rejected> {
        Sign1::parse(&self.bytes)?.verify(key, Context::Header, &self.fields.network)
    }

    /// Whether every header is signed by the key beside it; much cheaper than one at a time. All are of the
    /// network of the first.
    #[must_use]
    pub fn all_verify(headers: &[(&Self, &VerifyingKey)]) -> bool {
        let Some(network) = headers.first().map(|(header, _)| header.fields.network) else { return true };
        let messages: Option<Vec<_>> =
            headers.iter().map(|(header, key)| Some((Sign1::parse(&header.bytes).ok()?, *key))).collect();
        messages.is_some_and(|messages| all_verify(&messages, Context::Header, &network))
    }

    /// Whether this header speaks of `content`: same id, kind, organization and lock.
    ///
    /// # Errors
    /// [`Check::ContentMismatch`]; such a header has no effect.
    pub fn matches(&self, content: &Content) -> Result<(), Rejected> {
        let same = self.fields.content == content.id()
            && self.fields.kind == content.kind
            && self.fields.organization == content.organization
            && self.fields.lock == content.lock
            && self.fields.network == content.network;
        ensure(same, Check::ContentMismatch)
    }

    /// The fields.
    #[must_use]
    pub fn fields(&self) -> &HeaderFields {
        &self.fields
    }

    /// SHA-256 of the signed payload.
    #[must_use]
    pub fn id(&self) -> HeaderId {
        self.id
    }

    /// The `kid` under the signature, equal to the node id.
    #[must_use]
    pub fn kid(&self) -> KeyId {
        self.kid
    }

    /// The COSE_Sign1 as received.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests;
