//! Mutants: each invariant must catch a fault of our own making, or it checks nothing.

/// Lets a mutant live on this thread; false where this build has none of that name.
#[must_use]
pub(crate) fn choose(name: Option<&str>) -> bool {
    let Some(name) = name else { return true };
    #[cfg(feature = "mutants")]
    {
        use hospes_protocol::mutants::{Mutant, choose};
        let found = Mutant::ALL.iter().copied().find(|m| format!("{m:?}") == name);
        choose(found);
        found.is_some()
    }
    #[cfg(not(feature = "mutants"))]
    {
        let _unknown = name;
        false
    }
}

/// Says that there are none.
#[cfg(not(feature = "mutants"))]
pub(crate) fn tell(_job: &crate::report::Job, out: &mut impl std::io::Write) -> std::io::Result<bool> {
    writeln!(out, "this build has no mutants: cargo run -p hospes-sim --features mutants")?;
    Ok(false)
}

#[cfg(feature = "mutants")]
pub(crate) use living::tell;

#[cfg(feature = "mutants")]
mod living {
    use std::io::{self, Write};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use hospes_protocol::mutants::{Mutant, choose};

    use crate::plan::{Act, Fault, Item, Plan, Trick, What};
    use crate::report::Job;
    use crate::run::run;
    use crate::stories::STORIES_FROM;

    /// Who caught a mutant, and after how many seeds.
    struct Caught {
        invariant: &'static str,
        seeds: u64,
        seed: u64,
    }

    fn fills(plan: &Plan) -> bool {
        plan.items.iter().any(|i| matches!(i.what, What::Fault(Fault::Full { pages: ..=10, .. })))
    }

    fn acts(plan: &Plan, of: impl Fn(&Act) -> bool) -> bool {
        plan.items.iter().any(|i| matches!(&i.what, What::Act(act) if of(act)))
    }

    fn removes(plan: &Plan) -> bool {
        acts(plan, |act| matches!(act, Act::Remove { .. }))
    }

    fn copies(plan: &Plan) -> bool {
        plan.items.iter().any(|i| matches!(i.what, What::Fault(Fault::Copy { .. })))
    }

    fn erases(plan: &Plan) -> bool {
        acts(plan, |act| matches!(act, Act::Erase { .. }))
    }

    /// Whether somebody breaks the glass of a patient of such a home.
    fn breaks_glass(plan: &Plan, of: impl Fn(usize) -> bool) -> bool {
        let asked = plan.items.iter().find_map(|i| match i.what {
            What::Act(Act::Ask { patient, .. }) => Some(patient),
            _ => None,
        });
        let enrols = |i: &Item| matches!(i.what, What::Act(Act::Enrol { patient, at }) if asked == Some(patient) && of(at));
        plan.items.iter().any(enrols)
    }

    /// Whether a mutant does wrong what only the stories have.
    const fn has_story(mutant: Mutant) -> bool {
        matches!(
            mutant,
            Mutant::BranchForgotten
                | Mutant::ReleasePending
                | Mutant::ReleaseByFewer
                | Mutant::ScopeUnread
                | Mutant::CloseUnread
                | Mutant::ReleaseEndless
                | Mutant::NoticeUnsent
                | Mutant::BlobsOutlive
                | Mutant::KeyOutlives
                | Mutant::PresenceUnread
                | Mutant::OpenerUnbound
        )
    }

    /// Whether a plan has what a mutant does wrong: a liar who uses it, a disk that fills, a lease that can end.
    fn concerns(mutant: Mutant, plan: &Plan) -> bool {
        let lies = |trick: Trick| {
            let turns =
                |item: &Item| matches!(item.what, What::Fault(Fault::Turn { trick: t, .. }) if t == trick);
            plan.items.iter().any(turns)
        };
        match mutant {
            Mutant::QuorumOfOne | Mutant::BlockUnbound => lies(Trick::ForeignCertificates),
            Mutant::LockUnheld => lies(Trick::YesMan),
            Mutant::RoomUnsought => fills(plan),
            Mutant::BranchForgotten => copies(plan),
            Mutant::BlobsOutlive | Mutant::KeyOutlives => erases(plan),
            Mutant::NoticeUnsent => breaks_glass(plan, |home| home >= plan.shape.validators),
            Mutant::ReleasePending
            | Mutant::ReleaseByFewer
            | Mutant::ScopeUnread
            | Mutant::CloseUnread
            | Mutant::ReleaseEndless => breaks_glass(plan, |_| true),
            Mutant::PresenceUnread => acts(plan, |a| matches!(a, Act::Present { forged: true, .. })),
            Mutant::OpenerUnbound => acts(plan, |a| matches!(a, Act::Recover { thief: true, .. })),
            Mutant::StrandedCounts | Mutant::OrphansStay => removes(plan),
            Mutant::LeaseUnread => plan.shape.lease_ms < plan.shape.active_ms,
            _ => true,
        }
    }

    // A seed that fails without the mutant, too, has not caught it.
    fn hunt(mutant: Mutant, job: &Job) -> Option<Caught> {
        let from = if has_story(mutant) { job.from.max(STORIES_FROM) } else { job.from };
        let plans = (from..).map(Plan::of).filter(|plan| concerns(mutant, plan));
        let tried = plans.take(usize::try_from(job.seeds).unwrap_or(usize::MAX));
        tried.zip(1..).find_map(|(plan, seeds)| {
            choose(Some(mutant));
            let violation = run(&plan).violation;
            choose(None);
            let invariant = violation?.invariant;
            run(&plan).violation.is_none().then_some(Caught { invariant, seeds, seed: plan.seed })
        })
    }

    /// Runs every mutant until a seed catches it, and prints who caught it.
    pub(crate) fn tell(job: &Job, out: &mut impl Write) -> io::Result<bool> {
        let named = |m: &&Mutant| job.mutant.as_ref().is_none_or(|name| format!("{m:?}") == *name);
        let all: Vec<Mutant> = Mutant::ALL.iter().filter(named).copied().collect();
        let next = AtomicUsize::new(0);
        let caught = Mutex::new(Vec::new());
        let work = || {
            while let Some(mutant) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                let found = hunt(*mutant, job);
                caught.lock().expect("no thread panics while it holds this").push((*mutant, found));
            }
        };
        std::thread::scope(|scope| (0..job.jobs).for_each(|_| drop(scope.spawn(work))));
        let mut caught = caught.into_inner().expect("all threads are done");
        caught.sort_by_key(|(mutant, _)| all.iter().position(|m| m == mutant));
        writeln!(out, "{:<20} {:<50} {:>5} {:>6}", "mutant", "caught by", "seeds", "seed")?;
        for (mutant, found) in &caught {
            let name = format!("{mutant:?}");
            match found {
                Some(c) => writeln!(out, "{name:<20} {:<50} {:>5} {:>6}", c.invariant, c.seeds, c.seed)?,
                None => writeln!(out, "{name:<20} NOT CAUGHT in {} seeds", job.seeds)?,
            }
        }
        let missed = caught.iter().filter(|(_, c)| c.is_none()).count();
        writeln!(out, "{} mutants caught, {missed} missed", caught.len() - missed)?;
        Ok(missed == 0)
    }
}
