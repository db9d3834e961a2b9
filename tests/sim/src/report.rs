//! Many runs and what is printed of them: a line for each seed that fails, tables at the end.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::coverage::Coverage;
use crate::day;
use crate::growth;
use crate::history;
use crate::mutants;
use crate::plan::Plan;
use crate::run::{Outcome, run};
use crate::shrink::shrink;

/// Runs that shortening a story may take.
const TRIES: usize = 250;
/// Stories that are told of failing seeds; of the rest only the line.
const STORIES: usize = 3;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// Threads.
    pub jobs: usize,
    /// One seed instead.
    pub seed: Option<u64>,
    /// Every mutant instead.
    pub mutants: bool,
    /// A day instead, of that one seed.
    pub day: bool,
    /// The same load in federations of many sizes instead.
    pub growth: bool,
    /// A chain of so many blocks instead.
    pub history: Option<u64>,
    /// As JSON, where there is such a form.
    pub json: bool,
    /// This mutant lives in the one seed, or its day; of all mutants this one is hunted.
    pub mutant: Option<String>,
}

impl Job {
    /// How it is called.
    pub const USAGE: &'static str = "hospes-sim [--seeds N] [--from K] [--jobs J] | --mutants yes [--seeds N] [--mutant NAME] | --seed N [--mutant NAME]\n\
     hospes-sim --day yes [--seed N] [--mutant NAME] | --growth yes [--json yes] | --history N [--json yes]";

    /// Reads arguments; null where they make no sense.
    #[must_use]
    pub fn read(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let mut job = Self {
            from: 0,
            seeds: 200,
            jobs: 2,
            seed: None,
            mutants: false,
            day: false,
            growth: false,
            history: None,
            json: false,
            mutant: None,
        };
        while let Some(name) = args.next() {
            let value = args.next()?;
            match name.as_str() {
                "--seeds" => job.seeds = value.parse().ok()?,
                "--from" => job.from = value.parse().ok()?,
                "--jobs" => job.jobs = value.parse().ok().filter(|j| *j > 0)?,
                "--seed" => job.seed = Some(value.parse().ok()?),
                "--mutants" => job.mutants = value == "yes",
                "--day" => job.day = value == "yes",
                "--growth" => job.growth = value == "yes",
                "--history" => job.history = Some(value.parse().ok()?),
                "--json" => job.json = value == "yes",
                "--mutant" => job.mutant = Some(value),
                _ => return None,
            }
        }
        Some(job)
    }
}

/// Does the job and tells of it; gives whether all held.
///
/// # Errors
/// Of the output only.
pub fn tell(job: &Job, out: &mut impl Write) -> io::Result<bool> {
    if !mutants::choose(job.mutant.as_deref()) {
        writeln!(out, "there is no such mutant in this build")?;
        return Ok(false);
    }
    if job.day {
        return day::tell(job.seed.unwrap_or(1), out);
    }
    if job.growth {
        return growth::tell(job.json, out);
    }
    if let Some(blocks) = job.history {
        return history::tell(blocks, job.json, out);
    }
    if job.mutants {
        return mutants::tell(job, out);
    }
    match job.seed {
        Some(seed) => tell_one(seed, out),
        None => tell_many(job, out),
    }
}

fn tell_one(seed: u64, out: &mut impl Write) -> io::Result<bool> {
    let plan = Plan::of(seed);
    let outcome = run(&plan);
    let Some(violation) = outcome.violation.clone() else {
        outcome.story.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        writeln!(out, "seed {seed}: {}", outcome.coverage)?;
        return Ok(true);
    };
    writeln!(out, "seed {seed}: {}: {}", violation.invariant, violation.what)?;
    story(&plan, violation.invariant, out)?;
    Ok(false)
}

fn story(plan: &Plan, invariant: &str, out: &mut impl Write) -> io::Result<()> {
    let (short, outcome) = shrink(plan, invariant, TRIES);
    writeln!(out, "  {} of {} items suffice:", short.items.len(), plan.items.len())?;
    outcome.story.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
    match outcome.violation {
        Some(v) => writeln!(out, "  {}: {}", v.invariant, v.what),
        None => Ok(()),
    }
}

/// Runs many seeds on some threads; the outcomes of those that failed, by seed, and all that was done.
fn many(job: &Job) -> (Coverage, BTreeMap<u64, Outcome>) {
    let next = AtomicU64::new(job.from);
    let done = Mutex::new((Coverage::default(), BTreeMap::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= job.from + job.seeds {
                return;
            }
            let outcome = run(&Plan::of(seed));
            let mut done = done.lock().expect("no thread panics while it holds this");
            done.0.add(&outcome.coverage);
            if outcome.violation.is_some() || outcome.coverage.missing().is_some() {
                done.1.insert(seed, outcome);
            }
        }
    };
    std::thread::scope(|scope| (0..job.jobs).for_each(|_| drop(scope.spawn(work))));
    done.into_inner().expect("all threads are done")
}

fn tell_many(job: &Job, out: &mut impl Write) -> io::Result<bool> {
    let (total, failed) = many(job);
    for (number, (seed, outcome)) in failed.iter().enumerate() {
        match &outcome.violation {
            Some(v) => {
                writeln!(out, "seed {seed}: {}: {}\n  {}", v.invariant, v.what, outcome.coverage)?;
                if number < STORIES {
                    story(&Plan::of(*seed), v.invariant, out)?;
                }
            }
            None => {
                let missing = outcome.coverage.missing().unwrap_or_default();
                writeln!(out, "seed {seed}: {missing}\n  {}", outcome.coverage)?;
            }
        }
    }
    table(job, &total, failed.len(), out)?;
    Ok(failed.is_empty())
}

fn table(job: &Job, total: &Coverage, failed: usize, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:<44} {:>9} {:>6} {:>10}", "fault survived", "tried", "lost", "violations")?;
    for (kind, count) in &total.faults {
        writeln!(out, "{kind:<44} {count:>9} {:>6} {failed:>10}", total.lost)?;
    }
    writeln!(out, "{} seeds from {}: {total}", job.seeds, job.from)?;
    writeln!(out, "{} held, {failed} failed", job.seeds - failed as u64)
}
