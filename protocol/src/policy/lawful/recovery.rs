//! What the recovery of a lost card demands: of the notice that two organizations stand for it, of a request that the
//! notice was final, its delay over and nobody contested it.
//!
//! The delay is counted from the block that made the notice final to the block that the request names, by the time that
//! validators certified for both: neither a node's clock nor when something was signed matters.

use super::rules::{by, patient_of};
use super::signers::card_of;
use super::{Judge, Wanted};
use crate::check::{Check, Rejected, ensure};
use crate::emergency::{Reason, RequestEntry};
use crate::mutant;
use crate::policy::Personal;
use crate::policy::view::{Known, PatientView};
use crate::recovery::RecoveryEntry;

fn recovery_of(personal: &Personal) -> Option<&RecoveryEntry> {
    match personal {
        Personal::Recovery(recovery) => Some(recovery),
        _ => None,
    }
}

impl<V: PatientView + ?Sized> Judge<'_, V> {
    pub(super) fn recovery(&self, e: &RecoveryEntry) -> Result<Wanted, Rejected> {
        let (lost, _) = self.the(card_of)?;
        ensure(lost.id == e.lost, Check::StandsOnWrong)?;
        let (known, enrolled) = self.the(patient_of)?;
        let now = self.view.patient(&e.patient)?.ok_or(Check::StandsOnMissing)?;
        ensure(known.id == now.id && enrolled.home == e.home, Check::StandsOnWrong)?;
        ensure(self.content.organization == e.home, Check::WrongOrganization)?;
        let (members, later) = (self.view.membership(), self.facts.height.is_some());
        ensure(later || e.delay_ms >= members.policy.recovery_delay_ms, Check::PeriodForm)?;
        ensure(later || e.card.attested || members.policy.soft_cards, Check::NotAuthorized)?;
        let mut groups = vec![self.organization_cards(&e.home)?];
        match &e.witness {
            Some(witness) => groups.push(self.organization_cards(witness)?),
            None => {
                let alone = members.active_organizations().all(|o| o.organization == e.home);
                ensure(later || alone, Check::MissingSignature)?;
            }
        }
        Ok(by(groups, None))
    }

    /// Whether a request for the recovery escrow rests on a notice that was heard, and opens to the card that it names.
    pub(super) fn recovers(&self, e: &RequestEntry) -> Result<(), Rejected> {
        let (known, notice) = self.the(recovery_of)?;
        let same = notice.lost == e.card && notice.home == e.organization && e.reason == Reason::CardUnusable;
        ensure(same, Check::StandsOnWrong)?;
        // The shares are sealed to the new card itself, so that nobody else's key opens one of them.
        ensure(e.opener == notice.card.agreement || mutant!(OpenerUnbound), Check::StandsOnWrong)?;
        self.uncontested(known)?;
        let noticed = known.height.ok_or(Check::PeriodForm)?;
        ensure(noticed <= e.after.0, Check::PeriodForm)?;
        let time =
            |height| self.view.block_time(height)?.ok_or_else(|| Rejected::from(Check::StandsOnMissing));
        let over = time(noticed)?.saturating_add(notice.delay_ms);
        ensure(over <= time(e.after.0)?, Check::PeriodForm)
    }

    /// Whether the notice that a release stands on is contested still.
    pub(super) fn recovery_stands(&self) -> Result<(), Rejected> {
        let (known, _) = self.the(recovery_of)?;
        self.uncontested(known)
    }

    fn uncontested(&self, notice: &Known<Personal>) -> Result<(), Rejected> {
        self.stands_open(&notice.lock.ok_or(Check::StandsOnWrong)?)
    }
}
