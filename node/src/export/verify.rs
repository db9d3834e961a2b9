//! Recomputes an exported ledger from its genesis on, without node or key, and names what is damaged.
//!
//! Bounded memory: an item at a time, and the headers of one block. The command line calls it.

use std::io::{self, Read};

use hospes_protocol::block::Block;
use hospes_protocol::check::Rejected;
use hospes_protocol::entry::Header;
use hospes_protocol::genesis::Genesis;
use hospes_protocol::ids::{NetworkId, StateRoot};
use hospes_protocol::limits::HEADER_BYTES_MAX;
use hospes_protocol::state::LedgerState;
use hospes_protocol::wire::Wire as _;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{CLOSING_HEAD, Closing, HeightItem, ITEM_BYTES_MAX, MAGIC, Opening};

/// Where a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the opening.
    Genesis,
    /// In what belongs to a height.
    Height(u64),
    /// In the closing, which follows this height.
    Closing(u64),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Genesis => f.write_str("the genesis"),
            Self::Height(height) => write!(f, "block {height}"),
            Self::Closing(height) => write!(f, "the end, after block {height}"),
        }
    }
}

/// Why a file is not a whole and lawful ledger.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    /// The file could not be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is something else.
    #[error("this is no export of a ledger")]
    NotAnExport,
    /// It is damaged.
    #[error("{place} is damaged: {why}")]
    Damaged {
        /// Where.
        place: Place,
        /// What was seen there.
        why: String,
    },
}

/// What a verified file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The network.
    pub(crate) network: NetworkId,
    /// Its name.
    pub(crate) name: String,
    /// The last height.
    pub(crate) height: u64,
    /// Its time, in milliseconds since 1970 UTC.
    pub(crate) time: u64,
    /// The state after it.
    pub(crate) root: StateRoot,
    /// Headers that became final.
    pub(crate) headers: u64,
    /// Those among them that had no effect.
    pub(crate) void: u64,
}

/// Reads items and hashes what it read.
pub(super) struct Items<R> {
    pub(super) input: R,
    pub(super) digest: Sha256,
    /// The last height that was whole; where a file breaks off, it does so after this one.
    pub(super) whole: u64,
}

impl<R: Read> Items<R> {
    /// The next item with its framing's length before it; null at the end of the file.
    pub(super) fn next(
        &mut self,
        place: Place,
        max: usize,
    ) -> Result<Option<(Vec<u8>, Sha256)>, VerifyError> {
        let before = self.digest.clone();
        let Some(length) = self.head(place)? else { return Ok(None) };
        if length > max {
            return Err(damaged(place, "an item is longer than it can be"));
        }
        let mut item = vec![0; length];
        self.fill(&mut item)?;
        Ok(Some((item, before)))
    }

    fn broken_off(&self) -> VerifyError {
        damaged(Place::Closing(self.whole), "the file breaks off")
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), VerifyError> {
        self.input.read_exact(bytes).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => self.broken_off(),
            _ => VerifyError::Unreadable(e),
        })?;
        self.digest.update(bytes);
        Ok(())
    }

    // The head of a definite byte string in its shortest form (RFC 8949, 3 and 4.2.1).
    fn head(&mut self, place: Place) -> Result<Option<usize>, VerifyError> {
        let mut first = [0];
        match self.input.read_exact(&mut first) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read.map_err(VerifyError::Unreadable)?,
        }
        self.digest.update(first);
        let more = match first[0] {
            0x40..=0x57 => return Ok(Some(usize::from(first[0] - 0x40))),
            0x58 => 1,
            0x59 => 2,
            0x5a => 4,
            _ => return Err(damaged(place, "this is not a byte string")),
        };
        let mut length = [0; 8];
        self.fill(&mut length[8 - more..])?;
        let length = u64::from_be_bytes(length);
        let shortest = match more {
            1 => length > 0x17,
            2 => length > 0xff,
            _ => length > 0xffff,
        };
        if !shortest {
            return Err(damaged(place, "a length is not in its shortest form"));
        }
        Ok(Some(usize::try_from(length).unwrap_or(usize::MAX)))
    }
}

fn damaged(place: Place, why: impl Into<String>) -> VerifyError {
    VerifyError::Damaged { place, why: why.into() }
}

fn rejected(place: Place) -> impl Fn(Rejected) -> VerifyError {
    move |r| damaged(place, format!("check {}, {}", r.check.code(), r.check.text()))
}

