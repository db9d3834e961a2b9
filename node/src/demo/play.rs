//! Plays the table of steps: what each stands on, its deadline, its line in the report.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::failed::{Failed, Outcome};
use super::world::World;
use super::{BANNER, DemoArgs, PcscReaders};

/// One step of the table.
pub(crate) struct Step {
    /// Its stable name.
    pub(crate) id: &'static str,
    /// What it shows; requirements in brackets.
    pub(crate) claim: &'static str,
    /// Within which it must have shown it.
    pub(crate) deadline: Duration,
    /// Steps whose outcome it uses.
    pub(crate) needs: &'static [&'static str],
    /// Plays and checks it.
    pub(crate) act: fn(&mut World) -> Outcome,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct StepLine {
    /// The step's name.
    pub(crate) id: &'static str,
    /// What it claims.
    pub(crate) claim: &'static str,
    /// Whether that held.
    pub(crate) ok: bool,
    /// How long what the deadline is about took, in milliseconds.
    pub(crate) ms: u64,
    /// What was seen, or what went wrong.
    pub(crate) evidence: String,
    /// Whether only the deadline was missed.
    #[serde(skip)]
    pub(crate) late: bool,
}

impl std::fmt::Display for StepLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = if self.ok { "ok" } else { "FAIL" };
        write!(f, "{verdict:<4} {:<4}{:>7} ms  {}: {}", self.id, self.ms, self.claim, self.evidence)
    }
}

/// What the demo showed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Every step that was played, in order.
    pub(crate) steps: Vec<StepLine>,
    /// Addresses of the nodes that were left running.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) running: Vec<String>,
}

impl Report {
    /// The exit code: 0 all held, 1 something was wrong or isn't built, 3 only deadlines were missed.
    pub(crate) fn exit_code(&self) -> u8 {
        let missed = |line: &&StepLine| !line.ok;
        if self.steps.iter().filter(missed).any(|line| !line.late) {
            1
        } else if self.steps.iter().any(|line| !line.ok) {
            3
        } else {
            0
        }
    }
}

/// Plays `table`.
///
/// # Errors
/// [`Failed`] if it could not begin.
pub(super) fn play(
    args: &DemoArgs,
    readers: &PcscReaders,
    table: &[Step],
    mut show: impl FnMut(&StepLine),
) -> Result<Report, Failed> {
    let chosen = chosen(table, args.only.as_deref())?;
    let mut world = World::new(args, readers)?;
    tracing::info!("{BANNER}");
    let mut steps: Vec<StepLine> = Vec::new();
    for step in table.iter().filter(|s| chosen.contains(&s.id)) {
        let line = line_of(step, &steps, &mut world, args.strict);
        show(&line);
        steps.push(line);
    }
    let running = if args.keep { world.keep()? } else { Vec::new() };
    Ok(Report { steps, running })
}

fn line_of(step: &Step, before: &[StepLine], world: &mut World, strict: bool) -> StepLine {
    let broken = |id: &&&str| before.iter().any(|l| l.id == **id && !l.ok && !l.late);
    let (started, in_hand) = (Instant::now(), world.in_hand());
    let outcome = match step.needs.iter().find(broken) {
        Some(id) => Err(Failed::NotReached(format!("step {id} did not hold"))),
        None => (step.act)(world),
    };
    // How fast somebody swaps cards is not the program's merit or fault.
    let swapping = world.in_hand().saturating_sub(in_hand);
    judge(step, outcome, started.elapsed().saturating_sub(swapping), strict)
}

fn judge(step: &Step, outcome: Outcome, elapsed: Duration, strict: bool) -> StepLine {
    let took = outcome.as_ref().ok().and_then(|shown| shown.took).unwrap_or(elapsed);
    let late = outcome.is_ok() && took > step.deadline;
    let mut evidence = match &outcome {
        Ok(shown) => shown.evidence.clone(),
        Err(failed) => failed.to_string(),
    };
    if late {
        evidence.push_str(&format!("; later than {} ms", step.deadline.as_millis()));
    }
    let ok = outcome.is_ok() && !(late && strict);
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    StepLine { id: step.id, claim: step.claim, ok, ms, evidence, late }
}

/// The steps to play: all, or one with everything that it stands on.
fn chosen(table: &[Step], only: Option<&str>) -> Result<Vec<&'static str>, Failed> {
    let by_id: BTreeMap<&str, &Step> = table.iter().map(|s| (s.id, s)).collect();
    let Some(only) = only else { return Ok(table.iter().map(|s| s.id).collect()) };
    let mut chosen = Vec::new();
    let mut open = vec![only];
    while let Some(id) = open.pop() {
        let Some(step) = by_id.get(id) else {
            let ids: Vec<_> = table.iter().map(|s| s.id).collect();
            return Err(Failed::Usage(format!("there is no step {id}; there are {}", ids.join(" "))));
        };
        if !chosen.contains(&step.id) {
            chosen.push(step.id);
            open.extend(step.needs);
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::super::failed::Shown;
    use super::*;

    fn step(id: &'static str, needs: &'static [&'static str]) -> Step {
        let act = |_: &mut World| Ok(Shown::that("seen"));
        Step { id, claim: "it holds", deadline: Duration::from_millis(10), needs, act }
    }

    fn line(outcome: Outcome, ms: u64, strict: bool) -> StepLine {
        judge(&step("1", &[]), outcome, Duration::from_millis(ms), strict)
    }

    fn exit_of(lines: Vec<StepLine>) -> u8 {
        Report { steps: lines, running: Vec::new() }.exit_code()
    }

    #[test]
    fn a_missed_deadline_counts_only_where_it_is_strict() {
        let good = || line(Ok(Shown::that("seen")), 5, true);
        assert_eq!(exit_of(vec![good()]), 0, "all held");
        assert_eq!(exit_of(vec![line(Ok(Shown::that("seen")), 11, false)]), 0, "late, not strict");
        let late = || line(Ok(Shown::that("seen")), 11, true);
        assert_eq!(exit_of(vec![good(), late()]), 3, "late, strict");
        let wrong = line(Err(Failed::wrong("another outcome")), 5, true);
        assert_eq!(exit_of(vec![late(), wrong]), 1, "a wrong outcome outweighs a deadline");
    }

    #[test]
    fn a_step_that_is_not_built_says_so_and_fails() {
        let missing = line(Err(Failed::NotBuilt("no such address".into())), 1, false);
        assert!(missing.evidence.starts_with("not built"), "it says so: {}", missing.evidence);
        assert_eq!(exit_of(vec![missing]), 1, "and that fails the demo");
    }

    #[test]
    fn one_step_brings_those_that_it_stands_on() {
        let table = [step("1", &[]), step("2", &["1"]), step("3", &[]), step("4", &["2"])];
        let mut ids = chosen(&table, Some("4")).unwrap();
        ids.sort_unstable();
        assert_eq!(ids, ["1", "2", "4"], "and no other");
        assert!(matches!(chosen(&table, Some("9")), Err(Failed::Usage(_))), "an unknown step is refused");
    }

    #[test]
    fn every_need_of_the_real_table_stands_before_it() {
        let mut seen = Vec::new();
        for step in super::super::steps::TABLE {
            let held = step.needs.iter().all(|need| seen.contains(need));
            assert!(held, "step {} stands only on earlier ones", step.id);
            assert!(!seen.contains(&step.id), "step {} is there once", step.id);
            seen.push(step.id);
        }
    }
}
