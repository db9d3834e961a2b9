//! From a failing plan to a short one: delta debugging (Zeller, 1999) over the items of the plan.
//!
//! An item that is left out leaves the fate of messages on other links as it was, so most of a story survives
//! the loss of the rest.

use crate::plan::{Item, Plan};
use crate::run::{Outcome, run};

/// A plan with as few items as still break the same invariant, and what came of it. At most `tries` runs.
#[must_use]
pub fn shrink(plan: &Plan, invariant: &str, tries: usize) -> (Plan, Outcome) {
    let mut best = (plan.clone(), run(plan));
    let (mut left, mut chunk) = (tries, plan.items.len().div_ceil(2));
    while chunk > 0 && left > 0 {
        let mut from = 0;
        let mut shorter = false;
        while from < best.0.items.len() && left > 0 {
            left -= 1;
            let candidate = without(&best.0, from, chunk);
            let outcome = run(&candidate);
            if outcome.violation.as_ref().is_some_and(|v| v.invariant == invariant) {
                best = (candidate, outcome);
                shorter = true;
            } else {
                from += chunk;
            }
        }
        if chunk > 1 {
            chunk = chunk.div_ceil(2);
        } else if !shorter {
            break;
        }
    }
    best
}

fn without(plan: &Plan, from: usize, chunk: usize) -> Plan {
    let kept = |(place, _): &(usize, &Item)| *place < from || *place >= from + chunk;
    let items = plan.items.iter().enumerate().filter(kept).map(|(_, item)| *item).collect();
    Plan { items, ..plan.clone() }
}
