//! Reconciling: two nodes hold the same 100,000 headers but for the last 100 of one of them. How many bytes go over the
//! line until both stand alike, handshake and greetings included, against the bytes of what one of them lacked.
//!
//! The ledger is written directly with the validators' keys, a node's store each; both nodes reach each other through
//! lines that count.

use std::net::SocketAddr;

use hospes_net::Multiaddr;
use hospes_protocol::block::Block;
use hospes_protocol::genesis::default_policy;
use hospes_protocol::ids::NetworkId;
use hospes_protocol::wire::Wire;
use hospes_storage::Ledger;

use super::Size;
use super::catch_up::follow;
use super::chain;
use super::row::{Failed, Goal, Row, failed};
use super::world::World;
use crate::demo::node::multiaddr;
use crate::demo::proxy::Proxy;

const VALIDATORS: u8 = 4;
/// The node that lacks something; it decides nothing.
const BEHIND: u8 = 4;
/// Blocks that it lacks, ten headers each.
const DIFFERENCE: u64 = 10;

pub(super) fn run(size: Size) -> Result<Vec<Row>, Failed> {
    let common = size.reconciled_blocks;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut lines = Vec::new();
        let world = World::found_behind(default_policy(), VALIDATORS, VALIDATORS + 1, |listen| {
            lines = listen.iter().map(line_to).collect::<Result<_, _>>()?;
            lines.iter().map(|line| multiaddr(line.address()).parse().map_err(failed)).collect()
        });
        let mut world = world?;
        let genesis = world.genesis.clone();
        for (node, blocks) in [(0, common + DIFFERENCE), (BEHIND, common)] {
            world.fill(node, |store, signers| chain::write(&genesis, signers, (store, blocks), 0))?;
        }
        world.join(BEHIND).await?;
        world.join(0).await?;
        follow(&world, 0, common + DIFFERENCE).await?;
        let carried: u64 = lines.iter().map(Proxy::bytes).sum();
        let lacked = lacked(&*world.nodes[1].ledger, &genesis.network(), common)?;
        world.stop().await;
        #[allow(clippy::cast_precision_loss, reason = "numbers of bytes")]
        Ok(vec![Row::new("reconcile-bytes", carried as f64, lacked as f64, "bytes", &Goal::AtMost(5.0))])
    })
}

fn line_to(address: &Multiaddr) -> Result<Proxy, Failed> {
    let text = address.to_string();
    let mut parts = text.split('/').skip(2).step_by(2);
    let socket = parts.next().zip(parts.next()).and_then(|(ip, port)| format!("{ip}:{port}").parse().ok());
    let socket: SocketAddr = socket.ok_or_else(|| failed("an address that is none"))?;
    Proxy::start(socket).map_err(failed)
}

/// Bytes of the blocks above a height, of their certificates and of the headers that they order.
fn lacked(ledger: &dyn Ledger, network: &NetworkId, above: u64) -> Result<usize, Failed> {
    let mut bytes = 0;
    for height in above + 1..=above + DIFFERENCE {
        let (block, certificate) =
            ledger.block(height).map_err(failed)?.ok_or_else(|| failed("a block is not there"))?;
        bytes += block.len() + certificate.encode().len();
        for cut in Block::read(&block, network).map_err(failed)?.cuts {
            let headers = ledger.headers(&cut.node, cut.from, cut.to).map_err(failed)?;
            bytes += headers.iter().map(Vec::len).sum::<usize>();
        }
    }
    Ok(bytes)
}
