//! What a node keeps on disk: ledger, objects, WAL and erasable keys, in two redb files and one plain file.
//!
//! It stores and checks bytes, and decides nothing: whether an entry is lawful or may be read is judged by
//! `protocol` and the node. Only this crate names redb. The node opens one [`Store`] and passes it on as
//! [`Ledger`] and [`Objects`]. `storage/README.md` draws the tables and argues each commit.

mod blob;
mod chain;
mod db;
mod erasable;
mod error;
#[cfg(any(test, feature = "faults"))]
pub mod fault;
mod folder;
mod format;
mod gathering;
mod headers;
mod held;
mod history;
mod holding;
mod layout;
mod ledger;
mod ledger_store;
mod medium;
mod objects;
mod objects_store;
#[cfg(test)]
mod pinned;
mod rows;
mod scrub;
mod seal;
mod store;

pub use blob::{BlobWriter, Segments};
pub use error::{Contradiction, Family, Item, Result, StoreError};
pub use ledger::{
    ClosedLock, Commit, Finality, Head, HeaderRow, History, Installation, Ledger, Placed, RecentBlock,
    StoredHeader, Tip,
};
pub use medium::Medium;
pub use objects::{
    Fetch, HeldBody, Objects, Order, Quota, Receipt, SealedKey, SealedRow, Segment, Total, Totals, Write,
};
pub use scrub::{Budget, Cursor, Damage, ScrubReport};
pub use store::{Options, Store};
