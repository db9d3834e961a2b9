//! Payloads of the personal kinds 16 to 26: what patients, authors and readers will.
//!
//! Bodies of these kinds are objects that only their audience holds; the ledger has their headers alone.

use crate::check::{Check, Rejected, ensure};
use crate::emergency::EscrowRef;
use crate::ids::{
    BlockHash, ContentId, KeyId, NodeId, ObjectId, OrganizationId, PatientId, PersonId, RecordId, StudyId,
};
use crate::keys::{AgreementKey, VerifyingKey};
use crate::wire::{Bytes, Dec, Enc, Wire};
use crate::{wire_enum, wire_struct};

wire_enum! {
    /// Categories of records, in the order of the design.
    pub enum Category {
        /// History and physical examinations.
        HistoryAndPhysical = 1,
        /// Laboratory results.
        Laboratory = 2,
        /// Delivered radiation doses, with plans and structure sets.
        RadiationDose = 3,
        /// Imaging.
        Imaging = 4,
        /// Medication.
        Medication = 5,
        /// Letters.
        Letters = 6,
        /// The emergency summary, an IPS document.
        EmergencySummary = 7,
        /// The patient's private notes.
        PrivateNotes = 8,
    }
}

wire_enum! {
    /// Sensitivity labels.
    pub enum Label {
        /// Normal.
        Normal = 1,
        /// Restricted.
        Restricted = 2,
        /// Very restricted.
        VeryRestricted = 3,
    }
}

wire_enum! {
    /// What a right allows; in a grant the numbers are added up.
    pub enum Right {
        /// Read records in scope.
        Read = 1,
        /// File records in scope.
        Write = 2,
        /// Share records in scope with a study.
        Share = 4,
    }
}

wire_enum! {
    /// Why someone acts (HL7 v3 ActReason: TREAT, ETREAT, HRESCH, HOPERAT, PATRQT).
    pub enum Purpose {
        /// Treatment.
        Treatment = 1,
        /// Emergency treatment.
        EmergencyTreatment = 2,
        /// Research.
        Research = 3,
        /// Operations of care.
        Operations = 4,
        /// At the patient's own request.
        PatientRequest = 5,
    }
}

wire_enum! {
    /// How data leave under a share right (HL7 v3 ActCode: ANONY, PSEUD).
    pub enum Anonymity {
        /// As they are.
        AsIs = 1,
        /// Under a study pseudonym.
        Pseudonymised = 2,
        /// De-identified.
        Anonymised = 3,
    }
}

/// A person, organization or role that may hold a grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// One practitioner.
    Person(PersonId),
    /// Every practitioner of an organization.
    Organization(OrganizationId),
    /// Every practitioner of an organization in a role.
    Role(OrganizationId, String),
    /// Whoever first presents the code whose SHA-256 this is.
    Code([u8; 32]),
    /// A proxy, by the content id of the proxy entry.
    Proxy(ContentId),
}

impl Wire for Grantee {
    fn put(&self, e: &mut Enc) {
        match self {
            Self::Person(id) => (1_u64, *id).put(e),
            Self::Organization(id) => (2_u64, *id).put(e),
            Self::Role(id, role) => (3_u64, (*id, role.clone())).put(e),
            Self::Code(hash) => (4_u64, *hash).put(e),
            Self::Proxy(id) => (5_u64, *id).put(e),
        }
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        match d.u64()? {
            1 => Wire::get(d).map(Self::Person),
            2 => Wire::get(d).map(Self::Organization),
            3 => <(OrganizationId, String)>::get(d).map(|(o, r)| Self::Role(o, r)),
            4 => Wire::get(d).map(Self::Code),
            5 => Wire::get(d).map(Self::Proxy),
            _ => Err(Check::Malformed.into()),
        }
    }
}

wire_struct! {
    /// K of one organization, sealed to the X25519 key of one of its nodes, so that the node can make and
    /// recognise subjects.
    pub struct SubjectKey {
        /// The node.
        pub node: NodeId,
        /// COSE_Encrypt of the 32 bytes of K.
        pub sealed: Bytes,
    }
}

wire_struct! {
    /// Kind 16. A patient is enrolled by the home organization's card, or moves home by the patient's card.
    pub struct PatientEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The home organization.
        pub home: OrganizationId,
        /// The patient's language for taps and prints, a BCP 47 tag.
        pub language: String,
        /// Identifying data, sealed to the home organization's epoch key.
        pub sealed_identity: Bytes,
        /// K of the home organization, sealed to its nodes.
        pub subject_keys: Vec<SubjectKey>,
    }
}

