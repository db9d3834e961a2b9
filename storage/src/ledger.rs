//! The ledger's side of storage: the trait that the node decides over, and the shapes it passes.
//!
//! Bytes are opaque here: nothing is verified but that what comes back is what went in. Judging headers,
//! blocks and states is `protocol`'s. The node's service is the caller; [`crate::Store`] implements it.

use hospes_protocol::accumulator::RangeNode;
use hospes_protocol::block::CommitCertificate;
use hospes_protocol::check::Check;
use hospes_protocol::entry::Header;
use hospes_protocol::ids::{BlockHash, ContentId, HeaderId, Lock, NodeId};
use hospes_protocol::wire::Bytes;
use hospes_protocol::wire_struct;

use crate::error::Result;

/// A header to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderRow {
    /// Who signed it.
    pub node: NodeId,
    /// Its number, from 1.
    pub sequence: u64,
    /// Its id.
    pub id: HeaderId,
    /// The header before it; null for the first.
    pub previous: Option<HeaderId>,
    /// The content that it names.
    pub content: ContentId,
    /// The COSE_Sign1 as received.
    pub bytes: Vec<u8>,
    /// The body of a control header.
    pub control: Option<Vec<u8>>,
}

impl HeaderRow {
    /// The row of a header, with the body of a control header where it is here.
    #[must_use]
    pub fn of(header: &Header, control: Option<Vec<u8>>) -> Self {
        let fields = header.fields();
        Self {
            node: fields.node,
            sequence: fields.sequence,
            id: header.id(),
            previous: fields.previous,
            content: fields.content,
            bytes: header.as_bytes().to_vec(),
            control,
        }
    }
}

/// What became of a header that was given to store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It continues its node's chain, and is durable.
    Stored,
    /// It was here. A damaged copy was replaced.
    Known,
    /// Another one stands with its number, or it stands on another one: kept aside as evidence.
    Forked,
    /// Headers before it are missing: not kept.
    Gap,
}

/// The last header of a node that continues its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The node.
    pub node: NodeId,
    /// Its number.
    pub sequence: u64,
    /// Its id.
    pub id: HeaderId,
}

/// A header as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredHeader {
    /// Who signed it.
    pub node: NodeId,
    /// Its number.
    pub sequence: u64,
    /// Its id.
    pub id: HeaderId,
    /// The COSE_Sign1 as received.
    pub bytes: Vec<u8>,
}

/// That a header is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finality {
    /// The height that made it final.
    pub height: u64,
    /// Its leaf in the range of final headers, from 0.
    pub leaf: u64,
    /// Why it has no effect, for one that has none.
    pub void: Option<Check>,
}

/// Everything that becomes true with one height; one transaction.
#[derive(Clone, Debug)]
pub struct Commit {
    /// The height; one more than the last.
    pub height: u64,
    /// The block's hash.
    pub hash: BlockHash,
    /// The block.
    pub block: Vec<u8>,
    /// What makes it final.
    pub certificate: CommitCertificate,
    /// The headers of its cuts in order, each with why it has no effect, if it has none.
    pub headers: Vec<(HeaderId, Option<Check>)>,
    /// Locks that it closed.
    pub closed: Vec<Lock>,
    /// Nodes that joined the range of final headers.
    pub range: Vec<RangeNode>,
    /// The state after it, without its locks.
    pub state: Vec<u8>,
}

/// A certified state from which a node goes on that was away too long to replay.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The height; above the newest block here.
    pub height: u64,
    /// The block's hash.
    pub hash: BlockHash,
    /// The block.
    pub block: Vec<u8>,
    /// What makes it final.
    pub certificate: CommitCertificate,
    /// The state after it.
    pub state: Vec<u8>,
    /// Every closed lock of that state.
    pub locks: Vec<Lock>,
    /// The peaks of the range of final headers.
    pub range: Vec<RangeNode>,
    /// The last final header of each node.
    pub heads: Vec<Head>,
    /// Blocks just below it, by whose certificates the turns of proposers are known.
    pub recent: Vec<RecentBlock>,
}

