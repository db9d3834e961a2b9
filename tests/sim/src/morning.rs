//! The morning after: once all is well again, a patient is treated as if nothing had been. What is permitted must
//! work now, and what is taken back must be refused, whatever the night did.

use hospes_protocol::emergency::Tier;
use hospes_protocol::limits::RECOVERY_DELAY_MS_DEFAULT;

use crate::glass::{Ask, SUMMARY};
use crate::plan::{GUARDIANS, Taken, To};
use crate::run::settle;
use crate::watch::WORKS;
use crate::world::World;

/// The number of the emergency of the morning.
const MORNING: usize = 99;
/// Requests for the way back: before the delay is over, for another card, and as it should be.
const TOO_EARLY: usize = 100;
const STOLEN: usize = 101;
const IN_TIME: usize = 102;

impl World {
    /// A record, a consent, a reading elsewhere, a revocation, a refusal, among honest members.
    pub(crate) fn morning_after(&mut self) {
        let honest = self.open_organizations();
        let [home, reader, ..] = honest[..] else { return };
        // Clocks that were ahead stand still until true time has come.
        let clocks = self.nodes.iter().filter_map(|n| n.service.as_ref()).map(|s| s.now());
        let ahead = clocks.max().unwrap_or(0).saturating_sub(self.time());
        self.run_to(self.now + ahead);
        let p = self.people.patients.len() - 1;
        let (records, reads) = (self.people.records.len(), self.coverage.reads);
        self.enrol(p, home);
        self.file_record(p, 0, 3_000);
        self.grant(p, To::Organization(reader), 0, 3_600_000);
        settle(self);
        self.read(reader, records);
        if self.coverage.reads == reads && self.watch.violation.is_none() {
            self.watch.violated(WORKS, format!("{reader} can't read what patient {p} consented to"));
        }
        let refusals = self.coverage.refusals;
        self.revoke(p, 0, Taken::Named);
        settle(self);
        self.read(reader, records);
        if self.coverage.refusals == refusals && self.watch.violation.is_none() {
            self.watch.violated(WORKS, format!("{reader} is not refused what patient {p} took back"));
        }
        if self.plan.shape.glass && self.watch.violation.is_none() {
            self.emergency_after(p, reader, &honest);
        }
    }

    /// Then the patient can't be asked: one guardian opens nothing, two do, and what is closed is closed.
    fn emergency_after(&mut self, p: usize, reader: usize, honest: &[usize]) {
        if !self.keys_stand_by_now(p, honest) {
            return;
        }
        self.coverage.glass = true;
        self.make_escrows(p, false);
        self.file_record(p, SUMMARY, 700);
        settle(self);
        let ask = Ask { by: reader, patient: p, tier: Tier::Summary, for_ms: 3_600_000 };
        for _ in 0..4 {
            self.ask_glass(MORNING, ask);
            self.run_to(self.now + 1_000);
        }
        let before = self.coverage.openings;
        self.open_glass(MORNING);
        for guardian in honest.iter().copied().filter(|g| *g < GUARDIANS) {
            self.approve_glass(MORNING, guardian);
            self.run_to(self.now + 8_000);
            self.open_glass(MORNING);
            if self.coverage.openings > before {
                break;
            }
        }
        if self.coverage.openings == before && self.watch.violation.is_none() {
            self.watch.violated(WORKS, "guardians approve, and nothing opens".to_owned());
        }
        self.close_glass(MORNING);
        settle(self);
        self.open_glass(MORNING);
        if self.plan.shape.recovery_delay_ms < RECOVERY_DELAY_MS_DEFAULT && self.watch.violation.is_none() {
            self.lost_card_after(p, reader, honest);
        }
    }

    /// Then the card is lost: before the delay nothing opens, nor for another card; after it the new card does, unless that
    /// is contested.
    fn lost_card_after(&mut self, p: usize, witness: usize, honest: &[usize]) {
        let Some(home) = self.people.patients[p].home else { return };
        let others = honest.iter().copied().filter(|g| *g < GUARDIANS && *g != home);
        let others: Vec<usize> = others.filter(|g| self.holds_full(home, *g)).collect();
        if others.len() < 3 || !self.has_way_back(p) {
            return;
        }
        self.give_notice(p, witness);
        settle(self);
        let before = self.coverage.openings;
        self.try_way_back((TOO_EARLY, p, false), &others);
        self.run_to(self.now + self.plan.shape.recovery_delay_ms + 2_000);
        self.try_way_back((STOLEN, p, true), &others);
        let contested = self.plan.shape.contested;
        self.ask_way_back(IN_TIME, p, false);
        if contested {
            self.run_to(self.now + 3_000);
            self.contest_notice(p);
        }
        self.try_way_back((IN_TIME, p, false), &others);
        if !contested && self.coverage.openings == before && self.watch.violation.is_none() {
            self.watch.violated(WORKS, "three guardians approve, and the new card opens nothing".to_owned());
        }
        settle(self);
    }

    /// Asks for the way back, and where that is lawful has guardians approve and the card open.
    fn try_way_back(&mut self, (nth, p, thief): (usize, usize, bool), guardians: &[usize]) {
        self.ask_way_back(nth, p, thief);
        if !self.glass.emergencies.contains_key(&nth) || self.watch.violation.is_some() {
            return;
        }
        for guardian in guardians {
            self.run_to(self.now + 2_000);
            self.approve_glass(nth, *guardian);
        }
        self.run_to(self.now + 8_000);
        self.open_glass(nth);
    }

    /// Whether all that an emergency needs is here, after another ceremony where the night left none.
    fn keys_stand_by_now(&mut self, p: usize, honest: &[usize]) -> bool {
        let Some(home) = self.people.patients[p].home else { return false };
        for _ in 0..60 {
            self.set_committees();
            self.hold_ceremonies();
            self.run_to(self.now + 500);
            if self.can_release(home, honest) || self.watch.violation.is_some() {
                break;
            }
        }
        self.watch.violation.is_none() && self.can_release(home, honest)
    }
}