/// Recomputes everything in `input`; `progress` hears of every height that held.
///
/// # Errors
/// [`VerifyError`]; the first damage ends it.
pub(crate) fn verify(input: impl Read, mut progress: impl FnMut(u64)) -> Result<Verified, VerifyError> {
    let mut items = Items { input, digest: Sha256::new(), whole: 0 };
    let genesis = open(&mut items)?;
    let mut state = LedgerState::genesis(&genesis).map_err(rejected(Place::Genesis))?;
    let (mut headers, mut void) = (0, 0);
    loop {
        let place = Place::Height(state.height + 1);
        let read = items.next(place, ITEM_BYTES_MAX)?;
        let (item, before) = read.ok_or_else(|| items.broken_off())?;
        if item.first() == Some(&CLOSING_HEAD) {
            close(&mut items, &item, before, &state)?;
            break;
        }
        let item = HeightItem::decode(&item).map_err(rejected(place))?;
        let outcomes = height(&mut items, &item, &mut state)?;
        headers += item.headers;
        void += outcomes;
        items.whole = state.height;
        progress(state.height);
    }
    let (height, time, root) = (state.height, state.time, state.root());
    Ok(Verified { network: state.network, name: genesis.name, height, time, root, headers, void })
}

fn open<R: Read>(items: &mut Items<R>) -> Result<Genesis, VerifyError> {
    let place = Place::Genesis;
    // Other files seldom begin with a byte string that is an opening.
    let other = |_| VerifyError::NotAnExport;
    let (item, _) = items
        .next(place, ITEM_BYTES_MAX)
        .map_err(|e| match e {
            VerifyError::Damaged { .. } => VerifyError::NotAnExport,
            e => e,
        })?
        .ok_or(VerifyError::NotAnExport)?;
    let opening = Opening::decode(&item).map_err(other)?;
    if opening.magic != MAGIC {
        return Err(VerifyError::NotAnExport);
    }
    Genesis::read(&opening.genesis).map_err(rejected(place))
}

/// Judges one height and moves the state there; gives how many headers had no effect.
fn height<R: Read>(
    items: &mut Items<R>,
    item: &HeightItem,
    state: &mut LedgerState,
) -> Result<u64, VerifyError> {
    let place = Place::Height(state.height + 1);
    let judged = rejected(place);
    let block = Block::read(&item.block, &state.network).map_err(&judged)?;
    let cuts: u64 = block.cuts.iter().map(|c| c.to - c.from).fold(0, u64::saturating_add);
    let announced = cuts.saturating_add(block.cuts.len() as u64);
    if item.height != block.height || item.headers != announced {
        return Err(damaged(place, "the item is not about its block"));
    }
    let whole = item.certificate.height == block.height && item.certificate.block == block.hash();
    if !whole {
        return Err(damaged(place, "the certificate is of another block"));
    }
    // Before anything is read that the block only announces: a certified block announces what there is.
    item.certificate.verify(&state.network, &state.validators).map_err(&judged)?;
    let mut headers = Vec::new();
    for _ in 0..announced {
        let read = items.next(place, HEADER_BYTES_MAX)?;
        let (bytes, _) = read.ok_or_else(|| items.broken_off())?;
        headers.push(Header::read(&bytes, &state.network).map_err(&judged)?);
    }
    let executed = state.judge(&block, &headers, None).map_err(&judged)?;
    for header in &headers {
        let node = executed.state.membership.nodes.get(&header.fields().node);
        let node = node.ok_or_else(|| damaged(place, "a header is of an unknown node"))?;
        header.verify(&node.key).map_err(&judged)?;
    }
    let void = executed.outcomes.iter().filter(|o| o.void.is_some()).count();
    *state = executed.state;
    Ok(void as u64)
}

fn close<R: Read>(
    items: &mut Items<R>,
    item: &[u8],
    before: Sha256,
    state: &LedgerState,
) -> Result<(), VerifyError> {
    let place = Place::Closing(state.height);
    let closing = Closing::decode(item).map_err(rejected(place))?;
    if closing.height != state.height || closing.block != state.block {
        return Err(damaged(place, "it speaks of another block, so blocks are missing"));
    }
    let digest: [u8; 32] = before.finalize().into();
    if closing.digest != digest {
        return Err(damaged(place, "its digest is not that of the file"));
    }
    match items.next(place, ITEM_BYTES_MAX) {
        Ok(None) => Ok(()),
        _ => Err(damaged(place, "bytes follow the end")),
    }
}
