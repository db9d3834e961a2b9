//! Break-glass on the ledger: what opens an escrow, and the payloads of the kinds 32 to 35.
//!
//! An escrow is a reader of a patient's lockers whose secret stands under two threshold keys. A practitioner requests,
//! guardians approve, the release of enough of them is final, and only then do guardians and validators hand over the
//! shares that open. Whether a body is lawful is judged by [`crate::policy`]; shares and keys are the crate
//! `breakglass`'s, of which only bytes are seen here.

use crate::check::{Check, Rejected, ensure};
use crate::ids::{
    BlockHash, ContentId, KeyId, NetworkId, NodeId, ObjectId, OrganizationId, PatientId, PersonId, sha256,
};
use crate::keys::AgreementKey;
use crate::limits::COMMITTEE_MEMBERS_MAX;
use crate::personal::{Category, SubjectKey};
use crate::policy::ReleaseFacts;
use crate::sign1::Sign1;
use crate::wire::{Bytes, Wire};
use crate::{wire_enum, wire_struct};

/// A reason or a review in bytes, at most: a few sentences.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Escrows in one locker entry, at most: each tier and its staged successor.
pub const ESCROWS_MAX: usize = 8;

wire_enum! {
    /// What an escrow opens, and how many people it takes.
    pub enum Tier {
        /// The emergency summary, by the patient's card and one practitioner.
        Card = 0,
        /// The emergency summary, by two guardians.
        Summary = 1,
        /// The full record, by three guardians.
        Full = 2,
        /// The patient's own secret, for a new card.
        Recovery = 3,
        /// The emergency summary at one hospital without a line.
        Offline = 4,
    }
}

impl Tier {
    /// Whether it opens records of a category. Private notes never.
    #[must_use]
    pub const fn opens(self, category: Category) -> bool {
        match self {
            Self::Card | Self::Summary | Self::Offline => matches!(category, Category::EmergencySummary),
            Self::Full => !matches!(category, Category::PrivateNotes),
            Self::Recovery => false,
        }
    }

    /// Whether lockers of a category are sealed to its escrow: what it opens, and for a new card all but private notes.
    #[must_use]
    pub const fn holds(self, category: Category) -> bool {
        match self {
            Self::Recovery => !matches!(category, Category::PrivateNotes),
            Self::Card | Self::Summary | Self::Full | Self::Offline => self.opens(category),
        }
    }

    /// Whether the requester counts for nothing among those who approve, and one of them is of another organization.
    #[must_use]
    pub const fn wants_others(self) -> bool {
        matches!(self, Self::Full | Self::Recovery)
    }

    /// The committee of the federation whose guardians release it, and how many of them at least; null where it is a
    /// hospital's own.
    /// Where the patient's card is in the reader nobody is asked, and the validators' committee stands in that place.
    #[must_use]
    pub const fn committee(self) -> Option<(&'static str, usize)> {
        match self {
            Self::Card => Some((crate::control::LEDGER_COMMITTEE, 0)),
            Self::Summary => Some((crate::control::SUMMARY_COMMITTEE, 2)),
            Self::Full | Self::Recovery => Some((crate::control::FULL_COMMITTEE, 3)),
            Self::Offline => None,
        }
    }

    /// How many people must approve at least, besides what the committee needs.
    #[must_use]
    pub const fn people(self) -> usize {
        match self.committee() {
            Some((_, people)) => people,
            None => 2,
        }
    }
}

wire_struct! {
    /// The public half of an escrow pair, to which lockers are sealed as to any reader.
    pub struct EscrowPublic {
        /// What it opens.
        pub tier: Tier,
        /// The X25519 key.
        pub key: AgreementKey,
        /// A staged pair takes over when break-glass closes.
        pub staged: bool,
    }
}

