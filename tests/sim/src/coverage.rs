//! What a run did: so that a run which did nothing can't pass for one that held.

use std::collections::BTreeMap;
use std::fmt;

/// Counts of a run, or of many.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// The greatest height.
    pub heights: u64,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Grants that were filed.
    pub grants: u64,
    /// Revocations that were filed.
    pub revocations: u64,
    /// Records that were opened.
    pub reads: u64,
    /// Acts that were refused by number or rule.
    pub refusals: u64,
    /// Entries that a node reported durable.
    pub reported: u64,
    /// Of these, those that are gone.
    pub lost: u64,
    /// Entries of a node that forked, filed once more by another.
    pub anew: u64,
    /// Erasures that were ordered.
    pub erasures: u64,
    /// Whether break-glass is part of the run.
    pub glass: bool,
    /// Requests to break the glass.
    pub requests: u64,
    /// Releases that some node showed.
    pub releases: u64,
    /// Escrows that were opened.
    pub openings: u64,
    /// Notices that lost cards are to be replaced.
    pub notices: u64,
    /// Those of them that were contested.
    pub contests: u64,
    /// New cards that took over what a lost one had sealed.
    pub recoveries: u64,
    /// Approvals and openings that were refused, and readings beyond a release.
    pub glass_refusals: u64,
    /// Changes of membership that were filed.
    pub changes: u64,
    /// Decisions that were compared with the model's.
    pub decisions: u64,
    /// Messages delivered.
    pub messages: u64,
    /// Virtual milliseconds that healing took.
    pub healing_ms: u64,
}

impl Coverage {
    /// Counts a fault.
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    /// What a run must have done at least and didn't; null where nothing is missing.
    #[must_use]
    pub fn missing(&self) -> Option<&'static str> {
        let wanted = [
            (self.heights, "no height was committed"),
            (self.faults.values().sum(), "no fault happened"),
            (self.grants, "nothing was granted"),
            (self.revocations, "nothing was revoked"),
            (self.reads, "nothing was read"),
            (self.refusals, "nothing was refused"),
            (self.decisions, "no decision was compared"),
        ];
        let of_glass = [
            (self.requests, "no glass was to be broken"),
            (self.releases, "no emergency was released"),
            (self.openings, "no escrow was opened"),
            (self.glass_refusals, "no opening was refused"),
        ];
        let of_glass = of_glass.into_iter().filter(|_| self.glass);
        wanted.into_iter().chain(of_glass).find_map(|(count, what)| (count == 0).then_some(what))
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        self.heights += other.heights;
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        self.grants += other.grants;
        self.revocations += other.revocations;
        self.reads += other.reads;
        self.refusals += other.refusals;
        self.reported += other.reported;
        self.lost += other.lost;
        self.anew += other.anew;
        self.erasures += other.erasures;
        self.requests += other.requests;
        self.releases += other.releases;
        self.openings += other.openings;
        self.glass_refusals += other.glass_refusals;
        self.notices += other.notices;
        self.contests += other.contests;
        self.recoveries += other.recoveries;
        self.changes += other.changes;
        self.decisions += other.decisions;
        self.messages += other.messages;
        self.healing_ms = self.healing_ms.max(other.healing_ms);
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: u64 = self.faults.values().sum();
        write!(
            f,
            "heights {} faults {faults} grants {} revocations {} reads {} refusals {} changes {} reported {} filed anew {} \
             decisions {} messages {} healed in {} ms",
            self.heights,
            self.grants,
            self.revocations,
            self.reads,
            self.refusals,
            self.changes,
            self.reported,
            self.anew,
            self.decisions,
            self.messages,
            self.healing_ms
        )?;
        if self.erasures > 0 {
            write!(f, " erasures {}", self.erasures)?;
        }
        if self.requests > 0 {
            let (requests, releases) = (self.requests, self.releases);
            let (openings, refusals) = (self.openings, self.glass_refusals);
            write!(f, " emergencies {requests} released {releases} opened {openings} refused {refusals}")?;
        }
        if self.notices > 0 {
            let (contests, recoveries) = (self.contests, self.recoveries);
            write!(f, " lost cards {} contested {contests} replaced {recoveries}", self.notices)?;
        }
        for (kind, count) in &self.faults {
            write!(f, " [{kind} {count}]")?;
        }
        Ok(())
    }
}