wire_struct! {
    /// Kind 17. A card of a patient, by the home organization's card; it stands on the patient entry.
    pub struct CardEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// Slot 9C, which signs what the patient wills.
        pub signature: VerifyingKey,
        /// Slot 9A, which signs in.
        pub authentication: VerifyingKey,
        /// Slot 9D, which opens packets.
        pub agreement: AgreementKey,
        /// Slot 9E, which proves presence; 9A of a card without one.
        pub presence: VerifyingKey,
        /// The reading key of the recovery code.
        pub recovery: AgreementKey,
        /// Whether the card proved that its keys were made on it.
        pub attested: bool,
        /// Generation of the patient secret on it, from 1.
        pub generation: u64,
    }
}

wire_struct! {
    /// The public key of one locker.
    pub struct LockerPublic {
        /// The category.
        pub category: Category,
        /// The label.
        pub label: Label,
        /// Its X25519 key.
        pub key: AgreementKey,
    }
}

wire_struct! {
    /// A packet of locker secrets, by its reader.
    pub struct PacketRef {
        /// The key that it is sealed to.
        pub reader: KeyId,
        /// The sealed object.
        pub packet: ObjectId,
        /// The organization whose nodes hold it for the reader; null for the patient's own.
        pub organization: Option<OrganizationId>,
    }
}

wire_struct! {
    /// Kind 18. An epoch of lockers, by the patient's card.
    pub struct LockerEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// From 1; the newest live epoch is written to.
        pub epoch: u64,
        /// The lockers.
        pub lockers: Vec<LockerPublic>,
        /// The grants that its packets rest on; the epoch is dead once one of them is withdrawn.
        pub rests_on: Vec<ContentId>,
        /// The packets.
        pub packets: Vec<PacketRef>,
        /// K for nodes of organizations that come to treat the patient with this epoch.
        pub subject_keys: Vec<SubjectKey>,
        /// A staged epoch has no readers and waits for the closing of break-glass.
        pub staged: bool,
        /// Escrows that are readers of it, ascending by tier; each has a packet, and its sealed secret is an object.
        pub escrows: Vec<EscrowRef>,
    }
}

/// Who wrote a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A practitioner.
    Practitioner(PersonId),
    /// The patient: "patient-reported".
    Patient,
}

impl Wire for Author {
    fn put(&self, e: &mut Enc) {
        match self {
            Self::Practitioner(id) => Some(*id).put(e),
            Self::Patient => None::<PersonId>.put(e),
        }
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        Ok(Option::<PersonId>::get(d)?.map_or(Self::Patient, Self::Practitioner))
    }
}

wire_struct! {
    /// Kind 19. A record, by its author's card. Kind 20 is the same with `amends` set.
    pub struct RecordEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// Who wrote it.
        pub author: Author,
        /// The organization that answers for it.
        pub organization: OrganizationId,
        /// The category.
        pub category: Category,
        /// The label.
        pub label: Label,
        /// Bound into every sealed segment.
        pub record: RecordId,
        /// The root page of the manifest.
        pub manifest: ObjectId,
        /// Bytes of the plain file.
        pub size: u64,
        /// SHA-256 of the plain file with the record id before it.
        pub digest: [u8; 32],
        /// The media type (RFC 6838).
        pub media_type: String,
        /// A short title.
        pub title: String,
        /// The system that it came from.
        pub source: String,
        /// When the author filed it, in milliseconds since 1970 UTC.
        pub created: u64,
        /// The data key, sealed: to the locker where an epoch was live, and to the author's organization.
        pub keys: Vec<Bytes>,
        /// The record that this one amends.
        pub amends: Option<ContentId>,
        /// The record from which this one was derived.
        pub derived_from: Option<ContentId>,
    }
}

wire_struct! {
    /// The newest certified block and the revocations that a desk knew when a grant was made.
    pub struct After {
        /// Height of the newest certified block.
        pub height: u64,
        /// Its hash.
        pub block: BlockHash,
        /// Revocations seen there but not yet final, ascending.
        pub revocations: Vec<ContentId>,
    }
}

wire_struct! {
    /// What a grant is for.
    pub struct Scope {
        /// Categories, ascending; empty where single records are named.
        pub categories: Vec<Category>,
        /// The highest label included.
        pub label: Label,
        /// Single records, ascending; empty where categories are named.
        pub records: Vec<ContentId>,
    }
}