/// A block below an installed state.
#[derive(Clone, Debug)]
pub struct RecentBlock {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// The block.
    pub block: Vec<u8>,
    /// What makes it final.
    pub certificate: CommitCertificate,
}

wire_struct! {
    /// What an installation left out, and how far it was filled in since.
    pub struct History {
        /// The height of the installed state: what is filled in ends there.
        pub until: u64,
        /// The state after the last block before the gap that is here whole; empty for the one of the genesis file.
        pub state: Bytes,
    }
}

/// A closed lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedLock {
    /// The lock.
    pub lock: Lock,
    /// The height that closed it; null while its reveal was only seen.
    pub height: Option<u64>,
}

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// Headers, blocks, closed locks, state, WAL and outbox.
///
/// Every method that writes is one durable transaction: when it returns `Ok`, power may fail. When it
/// returns an error, it has either no effect or, after [`crate::StoreError::Io`], one that opening the store
/// again shows; all of them may be repeated. Reads see the last commit, and never what fails its check.
pub trait Ledger: Send + Sync {
    /// Whether what this thread writes from now on, here and among the objects of the same store, may wait: it is
    /// seen at once, and is durable once [`Ledger::settle`] has ended. After a crash what was written up to some
    /// instant is there and nothing after it. Writes of other threads are durable as ever.
    fn gather(&self, on: bool);

    /// Makes durable all that waits.
    ///
    /// # Errors
    /// [`crate::StoreError::Full`] where there is no room, or was none meanwhile, and what waited may be lost:
    /// [`Ledger::give_up`] brings what is seen to what is durable. [`crate::StoreError`] of the medium.
    fn settle(&self) -> Result<()>;

    /// Takes back all that waits, as a crash would.
    fn give_up(&self);

    /// Stores headers in order; one outcome for each.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn put_headers(&self, rows: &[HeaderRow]) -> Result<Vec<Placed>>;

    /// Stores own headers and their places in the outbox, and moves the own sequence number, at once.
    ///
    /// # Errors
    /// [`crate::Contradiction::OwnSequence`] unless each follows the number before it.
    fn put_own(&self, rows: &[HeaderRow]) -> Result<()>;

    /// The last own sequence number given out under this node id; 0 for none. It never runs backwards.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn own_sequence(&self, node: &NodeId) -> Result<u64>;

    /// Own headers that are not final, in order.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn outbox(&self) -> Result<Vec<StoredHeader>>;

    /// Lets a branch stand that was finalised elsewhere: what stands from its first number on is kept aside.
    ///
    /// # Errors
    /// [`crate::Contradiction::Final`] where that would displace a final header,
    /// [`crate::Contradiction::HeaderNotHere`] where the branch does not continue what stands before it.
    fn adopt_branch(&self, rows: &[HeaderRow]) -> Result<()>;

    /// The header with this id, among those that stand.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn header(&self, id: &HeaderId) -> Result<Option<StoredHeader>>;

    /// The headers of a node numbered `from` to `to`, as far as they are here without a gap, as received.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn headers(&self, node: &NodeId, from: u64, to: u64) -> Result<Vec<Vec<u8>>>;

    /// The last header of every node.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn heads(&self) -> Result<Vec<Head>>;

    /// Headers of a node that were kept aside.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn forks(&self, node: &NodeId) -> Result<Vec<StoredHeader>>;

    /// The headers that name a content, among those that stand.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn headers_of(&self, content: &ContentId) -> Result<Vec<HeaderId>>;

    /// Whether a standing header names this content.
    ///
    /// # Errors
    /// As [`Ledger::headers_of`].
    fn is_filed(&self, content: &ContentId) -> Result<bool> {
        Ok(!self.headers_of(content)?.is_empty())
    }

    /// The body of a control header.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn control_body(&self, content: &ContentId) -> Result<Option<Vec<u8>>>;

    /// Stores the body of a control header that came without it.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn put_control_body(&self, content: &ContentId, body: &[u8]) -> Result<()>;

    /// Whether, where and with what effect a header is final.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn finality(&self, id: &HeaderId) -> Result<Option<Finality>>;

