//! The tests' world: stores over media of all sorts, and small ledgers to put into them.

use hospes_protocol::accumulator::{Range, RangeNode};
use hospes_protocol::block::CommitCertificate;
use hospes_protocol::ids::{
    BlockHash, ContentId, HeaderId, Lock, NodeId, ObjectId, PatientId, ValidatorsHash, sha256,
};
use hospes_storage::fault::FaultyMedium;
use hospes_storage::{
    Commit, HeaderRow, HeldBody, Medium, Options, Result, SealedKey, SealedRow, Store, Write,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{CryptoRng, SeedableRng};
use zeroize::Zeroizing;

/// The node whose store it is.
pub(crate) const ME: NodeId = NodeId([0xa1; 32]);
/// Another node.
pub(crate) const OTHER: NodeId = NodeId([0xb2; 32]);

pub(crate) fn node_key() -> Zeroizing<[u8; 32]> {
    Zeroizing::new([0x5e; 32])
}

pub(crate) fn rng(seed: u64) -> Box<dyn CryptoRng + Send> {
    Box::new(ChaCha20Rng::seed_from_u64(seed))
}

/// Small caches: the tests look at the medium, not at memory.
pub(crate) fn options() -> Options {
    Options { ledger_cache_bytes: 1 << 20, objects_cache_bytes: 4 << 20, ..Options::default() }
}

pub(crate) fn create(medium: &Medium) -> Store {
    Store::create(medium, &options(), &node_key(), rng(1)).expect("an empty medium takes a store")
}

pub(crate) fn reopen(medium: &Medium) -> Result<Store> {
    Store::open(medium, &options(), &node_key(), rng(2))
}

/// A store over a medium that can be made to fail.
pub(crate) fn faulty() -> (FaultyMedium, Medium, Store) {
    let faults = FaultyMedium::default();
    let medium = Medium::Faulty(faults.clone());
    let store = create(&medium);
    (faults, medium, store)
}

/// Bytes that repeat for no other name.
pub(crate) fn filler(name: &str, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut block = 0_u64;
    while out.len() < length {
        out.extend_from_slice(&sha256(&[name.as_bytes(), &block.to_be_bytes()]));
        block += 1;
    }
    out.truncate(length);
    out
}

pub(crate) fn content(name: &str) -> ContentId {
    ContentId(sha256(&[b"content", name.as_bytes()]))
}

pub(crate) fn patient(name: &str) -> PatientId {
    PatientId(sha256(&[b"patient", name.as_bytes()]))
}

pub(crate) fn lock(n: u64) -> Lock {
    Lock(sha256(&[b"lock", &n.to_be_bytes()]))
}

/// The id of the header with this number on the branch named so.
pub(crate) fn header_id(node: &NodeId, branch: &str, sequence: u64) -> HeaderId {
    HeaderId(sha256(&[&node.0, branch.as_bytes(), &sequence.to_be_bytes()]))
}

/// A header on a branch that begins with the first number.
pub(crate) fn header(node: &NodeId, branch: &str, sequence: u64) -> HeaderRow {
    let previous = (sequence > 1).then(|| header_id(node, branch, sequence - 1));
    let name = format!("{branch}/{sequence}");
    HeaderRow {
        node: *node,
        sequence,
        id: header_id(node, branch, sequence),
        previous,
        content: content(&name),
        bytes: filler(&format!("header {node} {name}"), 600),
        control: None,
    }
}

pub(crate) fn headers(node: &NodeId, branch: &str, numbers: std::ops::RangeInclusive<u64>) -> Vec<HeaderRow> {
    numbers.map(|n| header(node, branch, n)).collect()
}

pub(crate) fn certificate(height: u64, block: BlockHash) -> CommitCertificate {
    CommitCertificate { height, round: 0, block, validators: ValidatorsHash([7; 32]), signatures: Vec::new() }
}

/// Builds commits one after the other, with the range that they lead to.
#[derive(Default)]
pub(crate) struct Chain {
    pub(crate) height: u64,
    pub(crate) range: Range,
}

impl Chain {
    pub(crate) fn block(height: u64) -> Vec<u8> {
        filler(&format!("block {height}"), 700)
    }

    pub(crate) fn hash(height: u64) -> BlockHash {
        BlockHash(sha256(&[&Self::block(height)]))
    }

    pub(crate) fn state(height: u64) -> Vec<u8> {
        filler(&format!("state {height}"), 900)
    }

    /// The next height, with these headers in it.
    pub(crate) fn next(&mut self, headers: &[HeaderRow]) -> Commit {
        self.height += 1;
        let range: Vec<RangeNode> = headers.iter().flat_map(|h| self.range.append(&h.id)).collect();
        Commit {
            height: self.height,
            hash: Self::hash(self.height),
            block: Self::block(self.height),
            certificate: certificate(self.height, Self::hash(self.height)),
            headers: headers.iter().map(|h| (h.id, None)).collect(),
            closed: vec![lock(self.height)],
            range,
            state: Self::state(self.height),
        }
    }
}

pub(crate) fn body(name: &str, kind: u64, of: Option<PatientId>) -> HeldBody {
    HeldBody { content: content(name), kind, patient: of, bytes: filler(&format!("body {name}"), 500) }
}

pub(crate) fn segment(name: &str, length: usize) -> (ObjectId, Write) {
    let bytes = filler(&format!("segment {name}"), length);
    let id = ObjectId::of_segment(&bytes);
    (id, Write::Object { id, patient: None, bytes })
}

pub(crate) fn structured(name: &str, of: Option<PatientId>) -> (ObjectId, Write) {
    let bytes = filler(&format!("structured {name}"), 300);
    let id = ObjectId::of_structured(&bytes);
    (id, Write::Object { id, patient: of, bytes })
}

pub(crate) fn sealed(space: &str, group: &str, order: u64, item: &str, of: Option<PatientId>) -> SealedRow {
    let key = SealedKey::new(space, group.as_bytes(), order, item.as_bytes());
    SealedRow { key, patient: of, value: format!("value of {group} {item}").into_bytes() }
}
