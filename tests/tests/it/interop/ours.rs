//! Our messages of each kind that another library is asked to read, the same in every run. Called by `interop`.

use hospes_protocol::block::{
    Block, CommitCertificate, CommitSignature, Cut, SignedVote, Validator, ValidatorSet,
};
use hospes_protocol::context::Context;
use hospes_protocol::entry::{Content, FORMAT, Header, HeaderFields, Kind};
use hospes_protocol::ids::{BlockHash, HeaderId, Reveal, StateRoot};
use hospes_protocol::ids::{
    ContentId, Lock, NetworkId, NodeId, OrganizationId, PatientId, PersonId, Subject, sha256,
};
use hospes_protocol::keys::{Algorithm, Curve, Signer, SoftwareSigner, VerifyingKey};
use hospes_protocol::personal::{
    After, Anonymity, Category, GrantEntry, Grantee, Label, Purpose, Right, Scope,
};
use hospes_protocol::seal::envelope::Envelope;
use hospes_protocol::seal::locker::fresh_epoch;
use hospes_protocol::seal::packet::{Packet, seal_packet};
use hospes_protocol::tap::{Body, sign_tap};
use hospes_protocol::wire::{Bytes, Wire};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};

use crate::interop::keys::{CardP256, CardP384, agreement};

const NETWORK: NetworkId = NetworkId([9; 32]);
const TEXT: &str = "Dr. Čech may read laboratory results until 1 March.";

