//! What must hold of break-glass, judged by what people's cards did and by the one chain, never by the policy's code.
//!
//! | invariant | looked at |
//! |---|---|
//! | nothing opens without a final release | each opening; each decision under a release |
//! | no release by fewer people than its tier takes | whenever a node learned something |
//! | nothing opens beyond the scope asked for | each opening; each decision under a release |
//! | nothing opens after the close or the end | the same |
//! | what a lost card had sealed opens to the card that the notice names | each opening |
//! | what was opened is in the patient's list | at the end, at the patient's home |
//! | what is released opens | at the end, where enough who hold shares are well |

use hospes_protocol::control::{FULL_COMMITTEE, LEDGER_COMMITTEE, SUMMARY_COMMITTEE};
use hospes_protocol::emergency::Tier;
use hospes_protocol::ids::ContentId;
use hospes_protocol::personal::Category;
use hospes_service::emergency::Emergency as Seen;
use hospes_service::records::Finality;

use super::{Emergency, SUMMARY};
use crate::people::{CATEGORIES, Record};
use crate::plan::GUARDIANS;
use crate::world::World;

const FINAL: &str = "nothing opens without a final release";
const PEOPLE: &str = "no release by fewer people than its tier takes";
const SCOPE: &str = "nothing opens beyond the scope asked for";
const OVER: &str = "nothing opens after the close or the end";
const NEW_CARD: &str = "what a lost card had sealed opens to the card that the notice names";
const LISTED: &str = "what was opened is in the patient's list";
const OPENS: &str = "what is released opens";

impl Emergency {
    /// Whether it lets records of a category be read.
    fn covers(&self, category: usize) -> bool {
        match self.tier {
            Tier::Full => true,
            Tier::Recovery => false,
            _ => category == SUMMARY,
        }
    }

    const fn people(&self) -> usize {
        match self.tier {
            Tier::Card => 0,
            Tier::Full | Tier::Recovery => 3,
            _ => 2,
        }
    }

    /// How many of these count for it: who asks for more than the summary is none of them.
    fn counted<'a>(&self, guardians: impl IntoIterator<Item = &'a usize>) -> usize {
        let own = matches!(self.tier, Tier::Full | Tier::Recovery);
        guardians.into_iter().filter(|g| !own || **g != self.by).count()
    }

    /// Whether so many people let it be, or the patient's card was there, where that is enough.
    fn is_let(&self, people: usize) -> bool {
        people >= self.people() && (self.tier != Tier::Card || self.presented.is_some())
    }
}

impl World {
    fn is_released(&self, emergency: &Emergency, height: u64) -> bool {
        let finals = emergency.releases.iter().filter_map(|id| self.watch.finals.get(id));
        finals.into_iter().any(|at| *at <= height)
    }

    /// Whether an emergency has ended as a node sees it: by its time, or by a close that is there and counts.
    fn is_over(&self, i: usize, emergency: &Emergency) -> bool {
        let counts =
            |id: &ContentId| self.has_body(i, id) && !matches!(self.verdict(i, id), Some(Finality::Void(_)));
        let now = self.nodes[i].service.as_ref().map_or(0, |s| s.now());
        now >= emergency.until || emergency.closed.as_ref().is_some_and(counts)
    }

    /// An escrow was opened, with lockers of these categories.
    pub(super) fn watch_opening(&mut self, nth: usize, categories: &[Category]) {
        self.note_releases(self.glass.emergencies.get(&nth).map_or(0, |e| e.by));
        let Some(emergency) = self.glass.emergencies.get(&nth) else { return };
        let whole = matches!(emergency.tier, Tier::Full | Tier::Recovery);
        let beyond = |c: &Category| !whole && *c != CATEGORIES[SUMMARY];
        let why = if !self.is_released(emergency, u64::MAX) {
            FINAL
        } else if !emergency.is_let(emergency.counted(&emergency.tapped)) {
            PEOPLE
        } else if categories.iter().any(beyond) {
            SCOPE
        } else if self.is_over(emergency.by, emergency) {
            OVER
        } else if self.is_stolen(emergency) {
            NEW_CARD
        } else {
            return;
        };
        self.watch.violated(why, format!("emergency {nth} opened {categories:?}"));
    }