wire_struct! {
    /// `open | network | key id | tier | escrow public key | SHA-256(salt, patient key, home organization)`.
    pub struct EscrowLabel {
        /// The network.
        pub network: NetworkId,
        /// The threshold keys under which the escrow is sealed.
        pub key: KeyId,
        /// The tier.
        pub tier: Tier,
        /// The escrow's public key, as its id.
        pub escrow: KeyId,
        /// Binds patient and home organization without naming them.
        pub holder: [u8; 32],
    }
}

impl EscrowLabel {
    /// The label of an escrow; `salt` keeps the holder's hash from being guessed.
    #[must_use]
    pub fn new(
        network: NetworkId,
        key: KeyId,
        escrow: &EscrowPublic,
        salt: &[u8; 32],
        holder: (&AgreementKey, &OrganizationId),
    ) -> Self {
        let (patient, home) = holder;
        let holder = sha256(&[salt, patient.as_bytes(), &home.0]);
        Self { network, key, tier: escrow.tier, escrow: escrow.key.id(), holder }
    }

    /// The bytes that a threshold signature opens with: `open` and the encoding.
    #[must_use]
    pub fn opening(&self) -> Vec<u8> {
        [b"open".as_slice(), &self.encode()].concat()
    }
}

wire_struct! {
    /// An escrow of a locker epoch.
    pub struct EscrowRef {
        /// What it is a reader of, and its key.
        pub public: EscrowPublic,
        /// The guardians' committee when it was sealed; the validators' where a card stands in for guardians.
        pub guardians: ContentId,
        /// The validators' committee; the hospital's own where its witness card stands in for validators.
        pub ledger: ContentId,
        /// The id of the threshold keys, as labels have it.
        pub keys: KeyId,
        /// In the label.
        pub salt: [u8; 32],
        /// Its secret, sealed under both keys; lies with the epoch's packets.
        pub sealed: ObjectId,
    }
}

impl EscrowRef {
    /// Its label, by the patient's card and the home organization when it was made.
    #[must_use]
    pub fn label(&self, network: NetworkId, card: &AgreementKey, home: &OrganizationId) -> EscrowLabel {
        EscrowLabel::new(network, self.keys, &self.public, &self.salt, (card, home))
    }
}

/// Judges the escrows of a locker entry: few, each key once.
pub(crate) fn judge_escrows(escrows: &[EscrowRef]) -> Result<(), Rejected> {
    ensure(escrows.len() <= ESCROWS_MAX, Check::TooLarge)?;
    let distinct = escrows.windows(2).all(|w| {
        (w[0].public.tier, w[0].public.staged, w[0].public.key.id())
            < (w[1].public.tier, w[1].public.staged, w[1].public.key.id())
    });
    ensure(distinct, Check::ScopeForm)
}

wire_enum! {
    /// Why the glass is broken.
    pub enum Reason {
        /// The patient can't be spoken to.
        Unconscious = 1,
        /// Allergies or medicines must be known at once.
        AllergyOrMedicine = 2,
        /// An operation that can't wait.
        UrgentSurgery = 3,
        /// The patient can't decide now.
        LackOfCapacity = 4,
        /// The card is lost or broken, and care can't wait.
        CardUnusable = 5,
        /// Something else, which the text says.
        Other = 6,
    }
}

wire_struct! {
    /// Kind 32. A practitioner asks for an escrow, by the card; stands on what makes the escrow: the patient entry, the
    /// card entry and the locker entry.
    pub struct RequestEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// Who asks.
        pub requester: PersonId,
        /// The requester's organization.
        pub organization: OrganizationId,
        /// What is to be opened.
        pub tier: Tier,
        /// The patient entry whose home the label has.
        pub enrolment: ContentId,
        /// The card entry whose key the label has.
        pub card: ContentId,
        /// The locker entry that has the escrow.
        pub locker: ContentId,
        /// The guardians' committee; the validators' where no guardian is asked.
        pub guardians: ContentId,
        /// The validators' committee; the hospital's own, again, without a line.
        pub ledger: ContentId,
        /// The escrow's label.
        pub label: EscrowLabel,
        /// Why.
        pub reason: Reason,
        /// Why, in the requester's words.
        pub text: String,
        /// Until when, exclusive, in milliseconds since 1970 UTC.
        pub until: u64,
        /// The newest certified block at that desk: height and hash.
        pub after: (u64, BlockHash),
        /// An X25519 key of this request alone, to which shares are sealed.
        pub opener: AgreementKey,
        /// Its secret, sealed to the requester's card.
        pub sealed_opener: Bytes,
        /// K under which the requester's organization files what follows, sealed to its nodes; none where it has one.
        pub subject_keys: Vec<SubjectKey>,
        /// The same K, sealed to the patient's card, so that the patient finds those headers.
        pub patient_key: Option<Bytes>,
    }
}

