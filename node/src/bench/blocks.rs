//! Blocks a second of four validators of ours, synced, with one record in each at least: what the engine's own full
//! stack is compared with, which runs as a peer.
//!
//! Each node files its next record as soon as the one before is final there, so something always waits for a block. No
//! block waits for more than that.

use std::time::{Duration, Instant};

use hospes_protocol::genesis::default_policy;
use hospes_service::effects::Event;
use tokio::sync::broadcast::{Receiver, Sender};

use super::commit::wait_final;
use super::people::Ward;
use super::row::{Failed, failed};
use super::world::World;
use crate::runtime::actor::Handle;

const VALIDATORS: u8 = 4;
/// Blocks before the clock starts.
const WARM_UP: u64 = 5;
/// The longest that one block may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Blocks a second, over so many of them.
pub(super) fn blocks(count: u64) -> Result<f64, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut policy = default_policy();
        policy.block_delay_ms = 0;
        let world = World::under(policy, VALIDATORS).await?;
        let mut desks = tokio::task::JoinSet::new();
        for (i, node) in (0..VALIDATORS).zip(&world.nodes) {
            desks.spawn(work(node.service.clone(), node.events.clone(), Ward::open(&world, i).await?));
        }
        let mut events = world.nodes[0].events.subscribe();
        let begun = height_after(&mut events, 0).await? + WARM_UP;
        let begun = height_after(&mut events, begun).await?;
        let since = Instant::now();
        let at = height_after(&mut events, begun + count).await?;
        let took = since.elapsed().as_secs_f64();
        desks.shutdown().await;
        world.stop().await;
        #[allow(clippy::cast_precision_loss, reason = "a number of blocks")]
        Ok((at - begun) as f64 / took)
    })
}

/// The height of the first block from a height on.
async fn height_after(events: &mut Receiver<Event>, from: u64) -> Result<u64, Failed> {
    loop {
        let event = tokio::time::timeout(PATIENCE, events.recv()).await;
        match event.map_err(|_| failed("no block came"))?.map_err(failed)? {
            Event::BlockCommitted { height, .. } if height >= from => return Ok(height),
            _ => {}
        }
    }
}

/// One record after another, each once the one before is final.
pub(super) async fn work(service: Handle, events: Sender<Event>, mut ward: Ward) -> Result<(), Failed> {
    loop {
        let filing = ward.records(1)?;
        let mut heard = events.subscribe();
        service.call(move |s| s.file(filing)).await.map_err(failed)?.map_err(failed)?;
        wait_final(&mut heard, 1).await?;
    }
}
