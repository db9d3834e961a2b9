//! Step 10: who isn't a member of the network gets no connection.

use std::time::{Duration, Instant};

use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::tap::{needed, text, until};
use super::super::world::{CLINIC, World, shown};

/// How long an unknown peer is watched trying.
const WATCH: Duration = Duration::from_secs(3);
/// How long an admission or removal may take.
const ACT_MAX: Duration = Duration::from_secs(30);

/// A node that is in no entry is refused in the handshake; admitted, it connects.
pub(super) fn unknown(world: &mut World) -> Outcome {
    let mut ward = world.stranger("ward", world.nodes[CLINIC].name)?;
    let (card, pins) = (world.organization_cards[CLINIC].offer(&ward)?, shown(&world.pins));
    let (name, genesis) = (ward.name, shown(&world.genesis()));
    ward.command(&[
        "init",
        "--organization",
        name,
        "--org-card",
        &card,
        "--pin-file",
        &pins,
        "--found-only",
    ])?;
    ward.command(&["init", "--join", &genesis])?;
    let hospital = &world.nodes[0];
    ward.bootstrap.push(format!("{}/p2p/{}", hospital.multiaddr(), hospital.peer_id));
    let before = hospital.peers()?;
    ward.start()?;
    let started = Instant::now();
    while started.elapsed() < WATCH {
        expect(ward.height()? == 0, || "an unknown peer was given a block".into())?;
        expect(ward.peers()? == 0, || "an unknown peer is connected".into())?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let founding = shown(&ward.dir.join("founding.cbor"));
    propose(world, &["admit", &founding])?;
    let (_, took) = until(ACT_MAX, "the admitted node connecting", || {
        Ok((ward.height()? > 0 && world.nodes[0].peers()? > before).then_some(()))
    })?;
    world.ward = Some(ward);
    let text = format!("unknown: no connection in {} s; admitted: {} ms", WATCH.as_secs(), took.as_millis());
    Ok(Shown::within(took, text))
}

/// Removed, it is cut off by everyone.
pub(super) fn removed(world: &mut World) -> Outcome {
    let ward = world.ward.take().ok_or_else(|| Failed::NotReached("there is no node to remove".into()))?;
    let node = needed(&ward.status()?, "node")?;
    let started = Instant::now();
    propose(world, &["remove", &node])?;
    until(ACT_MAX, "the removed node being cut off", || {
        let still = world.nodes.iter().map(|n| connected(n, &node)).collect::<Result<Vec<_>, _>>()?;
        Ok((!still.contains(&true)).then_some(()))
    })?;
    let took = started.elapsed();
    let height = ward.height()?;
    expect(world.nodes[0].height()? > height || !ward.runs() || ward.peers()? == 0, || {
        "it still follows".into()
    })?;
    Ok(Shown::within(took, format!("no node is connected to it {} ms after the tap began", took.as_millis())))
}

fn connected(node: &super::super::node::Node, peer: &str) -> Result<bool, Failed> {
    let status = node.status()?;
    let peers = status["peers"].as_array().cloned().unwrap_or_default();
    Ok(peers.iter().any(|p| text(p, "node") == peer && p["connected"] == true))
}

/// A command of the clinic's administrator, by the organization's card.
fn propose(world: &mut World, act: &[&str]) -> Result<(), Failed> {
    let clinic = &world.nodes[CLINIC];
    world.organization_cards[CLINIC].insert(clinic)?;
    let pins = shown(&world.pins);
    let mut arguments = vec!["node"];
    arguments.extend(act);
    arguments.extend(["--card", clinic.name, "--pin-file", &pins]);
    clinic.command(&arguments).map(|_| ())
}
