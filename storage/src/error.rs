//! Why storage refused or failed, and the names of what may be damaged.
//!
//! Three families that never mix: a caller's contradiction (rejected), a medium that cannot now
//! (unavailable, try again) and a store that can't be relied on (fatal). Every other file returns these.

use std::path::PathBuf;

use hospes_protocol::ids::{BlockHash, ContentId, HeaderId, NodeId, ObjectId};

/// Something stored, by the name under which damage is reported.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The block, with its certificate, at a height.
    Block(u64),
    /// The header of a node with this sequence number.
    Header(NodeId, u64),
    /// A segment, packet or manifest.
    Object(ObjectId),
    /// A body.
    Body(ContentId),
    /// A row of another table, by table and key in hex.
    Row(&'static str, String),
    /// The structure of a table, so that its rows can't be walked or counted.
    Table(&'static str),
    /// A whole file.
    File(&'static str),
}

impl std::fmt::Display for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Block(height) => write!(f, "the block at height {height}"),
            Self::Header(node, sequence) => write!(f, "header {sequence} of node {node}"),
            Self::Object(id) => write!(f, "object {id}"),
            Self::Body(id) => write!(f, "body {id}"),
            Self::Row(table, key) => write!(f, "row {key} of table {table}"),
            Self::Table(table) => write!(f, "table {table}"),
            Self::File(file) => write!(f, "file {file}"),
        }
    }
}

/// What the caller asked for contradicts what is stored. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Not the height after the newest block.
    #[error("height {got} does not follow height {tip}")]
    Height {
        /// The newest height; 0 for none.
        tip: u64,
        /// The height that was given.
        got: u64,
    },
    /// A header to be made final that is not the one standing with its number.
    #[error("header {0} does not stand here")]
    HeaderNotHere(HeaderId),
    /// An own header that does not continue the own sequence.
    #[error("own sequence number {got} does not follow {last}")]
    OwnSequence {
        /// The last number given out.
        last: u64,
        /// The number that was given.
        got: u64,
    },
    /// A branch that would displace a final header.
    #[error("header {1} of node {0} is final")]
    Final(NodeId, u64),
    /// As many headers as leaves of the range are needed.
    #[error("the batch names {headers} headers and {leaves} leaves")]
    Leaves {
        /// Headers that become final.
        headers: usize,
        /// Leaves that join the range.
        leaves: usize,
    },
    /// Bytes that an object id does not name, or that are too large to store.
    #[error("these bytes are not object {0}")]
    NotItsBytes(ObjectId),
    /// A name that is not one of a space of sealed rows.
    #[error("a name of a space is 1 to 32 lower-case letters, digits and dashes")]
    SpaceName,
    /// A block offered as a repair that is not the one of this height.
    #[error("block {1} is not the block at height {0}")]
    OtherBlock(u64, BlockHash),
}

/// Every way in which storage refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Rejected: the call contradicts what is stored.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// Unavailable: the disk is full. Nothing was lost; reading goes on, writing waits for space.
    #[error("the disk is full: free some space, then try again")]
    Full,
    /// Unavailable: another process uses the folder.
    #[error("the data folder is in use by {}: stop it first", process(.pid))]
    Locked {
        /// Its process id, where the lock file says so.
        pid: Option<u32>,
    },
    /// Unavailable: nothing was stored in this folder yet.
    #[error("{0} holds no store: create one first")]
    Absent(PathBuf),
    /// Unavailable: the folder has a store, so none is created.
    #[error("{0} holds a store already")]
    Exists(PathBuf),
    /// Unavailable: the key that was given is not the one the store was made with.
    #[error("the node key does not open this store")]
    WrongKey,
    /// Unavailable: written by a newer release.
    #[error("{file} has format {found}, and this release reads up to {known}: use a newer release")]
    Newer {
        /// Which file.
        file: &'static str,
        /// Its format.
        found: u64,
        /// The newest that is known here.
        known: u64,
    },
    /// Fatal: the two databases or the key file are not of one store.
    #[error("{0} belongs to another store")]
    Mixed(&'static str),
    /// Fatal: what is stored is damaged, and is not served.
    #[error("{0} is damaged")]
    Corrupt(Item),
    /// Fatal: the medium failed. Whether the last write is durable is not known until the store is opened
    /// again.
    #[error("the medium under {file} failed: {source}")]
    Io {
        /// Which file.
        file: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

#[cfg(feature = "failpoints")]
impl StoreError {
    /// What a medium says that fails when a test wants it to.
    #[must_use]
    pub fn wanted() -> Self {
        Self::Io { file: "a fail point", source: std::io::Error::other("wanted by a test") }
    }
}

fn process(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// Which family an error belongs to: what the node does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The caller erred; the store is as it was.
    Rejected,
    /// Try again when what it says was done.
    Unavailable,
    /// Stop, or repair what is named.
    Fatal,
}

impl StoreError {
    /// The family.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::Contradiction(_) => Family::Rejected,
            Self::Full
            | Self::Locked { .. }
            | Self::Absent(_)
            | Self::Exists(_)
            | Self::WrongKey
            | Self::Newer { .. } => Family::Unavailable,
            Self::Mixed(_) | Self::Corrupt(_) | Self::Io { .. } => Family::Fatal,
        }
    }
}

/// What storage returns.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
