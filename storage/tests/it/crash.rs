//! Whatever was reported durable is there after a power cut at any instant, and nothing is there by half.
//!
//! Method: one workload over both databases and the key file is cut after each of a range of operations on
//! the medium; what no sync covered is lost, kept or torn; the store is opened again and compared with what
//! had been reported. It runs once with each step durable by itself, and once with several that wait for one
//! another; then what is there is all that was settled and, of the rest, no step without those before it. The
//! checker is seen to fail on a store that leaves out its syncs and on a medium that lies about them.

use hospes_storage::fault::{Cut, FaultyMedium};
use hospes_storage::{Ledger, Medium, Objects, Options, Result, Store, StoreError, Write};

use crate::world::{
    Chain, ME, body, content, filler, header, header_id, lock, node_key, options, patient, reopen, rng,
    sealed, segment,
};

/// One call of the workload, which is one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A body with its index row.
    Body(u64),
    /// The own header that names it.
    Own(u64),
    /// Segments.
    Segments(u64),
    /// Entries of the WAL.
    Wal(u64),
    /// A height that makes two headers final.
    Commit(u64),
    /// The patient of the first body is erased.
    Erase,
}

const ROUNDS: u64 = 6;
/// Steps that wait for one another: no divisor of a round, so that groups begin at every kind of step.
const GATHERED: usize = 4;

fn workload() -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 1..=ROUNDS {
        for n in [2 * round - 1, 2 * round] {
            steps.extend([Step::Body(n), Step::Own(n)]);
        }
        steps.extend([Step::Segments(round), Step::Wal(round), Step::Commit(round)]);
        if round == 4 {
            steps.push(Step::Erase);
        }
    }
    steps
}

fn of(n: u64) -> Option<hospes_protocol::ids::PatientId> {
    Some(patient(if n == 1 { "erased" } else { "ada" }))
}

fn row(n: u64) -> hospes_storage::SealedRow {
    sealed("records", "ada", n, "r", None)
}

fn big(n: u64, part: u64) -> (hospes_protocol::ids::ObjectId, Write) {
    segment(&format!("{n} {part}"), 60_000)
}

fn run(store: &Store, chain: &mut Chain, step: Step) -> Result<()> {
    match step {
        Step::Body(n) => store.apply(&[Write::Body(body(&n.to_string(), 19, of(n))), Write::Sealed(row(n))]),
        Step::Own(n) => store.put_own(&[header(&ME, "a", n)]),
        Step::Segments(n) => store.apply(&[big(n, 0).1, big(n, 1).1]),
        Step::Wal(n) => store.wal_append(n, &[filler("a", 90), filler("b", 90)]),
        Step::Commit(n) => store.commit(&chain.next(&[header(&ME, "a", 2 * n - 1), header(&ME, "a", 2 * n)])),
        Step::Erase => store.erase(&patient("erased")),
    }
}

/// The parts that a step makes true; all of them or none.
fn parts(store: &Store, step: Step, later: bool, erased: bool) -> Result<Vec<bool>> {
    Ok(match step {
        Step::Body(n) => {
            let gone = erased && n == 1;
            let here = store
                .body(&content(&n.to_string()))?
                .is_some_and(|b| b.bytes == body(&n.to_string(), 19, None).bytes);
            let listed = store.bodies(of(n).as_ref(), None, 0, 100)?.contains(&content(&n.to_string()));
            let indexed = store.sealed(&row(n).key)?.is_some();
            // Between dropping the key and sweeping, the index may still list what no longer opens.
            if gone { vec![indexed] } else { vec![here, listed, indexed] }
        }
        Step::Own(n) => {
            let stands = store.header(&header_id(&ME, "a", n))?.is_some();
            let counted = store.own_sequence(&ME)? >= n;
            let filed = store.is_filed(&header(&ME, "a", n).content)?;
            vec![stands, counted, filed]
        }
        Step::Segments(n) => {
            let has = |part| Ok::<_, StoreError>(store.object(&big(n, part).0)?.is_some());
            vec![has(0)?, has(1)?]
        }
        // A WAL is gone once its height is final.
        Step::Wal(_) if later => Vec::new(),
        Step::Wal(n) => match store.wal(n)?.len() {
            0 => vec![false],
            2 => vec![true],
            _ => vec![true, false],
        },
        Step::Commit(n) => {
            let tip = store.tip()?.is_some_and(|t| t.height >= n);
            let block = store.block(n)?.is_some_and(|b| b.0 == Chain::block(n));
            let closed = store.lock(&lock(n))?.is_some();
            let is_final = store.finality(&header_id(&ME, "a", 2 * n))?.is_some_and(|f| f.height == n);
            let left = store.outbox()?.iter().all(|h| h.sequence > 2 * n);
            let wal = !tip || store.wal(n)?.is_empty();
            let state = later || (store.state()? == Some(Chain::state(n))) == tip;
            let mut parts = vec![tip, block, closed, is_final];
            if tip || store.own_sequence(&ME)? >= 2 * n {
                parts.push(left);
            }
            parts.extend((!(wal && state)).then_some(!tip));
            parts
        }
        Step::Erase => vec![store.body(&content("1"))?.is_none()],
    })
}

