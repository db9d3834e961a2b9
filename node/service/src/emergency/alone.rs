//! Tier 0: one practitioner opens the summary by the patient's card in the reader, so what holds people back is looked at
//! here: the policies of the federation and of the hospital, and that earlier openings are reviewed.
//!
//! The requester's desk asks before it signs, and each validator before it gives a share: whoever doesn't ask gets none. It
//! is no rule of the ledger, where a later review would change what was lawful before.

use hospes_protocol::emergency::{RequestEntry, Tier};
use hospes_protocol::ids::{ContentId, OrganizationId, PersonId};

use super::query::Emergency;
use crate::service::{Fatal, Service};

/// Openings by the patient's card alone that nobody has reviewed, of one person; with one more, guardians are asked.
pub const UNREVIEWED_MAX: usize = 3;

/// What keeps a person from opening by the patient's card alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAlone {
    /// The federation or the person's organization has switched it off.
    SwitchedOff,
    /// [`UNREVIEWED_MAX`] openings wait for their review.
    Unreviewed,
}

impl Service {
    /// What keeps a person of an organization from opening by the patient's card alone, but for the request `asked`, where
    /// it is made already.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn not_alone(
        &self,
        person: &PersonId,
        organization: &OrganizationId,
        asked: Option<&ContentId>,
    ) -> Result<Option<NotAlone>, Fatal> {
        if !self.state.membership.allows_tier_zero(organization) {
            return Ok(Some(NotAlone::SwitchedOff));
        }
        let waits = |found: &&Emergency| {
            let request = &found.request;
            let other =
                request.tier == Tier::Card && request.requester == *person && Some(&found.id) != asked;
            other && found.release.is_some() && found.reviews.is_empty()
        };
        let unreviewed = self.emergencies(None)?.iter().filter(waits).count();
        Ok((unreviewed >= UNREVIEWED_MAX).then_some(NotAlone::Unreviewed))
    }

    /// Whether this validator gives its share for a request, as far as nobody but the patient's card approved it.
    pub(super) fn gives_for(&self, id: &ContentId, request: &RequestEntry) -> Result<bool, Fatal> {
        let alone = request.tier == Tier::Card;
        Ok(!alone || self.not_alone(&request.requester, &request.organization, Some(id))?.is_none())
    }
}
