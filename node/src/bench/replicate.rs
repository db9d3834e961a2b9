//! Replication: a hospital's backup partner joins, and holds what that hospital holds, every segment verified and stored;
//! one large record, and many small ones, each with an order and a receipt of its own. Against the same bytes over a bare
//! libp2p stream, and copied by rsync and scp where these are on the machine.
//!
//! The clock runs from the start of the partner's node until it holds the last record: headers, blocks and bodies of the
//! records are on their way within it, too. The others move the bytes and keep no promise.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::{RecordId, sha256};
use hospes_service::effects::Event;
use tokio::sync::broadcast::Receiver;

use super::commit::wait_final;
use super::people::{Blob, Ward};
use super::row::{Failed, Goal, Row, failed};
use super::world::World;
use super::{Size, peers};
use crate::runtime::Running;

/// The hospital, which decides alone, and its partner.
const NODES: u8 = 2;
/// Records of one tap.
const BATCH: usize = 100;
/// Bytes of a small record.
const SMALL: u64 = 4 << 10;
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many records of so many bytes each.
#[derive(Clone, Copy)]
struct Load {
    name: &'static str,
    records: u32,
    bytes: u64,
}

impl Load {
    const fn total(self) -> u64 {
        self.records as u64 * self.bytes
    }

    #[allow(clippy::cast_precision_loss, reason = "a speed to three digits")]
    fn speed(self, took: Duration) -> f64 {
        self.total() as f64 / 1e6 / took.as_secs_f64()
    }
}

pub(super) fn run(folder: &Path, size: Size) -> Result<Vec<Row>, Failed> {
    let large = Load { name: "large", records: 1, bytes: size.ingest_bytes };
    let small = Load { name: "small", records: size.small_blobs, bytes: SMALL };
    let mut rows = Vec::new();
    for load in [large, small] {
        let stream = peers::speed(folder, "stream", load.total())?;
        let ours = replicate(load)?;
        let row = |peer: &str, theirs: f64, goal| {
            Row::new(&format!("replicate-{}-{peer}", load.name), ours, theirs, "MB/s", &Goal::AtLeast(goal))
        };
        rows.push(row("stream", stream, 0.8));
        for (peer, copy, goal) in [("rsync", rsync as Copying, 1.5), ("scp", scp as Copying, 1.0)] {
            rows.push(match copied(load, copy)? {
                Ok(theirs) => row(peer, theirs, goal),
                Err(why) => Row::absent(&format!("replicate-{}-{peer}", load.name), why),
            });
        }
    }
    Ok(rows)
}

/// Megabytes a second.
fn replicate(load: Load) -> Result<f64, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut world = World::found(default_policy(), 1, NODES)?;
        world.join(0).await?;
        let mut ward = Ward::open(&world, 0).await?;
        ward.back_up_to(&world, 0, world.organization(1)).await?;
        file(&world.nodes[0], &mut ward, load).await?;
        let since = Instant::now();
        world.join(1).await?;
        held(&mut world.nodes[1].events.subscribe(), load.records).await?;
        let took = since.elapsed();
        world.stop().await;
        Ok(load.speed(took))
    })
}

/// Seals, stores and files the records at the hospital.
async fn file(node: &Running, ward: &mut Ward, load: Load) -> Result<(), Failed> {
    let blob = |n: u32| Blob::store(&*node.objects, RecordId(sha256(&[&n.to_be_bytes()])), load.bytes);
    let blobs = (0..load.records).map(blob).collect::<Result<Vec<_>, _>>()?;
    for page in blobs.chunks(BATCH) {
        let mut events = node.events.subscribe();
        let filings = ward.records_of(page)?;
        node.service.call(move |s| s.file(filings)).await.map_err(failed)?.map_err(failed)?;
        wait_final(&mut events, page.len()).await?;
    }
    Ok(())
}

/// Waits until so many objects are held.
async fn held(events: &mut Receiver<Event>, mut left: u32) -> Result<(), Failed> {
    while left > 0 {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        let event = event.map_err(|_| failed(format!("{left} records did not come")))?.map_err(failed)?;
        if matches!(event, Event::Object { held: true, .. }) {
            left -= 1;
        }
    }
    Ok(())
}

/// Copies one folder into another by a program, or says why it can't.
type Copying = fn(&Path, &Path) -> Result<Result<(), String>, Failed>;

/// Megabytes a second of a program that copies as many files of as many bytes.
fn copied(load: Load, copy: Copying) -> Result<Result<f64, String>, Failed> {
    let scratch = tempfile::tempdir().map_err(failed)?;
    let (from, to) = (scratch.path().join("from"), scratch.path().join("to"));
    for folder in [&from, &to] {
        std::fs::create_dir(folder).map_err(failed)?;
    }
    let bytes = vec![0x5a; 1 << 20];
    for n in 0..load.records {
        let mut left = load.bytes;
        let mut file = std::fs::File::create(from.join(n.to_string())).map_err(failed)?;
        while left > 0 {
            let page = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
            std::io::Write::write_all(&mut file, &bytes[..page]).map_err(failed)?;
            left -= page as u64;
        }
    }
    let since = Instant::now();
    Ok(copy(&from, &to)?.map(|()| load.speed(since.elapsed())))
}

/// Whole files, as on a first copy.
fn rsync(from: &Path, to: &Path) -> Result<Result<(), String>, Failed> {
    let args = [OsStr::new("-rW"), from.as_os_str(), to.as_os_str()];
    ran("rsync", &args)
}

/// Needs a server on loopback that lets this account in without asking.
fn scp(from: &Path, to: &Path) -> Result<Result<(), String>, Failed> {
    let there = format!("127.0.0.1:{}", to.display());
    let options = "-rqB -c aes128-gcm@openssh.com -o StrictHostKeyChecking=no -o ConnectTimeout=2";
    let mut args: Vec<_> = options.split(' ').map(OsStr::new).collect();
    args.extend([from.as_os_str(), OsStr::new(&there)]);
    ran("scp", &args)
}

fn ran(program: &str, args: &[&OsStr]) -> Result<Result<(), String>, Failed> {
    match Command::new(program).args(args).stdin(std::process::Stdio::null()).output() {
        Ok(ran) if ran.status.success() => Ok(Ok(())),
        Ok(ran) => {
            let said = String::from_utf8_lossy(&ran.stderr);
            Ok(Err(format!("{program}: {}", said.lines().last().unwrap_or_default())))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Err(format!("{program} is not installed"))),
        Err(e) => Err(failed(e)),
    }
}
