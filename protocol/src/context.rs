//! Context strings: one for each thing that is signed, sealed or hashed under a key.
//!
//! A signature made for one purpose verifies for no other, because its context and the network are in
//! the COSE external_aad (RFC 9052, 4.4).

use crate::ids::NetworkId;
use crate::wire::{Enc, Wire};

macro_rules! contexts {
    ($($(#[$meta:meta])* $name:ident = $text:literal;)+) => {
        /// What a signature, seal or keyed hash is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Context { $($(#[$meta])* $name),+ }

        impl Context {
            /// Every context.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The string that goes under the signature or into the key derivation.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => concat!("hospes/1/", $text)),+ }
            }
        }
    };
}

contexts! {
    /// A header, signed by its node.
    Header = "header";
    /// A tap, signed by a card.
    Tap = "tap";
    /// A consensus vote.
    Vote = "vote";
    /// A consensus proposal.
    Proposal = "proposal";
    /// A sign-in challenge, signed by a card.
    Session = "session";
    /// A placement order, signed by a node.
    Order = "order";
    /// A receipt of a holder, signed by a node.
    Receipt = "receipt";
    /// A locker packet, sealed to a reader.
    Packet = "packet";
    /// A data key, sealed to a locker or an organization.
    DataKey = "data-key";
    /// An organization's epoch secrets of 32 bytes each, its own first, sealed to a member's card.
    OrganizationKey = "organization-key";
    /// K of a patient, sealed to an organization.
    PatientKey = "patient-key";
    /// The patient secret, sealed to a card or recovery code.
    PatientSecret = "patient-secret";
    /// A share that a dealer of a threshold key deals, sealed to its member.
    DealtShare = "dealt-share";
    /// What a guardian makes its dealing from, sealed to its own card.
    DealerSeed = "dealer-seed";
    /// A guardian's share of a threshold key, sealed to its own card.
    KeyShare = "key-share";
    /// A block from which a node goes on, signed by a card of its organization.
    Checkpoint = "checkpoint";
    /// A guardian's approval of a break-glass request, signed by the guardian's card.
    Approval = "approval";
    /// The release of a break-glass request, signed by the patient's card in the reader.
    Presence = "presence";
    /// A link of a hospital's log of what was opened without a line, signed by its witness card.
    WitnessLink = "witness-link";
    /// A half of an offline escrow's key, sealed to a witness card, then to the key of the request.
    WitnessHalf = "witness-half";
    /// The secret of a break-glass request's key, sealed to the requester's card.
    Opener = "opener";
    /// A share that opens an escrow, sealed to the key of its request.
    OpeningShare = "opening-share";
    /// Whom a search looks for, sealed to a node.
    Search = "search";
    /// Whom a node found, sealed to the node at which somebody looks.
    Found = "found";
    /// What closes the lock of a recovery's notice, sealed to the lost card.
    Contest = "contest";
    /// HMAC key K per organization, from the patient secret.
    DeriveSubject = "derive/subject";
    /// HMAC key of locks, from the patient secret.
    DeriveLock = "derive/lock";
    /// HMAC key of the pseudonym, from the patient secret.
    DerivePseudonym = "derive/pseudonym";
    /// Reading key of the recovery code.
    DeriveRecovery = "derive/recovery";
    /// Salt and subject of an erasure's receipt, from a node's key.
    DeriveReceipt = "derive/receipt";
    /// Node-wide key of what is sealed at rest.
    DeriveAtRest = "derive/at-rest";
    /// What a node seals with where no randomness is given to it, from its seed.
    DeriveSealing = "derive/sealing";
    /// What a validator makes its dealing from, from its seed.
    DeriveDealing = "derive/dealing";
    /// A sealed segment, in its AAD.
    Segment = "segment";
    /// Membership part of the state root.
    StateMembership = "state/membership";
    /// The state root itself.
    StateRoot = "state/root";
}

/// external_aad of every COSE message: the deterministic encoding of [context, network id].
#[must_use]
pub fn external_aad(context: Context, network: &NetworkId) -> Vec<u8> {
    let mut e = Enc::default();
    e.array(2).text(context.text());
    network.put(&mut e);
    e.into_bytes()
}