    /// Whether what a lost card had sealed opens to another card than the one that its notice names.
    fn is_stolen(&self, emergency: &Emergency) -> bool {
        let notice = self.glass.notices.get(&emergency.patient);
        emergency.tier == Tier::Recovery && notice.is_none_or(|n| n.to != emergency.request.opener)
    }

    /// Looks at releases that a node shows, and at what it permits under them.
    pub(crate) fn watch_glass(&mut self, i: usize) {
        if self.glass.emergencies.is_empty() {
            return;
        }
        self.note_releases(i);
        let wrong = self.glass.emergencies.iter().find_map(|(nth, emergency)| {
            let wrong = self.wrong_release(i, emergency).or_else(|| self.wrong_permit(i, emergency))?;
            Some((wrong, *nth))
        });
        if let Some(((invariant, what), nth)) = wrong {
            self.watch.violated(invariant, format!("node {i}, emergency {nth}: {what}"));
        }
    }

    fn seen(&self, i: usize, emergency: &Emergency) -> Option<Seen> {
        self.nodes[i].service.as_ref()?.emergency(&emergency.id).ok()?
    }

    fn note_releases(&mut self, i: usize) {
        let emergencies = self.glass.emergencies.iter();
        let found: Vec<_> = emergencies
            .filter_map(|(nth, emergency)| Some((*nth, self.seen(i, emergency)?.release?.0)))
            .collect();
        for (nth, release) in found {
            if let Some(emergency) = self.glass.emergencies.get_mut(&nth)
                && emergency.releases.insert(release)
            {
                self.coverage.releases += 1;
            }
        }
    }

    fn wrong_release(&self, i: usize, emergency: &Emergency) -> Option<(&'static str, String)> {
        let (_, release, _) = self.seen(i, emergency)?.release?;
        let person = |g: &&usize| {
            let person = self.people.organizations[**g].person;
            release.approvals.iter().any(|a| Some(a.person) == person)
        };
        let approved = emergency.counted(emergency.tapped.iter().filter(person));
        let short = !emergency.is_let(approved) || approved < release.approvals.len();
        short.then(|| (PEOPLE, format!("released by {approved} of {} approvals", release.approvals.len())))
    }

    // The requester's organization may read its own, and what a consent permits, all the same.
    fn wrong_permit(&self, i: usize, emergency: &Emergency) -> Option<(&'static str, String)> {
        let service = self.nodes[i].service.as_ref()?;
        let knowledge = self.knowledge(i)?;
        let person = self.people.organizations[emergency.by].person?;
        let other = |record: &&Record| {
            record.patient == emergency.patient && !knowledge.permits(emergency.by, record)
        };
        for record in self.people.records.iter().filter(other) {
            let request = self.emergency_request(emergency.patient, person, record.content);
            if service.decide(&request).is_permitted()
                && let Some(why) = self.barred(i, emergency, record, service.state().height)
            {
                return Some((why, format!("{} may read category {}", emergency.by, record.category)));
            }
        }
        None
    }