/// Compares a store with what had been reported: `done` steps, and one more in doubt.
fn check(store: &Store, done: usize) -> std::result::Result<(), String> {
    let steps = workload();
    let at = |wanted| steps.iter().position(|s| *s == wanted).unwrap_or(usize::MAX);
    let maybe_erased = done >= at(Step::Erase);
    for (n, step) in steps.iter().enumerate() {
        let later = match step {
            Step::Wal(round) | Step::Commit(round) => {
                done >= at(Step::Commit(*round)) + usize::from(matches!(step, Step::Commit(_)))
            }
            _ => false,
        };
        if *step == Step::Erase && n > done {
            continue;
        }
        let parts = parts(store, *step, later, maybe_erased).map_err(|e| format!("{step:?}: {e}"))?;
        let (all, none) = (parts.iter().all(|p| *p), parts.iter().all(|p| !p));
        match n.cmp(&done) {
            std::cmp::Ordering::Less if !all => {
                return Err(format!("{step:?} was reported and is {parts:?}"));
            }
            std::cmp::Ordering::Equal if !all && !none => {
                return Err(format!("{step:?} is there by half: {parts:?}"));
            }
            std::cmp::Ordering::Greater if !none => {
                return Err(format!("{step:?} was never asked for: {parts:?}"));
            }
            _ => {}
        }
    }
    // Bodies are durable before the header that names them.
    for n in 1..=store.own_sequence(&ME).map_err(|e| e.to_string())? {
        let body = store.sealed(&row(n).key).map_err(|e| e.to_string())?;
        if body.is_none() {
            return Err(format!("header {n} names a body that is not here"));
        }
    }
    match store.scrub() {
        Ok(damaged) if damaged.is_empty() => Ok(()),
        other => Err(format!("the scrub says {other:?}")),
    }
}

/// Runs the workload, so many steps before each settling, until the power fails; gives the medium and how many
/// steps were reported durable, null where not even making the store was.
fn run_until(
    cut: Option<u64>,
    options: &Options,
    lie: bool,
    together: usize,
) -> (FaultyMedium, Option<usize>) {
    let faults = FaultyMedium::default();
    faults.lie_about_syncs(lie);
    if let Some(cut) = cut {
        faults.cut_after(cut);
    }
    let made = Store::create(&Medium::Faulty(faults.clone()), options, &node_key(), rng(1));
    let Ok(store) = made else { return (faults, None) };
    let mut chain = Chain::default();
    store.gather(together > 1);
    let mut done = 0;
    for group in workload().chunks(together) {
        let ran = group.iter().all(|step| run(&store, &mut chain, *step).is_ok());
        if !ran || store.settle().is_err() {
            break;
        }
        done += group.len();
    }
    (faults, Some(done))
}

/// Compares a store with what had been reported, `done` steps; of the `together` after them any may be there that
/// has those before it.
fn check_some(store: &Store, done: usize, together: usize) -> std::result::Result<(), String> {
    let first = check(store, done);
    (1..together).fold(first, |checked, more| checked.or_else(|e| check(store, done + more).map_err(|_| e)))
}

