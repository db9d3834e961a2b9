//! Kind 37: notice that a lost card is to be replaced, of a patient who has no recovery code either.
//!
//! The notice names the new card whole. It gives that card nothing: once it is final, and its delay is over, guardians and
//! validators may release the recovery escrow to that card alone ([`crate::emergency`], tier 3). Until then whoever shows
//! what closes its lock contests it: the lost card, which has the value sealed in the notice, and the home organization,
//! which made it. A contested notice stays so; what is settled in person is a new notice, with a delay of its own.
//! Whether a body is lawful is judged by [`crate::policy`].

use crate::check::{Check, Rejected, ensure};
use crate::ids::{ContentId, OrganizationId, PatientId};
use crate::limits::RECOVERY_DELAY_MS_MAX;
use crate::personal::CardEntry;
use crate::wire::Bytes;
use crate::wire_struct;

wire_struct! {
    /// Kind 37, by a card of the home organization and a card of another; stands on the patient entry and on the lost card's
    /// entry, and carries a lock.
    pub struct RecoveryEntry {
        /// The pseudonym.
        pub patient: PatientId,
        /// The home organization.
        pub home: OrganizationId,
        /// The other organization that looked at who the patient is; null where home is the only one.
        pub witness: Option<OrganizationId>,
        /// The entry of the lost card.
        pub lost: ContentId,
        /// The card that is to take its place, as its entry will say.
        pub card: CardEntry,
        /// How long it can be contested before anything is released, in milliseconds.
        pub delay_ms: u64,
        /// What closes its lock, sealed to the lost card's 9D.
        pub contest: Bytes,
    }
}

impl RecoveryEntry {
    /// Judges the form: one patient, two organizations, a delay that ends.
    ///
    /// # Errors
    /// [`Check::ScopeForm`], [`Check::PeriodForm`].
    pub fn judge(&self) -> Result<(), Rejected> {
        let one = self.card.patient == self.patient && self.card.generation > 0;
        ensure(one && self.witness != Some(self.home), Check::ScopeForm)?;
        ensure(self.delay_ms <= RECOVERY_DELAY_MS_MAX, Check::PeriodForm)
    }
}