wire_struct! {
    /// What a guardian's card signs. The share needs no word here: it is of the place on the roster, whose key it has.
    pub struct ApprovalStatement {
        /// The request.
        pub request: ContentId,
        /// SHA-256 of what was shown.
        pub text: [u8; 32],
        /// In which language.
        pub language: String,
    }
}

wire_struct! {
    /// A guardian's approval.
    pub struct Approval {
        /// Who.
        pub person: PersonId,
        /// The share index: the place on the roster, from 1.
        pub index: u64,
        /// COSE_Sign1 of the guardian's card over an [`ApprovalStatement`].
        pub signed: Bytes,
        /// The share of the signature over the [`ReleaseStatement`].
        pub share: [u8; 96],
    }
}

wire_struct! {
    /// What the guardians sign together, and anyone with a BLS library verifies; or the patient's card, by itself.
    pub struct ReleaseStatement {
        /// The network.
        pub network: NetworkId,
        /// The request.
        pub request: ContentId,
        /// The guardians' committee.
        pub guardians: ContentId,
        /// What is opened.
        pub tier: Tier,
        /// SHA-256 of the escrow's label.
        pub label: [u8; 32],
        /// For whom.
        pub requester: PersonId,
        /// Until when, in milliseconds since 1970 UTC.
        pub until: u64,
    }
}

impl RequestEntry {
    /// What its release says.
    #[must_use]
    pub fn release(&self, network: NetworkId, request: ContentId) -> ReleaseStatement {
        ReleaseStatement {
            network,
            request,
            guardians: self.guardians,
            tier: self.tier,
            label: sha256(&[&self.label.encode()]),
            requester: self.requester,
            until: self.until,
        }
    }

    /// Judges the form: a label of its tier, a text where the reason needs one.
    ///
    /// # Errors
    /// [`Check::ScopeForm`], [`Check::TooLarge`].
    pub fn judge(&self) -> Result<(), Rejected> {
        ensure(self.label.tier == self.tier, Check::ScopeForm)?;
        let one = matches!(self.tier, Tier::Card | Tier::Offline);
        ensure(!one || self.guardians == self.ledger, Check::ScopeForm)?;
        ensure(self.text.len() <= TEXT_BYTES_MAX, Check::TooLarge)?;
        ensure(self.reason != Reason::Other || !self.text.trim().is_empty(), Check::ScopeForm)
    }
}

wire_struct! {
    /// One link of the log of a witness card: what it let be opened without a line. Each names the one before by its hash, so
    /// that one that is left out, changed or made twice shows wherever two copies meet.
    pub struct WitnessLink {
        /// The network.
        pub network: NetworkId,
        /// The hospital.
        pub organization: OrganizationId,
        /// The node in whose reader the card was.
        pub node: NodeId,
        /// The witness card's 9C: whose log it is.
        pub witness: KeyId,
        /// From 1, without gaps.
        pub counter: u64,
        /// SHA-256 of the link before, as [`WitnessLink::hash`]; zeros before the first.
        pub previous: [u8; 32],
        /// The request.
        pub request: ContentId,
        /// For whom.
        pub requester: PersonId,
        /// SHA-256 of the escrow's label, which binds the patient and names nobody.
        pub label: [u8; 32],
        /// When, in milliseconds since 1970 UTC.
        pub at: u64,
        /// The newest certified block at that desk when it was asked for: height and hash.
        pub after: (u64, BlockHash),
    }
}

