//! To whom bodies are owed, and when that is looked at again.
//!
//! A body's audience is looked up when it is kept, and again when something about its patient changed:
//! a grant, a revocation, a locker epoch, a move of home, or the end of a grant's period. Membership and
//! policy change rarely; after such a change every patient's turn comes, a few at a time.

use std::collections::BTreeSet;

use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NodeId, OrganizationId, PatientId};
use hospes_protocol::personal::RecordEntry;
use hospes_protocol::policy::{
    Audience, Personal, Placed, Placement, Priority, Unreadable, audience, placement,
};
use hospes_protocol::wire::Wire;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::index;
use crate::service::{Fatal, Service};

/// Patients whose turn has come.
const DIRTY: &str = "dirty";
/// Records that have never been placed.
const UNPLACED: &str = "unplaced";
/// When something about a patient ends or begins by itself.
const TURNS: &str = "turns";
const TURNS_AT: &str = "turns-at";
/// How far a turn of everyone has come.
const SWEEP: &str = "sweep";
/// Patients in one turn.
const PATIENTS_PAGE: usize = 16;
/// Records in one turn.
const RECORDS_PAGE: usize = 64;

fn dirty_key(patient: &PatientId) -> SealedKey {
    SealedKey::new(DIRTY, &[], 0, &patient.0)
}

fn sweep_key() -> SealedKey {
    SealedKey::new(SWEEP, &[], 0, &[])
}

fn row(key: SealedKey, value: Vec<u8>) -> Write {
    Write::Sealed(SealedRow { key, patient: None, value })
}

fn unreadable(e: Unreadable) -> Fatal {
    Fatal::Contradiction(e.into())
}

impl Service {
    /// The organizations whose nodes are to have a body: its audience, and the backup partners of those that
    /// answer for it.
    pub(super) fn audience_of(
        &self,
        content: &ContentId,
        payload: &Personal,
    ) -> Result<BTreeSet<OrganizationId>, Fatal> {
        let mut organizations =
            match audience(&self.view(), content, payload, self.now).map_err(unreadable)? {
                Audience::Organizations(set) => set,
                Audience::Everyone => {
                    self.state.membership.active_organizations().map(|o| o.organization).collect()
                }
            };
        match payload {
            Personal::Record(record) | Personal::Amendment(record) => {
                organizations.extend(self.orderers(record)?);
            }
            _ => {
                let home = payload.patient().map(|p| self.home(p)).transpose()?.flatten();
                organizations.extend(home.into_iter().flat_map(|h| self.backups_of(&h.organization)));
            }
        }
        Ok(organizations)
    }

    fn placement_of(&self, record: &ContentId) -> Result<Placement, Fatal> {
        placement(&self.view(), &Placed::Blob(*record), self.now).map_err(unreadable)
    }

    /// Organizations whose nodes are to hold a record's blob.
    pub(crate) fn placed(&self, record: &ContentId) -> Result<BTreeSet<OrganizationId>, Fatal> {
        Ok(self.placement_of(record)?.organizations)
    }

    /// Nodes that are to hold a record's blob, this one perhaps among them.
    pub(crate) fn placed_nodes(&self, record: &ContentId) -> Result<BTreeSet<NodeId>, Fatal> {
        let placement = self.placement_of(record)?;
        let nodes = self.state.membership.active_nodes();
        let placed = nodes.filter(|(id, node)| placement.includes(id, &node.organization));
        Ok(placed.map(|(id, _)| *id).collect())
    }

    /// Nodes of those that answer for a record: where its blob waits while it has no effect.
    pub(crate) fn orderers_nodes(&self, record: &RecordEntry) -> Result<BTreeSet<NodeId>, Fatal> {
        let orderers = self.orderers(record)?;
        let nodes = self.state.membership.active_nodes();
        Ok(nodes.filter(|(_, node)| orderers.contains(&node.organization)).map(|(id, _)| *id).collect())
    }

    /// The clinical priority of a record's blob, 0 first; in the middle where the record is not known here.
    pub(crate) fn rank(&self, record: Option<&ContentId>) -> Result<u64, Fatal> {
        let known = record.map(|r| self.record_entry(r)).transpose()?.flatten();
        let priority = known.map_or(Priority::Results, |r| Priority::of_category(r.category));
        Ok(priority as u64)
    }

    /// Backup partners that an organization names in its policy.
    pub(crate) fn backups_of(&self, organization: &OrganizationId) -> BTreeSet<OrganizationId> {
        let policy = self.state.membership.organization_policies.get(organization);
        policy.into_iter().flat_map(|p| p.backup_partners.iter().copied()).collect()
    }

    /// Organizations that answer for a record's copies: author's and home, and the backup partners of both.
    pub(crate) fn orderers(&self, record: &RecordEntry) -> Result<BTreeSet<OrganizationId>, Fatal> {
        let mut organizations = BTreeSet::from([record.organization]);
        organizations.extend(self.home(&record.patient)?.map(|h| h.organization));
        let backups: Vec<_> = organizations.iter().flat_map(|o| self.backups_of(o)).collect();
        organizations.extend(backups);
        Ok(organizations)
    }

    /// Whether a change of this kind moves the audience of other entries.
    fn moves_others(payload: &Personal) -> bool {
        // What is said of a record decides who may read it: an amendment moves its audience.
        !matches!(
            payload.kind(),
            Kind::Record | Kind::Access | Kind::Receipt | Kind::Erasure | Kind::Review | Kind::Search
        )
    }

