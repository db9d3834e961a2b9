//! Judging again: what was kept before something that bears on it came, so that the order of arrival has no
//! effect on a verdict.
//!
//! | what changed | what is judged again |
//! |---|---|
//! | an entry came, or has effect after all | kept entries that stand on it and were without effect for lack of it |
//! | an entry lost its effect | entries that stand on it: they lose theirs, by check 701 |
//! | a node is retired | what it filed and was not final before: without effect, until another node files it anew |
//! | which enrolment of a patient counts, for good | the other enrolments, the cards, records of a home that was none |
//!
//! Entries form a graph without cycles, because an id is a hash over the ids that it stands on; so this ends. A
//! body that was refused is not kept and not judged here: whoever owes it offers it again.

use std::collections::BTreeSet;

use hospes_protocol::check::{Check, Rejected};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::mutant;
use hospes_protocol::policy::{HeaderFacts, Personal, judge_body};
use hospes_protocol::tap::Body;
use hospes_storage::{SealedKey, SealedRow, Write};

use super::index::{self, Facts};
use crate::service::{Fatal, Service};

/// Entries that stand on an entry.
const DEPENDENTS: &str = "dependents";

/// The rows under which an entry is found by what it stands on.
pub(super) fn dependent_rows(
    content: &ContentId,
    patient: Option<PatientId>,
    stands_on: &[ContentId],
) -> Vec<Write> {
    let row = |id: &ContentId| {
        let key = SealedKey::new(DEPENDENTS, &id.0, 0, &content.0);
        Write::Sealed(SealedRow { key, patient, value: Vec::new() })
    };
    stands_on.iter().map(row).collect()
}

/// Whether an entry binds only as its node does. Who takes something back, or says that he read, has said so.
fn hangs_on_its_node(kind: u64) -> bool {
    !matches!(Kind::from_code(kind), Some(Kind::Revocation | Kind::Access | Kind::Erasure | Kind::Receipt))
}

const fn code(check: Check) -> u64 {
    check.code() as u64
}

impl Service {
    /// Judges again what an entry that was just kept, or whose effect has changed, bears on.
    pub(super) fn judge_again_after(&mut self, changed: ContentId) -> Result<(), Fatal> {
        let mut waiting = vec![changed];
        while let Some(id) = waiting.pop() {
            let Some(facts) = index::facts(&*self.objects, &id)? else { continue };
            for dependent in self.dependents(&id)? {
                if self.follow_effect(&dependent, facts.void.is_none())? {
                    waiting.push(dependent);
                }
            }
            if facts.kind == Kind::Patient.code()
                && let Some(patient) = facts.patient
            {
                waiting.extend(self.judge_enrolments(&patient)?);
            }
        }
        Ok(())
    }

    fn dependents(&self, id: &ContentId) -> Result<Vec<ContentId>, Fatal> {
        let mut found = Vec::new();
        index::each(&*self.objects, DEPENDENTS, Some(&id.0), |row| {
            found.push(index::content_of(row)?);
            Ok(true)
        })?;
        Ok(found)
    }

    /// Whether an entry is without effect because its node was retired before it was final.
    pub(crate) fn is_stranded(&self, id: &ContentId) -> Result<bool, Fatal> {
        let void = index::facts(&*self.objects, id)?.and_then(|facts| facts.void);
        Ok(void == Some(code(Check::RetiredNode)))
    }

    /// A patient's entries that are not final, by who filed them.
    pub(super) fn judge_nodes_of(&mut self, patient: &PatientId) -> Result<(), Fatal> {
        let mut skip = 0;
        loop {
            let page = self.objects.bodies(Some(patient), None, skip, index::PAGE)?;
            for content in &page {
                self.judge_its_node(content)?;
            }
            if page.len() < index::PAGE {
                return Ok(());
            }
            skip += page.len();
        }
    }

    /// The entry once more, where it is not final and its node may have been retired, or certified again.
    pub(super) fn judge_its_node(&mut self, id: &ContentId) -> Result<(), Fatal> {
        let Some(facts) = index::facts(&*self.objects, id)? else { return Ok(()) };
        let Some(retired) = self.is_of_retired(id, &facts)? else { return Ok(()) };
        let stranded = retired && hangs_on_its_node(facts.kind);
        let waited = facts.void == Some(code(Check::RetiredNode));
        let void = match (stranded, retired || waited) {
            (true, _) => Some(Check::RetiredNode),
            // What stands all the same is held against the cards that ended with the node's organization.
            (false, true) => self.judged_now(id)?.err().map(|r| r.check),
            (false, false) => return Ok(()),
        };
        if self.set_void(id, facts, void)? { self.judge_again_after(*id) } else { Ok(()) }
    }

    /// Whether the node that filed an entry was retired before it was final; null where it is final, or that can't be
    /// known here.
    fn is_of_retired(&self, id: &ContentId, facts: &Facts) -> Result<Option<bool>, Fatal> {
        // Who lacks the past doesn't know what was final in it.
        if facts.height.is_some() || self.missing_history()?.is_some() {
            return Ok(None);
        }
        let Some((content, _)) = self.entry(id)? else { return Ok(None) };
        Ok(Some(match self.standing(&content)? {
            Ok(header) => self.is_retired(&header),
            Err(_) => self.is_taken_aside(id)?,
        }))
    }