    /// Why nothing of this requester's for the patient opens a record, if so.
    fn barred(&self, i: usize, of: &Emergency, record: &Record, height: u64) -> Option<&'static str> {
        let theirs = |e: &&Emergency| (e.by, e.patient) == (of.by, of.patient);
        let mut why = None;
        for emergency in self.glass.emergencies.values().filter(theirs) {
            let bar = if !self.is_released(emergency, height) {
                FINAL
            } else if !emergency.covers(record.category) {
                SCOPE
            } else if self.is_over(i, emergency) {
                OVER
            } else {
                return None;
            };
            // The nearest miss says most.
            why = if why.is_none() || bar != FINAL { Some(bar) } else { why };
        }
        why
    }

    /// What is not as it will be when all is well.
    pub(crate) fn unopened(&self, nodes: &[usize]) -> Option<(&'static str, String)> {
        for (nth, emergency) in &self.glass.emergencies {
            let home = self.people.patients[emergency.patient].home?;
            if nodes.contains(&home) && emergency.opened && nodes.contains(&emergency.by) {
                let patient = &self.people.patients[emergency.patient].id;
                let list = self.nodes[home].service.as_ref()?.emergencies(Some(patient)).ok()?;
                let listed = list.iter().any(|e| e.id == emergency.id && e.release.is_some());
                if !listed {
                    return Some((LISTED, format!("node {home} does not list emergency {nth}")));
                }
            }
        }
        None
    }

    /// Emergencies that were approved by enough, and where enough who hold shares are well: they open.
    pub(crate) fn open_what_is_released(&mut self) {
        let nodes = self.settled_nodes();
        let ready = |e: &Emergency| {
            let people = e.counted(e.taken.iter().filter(|g| nodes.contains(g))) >= e.people();
            let well = people && (e.tier != Tier::Card || e.presented == Some(true));
            let ends = self.nodes[e.by].service.as_ref().is_none_or(|s| s.now() + 1_000 >= e.until);
            let stands = e.closed.is_none() && !self.is_withdrawn(e);
            well && !ends && stands && nodes.contains(&e.by) && self.ledger_is_well(e, &nodes)
        };
        let due: Vec<usize> =
            self.glass.emergencies.iter().filter(|(_, e)| ready(e)).map(|(nth, _)| *nth).collect();
        for nth in due {
            let before = self.coverage.openings;
            self.open_glass(nth);
            if self.coverage.openings == before && self.watch.violation.is_none() {
                self.watch.violated(OPENS, format!("emergency {nth} was released and does not open"));
            }
        }
    }

    /// Whether the ground of an emergency may be gone: its notice contested, or the card suspended on which it stands.
    fn is_withdrawn(&self, emergency: &Emergency) -> bool {
        let patient = &self.people.patients[emergency.patient];
        let contested = self.glass.notices.get(&emergency.patient).is_some_and(|n| n.contested);
        let replaced = patient.suspended || patient.card_entry != Some(emergency.request.card);
        replaced || emergency.tier == Tier::Recovery && contested
    }

    /// Whether the keys of summaries stand at a home, and enough honest people and nodes hold shares of them.
    pub(crate) fn can_release(&self, home: usize, honest: &[usize]) -> bool {
        let standing = |name| self.nodes[home].service.as_ref().and_then(|s| s.committee_key(name).ok()?);
        let (Some(summary), Some(ledger)) = (standing(SUMMARY_COMMITTEE), standing(LEDGER_COMMITTEE)) else {
            return false;
        };
        let guardian = |g: &&usize| **g < GUARDIANS && self.guardian_share(**g, &summary.committee).is_some();
        let share = |i: &&usize| {
            self.nodes[**i].service.as_ref().is_some_and(|s| matches!(s.ledger_share(), Ok(Some(_))))
        };
        let validators = self.settled_nodes();
        let holders = validators.iter().filter(share).count() as u64;
        honest.iter().filter(guardian).count() >= 2 && holders >= ledger.entry.shares_needed
    }

    /// Whether a guardian holds a share of the key of whole records that stands at a home.
    pub(crate) fn holds_full(&self, home: usize, guardian: usize) -> bool {
        let standing = self.service(home).and_then(|s| s.committee_key(FULL_COMMITTEE).ok()?);
        standing.is_some_and(|full| self.guardian_share(guardian, &full.committee).is_some())
    }

    /// Whether a patient has an escrow for a new card.
    pub(crate) fn has_way_back(&self, p: usize) -> bool {
        let (patient, home) = (&self.people.patients[p].id, self.people.patients[p].home);
        let escrow = |at| self.service(at)?.escrow_of(patient, Tier::Recovery).ok()?;
        home.and_then(escrow).is_some()
    }

    fn ledger_is_well(&self, emergency: &Emergency, nodes: &[usize]) -> bool {
        let key = |i: &usize| self.nodes[*i].service.as_ref()?.ledger_share().ok()?;
        let holders = nodes.iter().filter(|i| key(i).is_some()).count();
        let committee = self.nodes[emergency.by].service.as_ref().map(|s| s.state().membership.clone());
        let needed = committee
            .and_then(|m| m.committees.get(&emergency.request.ledger).map(|c| c.entry.shares_needed));
        needed.is_some_and(|needed| holders as u64 >= needed)
    }
}
