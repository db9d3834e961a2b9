//! Catch-up: a node without a ledger follows one that has a long one, over loopback, block by block, until it stands
//! where that one stands; against what two cores could do if each part of it were all that there is. Then another one
//! begins with a certified state, and the CPU of both ways is compared.
//!
//! The parts are measured over the ledger's first blocks, before the replay and after it: headers read and verified in
//! batches, blocks read and their certificates verified, states executed and compared, both stored and synced once for
//! each page. Sending and asking is no part of the ideal.

use std::time::{Duration, Instant};

use hospes_protocol::block::Block;
use hospes_protocol::entry::Header;
use hospes_protocol::genesis::{Genesis, default_policy};
use hospes_protocol::keys::VerifyingKey;
use hospes_protocol::state::{Draft, LedgerState};
use hospes_storage::{Ledger, Medium, Options, Store};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use super::Size;
use super::chain::{self, Link, PAGE};
use super::idle::{TICKS_PER_SECOND, cpu_ticks};
use super::row::{Failed, Goal, Row, failed};
use super::world::World;

const VALIDATORS: u8 = 4;
/// The one that replays, and the one that begins with a state.
const FOLLOWERS: [u8; 2] = [4, 5];
/// Blocks over which the parts are measured.
const SAMPLE: usize = 1_000;
/// How long no block may come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut world = World::found(default_policy(), VALIDATORS, VALIDATORS + 2)?;
        let genesis = world.genesis.clone();
        let sample =
            world.fill(0, |store, signers| chain::write(&genesis, signers, (store, size.blocks), SAMPLE))?;
        let before = parts(&genesis, &sample)?;
        let (replayed, replay_cpu) = replay(&mut world, size.blocks).await?;
        let after = parts(&genesis, &sample)?;
        let snapshot_cpu = begin_with_a_state(&mut world, size.blocks).await?;
        world.stop().await;
        #[allow(clippy::cast_precision_loss, reason = "a ratio of two numbers of blocks")]
        let share = size.blocks as f64 / sample.len() as f64;
        let ideal = (before + after) / 2.0 * share / 2.0;
        Ok(vec![
            Row::new("catch-up-replay", replayed, ideal, "s", &Goal::AtMost(2.3)),
            Row::new("catch-up-snapshot", replay_cpu, snapshot_cpu, "s of CPU", &Goal::AtLeast(50.0)),
        ])
    })
}

/// Seconds until a new node that meets the one with the ledger stands where that stands, and the CPU of both.
async fn replay(world: &mut World, height: u64) -> Result<(f64, f64), Failed> {
    world.join(FOLLOWERS[0]).await?;
    world.nodes[0].service.call(|s| s.set_snapshot_gap(u64::MAX)).await.map_err(failed)?;
    world.join(0).await?;
    let (since, ticks) = (Instant::now(), cpu_ticks()?);
    follow(world, 0, height).await?;
    Ok((since.elapsed().as_secs_f64(), (cpu_ticks()? - ticks) / TICKS_PER_SECOND))
}

/// The CPU of everyone until a new node stands there by a state; what it lacks of the past it fetches afterwards.
async fn begin_with_a_state(world: &mut World, height: u64) -> Result<f64, Failed> {
    let ticks = cpu_ticks()?;
    world.join(FOLLOWERS[1]).await?;
    follow(world, 2, height).await?;
    // No less than one tick, in which it is counted.
    Ok((cpu_ticks()? - ticks).max(1.0) / TICKS_PER_SECOND)
}

/// Waits until a node stands at a height.
pub(super) async fn follow(world: &World, node: usize, height: u64) -> Result<(), Failed> {
    let (mut last, mut seen) = (0, Instant::now());
    loop {
        let at = world.nodes[node].service.call(|s| s.state().height).await.map_err(failed)?;
        if at >= height {
            return Ok(());
        }
        if at > last {
            (last, seen) = (at, Instant::now());
        } else if seen.elapsed() > PATIENCE {
            return Err(failed(format!("no block came after height {at}")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Seconds that the parts take over a sample, one after another on one core.
fn parts(genesis: &Genesis, sample: &[Link]) -> Result<f64, Failed> {
    let since = Instant::now();
    read_headers(genesis, sample)?;
    read_blocks(genesis, sample)?;
    execute(genesis, sample)?;
    store(sample)?;
    Ok(since.elapsed().as_secs_f64())
}

fn read_headers(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let state = LedgerState::genesis(genesis).map_err(failed)?;
    let key = |header: &Header| state.membership.node(&header.fields().node).map(|node| node.key.clone());
    for page in sample.chunks(PAGE) {
        let bytes = page.iter().flat_map(|link| &link.headers).map(Header::as_bytes);
        let read = bytes.map(|bytes| Header::read(bytes, &state.network)).collect::<Result<Vec<_>, _>>();
        let read = read.map_err(failed)?;
        let keys: Vec<VerifyingKey> = read.iter().filter_map(key).collect();
        if keys.len() < read.len() || !Header::all_verify(&read.iter().zip(&keys).collect::<Vec<_>>()) {
            return Err(failed("a signature of ours did not verify"));
        }
    }
    Ok(())
}

fn read_blocks(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let state = LedgerState::genesis(genesis).map_err(failed)?;
    for Link { commit, .. } in sample {
        let block = Block::read(&commit.block, &state.network).map_err(failed)?;
        if block.hash() != commit.hash {
            return Err(failed("a block is not what its certificate names"));
        }
        commit.certificate.verify(&state.network, &state.validators).map_err(failed)?;
    }
    Ok(())
}

fn execute(genesis: &Genesis, sample: &[Link]) -> Result<(), Failed> {
    let mut state = LedgerState::genesis(genesis).map_err(failed)?;
    for Link { headers, block, .. } in sample {
        let draft = Draft { time: block.time, cuts: &block.cuts, headers, control: &[], forks: &[] };
        let mut executed = state.execute(&draft).map_err(failed)?;
        if executed.state.root() != block.state_root {
            return Err(failed("a state's root is another"));
        }
        executed.state.seal(block.hash());
        state = executed.state;
    }
    Ok(())
}

fn store(sample: &[Link]) -> Result<(), Failed> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let medium = Medium::Folder(folder.path().to_owned());
    let rng = Box::new(ChaCha20Rng::seed_from_u64(3));
    let store = Store::create(&medium, &Options::default(), &Zeroizing::new([1; 32]), rng).map_err(failed)?;
    store.gather(true);
    for page in sample.chunks(PAGE) {
        page.iter().try_for_each(|link| link.store(&store))?;
        store.settle().map_err(failed)?;
    }
    Ok(())
}