    /// What notes that a kept or finalised entry changes others.
    pub(super) fn mark(content: &ContentId, payload: &Personal) -> Option<Write> {
        let record = matches!(payload, Personal::Record(_));
        let patient = payload.patient().filter(|_| Self::moves_others(payload));
        let unplaced = || row(SealedKey::new(UNPLACED, &[], 0, &content.0), Vec::new());
        patient.map(|p| row(dirty_key(p), Vec::new())).or_else(|| record.then(unplaced))
    }

    /// Membership or policy changed: everyone's turn comes.
    pub(crate) fn on_control_final(&mut self, kind: u64) -> Result<(), Fatal> {
        if matches!(Kind::from_code(kind), Some(Kind::Organization | Kind::Node | Kind::Policy)) {
            self.write(&[row(sweep_key(), None::<PatientId>.encode())])?;
        }
        Ok(())
    }

    /// Looks again at some of those whose turn has come.
    pub(crate) fn take_turns(&mut self) -> Result<(), Fatal> {
        self.wake_turns()?;
        let dirty = self.objects.sealed_rows(DIRTY, None, None, PATIENTS_PAGE)?;
        for marked in dirty {
            let patient = PatientId(index::id32(&marked.key.item)?);
            self.take_turn(&patient)?;
            self.write(&[Write::DropSealed(marked.key)])?;
        }
        let mut placed = Vec::new();
        for marked in self.objects.sealed_rows(UNPLACED, None, None, RECORDS_PAGE)? {
            let content = index::content_of(&marked)?;
            if let Some(record) = self.record_entry(&content)? {
                self.judge_its_node(&content)?;
                self.place_record(&content, &record)?;
            }
            placed.push(Write::DropSealed(marked.key));
        }
        self.write(&placed)
    }

    /// Takes the next patients of a turn of everyone.
    pub(crate) fn sweep(&mut self) -> Result<(), Fatal> {
        let Some(at) = index::read::<Option<PatientId>>(&*self.objects, &sweep_key())? else { return Ok(()) };
        let after = at.map(|patient| SealedKey::new(index::PATIENTS, &[], 0, &patient.0));
        let page = self.objects.sealed_rows(index::PATIENTS, None, after.as_ref(), PATIENTS_PAGE)?;
        let mut writes = Vec::new();
        let mut last = None;
        for found in &page {
            let patient = PatientId(index::id32(&found.key.item)?);
            writes.push(row(dirty_key(&patient), Vec::new()));
            last = Some(patient);
        }
        writes.push(match last {
            Some(_) if page.len() == PATIENTS_PAGE => row(sweep_key(), last.encode()),
            _ => Write::DropSealed(sweep_key()),
        });
        self.write(&writes)?;
        Ok(())
    }

    fn take_turn(&mut self, patient: &PatientId) -> Result<(), Fatal> {
        self.set_turn(patient)?;
        for erasure in self.waiting_erasures(patient)? {
            if let Some((_, payload)) = self.entry(&erasure)? {
                let writes = self.owe_audience(&erasure, &payload)?;
                self.write(&writes)?;
            }
        }
        self.judge_nodes_of(patient)?;
        let mut skip = 0;
        loop {
            let page = self.objects.bodies(Some(patient), None, skip, index::PAGE)?;
            let mut writes = Vec::new();
            for content in &page {
                let Some((_, payload)) = self.entry(content)? else { continue };
                writes.extend(self.owe_audience(content, &payload)?);
                if let Personal::Record(record) | Personal::Amendment(record) = &payload {
                    self.place_record(content, record)?;
                }
            }
            self.write(&writes)?;
            if page.len() < index::PAGE {
                return Ok(());
            }
            skip += page.len();
        }
    }

    /// Sets the patient's next turn to the first time at which a grant begins or ends.
    fn set_turn(&self, patient: &PatientId) -> Result<(), Fatal> {
        let at_key = SealedKey::new(TURNS_AT, &[], 0, &patient.0);
        let mut writes = Vec::new();
        if let Some(at) = index::read::<u64>(&*self.objects, &at_key)? {
            writes.push(Write::DropSealed(SealedKey::new(TURNS, &[], at, &patient.0)));
            writes.push(Write::DropSealed(at_key.clone()));
        }
        let mut next: Option<u64> = None;
        for content in self.contents_of(patient, Kind::Grant.code())? {
            let Some((_, Personal::Grant(grant))) = self.entry(&content)? else { continue };
            let coming = [grant.from, grant.until].into_iter().filter(|at| *at > self.now);
            next = coming.chain(next).min();
        }
        if let Some(at) = next {
            writes.push(row(SealedKey::new(TURNS, &[], at, &patient.0), Vec::new()));
            writes.push(row(at_key, at.encode()));
        }
        self.write(&writes)?;
        Ok(())
    }

    /// Forgets when a patient's turn would come, and that it has.
    pub(super) fn forget_turns(&self, patient: &PatientId) -> Result<(), Fatal> {
        self.set_turn(patient)?;
        self.write(&[Write::DropSealed(dirty_key(patient))])
    }

    fn wake_turns(&self) -> Result<(), Fatal> {
        let mut writes = Vec::new();
        for turn in self.objects.sealed_rows(TURNS, None, None, PATIENTS_PAGE)? {
            if turn.key.order > self.now {
                break;
            }
            let patient = PatientId(index::id32(&turn.key.item)?);
            writes.push(row(dirty_key(&patient), Vec::new()));
            writes.push(Write::DropSealed(SealedKey::new(TURNS_AT, &[], 0, &patient.0)));
            writes.push(Write::DropSealed(turn.key));
        }
        self.write(&writes)?;
        Ok(())
    }
}
