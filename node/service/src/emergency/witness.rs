//! A hospital without a line: the log of its witness card, the release that a link of it makes, and the alarms where copies
//! of the log don't agree.
//!
//! ```text
//! guardians approve; their opening shares are held
//! witness card signs the next link -> kept here -> the release, which has the link, is filed
//! each guardian's node keeps the link -> hands over the share that it held
//! the line is back: the release is final, and who has all links looks whether each follows the one before
//! ```
//!
//! A link names nobody but the requester. Copies stay when a patient is erased, since they are no patient's. What a card
//! signs is the desk's business; whether a release is lawful is judged by `protocol`.

use std::collections::{BTreeMap, BTreeSet};

use hospes_protocol::check::{Check, Rejected, ensure};
use hospes_protocol::control::{LEDGER_COMMITTEE, LocalCommittee, Roster};
use hospes_protocol::emergency::{ReleaseEntry, RequestEntry, Tier, WitnessLink};
use hospes_protocol::ids::{ContentId, KeyId, NodeId, ObjectId, OrganizationId, PatientId, sha256};
use hospes_protocol::limits::OFFLINE_MS_MAX;
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_storage::{SealedKey, SealedRow, Write};

use crate::filing::FileError;
use crate::records::index as rows;
use crate::service::{Fatal, Service};

/// Copies of links, by witness card, counter and hash: of two links with one counter both stay.
const LINKS: &str = "witness-links";
/// The witness card's half of an escrow, sealed to the key of the request, by request.
const HALVES: &str = "witness-halves";

/// The links of one witness card's log that are known here, by counter and hash.
type Log = BTreeMap<(u64, [u8; 32]), WitnessLink>;

/// Why a witness card is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWitnessed {
    /// There is no such request of this node.
    Unknown,
    /// Its tier needs no witness card.
    OtherTier,
    /// It has ended.
    Ended,
    /// The newest certified block is older than [`OFFLINE_MS_MAX`].
    TooOld,
    /// Fewer have approved than are needed.
    TooFew,
}

/// What a witness card does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessing {
    /// The request.
    pub request: RequestEntry,
    /// Whose card it must be.
    pub local: LocalCommittee,
    /// The link to sign; one that was signed for this request is used again.
    pub link: Result<WitnessLink, Bytes>,
    /// The escrow's sealed secret, of which the card opens its half.
    pub sealed: ObjectId,
}

/// What copies of a log say that they shouldn't.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Alarm {
    /// The hospital.
    pub organization: OrganizationId,
    /// Which link.
    pub counter: u64,
    /// What is wrong with it.
    pub what: Suspicion,
    /// Nodes at which the links in question were signed.
    pub nodes: BTreeSet<NodeId>,
}

/// What is wrong with a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// A later one is known, and this one nowhere in reach.
    Missing,
    /// There are two of this counter: the log was rolled back or copied.
    Twice,
    /// It doesn't name the one before it.
    Unchained,
    /// What it let be opened was never filed, or has no effect.
    Unreleased,
}

