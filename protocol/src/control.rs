//! Payloads of the control kinds 1 to 10: who takes part, in which role, under which policy.
//!
//! These bodies travel inside blocks and hold nothing about patients.

use crate::block::Validator;
use crate::ids::{BlockHash, ContentId, KeyId, NodeId, ObjectId, OrganizationId, PersonId};
use crate::keys::{AgreementKey, VerifyingKey};
use crate::wire::Bytes;
use crate::{wire_enum, wire_struct, wire_union};

wire_enum! {
    /// Whether a member takes part.
    pub enum Standing {
        /// It does.
        Active = 1,
        /// A person whose card was suspended: nothing new is accepted until replaced.
        Suspended = 2,
        /// It does no more, for good.
        Removed = 3,
    }
}

wire_struct! {
    /// Kind 1. An organization is admitted, changed or removed, by the cards of more than two thirds of the
    /// organizations. Its id is SHA-256 of its first card key.
    pub struct OrganizationEntry {
        /// SHA-256 of the first card's signature key.
        pub organization: OrganizationId,
        /// Its public name.
        pub name: String,
        /// Slot 9C of its cards, which certify nodes and people.
        pub cards: Vec<VerifyingKey>,
        /// Slot 9D of its cards, to which its epoch secret is sealed.
        pub agreement: Vec<AgreementKey>,
        /// SHA-256 of its signed accreditation.
        pub accreditation: [u8; 32],
        /// Whether it takes part.
        pub standing: Standing,
    }
}

wire_struct! {
    /// Kind 2. A node, certified or retired by its organization's card. Its id is SHA-256 of `key`.
    pub struct NodeEntry {
        /// The Ed25519 key.
        pub key: VerifyingKey,
        /// The X25519 key.
        pub agreement: AgreementKey,
        /// Its organization.
        pub organization: OrganizationId,
        /// Whether it may hold emergency summaries for the whole federation.
        pub emergency: bool,
        /// Multiaddresses under which peers may dial it.
        pub addresses: Vec<String>,
        /// Not valid from this time on, in milliseconds since 1970 UTC.
        pub expires: u64,
        /// Whether it takes part.
        pub standing: Standing,
    }
}

wire_struct! {
    /// Kind 3. The validators from the next height on, by the cards of more than two thirds of the
    /// organizations.
    pub struct ValidatorSetEntry {
        /// The nodes, ascending.
        pub nodes: Vec<NodeId>,
    }
}

wire_struct! {
    /// Kind 4. A practitioner or other person that is not a patient, by the card of the organization. The first
    /// entry's content id is the person's id.
    pub struct PractitionerEntry {
        /// The person's id; null in the first entry.
        pub person: Option<PersonId>,
        /// The organization.
        pub organization: OrganizationId,
        /// The number in the public register; unique in the federation.
        pub register_number: String,
        /// Names of roles of the organization, ascending.
        pub roles: Vec<String>,
        /// Slot 9A.
        pub authentication: VerifyingKey,
        /// Slot 9C.
        pub signature: VerifyingKey,
        /// Slot 9D.
        pub agreement: AgreementKey,
        /// SHA-256 of the salted registry attestation, an erasable object.
        pub attestation: [u8; 32],
        /// Whether the person takes part.
        pub standing: Standing,
    }
}

wire_struct! {
    /// Kind 5. A role of an organization, by its card: a template of what its holders may be granted and do.
    pub struct RoleEntry {
        /// The organization.
        pub organization: OrganizationId,
        /// The name.
        pub name: String,
        /// Categories (by number, ascending) that its holders may read at all; empty for all.
        pub categories: Vec<u64>,
        /// Sum of the rights that its holders may hold.
        pub rights: u64,
        /// Whether its holders enrol people and run nodes; such a role reads no record.
        pub administrator: bool,
        /// Whether registry attestation is demanded of its holders.
        pub attested: bool,
    }
}

wire_struct! {
    /// What a policy sets.
    pub struct PolicyFields {
        /// Headers in one block at most.
        pub block_headers_max: u64,
        /// How long a proposer waits for more headers, in milliseconds.
        pub block_delay_ms: u64,
        /// An idle network commits an empty block at this interval, in milliseconds.
        pub idle_block_ms: u64,
        /// Grants are not acted upon when the newest certified block is older, in milliseconds.
        pub lease_ms: u64,
        /// Whether cards without attested hardware are accepted for people.
        pub soft_cards: bool,
        /// Bytes that an organization may have others hold for it.
        pub quota_bytes: u64,
        /// How long an erasure can be taken back, in milliseconds.
        pub cooling_off_ms: u64,
        /// Whether the patient's card and one practitioner open an emergency summary.
        pub tier_zero: bool,
        /// How long the replacing of a lost card can be contested before guardians may release it, in milliseconds.
        pub recovery_delay_ms: u64,
    }
}

wire_struct! {
    /// Kind 6. The policy of the federation (organization null, more than two thirds of the organizations), or
    /// an organization's choice of backup partners (its own card).
    pub struct PolicyEntry {
        /// Null for the federation.
        pub organization: Option<OrganizationId>,
        /// The federation's fields; null in an organization's policy.
        pub fields: Option<PolicyFields>,
        /// Organizations whose nodes hold copies of what this organization authored, ascending.
        pub backup_partners: Vec<OrganizationId>,
        /// Whether this organization's people open emergency summaries by the patient's card and their own alone, where
        /// the federation lets them.
        pub tier_zero: bool,
    }
}

