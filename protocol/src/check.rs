//! The numbered checks: why something from outside was refused, and how badly its sender behaved.
//!
//! Numbers are part of the interface: they appear in logs, in the API and in `protocol/README.md`, and
//! are never reused.

macro_rules! checks {
    ($($name:ident = $code:literal, $blame:ident, $text:literal;)+) => {
        /// One numbered check.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check { $(#[doc = $text] $name = $code),+ }

        impl Check {
            /// Every check, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// What was wrong, in a sentence without a stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// How badly the sender behaved.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame),+ }
            }
        }
    };
}

/// What a refusal says of the peer that sent the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blame {
    /// Nothing: an honest peer may send this.
    None,
    /// Faulty or badly out of date; counted.
    Faulty,
    /// No honest program does this; counted heavily.
    Hostile,
}

checks! {
    Malformed = 101, Hostile, "the bytes are not of the expected shape";
    NonCanonical = 102, Hostile, "the bytes are not the deterministic encoding of what they say";
    TrailingBytes = 103, Hostile, "bytes follow the value";
    TooLarge = 104, Hostile, "larger than the limit";
    UnknownFormat = 105, None, "a format number that this build does not know";
    WrongNetwork = 106, Faulty, "made for another network";
    UnknownKind = 107, None, "a kind of entry that this build does not know";

    BadSignature = 201, Hostile, "the signature does not verify";
    UnknownSigner = 202, None, "signed by a key that is not enrolled";
    WrongAlgorithm = 203, Hostile, "the signature's algorithm is not the key's";
    WeakKey = 204, Hostile, "the public key is of small order or not a point";
    HighS = 205, Hostile, "an ECDSA signature whose s is in the upper half";
    TapPath = 206, Hostile, "the content is not under the root that the tap signed";
    MissingSignature = 207, None, "a signature that this kind of entry needs is missing";
    WrongSigner = 208, Hostile, "signed by a card that has no right to will this";

    SequenceGap = 301, None, "headers of this node before it are missing";
    Replay = 302, None, "a header with this sequence number is known already";
    Fork = 303, Hostile, "another header of this node has the same sequence number";
    PrevMismatch = 304, Hostile, "does not stand on the node's previous header";
    ContentMismatch = 305, Hostile, "the header differs from its content in kind, organization or lock";
    LockClosed = 306, None, "what it names was withdrawn";
    WrongReveal = 307, Hostile, "a reveal that is not 32 bytes or opens nothing that stands";
    AheadOfTime = 308, Faulty, "signed more than five minutes ahead of the block's time";
    CapExceeded = 309, Faulty, "more headers than the cap of its organization allows";
    UnknownNode = 310, None, "the node is not admitted";
    RetiredNode = 311, Faulty, "the node was retired";
    WrongOrganization = 312, Hostile, "the node belongs to another organization";
    SubjectForm = 313, Hostile, "a personal entry without subject, or a control entry with one";
    NodeExpired = 314, None, "the node's certificate has ended and was not renewed";

    BlockHeight = 401, None, "not the height that follows";
    BlockPrev = 402, Hostile, "does not stand on the last block";
    TimeBackwards = 403, Faulty, "block time runs backwards";
    TimeAhead = 404, Faulty, "block time is beyond the allowed skew";
    CutForm = 405, Hostile, "the cuts are not in order, or do not continue what is final";
    HeadersMissing = 406, None, "headers of the cuts are not here yet";
    StateRoot = 407, Hostile, "the state root is not what the block leads to";
    ValidatorsHash = 408, Hostile, "not the validator set of this height";
    NextValidatorsHash = 409, Hostile, "not the validator set that follows";
    LastCommit = 410, Hostile, "the last commit does not certify the previous block";
    Proposer = 411, Hostile, "the proposer is not a validator of this height";
    Evidence = 412, Hostile, "the evidence shows nothing";
    ControlBodies = 413, Hostile, "the control bodies are not those of the control headers, in order";
    BlockHash = 414, Hostile, "the block is not the one that was certified";
    TrustPeriod = 415, None, "the newest block known here is older than the trust period: a checkpoint is needed";
    CheckpointBlock = 416, None, "not the block that the checkpoint names";

    ForeignValidators = 501, Hostile, "the certificate is of another validator set";
    QuorumMissing = 502, Hostile, "not more than two thirds of the voting power signed";
    DuplicateSigner = 503, Hostile, "a validator appears twice in the certificate";
    StaleVote = 504, None, "a vote of a height that is final already";
    CertificateHeight = 505, Hostile, "the certificate is of another height";

    NotAuthorized = 601, Faulty, "the cards that signed have no right to this";
    TwoThirdsMissing = 602, None, "the cards of more than two thirds of the organizations are needed";
    RegisterNumberTaken = 603, None, "this register number is enrolled already";
    AttestationMissing = 604, None, "the registry attestation is missing";
    UnknownOrganization = 605, None, "the organization is not a member";
    AlreadyExists = 606, None, "this exists already";
    OrganizationPower = 607, None, "one organization would hold more validators than the set tolerates faults";
    UnknownRole = 608, None, "the role does not exist";
    LastValidator = 609, None, "no validator would be left that takes part";

    StandsOnMissing = 701, None, "an entry that it stands on is not here";
    StandsOnWrong = 702, Hostile, "an entry that it stands on is of the wrong kind or patient";
    PeriodForm = 703, Faulty, "the period ends before it begins";
    ScopeForm = 704, Faulty, "the scope is empty, repeated or contradictory";
    CardSuspended = 705, None, "the card was suspended before this was final";
    ContentFiled = 706, None, "this content was filed already";
    Erased = 707, None, "it was erased, and is not kept again";

    ObjectHash = 801, Hostile, "the object's bytes do not have its hash";
    SealBroken = 802, Hostile, "the sealed bytes do not open: wrong key or altered";
    NotEntitled = 803, None, "the peer is not entitled to this object";
    QuotaExceeded = 804, None, "the quota of the ordering organization is used up";
    ManifestForm = 805, Hostile, "the manifest is not consistent";
    ObjectMissing = 806, None, "the object is not here";
    RangeForm = 807, Faulty, "the range is not inside the object";
    DiskFull = 808, None, "the disk of this node is full";
}

