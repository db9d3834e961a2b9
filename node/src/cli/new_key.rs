//! `hospes init --new-key`: a data folder becomes a new node of its organization. Off line.
//!
//! For a folder that was put back from a copy: what its old key signed since is not in it, so that key must sign
//! nothing more. The secret that seals what lies at rest stays, so records, ledger and indexes open as before; the
//! node has another id and is admitted like any other.

use std::fs::File;
use std::path::Path;

use hospes_protocol::ids::NodeId;
use hospes_protocol::keys::{Signer as _, SoftwareSigner};
use hospes_protocol::wire::Wire as _;
use serde_json::json;
use zeroize::Zeroizing;

use super::answer::{Done, Exit, Failure, Outcome};
use super::found::FOUNDING;
use crate::durable::{Readers, write};
use crate::init::node_key::NodeKey;
use crate::init::{Founder, InitError, found_under};
use hospes_card::{Card, Pin};

/// Holds the folder's lock, which a running node holds too.
fn lock(data_dir: &Path) -> Outcome<File> {
    use rustix::fs::{FlockOperation, flock};
    let path = data_dir.join("lock");
    let open = File::options().create(true).append(true).open(&path);
    let file = open.map_err(|e| Failure::file(&path, &e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(_) => {
            let (message, next) =
                ("the node of this folder runs", "Stop it first, then run the command again.");
            Err(Failure::new(Exit::Unavailable, "locked", message, next))
        }
    }
}

/// The node's id under a key.
fn id(key: &NodeKey) -> NodeId {
    NodeId(SoftwareSigner::from_seed(&key.signing).verifying_key().id().0)
}

/// Gives the folder's node a new key, founded by the organization's card.
///
/// # Errors
/// Where there is no node, it runs, or the card is another organization's.
pub(super) fn renew(
    data_dir: &Path,
    founder: &Founder<'_>,
    (mut card, pin): (Box<dyn Card>, Pin),
    passphrase: Option<&Zeroizing<Vec<u8>>>,
) -> Outcome<Done> {
    let passphrase = passphrase.map(|p| &p[..]);
    let old = NodeKey::read(data_dir, passphrase)?;
    let _lock = lock(data_dir)?;
    let (founding, key) = found_under(founder, card.as_mut(), &pin, Some(old.at_rest.clone()))?;
    if key.organization != old.organization {
        let (message, next) =
            ("this card is another organization's", "Use the card of the node's organization.");
        return Err(Failure::new(Exit::Denied, "other-organization", message, next));
    }
    let file = data_dir.join(FOUNDING);
    write(&file, &founding.encode(), Readers::Anyone).map_err(|e| Failure::file(&file, &e))?;
    // Last: until then the folder holds the old node, and the command can be run again.
    key.replace(data_dir, passphrase).map_err(InitError::from)?;
    let (before, now) = (id(&old), id(&key));
    let data = json!({ "data_dir": data_dir, "node": now.to_string(), "before": before.to_string(),
        "founding": file, "sealed": passphrase.is_some() });
    let text = format!(
        "node {now}, before {before}\nnext, at another node of the organization: hospes node admit {}\nthen: hospes \
         node remove {before}, and hospes run here",
        file.display()
    );
    Ok(Done::new(data, text))
}
