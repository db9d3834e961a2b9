//! The morning after: once all is well again, a patient is treated as if nothing had been. What is permitted must
//! work now, and what is taken back must be refused, whatever the night did.

use crate::glass::{Ask, SUMMARY};
use crate::plan::{GUARDIANS, Taken, To};
use crate::run::settle;
use crate::watch::WORKS;
use crate::world::World;

/// The number of the emergency of the morning.
const MORNING: usize = 99;

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
        let ask = Ask { by: reader, patient: p, full: false, for_ms: 3_600_000 };
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