impl Check {
    /// The number on the wire and in logs.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The check of a number.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|c| c.code() == code)
    }
}

/// Something from outside was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .check.code(), .check.text())]
pub struct Rejected {
    /// The check that failed.
    pub check: Check,
}

impl From<Check> for Rejected {
    fn from(check: Check) -> Self {
        Self { check }
    }
}

/// `Ok` where `holds`, otherwise the check's refusal.
///
/// # Errors
/// `check`, where `holds` is false.
pub fn ensure(holds: bool, check: Check) -> Result<(), Rejected> {
    if holds { Ok(()) } else { Err(check.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending() {
        assert!(Check::ALL.windows(2).all(|w| w[0].code() < w[1].code()), "each number once, in order");
        assert_eq!(Check::from_code(303), Some(Check::Fork), "found by number");
    }
}

#[cfg(test)]
mod document {
    use super::*;
    use crate::context::Context;

    const README: &str = include_str!("../README.md");

    #[test]
    fn the_document_lists_every_check_and_every_context() {
        for check in Check::ALL {
            let row = format!("| {} | {check:?} | ", check.code());
            assert!(README.contains(&row), "protocol/README.md has no row: {row}");
            assert!(README.contains(check.text()), "protocol/README.md says otherwise: {}", check.text());
        }
        for context in Context::ALL {
            assert!(README.contains(&format!("| `{}` |", context.text())), "no row for {}", context.text());
        }
        assert!(!README.contains("| 999 |"), "a number that doesn't exist would be found missing");
    }
}
