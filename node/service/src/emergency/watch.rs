//! What an administrator looks after: patients whom nobody could open in an emergency, and reviews that are due.
//!
//! The escrows of all patients are looked through over the store alone, off the service's thread: the service says only which
//! committees hold their keys.

use std::collections::BTreeSet;

use hospes_protocol::emergency::Tier;
use hospes_protocol::ids::{ContentId, NetworkId, OrganizationId, PatientId};
use hospes_protocol::personal::LockerEntry;
use hospes_protocol::policy::Personal;
use hospes_protocol::tap::Body;
use hospes_storage::Objects;

use super::query::review_due;
use crate::records::index::{self as rows, Epoch, Home};
use crate::service::{Fatal, Service};

/// The tiers of which every patient should have an escrow, where committees hold their keys.
const TIERS: [Tier; 2] = [Tier::Summary, Tier::Full];

/// Patients at home in an organization, and those of them without a working escrow of each tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EscrowCount {
    /// Patients.
    pub patients: usize,
    /// Of these, without.
    pub without: usize,
}

/// Reviews of an organization's requests and of its patients' escrows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewCount {
    /// Released and not reviewed.
    pub due: usize,
    /// Of these, beyond their time.
    pub overdue: usize,
}

/// Committees whose key somebody holds now, under which an escrow opens.
pub type HeldKeys = BTreeSet<ContentId>;

impl Service {
    /// The committees whose key they, or those that took it over, hold now.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn held_keys(&self) -> Result<HeldKeys, Fatal> {
        let mut held = HeldKeys::new();
        for id in self.state.membership.committees.keys() {
            if self.key_since(id)?.is_some() {
                held.insert(*id);
            }
        }
        Ok(held)
    }

    /// Reviews that are due of what people of an organization asked for, or of its patients.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn reviews_due(&self, organization: &OrganizationId) -> Result<ReviewCount, Fatal> {
        let mut count = ReviewCount::default();
        for found in self.emergencies(None)? {
            let Some(due) = review_due(&found) else { continue };
            let request = &found.request;
            if request.organization == *organization || self.is_home(&request.patient, organization)? {
                count.due += 1;
                count.overdue += usize::from(due <= self.now);
            }
        }
        Ok(count)
    }

    /// Whether the patient's lockers were made anew since the epoch that a request opens; null where no epoch is known here.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn sealed_anew(&self, patient: &PatientId, locker: &ContentId) -> Result<Option<bool>, Fatal> {
        Ok(self.locker_epoch(patient)?.map(|(newest, _)| newest != *locker))
    }
}

/// Counts the patients at home in an organization, and those whose newest lockers lack an escrow that opens: of each tier,
/// under keys that are held, its sealed secret here.
///
/// # Errors
/// [`Fatal`] of the store.
pub fn count_escrows(
    objects: &dyn Objects,
    (network, organization): (&NetworkId, &OrganizationId),
    held: &HeldKeys,
) -> Result<EscrowCount, Fatal> {
    let mut count = EscrowCount::default();
    rows::each(objects, rows::PATIENTS, None, |row| {
        let home: Home = rows::value(row)?;
        if home.organization == *organization {
            let patient = PatientId(rows::id32(&row.key.item)?);
            let lockers = newest_lockers(objects, network, &patient)?;
            let opens = match &lockers {
                Some(lockers) => opens(objects, lockers, held)?,
                None => false,
            };
            count.patients += 1;
            count.without += usize::from(!opens);
        }
        Ok(true)
    })?;
    Ok(count)
}

fn newest_lockers(
    objects: &dyn Objects,
    network: &NetworkId,
    patient: &PatientId,
) -> Result<Option<LockerEntry>, Fatal> {
    let mut found = None;
    rows::each(objects, rows::EPOCHS, Some(&patient.0), |row| {
        let epoch: Epoch = rows::value(row)?;
        let content = rows::content_of(row)?;
        let stands = rows::facts(objects, &content)?.is_some_and(|f| f.void.is_none());
        if !stands || epoch.staged {
            return Ok(true);
        }
        let Some(held) = objects.body(&content)? else { return Ok(true) };
        let read = || Personal::read(&Body::read(&held.bytes, network)?.1);
        if let Personal::Locker(locker) = read().map_err(Fatal::Contradiction)? {
            found = Some(locker);
        }
        Ok(found.is_none())
    })?;
    Ok(found)
}

fn opens(objects: &dyn Objects, lockers: &LockerEntry, held: &HeldKeys) -> Result<bool, Fatal> {
    for tier in TIERS {
        let mut sealed = Vec::new();
        let of_tier = lockers.escrows.iter().filter(|e| e.public.tier == tier && !e.public.staged);
        for escrow in of_tier.filter(|e| held.contains(&e.guardians) && held.contains(&e.ledger)) {
            sealed.push(escrow.sealed);
        }
        if !objects.has_objects(&sealed)?.contains(&true) {
            return Ok(false);
        }
    }
    Ok(true)
}