    /// Makes a height final, and forgets its WAL.
    ///
    /// # Errors
    /// [`crate::Contradiction`] for another height than the next, a header that does not stand here, or
    /// leaves that are not one for each header.
    fn commit(&self, commit: &Commit) -> Result<()>;

    /// Goes on from a certified state. Blocks in between stay missing.
    ///
    /// # Errors
    /// [`crate::Contradiction::Height`] unless it is above the newest block.
    fn install(&self, installation: &Installation) -> Result<()>;

    /// Keeps blocks of heights that an installation left out, without their headers.
    ///
    /// # Errors
    /// [`crate::Contradiction::Height`] for a height that is not missing.
    fn keep_blocks(&self, blocks: &[RecentBlock]) -> Result<()>;

    /// Fills in heights that an installation left out, in order, with their headers; the state of the last is where
    /// filling goes on. Neither the newest block nor the state moves.
    ///
    /// # Errors
    /// [`crate::Contradiction::Height`] for a height outside the gap, otherwise as [`Ledger::commit`].
    fn fill(&self, headers: &[HeaderRow], heights: &[Commit]) -> Result<()>;

    /// What is still to be filled in; null where nothing is.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn history(&self) -> Result<Option<History>>;

    /// The newest block; null before the first.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] where it fails its check.
    fn tip(&self) -> Result<Option<Tip>>;

    /// The block at a height, with its certificate.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] naming the height, where either fails its check.
    fn block(&self, height: u64) -> Result<Option<(Vec<u8>, CommitCertificate)>>;

    /// The certificate of a height.
    ///
    /// # Errors
    /// As [`Ledger::block`].
    fn certificate(&self, height: u64) -> Result<Option<CommitCertificate>> {
        Ok(self.block(height)?.map(|(_, certificate)| certificate))
    }

    /// The height of a block.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn height_of(&self, hash: &BlockHash) -> Result<Option<u64>>;

    /// Replaces a damaged block by the same one from a peer.
    ///
    /// # Errors
    /// [`crate::Contradiction::OtherBlock`] unless its hash is the one of this height.
    fn repair_block(&self, height: u64, block: &[u8], certificate: &CommitCertificate) -> Result<()>;

    /// Drops blocks below a height; gives how many. Their headers stay.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn prune_blocks(&self, below: u64) -> Result<u64>;

    /// The lowest height whose block is here.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn oldest_block(&self) -> Result<Option<u64>>;

    /// The state after the newest block.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn state(&self) -> Result<Option<Vec<u8>>>;

    /// Closes a lock on sight of its reveal.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn see_lock(&self, lock: &Lock) -> Result<()> {
        self.see_locks(std::slice::from_ref(lock))
    }

    /// Closes locks on sight of their reveals.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn see_locks(&self, locks: &[Lock]) -> Result<()>;

    /// The closed locks after `after` in ascending order, at most `limit`.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn locks(&self, after: Option<&Lock>, limit: usize) -> Result<Vec<ClosedLock>>;

    /// Whether and since when a lock is closed.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn lock(&self, lock: &Lock) -> Result<Option<ClosedLock>>;

    /// A node of the range of final headers.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn range_node(&self, level: u64, index: u64) -> Result<Option<[u8; 32]>>;

    /// Appends to the WAL of a height, durably, in one transaction.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn wal_append(&self, height: u64, entries: &[Vec<u8>]) -> Result<()>;

    /// The WAL of a height, in the order of appending.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row: a validator that lost its WAL must not vote.
    fn wal(&self, height: u64) -> Result<Vec<Vec<u8>>>;

    /// A small named value, such as the genesis file.
    ///
    /// # Errors
    /// [`crate::StoreError::Corrupt`] for a damaged row.
    fn property(&self, name: &str) -> Result<Option<Vec<u8>>>;

    /// Stores a small named value.
    ///
    /// # Errors
    /// [`crate::StoreError`] of the medium.
    fn put_property(&self, name: &str, value: &[u8]) -> Result<()>;
}
