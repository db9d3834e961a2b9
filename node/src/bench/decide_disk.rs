//! `decide()` over a node's own store, among a tenth as many grants as from memory: the store's trees are as
//! deep, and filling it takes a minute and not ten.
//!
//! The rows are those that the node writes when it keeps a grant; the practitioner who asks is enrolled on its
//! ledger. Beside it stands what one read of a row costs in that store.

use std::time::Instant;

use hospes_protocol::ids::{Lock, PatientId, PersonId};
use hospes_protocol::policy::{Decision, Personal, Request, Verified};
use hospes_service::records::verified_rows;
use hospes_service::service::Service;
use hospes_storage::{Objects, SealedKey, Write};

use super::Size;
use super::decide::{grant, id, record, request, verified};
use super::people::Ward;
use super::row::{Failed, Goal, Row, failed, quantile};
use super::world::World;
use crate::runtime::actor::clock_ms;

/// Decisions that are timed.
const ASKED: u32 = 2_000;
/// Grants of one transaction while the store is filled.
const FILL: u32 = 2_000;
/// Grants among which the other side of the growth is measured.
const FEW: u32 = 1_000;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let world = World::start(1).await?;
        let reader = Ward::open(&world, 0).await?.author();
        let objects = world.nodes[0].objects.clone();
        let mut medians = Vec::new();
        let mut filled = 0;
        for grants in [FEW, size.grants / 10] {
            fill(&*objects, filled..grants, reader)?;
            filled = grants;
            let timed = move |service: &mut Service| times(service, grants, reader);
            medians.push(world.nodes[0].service.call(timed).await.map_err(failed)??);
        }
        let read = one_read(&*objects, filled)?;
        world.stop().await;
        let (few, many) = (medians[0], medians[1]);
        Ok(vec![
            Row::new("decide-disk", many, 10.0, "us", &Goal::AtMost(1.0)),
            Row::new("decide-disk-growth", many, few, "us", &Goal::AtMost(3.0)),
            Row::new("decide-disk-one-read", read, 10.0, "us", &Goal::AtMost(1.0)),
        ])
    })
}

fn entries(n: u32, reader: PersonId) -> [Verified; 2] {
    let patient = PatientId(id(1, n));
    [
        verified(id(3, n), Personal::Grant(grant(n, reader, clock_ms())), Some(Lock(id(5, n))), patient),
        verified(id(4, n), Personal::Record(Box::new(record(n))), None, patient),
    ]
}

/// The keys of all patients are made at once: the file that holds them is written whole.
fn fill(objects: &dyn Objects, all: std::ops::Range<u32>, reader: PersonId) -> Result<(), Failed> {
    let patients: Vec<_> = all.clone().map(|n| PatientId(id(1, n))).collect();
    objects.make_keys(&patients).map_err(failed)?;
    let numbers: Vec<u32> = all.collect();
    for page in numbers.chunks(FILL as usize) {
        let rows = page
            .iter()
            .flat_map(|n| entries(*n, reader))
            .flat_map(|entry| verified_rows(&entry, Some(entry.patient)));
        objects.apply(&rows.collect::<Vec<Write>>()).map_err(failed)?;
    }
    Ok(())
}

fn asked(grants: u32) -> impl Iterator<Item = u32> {
    let step = (grants / ASKED).max(1);
    (0..ASKED).map(move |n| n * step % grants)
}

fn median(times: impl Iterator<Item = Result<f64, Failed>>) -> Result<f64, Failed> {
    Ok(quantile(&mut times.collect::<Result<Vec<_>, _>>()?, 0.5))
}

fn times(service: &Service, grants: u32, reader: PersonId) -> Result<f64, Failed> {
    median(asked(grants).map(|n| {
        let request: Request = request(n, reader);
        let since = Instant::now();
        let decision = std::hint::black_box(service.decide(&request));
        let time = since.elapsed().as_secs_f64() * 1e6;
        match decision {
            Decision::Permit(..) => Ok(time),
            denied @ Decision::Deny(..) => Err(failed(format!("a live grant was denied: {denied:?}"))),
        }
    }))
}

fn one_read(objects: &dyn Objects, grants: u32) -> Result<f64, Failed> {
    median(asked(grants).map(|n| {
        let key = SealedKey::new("facts", &[], 0, &id(3, n));
        let since = Instant::now();
        let row = objects.sealed(&key).map_err(failed)?;
        let time = since.elapsed().as_secs_f64() * 1e6;
        row.map(|_| time).ok_or_else(|| failed("a row is missing"))
    }))
}
