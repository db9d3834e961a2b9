//! What a node keeps on disk: ledger, objects, WAL and erasable keys in redb.
