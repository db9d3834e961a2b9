//! The file of `hospes ledger export`: its form, and how it is written from the store.
//!
//! A CBOR sequence (RFC 8742) of byte strings: the opening with the genesis; for each height its block, its
//! certificate and the headers that it made final; the closing with SHA-256 of everything before it.
//! `node/README.md` draws it. [`verify()`] recomputes every state from genesis on.

mod verify;

use std::sync::Arc;

use hospes_protocol::block::{Block, CommitCertificate};
use hospes_protocol::check::Rejected;
use hospes_protocol::genesis::{GENESIS_BYTES_MAX, Genesis};
use hospes_protocol::ids::{BlockHash, NetworkId};
use hospes_protocol::limits::{BLOCK_BYTES_MAX, VALIDATORS_MAX};
use hospes_protocol::wire::{Bytes, Enc, Wire};
use hospes_protocol::wire_struct;
use hospes_service::away::Missing;
use hospes_storage::{Ledger, StoreError};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

pub(crate) use verify::{Place, VerifyError, verify};

/// Begins every file.
const MAGIC: &str = "hospes/1/ledger-export";
/// The first byte of a closing, an array of three; the item of a height is one of four.
const CLOSING_HEAD: u8 = 0x83;
/// A certificate's share of an item.
const CERTIFICATE_BYTES_MAX: usize = 256 + VALIDATORS_MAX * 160;
/// An item in bytes, at most.
const ITEM_BYTES_MAX: usize = BLOCK_BYTES_MAX + CERTIFICATE_BYTES_MAX + GENESIS_BYTES_MAX;

wire_struct! {
    /// The first item.
    pub struct Opening {
        /// [`MAGIC`].
        pub magic: String,
        /// The genesis file.
        pub genesis: Bytes,
    }
}

wire_struct! {
    /// A height; as many headers follow, each an item, in the order of the block's cuts.
    pub struct HeightItem {
        /// The height.
        pub height: u64,
        /// The block.
        pub block: Bytes,
        /// What made it final.
        pub certificate: CommitCertificate,
        /// How many headers follow.
        pub headers: u64,
    }
}

wire_struct! {
    /// The last item.
    pub struct Closing {
        /// The last height.
        pub height: u64,
        /// Its block; the network id, as a hash, for height 0.
        pub block: BlockHash,
        /// SHA-256 of all bytes of the file before this item.
        pub digest: [u8; 32],
    }
}

/// Why a ledger is not exported.
#[derive(Debug, Error)]
pub(crate) enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored is not what it should be.
    #[error("the stored block {0} cannot be read: {1}")]
    Block(u64, Rejected),
    /// Blocks are missing here.
    #[error(
        "this node has no block {0}: it began with a state, or old blocks were pruned. Wait until `hospes status` \
         names no missing history, or export from another node"
    )]
    Missing(u64),
}

/// Gives the file item by item; the end is the closing.
pub(crate) struct Exporter {
    ledger: Arc<dyn Ledger>,
    network: NetworkId,
    opening: Option<Vec<u8>>,
    next: u64,
    last: u64,
    block: BlockHash,
    digest: Sha256,
    closed: bool,
}

impl Exporter {
    /// Of everything that is final now.
    ///
    /// # Errors
    /// [`ExportError::Missing`] where blocks were pruned or never fetched.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, genesis: &Genesis) -> Result<Self, ExportError> {
        let last = ledger.tip()?.map_or(0, |tip| tip.height);
        if last > 0 && ledger.oldest_block()? != Some(1) {
            return Err(ExportError::Missing(1));
        }
        if let Some(history) = ledger.history()? {
            let missing = Missing::of(&history).map_err(|e| ExportError::Block(last, e))?;
            return Err(ExportError::Missing(missing.from));
        }
        let network = genesis.network();
        let opening = Opening { magic: MAGIC.into(), genesis: Bytes(genesis.encode()) };
        Ok(Self {
            ledger,
            network,
            opening: Some(opening.encode()),
            next: 1,
            last,
            block: BlockHash(network.0),
            digest: Sha256::new(),
            closed: false,
        })
    }

    fn height(&mut self) -> Result<Vec<u8>, ExportError> {
        let height = self.next;
        self.next += 1;
        let (bytes, certificate) = self.ledger.block(height)?.ok_or(ExportError::Missing(height))?;
        let block = Block::read(&bytes, &self.network).map_err(|e| ExportError::Block(height, e))?;
        let mut headers = Vec::new();
        for cut in &block.cuts {
            let found = self.ledger.headers(&cut.node, cut.from, cut.to)?;
            if found.len() as u64 != cut.to - cut.from + 1 {
                return Err(ExportError::Missing(height));
            }
            headers.extend(found);
        }
        self.block = block.hash();
        let item = HeightItem { height, block: Bytes(bytes), certificate, headers: headers.len() as u64 };
        let mut out = framed(&item.encode());
        headers.iter().for_each(|h| out.extend(framed(h)));
        Ok(out)
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        let bytes = match self.opening.take() {
            Some(opening) => framed(&opening),
            None if self.next <= self.last => self.height()?,
            None if self.closed => return Ok(None),
            None => {
                self.closed = true;
                let digest = self.digest.clone().finalize().into();
                let closing = Closing { height: self.last, block: self.block, digest };
                return Ok(Some(framed(&closing.encode())));
            }
        };
        self.digest.update(&bytes);
        Ok(Some(bytes))
    }
}

impl Iterator for Exporter {
    type Item = Result<Vec<u8>, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            (self.closed, self.opening, self.next) = (true, None, self.last + 1);
        }
        step.transpose()
    }
}

fn framed(item: &[u8]) -> Vec<u8> {
    let mut e = Enc::default();
    e.bytes(item);
    e.into_bytes()
}

#[cfg(test)]
mod tests;
