//! Commit: headers a second with four validators, synced, against the cost of one header at one node; and the
//! time from filing to final.
//!
//! What is filed are records, one tap for each batch, as at a desk: each is judged, sealed and stored where it
//! is filed, and its header goes through all four nodes.

use std::time::Instant;

use hospes_protocol::entry::{FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::ids::{ContentId, HeaderId, NetworkId, NodeId, OrganizationId, Subject, sha256};
use hospes_protocol::keys::{Signer, SoftwareSigner};
use hospes_service::effects::Event;
use hospes_service::filing::Filing;
use hospes_storage::{HeaderRow, Ledger, Medium, Options, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::sync::broadcast::error::RecvError;
use zeroize::Zeroizing;

use super::Size;
use super::idle::{TICKS_PER_SECOND, cpu_ticks};
use super::people::Ward;
use super::row::{Failed, Goal, Row, failed, quantile};
use super::world::World;
use crate::runtime::actor::Handle;

const VALIDATORS: u8 = 4;
/// Records of one tap.
const BATCH: u32 = 100;
/// The longest that one bench may wait for finality.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(120);

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let (limit, limit_cpu) = limit(size.headers)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let world = World::start(VALIDATORS).await?;
        let mut wards = Vec::new();
        for i in 0..VALIDATORS {
            wards.push(Ward::open(&world, i).await?);
        }
        let mut latency = latencies(&world, &mut wards, size.taps).await?;
        let (throughput, cpu) = throughput(&world, &mut wards, size.headers).await?;
        world.stop().await;
        Ok(vec![
            Row::new("commit-throughput", throughput, limit, "headers/s", &Goal::AtLeast(0.4)),
            Row::new("commit-cpu", cpu, limit_cpu, "us/header", &Goal::AtMost(2.5)),
            Row::new("commit-latency-p50", quantile(&mut latency, 0.5), 20.0, "ms", &Goal::AtMost(1.0)),
            Row::new("commit-latency-p99", quantile(&mut latency, 0.99), 100.0, "ms", &Goal::AtMost(1.0)),
        ])
    })
}

/// Waits until so many headers of a node are final there.
pub(super) async fn wait_final(
    events: &mut tokio::sync::broadcast::Receiver<Event>,
    mut left: usize,
) -> Result<(), Failed> {
    let counted = async {
        while left > 0 {
            match events.recv().await {
                Ok(Event::Finalised { headers, .. }) => left = left.saturating_sub(headers.len()),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Err(failed("more events than could be counted")),
                Err(RecvError::Closed) => return Err(failed("the node stopped")),
            }
        }
        Ok(())
    };
    tokio::time::timeout(PATIENCE, counted)
        .await
        .map_err(|_| failed("entries did not become final in time"))?
}

