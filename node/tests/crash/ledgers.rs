//! Every node's ledger as a file: verified, compared height by height, and searched for what was promised.

use std::collections::BTreeMap;
use std::fs;

use hospes_protocol::block::{Block, CommitCertificate};
use hospes_protocol::entry::Header;
use hospes_protocol::genesis::Genesis;
use hospes_protocol::wire::{Bytes, Wire as _};
use hospes_protocol::wire_struct;
use serde_json::Value;

use crate::federation::Federation;
use crate::people::People;

wire_struct! {
    /// The item of a height, as node/README.md draws it.
    pub struct HeightItem {
        /// The height.
        pub height: u64,
        /// The block.
        pub block: Bytes,
        /// Its certificate.
        pub certificate: CommitCertificate,
        /// Headers that follow.
        pub headers: u64,
    }
}

/// What one node's file says.
pub(crate) struct Ledger {
    name: String,
    verified: Value,
    blocks: BTreeMap<u64, Vec<u8>>,
    /// How often each content was filed.
    contents: BTreeMap<String, usize>,
    accused: Vec<String>,
}

/// Splits a CBOR sequence of byte strings.
fn items(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut items = Vec::new();
    while let Some((head, rest)) = bytes.split_first() {
        let more = match head {
            0x40..=0x57 => 0,
            0x58 => 1,
            0x59 => 2,
            _ => 4,
        };
        let (length, rest) = rest.split_at(more);
        let long = length.iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let (item, rest) = rest.split_at(if more == 0 { usize::from(head - 0x40) } else { long });
        items.push(item);
        bytes = rest;
    }
    items
}

impl Ledger {
    /// Has a node export, and the program verify.
    pub(crate) fn of(federation: &Federation, i: usize, people: &People) -> Self {
        let hospital = &federation.hospitals[i];
        let path = federation.path(&format!("{}.ledger", hospital.name));
        let file = path.to_str().unwrap();
        hospital.command(&["ledger", "export", file, "--card", &people.organization, "--pin-file", "pin"]);
        let verified = hospital.command(&["verify", file]);
        let genesis = Genesis::read(&fs::read(federation.path("genesis.cbor")).unwrap()).unwrap();
        Self::read(&hospital.name, verified, &fs::read(&path).unwrap(), &genesis)
    }

    fn read(name: &str, verified: Value, bytes: &[u8], genesis: &Genesis) -> Self {
        let network = genesis.network();
        let (mut blocks, mut contents, mut accused) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        let all = items(bytes);
        let mut left = 0;
        for item in &all[1..all.len() - 1] {
            if left == 0 {
                let of = HeightItem::decode(item).unwrap();
                let block = Block::read(&of.block, &network).unwrap();
                if !block.forks.is_empty() || !block.equivocations.is_empty() {
                    accused.push(format!("{name}: block {} holds evidence", of.height));
                }
                left = of.headers;
                blocks.insert(of.height, of.block.0);
            } else {
                left -= 1;
                let content = Header::read(item, &network).unwrap().fields().content;
                *contents.entry(content.to_string()).or_default() += 1;
            }
        }
        Self { name: name.to_owned(), verified, blocks, contents, accused }
    }

    /// Promises that this ledger lacks, or has more than once.
    pub(crate) fn lacks<'a>(&self, promised: impl Iterator<Item = &'a String>) -> Vec<String> {
        let wrong = |id: &&String| self.contents.get(*id) != Some(&1);
        promised.filter(wrong).map(|id| format!("{}: {id} is not there once", self.name)).collect()
    }

    pub(crate) fn heights(&self) -> usize {
        self.blocks.len()
    }
}

/// What contradicts itself in or between ledgers.
pub(crate) fn contradictions(ledgers: &[Ledger]) -> Vec<String> {
    let mut found: Vec<String> = ledgers.iter().flat_map(|l| l.accused.clone()).collect();
    let first = &ledgers[0];
    for other in &ledgers[1..] {
        for (height, block) in &other.blocks {
            if first.blocks.get(height).is_some_and(|b| b != block) {
                found.push(format!("two blocks of height {height}: {} and {}", first.name, other.name));
            }
        }
        for key in ["height", "state_root", "headers"] {
            if first.verified[key] != other.verified[key] || first.verified[key].is_null() {
                found.push(format!("{key}: {} and {} differ", first.name, other.name));
            }
        }
    }
    let void = ledgers.iter().filter(|l| l.verified["void"] != 0);
    found.extend(void.map(|l| format!("{}: headers without effect: {}", l.name, l.verified["void"])));
    found
}

/// The checker sees a block that another node has otherwise, and evidence.
#[test]
fn two_blocks_of_one_height_are_seen() {
    let ledger = |name: &str, block: u8| Ledger {
        name: name.into(),
        verified: serde_json::json!({ "height": 1, "state_root": "aa", "headers": 0, "void": 0 }),
        blocks: BTreeMap::from([(1, vec![block])]),
        contents: BTreeMap::from([("once".into(), 1), ("twice".into(), 2)]),
        accused: Vec::new(),
    };
    assert_eq!(contradictions(&[ledger("ash", 1), ledger("beech", 1)]), Vec::<String>::new(), "the same");
    assert_eq!(contradictions(&[ledger("ash", 1), ledger("beech", 2)]).len(), 1, "two blocks");
    let (once, twice, never) = ("once".to_owned(), "twice".to_owned(), "never".to_owned());
    let lacks = ledger("ash", 1).lacks([&once, &twice, &never].into_iter());
    assert_eq!(lacks.len(), 2, "what is there twice or never: {lacks:?}");
}
