//! The format, pinned: a fixed store's rows, keys and key file have one digest.
//!
//! Where this fails, what older releases wrote may no longer be read: give the table a new name, add a line
//! to the version history of `storage/README.md`, and put the printed digest here.

use hospes_protocol::accumulator::RangeNode;
use hospes_protocol::block::CommitCertificate;
use hospes_protocol::check::Check;
use hospes_protocol::ids::{
    BlockHash, ContentId, HeaderId, Lock, NodeId, ObjectId, OrganizationId, PatientId, ValidatorsHash, sha256,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroizing;

use crate::layout::{LEDGER_TABLES, OBJECTS_TABLES};
use crate::{
    Commit, Fetch, HeaderRow, HeldBody, Ledger, Medium, Objects, Options, Order, Receipt, SealedKey,
    SealedRow, Store, Write,
};

const DIGEST: &str = "0639d8d394d14d09e38c3c92ec9c4a8b278ee215e03987d0d60b8d359c96bda1";

const NODE: NodeId = NodeId([1; 32]);
const PATIENT: PatientId = PatientId([2; 32]);

fn row(sequence: u8, branch: u8) -> HeaderRow {
    HeaderRow {
        node: NODE,
        sequence: sequence.into(),
        id: HeaderId([16 * branch + sequence; 32]),
        previous: (sequence > 1).then(|| HeaderId([sequence - 1; 32])),
        content: ContentId([100 + sequence; 32]),
        bytes: vec![sequence; 40],
        control: (sequence == 1).then(|| b"control".to_vec()),
    }
}

fn fill_ledger(store: &Store) {
    store.put_own(&[row(1, 0), row(2, 0)]).expect("in order");
    store.put_headers(&[row(2, 1)]).expect("a fork is kept aside");
    store.see_locks(&[Lock([7; 32])]).expect("stored");
    let block = b"block".to_vec();
    let hash = BlockHash(sha256(&[&block]));
    let validators = ValidatorsHash([8; 32]);
    let certificate = CommitCertificate { height: 1, round: 2, block: hash, validators, signatures: vec![] };
    let commit = Commit {
        height: 1,
        hash,
        block,
        certificate,
        headers: vec![(row(1, 0).id, Some(Check::ContentFiled))],
        closed: vec![Lock([9; 32])],
        range: vec![RangeNode { level: 0, index: 0, hash: [10; 32] }],
        state: b"state".to_vec(),
    };
    store.commit(&commit).expect("the first height");
    store.wal_append(2, &[b"vote".to_vec()]).expect("stored");
    store.put_property("genesis", b"file").expect("stored");
}

fn fill_objects(store: &Store) {
    let object = ObjectId::of_segment(b"segment");
    let organization = OrganizationId([3; 32]);
    let sealed = |patient| {
        let key = SealedKey::new("grants", b"group", 5, if patient { b"his" } else { b"ours" });
        Write::Sealed(SealedRow { key, patient: patient.then_some(PATIENT), value: b"value".to_vec() })
    };
    let body = |n, patient| {
        Write::Body(HeldBody { content: ContentId([n; 32]), kind: 21, patient, bytes: b"body".to_vec() })
    };
    let writes = [
        Write::Object { id: object, patient: None, bytes: b"segment".to_vec() },
        Write::Object {
            id: ObjectId::of_structured(b"packet"),
            patient: Some(PATIENT),
            bytes: b"packet".to_vec(),
        },
        body(50, None),
        body(51, Some(PATIENT)),
        sealed(false),
        sealed(true),
        Write::Order(Order { object, organization, until: 900, size: 7, bytes: b"order".to_vec() }),
        Write::Receipt(Receipt { object, holder: NODE, bytes: b"receipt".to_vec() }),
        Write::Fetch(Fetch { object, due: 11, attempts: 3, note: b"note".to_vec() }),
    ];
    store.apply(&writes).expect("stored");
}

fn digest(store: &Store, medium: &Medium) -> String {
    let mut hasher = blake3::Hasher::new();
    for (db, names) in [(&store.ledger, LEDGER_TABLES), (&store.objects, OBJECTS_TABLES)] {
        for name in names {
            hasher.update(name.table.as_bytes());
            let rows = db.read(|txn| {
                let mut found = Vec::new();
                name.read(txn)?.walk(&[], |key, payload, _| {
                    found.push((key.to_vec(), payload.expect("its check holds").to_vec()));
                    Ok(true)
                })?;
                Ok(found)
            });
            let rows = rows.expect("it reads");
            assert!(!rows.is_empty(), "{} has a row to pin", name.table);
            for (key, payload) in rows {
                hasher.update(&crate::rows::check(name, &key, &payload)).update(&key).update(&payload);
            }
        }
    }
    hasher.update(&medium.read_keys().expect("memory reads").expect("it was made"));
    hasher.finalize().to_hex().to_string()
}

#[test]
fn the_format_is_the_one_that_the_document_describes() {
    let medium = Medium::memory();
    let key = Zeroizing::new([6; 32]);
    let rng = Box::new(ChaCha20Rng::seed_from_u64(7));
    let store = Store::create(&medium, &Options::default(), &key, rng).expect("memory takes a store");
    fill_ledger(&store);
    fill_objects(&store);
    assert_eq!(digest(&store, &medium), DIGEST, "a changed format needs a new table name");
}
