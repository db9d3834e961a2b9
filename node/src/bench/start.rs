//! Start: a node over a store that holds many records, from opening its files to listening; closed in order
//! before, and left as a crash leaves it. And the memory of this process, whose only node then has read records all
//! over its store with a page cache of 64 MiB.
//!
//! The rows are those that the node writes when it keeps a record, a hundred of each patient. Its ledger is
//! short: what a start reads of the ledger is the state, the closed locks and what is not yet final.

use std::path::Path;

use hospes_protocol::ids::{ContentId, PatientId};
use hospes_protocol::policy::{Personal, Verified};
use hospes_service::records::verified_rows;
use hospes_storage::{HeldBody, Objects, Write};
use tempfile::TempDir;

use super::Size;
use super::decide::{id, record, verified};
use super::idle::resident_mib;
use super::row::{Failed, Goal, Row, failed, quantile};
use super::world::World;

/// Records of one patient.
const RECORDS_EACH: u32 = 100;
/// A body with one signature and a short path, in bytes.
const BODY_BYTES: usize = 700;
/// Bodies that are read before memory is looked at: pages of theirs fill a cache of 64 MiB.
const LOOKED_AT: u32 = 50_000;
/// How often each start is timed.
const ROUNDS: usize = 3;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut world = World::start(1).await?;
        fill(&*world.nodes[0].objects, size.grants)?;
        let (mut clean, mut crashed) = (Vec::new(), Vec::new());
        let folder = world.folder().to_owned();
        for _ in 0..ROUNDS {
            clean.push(world.restart(&folder).await?);
            let killed = copy(&folder)?;
            crashed.push(world.restart(killed.path()).await?);
        }
        world.restart(&folder).await?;
        look_at(&*world.nodes[0].objects, size.grants)?;
        let resident = resident_mib()?;
        world.stop().await;
        Ok(vec![
            Row::new("start-clean", quantile(&mut clean, 0.5), 300.0, "ms", &Goal::AtMost(1.0)),
            Row::new("start-crashed", quantile(&mut crashed, 0.5), 500.0, "ms", &Goal::AtMost(1.0)),
            Row::new("memory-records", resident, 160.0, "MiB", &Goal::AtMost(1.0)),
        ])
    })
}

/// The stores as a kill at this instant would leave them: all that was written is synced, nothing is closed.
fn copy(folder: &Path) -> Result<TempDir, Failed> {
    let killed = tempfile::tempdir().map_err(failed)?;
    for file in std::fs::read_dir(folder).map_err(failed)? {
        let file = file.map_err(failed)?;
        let to = killed.path().join(file.file_name());
        std::fs::copy(file.path(), &to).map_err(failed)?;
        // Otherwise the first sync of the node that starts pays for writing the whole copy.
        std::fs::File::open(&to).and_then(|copied| copied.sync_all()).map_err(failed)?;
    }
    Ok(killed)
}

/// Reads bodies all over the store until its page cache holds what it may.
fn look_at(objects: &dyn Objects, records: u32) -> Result<(), Failed> {
    for n in (0..records).step_by((records / LOOKED_AT).max(1) as usize) {
        if objects.body(&ContentId(id(4, n))).map_err(failed)?.is_none() {
            return Err(failed(format!("record {n} is not there")));
        }
    }
    Ok(())
}

fn entry(n: u32) -> Verified {
    let patient = PatientId(id(1, n / RECORDS_EACH));
    let mut record = record(n);
    record.patient = patient;
    verified(id(4, n), Personal::Record(Box::new(record)), None, patient)
}

fn fill(objects: &dyn Objects, records: u32) -> Result<(), Failed> {
    let patients: Vec<_> = (0..records / RECORDS_EACH).map(|n| PatientId(id(1, n))).collect();
    objects.make_keys(&patients).map_err(failed)?;
    let numbers: Vec<u32> = (0..records).collect();
    for page in numbers.chunks(2_000) {
        let mut writes = Vec::new();
        for entry in page.iter().map(|n| entry(*n)) {
            let (content, patient) = (entry.known.id, Some(entry.patient));
            writes.extend(verified_rows(&entry, Some(entry.patient)));
            let kind = entry.known.entry.kind().code();
            writes.push(Write::Body(HeldBody { content, kind, patient, bytes: vec![7; BODY_BYTES] }));
        }
        objects.apply(&writes).map_err(failed)?;
    }
    Ok(())
}