/// All of them.
pub(crate) fn vectors() -> Vec<Value> {
    let mut cards: [(&str, Box<dyn Signer>); 3] = [
        ("Ed25519", Box::new(SoftwareSigner::from_seed(&[11; 32]))),
        ("P-256", Box::new(CardP256(p256::ecdsa::SigningKey::from_slice(&[12; 32]).unwrap()))),
        ("P-384", Box::new(CardP384(p384::ecdsa::SigningKey::from_slice(&[13; 48]).unwrap()))),
    ];
    let bodies = cards.iter_mut().flat_map(|(name, card)| grants(name, card.as_mut())).collect::<Vec<_>>();
    [headers(), bodies, packets(), vec![certified_block()]].concat()
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// The COSE number of an algorithm (RFC 9864).
fn cose_number(algorithm: Algorithm) -> i64 {
    match algorithm {
        Algorithm::Esp256 => -9,
        Algorithm::Ed25519 => -19,
        Algorithm::Esp384 => -51,
    }
}

fn vector(name: &str, kind: &str, data: &[u8], key: &VerifyingKey, id: &[u8]) -> Value {
    json!({
        "name": name, "kind": kind, "bytes": hex(data), "network": hex(&NETWORK.0), "id": hex(id), "text": TEXT,
        "algorithm": cose_number(key.algorithm()), "public_key": hex(key.as_bytes()),
    })
}

/// A node's first header, of a control kind, and its second, of a personal kind with all that a header can carry.
fn headers() -> Vec<Value> {
    let mut node = SoftwareSigner::from_seed(&[10; 32]);
    let key = node.verifying_key();
    let first = HeaderFields {
        format: FORMAT,
        network: NETWORK,
        organization: OrganizationId([1; 32]),
        node: NodeId(key.id().0),
        sequence: 1,
        previous: None,
        kind: Kind::Node.code(),
        subject: None,
        content: ContentId([2; 32]),
        lock: None,
        reveal: Vec::new(),
        signed_at: 1_795_000_000_000,
    };
    let second = HeaderFields {
        sequence: 2,
        previous: Some(HeaderId(sha256(&[&first.encode()]))),
        kind: Kind::Grant.code(),
        subject: Some(Subject([3; 32])),
        lock: Some(Lock([4; 32])),
        reveal: vec![Reveal([5; 32]), Reveal([6; 32])],
        ..first.clone()
    };
    let signed = [("a node's header", first), ("a grant's header", second)];
    signed
        .into_iter()
        .map(|(name, fields)| {
            let header = Header::sign(fields, &mut node).unwrap();
            vector(name, "header", header.as_bytes(), &key, &header.id().0)
        })
        .collect()
}

/// Three grants that one tap wills.
fn grants(card_name: &str, card: &mut dyn Signer) -> Vec<Value> {
    let contents: Vec<Content> = [1, 2, 3].into_iter().map(grant).collect();
    let ids: Vec<ContentId> = contents.iter().map(Content::id).collect();
    let signatures = sign_tap(card, &NETWORK, (TEXT, "en"), &ids).unwrap();
    let bodies = contents.iter().zip(signatures).enumerate();
    bodies
        .map(|(at, (content, signature))| {
            let body = Body { content: Bytes(content.encode()), signatures: vec![signature] };
            let name = format!("grant {at} of a tap of a {card_name} card");
            vector(&name, "body", &body.encode(), &card.verifying_key(), &body.id().0)
        })
        .collect()
}

fn grant(number: u8) -> Content {
    let entry = GrantEntry {
        patient: PatientId([20; 32]),
        by_proxy: None,
        grantee: Grantee::Person(PersonId([number; 32])),
        scope: Scope { categories: vec![Category::Laboratory], label: Label::Normal, records: Vec::new() },
        rights: Right::Read.code(),
        from: 1_795_000_000_000,
        until: 1_803_000_000_000,
        purpose: Purpose::Treatment,
        study: None,
        anonymity: Anonymity::AsIs,
        one_time: false,
        two_signatures: false,
        after: After { height: 7, block: BlockHash([21; 32]), revocations: Vec::new() },
    };
    Content {
        format: FORMAT,
        network: NETWORK,
        kind: Kind::Grant.code(),
        organization: OrganizationId([1; 32]),
        salt: [number; 32],
        lock: Some(Lock([22; 32])),
        stands_on: vec![ContentId([23; 32])],
        payload: Bytes(entry.encode()),
    }
}

/// A packet for a reader on each curve.
fn packets() -> Vec<Value> {
    let mut rng = ChaCha20Rng::from_seed([30; 32]);
    let (_, secrets) = fresh_epoch([(Category::Laboratory, Label::Normal)], 1, &mut rng);
    let packet = Packet { patient: PatientId([20; 32]), epoch: 1, secrets };
    let mut sealed = Vec::new();
    for (name, curve) in [("X25519", Curve::X25519), ("P-256", Curve::P256)] {
        let secret = [31; 32];
        let mut key = agreement(curve, &secret);
        let data = seal_packet(&key.agreement_key(), &packet, &NETWORK, &mut rng).unwrap();
        let plain = Envelope::parse(&data).unwrap().open(key.as_mut(), Context::Packet, &NETWORK).unwrap();
        sealed.push(json!({
            "name": format!("a packet for a reader on {name}"), "kind": "envelope", "bytes": hex(&data),
            "network": hex(&NETWORK.0), "context": Context::Packet.text(), "curve": curve.code(),
            "secret_key": hex(&secret), "plaintext": hex(&plain),
        }));
    }
    sealed
}

/// A block that all of four validators committed in the second round.
fn certified_block() -> Value {
    let mut signers: Vec<SoftwareSigner> =
        (50..54).map(|seed| SoftwareSigner::from_seed(&[seed; 32])).collect();
    let validator = |signer: &SoftwareSigner| Validator {
        node: NodeId(signer.verifying_key().id().0),
        organization: OrganizationId([1; 32]),
        key: signer.verifying_key(),
    };
    let set = ValidatorSet::new(signers.iter().map(validator).collect()).unwrap();
    let block = Block {
        format: FORMAT,
        network: NETWORK,
        height: 3,
        previous: BlockHash([2; 32]),
        time: 1_795_000_000_000,
        proposer: set.validators[0].node,
        cuts: vec![Cut { node: set.validators[1].node, from: 1, to: 4, last: HeaderId([3; 32]) }],
        control: Vec::new(),
        state_root: StateRoot([4; 32]),
        validators: set.hash(),
        next_validators: set.hash(),
        last_commit: None,
        forks: Vec::new(),
        equivocations: Vec::new(),
    };
    let mut certificate = CommitCertificate {
        height: 3,
        round: 1,
        block: block.hash(),
        validators: set.hash(),
        signatures: Vec::new(),
    };
    for signer in &mut signers {
        let validator = NodeId(signer.verifying_key().id().0);
        let signature =
            SignedVote::sign(certificate.precommit(&NETWORK, validator), signer).unwrap().signature;
        certificate.signatures.push(CommitSignature { validator, signature });
    }
    certificate.signatures.sort_by_key(|signature| signature.validator);
    json!({
        "name": "a certified block", "kind": "certificate", "bytes": hex(&certificate.encode()),
        "network": hex(&NETWORK.0), "block": hex(&block.encode()), "validators": hex(&set.encode()),
    })
}
