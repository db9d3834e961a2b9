//! A genesis out of founding files, and a genesis put in its place.

use std::path::{Path, PathBuf};

use hospes_protocol::check::Rejected;
use hospes_protocol::control::OrganizationEntry;
use hospes_protocol::entry::FORMAT;
use hospes_protocol::genesis::{GENESIS_BYTES_MAX, Genesis, default_policy};
use hospes_protocol::ids::NodeId;
use hospes_protocol::wire::Wire as _;
use thiserror::Error;

use super::founding::Founding;

/// Where a node's genesis is.
pub(crate) fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("genesis.cbor")
}

/// Why there is no genesis.
#[derive(Debug, Error)]
pub(crate) enum NetworkError {
    /// The system.
    #[error("{path}: {cause}")]
    System {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path}: check {}, {}", why.check.code(), why.check.text())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Rejected,
    },
    /// Two files of one organization differ.
    #[error("two founding files say different things of the organization `{0}`")]
    Contradiction(String),
    /// One node is in two files.
    #[error("the node {0} is in two founding files")]
    Repeated(NodeId),
    /// What came out is not lawful.
    #[error("these files make no network: check {}, {}", .0.check.code(), .0.check.text())]
    Unlawful(Rejected),
}

/// Reads a founding file.
///
/// # Errors
/// [`NetworkError::System`], [`NetworkError::Rejected`].
pub(crate) fn read_founding(path: &Path) -> Result<Founding, NetworkError> {
    Founding::read(&read(path)?).map_err(|why| NetworkError::Rejected { path: path.to_owned(), why })
}

/// Reads a genesis file.
///
/// # Errors
/// [`NetworkError::System`], [`NetworkError::Rejected`].
pub(crate) fn read_genesis(path: &Path) -> Result<Genesis, NetworkError> {
    Genesis::read(&read(path)?).map_err(|why| NetworkError::Rejected { path: path.to_owned(), why })
}

// Neither file is longer than a genesis may be; what is longer is refused by its reader.
fn read(path: &Path) -> Result<Vec<u8>, NetworkError> {
    use std::io::Read as _;
    let system = |cause| NetworkError::System { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(system)?;
    let mut bytes = Vec::new();
    file.take(GENESIS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(system)?;
    Ok(bytes)
}

/// A network of these founders: `validators` decide, `replicas` follow.
///
/// # Errors
/// [`NetworkError::Contradiction`], [`NetworkError::Repeated`], [`NetworkError::Unlawful`].
pub(crate) fn combine(
    name: &str,
    time: u64,
    validators: &[Founding],
    replicas: &[Founding],
) -> Result<Genesis, NetworkError> {
    let mut organizations: Vec<OrganizationEntry> = Vec::new();
    let (mut nodes, mut deciding) = (Vec::new(), Vec::new());
    for founding in validators.iter().chain(replicas) {
        let organization = &founding.organization;
        match organizations.iter().find(|o| o.organization == organization.organization) {
            None => organizations.push(organization.clone()),
            Some(known) if known == organization => {}
            Some(_) => return Err(NetworkError::Contradiction(organization.name.clone())),
        }
        nodes.push(founding.node.clone());
    }
    deciding.extend(validators.iter().map(|f| NodeId(f.node.key.id().0)));
    organizations.sort_by_key(|o| o.organization);
    nodes.sort_by_key(|n| n.key.id());
    if let Some(pair) = nodes.windows(2).find(|w| w[0].key == w[1].key) {
        return Err(NetworkError::Repeated(NodeId(pair[0].key.id().0)));
    }
    deciding.sort_unstable();
    let genesis = Genesis {
        format: FORMAT,
        name: name.to_owned(),
        time,
        organizations,
        nodes,
        validators: deciding,
        policy: default_policy(),
    };
    Genesis::read(&genesis.encode()).map_err(NetworkError::Unlawful)
}