wire_struct! {
    /// Kind 21. A grant, by the patient's card or a proxy's.
    pub struct GrantEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The proxy entry under which a proxy signs; null where the patient does.
        pub by_proxy: Option<ContentId>,
        /// Who may.
        pub grantee: Grantee,
        /// Over what.
        pub scope: Scope,
        /// Sum of [`Right`] numbers, 1 to 7.
        pub rights: u64,
        /// From, in milliseconds since 1970 UTC, inclusive.
        pub from: u64,
        /// Until, exclusive.
        pub until: u64,
        /// For what.
        pub purpose: Purpose,
        /// The study of a share right.
        pub study: Option<StudyId>,
        /// How data leave under a share right.
        pub anonymity: Anonymity,
        /// Ends with its first use.
        pub one_time: bool,
        /// Changes need the author's and the patient's signature.
        pub two_signatures: bool,
        /// What the desk knew.
        pub after: After,
    }
}

impl GrantEntry {
    /// Whether the rights contain `right`.
    #[must_use]
    pub const fn allows(&self, right: Right) -> bool {
        self.rights & right.code() != 0
    }

    /// Judges the form of a grant, whoever signed it.
    ///
    /// # Errors
    /// [`Check::PeriodForm`], [`Check::ScopeForm`].
    pub fn judge(&self) -> Result<(), Rejected> {
        ensure(self.from < self.until, Check::PeriodForm)?;
        ensure((1..=7).contains(&self.rights), Check::ScopeForm)?;
        let scope = &self.scope;
        ensure(scope.categories.is_empty() != scope.records.is_empty(), Check::ScopeForm)?;
        ensure(scope.categories.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        ensure(scope.records.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        ensure(self.after.revocations.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)?;
        ensure(self.allows(Right::Share) == self.study.is_some(), Check::ScopeForm)
    }
}

/// What a revocation takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// These grants or proxies.
    Entries(Vec<ContentId>),
    /// Everything that one grantee holds from the patient.
    Grantee(Grantee),
    /// Everything of the patient.
    Everything,
}

impl Wire for Revoked {
    fn put(&self, e: &mut Enc) {
        match self {
            Self::Entries(ids) => (1_u64, ids.clone()).put(e),
            Self::Grantee(grantee) => (2_u64, grantee.clone()).put(e),
            Self::Everything => (3_u64, None::<u64>).put(e),
        }
    }

    fn get(d: &mut Dec<'_>) -> Result<Self, Rejected> {
        d.array_of(2)?;
        match d.u64()? {
            1 => Wire::get(d).map(Self::Entries),
            2 => Wire::get(d).map(Self::Grantee),
            3 if d.take_null()? => Ok(Self::Everything),
            _ => Err(Check::Malformed.into()),
        }
    }
}

wire_struct! {
    /// Kind 22. A revocation, by the patient's card or a proxy's. Its header shows the reveals.
    pub struct RevocationEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The proxy entry under which a proxy signs.
        pub by_proxy: Option<ContentId>,
        /// What is taken back.
        pub revoked: Revoked,
    }
}

wire_struct! {
    /// Kind 23. Someone may act for the patient, by both cards.
    pub struct ProxyEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The key that signs for the patient: slot 9C of the proxy's card.
        pub signature: VerifyingKey,
        /// The key that opens for the patient: slot 9D of the proxy's card.
        pub agreement: AgreementKey,
        /// On what basis, in a few words.
        pub basis: String,
        /// From, in milliseconds since 1970 UTC, inclusive.
        pub from: u64,
        /// Until, exclusive: majority, for a parent.
        pub until: u64,
    }
}

wire_struct! {
    /// Kind 24. A record was opened, by the reader's card session; filed before the plaintext is released.
    pub struct AccessEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// Who read; null for the patient.
        pub reader: Option<PersonId>,
        /// The reader's organization; null for the patient.
        pub organization: Option<OrganizationId>,
        /// The record.
        pub record: ContentId,
        /// Its category, for the list that the patient sees.
        pub category: Category,
        /// Read, or share with a study.
        pub right: Right,
        /// For what.
        pub purpose: Purpose,
        /// The study, for a share.
        pub study: Option<StudyId>,
        /// The entries that permitted it, from the root of trust to the grant.
        pub why: Vec<ContentId>,
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
    }
}

wire_struct! {
    /// Kind 25. Records are to be destroyed, by patient and author organization.
    pub struct ErasureEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The records; empty for everything of the patient.
        pub records: Vec<ContentId>,
        /// Not before this time, in milliseconds since 1970 UTC.
        pub not_before: u64,
    }
}

wire_struct! {
    /// Kind 26. A holder has destroyed what an erasure names.
    pub struct ErasureReceipt {
        /// The erasure.
        pub erasure: ContentId,
        /// How many objects were destroyed.
        pub objects: u64,
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
    }
}
