//! The morning after: once all is well again, a patient is treated as if nothing had been. What is permitted must
//! work now, and what is taken back must be refused, whatever the night did.

use crate::plan::{Taken, To};
use crate::run::settle;
use crate::watch::WORKS;
use crate::world::World;

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
    }
}
