//! Committees and their ceremonies: set by the organizations, carried on by guardians' cards at their desks.

use hospes_breakglass::ceremony::{Phase, Said};
use hospes_breakglass::threshold::KeyShare;
use hospes_protocol::control::{CeremonyBlocks, CommitteeEntry, CommitteeMember, DkgEntry, Roster};
use hospes_protocol::entry::Kind;
use hospes_protocol::ids::{ContentId, NodeId, PersonId, sha256};
use hospes_protocol::wire::Wire;
use hospes_service::committees::{DealerSeed, Duty, Part, Stage};

use super::COMMITTEES;
use crate::acts::Draft;
use crate::dice::Dice;
use crate::plan::{GUARDIANS, Lie};
use crate::world::World;

/// Blocks of each phase.
const BLOCKS: CeremonyBlocks = CeremonyBlocks { deal: 6, complain: 8, answer: 10, prove: 16 };

impl World {
    /// The organizations set the committees whose keys neither stand nor are being made.
    pub(crate) fn set_committees(&mut self) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let due = COMMITTEES.map(|(name, needed)| (name, needed, self.is_under_way(at, name)));
        for (name, needed, _) in due.into_iter().filter(|(.., under_way)| !under_way) {
            let roster = match needed {
                None => Roster::Validators(self.validators_at(at)),
                Some(_) => Roster::Guardians(self.guardians(GUARDIANS)),
            };
            let needed = needed.unwrap_or(roster.len() as u64 * 2 / 3 + 1);
            self.set_committee(at, name, roster, needed, None);
        }
    }

    fn validators_at(&self, at: usize) -> Vec<NodeId> {
        let set = self.service(at).map(|s| s.state().validators.validators.clone()).unwrap_or_default();
        set.into_iter().map(|v| v.node).collect()
    }

    fn guardians(&self, many: usize) -> Vec<PersonId> {
        self.people.organizations.iter().take(many).filter_map(|o| o.person).collect()
    }

    // Its key stands, or a ceremony runs, or it was set a moment ago and that is not final.
    fn is_under_way(&self, at: usize, name: &str) -> bool {
        let Some(service) = self.service(at) else { return true };
        let views = service.committees().unwrap_or_default();
        let failed = |stage: &Stage| {
            let few =
                Stage::Held(Phase::TooFewDealers) == *stage || Stage::Held(Phase::TooFewProofs) == *stage;
            few || *stage == Stage::NothingToTakeOver
        };
        let waits = self.glass.set.iter().any(|id| !self.watch.finals.contains_key(id));
        waits && views.is_empty() || views.iter().any(|v| v.committee.entry.name == name && !failed(&v.stage))
    }

    fn set_committee(
        &mut self,
        at: usize,
        name: &str,
        roster: Roster,
        needed: u64,
        previous: Option<ContentId>,
    ) {
        let entry = CommitteeEntry {
            name: name.into(),
            roster,
            shares_needed: needed,
            provers_needed: needed,
            previous,
            blocks: BLOCKS,
            local: None,
        };
        let content = self.draft(at, Kind::Committee, &[], &entry);
        let id = content.id();
        if self.tap(at, None, vec![Draft::by(content, self.all_cards())]).is_some() {
            self.glass.set.push(id);
            let over = if previous.is_some() { ", which takes its key over" } else { "" };
            self.tell(format!("the organizations set the committee {name}{over}"));
        }
    }

    /// The guardians' key goes over to a roster without one of them.
    pub(crate) fn hand_on_key(&mut self, full: bool, without: usize) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let (name, needed) = COMMITTEES[1 + usize::from(full)];
        let standing = self.service(at).and_then(|s| s.committee_key(name).ok().flatten());
        let (Some(standing), Some(needed)) = (standing, needed) else { return };
        let leaves = self.people.organizations[without].person;
        let roster: Vec<_> =
            self.guardians(GUARDIANS).into_iter().filter(|person| Some(*person) != leaves).collect();
        if roster.len() as u64 >= needed {
            let previous = Some(standing.committee);
            self.set_committee(at, name, Roster::Guardians(roster), needed, previous);
        }
    }

    /// A committee of guardians is set once more, without one of them, and makes a key of its own.
    pub(crate) fn recast(&mut self, full: bool, without: usize) {
        let Some(at) = (0..self.plan.shape.validators).find(|at| self.is_open(*at)) else { return };
        let (name, needed) = COMMITTEES[1 + usize::from(full)];
        let left_out = self.people.organizations[without].person;
        let roster: Vec<_> =
            self.guardians(GUARDIANS).into_iter().filter(|person| Some(*person) != left_out).collect();
        if let Some(needed) = needed.filter(|needed| roster.len() as u64 >= *needed) {
            self.set_committee(at, name, Roster::Guardians(roster), needed, None);
        }
    }

    /// Guardians do what they owe to ceremonies now.
    pub(crate) fn hold_ceremonies(&mut self) {
        for committee in self.glass.set.clone() {
            for guardian in 0..GUARDIANS.min(self.people.organizations.len()) {
                for (said, entry) in self.owed_by(guardian, &committee) {
                    for again in 0..self.repeats(guardian, &said) {
                        self.say_in_ceremony(guardian, &entry, again);
                    }
                }
            }
        }
    }

    fn part(&self, guardian: usize, committee: &ContentId) -> Option<Part> {
        let person = self.people.organizations[guardian].person?;
        let member = CommitteeMember::Guardian(person);
        self.service(guardian)?.ceremony_part(committee, &member).ok()?
    }

    /// A guardian's share of a committee's key, out of the card.
    pub(super) fn guardian_share(&self, guardian: usize, committee: &ContentId) -> Option<KeyShare> {
        let mut card = self.people.organizations[guardian].practitioner.agreement();
        self.part(guardian, committee)?.share(&mut card).ok()
    }

    fn owed_by(&self, guardian: usize, committee: &ContentId) -> Vec<(Said, DkgEntry)> {
        let Some(part) = Some(guardian).filter(|g| self.is_open(*g)).and_then(|g| self.part(g, committee))
        else {
            return Vec::new();
        };
        let duties = part.duties();
        let said = duties.into_iter().flat_map(|duty| self.does(guardian, &part, duty));
        let entry = |said| {
            let entry = part.entry(&said);
            (said, entry)
        };
        said.map(entry).collect()
    }

    fn does(&self, guardian: usize, part: &Part, duty: Duty) -> Vec<Said> {
        let lie = self.glass.liars.get(&guardian).copied();
        let mut card = self.people.organizations[guardian].practitioner.agreement();
        let id = u64::from_be_bytes(part.committee.0[..8].try_into().unwrap_or_default());
        let seed = DealerSeed::new(Dice::of(&[self.plan.seed, 63, id, guardian as u64]).bytes());
        let old = || part.previous.and_then(|previous| self.guardian_share(guardian, &previous));
        match duty {
            Duty::Deal => self.deals(guardian, part, &seed, old().as_ref()),
            Duty::Look if matches!(lie, Some(Lie::Accuse | Lie::Flood)) => Self::accusations(part, GUARDIANS),
            Duty::Look => part.complaints(&mut card).unwrap_or_default(),
            Duty::Answer if lie == Some(Lie::Withhold) => Vec::new(),
            Duty::Answer => part.answers(&seed, old().as_ref()).unwrap_or_default(),
            Duty::Prove => part.share(&mut card).map(|share| part.proof(&share)).into_iter().collect(),
        }
    }

    fn deals(&self, guardian: usize, part: &Part, seed: &DealerSeed, old: Option<&KeyShare>) -> Vec<Said> {
        let Some(entry) =
            self.service(guardian).and_then(|s| s.state().membership.committees.get(&part.committee))
        else {
            return Vec::new();
        };
        let mut seeds = vec![seed.clone()];
        if self.glass.liars.get(&guardian) == Some(&Lie::Equivocate) {
            seeds.push(DealerSeed::new(sha256(&[&seed[..]])));
        }
        let deal = |seed: &DealerSeed| match part.deal(seed, old) {
            Ok(Said::Deal(deal)) => Some(Said::Deal(self.spoil_deal(guardian, part, deal, &entry.entry))),
            _ => None,
        };
        seeds.iter().filter_map(deal).collect()
    }

    fn say_in_ceremony(&mut self, guardian: usize, entry: &DkgEntry, again: usize) {
        let mut content = self.draft(guardian, Kind::Dkg, &[], entry);
        // The same word is the same entry.
        content.salt = sha256(&[&entry.encode(), &again.to_be_bytes()]);
        let id = content.id();
        if self.glass.said.contains(&id) {
            return;
        }
        let signer = self.people.organizations[guardian].practitioner.signer();
        if self.tap(guardian, None, vec![Draft::by(content, vec![signer])]).is_some() {
            self.glass.said.insert(id);
        }
    }
}
