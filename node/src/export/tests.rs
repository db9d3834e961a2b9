//! An export verifies as it was written, and no changed byte of it goes unseen.
//!
//! Method: a network of one over a store in memory, with a few blocks of policy entries. Every bit of the file is
//! flipped once; then whole files are made up, with digests that are right.

use std::io::Read as _;

use hospes_protocol::block::{CommitSignature, Cut, SignedVote};
use hospes_protocol::control::{NodeEntry, OrganizationEntry, PolicyEntry, Standing};
use hospes_protocol::entry::{Content, FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::genesis::{default_policy, organization_id};
use hospes_protocol::ids::NodeId;
use hospes_protocol::keys::{KeyAgreement as _, Signer as _, SoftwareAgreement, SoftwareSigner};
use hospes_protocol::state::{Draft, LedgerState};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_storage::{Commit, HeaderRow, Medium, Options, Store};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;

use super::verify::Items;
use super::*;

struct World {
    genesis: Genesis,
    state: LedgerState,
    store: Arc<Store>,
    card: SoftwareSigner,
    key: SoftwareSigner,
}

fn founders(card: &SoftwareSigner, key: &SoftwareSigner) -> (OrganizationEntry, NodeEntry) {
    let card = card.verifying_key();
    let organization = OrganizationEntry {
        organization: organization_id(card.as_bytes()),
        name: "Export".into(),
        cards: vec![card],
        agreement: Vec::new(),
        accreditation: [1; 32],
        standing: Standing::Active,
    };
    let node = NodeEntry {
        key: key.verifying_key(),
        agreement: SoftwareAgreement::from_secret(&[3; 32]).agreement_key(),
        organization: organization.organization,
        emergency: false,
        addresses: Vec::new(),
        expires: u64::MAX,
        standing: Standing::Active,
    };
    (organization, node)
}

impl World {
    fn new() -> Self {
        let (card, key) = (SoftwareSigner::from_seed(&[1; 32]), SoftwareSigner::from_seed(&[2; 32]));
        let (organization, node) = founders(&card, &key);
        let genesis = Genesis {
            format: FORMAT,
            name: "export".into(),
            time: 1_000,
            organizations: vec![organization],
            validators: vec![NodeId(node.key.id().0)],
            nodes: vec![node],
            policy: default_policy(),
        };
        let rng = Box::new(ChaCha20Rng::seed_from_u64(1));
        let store =
            Store::create(&Medium::memory(), &Options::default(), &zeroize::Zeroizing::new([7; 32]), rng)
                .unwrap();
        let state = LedgerState::genesis(&genesis).unwrap();
        Self { genesis, state, store: Arc::new(store), card, key }
    }

    fn header(&mut self, salt: u8) -> (Header, Vec<u8>) {
        let organization = self.genesis.organizations[0].organization;
        let policy = PolicyEntry {
            organization: Some(organization),
            fields: None,
            backup_partners: Vec::new(),
            tier_zero: true,
        };
        let content = Content {
            format: FORMAT,
            network: self.state.network,
            kind: Kind::Policy.code(),
            organization,
            salt: [salt; 32],
            lock: None,
            stands_on: Vec::new(),
            payload: Bytes(policy.encode()),
        };
        let signed = sign_tap(&mut self.card, &content.network, ("t", "en"), &[content.id()]).unwrap();
        let body = Body { content: Bytes(content.encode()), signatures: signed }.encode();
        let node = self.genesis.validators[0];
        let head = self.state.frontiers.get(&node).copied();
        let fields = HeaderFields {
            format: FORMAT,
            network: self.state.network,
            organization,
            node,
            sequence: head.map_or(1, |h| h.0 + 1),
            previous: head.map(|h| h.1),
            kind: content.kind,
            subject: None,
            content: content.id(),
            lock: None,
            reveal: Vec::new(),
            signed_at: 1_000,
        };
        (Header::sign(fields, &mut self.key).unwrap(), body)
    }

    fn certify(&mut self, block: &Block) -> CommitCertificate {
        let mut certificate = CommitCertificate {
            height: block.height,
            round: 0,
            block: block.hash(),
            validators: self.state.validators.hash(),
            signatures: Vec::new(),
        };
        let vote = certificate.precommit(&self.state.network, self.genesis.validators[0]);
        let signed = SignedVote::sign(vote, &mut self.key).unwrap();
        let signature = CommitSignature { validator: signed.vote.validator, signature: signed.signature };
        certificate.signatures.push(signature);
        certificate
    }

    /// Commits a block with one entry.
    fn commit(&mut self, salt: u8) {
        let (header, body) = self.header(salt);
        self.store.put_headers(&[HeaderRow::of(&header, Some(body.clone()))]).unwrap();
        let fields = header.fields();
        let cuts = [Cut { node: fields.node, from: fields.sequence, to: fields.sequence, last: header.id() }];
        let (headers, control) = (std::slice::from_ref(&header), [Bytes(body)]);
        let draft = Draft { time: 2_000, cuts: &cuts, headers, control: &control, forks: &[] };
        let executed = self.state.execute(&draft).unwrap();
        let mut block = Block::over(&self.state, &draft, &executed, fields.node);
        block.last_commit = self.store.certificate(self.state.height).unwrap();
        let executed = self.state.judge(&block, headers, Some(2_000)).unwrap();
        let certificate = self.certify(&block);
        let commit = Commit {
            height: block.height,
            hash: block.hash(),
            block: block.encode(),
            certificate,
            headers: executed.outcomes.iter().map(|o| (o.header, o.void)).collect(),
            closed: executed.closed.clone(),
            range: executed.range.clone(),
            state: executed.state.encode_snapshot(),
        };
        self.store.commit(&commit).unwrap();
        self.state = executed.state;
    }

    fn export(&self) -> Vec<u8> {
        let ledger: Arc<dyn Ledger> = self.store.clone();
        Exporter::new(ledger, &self.genesis).unwrap().map(Result::unwrap).collect::<Vec<_>>().concat()
    }
}

fn of(blocks: u8) -> (World, Vec<u8>) {
    let mut world = World::new();
    (1..=blocks).for_each(|salt| world.commit(salt));
    let file = world.export();
    (world, file)
}

#[test]
fn an_export_verifies_to_the_state_of_its_node() {
    let (world, file) = of(3);
    let mut heights = Vec::new();
    let verified = verify(&file[..], |height| heights.push(height)).unwrap();
    assert_eq!(verified.root, world.state.root(), "the same state");
    assert_eq!((verified.height, verified.headers, verified.void), (3, 3, 0), "all of it");
    assert_eq!(heights, [1, 2, 3], "one after the other");
}

#[test]
fn a_ledger_without_blocks_is_whole_too() {
    let (world, file) = of(0);
    let verified = verify(&file[..], |_| ()).unwrap();
    assert_eq!((verified.height, verified.root), (0, world.state.root()), "the state of the genesis");
}

#[test]
fn every_flipped_byte_is_found_and_named() {
    // Every bit of a small file; of a larger one, one bit of each byte.
    for (blocks, bits) in [(0, 0..8), (1, 0..8), (3, 0..1)] {
        let (_, file) = of(blocks);
        for i in 0..file.len() {
            for bit in bits.clone() {
                let mut bad = file.clone();
                bad[i] ^= 1 << bit;
                assert!(verify(&bad[..], |_| ()).is_err(), "{blocks} blocks, byte {i}, bit {bit}");
            }
        }
    }
}

/// A file whose items are spoilt and whose digest is right: what someone writes who wants the reader to fall.
#[test]
fn no_forged_file_brings_the_reader_down_or_takes_memory_on_its_word() {
    let (_, file) = of(2);
    let start = start_of(&file, 1);
    let close = |body: &[u8]| {
        let digest = Sha256::digest(body).into();
        [body, &framed(&Closing { height: 2, block: BlockHash([0; 32]), digest }.encode())].concat()
    };
    for at in (0..file.len()).step_by(3) {
        for promise in
            [&[0x5a, 0x00, 0x10, 0x00, 0x00][..], &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]]
        {
            let rest = file.get(at + promise.len()..).unwrap_or_default();
            let spoilt = [&file[..at], promise, rest].concat();
            assert!(verify(&close(&spoilt)[..], |_| ()).is_err(), "a length that promises more, at {at}");
        }
        assert!(
            verify(&close(&file[..at])[..], |_| ()).is_err(),
            "a part of a file that is closed well, at {at}"
        );
    }
    let endless = std::io::repeat(0x5a);
    assert!(
        verify(file[..start].chain(endless), |_| ()).is_err(),
        "an item of 1.5 GB is refused by its length"
    );
    assert!(verify(&file[..], |_| ()).is_ok(), "the file as it was written verifies");
}

