//! `hospes init --found` and `--join`: a genesis out of founding files, and a genesis put in its place. Off line.

use std::path::{Path, PathBuf};

use hospes_card::HolderLabel;
use hospes_protocol::genesis::Genesis;
use hospes_protocol::wire::Wire as _;
use serde_json::{Value, json};

use super::answer::{Done, Exit, Failure, Outcome};
use super::found::{FOUNDING, InitArgs, now_ms};
use crate::durable::{Readers, write_new};
use crate::init::network::{self, combine, read_founding, read_genesis};
use crate::init::node_key;

/// Makes a network of founding files.
pub(crate) fn new_network(args: &InitArgs) -> Outcome<Done> {
    let out =
        args.out.as_deref().ok_or_else(|| Failure::usage("--out is missing", "Name the genesis file."))?;
    let name = args.network.as_deref().filter(|n| HolderLabel::new(n).is_some());
    let name = name.ok_or_else(|| {
        Failure::usage("the network needs a name of 1 to 64 bytes", "Give it with --network NAME.")
    })?;
    let read = |paths: &[PathBuf]| paths.iter().map(|p| read_founding(p)).collect::<Result<Vec<_>, _>>();
    let (validators, replicas) = (read(&args.found)?, read(&args.replica)?);
    let genesis = combine(name, now_ms(), &validators, &replicas)?;
    let silent = validators.iter().filter(|f| f.node.addresses.is_empty()).count();
    write_new(out, &genesis.encode(), Readers::Anyone).map_err(|e| Failure::file(out, &e))?;
    let mut data = of_genesis(&genesis);
    data["genesis"] = json!(out);
    let mut text = format!(
        "network {}\n{} organizations, {} nodes, {} validators\nnext: each node takes it: hospes init --join {}",
        genesis.network(),
        genesis.organizations.len(),
        genesis.nodes.len(),
        genesis.validators.len(),
        out.display(),
    );
    if silent > 0 && validators.len() > 1 {
        text.push_str(&format!(
            "\nwarning: {silent} validators have no address: the others cannot dial them"
        ));
    }
    Ok(Done::new(data, text))
}

fn of_genesis(genesis: &Genesis) -> Value {
    json!({
        "network": genesis.network().to_string(),
        "name": genesis.name,
        "organizations": genesis.organizations.len(),
        "nodes": genesis.nodes.len(),
        "validators": genesis.validators.len(),
    })
}

/// Puts a genesis into a data folder; the same one may be there already.
pub(crate) fn place(data_dir: &Path, genesis: &Genesis) -> Outcome<()> {
    let path = network::path(data_dir);
    if path.exists() {
        if read_genesis(&path)?.network() == genesis.network() {
            return Ok(());
        }
        let message = format!("{} belongs to another network already", data_dir.display());
        return Err(Failure::new(Exit::Failed, "exists", message, "Make a new node for this network."));
    }
    write_new(&path, &genesis.encode(), Readers::Anyone).map_err(|e| Failure::file(&path, &e))
}

/// Puts the genesis of a network into a node's folder.
pub(crate) fn join(data_dir: &Path, file: &Path) -> Outcome<Done> {
    let genesis = read_genesis(file)?;
    let founding = data_dir.join(FOUNDING);
    if !node_key::path(data_dir).exists() {
        let message = format!("{} holds no node", data_dir.display());
        let next = "Make one first: hospes init --organization NAME --org-card FILE --found-only";
        return Err(Failure::new(Exit::Failed, "no-node", message, next));
    }
    let founding = read_founding(&founding)?;
    place(data_dir, &genesis)?;
    let member = genesis.nodes.iter().any(|n| n.key == founding.node.key);
    let mut data = of_genesis(&genesis);
    data["member"] = json!(member);
    let mut text = format!("network {} ({})", genesis.network(), genesis.name);
    if !member {
        text.push_str(
            "\nwarning: this node is not in the genesis: a member must admit it before peers talk to it",
        );
        text.push_str("\nnext: set p2p.bootstrap, have the node admitted, then hospes run");
    } else {
        text.push_str("\nnext: hospes run");
    }
    Ok(Done::new(data, text))
}