fn reopened(found: FaultyMedium, done: Option<usize>, together: usize) -> std::result::Result<(), String> {
    let medium = Medium::Faulty(found);
    let opened = match (reopen(&medium), done) {
        (Err(StoreError::Absent(_) | StoreError::Corrupt(_)), None) => {
            Store::create(&medium, &options(), &node_key(), rng(4))
        }
        (opened, _) => opened,
    };
    let store = opened.map_err(|e| format!("it does not open: {e}"))?;
    check_some(&store, done.unwrap_or(0), together)?;
    // And it goes on from there.
    store.put_property("after", b"the cut").map_err(|e| format!("it does not write: {e}"))
}

/// Cuts at every `stride`th operation and after the last, each kind of cut in turn; gives the first violation
/// of each cut.
fn violations(options: &Options, lie: bool, stride: usize, together: usize) -> Vec<String> {
    let (whole, done) = run_until(None, options, lie, together);
    assert_eq!(done, Some(workload().len()), "without a cut the workload runs through");
    let mut found = Vec::new();
    let kinds = |cut| [Cut::LoseAll, Cut::Tear(cut), Cut::KeepAll];
    let cuts = (0..whole.operations()).step_by(stride).chain([whole.operations()]);
    for (n, cut) in cuts.enumerate() {
        let (faults, done) = run_until(Some(cut), options, lie, together);
        let kind = if cut == whole.operations() { Cut::LoseAll } else { kinds(cut)[n % 3] };
        if let Err(e) = reopened(faults.after(kind), done, together) {
            found.push(format!("cut after operation {cut}, {kind:?}: {e}"));
        }
    }
    found
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_that_was_reported() {
    assert_eq!(violations(&options(), false, 7, 1), Vec::<String>::new(), "no cut leaves a violation");
}

#[test]
fn of_writes_that_wait_for_one_another_a_power_cut_leaves_those_up_to_some_instant() {
    assert_eq!(violations(&options(), false, 5, GATHERED), Vec::<String>::new(), "no cut leaves a violation");
    let mutant = Options { unsynced: true, ..options() };
    assert!(!violations(&mutant, false, 40, GATHERED).is_empty(), "the checker sees settled steps lost");
}

#[test]
fn what_waits_is_seen_at_once_and_a_crash_before_it_is_settled_takes_it_back() {
    let medium = Medium::memory();
    let store = Store::create(&medium, &options(), &node_key(), rng(1)).unwrap();
    store.gather(true);
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    store.settle().unwrap();
    store.put_own(&[header(&ME, "a", 2)]).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 2, "what waits is seen");
    let beside =
        std::thread::scope(|scope| scope.spawn(|| store.apply(&[Write::Sealed(row(1))])).join().unwrap());
    beside.unwrap();
    store.give_up();
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "given up, it is as after a crash");
    assert!(store.sealed(&row(1).key).unwrap().is_some(), "another thread's write is durable by itself");
    store.put_own(&[header(&ME, "a", 2)]).unwrap();
    drop(store);
    let store = reopen(&medium).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "a crash takes back what nobody settled");
    store.put_own(&[header(&ME, "a", 2)]).unwrap();
    drop(store);
    assert_eq!(reopen(&medium).unwrap().own_sequence(&ME).unwrap(), 2, "who doesn't gather writes durably");
}

#[test]
fn what_could_not_be_settled_is_not_settled_by_asking_again() {
    let faults = FaultyMedium::default();
    let store = Store::create(&Medium::Faulty(faults.clone()), &options(), &node_key(), rng(1)).unwrap();
    store.gather(true);
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    faults.cut_after(faults.operations());
    assert!(store.settle().is_err(), "the power is off");
    assert!(store.settle().is_err(), "and still is: nothing became durable meanwhile");
    drop(store);
    let store = reopen(&Medium::Faulty(faults.after(Cut::KeepAll))).unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 0, "nor is it there");
    store.gather(true);
    store.put_own(&[header(&ME, "a", 1)]).unwrap();
    store.settle().unwrap();
    store.settle().unwrap();
    assert_eq!(store.own_sequence(&ME).unwrap(), 1, "with power it is");
}

#[test]
fn a_store_that_leaves_out_its_syncs_is_caught() {
    let mutant = Options { unsynced: true, ..options() };
    assert!(!violations(&mutant, false, 40, 1).is_empty(), "the checker sees lost commits");
}

#[test]
fn a_medium_that_lies_about_its_syncs_is_caught() {
    assert!(!violations(&options(), true, 40, 1).is_empty(), "the checker sees lost commits");
}