wire_union! {
    /// Who holds the shares of a committee's key, in the order of their share indexes, from 1.
    pub enum Roster {
        /// People, each with a card.
        Guardians(Vec<PersonId>) = 1,
        /// Nodes.
        Validators(Vec<NodeId>) = 2,
    }
}

wire_union! {
    /// One of a roster.
    pub enum CommitteeMember {
        /// A person.
        Guardian(PersonId) = 1,
        /// A node.
        Validator(NodeId) = 2,
    }
}

impl Roster {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Guardians(people) => people.len(),
            Self::Validators(nodes) => nodes.len(),
        }
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every member, in order.
    #[must_use]
    pub fn members(&self) -> Vec<CommitteeMember> {
        match self {
            Self::Guardians(people) => people.iter().copied().map(CommitteeMember::Guardian).collect(),
            Self::Validators(nodes) => nodes.iter().copied().map(CommitteeMember::Validator).collect(),
        }
    }

    /// The share index of a member, from 1.
    #[must_use]
    pub fn index_of(&self, member: &CommitteeMember) -> Option<u16> {
        let place = self.members().iter().position(|m| m == member)?;
        u16::try_from(place + 1).ok()
    }
}

wire_struct! {
    /// When a phase of a ceremony ends: so many blocks after the one in which the committee became final. A message in
    /// that block still counts. Each is larger than the one before.
    pub struct CeremonyBlocks {
        /// Dealings.
        pub deal: u64,
        /// Complaints.
        pub complain: u64,
        /// Answers to complaints.
        pub answer: u64,
        /// Proofs of shares.
        pub prove: u64,
    }
}

/// The committee whose key opens emergency summaries.
pub const SUMMARY_COMMITTEE: &str = "summary";
/// The committee whose key opens whole records.
pub const FULL_COMMITTEE: &str = "full";
/// The committee of the validators.
pub const LEDGER_COMMITTEE: &str = "ledger";
/// How names of hospitals' own committees begin.
pub const LOCAL_COMMITTEE: &str = "local-";

wire_struct! {
    /// Whose a committee is that opens without a line, and its witness card.
    pub struct LocalCommittee {
        /// The hospital, whose people it is of.
        pub organization: OrganizationId,
        /// 9C of the witness card, which signs the log of what is opened.
        pub witness: VerifyingKey,
        /// 9D of the witness card, under which one half of each escrow stands.
        pub agreement: AgreementKey,
    }
}

/// The name of a hospital's own committee.
#[must_use]
pub fn local_committee(organization: &OrganizationId) -> String {
    format!("{LOCAL_COMMITTEE}{organization}")
}

wire_struct! {
    /// Kind 7. A committee that makes a threshold key, or takes one over, by more than two thirds of the organizations; one
    /// hospital's, by that organization's card and the witness card.
    pub struct CommitteeEntry {
        /// Its name: [`SUMMARY_COMMITTEE`], [`FULL_COMMITTEE`], [`LEDGER_COMMITTEE`], or [`local_committee`]'s.
        pub name: String,
        /// Its members.
        pub roster: Roster,
        /// Shares needed.
        pub shares_needed: u64,
        /// Members that must prove their shares before the key stands: [`CommitteeEntry::shares_needed`] at least.
        pub provers_needed: u64,
        /// The committee of the same name whose key is taken over; null for a key of its own.
        pub previous: Option<ContentId>,
        /// When its ceremony goes on.
        pub blocks: CeremonyBlocks,
        /// The hospital that it is of; null for the federation's.
        pub local: Option<LocalCommittee>,
    }
}

wire_struct! {
    /// Kind 9. What a member says in a committee's ceremony, by the card of a guardian or the node of a validator.
    pub struct DkgEntry {
        /// The committee entry that the ceremony is of.
        pub committee: ContentId,
        /// Who says it: one of its roster, or of the one whose key is taken over.
        pub sender: CommitteeMember,
        /// What; its form and effect are judged by the crate `breakglass`.
        pub said: Bytes,
    }
}

wire_struct! {
    /// Kind 8. A point from which a node goes on that was away beyond the trust period, by more than two thirds
    /// of the organizations.
    pub struct CheckpointEntry {
        /// The height.
        pub height: u64,
        /// The block.
        pub block: BlockHash,
        /// The validators of the height that follows.
        pub validators: Vec<Validator>,
    }
}

wire_struct! {
    /// An organization's epoch secret, sealed to one member's card.
    pub struct OrganizationPacket {
        /// The card's agreement key.
        pub reader: KeyId,
        /// The sealed object, held by the organization's own nodes.
        pub packet: ObjectId,
    }
}

wire_struct! {
    /// Kind 10. The agreement key of an organization for an epoch, by its card.
    pub struct OrganizationKeyEntry {
        /// The organization.
        pub organization: OrganizationId,
        /// From 1.
        pub epoch: u64,
        /// The X25519 key.
        pub key: AgreementKey,
        /// Its secret for the members, as addresses of sealed objects; the ledger holds no key, not even sealed.
        pub packets: Vec<OrganizationPacket>,
    }
}
