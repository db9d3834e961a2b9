//! Step 11: what every node holds of the ledger is whole and the same.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::failed::{Failed, Outcome, Shown, expect};
use super::super::node::Node;
use super::super::tap::{text, until};
use super::super::world::{World, shown};

/// How long all may take to reach one height.
const LEVEL_MAX: Duration = Duration::from_secs(30);

/// Every node's ledger is exported and verified off line; a flipped byte is found.
pub(super) fn verified(world: &mut World) -> Outcome {
    until(LEVEL_MAX, "all nodes at one height", || {
        let heights = world.nodes.iter().map(Node::height).collect::<Result<Vec<_>, _>>()?;
        Ok(heights.windows(2).all(|two| two[0] == two[1]).then_some(()))
    })?;
    let mut found: Vec<Value> = Vec::new();
    for at in 0..world.nodes.len() {
        let file = export(world, at)?;
        found.push(verify(&world.nodes[at], &file)?);
    }
    let same = |key: &str| found.iter().all(|v| v[key] == found[0][key] && !v[key].is_null());
    expect(same("state_root") && same("height"), || "the nodes ended in different states".into())?;
    let damage = damaged(&world.nodes[0])?;
    let height = found[0]["height"].as_u64().unwrap_or_default();
    let root: String = text(&found[0], "state_root").chars().take(16).collect();
    Ok(Shown::that(format!(
        "five exports whole to height {height}, one state root {root}…; a flipped byte: {damage}"
    )))
}

fn export(world: &mut World, at: usize) -> Result<std::path::PathBuf, Failed> {
    let node = &world.nodes[at];
    world.organization_cards[at].insert(node)?;
    let file = node.dir.join("ledger.hospes");
    let (out, pins) = (shown(&file), shown(&world.pins));
    node.command(&["ledger", "export", &out, "--card", node.name, "--pin-file", &pins])?;
    Ok(file)
}

fn verify(node: &Node, file: &Path) -> Result<Value, Failed> {
    node.command(&["verify", &shown(file)])
}

/// Flips a bit in the middle of the export and gives what is said of it.
fn damaged(node: &Node) -> Result<String, Failed> {
    let mut bytes = fs::read(node.dir.join("ledger.hospes")).map_err(Failed::wrong)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    let file = node.dir.join("damaged.hospes");
    fs::write(&file, bytes).map_err(Failed::wrong)?;
    let said = verify(node, &file);
    fs::remove_file(&file).map_err(Failed::wrong)?;
    match said {
        Ok(_) => Err(Failed::wrong("a flipped byte was not found")),
        Err(Failed::Wrong(text)) => Ok(text.split(':').next().unwrap_or_default().to_owned()),
        Err(other) => Err(other),
    }
}