impl Service {
    /// Hospitals that the patient's newest lockers have an offline escrow for.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn offline_at(&self, patient: &PatientId) -> Result<BTreeSet<OrganizationId>, Fatal> {
        let Some((_, lockers)) = self.locker_epoch(patient)? else { return Ok(BTreeSet::new()) };
        let offline = lockers.escrows.iter().filter(|e| e.public.tier == Tier::Offline);
        Ok(offline.filter_map(|e| self.local_to(&e.guardians)).map(|local| local.organization).collect())
    }

    /// The hospital that a committee is of.
    pub(crate) fn local_to(&self, committee: &ContentId) -> Option<&LocalCommittee> {
        self.state.membership.committees.get(committee).and_then(|c| c.entry.local.as_ref())
    }

    /// Whether the newest certified block is too old for anything to be opened without a line.
    #[must_use]
    pub fn is_cut_off_too_long(&self) -> bool {
        self.now.saturating_sub(self.state.time) > OFFLINE_MS_MAX
    }

    /// What the witness card of a request's hospital is to sign.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn to_witness(&self, id: &ContentId) -> Result<Result<Witnessing, NotWitnessed>, Fatal> {
        let Some((_, request)) = self.request(id)? else { return Ok(Err(NotWitnessed::Unknown)) };
        if request.tier != Tier::Offline {
            return Ok(Err(NotWitnessed::OtherTier));
        }
        let mine = self.requester_node(id)? == Some(self.me.node);
        let escrow = self.escrow_in(&request.locker, &request.label.escrow)?;
        let local = self.local_to(&request.guardians).cloned();
        let (true, Some(escrow), Some(local)) = (mine, escrow, local) else {
            return Ok(Err(NotWitnessed::Unknown));
        };
        if self.now >= request.until {
            return Ok(Err(NotWitnessed::Ended));
        }
        if self.is_cut_off_too_long() {
            return Ok(Err(NotWitnessed::TooOld));
        }
        let signed = self.signed_for(&local.witness.id(), id)?;
        if signed.is_none() && self.release_of(id, &request)?.is_none() {
            return Ok(Err(NotWitnessed::TooFew));
        }
        let link = match signed {
            Some(signed) => Err(signed),
            None => Ok(self.next_link(id, &request, local.witness.id())?),
        };
        Ok(Ok(Witnessing { request, local, link, sealed: escrow.sealed }))
    }

    fn next_link(
        &self,
        id: &ContentId,
        request: &RequestEntry,
        witness: KeyId,
    ) -> Result<WitnessLink, Fatal> {
        let log = self.links_of(&witness)?;
        let last = log.last_key_value();
        Ok(WitnessLink {
            network: self.network,
            organization: request.organization,
            node: self.me.node,
            witness,
            counter: last.map_or(0, |((counter, _), _)| *counter).saturating_add(1),
            previous: last.map_or([0; 32], |((_, hash), _)| *hash),
            request: *id,
            requester: request.requester,
            label: sha256(&[&request.label.encode()]),
            at: self.now,
            after: request.after,
        })
    }

    /// Keeps a link that the witness card signed and files the release that has it; the link first, so that nothing leaves of
    /// which no trace stays. The release, which may have been filed before.
    ///
    /// # Errors
    /// [`FileError`]; [`Check::MissingSignature`] where too few have approved, [`Check::StandsOnWrong`] where the log has grown
    /// since the link was made.
    pub fn release_by_witness(&mut self, id: &ContentId, signed: &[u8]) -> Result<ContentId, FileError> {
        if let Some(release) = self.follow_ups(rows::RELEASES, id)?.first() {
            return Ok(*release);
        }
        let (_, request) = self.request(id)?.ok_or_else(|| Rejected::from(Check::StandsOnMissing))?;
        let (_, link) = WitnessLink::read(signed)?;
        let entry = self.release_of(id, &request)?.ok_or_else(|| Rejected::from(Check::MissingSignature))?;
        let entry = ReleaseEntry { link: Some(Bytes(signed.to_vec())), ..entry };
        let filing = self.release_filing(id, &entry)?;
        let (release, filing) = filing.ok_or_else(|| Rejected::from(Check::NotEntitled))?;
        // Where another was signed in the meantime, this one is dropped before anybody else has seen it.
        let mut log = self.links_of(&link.witness)?;
        log.insert((link.counter, link.hash()), link.clone());
        ensure(follows(&log, &link).is_ok(), Check::StandsOnWrong)?;
        self.writing(|service| {
            service.write(&[link_row(&link, signed)])?;
            service.settle()
        })?
        .ok_or(FileError::DiskFull)?;
        self.file(vec![filing])?;
        Ok(release)
    }

    /// Keeps the witness card's half, sealed to the key of the request.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn keep_witness_half(&mut self, id: &ContentId, sealed: Vec<u8>) -> Result<(), Fatal> {
        let patient = self.request(id)?.map(|(_, request)| request.patient);
        let key = SealedKey::new(HALVES, &id.0, 0, &[]);
        self.write(&[Write::Sealed(SealedRow { key, patient, value: sealed })])
    }

    /// The witness card's half for a request, sealed to its key.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn witness_half(&self, id: &ContentId) -> Result<Option<Vec<u8>>, Fatal> {
        Ok(self.objects.sealed(&SealedKey::new(HALVES, &id.0, 0, &[]))?)
    }

    /// Keeps the link of a release, and says whether a guardian's share may be handed over on it: not where a copy here
    /// says otherwise.
    pub(super) fn takes_link(&mut self, release: &ContentId) -> Result<bool, Fatal> {
        let Some((_, entry)) = self.release(release)? else { return Ok(false) };
        let Some(signed) = &entry.link else { return Ok(true) };
        let Ok((_, link)) = WitnessLink::read(signed) else { return Ok(false) };
        self.write(&[link_row(&link, signed)])?;
        let log = self.links_of(&link.witness)?;
        // One that is missing may be on its way still, and care can't wait for it.
        Ok(matches!(follows(&log, &link), Ok(()) | Err(Suspicion::Missing)))
    }

    /// The link that the witness card signed for a request.
    fn signed_for(&self, witness: &KeyId, request: &ContentId) -> Result<Option<Bytes>, Fatal> {
        let mut found = None;
        rows::each(&*self.objects, LINKS, Some(&witness.0), |row| {
            let of = WitnessLink::read(&row.value).is_ok_and(|(_, link)| link.request == *request);
            found = of.then(|| Bytes(row.value.clone()));
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// All that is known here of a card's log: copies, and what releases have.
    fn links_of(&self, witness: &KeyId) -> Result<Log, Fatal> {
        Ok(self.logs()?.remove(witness).unwrap_or_default())
    }

    fn logs(&self) -> Result<BTreeMap<KeyId, Log>, Fatal> {
        let mut logs: BTreeMap<KeyId, Log> = BTreeMap::new();
        let mut take = |signed: &[u8]| {
            if let Ok((_, link)) = WitnessLink::read(signed) {
                logs.entry(link.witness).or_default().insert((link.counter, link.hash()), link);
            }
        };
        rows::each(&*self.objects, LINKS, None, |row| {
            take(&row.value);
            Ok(true)
        })?;
        for found in self.emergencies(None)? {
            found.release.iter().filter_map(|(_, release, _)| release.link.as_ref()).for_each(|l| take(l));
        }
        Ok(logs)
    }

    /// What copies of hospitals' logs say that they shouldn't, as far as this node sees. That one is missing is said only where
    /// all would be known: at the hospital, and at organizations whose nodes are validators.
    ///
    /// # Errors
    /// [`Fatal`] of the store.
    pub fn witness_alarms(&self) -> Result<Vec<Alarm>, Fatal> {
        let mut alarms = Vec::new();
        let own = self.me.organization;
        let members = &self.state.membership;
        let of = |node: &NodeId| members.nodes.get(node).map(|n| n.organization);
        let watches = self.state.validators.validators.iter().any(|v| v.organization == own)
            || members.committee(LEDGER_COMMITTEE).is_some_and(|c| match &c.entry.roster {
                Roster::Validators(nodes) => nodes.iter().any(|node| of(node) == Some(own)),
                Roster::Guardians(_) => false,
            });
        for log in self.logs()?.into_values() {
            for link in log.values() {
                let whole = watches || link.organization == own;
                for what in self.suspicions(&log, link)? {
                    let counter = link.counter - u64::from(what == Suspicion::Missing);
                    let nodes = with_counter(&log, link.counter).map(|link| link.node).collect();
                    let alarm = Alarm { organization: link.organization, counter, what, nodes };
                    if (whole || what == Suspicion::Twice) && !alarms.contains(&alarm) {
                        alarms.push(alarm);
                    }
                }
            }
        }
        alarms.sort();
        Ok(alarms)
    }

    fn suspicions(&self, log: &Log, link: &WitnessLink) -> Result<Vec<Suspicion>, Fatal> {
        let mut found: Vec<_> = follows(log, link).err().into_iter().collect();
        if self.follow_ups(rows::RELEASES, &link.request)?.is_empty() {
            found.push(Suspicion::Unreleased);
        }
        Ok(found)
    }
}

fn link_row(link: &WitnessLink, signed: &[u8]) -> Write {
    let key = SealedKey::new(LINKS, &link.witness.0, link.counter, &link.hash());
    Write::Sealed(SealedRow { key, patient: None, value: signed.to_vec() })
}

fn with_counter(log: &Log, counter: u64) -> impl Iterator<Item = &WitnessLink> {
    log.range((counter, [0; 32])..=(counter, [0xff; 32])).map(|(_, link)| link)
}

/// Whether a link is the one of its counter, and names the one before it.
fn follows(log: &Log, link: &WitnessLink) -> Result<(), Suspicion> {
    if with_counter(log, link.counter).count() > 1 {
        return Err(Suspicion::Twice);
    }
    let Some(before) = link.counter.checked_sub(1).filter(|before| *before > 0) else {
        return if link.previous == [0; 32] { Ok(()) } else { Err(Suspicion::Unchained) };
    };
    let named = |b: &WitnessLink| b.hash() == link.previous;
    match with_counter(log, before).count() {
        0 => Err(Suspicion::Missing),
        _ if with_counter(log, before).any(named) => Ok(()),
        _ => Err(Suspicion::Unchained),
    }
}
