//! The table of faults survived, in the form of the simulator's.

use std::collections::BTreeMap;
use std::time::Duration;

/// What was tried and what came of it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    faults: BTreeMap<String, u64>,
    pub(crate) lost: Vec<String>,
    pub(crate) violations: Vec<String>,
    pub(crate) restarts: Vec<Duration>,
}

impl Table {
    pub(crate) fn tried(&mut self, kind: &str) {
        *self.faults.entry(kind.to_owned()).or_default() += 1;
    }

    /// Prints it; what is wrong is named before.
    pub(crate) fn print(&mut self) {
        for line in self.lost.iter().chain(&self.violations).take(40) {
            println!("  {line}");
        }
        println!("{:<60} {:>9} {:>6} {:>10}", "fault survived", "tried", "lost", "violations");
        for (kind, count) in &self.faults {
            println!("{kind:<60} {count:>9} {:>6} {:>10}", self.lost.len(), self.violations.len());
        }
        self.restarts.sort();
        if let (Some(middle), Some(max)) = (self.restarts.get(self.restarts.len() / 2), self.restarts.last())
        {
            println!(
                "{} restarts from exec to an answer: p50 {} ms, max {} ms",
                self.restarts.len(),
                middle.as_millis(),
                max.as_millis()
            );
        }
    }
}