#[test]
fn damage_names_its_block() {
    let (_, file) = of(3);
    let starts: Vec<usize> = (1..=3).map(|height| start_of(&file, height)).collect();
    for (i, start) in starts.iter().enumerate() {
        let end = starts.get(i + 1).copied().unwrap_or(start + 200);
        let mut bad = file.clone();
        bad[(start + end) / 2] ^= 1;
        let error = verify(&bad[..], |_| ()).unwrap_err();
        let place = Place::Height(u64::try_from(i).unwrap() + 1);
        assert!(matches!(&error, VerifyError::Damaged { place: p, .. } if *p == place), "{place}: {error}");
    }
}

/// Where the item of a height begins.
fn start_of(file: &[u8], height: u64) -> usize {
    let mut items = Items { input: file, digest: Sha256::new(), whole: 0 };
    loop {
        let at = file.len() - items.input.len();
        let (item, _) = items.next(Place::Genesis, ITEM_BYTES_MAX).unwrap().unwrap();
        if HeightItem::decode(&item).is_ok_and(|item| item.height == height) {
            return at;
        }
    }
}

#[test]
fn a_file_that_is_cut_or_continued_is_not_whole() {
    let (_, file) = of(2);
    for end in 0..file.len() {
        assert!(verify(&file[..end], |_| ()).is_err(), "cut after {end} bytes");
    }
    let cut = verify(&file[..file.len() - 40], |_| ()).unwrap_err();
    assert!(
        matches!(&cut, VerifyError::Damaged { place: Place::Closing(2), .. }),
        "after the last block: {cut}"
    );
    let longer = [&file[..], &[0x40]].concat();
    assert!(verify(&longer[..], |_| ()).is_err(), "something follows");
    assert!(matches!(verify(&b"%PDF-1.7"[..], |_| ()), Err(VerifyError::NotAnExport)), "another file");
}

#[test]
fn a_ledger_of_other_signers_is_refused_even_with_a_right_digest() {
    let (world, _) = of(1);
    let (block, mut certificate) = world.store.block(1).unwrap().unwrap();
    certificate.signatures[0].signature[0] ^= 1;
    let headers: Vec<_> = world.store.headers(&world.genesis.validators[0], 1, 1).unwrap();
    let opening = Opening { magic: MAGIC.into(), genesis: Bytes(world.genesis.encode()) };
    let hash = world.state.block;
    let item = HeightItem { height: 1, block: Bytes(block), certificate, headers: 1 };
    let mut file = [framed(&opening.encode()), framed(&item.encode()), framed(&headers[0])].concat();
    let digest = Sha256::digest(&file).into();
    file.extend(framed(&Closing { height: 1, block: hash, digest }.encode()));
    let error = verify(&file[..], |_| ()).unwrap_err();
    assert!(matches!(&error, VerifyError::Damaged { place: Place::Height(1), .. }), "{error}");
}