/// Milliseconds from filing to final at the node that files, one entry at a time.
async fn latencies(world: &World, wards: &mut [Ward], taps: u32) -> Result<Vec<f64>, Failed> {
    let mut all = Vec::new();
    for n in 0..taps {
        let i = n as usize % world.nodes.len();
        let filing = wards[i].records(1)?;
        let mut events = world.nodes[i].events.subscribe();
        let since = Instant::now();
        world.nodes[i].service.call(move |s| s.file(filing)).await.map_err(failed)?.map_err(failed)?;
        wait_final(&mut events, 1).await?;
        all.push(since.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(all)
}

/// Final headers a second, filed at all validators at once, and the microseconds of CPU that each cost all four.
async fn throughput(world: &World, wards: &mut [Ward], headers: u32) -> Result<(f64, f64), Failed> {
    let n = world.nodes.len();
    let mut batches: Vec<Vec<_>> = (0..n).map(|_| Vec::new()).collect();
    for b in 0..headers / BATCH {
        let i = b as usize % n;
        batches[i].push(wards[i].records(BATCH)?);
    }
    let counts = batches.iter().map(|all| all.len() * BATCH as usize);
    // Heard while it is filed: a node's events are not kept for whoever listens late.
    let waits: Vec<_> = world.nodes.iter().map(|node| node.events.subscribe()).zip(counts).collect();
    let wait = |(mut events, count)| tokio::spawn(async move { wait_final(&mut events, count).await });
    let waits: Vec<_> = waits.into_iter().map(wait).collect();
    let (since, ticks) = (Instant::now(), cpu_ticks()?);
    let desks = world
        .nodes
        .iter()
        .zip(batches)
        .map(|(node, batches)| tokio::spawn(file_all(node.service.clone(), batches)));
    for desk in desks.collect::<Vec<_>>() {
        desk.await.map_err(failed)??;
    }
    for wait in waits {
        wait.await.map_err(failed)??;
    }
    let headers = f64::from(headers / BATCH * BATCH);
    Ok((headers / since.elapsed().as_secs_f64(), (cpu_ticks()? - ticks) / TICKS_PER_SECOND * 1e6 / headers))
}

/// Files batches one after another at one node.
async fn file_all(service: Handle, batches: Vec<Vec<Filing>>) -> Result<(), Failed> {
    for filings in batches {
        service.call(move |s| s.file(filings)).await.map_err(failed)?.map_err(failed)?;
    }
    Ok(())
}

/// What two cores could do if a header cost each of four nodes no more than to read it, to verify it in a
/// batch and to store it; and the CPU of that, which other programs on the machine disturb less.
fn limit(headers: u32) -> Result<(f64, f64), Failed> {
    let rows = signed(headers)?;
    let folder = tempfile::tempdir().map_err(failed)?;
    let medium = Medium::Folder(folder.path().to_owned());
    let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
    let store = Store::create(&medium, &Options::default(), &Zeroizing::new([1; 32]), rng).map_err(failed)?;
    let key = SoftwareSigner::from_seed(&[1; 32]).verifying_key();
    let (since, ticks) = (Instant::now(), cpu_ticks()?);
    for batch in rows.chunks(BATCH as usize) {
        let read = batch.iter().map(|bytes| Header::read(bytes, &NetworkId([2; 32])));
        let headers = read.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if !Header::all_verify(&headers.iter().map(|header| (header, &key)).collect::<Vec<_>>()) {
            return Err(failed("a signature of ours did not verify"));
        }
        let rows: Vec<_> = headers.iter().map(|header| HeaderRow::of(header, None)).collect();
        store.put_headers(&rows).map_err(failed)?;
    }
    let cost = since.elapsed().as_secs_f64() / f64::from(headers);
    let cpu = (cpu_ticks()? - ticks) / TICKS_PER_SECOND * 1e6 / f64::from(headers) * f64::from(VALIDATORS);
    let cores =
        std::thread::available_parallelism().map_or(1.0, |n| f64::from(u32::try_from(n.get()).unwrap_or(1)));
    Ok((cores / (cost * f64::from(VALIDATORS)), cpu))
}

fn signed(headers: u32) -> Result<Vec<Vec<u8>>, Failed> {
    let mut signer = SoftwareSigner::from_seed(&[1; 32]);
    let node = NodeId(signer.verifying_key().id().0);
    let (mut previous, mut rows) = (None::<HeaderId>, Vec::new());
    for n in 1..=u64::from(headers) {
        let fields = HeaderFields {
            format: FORMAT,
            network: NetworkId([2; 32]),
            organization: OrganizationId([3; 32]),
            node,
            sequence: n,
            previous,
            kind: Kind::Record.code(),
            subject: Some(Subject([4; 32])),
            content: ContentId(sha256(&[&n.to_be_bytes()])),
            lock: None,
            reveal: Vec::new(),
            signed_at: n,
        };
        let header = Header::sign(fields, &mut signer).map_err(failed)?;
        previous = Some(header.id());
        rows.push(header.as_bytes().to_vec());
    }
    Ok(rows)
}