impl WitnessLink {
    /// By what the next link names it.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[&self.encode()])
    }

    /// Reads a link that a witness card signed; whose card that must be is the caller's to judge.
    ///
    /// # Errors
    /// [`Check::Malformed`] and the like; [`Check::WrongSigner`] where it names another card's log.
    pub fn read(signed: &[u8]) -> Result<(Sign1<'_>, Self), Rejected> {
        let signed = Sign1::parse(signed)?;
        let link = Self::decode(signed.payload())?;
        ensure(link.witness == signed.kid(), Check::WrongSigner)?;
        Ok((signed, link))
    }
}

wire_struct! {
    /// Kind 33. Enough guardians approved, or the patient's card was there; stands on the request, in the latter case on
    /// the card entry too, and is filed by the requester's node.
    pub struct ReleaseEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The request.
        pub request: ContentId,
        /// The approvals, ascending by person.
        pub approvals: Vec<Approval>,
        /// The signature that the shares come to; null where nobody approved.
        pub signature: Option<[u8; 96]>,
        /// COSE_Sign1 of the patient's card over the [`ReleaseStatement`], by the key that needs no PIN (9E); null where
        /// guardians approved.
        pub presence: Option<Bytes>,
        /// COSE_Sign1 of the hospital's witness card over a [`WitnessLink`]; null where it was released on the line.
        pub link: Option<Bytes>,
    }
}

impl ReleaseEntry {
    /// Judges the form: guardians or the patient's card, each person once, each share once.
    ///
    /// # Errors
    /// [`Check::ScopeForm`], [`Check::TooLarge`].
    pub fn judge(&self) -> Result<(), Rejected> {
        ensure(self.approvals.len() <= usize::from(COMMITTEE_MEMBERS_MAX), Check::TooLarge)?;
        let by_card = self.approvals.is_empty() && self.signature.is_none();
        ensure(self.presence.is_none() || by_card, Check::ScopeForm)?;
        ensure(self.link.is_none() || self.signature.is_some(), Check::ScopeForm)?;
        ensure(self.approvals.windows(2).all(|w| w[0].person < w[1].person), Check::ScopeForm)?;
        let mut indexes: Vec<_> = self.approvals.iter().map(|a| a.index).collect();
        indexes.sort_unstable();
        ensure(indexes.windows(2).all(|w| w[0] < w[1]), Check::ScopeForm)
    }
}

impl ReleaseEntry {
    /// What a decision needs of it.
    #[must_use]
    pub fn facts(&self, request: &RequestEntry, closed: bool) -> ReleaseFacts {
        let RequestEntry { requester, organization, tier, until, .. } = *request;
        ReleaseFacts { request: self.request, requester, organization, tier, until, closed }
    }
}

wire_struct! {
    /// Kind 34. The glass is closed before its time, by the requester's card or one of the home organization's people;
    /// stands on the release.
    pub struct CloseEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The release.
        pub release: ContentId,
        /// Who closes.
        pub person: PersonId,
        /// That person's organization.
        pub organization: OrganizationId,
        /// Whether it was the wrong patient.
        pub wrong_patient: bool,
    }
}

wire_enum! {
    /// What a review finds.
    pub enum Outcome {
        /// There was an emergency.
        Justified = 1,
        /// There was none.
        NotJustified = 2,
        /// It can't be told.
        Unclear = 3,
    }
}

/// The role whose people review.
pub const AUDITOR_ROLE: &str = "auditor";

wire_struct! {
    /// Kind 35. A release is reviewed, by an auditor's card of the requester's or the home organization; stands on the
    /// release.
    pub struct ReviewEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The release.
        pub release: ContentId,
        /// Who reviews: neither the requester nor a guardian who approved.
        pub reviewer: PersonId,
        /// The reviewer's organization.
        pub organization: OrganizationId,
        /// What was found.
        pub outcome: Outcome,
        /// In a few words.
        pub text: String,
    }
}