    /// Whether an entry has no effect any more because its node was retired before it was final.
    pub(super) fn has_lost_its_node(&self, id: &ContentId, facts: &Facts) -> Result<bool, Fatal> {
        Ok(hangs_on_its_node(facts.kind) && self.is_of_retired(id, facts)? == Some(true))
    }

    /// Whether a header was not final when its node was retired.
    fn is_retired(&self, header: &HeaderFacts) -> bool {
        header.height.is_none()
            && !mutant!(StrandedCounts)
            && self.state.membership.node(&header.node).is_none()
    }

    /// What stands on an entry follows it; gives whether its effect has changed.
    fn follow_effect(&mut self, id: &ContentId, has_effect: bool) -> Result<bool, Fatal> {
        let Some(facts) = index::facts(&*self.objects, id)? else { return Ok(false) };
        match (facts.void, has_effect) {
            (None, false) => self.set_void(id, facts, Some(Check::StandsOnMissing)),
            (Some(void), true) if void == code(Check::StandsOnMissing) => {
                let judged = self.judged_now(id)?;
                self.set_void(id, facts, judged.err().map(|r| r.check))
            }
            _ => Ok(false),
        }
    }

    /// The patient's enrolments and cards once more; gives those whose effect has changed.
    fn judge_enrolments(&mut self, patient: &PatientId) -> Result<Vec<ContentId>, Fatal> {
        let mut changed = Vec::new();
        let Some(standing) = self.moves_to_home(patient)? else { return Ok(changed) };
        for kind in [Kind::Patient, Kind::Card] {
            for id in self.contents_of(patient, kind.code())? {
                let facts = index::facts(&*self.objects, &id)?.filter(|f| f.void.is_none());
                let Some(facts) = facts.filter(|_| !standing.contains(&id)) else { continue };
                // Only what these rules say: the rest was judged when it was time to.
                let why = self.judged_now(&id)?.err().map(|r| r.check);
                let lost = why.filter(|c| matches!(c, Check::AlreadyExists | Check::StandsOnWrong));
                if lost.is_some() && self.set_void(&id, facts, lost)? {
                    changed.push(id);
                }
            }
        }
        if !changed.is_empty() {
            self.settle_home(patient)?;
            let lost = self.judge_records_of(patient, &changed)?;
            changed.extend(lost);
        }
        Ok(changed)
    }

    /// Records that only an enrolment without effect let its home file; gives those whose effect has changed.
    fn judge_records_of(&mut self, patient: &PatientId, lost: &[ContentId]) -> Result<Vec<ContentId>, Fatal> {
        let (mut homes, mut changed) = (BTreeSet::new(), Vec::new());
        for id in lost {
            if let Some((_, Personal::Patient(entry))) = self.entry(id)? {
                homes.insert(entry.home);
            }
        }
        for kind in [Kind::Record, Kind::Amendment] {
            for id in self.contents_of(patient, kind.code())? {
                let of_them = self.record_entry(&id)?.is_some_and(|r| homes.contains(&r.organization));
                let facts = index::facts(&*self.objects, &id)?.filter(|f| of_them && f.void.is_none());
                let Some(facts) = facts else { continue };
                let why = self.judged_now(&id)?.err().map(|r| r.check);
                let void = why.filter(|c| matches!(c, Check::NotAuthorized | Check::StandsOnMissing));
                if void.is_some() && self.set_void(&id, facts, void)? {
                    changed.push(id);
                }
            }
        }
        Ok(changed)
    }

    /// The entry that says where the patient is at home, and those from which the patient moved there; null
    /// before it is final, because until then another may come first.
    fn moves_to_home(&self, patient: &PatientId) -> Result<Option<BTreeSet<ContentId>>, Fatal> {
        let Some(home) = self.home(patient)? else { return Ok(None) };
        let (mut found, mut next) = (BTreeSet::new(), vec![home.entry]);
        while let Some(id) = next.pop() {
            let Some(facts) = index::facts(&*self.objects, &id)? else { continue };
            if id == home.entry && facts.height.is_none() {
                return Ok(None);
            }
            if facts.kind == Kind::Patient.code() && found.insert(id) {
                next.extend(self.entry(&id)?.map(|(content, _)| content.stands_on).unwrap_or_default());
            }
        }
        Ok(Some(found))
    }

    /// The verdict on a kept body by what is here now; one whose header is not here stays as it is.
    fn judged_now(&self, id: &ContentId) -> Result<Result<(), Rejected>, Fatal> {
        let Some(held) = self.objects.body(id)? else { return Ok(Ok(())) };
        let (body, content) = Body::read(&held.bytes, &self.network).map_err(Fatal::Contradiction)?;
        Ok(match self.standing(&content)? {
            Ok(facts) => judge_body(&self.view(), &body, &content, &facts).map(drop),
            Err(_) => Ok(()),
        })
    }

    fn set_void(&mut self, id: &ContentId, facts: Facts, void: Option<Check>) -> Result<bool, Fatal> {
        let facts = Facts { void: void.map(code), ..facts };
        let before = index::facts(&*self.objects, id)?.and_then(|f| f.void);
        let Some((_, payload)) = self.entry(id)?.filter(|_| before != facts.void) else { return Ok(false) };
        let mut writes = index::rows_of(*id, &facts, &payload);
        writes.extend(Self::mark(id, &payload));
        self.write(&writes)?;
        if let Personal::Patient(entry) = &payload {
            self.settle_home(&entry.patient)?;
        }
        Ok(true)
    }
}
